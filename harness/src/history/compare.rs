//! Two runs held against each other, or two times many: whether recovery takes longer now, and what held before and does not now.

use std::{collections::BTreeMap, fmt::Write};

use super::{Outcome, Past};
use crate::{
    exit_code::ExitCode,
    hostile::harmless,
    report::{
        Style,
        layout::pad,
        plural,
        quantity::{middle, trimmed},
        style::Tone,
    },
    statistics::{self, Shift},
};

/// Runs on either side below which ranks say nothing with 95 % confidence.
const FEWEST: usize = 4;

/// A shift below this share of the first median is not called a regression, however certain it is.
const NOTICED: f64 = 0.05;

/// The drills that both sides have, compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison<'a> {
    drills: Vec<Drill<'a>>,
    /// Drills that only one side has.
    only: Vec<&'a str>,
}

#[derive(Debug, Clone, PartialEq)]
struct Drill<'a> {
    name: &'a str,
    runs: [usize; 2],
    passed: [usize; 2],
    medians: [Option<f64>; 2],
    recovery: Recovery,
    /// Expectations that held in every run before and not in every one now: name, failed, judged.
    worse: Vec<(&'a str, usize, usize)>,
    not_restored: bool,
}

/// What is known of the shift of the recovery time.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Recovery {
    /// Neither side has one.
    NotMeasured,
    /// Too few runs on one side.
    TooFew,
    /// Enough runs, and too few of them with a recovery, as users had no outage in the others.
    SeldomMeasured,
    /// Not different, or not so much that anybody would notice.
    Same(Shift, f64),
    /// Longer by more than is noticed.
    Longer(Shift, f64),
    /// Shorter by more than is noticed.
    Shorter(Shift, f64),
}

/// Compares the runs of `before` with those of `now`, drill by drill.
pub fn compare<'a>(before: &'a [Past], now: &'a [Past]) -> Comparison<'a> {
    let by_drill = |runs: &'a [Past]| {
        let mut drills: BTreeMap<&str, Vec<&Past>> = BTreeMap::new();
        for run in runs {
            drills.entry(&run.drill).or_default().push(run);
        }
        drills
    };
    let (before, now) = (by_drill(before), by_drill(now));
    let drills = before
        .iter()
        .filter_map(|(name, before)| Some(Drill::of(name, before, now.get(name)?)))
        .collect();
    let only = before
        .keys()
        .filter(|name| !now.contains_key(*name))
        .chain(now.keys().filter(|name| !before.contains_key(*name)))
        .copied()
        .collect();
    Comparison { drills, only }
}

impl<'a> Drill<'a> {
    fn of(name: &'a str, before: &[&'a Past], now: &[&'a Past]) -> Self {
        let values = |runs: &[&Past]| -> Vec<f64> {
            let recoveries = runs.iter().filter_map(|run| run.recovery);
            // What never ended is longer than everything that did.
            recoveries
                .map(|recovery| recovery.hi.map_or(f64::MAX, |_| middle(recovery)))
                .collect()
        };
        let [first, second] = [values(before), values(now)];
        let passed = |runs: &[&Past]| {
            runs.iter()
                .filter(|run| run.outcome == Outcome::Passed)
                .count()
        };
        let every_s = before
            .iter()
            .chain(now)
            .map(|run| run.every_s)
            .fold(0.0, f64::max);
        Self {
            name,
            runs: [before.len(), now.len()],
            passed: [passed(before), passed(now)],
            medians: [statistics::median(&first), statistics::median(&second)],
            recovery: recovery(&first, &second, before.len().min(now.len()), every_s),
            worse: worse(before, now),
            not_restored: now.iter().any(|run| run.outcome == Outcome::NotRestored),
        }
    }

    fn is_regression(&self) -> bool {
        matches!(self.recovery, Recovery::Longer(..)) || !self.worse.is_empty() || self.not_restored
    }
}

fn recovery(first: &[f64], second: &[f64], runs: usize, every_s: f64) -> Recovery {
    if first.is_empty() && second.is_empty() {
        return Recovery::NotMeasured;
    }
    // Where users mostly went on without an outage, more runs make no more recoveries.
    let too_few = if runs < FEWEST {
        Recovery::TooFew
    } else {
        Recovery::SeldomMeasured
    };
    let (Some(shift), Some(median)) = (statistics::shift(first, second), statistics::median(first))
    else {
        return too_few;
    };
    let Some(interval) = shift.interval else {
        return too_few;
    };
    let least = (2.0 * every_s).max(NOTICED * median);
    if interval.lo > 0.0 && shift.estimate > least {
        Recovery::Longer(shift, least)
    } else if interval.hi < 0.0 && shift.estimate < -least {
        Recovery::Shorter(shift, least)
    } else {
        Recovery::Same(shift, least)
    }
}

