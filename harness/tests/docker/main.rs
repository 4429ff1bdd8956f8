//! Every three-tier drill in containers, unchanged, and the Docker binding itself. Without an engine or the image everything here is
//! ignored, and says why.

#![expect(
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "these are tests, which a harness of their own runs"
)]

mod faults;
mod foreign;
mod kills;
mod rig;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use blackstart::{
    catalog::Entry,
    exit_code,
    provider::docker,
    report::{Report, Style, terminal},
    run::{Stopper, Terms},
    source::process_variable,
    suite::{self, Assignment, Place, RunFolder, RunId, Threads},
};
use blackstart_lab as _;
use libtest_mimic::{Arguments, Failed, Trial};
use rig::Rig;

/// How often a drill is run in each place to compare the two: the phase of the health check is another one every time.
const RUNS: usize = 3;

/// The interval of the health check in seconds: a fault meets it anywhere.
const PHASE: f64 = 30.0;

/// What all trials share: they take turns, as one drill at a time may have an environment.
struct Shared {
    threads: Threads,
    docker: bollard::Docker,
    rig: OnceLock<Rig>,
    turn: Mutex<()>,
    reports: tempfile::TempDir,
}

impl Shared {
    fn rig(&self) -> &Rig {
        self.rig.get_or_init(|| {
            let starting = Rig::start(self.docker.clone());
            self.threads.block_on(starting)
        })
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let threads = Threads::start().expect("threads");
    let (trials, shared) = match threads.block_on(rig::engine()) {
        Err(reason) => (ignored(&reason), None),
        Ok((_, docker)) => {
            let shared = Arc::new(Shared {
                threads,
                docker,
                rig: OnceLock::new(),
                turn: Mutex::default(),
                reports: tempfile::tempdir().expect("a folder for reports"),
            });
            (trials(&shared), Some(shared))
        }
    };
    let conclusion = libtest_mimic::run(&arguments, trials);
    let shared = shared.and_then(Arc::into_inner);
    if let Some(Shared { threads, rig, .. }) = shared
        && let Some(rig) = rig.into_inner()
    {
        threads.block_on(rig.close());
    }
    conclusion.exit_code()
}

/// The names of the drills, and what else is proved here.
fn names() -> Vec<String> {
    let drills = rig::entries(None, &process_variable);
    let drills = drills
        .into_iter()
        .filter(|entry| entry.drill.environment == "three-tier")
        .map(|entry| entry.drill.name);
    drills
        .chain(CASES.iter().map(|(name, _)| (*name).to_owned()))
        .map(|name| format!("docker::{name}"))
        .collect()
}

type Case = fn(&Shared);

const CASES: [(&str, Case); 6] = [
    ("the_lab_and_containers_agree", the_lab_and_containers_agree),
    (
        "every_fault_is_in_place_and_is_undone_to_the_last_address",
        faults::every_fault_is_in_place_and_is_undone_to_the_last_address,
    ),
    (
        "containers_that_are_no_lab_are_drilled_by_their_address",
        foreign::containers_that_are_no_lab_are_drilled_by_their_address,
    ),
    (
        "nothing_stays_stopped_when_the_harness_is_killed",
        kills::nothing_stays_stopped_when_the_harness_is_killed,
    ),
    (
        "revert_removes_a_filter_when_harness_and_guard_are_killed",
        kills::revert_removes_a_filter_when_harness_and_guard_are_killed,
    ),
    (
        "what_a_test_left_that_was_killed_is_swept_away",
        kills::what_a_test_left_that_was_killed_is_swept_away,
    ),
];

fn ignored(reason: &str) -> Vec<Trial> {
    let trial = |name: String| {
        Trial::test(name, || Ok(()))
            .with_kind(reason)
            .with_ignored_flag(true)
    };
    names().into_iter().map(trial).collect()
}

fn trials(shared: &Arc<Shared>) -> Vec<Trial> {
    let trial = |name: String| {
        let shared = Arc::clone(shared);
        let case = name.trim_start_matches("docker::").to_owned();
        Trial::test(name, move || {
            let _turn = shared.turn.lock().unwrap_or_else(PoisonError::into_inner);
            let known = CASES.iter().find(|(name, _)| *name == case);
            let run = AssertUnwindSafe(|| match known {
                Some((_, prove)) => prove(&shared),
                None => drill(&shared, &case),
            });
            catch_unwind(run).map_err(|panic| {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
                Failed::from(text.unwrap_or_default())
            })
        })
    };
    names().into_iter().map(trial).collect()
}

/// The drill as it is written, in containers.
fn drill(shared: &Shared, name: &str) {
    let report = in_containers(shared, name, "once");
    assert_eq!(
        exit_code::ExitCode::from(&report.judgement),
        exit_code::ExitCode::Passed,
        "\n{}",
        terminal::render(std::slice::from_ref(&report), &Style::default())
    );
}

/// Verdicts and path are the same, and the recovery times overlap but for what no two runs have in common: how long caches had still to
/// go, which is taken off, and where the fault met the interval of the health check.
fn the_lab_and_containers_agree(shared: &Shared) {
    let name = "scale-to-zero";
    let of = |place: &str| -> Vec<Report> {
        let run = |number| match place {
            "lab" => in_the_lab(shared, name, &format!("lab-{number}")),
            _ => in_containers(shared, name, &format!("containers-{number}")),
        };
        (0..RUNS).map(run).collect()
    };
    let (lab, containers) = (of("lab"), of("containers"));
    let told = |reports: &[Report]| -> Vec<String> {
        let line = |report: &Report| {
            let judgement = &report.judgement;
            let passed = judgement
                .checks
                .iter()
                .filter(|check| is_passed(check))
                .count();
            format!(
                "{:?}, {passed} of {} expectations, {}, recovery {:?}",
                judgement.verdict,
                judgement.checks.len(),
                judgement.path.join(" -> "),
                judgement.durations.recovery
            )
        };
        reports.iter().map(line).collect()
    };
    let both = format!("lab {:#?}\ncontainers {:#?}", told(&lab), told(&containers));
    // To be read in the log of the tests.
    eprintln!("{both}");
    for (one, other) in lab.iter().zip(&containers) {
        assert_eq!(one.judgement.verdict, other.judgement.verdict, "{both}");
        assert_eq!(one.judgement.path, other.judgement.path, "{both}");
        let statuses = |report: &Report| -> Vec<bool> {
            report.judgement.checks.iter().map(is_passed).collect()
        };
        assert_eq!(statuses(one), statuses(other), "{both}");
    }
    let (lab, containers) = (range(&lab), range(&containers));
    assert!(
        lab.0 <= containers.1 + PHASE && containers.0 <= lab.1 + PHASE,
        "lab {lab:?}, containers {containers:?}\n{both}"
    );
}

fn is_passed(check: &blackstart::verdict::Check) -> bool {
    check.status == blackstart::verdict::CheckStatus::Pass
}

/// From the least lower bound of the recovery time to the greatest upper one, without what caches took of it, in seconds of the
/// architecture.
fn range(reports: &[Report]) -> (f64, f64) {
    let (mut low, mut high) = (f64::MAX, f64::MIN);
    for Report { judgement, .. } in reports {
        let bounds = judgement.durations.recovery.expect("a recovery time");
        let caches = judgement.parts.iter().find(|part| part.name == "caches");
        let caches = caches.map_or(0.0, |part| part.seconds);
        low = low.min(bounds.lo - caches);
        high = high.max(bounds.hi.expect("an upper bound") - caches);
    }
    (low, high)
}

fn in_containers(shared: &Shared, name: &str, run: &str) -> Report {
    let entry = named(shared.rig().entries(), name);
    let attached = shared
        .threads
        .block_on(docker::attach(&entry.environment))
        .unwrap_or_else(|error| panic!("{error}"));
    let place = Place::Attached {
        lab: Box::new(attached),
        guard: guard(),
        reports: shared.reports.path().join(run),
        threads: shared.threads.labs(),
    };
    conduct(shared, entry, place, run)
}

fn in_the_lab(shared: &Shared, name: &str, run: &str) -> Report {
    let entry = named(rig::entries(None, &process_variable), name);
    conduct(shared, entry, Place::Own(shared.threads.labs()), run)
}

fn named(entries: Vec<Entry>, name: &str) -> Entry {
    let entry = entries.into_iter().find(|entry| entry.drill.name == name);
    entry.unwrap_or_else(|| panic!("no drill {name}"))
}

fn guard() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_blackstart")).to_owned()
}

fn conduct(shared: &Shared, entry: Entry, place: Place, run: &str) -> Report {
    let run_id = RunId::new(jiff::Timestamp::now(), &mut fastrand::Rng::new());
    let reports = shared.reports.path().join(run);
    let folder = RunFolder::join(&reports, &run_id)
        .and_then(|folder| folder.of_drill(&entry.drill.name))
        .expect("a folder for the run");
    let assignment = Assignment {
        entry,
        speed: None,
        run_id,
        folder,
        seed: fastrand::u64(..1_000_000),
        command: suite::command_line(),
        place,
        terms: Terms::of_process(process_variable),
    };
    let (_stopper, stop) = Stopper::new();
    shared
        .threads
        .block_on(suite::conduct(&assignment, stop, &mut |_| {}))
        .unwrap_or_else(|error| panic!("{error}"))
}
