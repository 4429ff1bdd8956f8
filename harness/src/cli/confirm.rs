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
    run::{Operator, Pauses, Refusal, Terms},
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
    let pauses = match (arguments.interactive, arguments.skip_pauses) {
        (true, _) if !std::io::stdin().is_terminal() || !terminal.live => {
            tell(
                "error: `--interactive` needs a terminal to ask on; nothing was touched\n\nhint: `--skip-pauses` goes on without asking anybody",
            );
            return Err(ExitCode::Usage);
        }
        (true, _) => Pauses::Asked(Operator::new()),
        (false, true) => Pauses::Skipped,
        (false, false) => Pauses::Refused,
    };
    let mut terms = Terms {
        dry_run: arguments.dry_run,
        confirmed: arguments.confirm.clone(),
        pauses,
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
            Err(refusal @ (Refusal::KillSwitch { .. } | Refusal::Pauses { .. })) => {
                tell(&format!("error: {refusal}"));
                return Err(ExitCode::CouldNotRun);
            }
        }
    }
    for entry in entries {
        if let Err(refusal) = terms.permit_pauses(&entry.drill) {
            tell(&format!(
                "error: {}\n\nhint: `--interactive` on a terminal asks; `--skip-pauses` goes on without asking anybody",
                entry.secrets().hide(&refusal.to_string())
            ));
            return Err(ExitCode::Usage);
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
