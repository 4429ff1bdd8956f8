//! Breaking: every target is captured, and the capture on disk, before it is touched. While that goes on the journal is locked,
//! so that the guard waits for what is under way before it reverts.

use std::{io, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};

use super::{
    engine::{Engine, Halt, Waited},
    looking::Looking,
    step::{attempt, verify},
};
use crate::{
    drill::After,
    journal::{Actor, Held, Record},
    plan::Plan,
    provider::{Current, Dated},
    timeline::{Event, FaultStep},
};

impl Engine<'_> {
    /// Injects every step when it is due. Yields when the last step was issued.
    pub(super) async fn inject(&mut self, looking: &mut Looking) -> Result<Duration, Halt> {
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
                After::GoodFor(good) => {
                    let since = self.clock.now();
                    let deadline = since + good.saturating_mul(After::PATIENCE);
                    let clock = self.clock;
                    let waited = self
                        .wait(looking, deadline, |recorder| {
                            let run = recorder
                                .watch(&user)
                                .and_then(|watch| watch.stable_since(since, None));
                            run.is_some_and(|began| clock.now().saturating_sub(began) >= good)
                        })
                        .await?;
                    if waited == Waited::TimedOut {
                        let text = "users were not served without a failure for long enough, so the steps that were to follow were \
                                    not taken"
                            .to_owned();
                        self.recorder.record(Event::Note { text });
                        return Ok(last_issued);
                    }
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
            if let Some(pause) = &step.pause {
                self.ask(looking, &pause.value).await?;
                continue;
            }
            self.may_go_on()?;
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
        let holding = self.journal.hold(self.limits.lock);
        let held = Self::meanwhile(&mut self.recorder, looking, holding).await;
        let injected = match held.map_err(|error| not_journalled(&error)) {
            Ok(held) => match self.heed(&held) {
                Ok(()) => self.inject_held(looking, ids).await,
                Err(halt) => Err(halt),
            },
            Err(halt) => Err(halt),
        };
        // A process that stood still meanwhile was not waited for, and then whatever else went wrong comes from that.
        let looked = self.journal.look().map_err(|error| not_journalled(&error));
        let alone = looked.and_then(|held| self.heed(&held));
        self.journal.release();
        alone.and(injected)
    }

    /// Whoever finds that somebody else has begun to revert must not break anything more.
    fn heed(&mut self, held: &Held) -> Result<(), Halt> {
        if let Held::Changed(journal) = held
            && let Some(why) = journal.taken_over()
        {
            self.recorder.fence().close(why);
            return Err(Halt::Trouble(why.to_owned()));
        }
        Ok(())
    }

    async fn inject_held(
        &mut self,
        looking: &mut Looking,
        ids: std::ops::Range<usize>,
    ) -> Result<(), Halt> {
        for id in ids.clone() {
            self.capture(looking, id).await?;
        }
        // The capture may have been the last thing that the disk took, or somebody may have had enough meanwhile.
        self.may_go_on()?;
        self.must_be_guarded(looking).await?;
        for id in ids.clone() {
            self.log(looking, id, FaultStep::Issued, None).await?;
        }
        for id in ids.clone() {
            self.fault(id, FaultStep::Issued, None);
        }
        let (faults, limit, mut trouble) = (&self.faults, self.limits.inject, None);
        let inject = |id: usize| async move {
            let limit = limit.max(faults[id].patience().unwrap_or_default());
            (
                id,
                attempt(limit, async { faults[id].inject().await }).await,
            )
        };
        // What is answered soon is waited for, so that it is known how it went; what takes minutes is not. What has no answer then is in
        // doubt, as the journal says that it was issued and no more.
        let is_long = ids.clone().any(|id| faults[id].patience().is_some());
        let mut injections: FuturesUnordered<_> = ids.clone().map(inject).collect();
        let (mut answers, mut stopped) = (Vec::new(), None);
        let mut stop = self.stop.clone();
        loop {
            let next = Self::meanwhile(&mut self.recorder, looking, injections.next());
            let answered = tokio::select! {
                biased;
                answered = next => answered,
                signal = stop.wait(), if is_long => {
                    stopped = Some(signal);
                    None
                }
            };
            let Some((id, result)) = answered else { break };
            let (step, detail) = match result {
                Ok(()) => (FaultStep::Acknowledged, None),
                Err(error) => (FaultStep::InjectFailed, Some(error)),
            };
            if let Some(error) = &detail {
                trouble.get_or_insert_with(|| not_injected(self.plan, id, error));
            }
            let event = Event::Fault {
                id,
                step,
                detail: detail.clone(),
            };
            self.recorder.record(event);
            if is_long {
                // Minutes may pass until the others have answered: whoever has to restore then is to know how this one went.
                let appending = self.journal.step(id, Actor::Harness, step, detail);
                let appended = Self::meanwhile(&mut self.recorder, looking, appending).await;
                if let Err(error) = appended {
                    trouble.get_or_insert_with(|| not_journalled(&error));
                }
            } else {
                answers.push((id, step, detail));
            }
        }
        drop(injections);
        for (id, step, detail) in answers {
            if let Err(halt) = self.log(looking, id, step, detail).await {
                trouble.get_or_insert(halt);
            }
        }
        if let Some(trouble) = trouble.or(stopped.map(Halt::Stopped)) {
            return Err(trouble);
        }
        for id in ids {
            self.verify_in_place(looking, id).await?;
        }
        Ok(())
    }

    /// A guard that is there and does nothing is none.
    async fn must_be_guarded(&mut self, looking: &mut Looking) -> Result<(), Halt> {
        if let Some(guarding) = &self.guarding {
            let asking = guarding.answers();
            if !Self::meanwhile(&mut self.recorder, looking, asking).await {
                return Err(Halt::Trouble(
                    "the guard does not answer, and nothing is broken without one".to_owned(),
                ));
            }
        }
        Ok(())
    }

    /// Captures a fault's target and makes sure that what restores it is on disk.
    async fn capture(&mut self, looking: &mut Looking, id: usize) -> Result<(), Halt> {
        let broken: Vec<String> = self
            .undos
            .iter()
            .map(|(_, undo)| undo.target.clone())
            .collect();
        self.within_limits(id, &broken)?;
        let capturing = attempt(self.limits.capture, async {
            self.faults[id].capture().await
        });
        let captured = Self::meanwhile(&mut self.recorder, looking, capturing).await;
        let undo = match captured {
            Ok(undo) if undo.state == undo.injected => Err(format!(
                "it is so already ({}), so nothing would be broken",
                undo.words
            )),
            captured => captured,
        };
        let undo = match undo {
            Ok(undo) => undo,
            Err(error) => {
                self.fault(id, FaultStep::InjectFailed, Some(error.clone()));
                return Err(not_injected(self.plan, id, &error));
            }
        };
        let record = Record::Captured {
            id,
            at: jiff::Timestamp::now().to_string(),
            undo: Box::new(undo.clone()),
        };
        let words = undo.words.clone();
        // First, or a run that is stopped at this very moment would not know of what it has written down.
        self.undos.push((id, undo));
        let appending = self.journal.append(&record);
        let appended = Self::meanwhile(&mut self.recorder, looking, appending).await;
        if let Err(error) = appended {
            self.undos.pop();
            return Err(not_journalled(&error));
        }
        self.fault(id, FaultStep::Captured, Some(words));
        Ok(())
    }

    /// Reads a fault back until it is in place.
    async fn verify_in_place(&mut self, looking: &mut Looking, id: usize) -> Result<(), Halt> {
        let facts = &self.plan.faults[id].facts;
        let Some((_, undo)) = self.undos.iter().find(|(captured, _)| *captured == id) else {
            return Err(not_injected(self.plan, id, "it was not captured"));
        };
        let words = |current| match current {
            Current::AsInjected => Ok(()),
            Current::AsCaptured => Err("the target is untouched".to_owned()),
            Current::Otherwise(words) => Err(words),
        };
        let reading = verify(self.limits.verify, || self.faults[id].current(undo), words);
        match Self::meanwhile(&mut self.recorder, looking, reading).await {
            Ok(()) => {
                self.fault(id, FaultStep::Verified, None);
                self.log(looking, id, FaultStep::Verified, None).await?;
                self.date(looking, id).await;
                Ok(())
            }
            Err(reason) => {
                self.fault(id, FaultStep::NotVerified, Some(reason.clone()));
                self.log(looking, id, FaultStep::NotVerified, Some(reason.clone()))
                    .await?;
                Err(Halt::Trouble(format!(
                    "the fault `{} {}` was acknowledged and is not in place: {reason}",
                    facts.kind, facts.target
                )))
            }
        }
    }

    /// Tells when the target's own system says that it was broken. What it says decides nothing: durations are by one clock.
    async fn date(&mut self, looking: &mut Looking, id: usize) {
        let asking = attempt(self.limits.verify, async { self.faults[id].dated().await });
        let words = match Self::meanwhile(&mut self.recorder, looking, asking).await {
            Ok(None) => return,
            Ok(Some(Dated {
                words,
                agrees: true,
            })) => words,
            Ok(Some(Dated {
                words,
                agrees: false,
            })) => format!("warning: {words}"),
            Err(error) => format!("warning: its own system did not say when it happened: {error}"),
        };
        let facts = &self.plan.faults[id].facts;
        let text = format!("{} {}: {words}", facts.kind, facts.target);
        self.recorder.record(Event::Note { text });
    }

    /// Appends a step to the journal.
    async fn log(
        &mut self,
        looking: &mut Looking,
        id: usize,
        step: FaultStep,
        detail: Option<String>,
    ) -> Result<(), Halt> {
        let appending = self.journal.step(id, Actor::Harness, step, detail);
        Self::meanwhile(&mut self.recorder, looking, appending)
            .await
            .map_err(|error| not_journalled(&error))
    }

    fn fault(&mut self, id: usize, step: FaultStep, detail: Option<String>) {
        self.recorder.record(Event::Fault { id, step, detail });
    }
}

fn not_journalled(error: &io::Error) -> Halt {
    Halt::Trouble(format!(
        "the undo journal could not be written, so nothing more is touched: {error}"
    ))
}

fn not_injected(plan: &Plan, id: usize, error: &str) -> Halt {
    let facts = &plan.faults[id].facts;
    Halt::Trouble(format!(
        "the fault `{} {}` could not be injected: {error}",
        facts.kind, facts.target
    ))
}
