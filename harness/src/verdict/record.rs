//! What a run's events amount to, and the questions that checks ask of it.

use std::{collections::BTreeMap, time::Duration};

use super::Aborted;
use crate::{
    drill::Drill,
    environment::{Connection, DnsView, Environment},
    episode::{
        Watch,
        course::{State, Stretch},
        disruption::Disruption,
        span::Span,
    },
    timeline::{FaultPlanned, FaultStep, Outcome, Phase, ProbeKind, ProbeStarted, TierChecked},
};

/// Samples that a state must last for to count in a path.
pub(super) const MIN_DWELL: u64 = 3;

/// A probe and what it saw.
#[derive(Debug)]
pub(super) struct Probe {
    pub(super) started: ProbeStarted,
    pub(super) watch: Watch,
}

/// The life of one fault.
#[derive(Debug, Default)]
pub(super) struct Fault {
    pub(super) planned: Option<FaultPlanned>,
    /// What a dry run found that would restore the target, in words.
    pub(super) rehearsed: Option<String>,
    pub(super) captured: Option<Duration>,
    pub(super) issued: Option<Duration>,
    pub(super) acknowledged: Option<Duration>,
    pub(super) verified: Option<Duration>,
    pub(super) failed: Option<FaultStep>,
    pub(super) revert_issued: Option<Duration>,
    pub(super) reverted: Option<Duration>,
    pub(super) restored: Option<Duration>,
    pub(super) trouble: Option<String>,
    /// Captured, and not verified as restored since.
    pub(super) owed: bool,
}

/// An observer's readings: each change, and the first.
#[derive(Debug, Default)]
pub(super) struct Observations(pub(super) Vec<Observation>);

/// The writes of a run, and what was there when they were read back.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// When the reading began: what was acknowledged later may be missing from it.
    pub(super) before: Duration,
    /// The numbers that were there, in their order; `None` if they could not be read.
    pub(super) found: Option<Vec<u64>>,
    /// Why not.
    pub(super) detail: Option<String>,
    /// The writes that were taken.
    pub(super) acknowledged: Vec<Acknowledged>,
    /// When writes were not taken.
    pub(super) refused: Vec<Duration>,
}

/// A write that was acknowledged.
#[derive(Debug)]
pub(super) struct Acknowledged {
    pub(super) number: u64,
    pub(super) at: Duration,
}

/// One reading.
#[derive(Debug)]
pub(super) struct Observation {
    pub(super) at: Duration,
    pub(super) healthy: Option<bool>,
    pub(super) detail: Option<String>,
    /// When the last reading that said otherwise was begun.
    pub(super) before: Option<Duration>,
}

/// Everything a run's events amount to.
#[derive(Debug)]
pub(super) struct Record<'a> {
    pub(super) drill: &'a Drill,
    pub(super) environment: &'a Environment,
    pub(super) dry_run: bool,
    pub(super) tiers: Vec<String>,
    pub(super) has_begun: bool,
    pub(super) probes: Vec<Probe>,
    pub(super) faults: BTreeMap<usize, Fault>,
    pub(super) observers: BTreeMap<String, Observations>,
    pub(super) preflight: Vec<TierChecked>,
    /// When people declared an incident, in order.
    pub(super) declared: Vec<Duration>,
    pub(super) phases: Vec<(Phase, Duration)>,
    /// The writes, if the ledger was read back.
    pub(super) ledger: Option<Ledger>,
    pub(super) aborted: Option<Aborted>,
    pub(super) interrupted: Option<String>,
    pub(super) ended: Option<(Outcome, f64)>,
    /// The number of the last line, if the record ends in the middle of it.
    pub(super) torn: Option<u64>,
    pub(super) length: Duration,
}

/// A disruption of users and the fault whose clock it runs on.
#[derive(Debug)]
pub(super) struct Attributed {
    pub(super) disruption: Disruption,
    /// When that fault took effect: not before it was issued, and not after users felt it.
    pub(super) fault: Span,
    /// The fault's number.
    pub(super) id: usize,
    /// Whether the fault was injected while users were served in a stable way, and this is what came of it first.
    pub(super) is_first: bool,
}

