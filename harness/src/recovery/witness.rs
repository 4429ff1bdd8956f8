//! Writes into the timeline of a run that is over for the harness, or stands still.

use std::{path::Path, time::Duration};

use tokio::time::Instant;

use crate::{
    journal::{Actor, Header},
    run::Witness,
    timeline::{Entry, Event, Phase, file::Writer},
};

/// Goes on with a run's events where the harness stopped. A timeline that cannot be written keeps nobody from restoring.
#[derive(Debug)]
pub(super) struct Scribe {
    writer: Option<Writer>,
    /// The architecture's time when this began.
    began_at: Duration,
    began: Instant,
    speed: f64,
}

impl Scribe {
    /// Opens the timeline beside a journal and says who reverts and why.
    pub(super) fn begin(journal: &Path, header: &Header, actor: Actor, why: &str) -> Self {
        let events = journal
            .parent()
            .map(|folder| folder.join(&header.events))
            .unwrap_or_default();
        let (writer, last) = match Writer::reopen(&events) {
            Ok((writer, last)) => (Some(writer), last),
            Err(_) => (None, Duration::ZERO),
        };
        let began_at = match actor {
            Actor::Guard | Actor::Harness => since_start(header).max(last),
            // It may be days later, which nobody wants to see drawn to scale: the words below say when.
            Actor::Revert => last,
        };
        let mut scribe = Self {
            writer,
            began_at,
            began: Instant::now(),
            speed: header.speed,
        };
        let now = jiff::Timestamp::now();
        scribe.record(Event::Note {
            text: format!("{why}: what is left is reverted ({now:.0})"),
        });
        scribe.record(Event::Phase {
            phase: Phase::Revert,
        });
        scribe
    }
}

/// The architecture's time now, by the wall's clock: the harness took its own with it.
fn since_start(header: &Header) -> Duration {
    let elapsed = header
        .started_at
        .parse::<jiff::Timestamp>()
        .ok()
        .map(|started| jiff::Timestamp::now().duration_since(started))
        .and_then(|elapsed| Duration::try_from(elapsed).ok())
        .unwrap_or_default();
    elapsed.mul_f64(header.speed)
}

impl Witness for Scribe {
    fn record(&mut self, event: Event) {
        let at = self.began_at + self.began.elapsed().mul_f64(self.speed);
        if let Some(writer) = &mut self.writer
            && writer.append(&Entry { at, event }).is_err()
        {
            self.writer = None;
        }
    }

    async fn during<T: Send>(&mut self, work: impl Future<Output = T> + Send) -> T {
        work.await
    }
}
