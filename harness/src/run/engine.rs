//! The phases of a run, in order. Nothing leaves this file with a captured target that was not reverted, or named.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    Clock, Finished, Options, RunError, Stop, UndoLog, UndoStep, observers::observe,
    recorder::Recorder, steady_state::SteadyState,
};
use crate::{
    drill::{After, Hold},
    plan::Plan,
    probe::{
        control::Control,
        poller::{Schedule, poll},
    },
    provider::{Fault, Found, ProviderError, Undo, site::Site},
    timeline::{Event, FORMAT_VERSION, FaultStep, Outcome, Phase, RunStarted, file::Writer},
};

/// How long an injection or a revert may take until an independent read shows it, in real time.
const VERIFY_LIMIT: Duration = Duration::from_secs(10);
/// From one such read to the next.
const VERIFY_EVERY: Duration = Duration::from_millis(20);
/// How many windows a service has to be steady in one of them.
const STEADY_WINDOWS: u32 = 3;
/// How long one attempt to revert may take, in real time.
const REVERT_LIMIT: Duration = Duration::from_secs(30);
/// How often a revert is tried.
const REVERT_ATTEMPTS: u32 = 3;
/// How long the first attempt's failure is waited for, in real time; doubled each time.
const REVERT_BACKOFF: Duration = Duration::from_millis(200);

/// Runs a drill: the only function of the program that changes a target.
///
/// Once the timeline is begun this returns what became of the run, whatever happens: every target that was captured is reverted
/// on every way out, in the reverse order, each under its own time limit.
///
/// # Errors
/// If the run could not be begun: its files could not be written, or its probes not be set up. Then nothing was touched.
pub async fn run(
    plan: &Plan,
    site: &Site,
    options: &Options,
    stop: Stop,
    on_event: &mut (dyn FnMut(&crate::timeline::Entry) + Send),
) -> Result<Finished, RunError> {
    let faults = plan
        .drill
        .faults
        .iter()
        .flat_map(|step| &step.faults)
        .map(|fault| site.provider().resolve(&plan.environment, &fault.value))
        .collect::<Result<Vec<_>, ProviderError>>()?;
    let undo_log = UndoLog::create(&options.folder).map_err(|source| RunError::Write {
        path: options.folder.join(super::undo_log::FILE_NAME),
        source,
    })?;
    let writer = Writer::create(&options.folder.join("events.ndjson"))?;
    let mut random = fastrand::Rng::with_seed(super::seed_for(options.seed, &plan.drill.name));
    let phase = plan.limits.phase.mul_f64(random.f64());
    let clock = Clock::start(plan.speed);
    let mut engine = Engine {
        plan,
        clock,
        phase,
        recorder: Recorder::new(plan, clock, writer, on_event),
        undo_log,
        faults,
        undos: Vec::new(),
        stop,
        wall_started: jiff::Timestamp::now(),
    };
    engine
        .recorder
        .record(Event::Run(Box::new(started(plan, options))));
    let cancel = CancellationToken::new();
    let (sender, events) = mpsc::unbounded_channel();
    let tasks = start_looking(plan, site, options, clock, &mut random, &sender, &cancel).await;
    drop(sender);
    let (tasks, looking) = match tasks {
        Ok(tasks) => (tasks, Looking { events, cancel }),
        Err(error) => {
            cancel.cancel();
            return Err(error);
        }
    };
    Ok(engine.go(looking, tasks).await)
}

/// Starts the control probe, every probe and every observer.
async fn start_looking(
    plan: &Plan,
    site: &Site,
    options: &Options,
    clock: Clock,
    random: &mut fastrand::Rng,
    sender: &mpsc::UnboundedSender<Event>,
    cancel: &CancellationToken,
) -> Result<JoinSet<()>, RunError> {
    let mut tasks = JoinSet::new();
    let fastest = plan
        .probes
        .iter()
        .map(|probe| plan.real(probe.facts.every))
        .min()
        .unwrap_or(Duration::from_secs(1));
    let control = Control::start(fastest, cancel.clone())
        .await
        .map_err(RunError::Control)?;
    for setup in &plan.environment.probes {
        let prepared = site.prepare(&setup.value, &plan.drill, &options.run_id)?;
        let schedule = Schedule {
            name: setup.value.name().to_owned(),
            every: prepared.every,
            phase: prepared.every.mul_f64(random.f64()),
            good_within: prepared.good_within,
            timeout: prepared.timeout,
        };
        tasks.spawn(poll(
            prepared.probe,
            schedule,
            clock,
            control.clone(),
            sender.clone(),
            cancel.clone(),
        ));
    }
    for observer in &plan.environment.observers {
        tasks.spawn(observe(
            Arc::clone(site.provider()),
            Arc::clone(&plan.environment),
            observer.clone(),
            plan.real(observer.every),
            sender.clone(),
            cancel.clone(),
        ));
    }
    Ok(tasks)
}

