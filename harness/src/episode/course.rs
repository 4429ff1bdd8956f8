//! From samples to outages: which state the system was in from when to when, and how well that is known.
//!
//! The rule is interval censoring with evidence from both ends of a sample. Samples are ordered by when they were *sent*; void ones
//! are skipped, which widens the bounds by itself.
//!
//! - A *bad* sample says: not answering at some instant of `[start, min(end, start + H)]`, where H is the healthy latency. Had the
//!   system stayed healthy for H after the start, the answer would have been there by then. So a request that hangs for its whole
//!   time-out places an edge as sharply as one that is refused.
//! - A *slow* sample, good but slower than H, says the same: a frozen system answers everything at once when it thaws, and what was
//!   sent shortly before comes back good.
//! - A *good* sample says: answering at its end.
//!
//! An outage exists if there is a bad sample. It grows over slow neighbours as long as they overlap it, for only then do they tell of
//! the same edge. Where the slowness goes on beyond that, the edge was not sharp, and the bad samples alone define it.

use std::{collections::BTreeMap, time::Duration};

use super::span::Span;
use crate::timeline::ErrorClass;

/// What a probe sees for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// Good answers from this tier.
    Tier(String),
    /// Good answers that no tier recognises.
    Other(String),
    /// Failures.
    Down,
}

/// A change from one state to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Edge {
    /// When, not yet widened by the prober's lateness.
    pub(crate) span: Span,
    /// How much of that is due to void samples.
    pub(crate) gap: Duration,
}

/// A time in one state.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stretch {
    /// The state.
    pub(crate) state: State,
    /// When it began.
    pub(crate) from: Edge,
    /// When it ended; `None` for the one in force.
    pub(crate) to: Option<Edge>,
    /// When its first sample was sent.
    pub(crate) first: Duration,
    /// When its last sample was sent.
    pub(crate) last: Duration,
    /// Samples in it.
    pub(crate) samples: u64,
    /// Bad ones among them.
    pub(crate) bad: u64,
    classes: BTreeMap<ErrorClass, u64>,
}

impl Stretch {
    /// The class of most of its failures.
    pub(crate) fn class(&self) -> Option<ErrorClass> {
        let mut most = None;
        for (class, count) in &self.classes {
            if most.is_none_or(|(_, top)| *count > top) {
                most = Some((*class, *count));
            }
        }
        most.map(|(class, _)| class)
    }

    /// Whether users were served.
    pub(crate) fn is_good(&self) -> bool {
        self.state != State::Down
    }

    /// Whether this tier answered.
    pub(crate) fn is_tier(&self, name: &str) -> bool {
        matches!(&self.state, State::Tier(tier) if tier == name)
    }
}

/// One look, as far as the course is concerned.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) start: Duration,
    pub(super) end: Duration,
    pub(super) seen: Sight,
}

/// What one look saw.
#[derive(Debug)]
pub(super) enum Sight {
    Bad(ErrorClass),
    Good(State),
    /// Good, from the tier of the steady state, and slower than it ever was there.
    Slow(State),
}

/// Slow samples in a row.
#[derive(Debug)]
struct Slow {
    state: State,
    /// When the sample before the first was sent.
    before: Option<Duration>,
    gap: Duration,
    first: Duration,
    first_end: Duration,
    last: Duration,
    earliest_end: Duration,
    latest_end: Duration,
    count: u64,
}

/// The states of one probe, in order.
#[derive(Debug, Default)]
pub(crate) struct Course {
    stretches: Vec<Stretch>,
    /// When the last sample that counts was sent.
    previous: Option<Duration>,
    /// The time of void samples since then.
    skipped: Duration,
    slow: Option<Slow>,
    stalls: u64,
    longest_stall: Duration,
}

impl Course {
    /// All stretches so far.
    pub(crate) fn stretches(&self) -> &[Stretch] {
        &self.stretches
    }

    /// Runs of slow samples with no failure among them, and the longest.
    pub(crate) fn stalls(&self) -> (u64, Duration) {
        (self.stalls, self.longest_stall)
    }

