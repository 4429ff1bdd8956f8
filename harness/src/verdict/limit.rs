//! The three-valued rule: a value known within bounds against a limit.
//!
//! It holds if the upper bound keeps the limit, it does not if the lower bound breaks it, and otherwise the measurement cannot decide.
//! What is open above can still be known to break its limit.

use std::time::Duration;

use super::{CheckStatus, words};
use crate::episode::{
    Watch,
    span::Span,
    tally::{Counts, unseen},
};

/// Void samples may be this share of a window before nothing can be said about it.
const MOST_VOID: f64 = 0.05;

/// A gap at an edge may be this share of the limit.
const WIDEST_GAP: f64 = 0.10;

/// What a measured duration rests on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quality {
    /// From one look to the next.
    pub(super) every: Duration,
    /// What a shorter interval would not improve: healthy latency and lateness.
    pub(super) overhead: Duration,
    /// How exactly the start of the clock is known.
    pub(super) start_width: Duration,
    /// The widest gap of void samples at an edge.
    pub(super) gap: Duration,
    /// Samples in the window.
    pub(super) window: Counts,
}

impl Quality {
    /// What a probe's measurements rest on.
    pub(super) fn of(watch: &Watch, window: Counts) -> Self {
        Self {
            every: watch.every(),
            overhead: watch.healthy_bound().saturating_add(watch.epsilon()),
            start_width: Duration::ZERO,
            gap: Duration::ZERO,
            window,
        }
    }

    /// Why nothing can be said, if so much is unknown.
    pub(super) fn void(&self, limit: Option<Duration>) -> Option<String> {
        if let Some(reason) = void(self.window) {
            return Some(reason);
        }
        let limit = limit.filter(|limit| !limit.is_zero())?;
        (self.gap.as_secs_f64() > WIDEST_GAP * limit.as_secs_f64()).then(|| {
            format!(
                "the measurement has a gap of {} at the time that decides",
                words::seconds(self.gap)
            )
        })
    }
}

/// Why nothing can be said about a window, if too many of its samples are void.
pub(super) fn void(window: Counts) -> Option<String> {
    #[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
    let share = window.void as f64 / window.all().max(1) as f64;
    (share > MOST_VOID).then(|| {
        format!(
            "{} of {} are void, and at most 5 % may be",
            window.void,
            words::count(window.all(), "sample")
        )
    })
}

/// Holds a value against a limit. Yields the status and the comparison in words.
pub(super) fn within(value: Span, limit: Duration, quality: &Quality) -> (CheckStatus, String) {
    let shown = words::span(value);
    let wanted = words::seconds(limit);
    if let Some(reason) = quality.void(Some(limit)) {
        return (
            CheckStatus::Inconclusive,
            format!("{shown} against {wanted}: {reason}"),
        );
    }
    if value.lo > limit {
        return (CheckStatus::Fail, format!("{shown} > {wanted}"));
    }
    match value.hi {
        Some(hi) if hi <= limit => (CheckStatus::Pass, format!("{shown} <= {wanted}")),
        Some(_) => {
            let cure = cure(value, limit, quality);
            (
                CheckStatus::Inconclusive,
                format!("{shown} against {wanted}: the limit lies within the bounds; {cure}"),
            )
        }
        None => (
            CheckStatus::Inconclusive,
            format!("{shown} against {wanted}: the watching ended too early; hold longer"),
        ),
    }
}

/// What would decide a value whose bounds the limit lies within.
fn cure(value: Span, limit: Duration, quality: &Quality) -> String {
    match deciding_interval(value, limit, quality) {
        Some(every) => format!("one sample every {} would decide it", words::seconds(every)),
        None => "no shorter interval would decide it, the two are too close".to_owned(),
    }
}

