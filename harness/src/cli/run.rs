//! `run` and `report`: drills carried out, and what came of them shown.

use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
    time::Duration,
};

use tokio::{
    sync::oneshot,
    time::{Instant, timeout},
};

use super::{
    Terminal,
    arguments::{Format, PaperSize, ReportArguments, RunArguments},
    attached::{self, Claimed},
    confirm, files, pdf, print,
    signals::Signals,
    stopping::Stopping,
    tell, tell_error, variable,
};
use crate::{
    causes::with_causes,
    exit_code::ExitCode,
    hostile::revert_command,
    live::{Display, Live},
    provider::{docker, lab::Attached},
    report::{
        self, Report, annotations, html::Paper, json, junit, markdown, terminal as terminal_report,
    },
    run::{Stopper, Terms},
    source::Secrets,
    suite::{self, Assignment, Place, RunFolder, RunId, SuiteError, Threads},
    timeline::Entry,
};

/// How many drills run at once by default: they mostly wait, and each has a lab of its own.
pub(super) const DEFAULT_AT_ONCE: u16 = 4;
/// How often the live display is told that time goes by.
const TICK: Duration = Duration::from_millis(500);
/// How long the display may take for what is left to show when the drills are over.
const LAST_LINES: Duration = Duration::from_secs(2);

pub(super) fn run(arguments: &RunArguments, terminal: Terminal) -> ExitCode {
    match files::load(&arguments.selection, terminal) {
        Err(code) => code,
        Ok(catalog) => match confirm::terms(arguments, &catalog.entries, terminal) {
            Err(code) => code,
            Ok(terms) => {
                run_all(arguments, catalog.entries, &terms, terminal).unwrap_or_else(|error| {
                    tell(&format!("error: {error}; nothing was injected"));
                    ExitCode::CouldNotRun
                })
            }
        },
    }
}

fn run_all(
    arguments: &RunArguments,
    entries: Vec<crate::catalog::Entry>,
    terms: &Terms,
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
    for run in attached::left_broken(&arguments.reports) {
        tell(&format!(
            "warning: a run left something broken; finish that with `{}`",
            revert_command(&run)
        ));
    }
    let folder = RunFolder::create(&arguments.reports, &run_id, several).map_err(no_folder)?;
    let claimed = threads
        .block_on(claim(arguments, &entries, folder.path()))
        .inspect_err(|_| {
            // Nothing is in it, and nothing was begun.
            drop(std::fs::remove_dir(folder.path()));
        })?;
    let labs = threads.labs();
    let place = match &claimed {
        Some(claimed) => claimed.place(&labs),
        None => Place::Own(labs),
    };
    // A lab that is used by one drill is no place for another.
    let at_once = match &place {
        Place::Own(_) => usize::from(arguments.jobs),
        Place::Attached { .. } => 1,
    };
    let mut assignments = Vec::new();
    for entry in entries {
        assignments.push(Assignment {
            folder: folder.of_drill(&entry.drill.name).map_err(no_folder)?,
            entry,
            speed: arguments.selection.speed,
            run_id: run_id.clone(),
            seed,
            command: suite::command_line(),
            place: place.clone(),
            terms: terms.clone(),
        });
    }
    let folders: Vec<(PathBuf, Secrets)> = assignments
        .iter()
        .map(|assignment| (assignment.folder.clone(), assignment.entry.secrets()))
        .collect();
    let watching = watch_all(assignments, at_once, folder.path(), terminal);
    let results = match threads
        .block_on(watching)
        .map_err(|error| format!("could not listen for signals: {error}"))?
    {
        Watched::Over(results) => results,
        Watched::Left(code) => {
            threads.abandon();
            return Ok(code);
        }
    };
    if let Some(claimed) = claimed {
        claimed.release();
    }
    let (mut codes, mut reports, mut reported) = (Vec::new(), Vec::new(), Vec::new());
    for ((drill, result), (folder, secrets)) in results.into_iter().zip(folders) {
        match result {
            Ok(report) => {
                codes.push(ExitCode::from(&report.judgement));
                reports.push(report);
                reported.push(folder);
            }
            Err(error) => {
                tell(&format!("{drill}:"));
                tell_error(&error, &secrets);
                // Whatever it had captured may be as it left it.
                let broken = matches!(error, SuiteError::Panicked(_) | SuiteError::NotRestored(_));
                codes.push(if broken {
                    ExitCode::NotRestored
                } else {
                    ExitCode::CouldNotRun
                });
            }
        }
    }
    folder.point_latest();
    if !write_files(folder.path(), &reported, &reports, several) {
        codes.push(ExitCode::CouldNotRun);
    }
    tell_github(&reports);
    show(&reports, arguments.format, terminal);
    Ok(ExitCode::worst(codes))
}

