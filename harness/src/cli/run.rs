//! `run` and `report`: drills carried out, and what came of them shown.

use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::runtime::Handle;

use super::{
    Terminal,
    arguments::{Format, PaperSize, ReportArguments, RunArguments},
    attached::{self, Claimed},
    confirm, files,
    keys::Keys,
    pdf, print, serve,
    showing::Showing,
    signals::Signals,
    stopping::Stopping,
    tell, tell_error, variable,
};
use crate::{
    causes::with_causes,
    drill::{self, Expect},
    environment::Binding,
    exit_code::ExitCode,
    hostile::revert_command,
    live::room::Room,
    notify::{Alert, Notifier, Sending},
    provider,
    report::{
        self, Report, annotations,
        html::{self, Paper},
        json, junit, markdown, terminal as terminal_report,
    },
    run::{Operator, Pauses, Stopper, Terms},
    source::Secrets,
    suite::{self, Assignment, Place, RunFolder, RunId, Series, SuiteError, Threads},
    timeline::Repeat,
};

/// How many drills run at once by default: they mostly wait, and each has a lab of its own.
pub(super) const DEFAULT_AT_ONCE: u16 = 4;

/// How long somebody who leaves at once is kept until people are told of it.
const LEAVING: Duration = Duration::from_secs(2);

pub(super) fn run(arguments: &RunArguments, terminal: Terminal) -> ExitCode {
    let meta = match read_meta(arguments.meta.as_deref(), terminal) {
        Ok(meta) => meta,
        Err(code) => return code,
    };
    match files::load(&arguments.selection, terminal) {
        Err(code) => code,
        Ok(catalog) => match confirm::terms(arguments, &catalog.entries, terminal) {
            Err(code) => code,
            Ok(terms) => match plan_series(arguments, &catalog.entries, &terms) {
                Err(code) => code,
                Ok(all_series) => {
                    let selected = (catalog.entries, all_series);
                    run_all(arguments, selected, meta.as_ref(), &terms, terminal).unwrap_or_else(
                        |error| {
                            tell(&format!("error: {error}; nothing was injected"));
                            ExitCode::CouldNotRun
                        },
                    )
                }
            },
        },
    }
}

