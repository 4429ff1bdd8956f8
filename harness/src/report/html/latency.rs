//! The latency of good samples, on an axis of powers of ten.

use std::fmt::Write;

use maud::{Markup, html};

use super::scale::{Scale, point};
use crate::report::{Report, quantity::short};

/// How high the lane is.
pub(super) const HEIGHT: f64 = 58.0;

/// What is drawn: for each time the median, and a line from the least to the largest.
pub(super) struct Plot {
    /// From left to right: where it begins, how wide it is, and the logarithms of least, median and largest.
    columns: Vec<(f64, f64, [f64; 3])>,
    /// The logarithm of what is called good.
    limit: Option<f64>,
    /// The powers of ten at the bottom and at the top.
    powers: [i32; 2],
    left: f64,
    right: f64,
}

impl Plot {
    /// The plot of a report, if there were good samples.
    pub(super) fn of(report: &Report, scale: Scale) -> Option<Self> {
        let columns: Vec<(f64, f64, [f64; 3])> = report
            .recorded
            .latency
            .buckets()
            .map(|(from, to, bucket)| {
                let (from, to) = (scale.x(from), scale.x(to));
                let heights = [bucket.least_s, bucket.median_s(), bucket.largest_s];
                (
                    from,
                    to - from,
                    heights.map(|seconds| seconds.max(1e-5).log10()),
                )
            })
            .collect();
        let all = columns.iter().flat_map(|(.., heights)| heights).copied();
        let limit = report.measurement.good_within_s;
        let limit = (limit > 0.0).then(|| limit.log10());
        let least = all.clone().reduce(f64::min)?;
        let largest = all.chain(limit).reduce(f64::max)?;
        let (bottom, top) = (power(least.floor()), power(largest.ceil()));
        Some(Self {
            columns,
            limit,
            powers: [bottom, top.max(bottom + 1)],
            left: scale.left,
            right: scale.right(),
        })
    }

    /// Draws it below a height.
    pub(super) fn draw(&self, top: f64) -> Markup {
        let [lowest, highest] = self.powers.map(f64::from);
        let y = |height: f64| top + (highest - height) / (highest - lowest) * HEIGHT;
        let (mut spread, mut medians) = (String::new(), String::new());
        for (x, wide, [least, median, largest]) in &self.columns {
            let middle = point(x + wide / 2.0);
            let long = (y(*least) - y(*largest)).max(0.6);
            let wide = wide.max(1.2);
            write!(spread, "M{middle} {}v{}", point(y(*largest)), point(long))
                .and_then(|()| {
                    write!(
                        medians,
                        "M{} {}h{}",
                        point(*x),
                        point(y(*median)),
                        point(wide)
                    )
                })
                .expect("memory takes every write");
        }
        html! {
            @for power in self.powers[0]..=self.powers[1] {
                path.grid d={ "M" (point(self.left)) " " (point(y(f64::from(power)))) "H" (point(self.right)) } {}
                text.scale x=(point(self.left - 3.0)) y=(point(y(f64::from(power)) + 3.0)) { (short(10_f64.powi(power))) }
            }
            path.spread d=(spread) {}
            path.median d=(medians) {}
            @if let Some(limit) = self.limit {
                path.limit d={ "M" (point(self.left)) " " (point(y(limit))) "H" (point(self.right)) } {
                    title { "good within " (short(10_f64.powf(limit))) }
                }
            }
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "powers of ten are small")]
fn power(number: f64) -> i32 {
    number as i32
}
