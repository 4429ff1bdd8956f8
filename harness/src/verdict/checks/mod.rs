//! The expectations: each is one function from the record to what came of it.

mod dns;
mod durations;
mod ledger;
mod requests;
mod users;

pub(super) use dns::{TTL_QUANTUM, overdue};
pub(super) use users::{count_flaps, share_served};

use std::{collections::BTreeSet, time::Duration};

use super::{
    Check, CheckStatus,
    limit::{self, Quality},
    record::{Attributed, Record},
    times::Times,
    words,
};
use crate::{
    drill::{Expect, Expectation, Writes},
    episode::{span::Span, tally::Counts},
};

/// Fewer samples than this say nothing about a window.
pub(super) const FEWEST: u64 = 5;

/// What checks look at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scene<'a> {
    pub(super) record: &'a Record<'a>,
    pub(super) disruptions: &'a [Attributed],
    pub(super) times: &'a Times,
}

/// What came of one expectation.
#[derive(Debug)]
struct Outcome {
    status: CheckStatus,
    actual: String,
    message: String,
    value: Option<Span>,
    limit: Option<Duration>,
    evidence: Vec<String>,
}

impl Outcome {
    fn new(status: CheckStatus, actual: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            status,
            actual: actual.into(),
            message: message.into(),
            value: None,
            limit: None,
            evidence: Vec::new(),
        }
    }

    fn pass(actual: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(CheckStatus::Pass, actual, message)
    }

    fn fail(actual: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(CheckStatus::Fail, actual, message)
    }

    fn inconclusive(actual: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(CheckStatus::Inconclusive, actual, message)
    }

    /// A measured duration, held against a limit.
    fn limited(value: Span, limit: Duration, quality: &Quality) -> Self {
        let (status, message) = limit::within(value, limit, quality);
        Self {
            value: Some(value),
            limit: Some(limit),
            ..Self::new(status, words::span(value), message)
        }
    }

    /// A pass that too much void takes away.
    fn unless_void(self, window: Counts) -> Self {
        match limit::void(window) {
            Some(reason) if self.status == CheckStatus::Pass => Self {
                status: CheckStatus::Inconclusive,
                message: format!("{}: {reason}", self.message),
                ..self
            },
            Some(_) | None => self,
        }
    }

    fn with_evidence(mut self, evidence: impl IntoIterator<Item = String>) -> Self {
        self.evidence.extend(evidence);
        self
    }
}

/// Judges every expectation, in the order of the file.
pub(super) fn judge(scene: Scene<'_>) -> Vec<Check> {
    let mut names = BTreeSet::new();
    let expectations = &scene.record.drill.expect;
    expectations
        .iter()
        .map(|expectation| {
            let outcome = outcome(scene, &expectation.value);
            check(expectation, outcome, &mut names)
        })
        .collect()
}

/// Says of every expectation that it was not judged, and why.
pub(super) fn not_run(record: &Record<'_>, reason: &str) -> Vec<Check> {
    let mut names = BTreeSet::new();
    let expectations = &record.drill.expect;
    expectations
        .iter()
        .map(|expectation| {
            let outcome = Outcome::new(CheckStatus::NotRun, "not measured", reason);
            check(expectation, outcome, &mut names)
        })
        .collect()
}

fn check(expectation: &Expectation, outcome: Outcome, names: &mut BTreeSet<String>) -> Check {
    let line = expectation.at.line;
    let mut name = expectation.value.words();
    if !names.insert(name.clone()) {
        name = format!("{name} (line {line})");
        names.insert(name.clone());
    }
    Check {
        kind: expectation.value.kind().to_owned(),
        name,
        line,
        status: outcome.status,
        actual: outcome.actual,
        message: outcome.message,
        value: outcome.value.map(Into::into),
        limit_s: outcome.limit.map(|limit| limit.as_secs_f64()),
        pass_rate: expectation.value.pass_rate(),
        evidence: outcome.evidence,
    }
}

fn outcome(scene: Scene<'_>, expect: &Expect) -> Outcome {
    match expect {
        Expect::Detected { within, by } => durations::detected(scene, *within, by.as_deref()),
        Expect::Rto {
            within, from, to, ..
        } => durations::rto(scene, *within, *from, *to),
        Expect::Outage { within } => durations::outage(scene, *within),
        Expect::Path(wanted) => users::path(scene, wanted),
        Expect::Never(tiers) => users::never(scene, tiers),
        Expect::ServedBy(probes) => users::served_by(scene, probes),
        Expect::Writes(Writes::ServedBy(tier)) => requests::writes_served_by(scene, tier),
        Expect::Writes(Writes::FailWith(codes)) => requests::writes_fail_with(scene, codes),
        Expect::Availability { at_least } => users::availability(scene, *at_least),
        Expect::MaxErrors { probe, at_most } => {
            requests::max_errors(scene, probe.as_deref(), *at_most)
        }
        Expect::NoFailover => users::no_failover(scene),
        Expect::Flaps { at_most } => users::flaps(scene, *at_most),
        Expect::Failback {
            to,
            within,
            errors_at_most,
        } => durations::failback(scene, to, *within, *errors_at_most),
        Expect::Rpo { within } => ledger::rpo(scene, *within),
        Expect::DnsSwitch { within, probe, to } => {
            dns::switch(scene, *within, probe.as_deref(), to.as_deref())
        }
        Expect::StaleDns { at_most, probe } => dns::stale(scene, *at_most, probe.as_deref()),
        Expect::Header {
            probe,
            name,
            contains,
        } => requests::header(scene, probe.as_deref(), name, contains),
        Expect::Body { probe, contains } => requests::body(scene, probe.as_deref(), contains),
        Expect::Status { probe, is } => requests::status(scene, probe.as_deref(), is),
    }
}

/// For a probe that the record does not have.
fn no_probe(name: Option<&str>) -> Outcome {
    let what = match name {
        Some(name) => format!("the record has no samples of `{name}`"),
        None => "the record has no samples of a probe that sends the read request".to_owned(),
    };
    Outcome::inconclusive("not measured", what)
}

/// For a window with too few samples that count.
fn too_few(window: Counts) -> Option<Outcome> {
    (window.usable() < FEWEST).then(|| {
        Outcome::inconclusive(
            "not measured",
            format!(
                "{} that count, and at least {FEWEST} are needed",
                words::count(window.usable(), "sample")
            ),
        )
    })
}
