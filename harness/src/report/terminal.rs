//! The report as text for a terminal, made to be pasted into a ticket: it fits 100 columns, and says nothing by colour alone.

use super::{
    Report,
    hostile::harmless,
    layout::{cut, pad, pad_left, width, wrap},
    quantity::{count, decimals, plural, range, short, since, trimmed, value},
    strips::strips,
    style::{Style, Tone},
    summary,
};
use crate::{
    exit_code::ExitCode,
    verdict::{Bounds, Check, CheckStatus, Judgement, Verdict},
};

/// The columns of the words on the left, `measured` or `restored`.
const MARGIN: usize = 12;

/// The columns up to the end of the status of an expectation.
const STATUS: usize = 13;

/// The lines of evidence that are shown of an expectation; the rest is in `report.json`.
const EVIDENCE: usize = 5;

/// Renders the reports of one command as text that ends in a newline: each drill in full if it is the only one or did not pass, the
/// others as a line of a table, and the failures last.
pub fn render(reports: &[Report], style: &Style) -> String {
    let mut lines = Vec::new();
    if reports.len() > 1 {
        lines.extend(summary::table(reports, style));
        lines.push(String::new());
    }
    for report in reports {
        let judgement = &report.judgement;
        if reports.len() == 1 || judgement.verdict != Verdict::Pass || !judgement.restored {
            lines.extend(drill(report, style));
            lines.push(String::new());
        }
    }
    lines.extend(summary::ending(reports, style));
    lines.push(String::new());
    lines.join("\n")
}

/// Everything about one drill.
fn drill(report: &Report, style: &Style) -> Vec<String> {
    let judgement = &report.judgement;
    let mut lines = heading(report, style);
    for section in [
        strips(report, style),
        phases(judgement, style),
        expectations(report, style),
        findings(judgement, style),
        measured(report, style),
    ] {
        if !section.is_empty() {
            lines.push(String::new());
            lines.extend(section);
        }
    }
    lines
}

fn heading(report: &Report, style: &Style) -> Vec<String> {
    let judgement = &report.judgement;
    let (verdict, tone) = verdict(judgement);
    let name = cut(
        &harmless(&report.drill.name),
        style.columns() - 10 - verdict.len(),
        style,
    );
    let gap = style.columns() - 7 - width(&name) - verdict.len();
    let mut lines = vec![format!(
        "DRILL  {}{}{}",
        style.paint(Tone::Strong, &name),
        " ".repeat(gap),
        style.paint(tone, verdict)
    )];
    let facts = [
        harmless(&report.drill.file).into_owned(),
        format!("run {}", harmless(&report.run.id)),
        format!("environment {}", harmless(&report.environment.name)),
    ];
    lines.extend(flow(&facts, 7, style));
    for line in wrap(&harmless(&report.drill.about), style.columns() - 7) {
        lines.push(format!("       {}", style.paint(Tone::Faint, &line)));
    }
    for reason in &judgement.reasons {
        lines.extend(labelled(
            "reason",
            &[harmless(reason).into_owned()],
            tone,
            style,
        ));
    }
    if let Some(signal) = &judgement.interrupted_by {
        let text = format!("{} ended the run early", harmless(signal));
        lines.extend(labelled("stopped", &[text], Tone::Warning, style));
    }
    for fault in &judgement.faults {
        if let Some(trouble) = &fault.trouble {
            let text = format!("{}: {}", harmless(&fault.describe), harmless(trouble));
            lines.extend(labelled("trouble", &[text], Tone::Warning, style));
        }
    }
    lines
}

/// The word for what came of a drill. That a target is not restored outranks everything.
pub(super) fn verdict(judgement: &Judgement) -> (&'static str, Tone) {
    match (judgement.restored, judgement.verdict) {
        (false, _) => ("NOT RESTORED", Tone::Bad),
        (true, Verdict::Pass) => ("PASS", Tone::Good),
        (true, Verdict::Inconclusive) => ("INCONCLUSIVE", Tone::Warning),
        (true, Verdict::Fail) => ("FAIL", Tone::Bad),
        (true, Verdict::Invalid) => ("INVALID", Tone::Warning),
    }
}

/// The word for what came of an expectation.
pub(super) fn status(status: CheckStatus) -> (&'static str, Tone) {
    match status {
        CheckStatus::Pass => ("PASS", Tone::Good),
        CheckStatus::NotRun => ("NOT RUN", Tone::Faint),
        CheckStatus::Inconclusive => ("INCONCLUSIVE", Tone::Warning),
        CheckStatus::Fail => ("FAIL", Tone::Bad),
    }
}

