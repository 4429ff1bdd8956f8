//! Breaking and putting back: every target is captured, and the capture on disk, before it is touched; every capture is reverted.

use std::time::Duration;

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::time::sleep;

use super::{
    UndoStep,
    engine::{Engine, Halt, Looking, Waited},
    step::{attempt, verify},
};
use crate::{
    drill::After,
    plan::Plan,
    provider::Undo,
    timeline::{Event, FaultStep, Phase},
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
        for id in ids.clone() {
            let broken: Vec<String> = self
                .undos
                .iter()
                .map(|(_, undo)| undo.target.clone())
                .collect();
            self.within_limits(id, &broken)?;
            let capturing = attempt(self.limits.capture, async {
                self.faults[id].capture().await
            });
            let undo = match Self::meanwhile(&mut self.recorder, looking, capturing).await {
                Ok(undo) => undo,
                Err(error) => {
                    self.fault(id, FaultStep::InjectFailed, Some(error.clone()));
                    return Err(not_injected(self.plan, id, &error));
                }
            };
            self.undo_log
                .append(id, UndoStep::Captured(undo.clone()))
                .map_err(|error| {
                    Halt::Trouble(format!(
                        "the undo log could not be written, so nothing more is touched: {error}"
                    ))
                })?;
            let words = undo.words.clone();
            self.undos.push((id, undo));
            self.fault(id, FaultStep::Captured, Some(words));
        }
        // The capture may have been the last thing that the disk took, or somebody may have had enough meanwhile.
        self.may_go_on()?;
        for id in ids.clone() {
            self.fault(id, FaultStep::Issued, None);
        }
        let (faults, limit, mut trouble) = (&self.faults, self.limits.inject, None);
        let inject = |id: usize| async move {
            (
                id,
                attempt(limit, async { faults[id].inject().await }).await,
            )
        };
        let mut injections: FuturesUnordered<_> = ids.clone().map(inject).collect();
        while let Some((id, result)) =
            Self::meanwhile(&mut self.recorder, looking, injections.next()).await
        {
            let (step, detail) = match result {
                Ok(()) => (FaultStep::Acknowledged, None),
                Err(error) => (FaultStep::InjectFailed, Some(error)),
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
            let reading = verify(self.limits.verify, || self.faults[id].is_in_place());
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
    pub(super) async fn revert(&mut self, looking: &mut Looking) -> Vec<String> {
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
        let mut backoff = self.limits.revert_backoff;
        let mut tried = 1;
        loop {
            let reverting = attempt(self.limits.revert, async {
                self.faults[id].revert(undo).await
            });
            let reverted = Self::meanwhile(&mut self.recorder, looking, reverting).await;
            let Err(failure) = reverted else { break };
            if tried >= self.limits.revert_attempts {
                return Err(failure);
            }
            self.recorder.record(Event::Note {
                text: format!(
                    "attempt {tried} to revert `{}` failed: {failure}",
                    undo.target
                ),
            });
            Self::meanwhile(&mut self.recorder, looking, sleep(backoff)).await;
            backoff *= 2;
            tried += 1;
        }
        self.fault(id, FaultStep::Reverted, None);
        let reading = verify(self.limits.verify, || self.faults[id].is_restored(undo));
        Self::meanwhile(&mut self.recorder, looking, reading).await
    }
}

fn not_injected(plan: &Plan, id: usize, error: &str) -> Halt {
    let facts = &plan.faults[id].facts;
    Halt::Trouble(format!(
        "the fault `{} {}` could not be injected: {error}",
        facts.kind, facts.target
    ))
}
