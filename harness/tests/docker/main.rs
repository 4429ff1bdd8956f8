//! Every three-tier drill in containers, unchanged and held against the same drill in the lab; drills on real programs; and the Docker
//! binding itself. Without an engine or the images it needs, a trial is ignored and says why.

#![expect(
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "these are tests, which a harness of their own runs"
)]

mod faults;
mod foreign;
mod kills;
mod programs;
mod reach;
mod rig;

use std::{
    collections::BTreeSet,
    ops::Deref,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, Condvar, Mutex, PoisonError, RwLock},
};

use blackstart::{
    catalog::Entry,
    drill::Fault,
    exit_code,
    provider::docker,
    report::{Report, Style, terminal},
    run::{Stopper, Terms},
    source::process_variable,
    suite::{self, Assignment, Place, RunFolder, RunId, Threads},
    verdict::CheckStatus,
};
use blackstart_lab as _;
use libtest_mimic::{Arguments, Failed, Trial};
use rig::Rig;

/// How far apart two recoveries may be, in seconds, without anything being wrong: a fault meets the interval of the health check (30 s) anywhere,
/// and a name server hears of it up to 5 s later.
const APART: f64 = 35.0;

/// How many environments there are at most. Each has one drill at a time, and mostly waits: with two at once, two cores stand half idle.
const RIGS: usize = 3;

/// What all trials share.
struct Shared {
    threads: Threads,
    docker: bollard::Docker,
    rigs: Mutex<Rigs>,
    returned: Condvar,
    programs: Mutex<Option<programs::Programs>>,
    /// Whoever sweeps finds what another has left there to be swept.
    sweeping: Mutex<()>,
    /// Had by every measurement, and by one alone that is taken again.
    beside: RwLock<()>,
    reports: tempfile::TempDir,
}

/// The environments that there are.
#[derive(Default)]
struct Rigs {
    free: Vec<Rig>,
    made: usize,
}

/// An environment that nobody else has until this is dropped.
struct Borrowed<'a> {
    shared: &'a Shared,
    rig: Option<Rig>,
}

impl Shared {
    /// Takes a measurement, beside others at first. One that does not pass while the prober was late has measured this machine: it is
    /// taken again with nothing beside it, three times in all. What the prober saw in time is the result, whatever it is.
    fn measured(&self, measure: impl Fn(&str) -> Report) -> Report {
        let is_settled = |report: &Report| is_passed(report) || !report.is_of_a_late_prober();
        let first = {
            let _others = self.beside.read().unwrap_or_else(PoisonError::into_inner);
            measure("first")
        };
        if is_settled(&first) {
            return first;
        }
        let _alone = self.beside.write().unwrap_or_else(PoisonError::into_inner);
        let second = measure("second");
        if is_settled(&second) {
            return second;
        }
        measure("third")
    }

    /// One that is free, a new one as long as there may be more, else the next that is given back.
    fn rig(&self) -> Borrowed<'_> {
        let mut rigs = self.rigs.lock().unwrap_or_else(PoisonError::into_inner);
        let rig = loop {
            if let Some(rig) = rigs.free.pop() {
                break rig;
            }
            if rigs.made < RIGS {
                rigs.made += 1;
                let number = rigs.made;
                drop(rigs);
                let starting = Rig::start(self.docker.clone(), number);
                let started = catch_unwind(AssertUnwindSafe(|| self.threads.block_on(starting)));
                match started {
                    Ok(rig) => break rig,
                    Err(panic) => {
                        // Whoever waits for it tries anew.
                        let rigs = self.rigs.lock();
                        rigs.unwrap_or_else(PoisonError::into_inner).made -= 1;
                        self.returned.notify_one();
                        resume_unwind(panic);
                    }
                }
            }
            rigs = self
                .returned
                .wait(rigs)
                .unwrap_or_else(PoisonError::into_inner);
        };
        Borrowed {
            shared: self,
            rig: Some(rig),
        }
    }
}

