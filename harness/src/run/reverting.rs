//! Putting back: what was captured is read first, restored if it is as the fault left it, and read again.
//!
//! The run, its guard and `blackstart revert` restore in this one way. A target that somebody else has changed meanwhile is
//! named and left alone, unless a person says that it is to be overwritten.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{
    StepLimits,
    engine::Engine,
    looking::Looking,
    recorder::Recorder,
    step::{attempt, verify},
};
use crate::{
    journal::{self, Actor, Leftover},
    provider::{Current, Fault, Undo},
    timeline::{Event, FaultStep, Phase},
};

/// From one look at a target whose injection may still be on its way to the next.
const DOUBT_EVERY: Duration = Duration::from_millis(50);

/// Who looks on while something is restored.
pub(crate) trait Witness: Send {
    /// Records an event.
    fn record(&mut self, event: Event);
    /// Waits for something, and does meanwhile whatever else there is to do.
    fn during<T: Send>(
        &mut self,
        work: impl Future<Output = T> + Send,
    ) -> impl Future<Output = T> + Send;
}

/// A target that is owed a restoration.
#[derive(Debug)]
pub(crate) struct Owed<'a> {
    /// The fault's number in the drill.
    pub(crate) id: usize,
    /// What restores the target.
    pub(crate) undo: &'a Undo,
    /// The fault to undo, or why its binding does not know it any more.
    pub(crate) fault: Result<&'a dyn Fault, String>,
    /// Why more than one look is needed, if that is so.
    pub(crate) standing: Standing,
}

impl Owed<'_> {
    /// Whether it may take minutes.
    fn is_long(&self) -> bool {
        let fault = self.fault.as_ref();
        fault.is_ok_and(|fault| fault.patience().is_some())
    }
}

/// What is known of a target before it is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The fault was put in place.
    Broken,
    /// The injection was begun and not answered with yes. It may still be on its way: one look does not settle it.
    InDoubt,
    /// It was verified as restored: whatever others made of it since is theirs.
    Restored,
}

/// What becomes of changes that others made to a target meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Others {
    /// They stay, and are told.
    Respected,
    /// They are overwritten with what was captured.
    Overwritten,
}

impl Leftover {
    /// What the journal knows of the target.
    pub(crate) fn standing(&self) -> Standing {
        if self.is_restored() {
            Standing::Restored
        } else if self.in_doubt {
            Standing::InDoubt
        } else {
            Standing::Broken
        }
    }
}

/// Restores targets, under the journal's lock, which the caller has.
pub(crate) struct Reverting<'a, W> {
    pub(crate) journal: &'a mut journal::Writer,
    pub(crate) actor: Actor,
    pub(crate) limits: StepLimits,
    pub(crate) others: Others,
    pub(crate) witness: W,
    /// What has come of it so far.
    pub(crate) reverted: Reverted,
}

/// What came of a restoration.
#[derive(Debug, Default)]
pub(crate) struct Reverted {
    /// The numbers of the faults whose targets are verified as restored.
    pub(crate) restored: Vec<usize>,
    /// Those targets that are not, with the reason and what to do by hand.
    pub(crate) left_broken: Vec<String>,
    /// Whether another attempt may do better. What others have changed stays as it is however often one looks.
    pub(crate) is_worth_another: bool,
    /// Why it could not be written down, if it could not.
    pub(crate) unrecorded: Option<String>,
}

/// Why a target is not restored.
enum Failure {
    /// Others have changed it.
    Others(String),
    /// It could not be reached, read or changed, or does not show what it should.
    Trouble(String),
}