    /// Passes over void samples that took so much time.
    pub(super) fn skip(&mut self, time: Duration) {
        self.skipped = self.skipped.saturating_add(time);
    }

    /// Takes the next sample that counts. `healthy` is the latency H.
    pub(super) fn take(&mut self, look: Look, healthy: Duration) {
        let gap = std::mem::take(&mut self.skipped);
        let start = look.start;
        let down = self
            .stretches
            .last()
            .is_some_and(|current| !current.is_good());
        match (look.seen, down) {
            (Sight::Bad(class), true) => self.still_down(class, start, look.end, gap, healthy),
            (Sight::Bad(class), false) => self.go_down(class, start, look.end, gap, healthy),
            (Sight::Good(state), true) => self.come_up(state, start, look.end, gap),
            (Sight::Good(state), false) => {
                self.end_stall();
                self.stay_up(state, start, look.end, gap);
            }
            (Sight::Slow(state), true) => self.come_up_slowly(state, start, look.end, gap),
            (Sight::Slow(state), false) => {
                self.note_slow(&state, start, look.end, gap);
                self.stay_up(state, start, look.end, gap);
            }
        }
        self.previous = Some(start);
    }

    /// Settles what was waiting for the next sample.
    pub(super) fn finish(&mut self) {
        let down = self
            .stretches
            .last()
            .is_some_and(|current| !current.is_good());
        if down {
            self.settle_slow_rise();
        }
        self.end_stall();
    }

    fn note_slow(&mut self, state: &State, start: Duration, end: Duration, gap: Duration) {
        if let Some(slow) = &mut self.slow {
            slow.last = start;
            slow.earliest_end = slow.earliest_end.min(end);
            slow.latest_end = slow.latest_end.max(end);
            slow.count += 1;
        } else {
            self.slow = Some(Slow {
                state: state.clone(),
                before: self.previous,
                gap,
                first: start,
                first_end: end,
                last: start,
                earliest_end: end,
                latest_end: end,
                count: 1,
            });
        }
    }

    fn end_stall(&mut self) {
        if let Some(slow) = self.slow.take() {
            self.stalls += 1;
            let length = slow.latest_end.saturating_sub(slow.first);
            self.longest_stall = self.longest_stall.max(length);
        }
    }

    fn open(&mut self, state: State, from: Edge, first: Duration, last: Duration, samples: u64) {
        self.stretches.push(Stretch {
            state,
            from,
            to: None,
            first,
            last,
            samples,
            bad: 0,
            classes: BTreeMap::new(),
        });
    }

    /// Ends the stretch in force and begins another.
    fn change(&mut self, edge: Edge, state: State, first: Duration, last: Duration, samples: u64) {
        if let Some(current) = self.stretches.last_mut() {
            current.to = Some(edge);
        }
        self.open(state, edge, first, last, samples);
    }

    /// The change that follows from the sample before this one and an instant not after which it came.
    fn edge(&self, start: Duration, hi: Duration, gap: Duration) -> Edge {
        let lo = self.previous.unwrap_or(start);
        Edge {
            span: Span::between(lo, hi.max(lo)),
            gap,
        }
    }

    fn stay_up(&mut self, state: State, start: Duration, end: Duration, gap: Duration) {
        match self.stretches.last_mut() {
            Some(current) if current.state == state => {
                current.samples += 1;
                current.last = start;
            }
            Some(_) => {
                let edge = self.edge(start, end, gap);
                self.change(edge, state, start, start, 1);
            }
            None => {
                let edge = self.edge(start, start, gap);
                self.open(state, edge, start, start, 1);
            }
        }
    }

