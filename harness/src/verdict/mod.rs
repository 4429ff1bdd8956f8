//! Judging: a drill and a timeline in, verdicts out. Pure, and nothing here knows how the timeline came about.

mod checks;
mod conclude;
mod findings;
mod judge;
mod lanes;
mod limit;
mod record;
mod times;
mod words;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    drill::Drill,
    environment::Environment,
    statistics::PassRate,
    timeline::{Entry, Phase, TierChecked},
};

pub use judge::Judge;

/// A duration or a time that is known to lie between two values.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Bounds {
    /// Not less than this, in seconds.
    #[serde(rename = "lo_s")]
    pub lo: f64,
    /// Not more than this, in seconds; null if it had not ended when the watching did.
    #[serde(rename = "hi_s")]
    pub hi: Option<f64>,
}

/// What came of a drill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Everything expected held.
    Pass,
    /// The measurement could not decide, and nothing failed.
    Inconclusive,
    /// Something expected did not hold.
    Fail,
    /// A dry run: nothing was touched, and all that a run needs beforehand is there.
    DryRun,
    /// A condition ended the drill early, so nothing was judged.
    Aborted,
    /// The drill could not be carried out, so nothing was judged.
    Invalid,
}

/// What came of one expectation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CheckStatus {
    /// It held.
    Pass,
    /// It was not judged, because the drill ended before.
    NotRun,
    /// The measurement cannot decide it.
    Inconclusive,
    /// It did not hold.
    Fail,
}

/// One expectation, judged.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Check {
    /// The expectation's word, for example `rto`.
    pub kind: String,
    /// The expectation in words, unique in the drill: `rto within 135s`.
    pub name: String,
    /// The line it stands on in the drill file.
    pub line: u32,
    /// What came of it.
    pub status: CheckStatus,
    /// The measured value in words: `47.6 s [47.4 .. 47.7]`, `primary -> down -> vm`.
    pub actual: String,
    /// The comparison in words: `47.6 s > 40 s`, or why it is inconclusive and what would decide it.
    pub message: String,
    /// The measured duration, for expectations about one.
    pub value: Option<Bounds>,
    /// The limit in seconds, for expectations about a duration.
    pub limit_s: Option<f64>,
    /// In how many runs it must hold; null for every one. The status is that of this run.
    pub pass_rate: Option<PassRate>,
    /// Lines of evidence: which samples or events decided it.
    pub evidence: Vec<String>,
}

/// What a probe saw, run-length encoded.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Lane {
    /// The probe's name.
    pub probe: String,
    /// What it looks at, in words for the left margin: `served by`, `keep-alive`, `dns authority`.
    pub label: String,
    /// What it saw, in order and without gaps.
    pub spells: Vec<Spell>,
    /// Samples taken.
    pub samples: u64,
    /// Good ones.
    pub good: u64,
    /// Bad ones by class.
    pub bad: BTreeMap<String, u64>,
    /// Void ones by reason.
    pub void: BTreeMap<String, u64>,
    /// Runs of good samples slower than twice the healthy latency, with no failure among them: stalls, not downtime.
    pub stalls: u64,
    /// The longest stall in seconds.
    pub longest_stall_s: f64,
    /// Latency of good samples in seconds: median, 99th percentile, largest. Null without good samples.
    pub latency_s: Option<[f64; 3]>,
    /// The healthy latency bound H of the steady state, in seconds.
    pub healthy_bound_s: f64,
    /// How late the probe sent its samples, 99th percentile in real seconds.
    pub late_p99_s: f64,
}

/// A time in which a probe kept seeing the same.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Spell {
    /// When it began.
    pub from: Bounds,
    /// When it ended; open above for the last one.
    pub to: Bounds,
    /// What was seen.
    pub seen: Seen,
    /// Samples in it.
    pub samples: u64,
}

/// What a probe sees for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Seen {
    /// Good answers from this tier.
    Tier(String),
    /// Failures, mostly of this class.
    Down(String),
    /// DNS: an answer that no tier recognises.
    Other(String),
    /// Nothing that counts.
    Unknown,
}

/// The named times of a run, in seconds since its start. Null means not seen.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct Moments {
    /// The first fault: from issued to verified (or acknowledged).
    pub fault: Option<Bounds>,
    /// The first failure that users saw after it.
    pub impact: Option<Bounds>,
    /// The system noticed: the first observer turned bad.
    pub detected: Option<Bounds>,
    /// Every authority answers with another tier than before.
    pub switched: Option<Bounds>,
    /// Every resolver does.
    pub propagated: Option<Bounds>,
    /// The first good answer after the impact.
    pub first_success: Option<Bounds>,
    /// The start of the first stable run of good answers.
    pub recovered: Option<Bounds>,
    /// A person declared an incident.
    pub declared: Option<Bounds>,
    /// The revert: from the first issued to the last acknowledged.
    pub reverted: Option<Bounds>,
    /// Users are back on the first tier, stable.
    pub failed_back: Option<Bounds>,
}

