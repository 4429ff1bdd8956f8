//! Takes the events of a run one by one and keeps what the judgement needs.

use std::{collections::BTreeMap, time::Duration};

use super::{
    Aborted, Judgement,
    record::{Acknowledged, Fault, Ledger, Observations, Probe, Record},
};
use crate::episode::Watch;
use crate::{
    drill::Drill,
    environment::{self, Environment},
    timeline::{
        Act, Entry, Event, FaultStep, Mark, Outcome, Phase, RunStarted, Sample, TierChecked,
    },
};

/// Judges a run. Takes the events one by one, so that a run of any length needs the same memory, but for the number of changes that
/// its probes saw.
#[derive(Debug)]
pub struct Judge<'a> {
    drill: &'a Drill,
    environment: &'a Environment,
    run: Option<RunStarted>,
    probes: Vec<Probe>,
    faults: BTreeMap<usize, Fault>,
    observers: BTreeMap<String, Observations>,
    preflight: Vec<TierChecked>,
    declared: Vec<Duration>,
    phases: Vec<(Phase, Duration)>,
    ledger: Ledger,
    is_read_back: bool,
    aborted: Option<Aborted>,
    interrupted: Option<String>,
    ended: Option<(Outcome, f64)>,
    torn: Option<u64>,
    last: Duration,
}

impl<'a> Judge<'a> {
    /// Starts to judge a run of this drill on this environment.
    pub fn new(drill: &'a Drill, environment: &'a Environment) -> Self {
        Self {
            drill,
            environment,
            run: None,
            probes: Vec::new(),
            faults: BTreeMap::new(),
            observers: BTreeMap::new(),
            preflight: Vec::new(),
            declared: Vec::new(),
            phases: Vec::new(),
            ledger: Ledger::default(),
            is_read_back: false,
            aborted: None,
            interrupted: None,
            ended: None,
            torn: None,
            last: Duration::ZERO,
        }
    }

    /// Takes the next event, in the order of the record.
    pub fn push(&mut self, entry: &Entry) {
        self.last = self.last.max(entry.at);
        match &entry.event {
            Event::Run(run) => self.begin(run),
            Event::Phase { phase } => self.phases.push((*phase, entry.at)),
            Event::Sample(sample) => {
                self.last = self.last.max(sample.end);
                let probe = self
                    .probes
                    .iter_mut()
                    .find(|probe| probe.started.name == sample.probe);
                if let Some(probe) = probe {
                    probe.watch.push(sample);
                }
                self.count_write(sample);
            }
            Event::Fault { id, step, detail } => {
                let fault = self.faults.entry(*id).or_default();
                fault.take(*step, entry.at, detail.as_deref());
                for probe in &mut self.probes {
                    match step {
                        FaultStep::Issued => probe.watch.steady_until(entry.at),
                        FaultStep::RevertIssued => probe.watch.reverted_from(entry.at),
                        FaultStep::Rehearsed
                        | FaultStep::Captured
                        | FaultStep::Acknowledged
                        | FaultStep::Verified
                        | FaultStep::InjectFailed
                        | FaultStep::NotVerified
                        | FaultStep::Reverted
                        | FaultStep::Restored
                        | FaultStep::RevertFailed => {}
                    }
                }
            }
            Event::Observed {
                observer,
                healthy,
                detail,
                before,
            } => self.observers.entry(observer.clone()).or_default().take(
                entry.at,
                *healthy,
                detail.as_deref(),
                *before,
            ),
            Event::Preflight(checked) => self.preflight.push(checked.clone()),
            Event::Operator {
                act: Act::Marked(Mark::Declared),
                ..
            } => self.declared.push(entry.at),
            Event::Operator { .. } | Event::Note { .. } => {}
            Event::Ledger {
                before,
                found,
                detail,
            } => {
                self.is_read_back = true;
                self.ledger.before = *before;
                self.ledger.found.clone_from(found);
                self.ledger.detail.clone_from(detail);
            }
            Event::Aborted { condition, reason } => self.abort(condition, reason),
            Event::Interrupted { signal } => self.interrupted = Some(signal.clone()),
            Event::Ended {
                outcome,
                clock_drift_ms,
            } => {
                match outcome {
                    Outcome::Interrupted { signal } => {
                        self.interrupted.get_or_insert_with(|| signal.clone());
                    }
                    Outcome::Aborted { condition, reason } => self.abort(condition, reason),
                    Outcome::Completed | Outcome::CouldNotRun { .. } => {}
                }
                self.ended = Some((outcome.clone(), *clock_drift_ms));
            }
        }
    }

    /// Takes note that the record ends in the middle of a line, by its number.
    pub fn torn(&mut self, line: u64) {
        self.torn = Some(line);
    }

    /// Judges what was taken.
    pub fn finish(mut self) -> Judgement {
        for probe in &mut self.probes {
            probe.watch.finish();
        }
        let has_begun = self.run.is_some();
        Record {
            drill: self.drill,
            environment: self.environment,
            dry_run: self.run.as_ref().is_some_and(|run| run.dry_run),
            tiers: self.run.map(|run| run.tiers).unwrap_or_default(),
            has_begun,
            probes: self.probes,
            faults: self.faults,
            observers: self.observers,
            preflight: self.preflight,
            declared: self.declared,
            phases: self.phases,
            ledger: self.is_read_back.then_some(self.ledger),
            aborted: self.aborted,
            interrupted: self.interrupted,
            ended: self.ended,
            torn: self.torn,
            length: self.last,
        }
        .judge()
    }

    /// A write with an expected status was taken, however late, and whatever was the matter with the prober.
    fn count_write(&mut self, sample: &Sample) {
        let (Some(ledger), service) = (&self.environment.ledger, &self.environment.service) else {
            return;
        };
        if sample.probe != ledger.writes {
            return;
        }
        let request = self
            .environment
            .probes
            .iter()
            .find_map(|probe| match &probe.value {
                environment::Probe::Http(probe) if probe.name == ledger.writes => {
                    Some(&probe.request)
                }
                environment::Probe::Http(_) | environment::Probe::Dns(_) => None,
            });
        let request = request.and_then(|request| service.requests.get(request));
        let is_taken = request
            .zip(sample.status)
            .is_some_and(|(request, status)| request.good_status.contains(&status));
        if is_taken {
            self.ledger.acknowledged.push(Acknowledged {
                number: sample.seq,
                at: sample.end,
            });
        } else {
            self.ledger.refused.push(sample.end);
        }
    }

    fn abort(&mut self, condition: &str, reason: &str) {
        self.aborted.get_or_insert_with(|| Aborted {
            condition: condition.to_owned(),
            reason: reason.to_owned(),
        });
    }

    fn begin(&mut self, run: &RunStarted) {
        // One run a record: a second beginning is not one.
        if self.run.is_some() {
            return;
        }
        self.probes = run
            .probes
            .iter()
            .map(|probe| Probe {
                started: probe.clone(),
                watch: Watch::new(probe, run.speed),
            })
            .collect();
        self.faults = run
            .faults
            .iter()
            .cloned()
            .map(|planned| Fault {
                planned: Some(planned),
                ..Fault::default()
            })
            .enumerate()
            .collect();
        self.run = Some(run.clone());
    }
}