/// The interval at which the bounds, `2 * (I + H + epsilon)` wide, would no longer reach from the middle of the value to the limit.
fn deciding_interval(value: Span, limit: Duration, quality: &Quality) -> Option<Duration> {
    let distance = (value.middle()? - limit.as_secs_f64()).abs();
    let rest = distance - quality.overhead.as_secs_f64() - quality.start_width.as_secs_f64() / 2.0;
    if rest < 0.001 {
        return None;
    }
    // One digit, rounded down.
    let unit = 10_f64.powf(rest.log10().floor());
    let every = Duration::try_from_secs_f64((rest / unit + 1e-9).floor() * unit).ok()?;
    let every = Duration::from_micros(u64::try_from(every.as_nanos().div_ceil(1000)).ok()?);
    (every < quality.every).then_some(every)
}

/// The share of a window in which users were served, in percent, given for how long they were not.
pub(super) fn availability(
    down: Span,
    window: Duration,
    counts: Counts,
    every: Duration,
) -> Option<(f64, f64)> {
    let known = window.checked_sub(unseen(counts, every))?.as_secs_f64();
    if known <= 0.0 {
        return None;
    }
    let share = |down: Duration| (1.0 - down.as_secs_f64() / known).clamp(0.0, 1.0) * 100.0;
    Some((share(down.hi.unwrap_or(window)), share(down.lo)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn quality() -> Quality {
        Quality {
            every: ms(1000),
            overhead: ms(100),
            start_width: Duration::ZERO,
            gap: Duration::ZERO,
            window: Counts {
                good: 100,
                bad: 0,
                void: 0,
            },
        }
    }

    #[test]
    fn a_limit_is_kept_broken_or_cannot_be_decided() {
        for (lo, hi, limit, status) in [
            (100, Some(200), 200, CheckStatus::Pass),
            (100, Some(200), 199, CheckStatus::Inconclusive),
            (100, Some(200), 100, CheckStatus::Inconclusive),
            (100, Some(200), 99, CheckStatus::Fail),
            (100, None, 99, CheckStatus::Fail),
            (100, None, 100, CheckStatus::Inconclusive),
        ] {
            let value = Span {
                lo: ms(lo),
                hi: hi.map(ms),
            };
            let (found, message) = within(value, ms(limit), &quality());
            assert_eq!(found, status, "{message}");
        }
    }

    #[test]
    fn too_many_void_samples_decide_nothing_in_either_direction() {
        let mut quality = quality();
        quality.window.void = 6;
        for limit in [50, 500] {
            let (status, message) = within(Span::between(ms(100), ms(200)), ms(limit), &quality);
            assert_eq!(status, CheckStatus::Inconclusive);
            assert!(message.contains("6 of 106 samples are void"), "{message}");
        }
    }

    #[test]
    fn a_gap_at_the_edge_wider_than_a_tenth_of_the_limit_decides_nothing() {
        let mut quality = quality();
        quality.gap = ms(51);
        let value = Span::between(ms(100), ms(200));
        assert_eq!(
            within(value, ms(500), &quality).0,
            CheckStatus::Inconclusive
        );
        assert_eq!(within(value, ms(510), &quality).0, CheckStatus::Pass);
    }

    #[test]
    fn an_inconclusive_message_names_the_interval_that_would_decide() {
        let value = Span::between(ms(39_000), ms(41_000));
        let (_, message) = within(value, ms(40_550), &quality());
        assert!(
            message.ends_with("one sample every 0.4 s would decide it"),
            "{message}"
        );
        let (_, message) = within(value, ms(40_050), &quality());
        assert!(message.contains("no shorter interval"), "{message}");
    }

    #[test]
    fn a_comparison_reads_as_value_and_limit() {
        let value = Span::between(ms(43_100), ms(43_900));
        assert_eq!(
            within(value, ms(30_000), &quality()).1,
            "43.5 s [43.1 .. 43.9] > 30 s"
        );
        assert_eq!(
            within(value, ms(60_000), &quality()).1,
            "43.5 s [43.1 .. 43.9] <= 60 s"
        );
    }
}
