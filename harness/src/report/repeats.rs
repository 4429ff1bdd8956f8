//! What several runs of one drill say together: how many passed, what that shows, and how long recovery took.
//!
//! A run says what happened once. What is said of all of them is exact and by ranks (`statistics`), and takes the larger bound of each
//! recovery time, so that a measurement which cannot tell never counts as passed.

use schemars::JsonSchema;
use serde::Serialize;

use super::{
    Report,
    quantity::{middle, trimmed, value},
};
use crate::{
    exit_code::ExitCode,
    statistics::{self, CONFIDENCE, PassRate},
    verdict::{Bounds, Check, CheckStatus, Verdict},
};

/// Several runs of one drill, together.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Repeats {
    /// The drill.
    pub drill: String,
    /// The environment.
    pub environment: String,
    /// The runs that were planned.
    pub planned: usize,
    /// The runs that were begun.
    pub done: usize,
    /// The exit code of all of them together.
    pub exit_code: u8,
    /// Why it is not zero.
    pub reasons: Vec<String>,
    /// In how many runs everything held, and, for an expectation that has a pass rate of its own, in how many that did.
    pub rates: Vec<Rate>,
    /// The recovery times; null if none was measured.
    pub recovery: Option<Spread>,
    /// What the order of the runs and their spread suggest.
    pub notes: Vec<String>,
    #[serde(skip)]
    pub(super) code: ExitCode,
    /// The seed of the first run.
    #[serde(skip)]
    pub(super) seed: u64,
}

/// In how many runs something held, and what that shows of all such runs.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Rate {
    /// The expectation; null for all of them at once.
    pub expectation: Option<String>,
    /// The runs in which it held.
    pub passed: usize,
    /// The runs that were judged.
    pub runs: usize,
    /// What was asked for; null if it had to hold in every run.
    pub asked: Option<PassRate>,
    /// With this confidence …
    pub confidence: f64,
    /// … at least this share of such runs passes (Clopper-Pearson, one-sided).
    pub lower_bound: f64,
}

/// How long recovery took in each run.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Spread {
    /// The limit in seconds, if the drill has one.
    pub limit_s: Option<f64>,
    /// The values in the order of the runs.
    pub values: Vec<Bounds>,
    /// Judged runs without a value.
    pub not_measured: usize,
    /// The smallest.
    pub min: Bounds,
    /// The largest.
    pub max: Bounds,
    /// The median in seconds, of the middles of the bounds.
    pub median_s: f64,
    /// Its confidence interval by ranks; null below six runs.
    pub median_interval: Option<MedianInterval>,
    /// A percentile and what it does not exceed; null where so few runs cannot say.
    pub percentile: Option<Percentile>,
}

/// A confidence interval of a median.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct MedianInterval {
    /// Its lower end in seconds.
    pub lo_s: f64,
    /// Its upper end in seconds.
    pub hi_s: f64,
    /// The rank of its lower end from below, and of its upper end from above.
    pub rank: usize,
    /// How sure it is.
    pub confidence: f64,
}

/// A percentile and what it does not exceed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct Percentile {
    /// The share of runs.
    pub share: f64,
    /// What it does not exceed, in seconds, with 95 % confidence.
    pub at_most_s: f64,
}

/// Sorts reports into runs of their own and groups of runs of the same drill in the same environment, in the order in which they come.
pub(super) fn sorted(reports: &[Report]) -> (Vec<&Report>, Vec<Vec<&Report>>) {
    let mut alone = Vec::new();
    let mut groups: Vec<Vec<&Report>> = Vec::new();
    for report in reports {
        if !is_one_of_several(report) {
            alone.push(report);
            continue;
        }
        let same = groups.iter_mut().find(|group| {
            group[0].drill.name == report.drill.name
                && group[0].environment.name == report.environment.name
        });
        match same {
            Some(group) => group.push(report),
            None => groups.push(vec![report]),
        }
    }
    (alone, groups)
}

/// Whether a run is judged together with others: it was repeated, or its drill asks for a rate, which one run alone cannot show.
fn is_one_of_several(report: &Report) -> bool {
    let asks = |check: &Check| check.pass_rate.is_some();
    // A rehearsal shows nothing and owes nothing.
    !report.judgement.dry_run
        && (report.run.repeat.is_some() || report.judgement.checks.iter().any(asks))
}