impl<W: Witness> Reverting<'_, W> {
    /// Restores what is owed, in the order given, but for what takes minutes, which comes after everything else: nobody waits for a
    /// machine to get their pods back. One that fails never stops the others.
    pub(crate) async fn all(mut self, mut owed: Vec<Owed<'_>>) -> Reverted {
        // Stable: faults on one resource are alike in this, and stay in the order given.
        owed.sort_by_key(Owed::is_long);
        for owed in owed {
            let Owed { id, undo, .. } = owed;
            self.step(id, FaultStep::RevertIssued, Some(undo.words.clone()))
                .await;
            let restored = match &owed.fault {
                Ok(fault) => self.restore(*fault, &owed).await,
                Err(reason) => Err(Failure::Trouble(reason.clone())),
            };
            let reason = match restored {
                Ok(()) => {
                    self.step(id, FaultStep::Restored, None).await;
                    self.reverted.restored.push(id);
                    continue;
                }
                Err(Failure::Others(reason)) => reason,
                Err(Failure::Trouble(reason)) => {
                    self.reverted.is_worth_another = true;
                    reason
                }
            };
            self.step(id, FaultStep::RevertFailed, Some(reason.clone()))
                .await;
            self.reverted.left_broken.push(format!(
                "`{}` is not verified as restored ({reason}); by hand: {}",
                undo.target, undo.words
            ));
        }
        self.reverted
    }

    /// Restores a target. One that a call may still be on its way to, an injection or a revert that had no answer of yes, is
    /// watched for a while, and restored anew if the call lands.
    async fn restore(&mut self, fault: &dyn Fault, owed: &Owed<'_>) -> Result<(), Failure> {
        let mut attempts = self.put_back_with_retries(fault, owed).await?;
        if owed.standing != Standing::InDoubt && attempts == 1 {
            return Ok(());
        }
        for _ in 0..self.limits.revert_attempts {
            if self.stays_restored(fault, owed.undo).await {
                return Ok(());
            }
            self.note(format!(
                "`{}` was changed again by a call that had had no answer",
                owed.undo.target
            ));
            attempts += self.put_back_with_retries(fault, owed).await?;
        }
        Err(Failure::Trouble(format!(
            "it is broken again after {attempts} attempts"
        )))
    }

    /// Watches a target for as long as a call that nobody waits for any more may take to have its effect.
    async fn stays_restored(&mut self, fault: &dyn Fault, undo: &Undo) -> bool {
        let doubt = self.limits.doubt.max(fault.doubt().unwrap_or_default());
        let until = Instant::now() + doubt;
        while Instant::now() < until {
            self.witness.during(sleep(DOUBT_EVERY)).await;
            let reading = attempt(self.limits.revert, async { fault.current(undo).await });
            // What cannot be read now was read as restored a moment ago; what others do to it is theirs.
            if self.witness.during(reading).await == Ok(Current::AsInjected) {
                return false;
            }
        }
        true
    }

    /// Yields how many attempts it took.
    async fn put_back_with_retries(
        &mut self,
        fault: &dyn Fault,
        owed: &Owed<'_>,
    ) -> Result<u32, Failure> {
        let undo = owed.undo;
        let mut backoff = self.limits.revert_backoff;
        let (mut tried, mut acknowledged) = (1, false);
        loop {
            let failure = match self.put_back(fault, undo).await {
                Ok(PutBack::NothingToDo) => return Ok(tried),
                Ok(PutBack::NotOurs(_)) if owed.standing == Standing::Restored => {
                    return Ok(tried);
                }
                // It may be on its way from what we made of it.
                Ok(PutBack::NotOurs(words)) if acknowledged => words,
                Ok(PutBack::NotOurs(words)) => {
                    return Err(Failure::Others(format!(
                        "somebody else changed it meanwhile, and that is left alone: {words}; \
                         `blackstart revert --force` overwrites it"
                    )));
                }
                Ok(PutBack::Changed) => {
                    acknowledged = true;
                    match self.verified(fault, owed).await {
                        Ok(()) => return Ok(tried),
                        Err(failure) => failure,
                    }
                }
                Err(failure) => failure,
            };
            if tried >= self.limits.revert_attempts {
                return Err(Failure::Trouble(failure));
            }
            self.note(format!(
                "attempt {tried} to revert `{}` failed: {failure}",
                undo.target
            ));
            self.witness.during(sleep(backoff)).await;
            backoff *= 2;
            tried += 1;
        }
    }

    /// Reads back what the control plane has said yes to.
    async fn verified(&mut self, fault: &dyn Fault, owed: &Owed<'_>) -> Result<(), String> {
        self.step(owed.id, FaultStep::Reverted, None).await;
        let restored = |current| match current {
            Current::AsCaptured => Ok(()),
            Current::AsInjected => Err("it is still as the fault left it".to_owned()),
            Current::Otherwise(words) => Err(words),
        };
        let reading = verify(self.limits.verify, || fault.current(owed.undo), restored);
        self.witness.during(reading).await
    }

    /// Reads a target and changes it if that is to be done.
    async fn put_back(&mut self, fault: &dyn Fault, undo: &Undo) -> Result<PutBack, String> {
        let limit = self.limits.revert.max(fault.patience().unwrap_or_default());
        let reading = attempt(limit, async { fault.current(undo).await });
        match (self.witness.during(reading).await?, self.others) {
            (Current::AsCaptured, _) => return Ok(PutBack::NothingToDo),
            (Current::Otherwise(words), Others::Respected) => return Ok(PutBack::NotOurs(words)),
            (Current::AsInjected, _) | (Current::Otherwise(_), Others::Overwritten) => {}
        }
        let reverting = attempt(limit, async { fault.revert(undo).await });
        self.witness.during(reverting).await?;
        Ok(PutBack::Changed)
    }

    /// Records a step, in the timeline and in the journal. A disk that is full is no reason to leave anything broken.
    async fn step(&mut self, id: usize, step: FaultStep, detail: Option<String>) {
        let event = Event::Fault {
            id,
            step,
            detail: detail.clone(),
        };
        self.witness.record(event);
        let recording = self.journal.step(id, self.actor, step, detail);
        if let Err(error) = self.witness.during(recording).await
            && self.reverted.unrecorded.is_none()
        {
            self.reverted.unrecorded = Some(error.to_string());
            self.note(format!("the undo journal could not be written: {error}"));
        }
    }

    fn note(&mut self, text: String) {
        self.witness.record(Event::Note { text });
    }
}

