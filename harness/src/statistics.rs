//! Statistics of few runs: exact, by ranks, and free of any assumption about how recovery times are distributed.
//!
//! Twelve runs carry no 95th percentile, no normal distribution and no bootstrap: what is said here holds for every distribution, as
//! long as runs are independent and alike. Probabilities come from summing the binomial and the rank-sum distribution themselves, so
//! nothing is an approximation but where a function says so.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The confidence of everything that is not asked for with a confidence of its own.
pub const CONFIDENCE: f64 = 0.95;

/// Fewer runs than this have no confidence interval for their median at 95 %: from least to largest covers 93.8 % with five.
const FEWEST_FOR_MEDIAN: usize = 6;

/// Pairs up to which the rank-sum distribution is counted out; for more the normal approximation is good to more digits than are shown.
const COUNTED_OUT: usize = 2_500;

/// The two-sided 1 % critical values of Spearman's rank correlation for 7 to 20 runs, from the exact distribution (Zar, Biostatistical
/// Analysis, table B.20).
const SPEARMAN: [f64; 14] = [
    0.929, 0.881, 0.833, 0.794, 0.755, 0.727, 0.703, 0.679, 0.654, 0.635, 0.618, 0.600, 0.584,
    0.570,
];

/// The two-sided 1 % point of the normal distribution, for the rank correlation of more runs.
const NORMAL_99: f64 = 2.575_829;

/// The two-sided 5 % point of the normal distribution.
const NORMAL_95: f64 = 1.959_964;

/// A value that is unusual by this many deviations, measured by the median of the deviations.
const OUTLIER: f64 = 3.5;

/// An interval between two of the values, with how sure it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RankInterval {
    /// Its lower end.
    pub lo: f64,
    /// Its upper end.
    pub hi: f64,
    /// The rank of the lower end, from 1. That of the upper end is as far from the other side.
    pub rank: usize,
    /// The probability that it covers what it is for.
    pub confidence: f64,
}

/// How far two groups of values are apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shift {
    /// The median of all differences between a value of the second group and one of the first (Hodges-Lehmann).
    pub estimate: f64,
    /// Its confidence interval; none where the groups are too small for one at 95 %.
    pub interval: Option<RankInterval>,
    /// The two-sided probability of ranks at least so uneven if the groups do not differ (Mann-Whitney).
    pub probability: f64,
}

/// `0.9 @ 0.95`: at least this share of runs, with this confidence.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PassRate {
    /// The share of all runs, of which those that are done are a sample.
    pub share: f64,
    /// How sure it must be.
    pub confidence: f64,
}

/// The most runs that a pass rate may need.
pub const MOST_RUNS: usize = 1000;

impl PassRate {
    /// How many runs without a failure show it.
    pub fn clean_runs(self) -> usize {
        clean_runs(self.share, self.confidence)
    }

    /// How many of so many runs may fail; `None` if not even all that pass would show it.
    pub fn may_fail(self, runs: usize) -> Option<usize> {
        (0..=runs)
            .take_while(|failed| lower_bound(runs - failed, runs, self.confidence) >= self.share)
            .last()
    }
}

impl fmt::Display for PassRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} @ {}", self.share, self.confidence)
    }
}

impl std::str::FromStr for PassRate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || {
            "a pass rate is a share and how sure it must be, such as `0.9 @ 0.95`: at least 90 % of runs, with 95 % confidence"
                .to_owned()
        };
        let (share, confidence) = text.split_once('@').ok_or_else(form)?;
        let number = |text: &str| text.trim().parse::<f64>().map_err(|_| form());
        let rate = Self {
            share: number(share)?,
            confidence: number(confidence)?,
        };
        if !(rate.share > 0.0 && rate.share < 1.0) {
            return Err("the share of a pass rate is more than 0 and less than 1: no number of runs shows that all will pass".to_owned());
        }
        if !(0.5..1.0).contains(&rate.confidence) {
            return Err("the confidence of a pass rate is from 0.5 to less than 1".to_owned());
        }
        if rate.clean_runs() > MOST_RUNS {
            return Err(format!(
                "`{rate}` needs {} runs without a failure, and {MOST_RUNS} are the most that are allowed",
                rate.clean_runs()
            ));
        }
        Ok(rate)
    }
}

/// The probability of at least `passed` of `runs` if each passes with probability `share`.
fn at_least(passed: usize, runs: usize, share: f64) -> f64 {
    // From the largest term on, each from the one before: no factorial, and nothing under- or overflows that counts.
    (passed..=runs).map(|k| binomial(k, runs, share)).sum()
}

