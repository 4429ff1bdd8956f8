//! The page of several drills: a matrix of drills and expectations, with the way to the page of each.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::{
    Foreign, Paper, address,
    first_page::{sentence, started},
    shell, sign, verdict,
};
use crate::{
    report::{
        Report,
        quantity::{elapsed, plural, range, value},
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
    let (word, class) = if passed == reports.len() {
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
                div.title { p.kind { "Disaster-recovery drills" } h1 { (plural(reports.len(), "drill")) } }
                @if !reports.is_empty() { p.verdict.(class) { (word) } }
            }
            p.sentence { (passed) " of " (plural(reports.len(), "drill")) " passed." }
            dl.facts {
                div { dt { "Started" } dd { (Foreign(started(first))) } }
                div { dt { "Took" } dd { (elapsed(summary::real_duration(reports))) } }
                div { dt { "Run" } dd { (Foreign(run)) } }
            }
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
                                th { a href={ "./" (Foreign(address(&report.drill.name))) "/report.html" } { (Foreign(&report.drill.name)) } }
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
        section {
            h2 { "In words" }
            @for report in reports {
                article {
                    h3 { (Foreign(&report.drill.name)) ": " (verdict(&report.judgement).0) }
                    p { (Foreign(sentence(report))) }
                }
            }
        }
    };
    shell(
        &format!("{}: {word}", plural(reports.len(), "drill")),
        &format!("run {run}"),
        paper,
        &body,
    )
}

fn cell(checks: &[Check], kind: &str) -> Markup {
    let worst = checks
        .iter()
        .filter(|check| check.kind == kind)
        .map(|check| check.status)
        .max();
    html! { @if let Some(worst) = worst { (sign(worst)) } }
}