impl Fault {
    /// Takes a step.
    pub(super) fn take(&mut self, step: FaultStep, at: Duration, detail: Option<&str>) {
        let mut trouble = |words: &str| {
            self.trouble = Some(match detail {
                Some(detail) => format!("{words}: {detail}"),
                None => words.to_owned(),
            });
        };
        match step {
            FaultStep::Rehearsed => self.rehearsed = detail.map(str::to_owned),
            FaultStep::Captured => {
                self.captured = Some(at);
                self.owed = true;
            }
            FaultStep::Issued => {
                self.issued.get_or_insert(at);
            }
            FaultStep::Acknowledged => self.acknowledged = Some(at),
            FaultStep::Verified => self.verified = Some(at),
            FaultStep::InjectFailed => {
                trouble("the injection failed");
                self.failed = Some(step);
            }
            FaultStep::NotVerified => {
                trouble("the injection was acknowledged and does not show");
                self.failed = Some(step);
            }
            FaultStep::RevertIssued => {
                self.revert_issued.get_or_insert(at);
            }
            FaultStep::Reverted => self.reverted = Some(at),
            FaultStep::Restored => {
                self.restored = Some(at);
                self.owed = false;
            }
            FaultStep::RevertFailed => trouble("the revert failed"),
        }
    }

    /// From issued to verified, or to acknowledged if nothing was verified.
    pub(super) fn time(&self) -> Option<Span> {
        let issued = self.issued?;
        Some(match self.verified.or(self.acknowledged) {
            Some(end) => Span::between(issued, end.max(issued)),
            None => Span::after(issued),
        })
    }
}

impl Observations {
    /// Takes a reading.
    pub(super) fn take(
        &mut self,
        at: Duration,
        healthy: Option<bool>,
        detail: Option<&str>,
        before: Option<Duration>,
    ) {
        self.0.push(Observation {
            at,
            before,
            healthy,
            detail: detail.map(str::to_owned),
        });
    }

    /// The first change to bad from a time on: after the last reading that was not bad was begun, which the next reading tells, and
    /// in timelines that do not is taken for an interval before it.
    pub(super) fn turned_bad(
        &self,
        after: Duration,
        every: Duration,
    ) -> Option<(Span, &Observation)> {
        let mut known_good: Option<Duration> = None;
        let mut was_bad = false;
        for (index, reading) in self.0.iter().enumerate() {
            match reading.healthy {
                Some(false) if !was_bad && reading.at >= after => {
                    let lo = known_good.unwrap_or(reading.at.saturating_sub(every));
                    return Some((Span::between(lo.max(after), reading.at), reading));
                }
                Some(false) => was_bad = true,
                Some(true) => {
                    was_bad = false;
                    known_good = self.0.get(index + 1).map(|next| {
                        let interval_before = next.at.saturating_sub(every);
                        next.before.unwrap_or(interval_before.max(reading.at))
                    });
                }
                None => {}
            }
        }
        None
    }

    /// Whether every reading in force between two times was healthy, and there was one.
    pub(super) fn is_healthy_throughout(&self, from: Duration, to: Duration) -> bool {
        let mut in_force = None;
        for reading in &self.0 {
            if reading.at <= from {
                in_force = reading.healthy;
            } else if reading.at <= to && reading.healthy != Some(true) {
                return false;
            }
        }
        in_force == Some(true)
    }

    /// The times in which it was bad, the last one open if it still is.
    pub(super) fn bad_times(&self) -> Vec<(Duration, Option<Duration>)> {
        let mut times: Vec<(Duration, Option<Duration>)> = Vec::new();
        for reading in &self.0 {
            let open = times.last_mut().filter(|(_, to)| to.is_none());
            match (reading.healthy, open) {
                (Some(false), None) => times.push((reading.at, None)),
                (Some(true) | None, Some(time)) => time.1 = Some(reading.at),
                (Some(false), Some(_)) | (Some(true) | None, None) => {}
            }
        }
        times
    }
}

