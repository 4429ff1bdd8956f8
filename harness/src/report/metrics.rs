//! The report as metrics, for the textfile collector of `node_exporter` and whatever else reads `OpenMetrics`.
//!
//! Samples have no time of their own, which that collector refuses; when a drill ended is a metric.

use std::{collections::BTreeMap, fmt::Write};

use jiff::Timestamp;

use super::{Repeats, Report, hostile::harmless, repeats};
use crate::verdict::{Bounds, CheckStatus, Judgement, Verdict, word};

/// A metric: its name, its type, its unit if it has one, and what it is.
type Metric = (&'static str, &'static str, &'static str, &'static str);

/// Renders the reports as `OpenMetrics` text. Of several runs of one drill on one environment, the last counts.
pub fn render(reports: &[Report]) -> String {
    let last: BTreeMap<(&str, &str), &Report> = reports
        .iter()
        .map(|report| {
            (
                (report.drill.name.as_str(), report.environment.name.as_str()),
                report,
            )
        })
        .collect();
    let mut text = String::new();
    let mut family = |metric: Metric, samples: fn(&Report) -> Vec<(String, f64)>| {
        let (name, kind, unit, help) = metric;
        let rows: Vec<String> = last
            .values()
            .flat_map(|report| {
                let labels = labels(report);
                samples(report).into_iter().map(move |(more, number)| {
                    let suffix = if kind == "counter" { "_total" } else { "" };
                    format!("{name}{suffix}{{{labels}{more}}} {}\n", value(number))
                })
            })
            .collect();
        if rows.is_empty() {
            return;
        }
        writeln!(text, "# TYPE {name} {kind}").expect("memory takes every write");
        if !unit.is_empty() {
            writeln!(text, "# UNIT {name} {unit}").expect("memory takes every write");
        }
        writeln!(text, "# HELP {name} {help}").expect("memory takes every write");
        text.extend(rows);
    };
    family(
        (
            "blackstart_drill_verdict",
            "gauge",
            "",
            "1 for what came of the drill, 0 for everything else.",
        ),
        verdicts,
    );
    family(
        (
            "blackstart_recovery_seconds",
            "gauge",
            "seconds",
            "From the fault to the first stable run of good answers.",
        ),
        |report| bounds(report.judgement.durations.recovery),
    );
    family(
        (
            "blackstart_recovery_limit_seconds",
            "gauge",
            "seconds",
            "What the drill allows for the recovery.",
        ),
        |report| {
            let rto = report
                .judgement
                .checks
                .iter()
                .find(|check| check.kind == "rto");
            let limit = rto.and_then(|check| check.limit_s);
            limit
                .map(|limit| (String::new(), limit))
                .into_iter()
                .collect()
        },
    );
    family(
        (
            "blackstart_outage_seconds",
            "gauge",
            "seconds",
            "How long users were without service.",
        ),
        |report| bounds(report.judgement.durations.outage),
    );
    family(
        (
            "blackstart_detection_seconds",
            "gauge",
            "seconds",
            "From the fault to when the system noticed.",
        ),
        |report| bounds(report.judgement.durations.detection),
    );
    family(
        (
            "blackstart_failback_seconds",
            "gauge",
            "seconds",
            "From the revert to when users were back on the first tier.",
        ),
        |report| bounds(report.judgement.durations.failback),
    );
    family(
        (
            "blackstart_failover_events",
            "counter",
            "",
            "Moments of a failover that were seen in the last run.",
        ),
        |report| events(&report.judgement),
    );
    family(
        (
            "blackstart_expectations",
            "gauge",
            "",
            "Expectations by what came of them.",
        ),
        |report| {
            let statuses = [
                CheckStatus::Pass,
                CheckStatus::Fail,
                CheckStatus::Inconclusive,
                CheckStatus::NotRun,
            ];
            statuses
                .map(|status| {
                    let checks = &report.judgement.checks;
                    let all = checks.iter().filter(|check| check.status == status).count();
                    (format!(",status=\"{}\"", word(status)), number(all))
                })
                .into()
        },
    );
    family(
        (
            "blackstart_targets_restored",
            "gauge",
            "",
            "1 if every target is verified as restored.",
        ),
        |report| {
            vec![(
                String::new(),
                f64::from(u8::from(report.judgement.restored)),
            )]
        },
    );
    family(
        (
            "blackstart_run_duration_seconds",
            "gauge",
            "seconds",
            "How long the drill took on the wall's clock.",
        ),
        |report| vec![(String::new(), report.run.real_duration_s)],
    );
    family(
        (
            "blackstart_last_run_timestamp_seconds",
            "gauge",
            "seconds",
            "When the drill ended, since 1970.",
        ),
        |report| {
            let started = report.run.started_at.parse::<Timestamp>();
            let ended =
                started.map(|at| at.as_duration().as_secs_f64() + report.run.real_duration_s);
            ended
                .map(|at| (String::new(), at.round()))
                .into_iter()
                .collect()
        },
    );
    together(&mut text, reports);
    text.push_str("# EOF\n");
    text
}

