//! `run` and `report`: drills carried out, and what came of them shown.

use std::{path::Path, time::Duration};

use tokio::{
    sync::mpsc,
    time::{Instant, interval},
};

use super::{
    Terminal,
    arguments::{Format, ReportArguments, RunArguments},
    attached::{self, Claimed},
    files, print,
    signals::Signals,
    stopping::Stopping,
    tell, tell_error, variable,
};
use crate::{
    exit_code::ExitCode,
    live::{Display, Live},
    report::{Report, json, junit, terminal as terminal_report},
    run::Stopper,
    suite::{self, Assignment, Place, RunFolder, RunId, SuiteError, Threads},
};

/// How many drills run at once by default: they mostly wait, and each has a lab of its own.
pub(super) const DEFAULT_AT_ONCE: u16 = 4;
/// How often the live display is told that time goes by.
const TICK: Duration = Duration::from_millis(500);

pub(super) fn run(arguments: &RunArguments, terminal: Terminal) -> ExitCode {
    match files::load(&arguments.selection, terminal) {
        Err(code) => code,
        Ok(catalog) => run_all(arguments, catalog.entries, terminal).unwrap_or_else(|error| {
            tell(&format!("error: {error}; nothing was injected"));
            ExitCode::CouldNotRun
        }),
    }
}

fn run_all(
    arguments: &RunArguments,
    entries: Vec<crate::catalog::Entry>,
    terminal: Terminal,
) -> Result<ExitCode, String> {
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    let run_id = RunId::new(jiff::Timestamp::now(), &mut fastrand::Rng::new());
    let several = entries.len() > 1;
    let no_folder = |error| {
        format!(
            "could not make a folder in `{}`: {error}",
            arguments.reports.display()
        )
    };
    let threads = Threads::start().map_err(|error| format!("could not start: {error}"))?;
    let claimed = match attached::token_file(arguments.lab.as_deref()) {
        None => None,
        Some(file) => {
            let environment = one_environment(&entries)?;
            let run = arguments.reports.join(run_id.to_string());
            let taking = Claimed::take(&file, &environment, &run, &arguments.reports);
            Some(
                threads
                    .block_on(taking)
                    .map_err(|error| error.to_string())?,
            )
        }
    };
    let place = claimed
        .as_ref()
        .map_or_else(|| Place::Own(threads.labs()), Claimed::place);
    // A lab that is used by one drill is no place for another.
    let at_once = match &place {
        Place::Own(_) => usize::from(arguments.jobs),
        Place::Attached { .. } => 1,
    };
    let folder = RunFolder::create(&arguments.reports, &run_id, several).map_err(no_folder)?;
    let mut assignments = Vec::new();
    for entry in entries {
        assignments.push(Assignment {
            folder: folder.of_drill(&entry.drill.name).map_err(no_folder)?,
            entry,
            speed: arguments.selection.speed,
            run_id: run_id.clone(),
            seed,
            command: std::env::args().collect(),
            place: place.clone(),
        });
    }
    let watching = watch_all(assignments, at_once, folder.path(), terminal);
    let results = match threads.block_on(watching) {
        Ok(results) => results,
        Err(code) => return Ok(code),
    };
    if let Some(claimed) = claimed {
        claimed.release();
    }
    let (mut codes, mut reports) = (Vec::new(), Vec::new());
    for (drill, result) in results {
        match result {
            Ok(report) => {
                codes.push(ExitCode::from(&report.judgement));
                reports.push(report);
            }
            Err(error) => {
                tell(&format!("{drill}:"));
                tell_error(&error);
                codes.push(ExitCode::CouldNotRun);
            }
        }
    }
    folder.point_latest();
    write_files(folder.path(), &reports, several);
    show(&reports, arguments.format, terminal);
    Ok(ExitCode::worst(codes))
}

/// The one environment of all drills: a lab is of one.
fn one_environment(entries: &[crate::catalog::Entry]) -> Result<String, String> {
    let mut names: Vec<_> = entries
        .iter()
        .map(|entry| entry.environment.name.clone())
        .collect();
    names.dedup();
    match &names[..] {
        [name] => Ok(name.clone()),
        _ => Err(format!(
            "a lab is of one environment, and these drills are of several: {}",
            names.join(", ")
        )),
    }
}

