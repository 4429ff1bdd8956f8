//! What is counted of a probe's samples, in memory that does not grow with their number.

use std::{collections::BTreeMap, time::Duration};

use super::{histogram::Histogram, sequence::intervals};
use crate::timeline::{ErrorClass, Sample, SampleVerdict, VoidReason};

/// Void samples in a row that are drawn as a gap of their own.
const GAP: u64 = 3;

/// When the fault and the revert were issued, as far as they are.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Marks {
    pub(crate) fault: Option<Duration>,
    pub(crate) revert: Option<Duration>,
}

impl Marks {
    /// Whether a sample that was over at this time tells of the steady state.
    pub(super) fn is_steady(&self, time: Duration) -> bool {
        self.fault.is_none_or(|fault| time <= fault)
    }
}

/// Counts of samples sent within a part of the run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) good: u64,
    pub(crate) bad: u64,
    pub(crate) void: u64,
}

impl Counts {
    /// All samples.
    pub(crate) fn all(self) -> u64 {
        self.good + self.bad + self.void
    }

    /// Those that count.
    pub(crate) fn usable(self) -> u64 {
        self.good + self.bad
    }

    /// The sum of two parts.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            good: self.good + other.good,
            bad: self.bad + other.bad,
            void: self.void + other.void,
        }
    }
}

/// Like answers in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answers {
    /// Whether they were good.
    pub(crate) good: bool,
    /// Their status; `None` for no answer.
    pub(crate) status: Option<u16>,
    /// When the first of them was sent.
    pub(crate) first: Duration,
    /// When the first of them was answered, or given up.
    pub(crate) answered: Duration,
    /// When the last of them was sent.
    pub(crate) last: Duration,
    /// How many.
    pub(crate) samples: u64,
}

/// Answers in a row that an edge had kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hits {
    /// The tier that had given the answer.
    pub(crate) tier: String,
    /// When the first of them was sent.
    pub(crate) first: Duration,
    /// When the last of them was sent.
    pub(crate) last: Duration,
    /// How many.
    pub(crate) samples: u64,
}

/// Void samples in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gap {
    /// When the first was due.
    pub(crate) from: Duration,
    /// When the first after them was due.
    pub(crate) to: Duration,
    /// How many.
    pub(crate) samples: u64,
    /// How many samples before them counted.
    pub(crate) position: u64,
}

/// What is counted of a probe's samples.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    before: Counts,
    held: Counts,
    after: Counts,
    bad: BTreeMap<ErrorClass, u64>,
    void: BTreeMap<VoidReason, u64>,
    lost: u64,
    latency: Histogram,
    lateness: Histogram,
    answers: Vec<Answers>,
    hits: Vec<Hits>,
    /// Whether the last sample was one of them.
    was_hit: bool,
    gaps: Vec<Gap>,
    gap: Option<Gap>,
    last_good: Option<Sample>,
    /// TTL of the newest answer sent before the fault.
    steady_ttl: Option<u32>,
}

impl Tally {
    /// Samples sent from the fault to the revert.
    pub(crate) fn held(&self) -> Counts {
        self.held
    }

    /// Samples sent from the revert on.
    pub(crate) fn after(&self) -> Counts {
        self.after
    }

    /// All samples.
    pub(crate) fn all(&self) -> Counts {
        self.before.plus(self.held).plus(self.after)
    }

    /// Bad samples by class.
    pub(crate) fn bad(&self) -> &BTreeMap<ErrorClass, u64> {
        &self.bad
    }

    /// Void samples by reason.
    pub(crate) fn void(&self) -> &BTreeMap<VoidReason, u64> {
        &self.void
    }

