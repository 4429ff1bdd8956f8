//! The phases of a run, in order. Nothing leaves this file with a captured target that was not reverted, or named.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    task::{JoinError, JoinSet},
    time::{sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    Clock, Finished, Options, Pauses, RunError, StepLimits, Stop,
    abort::{Aborted, Aborts, Alarm},
    home::View,
    looking::{Looking, run_name, start_looking, started},
    recorder::Recorder,
    step::{attempt, caught},
};
use crate::{
    causes::with_causes,
    drill::Hold,
    journal::{self, Access, Header, Owner, Record},
    plan::Plan,
    provider::{Fault, Provider, ProviderError, Undo, site::Site},
    recovery::Guarding,
    suite::EVENTS,
    timeline::{Event, Outcome, Phase, file::Writer},
};

/// Runs a drill: the only function of the program that changes a target.
///
/// Once the timeline is begun this returns what became of the run, whatever happens: every target that was captured is reverted
/// on every way out, in the reverse order and what takes minutes last, each under its own time limit.
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
    options.terms.permit(&plan.environment)?;
    options.terms.permit_pauses(&plan.drill)?;
    let faults = plan
        .drill
        .faults
        .iter()
        .flat_map(|step| &step.faults)
        .map(|fault| site.provider().resolve(&plan.environment, &fault.value))
        .collect::<Result<Vec<_>, ProviderError>>()?;
    for (fault, facts) in faults.iter().zip(&plan.faults) {
        attempt(options.limits.capture, fault.prepare())
            .await
            .map_err(|reason| RunError::NotPrepared {
                fault: format!("{} {}", facts.facts.kind, facts.facts.target),
                reason,
            })?;
    }
    let wall_started = jiff::Timestamp::now();
    let journal =
        journal::Writer::create(&options.folder, header(plan, site, options, wall_started))
            .await
            .map_err(|source| RunError::Write {
                path: options.folder.join(journal::FILE_NAME),
                source,
            })?;
    let writer = Writer::create(options.folder.join(EVENTS))?;
    let mut random = fastrand::Rng::with_seed(super::seed_for(options.seed, &plan.drill.name));
    let phase = plan.limits.phase.mul_f64(random.f64());
    let clock = Clock::start(plan.speed);
    let (aborts, alarm) = Aborts::new(plan, &options.terms, clock);
    let mut engine = Engine {
        plan,
        clock,
        phase,
        recorder: Recorder::new(plan, clock, writer, aborts, on_event),
        before: View::default(),
        journal,
        outlives: site.access().iter().any(Access::outlives_the_harness),
        guarding: None,
        provider: Arc::clone(site.provider()),
        faults,
        undos: Vec::new(),
        limits: options.limits,
        stop,
        alarm,
        dry_run: options.terms.dry_run,
        pauses: options.terms.pauses.clone(),
        ledger: None,
        wall_started,
    };
    engine
        .recorder
        .record(Event::Run(Box::new(started(plan, options))));
    match engine.have_guarded(options).await {
        Ok(guarding) => engine.guarding = guarding,
        Err(error) => return Err(engine.not_begun(error)),
    }
    let cancel = CancellationToken::new();
    let (sender, events) = mpsc::unbounded_channel();
    let tasks = start_looking(plan, site, options, clock, &mut random, &sender, &cancel);
    drop(sender);
    let ledger = site.prepare_ledger(&plan.drill, &run_name(plan, options));
    let both = tasks.and_then(|tasks| Ok((tasks, ledger?)));
    let (tasks, looking) = match both {
        Ok((tasks, ledger)) => {
            engine.ledger = ledger;
            (tasks, Looking { events, cancel })
        }
        Err(error) => {
            cancel.cancel();
            return Err(engine.not_begun(error));
        }
    };
    Ok(engine.go(looking, tasks).await)
}

fn header(plan: &Plan, site: &Site, options: &Options, started_at: jiff::Timestamp) -> Header {
    Header {
        run_id: options.run_id.clone(),
        drill: plan.drill.name.clone(),
        environment: plan.environment.name.clone(),
        environment_file: plan.environment.file.clone(),
        access: site.access().to_vec(),
        events: EVENTS.to_owned(),
        owner: Owner::this(),
        started_at: started_at.to_string(),
        speed: plan.speed,
    }
}

/// From one sign that the run goes on to the next, at most.
pub(super) const PULSE_EVERY: Duration = Duration::from_millis(250);