fn binomial(k: usize, runs: usize, share: f64) -> f64 {
    (log_choose(runs, k) + power_log(share, k) + power_log(1.0 - share, runs - k)).exp()
}

/// The logarithm of a power; that of nothing at all to the power of nothing is 0.
fn power_log(base: f64, exponent: usize) -> f64 {
    if exponent == 0 {
        0.0
    } else {
        float(exponent) * base.ln()
    }
}

fn log_choose(all: usize, some: usize) -> f64 {
    let some = some.min(all - some);
    (1..=some)
        .map(|k| (float(all - some + k) / float(k)).ln())
        .sum()
}

#[expect(clippy::cast_precision_loss, reason = "runs are few")]
fn float(count: usize) -> f64 {
    count as f64
}

/// The one-sided lower bound of Clopper and Pearson: with this confidence at least this share of such runs passes.
pub fn lower_bound(passed: usize, runs: usize, confidence: f64) -> f64 {
    if passed == 0 || passed > runs {
        return 0.0;
    }
    // The tail rises with the share, so halving finds where it meets what is left of the confidence.
    let (mut lo, mut hi) = (0.0, 1.0);
    for _ in 0..60 {
        let share = f64::midpoint(lo, hi);
        if at_least(passed, runs, share) > 1.0 - confidence {
            hi = share;
        } else {
            lo = share;
        }
    }
    lo
}

/// How many runs without a failure show that this share passes, with this confidence.
pub fn clean_runs(share: f64, confidence: f64) -> usize {
    let mut runs = 1;
    let mut chance = share;
    // A chance that has become equal to what is left by rounding is enough.
    while chance > (1.0 - confidence) * (1.0 + 1e-9) && runs <= MOST_RUNS * 10 {
        chance *= share;
        runs += 1;
    }
    runs
}

/// The rank, from 1, of the value that is not exceeded by this share of all runs, with this confidence; none if so few runs cannot say.
pub fn upper_bound_rank(share: f64, runs: usize, confidence: f64) -> Option<usize> {
    // The k-th value is above the quantile if fewer than k of the runs are below it.
    (1..=runs).find(|rank| 1.0 - at_least(*rank, runs, share) >= confidence - 1e-12)
}

/// The values in rising order, and what is no number last.
pub fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// The middle value, or the middle of the two; none of no values.
pub fn median(values: &[f64]) -> Option<f64> {
    let sorted = sorted(values);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

/// The narrowest interval of two order statistics, as far from either end, that covers the median with 95 %; none below six runs.
pub fn median_interval(values: &[f64]) -> Option<RankInterval> {
    let runs = values.len();
    if runs < FEWEST_FOR_MEDIAN {
        return None;
    }
    let sorted = sorted(values);
    // That fewer than `rank` values are on one side of the median, on either side.
    let coverage = |rank: usize| 1.0 - 2.0 * (1.0 - at_least(rank, runs, 0.5));
    let rank = (1..=runs / 2)
        .rev()
        .find(|rank| coverage(*rank) >= CONFIDENCE)?;
    Some(RankInterval {
        lo: sorted[rank - 1],
        hi: sorted[runs - rank],
        rank,
        confidence: coverage(rank),
    })
}

/// The ranks of values, from 1, those that are equal sharing theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let sorted = sorted(values);
    values
        .iter()
        .map(|value| {
            let below = sorted.partition_point(|other| other.total_cmp(value).is_lt());
            let up_to = sorted.partition_point(|other| other.total_cmp(value).is_le());
            float(below + 1 + up_to) / 2.0
        })
        .collect()
}

/// Whether values rise or fall with their order more than chance does once in a hundred times; none below seven.
pub fn trend(values: &[f64]) -> Option<f64> {
    let runs = values.len();
    let critical = match runs {
        0..7 => return None,
        7..=20 => SPEARMAN[runs - 7],
        _ => NORMAL_99 / (float(runs) - 1.0).sqrt(),
    };
    let mean = f64::midpoint(float(runs), 1.0);
    let ranks = ranks(values);
    let (mut product, mut own, mut order) = (0.0, 0.0, 0.0);
    for (place, rank) in ranks.iter().enumerate() {
        let (x, y) = (float(place + 1) - mean, rank - mean);
        product += x * y;
        own += y * y;
        order += x * x;
    }
    let correlation = product / (own * order).sqrt();
    (correlation.abs() > critical).then_some(correlation)
}

