//! Quantiles of durations in constant memory.

use std::time::Duration;

/// Buckets per doubling: a quantile is too large by at most 1/32.
const FINE: u32 = 32;
const FINE_BITS: u32 = FINE.ilog2();

/// Counts durations in buckets whose width grows with their value. The unit is the microsecond.
#[derive(Debug, Clone, Default)]
pub(crate) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    largest: Duration,
}

impl Histogram {
    /// Counts one duration.
    pub(crate) fn record(&mut self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = bucket(micros);
        if self.buckets.len() <= bucket {
            self.buckets.resize(bucket + 1, 0);
        }
        self.buckets[bucket] += 1;
        self.count += 1;
        self.largest = self.largest.max(duration);
    }

    /// The duration that a share of those counted does not exceed, too large by 3 % at most; `None` if none was counted.
    pub(crate) fn quantile(&self, share: f64) -> Option<Duration> {
        if self.count == 0 {
            return None;
        }
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank among less than 2^53, not negative"
        )]
        let rank = ((self.count as f64 * share).ceil() as u64).clamp(1, self.count);
        let mut below = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            below += count;
            if below >= rank {
                return Some(Duration::from_micros(largest_in(bucket)).min(self.largest));
            }
        }
        Some(self.largest)
    }

    /// The largest duration counted.
    pub(crate) fn largest(&self) -> Duration {
        self.largest
    }
}

/// The bucket of a value: one each below `FINE`, then `FINE` for every doubling.
fn bucket(micros: u64) -> usize {
    let doublings = micros
        .checked_ilog2()
        .map_or(0, |log| log.saturating_sub(FINE_BITS));
    let fine = micros >> doublings;
    let index = u64::from(doublings) * u64::from(FINE) + fine;
    usize::try_from(index).expect("64 doublings of 32 buckets fit a usize")
}

/// The largest value that falls into a bucket.
fn largest_in(bucket: usize) -> u64 {
    let bucket = u64::try_from(bucket).expect("a usize fits 64 bits");
    let fine = u64::from(FINE);
    let doublings = (bucket / fine).saturating_sub(1);
    let mantissa = bucket - doublings * fine;
    ((u128::from(mantissa) + 1) << doublings)
        .saturating_sub(1)
        .try_into()
        .unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_counted_has_no_quantile() {
        assert_eq!(Histogram::default().quantile(0.5), None);
    }

    #[test]
    fn a_quantile_is_never_larger_than_the_largest() {
        let mut histogram = Histogram::default();
        histogram.record(Duration::from_micros(1_000_001));
        assert_eq!(
            histogram.quantile(0.99),
            Some(Duration::from_micros(1_000_001))
        );
    }

    proptest! {
        #[test]
        fn a_bucket_ends_at_or_a_little_above_every_value_in_it(micros: u64) {
            let end = largest_in(bucket(micros));
            prop_assert!(end >= micros);
            prop_assert!(u128::from(end) <= u128::from(micros) + u128::from(micros) / u128::from(FINE));
        }

        #[test]
        fn a_quantile_is_that_of_the_sorted_values_within_three_percent(
            micros in proptest::collection::vec(0u64..10_000_000, 1..200),
            share in 0.0f64..=1.0,
        ) {
            let mut histogram = Histogram::default();
            for value in &micros {
                histogram.record(Duration::from_micros(*value));
            }
            let found = u64::try_from(histogram.quantile(share).unwrap().as_micros()).unwrap();
            let below = micros.iter().filter(|value| **value <= found).count();
            let count = f64::from(u32::try_from(micros.len()).unwrap());
            prop_assert!(f64::from(u32::try_from(below).unwrap()) >= count * share, "{found}");
            let smaller = found - found / 32 - 1;
            let below = micros.iter().filter(|value| **value < smaller).count();
            prop_assert!(f64::from(u32::try_from(below).unwrap()) <= count * share, "{found}");
        }
    }
}
