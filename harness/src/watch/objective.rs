//! Objectives: `availability=99.9`, `p99=500ms`, `outage=30s`, each for the users' probe or `PROBE:` another.
//!
//! As everywhere, what was not measured is not held: no samples, or too many that say nothing, are neither a pass nor a failure.

use std::time::Duration;

use serde::Serialize;

use super::ProbeSummary;
use crate::{
    report::quantity::{range, short, trimmed, value},
    source::{nearest, parse_duration},
    verdict::CheckStatus,
};

/// Void samples may be this share before nothing can be said.
const MOST_VOID: f64 = 0.05;

/// What can be asked for, in the order of the documentation.
const KEYS: [&str; 5] = ["availability", "median", "p99", "max", "outage"];

/// Something that a service must keep to while it is watched.
#[derive(Debug, Clone, PartialEq)]
pub struct Objective {
    /// The probe that it is about.
    pub probe: String,
    /// What it asks for.
    pub limit: Limit,
}

/// What an objective asks for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit {
    /// So many of a hundred samples are good, at least.
    Availability(f64),
    /// Half of the good answers take no longer.
    Median(Duration),
    /// 99 of a hundred good answers take no longer.
    P99(Duration),
    /// No good answer takes longer.
    Max(Duration),
    /// No time without service lasts longer.
    Outage(Duration),
}

/// What came of an objective.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Held {
    /// The objective in words.
    pub objective: String,
    /// What came of it: `pass`, `fail` or `inconclusive`.
    pub status: CheckStatus,
    /// What was measured, or why nothing can be said.
    pub actual: String,
}

/// An objective that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WrongObjective {
    /// It has no `=`.
    #[error(
        "`{0}` is no objective: write `availability=99.9`, `p99=500ms` or `outage=30s`, with `PROBE:` before it for another probe"
    )]
    Shape(String),
    /// It asks for something that is not measured.
    #[error("`{key}` cannot be asked for: it is one of {}{hint}", KEYS.join(", "))]
    Key {
        /// What.
        key: String,
        /// What may be meant.
        hint: String,
    },
    /// Its limit cannot be read.
    #[error("`{value}` is no limit for `{key}`: {expected}")]
    Value {
        /// What is asked for.
        key: String,
        /// The limit.
        value: String,
        /// What would be one.
        expected: &'static str,
    },
    /// It names a probe that is not there.
    #[error("there is no probe `{probe}`: there are {known}")]
    Probe {
        /// The probe.
        probe: String,
        /// Those there are.
        known: String,
    },
}

/// Reads objectives, several in one text with commas between them. What names no probe is about the users' own.
///
/// # Errors
/// The first that cannot be read.
pub fn parse(text: &str, users: &str, probes: &[&str]) -> Result<Vec<Objective>, WrongObjective> {
    let parts = text.split(',').map(str::trim);
    parts.map(|part| parse_one(part, users, probes)).collect()
}

fn parse_one(text: &str, users: &str, probes: &[&str]) -> Result<Objective, WrongObjective> {
    let shape = || WrongObjective::Shape(text.to_owned());
    let (what, value) = text.split_once('=').ok_or_else(shape)?;
    let (probe, key) = what.split_once(':').unwrap_or((users, what));
    if !probes.contains(&probe) {
        return Err(WrongObjective::Probe {
            probe: probe.to_owned(),
            known: probes.join(", "),
        });
    }
    let wrong = |expected| WrongObjective::Value {
        key: key.to_owned(),
        value: value.to_owned(),
        expected,
    };
    let time = || parse_duration(value).ok_or_else(|| wrong("a duration such as `500ms` or `30s`"));
    let limit = match key {
        "availability" => {
            let share = value.strip_suffix('%').unwrap_or(value).parse().ok();
            let share = share.filter(|share| (0.0..=100.0).contains(share));
            Limit::Availability(share.ok_or_else(|| wrong("a share such as `99.9` or `99.9%`"))?)
        }
        "median" => Limit::Median(time()?),
        "p99" => Limit::P99(time()?),
        "max" => Limit::Max(time()?),
        "outage" => Limit::Outage(time()?),
        _ => {
            return Err(WrongObjective::Key {
                key: key.to_owned(),
                hint: nearest(key, KEYS)
                    .map_or_else(String::new, |near| format!("; did you mean `{near}`?")),
            });
        }
    };
    Ok(Objective {
        probe: probe.to_owned(),
        limit,
    })
}

impl Objective {
    /// The objective in words: `read: availability at least 99.9 %`.
    pub fn words(&self) -> String {
        let probe = &self.probe;
        let time = |limit: Duration| short(limit.as_secs_f64());
        match self.limit {
            Limit::Availability(share) => {
                format!("{probe}: availability at least {} %", trimmed(share, 4))
            }
            Limit::Median(limit) => format!("{probe}: median at most {}", time(limit)),
            Limit::P99(limit) => format!("{probe}: 99th percentile at most {}", time(limit)),
            Limit::Max(limit) => format!("{probe}: slowest at most {}", time(limit)),
            Limit::Outage(limit) => format!("{probe}: no outage longer than {}", time(limit)),
        }
    }