/// What was done to a target.
enum PutBack {
    /// It is as it was captured.
    NothingToDo,
    /// The control plane has said yes.
    Changed,
    /// Somebody else has changed it: what it shows.
    NotOurs(String),
}

/// The run goes on looking while it reverts.
struct Onlooker<'e, 'a> {
    recorder: &'e mut Recorder<'a>,
    looking: &'e mut Looking,
}

impl Witness for Onlooker<'_, '_> {
    fn record(&mut self, event: Event) {
        self.recorder.record(event);
    }

    async fn during<T: Send>(&mut self, work: impl Future<Output = T> + Send) -> T {
        Engine::meanwhile(self.recorder, self.looking, work).await
    }
}

impl Engine<'_> {
    /// Reverts what was captured, the last first, and what takes minutes last, and reads each back. What the guard has restored already is left alone.
    pub(super) async fn revert(&mut self, looking: &mut Looking) -> Vec<String> {
        self.enter(Phase::Revert);
        let mut undos = std::mem::take(&mut self.undos);
        let holding = self.journal.hold(self.limits.lock);
        if let Err(error) = Self::meanwhile(&mut self.recorder, looking, holding).await {
            // Whoever has it does the same as is done here, and each reads before it writes.
            self.recorder.record(Event::Note {
                text: format!("the undo journal could not be locked: {error}"),
            });
        }
        let journal = self.journal.read().unwrap_or_default();
        if let Some(why) = journal.taken_over() {
            self.recorder.fence().close(why);
            undos.retain(|(id, _)| !journal.is_restored(*id));
        }
        let captured = journal.captured();
        let owed = undos.iter().rev().map(|(id, undo)| Owed {
            id: *id,
            undo,
            fault: Ok(self.faults[*id].as_ref()),
            standing: captured
                .iter()
                .find(|left| left.id == *id)
                .map_or(Standing::InDoubt, Leftover::standing),
        });
        let reverting = Reverting {
            journal: &mut self.journal,
            actor: Actor::Harness,
            limits: self.limits,
            others: Others::Respected,
            witness: Onlooker {
                recorder: &mut self.recorder,
                looking,
            },
            reverted: Reverted::default(),
        };
        let reverted = reverting.all(owed.collect()).await;
        self.journal.release();
        reverted.left_broken
    }
}

#[cfg(test)]
mod tests;
