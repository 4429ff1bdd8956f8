//! The end of a terminal report: the table of several drills, the failures once more, the numbers, and what to do next.

use std::{collections::BTreeSet, path::Path};

use jiff::Timestamp;

use super::{
    Repeats, Report,
    hostile::{harmless, shell_word},
    layout::{cut, pad, pad_left, width, wrap},
    quantity::{elapsed, plural},
    repeats::{exit_code, sorted},
    strips,
    style::{Style, Tone},
    terminal::{expectations::status, recovery, together::tone, verdict},
};
use crate::{
    exit_code::ExitCode,
    verdict::{CheckStatus, Verdict},
};

/// The options that make a run what it was, besides its drills and its seed.
const KEPT: [&str; 2] = ["--env", "--speed"];

/// The columns of the strip below a drill's line.
const STRIP: usize = 32;

/// Two lines per drill: the numbers, and below them who served users.
pub(super) fn table(reports: &[&Report], style: &Style) -> Vec<String> {
    let longest = reports
        .iter()
        .map(|report| width(&harmless(&report.drill.name)))
        .max();
    let recovery_columns = if style.columns() < 80 { 13 } else { 24 };
    // What stands beside the name: the verdict, three columns of numbers and the blanks between them.
    let name_columns = longest
        .unwrap_or(0)
        .clamp(5, style.columns() - 41 - recovery_columns);
    let mut lines = vec![style.paint(
        Tone::Faint,
        &format!(
            "{}  {}{}{}{}",
            pad_left("verdict", 13),
            pad("drill", name_columns),
            pad_left("recovery", recovery_columns),
            pad_left("expectations", 15),
            pad_left("took", 9)
        ),
    )];
    for report in reports {
        let judgement = &report.judgement;
        let (word, tone) = verdict(judgement);
        let passed = judgement
            .checks
            .iter()
            .filter(|check| check.status == CheckStatus::Pass)
            .count();
        lines.push(format!(
            "{}  {}{}{}{}",
            style.paint(tone, &pad_left(word, 13)),
            pad(
                &cut(&harmless(&report.drill.name), name_columns, style),
                name_columns
            ),
            pad_left(
                &recovery(judgement, recovery_columns > 13),
                recovery_columns
            ),
            pad_left(&format!("{passed} of {}", judgement.checks.len()), 15),
            pad_left(&elapsed(report.run.real_duration_s), 9),
        ));
        let path = harmless(&judgement.whole_path.join(" -> ")).into_owned();
        if !path.is_empty() {
            let room = style.columns() - 17 - STRIP;
            let strip = strips::users(report, STRIP, style);
            lines.push(format!(
                "{}{strip}  {}",
                " ".repeat(15),
                cut(&path, room, style)
            ));
        }
    }
    lines
}

/// The failures, the numbers, where the report is, and how to run it again.
pub(super) fn ending(reports: &[Report], style: &Style) -> Vec<String> {
    let mut lines = failures(reports, style);
    if !lines.is_empty() {
        lines.push(String::new());
    }
    let code = exit_code(reports);
    let tone = tone(code);
    let numbers = [
        drills(reports),
        expectations(reports),
        elapsed(real_duration(reports)),
        format!("exit {}", code.code()),
    ];
    let mut line = String::new();
    let mut push = |line: &str| {
        let wrapped = wrap(line, style.columns() - 1);
        lines.extend(
            wrapped
                .iter()
                .map(|line| style.paint(tone, &format!(" {line}"))),
        );
    };
    for number in numbers.iter().filter(|number| !number.is_empty()) {
        if line.is_empty() {
            line.clone_from(number);
        } else if 1 + width(&line) + 3 + width(number) <= style.columns() {
            line = format!("{line} | {number}");
        } else {
            push(&line);
            line.clone_from(number);
        }
    }
    push(&line);
    if let Some(folder) = folder(reports) {
        lines.push(format!(" report  {}", harmless(&folder)));
    }
    if !reports.is_empty() {
        lines.push(format!(" rerun   {}", rerun(reports)));
    }
    lines
}

fn failures(reports: &[Report], style: &Style) -> Vec<String> {
    let mut lines = Vec::new();
    let mut push = |word: &str, tone: Tone, text: &str| {
        let text = cut(text, style.columns() - 16, style);
        lines.push(format!(
            "{}  {text}",
            style.paint(tone, &pad_left(word, 13))
        ));
    };
    let (alone, groups) = sorted(reports);
    for runs in &groups {
        let repeats = Repeats::of(runs);
        let name = harmless(&repeats.drill);
        for reason in &repeats.reasons {
            let text = format!("{name}  {}", harmless(reason));
            push(repeats.word(), tone(repeats.code), &text);
        }
    }
    for report in alone {
        let judgement = &report.judgement;
        let name = harmless(&report.drill.name);
        for check in &judgement.checks {
            let failed = match check.status {
                CheckStatus::Fail => true,
                // Where the policy takes it for a warning, the drill passes.
                CheckStatus::Inconclusive => judgement.verdict != Verdict::Pass,
                CheckStatus::Pass | CheckStatus::NotRun => false,
            };
            if failed {
                let (word, tone) = status(check.status);
                let text = format!(
                    "{name}  {}: {}",
                    harmless(&check.name),
                    harmless(&check.message)
                );
                push(word, tone, &text);
            }
        }
        if let (word, Verdict::Invalid | Verdict::Aborted) =
            (verdict(judgement).0, judgement.verdict)
        {
            let reason = judgement
                .reasons
                .first()
                .map_or("nothing was judged", String::as_str);
            push(
                word,
                Tone::Warning,
                &format!("{name}  {}", harmless(reason)),
            );
        }
        if !judgement.restored {
            let text = format!("{name}  restore: {}", report.what_restores());
            push("NOT RESTORED", Tone::Bad, &text);
        }
    }
    lines
}

