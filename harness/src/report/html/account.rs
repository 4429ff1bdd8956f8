//! What was meant, what happened and what it did to users: sections 4 to 10.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::{Foreign, first_page::restored, heading, said, said_list, scale::point};
use crate::{
    report::{
        Report,
        quantity::{count, middle, plural, range, short, trimmed, value},
        recorded::phase_words,
    },
    verdict::{Lane, Seen},
};

/// Section 4.
pub(super) fn purpose(report: &Report) -> Markup {
    let exercise = super::exercise(report);
    html! {
        section {
            (heading(4, "Purpose and scope"))
            p { (Foreign(&report.drill.about)) }
            h3 { "Scenario" }
            @if report.judgement.faults.is_empty() {
                p { "No fault: only the service was watched." }
            } @else {
                ol { @for fault in &report.judgement.faults { li { (Foreign(&fault.describe)) } } }
            }
            h3 { "Expected outcome" }
            ul { @for check in &report.judgement.checks { li { (Foreign(&check.name)) } } }
            h3 { "Systems in scope" }
            p { (Foreign(&report.environment.name)) ": " (Foreign(&report.environment.about)) }
            table {
                thead { tr { th { "Tier, the preferred one first" } th { "What it is" } } }
                tbody { @for (name, about) in &report.environment.tiers { tr { td { (Foreign(name)) } td { (Foreign(about)) } } } }
            }
            @if !report.judgement.preflight.is_empty() {
                h3 { "Preconditions, as they were before the fault" }
                table {
                    thead { tr { th { "Tier" } th { "State" } th { "Asked" } th { "Answer" } } }
                    tbody {
                        @for checked in &report.judgement.preflight {
                            tr {
                                td { (Foreign(&checked.tier)) }
                                td { (match checked.good { Some(true) => "alive", Some(false) => "DEAD", None => "not known" }) }
                                td { (Foreign(&checked.asked)) }
                                td { (Foreign(checked.detail.as_deref().unwrap_or_default())) }
                            }
                        }
                    }
                }
            }
            @if !report.drill.tags.is_empty() {
                p { "Tags: " (Foreign(report.drill.tags.join(", "))) }
            }
            @if let Some(objective) = &exercise.objective { h3 { "Objective" } p { (Foreign(objective)) } }
            div.blanks {
                (said("Organisation", exercise.organisation.as_deref()))
                (said("System, as the business calls it", exercise.system.as_deref()))
                (said("Owner", exercise.owner.as_deref()))
                (said_list("Third parties in scope", &exercise.third_parties))
                (said_list("Out of scope", &exercise.out_of_scope))
                (said_list("Assumptions", &exercise.assumptions))
                (said_list("References (impact analysis, plan, change ticket)", &exercise.references))
            }
        }
    }
}

/// Section 5.
pub(super) fn what_happened(report: &Report) -> Markup {
    let judgement = &report.judgement;
    html! {
        section {
            (heading(5, "What happened"))
            @if !judgement.parts.is_empty() {
                h3 { "Where the recovery time went" }
                (breakdown(report))
            }
            @if !report.operator.is_empty() {
                h3 { "What people did" }
                table {
                    thead { tr { th { "By" } th.number-column { "Since the fault" } th { "What" } th { "Text" } } }
                    tbody {
                        @for operated in &report.operator {
                            tr {
                                td { (Foreign(operated.who())) }
                                td.number-column { (operated.when()) }
                                td { (operated.what) }
                                td { (Foreign(operated.text.as_deref().unwrap_or_default())) }
                            }
                        }
                    }
                }
            }
            h3 { "Step by step" }
            @if report.recorded.steps.is_empty() {
                p { "No steps were recorded." }
            } @else {
                table.steps {
                    thead { tr { th.number-column { "Time" } th { "By" } th { "What" } th { "Result" } } }
                    tbody {
                        @for step in &report.recorded.steps {
                            tr {
                                td.number-column { (format!("{:.1} s", step.at_s)) }
                                td { (Foreign(&step.who)) }
                                td { (Foreign(&step.what)) }
                                td { (Foreign(&step.came)) }
                            }
                        }
                    }
                }
                @if let Some(more) = report.recorded.unlisted() { p.note { (more) } }
            }
            @if !judgement.phases.is_empty() {
                p.note {
                    "Phases: "
                    @for (place, phase) in judgement.phases.iter().enumerate() {
                        @if place > 0 { ", " }
                        (phase_words(phase.phase)) " " (format!("{:.0}–{:.0} s", phase.from_s, phase.to_s))
                    }
                    "."
                }
            }
        }
    }
}

