//! The condition before anything is broken: a drill on a sick system proves nothing.

use std::collections::BTreeMap;

use crate::{
    plan::{How, Plan, STEADY_SAMPLES},
    timeline::{Event, ProbeKind, Sample, SampleVerdict, TierChecked},
    verdict::word,
};

/// What was seen while watching for the steady state.
#[derive(Debug)]
pub(super) struct SteadyState<'a> {
    plan: &'a Plan,
    served_by: String,
    seen: BTreeMap<String, Seen>,
    observed: BTreeMap<String, (Option<bool>, Option<String>)>,
    /// The tiers that were asked directly.
    checked: Vec<TierChecked>,
}

#[derive(Debug, Default)]
struct Seen {
    good: u32,
    bad: u32,
    last_failure: Option<String>,
    elsewhere: Option<String>,
}

impl<'a> SteadyState<'a> {
    pub(super) fn new(plan: &'a Plan) -> Self {
        let first = plan
            .environment
            .tiers
            .first()
            .map(|tier| tier.name.clone())
            .unwrap_or_default();
        let served_by = plan.drill.steady_state.served_by.clone().unwrap_or(first);
        Self {
            plan,
            served_by,
            seen: BTreeMap::new(),
            observed: BTreeMap::new(),
            checked: Vec::new(),
        }
    }

    /// The tier that serves users while all is well.
    pub(super) fn served_by(&self) -> &str {
        &self.served_by
    }

    pub(super) fn see(&mut self, event: &Event) {
        match event {
            Event::Sample(sample) => self.see_sample(sample),
            Event::Preflight(checked) => self.checked.push(checked.clone()),
            Event::Observed {
                observer,
                healthy,
                detail,
                ..
            } => {
                self.observed
                    .insert(observer.clone(), (*healthy, detail.clone()));
            }
            Event::Run(_)
            | Event::Phase { .. }
            | Event::Fault { .. }
            | Event::Ledger { .. }
            | Event::Operator { .. }
            | Event::Note { .. }
            | Event::Interrupted { .. }
            | Event::Aborted { .. }
            | Event::Ended { .. } => {}
        }
    }

    /// Forgets what was seen of the probes, to begin anew. What an observer said last still holds.
    pub(super) fn begin_anew(&mut self) {
        self.seen.clear();
    }

    fn see_sample(&mut self, sample: &Sample) {
        let expected = self.tier_of(&sample.probe);
        let seen = self.seen.entry(sample.probe.clone()).or_default();
        match sample.verdict {
            SampleVerdict::Void(_) => {}
            SampleVerdict::Bad(class) => {
                seen.bad += 1;
                seen.last_failure = Some(sample.detail.clone().unwrap_or_else(|| word(class)));
            }
            SampleVerdict::Good => {
                seen.good += 1;
                if let Some(expected) = expected
                    && sample.tier.as_deref() != Some(&expected)
                {
                    seen.elsewhere = Some(
                        sample
                            .tier
                            .clone()
                            .unwrap_or_else(|| "nobody known".to_owned()),
                    );
                }
            }
        }
    }

    /// The tier a probe must be served by: its own for one that watches a standby; none is asked of a DNS probe, whose answer
    /// several tiers may share.
    fn tier_of(&self, probe: &str) -> Option<String> {
        let planned = self
            .plan
            .probes
            .iter()
            .find(|planned| planned.facts.name == probe)?;
        match &planned.facts.kind {
            ProbeKind::Http { standby, .. } => {
                Some(standby.clone().unwrap_or_else(|| self.served_by.clone()))
            }
            ProbeKind::Dns { .. } => None,
        }
    }

    /// Whether enough has been seen to decide.
    pub(super) fn is_decided(&self) -> bool {
        let user = self.seen.get(self.plan.user_probe());
        let everyone = self.plan.probes.iter().all(|probe| {
            self.seen
                .get(&probe.facts.name)
                .is_some_and(|seen| seen.good + seen.bad > 0)
        });
        let observers = self
            .plan
            .environment
            .observers
            .iter()
            .all(|observer| self.observed.contains_key(&observer.name));
        user.is_some_and(|seen| seen.good + seen.bad >= STEADY_SAMPLES)
            && everyone
            && observers
            && self.unasked().is_empty()
    }

    /// The tiers that are to be asked directly and have not been.
    fn unasked(&self) -> Vec<&str> {
        let checks = self.plan.preflight.iter();
        checks
            .filter(|check| match check.how {
                How::Direct(_) => !self.checked.iter().any(|known| known.tier == check.tier),
                How::Probe(_) | How::Nothing => false,
            })
            .map(|check| check.tier.as_str())
            .collect()
    }

    /// Which tiers did not answer when they were asked directly, in words. Waiting does not make them well.
    pub(super) fn dead_tiers(&self) -> Vec<String> {
        self.checked
            .iter()
            .filter(|checked| checked.good == Some(false))
            .map(|checked| {
                format!(
                    "{} has been dead before anything was broken: {}",
                    self.plan.environment.tier_in_words(&checked.tier),
                    checked.detail.as_deref().unwrap_or("no reason known")
                )
            })
            .collect()
    }

    /// What is wrong, all of it; nothing if the steady state is met.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for probe in &self.plan.probes {
            let name = &probe.facts.name;
            match self.seen.get(name) {
                None => problems.push(format!("`{name}` yielded no sample")),
                Some(Seen {
                    good: 0, bad: 0, ..
                }) => problems.push(format!("`{name}` yielded only void samples")),
                Some(seen) if seen.bad > 0 => problems.push(format!(
                    "`{name}` failed in {} of {} samples: {}",
                    seen.bad,
                    seen.bad + seen.good,
                    seen.last_failure.as_deref().unwrap_or("no reason known")
                )),
                Some(Seen {
                    elsewhere: Some(tier),
                    ..
                }) => problems.push(format!(
                    "`{name}` was served by {tier} instead of {}",
                    self.tier_of(name).unwrap_or_default()
                )),
                Some(seen) if *name == self.plan.user_probe() && seen.good < STEADY_SAMPLES => {
                    problems.push(format!(
                        "`{name}` yielded {} good samples, {STEADY_SAMPLES} are needed",
                        seen.good
                    ));
                }
                Some(_) => {}
            }
        }
        for tier in self.unasked() {
            problems.push(format!("the tier `{tier}` could not be asked in time"));
        }
        for observer in &self.plan.environment.observers {
            let name = &observer.name;
            match self.observed.get(name) {
                Some((Some(true), _)) => {}
                Some((Some(false), detail)) => {
                    problems.push(format!(
                        "observer `{name}` says unhealthy: {}",
                        detail.as_deref().unwrap_or("no reason given")
                    ));
                }
                Some((None, detail)) => {
                    problems.push(format!(
                        "observer `{name}` cannot be read: {}",
                        detail.as_deref().unwrap_or("no reason known")
                    ));
                }
                None => problems.push(format!("observer `{name}` yielded no reading")),
            }
        }
        problems
    }
}