/// What came of all runs together, drill by drill, for those that were repeated.
pub fn repeats(reports: &[Report]) -> Vec<Repeats> {
    let (_, groups) = sorted(reports);
    groups.iter().map(|group| Repeats::of(group)).collect()
}

/// The exit code of all reports together: runs of the same drill count as what they show together.
pub fn exit_code(reports: &[Report]) -> ExitCode {
    let (alone, groups) = sorted(reports);
    let alone = alone.iter().map(|report| ExitCode::from(&report.judgement));
    let together = groups.iter().map(|group| Repeats::of(group).code);
    ExitCode::worst(alone.chain(together))
}

/// Whether what did not hold in a run is only what need not hold in every run.
pub(crate) fn is_allowed(report: &Report) -> bool {
    let mut missed = report
        .judgement
        .checks
        .iter()
        .filter(|check| matches!(check.status, CheckStatus::Fail | CheckStatus::Inconclusive))
        .peekable();
    missed.peek().is_some() && missed.all(|check| check.pass_rate.is_some())
}

/// Whether a run was carried out, so that it says something about the drill.
fn is_judged(report: &Report) -> bool {
    matches!(
        report.judgement.verdict,
        Verdict::Pass | Verdict::Fail | Verdict::Inconclusive
    ) && report.judgement.interrupted_by.is_none()
}

impl Repeats {
    /// Puts the runs of one drill together. There is at least one.
    pub(super) fn of(runs: &[&Report]) -> Self {
        let first = runs[0];
        let planned = runs
            .iter()
            .filter_map(|report| report.run.repeat)
            .map(|repeat| repeat.of as usize)
            .max()
            .unwrap_or(1);
        let until = runs.iter().find_map(|report| report.run.repeat?.until);
        let judged: Vec<&Report> = runs
            .iter()
            .copied()
            .filter(|report| is_judged(report))
            .collect();
        let mut rates = vec![Rate::of(
            None,
            judged
                .iter()
                .filter(|report| report.judgement.verdict == Verdict::Pass)
                .count(),
            judged.len(),
            until,
        )];
        let asking = first
            .judgement
            .checks
            .iter()
            .filter(|check| check.pass_rate.is_some());
        rates.extend(asking.map(|asking| {
            let held = judged.iter().filter(|report| {
                let same = |check: &&Check| check.name == asking.name;
                let check = report.judgement.checks.iter().find(same);
                check.is_some_and(|check| check.status == CheckStatus::Pass)
            });
            Rate::of(
                Some(asking.name.clone()),
                held.count(),
                judged.len(),
                asking.pass_rate,
            )
        }));
        let recovery = Spread::of(&judged);
        let notes = recovery
            .as_ref()
            .map(|spread| notes(spread, first.measurement.every_s))
            .unwrap_or_default();
        let mut repeats = Self {
            drill: first.drill.name.clone(),
            environment: first.environment.name.clone(),
            planned: planned.max(runs.len()),
            done: runs.len(),
            exit_code: 0,
            reasons: Vec::new(),
            rates,
            recovery,
            notes,
            code: ExitCode::Passed,
            seed: first.run.seed,
        };
        repeats.decide(runs, until.is_some());
        repeats
    }

    fn decide(&mut self, runs: &[&Report], until: bool) {
        let mut codes = Vec::new();
        for report in runs {
            let code = ExitCode::from(&report.judgement);
            let counts = match code {
                ExitCode::Passed => false,
                // The rate says whether it is too many.
                ExitCode::Failed => !until && !is_allowed(report),
                ExitCode::Usage
                | ExitCode::CouldNotRun
                | ExitCode::NothingSelected
                | ExitCode::NotRestored
                | ExitCode::Interrupted
                | ExitCode::Terminated => true,
            };
            if counts {
                codes.push(code);
                let number = report.run.repeat.map_or(1, |repeat| repeat.number);
                self.reasons
                    .push(format!("run {number}: {}", why(report, code)));
            }
        }
        for rate in &self.rates {
            if let Some(missing) = rate.missing() {
                codes.push(ExitCode::Failed);
                self.reasons.push(missing);
            }
        }
        if self.done < self.planned && codes.is_empty() {
            codes.push(ExitCode::CouldNotRun);
            self.reasons.push(format!(
                "{} of {} runs were carried out",
                self.done, self.planned
            ));
        }
        self.code = ExitCode::worst(codes.into_iter().chain([ExitCode::Passed]));
        self.exit_code = self.code.code();
    }