/// What several runs of the same drill say together.
fn together(text: &mut String, reports: &[Report]) {
    type Family = (&'static str, &'static str, fn(&Repeats) -> Option<f64>);
    let all = repeats(reports);
    let families: [Family; 4] = [
        (
            "blackstart_repeat_runs",
            "Runs of the drill that were judged.",
            |all| Some(number(all.rates[0].runs)),
        ),
        (
            "blackstart_repeat_passed",
            "Runs in which everything held.",
            |all| Some(number(all.rates[0].passed)),
        ),
        (
            "blackstart_repeat_pass_rate_lower_bound",
            "At least this share of such runs passes, with 95 % confidence unless another was asked for.",
            |all| Some(all.rates[0].lower_bound),
        ),
        (
            "blackstart_repeat_recovery_median_seconds",
            "The median of the recovery times.",
            |all| all.recovery.as_ref().map(|spread| spread.median_s),
        ),
    ];
    for (name, help, sample) in families {
        let samples: Vec<_> = all
            .iter()
            .filter_map(|repeats| Some((repeats, sample(repeats)?)))
            .collect();
        if samples.is_empty() {
            continue;
        }
        writeln!(text, "# TYPE {name} gauge").expect("memory takes every write");
        if name.ends_with("_seconds") {
            writeln!(text, "# UNIT {name} seconds").expect("memory takes every write");
        }
        writeln!(text, "# HELP {name} {help}").expect("memory takes every write");
        for (repeats, sample) in samples {
            writeln!(
                text,
                "{name}{{drill=\"{}\",environment=\"{}\"}} {}",
                label(&repeats.drill),
                label(&repeats.environment),
                value(sample)
            )
            .expect("memory takes every write");
        }
    }
}

fn labels(report: &Report) -> String {
    format!(
        "drill=\"{}\",environment=\"{}\"",
        label(&report.drill.name),
        label(&report.environment.name)
    )
}

/// A text from outside as the value of a label.
fn label(text: &str) -> String {
    harmless(text).replace('\\', "\\\\").replace('"', "\\\"")
}

fn verdicts(report: &Report) -> Vec<(String, f64)> {
    [
        Verdict::Pass,
        Verdict::Fail,
        Verdict::Inconclusive,
        Verdict::DryRun,
        Verdict::Aborted,
        Verdict::Invalid,
    ]
    .map(|verdict| {
        let this = u8::from(report.judgement.verdict == verdict);
        (format!(",verdict=\"{}\"", word(verdict)), f64::from(this))
    })
    .into()
}

/// A number as the format spells it.
fn value(number: f64) -> String {
    if number.is_infinite() {
        "+Inf".to_owned()
    } else {
        number.to_string()
    }
}

/// The bounds, the upper one infinite for what had not ended; nothing for what was not measured.
fn bounds(bounds: Option<Bounds>) -> Vec<(String, f64)> {
    let Some(bounds) = bounds else {
        return Vec::new();
    };
    // An alert on the upper bound fires for what never ended.
    let hi = bounds.hi.unwrap_or(f64::INFINITY);
    vec![
        (",bound=\"lo\"".to_owned(), bounds.lo),
        (",bound=\"hi\"".to_owned(), hi),
    ]
}

fn events(judgement: &Judgement) -> Vec<(String, f64)> {
    let moments = &judgement.moments;
    [
        ("fault", moments.fault),
        ("impact", moments.impact),
        ("detected", moments.detected),
        ("switched", moments.switched),
        ("recovered", moments.recovered),
        ("failed-back", moments.failed_back),
    ]
    .map(|(event, moment)| {
        let seen = moment.is_some_and(|moment| moment.hi.is_some());
        (format!(",event=\"{event}\""), f64::from(u8::from(seen)))
    })
    .into()
}

#[expect(clippy::cast_precision_loss, reason = "expectations are few")]
fn number(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn metrics_of_two_drills() {
        let reports = [sample::passing_failover(), sample::failing_rto()];
        insta::assert_snapshot!("metrics_of_two_drills", render(&reports));
    }

    #[test]
    fn a_recovery_that_was_never_seen_to_end_is_above_every_limit() {
        let mut report = sample::failing_rto();
        report.judgement.durations.recovery = Some(Bounds { lo: 60.0, hi: None });
        let text = render(&[report]);
        assert!(text.contains("bound=\"hi\"} +Inf\n"), "{text}");
    }

    #[test]
    fn every_line_is_a_comment_or_a_sample_whatever_a_drill_is_called() {
        for text in sample::HOSTILE.into_iter().chain(["a\"} 1\nb{c=\"", "\\"]) {
            let report = sample::hostile(text);
            let text = render(&[report.clone(), report]);
            let lines: Vec<_> = text.lines().collect();
            assert_eq!(lines.last(), Some(&"# EOF"));
            let mut seen = std::collections::BTreeSet::new();
            for line in lines.iter().filter(|line| !line.starts_with('#')) {
                let (series, number) = line.rsplit_once(' ').unwrap();
                assert!(
                    series.starts_with("blackstart_") && series.ends_with('}'),
                    "{line}"
                );
                assert!(number.parse::<f64>().is_ok(), "{line}");
                assert!(seen.insert(series), "{series} twice");
            }
        }
    }
}
