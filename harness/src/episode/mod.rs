//! What the system did, read from the samples of one probe as they come.
//!
//! A [`Watch`] takes samples in any order of completion, puts them back in the order in which they were sent, and keeps only what it
//! sees for how long: the same for a minute and for a week of samples, but for the number of changes. The runner asks it while a
//! drill runs, and the judge when it is over, so both see the same outage.
//!
//! - `course` turns samples into stretches with bounds, `disruption` stretches into outages with their recovery.
//! - `tally` counts, `lifetime` follows a resolver's TTLs, `histogram` and `span` are the arithmetic.

pub(crate) mod course;
pub(crate) mod disruption;
pub(crate) mod histogram;
pub(crate) mod lifetime;
mod sequence;
pub(crate) mod span;
pub(crate) mod tally;
#[cfg(test)]
mod tests;

use std::time::Duration;

use self::{
    course::{Course, Look, Sight, State, Stretch},
    disruption::{Disruption, Stability, disruptions},
    lifetime::Lifetimes,
    sequence::{Last, Sequence, intervals},
    tally::{Marks, Tally},
};
use crate::{
    environment::DnsView,
    timeline::{ProbeKind, ProbeStarted, Sample, SampleVerdict},
};

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
///
/// A sample counts when all that were sent before it are there, so what it says lags by one time-out at most.
#[derive(Debug)]
pub struct Watch {
    every: Duration,
    good_within: Duration,
    speed: f64,
    /// A real millisecond: below that, times are not told apart.
    slack: Duration,
    standby: Option<String>,
    follows_ttl: bool,
    order: Sequence,
    healthy: Healthy,
    course: Course,
    tally: Tally,
    lifetimes: Lifetimes,
    marks: Marks,
}

/// What the steady state says about healthy latency.
#[derive(Debug, Default)]
struct Healthy {
    largest: Option<Duration>,
    state: Option<State>,
}

impl Watch {
    /// Starts to watch through a probe. `speed` is how many times as fast as the wall's clock the samples' time runs; what is no
    /// positive number counts as 1.
    pub fn new(probe: &ProbeStarted, speed: f64) -> Self {
        let speed = if speed.is_finite() && speed > 0.0 {
            speed
        } else {
            1.0
        };
        let millisecond = Duration::from_millis(1);
        let follows_ttl = match &probe.kind {
            ProbeKind::Dns { view, .. } => *view != DnsView::Authority,
            ProbeKind::Http { .. } => false,
        };
        Self {
            every: probe.every,
            good_within: probe.good_within,
            speed,
            slack: Duration::try_from_secs_f64(millisecond.as_secs_f64() * speed)
                .unwrap_or(millisecond),
            standby: match &probe.kind {
                ProbeKind::Http { standby, .. } => standby.clone(),
                ProbeKind::Dns { .. } => None,
            },
            follows_ttl,
            order: Sequence::new(probe),
            healthy: Healthy::default(),
            course: Course::default(),
            tally: Tally::default(),
            lifetimes: Lifetimes::default(),
            marks: Marks::default(),
        }
    }

    /// Takes a sample, in any order of completion. Samples of other probes must not be given to it.
    pub fn push(&mut self, sample: &Sample) {
        self.order.push(sample);
        self.drain(Last::No);
    }

    /// Fixes what counts as healthy: whatever ended before `at` was the steady state. To be called when the first fault is issued;
    /// later calls change nothing.
    pub fn steady_until(&mut self, at: Duration) {
        self.marks.fault.get_or_insert(at);
    }

    /// Says that the revert was issued: what is sent from `at` on no longer tells of the failover. Later calls change nothing.
    pub fn reverted_from(&mut self, at: Duration) {
        self.marks.revert.get_or_insert(at);
    }

    /// Counts what was held back for samples that never came. To be called when no more will be pushed.
    pub fn finish(&mut self) {
        self.drain(Last::Yes);
        self.course.finish();
        self.tally.finish();
    }

