//! The report as `JUnit` XML for CI servers.
//!
//! There is no official schema; this follows the common ground that <https://github.com/testmoapp/junitxml> documents. GitLab keeps
//! only the first of several test cases of one name and class, so names are made unique, and shows the body of a failure rather than
//! its message, so the body repeats it. The `time` of an expectation about a duration is the measured value, which gives the trend of
//! the recovery time in every CI server that draws one.

#[cfg(test)]
mod schema;

use std::{collections::BTreeMap, time::Duration};

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};

use super::{Repeats, Report, hostile::harmless, quantity::trimmed, repeats, summary};
use crate::{
    exit_code::ExitCode,
    timeline::Commit,
    verdict::{Check, CheckStatus, Judgement, Verdict},
};

/// Renders the reports as one `JUnit` document that ends in a newline: a suite per drill, a case per expectation, and one for whether
/// the targets are restored.
pub fn render(reports: &[Report]) -> String {
    let mut document = quick_junit::Report::new("blackstart");
    document.time = seconds(summary::real_duration(reports));
    document.timestamp = reports
        .iter()
        .filter_map(|report| report.run.started_at.parse().ok())
        .min();
    let mut total: BTreeMap<&str, usize> = BTreeMap::new();
    for report in reports {
        *total.entry(&report.drill.name).or_default() += 1;
    }
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for report in reports {
        let (nth, of) = (
            seen.entry(&report.drill.name).or_default(),
            total[report.drill.name.as_str()],
        );
        *nth += 1;
        // Names of test cases are kept over time, so the numbers have as many digits whatever came of the runs.
        let repeat = match report.run.repeat {
            Some(repeat) => {
                let digits = repeat.of.to_string().len();
                format!(" (run {:0digits$}/{})", repeat.number, repeat.of)
            }
            None if of > 1 => format!(" (run {nth}/{of})"),
            None => String::new(),
        };
        document.add_test_suite(suite(report, &repeat));
    }
    for repeats in repeats(reports) {
        document.add_test_suite(together(&repeats));
    }
    let mut text = document
        .to_string()
        .expect("text is valid XML once it is harmless, and memory takes every write");
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// What several runs of a drill say together: a case for each rate.
fn together(repeats: &Repeats) -> TestSuite {
    let class = format!("drills.{}", harmless(&repeats.drill));
    let mut suite = TestSuite::new(format!("{class} (all runs)"));
    let add = |suite: &mut TestSuite, name: String, status: TestCaseStatus, out: String| {
        let mut case = TestCase::new(name, status);
        case.set_classname(&class);
        case.set_time(Duration::ZERO);
        case.set_system_out(out);
        suite.add_test_case(case);
    };
    let status = if repeats.code == ExitCode::Passed {
        TestCaseStatus::success()
    } else {
        let reasons: Vec<String> = repeats
            .reasons
            .iter()
            .map(|reason| harmless(reason).into_owned())
            .collect();
        let message = reasons.first().cloned().unwrap_or_default();
        let (kind, class) = match repeats.code {
            ExitCode::Failed => (NonSuccessKind::Failure, "expectation.repeats"),
            ExitCode::Passed
            | ExitCode::Usage
            | ExitCode::CouldNotRun
            | ExitCode::NothingSelected
            | ExitCode::NotRestored
            | ExitCode::Interrupted
            | ExitCode::Terminated => (NonSuccessKind::Error, "harness.repeats"),
        };
        non_success(kind, class, &message, &reasons)
    };
    let mut out: Vec<String> = repeats
        .rates
        .iter()
        .map(|rate| {
            let what = rate.expectation.as_deref().unwrap_or("the drill");
            format!(
                "{}: {}/{} passed, {}",
                harmless(what),
                rate.passed,
                rate.runs,
                rate.statement()
            )
        })
        .collect();
    if let Some(spread) = &repeats.recovery {
        out.push(format!(
            "recovery: median {}, {}",
            spread.median(),
            spread.range()
        ));
    }
    out.extend(repeats.notes.iter().cloned());
    add(
        &mut suite,
        "all runs together".to_owned(),
        status,
        out.join("\n"),
    );
    suite
}

fn suite(report: &Report, repeat: &str) -> TestSuite {
    let judgement = &report.judgement;
    let class = format!("drills.{}", harmless(&report.drill.name));
    let mut suite = TestSuite::new(format!("{class}{repeat}"));
    suite.time = seconds(report.run.real_duration_s);
    suite.timestamp = report.run.started_at.parse().ok();
    for (name, value) in [("file", &report.drill.file), ("hostname", &report.run.host)] {
        suite.extra.insert(name.into(), harmless(value).into());
    }
    for (name, value) in [
        ("run_id", report.run.id.clone()),
        (
            "git",
            report
                .drill
                .commit
                .as_ref()
                .map_or_else(String::new, Commit::words),
        ),
        ("seed", report.run.seed.to_string()),
        ("environment", report.environment.name.clone()),
        ("speed", trimmed(report.environment.speed, 3)),
        (
            "tool",
            format!("{} {}", report.tool.name, report.tool.version),
        ),
        ("format_version", report.format_version.clone()),
        ("exit_code", ExitCode::from(judgement).code().to_string()),
        ("path", judgement.path.join(" -> ")),
        ("flaps", judgement.flaps.to_string()),
    ] {
        // What is not known is no property.
        if value.is_empty() {
            continue;
        }
        suite.add_property((name, &*harmless(&value)));
    }

    let mut names = BTreeMap::new();
    let mut add = |name: &str, line: Option<u32>, fill: &dyn Fn(&mut TestCase)| {
        let count: &mut u32 = names.entry(name.to_owned()).or_default();
        *count += 1;
        let again = if *count > 1 {
            format!(" ({count})")
        } else {
            String::new()
        };
        let mut case = TestCase::new(format!("{name}{again}{repeat}"), TestCaseStatus::success());
        case.set_classname(&class);
        case.set_time(Duration::ZERO);
        case.extra
            .insert("file".into(), harmless(&report.drill.file).into());
        if let Some(line) = line {
            case.extra.insert("line".into(), line.to_string().into());
        }
        fill(&mut case);
        suite.add_test_case(case);
    };
    if let Some((name, kind)) = trouble(judgement) {
        add(name, None, &|case| {
            case.status = not_carried_out(judgement, kind);
        });
    }
    for check in &judgement.checks {
        add(&harmless(&check.name), Some(check.line), &|case| {
            expectation(case, check, report);
        });
    }
    add("target restored", None, &|case| {
        case.status = restored(report);
    });
    suite
}

/// The test case that stands for a drill that was not carried out, and the type of its error.
fn trouble(judgement: &Judgement) -> Option<(&'static str, &'static str)> {
    let injected = judgement
        .faults
        .iter()
        .any(|fault| fault.issued_s.is_some());
    let failed = judgement
        .faults
        .iter()
        .any(|fault| fault.trouble.is_some() && fault.verified_s.is_none());
    match judgement.verdict {
        Verdict::Invalid if judgement.interrupted_by.is_some() => {
            Some(("drill.interrupted", "harness.interrupted"))
        }
        Verdict::Aborted => Some(("drill.abort", "harness.abort")),
        Verdict::Invalid if failed => Some(("drill.inject", "harness.inject")),
        Verdict::Invalid if injected => Some(("drill.measure", "harness.measure")),
        Verdict::Invalid => Some(("drill.preflight", "harness.preflight")),
        Verdict::DryRun => None,
        Verdict::Pass | Verdict::Inconclusive | Verdict::Fail => judgement
            .interrupted_by
            .is_some()
            .then_some(("drill.interrupted", "harness.interrupted")),
    }
}

fn not_carried_out(judgement: &Judgement, kind: &str) -> TestCaseStatus {
    let mut reasons: Vec<String> = judgement
        .reasons
        .iter()
        .map(|reason| harmless(reason).into_owned())
        .collect();
    if let Some(signal) = &judgement.interrupted_by {
        reasons.insert(0, format!("{} ended the run early", harmless(signal)));
    }
    for fault in &judgement.faults {
        if let Some(trouble) = &fault.trouble {
            reasons.push(format!(
                "{}: {}",
                harmless(&fault.describe),
                harmless(trouble)
            ));
        }
    }
    let message = reasons
        .first()
        .map_or("nothing was judged", String::as_str)
        .to_owned();
    non_success(NonSuccessKind::Error, kind, &message, &reasons)
}

fn expectation(case: &mut TestCase, check: &Check, report: &Report) {
    let middle = check
        .value
        .map(|value| value.hi.map_or(value.lo, |hi| f64::midpoint(value.lo, hi)));
    if let Some(time) = middle.and_then(seconds) {
        case.set_time(time);
    }
    case.set_assertions(1);
    let mut values = Vec::new();
    if let (Some(value), Some(middle)) = (check.value, middle) {
        values.push(("value_s", trimmed(middle, 6)));
        values.push(("lo_s", trimmed(value.lo, 6)));
        if let Some(hi) = value.hi {
            values.push(("hi_s", trimmed(hi, 6)));
        }
    }
    if let Some(limit) = check.limit_s {
        values.push(("limit_s", trimmed(limit, 6)));
    }
    for (name, value) in &values {
        case.add_property((*name, value.as_str()));
    }
    case.status = expectation_status(check, report);
    let mut out = Vec::new();
    if !check.actual.is_empty() {
        out.push(format!("actual: {}", harmless(&check.actual)));
    }
    out.extend(
        values
            .iter()
            .map(|(name, value)| format!("{name}: {value}")),
    );
    if matches!(check.status, CheckStatus::Fail | CheckStatus::Inconclusive) {
        out.push(format!(
            "[[ATTACHMENT|{}/report.json]]",
            harmless(&report.run.folder)
        ));
    }
    if !out.is_empty() {
        case.set_system_out(out.join("\n"));
    }
}

fn expectation_status(check: &Check, report: &Report) -> TestCaseStatus {
    let message = harmless(&check.message);
    let mut body = vec![message.clone().into_owned()];
    body.push(format!("actual: {}", harmless(&check.actual)));
    body.push(format!(
        "at: {}:{}",
        harmless(&report.drill.file),
        check.line
    ));
    body.extend(
        check
            .evidence
            .iter()
            .map(|line| format!("evidence: {}", harmless(line))),
    );
    let timed = check.limit_s.is_some();
    for part in report.judgement.parts.iter().filter(|_| timed) {
        body.push(format!(
            "part: {} {} s, {}",
            harmless(&part.name),
            trimmed(part.seconds, 1),
            harmless(&part.about)
        ));
    }
    match check.status {
        CheckStatus::Pass => TestCaseStatus::success(),
        // All runs together say whether it failed too often; one run that the rate allows turns no pipeline red.
        CheckStatus::Fail | CheckStatus::Inconclusive
            if check.pass_rate.is_some()
                || report
                    .run
                    .repeat
                    .is_some_and(|repeat| repeat.until.is_some()) =>
        {
            skipped(&format!(
                "did not hold in this run, which a pass rate may allow: {message}"
            ))
        }
        CheckStatus::Fail => {
            let kind = format!("expectation.{}", harmless(&check.kind));
            non_success(NonSuccessKind::Failure, &kind, &message, &body)
        }
        // A drill that passes all the same takes what cannot be decided for a warning.
        CheckStatus::Inconclusive if report.judgement.verdict == Verdict::Pass => {
            skipped(&format!("inconclusive: {message}"))
        }
        CheckStatus::Inconclusive => {
            non_success(NonSuccessKind::Failure, "inconclusive", &message, &body)
        }
        CheckStatus::NotRun if message.is_empty() => {
            skipped("the drill ended before it could be judged")
        }
        CheckStatus::NotRun => skipped(&message),
    }
}

fn restored(report: &Report) -> TestCaseStatus {
    let faults = &report.judgement.faults;
    if !report.judgement.restored {
        let message = "a fault may still be active: a target is not verified as restored";
        let mut body = vec![message.to_owned()];
        for fault in faults.iter().filter(|fault| fault.restored_s.is_none()) {
            body.push(format!(
                "left: {}: {}",
                harmless(&fault.target),
                harmless(&fault.describe)
            ));
        }
        body.push(format!("next: {}", report.what_restores()));
        return non_success(NonSuccessKind::Error, "harness.restore", message, &body);
    }
    if faults.iter().any(|fault| fault.issued_s.is_some()) {
        TestCaseStatus::success()
    } else {
        skipped("nothing was injected")
    }
}

fn non_success(
    kind: NonSuccessKind,
    class: &str,
    message: &str,
    body: &[String],
) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status
        .set_type(class)
        .set_message(message)
        .set_description(body.join("\n"));
    status
}

