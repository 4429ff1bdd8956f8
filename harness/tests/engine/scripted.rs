//! A binding that follows a script: it breaks nothing but a note of its own, and goes wrong where it is told to.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use blackstart::{
    catalog::{self, Selection},
    drill,
    environment::{Environment, Thing, Touched},
    exit_code::ExitCode,
    journal::{self, Journal, Record},
    plan::plan,
    probe::BoxFuture,
    provider::{Current, Fault, Health, Provider, ProviderError, Undo, site::Site},
    report::Report,
    run::{self, Finished, Options, RunError, StepLimits, Stop, Stopper, Terms},
    source::Coloring,
    suite,
    timeline::{Entry, FaultStep, file::Reader},
};
use blackstart_lab::control::{Resource, ResourceKind};
use tempfile::TempDir;

/// What a drill of two steps does to the machines of `fixtures/library-user`, by the kinds of its faults in their order.
pub(crate) const KINDS: [&str; 3] = ["stop", "invert-health-check", "pause"];

const DRILL: &str = "\
drill: scripted
about: Two faults together and a third one later.
environment: two-machines
faults:
  - together:
      - stop: { target: first }
      - invert-health-check: { target: check }
  - pause: { target: first }
    after: 4s
hold: 20s
inconclusive: warn
expect:
  outage: { within: 30s }
";

const SPEED: f64 = 30.0;

/// Short, so that what hangs is given up soon. What answers at once is never too late for it, on however busy a machine.
const LIMITS: StepLimits = StepLimits {
    capture: Duration::from_millis(200),
    inject: Duration::from_millis(200),
    verify: Duration::from_millis(200),
    revert: Duration::from_millis(200),
    revert_attempts: 3,
    revert_backoff: Duration::from_millis(10),
    doubt: Duration::from_millis(20),
    lock: Duration::from_millis(200),
};

/// How long a fault may take that may take minutes. No test waits for that.
const PATIENCE: Duration = Duration::from_mins(30);

/// A call that the runner makes. The three kinds of reading a target are told apart by what went before: after an injection it
/// is `IsInPlace`, before a revert `Look`, after it `IsRestored`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Call {
    Capture,
    Inject,
    IsInPlace,
    Look,
    Revert,
    IsRestored,
}

/// How a call goes wrong, or what happens during it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// It is refused, half done.
    Fail,
    /// It is refused the first time.
    FailOnce,
    /// It never ends.
    Hang,
    /// It panics while it is waited for.
    Panic,
    /// It panics before there is anything to wait for.
    PanicAtOnce,
    /// It takes a while.
    Slow,
    /// It says yes and does nothing.
    Pretend,
    /// Somebody else changes the target before it is read.
    ChangedByOthers,
    /// Somebody wants the run to stop meanwhile.
    StopMeanwhile,
}

/// What is to go wrong, and what was done.
#[derive(Debug)]
pub(crate) struct Script {
    acts: BTreeMap<(&'static str, Call), Act>,
    /// The fault that may take minutes.
    patient: Option<&'static str>,
    /// How many readings of an observer are well before one panics.
    observer_panics_after: Option<u32>,
    folder: TempDir,
    stopper: Stopper,
    stop: Stop,
    done: Mutex<Done>,
}

#[derive(Debug, Default)]
struct Done {
    calls: Vec<(&'static str, Call)>,
    broken: BTreeSet<&'static str>,
    /// Changed by somebody else.
    theirs: BTreeSet<&'static str>,
    readings: u32,
    /// Injections whose undo was not on disk.
    unprepared: Vec<&'static str>,
}

/// A run that is over.
#[derive(Debug)]
pub(crate) struct Played {
    pub(crate) finished: Finished,
    pub(crate) report: Report,
    pub(crate) entries: Vec<Entry>,
    pub(crate) journal: Journal,
    pub(crate) calls: Vec<(&'static str, Call)>,
    pub(crate) broken: BTreeSet<&'static str>,
    pub(crate) unprepared: Vec<&'static str>,
    pub(crate) patient: Option<&'static str>,
}

impl Script {
    pub(crate) fn new() -> Self {
        let (stopper, stop) = Stopper::new();
        Self {
            acts: BTreeMap::new(),
            patient: None,
            observer_panics_after: None,
            folder: tempfile::tempdir().unwrap(),
            stopper,
            stop,
            done: Mutex::default(),
        }
    }

