//! The report as text for a terminal, made to be pasted into a ticket: it fits 100 columns, and says nothing by colour alone.

pub(super) mod expectations;
#[cfg(test)]
mod tests;
pub(super) mod together;

use self::expectations::expectations;
use super::{
    Report,
    hostile::harmless,
    layout::{cut, pad, pad_left, width, wrap},
    people,
    quantity::{count, decimals, plural, range, short, since, trimmed, value},
    repeats::sorted,
    strips::strips,
    style::{Style, Tone},
    summary,
};
use crate::{
    exit_code::ExitCode,
    verdict::{Check, CheckStatus, Judgement, Verdict},
};

/// The columns of the words on the left, `measured` or `restored`.
const MARGIN: usize = 12;

/// The notes that are shown; all are among the steps of `report.html`.
const NOTES: usize = 8;

/// The lines of evidence that are shown of an expectation; the rest is in `report.json`.
const EVIDENCE: usize = 5;

/// Renders the reports of one command as text that ends in a newline: each drill in full if it is the only one or did not pass, the
/// others as two lines of a table, and the failures last.
pub fn render(reports: &[Report], style: &Style) -> String {
    let mut lines = together::together(reports, style);
    let (alone, _) = sorted(reports);
    if alone.len() > 1 {
        lines.extend(summary::table(&alone, style));
        lines.push(String::new());
    }
    for report in &alone {
        let judgement = &report.judgement;
        if alone.len() == 1 || judgement.verdict != Verdict::Pass || !judgement.restored {
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
        preflight(judgement, style),
        rehearsed(judgement, style),
        strips(report, style),
        phases(judgement, style),
        people::table(&report.operator, style),
        expectations(report, style),
        findings(judgement, style),
        notes(report, style),
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
        harmless(&report.drill_file()).into_owned(),
        format!("run {}", harmless(&report.run.id)),
        format!("environment {}", harmless(&report.environment.name)),
    ];
    lines.extend(flow(&facts, 7, style));
    for line in wrap(&harmless(&report.drill.about), style.columns() - 7) {
        lines.push(format!("       {}", style.paint(Tone::Faint, &line)));
    }
    // An expectation that failed says so itself.
    let told = judgement
        .checks
        .iter()
        .any(|check| check.status == CheckStatus::Fail);
    for reason in judgement.reasons.iter().filter(|_| !told) {
        lines.extend(labelled(
            "reason",
            &[harmless(reason).into_owned()],
            tone,
            style,
        ));
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
pub(in crate::report) fn verdict(judgement: &Judgement) -> (&'static str, Tone) {
    match (judgement.restored, judgement.verdict) {
        (false, _) => ("NOT RESTORED", Tone::Bad),
        (true, Verdict::Pass) => ("PASS", Tone::Good),
        (true, Verdict::Inconclusive) => ("INCONCLUSIVE", Tone::Warning),
        (true, Verdict::Fail) => ("FAIL", Tone::Bad),
        (true, Verdict::DryRun) => ("DRY RUN", Tone::Good),
        (true, Verdict::Aborted) => ("ABORTED", Tone::Warning),
        (true, Verdict::Invalid) => ("INVALID", Tone::Warning),
    }
}

/// The tiers that the drill leans on, as they were before anything was broken.
fn preflight(judgement: &Judgement, style: &Style) -> Vec<String> {
    let rows: Vec<[String; 4]> = judgement
        .preflight
        .iter()
        .map(|checked| {
            let state = match checked.good {
                Some(true) => "alive",
                Some(false) => "DEAD",
                None => "not known",
            };
            [
                harmless(&checked.tier).into_owned(),
                state.to_owned(),
                harmless(&checked.asked).into_owned(),
                harmless(checked.detail.as_deref().unwrap_or_default()).into_owned(),
            ]
        })
        .collect();
    if rows.is_empty() {
        return Vec::new();
    }
    let header = ["preflight", "state", "asked", "answer"].map(str::to_owned);
    let columns = |column: usize| {
        let all = rows.iter().chain([&header]);
        all.map(|row| width(&row[column]))
            .max()
            .unwrap_or(0)
            .min(48)
    };
    let (tier, state, asked) = (columns(0), columns(1), columns(2));
    let line = |row: &[String; 4]| {
        let text = format!(
            " {}  {}  {}  {}",
            pad(&cut(&row[0], tier, style), tier),
            pad(&row[1], state),
            pad(&cut(&row[2], asked, style), asked),
            row[3]
        );
        cut(text.trim_end(), style.columns(), style)
    };
    let mut lines = vec![style.paint(Tone::Faint, &line(&header))];
    for (row, checked) in rows.iter().zip(&judgement.preflight) {
        let tone = match checked.good {
            Some(true) => Tone::Plain,
            Some(false) => Tone::Bad,
            None => Tone::Warning,
        };
        lines.push(style.paint(tone, &line(row)));
    }
    lines
}

/// What a dry run would have done.
fn rehearsed(judgement: &Judgement, style: &Style) -> Vec<String> {
    let mut lines = Vec::new();
    for fault in &judgement.faults {
        if let Some(restore) = &fault.rehearsed {
            let texts = [
                format!("would {}", harmless(&fault.describe)),
                format!("and to restore it {}", harmless(restore)),
            ];
            lines.extend(labelled(
                &harmless(&fault.target),
                &texts,
                Tone::Plain,
                style,
            ));
        }
    }
    lines
}

/// The row of a recovery time whose clock people start.
const DECLARED: &str = "rto from the declaration";

/// The row of the table of phases that an expectation limits.
fn row_of(check: &Check) -> &str {
    // What an expectation is called is what it says.
    if check.kind == "rto" && check.name.contains(" from the declaration") {
        return DECLARED;
    }
    &check.kind
}

/// The table of phases: what was measured, how well, and when it was over.
fn phases(judgement: &Judgement, style: &Style) -> Vec<String> {
    let (durations, moments) = (&judgement.durations, &judgement.moments);
    // Each with the moment at which it was over, whether it counts from the fault, and the expectation that limits it.
    let rows = [
        (
            "impact delay",
            durations.impact_delay,
            moments.impact,
            true,
            "",
        ),
        (
            "detected",
            durations.detection,
            moments.detected,
            true,
            "detected",
        ),
        (
            "dns switched",
            durations.dns_switch,
            moments.switched,
            true,
            "dns-switch",
        ),
        (
            "dns caches",
            durations.propagation,
            moments.propagated,
            false,
            "",
        ),
        (
            "first success",
            durations.first_success,
            moments.first_success,
            true,
            "",
        ),
        (
            "recovery time",
            durations.recovery,
            moments.recovered,
            true,
            "rto",
        ),
        (
            "since declared",
            durations.since_declared,
            moments.recovered,
            false,
            DECLARED,
        ),
        (
            "outage",
            durations.outage,
            moments.recovered,
            false,
            "outage",
        ),
        (
            "failback",
            durations.failback,
            moments.failed_back,
            false,
            "failback",
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
    for (name, duration, moment, from_fault, kind) in rows {
        let Some(duration) = duration else {
            continue;
        };
        let since_fault = match (moments.fault, moment) {
            (Some(_), Some(_)) if from_fault => format!("+{}", value(duration)),
            (Some(fault), Some(moment)) => format!("+{}", value(since(fault, moment))),
            (_, _) => String::new(),
        };
        let check = judgement
            .checks
            .iter()
            .find(|check| row_of(check) == kind && check.limit_s.is_some());
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
        if !finding.next.is_empty() {
            texts.push(format!("next: {}", harmless(&finding.next)));
        }
        texts.push(format!("blackstart explain {}", harmless(&finding.code)));
        lines.extend(labelled("finding", &texts, Tone::Warning, style));
    }
    lines
}

/// What the harness took note of on the way, for example when the target's own system says that it was broken.
fn notes(report: &Report, style: &Style) -> Vec<String> {
    let notes = &report.recorded.notes;
    let mut texts: Vec<String> = notes
        .iter()
        .take(NOTES)
        .map(|(at_s, text)| format!("at {} s: {}", trimmed(*at_s, 1), harmless(text)))
        .collect();
    if notes.len() > NOTES {
        texts.push(format!("{} more in report.html", notes.len() - NOTES));
    }
    if texts.is_empty() {
        return Vec::new();
    }
    labelled("note", &texts, Tone::Plain, style)
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
        prober = format!("{prober}, clock drift {}", short(drift.abs() / 1000.0));
    }
    let mut texts = vec![cadence, prober];
    if let Some(way) = &report.environment.way {
        texts.push(format!("probes went {}", harmless(way)));
    }
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
    let reason = if judgement.verdict == Verdict::DryRun && code == ExitCode::Passed {
        "nothing stands in the way of the drill"
    } else {
        code.reason()
    };
    let text = format!("{}: {reason}", code.code());
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
        texts.push(format!("what restores it: {}", report.what_restores()));
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

/// The recovery time for a line of a table, with its bounds where there is room for them.
pub(super) fn recovery(judgement: &Judgement, with_bounds: bool) -> String {
    match judgement.durations.recovery {
        None => String::new(),
        Some(bounds) if with_bounds => format!("{} {}", value(bounds), range(bounds)),
        Some(bounds) => value(bounds),
    }
}