/// The table of phases: what was measured, how well, and when it was over.
fn phases(judgement: &Judgement, style: &Style) -> Vec<String> {
    let (durations, moments) = (&judgement.durations, &judgement.moments);
    let rows = [
        ("impact delay", durations.impact_delay, moments.impact, None),
        (
            "detected",
            durations.detection,
            moments.detected,
            Some("detected"),
        ),
        (
            "dns switched",
            durations.dns_switch,
            moments.switched,
            Some("dns-switch"),
        ),
        (
            "dns caches",
            durations.propagation,
            moments.propagated,
            None,
        ),
        (
            "first success",
            durations.first_success,
            moments.first_success,
            None,
        ),
        (
            "recovery time",
            durations.recovery,
            moments.recovered,
            Some("rto"),
        ),
        (
            "outage",
            durations.outage,
            moments.recovered,
            Some("outage"),
        ),
        (
            "failback",
            durations.failback,
            moments.failed_back,
            Some("failback"),
        ),
    ];
    let row = |name: &str, value: &str, bounds: &str, since_fault: &str| {
        format!(
            " {}{}  {}{}",
            pad(name, 14),
            pad_left(value, 11),
            pad(bounds, 20),
            pad_left(since_fault, 12)
        )
    };
    let mut lines = Vec::new();
    for (name, duration, moment, kind) in rows {
        let Some(duration) = duration else {
            continue;
        };
        let since_fault = match (moments.fault, moment) {
            (Some(fault), Some(moment)) => since(fault, moment),
            (_, _) => String::new(),
        };
        let check = judgement
            .checks
            .iter()
            .find(|check| Some(check.kind.as_str()) == kind && check.limit_s.is_some());
        let mut line = row(name, &value(duration), &range(duration), &since_fault);
        if let Some(limit) = check.and_then(|check| check.limit_s) {
            let limit = format!("   limit {} s", trimmed(limit, 3));
            if width(&line) + width(&limit) <= style.columns() {
                line.push_str(&limit);
            }
        }
        let tone = match check.map(|check| check.status) {
            Some(CheckStatus::Fail) => Tone::Bad,
            Some(CheckStatus::Inconclusive) => Tone::Warning,
            Some(CheckStatus::Pass | CheckStatus::NotRun) | None => Tone::Plain,
        };
        lines.push(style.paint(tone, line.trim_end()));
    }
    if !lines.is_empty() {
        let header = row("phase", "value", "bounds", "since fault");
        lines.insert(0, style.paint(Tone::Faint, &header));
    }
    lines
}

fn expectations(report: &Report, style: &Style) -> Vec<String> {
    let checks = &report.judgement.checks;
    let longest = checks
        .iter()
        .map(|check| width(&harmless(&check.name)))
        .max();
    let name_columns = longest.unwrap_or(0).min(30);
    let mut lines = Vec::new();
    for check in checks {
        lines.extend(expectation(check, report, name_columns, style));
    }
    lines
}

fn expectation(check: &Check, report: &Report, name_columns: usize, style: &Style) -> Vec<String> {
    let indent = STATUS + 2;
    let (word, tone) = status(check.status);
    let place = format!("{}:{}", harmless(&report.drill.file), check.line);
    let place = cut(&place, 40, style);
    let actual = harmless(&check.actual);
    let message = harmless(&check.message);
    let columns = style.columns();

    let mut left = pad(&harmless(&check.name), name_columns);
    let mut rest = Vec::new();
    for text in [actual, message].iter().filter(|text| !text.is_empty()) {
        if rest.is_empty() && indent + width(&left) + 2 + width(text) + 2 + width(&place) <= columns
        {
            left = format!("{left}  {text}");
        } else {
            rest.extend(wrap(text, columns - indent));
        }
    }
    let left = left.trim_end();
    let head = format!("{}  {left}", style.paint(tone, &pad_left(word, STATUS)));
    let used = indent + width(left);
    let mut lines = if used + 2 + width(&place) <= columns {
        let gap = " ".repeat(columns - used - width(&place));
        vec![format!("{head}{gap}{}", style.paint(Tone::Faint, &place))]
    } else {
        vec![head, format!("{}{place}", " ".repeat(indent))]
    };
    lines.extend(
        rest.iter()
            .map(|line| format!("{}{line}", " ".repeat(indent))),
    );

    let failed = matches!(check.status, CheckStatus::Fail | CheckStatus::Inconclusive);
    if check.kind == "rto" || (failed && check.kind == "outage") {
        for line in where_it_went(report, columns - indent) {
            lines.push(format!(
                "{}{}",
                " ".repeat(indent),
                style.paint(Tone::Faint, &line)
            ));
        }
    }
    if failed {
        for line in check.evidence.iter().take(EVIDENCE) {
            for line in wrap(&harmless(line), columns - indent - 2) {
                lines.push(format!("{}  {line}", " ".repeat(indent)));
            }
        }
        if check.evidence.len() > EVIDENCE {
            let more = check.evidence.len() - EVIDENCE;
            lines.push(format!(
                "{}  and {more} more in report.json",
                " ".repeat(indent)
            ));
        }
    }
    lines
}