fn skipped(message: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::skipped();
    status.set_message(message);
    status
}

/// A time for an attribute; none for what is no length of time.
fn seconds(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{hostile::is_invisible, sample};

    #[test]
    fn each_expectation_is_a_test_case_with_its_line_and_value() {
        let reports = [sample::passing_failover(), sample::failing_rto()];
        insta::assert_snapshot!("junit_of_two_drills", render(&reports));
    }

    #[test]
    fn what_could_not_be_judged_is_an_error_or_skipped_never_green() {
        let reports = [
            sample::inconclusive(),
            sample::invalid(),
            sample::not_restored(),
        ];
        insta::assert_snapshot!("junit_of_drills_without_an_answer", render(&reports));
    }

    #[test]
    fn the_error_says_in_which_step_the_drill_ended() {
        let mut report = sample::invalid();
        assert!(render(&[report.clone()]).contains("drill.preflight"));
        report.judgement.faults[0].issued_s = Some(10.0);
        assert!(render(&[report.clone()]).contains("drill.measure"));
        report.judgement.faults[0].trouble = Some("no such target".to_owned());
        assert!(render(&[report.clone()]).contains("drill.inject"));
        report.judgement.interrupted_by = Some("SIGINT".to_owned());
        assert!(render(&[report]).contains("drill.interrupted"));
    }

    #[test]
    fn an_inconclusive_expectation_of_a_drill_that_passes_is_skipped() {
        let mut report = sample::inconclusive();
        report.judgement.verdict = Verdict::Pass;
        let text = render(&[report]);
        assert!(text.contains("<skipped message=\"inconclusive: "));
        assert!(!text.contains("<failure"));
    }

    #[test]
    fn no_two_test_cases_have_the_same_class_and_name() {
        let mut report = sample::passing_failover();
        let twin = report.judgement.checks[0].clone();
        report.judgement.checks.push(twin);
        let document =
            quick_junit::Report::deserialize_from_str(&render(&[report.clone(), report])).unwrap();
        let mut names: Vec<(String, String)> = document
            .test_suites
            .iter()
            .flat_map(|suite| &suite.test_cases)
            .map(|case| {
                (
                    case.classname.as_ref().unwrap().to_string(),
                    case.name.to_string(),
                )
            })
            .collect();
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn hostile_text_leaves_the_document_well_formed() {
        let mut reports = Vec::new();
        for text in sample::HOSTILE {
            let mut report = sample::hostile(text);
            reports.push(report.clone());
            report.judgement.verdict = Verdict::Invalid;
            report.judgement.restored = false;
            reports.push(report);
        }
        let text = render(&reports);
        assert!(
            !text
                .chars()
                .any(|character| character != '\n' && is_invisible(character))
        );
        assert!(!text.lines().any(|line| line.trim_start().starts_with("::")));
        let document = quick_junit::Report::deserialize_from_str(&text).unwrap();
        assert_eq!(document.test_suites.len(), reports.len());
        for (suite, report) in document.test_suites.iter().zip(&reports) {
            let extra = usize::from(trouble(&report.judgement).is_some()) + 1;
            assert_eq!(
                suite.test_cases.len(),
                report.judgement.checks.len() + extra
            );
        }
    }
}