fn run_all(
    arguments: &RunArguments,
    (entries, all_series): Selected,
    meta: Option<&String>,
    terms: &Terms,
    terminal: Terminal,
) -> Result<ExitCode, String> {
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    let run_id = RunId::new(jiff::Timestamp::now(), &mut fastrand::Rng::new());
    let alone = entries.len() == 1;
    let several = !alone || all_series.iter().any(Option::is_some);
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
    let room = threads.block_on(open_room(arguments, &threads.labs()))?;
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
    // A lab that is used by one drill is no place for another, and people take part in one at a time.
    let at_once = match &place {
        Place::Own(_) if !arguments.interactive => usize::from(arguments.jobs),
        Place::Own(_) | Place::Attached { .. } => 1,
    };
    let people = match &terms.pauses {
        Pauses::Asked(operator) => Some((operator.clone(), roles(arguments, &entries))),
        Pauses::Refused | Pauses::Skipped => None,
    };
    let mut assignments = Vec::new();
    for (entry, series) in entries.into_iter().zip(all_series) {
        let repeats: Vec<Option<Repeat>> = match &series {
            Some(series) => series.repeats().map(Some).collect(),
            None => vec![None],
        };
        for (offset, repeat) in (0..).zip(repeats) {
            let drill = &entry.drill.name;
            let made = match repeat {
                Some(repeat) => folder.of_repeat(drill, repeat, alone),
                None => folder.of_drill(drill),
            };
            let made = made.and_then(|made| keep_meta(&made, meta).map(|()| made));
            assignments.push(Assignment {
                folder: made.map_err(no_folder)?,
                entry: entry.clone(),
                speed: arguments.selection.speed,
                run_id: run_id.clone(),
                // Each with a phase of its own, and one can be repeated alone.
                seed: seed.wrapping_add(offset),
                repeat,
                series: series.clone(),
                command: suite::command_line(),
                place: place.clone(),
                terms: terms.clone(),
            });
        }
    }
    let folders: Vec<(PathBuf, Secrets)> = assignments
        .iter()
        .map(|assignment| (assignment.folder.clone(), assignment.entry.secrets()))
        .collect();
    let mut showing = Showing::start(at_once.min(assignments.len()), terminal);
    if arguments.format == Format::Ndjson {
        showing.as_a_stream();
    }
    if let Some(room) = &room {
        show_limits(room, &assignments);
        showing.on_a_page(room);
    }
    let notifier = notifier(arguments, &assignments, &threads.labs());
    if let Some(notifier) = &notifier {
        showing.notifying(notifier);
    }
    let labels: Vec<String> = assignments.iter().map(Assignment::label).collect();
    let watching = watch_all(assignments, at_once, folder.path(), showing, people);
    let results = match threads
        .block_on(watching)
        .map_err(|error| format!("could not listen for signals: {error}"))?
    {
        Watched::Over(results) => results,
        Watched::Left(code, words) => {
            if let Some(notifier) = notifier {
                threads.block_on(tell_of_leaving(notifier, &labels, code, &words));
            }
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
                if let Some(notifier) = &notifier {
                    notifier.conclude(&drill, Alert::of(&report));
                }
                reports.push(report);
                reported.push(folder);
            }
            // Nothing is in it, and nothing was begun.
            Err(SuiteError::NotNeeded) => drop(std::fs::remove_dir_all(folder)),
            Err(error) => {
                tell(&format!("{drill}:"));
                tell_error(&error, &secrets);
                // Whatever it had captured may be as it left it.
                let broken = matches!(error, SuiteError::Panicked(_) | SuiteError::NotRestored(_));
                if let Some(notifier) = &notifier {
                    let words = secrets.hide(&with_causes(&error)).into_owned();
                    notifier.conclude(&drill, Alert::of_trouble(&drill, &words, broken));
                }
                codes.push(if broken {
                    ExitCode::NotRestored
                } else {
                    ExitCode::CouldNotRun
                });
            }
        }
    }
    if !reports.is_empty() {
        codes.push(report::exit_code(&reports));
    }
    folder.point_latest();
    if !write_files(folder.path(), &reported, &reports, several) {
        codes.push(ExitCode::CouldNotRun);
    }
    tell_github(&reports);
    show(&reports, several, arguments.format, terminal);
    if let Some(notifier) = notifier {
        for words in threads.block_on(notifier.finish()) {
            tell(&words);
        }
    }
    if let Some(room) = room {
        threads.block_on(room.close());
    }
    Ok(ExitCode::worst(codes))
}

/// Serves the page for the room, if somebody wants one.
async fn open_room(arguments: &RunArguments, threads: &Handle) -> Result<Option<Room>, String> {
    let Some(address) = arguments.serve else {
        return Ok(None);
    };
    let room = serve::open(address, threads).await;
    room.map(Some).map_err(|error| error.to_string())
}

/// Shows the limit of each run's recovery on the page.
fn show_limits(room: &Room, assignments: &[Assignment]) {
    for assignment in assignments {
        for expectation in &assignment.entry.drill.expect {
            if let Expect::Rto { within, .. } = expectation.value {
                room.hand().limit(&assignment.label(), within);
            }
        }
    }
}

/// Tells people, if the environments say whom. That nobody can be told is no reason not to run.
fn notifier(
    arguments: &RunArguments,
    assignments: &[Assignment],
    threads: &Handle,
) -> Option<Notifier> {
    let sending = if arguments.dry_run {
        Sending::Shown
    } else {
        Sending::Real
    };
    let drills: Vec<_> = assignments
        .iter()
        .map(|assignment| {
            (
                assignment.label(),
                Arc::clone(&assignment.entry.environment),
            )
        })
        .collect();
    Notifier::start(&drills, sending, threads).unwrap_or_else(|error| {
        tell(&format!(
            "warning: nobody can be told: {}",
            with_causes(&error)
        ));
        None
    })
}

/// Tells people that a run was left before it was over, for as long as somebody who wants to leave may be kept.
async fn tell_of_leaving(notifier: Notifier, drills: &[String], code: ExitCode, words: &str) {
    let is_broken = code == ExitCode::NotRestored;
    for drill in drills {
        notifier.conclude(drill, Alert::of_trouble(drill, words, is_broken));
    }
    for words in notifier.finish_within(LEAVING).await {
        tell(&words);
    }
}

