//! `revert`: what runs left broken, listed or restored; and the guard, which restores by itself.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{arguments::RevertArguments, attached, print, tell, tell_error, variable};
use crate::{
    exit_code::ExitCode,
    hostile::revert_command,
    journal::{self, Actor, Journal, Liveness, Owner},
    recovery::{self, Recovered, Recovery, Request, lock},
    source::Secrets,
    suite::Threads,
};

/// How long a guard that is at it may have the journal.
const LOCK: Duration = Duration::from_mins(1);

/// Watches over a run.
pub(super) fn guard(journal: &Path) -> ExitCode {
    match Threads::start() {
        Ok(threads) => {
            let code = threads.block_on(recovery::guard::watch(journal));
            threads.abandon();
            code
        }
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
                (code, told) = (ExitCode::NotRestored, true);
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
    if arguments.run.is_none() && tell_vanished(arguments) {
        told = true;
        code = ExitCode::NotRestored;
    }
    if !told {
        print("nothing is left to revert\n");
    }
    code
}

/// Tells of the runs whose files are gone, with what they left.
fn tell_vanished(arguments: &RevertArguments) -> bool {
    let claims = attached::stale_claims(&arguments.reports);
    let vanished = claims.iter().filter(|claim| !claim.run.exists());
    let words: Vec<String> = vanished
        .map(|claim| {
            format!(
                "error: {}: the files of this run are gone, so that what {} left broken in `{}` is not known: look at the system, \
                 and then settle it with `{} --force`",
                claim.run.display(),
                claim.owner,
                claim.environment,
                revert_command(&claim.run)
            )
        })
        .collect();
    for words in &words {
        tell(words);
    }
    !words.is_empty()
}

/// The journals that are asked for.
fn find(arguments: &RevertArguments) -> Result<Vec<PathBuf>, String> {
    let unreadable = |error| format!("could not read `{}`: {error}", arguments.reports.display());
    let Some(run) = &arguments.run else {
        let mut journals = recovery::journals_in(&arguments.reports).map_err(unreadable)?;
        // Runs whose reports are elsewhere left their claims.
        for claim in attached::stale_claims(&arguments.reports) {
            recovery::add_others(&mut journals, &claim.run);
        }
        return Ok(journals);
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
    let forget = |run: &Path| lock::forget(&lock::folder(variable, &arguments.reports), run);
    if arguments.force && forget(run).map_err(unreadable)? {
        tell(&format!(
            "{}: its files are gone, and what it left is taken as settled",
            run.display()
        ));
        return Ok(Vec::new());
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
            Liveness::Elsewhere => "was begun elsewhere, on another machine or in a container",
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
    if journal.header().is_none() && !journal.is_settled() {
        text.push_str(&format_line(
            "it has no beginning, so what it was about is not known",
        ));
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
        again: journal.taken_over().is_some(),
        lock: LOCK,
    };
    let restoring = async { Recovery::open(path)?.restore(&request).await };
    match threads.block_on(restoring) {
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
    if let Some(reason) = &recovered.unrecorded {
        tell(&format!(
            "error: {}: what was done could not be written down, so that nobody else knows of it: {reason}",
            path.display()
        ));
        return ExitCode::NotRestored;
    }
    if recovered.left_broken.is_empty() {
        ExitCode::Passed
    } else {
        ExitCode::NotRestored
    }
}
