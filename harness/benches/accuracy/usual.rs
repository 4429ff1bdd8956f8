//! How outages are usually measured, beside the way of this program.

use std::{sync::Arc, time::Duration};

use blackstart::{
    probe::{Probe, http::HttpProbe},
    run::Clock,
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};

use crate::outage::Within;

/// When a request was sent, when it was over, and whether the answer was good.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request {
    pub(crate) sent: f64,
    pub(crate) over: f64,
    pub(crate) good: bool,
}

/// Sends a request, waits for its answer, pauses, and so on: a closed loop.
pub(crate) async fn closed_loop(
    probe: Arc<HttpProbe>,
    clock: Clock,
    pause: Duration,
    requests: mpsc::UnboundedSender<Request>,
) {
    let mut number = 0;
    loop {
        let sent = Instant::now();
        let look = probe.look(number).await;
        let request = Request {
            sent: clock.at(sent).as_secs_f64(),
            over: clock.now().as_secs_f64(),
            good: look.trouble.is_none(),
        };
        if requests.send(request).is_err() {
            return;
        }
        number += 1;
        sleep(pause).await;
    }
}

/// What a status checker records of a closed loop: it stamps answers when they come, and when the status changes it closes its entry
/// and begins the next one only with the next answer. This is the logic of the HTTP check of a well-known chaos tool.
pub(crate) fn status_record(requests: &[Request]) -> Vec<Within> {
    let mut record = Vec::new();
    let mut entry: Option<(bool, f64)> = None;
    for request in requests {
        match entry {
            None => entry = Some((request.good, request.over)),
            Some((good, _)) if good == request.good => {}
            Some((good, since)) => {
                if !good {
                    record.push(Within {
                        lo: since,
                        hi: request.over,
                    });
                }
                entry = None;
            }
        }
    }
    record
}

/// The length of the outage within a window as the stamps of the first failure and the first success after the last failure tell it.
/// `stamp` says which stamp of a request is taken.
pub(crate) fn length(
    requests: &[Request],
    window: Within,
    stamp: impl Fn(&Request) -> f64,
) -> Option<f64> {
    let bad = |request: &&Request| !request.good && (window.lo..window.hi).contains(&request.sent);
    let last = requests
        .iter()
        .filter(bad)
        .map(|request| request.sent)
        .reduce(f64::max)?;
    let down = requests.iter().filter(bad).map(&stamp).reduce(f64::min)?;
    let up = requests
        .iter()
        .filter(|request| request.good && request.sent > last)
        .min_by(|one, other| one.sent.total_cmp(&other.sent))?;
    Some(stamp(up) - down)
}
