//! A dry run: everything that a run reads before it breaks anything, and nothing that it writes.

use super::{
    engine::{Engine, Halt},
    looking::Looking,
    step::attempt,
};
use crate::{
    provider::ProviderError,
    timeline::{Event, FaultStep},
};

impl Engine<'_> {
    /// Reads what would restore each target, and touches none.
    pub(super) async fn rehearse(&mut self, looking: &mut Looking) -> Result<(), Halt> {
        let environment = &self.plan.environment;
        let looking_for_traps = attempt(self.limits.capture, async {
            Ok::<_, ProviderError>(self.provider.findings(environment).await)
        });
        // What takes too long, or may not be read, is not found: nothing depends on it.
        let findings = Self::meanwhile(&mut self.recorder, looking, looking_for_traps).await;
        for finding in findings.unwrap_or_default() {
            let text = format!("warning: {finding}");
            self.recorder.record(Event::Note { text });
        }
        let mut touched = Vec::new();
        for id in 0..self.faults.len() {
            self.may_go_on()?;
            self.within_limits(id, &touched)?;
            let capturing = attempt(self.limits.capture, async {
                self.faults[id].capture().await
            });
            let facts = &self.plan.faults[id].facts;
            let undo = Self::meanwhile(&mut self.recorder, looking, capturing)
                .await
                .map_err(|error| {
                    Halt::Trouble(format!(
                        "what would restore `{}` cannot be read: {error}",
                        facts.target
                    ))
                })?;
            let rehearsing = attempt(self.limits.capture, self.faults[id].rehearse());
            let notes = Self::meanwhile(&mut self.recorder, looking, rehearsing)
                .await
                .map_err(|error| {
                    Halt::Trouble(format!(
                        "the fault `{} {}` would not be carried out: {error}",
                        facts.kind, facts.target
                    ))
                })?;
            for text in notes {
                self.recorder.record(Event::Note { text });
            }
            touched.push(facts.target.clone());
            self.recorder.record(Event::Fault {
                id,
                step: FaultStep::Rehearsed,
                detail: Some(undo.words),
            });
        }
        Ok(())
    }

    /// Whether the environment allows to touch what a fault was resolved to, with these targets broken already.
    pub(super) fn within_limits(&self, id: usize, broken: &[String]) -> Result<(), Halt> {
        let limits = &self.plan.environment.limits;
        limits
            .permit(
                &self.faults[id].touches(),
                broken.iter().map(String::as_str),
            )
            .map_err(|breach| Halt::Trouble(format!("nothing more is touched: {breach}")))
    }
}
