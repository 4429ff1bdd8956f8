//! `revert`: what runs left broken, listed or restored; and the guard, which restores by itself.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{arguments::RevertArguments, print, tell, tell_error};
use crate::{
    exit_code::ExitCode,
    journal::{self, Actor, Journal, Liveness, Owner},
    recovery::{self, Recovered, Request},
    source::Secrets,
    suite::Threads,
};

/// How long a guard that is at it may have the journal.
const LOCK: Duration = Duration::from_mins(1);

/// Watches over a run.
pub(super) fn guard(journal: &Path) -> ExitCode {
    match Threads::start() {
        Ok(threads) => threads.block_on(recovery::guard::watch(journal)),
        Err(error) => {
            tell_error(&error, &Secrets::default());
            ExitCode::CouldNotRun
        }
    }
}

/// Lists or restores what is left.
pub(super) fn revert(arguments: &RevertArguments) -> ExitCode {
    let journals = match find(arguments) {
        Ok(journals) => journals,
        Err(reason) => {
            tell(&format!("error: {reason}"));
            return ExitCode::Usage;
        }
    };
    let threads = match Threads::start() {
        Ok(threads) => threads,
        Err(error) => {
            tell_error(&error, &Secrets::default());
            return ExitCode::CouldNotRun;
        }
    };
    let mut code = ExitCode::Passed;
    let mut told = false;
    for path in journals {
        let journal = match journal::read(&path) {
            Ok(journal) => journal,
            Err(error) => {
                tell(&format!(
                    "error: could not read `{}`: {error}",
                    path.display()
                ));
                code = ExitCode::NotRestored;
                continue;
            }
        };
        if journal.is_clean() {
            if arguments.run.is_some() && !journal.leftovers().is_empty() {
                print(&format!(
                    "{}: the lab was in the harness's own process and ended with it: nothing is left\n",
                    path.display()
                ));
                told = true;
            }
            continue;
        }
        told = true;
        let this = if arguments.list {
            print(&listed(&path, &journal));
            ExitCode::NotRestored
        } else {
            finish(&path, &journal, arguments.force, &threads)
        };
        code = ExitCode::worst([code, this]);
    }
    if !told {
        print("nothing is left to revert\n");
    }
    code
}

/// The journals that are asked for.
fn find(arguments: &RevertArguments) -> Result<Vec<PathBuf>, String> {
    let unreadable = |error| format!("could not read `{}`: {error}", arguments.reports.display());
    let Some(run) = &arguments.run else {
        return recovery::journals_in(&arguments.reports).map_err(unreadable);
    };
    if run
        .file_name()
        .is_some_and(|name| name == journal::FILE_NAME)
        && run.is_file()
    {
        return Ok(vec![run.clone()]);
    }
    for folder in [run.clone(), arguments.reports.join(run)] {
        let journals = recovery::journals_of(&folder).map_err(unreadable)?;
        if !journals.is_empty() {
            return Ok(journals);
        }
    }
    Err(format!(
        "there is no {} in `{}`, nor in a run of that name in `{}`",
        journal::FILE_NAME,
        run.display(),
        arguments.reports.display()
    ))
}

/// What a run has left, in a line each.
fn listed(path: &Path, journal: &Journal) -> String {
    let mut text = format!("{}\n", path.display());
    if let Some(header) = journal.header() {
        let state = match header.owner.liveness() {
            Liveness::Alive => "is still going on",
            Liveness::Gone => "is over",
            Liveness::Elsewhere => "was begun on another machine",
        };
        text.push_str(&format_line(&format!(
            "drill {} in {}, by {}, {state}",
            header.drill, header.environment, header.owner
        )));
    }
    for left in journal.leftovers() {
        let failed = left
            .failed
            .map(|reason| format!("; last attempt: {reason}"))
            .unwrap_or_default();
        text.push_str(&format_line(&format!(
            "`{}`: {}{failed}",
            left.undo.target, left.undo.words
        )));
    }
    for damage in journal.unsettled() {
        text.push_str(&format_line(&format!(
            "line {} {}",
            damage.line, damage.what
        )));
    }
    text
}

fn format_line(text: &str) -> String {
    format!("  {}\n", crate::report::hostile::harmless(text))
}

/// Restores what a run has left.
fn finish(path: &Path, journal: &Journal, force: bool, threads: &Threads) -> ExitCode {
    if let Some(header) = journal.header()
        && header.owner.liveness() == Liveness::Alive
    {
        tell(&format!(
            "error: {}: the run is still going on ({}): stop it, and it restores everything itself",
            path.display(),
            header.owner
        ));
        return ExitCode::NotRestored;
    }
    let why = format!("blackstart revert by {}", Owner::this());
    let request = Request {
        actor: Actor::Revert,
        why: &why,
        force,
        again: false,
        lock: LOCK,
    };
    match threads.block_on(recovery::restore(path, &request)) {
        Ok(recovered) => tell_recovered(path, &recovered),
        Err(error) => {
            tell(&format!("error: {}: {error}", path.display()));
            ExitCode::NotRestored
        }
    }
}

fn tell_recovered(path: &Path, recovered: &Recovered) -> ExitCode {
    let mut text = format!("{}\n", path.display());
    for target in &recovered.restored {
        text.push_str(&format_line(&format!("restored {target}")));
    }
    if let Some(gone) = &recovered.gone {
        text.push_str(&format_line(&format!("nothing is left: {gone}")));
    }
    print(&text);
    for target in &recovered.left_broken {
        tell(&format!(
            "NOT RESTORED {}",
            crate::report::hostile::harmless(target)
        ));
    }
    if recovered.left_broken.is_empty() {
        ExitCode::Passed
    } else {
        ExitCode::NotRestored
    }
}
