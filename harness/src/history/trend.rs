//! The runs of each drill over time: how many passed, how long recovery took, and what the failover decided wrongly.

use std::{collections::BTreeMap, fmt::Write};

use super::{Outcome, Past};
use crate::{
    hostile::harmless,
    report::{
        Style,
        layout::{cut, pad, pad_left, width},
        plural,
        quantity::{middle, trimmed},
        style::Tone,
    },
    statistics::{self, CONFIDENCE},
};

/// The last so many values that a strip shows.
const STRIP: usize = 40;

/// The runs of one drill in one environment.
#[derive(Debug, Clone, PartialEq)]
pub struct Trend<'a> {
    /// The drill.
    pub drill: &'a str,
    /// The environment.
    pub environment: &'a str,
    /// Its runs, the oldest first.
    pub runs: Vec<&'a Past>,
}

/// Sorts past runs by drill and environment; only those of one drill if it is named.
pub fn trends<'a>(runs: &'a [Past], drill: Option<&str>) -> Vec<Trend<'a>> {
    let mut trends: BTreeMap<(&str, &str), Vec<&Past>> = BTreeMap::new();
    for run in runs
        .iter()
        .filter(|run| drill.is_none_or(|drill| run.drill == drill))
    {
        trends
            .entry((&run.drill, &run.environment))
            .or_default()
            .push(run);
    }
    trends
        .into_iter()
        .map(|((drill, environment), runs)| Trend {
            drill,
            environment,
            runs,
        })
        .collect()
}

impl Trend<'_> {
    fn count(&self, outcome: Outcome) -> usize {
        self.runs
            .iter()
            .filter(|run| run.outcome == outcome)
            .count()
    }

    /// The runs that say something about the drill.
    fn judged(&self) -> usize {
        self.count(Outcome::Passed) + self.count(Outcome::Failed)
    }

    /// The recovery times that were seen to end, in seconds and in order.
    fn values(&self) -> Vec<f64> {
        self.runs
            .iter()
            .filter_map(|run| run.recovery.filter(|recovery| recovery.hi.is_some()))
            .map(middle)
            .collect()
    }

    fn limit_s(&self) -> Option<f64> {
        self.runs.iter().rev().find_map(|run| run.limit_s)
    }

    fn false_positives(&self) -> usize {
        self.runs.iter().filter(|run| run.false_positive).count()
    }

    fn false_negatives(&self) -> usize {
        self.runs.iter().filter(|run| run.false_negative).count()
    }

    /// The recovery times over time, one character each, the limit being the full height where there is one.
    fn strip(&self, style: &Style) -> String {
        let values = self.values();
        let most = values.iter().copied().fold(0.0, f64::max);
        let full = self.limit_s().unwrap_or(most).max(most * 0.5);
        let levels: Vec<char> = style.either("_.:-=+*#", "▁▂▃▄▅▆▇█").chars().collect();
        values[values.len().saturating_sub(STRIP)..]
            .iter()
            .map(|value| {
                if *value > full {
                    '!'
                } else {
                    levels[level(value / full, levels.len())]
                }
            })
            .collect()
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "one of eight levels"
)]
fn level(share: f64, levels: usize) -> usize {
    ((share.clamp(0.0, 1.0) * levels as f64) as usize).min(levels - 1)
}

#[expect(clippy::cast_precision_loss, reason = "runs are few")]
fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

fn seconds(value: Option<f64>) -> String {
    value.map_or_else(
        || "-".to_owned(),
        |value| format!("{} s", trimmed(value, 1)),
    )
}

