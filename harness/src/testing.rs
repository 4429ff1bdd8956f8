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
    report::{self, Style, terminal},
    run::{Stopper, Terms},
    source::{Coloring, process_variable},
    suite::{self, Assignment, Place, RunFolder, RunId, Threads},
};

/// How many drills run at once unless `--test-threads` says otherwise: they mostly wait.
const AT_ONCE: usize = 4;

/// Runs every drill of a folder as a trial named `lab::NAME` and leaves the reports in `reports/` beside the folder.
///
/// Files that are invalid make one failing trial, `check`, whose message is what `blackstart check` prints, and so does a folder
/// without drills: what proves nothing does not pass.
pub fn drills(folder: impl AsRef<Path>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(AT_ONCE);
    let folder = folder.as_ref();
    let reports = folder.parent().unwrap_or(folder).join("reports");
    let trials = match load(folder) {
        Ok(entries) => trials(entries, &reports),
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

fn trials(entries: Vec<catalog::Entry>, reports: &Path) -> Result<Vec<Trial>, std::io::Error> {
    let threads = Arc::new(Threads::start()?);
    let run_id = RunId::new(jiff::Timestamp::now(), &mut fastrand::Rng::new());
    let seed = fastrand::u64(..1_000_000);
    let trial = |entry: catalog::Entry| {
        let (threads, run_id, reports) = (Arc::clone(&threads), run_id.clone(), reports.to_owned());
        let name = format!("lab::{}", entry.drill.name);
        Trial::test(name, move || {
            let folder = folder_of(&reports, &run_id, &entry.drill.name)?;
            let assignment = Assignment {
                entry,
                speed: None,
                run_id,
                folder,
                seed,
                command: suite::command_line(),
                place: Place::Own(threads.labs()),
                terms: Terms::of_process(process_variable),
            };
            conduct(&threads, &assignment)
        })
    };
    Ok(entries.into_iter().map(trial).collect())
}

/// The folder of one drill in the folder of the run that all trials of this process share.
fn folder_of(reports: &Path, run_id: &RunId, drill: &str) -> Result<PathBuf, std::io::Error> {
    RunFolder::join(reports, run_id)?.of_drill(drill)
}

fn conduct(threads: &Threads, assignment: &Assignment) -> Result<(), Failed> {
    let (_stopper, stop) = Stopper::new();
    let report = threads
        .block_on(suite::conduct(assignment, stop, &mut |_| {}))
        .map_err(|error| {
            let secrets = assignment.entry.secrets();
            secrets.hide(&with_causes(&error)).into_owned()
        })?;
    let reports = std::slice::from_ref(&report);
    for (name, text) in report::files(reports) {
        std::fs::write(assignment.folder.join(name), text)?;
    }
    if exit_code::ExitCode::from(&report.judgement) == exit_code::ExitCode::Passed {
        return Ok(());
    }
    Err(Failed::from(terminal::render(reports, &Style::default())))
}
