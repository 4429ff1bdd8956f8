//! What the system did, read from the samples of one probe as they come.
//!
//! A [`Watch`] takes samples in any order of completion, puts them back in the order in which they were sent, and keeps only what it
//! sees for how long: the same for a minute and for a week of samples, but for the number of changes. The runner asks it while a
//! drill runs, and the judge when it is over, so both see the same outage.

use std::time::Duration;

use crate::timeline::{ProbeStarted, Sample};

/// A run of good samples without a failure among them, up to now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GoodRun<'a> {
    /// When its first sample was sent.
    pub since: Duration,
    /// When its last sample was sent.
    pub until: Duration,
    /// Samples in it.
    pub samples: u64,
    /// The tier that answered, if it was one and the same.
    pub tier: Option<&'a str>,
}

/// What one probe has seen so far.
#[derive(Debug)]
pub struct Watch {}

impl Watch {
    /// Starts to watch through a probe. `speed` is how many times as fast as the wall's clock the samples' time runs.
    pub fn new(probe: &ProbeStarted, speed: f64) -> Self {
        let _ = (probe, speed);
        Self {}
    }

    /// Takes a sample, in any order of completion. Samples of other probes must not be given to it.
    pub fn push(&mut self, sample: &Sample) {
        let _ = sample;
    }

    /// Fixes what counts as healthy: whatever ended before `at` was the steady state. To be called when the first fault is issued.
    pub fn steady_until(&mut self, at: Duration) {
        let _ = at;
    }

    /// The good samples since the last failure; `None` if the last sample failed or there is none.
    pub fn good_run(&self) -> Option<GoodRun<'_>> {
        None
    }

    /// Whether users are served in a stable way now: at least five good samples and the longer of five seconds and ten intervals
    /// without a failure, counted from `after`; on `tier`, if one is asked for. Yields when that began, not before `after`.
    pub fn stable_since(&self, after: Duration, tier: Option<&str>) -> Option<Duration> {
        let _ = (after, tier);
        None
    }

    /// When the first failure after `after` was sent, if there was one. An outage that was there already begins at `after`.
    pub fn failed_since(&self, after: Duration) -> Option<Duration> {
        let _ = after;
        None
    }

    /// Whether users failed after `fault` and have been served in a stable way since. Yields when the stable run began.
    pub fn recovered_since(&self, fault: Duration) -> Option<Duration> {
        let failed = self.failed_since(fault)?;
        self.stable_since(failed, None)
    }
}
