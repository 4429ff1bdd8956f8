//! Times and durations that are known within bounds, in exact arithmetic.

use std::time::Duration;

/// A time, or a duration, between two others. Open above if it had not ended when the watching did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    /// Not before this.
    pub(crate) lo: Duration,
    /// Not after this.
    pub(crate) hi: Option<Duration>,
}

impl Span {
    /// Nothing at all.
    pub(crate) const ZERO: Self = Self {
        lo: Duration::ZERO,
        hi: Some(Duration::ZERO),
    };

    /// A time known exactly.
    pub(crate) fn at(time: Duration) -> Self {
        Self::between(time, time)
    }

    /// A time between two others.
    pub(crate) fn between(lo: Duration, hi: Duration) -> Self {
        Self {
            lo: lo.min(hi),
            hi: Some(hi),
        }
    }

    /// A time after another.
    pub(crate) fn after(lo: Duration) -> Self {
        Self { lo, hi: None }
    }

    /// Moves both ends apart.
    pub(crate) fn widened(self, by: Duration) -> Self {
        Self {
            lo: self.lo.saturating_sub(by),
            hi: self.hi.map(|hi| hi.saturating_add(by)),
        }
    }

    /// The same time, knowing that it is not before another.
    pub(crate) fn not_before(self, earliest: Duration) -> Self {
        Self {
            lo: self.lo.max(earliest),
            hi: self.hi.map(|hi| hi.max(earliest)),
        }
    }

    /// The duration from another time to this one, never negative.
    pub(crate) fn since(self, start: Self) -> Self {
        Self {
            lo: start
                .hi
                .map_or(Duration::ZERO, |hi| self.lo.saturating_sub(hi)),
            hi: self.hi.map(|hi| hi.saturating_sub(start.lo)),
        }
    }

    /// The later of two times.
    pub(crate) fn later(self, other: Self) -> Self {
        Self {
            lo: self.lo.max(other.lo),
            hi: self.hi.zip(other.hi).map(|(left, right)| left.max(right)),
        }
    }

    /// The middle, in seconds; `None` if open above.
    pub(crate) fn middle(self) -> Option<f64> {
        self.hi
            .map(|hi| f64::midpoint(self.lo.as_secs_f64(), hi.as_secs_f64()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_duration_takes_the_nearest_and_the_farthest_ends() {
        let start = Span::between(s(10), s(12));
        let stop = Span::between(s(50), s(51));
        assert_eq!(stop.since(start), Span::between(s(38), s(41)));
    }

    #[test]
    fn a_duration_is_never_negative() {
        assert_eq!(Span::at(s(3)).since(Span::at(s(5))), Span::ZERO);
    }

    #[test]
    fn what_has_not_ended_is_open_above() {
        let start = Span::at(s(5));
        assert_eq!(Span::after(s(65)).since(start), Span::after(s(60)));
        assert_eq!(Span::after(s(1)).later(Span::at(s(9))), Span::after(s(9)));
    }

    #[test]
    fn a_start_that_is_open_above_leaves_no_lower_bound() {
        let duration = Span::at(s(9)).since(Span::after(s(2)));
        assert_eq!(duration, Span::between(s(0), s(7)));
    }
}
