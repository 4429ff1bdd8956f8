//! Seconds on the horizontal axis of a figure.

use crate::report::quantity::trimmed;

/// Where a time lies in a figure.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    pub(super) left: f64,
    pub(super) width: f64,
    length_s: f64,
}

impl Scale {
    /// A scale for so many seconds on so many points.
    pub(super) fn new(length_s: f64, left: f64, width: f64) -> Self {
        let length_s = if length_s.is_finite() {
            length_s.clamp(0.1, 1e9)
        } else {
            0.1
        };
        Self {
            left,
            width,
            length_s,
        }
    }

    /// Where a time lies, never outside the figure.
    pub(super) fn x(self, seconds: f64) -> f64 {
        self.left + (seconds / self.length_s).clamp(0.0, 1.0) * self.width
    }

    /// Where the watching ended.
    pub(super) fn right(self) -> f64 {
        self.left + self.width
    }

    /// Round times, at most ten of them, each with its label.
    pub(super) fn ticks(self) -> Vec<(f64, String)> {
        const STEPS: [f64; 24] = [
            0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0,
            600.0, 900.0, 1800.0, 3600.0, 7200.0, 10_800.0, 21_600.0, 43_200.0, 86_400.0,
        ];
        let fits = |step: &f64| self.length_s / step <= 10.0;
        let step = STEPS.into_iter().find(fits).unwrap_or(self.length_s / 10.0);
        (0..=10)
            .map(|number| f64::from(number) * step)
            .take_while(|seconds| *seconds <= self.length_s * (1.0 + 1e-9))
            .map(|seconds| (self.x(seconds), clock(seconds, step)))
            .collect()
    }
}

/// `15 s`, `2:30`, `1:05:00`.
fn clock(seconds: f64, step: f64) -> String {
    if step < 1.0 {
        return format!("{} s", trimmed(seconds, 2));
    }
    // Ticks of whole seconds are whole seconds, but for the rounding.
    let whole = format!("{seconds:.0}").parse::<u64>().unwrap_or(0);
    match whole {
        0..60 => format!("{whole} s"),
        60..3600 => format!("{}:{:02}", whole / 60, whole % 60),
        _ => format!("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60),
    }
}

/// A coordinate, to a tenth of a point.
pub(super) fn point(number: f64) -> String {
    trimmed(number, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_few_whatever_the_length() {
        for (length, last) in [
            (0.4, "0.4 s"),
            (75.0, "1:10"),
            (362.0, "6:00"),
            (1200.0, "20:00"),
            (43_200.0, "12:00:00"),
            (f64::NAN, "0.1 s"),
        ] {
            let ticks = Scale::new(length, 0.0, 600.0).ticks();
            assert!((3..=11).contains(&ticks.len()), "{length}: {ticks:?}");
            assert_eq!(ticks[0].1, "0 s");
            assert_eq!(ticks[ticks.len() - 1].1, last, "{length}");
        }
    }

    #[test]
    fn no_time_lies_outside_the_figure() {
        let scale = Scale::new(60.0, 100.0, 600.0);
        for (seconds, x) in [(-1.0, 100.0), (30.0, 400.0), (90.0, 700.0)] {
            assert!((scale.x(seconds) - x).abs() < 1e-9);
        }
    }
}