    /// The good samples since the last failure; `None` if the last sample failed or there is none.
    pub fn good_run(&self) -> Option<GoodRun<'_>> {
        let stretches = self.stretches();
        let last = stretches.last().filter(|last| last.is_good())?;
        let run = stretches.iter().rev().take_while(|next| next.is_good());
        let (mut since, mut samples, mut same) = (last.first, 0, true);
        for stretch in run {
            since = stretch.first;
            samples += stretch.samples;
            same &= stretch.state == last.state;
        }
        let tier = match &last.state {
            State::Tier(tier) if same => Some(tier.as_str()),
            State::Tier(_) | State::Other(_) | State::Down => None,
        };
        Some(GoodRun {
            since,
            until: last.last,
            samples,
            tier,
        })
    }

    /// Whether users are served in a stable way now: at least five good samples and the longer of five seconds and ten intervals
    /// without a failure, counted from `after`; on `tier`, if one is asked for. Yields when that began, not before `after`.
    pub fn stable_since(&self, after: Duration, tier: Option<&str>) -> Option<Duration> {
        let (since, until, samples) = match tier {
            None => self
                .good_run()
                .map(|run| (run.since, run.until, run.samples))?,
            Some(tier) => {
                let last = self.stretches().last().filter(|last| last.is_tier(tier))?;
                (last.first, last.last, last.samples)
            }
        };
        let since = since.max(after);
        self.stability()
            .holds(since, until, samples)
            .then_some(since)
    }

    /// When the first failure after `after` was sent, if there was one. An outage that was there already begins at `after`.
    pub fn failed_since(&self, after: Duration) -> Option<Duration> {
        self.stretches()
            .iter()
            .find(|stretch| !stretch.is_good() && stretch.last >= after)
            .map(|stretch| stretch.first.max(after))
    }

    /// Whether users failed after `fault` and have been served in a stable way since. Yields when the stable run began.
    pub fn recovered_since(&self, fault: Duration) -> Option<Duration> {
        let failed = self.failed_since(fault)?;
        self.stable_since(failed, None)
    }

    /// The tier that answers now, if the last sample that counts was good and recognised.
    pub fn tier(&self) -> Option<&str> {
        match &self.stretches().last()?.state {
            State::Tier(tier) => Some(tier),
            State::Other(_) | State::Down => None,
        }
    }

    /// The standby that the probe watches, if it watches one.
    pub fn standby(&self) -> Option<&str> {
        self.standby.as_deref()
    }

    pub(crate) fn stretches(&self) -> &[Stretch] {
        self.course.stretches()
    }

    pub(crate) fn stalls(&self) -> (u64, Duration) {
        self.course.stalls()
    }

    pub(crate) fn disruptions(&self) -> Vec<Disruption> {
        disruptions(self.stretches(), self.stability())
    }

    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    pub(crate) fn lifetimes(&self) -> &Lifetimes {
        &self.lifetimes
    }

    pub(crate) fn every(&self) -> Duration {
        self.every
    }

    pub(crate) fn speed(&self) -> f64 {
        self.speed
    }

    pub(crate) fn stability(&self) -> Stability {
        Stability::of(self.every)
    }

    /// The healthy latency H: twice the largest of the steady state and two real milliseconds, and never more than a good answer may
    /// take.
    pub(crate) fn healthy_bound(&self) -> Duration {
        self.healthy.largest.map_or(self.good_within, |largest| {
            largest
                .saturating_mul(2)
                .saturating_add(self.slack.saturating_mul(2))
                .min(self.good_within)
        })
    }

    /// By how much every edge is widened: a real millisecond, or the prober's lateness if that is more.
    pub(crate) fn epsilon(&self) -> Duration {
        self.tally.late_p99().max(self.slack)
    }

    fn drain(&mut self, last: Last) {
        while let Some((sample, lost)) = self.order.pop(last) {
            if lost > 0 {
                self.course.skip(intervals(self.every, lost));
                let due = sample.scheduled;
                let from = due.saturating_sub(intervals(self.every, lost));
                self.tally.lose(lost, from, due, &self.marks);
            }
            self.take(&sample);
        }
    }

    fn take(&mut self, sample: &Sample) {
        self.tally.take(sample, self.every, &self.marks);
        let seen = match sample.verdict {
            SampleVerdict::Void(_) => {
                self.course.skip(self.every);
                return;
            }
            SampleVerdict::Bad(class) => Sight::Bad(class),
            SampleVerdict::Good => {
                let state = if let Some(tier) = &sample.tier {
                    State::Tier(tier.clone())
                } else {
                    // Servers rotate addresses; the same set is the same answer.
                    let mut answers = sample.answers.clone();
                    answers.sort_unstable();
                    State::Other(answers.join(" "))
                };
                if self.follows_ttl
                    && let Some(ttl) = sample.ttl
                {
                    self.lifetimes.take(&state, sample.start, sample.end, ttl);
                    if self.marks.fault.is_none() {
                        self.lifetimes.forget();
                    }
                }
                self.sight(sample, state)
            }
        };
        self.learn(sample, &seen);
        let healthy = self.healthy_bound();
        let look = Look {
            start: sample.start,
            end: sample.end.max(sample.start),
            seen,
        };
        self.course.take(look, healthy);
    }

    /// Whether a good answer was slow. Only against the tier of the steady state: nobody knows how fast another one is in health.
    fn sight(&self, sample: &Sample, state: State) -> Sight {
        let steady = self.marks.is_steady(sample.end);
        let took = sample.end.saturating_sub(sample.start);
        let known = self.healthy.state.as_ref() == Some(&state);
        if !steady && known && took > self.healthy_bound() {
            Sight::Slow(state)
        } else {
            Sight::Good(state)
        }
    }

    fn learn(&mut self, sample: &Sample, seen: &Sight) {
        if !self.marks.is_steady(sample.end) {
            return;
        }
        match seen {
            // The steady state begins anew after a failure, and with it what is healthy.
            Sight::Bad(_) => self.healthy = Healthy::default(),
            Sight::Good(state) | Sight::Slow(state) => {
                let took = sample.end.saturating_sub(sample.start);
                self.healthy.largest = self.healthy.largest.max(Some(took));
                self.healthy.state = Some(state.clone());
            }
        }
    }
}
