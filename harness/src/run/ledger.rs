//! Reading the ledger of writes back at the end of the hold, while what took over is still serving.

use std::time::Duration;

use super::{
    engine::{Engine, Halt},
    looking::Looking,
};
use crate::timeline::Event;

/// How often the ledger is asked for. A service that is down has the rest of the drill to be judged by.
const ATTEMPTS: u32 = 3;

/// How long one attempt may take, in real time.
const LIMIT: Duration = Duration::from_secs(5);

impl Engine<'_> {
    /// Records which writes are there. That they cannot be read is told in the event, and judged later.
    pub(super) async fn read_ledger(&mut self, looking: &mut Looking) -> Result<(), Halt> {
        let Some(ledger) = self.ledger.take() else {
            return Ok(());
        };
        let mut trouble = String::new();
        for _ in 0..ATTEMPTS {
            let before = self.clock.now();
            // On the heap: it is asked once in a run, and would make every future of the run as large.
            let reading = Box::pin(ledger.read(LIMIT));
            match Self::meanwhile(&mut self.recorder, looking, reading).await {
                Ok(found) => {
                    self.recorder.record(Event::Ledger {
                        before,
                        found: Some(found),
                        detail: None,
                    });
                    return self.may_go_on();
                }
                Err(error) => trouble = error,
            }
            self.may_go_on()?;
        }
        self.recorder.record(Event::Ledger {
            before: self.clock.now(),
            found: None,
            detail: Some(trouble),
        });
        Ok(())
    }
}