/// Takes what was there before the run, if that is where the drills run: containers, or a lab in a process of its own.
async fn claim(
    arguments: &RunArguments,
    entries: &[crate::catalog::Entry],
    run: &Path,
) -> Result<Option<Claimed>, String> {
    let token_file = attached::token_file(arguments.lab.as_deref());
    let in_containers = entries
        .iter()
        .find(|entry| entry.environment.is_in_containers());
    let system = match (token_file, in_containers) {
        (None, None) => return Ok(None),
        (Some(_), Some(entry)) => {
            return Err(format!(
                "the environment `{}` is in containers, and `--lab` or BLACKSTART_LAB names a lab",
                entry.environment.name
            ));
        }
        (Some(file), None) => Attached::find(&file)
            .await
            .map_err(|error| with_causes(&error))?,
        (None, Some(entry)) => docker::attach(&entry.environment)
            .await
            .map_err(|error| with_causes(&error))?,
    };
    let environment = one_environment(entries)?;
    Claimed::take(system, &environment, run, &arguments.reports)
        .map(Some)
        .map_err(|error| error.to_string())
}

/// The one environment of all drills: what outlives a run is of one.
fn one_environment(entries: &[crate::catalog::Entry]) -> Result<String, String> {
    let mut names: Vec<_> = entries
        .iter()
        .map(|entry| entry.environment.name.clone())
        .collect();
    names.dedup();
    match &names[..] {
        [name] => Ok(name.clone()),
        _ => Err(format!(
            "what outlives a run is of one environment, and these drills are of several: {}",
            names.join(", ")
        )),
    }
}

/// What the live display is told.
enum Shown {
    Event(String, Entry),
    Stopping(String),
    Leaving(String),
}

/// How a run of drills ended.
enum Watched {
    /// Each drill with what came of it.
    Over(Vec<(String, Result<Report, SuiteError>)>),
    /// Somebody did not want to wait for that: the code to leave with at once.
    Left(ExitCode),
}

/// Runs all drills with the live display beside them, and passes signals on.
///
/// # Errors
/// If signals cannot be listened for: one would end the process with its faults in place.
async fn watch_all(
    assignments: Vec<Assignment>,
    at_once: usize,
    folder: &Path,
    terminal: Terminal,
) -> io::Result<Watched> {
    let mut signals = Signals::listen()?;
    let mut stopping = Stopping::default();
    let at_once = at_once.min(assignments.len());
    let (stopper, stop) = Stopper::new();
    let (sender, shown) = mpsc::channel();
    // A thread of its own: a terminal that somebody has stopped, or a display that panics, holds no drill up and no revert.
    let (over, is_over) = oneshot::channel();
    thread::spawn(move || {
        show_live(&shown, at_once, terminal);
        // Whoever waited for it may have gone.
        let _nobody_waits = over.send(());
    });
    let to_display = sender.clone();
    let conducting = suite::conduct_all(assignments, at_once, stop, move |drill, entry| {
        drop(to_display.send(Shown::Event(drill.to_owned(), entry.clone())));
    });
    tokio::pin!(conducting);
    let watched = loop {
        tokio::select! {
            biased;
            signal = signals.next() => {
                stopper.stop(signal);
                let (words, leave) = stopping.heed(signal, folder);
                let Some(code) = leave else {
                    drop(sender.send(Shown::Stopping(words)));
                    continue;
                };
                drop(sender.send(Shown::Leaving(words)));
                break Watched::Left(code);
            }
            results = &mut conducting => break Watched::Over(results),
        }
    };
    drop(sender);
    // What it did not show is in the report all the same.
    drop(timeout(LAST_LINES, is_over).await);
    Ok(watched)
}