/// The durations between the moments, in seconds. Null means not measured, never zero.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct Durations {
    /// Fault to impact.
    pub impact_delay: Option<Bounds>,
    /// Fault to detected.
    pub detection: Option<Bounds>,
    /// Fault to the switch at the authorities.
    pub dns_switch: Option<Bounds>,
    /// Switch at the authorities to the last resolver.
    pub propagation: Option<Bounds>,
    /// From the first authority that answered with another tier to the last one; null with fewer than two, or where one did not switch.
    pub dns_disagreement: Option<Bounds>,
    /// Fault to first success.
    pub first_success: Option<Bounds>,
    /// The recovery time: fault to recovered.
    pub recovery: Option<Bounds>,
    /// Impact to recovered.
    pub outage: Option<Bounds>,
    /// An incident declared by a person to recovered.
    pub since_declared: Option<Bounds>,
    /// Revert to failed back.
    pub failback: Option<Bounds>,
}

/// A part of the recovery time and what it went on.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Part {
    /// The part: `impact`, `detect`, `decide`, `caches`, `connect`.
    pub name: String,
    /// Its length in seconds (the middle of its bounds).
    pub seconds: f64,
    /// The bounds of its length.
    pub bounds: Bounds,
    /// What it is, in words.
    pub about: String,
    /// The settings that explain it, with the line of the environment that each stands on, as far as they are known.
    pub settings: Vec<String>,
}

/// What became of one fault.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct FaultReport {
    /// The kind, for example `scale`.
    pub kind: String,
    /// The target's name.
    pub target: String,
    /// What was done, in words.
    pub describe: String,
    /// When the injection was sent, in seconds since the start of the run; null if it never was.
    pub issued_s: Option<f64>,
    /// When it was acknowledged.
    pub acknowledged_s: Option<f64>,
    /// When an independent read showed it.
    pub verified_s: Option<f64>,
    /// When an independent read showed the target as it was captured.
    pub restored_s: Option<f64>,
    /// What would restore the target, in words, where a dry run read it and touched nothing.
    pub rehearsed: Option<String>,
    /// What went wrong with it, if anything.
    pub trouble: Option<String>,
}

/// What ended a drill early.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Aborted {
    /// The condition, in words.
    pub condition: String,
    /// What was seen.
    pub reason: String,
}

/// A phase of the run and when it was.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct PhaseSpan {
    /// The phase.
    #[schemars(with = "String")]
    pub phase: Phase,
    /// When it began, in seconds since the start of the run.
    pub from_s: f64,
    /// When it ended.
    pub to_s: f64,
}

/// Something the report points out that no expectation asked for, for example a standby that does not answer.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Finding {
    /// A word for it, which `explain` knows: `standby-dead`, `fail-open`, `stale-dns`.
    pub code: String,
    /// What was found, in a sentence.
    pub text: String,
    /// The evidence.
    pub evidence: Vec<String>,
    /// What to do next, in a sentence.
    pub next: String,
}

/// Everything that follows from a timeline.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Judgement {
    /// What came of the drill.
    pub verdict: Verdict,
    /// Why, where it is not a pass.
    pub reasons: Vec<String>,
    /// Whether every captured target is verified as restored.
    pub restored: bool,
    /// The signal that stopped the run, if one did.
    pub interrupted_by: Option<String>,
    /// The condition that ended the drill early, if one did.
    pub aborted: Option<Aborted>,
    /// Whether it was a dry run, which touches nothing.
    pub dry_run: bool,
    /// The tiers that the drill leans on, as they were before anything was broken.
    pub preflight: Vec<TierChecked>,
    /// The expectations, in the order of the file.
    pub checks: Vec<Check>,
    /// The named times.
    pub moments: Moments,
    /// The durations between them.
    pub durations: Durations,
    /// Where the recovery time went, in order.
    pub parts: Vec<Part>,
    /// The tiers that served users until the revert, in order, `down` for an outage.
    pub path: Vec<String>,
    /// The same until the end of the run.
    pub whole_path: Vec<String>,
    /// Spells too short to count in the path.
    pub blips: u64,
    /// Changes from good to bad after the first success.
    pub flaps: u32,
    /// Share of the time from the fault to the end of the hold in which users were served, in percent.
    pub availability: Option<Bounds>,
    /// The faults.
    pub faults: Vec<FaultReport>,
    /// The phases.
    pub phases: Vec<PhaseSpan>,
    /// What each probe saw.
    pub lanes: Vec<Lane>,
    /// What the report points out besides.
    pub findings: Vec<Finding>,
    /// How long the run took, in seconds of the architecture.
    pub length_s: f64,
    /// How far the clocks went apart, in real milliseconds; null for a run that was killed.
    pub clock_drift_ms: Option<f64>,
}

/// The words of [`ErrorClass`](crate::timeline::ErrorClass) and [`VoidReason`](crate::timeline::VoidReason) as files and reports spell them.
pub(crate) fn word<T: Serialize>(value: T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(_) | Err(_) => String::new(),
    }
}

/// Judges a run that is over.
pub fn judge<'e>(
    drill: &Drill,
    environment: &Environment,
    entries: impl IntoIterator<Item = &'e Entry>,
) -> Judgement {
    let mut judge = Judge::new(drill, environment);
    for entry in entries {
        judge.push(entry);
    }
    judge.finish()
}
