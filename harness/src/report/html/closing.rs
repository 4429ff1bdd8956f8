//! Findings, people, method and the appendix: sections 11 to 15.

use std::borrow::Cow;

use maud::{Markup, html};

use super::{
    Foreign, blank_rows, cell, first_page::started, heading, hostile::harmless, said, said_list,
};
use crate::{
    drill::exercise::Overall,
    exit_code::ExitCode,
    report::{
        Report,
        quantity::{count, decimals, middle, short, trimmed},
        summary,
    },
    verdict::CheckStatus,
};

/// The spells of a lane that are listed.
const SPELLS: usize = 60;
/// The spells of all lanes that are listed.
const ALL_SPELLS: usize = 400;
/// How much of a file is shown.
const FILE: usize = 60_000;
/// The lines of evidence of an expectation or a finding that are shown.
const EVIDENCE: usize = 5;

/// Section 11.
pub(super) fn findings(report: &Report) -> Markup {
    let judgement = &report.judgement;
    let missed = judgement
        .checks
        .iter()
        .filter(|check| matches!(check.status, CheckStatus::Fail | CheckStatus::Inconclusive));
    let exercise = super::exercise(report);
    let severity = |status| {
        if status == CheckStatus::Fail {
            "high"
        } else {
            "open"
        }
    };
    html! {
        section {
            (heading(11, "Findings and corrective actions"))
            table.fill {
                thead { tr { th { "Finding" } th { "Severity" } th { "Corrective action" } th { "Owner" } th { "Due" } } }
                tbody {
                    @for check in missed {
                        tr {
                            td {
                                strong { (Foreign(&check.name)) } ": " (Foreign(if check.message.is_empty() { &check.actual } else { &check.message }))
                                (evidence(&check.evidence))
                            }
                            td { (severity(check.status)) }
                            td {} td {} td {}
                        }
                    }
                    @for finding in &judgement.findings {
                        tr {
                            td {
                                (Foreign(&finding.text))
                                (evidence(&finding.evidence))
                                span.where { " blackstart explain " (Foreign(&finding.code)) }
                            }
                            td { "notice" }
                            td { (Foreign(&finding.next)) } td {} td {}
                        }
                    }
                    @for action in &exercise.actions {
                        tr {
                            td { (Foreign(&action.finding)) }
                            (cell(action.severity.as_deref()))
                            (cell(action.action.as_deref()))
                            (cell(action.owner.as_deref()))
                            (cell(action.due.as_deref()))
                        }
                    }
                    (blank_rows(if exercise.actions.is_empty() { 3 } else { 1 }, 5))
                }
            }
            p.note { "Rows come from the measurement, and from people where the drill or `--meta` says something; empty ones are to be filled in." }
        }
    }
}

fn evidence(lines: &[String]) -> Markup {
    html! {
        @if !lines.is_empty() {
            ul.evidence {
                @for line in lines.iter().take(EVIDENCE) { li { (Foreign(line)) } }
                @if lines.len() > EVIDENCE { li { (lines.len() - EVIDENCE) " more in report.json" } }
            }
        }
    }
}

/// Section 12.
pub(super) fn participants(report: &Report) -> Markup {
    let exercise = super::exercise(report);
    html! {
        section {
            (heading(12, "Participants and communication"))
            table.fill {
                thead { tr { th { "Name" } th { "Role" } th { "Organisation" } th { "Present from – to" } } }
                tbody {
                    @for participant in &exercise.participants {
                        tr {
                            td { (Foreign(&participant.name)) }
                            (cell(participant.role.as_deref()))
                            (cell(participant.organisation.as_deref()))
                            (cell(participant.present.as_deref()))
                        }
                    }
                    (blank_rows(if exercise.participants.is_empty() { 4 } else { 1 }, 4))
                }
            }
            div.blanks {
                (said_list("Observers", &exercise.observers))
                (said("Who declared the incident, and when", exercise.declared.as_deref()))
                (said("Escalation worked as planned? ☐ yes ☐ no", exercise.escalation.as_deref()))
                (said("Users and third parties were told? ☐ yes ☐ no", exercise.communication.as_deref()))
            }
        }
    }
}

/// Section 13.
pub(super) fn method(report: &Report) -> Markup {
    let (judgement, measurement) = (&report.judgement, &report.measurement);
    let resolution = trimmed(
        measurement.resolution_s,
        decimals(measurement.resolution_s).max(1),
    );
    html! {
        section {
            (heading(13, "Method and uncertainty"))
            p {
                "The service was asked at fixed times, whether or not earlier questions had been answered, and each answer is dated by when its question was sent. "
                "Good means an expected status, from a tier that is recognised, in time. A change lies between two samples, so every duration is an interval: "
                "an expectation holds if the whole interval keeps the limit, fails if the whole interval breaks it, and is otherwise inconclusive. "
                "Recovery is dated back to the start of the first stable run of good answers. Samples that say nothing are void: neither up nor down."
            }
            table.pairs {
                tbody {
                    tr { th { "Users' probe" } td { (Foreign(&measurement.probe)) ", every " (short(measurement.every_s)) ", good within " (short(measurement.good_within_s)) ", given up after " (short(measurement.timeout_s)) } }
                    tr { th { "Bounds of a duration" } td { "± " (resolution) " s" } }
                    @for probe in &report.recorded.probes {
                        @if probe.name != measurement.probe {
                            tr { th { "Probe " (Foreign(&probe.name)) } td { (Foreign(&probe.what)) ", every " (short(probe.every_s)) ", given up after " (short(probe.timeout_s)) } }
                        }
                    }
                    tr { th { "Samples" } td { (count(measurement.samples)) ", " (count(measurement.void)) " void" } }
                    tr { th { "The prober itself" } td { "sent 99 % of its samples not later than " (short(measurement.late_p99_s)) " after they were due" } }
                    tr { th { "Clocks" } td {
                        "durations by one monotonic clock; "
                        @match judgement.clock_drift_ms { Some(drift) => { "the wall's clock went apart from it by " (short(drift.abs() / 1000.0)) }, None => "the run did not end in order, so the drift is not known" }
                    } }
                    @if let Some(way) = &report.environment.way {
                        tr { th { "Way to the containers" } td { (Foreign(way)) } }
                    }
                    @if (report.environment.speed - 1.0).abs() > 1e-9 {
                        tr { th { "Speed" } td { "the architecture's time ran " (trimmed(report.environment.speed, 2)) " times as fast as the clock on the wall; all times here are the architecture's" } }
                    }
                    tr { th { "Tool" } td { (Foreign(&report.tool.name)) " " (Foreign(&report.tool.version)) ", on host " (Foreign(&report.run.host)) } }
                }
            }
        }
    }
}

