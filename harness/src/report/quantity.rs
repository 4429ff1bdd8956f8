//! Numbers as text, never with more digits than the measurement carries.

use crate::verdict::Bounds;

/// The decimals that a value deserves that is known within so many seconds: the last digit is never finer than that.
pub(crate) fn decimals(width_s: f64) -> usize {
    match width_s {
        width if width >= 1.0 => 0,
        width if width >= 0.1 => 1,
        width if width >= 0.01 => 2,
        // Nothing is timed better than to a millisecond, also where the bounds meet.
        _ => 3,
    }
}

/// The middle of the bounds, `47.6 s`; `> 240 s` where the end was not seen.
pub(crate) fn value(bounds: Bounds) -> String {
    match bounds.hi {
        Some(hi) if hi > bounds.lo => {
            let digits = decimals(hi - bounds.lo);
            format!("{:.digits$} s", f64::midpoint(bounds.lo, hi))
        }
        // Bounds that meet say nothing of how many digits there are.
        Some(_) => format!(
            "{} s",
            trimmed(bounds.lo, if bounds.lo < 1.0 { 3 } else { 1 })
        ),
        None => format!("> {} s", trimmed(bounds.lo, 1)),
    }
}

/// The middle of bounds; their beginning where the end was not seen.
pub(crate) fn middle(bounds: Bounds) -> f64 {
    bounds
        .hi
        .map_or(bounds.lo, |hi| f64::midpoint(bounds.lo, hi))
}

/// The bounds rounded outwards, `[47.4 .. 47.7]`, so that what is shown still holds.
pub(crate) fn range(bounds: Bounds) -> String {
    match bounds.hi {
        Some(hi) if hi > bounds.lo => {
            let digits = decimals(hi - bounds.lo);
            let (lo, hi) = (rounded_down(bounds.lo, digits), rounded_up(hi, digits));
            format!("[{lo:.digits$} .. {hi:.digits$}]")
        }
        Some(_) => String::new(),
        None => format!("[{} .. ?]", trimmed(bounds.lo, 1)),
    }
}

/// The time from the beginning of one moment to another.
pub(crate) fn since(from: Bounds, to: Bounds) -> Bounds {
    Bounds {
        lo: (to.lo - from.lo).max(0.0),
        hi: to.hi.map(|hi| (hi - from.lo).max(0.0)),
    }
}

/// A length of time on the wall's clock: `38.2s`, `1m22s`, `2h05m`.
pub(crate) fn elapsed(seconds: f64) -> String {
    let whole = whole_seconds(seconds);
    match whole {
        _ if seconds < 59.95 => format!("{:.1}s", seconds.max(0.0)),
        0..3600 => format!("{}m{:02}s", whole / 60, whole % 60),
        _ => format!("{}h{:02}m", whole / 3600, whole / 60 % 60),
    }
}

/// A short time, `1.8 ms` or `1.2 s`.
pub(crate) fn short(seconds: f64) -> String {
    if seconds < 0.9995 {
        let milliseconds = seconds * 1000.0;
        let digits = usize::from(milliseconds < 9.95);
        format!("{milliseconds:.digits$} ms")
    } else {
        format!("{} s", trimmed(seconds, 1))
    }
}

/// A number with at most so many decimals and no zeros behind them.
pub(crate) fn trimmed(number: f64, digits: usize) -> String {
    let text = format!("{number:.digits$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// A count with thousands apart, `1,640`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut result = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            result.push(',');
        }
        result.push(digit);
    }
    result
}

/// A count of things, `1 drill` or `9 drills`.
pub(crate) fn plural(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// Rounds a time to whole seconds; what is not a time is zero.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast saturates, and no run lasts that long"
)]
fn whole_seconds(seconds: f64) -> u64 {
    seconds.round() as u64
}

// Computed bounds are off by rounding errors, which must not cost a whole digit.
const NOISE: f64 = 1e-6;

fn rounded_down(number: f64, digits: usize) -> f64 {
    let unit = unit(digits);
    (number / unit + NOISE).floor() * unit
}

fn rounded_up(number: f64, digits: usize) -> f64 {
    let unit = unit(digits);
    (number / unit - NOISE).ceil() * unit
}

fn unit(digits: usize) -> f64 {
    match digits {
        0 => 1.0,
        1 => 0.1,
        2 => 0.01,
        _ => 0.001,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bounds(lo: f64, hi: f64) -> Bounds {
        Bounds { lo, hi: Some(hi) }
    }

    #[test]
    fn the_bounds_decide_how_many_digits_there_are() {
        for (lo, hi, expected) in [
            (47.4, 47.7, "47.5 s [47.4 .. 47.7]"),
            (60.2, 62.2, "61 s [60 .. 63]"),
            (10.0, 12.0, "11 s [10 .. 12]"),
            (0.1, 0.12, "0.11 s [0.10 .. 0.12]"),
            (0.1001, 0.1009, "0.101 s [0.100 .. 0.101]"),
            (0.0, 0.2, "0.1 s [0.0 .. 0.2]"),
            (5.0, 5.0, "5 s "),
            (0.0, 0.0, "0 s "),
        ] {
            let shown = format!("{} {}", value(bounds(lo, hi)), range(bounds(lo, hi)));
            assert_eq!(shown, expected);
        }
    }

    #[test]
    fn what_had_not_ended_has_no_upper_bound() {
        let open = Bounds {
            lo: 240.0,
            hi: None,
        };
        assert_eq!(value(open), "> 240 s");
        assert_eq!(range(open), "[240 .. ?]");
        assert_eq!(value(since(bounds(10.0, 10.2), open)), "> 230 s");
    }

    #[test]
    fn lengths_of_time_are_told_in_the_units_people_use() {
        for (seconds, expected) in [
            (0.0, "0.0s"),
            (38.24, "38.2s"),
            (59.96, "1m00s"),
            (82.0, "1m22s"),
            (7500.0, "2h05m"),
        ] {
            assert_eq!(elapsed(seconds), expected);
        }
        for (seconds, expected) in [
            (0.0018, "1.8 ms"),
            (0.0996, "100 ms"),
            (0.8, "800 ms"),
            (1.2, "1.2 s"),
            (3.0, "3 s"),
        ] {
            assert_eq!(short(seconds), expected);
        }
        assert_eq!(count(7), "7");
        assert_eq!(count(1640), "1,640");
        assert_eq!(count(1_234_567), "1,234,567");
    }

    proptest! {
        #[test]
        fn what_is_shown_contains_the_bounds_and_the_value(lo in 0.0..10_000.0_f64, width in 0.0001..50.0_f64) {
            let shown = range(bounds(lo, lo + width));
            let (low, high) = shown.trim_matches(['[', ']']).split_once(" .. ").expect("two bounds");
            let (low, high): (f64, f64) = (low.parse().expect("a number"), high.parse().expect("a number"));
            prop_assert!(low <= lo + 1e-5 && lo + width <= high + 1e-5);
            let middle: f64 = value(bounds(lo, lo + width)).trim_end_matches(" s").parse().expect("a number");
            prop_assert!(low - 1e-5 <= middle && middle <= high + 1e-5);
        }
    }
}
