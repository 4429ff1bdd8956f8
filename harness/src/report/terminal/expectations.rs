//! The expectations of a drill, each with what was measured, where it stands in the file and, if it failed, why.

use super::EVIDENCE;
use crate::{
    report::{
        Report,
        hostile::harmless,
        layout::{pad, pad_left, width, wrap},
        quantity::decimals,
        style::{Style, Tone},
    },
    verdict::{Check, CheckStatus},
};

/// The columns up to the end of the status of an expectation.
const STATUS: usize = 13;

/// The word for what came of an expectation.
pub(in crate::report) fn status(status: CheckStatus) -> (&'static str, Tone) {
    match status {
        CheckStatus::Pass => ("PASS", Tone::Good),
        CheckStatus::NotRun => ("NOT RUN", Tone::Faint),
        CheckStatus::Inconclusive => ("INCONCLUSIVE", Tone::Warning),
        CheckStatus::Fail => ("FAIL", Tone::Bad),
    }
}

pub(super) fn expectations(report: &Report, style: &Style) -> Vec<String> {
    let checks = &report.judgement.checks;
    let widest = checks
        .iter()
        .map(|check| width(&harmless(&check.name)))
        .max();
    let columns = widest.unwrap_or(0).min(40);
    let lines = checks
        .iter()
        .flat_map(|check| expectation(check, report, columns, style));
    lines.collect()
}

/// The expectation, what was found, and its line in the file. What holds is told by its value alone; what does not says how the
/// value compares with the limit, and names the file too, so that it can be copied.
fn expectation(check: &Check, report: &Report, name_columns: usize, style: &Style) -> Vec<String> {
    let indent = " ".repeat(STATUS + 2);
    let room = style.columns() - indent.len();
    let (word, tone) = status(check.status);
    let failed = matches!(check.status, CheckStatus::Fail | CheckStatus::Inconclusive);
    let name = harmless(&check.name);
    let (place, found) = if failed {
        (
            format!("{}:{}", harmless(&report.drill.file), check.line),
            harmless(&check.message),
        )
    } else if check.actual.is_empty() {
        (format!(":{}", check.line), harmless(&check.message))
    } else {
        (format!(":{}", check.line), harmless(&check.actual))
    };
    let head = style.paint(tone, &pad_left(word, STATUS));
    let whole = format!("{}  {found}", pad(&name, name_columns));
    let whole = whole.trim_end();
    let mut lines = Vec::new();
    let fits = |text: &str| width(text) + 2 + width(&place) <= room;
    let first = |text: &str| {
        let gap = " ".repeat(room - width(text) - width(&place));
        format!("{head}  {text}{gap}{}", style.paint(Tone::Faint, &place))
    };
    let mut rest = Vec::new();
    if fits(whole) {
        lines.push(first(whole));
    } else if fits(&name) {
        lines.push(first(&name));
        rest.push(&*found);
    } else {
        let wrapped = wrap(&name, room);
        lines.extend(wrapped.iter().enumerate().map(|(count, line)| {
            let margin = if count == 0 {
                format!("{head}  ")
            } else {
                indent.clone()
            };
            format!("{margin}{line}")
        }));
        rest.extend([place.as_str(), &*found]);
    }
    let mut say = |text: &str, tone: Tone| {
        for line in wrap(text, room) {
            lines.push(format!("{indent}{}", style.paint(tone, &line)));
        }
    };
    for text in rest {
        say(text, Tone::Plain);
    }
    if check.kind == "rto" || (failed && check.kind == "outage") {
        for line in where_it_went(report) {
            say(&line, Tone::Faint);
        }
    }
    if failed {
        for line in check.evidence.iter().take(EVIDENCE) {
            say(&format!("- {}", harmless(line)), Tone::Plain);
        }
        if check.evidence.len() > EVIDENCE {
            let more = check.evidence.len() - EVIDENCE;
            say(&format!("and {more} more in report.json"), Tone::Faint);
        }
    }
    lines
}

/// `where it went: detect 61.2 + decide 0.7 + caches 28.9 + connect 0.8 s`, and what the largest part is.
fn where_it_went(report: &Report) -> Vec<String> {
    let parts = &report.judgement.parts;
    let Some(largest) = parts
        .iter()
        .max_by(|left, right| left.seconds.total_cmp(&right.seconds))
    else {
        return Vec::new();
    };
    let digits = decimals(2.0 * report.measurement.resolution_s);
    let sum: Vec<String> = parts
        .iter()
        .map(|part| format!("{} {:.digits$}", harmless(&part.name), part.seconds))
        .collect();
    let mut lines = vec![format!("where it went: {} s", sum.join(" + "))];
    if parts.len() > 1 {
        let (name, about) = (harmless(&largest.name), harmless(&largest.about));
        lines.push(format!("largest part: {name}, {about}"));
    }
    lines
}
