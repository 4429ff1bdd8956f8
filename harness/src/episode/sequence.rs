//! Samples in the order in which they were sent, whatever the order in which they were answered.

use std::{collections::BTreeMap, time::Duration};

use crate::timeline::{ProbeStarted, Sample};

/// Holds back samples until those sent before them are there.
#[derive(Debug)]
pub(super) struct Sequence {
    next: u64,
    waiting: BTreeMap<u64, Sample>,
    limit: usize,
}

impl Sequence {
    /// A sequence for a probe: what it may have under way at a time, and some more, is held back at most.
    pub(super) fn new(probe: &ProbeStarted) -> Self {
        /// Room for a probe whose sender and recorder are not in step.
        const SPARE: usize = 64;
        /// However short the interval, memory stays bounded.
        const MOST: usize = 4096;
        let under_way = probe.timeout.as_micros() / probe.every.as_micros().max(1);
        Self {
            next: 0,
            waiting: BTreeMap::new(),
            limit: usize::try_from(under_way)
                .unwrap_or(MOST)
                .saturating_add(SPARE)
                .min(MOST),
        }
    }

    /// Takes a sample. A second one with the same number is left out.
    pub(super) fn push(&mut self, sample: &Sample) {
        if sample.seq >= self.next {
            self.waiting
                .entry(sample.seq)
                .or_insert_with(|| sample.clone());
        }
    }

    /// Yields the next sample in order, if it is there, and how many before it are lost for good.
    pub(super) fn pop(&mut self, last: Last) -> Option<(Sample, u64)> {
        let first = *self.waiting.keys().next()?;
        let give_up = last == Last::Yes || self.waiting.len() > self.limit;
        if first != self.next && !give_up {
            return None;
        }
        let sample = self.waiting.remove(&first)?;
        let lost = first - self.next;
        self.next = first.saturating_add(1);
        Some((sample, lost))
    }
}

/// Whether more samples may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Last {
    /// None will.
    Yes,
    /// Some may.
    No,
}

/// So many intervals, at most as long as a duration can be.
pub(super) fn intervals(every: Duration, count: u64) -> Duration {
    every.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX))
}