    /// Its verdict in a word.
    pub(super) fn word(&self) -> &'static str {
        match self.code {
            ExitCode::Passed => "PASS",
            ExitCode::Failed => "FAIL",
            ExitCode::NotRestored => "NOT RESTORED",
            ExitCode::Usage
            | ExitCode::CouldNotRun
            | ExitCode::NothingSelected
            | ExitCode::Interrupted
            | ExitCode::Terminated => "INVALID",
        }
    }

    /// How many runs there were, in words.
    pub(super) fn counted(&self) -> String {
        let of = if self.done < self.planned {
            format!("{} of {} runs", self.done, self.planned)
        } else {
            super::plural(self.done, "run")
        };
        format!(
            "{of}, each with the fault at a random phase; seeds from {} up",
            self.seed
        )
    }
}

/// Why a run is not one that passed.
fn why(report: &Report, code: ExitCode) -> String {
    let judgement = &report.judgement;
    let missed = judgement
        .checks
        .iter()
        .find(|check| matches!(check.status, CheckStatus::Fail | CheckStatus::Inconclusive));
    match (code, missed) {
        (ExitCode::Failed, Some(check)) => format!("{}: {}", check.name, check.message),
        _ => judgement
            .reasons
            .first()
            .cloned()
            .unwrap_or_else(|| code.reason().to_owned()),
    }
}

impl Rate {
    fn of(
        expectation: Option<String>,
        passed: usize,
        runs: usize,
        asked: Option<PassRate>,
    ) -> Self {
        let confidence = asked.map_or(CONFIDENCE, |asked| asked.confidence);
        Self {
            expectation,
            passed,
            runs,
            asked,
            confidence,
            lower_bound: statistics::lower_bound(passed, runs, confidence),
        }
    }

    /// Why what was asked for is not shown, if it is not.
    fn missing(&self) -> Option<String> {
        let asked = self.asked?;
        if self.lower_bound >= asked.share {
            return None;
        }
        let what = self.expectation.as_deref().unwrap_or("the drill");
        let need = if self.passed == self.runs {
            format!("{} runs without a failure do", asked.clean_runs())
        } else {
            format!(
                "{} of {} failed",
                self.runs - self.passed,
                super::plural(self.runs, "run")
            )
        };
        Some(format!(
            "{what}: {}/{} does not show a pass rate of {asked}: {need}",
            self.passed, self.runs
        ))
    }

    /// What the rate shows, in words that hold: the bound is rounded down.
    pub(super) fn statement(&self) -> String {
        let share = (self.lower_bound * 1000.0).floor() / 10.0;
        format!(
            "with {} % confidence at least {share:.1} % of such runs pass",
            trimmed(self.confidence * 100.0, 2)
        )
    }

    /// What a rate of 90 % would need, where nothing is asked for and it is not shown.
    pub(super) fn more(&self) -> Option<String> {
        let needed = statistics::clean_runs(0.9, CONFIDENCE);
        (self.asked.is_none() && self.passed == self.runs && self.runs < needed)
            .then(|| format!("for 90 % it takes {needed} runs without a failure"))
    }
}

impl Spread {
    fn of(judged: &[&Report]) -> Option<Self> {
        let rto = |report: &Report| {
            let checks = &report.judgement.checks;
            checks.iter().find(|check| check.kind == "rto").cloned()
        };
        let limit_s = judged.first().and_then(|first| rto(first)?.limit_s);
        let values: Vec<Bounds> = judged
            .iter()
            .filter_map(|report| match rto(report) {
                Some(check) => check.value,
                None => report.judgement.durations.recovery,
            })
            .collect();
        // A value that was never seen to end is larger than every other.
        let size = |bounds: &Bounds| bounds.hi.map_or(f64::INFINITY, |_| middle(*bounds));
        let sizes: Vec<f64> = values.iter().map(size).collect();
        let by_size = |a: &&Bounds, b: &&Bounds| size(a).total_cmp(&size(b));
        let (min, max) = (
            *values.iter().min_by(by_size)?,
            *values.iter().max_by(by_size)?,
        );
        let ends: Vec<f64> = values
            .iter()
            .map(|bounds| bounds.hi.unwrap_or(f64::INFINITY))
            .collect();
        Some(Self {
            limit_s,
            not_measured: judged.len() - values.len(),
            min,
            max,
            median_s: statistics::median(&sizes)?,
            median_interval: statistics::median_interval(&sizes).map(|interval| MedianInterval {
                lo_s: interval.lo,
                hi_s: interval.hi,
                rank: interval.rank,
                confidence: interval.confidence,
            }),
            percentile: [0.99, 0.95, 0.9].into_iter().find_map(|share| {
                let rank = statistics::upper_bound_rank(share, ends.len(), CONFIDENCE)?;
                Some(Percentile {
                    share,
                    at_most_s: statistics::sorted(&ends)[rank - 1],
                })
            }),
            values,
        })
    }