impl Deref for Borrowed<'_> {
    type Target = Rig;

    fn deref(&self) -> &Rig {
        self.rig.as_ref().expect("it is there until it is dropped")
    }
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        let mut rigs = self
            .shared
            .rigs
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        rigs.free.extend(self.rig.take());
        self.shared.returned.notify_one();
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
                rigs: Mutex::default(),
                returned: Condvar::new(),
                programs: Mutex::default(),
                sweeping: Mutex::default(),
                beside: RwLock::default(),
                reports: tempfile::tempdir().expect("a folder for reports"),
            });
            (trials(&shared), Some(shared))
        }
    };
    let conclusion = libtest_mimic::run(&arguments, trials);
    let shared = shared.and_then(Arc::into_inner);
    if let Some(Shared {
        threads,
        rigs,
        programs,
        ..
    }) = shared
    {
        for rig in rigs
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
            .free
        {
            threads.block_on(rig.close());
        }
        drop(programs);
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

type Case = fn(&Shared, &Rig);

const CASES: [(&str, Case); 8] = [
    (
        "every_fault_is_in_place_and_is_undone_to_the_last_address",
        faults::every_fault_is_in_place_and_is_undone_to_the_last_address,
    ),
    (
        "netem_is_set_and_taken_away_or_its_absence_is_told_before_anything_is_touched",
        faults::netem_is_set_and_taken_away_or_its_absence_is_told_before_anything_is_touched,
    ),
    (
        "a_command_that_cannot_tell_or_is_not_there_breaks_nothing",
        faults::a_command_that_cannot_tell_or_is_not_there_breaks_nothing,
    ),
    (
        "an_engine_is_reached_by_tls_by_variables_and_by_a_context",
        reach::an_engine_is_reached_by_tls_by_variables_and_by_a_context,
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
    names()
        .into_iter()
        .chain(programs::names())
        .map(|name| ignored_trial(name, reason))
        .collect()
}

fn ignored_trial(name: String, reason: &str) -> Trial {
    Trial::test(name, || Ok(()))
        .with_kind(reason)
        .with_ignored_flag(true)
}

fn trials(shared: &Arc<Shared>) -> Vec<Trial> {
    let own = names().into_iter().map(|name| {
        let case = name.trim_start_matches("docker::").to_owned();
        trial(shared, name, move |shared| {
            let rig = shared.rig();
            match CASES.iter().find(|(name, _)| *name == case) {
                Some((_, prove)) => {
                    let _others = shared.beside.read().unwrap_or_else(PoisonError::into_inner);
                    prove(shared, &rig);
                }
                None => drill(shared, &rig, &case),
            }
        })
    });
    let missing = shared
        .threads
        .block_on(programs::what_is_missing(&shared.docker));
    let programs = programs::names().into_iter().map(|name| {
        if let Some(reason) = &missing {
            return ignored_trial(name, reason);
        }
        let case = name.trim_start_matches("programs::").to_owned();
        trial(shared, name, move |shared| programs::drill(shared, &case))
    });
    own.chain(programs).collect()
}

fn trial(
    shared: &Arc<Shared>,
    name: String,
    prove: impl FnOnce(&Shared) + Send + 'static,
) -> Trial {
    let shared = Arc::clone(shared);
    Trial::test(name, move || {
        catch_unwind(AssertUnwindSafe(|| prove(&shared))).map_err(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
            Failed::from(text.unwrap_or_default())
        })
    })
}

/// The drill as it is written, in the lab and in containers: both pass, by the same path, and the recovery times overlap but for what no two
/// runs have in common. That is how long caches had still to go, which is taken off, and where the fault met the interval of the health
/// check.
fn drill(shared: &Shared, rig: &Rig, name: &str) {
    let lab = shared.measured(|run| in_the_lab(shared, name, run));
    let containers = shared.measured(|run| in_containers(shared, rig, name, run));
    must_pass(&containers);
    must_pass(&lab);
    let both = format!(
        "{name}\n  lab        {}\n  containers {}",
        told(&lab),
        told(&containers)
    );
    // To be read in the log of the tests.
    eprintln!("{both}");
    let entry = named(rig.entries(), name);
    assert_eq!(course(&entry, &lab), course(&entry, &containers), "{both}");
    if comes_and_goes(&entry) {
        // Whether users were served for long enough to count before it was undone is a matter of chance, too.
        return;
    }
    match (recovery(&lab), recovery(&containers)) {
        (Some(lab), Some(containers)) => assert!(
            lab.0 <= containers.1 + APART && containers.0 <= lab.1 + APART,
            "without caches: lab {lab:?}, containers {containers:?}\n{both}"
        ),
        (None, None) => {}
        (lab, containers) => panic!("{lab:?} and {containers:?}\n{both}"),
    }
}

fn is_passed(report: &Report) -> bool {
    exit_code::ExitCode::from(&report.judgement) == exit_code::ExitCode::Passed
}

fn must_pass(report: &Report) {
    assert!(
        is_passed(report),
        "\n{}",
        terminal::render(std::slice::from_ref(report), &Style::default())
    );
}

/// Who served users, in order. Of a fault that comes and goes, or meets only some requests, just who was there at all, in the order in
/// which they first were: how often is a matter of chance.
fn course(entry: &Entry, report: &Report) -> Vec<String> {
    let mut path = report.judgement.path.clone();
    if comes_and_goes(entry) {
        let mut seen = BTreeSet::new();
        path.retain(|tier| seen.insert(tier.clone()));
    }
    path
}

/// Whether a fault of the drill comes and goes, or meets only some requests.
fn comes_and_goes(entry: &Entry) -> bool {
    let mut faults = entry.drill.faults.iter().flat_map(|step| &step.faults);
    faults.any(|fault| {
        matches!(
            fault.value,
            Fault::Respond { pulse: Some(_), .. } | Fault::Respond { share: Some(_), .. }
        )
    })
}

fn told(report: &Report) -> String {
    let judgement = &report.judgement;
    let passed = judgement
        .checks
        .iter()
        .filter(|check| check.status == CheckStatus::Pass);
    let recovery = judgement.durations.recovery.map_or_else(
        || "no recovery".to_owned(),
        |bounds| {
            format!(
                "recovery {:.1} to {:.1} s",
                bounds.lo,
                bounds.hi.unwrap_or(f64::INFINITY)
            )
        },
    );
    format!(
        "{:?}, {} of {} expectations, {}, {recovery}, took {:.0} s",
        judgement.verdict,
        passed.count(),
        judgement.checks.len(),
        judgement.path.join(" -> "),
        report.run.real_duration_s,
    )
}

/// The bounds of the recovery time without what caches took of it, in seconds of the architecture.
fn recovery(report: &Report) -> Option<(f64, f64)> {
    let judgement = &report.judgement;
    let bounds = judgement.durations.recovery?;
    let caches = judgement.parts.iter().find(|part| part.name == "caches");
    let caches = caches.map_or(0.0, |part| part.seconds);
    Some((
        bounds.lo - caches,
        bounds.hi.unwrap_or(f64::INFINITY) - caches,
    ))
}

fn in_containers(shared: &Shared, rig: &Rig, name: &str, run: &str) -> Report {
    let entry = named(rig.entries(), name);
    attached(shared, entry, &format!("containers-{name}-{run}"))
}

/// Runs a drill on containers that are there.
fn attached(shared: &Shared, entry: Entry, run: &str) -> Report {
    let attached = shared
        .threads
        .block_on(docker::attach(&entry.environment))
        .unwrap_or_else(|error| panic!("{error}"));
    let place = Place::Attached {
        systems: Box::new(attached),
        guard: guard(),
        reports: shared.reports.path().join(run),
        threads: shared.threads.labs(),
    };
    conduct(shared, entry, place, run)
}

fn in_the_lab(shared: &Shared, name: &str, run: &str) -> Report {
    let entry = named(rig::entries(None, &process_variable), name);
    let place = Place::Own(shared.threads.labs());
    conduct(shared, entry, place, &format!("lab-{name}-{run}"))
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
        repeat: None,
        series: None,
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