    pub(crate) fn with(mut self, kind: &'static str, call: Call, act: Act) -> Self {
        self.acts.insert((kind, call), act);
        self
    }

    pub(crate) fn with_patience_for(mut self, kind: &'static str) -> Self {
        self.patient = Some(kind);
        self
    }

    pub(crate) fn with_observer_that_panics_after(mut self, readings: u32) -> Self {
        self.observer_panics_after = Some(readings);
        self
    }

    pub(crate) fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// The folder of the run.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs the drill.
    pub(crate) async fn play(self) -> Played {
        self.play_watched(&mut |_| {}).await
    }

    /// Runs the drill with somebody who looks on.
    pub(crate) async fn play_watched(self, on_event: &mut (dyn FnMut(&Entry) + Send)) -> Played {
        let script = Arc::new(self);
        let (finished, entry) = script.run(on_event).await;
        let finished = finished.unwrap();
        let report = suite::judge(script.folder(), &entry.drill, &entry.environment).unwrap();
        let journal = script.journal();
        let done = std::mem::take(&mut *script.done.lock().unwrap());
        Played {
            finished,
            report,
            entries: script.entries(),
            journal,
            calls: done.calls,
            broken: done.broken,
            unprepared: done.unprepared,
            patient: script.patient,
        }
    }

    /// Runs the drill and leaves what it recorded alone.
    pub(crate) async fn play_unread(self) -> (Finished, Vec<(&'static str, Call)>) {
        let script = Arc::new(self);
        let (finished, _) = script.run(&mut |_| {}).await;
        let calls = script.done.lock().unwrap().calls.clone();
        (finished.unwrap(), calls)
    }

    /// Runs the drill, which cannot even begin. Yields why, and the calls.
    pub(crate) async fn play_in_vain(self: &Arc<Self>) -> (RunError, Vec<(&'static str, Call)>) {
        let (finished, _) = self.run(&mut |_| {}).await;
        (
            finished.unwrap_err(),
            self.done.lock().unwrap().calls.clone(),
        )
    }

    async fn run(
        self: &Arc<Self>,
        on_event: &mut (dyn FnMut(&Entry) + Send),
    ) -> (Result<Finished, RunError>, catalog::Entry) {
        let entry = load();
        let mut plan = plan(
            Arc::new(entry.drill.clone()),
            Arc::clone(&entry.environment),
            None,
        )
        .unwrap();
        // Nothing here depends on when in the period of a check it breaks.
        plan.limits.phase = Duration::ZERO;
        let script = Arc::clone(self);
        let labs = tokio::runtime::Handle::current();
        let site = Site::open(Arc::clone(&entry.environment), plan.speed, 1, &labs)
            .await
            .unwrap();
        let site = site.with_provider(|lab| Arc::new(Scripted { script, lab }));
        let options = Options {
            run_id: "scripted".to_owned(),
            folder: self.folder().to_owned(),
            seed: 1,
            repeat: None,
            drill_commit: None,
            command: Vec::new(),
            started_at: "2026-01-01T00:00:00Z".to_owned(),
            limits: LIMITS,
            terms: Terms::default(),
            guard: None,
        };
        let finished = run::run(&plan, &site, &options, self.stop.clone(), on_event).await;
        site.close().await;
        (finished, entry)
    }

    /// The timeline as it is on disk.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        let reader = Reader::open(self.folder().join(suite::EVENTS)).unwrap();
        reader.map(Result::unwrap).collect()
    }

    /// The journal as it is on disk.
    pub(crate) fn journal(&self) -> Journal {
        journal::read(&self.folder().join(journal::FILE_NAME)).unwrap()
    }

    fn is_captured_on_disk(&self, kind: &str) -> bool {
        let words = format!("put {kind} back");
        let is_captured = |record: &Record| matches!(record, Record::Captured { undo, .. } if undo.words == words);
        self.journal().records.iter().any(is_captured)
    }

    /// Whether a fault's revert has been begun, as the journal tells.
    fn is_reverting(&self, kind: &str) -> bool {
        let is_of = |id: usize| KINDS[id] == kind;
        self.journal().records.iter().any(|record| {
            matches!(record, Record::Step { id, step: FaultStep::RevertIssued, .. } if is_of(*id))
        })
    }
}

fn load() -> catalog::Entry {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("scripted.yaml");
    fs::write(&file, DRILL).unwrap();
    // No answer is late here: what is looked at is what the runner does to the targets, on however busy a machine.
    let original = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../fixtures/library-user/drills/environments/two-machines.yaml"
    );
    let patient = fs::read_to_string(original)
        .unwrap()
        .replace("every: 2s }", "every: 2s, good-within: 2m, timeout: 2m }");
    let environment = folder.path().join("patient.yaml");
    fs::write(
        &environment,
        patient.replace(
            "authority, every: 2s, good-within: 2m,",
            "authority, every: 2s,",
        ),
    )
    .unwrap();
    let selection = Selection {
        paths: vec![file],
        environment: Some(environment.display().to_string()),
        speed: Some(SPEED),
    };
    let (mut catalog, problems) = catalog::load(&selection, &|_| None);
    assert!(
        !problems.has_errors(),
        "{}",
        problems.render(Coloring::Plain)
    );
    catalog.entries.remove(0)
}

#[derive(Debug)]
struct Scripted {
    script: Arc<Script>,
    lab: Arc<dyn Provider>,
}

impl Provider for Scripted {
    fn resolve(
        &self,
        _: &Environment,
        fault: &drill::Fault,
    ) -> Result<Box<dyn Fault>, ProviderError> {
        let kind = KINDS
            .into_iter()
            .find(|kind| *kind == fault.kind())
            .unwrap();
        Ok(Box::new(ScriptedFault {
            script: Arc::clone(&self.script),
            kind,
            target: fault.target().to_owned(),
        }))
    }