/// Runs all drills with the live display beside them, and passes signals on. The error is the code to leave with at once.
async fn watch_all(
    assignments: Vec<Assignment>,
    at_once: usize,
    folder: &Path,
    terminal: Terminal,
) -> Result<Vec<(String, Result<Report, SuiteError>)>, ExitCode> {
    let at_once = at_once.min(assignments.len());
    let (stopper, stop) = Stopper::new();
    let (sender, mut entries) = mpsc::unbounded_channel();
    let conducting = suite::conduct_all(assignments, at_once, stop, move |drill, entry| {
        // The display ends after the drills do.
        drop(sender.send((drill.to_owned(), entry.clone())));
    });
    tokio::pin!(conducting);
    let display = Display::choose(terminal.quiet, terminal.live, variable);
    let mut live = Live::new(
        display,
        terminal.stderr,
        at_once,
        Box::new(std::io::stderr()),
    );
    let mut signals = Signals::listen().ok();
    let mut stopping = Stopping::default();
    let mut ticks = interval(TICK);
    let results = loop {
        tokio::select! {
            biased;
            signal = next_signal(&mut signals) => {
                stopper.stop(signal);
                let (words, leave) = stopping.heed(signal, folder);
                live.error(&words);
                if let Some(code) = leave {
                    live.finish();
                    return Err(code);
                }
            }
            results = &mut conducting => break results,
            Some((drill, entry)) = entries.recv() => live.event(&drill, &entry),
            _ = ticks.tick() => live.tick(Instant::now()),
        }
    };
    live.finish();
    Ok(results)
}

async fn next_signal(signals: &mut Option<Signals>) -> &'static str {
    match signals {
        Some(signals) => signals.next().await,
        None => std::future::pending().await,
    }
}

/// Writes the files of a run: those of each drill, and for several an index of all. A file that cannot be written is told, and
/// the result is printed all the same.
fn write_files(folder: &Path, reports: &[Report], several: bool) {
    for report in reports {
        write_into(Path::new(&report.run.folder), std::slice::from_ref(report));
    }
    if several {
        write_into(folder, reports);
    }
}

fn write_into(folder: &Path, reports: &[Report]) {
    for (name, text) in [
        ("report.json", json::render(reports)),
        ("TEST-drills.xml", junit::render(reports)),
    ] {
        let path = folder.join(name);
        if let Err(error) = std::fs::write(&path, text) {
            tell(&format!(
                "error: could not write `{}`: {error}",
                path.display()
            ));
        }
    }
}

fn show(reports: &[Report], format: Format, terminal: Terminal) {
    if reports.is_empty() {
        return;
    }
    print(&match format {
        Format::Human => terminal_report::render(reports, &terminal.stdout),
        Format::Json => json::render(reports),
        Format::Junit => junit::render(reports),
    });
}

/// Shows a run again, rebuilt from its events, and writes its files anew.
pub(super) fn report(arguments: &ReportArguments, terminal: Terminal) -> ExitCode {
    let run = &arguments.run;
    let folders = match RunFolder::drills_in(run) {
        Ok(folders) if folders.is_empty() => {
            tell(&format!(
                "error: there is no {} in `{}` or a folder in it",
                suite::EVENTS,
                run.display()
            ));
            return ExitCode::Usage;
        }
        Ok(folders) => folders,
        Err(error) => {
            tell(&format!(
                "error: could not read `{}`: {error}",
                run.display()
            ));
            return ExitCode::Usage;
        }
    };
    let mut reports = Vec::new();
    for folder in &folders {
        match suite::rebuild(folder, &variable) {
            Ok(report) => reports.push(report),
            Err(error) => {
                tell_error(&error);
                return ExitCode::Usage;
            }
        }
    }
    let several = folders.first().is_some_and(|folder| folder != run);
    write_files(run, &reports, several);
    show(&reports, arguments.format, terminal);
    ExitCode::worst(
        reports
            .iter()
            .map(|report| ExitCode::from(&report.judgement)),
    )
}
