//! The first page, which stands alone: what was rehearsed, what came of it, and the timeline.

use maud::{Markup, html};

use super::{Foreign, figure::figure, heading, status, verdict};
use crate::{
    report::{
        Report,
        quantity::{elapsed, plural, range, since, trimmed, value},
    },
    verdict::{Bounds, CheckStatus, Judgement, Verdict},
};

/// Sections 1 to 3.
pub(super) fn first_page(report: &Report) -> Markup {
    html! {
        section.cover {
            (cover(report))
            (results(report))
            (timeline(report))
        }
        (moments(report))
    }
}

fn cover(report: &Report) -> Markup {
    let exercise = super::exercise(report);
    let judgement = &report.judgement;
    let (word, class) = verdict(judgement);
    let kind = if judgement.dry_run {
        "rehearsal without faults"
    } else {
        "test of system resilience"
    };
    html! {
        header #section-1 {
            div.title {
                p.kind { "Disaster-recovery drill report" }
                h1 { (Foreign(&report.drill.name)) }
                p.about { (Foreign(&report.drill.about)) }
            }
            p.verdict.(class) { (word) }
        }
        p.sentence { (Foreign(sentence(report))) }
        dl.facts {
            div { dt { "Environment" } dd { (Foreign(&report.environment.name)) } }
            div { dt { "Started" } dd { (Foreign(started(&report.run.started_at))) } }
            div { dt { "Took" } dd { (elapsed(report.run.real_duration_s)) @if (report.environment.speed - 1.0).abs() > 1e-9 { " at " (trimmed(report.environment.speed, 2)) " × speed" } } }
            div { dt { "Kind" } dd { (kind) } }
            div { dt { "Run" } dd { (Foreign(&report.run.id)) } }
            @if let Some(organisation) = &exercise.organisation { div { dt { "Organisation" } dd { (Foreign(organisation)) } } }
            @if let Some(system) = &exercise.system { div { dt { "System" } dd { (Foreign(system)) } } }
            div { dt { "Drill file" } dd { (Foreign(report.drill_file())) } }
        }
    }
}

/// The time in a form that people read, where it is one.
pub(super) fn started(at: &str) -> String {
    at.parse::<jiff::Timestamp>().map_or_else(
        |_| at.to_owned(),
        |at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
    )
}

/// What came of the drill, in a sentence or two.
pub(super) fn sentence(report: &Report) -> String {
    let judgement = &report.judgement;
    let reason = || {
        let reason = judgement.reasons.first().map(String::as_str);
        reason.unwrap_or("nothing was judged").to_owned()
    };
    let mut words = match judgement.verdict {
        Verdict::Invalid => format!(
            "The drill could not be carried out, so it proves nothing: {}.",
            reason()
        ),
        Verdict::Aborted => format!(
            "The drill was ended early, so nothing was judged: {}.",
            reason()
        ),
        Verdict::DryRun => {
            "Nothing was touched: this rehearsal shows that the drill can be run.".to_owned()
        }
        Verdict::Pass => format!("{} {}", users(judgement), held(judgement)),
        Verdict::Fail | Verdict::Inconclusive => {
            format!("{} {}", users(judgement), missed(judgement))
        }
    };
    if !judgement.restored {
        words = format!("A target is not verified as restored and may still be broken. {words}");
    }
    words.trim().to_owned()
}

/// What users went through.
fn users(judgement: &Judgement) -> String {
    let limit = judgement
        .checks
        .iter()
        .find(|check| check.kind == "rto")
        .and_then(|check| check.limit_s)
        .map_or_else(String::new, |limit| {
            format!(" (objective: {} s)", trimmed(limit, 1))
        });
    // Whoever came first after the outage; others may have followed.
    let outage = judgement.path.iter().position(|step| step == "down");
    let by = judgement
        .path
        .iter()
        .skip(outage.map_or(0, |place| place + 1))
        .find(|step| *step != "down")
        .map_or_else(String::new, |tier| format!(" by {tier}"));
    match (judgement.durations.recovery, judgement.durations.outage) {
        (Some(recovery), _) if recovery.hi.is_none() => format!(
            "Users were not served again for as long as the drill watched ({} after the fault{limit}).",
            value(recovery)
        ),
        (Some(recovery), Some(outage)) => format!(
            "Users were served again{by} {} after the fault{limit}; they were without service for {}.",
            value(recovery),
            value(outage)
        ),
        (Some(recovery), None) => {
            format!(
                "Users were served again{by} {} after the fault{limit}.",
                value(recovery)
            )
        }
        (None, _) if judgement.moments.fault.is_some() && judgement.moments.impact.is_none() => {
            "The probe that stands for users saw no failure after the fault.".to_owned()
        }
        (None, _) => String::new(),
    }
}

fn held(judgement: &Judgement) -> String {
    let undecided = judgement
        .checks
        .iter()
        .filter(|check| check.status != CheckStatus::Pass)
        .count();
    let all = judgement.checks.len();
    match undecided {
        0 if all == 1 => "The one expectation held.".to_owned(),
        0 => format!("All {all} expectations held."),
        _ => format!(
            "{} of {} held.",
            all - undecided,
            plural(all, "expectation")
        ),
    }
}