/// Shows what happens until nobody tells anything any more.
fn show_live(shown: &mpsc::Receiver<Shown>, at_once: usize, terminal: Terminal) {
    let display = Display::choose(terminal.quiet, terminal.live, variable);
    let mut live = Live::new(display, terminal.stderr, at_once, Box::new(io::stderr()));
    let mut next_tick = Instant::now();
    loop {
        if Instant::now() >= next_tick {
            live.tick(Instant::now());
            next_tick = Instant::now() + TICK;
        }
        match shown.recv_timeout(next_tick.saturating_duration_since(Instant::now())) {
            Ok(Shown::Event(drill, entry)) => live.event(&drill, &entry),
            Ok(Shown::Stopping(words)) => live.error(&words),
            Ok(Shown::Leaving(words)) => {
                live.error(&words);
                break;
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
        }
    }
    live.finish();
}

/// Writes the files of a run: those of each drill, and for several an index of all. Whether all could be written: what cannot is
/// told, and the result is printed all the same.
fn write_files(run: &Path, folders: &[PathBuf], reports: &[Report], several: bool) -> bool {
    let mut written = true;
    for (folder, report) in folders.iter().zip(reports) {
        written &= write_into(folder, std::slice::from_ref(report));
    }
    if several {
        written &= write_into(run, reports);
    }
    written
}

fn write_into(folder: &Path, reports: &[Report]) -> bool {
    let mut written = true;
    for (name, text) in report::files(reports) {
        if let Err(error) = write_whole(folder, name, &text) {
            let path = folder.join(name);
            tell(&format!(
                "error: could not write `{}`: {error}",
                path.display()
            ));
            written = false;
        }
    }
    written
}

/// Writes a file beside its place and moves it there, so that nobody ever reads half of it.
fn write_whole(folder: &Path, name: &str, text: &str) -> io::Result<()> {
    let beside = folder.join(format!(".{name}.part"));
    let written =
        std::fs::write(&beside, text).and_then(|()| std::fs::rename(&beside, folder.join(name)));
    if written.is_err() {
        // What is left of it is of no use; that it cannot be removed either is told by the error before.
        drop(std::fs::remove_file(&beside));
    }
    written
}

/// Appends the summary to that of the step of a GitHub workflow, and marks what failed at its line. Elsewhere, nothing.
fn tell_github(reports: &[Report]) {
    if reports.is_empty() {
        return;
    }
    if let Some(file) = variable("GITHUB_STEP_SUMMARY").filter(|file| !file.is_empty()) {
        let text = markdown::render(reports);
        let appended = File::options()
            .append(true)
            .create(true)
            .open(&file)
            .and_then(|mut summary| summary.write_all(text.as_bytes()));
        if let Err(error) = appended {
            tell(&format!(
                "warning: could not append to the step's summary `{file}`: {error}"
            ));
        }
    }
    if variable("GITHUB_ACTIONS").as_deref() == Some("true") {
        // stdout may be JSON or XML for another program; GitHub reads both.
        for order in annotations::render(reports) {
            tell(&order);
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

/// Prints the pages of a run. Whether all that could be was; that there is no browser is told, and is no mistake of the run.
fn write_pdfs(
    arguments: &ReportArguments,
    folders: &[PathBuf],
    reports: &[Report],
    several: bool,
) -> bool {
    let Some(browser) = pdf::browser(std::env::var_os("PATH").as_deref()) else {
        tell(&format!(
            "no PDF: there is no Chromium, Chrome or Edge on the PATH\n\nhint: open `{}` in any browser and print it; it is made for A4 and Letter",
            arguments.run.join("report.html").display()
        ));
        return true;
    };
    let paper = match arguments.paper {
        PaperSize::A4 => Paper::A4,
        PaperSize::Letter => Paper::Letter,
    };
    let threads = match Threads::start() {
        Ok(threads) => threads,
        Err(error) => {
            tell(&format!("error: could not start: {error}"));
            return false;
        }
    };
    let each = folders.iter().zip(reports.chunks(1));
    let all = several.then_some((&arguments.run, reports));
    let mut written = true;
    for (folder, reports) in each.chain(all) {
        match threads.block_on(pdf::print(&browser, folder, reports, paper)) {
            Ok(file) => tell(&format!("printed {}", file.display())),
            Err(error) => {
                tell_error(&error, &Secrets::default());
                written = false;
            }
        }
    }
    written
}

/// Shows a run again, rebuilt from its events, and writes its files anew.
pub(super) fn show_again(arguments: &ReportArguments, terminal: Terminal) -> ExitCode {
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
        match suite::rebuild(folder) {
            Ok(report) => reports.push(report),
            Err(error) => {
                tell_error(&error, &Secrets::default());
                return ExitCode::Usage;
            }
        }
    }
    let several = folders.first().is_some_and(|folder| folder != run);
    let mut written = write_files(run, &folders, &reports, several);
    if arguments.pdf {
        written &= write_pdfs(arguments, &folders, &reports, several);
    }
    show(&reports, arguments.format, terminal);
    let unwritten = (!written).then_some(ExitCode::CouldNotRun);
    let codes = reports
        .iter()
        .map(|report| ExitCode::from(&report.judgement));
    ExitCode::worst(codes.chain(unwritten))
}