impl Record<'_> {
    /// When a person declared the incident that a fault led to: after that fault, or else the last time before it.
    pub(super) fn declared(&self, fault: Span) -> Option<Span> {
        let after = self.declared.iter().find(|at| **at >= fault.lo);
        after
            .or(self.declared.last())
            .map(|declared| Span::at(*declared))
    }

    /// The probe whose writes are counted.
    pub(super) fn ledger_probe(&self) -> Option<&Probe> {
        let ledger = self.environment.ledger.as_ref()?;
        self.probe(&ledger.writes)
    }

    /// Finds a probe by name.
    pub(super) fn probe(&self, name: &str) -> Option<&Probe> {
        self.probes.iter().find(|probe| probe.started.name == name)
    }

    /// The users' own probe.
    pub(super) fn users(&self) -> Option<&Probe> {
        self.probe(&self.environment.user_probe()?.name)
    }

    /// A probe by name, or the users' own.
    pub(super) fn probe_or_users(&self, name: Option<&str>) -> Option<&Probe> {
        match name {
            Some(name) => self.probe(name),
            None => self.users(),
        }
    }

    /// The probes that ask name servers in one way.
    pub(super) fn dns(&self, wanted: DnsView) -> impl Iterator<Item = &Probe> {
        self.probes
            .iter()
            .filter(move |probe| match &probe.started.kind {
                ProbeKind::Dns { view, .. } => *view == wanted,
                ProbeKind::Http { .. } => false,
            })
    }

    /// The first probe that sends what changes data, and watches no standby.
    pub(super) fn writer(&self) -> Option<&Probe> {
        self.probes.iter().find(|probe| match &probe.started.kind {
            ProbeKind::Http {
                writes, standby, ..
            } => *writes && standby.is_none(),
            ProbeKind::Dns { .. } => false,
        })
    }

    /// Probes that keep their connection, send what the users' probe sends, and watch no standby.
    pub(super) fn keep_alive(&self) -> impl Iterator<Item = &Probe> {
        self.probes
            .iter()
            .filter(|probe| match &probe.started.kind {
                ProbeKind::Http {
                    connection,
                    standby,
                    writes,
                    ..
                } => *connection == Connection::KeepAlive && standby.is_none() && !writes,
                ProbeKind::Dns { .. } => false,
            })
    }

    /// The first fault: from issued to verified.
    pub(super) fn fault(&self) -> Option<Span> {
        self.issued_faults().first().map(|(_, time)| *time)
    }

    /// When the first fault was issued.
    pub(super) fn issued(&self) -> Option<Duration> {
        self.fault().map(|fault| fault.lo)
    }

    /// The faults that were issued with their times, the first one first.
    fn issued_faults(&self) -> Vec<(usize, Span)> {
        let mut issued: Vec<(usize, Span)> = self
            .faults
            .iter()
            .filter_map(|(id, fault)| Some((*id, fault.time()?)))
            .collect();
        issued.sort_by_key(|(_, time)| time.lo);
        issued
    }

    /// When the first revert was issued.
    pub(super) fn revert(&self) -> Option<Duration> {
        self.faults
            .values()
            .filter_map(|fault| fault.revert_issued)
            .min()
    }

    /// From the first revert issued to the last one acknowledged.
    pub(super) fn reverted(&self) -> Option<Span> {
        let first = self.revert()?;
        let issued = self
            .faults
            .values()
            .filter(|fault| fault.revert_issued.is_some());
        let mut last = first;
        for fault in issued {
            match fault.reverted.or(fault.restored) {
                Some(end) => last = last.max(end),
                None => return Some(Span::after(first)),
            }
        }
        Some(Span::between(first, last))
    }

    /// When the faults stopped being in place: the first revert, or the end of the record.
    pub(super) fn hold_end(&self) -> Duration {
        self.revert().unwrap_or(self.length)
    }

    /// What users were served by when the first fault was issued.
    pub(super) fn steady_state<'p>(&self, probe: &'p Probe) -> Option<&'p State> {
        let stretches = probe.watch.stretches();
        let issued = self.issued()?;
        stretches
            .iter()
            .rfind(|stretch| stretch.first <= issued && stretch.is_good())
            .map(|stretch| &stretch.state)
    }

    /// The stretches of a probe from the one in force at the first fault until the revert. One that begins with a sample which was
    /// under way at the revert, and so may have been answered after it, tells nothing of the time before.
    pub(super) fn held<'p>(&self, probe: &'p Probe) -> &'p [Stretch] {
        let stretches = from_fault(probe.watch.stretches(), self.issued());
        let end = self.hold_end();
        let length = stretches
            .iter()
            .take_while(|stretch| stretch.from.span.hi.unwrap_or(stretch.first) < end)
            .count();
        &stretches[..length]
    }

    /// The disruptions of users between the first fault and the revert, each with the fault whose clock it runs on.
    ///
    /// A disruption belongs to the fault that was injected since users were last served in a stable way; if none was, it is the
    /// earlier fault's, whose consequences were not over.
    pub(super) fn disruptions(&self) -> Vec<Attributed> {
        let Some(users) = self.users() else {
            return Vec::new();
        };
        let faults = self.issued_faults();
        let Some((mut id, mut fault)) = faults.first().copied() else {
            return Vec::new();
        };
        let end = self.hold_end();
        let epsilon = users.watch.epsilon();
        let mut found: Vec<Attributed> = Vec::new();
        let mut stable_since: Option<Duration> = None;
        for disruption in users.watch.disruptions() {
            let is_after = disruption.last >= fault.lo
                || disruption.impact.span.hi.is_none_or(|hi| hi >= fault.lo);
            if disruption.first >= end || (found.is_empty() && !is_after) {
                continue;
            }
            let felt = disruption.impact.span.widened(epsilon);
            let next = stable_since.and_then(|stable| {
                faults
                    .iter()
                    .find(|(_, time)| time.lo >= stable && felt.hi.is_none_or(|hi| time.lo <= hi))
            });
            let is_first = found.is_empty() || next.is_some();
            if let Some(next) = next {
                (id, fault) = *next;
            }
            let latest = fault.hi.into_iter().chain(felt.hi).min();
            found.push(Attributed {
                fault: Span {
                    lo: fault.lo,
                    hi: latest.map(|latest| latest.max(fault.lo)),
                },
                id,
                is_first,
                disruption: disruption.clone(),
            });
            stable_since = disruption.recovered.map(|rise| rise.first);
        }
        found
    }

    /// What a probe was served by at the end of the hold, passing over what was too short to count.
    pub(super) fn at_hold_end<'p>(&self, probe: &'p Probe) -> Option<&'p Stretch> {
        let held = self.held(probe);
        held.iter()
            .rfind(|stretch| stretch.samples >= MIN_DWELL)
            .or(held.last())
    }

    /// The observer that a drill's word for the system's own view means: the one named, or the first of the environment.
    pub(super) fn default_observer(&self) -> Option<&str> {
        self.environment
            .observers
            .first()
            .map(|observer| observer.name.as_str())
    }

    /// From one reading of an observer to the next.
    pub(super) fn reading_interval(&self, name: &str) -> Duration {
        self.environment
            .observers
            .iter()
            .find(|observer| observer.name == name)
            .map_or(Duration::ZERO, |observer| observer.every)
    }
}

/// The stretches from the one in force at a time on.
fn from_fault(stretches: &[Stretch], issued: Option<Duration>) -> &[Stretch] {
    let start = issued.and_then(|issued| {
        // What was under way when the fault struck may fail because of it, or be served by the next in line: then the state before is the
        // one in force.
        stretches.iter().rposition(|stretch| {
            let began_with_fault = stretch.from.span.hi.is_none_or(|hi| hi >= issued);
            stretch.first <= issued && !began_with_fault
        })
    });
    &stretches[start.unwrap_or(0)..]
}

/// The tier or `down`, as paths spell it.
pub(super) fn name(state: &State) -> &str {
    match state {
        State::Tier(tier) => tier,
        State::Other(_) => "other",
        State::Down => "down",
    }
}

/// The states in order, without those too short to count, and how many of those there were.
pub(super) fn path(stretches: &[Stretch]) -> (Vec<String>, u64) {
    let mut path: Vec<String> = Vec::new();
    let mut blips = 0;
    for stretch in stretches {
        if stretch.samples < MIN_DWELL {
            blips += 1;
            continue;
        }
        let name = name(&stretch.state);
        if path.last().is_none_or(|last| last != name) {
            path.push(name.to_owned());
        }
    }
    (path, blips)
}
