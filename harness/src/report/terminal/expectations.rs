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
    let widest = |text: &dyn Fn(&Check) -> usize| checks.iter().map(text).max().unwrap_or(0);
    let columns = (
        widest(&|check| width(&harmless(&check.name))).min(30),
        widest(&|check| width(&harmless(&check.actual))).min(22),
    );
    let lines = checks
        .iter()
        .flat_map(|check| expectation(check, report, columns, style));
    lines.collect()
}

fn expectation(
    check: &Check,
    report: &Report,
    (name_columns, actual_columns): (usize, usize),
    style: &Style,
) -> Vec<String> {
    let indent = " ".repeat(STATUS + 2);
    let room = style.columns() - indent.len();
    let (word, tone) = status(check.status);
    let failed = matches!(check.status, CheckStatus::Fail | CheckStatus::Inconclusive);
    let name = harmless(&check.name);
    let (actual, message) = (harmless(&check.actual), harmless(&check.message));
    let place = format!("{}:{}", harmless(&report.drill.file), check.line);
    let line_only = format!(":{}", check.line);

    let short = match (actual.is_empty(), message.is_empty()) {
        (_, true) => format!("{}  {actual}", pad(&name, name_columns)),
        (true, false) => format!("{}  {message}", pad(&name, name_columns)),
        (false, false) => format!(
            "{}  {}  {message}",
            pad(&name, name_columns),
            pad(&actual, actual_columns)
        ),
    };
    let with_actual = format!("{}  {actual}", pad(&name, name_columns));
    // What is said on the first line, where it stands, and what is left to be said. A failure keeps its whole place.
    let candidates = [
        (short.as_str(), &place, vec![]),
        (
            short.as_str(),
            if failed { &place } else { &line_only },
            vec![],
        ),
        (with_actual.as_str(), &place, vec![&*message]),
        (&*name, &place, vec![&*actual, &*message]),
    ];
    let chosen = candidates.into_iter().find_map(|(text, place, rest)| {
        let used = width(text.trim_end()) + 2 + width(place);
        (used <= room).then(|| (text.trim_end().to_owned(), place, rest))
    });
    let head = style.paint(tone, &pad_left(word, STATUS));
    let mut lines = Vec::new();
    let rest = if let Some((text, place, rest)) = chosen {
        let gap = " ".repeat(room - width(&text) - width(place));
        lines.push(format!(
            "{head}  {text}{gap}{}",
            style.paint(Tone::Faint, place)
        ));
        rest
    } else {
        for (count, line) in wrap(&name, room).into_iter().enumerate() {
            lines.push(if count == 0 {
                format!("{head}  {line}")
            } else {
                format!("{indent}{line}")
            });
        }
        vec![place.as_str(), &*actual, &*message]
    };
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