/// `9 drills: 8 passed, 1 failed`.
fn drills(reports: &[Report]) -> String {
    let of = |verdict| {
        let judgements = reports.iter().map(|report| &report.judgement);
        judgements
            .filter(|judgement| judgement.restored && judgement.verdict == verdict)
            .count()
    };
    let not_restored = reports
        .iter()
        .filter(|report| !report.judgement.restored)
        .count();
    // Runs of the same drill are no drills of their own.
    let word = if reports.iter().any(|report| report.run.repeat.is_some()) {
        "run"
    } else {
        "drill"
    };
    let counted = plural(reports.len(), word);
    tally(
        &counted,
        &[
            (of(Verdict::Pass), "passed"),
            (of(Verdict::Fail), "failed"),
            (of(Verdict::Inconclusive), "inconclusive"),
            (of(Verdict::DryRun), "only rehearsed"),
            (of(Verdict::Aborted), "aborted"),
            (of(Verdict::Invalid), "invalid"),
            (not_restored, "not restored"),
        ],
    )
}

/// `53 expectations: 52 passed, 1 failed`.
fn expectations(reports: &[Report]) -> String {
    let checks: Vec<_> = reports
        .iter()
        .flat_map(|report| &report.judgement.checks)
        .collect();
    if checks.is_empty() {
        return String::new();
    }
    let of = |status| checks.iter().filter(|check| check.status == status).count();
    tally(
        &plural(checks.len(), "expectation"),
        &[
            (of(CheckStatus::Pass), "passed"),
            (of(CheckStatus::Fail), "failed"),
            (of(CheckStatus::Inconclusive), "inconclusive"),
            (of(CheckStatus::NotRun), "not run"),
        ],
    )
}

/// The first count is always told, the others if there are any.
fn tally(total: &str, counts: &[(usize, &str)]) -> String {
    let told = counts
        .iter()
        .enumerate()
        .filter(|(place, (number, _))| *place == 0 || *number > 0);
    let told: Vec<String> = told
        .map(|(_, (number, word))| format!("{number} {word}"))
        .collect();
    format!("{total}: {}", told.join(", "))
}

/// From the start of the first drill to the end of the last one: drills may have run at the same time.
pub(super) fn real_duration(reports: &[Report]) -> f64 {
    let spans: Option<Vec<(f64, f64)>> = reports
        .iter()
        .map(|report| {
            let start: Timestamp = report.run.started_at.parse().ok()?;
            let start = start.as_duration().as_secs_f64();
            Some((start, start + report.run.real_duration_s))
        })
        .collect();
    let Some(spans) = spans else {
        return reports
            .iter()
            .map(|report| report.run.real_duration_s)
            .sum();
    };
    let first = spans
        .iter()
        .map(|span| span.0)
        .fold(f64::INFINITY, f64::min);
    let last = spans.iter().map(|span| span.1).fold(first, f64::max);
    if last > first { last - first } else { 0.0 }
}

/// The folder of the only drill, or the one that holds the folders of all.
fn folder(reports: &[Report]) -> Option<String> {
    match reports {
        [] => None,
        [only] => Some(only.run.folder.clone()),
        [first, ..] => {
            let parent = Path::new(&first.run.folder).parent()?;
            let shared = reports
                .iter()
                .all(|report| Path::new(&report.run.folder).parent() == Some(parent));
            shared
                .then(|| parent.display().to_string())
                .filter(|folder| !folder.is_empty())
        }
    }
}