/// `where it went: detect 61.2 + decide 0.7 + caches 28.9 + connect 0.8 s`, and what the largest part is.
fn where_it_went(report: &Report, columns: usize) -> Vec<String> {
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
    let mut lines = wrap(&format!("where it went: {} s", sum.join(" + ")), columns);
    if parts.len() > 1 {
        let text = format!(
            "largest part: {}, {}",
            harmless(&largest.name),
            harmless(&largest.about)
        );
        lines.extend(wrap(&text, columns));
    }
    lines
}

fn findings(judgement: &Judgement, style: &Style) -> Vec<String> {
    let mut lines = Vec::new();
    for finding in &judgement.findings {
        let mut texts = vec![harmless(&finding.text).into_owned()];
        texts.extend(
            finding
                .evidence
                .iter()
                .take(EVIDENCE)
                .map(|line| format!("- {}", harmless(line))),
        );
        texts.push(format!("blackstart explain {}", harmless(&finding.code)));
        lines.extend(labelled("finding", &texts, Tone::Warning, style));
    }
    lines
}

/// How it was measured, whether all is as it was, and what the drill adds to the exit code.
fn measured(report: &Report, style: &Style) -> Vec<String> {
    let (judgement, measurement) = (&report.judgement, &report.measurement);
    let resolution = trimmed(
        measurement.resolution_s,
        decimals(measurement.resolution_s).max(1),
    );
    let cadence = format!(
        "{} every {}, good within {}, bounds {}{resolution} s",
        harmless(&measurement.probe),
        short(measurement.every_s),
        short(measurement.good_within_s),
        style.either("+-", "±"),
    );
    let mut prober = format!(
        "prober late p99 {}, {} of {} samples void",
        short(measurement.late_p99_s),
        count(measurement.void),
        count(measurement.samples)
    );
    if let Some(drift) = judgement.clock_drift_ms {
        prober.push_str(&format!(", clock drift {}", short(drift.abs() / 1000.0)));
    }
    let mut texts = vec![cadence, prober];
    let speed = report.environment.speed;
    if (speed - 1.0).abs() > 1e-9 {
        texts.push(format!(
            "time ran {} times as fast as the clock on the wall, which leaves a resolution of {resolution} s",
            trimmed(speed, 2)
        ));
    }
    let mut lines = labelled("measured", &texts, Tone::Plain, style);
    lines.extend(restored(report, style));
    let code = ExitCode::from(judgement);
    let text = format!("{}: {}", code.code(), code.reason());
    lines.extend(labelled("exit", &[text], Tone::Plain, style));
    lines
}

fn restored(report: &Report, style: &Style) -> Vec<String> {
    let judgement = &report.judgement;
    let sent: Vec<_> = judgement
        .faults
        .iter()
        .filter(|fault| fault.issued_s.is_some())
        .collect();
    let done = sent
        .iter()
        .filter(|fault| fault.restored_s.is_some())
        .count();
    if !judgement.restored {
        let mut texts: Vec<String> = vec![format!(
            "{done} of {} reverted and verified",
            plural(sent.len(), "fault")
        )];
        for fault in judgement
            .faults
            .iter()
            .filter(|fault| fault.restored_s.is_none())
        {
            texts.push(format!(
                "{} may still be as the drill left it: {}",
                harmless(&fault.target),
                harmless(&fault.describe)
            ));
        }
        texts.push(format!("blackstart revert {}", harmless(&report.run.id)));
        return labelled("NOT RESTORED", &texts, Tone::Bad, style);
    }
    if sent.is_empty() {
        return labelled(
            "restored",
            &["nothing was injected".to_owned()],
            Tone::Plain,
            style,
        );
    }
    let targets: Vec<_> = sent.iter().map(|fault| harmless(&fault.target)).collect();
    let text = format!(
        "{done} of {} reverted and verified ({})",
        plural(sent.len(), "fault"),
        targets.join(", ")
    );
    labelled("restored", &[text], Tone::Plain, style)
}

/// Lines behind a word in the margin.
fn labelled(label: &str, texts: &[String], tone: Tone, style: &Style) -> Vec<String> {
    let margin = MARGIN.max(width(label) + 3);
    let mut label = style.paint(tone, &pad(&format!(" {label}"), margin));
    let mut lines = Vec::new();
    for line in texts
        .iter()
        .flat_map(|text| wrap(text, style.columns() - margin))
    {
        lines.push(format!("{label}{line}"));
        label = " ".repeat(margin);
    }
    lines
}

/// Short texts one after the other, on as many lines as they need.
fn flow(texts: &[String], indent: usize, style: &Style) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for text in texts {
        match lines.last_mut() {
            Some(line) if width(line) + 3 + width(text) <= style.columns() => {
                line.push_str("   ");
                line.push_str(text);
            }
            Some(_) | None => lines.push(format!("{}{text}", " ".repeat(indent))),
        }
    }
    lines
}

/// The recovery time with the limit it was held against, for a line of a table.
pub(super) fn recovery(judgement: &Judgement) -> String {
    judgement
        .durations
        .recovery
        .map_or_else(String::new, |bounds: Bounds| value(bounds))
}

#[cfg(test)]
mod tests;
