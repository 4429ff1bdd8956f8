//! Drills as `cargo test`: one trial a drill, filtered, listed and run in parallel like any other test, also under nextest.
//!
//! A project that drills its own architecture needs a dev-dependency, a `[[test]]` with `harness = false`, and this:
//!
//! ```no_run
//! fn main() -> std::process::ExitCode {
//!     blackstart::testing::drills(concat!(env!("CARGO_MANIFEST_DIR"), "/drills"))
//! }
//! ```

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use libtest_mimic::{Arguments, Failed, Trial};

use crate::{
    catalog::{self, Selection},
    causes::with_causes,
    exit_code,
    report::{self, Report, Style, terminal},
    run::{Stopper, Terms},
    source::{Coloring, process_variable},
    suite::{self, Assignment, Place, Room, RunFolder, RunId, Series, Threads},
};

/// The share of the lab's own speed at each take of a drill. On a machine that does other things as well, the lab itself can be as late
/// as an outage; slower, it has more time for everything.
const TAKES: [f64; 3] = [1.0, 0.5, 0.25];

/// How many drills run at once at most, unless `--test-threads` says otherwise: they mostly wait.
const AT_ONCE: usize = 4;

/// Runs every drill of a folder as a trial named `lab::NAME` and leaves the reports in `reports/` beside the folder.
///
/// A drill that does not pass while the prober was late has measured this machine: it is taken again in a slower lab, three times in
/// all, each with a report of its own. What the prober saw in time is the drill's result, whatever it is.
///
/// A drill that asks for a pass rate is one trial of as many runs as that needs, with a report over all of them.
///
/// Nobody is told by `notify:`, whatever a drill comes to: tests run many times a day on many machines, and the people who are called
/// at night should hear of drills that somebody has planned. `blackstart run` tells them.
///
/// Files that are invalid make one failing trial, `check`, whose message is what `blackstart check` prints, and so does a folder
/// without drills: what proves nothing does not pass.
pub fn drills(folder: impl AsRef<Path>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(AT_ONCE);
    let folder = folder.as_ref();
    let reports = folder.parent().unwrap_or(folder).join("reports");
    let trials = match load(folder) {
        Ok(entries) => trials(entries, &reports, arguments.test_threads.unwrap_or(AT_ONCE)),
        Err(problems) => Ok(vec![Trial::test("check", move || {
            Err(Failed::from(problems))
        })]),
    };
    match trials {
        Ok(trials) => libtest_mimic::run(&arguments, trials).exit_code(),
        Err(error) => {
            let failing = Trial::test("start", move || Err(Failed::from(error)));
            libtest_mimic::run(&arguments, vec![failing]).exit_code()
        }
    }
}

fn load(folder: &Path) -> Result<Vec<catalog::Entry>, String> {
    let selection = Selection {
        paths: vec![folder.to_owned()],
        environment: None,
        speed: None,
    };
    let (catalog, problems) = catalog::load(&selection, &process_variable);
    if problems.has_errors() {
        return Err(problems.render(Coloring::Plain));
    }
    if catalog.entries.is_empty() {
        return Err(format!("there is no drill in `{}`", folder.display()));
    }
    Ok(catalog.entries)
}

fn trials(
    entries: Vec<catalog::Entry>,
    reports: &Path,
    at_once: usize,
) -> Result<Vec<Trial>, std::io::Error> {
    let threads = Arc::new(Threads::start()?);
    let room = Room::new(at_once);
    let run_id = RunId::new(jiff::Timestamp::now(), &mut fastrand::Rng::new());
    let seed = fastrand::u64(..1_000_000);
    let trial = |entry: catalog::Entry| {
        let (threads, run_id, reports) = (Arc::clone(&threads), run_id.clone(), reports.to_owned());
        let room = room.clone();
        let name = format!("lab::{}", entry.drill.name);
        // Nobody is there to be asked.
        let waits = entry.drill.needs_a_person().is_some();
        let drilled = Drilled {
            entry,
            run_id,
            seed,
            reports,
        };
        let trial = Trial::test(name, move || drilled.prove(&threads, &room));
        if waits {
            trial.with_kind("needs a person").with_ignored_flag(true)
        } else {
            trial
        }
    };
    Ok(entries.into_iter().map(trial).collect())
}