/// The roles that people can have: those that were given, then those that drills name.
fn roles(arguments: &RunArguments, entries: &[crate::catalog::Entry]) -> Vec<String> {
    let pauses = entries.iter().flat_map(|entry| entry.drill.pauses());
    let named = pauses.filter_map(|pause| pause.value.role.clone());
    let mut roles: Vec<String> = Vec::new();
    for role in arguments.role.iter().cloned().chain(named) {
        if !roles.contains(&role) {
            roles.push(role);
        }
    }
    roles
}

/// Takes what was there before the run, if drills run there: containers, clusters, a lab in a process of its own.
async fn claim(
    arguments: &RunArguments,
    entries: &[crate::catalog::Entry],
    run: &Path,
) -> Result<Option<Claimed>, String> {
    let token_file = attached::token_file(arguments.lab.as_deref());
    if let Some(entry) = entries
        .iter()
        .find(|entry| token_file.is_some() && entry.environment.is_in_containers())
    {
        return Err(format!(
            "the environment `{}` is in containers, and `--lab` or BLACKSTART_LAB names a lab",
            entry.environment.name
        ));
    }
    let is_only_a_lab = |entry: &crate::catalog::Entry| {
        let bindings = entry.environment.bindings();
        bindings.iter().all(|binding| *binding == Binding::Lab)
    };
    // Of several environments the first that outlives the run is named, or the one that the lab is to be of.
    let entry = entries.iter().find(|entry| !is_only_a_lab(entry));
    let Some(entry) = entry.or(entries.first().filter(|_| token_file.is_some())) else {
        return Ok(None);
    };
    let environment = one_environment(entries)?;
    let systems = provider::attach(&entry.environment, token_file.as_deref())
        .await
        .map_err(|error| with_causes(&error))?;
    Claimed::take(systems, &environment, run, &arguments.reports)
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

/// Reads what people say of drills, and tells what is wrong with it.
fn read_meta(file: Option<&Path>, terminal: Terminal) -> Result<Option<String>, ExitCode> {
    let Some(file) = file else {
        return Ok(None);
    };
    let (exercise, problems) = drill::exercise::read_meta(file);
    if !problems.is_empty() {
        tell(
            problems
                .render(Terminal::coloring(terminal.stderr))
                .trim_end(),
        );
    }
    let text = exercise.and_then(|_| std::fs::read_to_string(file).ok());
    text.map(Some).ok_or(ExitCode::Usage)
}

/// Keeps it with a drill's other files.
fn keep_meta(folder: &Path, text: Option<&String>) -> io::Result<()> {
    text.map_or(Ok(()), |text| write_whole(folder, suite::META, text))
}

/// The drills to run, each with its series if it is run more than once.
type Selected = (Vec<crate::catalog::Entry>, Vec<Option<Arc<Series>>>);

/// Works out how often each drill will be run, and says so.
///
/// # Errors
/// The exit code, if so few runs cannot show what is asked for.
fn plan_series(
    arguments: &RunArguments,
    entries: &[crate::catalog::Entry],
    terms: &Terms,
) -> Result<Vec<Option<Arc<Series>>>, ExitCode> {
    let mut all = Vec::new();
    for entry in entries {
        // A rehearsal shows no rate.
        let series = if terms.dry_run {
            None
        } else {
            Series::plan(&entry.drill, arguments.repeat, arguments.until).map_err(|error| {
                tell(&format!(
                    "error: {error}\n\nhint: leave out `--repeat`, and as many are run as it takes"
                ));
                ExitCode::Usage
            })?
        };
        if let Some(series) = &series {
            tell_series(&entry.drill.name, series);
        }
        all.push(series);
    }
    Ok(all)
}

/// Says how often a drill will be run, before it is.
fn tell_series(drill: &str, series: &Series) {
    if series.runs() > 1 {
        tell(&format!("{drill}: {} runs", series.runs()));
    }
    if let Some(rate) = series.not_shown() {
        tell(&format!(
            "warning: {drill}: {} cannot show its pass rate of {rate}; {} without a failure do, which is how often it runs without `--repeat`",
            report::plural(series.runs() as usize, "run"),
            rate.clean_runs()
        ));
    }
}

/// How a run of drills ended.
enum Watched {
    /// Each drill with what came of it.
    Over(Vec<(String, Result<Report, SuiteError>)>),
    /// Somebody did not want to wait for that: the code to leave with at once, and why in words.
    Left(ExitCode, String),
}

/// Runs all drills with the live display beside them, and passes signals on.
///
/// # Errors
/// If signals cannot be listened for: one would end the process with its faults in place.
async fn watch_all(
    assignments: Vec<Assignment>,
    at_once: usize,
    folder: &Path,
    showing: Showing,
    people: Option<(Operator, Vec<String>)>,
) -> io::Result<Watched> {
    let mut signals = Signals::listen()?;
    let mut stopping = Stopping::default();
    let (stopper, stop) = Stopper::new();
    let onlookers = showing.onlookers();
    let keys = people
        .map(|(operator, roles)| Keys::listen(operator, roles, showing.speaker()))
        .transpose()?;
    let conducting = suite::conduct_all(assignments, at_once, stop, move |drill, entry| {
        onlookers.event(drill, entry);
    });
    let mut conducting = Box::pin(conducting);
    let watched = loop {
        tokio::select! {
            biased;
            signal = signals.next() => {
                stopper.stop(signal);
                let (words, leave) = stopping.heed(signal, folder);
                let Some(code) = leave else {
                    showing.stopping(words);
                    continue;
                };
                showing.leaving(words.clone());
                break Watched::Left(code, words);
            }
            results = &mut conducting => break Watched::Over(results),
        }
    };
    drop(keys);
    let is_over = matches!(watched, Watched::Over(_));
    // Its hands on what is shown go with it.
    drop(conducting);
    showing.finish(is_over).await;
    Ok(watched)
}

/// Writes the files of a run: those of each drill, and for several an index of all. Whether all could be written: what cannot is
/// told, and the result is printed all the same.
fn write_files(run: &Path, folders: &[PathBuf], reports: &[Report], several: bool) -> bool {
    let mut written = true;
    for (folder, report) in folders.iter().zip(reports) {
        written &= write_into(folder, &report::files(report));
    }
    if several {
        written &= write_into(run, &report::files_together(reports));
    }
    written
}

fn write_into(folder: &Path, files: &[(&str, String)]) -> bool {
    let mut written = true;
    for (name, text) in files {
        if let Err(error) = write_whole(folder, name, text) {
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

/// Prints the result: the same as in the files of the run.
fn show(reports: &[Report], several: bool, format: Format, terminal: Terminal) {
    if reports.is_empty() {
        return;
    }
    print(&match (format, reports) {
        (Format::Human, _) => terminal_report::render(reports, &terminal.stdout),
        (Format::Json, [only]) if !several => json::render(only),
        (Format::Json, _) => json::render_together(reports),
        (Format::Junit, _) => junit::render(reports),
        (Format::Ndjson, _) => report::stream::results(reports),
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
    let each = folders.iter().zip(reports).map(|(folder, report)| {
        let page = html::render(report, Some(paper));
        (folder, page)
    });
    let all = several.then(|| {
        let page = html::render_together(reports, Some(paper));
        (&arguments.run, page)
    });
    let mut written = true;
    for (folder, page) in each.chain(all) {
        match threads.block_on(pdf::print(&browser, folder, &page)) {
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
    let meta = match read_meta(arguments.meta.as_deref(), terminal) {
        Ok(meta) => meta,
        Err(code) => return code,
    };
    let mut reports = Vec::new();
    for folder in &folders {
        if let Err(error) = keep_meta(folder, meta.as_ref()) {
            tell(&format!(
                "error: could not write `{}`: {error}",
                folder.join(suite::META).display()
            ));
            return ExitCode::CouldNotRun;
        }
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
    show(&reports, several, arguments.format, terminal);
    let unwritten = (!written).then_some(ExitCode::CouldNotRun);
    ExitCode::worst([report::exit_code(&reports)].into_iter().chain(unwritten))
}