/// A bar of the parts of the recovery time, each with a number that its row of the table has too.
fn breakdown(report: &Report) -> Markup {
    let parts = &report.judgement.parts;
    let total: f64 = parts.iter().map(|part| part.seconds.max(0.0)).sum();
    let total = if total > 0.0 { total } else { 1.0 };
    let mut x = 0.0;
    let bars: Vec<(f64, f64)> = parts
        .iter()
        .map(|part| {
            let wide = part.seconds.max(0.0) / total * 760.0;
            let from = x;
            x += wide;
            (from, wide)
        })
        .collect();
    html! {
        svg.breakdown viewBox="0 0 760 26" role="img" aria-label="Parts of the recovery time, as in the table below" {
            @for (place, (from, wide)) in bars.iter().enumerate() {
                rect class={ "part part-" (place % 2) } x=(point(*from)) y="1" width=(point(*wide)) height="24" {}
                @if *wide > 14.0 {
                    text x=(point(from + wide / 2.0)) y="17" { (place + 1) }
                }
            }
        }
        table {
            thead { tr { th { "" } th { "Part" } th.number-column { "Time" } th.number-column { "Share" } th { "What it is" } } }
            tbody {
                @for (place, part) in parts.iter().enumerate() {
                    tr {
                        td { (place + 1) }
                        td { (Foreign(&part.name)) }
                        td.number-column { (trimmed(part.seconds, 1)) " s" }
                        td.number-column { (format!("{:.0} %", part.seconds.max(0.0) / total * 100.0)) }
                        td { (Foreign(&part.about)) }
                    }
                }
            }
        }
    }
}

