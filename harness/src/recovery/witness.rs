//! Writes into the timeline of a run that is over for the harness, or stands still.

use std::{path::Path, time::Duration};

use tokio::{
    task::spawn_blocking,
    time::{Instant, timeout},
};

use crate::{
    journal::{Actor, Header},
    run::Witness,
    timeline::{Entry, Event, Phase, file::Writer},
};

/// How long a disk may take for what is told. What is restored is restored.
const LIMIT: Duration = Duration::from_secs(5);

/// Remembers what happens, to tell it where the harness's own events end. A timeline that cannot be written keeps nobody from
/// restoring.
#[derive(Debug)]
pub(super) struct Scribe {
    actor: Actor,
    began: Instant,
    wall_began: jiff::Timestamp,
    events: Vec<(Instant, Event)>,
}

impl Scribe {
    /// Says who reverts and why.
    pub(super) fn begin(actor: Actor, why: &str) -> Self {
        let wall_began = jiff::Timestamp::now();
        let mut scribe = Self {
            actor,
            began: Instant::now(),
            wall_began,
            events: Vec::new(),
        };
        scribe.record(Event::Note {
            text: format!("{why}: what is left is reverted ({wall_began:.0})"),
        });
        scribe.record(Event::Phase {
            phase: Phase::Revert,
        });
        scribe
    }

    /// Writes it into the timeline beside a journal.
    pub(super) async fn write(self, journal: &Path, header: &Header) {
        let folder = journal.parent().unwrap_or(Path::new("")).to_owned();
        let events = folder.join(&header.events);
        let since_start = since_start(header, self.wall_began);
        let speed = header.speed;
        let writing = spawn_blocking(move || self.append(&events, since_start, speed));
        // What cannot be told there is in the journal, and is said by whoever restored.
        drop(timeout(LIMIT, writing).await);
    }

    fn append(self, events: &Path, since_start: Duration, speed: f64) {
        let Ok((mut writer, last)) = Writer::reopen(events) else {
            return;
        };
        let began_at = match self.actor {
            Actor::Guard | Actor::Harness => since_start.max(last),
            // It may be days later, which nobody wants to see drawn to scale: the words say when.
            Actor::Revert => last,
        };
        for (instant, event) in self.events {
            let at = began_at + (instant - self.began).mul_f64(speed);
            if writer.append(&Entry { at, event }).is_err() {
                return;
            }
        }
    }
}

/// The architecture's time by the wall's clock: the harness took its own with it.
fn since_start(header: &Header, now: jiff::Timestamp) -> Duration {
    let elapsed = header
        .started_at
        .parse::<jiff::Timestamp>()
        .ok()
        .map(|started| now.duration_since(started))
        .and_then(|elapsed| Duration::try_from(elapsed).ok())
        .unwrap_or_default();
    elapsed.mul_f64(header.speed)
}

impl Witness for &mut Scribe {
    fn record(&mut self, event: Event) {
        Scribe::record(self, event);
    }

    async fn during<T: Send>(&mut self, work: impl Future<Output = T> + Send) -> T {
        work.await
    }
}

impl Scribe {
    fn record(&mut self, event: Event) {
        self.events.push((Instant::now(), event));
    }
}