pub(super) struct Engine<'a> {
    pub(super) plan: &'a Plan,
    pub(super) clock: Clock,
    /// How much longer than need be the steady state is watched.
    pub(super) phase: Duration,
    pub(super) recorder: Recorder<'a>,
    /// What name servers answered and observers said while all was well.
    pub(super) before: View,
    pub(super) journal: journal::Writer,
    /// Whether what is broken stays broken when this process ends.
    outlives: bool,
    /// What restores when this process cannot.
    pub(super) guarding: Option<Guarding>,
    /// What reaches the targets.
    pub(super) provider: Arc<dyn Provider>,
    pub(super) faults: Vec<Box<dyn Fault>>,
    /// What was captured, in the order of capture: the fault's number and what restores it.
    pub(super) undos: Vec<(usize, Undo)>,
    pub(super) limits: StepLimits,
    pub(super) stop: Stop,
    alarm: Alarm,
    dry_run: bool,
    pub(super) pauses: Pauses,
    /// How the writes are read back, until they were.
    pub(super) ledger: Option<crate::probe::ledger::Ledger>,
    pub(super) wall_started: jiff::Timestamp,
}

/// Why a run does not go on as planned.
pub(super) enum Halt {
    Stopped(String),
    Aborted(Aborted),
    Trouble(String),
}

/// Why the waiting ended.
#[derive(PartialEq, Eq)]
pub(super) enum Waited {
    Fulfilled,
    TimedOut,
}