/// Section 6.
pub(super) fn path(report: &Report) -> Markup {
    let judgement = &report.judgement;
    html! {
        section {
            (heading(6, "Failover path"))
            @if judgement.whole_path.is_empty() {
                p { "Nobody was seen to serve users." }
            } @else {
                p.path {
                    @for (place, step) in judgement.whole_path.iter().enumerate() {
                        @if place > 0 { span.arrow { " → " } }
                        span.step { (Foreign(step)) }
                    }
                }
                p { "Until the revert: " (Foreign(judgement.path.join(" → "))) ". Spells too short to count: " (judgement.blips) ". Changes from good to bad after the first success: " (judgement.flaps) "." }
            }
            @if let Some(users) = users(report) {
                table {
                    thead { tr { th { "Who served users" } th.number-column { "Time" } th.number-column { "Share" } th.number-column { "Samples" } th.number-column { "Spells" } } }
                    tbody {
                        @for (name, dwell) in dwells(users, judgement.length_s) {
                            tr {
                                td { (Foreign(name)) }
                                td.number-column { (trimmed(dwell.seconds, 1)) " s" }
                                td.number-column { (format!("{:.1} %", dwell.seconds / judgement.length_s.max(1e-9) * 100.0)) }
                                td.number-column { (count(dwell.samples)) }
                                td.number-column { (dwell.spells) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The lane of the users' probe.
fn users(report: &Report) -> Option<&Lane> {
    let lanes = &report.judgement.lanes;
    lanes
        .iter()
        .find(|lane| lane.probe == report.measurement.probe)
}

/// How long something was seen.
#[derive(Default)]
struct Dwell {
    seconds: f64,
    samples: u64,
    spells: u64,
}

fn dwells(lane: &Lane, length_s: f64) -> BTreeMap<String, Dwell> {
    let mut dwells: BTreeMap<String, Dwell> = BTreeMap::new();
    for spell in &lane.spells {
        let name = match &spell.seen {
            Seen::Tier(name) => name.clone(),
            Seen::Down(_) => "nobody (down)".to_owned(),
            Seen::Other(_) => "somebody no tier recognises".to_owned(),
            Seen::Unknown => "not known".to_owned(),
        };
        let to = spell.to.hi.map_or(length_s, |_| middle(spell.to));
        let dwell = dwells.entry(name).or_default();
        dwell.seconds += (to - middle(spell.from)).max(0.0);
        dwell.samples += spell.samples;
        dwell.spells += 1;
    }
    dwells
}

/// Section 7.
pub(super) fn dns(report: &Report) -> Markup {
    let judgement = &report.judgement;
    let rows: Vec<_> = report
        .recorded
        .probes
        .iter()
        .filter(|probe| probe.what.starts_with("asks "))
        .filter_map(|probe| {
            let lane = judgement
                .lanes
                .iter()
                .find(|lane| lane.probe == probe.name)?;
            Some((probe, lane))
        })
        .collect();
    html! {
        section {
            (heading(7, "DNS"))
            @if rows.is_empty() {
                p { "Not measured: no probe asks a name server." }
            } @else {
                table {
                    thead { tr { th { "Probe" } th { "Asks" } th.number-column { "TTL" } th { "Answers in order" } th.number-column { "Failed" } } }
                    tbody {
                        @for (probe, lane) in rows {
                            tr {
                                td { (Foreign(&probe.name)) }
                                td { (Foreign(&probe.what)) }
                                td.number-column { @match probe.ttl_s { Some([least, most]) if least == most => { (most) " s" }, Some([least, most]) => { (least) "–" (most) " s" }, None => "not seen" } }
                                td { (Foreign(answers(lane))) }
                                td.number-column { (count(lane.bad.values().sum())) }
                            }
                        }
                    }
                }
                p {
                    "Switched at every authority: " (moment(judgement.durations.dns_switch)) " after the fault. "
                    "From there to the last resolver: " (moment(judgement.durations.propagation)) ". "
                    @match judgement.durations.dns_disagreement {
                        Some(disagreement) => { "The authorities disagreed for " (value(disagreement)) " " (range(disagreement)) ", from the first that switched to the last." }
                        None => "Whether authorities disagreed is not known: it takes two of them at least, all of which switched.",
                    }
                }
            }
        }
    }
}

fn moment(bounds: Option<crate::verdict::Bounds>) -> String {
    bounds.map_or_else(
        || "not seen".to_owned(),
        |bounds| format!("{} {}", value(bounds), range(bounds)),
    )
}

/// `primary until 75.0 s, vm until 286.0 s, primary`.
fn answers(lane: &Lane) -> String {
    const SHOWN: usize = 8;
    let mut words: Vec<String> = lane
        .spells
        .iter()
        .take(SHOWN)
        .map(|spell| {
            let seen = super::lanes::seen(&spell.seen);
            match spell.to.hi {
                Some(_) => format!("{seen} until {:.1} s", middle(spell.to)),
                None => seen,
            }
        })
        .collect();
    if lane.spells.len() > SHOWN {
        words.push(format!("{} more", lane.spells.len() - SHOWN));
    }
    words.join(", ")
}

/// Section 8.
pub(super) fn availability(report: &Report) -> Markup {
    let judgement = &report.judgement;
    html! {
        section {
            (heading(8, "Availability"))
            p {
                @match judgement.availability {
                    Some(share) => { "From the fault to the end of the hold, users were served " strong { (percent(share)) } " of the time. Void samples count neither way." }
                    None => "The share of time in which users were served was not measured.",
                }
            }
            table {
                thead { tr { th { "Probe" } th.number-column { "Samples" } th.number-column { "Good" } th { "Failed, by class" } th { "Void" } th.number-column { "Stalls" } th.number-column { "Latency p50 / p99 / max" } } }
                tbody {
                    @for lane in &judgement.lanes {
                        tr {
                            td { (Foreign(&lane.probe)) }
                            td.number-column { (count(lane.samples)) }
                            td.number-column { (count(lane.good)) }
                            td { (Foreign(counts(&lane.bad))) }
                            td { (Foreign(counts(&lane.void))) }
                            td.number-column { (lane.stalls) @if lane.stalls > 0 { ", longest " (short(lane.longest_stall_s)) } }
                            td.number-column { @if let Some([median, p99, most]) = lane.latency_s { (short(median)) " / " (short(p99)) " / " (short(most)) } @else { "no good sample" } }
                        }
                    }
                }
            }
            p.note { "Latency is that of good samples: a failure ends early or at its time-out and would distort it. A stall is a run of slow but good answers." }
        }
    }
}

/// A share of bounds, rounded outwards as far as is written.
fn percent(share: crate::verdict::Bounds) -> String {
    match share.hi {
        Some(hi) => format!(
            "{:.1} to {:.1} %",
            (share.lo * 10.0).floor() / 10.0,
            (hi * 10.0).ceil() / 10.0
        ),
        None => format!("at least {:.1} %", (share.lo * 10.0).floor() / 10.0),
    }
}

fn counts(counts: &BTreeMap<String, u64>) -> String {
    if counts.is_empty() {
        return "none".to_owned();
    }
    let words: Vec<String> = counts
        .iter()
        .map(|(class, number)| format!("{} {class}", count(*number)))
        .collect();
    words.join(", ")
}

/// Section 9.
pub(super) fn repeats(report: &Report) -> Markup {
    let seed = report.run.seed;
    html! {
        section {
            (heading(9, "Repeats"))
            @if let Some(repeat) = report.run.repeat {
                p { "This is run " (repeat.number) " of " (repeat.of) ". What all of them show together is in " a href="../report.html" { "the report of all runs" } "." }
            }
            p {
                "This report is of one run (seed " (seed) "). One run shows what happened once; it bounds no rate. "
                "If runs are independent and alike, 29 without a failure are needed to say with 95 % confidence that 90 % of such failovers hold, 59 for 95 %."
            }
        }
    }
}

/// Section 10.
pub(super) fn clean_up(report: &Report) -> Markup {
    let judgement = &report.judgement;
    let seconds = |at: Option<f64>| at.map_or_else(|| "–".to_owned(), |at| format!("{at:.1} s"));
    html! {
        section {
            (heading(10, "Clean-up and failback"))
            p { "Restored: " (restored(judgement)) "." }
            @if !judgement.restored {
                p.alarm { "NOT RESTORED. What finishes it: " code { (Foreign(report.what_restores())) } }
            }
            @if !judgement.faults.is_empty() {
                table {
                    thead { tr { th { "Fault" } th { "Target" } th.number-column { "Sent" } th.number-column { "Acknowledged" } th.number-column { "Verified" } th.number-column { "Restored, read back" } th { "Trouble" } } }
                    tbody {
                        @for fault in &judgement.faults {
                            tr {
                                td { (Foreign(&fault.describe)) }
                                td { (Foreign(&fault.target)) }
                                td.number-column { (seconds(fault.issued_s)) }
                                td.number-column { (seconds(fault.acknowledged_s)) }
                                td.number-column { (seconds(fault.verified_s)) }
                                td.number-column { @if fault.issued_s.is_some() && fault.restored_s.is_none() { strong { "NO" } } @else { (seconds(fault.restored_s)) } }
                                td { (Foreign(fault.trouble.as_deref().unwrap_or("none"))) @if let Some(words) = &fault.rehearsed { " Would be restored by: " (Foreign(words)) } }
                            }
                        }
                    }
                }
            }
            p {
                @match judgement.durations.failback {
                    Some(failback) => { "Users were back on the first tier " strong { (value(failback)) } " " (range(failback)) " after the revert." }
                    None => "No failback was measured.",
                }
            }
            @let sent = judgement.faults.iter().filter(|fault| fault.issued_s.is_some()).count();
            @if sent > 0 { p.note { (plural(sent, "fault")) " sent in this run. Only a restore that an independent read has shown counts as one." } }
        }
    }
}