    /// The limit, or that there is none.
    pub(super) fn limit(&self) -> String {
        self.limit_s.map_or_else(String::new, |limit| {
            format!("limit {} s", trimmed(limit, 3))
        })
    }

    /// The median with what is known of it, in words.
    pub(super) fn median(&self) -> String {
        let seconds = |seconds: f64| {
            if seconds.is_finite() {
                format!("{seconds:.1}")
            } else {
                "?".to_owned()
            }
        };
        let interval = match self.median_interval {
            Some(interval) => format!(
                " [{} .. {}] (with {:.0} %, ranks {} and {})",
                seconds(interval.lo_s),
                seconds(interval.hi_s),
                (interval.confidence * 100.0).floor(),
                interval.rank,
                self.values.len() + 1 - interval.rank
            ),
            None => String::new(),
        };
        format!("{} s{interval}", seconds(self.median_s))
    }

    /// The smallest and the largest, in words.
    pub(super) fn range(&self) -> String {
        format!("min {}, max {}", value(self.min), value(self.max))
    }
}

fn notes(spread: &Spread, every_s: f64) -> Vec<String> {
    let values: Vec<f64> = spread
        .values
        .iter()
        .map(|bounds| bounds.hi.map_or(f64::INFINITY, |_| middle(*bounds)))
        .collect();
    let mut notes = Vec::new();
    if let Some(correlation) = statistics::trend(&values) {
        let way = if correlation > 0.0 {
            "longer"
        } else {
            "shorter"
        };
        notes.push(format!(
            "recovery became {way} from run to run (rank correlation {correlation:.2}): the runs are not alike"
        ));
    }
    if statistics::first_is_outlier(&values) {
        notes.push("the first run is unlike the others: was something cold?".to_owned());
    }
    let apart = middle(spread.max) - middle(spread.min);
    if values.len() > 1 && spread.max.hi.is_some() && apart < 2.0 * every_s {
        notes.push(format!(
            "the values are no further apart than the probe can tell (2 x {} s)",
            trimmed(every_s, 3)
        ));
    }
    if spread.not_measured > 0 {
        notes.push(format!(
            "{} without a recovery time",
            super::plural(spread.not_measured, "run")
        ));
    }
    match spread.percentile {
        Some(percentile) if percentile.at_most_s.is_finite() => notes.push(format!(
            "p{:.0} is at most {:.1} s, with 95 % confidence",
            percentile.share * 100.0,
            percentile.at_most_s
        )),
        Some(_) => {}
        None => notes.push(format!(
            "no percentile is shown: {} cannot carry one (p90 takes 29 runs, p95 59)",
            super::plural(values.len(), "run")
        )),
    }
    notes.push("runs are taken as independent and alike".to_owned());
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{report::sample, timeline::Repeat};

    /// Runs of a drill that recovered after these times, of so many that were planned.
    fn runs(of: u32, until: Option<&str>, values: &[f64]) -> Vec<Report> {
        let until = until.map(|rate| rate.parse().unwrap());
        (1..)
            .zip(values)
            .map(|(number, value)| {
                let limit = 120.0;
                let mut report = sample::passing_failover();
                report.run.seed = 6 + u64::from(number);
                report.run.repeat = Some(Repeat { number, of, until });
                let check = report
                    .judgement
                    .checks
                    .iter_mut()
                    .find(|check| check.kind == "rto")
                    .expect("the sample has an rto");
                check.limit_s = Some(limit);
                check.value = Some(sample::bounds(value - 0.1, value + 0.1));
                if *value > limit {
                    check.status = CheckStatus::Fail;
                    check.message = format!("{value} s > {limit} s");
                    report.judgement.verdict = Verdict::Fail;
                }
                report
            })
            .collect()
    }

    fn with_rate(mut reports: Vec<Report>, rate: &str) -> Vec<Report> {
        for report in &mut reports {
            for check in &mut report.judgement.checks {
                if check.kind == "rto" {
                    check.pass_rate = Some(rate.parse().unwrap());
                }
            }
        }
        reports
    }

    const MONTH: [f64; 12] = [
        95.0, 78.0, 90.0, 112.0, 88.0, 101.0, 93.0, 85.0, 99.0, 107.0, 92.0, 100.0,
    ];

    #[test]
    fn twelve_of_twelve_show_less_than_eighty_percent() {
        let reports = runs(12, None, &MONTH);
        let [repeats] = &repeats(&reports)[..] else {
            panic!("one group")
        };
        assert_eq!(repeats.code, ExitCode::Passed);
        assert_eq!(
            repeats.rates[0].statement(),
            "with 95 % confidence at least 77.9 % of such runs pass"
        );
        let spread = repeats.recovery.as_ref().unwrap();
        assert_eq!(
            spread.median(),
            "94.0 s [88.0 .. 101.0] (with 96 %, ranks 3 and 10)"
        );
        assert_eq!(spread.percentile, None);
        assert_eq!(exit_code(&reports), ExitCode::Passed);
    }

    #[test]
    fn one_failure_fails_all_unless_a_rate_allows_it() {
        let mut values = MONTH.to_vec();
        values[4] = 131.0;
        assert_eq!(exit_code(&runs(12, None, &values)), ExitCode::Failed);
        let many: Vec<f64> = (0..46)
            .map(|run| if run == 3 { 131.0 } else { 90.0 })
            .collect();
        assert_eq!(exit_code(&runs(46, None, &many)), ExitCode::Failed);
        assert_eq!(
            exit_code(&runs(46, Some("0.9 @ 0.95"), &many)),
            ExitCode::Passed
        );
        assert_eq!(
            exit_code(&with_rate(runs(46, None, &many), "0.9 @ 0.95")),
            ExitCode::Passed
        );
        assert_eq!(
            exit_code(&with_rate(runs(46, None, &many), "0.95 @ 0.95")),
            ExitCode::Failed
        );
    }

    #[test]
    fn too_few_runs_never_show_a_rate() {
        for few in [1, 12, 28] {
            let reports = with_rate(runs(few, None, &vec![90.0; few as usize]), "0.9 @ 0.95");
            assert_eq!(exit_code(&reports), ExitCode::Failed, "{few}");
        }
        let reports = with_rate(runs(29, None, &[90.0; 29]), "0.9 @ 0.95");
        assert_eq!(exit_code(&reports), ExitCode::Passed);
        let mut alone = reports[0].clone();
        alone.run.repeat = None;
        assert_eq!(
            exit_code(&[alone]),
            ExitCode::Failed,
            "one run alone shows no rate"
        );
    }

    #[test]
    fn a_rate_of_the_recovery_excuses_nothing_else() {
        let mut reports = with_rate(runs(46, None, &[90.0; 46]), "0.9 @ 0.95");
        reports[7].judgement.verdict = Verdict::Fail;
        let other = reports[7]
            .judgement
            .checks
            .iter_mut()
            .find(|check| check.kind != "rto")
            .unwrap();
        other.status = CheckStatus::Fail;
        assert_eq!(exit_code(&reports), ExitCode::Failed);
        let [repeats] = &repeats(&reports)[..] else {
            panic!("one group")
        };
        assert!(repeats.reasons[0].starts_with("run 8: "), "{repeats:?}");
    }

    #[test]
    fn runs_that_could_not_be_carried_out_are_no_evidence() {
        let mut reports = runs(12, None, &MONTH);
        reports[11].judgement.verdict = Verdict::Invalid;
        assert_eq!(exit_code(&reports), ExitCode::CouldNotRun);
        assert_eq!(repeats(&reports)[0].rates[0].runs, 11);
        reports[2].judgement.restored = false;
        assert_eq!(exit_code(&reports), ExitCode::NotRestored);
        let cut_off = runs(12, None, &MONTH[..5]);
        assert_eq!(exit_code(&cut_off), ExitCode::CouldNotRun);
    }

    #[test]
    fn a_recovery_that_never_ended_is_the_largest() {
        let mut reports = runs(6, None, &MONTH[..6]);
        let check = reports[1]
            .judgement
            .checks
            .iter_mut()
            .find(|check| check.kind == "rto");
        check.unwrap().value = Some(Bounds { lo: 50.0, hi: None });
        let repeats = Repeats::of(&reports.iter().collect::<Vec<_>>());
        let spread = repeats.recovery.unwrap();
        assert_eq!(spread.max.hi, None);
        assert!(spread.median_s.is_finite());
    }
}
