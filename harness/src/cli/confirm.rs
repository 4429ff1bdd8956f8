//! What somebody has to say before a protected environment is touched, and the switch that forbids everything.

use std::{
    collections::BTreeSet,
    io::{BufRead, IsTerminal},
};

use super::{Terminal, arguments::RunArguments, tell, variable};
use crate::{
    catalog::Entry,
    environment::Environment,
    exit_code::ExitCode,
    run::{Refusal, Terms},
};

/// The terms on which these drills may be run, asking for the names of protected environments where somebody can type them.
///
/// # Errors
/// The exit code, if one is not confirmed or a kill switch is on. Nothing was touched.
pub(super) fn terms(
    arguments: &RunArguments,
    entries: &[Entry],
    terminal: Terminal,
) -> Result<Terms, ExitCode> {
    let mut terms = Terms {
        dry_run: arguments.dry_run,
        confirmed: arguments.confirm.clone(),
        ..Terms::of_process(variable)
    };
    let mut asked = BTreeSet::new();
    for environment in entries.iter().map(|entry| &entry.environment) {
        if !asked.insert(&environment.name) {
            continue;
        }
        let refusal = match terms.permit(environment) {
            Err(Refusal::NotConfirmed { .. }) if is_typed(environment, terminal) => {
                terms.confirmed.push(environment.name.clone());
                terms.permit(environment)
            }
            permitted => permitted,
        };
        match refusal {
            Ok(()) => {}
            Err(refusal @ Refusal::NotConfirmed { .. }) => {
                tell(&format!(
                    "error: {refusal}\n\nhint: `--confirm {}` says that you mean it",
                    environment.name
                ));
                return Err(ExitCode::Usage);
            }
            Err(refusal @ Refusal::KillSwitch { .. }) => {
                tell(&format!("error: {refusal}"));
                return Err(ExitCode::CouldNotRun);
            }
        }
    }
    Ok(terms)
}

/// Asks for the environment's name, if somebody can answer.
fn is_typed(environment: &Environment, terminal: Terminal) -> bool {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() || !terminal.live {
        return false;
    }
    tell(&format!(
        "The environment `{}` is protected. Type its name to break things in it:",
        environment.name
    ));
    let mut line = String::new();
    stdin.lock().read_line(&mut line).is_ok() && line.trim() == environment.name
}
