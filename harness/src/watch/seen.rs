//! What probes saw while nothing was broken.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;

use super::{Held, Objective, objective};
use crate::{
    drill::Drill,
    environment::Environment,
    episode::histogram::Histogram,
    timeline::{Entry, Event, Outcome, ProbeKind, Sample, SampleVerdict},
    verdict::{self, Bounds, Judge, Lane},
};

/// Takes the events of a watch one by one.
#[derive(Debug)]
pub struct Seen<'a> {
    judge: Judge<'a>,
    phases: BTreeMap<String, Phases>,
    dns: Vec<String>,
    trouble: Option<String>,
}

/// How long the parts of good requests took, as `curl -w` shows them.
#[derive(Debug, Default)]
struct Phases {
    parts: [Histogram; 4],
    first_byte: Histogram,
}

/// What a watch came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// How long it took, in seconds of the architecture.
    pub length_s: f64,
    /// Why it ended before its time, if it did.
    pub trouble: Option<String>,
    /// What each probe saw.
    pub probes: Vec<ProbeSummary>,
    /// What came of each objective.
    pub objectives: Vec<Held>,
}

/// What one probe saw.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProbeSummary {
    /// Its name.
    pub probe: String,
    /// Samples that count: good and bad.
    pub samples: u64,
    /// Good ones.
    pub good: u64,
    /// Bad ones by class.
    pub bad: BTreeMap<String, u64>,
    /// Samples that say nothing, by reason.
    pub void: BTreeMap<String, u64>,
    /// How long good answers took; null without any.
    pub latency: Option<Latency>,
    /// How long the parts of a good request took, medians in seconds, in this order: dns, connect, tls, first-byte.
    pub parts_s: BTreeMap<&'static str, f64>,
    /// The times without service.
    pub outages: Outages,
    /// Who answered, in order, without the times without an answer in between.
    pub answered_by: Vec<String>,
    /// What was seen last.
    pub last: Option<String>,
    /// How long the last has been seen, in seconds.
    pub last_for_s: f64,
}

/// How long good answers took, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Latency {
    /// Half of them took no longer.
    pub median_s: f64,
    /// 99 of 100 took no longer.
    pub p99_s: f64,
    /// The slowest.
    pub max_s: f64,
}

/// Times without service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Outages {
    /// How many.
    pub count: usize,
    /// The longest; its end is null if it lasts.
    pub longest: Option<Bounds>,
}

impl Phases {
    const NAMES: [&'static str; 4] = ["dns", "connect", "tls", "first-byte"];

    fn take(&mut self, sample: &Sample) {
        let phases = &sample.phases;
        let mut before = sample.start;
        let ends = [
            phases.resolved,
            phases.connected,
            phases.secured,
            phases.first_byte,
        ];
        for (part, end) in self.parts.iter_mut().zip(ends) {
            if let Some(end) = end {
                part.record(end.saturating_sub(before));
                before = end;
            }
        }
        if let Some(end) = phases.first_byte {
            self.first_byte.record(end.saturating_sub(sample.start));
        }
    }

    fn medians(&self) -> BTreeMap<&'static str, f64> {
        let parts = Self::NAMES.into_iter().zip(&self.parts);
        let median = |part: &Histogram| part.quantile(0.5).as_ref().map(Duration::as_secs_f64);
        parts
            .filter_map(|(name, part)| Some((name, median(part)?)))
            .collect()
    }
}

impl<'a> Seen<'a> {
    /// Starts with nothing. The drill is the one that breaks nothing.
    pub fn new(drill: &'a Drill, environment: &'a Environment) -> Self {
        Self {
            judge: Judge::new(drill, environment),
            phases: BTreeMap::new(),
            dns: Vec::new(),
            trouble: None,
        }
    }