    fn recall(&self, undo: &Undo) -> Result<Box<dyn Fault>, ProviderError> {
        unreachable!("nobody goes on with this run: {undo:?}")
    }

    fn health<'a>(
        &'a self,
        environment: &'a Environment,
        target: &'a str,
    ) -> BoxFuture<'a, Result<Health, ProviderError>> {
        Box::pin(async move {
            let readings = {
                let mut done = self.script.done.lock().unwrap();
                done.readings += 1;
                done.readings
            };
            assert!(
                self.script
                    .observer_panics_after
                    .is_none_or(|last| readings <= last),
                "as the script says"
            );
            self.lab.health(environment, target).await
        })
    }
}

#[derive(Debug)]
struct ScriptedFault {
    script: Arc<Script>,
    kind: &'static str,
    target: String,
}

impl ScriptedFault {
    /// Notes a call and goes wrong as the script says. Yields whether the call really does what it says.
    fn follow(&self, call: Call) -> BoxFuture<'_, Result<bool, ProviderError>> {
        let is_first = {
            let mut done = self.script.done.lock().unwrap();
            let is_first = !done.calls.contains(&(self.kind, call));
            done.calls.push((self.kind, call));
            is_first
        };
        let act = self.script.acts.get(&(self.kind, call)).copied();
        assert_ne!(act, Some(Act::PanicAtOnce), "as the script says");
        Box::pin(async move {
            let refused = ProviderError::Refused {
                what: format!("{call:?} of {}", self.kind),
                status: 503,
                message: "as the script says".to_owned(),
            };
            match act {
                Some(Act::Fail) => Err(refused),
                Some(Act::FailOnce) if is_first => Err(refused),
                Some(Act::Hang) => std::future::pending().await,
                Some(Act::Panic) => panic!("as the script says"),
                Some(Act::Slow) => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    Ok(true)
                }
                Some(Act::Pretend) => Ok(false),
                Some(Act::StopMeanwhile) => {
                    self.script.stopper.stop("SIGINT");
                    Ok(true)
                }
                Some(Act::ChangedByOthers) => {
                    self.script.done.lock().unwrap().theirs.insert(self.kind);
                    Ok(true)
                }
                Some(Act::FailOnce | Act::PanicAtOnce) | None => Ok(true),
            }
        })
    }

    fn shows(&self) -> Current {
        let done = self.script.done.lock().unwrap();
        if done.theirs.contains(self.kind) {
            Current::Otherwise(format!("{} is as others want it", self.target))
        } else if done.broken.contains(self.kind) {
            Current::AsInjected
        } else {
            Current::AsCaptured
        }
    }

    /// What a reading of the target is for, by what went before it.
    fn reading(&self) -> Call {
        let reverted = {
            let done = self.script.done.lock().unwrap();
            done.calls.contains(&(self.kind, Call::Revert))
        };
        let acts = &self.script.acts;
        let tried_in_vain = matches!(
            acts.get(&(self.kind, Call::Revert)),
            Some(Act::Fail | Act::FailOnce | Act::Hang | Act::Panic | Act::PanicAtOnce)
        );
        if !self.script.is_reverting(self.kind) {
            Call::IsInPlace
        } else if reverted && !tried_in_vain {
            Call::IsRestored
        } else {
            Call::Look
        }
    }
}