    /// Samples that are missing from the record.
    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }

    /// Latency of good samples.
    pub(crate) fn latency(&self, share: f64) -> Option<Duration> {
        self.latency.quantile(share)
    }

    /// The largest latency of a good sample.
    pub(crate) fn largest_latency(&self) -> Duration {
        self.latency.largest()
    }

    /// How late samples were sent, 99th percentile.
    pub(crate) fn late_p99(&self) -> Duration {
        self.lateness.quantile(0.99).unwrap_or_default()
    }

    /// Answers by status, run-length encoded.
    pub(crate) fn answers(&self) -> &[Answers] {
        &self.answers
    }

    /// Answers that said of themselves that an edge had kept them, in runs.
    pub(crate) fn hits(&self) -> &[Hits] {
        &self.hits
    }

    /// Where nothing was known for three samples or more.
    pub(crate) fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    /// The last good sample sent before the revert.
    pub(crate) fn last_good(&self) -> Option<&Sample> {
        self.last_good.as_ref()
    }

    /// The largest TTL of an answer before the fault.
    pub(crate) fn steady_ttl(&self) -> Option<u32> {
        self.steady_ttl
    }

    pub(super) fn take(&mut self, sample: &Sample, every: Duration, marks: &Marks) {
        match sample.verdict {
            // The run ended while it was under way: nobody was still looking, so nothing was missed.
            SampleVerdict::Void(VoidReason::Cancelled) => {
                *self.void.entry(VoidReason::Cancelled).or_default() += 1;
                return;
            }
            SampleVerdict::Void(reason) => {
                *self.void.entry(reason).or_default() += 1;
                self.part(sample.scheduled, marks).void += 1;
                let to = sample.scheduled.saturating_add(every);
                self.widen_gap(1, sample.scheduled, to);
                return;
            }
            SampleVerdict::Bad(class) => {
                *self.bad.entry(class).or_default() += 1;
                self.part(sample.start, marks).bad += 1;
            }
            SampleVerdict::Good => {
                self.latency.record(sample.end.saturating_sub(sample.start));
                self.part(sample.start, marks).good += 1;
                if marks.revert.is_none_or(|revert| sample.start < revert) {
                    self.last_good = Some(sample.clone());
                }
                if marks.fault.is_none_or(|fault| sample.start < fault) {
                    self.steady_ttl = self.steady_ttl.max(sample.ttl);
                }
            }
        }
        self.lateness
            .record(sample.start.saturating_sub(sample.scheduled));
        self.end_gap();
        self.note_answer(sample);
        self.note_hit(sample);
    }

    /// Counts samples that are missing from the record.
    pub(super) fn lose(&mut self, lost: u64, from: Duration, to: Duration, marks: &Marks) {
        self.lost = self.lost.saturating_add(lost);
        let part = self.part(from, marks);
        part.void = part.void.saturating_add(lost);
        self.widen_gap(lost, from, to);
    }

    pub(super) fn finish(&mut self) {
        self.end_gap();
    }

    fn part(&mut self, time: Duration, marks: &Marks) -> &mut Counts {
        if marks.revert.is_some_and(|revert| time >= revert) {
            &mut self.after
        } else if marks.fault.is_some_and(|fault| time >= fault) {
            &mut self.held
        } else {
            &mut self.before
        }
    }

    fn widen_gap(&mut self, samples: u64, from: Duration, to: Duration) {
        let position = self.all().usable();
        let gap = self.gap.get_or_insert(Gap {
            from,
            to,
            samples: 0,
            position,
        });
        gap.samples = gap.samples.saturating_add(samples);
        gap.to = gap.to.max(to);
    }

    fn end_gap(&mut self) {
        self.gaps
            .extend(self.gap.take().filter(|gap| gap.samples >= GAP));
    }

    fn note_hit(&mut self, sample: &Sample) {
        let x_cache = sample.headers.get("x-cache");
        let is_hit = x_cache.is_some_and(|value| value.starts_with("Hit"));
        let tier = sample.tier.as_ref().filter(|_| is_hit);
        let Some(tier) = tier.filter(|_| sample.verdict == SampleVerdict::Good) else {
            self.was_hit = false;
            return;
        };
        match self.hits.last_mut() {
            Some(last) if self.was_hit && last.tier == *tier => {
                last.last = sample.start;
                last.samples += 1;
            }
            Some(_) | None => self.hits.push(Hits {
                tier: tier.clone(),
                first: sample.start,
                last: sample.start,
                samples: 1,
            }),
        }
        self.was_hit = true;
    }

    fn note_answer(&mut self, sample: &Sample) {
        let good = sample.verdict == SampleVerdict::Good;
        match self.answers.last_mut() {
            Some(last) if last.good == good && last.status == sample.status => {
                last.last = sample.start;
                last.samples += 1;
            }
            Some(_) | None => self.answers.push(Answers {
                good,
                status: sample.status,
                first: sample.start,
                answered: sample.end,
                last: sample.start,
                samples: 1,
            }),
        }
    }
}

/// The time that void samples leave unseen.
pub(crate) fn unseen(counts: Counts, every: Duration) -> Duration {
    intervals(every, counts.void)
}