/// The trends as text that ends in a newline: a line for each drill, and one drill in more words.
pub fn text(trends: &[Trend<'_>], style: &Style) -> String {
    let mut lines = match trends {
        [only] => one(only, style),
        several => table(several, style),
    };
    lines.push(String::new());
    lines.join("\n")
}

fn table(trends: &[Trend<'_>], style: &Style) -> Vec<String> {
    let longest = trends
        .iter()
        .map(|trend| width(&harmless(trend.drill)))
        .max();
    let name_columns = longest.unwrap_or(0).clamp(5, style.columns() - 62);
    let row = |name: &str, cells: [String; 7]| {
        let [runs, passed, mean, min, max, limit, wrong] = cells;
        format!(
            " {} {}{}{}{}{}{}{}",
            pad(&cut(name, name_columns, style), name_columns),
            pad_left(&runs, 6),
            pad_left(&passed, 8),
            pad_left(&mean, 10),
            pad_left(&min, 10),
            pad_left(&max, 10),
            pad_left(&limit, 8),
            pad_left(&wrong, 7)
        )
    };
    let header = ["runs", "passed", "mean", "min", "max", "limit", "f+/f-"].map(str::to_owned);
    let mut lines = vec![style.paint(Tone::Faint, &row("drill", header))];
    for trend in trends {
        let values = trend.values();
        let sorted = statistics::sorted(&values);
        let cells = [
            trend.runs.len().to_string(),
            trend.count(Outcome::Passed).to_string(),
            seconds(mean(&values)),
            seconds(sorted.first().copied()),
            seconds(sorted.last().copied()),
            seconds(trend.limit_s()),
            format!("{}/{}", trend.false_positives(), trend.false_negatives()),
        ];
        let tone = match trend.runs.last().map(|run| run.outcome) {
            Some(Outcome::Failed | Outcome::NotRestored) => Tone::Bad,
            Some(Outcome::NotCarriedOut) => Tone::Warning,
            Some(Outcome::Passed) | None => Tone::Plain,
        };
        lines.push(style.paint(tone, &row(&harmless(trend.drill), cells)));
        let strip = trend.strip(style);
        if !strip.is_empty() {
            lines.push(format!(" {} {strip}", " ".repeat(name_columns)));
        }
    }
    lines.push(String::new());
    lines.push(" f+: a failover without a fault. f-: a fault without a failover. Strip: recovery times, the newest right;".to_owned());
    lines.push(
        " full height is the limit, ! is above it. One drill in more words: blackstart trend DRILL"
            .to_owned(),
    );
    lines
}

fn one(trend: &Trend<'_>, style: &Style) -> Vec<String> {
    let day = |run: Option<&&Past>| {
        run.map_or_else(String::new, |run| {
            run.started_at.strftime("%Y-%m-%d").to_string()
        })
    };
    let (passed, judged) = (trend.count(Outcome::Passed), trend.judged());
    let mut lines = vec![
        format!(
            "TREND  {}   environment {}   {} to {}",
            style.paint(Tone::Strong, &harmless(trend.drill)),
            harmless(trend.environment),
            day(trend.runs.first()),
            day(trend.runs.last())
        ),
        String::new(),
    ];
    let mut push = |label: &str, text: &str| lines.push(format!(" {}{text}", pad(label, 17)));
    let mut counted = format!(
        "{}, {passed} passed, {} failed",
        trend.runs.len(),
        trend.count(Outcome::Failed)
    );
    for (outcome, word) in [
        (Outcome::NotCarriedOut, "not carried out"),
        (Outcome::NotRestored, "NOT RESTORED"),
    ] {
        let count = trend.count(outcome);
        if count > 0 {
            write!(counted, ", {count} {word}").expect("memory takes every write");
        }
    }
    push("runs", &counted);
    if judged > 0 {
        let share = statistics::lower_bound(passed, judged, CONFIDENCE);
        push(
            "",
            &format!(
                "with 95 % confidence at least {:.1} % of such runs pass",
                (share * 1000.0).floor() / 10.0
            ),
        );
    }
    let values = trend.values();
    let sorted = statistics::sorted(&values);
    if values.is_empty() {
        push("recovery", "not measured");
    } else {
        let limit = trend.limit_s().map_or_else(String::new, |limit| {
            format!("   limit {} s", trimmed(limit, 1))
        });
        push(
            "recovery",
            &format!(
                "mean {}   median {}   min {}   max {}{limit}",
                seconds(mean(&values)),
                seconds(statistics::median(&values)),
                seconds(sorted.first().copied()),
                seconds(sorted.last().copied())
            ),
        );
        push("", &trend.strip(style));
    }
    push(
        "false positives",
        &format!("{}   a failover without a fault", trend.false_positives()),
    );
    push(
        "false negatives",
        &format!("{}   a fault without a failover", trend.false_negatives()),
    );
    if let Some(correlation) = statistics::trend(&values) {
        let way = if correlation > 0.0 {
            "longer"
        } else {
            "shorter"
        };
        push(
            "note",
            &format!("recovery became {way} over time (rank correlation {correlation:.2})"),
        );
    }
    lines
}

/// The height of the picture of a drill.
const PANEL: f64 = 190.0;
const WIDTH: f64 = 760.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 740.0;

/// The trends as one picture that ends in a newline: a panel for each drill, a dot for each run, the limit as a line.
pub fn svg(trends: &[Trend<'_>]) -> String {
    let panels = u32::try_from(trends.len().max(1)).unwrap_or(u32::MAX);
    let height = f64::from(panels) * PANEL;
    let page = maud::html! {
        svg xmlns="http://www.w3.org/2000/svg" viewBox={ "0 0 " (WIDTH) " " (height) } width=(WIDTH) height=(height) role="img" aria-labelledby="title description" {
            title #title { "Recovery times over time" }
            desc #description { @for trend in trends { (described(trend)) " " } }
            style { (maud::PreEscaped(STYLE)) }
            rect.paper x="0" y="0" width=(WIDTH) height=(height) {}
            @for (place, trend) in (0_u32..).zip(trends) {
                (panel(trend, f64::from(place) * PANEL))
            }
        }
    };
    let mut text = page.into_string();
    text.push('\n');
    text
}

const STYLE: &str = "text{font:11px system-ui,sans-serif;fill:#1b1f24}.soft{fill:#57606a}.end{text-anchor:end}.middle{text-anchor:middle}.paper{fill:#fff}.name{font-weight:700;font-size:13px}.grid{stroke:#d0d7de;stroke-width:.7}.limit{stroke:#a40e26;stroke-dasharray:6 3}.bounds{stroke:#57606a;stroke-width:1.5}.dot{fill:#0a5f43}.cross{stroke:#a40e26;stroke-width:2.2}.hollow{fill:none;stroke:#0a5f43;stroke-width:1.5}@media(prefers-color-scheme:dark){text{fill:#e6edf3}.soft{fill:#9aa5b1}.paper{fill:#0d1117}.grid{stroke:#30363d}.limit,.cross{stroke:#ff8f9a}.bounds{stroke:#9aa5b1}.dot{fill:#56d3a0}.hollow{stroke:#56d3a0}}";

/// The picture in words, for those who are read to.
fn described(trend: &Trend<'_>) -> String {
    let values = trend.values();
    let sorted = statistics::sorted(&values);
    format!(
        "{}: {}, {} passed; recovery mean {}, min {}, max {}, limit {}; {} false positives, {} false negatives.",
        harmless(trend.drill),
        plural(trend.runs.len(), "run"),
        trend.count(Outcome::Passed),
        seconds(mean(&values)),
        seconds(sorted.first().copied()),
        seconds(sorted.last().copied()),
        seconds(trend.limit_s()),
        trend.false_positives(),
        trend.false_negatives()
    )
}

fn panel(trend: &Trend<'_>, top: f64) -> maud::Markup {
    let ends = trend
        .runs
        .iter()
        .filter_map(|run| run.recovery.and_then(|recovery| recovery.hi));
    let most = ends.chain(trend.limit_s()).fold(1.0, f64::max) * 1.08;
    let (ceiling, floor) = (top + 44.0, top + PANEL - 38.0);
    let y = |value: f64| floor - (value / most).clamp(0.0, 1.0) * (floor - ceiling);
    let last = u32::try_from(trend.runs.len().saturating_sub(1)).unwrap_or(u32::MAX);
    let x =
        |place: u32| LEFT + 8.0 + f64::from(place) / f64::from(last.max(1)) * (RIGHT - LEFT - 16.0);
    let point = |value: f64| format!("{value:.1}");
    let step = tick(most);
    let ticks: Vec<f64> = (0..=8)
        .map(|number| f64::from(number) * step)
        .take_while(|value| *value <= most)
        .collect();
    let day = |run: Option<&&Past>| {
        run.map_or_else(String::new, |run| {
            run.started_at.strftime("%Y-%m-%d").to_string()
        })
    };
    maud::html! {
        g {
            text.name x="10" y=(point(top + 16.0)) { (harmless(trend.drill)) }
            text.soft x="10" y=(point(top + 32.0)) { (described(trend).split_once(": ").map_or_else(String::new, |(_, words)| words.to_owned())) }
            @for value in &ticks {
                line.grid x1=(point(LEFT)) x2=(point(RIGHT)) y1=(point(y(*value))) y2=(point(y(*value))) {}
                text."soft end" x=(point(LEFT - 5.0)) y=(point(y(*value) + 4.0)) { (trimmed(*value, 1)) " s" }
            }
            @if let Some(limit) = trend.limit_s() {
                line.limit x1=(point(LEFT)) x2=(point(RIGHT)) y1=(point(y(limit))) y2=(point(y(limit))) {}
            }
            @for (place, run) in (0..).zip(&trend.runs) {
                @let at = x(place);
                @if let Some(bounds) = run.recovery {
                    line.bounds x1=(point(at)) x2=(point(at)) y1=(point(y(bounds.lo))) y2=(point(y(bounds.hi.unwrap_or(most)))) {}
                }
                // What was not measured lies below the axis, and never looks like zero.
                @let height = run.recovery.map_or(floor + 7.0, |recovery| y(middle(recovery)));
                @if run.outcome == Outcome::Passed && run.recovery.is_none() {
                    circle.hollow cx=(point(at)) cy=(point(height)) r="3" {}
                } @else if run.outcome == Outcome::Passed {
                    circle.dot cx=(point(at)) cy=(point(height)) r="3.5" {}
                } @else {
                    path.cross d=(format!("M{:.1} {:.1}l8 8m0 -8l-8 8", at - 4.0, height - 4.0)) {}
                }
            }
            text.soft x=(point(LEFT)) y=(point(floor + 24.0)) { (day(trend.runs.first())) }
            text."soft end" x=(point(RIGHT)) y=(point(floor + 24.0)) { (day(trend.runs.last())) }
            text."soft middle" x=(point(WIDTH / 2.0)) y=(point(floor + 24.0)) { "● passed  ○ passed, no recovery time  ✕ did not pass  – – limit" }
        }
    }
}

/// A round step of which there are four or five up to the largest value.
fn tick(most: f64) -> f64 {
    let power = 10_f64.powf((most / 4.0).log10().floor());
    [1.0, 2.0, 2.5, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| most / step <= 5.0)
        .unwrap_or(power * 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::tests::month;

    #[test]
    fn a_month_of_twelve_drills_reads_as_people_wrote_it_down() {
        let runs = month();
        let [only] = &trends(&runs, Some("break-health-path"))[..] else {
            panic!("one trend")
        };
        insta::assert_snapshot!(
            "trend_of_a_month",
            text(std::slice::from_ref(only), &Style::default())
        );
    }

    #[test]
    fn several_drills_have_a_line_each() {
        let mut runs = month();
        let mut other = runs[0].clone();
        "health-blip".clone_into(&mut other.drill);
        other.recovery = None;
        other.false_positive = true;
        other.outcome = Outcome::Failed;
        runs.push(other);
        let style = Style {
            ascii: true,
            ..Style::default()
        };
        let table = text(&trends(&runs, None), &style);
        assert!(table.is_ascii(), "{table}");
        insta::assert_snapshot!("trend_of_two_drills", table);
    }

    #[test]
    fn what_was_not_measured_is_no_dot_at_zero() {
        let mut runs = month();
        runs[3].recovery = None;
        let picture = svg(&trends(&runs, None));
        assert_eq!(picture.matches("class=\"dot\"").count(), 11);
        assert_eq!(picture.matches("class=\"hollow\"").count(), 1);
    }

    #[test]
    fn the_picture_says_in_words_what_it_shows_and_nothing_in_it_is_markup() {
        let mut runs = month();
        "</desc><script>alert(1)</script>".clone_into(&mut runs[0].drill);
        let picture = svg(&trends(&runs, None));
        assert!(!picture.contains("<script"), "{picture}");
        assert!(picture.contains("11 runs, 11 passed"), "{picture}");
        assert_eq!(picture.matches("<circle").count(), 12);
    }
}
