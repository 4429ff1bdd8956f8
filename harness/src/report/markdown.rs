//! The report as Markdown for the summary of a CI job: a table, what failed, and a chart of each drill that did not pass.
//!
//! GitHub drops a summary of more than 1 MiB whole; this one keeps below a tenth of that.

use std::{collections::BTreeSet, fmt::Write};

use super::{
    Operated, Report,
    hostile::harmless,
    quantity::{elapsed, middle, plural, range, value},
    repeats::{exit_code, repeats},
    summary,
};
use crate::{
    exit_code::ExitCode,
    verdict::{Bounds, CheckStatus, Seen},
};

/// What a summary may take with its charts; without them if it is more.
const WITH_CHARTS: usize = 90_000;
/// The drills that are listed one by one.
const LISTED: usize = 200;
/// The lines of what failed in a drill that are shown.
const SHOWN: usize = 10;
/// The charts there are at most.
const CHARTS: usize = 8;
/// The spells that a chart shows.
const SPELLS: usize = 40;

/// Renders the reports of one command as Markdown that ends in a newline.
pub fn render(reports: &[Report]) -> String {
    let mut text = table(reports);
    let charts: String = reports
        .iter()
        .filter(|report| {
            reports.len() == 1 || ExitCode::from(&report.judgement) != ExitCode::Passed
        })
        .take(CHARTS)
        .filter_map(chart)
        .collect();
    if text.len() + charts.len() <= WITH_CHARTS {
        text.push_str(&charts);
    }
    text
}

fn table(reports: &[Report]) -> String {
    let passed = |report: &&Report| ExitCode::from(&report.judgement) == ExitCode::Passed;
    let what = if reports.iter().any(|report| report.run.repeat.is_some()) {
        "run"
    } else {
        "drill"
    };
    let together = together(reports);
    let mut text = format!(
        "### {} {} of {} passed\n\n| | drill | recovery | expectations | took |\n| --- | --- | ---: | ---: | ---: |\n",
        if exit_code(reports) == ExitCode::Passed {
            "✅"
        } else {
            "❌"
        },
        reports.iter().filter(passed).count(),
        plural(reports.len(), what),
    );
    let mut failures = String::new();
    for report in reports.iter().take(LISTED) {
        let judgement = &report.judgement;
        let held = judgement
            .checks
            .iter()
            .filter(|check| check.status == CheckStatus::Pass);
        let recovery = judgement.durations.recovery.map_or_else(String::new, both);
        writeln!(
            text,
            "| {} | {} | {} | {} of {} | {} |",
            word(report),
            plain(&report.drill.name),
            plain(&recovery),
            held.count(),
            judgement.checks.len(),
            elapsed(report.run.real_duration_s),
        )
        .expect("memory takes every write");
        failures.push_str(&failed(report));
        failures.push_str(&people(report));
    }
    if reports.len() > LISTED {
        writeln!(text, "| | {} more | | | |", reports.len() - LISTED)
            .expect("memory takes every write");
    }
    text.push_str(&together);
    if !failures.is_empty() {
        text.push('\n');
        text.push_str(&failures);
    }
    let ways = reports
        .iter()
        .filter_map(|report| report.environment.way.as_deref());
    for way in ways.collect::<BTreeSet<_>>() {
        writeln!(text, "\nProbes went {}.", plain(way)).expect("memory takes every write");
    }
    write!(
        text,
        "\nAgain: <code>{}</code>\n",
        plain(&summary::rerun(reports))
    )
    .expect("memory takes every write");
    text
}

/// What several runs of the same drill say together, as a table.
fn together(reports: &[Report]) -> String {
    let mut text = String::new();
    for repeats in repeats(reports) {
        if text.is_empty() {
            text.push_str("\n| | drill | passed | shows | recovery | |\n| --- | --- | ---: | --- | ---: | --- |\n");
        }
        let (median, range) = repeats.recovery.as_ref().map_or_else(
            || (String::new(), String::new()),
            |spread| (spread.median(), spread.range()),
        );
        for rate in &repeats.rates {
            let name = rate.expectation.as_ref().map_or_else(
                || repeats.drill.clone(),
                |expectation| format!("{}: {expectation}", repeats.drill),
            );
            writeln!(
                text,
                "| {} | {} | {}/{} | {} | {} | {} |",
                repeats.word(),
                plain(&name),
                rate.passed,
                rate.runs,
                plain(&rate.statement()),
                plain(&median),
                plain(&range)
            )
            .expect("memory takes every write");
        }
        for reason in repeats.reasons.iter().take(SHOWN) {
            writeln!(
                text,
                "| | {} | | {} | | |",
                plain(&repeats.drill),
                plain(reason)
            )
            .expect("memory takes every write");
        }
    }
    text
}

fn word(report: &Report) -> &'static str {
    let (word, _) = super::terminal::verdict(&report.judgement);
    word
}

fn both(bounds: Bounds) -> String {
    format!("{} {}", value(bounds), range(bounds))
}

/// Why a drill did not pass, as a list.
fn failed(report: &Report) -> String {
    let judgement = &report.judgement;
    if ExitCode::from(judgement) == ExitCode::Passed {
        return String::new();
    }
    let name = plain(&report.drill.name);
    let mut lines: Vec<String> = judgement
        .checks
        .iter()
        .filter(|check| matches!(check.status, CheckStatus::Fail | CheckStatus::Inconclusive))
        .take(SHOWN)
        .map(|check| format!("{}: {}", plain(&check.name), plain(&check.message)))
        .collect();
    if lines.is_empty() {
        lines.extend(
            judgement
                .reasons
                .iter()
                .take(SHOWN)
                .map(|reason| plain(reason)),
        );
    }
    if !judgement.restored {
        lines.push(format!(
            "**NOT RESTORED**: {}",
            plain(&report.what_restores())
        ));
    }
    lines.iter().fold(String::new(), |list, line| {
        list + &format!("- **{name}** {line}\n")
    })
}