fn started(plan: &Plan, options: &Options) -> RunStarted {
    RunStarted {
        format_version: FORMAT_VERSION.to_owned(),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        run_id: options.run_id.clone(),
        drill: plan.drill.name.clone(),
        environment: plan.environment.name.clone(),
        started_at: options.started_at.clone(),
        command: options.command.clone(),
        host: host_name(),
        seed: options.seed,
        speed: plan.speed,
        tiers: plan
            .environment
            .tiers
            .iter()
            .map(|tier| tier.name.clone())
            .collect(),
        probes: plan
            .probes
            .iter()
            .map(|probe| probe.facts.clone())
            .collect(),
        observers: plan
            .environment
            .observers
            .iter()
            .map(|observer| observer.name.clone())
            .collect(),
        faults: plan
            .faults
            .iter()
            .map(|fault| fault.facts.clone())
            .collect(),
    }
}

fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map(|name| name.trim().to_owned())
        .or_else(|_| std::env::var("HOSTNAME"))
        .unwrap_or_else(|_| "unknown".to_owned())
}

/// The stream of what probes and observers see.
struct Looking {
    events: mpsc::UnboundedReceiver<Event>,
    cancel: CancellationToken,
}

struct Engine<'a> {
    plan: &'a Plan,
    clock: Clock,
    /// How much longer than need be the steady state is watched.
    phase: Duration,
    recorder: Recorder<'a>,
    undo_log: UndoLog,
    faults: Vec<Box<dyn Fault>>,
    /// What was captured, in the order of capture: the fault's number and what restores it.
    undos: Vec<(usize, Undo)>,
    stop: Stop,
    wall_started: jiff::Timestamp,
}

/// Why a run does not go on as planned.
enum Halt {
    Stopped(String),
    Trouble(String),
}

/// Why the waiting ended.
#[derive(PartialEq, Eq)]
enum Waited {
    Fulfilled,
    TimedOut,
}