    fn hold(&self, seen: &ProbeSummary) -> (CheckStatus, String) {
        let void: u64 = seen.void.values().sum();
        let all = seen.samples + void;
        if seen.samples == 0 {
            return (
                CheckStatus::Inconclusive,
                "no sample that counts".to_owned(),
            );
        }
        if share(void, all) > MOST_VOID {
            let words = format!("{void} of {all} samples are void, and at most 5 % may be");
            return (CheckStatus::Inconclusive, words);
        }
        let status = |holds: bool| {
            if holds {
                CheckStatus::Pass
            } else {
                CheckStatus::Fail
            }
        };
        let latency = |limit: Duration, of: fn(super::Latency) -> f64| match seen.latency {
            Some(latency) => {
                let measured = of(latency);
                (status(measured <= limit.as_secs_f64()), short(measured))
            }
            None => (CheckStatus::Inconclusive, "no good answer".to_owned()),
        };
        match self.limit {
            Limit::Availability(least) => {
                let percent = share(seen.good, seen.samples) * 100.0;
                // Rounded down: 99.96 % is not 100 %.
                let shown = trimmed((percent * 1000.0).floor() / 1000.0, 3);
                let words = format!("{shown} % ({} of {})", seen.good, seen.samples);
                (status(percent >= least), words)
            }
            Limit::Median(limit) => latency(limit, |latency| latency.median_s),
            Limit::P99(limit) => latency(limit, |latency| latency.p99_s),
            Limit::Max(limit) => latency(limit, |latency| latency.max_s),
            Limit::Outage(limit) => {
                let Some(longest) = seen.outages.longest else {
                    return (CheckStatus::Pass, "no outage".to_owned());
                };
                let words = format!("{} {}", value(longest), range(longest));
                let limit = limit.as_secs_f64();
                let status = match longest.hi {
                    _ if longest.lo > limit => CheckStatus::Fail,
                    Some(hi) if hi <= limit => CheckStatus::Pass,
                    Some(_) | None => CheckStatus::Inconclusive,
                };
                (status, words.trim_end().to_owned())
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
fn share(part: u64, all: u64) -> f64 {
    part as f64 / all.max(1) as f64
}

/// Holds objectives against what was seen.
pub(super) fn hold(objectives: &[Objective], probes: &[ProbeSummary]) -> Vec<Held> {
    let held = |objective: &Objective| {
        let seen = probes.iter().find(|seen| seen.probe == objective.probe);
        let (status, actual) = match seen {
            Some(seen) => objective.hold(seen),
            None => (CheckStatus::Inconclusive, "nothing was seen".to_owned()),
        };
        Held {
            objective: objective.words(),
            status,
            actual,
        }
    };
    objectives.iter().map(held).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        verdict::Bounds,
        watch::{Latency, Outages},
    };

    fn seen(good: u64, bad: u64, void: u64) -> ProbeSummary {
        let counted = |name: &str, count: u64| {
            let some = (count > 0).then(|| (name.to_owned(), count));
            some.into_iter().collect::<BTreeMap<_, _>>()
        };
        ProbeSummary {
            probe: "read".to_owned(),
            samples: good + bad,
            good,
            bad: counted("refused", bad),
            void: counted("late", void),
            latency: (good > 0).then_some(Latency {
                median_s: 0.01,
                p99_s: 0.2,
                max_s: 0.5,
            }),
            parts_s: BTreeMap::new(),
            outages: Outages::default(),
            answered_by: Vec::new(),
            last: None,
            last_for_s: 0.0,
        }
    }

    fn status(text: &str, seen: ProbeSummary) -> CheckStatus {
        let objectives = parse(text, "read", &["read"]).unwrap();
        hold(&objectives, &[seen])[0].status
    }

    #[test]
    fn an_objective_holds_up_to_its_limit_and_not_beyond() {
        for (text, expected) in [
            ("availability=99", CheckStatus::Pass),
            ("availability=99%", CheckStatus::Pass),
            ("availability=99.01", CheckStatus::Fail),
            ("median=10ms", CheckStatus::Pass),
            ("p99=100ms", CheckStatus::Fail),
            ("read:max=500ms", CheckStatus::Pass),
            ("outage=0s", CheckStatus::Pass),
        ] {
            assert_eq!(status(text, seen(99, 1, 0)), expected, "{text}");
        }
    }

    #[test]
    fn no_samples_is_never_a_pass_and_neither_are_void_ones() {
        for text in ["availability=0", "median=1h", "outage=1h"] {
            assert_eq!(status(text, seen(0, 0, 0)), CheckStatus::Inconclusive);
            assert_eq!(status(text, seen(90, 0, 10)), CheckStatus::Inconclusive);
        }
        assert_eq!(status("p99=1h", seen(0, 9, 0)), CheckStatus::Inconclusive);
    }

    #[test]
    fn an_outage_that_may_be_too_long_is_undecided_and_one_that_goes_on_fails_only_when_it_is() {
        let with = |lo, hi| ProbeSummary {
            outages: Outages {
                count: 1,
                longest: Some(Bounds { lo, hi }),
            },
            ..seen(9, 1, 0)
        };
        for (lo, hi, expected) in [
            (8.0, Some(10.0), CheckStatus::Pass),
            (9.0, Some(11.0), CheckStatus::Inconclusive),
            (10.5, Some(11.0), CheckStatus::Fail),
            (9.0, None, CheckStatus::Inconclusive),
            (11.0, None, CheckStatus::Fail),
        ] {
            assert_eq!(status("outage=10s", with(lo, hi)), expected, "{lo} {hi:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_with_what_could() {
        let message = |text| {
            parse(text, "read", &["read", "write"])
                .unwrap_err()
                .to_string()
        };
        assert!(message("99.9").contains("is no objective"));
        assert!(
            message("p9=1s").ends_with("did you mean `p99`?"),
            "{}",
            message("p9=1s")
        );
        assert!(message("availability=101").contains("a share such as"));
        assert!(message("p99=fast").contains("a duration such as"));
        assert_eq!(
            message("reed:p99=1s"),
            "there is no probe `reed`: there are read, write"
        );
    }
}