/// The expectations that held whenever they were judged before, and failed now.
fn worse<'a>(before: &[&'a Past], now: &[&'a Past]) -> Vec<(&'a str, usize, usize)> {
    let count = |runs: &[&'a Past]| {
        let mut counts: BTreeMap<&'a str, (usize, usize)> = BTreeMap::new();
        for (name, held) in runs.iter().flat_map(|run| &run.held) {
            let count = counts.entry(name.as_str()).or_default();
            count.0 += usize::from(!held);
            count.1 += 1;
        }
        counts
    };
    let before = count(before);
    count(now)
        .into_iter()
        .filter(|(name, (failed, _))| {
            *failed > 0 && before.get(name).is_some_and(|(failed, _)| *failed == 0)
        })
        .map(|(name, (failed, judged))| (name, failed, judged))
        .collect()
}

impl Comparison<'_> {
    /// What a CI server needs to know: 1 for a regression; 3 if there were too few runs to tell, or nothing in common.
    pub fn exit_code(&self) -> ExitCode {
        if self.drills.iter().any(Drill::is_regression) {
            ExitCode::Failed
        } else if self.drills.is_empty() {
            ExitCode::NothingSelected
        } else if self
            .drills
            .iter()
            .any(|drill| drill.recovery == Recovery::TooFew)
        {
            ExitCode::CouldNotRun
        } else {
            ExitCode::Passed
        }
    }

    /// The comparison as text that ends in a newline.
    pub fn text(&self, style: &Style) -> String {
        let mut lines = Vec::new();
        for drill in &self.drills {
            lines.extend(described(drill, style));
            lines.push(String::new());
        }
        if !self.only.is_empty() {
            let names: Vec<_> = self.only.iter().map(|name| harmless(name)).collect();
            lines.push(format!(" on one side only: {}", names.join(", ")));
        }
        let code = self.exit_code();
        let regressions = self
            .drills
            .iter()
            .filter(|drill| drill.is_regression())
            .count();
        let what = match code {
            ExitCode::NothingSelected => "no drill is on both sides".to_owned(),
            ExitCode::CouldNotRun => format!(
                "cannot tell: it takes {FEWEST} runs with a recovery time on either side; `blackstart run DRILL --repeat 12` makes them"
            ),
            ExitCode::Passed
            | ExitCode::Failed
            | ExitCode::Usage
            | ExitCode::NotRestored
            | ExitCode::Interrupted
            | ExitCode::Terminated => plural(regressions, "regression"),
        };
        let tone = match code {
            ExitCode::Passed => Tone::Good,
            ExitCode::Failed => Tone::Bad,
            ExitCode::Usage
            | ExitCode::CouldNotRun
            | ExitCode::NothingSelected
            | ExitCode::NotRestored
            | ExitCode::Interrupted
            | ExitCode::Terminated => Tone::Warning,
        };
        lines.push(style.paint(
            tone,
            &format!(
                " {} compared: {what} | exit {}",
                plural(self.drills.len(), "drill"),
                code.code()
            ),
        ));
        lines.push(String::new());
        lines.join("\n")
    }
}