/// Whether the first value is far from the others, as that of a system which was cold; none below four.
pub fn first_is_outlier(values: &[f64]) -> bool {
    let (Some(first), Some(middle)) = (values.first(), median(values)) else {
        return false;
    };
    let deviations: Vec<f64> = values.iter().map(|value| (value - middle).abs()).collect();
    let deviation = median(&deviations).unwrap_or(0.0);
    // 0.6745 makes it comparable with a standard deviation.
    values.len() >= 4 && deviation > 0.0 && 0.6745 * (first - middle).abs() / deviation > OUTLIER
}

/// How far the second group is from the first; none if one is empty.
pub fn shift(first: &[f64], second: &[f64]) -> Option<Shift> {
    let mut differences: Vec<f64> = second
        .iter()
        .flat_map(|second| first.iter().map(move |first| second - first))
        .collect();
    differences.sort_by(f64::total_cmp);
    let estimate = median(&differences)?;
    let (n, m, pairs) = (first.len(), second.len(), differences.len());
    let rank = if pairs <= COUNTED_OUT {
        // The largest rank below which either tail stays within its half.
        let counts = rank_sums(n, m, &[]);
        let total: f64 = counts.iter().sum();
        let mut tail = 0.0;
        let within = |count: &&f64| {
            tail += **count / total;
            tail <= (1.0 - CONFIDENCE) / 2.0
        };
        counts.iter().take_while(within).count()
    } else {
        let rank = float(pairs) / 2.0 - NORMAL_95 * deviation(n, m);
        as_rank(rank)
    };
    let interval = (rank > 0).then(|| RankInterval {
        lo: differences[rank - 1],
        hi: differences[pairs - rank],
        rank,
        confidence: CONFIDENCE,
    });
    Some(Shift {
        estimate,
        interval,
        probability: probability(first, second),
    })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "no less than zero, and below the number of pairs"
)]
fn as_rank(rank: f64) -> usize {
    rank.max(0.0) as usize
}

/// The standard deviation of the number of pairs in which the second is the larger.
fn deviation(n: usize, m: usize) -> f64 {
    (float(n) * float(m) * float(n + m + 1) / 12.0).sqrt()
}

/// The two-sided probability of a sum of ranks as far from its middle as that of the second group, equal values sharing their rank.
fn probability(first: &[f64], second: &[f64]) -> f64 {
    let (n, m) = (first.len(), second.len());
    let all: Vec<f64> = first.iter().chain(second).copied().collect();
    // Twice the rank is whole.
    let doubled: Vec<usize> = ranks(&all).iter().map(|rank| as_rank(rank * 2.0)).collect();
    let sum: usize = doubled[n..].iter().sum();
    let middle = m * (n + m + 1);
    if n * m > COUNTED_OUT {
        let apart = (float(sum) - float(middle)).abs() / 2.0;
        return 2.0 * (1.0 - normal((apart - 0.5).max(0.0) / deviation(n, m)));
    }
    let counts = rank_sums(n, m, &doubled);
    let total: f64 = counts.iter().sum();
    let apart = sum.abs_diff(middle);
    let extreme: f64 = counts
        .iter()
        .enumerate()
        .filter(|(other, _)| other.abs_diff(middle) >= apart)
        .map(|(_, count)| count)
        .sum();
    (extreme / total).min(1.0)
}

/// How many ways there are to choose `m` of the ranks with each sum. With `doubled` ranks, by that sum; without, by the number of pairs
/// in which the second is the larger, which needs no ranks as nothing is equal.
fn rank_sums(n: usize, m: usize, doubled: &[usize]) -> Vec<f64> {
    let plain: Vec<usize> = (0..n + m).collect();
    let ranks = if doubled.is_empty() {
        plain.as_slice()
    } else {
        doubled
    };
    let mut largest = ranks.to_vec();
    largest.sort_unstable_by(|a, b| b.cmp(a));
    let most: usize = largest.iter().take(m).sum();
    // By how many are chosen so far, then by their sum.
    let mut ways = vec![vec![0.0; most + 1]; m + 1];
    ways[0][0] = 1.0;
    for rank in ranks {
        for chosen in (1..=m).rev() {
            let (before, here) = ways.split_at_mut(chosen);
            let before = &before[chosen - 1];
            for sum in (*rank..=most).rev() {
                here[0][sum] += before[sum - rank];
            }
        }
    }
    let mut counts = ways.swap_remove(m);
    if doubled.is_empty() {
        // The least sum of m ranks from 0 is no pair at all.
        counts.drain(..m * (m.saturating_sub(1)) / 2);
    }
    counts
}