    fn go_down(
        &mut self,
        class: ErrorClass,
        start: Duration,
        end: Duration,
        gap: Duration,
        healthy: Duration,
    ) {
        let samples = self.stretches.last().map_or(0, |current| current.samples);
        let grown = self.slow.take_if(|slow| {
            slow.first_end >= start && slow.count < samples && slow.before.is_some()
        });
        if let Some(slow) = grown {
            let before = slow.before.unwrap_or(slow.first);
            if let Some(current) = self.stretches.last_mut() {
                current.samples -= slow.count;
                current.last = before;
            }
            let hi = slow.first_end.min(slow.first.saturating_add(healthy));
            let edge = Edge {
                span: Span::between(before, hi.max(before)),
                gap: slow.gap.max(gap),
            };
            self.change(edge, State::Down, slow.first, start, slow.count + 1);
        } else {
            self.end_stall();
            let hi = end.min(start.saturating_add(healthy));
            if samples == 0 {
                let edge = self.edge(start, start, gap);
                self.open(State::Down, edge, start, start, 1);
            } else {
                let edge = self.edge(start, hi, gap);
                self.change(edge, State::Down, start, start, 1);
            }
        }
        self.count_bad(class);
    }

    fn count_bad(&mut self, class: ErrorClass) {
        if let Some(current) = self.stretches.last_mut() {
            current.bad += 1;
            *current.classes.entry(class).or_default() += 1;
        }
    }

    fn still_down(
        &mut self,
        class: ErrorClass,
        start: Duration,
        end: Duration,
        gap: Duration,
        healthy: Duration,
    ) {
        let answered_before = self
            .slow
            .as_ref()
            .is_some_and(|slow| slow.earliest_end < start);
        if answered_before {
            self.settle_rise_before_failure(healthy);
            self.go_down(class, start, end, gap, healthy);
            return;
        }
        let absorbed = self.slow.take().map_or(0, |slow| slow.count);
        if let Some(current) = self.stretches.last_mut() {
            current.samples += absorbed + 1;
            current.last = start;
        }
        self.count_bad(class);
    }

    /// An answer as fast as ever, or from another tier: what was slow before it belongs to the outage.
    fn come_up(&mut self, state: State, start: Duration, end: Duration, gap: Duration) {
        let Some(current) = self.stretches.last_mut() else {
            return;
        };
        let edge = match self.slow.take() {
            Some(slow) => {
                current.samples += slow.count;
                current.last = slow.last;
                Edge {
                    span: Span::between(slow.last, slow.earliest_end.min(end)),
                    gap: slow.gap.max(gap),
                }
            }
            None => Edge {
                span: Span::between(current.last, end),
                gap,
            },
        };
        self.change(edge, state, start, start, 1);
    }

    /// A slow answer in an outage: sent before its end, or the sign that the service is back and slower than it was. Only the next
    /// samples tell.
    fn come_up_slowly(&mut self, state: State, start: Duration, end: Duration, gap: Duration) {
        let answered_before = self
            .slow
            .as_ref()
            .is_some_and(|slow| slow.earliest_end <= start || slow.state != state);
        if answered_before {
            self.settle_slow_rise();
            self.note_slow(&state, start, end, gap);
            self.stay_up(state, start, end, gap);
        } else {
            self.note_slow(&state, start, end, gap);
        }
    }

    /// The service came back, answered what was waiting, and failed again before anything showed how fast it was. Answers that came
    /// all at once are those of a thaw, whose edge is sharp.
    fn settle_rise_before_failure(&mut self, healthy: Duration) {
        let at_once = self
            .slow
            .as_ref()
            .is_some_and(|slow| slow.latest_end.saturating_sub(slow.earliest_end) <= healthy);
        if at_once && let (Some(slow), Some(current)) = (&self.slow, self.stretches.last_mut()) {
            current.last = slow.last;
        }
        self.settle_slow_rise();
    }

    /// The service came back and stayed slow: the bad samples alone say when.
    fn settle_slow_rise(&mut self) {
        let Some(slow) = &self.slow else { return };
        let Some(current) = self.stretches.last() else {
            return;
        };
        let edge = Edge {
            span: Span::between(current.last, slow.earliest_end),
            gap: slow.gap,
        };
        let (state, first, last, count) = (slow.state.clone(), slow.first, slow.last, slow.count);
        self.change(edge, state, first, last, count);
    }
}
