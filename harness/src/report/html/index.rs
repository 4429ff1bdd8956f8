//! The page of several drills: a matrix of drills and expectations, with the way to the page of each.

use std::{collections::BTreeSet, path::Path};

use maud::{Markup, html};

use super::{
    Foreign, Paper, address,
    first_page::{sentence, started},
    shell, sign,
    together::together,
    verdict,
};
use crate::{
    exit_code::ExitCode,
    report::{
        Report,
        quantity::{elapsed, plural, range, value},
        repeats::{exit_code, repeats},
        summary,
    },
    verdict::{Check, CheckStatus},
};

pub(super) fn page(reports: &[Report], paper: Option<Paper>) -> String {
    let kinds: BTreeSet<&str> = reports
        .iter()
        .flat_map(|report| &report.judgement.checks)
        .map(|check| check.kind.as_str())
        .collect();
    let passed = reports
        .iter()
        .filter(|report| verdict(&report.judgement).0 == "PASS")
        .count();
    let groups = repeats(reports);
    let what = if groups.is_empty() { "drill" } else { "run" };
    let (word, class) = if exit_code(reports) == ExitCode::Passed {
        ("PASS", "good")
    } else {
        ("NOT ALL PASSED", "bad")
    };
    let first = reports
        .iter()
        .map(|report| report.run.started_at.as_str())
        .min()
        .unwrap_or_default();
    let run = reports.first().map_or("", |report| report.run.id.as_str());
    let body = html! {
        section.cover {
            header {
                div.title { p.kind { "Disaster-recovery drills" } h1 { @match &groups[..] { [only] if only.done == reports.len() => { (Foreign(&only.drill)) ", " (plural(only.done, "run")) }, _ => (plural(reports.len(), what)) } } }
                @if !reports.is_empty() { p.verdict.(class) { (word) } }
            }
            p.sentence { (passed) " of " (plural(reports.len(), what)) " passed." }
            dl.facts {
                div { dt { "Started" } dd { (Foreign(started(first))) } }
                div { dt { "Took" } dd { (elapsed(summary::real_duration(reports))) } }
                div { dt { "Run" } dd { (Foreign(run)) } }
            }
            @if let [only] = &groups[..] { (together(only)) }
            h2 { "Drills and expectations" }
            div.wide {
                table.matrix {
                    thead {
                        tr {
                            th { "Drill" } th { "Verdict" } th.number-column { "Recovery" }
                            @for kind in &kinds { th.kind-column { (Foreign(kind)) } }
                            th.kind-column { "restored" }
                        }
                    }
                    tbody {
                        @for report in reports {
                            @let judgement = &report.judgement;
                            @let (word, class) = verdict(judgement);
                            tr {
                                th { a href={ "./" (Foreign(address(&folder_of(report)))) "/report.html" } { (Foreign(name_of(report))) } }
                                td { span.status.(class) { (word) } }
                                td.number-column { @if let Some(recovery) = judgement.durations.recovery { (value(recovery)) br; span.where { (range(recovery)) } } }
                                @for kind in &kinds { td.cell { (cell(&judgement.checks, kind)) } }
                                td.cell { (sign(if judgement.restored { CheckStatus::Pass } else { CheckStatus::Fail })) }
                            }
                        }
                    }
                }
            }
            p.note { "✓ holds, ✗ does not hold, ? cannot be decided, – not run. An empty cell: the drill expects nothing of this kind. Of several expectations of a kind, the worst." }
        }
        @if groups.len() > 1 { @for group in &groups { (together(group)) } }
        section {
            h2 { "In words" }
            @for report in reports {
                article {
                    h3 { (Foreign(name_of(report))) ": " (verdict(&report.judgement).0) }
                    p { (Foreign(sentence(report))) }
                }
            }
        }
    };
    shell(
        &format!("{}: {word}", plural(reports.len(), what)),
        &format!("run {run}"),
        paper,
        &body,
    )
}

/// The drill, and which of its runs.
fn name_of(report: &Report) -> String {
    let name = &report.drill.name;
    match report.run.repeat {
        Some(repeat) => format!("{name}, run {} of {}", repeat.number, repeat.of),
        None => name.clone(),
    }
}

/// The folder beside the index: that of the drill, or the one that the run of several has.
fn folder_of(report: &Report) -> String {
    let last = Path::new(&report.run.folder).file_name();
    match (report.run.repeat, last) {
        (Some(_), Some(last)) => last.to_string_lossy().into_owned(),
        (Some(_) | None, _) => report.drill.name.clone(),
    }
}

fn cell(checks: &[Check], kind: &str) -> Markup {
    let worst = checks
        .iter()
        .filter(|check| check.kind == kind)
        .map(|check| check.status)
        .max();
    html! { @if let Some(worst) = worst { (sign(worst)) } }
}