impl Engine<'_> {
    /// Ends the timeline of a run that nothing was done in.
    fn not_begun(&mut self, error: RunError) -> RunError {
        let outcome = Outcome::CouldNotRun {
            phase: Phase::SteadyState,
            reason: with_causes(&error),
        };
        let clock_drift_ms = self.clock_drift();
        self.recorder.record(Event::Ended {
            outcome,
            clock_drift_ms,
        });
        error
    }

    /// Has targets guarded that stay broken if this process ends.
    async fn have_guarded(&mut self, options: &Options) -> Result<Option<Guarding>, RunError> {
        if !self.outlives || self.dry_run {
            return Ok(None);
        }
        let program = options.guard.as_ref().ok_or(RunError::Unguarded)?;
        let fence = self.recorder.fence().clone();
        let close = move |word: &str| fence.close(word);
        let pulse = self.recorder.pulse().clone();
        let guarding = Guarding::start(program, self.journal.path(), pulse, close).await?;
        let record = Record::Guarded {
            process: guarding.process(),
        };
        self.journal
            .append(&record)
            .await
            .map_err(|source| RunError::Write {
                path: self.journal.path().to_owned(),
                source,
            })?;
        Ok(Some(guarding))
    }

    async fn go(mut self, mut looking: Looking, mut tasks: JoinSet<()>) -> Finished {
        let mut phase = Phase::SteadyState;
        let alarm = self.alarm.clone();
        let mut halt = tokio::select! {
            biased;
            aborted = alarm.rings() => Some(Halt::Aborted(aborted)),
            panic = first_panic(&mut tasks) => Some(blind(&panic)),
            done = or_panic(self.break_and_watch(&mut looking, &mut phase)) => done.err(),
        };
        self.tell_if_stopped(halt.as_ref());
        let left_broken = if self.undos.is_empty() {
            Vec::new()
        } else {
            self.revert(&mut looking).await
        };
        if halt.is_none() && !self.dry_run {
            phase = Phase::Failback;
            self.enter(phase);
            let alarm = self.alarm.clone();
            halt = tokio::select! {
                biased;
                aborted = alarm.switched_on() => Some(Halt::Aborted(aborted)),
                panic = first_panic(&mut tasks) => Some(blind(&panic)),
                done = or_panic(self.wait_for_failback(&mut looking)) => done.err(),
            };
            self.tell_if_stopped(halt.as_ref());
        }
        looking.cancel.cancel();
        while let Some(event) = looking.events.recv().await {
            self.recorder.record(event);
        }
        if halt.is_none()
            && let Some(panic) = last_panic(&mut tasks).await
        {
            halt = Some(blind(&panic));
        }
        let mut outcome = match halt {
            None => Outcome::Completed,
            Some(Halt::Stopped(signal)) => Outcome::Interrupted { signal },
            Some(Halt::Aborted(Aborted { condition, reason })) => {
                Outcome::Aborted { condition, reason }
            }
            Some(Halt::Trouble(reason)) => Outcome::CouldNotRun { phase, reason },
        };
        outcome = self.unless_broken(outcome);
        self.recorder.record(Event::Ended {
            outcome: outcome.clone(),
            clock_drift_ms: self.clock_drift(),
        });
        outcome = self.unless_broken(outcome);
        // Whatever is left broken now was tried and is told: that is for a person to look at.
        if let Some(guarding) = self.guarding.take() {
            guarding.dismiss();
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
        self.preflight(looking).await?;
        if self.dry_run {
            return self.rehearse(looking).await;
        }
        self.before = self.recorder.view().clone();
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
        self.read_ledger(looking).await
    }

    fn unless_broken(&self, outcome: Outcome) -> Outcome {
        match (outcome, self.recorder.broken()) {
            (Outcome::Completed, Some(reason)) => Outcome::CouldNotRun {
                phase: Phase::Failback,
                reason: reason.to_owned(),
            },
            (outcome, _) => outcome,
        }
    }

    /// Whether anything more may be broken.
    pub(super) fn may_go_on(&self) -> Result<(), Halt> {
        if let Some(signal) = self.stop.requested() {
            return Err(Halt::Stopped(signal));
        }
        match self.recorder.broken() {
            Some(reason) => Err(Halt::Trouble(reason.to_owned())),
            None => Ok(()),
        }
    }

    fn tell_if_stopped(&mut self, halt: Option<&Halt>) {
        match halt {
            Some(Halt::Stopped(signal)) => self.recorder.record(Event::Interrupted {
                signal: signal.clone(),
            }),
            Some(Halt::Aborted(Aborted { condition, reason })) => {
                self.recorder.record(Event::Aborted {
                    condition: condition.clone(),
                    reason: reason.clone(),
                });
            }
            Some(Halt::Trouble(_)) | None => {}
        }
    }

    pub(super) fn enter(&mut self, phase: Phase) {
        self.recorder.record(Event::Phase { phase });
    }

    /// Records what is seen until a condition holds, a time has come, or the run is to stop.
    pub(super) async fn wait(
        &mut self,
        looking: &mut Looking,
        deadline: Duration,
        mut fulfilled: impl FnMut(&Recorder<'_>) -> bool,
    ) -> Result<Waited, Halt> {
        let deadline = self.clock.instant(deadline);
        loop {
            self.recorder.pulse().beat();
            tokio::select! {
                biased;
                signal = self.stop.wait() => return Err(Halt::Stopped(signal)),
                () = sleep_until(deadline) => return Ok(Waited::TimedOut),
                () = sleep(PULSE_EVERY) => {}
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
    pub(super) async fn meanwhile<T>(
        recorder: &mut Recorder<'_>,
        looking: &mut Looking,
        work: impl Future<Output = T>,
    ) -> T {
        tokio::pin!(work);
        loop {
            recorder.pulse().beat();
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = sleep(PULSE_EVERY) => {}
                Some(event) = looking.events.recv() => recorder.record(event),
            }
        }
    }

    /// How far the wall's clock moved against the monotonic one, in milliseconds: a step of NTP, or a suspended machine.
    fn clock_drift(&self) -> f64 {
        let wall = jiff::Timestamp::now().duration_since(self.wall_started);
        (wall.as_secs_f64() - self.clock.real_elapsed().as_secs_f64()).abs() * 1e3
    }
}

/// Waits until a probe or an observer panics: what it was to see is not seen any more, and conditions on it would never be met.
pub(super) async fn first_panic(tasks: &mut JoinSet<()>) -> JoinError {
    match last_panic(tasks).await {
        Some(panic) => panic,
        None => std::future::pending().await,
    }
}

/// Waits until all have ended, or one has panicked.
async fn last_panic(tasks: &mut JoinSet<()>) -> Option<JoinError> {
    while let Some(joined) = tasks.join_next().await {
        if let Err(panic) = joined {
            return Some(panic);
        }
    }
    None
}

fn blind(panic: &JoinError) -> Halt {
    Halt::Trouble(format!(
        "a probe or an observer ended in a panic, so the measurement is worth nothing: {panic}"
    ))
}

/// Carries out a part of the run. A panic in it is our own mistake, and no reason to leave anything broken.
async fn or_panic(part: impl Future<Output = Result<(), Halt>>) -> Result<(), Halt> {
    caught(part).await.unwrap_or_else(|panic| {
        Err(Halt::Trouble(format!(
            "a mistake in the harness itself: {panic}"
        )))
    })
}