/// The command that runs again what did not pass, or everything.
pub(super) fn rerun(reports: &[Report]) -> String {
    let again = |report: &&Report| ExitCode::from(&report.judgement) != ExitCode::Passed;
    let chosen: Vec<&Report> = match exit_code(reports) {
        ExitCode::Passed => reports.iter().collect(),
        ExitCode::Failed
        | ExitCode::Usage
        | ExitCode::CouldNotRun
        | ExitCode::NothingSelected
        | ExitCode::NotRestored
        | ExitCode::Interrupted
        | ExitCode::Terminated => reports.iter().filter(again).collect(),
    };
    // All runs passed, and together they show too little.
    let mut chosen = if chosen.is_empty() {
        reports.iter().collect()
    } else {
        chosen
    };
    let files: BTreeSet<&str> = chosen
        .iter()
        .map(|report| report.drill.file.as_str())
        .collect();
    let mut words = vec!["blackstart run".to_owned()];
    words.extend(files.into_iter().map(shell_word));
    if let Some((first, repeat)) = chosen
        .iter()
        .find_map(|report| Some((*report, report.run.repeat?)))
    {
        if again(&first) && words.len() == 2 {
            // Each run has a seed of its own, so one that did not pass is repeated alone.
            words.push("--repeat 1".to_owned());
            chosen = vec![first];
        } else {
            words.push(format!("--repeat {}", repeat.of));
            chosen.retain(|report| report.run.repeat.is_none_or(|repeat| repeat.number == 1));
        }
    }
    if let [first, rest @ ..] = chosen.as_slice()
        && rest.iter().all(|report| report.run.seed == first.run.seed)
    {
        words.push(format!("--seed {}", first.run.seed));
    }
    let kept = |report: &Report| -> Vec<String> { options(&report.run.command, KEPT).collect() };
    if let [first, rest @ ..] = chosen.as_slice()
        && rest.iter().all(|report| kept(report) == kept(first))
    {
        words.extend(kept(first));
    }
    // A drill that waits for people is not begun without one of them.
    for flag in ["--interactive", "--skip-pauses"] {
        let mut given = chosen.iter().flat_map(|report| &report.run.command);
        if given.any(|word| word == flag) {
            words.push(flag.to_owned());
        }
    }
    words.join(" ")
}

/// The options of a command line that have one of these names, each with its value.
fn options<'a>(command: &'a [String], names: [&'a str; 2]) -> impl Iterator<Item = String> + 'a {
    let next = command.iter().skip(1).map(Some).chain([None]);
    command.iter().zip(next).filter_map(move |(word, next)| {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, value),
            None => (word.as_str(), next?.as_str()),
        };
        names
            .contains(&name)
            .then(|| format!("{name} {}", shell_word(value)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn drills_that_ran_at_once_are_not_counted_twice() {
        let mut early = sample::passing_failover();
        early.run.started_at = "2026-08-24T10:00:00Z".to_owned();
        early.run.real_duration_s = 20.0;
        let mut late = early.clone();
        late.run.started_at = "2026-08-24T10:00:05Z".to_owned();
        assert!((real_duration(&[early.clone(), late.clone()]) - 25.0).abs() < 1e-6);
        late.run.started_at = "nonsense".to_owned();
        assert!((real_duration(&[early, late]) - 40.0).abs() < 1e-6);
    }

    #[test]
    fn only_what_did_not_pass_is_run_again() {
        let passed = sample::passing_failover();
        let mut failed = sample::failing_rto();
        assert_eq!(
            rerun(&[passed.clone(), failed.clone()]),
            "blackstart run drills/region-failover.yaml --seed 7"
        );
        assert_eq!(
            rerun(&[passed]),
            "blackstart run drills/scale-to-zero.yaml --seed 7"
        );
        let command = "blackstart run --speed 60 --env=fixtures/my$env.yaml --reports x";
        failed.run.command = command.split(' ').map(str::to_owned).collect();
        assert_eq!(
            rerun(&[failed.clone()]),
            "blackstart run drills/region-failover.yaml --seed 7 --speed 60 --env 'fixtures/my$env.yaml'"
        );
        assert_eq!(
            rerun(&[failed.clone(), sample::failing_rto()]),
            "blackstart run drills/region-failover.yaml --seed 7",
            "two commands have no options in common"
        );
        failed.run.command.clear();
        failed.drill.file = "drills/$(reboot)'s.yaml".to_owned();
        assert_eq!(
            rerun(&[failed]),
            r"blackstart run 'drills/$(reboot)'\''s.yaml' --seed 7"
        );
    }

    #[test]
    fn a_series_is_run_again_as_a_whole_and_a_run_that_failed_alone() {
        let run = |number: u32, mut report: Report| {
            report.run.seed = 6 + u64::from(number);
            report.run.repeat = Some(crate::timeline::Repeat {
                number,
                of: 2,
                until: None,
            });
            report
        };
        let passed = [1, 2].map(|number| run(number, sample::passing_failover()));
        assert_eq!(
            rerun(&passed),
            "blackstart run drills/scale-to-zero.yaml --repeat 2 --seed 7"
        );
        let failed = [
            run(1, {
                let mut passed = sample::passing_failover();
                passed.drill = sample::failing_rto().drill;
                passed
            }),
            run(2, sample::failing_rto()),
        ];
        assert_eq!(
            rerun(&failed),
            "blackstart run drills/region-failover.yaml --repeat 1 --seed 8"
        );
    }

    #[test]
    fn no_drill_at_all_ends_with_nothing_selected() {
        assert_eq!(exit_code(&[]), ExitCode::NothingSelected);
        let text = ending(&[], &Style::default()).join("\n");
        assert_eq!(text, " 0 drills: 0 passed | 0.0s | exit 4");
    }
}