/// What people did, as a list.
fn people(report: &Report) -> String {
    const SHOWN: usize = 30;
    let name = plain(&report.drill.name);
    let line = |operated: &Operated| {
        let text = operated
            .text
            .as_deref()
            .map_or_else(String::new, |text| format!(": {}", plain(text)));
        let (who, when) = (plain(operated.who()), operated.when());
        format!("- **{name}** {who} {when} {}{text}\n", operated.what)
    };
    report.operator.iter().take(SHOWN).map(line).collect()
}

/// What was done and who served, as a chart that GitHub and GitLab draw.
fn chart(report: &Report) -> Option<String> {
    let judgement = &report.judgement;
    let mut rows = String::new();
    let mut row = |section: &mut Option<&str>, label: &str, tag: &str, from: f64, to: f64| {
        if let Some(section) = section.take() {
            writeln!(rows, "  section {section}").expect("memory takes every write");
        }
        let (from, to) = (
            (from * 1000.0).round(),
            (to.max(from + 0.001) * 1000.0).round(),
        );
        writeln!(rows, "  {} :{tag}{from:.0}, {to:.0}", label_of(label))
            .expect("memory takes every write");
    };
    let mut section = Some("faults");
    for fault in judgement.faults.iter().take(SPELLS) {
        if let Some(issued) = fault.issued_s {
            let to = fault.restored_s.unwrap_or(judgement.length_s);
            row(
                &mut section,
                &format!("fault {}", fault.describe),
                "active, ",
                issued,
                to,
            );
        }
    }
    let lane = judgement
        .lanes
        .iter()
        .find(|lane| lane.probe == report.measurement.probe)?;
    let mut section = Some("users");
    for spell in lane.spells.iter().take(SPELLS) {
        let from = middle(spell.from);
        let to = spell.to.hi.map_or(judgement.length_s, |_| middle(spell.to));
        // A label never begins with a word of the chart's language.
        let (label, tag) = match &spell.seen {
            Seen::Tier(tier) => (format!("by {tier}"), ""),
            Seen::Down(class) => (format!("down {class}"), "crit, "),
            Seen::Other(_) => ("by nobody that is recognised".to_owned(), "crit, "),
            Seen::Unknown => ("not known".to_owned(), "done, "),
        };
        row(&mut section, &label, tag, from, to);
    }
    let name = label_of(&report.drill.name);
    let axis = if judgement.length_s < 3600.0 {
        "%M:%S"
    } else {
        "%H:%M:%S"
    };
    (!rows.is_empty()).then(|| {
        format!(
            "\n```mermaid\ngantt\n  title {name}\n  dateFormat x\n  axisFormat {axis}\n{rows}```\n"
        )
    })
}

/// A text from outside in Markdown: nothing in it means anything.
fn plain(text: &str) -> String {
    let mut result = String::new();
    for letter in harmless(text).chars() {
        if letter.is_ascii_punctuation()
            && !matches!(
                letter,
                '.' | ',' | '-' | '(' | ')' | '/' | '\'' | '=' | '%' | '+'
            )
        {
            write!(result, "&#{};", letter as u32).expect("memory takes every write");
        } else {
            result.push(letter);
        }
    }
    result
}

/// A text from outside as a label of a chart, whose language has no way to escape.
fn label_of(text: &str) -> String {
    let label: String = harmless(text)
        .chars()
        .map(|letter| match letter {
            '-' | '_' | '.' | '/' | ' ' => letter,
            other if other.is_alphanumeric() => other,
            _ => '_',
        })
        .take(60)
        .collect();
    let label = label.trim();
    if label.is_empty() {
        "_".to_owned()
    } else {
        label.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn a_table_what_failed_and_a_chart() {
        let reports = [
            sample::passing_failover(),
            sample::failing_rto(),
            sample::not_restored(),
        ];
        insta::assert_snapshot!("markdown_of_three_drills", render(&reports));
    }

    #[test]
    fn the_way_to_containers_is_told_once_for_all_drills() {
        let mut report = sample::passing_failover();
        report.environment.way = Some("through a published port".to_owned());
        let text = render(&[report.clone(), report.clone(), sample::failing_rto()]);
        let told = "Probes went through a published port.";
        assert_eq!(text.matches(told).count(), 1, "{text}");
        let others = [
            super::super::terminal::render(&[report.clone()], &super::super::Style::default()),
            super::super::html::render(&report, None),
            super::super::json::render(&report),
        ];
        for other in others {
            assert!(other.contains("through a published port"), "{other}");
        }
    }

    #[test]
    fn text_from_outside_is_neither_markup_nor_a_row_nor_a_fence() {
        let lines = |text: &str| render(&[sample::hostile(text)]).lines().count();
        let expected = lines("harmless");
        let attacks = [
            "|x|",
            "```\n# x",
            "<img src=x>",
            "[a](b)",
            "@everyone",
            "\n  section x",
            "a:b;c#d",
            "`x`",
        ];
        for text in attacks.into_iter().chain(sample::HOSTILE) {
            assert_eq!(lines(text), expected, "{text:?}");
            let all = render(&[sample::hostile(text)]);
            assert_eq!(all.matches("```").count(), 2, "{text:?}");
            assert!(
                !all.contains("<img") && !all.contains("<script") && !all.contains("[a]("),
                "{all}"
            );
        }
    }

    #[test]
    fn a_thousand_failed_drills_are_below_the_limit_of_github() {
        let reports = vec![sample::failing_rto(); 1000];
        assert!(
            render(&reports).len() < 100_000,
            "{}",
            render(&reports).len()
        );
    }
}