impl Fault for ScriptedFault {
    fn describe(&self) -> String {
        format!("{} {}", self.kind, self.target)
    }

    fn touches(&self) -> Touched {
        Touched {
            target: self.target.clone(),
            thing: Thing::Lab(Resource::new(ResourceKind::VirtualMachine, &self.target)),
        }
    }

    fn capture(&self) -> BoxFuture<'_, Result<Undo, ProviderError>> {
        let following = self.follow(Call::Capture);
        Box::pin(async move {
            following.await?;
            Ok(Undo {
                target: self.target.clone(),
                binding: "scripted".to_owned(),
                resource: self.kind.to_owned(),
                words: format!("put {} back", self.kind),
                state: serde_json::Value::String("x".repeat(undo_size())),
                injected: serde_json::Value::Null,
            })
        })
    }

    fn inject(&self) -> BoxFuture<'_, Result<(), ProviderError>> {
        if !self.script.is_captured_on_disk(self.kind) {
            self.script.done.lock().unwrap().unprepared.push(self.kind);
        }
        // What goes wrong goes wrong half-way, except for what only pretends.
        if self.script.acts.get(&(self.kind, Call::Inject)) != Some(&Act::Pretend) {
            self.script.done.lock().unwrap().broken.insert(self.kind);
        }
        let following = self.follow(Call::Inject);
        Box::pin(async move { following.await.map(drop) })
    }

    fn current<'a>(&'a self, _: &'a Undo) -> BoxFuture<'a, Result<Current, ProviderError>> {
        let following = self.follow(self.reading());
        Box::pin(async move { following.await.map(|_| self.shows()) })
    }

    fn patience(&self) -> Option<Duration> {
        let is_patient = self.script.patient == Some(self.kind);
        is_patient.then_some(PATIENCE)
    }

    fn revert<'a>(&'a self, undo: &'a Undo) -> BoxFuture<'a, Result<(), ProviderError>> {
        assert_eq!(undo.words, format!("put {} back", self.kind));
        let following = self.follow(Call::Revert);
        Box::pin(async move {
            if following.await? {
                let mut done = self.script.done.lock().unwrap();
                done.broken.remove(self.kind);
                done.theirs.remove(self.kind);
            }
            Ok(())
        })
    }
}

/// The variable that makes undo records larger than the files that a test may write.
pub(crate) const LARGE_UNDO: &str = "BLACKSTART_TEST_LARGE_UNDO";

fn undo_size() -> usize {
    if std::env::var_os(LARGE_UNDO).is_some() {
        4 * 1024 * 1024
    } else {
        1
    }
}

impl Played {
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(&self.report.judgement)
    }

    /// The faults that the journal has a step of, in the order of the records.
    pub(crate) fn journalled(&self, wanted: FaultStep) -> Vec<&'static str> {
        let kind = |record: &Record| {
            let (id, step) = match record {
                Record::Captured { id, .. } => (*id, FaultStep::Captured),
                Record::Step { id, step, .. } => (*id, *step),
                Record::Opened(_)
                | Record::TakenOver { .. }
                | Record::Guarded { .. }
                | Record::Gone { .. }
                | Record::Settled { .. } => return None,
            };
            (step == wanted).then(|| KINDS[id])
        };
        self.journal.records.iter().filter_map(kind).collect()
    }

    /// The faults that a call was made for, each once, in the order of the first such call.
    pub(crate) fn kinds_of(&self, call: Call) -> Vec<&'static str> {
        let mut kinds = Vec::new();
        for (kind, _) in self.calls.iter().filter(|(_, made)| *made == call) {
            if !kinds.contains(kind) {
                kinds.push(*kind);
            }
        }
        kinds
    }
}