/// A drill as a trial.
struct Drilled {
    entry: catalog::Entry,
    run_id: RunId,
    seed: u64,
    reports: PathBuf,
}

impl Drilled {
    fn prove(&self, threads: &Threads, room: &Room) -> Result<(), Failed> {
        let reports = match Series::plan(&self.entry.drill, None, None)? {
            None => vec![self.one(threads, room)?],
            Some(series) => self.all_of(&series, threads, room)?,
        };
        if report::exit_code(&reports) == exit_code::ExitCode::Passed {
            return Ok(());
        }
        Err(Failed::from(terminal::render(&reports, &Style::default())))
    }

    /// One run, taken again while it is the machine that was measured.
    fn one(&self, threads: &Threads, room: &Room) -> Result<Report, Failed> {
        let name = &self.entry.drill.name;
        let mut take = 1;
        loop {
            let folder = match take {
                1 => name.clone(),
                _ => format!("{name}-take-{take}"),
            };
            let mut assignment = self.assignment(self.folder()?.of_drill(&folder)?, threads);
            assignment.speed = Some(self.entry.environment.speed * TAKES[take - 1]);
            let report = conduct(threads, room, &assignment)?;
            let code = exit_code::ExitCode::from(&report.judgement);
            let passed = code == exit_code::ExitCode::Passed;
            if passed || !report.is_of_a_late_prober() || take == TAKES.len() {
                return Ok(report);
            }
            take += 1;
        }
    }

    /// As many runs as the drill's pass rate needs, one after the other. None is taken again: what is left out would not be left out by
    /// chance.
    fn all_of(
        &self,
        series: &Series,
        threads: &Threads,
        room: &Room,
    ) -> Result<Vec<Report>, Failed> {
        let name = &self.entry.drill.name;
        let all = self.folder()?.of_series(name)?;
        let mut reports = Vec::new();
        for (offset, repeat) in (0..).zip(series.repeats()) {
            let folder = all.of_repeat(name, repeat, true)?;
            let mut assignment = self.assignment(folder, threads);
            assignment.seed = self.seed.wrapping_add(offset);
            assignment.repeat = Some(repeat);
            let report = conduct(threads, room, &assignment)?;
            series.take(Some(&report));
            reports.push(report);
            if series.is_over() {
                break;
            }
        }
        write(all.path(), &report::files_together(&reports))?;
        Ok(reports)
    }

    /// The folder of the run that all trials of this process share.
    fn folder(&self) -> std::io::Result<RunFolder> {
        RunFolder::join(&self.reports, &self.run_id)
    }

    fn assignment(&self, folder: PathBuf, threads: &Threads) -> Assignment {
        Assignment {
            entry: self.entry.clone(),
            speed: None,
            run_id: self.run_id.clone(),
            folder,
            seed: self.seed,
            repeat: None,
            series: None,
            command: suite::command_line(),
            place: Place::Own(threads.labs()),
            terms: Terms::of_process(process_variable),
        }
    }
}

fn conduct(threads: &Threads, room: &Room, assignment: &Assignment) -> Result<Report, Failed> {
    let (_stopper, stop) = Stopper::new();
    let conducting = async {
        let _place = room.enter(assignment.place.labs()).await;
        suite::conduct(assignment, stop, &mut |_| {}).await
    };
    let report = threads.block_on(conducting).map_err(|error| {
        let secrets = assignment.entry.secrets();
        secrets.hide(&with_causes(&error)).into_owned()
    })?;
    write(&assignment.folder, &report::files(&report))?;
    Ok(report)
}

fn write(folder: &Path, files: &[(&str, String)]) -> std::io::Result<()> {
    files
        .iter()
        .try_for_each(|(name, text)| std::fs::write(folder.join(name), text))
}