fn missed(judgement: &Judgement) -> String {
    let missed: Vec<_> = judgement
        .checks
        .iter()
        .filter(|check| matches!(check.status, CheckStatus::Fail | CheckStatus::Inconclusive))
        .collect();
    let Some(first) = missed
        .iter()
        .find(|check| check.status == CheckStatus::Fail)
        .or(missed.first())
    else {
        return judgement
            .reasons
            .first()
            .map_or_else(String::new, |reason| format!("{reason}."));
    };
    let verb = if first.status == CheckStatus::Fail {
        "did not hold"
    } else {
        "could not be decided"
    };
    let others = match missed.len() {
        1 => String::new(),
        several => format!(
            " ({} did not hold or could not be decided)",
            plural(several, "expectation")
        ),
    };
    let message = if first.message.is_empty() {
        &first.actual
    } else {
        &first.message
    };
    format!("“{}” {verb}: {message}{others}.", first.name)
}

/// Section 2.
fn results(report: &Report) -> Markup {
    let judgement = &report.judgement;
    html! {
        (heading(2, "Result"))
        table.results {
            thead { tr { th { "Objective" } th.number-column { "Target" } th.number-column { "Actual" } th.number-column { "Bounds" } th { "Gap" } th { "Verdict" } } }
            tbody {
                @for check in &judgement.checks {
                    tr {
                        td { (Foreign(&check.name)) span.where { " line " (check.line) } }
                        @match (check.value, check.limit_s) {
                            (Some(bounds), Some(limit)) => {
                                td.number-column { "≤ " (trimmed(limit, 3)) " s" }
                                td.number-column { (value(bounds)) }
                                td.number-column { (range(bounds)) }
                                td { (gap(bounds, limit)) }
                            }
                            _ => {
                                td colspan="4" { (Foreign(if check.actual.is_empty() { &check.message } else { &check.actual })) }
                            }
                        }
                        td { (status(check.status)) }
                    }
                }
                @if judgement.checks.is_empty() {
                    tr { td colspan="6" { "No expectation was judged." } }
                }
                tr {
                    td { "targets restored" }
                    td colspan="4" { (restored(judgement)) }
                    td { (status(if judgement.restored { CheckStatus::Pass } else { CheckStatus::Fail })) }
                }
            }
        }
        @if !judgement.checks.iter().any(|check| check.kind == "rpo") {
            p.note { "Data loss (RPO): not measured." }
        }
    }
}

/// How far a value is from its limit, in words.
fn gap(bounds: Bounds, limit: f64) -> String {
    match bounds.hi {
        Some(hi) if hi <= limit => format!("{} s to spare", trimmed(limit - hi, 1)),
        Some(_) | None if bounds.lo > limit => {
            format!("at least {} s over", trimmed(bounds.lo - limit, 1))
        }
        Some(_) | None => "the limit lies within the bounds".to_owned(),
    }
}

pub(super) fn restored(judgement: &Judgement) -> String {
    let sent = judgement
        .faults
        .iter()
        .filter(|fault| fault.issued_s.is_some());
    let done = sent
        .clone()
        .filter(|fault| fault.restored_s.is_some())
        .count();
    match sent.count() {
        0 => "nothing was injected".to_owned(),
        all => format!("{done} of {} reverted and verified", plural(all, "fault")),
    }
}

/// Section 3.
fn timeline(report: &Report) -> Markup {
    html! {
        (heading(3, "Timeline"))
        @match figure(report) {
            Some(figure) => (figure),
            None => p { "No probe looked at anything, so there is nothing to draw." }
        }
    }
}

/// The moments of the figure as a table.
fn moments(report: &Report) -> Markup {
    let moments = &report.judgement.moments;
    let rows = [
        (
            "fault injected",
            moments.fault,
            "sent, to shown by an independent read",
        ),
        (
            "first failure that users saw",
            moments.impact,
            "the users' probe",
        ),
        (
            "detected by the system",
            moments.detected,
            "an observer turned bad",
        ),
        (
            "DNS switched at every authority",
            moments.switched,
            "DNS probes",
        ),
        (
            "DNS switched at every resolver",
            moments.propagated,
            "DNS probes",
        ),
        ("first success", moments.first_success, "the users' probe"),
        ("incident declared", moments.declared, "a person, by a key"),
        (
            "recovered, stable",
            moments.recovered,
            "the users' probe; dated back to the start of the first stable run",
        ),
        (
            "revert",
            moments.reverted,
            "first sent, to last acknowledged",
        ),
        (
            "failed back, stable",
            moments.failed_back,
            "the users' probe",
        ),
    ];
    let seen = rows.iter().any(|(_, bounds, _)| bounds.is_some());
    // Where no people took part nobody could declare anything.
    let rows = rows
        .into_iter()
        .filter(|(_, bounds, source)| bounds.is_some() || *source != "a person, by a key");
    html! {
        section.moments #moments {
            h3 { "Moments" }
            @if seen {
                table {
                    thead { tr { th { "Event" } th.number-column { "Since the start" } th.number-column { "Bounds" } th.number-column { "Since the fault" } th { "Source" } } }
                    tbody {
                        @for (name, bounds, source) in rows {
                            @if let Some(bounds) = bounds {
                                tr {
                                    td { (name) }
                                    td.number-column { (value(bounds)) }
                                    td.number-column { (range(bounds)) }
                                    td.number-column { @if let Some(fault) = moments.fault { (value(since(fault, bounds))) } }
                                    td { (source) }
                                }
                            } @else {
                                tr.unseen { td { (name) } td.number-column { "not seen" } td {} td {} td { (source) } }
                            }
                        }
                    }
                }
                p.note { "Times are the architecture's own, in seconds. Bounds: the event lies between the last sample without it and the first with it." }
            } @else {
                p { "No fault was injected and no moment seen." }
            }
        }
    }
}