impl Engine<'_> {
    async fn go(mut self, mut looking: Looking, mut tasks: JoinSet<()>) -> Finished {
        let mut phase = Phase::SteadyState;
        let halt = self.break_and_watch(&mut looking, &mut phase).await.err();
        if let Some(Halt::Stopped(signal)) = &halt {
            self.recorder.record(Event::Interrupted {
                signal: signal.clone(),
            });
        }
        let left_broken = if self.undos.is_empty() {
            Vec::new()
        } else {
            self.revert(&mut looking).await
        };
        if halt.is_none() {
            self.enter(Phase::Failback);
            self.wait_for_failback(&mut looking).await;
        }
        looking.cancel.cancel();
        while let Some(event) = looking.events.recv().await {
            self.recorder.record(event);
        }
        let mut outcome = match halt {
            None => Outcome::Completed,
            Some(Halt::Stopped(signal)) => Outcome::Interrupted { signal },
            Some(Halt::Trouble(reason)) => Outcome::CouldNotRun { phase, reason },
        };
        while let Some(joined) = tasks.join_next().await {
            if let Err(error) = joined
                && outcome == Outcome::Completed
            {
                let reason = format!(
                    "a probe or an observer ended in a panic, so the measurement is worth nothing: {error}"
                );
                outcome = Outcome::CouldNotRun {
                    phase: Phase::Failback,
                    reason,
                };
            }
        }
        self.recorder.record(Event::Ended {
            outcome: outcome.clone(),
            clock_drift_ms: self.clock_drift(),
        });
        if let (Outcome::Completed, Some(reason)) = (&outcome, self.recorder.broken()) {
            outcome = Outcome::CouldNotRun {
                phase: Phase::Failback,
                reason: reason.to_owned(),
            };
        }
        Finished {
            outcome,
            left_broken,
        }
    }

    /// Everything up to the revert. Any way out leads to the revert.
    async fn break_and_watch(
        &mut self,
        looking: &mut Looking,
        phase: &mut Phase,
    ) -> Result<(), Halt> {
        self.enter(Phase::SteadyState);
        self.watch_steady_state(looking).await?;
        *phase = Phase::Inject;
        self.enter(Phase::Inject);
        self.recorder.steady_until(self.clock.now());
        let last_fault = self.inject(looking).await?;
        *phase = Phase::Hold;
        self.enter(Phase::Hold);
        let deadline = self.clock.now() + self.plan.limits.hold;
        let user = self.plan.user_probe().to_owned();
        match self.plan.drill.hold {
            Hold::For(_) => self.wait(looking, deadline, |_| false).await?,
            Hold::UntilStable => {
                self.wait(looking, deadline, |recorder| {
                    recorder
                        .watch(&user)
                        .is_some_and(|watch| watch.recovered_since(last_fault).is_some())
                })
                .await?
            }
        };
        Ok(())
    }

    fn enter(&mut self, phase: Phase) {
        self.recorder.record(Event::Phase { phase });
    }

    /// Records what is seen until a condition holds, a time has come, or the run is to stop.
    async fn wait(
        &mut self,
        looking: &mut Looking,
        deadline: Duration,
        mut fulfilled: impl FnMut(&Recorder<'_>) -> bool,
    ) -> Result<Waited, Halt> {
        let deadline = self.clock.instant(deadline);
        loop {
            tokio::select! {
                biased;
                signal = self.stop.wait() => return Err(Halt::Stopped(signal)),
                () = sleep_until(deadline) => return Ok(Waited::TimedOut),
                event = looking.events.recv() => match event {
                    Some(event) => self.recorder.record(event),
                    None => return Err(Halt::Trouble("every probe has ended before the drill".to_owned())),
                },
            }
            if let Some(reason) = self.recorder.broken() {
                return Err(Halt::Trouble(reason.to_owned()));
            }
            if fulfilled(&self.recorder) {
                return Ok(Waited::Fulfilled);
            }
        }
    }

    /// Records what is seen while something else goes on.
    async fn meanwhile<T>(
        recorder: &mut Recorder<'_>,
        looking: &mut Looking,
        work: impl Future<Output = T>,
    ) -> T {
        tokio::pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                Some(event) = looking.events.recv() => recorder.record(event),
            }
        }
    }

    /// Watches until the service has been good for a whole window. A service that fails begins the window anew, and one that is
    /// good in none of three is not steady: a drill on a sick system proves nothing.
    async fn watch_steady_state(&mut self, looking: &mut Looking) -> Result<(), Halt> {
        let mut steady = SteadyState::new(self.plan);
        for window in 1..=STEADY_WINDOWS {
            steady.begin_anew();
            self.watch_window(looking, &mut steady).await?;
            let problems = steady.problems().join("; ");
            if problems.is_empty() {
                return Ok(());
            }
            if window == STEADY_WINDOWS {
                let words = format!(
                    "steady state not met in {STEADY_WINDOWS} attempts: {problems}; nothing was injected"
                );
                return Err(Halt::Trouble(words));
            }
            self.recorder.record(Event::Note {
                text: format!("not steady yet: {problems}"),
            });
        }
        Ok(())
    }

    /// Watches for the length of the steady state and a random while longer, and until there is enough to decide by.
    async fn watch_window(
        &mut self,
        looking: &mut Looking,
        steady: &mut SteadyState<'_>,
    ) -> Result<(), Halt> {
        let watch_until = self
            .clock
            .instant(self.clock.now() + self.plan.limits.steady_state + self.phase);
        // Void samples and slow observers may need longer, an ill service does not become well by waiting.
        let give_up = watch_until + self.plan.real(self.plan.limits.steady_state);
        loop {
            let now = Instant::now();
            if (now >= watch_until && steady.is_decided()) || now >= give_up {
                return Ok(());
            }
            let wake = if now < watch_until {
                watch_until
            } else {
                give_up
            };
            tokio::select! {
                biased;
                signal = self.stop.wait() => return Err(Halt::Stopped(signal)),
                () = sleep_until(wake) => {}
                event = looking.events.recv() => match event {
                    Some(event) => {
                        steady.see(&event);
                        self.recorder.record(event);
                    }
                    None => return Err(Halt::Trouble("every probe has ended before the drill".to_owned())),
                },
            }
        }
    }

    /// Injects every step when it is due. Yields when the last step was issued.
    async fn inject(&mut self, looking: &mut Looking) -> Result<Duration, Halt> {
        let user = self.plan.user_probe().to_owned();
        let mut last_issued = self.clock.now();
        let mut first_of_step = 0;
        for step in &self.plan.drill.faults {
            match step.after {
                After::Immediately => {}
                After::Delay(delay) => {
                    self.wait(looking, self.clock.now() + delay, |_| false)
                        .await?;
                }
                After::Recovered => {
                    let deadline = self.clock.now() + self.plan.limits.recovered;
                    let waited = self
                        .wait(looking, deadline, |recorder| {
                            recorder
                                .watch(&user)
                                .is_some_and(|watch| watch.recovered_since(last_issued).is_some())
                        })
                        .await?;
                    if waited == Waited::TimedOut {
                        let text = "users did not recover, so the faults that were to follow were not injected".to_owned();
                        self.recorder.record(Event::Note { text });
                        return Ok(last_issued);
                    }
                }
            }
            if let Some(signal) = self.stop.requested() {
                return Err(Halt::Stopped(signal));
            }
            let ids = first_of_step..first_of_step + step.faults.len();
            first_of_step = ids.end;
            last_issued = self.clock.now();
            self.inject_together(looking, ids).await?;
        }
        Ok(last_issued)
    }

    /// Captures every fault of a step, then injects them at the same time, then reads each back.
    async fn inject_together(
        &mut self,
        looking: &mut Looking,
        ids: std::ops::Range<usize>,
    ) -> Result<(), Halt> {
        for id in ids.clone() {
            let captured =
                Self::meanwhile(&mut self.recorder, looking, self.faults[id].capture()).await;
            let undo = match captured {
                Ok(undo) => undo,
                Err(error) => {
                    self.fault(id, FaultStep::InjectFailed, Some(error.to_string()));
                    return Err(not_injected(self.plan, id, &error.to_string()));
                }
            };
            self.undo_log
                .append(id, UndoStep::Captured(undo.clone()))
                .map_err(|error| {
                    Halt::Trouble(format!(
                        "the undo log could not be written, so nothing more is touched: {error}"
                    ))
                })?;
            self.fault(id, FaultStep::Captured, Some(undo.words.clone()));
            self.undos.push((id, undo));
        }
        for id in ids.clone() {
            self.fault(id, FaultStep::Issued, None);
        }
        let (faults, mut trouble) = (&self.faults, None);
        let mut injections: FuturesUnordered<_> = ids
            .clone()
            .map(|id| async move { (id, faults[id].inject().await) })
            .collect();
        while let Some((id, result)) =
            Self::meanwhile(&mut self.recorder, looking, injections.next()).await
        {
            let (step, detail) = match result {
                Ok(()) => (FaultStep::Acknowledged, None),
                Err(error) => (FaultStep::InjectFailed, Some(error.to_string())),
            };
            if let Some(error) = &detail {
                trouble.get_or_insert_with(|| not_injected(self.plan, id, error));
            }
            self.recorder.record(Event::Fault { id, step, detail });
        }
        drop(injections);
        if let Some(trouble) = trouble {
            return Err(trouble);
        }
        for id in ids {
            let reading = verify(|| self.faults[id].is_in_place());
            match Self::meanwhile(&mut self.recorder, looking, reading).await {
                Ok(()) => self.fault(id, FaultStep::Verified, None),
                Err(reason) => {
                    self.fault(id, FaultStep::NotVerified, Some(reason.clone()));
                    let words = &self.plan.faults[id].facts;
                    return Err(Halt::Trouble(format!(
                        "the fault `{} {}` was acknowledged and is not in place: {reason}",
                        words.kind, words.target
                    )));
                }
            }
        }
        Ok(())
    }

    fn fault(&mut self, id: usize, step: FaultStep, detail: Option<String>) {
        self.recorder.record(Event::Fault { id, step, detail });
    }

    /// Reverts what was captured, the last first, and reads each back. One that fails never stops the others.
    async fn revert(&mut self, looking: &mut Looking) -> Vec<String> {
        self.enter(Phase::Revert);
        let mut left_broken = Vec::new();
        for (id, undo) in std::mem::take(&mut self.undos).into_iter().rev() {
            self.fault(id, FaultStep::RevertIssued, Some(undo.words.clone()));
            let result = self.revert_one(looking, id, &undo).await;
            let step = match result {
                Ok(()) => {
                    self.fault(id, FaultStep::Restored, None);
                    UndoStep::Restored
                }
                Err(reason) => {
                    self.fault(id, FaultStep::RevertFailed, Some(reason.clone()));
                    left_broken.push(format!(
                        "`{}` is not verified as restored ({reason}); by hand: {}",
                        undo.target, undo.words
                    ));
                    UndoStep::RevertFailed { reason }
                }
            };
            if let Err(error) = self.undo_log.append(id, step) {
                let text = format!("the undo log could not be written: {error}");
                self.recorder.record(Event::Note { text });
            }
        }
        left_broken
    }

    async fn revert_one(
        &mut self,
        looking: &mut Looking,
        id: usize,
        undo: &Undo,
    ) -> Result<(), String> {
        let mut backoff = REVERT_BACKOFF;
        let mut attempt = 1;
        loop {
            let reverting = tokio::time::timeout(REVERT_LIMIT, self.faults[id].revert(undo));
            let failure = match Self::meanwhile(&mut self.recorder, looking, reverting).await {
                Ok(Ok(())) => break,
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no answer within {REVERT_LIMIT:?}"),
            };
            if attempt == REVERT_ATTEMPTS {
                return Err(failure);
            }
            self.recorder.record(Event::Note {
                text: format!(
                    "attempt {attempt} to revert `{}` failed: {failure}",
                    undo.target
                ),
            });
            Self::meanwhile(&mut self.recorder, looking, tokio::time::sleep(backoff)).await;
            backoff *= 2;
            attempt += 1;
        }
        self.fault(id, FaultStep::Reverted, None);
        let reading = verify(|| self.faults[id].is_restored(undo));
        Self::meanwhile(&mut self.recorder, looking, reading).await
    }

    /// Waits until everything is as it was before the drill, for users and for the standbys alike, and no longer than the drill
    /// allows: a drill that ends while a standby still boots would leave the system worse than it found it.
    async fn wait_for_failback(&mut self, looking: &mut Looking) {
        let reverted = self.clock.now();
        let user = self.plan.user_probe().to_owned();
        let home = SteadyState::new(self.plan).served_by().to_owned();
        let standbys: Vec<_> = self
            .plan
            .standbys()
            .map(|(probe, tier)| (probe.to_owned(), tier.to_owned()))
            .collect();
        let is_back = |recorder: &Recorder<'_>| {
            let watch = |probe: &str| recorder.watch(probe);
            let users = watch(&user)
                .is_some_and(|watch| watch.stable_since(reverted, Some(&home)).is_some());
            let standby = |probe: &str, tier: &str| {
                watch(probe).is_some_and(|watch| watch.stable_since(reverted, Some(tier)).is_some())
            };
            users && standbys.iter().all(|(probe, tier)| standby(probe, tier))
        };
        let waited = self
            .wait(looking, reverted + self.plan.limits.failback, is_back)
            .await;
        // Everything is restored by now, so a wish to stop only shortens the watching.
        if let Err(Halt::Stopped(signal)) = waited {
            self.recorder.record(Event::Note {
                text: format!("stopped watching for the failback: {signal}"),
            });
        }
    }

    /// How far the wall's clock moved against the monotonic one, in milliseconds: a step of NTP, or a suspended machine.
    fn clock_drift(&self) -> f64 {
        let wall = jiff::Timestamp::now().duration_since(self.wall_started);
        (wall.as_secs_f64() - self.clock.real_elapsed().as_secs_f64()).abs() * 1e3
    }
}

fn not_injected(plan: &Plan, id: usize, error: &str) -> Halt {
    let facts = &plan.faults[id].facts;
    Halt::Trouble(format!(
        "the fault `{} {}` could not be injected: {error}",
        facts.kind, facts.target
    ))
}

/// Reads again and again until what is found is as expected, or the limit has passed.
async fn verify<'a, F>(read: F) -> Result<(), String>
where
    F: Fn() -> crate::probe::BoxFuture<'a, Result<Found, ProviderError>>,
{
    let deadline = Instant::now() + VERIFY_LIMIT;
    loop {
        let found = match tokio::time::timeout_at(deadline, read()).await {
            Ok(Ok(Found::AsExpected)) => return Ok(()),
            Ok(Ok(Found::Otherwise(words))) => words,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {VERIFY_LIMIT:?}"),
        };
        if Instant::now() + VERIFY_EVERY > deadline {
            return Err(found);
        }
        tokio::time::sleep(VERIFY_EVERY).await;
    }
}