fn described(drill: &Drill<'_>, style: &Style) -> Vec<String> {
    let word = match (drill.is_regression(), drill.recovery) {
        (true, _) => style.paint(Tone::Bad, "REGRESSION"),
        (false, Recovery::Shorter(..)) => style.paint(Tone::Good, "BETTER"),
        (false, Recovery::TooFew) => style.paint(Tone::Warning, "CANNOT TELL"),
        (
            false,
            Recovery::Same(..)
            | Recovery::NotMeasured
            | Recovery::SeldomMeasured
            | Recovery::Longer(..),
        ) => style.paint(Tone::Good, "SAME"),
    };
    let mut lines = vec![format!(
        "COMPARE  {}   {word}",
        style.paint(Tone::Strong, &harmless(drill.name))
    )];
    let mut push = |label: &str, text: &str| lines.push(format!(" {}{text}", pad(label, 11)));
    push(
        "passed",
        &format!(
            "{} of {} before, {} of {} now",
            drill.passed[0], drill.runs[0], drill.passed[1], drill.runs[1]
        ),
    );
    let seconds = |value: f64| {
        if value.abs() < f64::MAX / 2.0 {
            format!("{} s", trimmed(value, 1))
        } else {
            "never".to_owned()
        }
    };
    if let [Some(first), Some(second)] = drill.medians {
        push(
            "median",
            &format!("{} before, {} now", seconds(first), seconds(second)),
        );
    }
    match drill.recovery {
        Recovery::NotMeasured => push("recovery", "not measured on either side"),
        Recovery::SeldomMeasured => push(
            "recovery",
            "in too few of the runs for a comparison: users had no outage in the others",
        ),
        Recovery::TooFew => push(
            "recovery",
            &format!(
                "too few runs for ranks to say anything with 95 % confidence; {FEWEST} on either side do"
            ),
        ),
        Recovery::Same(shift, least)
        | Recovery::Longer(shift, least)
        | Recovery::Shorter(shift, least) => {
            let mut text = format!("shift {}", seconds(shift.estimate));
            if let Some(interval) = shift.interval {
                write!(
                    text,
                    "   [{} .. {}]  95 %, by ranks",
                    seconds(interval.lo),
                    seconds(interval.hi)
                )
                .expect("memory takes every write");
            }
            let chance = if shift.probability < 0.001 {
                "< 0.001".to_owned()
            } else {
                format!("{:.3}", shift.probability)
            };
            write!(text, "   p {chance}").expect("memory takes every write");
            push("recovery", &text);
            push(
                "",
                &format!(
                    "a shift counts from {} on, if its interval leaves out 0",
                    seconds(least)
                ),
            );
        }
    }
    for (name, failed, judged) in &drill.worse {
        push(
            "worse",
            &format!(
                "{}: held in every run before, failed in {failed} of {judged} now",
                harmless(name)
            ),
        );
    }
    if drill.not_restored {
        push("worse", "a target was not verified as restored");
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{history::tests::month, verdict::Bounds};

    fn later(runs: &[Past], seconds: f64) -> Vec<Past> {
        let mut runs = runs.to_vec();
        for run in &mut runs {
            let recovery = run.recovery.unwrap();
            run.recovery = Some(Bounds {
                lo: recovery.lo + seconds,
                hi: recovery.hi.map(|hi| hi + seconds),
            });
        }
        runs
    }

    #[test]
    fn the_same_month_twice_is_no_regression() {
        let runs = month();
        let comparison = compare(&runs, &runs);
        assert_eq!(comparison.exit_code(), ExitCode::Passed);
        assert!(comparison.text(&Style::default()).contains("shift 0 s"));
    }

    #[test]
    fn a_recovery_that_takes_longer_is_a_regression() {
        let runs = month();
        let slower = later(&runs, 25.0);
        let comparison = compare(&runs, &slower);
        assert_eq!(comparison.exit_code(), ExitCode::Failed);
        insta::assert_snapshot!("compare_a_slower_month", comparison.text(&Style::default()));
        assert_eq!(compare(&slower, &runs).exit_code(), ExitCode::Passed);
        assert!(
            compare(&slower, &runs)
                .text(&Style::default())
                .contains("BETTER")
        );
    }

    #[test]
    fn a_shift_that_nobody_notices_is_none_however_certain() {
        let mut runs = month();
        for (place, run) in (0_u32..).zip(&mut runs) {
            let value = 100.0 + f64::from(place) * 0.01;
            run.recovery = Some(Bounds {
                lo: value,
                hi: Some(value),
            });
        }
        let comparison = compare(&runs, &runs);
        assert_eq!(comparison.exit_code(), ExitCode::Passed);
        let little = later(&runs, 4.5);
        assert_eq!(compare(&runs, &little).exit_code(), ExitCode::Passed);
        let more = later(&runs, 5.5);
        assert_eq!(compare(&runs, &more).exit_code(), ExitCode::Failed);
    }

    #[test]
    fn too_few_runs_cannot_tell_and_do_not_pass() {
        let runs = month();
        assert_eq!(
            compare(&runs[..1], &runs[1..2]).exit_code(),
            ExitCode::CouldNotRun
        );
        assert_eq!(
            compare(&runs[..3], &runs[3..6]).exit_code(),
            ExitCode::CouldNotRun
        );
        assert_eq!(
            compare(&runs[..4], &runs[..4]).exit_code(),
            ExitCode::Passed
        );
        assert_eq!(compare(&runs, &[]).exit_code(), ExitCode::NothingSelected);
    }

    #[test]
    fn runs_in_which_users_had_no_outage_are_compared_by_what_held() {
        let mut runs = month();
        for run in &mut runs[2..] {
            run.recovery = None;
        }
        assert_eq!(compare(&runs, &runs).exit_code(), ExitCode::Passed);
        let mut now = runs.clone();
        now[0].held[0].1 = false;
        assert_eq!(compare(&runs, &now).exit_code(), ExitCode::Failed);
    }

    #[test]
    fn an_expectation_that_always_held_and_fails_now_is_a_regression_of_one_run() {
        let runs = month();
        let mut now = runs[..1].to_vec();
        now[0].outcome = Outcome::Failed;
        now[0].held[0].1 = false;
        let comparison = compare(&runs[..1], &now);
        assert_eq!(comparison.exit_code(), ExitCode::Failed);
        assert!(
            comparison
                .text(&Style::default())
                .contains("failed in 1 of 1 now")
        );
    }

    #[test]
    fn a_recovery_that_never_comes_is_longer_than_every_other() {
        let runs = month();
        let mut now = runs.clone();
        for run in &mut now {
            run.recovery = Some(Bounds {
                lo: 300.0,
                hi: None,
            });
        }
        let comparison = compare(&runs, &now);
        assert_eq!(comparison.exit_code(), ExitCode::Failed);
        assert!(comparison.text(&Style::default()).contains("never"));
    }
}
