//! From a record to its judgement: whether the drill counts at all, and if so, what came of it.

use std::time::Duration;

use super::{
    Aborted, Bounds, Check, CheckStatus, FaultReport, Judgement, PhaseSpan, Verdict,
    checks::{self, FEWEST, Scene},
    findings::findings,
    lanes::lane,
    record::{Fault, Record, path},
    times::Times,
    words,
};
use crate::{
    drill::InconclusivePolicy,
    timeline::{FaultStep, Outcome, Phase, TierChecked},
};

/// Half of a window unseen is no measurement.
const MOST_VOID: u64 = 2;

impl Record<'_> {
    /// Judges the run.
    pub(super) fn judge(self) -> Judgement {
        let disruptions = self.disruptions();
        let times = Times::of(&self, &disruptions);
        let scene = Scene {
            record: &self,
            disruptions: &disruptions,
            times: &times,
        };
        let mut reasons = self.invalid();
        let invalid = reasons.first().cloned();
        let checks = match &invalid {
            Some(reason) => checks::not_run(&self, reason),
            None => checks::judge(scene),
        };
        let verdict = match invalid {
            Some(_) if self.aborted.is_some() => Verdict::Aborted,
            Some(_) if self.is_sound_dry_run() => Verdict::DryRun,
            Some(_) => Verdict::Invalid,
            None => self.weigh(&checks, &mut reasons),
        };
        let owed = self.owed();
        let restored = owed.is_empty();
        reasons.extend(owed);
        let users = self.users().map(|probe| probe.started.name.clone());
        let (path, whole_path, blips) = self.paths();
        Judgement {
            verdict,
            reasons,
            restored,
            interrupted_by: self.interrupted.clone(),
            aborted: self.aborted.clone(),
            dry_run: self.dry_run,
            preflight: self.preflight_in_order(),
            checks,
            moments: times.moments(),
            durations: times.durations(),
            parts: times.parts(&self.environment.governs),
            path,
            whole_path,
            blips,
            flaps: u32::try_from(checks::count_flaps(&self, &disruptions)).unwrap_or(u32::MAX),
            availability: checks::share_served(&self).map(|(lo, hi)| Bounds { lo, hi: Some(hi) }),
            faults: self.faults.values().map(Fault::report).collect(),
            phases: self.spans(),
            lanes: self
                .probes
                .iter()
                .map(|probe| lane(probe, Some(&probe.started.name) == users.as_ref()))
                .collect(),
            findings: findings(&self, &disruptions, &times),
            length_s: words::rounded(self.length),
            clock_drift_ms: self.ended.as_ref().map(|(_, drift)| *drift),
        }
    }

    /// Why nothing can be judged; empty if something can.
    fn invalid(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if !self.has_begun {
            reasons.push("the record does not tell of the beginning of a run".to_owned());
        }
        match &self.ended {
            None => {
                reasons.push("the run was killed: its record has no end".to_owned());
                let torn = self.torn.iter();
                reasons.extend(
                    torn.map(|line| format!("the timeline ends in the middle of line {line}")),
                );
            }
            Some((Outcome::CouldNotRun { phase, reason }, _)) => {
                let phase = super::word(phase);
                reasons.push(format!(
                    "the drill could not be carried out ({phase}): {reason}"
                ));
            }
            Some((Outcome::Aborted { .. }, _)) => {}
            Some((Outcome::Interrupted { signal }, _)) => {
                reasons.push(format!("the run was interrupted by {signal}"));
            }
            Some((Outcome::Completed, _)) => {
                let signal = self.interrupted.iter();
                reasons.extend(signal.map(|by| format!("the run was interrupted by {by}")));
            }
        }
        if let Some(Aborted { condition, reason }) = &self.aborted {
            reasons.insert(0, format!("aborted ({condition}): {reason}"));
        }
        if self.is_sound_dry_run() && reasons.is_empty() {
            reasons.push("a dry run: nothing was touched, so there is nothing to judge".to_owned());
        }
        let failed = self
            .faults
            .values()
            .filter(|fault| fault.failed.is_some())
            .map(|fault| format!("{}: {}", fault.name(), fault.trouble()));
        reasons.extend(failed);
        if reasons.is_empty() {
            reasons.extend(self.measurement_void());
        }
        reasons
    }

    /// What was seen of the tiers beforehand, the preferred one first: those that are asked directly answer before the others.
    fn preflight_in_order(&self) -> Vec<TierChecked> {
        let rank = |checked: &TierChecked| self.tiers.iter().position(|tier| *tier == checked.tier);
        let mut checked = self.preflight.clone();
        checked.sort_by_key(rank);
        checked
    }

    /// Whether this is a dry run that came to its end.
    fn is_sound_dry_run(&self) -> bool {
        self.dry_run && matches!(self.ended, Some((Outcome::Completed, _))) && self.has_begun
    }

    /// Why the users' probe measured nothing, if it did not.
    fn measurement_void(&self) -> Option<String> {
        self.issued()?;
        let users = self.users()?;
        let held = users.watch.tally().held();
        let void = held.usable() < FEWEST && held.void > 0;
        (void || held.void > held.all() / MOST_VOID).then(|| {
            format!(
                "the measurement is void: {} of {} of `{}` during the fault say nothing",
                held.void,
                words::count(held.all(), "sample"),
                users.started.name
            )
        })
    }

    /// The worst of the checks, and why.
    fn weigh(&self, checks: &[Check], reasons: &mut Vec<String>) -> Verdict {
        let worst = checks.iter().map(|check| check.status).max();
        for check in checks {
            let said = match check.status {
                CheckStatus::Fail => "",
                CheckStatus::Inconclusive => "inconclusive: ",
                CheckStatus::NotRun => "not run: ",
                CheckStatus::Pass => continue,
            };
            reasons.push(format!("{said}{}: {}", check.name, check.message));
        }
        match worst {
            None | Some(CheckStatus::Pass) => Verdict::Pass,
            Some(CheckStatus::NotRun | CheckStatus::Inconclusive) => {
                match self.drill.inconclusive {
                    InconclusivePolicy::Fail => Verdict::Inconclusive,
                    InconclusivePolicy::Warn => Verdict::Pass,
                }
            }
            Some(CheckStatus::Fail) => Verdict::Fail,
        }
    }

    /// The targets that are not verified as restored.
    fn owed(&self) -> Vec<String> {
        self.faults
            .values()
            .filter(|fault| fault.owed)
            .map(|fault| {
                let why = fault.trouble.as_ref().map(|why| format!(" ({why})"));
                format!(
                    "{} is not verified as restored{}",
                    fault.name(),
                    why.unwrap_or_default()
                )
            })
            .collect()
    }

    fn paths(&self) -> (Vec<String>, Vec<String>, u64) {
        let Some(users) = self.users() else {
            return (Vec::new(), Vec::new(), 0);
        };
        let (until_revert, _) = path(self.held(users));
        let (whole, blips) = path(users.watch.stretches());
        (until_revert, whole, blips)
    }

    fn spans(&self) -> Vec<PhaseSpan> {
        let ends = self
            .phases
            .iter()
            .skip(1)
            .map(|(_, at)| *at)
            .chain([self.length]);
        let span = |((phase, from), to): (&(Phase, Duration), Duration)| PhaseSpan {
            phase: *phase,
            from_s: words::rounded(*from),
            to_s: words::rounded(to.max(*from)),
        };
        self.phases.iter().zip(ends).map(span).collect()
    }
}

impl Fault {
    fn name(&self) -> String {
        match &self.planned {
            Some(planned) => format!("`{}` ({})", planned.target, planned.kind),
            None => "a fault that was not planned".to_owned(),
        }
    }

    fn trouble(&self) -> String {
        match (&self.trouble, self.failed) {
            (Some(trouble), _) => trouble.clone(),
            (None, Some(FaultStep::InjectFailed)) => "the injection failed".to_owned(),
            (None, _) => "the fault is not in place".to_owned(),
        }
    }

    fn report(&self) -> FaultReport {
        let planned = |field: fn(&crate::timeline::FaultPlanned) -> &String| {
            self.planned
                .as_ref()
                .map(field)
                .cloned()
                .unwrap_or_default()
        };
        FaultReport {
            kind: planned(|fault| &fault.kind),
            target: planned(|fault| &fault.target),
            describe: planned(|fault| &fault.describe),
            issued_s: self.issued.map(words::rounded),
            acknowledged_s: self.acknowledged.map(words::rounded),
            verified_s: self.verified.map(words::rounded),
            restored_s: self.restored.map(words::rounded),
            rehearsed: self.rehearsed.clone(),
            trouble: self.trouble.clone(),
        }
    }
}
