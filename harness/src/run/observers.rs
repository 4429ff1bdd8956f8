//! The system's own view, read again and again and recorded when it changes.

use std::{sync::Arc, time::Duration};

use tokio::{sync::mpsc, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::Clock;
use crate::{
    environment::{Environment, Observer},
    provider::Provider,
    timeline::Event,
};

/// Reads one observer until cancelled. A reading that fails is recorded as such, never as the last one.
pub(super) async fn observe(
    provider: Arc<dyn Provider>,
    environment: Arc<Environment>,
    observer: Observer,
    every: Duration,
    clock: Clock,
    events: mpsc::UnboundedSender<Event>,
    cancel: CancellationToken,
) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut last: Option<(Option<bool>, Duration)> = None;
    let reading = async {
        loop {
            ticks.tick().await;
            let begun = clock.now();
            let (healthy, detail) = match provider.health(&environment, &observer.watches).await {
                Ok(health) => (Some(health.healthy), health.detail),
                Err(error) => (None, error.to_string()),
            };
            let before = last.replace((healthy, begun));
            if before.is_none_or(|(before, _)| before != healthy) {
                let event = Event::Observed {
                    observer: observer.name.clone(),
                    healthy,
                    detail: Some(detail).filter(|detail| !detail.is_empty()),
                    before: before.map(|(_, begun)| begun),
                };
                if events.send(event).is_err() {
                    return;
                }
            }
        }
    };
    // Cancelled or told that nobody listens: either way there is nothing left to do.
    let _ended = cancel.run_until_cancelled(reading).await;
}