/// The share of the normal distribution below a value (Zelen and Severo, error below 1e-7).
fn normal(z: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * z);
    let series = t
        * (0.319_381_530
            + t * (-0.356_563_782
                + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
    1.0 - (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt() * series
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_near(value: f64, expected: f64, digits: i32) {
        assert!(
            (value - expected).abs() < 0.5 * 10_f64.powi(-digits) + 1e-12,
            "{value} is not {expected}"
        );
    }

    #[test]
    fn the_lower_bound_is_that_of_the_published_tables() {
        // All of n pass: the bound is 0.05^(1/n). The others: Clopper and Pearson (1934), as printed by R's binom.test.
        for (passed, runs, bound) in [
            (1, 1, 0.0500),
            (3, 3, 0.3684),
            (5, 5, 0.5493),
            (12, 12, 0.7791),
            (11, 12, 0.6613),
            (10, 12, 0.5619),
            (30, 30, 0.9050),
            (29, 29, 0.9019),
            (9, 10, 0.6058),
            (95, 100, 0.8977),
            (0, 12, 0.0),
        ] {
            is_near(lower_bound(passed, runs, 0.95), bound, 4);
        }
        is_near(lower_bound(22, 22, 0.9), 0.9006, 4);
    }

    #[test]
    fn so_many_clean_runs_are_needed_as_the_tables_say() {
        for (share, confidence, runs) in [
            (0.8, 0.9, 11),
            (0.8, 0.95, 14),
            (0.9, 0.9, 22),
            (0.9, 0.95, 29),
            (0.95, 0.9, 45),
            (0.95, 0.95, 59),
            (0.99, 0.9, 230),
            (0.99, 0.95, 299),
            (0.5, 0.5, 1),
        ] {
            assert_eq!(
                clean_runs(share, confidence),
                runs,
                "{share} @ {confidence}"
            );
        }
    }

    #[test]
    fn a_plan_of_more_runs_may_have_failures() {
        let rate: PassRate = "0.9 @ 0.95".parse().unwrap();
        // The well-known plans for 90 % with 95 % confidence: 29 with none, 46 with one, 61 with two.
        for (runs, may_fail) in [
            (12, None),
            (28, None),
            (29, Some(0)),
            (45, Some(0)),
            (46, Some(1)),
            (61, Some(2)),
        ] {
            assert_eq!(rate.may_fail(runs), may_fail, "{runs}");
        }
    }

    #[test]
    fn a_pass_rate_is_read_as_it_is_written() {
        for text in ["0.9@0.95", "0.9 @ 0.95", " 0.90  @0.95 "] {
            assert_eq!(text.parse::<PassRate>().unwrap().to_string(), "0.9 @ 0.95");
        }
        for wrong in [
            "",
            "0.9",
            "1 @ 0.95",
            "0 @ 0.95",
            "0.9 @ 1",
            "0.9 @ 0.1",
            "NaN @ 0.9",
            "0.9999 @ 0.95",
            "90% @ 95%",
        ] {
            assert!(wrong.parse::<PassRate>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_median_lies_between_the_ranks_of_the_tables() {
        // Dixon and Massey, table of confidence intervals for the median: the rank counted from either end.
        for (runs, rank, confidence) in [
            (6, 1, 0.969),
            (8, 1, 0.992),
            (9, 2, 0.961),
            (10, 2, 0.979),
            (12, 3, 0.961),
            (15, 4, 0.965),
            (20, 6, 0.959),
            (30, 10, 0.957),
        ] {
            let values: Vec<f64> = (1..=runs).map(float).collect();
            let interval = median_interval(&values).unwrap();
            assert_eq!(interval.rank, rank, "{runs}");
            is_near(interval.confidence, confidence, 3);
            is_near(interval.lo, float(rank), 6);
            is_near(interval.hi, float(runs + 1 - rank), 6);
        }
        assert_eq!(median_interval(&[1.0, 2.0, 3.0, 4.0, 5.0]), None);
    }

    #[test]
    fn a_percentile_is_bounded_only_where_its_rank_exists() {
        assert_eq!(upper_bound_rank(0.9, 12, 0.95), None);
        assert_eq!(upper_bound_rank(0.9, 28, 0.95), None);
        assert_eq!(upper_bound_rank(0.9, 29, 0.95), Some(29));
        assert_eq!(upper_bound_rank(0.9, 46, 0.95), Some(45));
        assert_eq!(upper_bound_rank(0.95, 58, 0.95), None);
        assert_eq!(upper_bound_rank(0.95, 59, 0.95), Some(59));
        assert_eq!(upper_bound_rank(0.9, 22, 0.9), Some(22));
    }

    #[test]
    fn a_trend_is_one_that_chance_makes_once_in_a_hundred() {
        let rising: Vec<f64> = (1..=12).map(float).collect();
        assert_eq!(trend(&rising), Some(1.0));
        let falling: Vec<f64> = rising.iter().rev().copied().collect();
        assert_eq!(trend(&falling), Some(-1.0));
        // 0.72 with twelve is just below the critical 0.727.
        let mixed = [
            5.0, 1.0, 2.0, 4.0, 3.0, 8.0, 12.0, 6.0, 7.0, 11.0, 9.0, 10.0,
        ];
        assert!(trend(&mixed).is_some());
        let calm = [
            5.0, 9.0, 2.0, 4.0, 12.0, 8.0, 3.0, 6.0, 7.0, 11.0, 1.0, 10.0,
        ];
        assert_eq!(trend(&calm), None);
        assert_eq!(trend(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), None);
        assert_eq!(trend(&[7.0; 12]), None);
    }

    #[test]
    fn a_cold_start_is_a_first_run_far_from_the_others() {
        assert!(first_is_outlier(&[80.0, 41.0, 40.0, 42.0, 39.0, 41.5]));
        assert!(!first_is_outlier(&[43.0, 41.0, 40.0, 42.0, 39.0, 41.5]));
        assert!(!first_is_outlier(&[41.0, 80.0, 40.0, 42.0, 39.0, 41.5]));
        assert!(!first_is_outlier(&[1.0, 1.0, 1.0, 1.0]));
    }

    #[test]
    fn two_groups_are_compared_as_in_the_text_books() {
        // Hollander and Wolfe, Nonparametric Statistical Methods, table 4.1 (permeability of membranes): 5 against 10 values.
        let first = [1.15, 0.88, 0.90, 0.74, 1.21];
        let second = [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46];
        let shift = shift(&first, &second).unwrap();
        // R: wilcox.test(y, x, conf.int = TRUE): W = 35, p = 0.2544, [-0.15, 0.76], 0.305.
        is_near(shift.estimate, 0.305, 3);
        is_near(shift.probability, 0.2544, 4);
        let interval = shift.interval.unwrap();
        is_near(interval.lo, -0.15, 2);
        is_near(interval.hi, 0.76, 2);
    }

    #[test]
    fn groups_without_anything_in_common_have_the_least_probability_there_is() {
        let (first, second) = ([1.0, 2.0, 3.0, 4.0], [11.0, 12.0, 13.0, 14.0]);
        let apart = shift(&first, &second).unwrap();
        // Two of the 70 ways to deal four of eight ranks.
        is_near(apart.probability, 2.0 / 70.0, 6);
        is_near(apart.estimate, 10.0, 6);
        assert_eq!(apart.interval.unwrap().rank, 1);
        let few = shift(&first[..3], &second[..3]).unwrap();
        assert_eq!(few.interval, None, "20 ways cannot make 5 %");
        is_near(few.probability, 0.1, 6);
        assert_eq!(shift(&[], &second), None);
    }

    #[test]
    fn values_that_are_equal_share_their_rank() {
        let same = shift(&[5.0, 5.0, 5.0, 5.0], &[5.0, 5.0, 5.0, 5.0]).unwrap();
        is_near(same.probability, 1.0, 9);
        is_near(same.estimate, 0.0, 9);
        // Dealt out by hand: of the 20 ways to choose three of 1, 2.5, 2.5, 4, 5, 6 four are as far from the middle.
        let tied = shift(&[1.0, 2.0, 2.0], &[3.0, 4.0, 5.0]).unwrap();
        is_near(tied.probability, 0.1, 6);
    }

    #[test]
    fn many_pairs_are_as_good_as_counted_out() {
        let first: Vec<f64> = (0..60).map(|k| float(k * 7 % 60)).collect();
        let second: Vec<f64> = (0..60).map(|k| float(k * 11 % 60) + 12.5).collect();
        let shift = shift(&first, &second).unwrap();
        is_near(shift.estimate, 12.5, 6);
        let interval = shift.interval.unwrap();
        assert!(interval.lo > 0.0 && interval.hi < 25.0, "{interval:?}");
        assert!(shift.probability < 1e-3, "{shift:?}");
        is_near(normal(1.96), 0.975, 4);
    }
}
