//! Numbers in words, with the precision that their bounds allow.

use std::time::Duration;

use super::Bounds;
use crate::episode::span::Span;

/// A duration without needless zeros: `30 s`, `0.4 s`.
pub(super) fn seconds(duration: Duration) -> String {
    format!("{} s", (duration.as_secs_f64() * 1000.0).round() / 1000.0)
}

/// A time on the run's own clock: `at 43.5 s`.
pub(super) fn at(time: Duration) -> String {
    format!("at {:.1} s", time.as_secs_f64())
}

/// A value with its bounds, rounded outwards: `43.5 s [43.1 .. 43.9]`; `more than 43.1 s` if open above; `0 s` for exactly nothing.
pub(super) fn span(value: Span) -> String {
    let lo = value.lo.as_secs_f64();
    let Some(hi) = value.hi.map(|hi| hi.as_secs_f64()) else {
        return format!("more than {lo:.1} s");
    };
    if hi <= lo {
        return seconds(value.lo);
    }
    let decimals = decimals(hi - lo);
    let scale = 10_f64.powi(i32::try_from(decimals).unwrap_or(3));
    // A hair of tolerance, or the way doubles are stored would push 0.3 up to 0.4.
    let lo_shown = (lo * scale + 1e-6).floor() / scale;
    let hi_shown = (hi * scale - 1e-6).ceil() / scale;
    let middle = f64::midpoint(lo, hi);
    format!("{middle:.decimals$} s [{lo_shown:.decimals$} .. {hi_shown:.decimals$}]")
}

/// Bounds alone, rounded outwards: `[43.1 .. 43.9]`.
pub(super) fn bounds(bounds: Bounds) -> String {
    let lo = (bounds.lo * 10.0).floor() / 10.0;
    match bounds.hi {
        Some(hi) => format!("[{lo:.1} .. {:.1}]", (hi * 10.0).ceil() / 10.0),
        None => format!("[{lo:.1} ..]"),
    }
}

/// So many digits that the last one still means something at this width.
fn decimals(width: f64) -> usize {
    if width >= 10.0 {
        0
    } else if width >= 0.1 {
        1
    } else if width >= 0.01 {
        2
    } else {
        3
    }
}

/// A percentage with its bounds: `97.31 % [97.25 .. 97.37]`.
pub(super) fn percent(lo: f64, hi: f64) -> String {
    if hi <= lo {
        format!("{lo:.2} %")
    } else {
        format!("{:.2} % [{lo:.2} .. {hi:.2}]", f64::midpoint(lo, hi))
    }
}

/// `1 sample`, `2 samples`.
pub(super) fn count(number: u64, one: &str) -> String {
    if number == 1 {
        format!("1 {one}")
    } else {
        format!("{number} {one}s")
    }
}

impl From<Span> for Bounds {
    fn from(span: Span) -> Self {
        Self {
            lo: rounded(span.lo),
            hi: span.hi.map(rounded),
        }
    }
}

/// Seconds to the microsecond, the unit of every time in files.
#[expect(
    clippy::cast_precision_loss,
    reason = "microseconds of 285 years fit a double exactly"
)]
pub(super) fn rounded(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn between(lo: u64, hi: u64) -> Span {
        Span::between(Duration::from_millis(lo), Duration::from_millis(hi))
    }

    #[test]
    fn digits_follow_the_width_of_the_bounds() {
        for (value, words) in [
            (between(43_100, 43_900), "43.5 s [43.1 .. 43.9]"),
            (between(43_110, 43_130), "43.12 s [43.11 .. 43.13]"),
            (between(43_111, 43_113), "43.112 s [43.111 .. 43.113]"),
            (between(40_000, 52_500), "46 s [40 .. 53]"),
            (between(0, 300), "0.1 s [0.0 .. 0.3]"),
            (between(5_000, 5_000), "5 s"),
        ] {
            assert_eq!(span(value), words);
        }
    }

    #[test]
    fn bounds_are_rounded_outwards_so_that_no_limit_seems_kept_that_was_not() {
        assert_eq!(span(between(29_960, 30_040 + 200)), "30.1 s [29.9 .. 30.3]");
    }

    #[test]
    fn what_has_not_ended_is_more_than_its_lower_bound() {
        assert_eq!(
            span(Span::after(Duration::from_mins(5))),
            "more than 300.0 s"
        );
    }
}