    /// Takes the next event.
    pub fn push(&mut self, entry: &Entry) {
        self.judge.push(entry);
        match &entry.event {
            Event::Run(run) => {
                let is_dns = |kind: &ProbeKind| matches!(kind, ProbeKind::Dns { .. });
                let dns = run.probes.iter().filter(|probe| is_dns(&probe.kind));
                self.dns = dns.map(|probe| probe.name.clone()).collect();
            }
            Event::Sample(sample)
                if sample.verdict == SampleVerdict::Good && !self.dns.contains(&sample.probe) =>
            {
                if let Some(phases) = self.phases.get_mut(&sample.probe) {
                    phases.take(sample);
                } else {
                    let mut phases = Phases::default();
                    phases.take(sample);
                    self.phases.insert(sample.probe.clone(), phases);
                }
            }
            Event::Ended {
                outcome: Outcome::CouldNotRun { reason, .. },
                ..
            } => self.trouble = Some(reason.clone()),
            Event::Sample(_)
            | Event::Phase { .. }
            | Event::Preflight(_)
            | Event::Fault { .. }
            | Event::Observed { .. }
            | Event::Ledger { .. }
            | Event::Operator { .. }
            | Event::Note { .. }
            | Event::Interrupted { .. }
            | Event::Aborted { .. }
            | Event::Ended { .. } => {}
        }
    }

    /// What all that came to, held against objectives.
    pub fn finish(self, objectives: &[Objective]) -> Summary {
        let judgement = self.judge.finish();
        let probes: Vec<ProbeSummary> = judgement
            .lanes
            .iter()
            .map(|lane| {
                let phases = self.phases.get(&lane.probe);
                let parts_s = phases.map(Phases::medians).unwrap_or_default();
                summary(lane, parts_s, judgement.length_s)
            })
            .collect();
        let objectives = objective::hold(objectives, &probes);
        Summary {
            length_s: judgement.length_s,
            trouble: self.trouble,
            probes,
            objectives,
        }
    }
}

fn summary(lane: &Lane, parts_s: BTreeMap<&'static str, f64>, length_s: f64) -> ProbeSummary {
    let downs = lane
        .spells
        .iter()
        .filter(|spell| matches!(spell.seen, verdict::Seen::Down(_)));
    let lengths: Vec<Bounds> = downs
        .map(|spell| Bounds {
            lo: (spell.to.lo - spell.from.hi.unwrap_or(spell.from.lo)).max(0.0),
            hi: spell.to.hi.map(|hi| hi - spell.from.lo),
        })
        .collect();
    let longest = lengths.iter().copied().max_by(|one, other| {
        let end = |bounds: &Bounds| bounds.hi.unwrap_or(f64::INFINITY);
        end(one).total_cmp(&end(other))
    });
    let mut answered_by: Vec<String> = Vec::new();
    for spell in &lane.spells {
        let name = match &spell.seen {
            verdict::Seen::Tier(name) | verdict::Seen::Other(name) => name,
            verdict::Seen::Down(_) | verdict::Seen::Unknown => continue,
        };
        if answered_by.last() != Some(name) {
            answered_by.push(name.clone());
        }
    }
    let last = lane.spells.last();
    ProbeSummary {
        probe: lane.probe.clone(),
        samples: lane.good + lane.bad.values().sum::<u64>(),
        good: lane.good,
        bad: lane.bad.clone(),
        void: lane.void.clone(),
        latency: lane.latency_s.map(|[median_s, p99_s, max_s]| Latency {
            median_s,
            p99_s,
            max_s,
        }),
        parts_s,
        outages: Outages {
            count: lengths.len(),
            longest,
        },
        answered_by,
        last: last.map(|spell| match &spell.seen {
            verdict::Seen::Tier(name) | verdict::Seen::Other(name) => name.clone(),
            verdict::Seen::Down(class) => format!("down ({class})"),
            verdict::Seen::Unknown => "nothing that counts".to_owned(),
        }),
        last_for_s: last.map_or(0.0, |spell| (length_s - spell.from.lo).max(0.0)),
    }
}