/// Section 14.
pub(super) fn sign_off(report: &Report) -> Markup {
    let exercise = super::exercise(report);
    let signed = exercise.sign_off.unwrap_or_default();
    let overall = exercise.overall.map(|overall| match overall {
        Overall::Passed => "passed",
        Overall::PassedWithConditions => "passed with conditions",
        Overall::Failed => "failed",
    });
    html! {
        section {
            (heading(14, "Sign-off"))
            table.fill.sign {
                thead { tr { th { "" } th { "Name" } th { "Date" } th { "Signature" } } }
                tbody {
                    @for (role, signed) in [("Prepared", &signed.prepared), ("Reviewed", &signed.reviewed), ("Acknowledged", &signed.acknowledged)] {
                        tr.blank-row {
                            th { (role) }
                            (cell(signed.as_ref().map(|signed| signed.name.as_str())))
                            (cell(signed.as_ref().and_then(|signed| signed.date.as_deref())))
                            td {}
                        }
                    }
                }
            }
            div.blanks {
                (said(if overall.is_some() { "Overall" } else { "Overall: ☐ passed ☐ passed with conditions ☐ failed" }, overall))
                (said("Next test due", exercise.next_test.as_deref()))
            }
        }
    }
}

/// Section 15.
pub(super) fn appendix(report: &Report) -> Markup {
    let recorded = &report.recorded;
    let code = ExitCode::from(&report.judgement);
    html! {
        section.new-page {
            (heading(15, "Appendix"))
            h3 { "The record" }
            table.pairs {
                tbody {
                    tr { th { "Started" } td { (Foreign(started(&report.run.started_at))) } }
                    tr { th { "Folder" } td { code { (Foreign(&report.run.folder)) } } }
                    tr { th { "Timeline" } td { "events.ndjson, " (count(recorded.events)) " events" } }
                    tr { th { "Its SHA-256" } td { @match &recorded.events_sha256 { Some(digest) => code.digest { (digest) }, None => "could not be read" } } }
                    tr { th { "Drill file" } td { code { (Foreign(&report.drill.file)) } @match &report.drill.commit { Some(commit) => { ", commit " code.digest { (Foreign(&commit.id)) } @if commit.changed { ", and changed since" } }, None => ", in no repository" } } }
                    @if let Some(digest) = &recorded.drill_sha256 { tr { th { "SHA-256 of drill.yaml" } td { code.digest { (digest) } } } }
                    tr { th { "Command" } td { code { (Foreign(report.run.command.join(" "))) } } }
                    tr { th { "Exit code" } td { (code.code()) ": " (code.reason()) } }
                    tr { th { "To run it again" } td { code { (Foreign(summary::rerun(std::slice::from_ref(report)))) } } }
                    tr { th { "To build this page again" } td { code { "blackstart report " (Foreign(&report.run.folder)) } } }
                }
            }
            h3 #spells { "What each probe saw" }
            (spells(report))
            h3 { "The drill as it was run" }
            (file(&recorded.drill_text))
            h3 { "The environment" }
            (file(&recorded.environment_text))
        }
    }
}

/// The lanes of the figure as a table.
fn spells(report: &Report) -> Markup {
    let lanes = &report.judgement.lanes;
    let each = SPELLS.min(ALL_SPELLS / lanes.len().max(1)).max(4);
    html! {
        table.spells {
            thead { tr { th { "Probe" } th { "Saw" } th.number-column { "From" } th.number-column { "To" } th.number-column { "Samples" } } }
            @for lane in lanes {
                tbody {
                    @for (place, spell) in lane.spells.iter().take(each).enumerate() {
                        tr {
                            td { @if place == 0 { (Foreign(&lane.probe)) } }
                            td { (Foreign(super::lanes::seen(&spell.seen))) }
                            td.number-column { (format!("{:.2} s", middle(spell.from))) }
                            td.number-column { @match spell.to.hi { Some(_) => (format!("{:.2} s", middle(spell.to))), None => "the end" } }
                            td.number-column { (count(spell.samples)) }
                        }
                    }
                    @if lane.spells.len() > each {
                        tr { td {} td colspan="4" { (lane.spells.len() - each) " more in report.json" } }
                    }
                }
            }
        }
    }
}

/// A file, line by line.
fn file(text: &str) -> Markup {
    let cut = text.len() > FILE;
    let mut end = FILE.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let lines: Vec<Cow<'_, str>> = text[..end].lines().map(harmless).collect();
    html! {
        @if text.is_empty() {
            p { "Not kept." }
        } @else {
            pre { (lines.join("\n")) }
            @if cut { p.note { "The rest is in the copy in the folder of the run." } }
        }
    }
}
