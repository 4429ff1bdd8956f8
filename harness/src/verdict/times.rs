//! The named times of a run, the durations between them, and where the recovery time went.

use std::time::Duration;

use super::{
    Bounds, Durations, Moments, Part,
    record::{Attributed, Probe, Record},
};
use crate::{
    drill::Expect,
    environment::{DnsView, Governs},
    episode::{
        course::{Edge, State, Stretch},
        span::Span,
    },
    timeline::ProbeKind,
};

/// The named times, before they are rounded for the report.
#[derive(Debug, Default)]
pub(super) struct Times {
    pub(super) fault: Option<Span>,
    /// The first fault's time, knowing that it is not after the impact.
    pub(super) fault_felt: Option<Span>,
    pub(super) impact: Option<Span>,
    pub(super) detected: Option<Span>,
    pub(super) switched: Option<Span>,
    pub(super) propagated: Option<Span>,
    /// How long the authorities answered differently.
    pub(super) disagreed: Option<Span>,
    pub(super) first_success: Option<Span>,
    pub(super) recovered: Option<Span>,
    /// A person declared an incident.
    pub(super) declared: Option<Span>,
    pub(super) reverted: Option<Span>,
    pub(super) failed_back: Option<Span>,
}

impl Times {
    /// Finds the times in the record.
    pub(super) fn of(record: &Record<'_>, disruptions: &[Attributed]) -> Self {
        let mut times = Self {
            fault: record.fault(),
            detected: detected(record),
            switched: all(record, DnsView::Authority),
            propagated: all(record, DnsView::Recursive),
            disagreed: disagreed(record),
            reverted: record.reverted(),
            ..Self::default()
        };
        times.fault_felt = times.fault;
        if let (Some(first), Some(users)) = (disruptions.first(), record.users()) {
            let epsilon = users.watch.epsilon();
            let impact = first
                .disruption
                .impact
                .span
                .widened(epsilon)
                .not_before(first.fault.lo);
            let revert = record.revert();
            let seen = |time: Span| {
                time.hi
                    .is_some()
                    .then(|| time.widened(epsilon).not_before(impact.lo))
            };
            times.fault_felt = Some(first.fault);
            times.declared = record.declared(first.fault);
            times.impact = Some(impact);
            times.first_success = seen(first.disruption.answered_before(revert));
            times.recovered = seen(first.disruption.recovered_before(revert));
        }
        let preferred = record.tiers.first();
        times.failed_back = preferred
            .and_then(|tier| failed_back(record, tier))
            .map(|back| back.span);
        times
    }

    pub(super) fn moments(&self) -> Moments {
        let bounds = |time: Option<Span>| time.map(Bounds::from);
        Moments {
            fault: bounds(self.fault),
            impact: bounds(self.impact),
            detected: bounds(self.detected),
            switched: bounds(self.switched),
            propagated: bounds(self.propagated),
            first_success: bounds(self.first_success),
            recovered: bounds(self.recovered),
            declared: bounds(self.declared),
            reverted: bounds(self.reverted),
            failed_back: bounds(self.failed_back),
        }
    }

    pub(super) fn durations(&self) -> Durations {
        let between = |start: Option<Span>, stop: Option<Span>| {
            stop.zip(start)
                .map(|(stop, start)| stop.since(start).into())
        };
        Durations {
            impact_delay: between(self.fault_felt, self.impact),
            detection: between(self.fault, self.detected),
            dns_switch: between(self.fault, self.switched),
            propagation: between(self.switched, self.propagated),
            dns_disagreement: self.disagreed.map(Bounds::from),
            first_success: between(self.fault_felt, self.first_success),
            recovery: between(self.fault_felt, self.recovered),
            outage: between(self.impact, self.recovered),
            since_declared: between(self.declared, self.recovered),
            failback: self
                .failed_back
                .zip(self.reverted)
                .map(|(back, reverted)| failback_time(back, reverted).into()),
        }
    }

    /// Where the recovery time went: the way from each time that is known to the next one. The parts add up to the recovery time.
    pub(super) fn parts(&self, governs: &Governs) -> Vec<Part> {
        let (Some(recovered), Some(fault)) = (self.recovered, self.fault_felt) else {
            return Vec::new();
        };
        let (Some(end), Some(total)) = (recovered.middle(), recovered.since(fault).middle()) else {
            return Vec::new();
        };
        let mut reached = end - total;
        let mut since = fault;
        let mut parts = Vec::new();
        let steps = [
            ("impact", self.impact, "until users felt it"),
            ("detect", self.detected, "until the system noticed"),
            (
                "decide",
                self.switched,
                "until every authority answered with another tier",
            ),
            (
                "caches",
                self.propagated,
                "until every resolver had dropped the old answer",
            ),
            (
                "connect",
                self.recovered,
                "until users were served in a stable way",
            ),
        ];
        for (name, time, about) in steps {
            // What came after recovery cost users nothing.
            let Some(span) = time else { continue };
            let Some(time) = span.middle().map(|time| time.min(end)) else {
                continue;
            };
            parts.push(Part {
                name: name.to_owned(),
                seconds: (time - reached).max(0.0),
                bounds: span.since(since).into(),
                about: about.to_owned(),
                settings: governs.in_words(name),
            });
            if time >= reached {
                reached = time;
                since = span;
            }
        }
        parts
    }
}

/// How long users took to come back after a revert.
pub(super) fn failback_time(back: Span, reverted: Span) -> Span {
    if back == reverted {
        Span::ZERO
    } else {
        back.since(reverted)
    }
}

/// When the system noticed: the observer or standby that the drill names, or else the environment's first observer, or else any.
fn detected(record: &Record<'_>) -> Option<Span> {
    let named = record.drill.expect.iter().find_map(|expectation| {
        if let Expect::Detected { by, .. } = &expectation.value {
            by.as_deref()
        } else {
            None
        }
    });
    let named = named.or(record.default_observer())?;
    detected_by(record, named).or_else(|| {
        record
            .observers
            .keys()
            .filter_map(|name| detected_by(record, name))
            .min_by_key(|time| time.lo)
    })
}

/// When an observer, or the probe of a standby, turned bad between the first fault and the revert.
pub(super) fn detected_by(record: &Record<'_>, name: &str) -> Option<Span> {
    let issued = record.issued()?;
    let end = record.hold_end();
    if let Some(observations) = record.observers.get(name) {
        let (time, _) = observations.turned_bad(issued, record.reading_interval(name))?;
        return Some(time).filter(|time| time.lo < end);
    }
    let probe = record.probe(name)?;
    let ProbeKind::Http {
        standby: Some(tier),
        ..
    } = &probe.started.kind
    else {
        return None;
    };
    // A standby is not what it should be when it fails, and when another tier answers in its place.
    let gone = record
        .held(probe)
        .iter()
        .find(|stretch| !stretch.is_tier(tier) && stretch.last >= issued)?;
    let since = gone.from.span.widened(probe.watch.epsilon());
    Some(since.not_before(issued))
}

/// When the last of the probes with this view switched; `None` if there are none or one did not.
fn all(record: &Record<'_>, view: DnsView) -> Option<Span> {
    record
        .dns(view)
        .map(|probe| switched(record, probe, None).map(|edge| edge.span))
        .reduce(|latest, next| Some(latest?.later(next?)))
        .flatten()
}

/// How long the authorities answered differently: from the first that switched to the last. `None` with fewer than two, or where one
/// did not switch.
fn disagreed(record: &Record<'_>) -> Option<Span> {
    let times: Option<Vec<Span>> = record
        .dns(DnsView::Authority)
        .map(|probe| switched(record, probe, None).map(|edge| edge.span))
        .collect();
    let times = times.filter(|times| times.len() >= 2)?;
    let first = Span {
        lo: times.iter().map(|time| time.lo).min()?,
        hi: times.iter().filter_map(|time| time.hi).min(),
    };
    let last = times.into_iter().reduce(Span::later)?;
    Some(last.since(first))
}

/// When a name server first answered with another tier than before the fault, or with a given one, before the revert: after the last
/// sample without it was sent and not after the first with it was answered.
pub(super) fn switched(record: &Record<'_>, probe: &Probe, to: Option<&str>) -> Option<Edge> {
    let issued = record.issued()?;
    let before = record.steady_state(probe);
    let is_new = |stretch: &&Stretch| match (to, &stretch.state) {
        (Some(to), state) => matches!(state, State::Tier(tier) if tier == to),
        (None, State::Tier(_)) => Some(&stretch.state) != before,
        (None, State::Other(_) | State::Down) => false,
    };
    record
        .held(probe)
        .iter()
        .filter(|stretch| stretch.first >= issued)
        .find(is_new)
        .map(|stretch| {
            let span = stretch.from.span.widened(probe.watch.epsilon());
            Edge {
                span: span.not_before(issued),
                ..stretch.from
            }
        })
}

/// When users were back on a tier to stay, after the revert. Users who were on it when the revert was issued and stayed there were
/// back at the revert itself.
pub(super) fn failed_back(record: &Record<'_>, tier: &str) -> Option<Edge> {
    let users = record.users()?;
    let revert = record.revert()?;
    let reverted = record.reverted()?;
    let stability = users.watch.stability();
    let stretch = users.watch.stretches().iter().find(|stretch| {
        stretch.is_tier(tier)
            && stretch.last >= revert
            && stability.holds(stretch.first.max(revert), stretch.last, stretch.samples)
    })?;
    if stretch.first < revert {
        return Some(Edge {
            span: reverted,
            gap: Duration::ZERO,
        });
    }
    let back = stretch.from.span.widened(users.watch.epsilon());
    Some(Edge {
        span: back.not_before(revert),
        ..stretch.from
    })
}

/// The first of the users' stretches on a tier after the revert, even if it was not long enough to count as back.
pub(super) fn return_began(record: &Record<'_>, tier: &str) -> Option<Duration> {
    let revert = record.revert()?;
    let last = record.users()?.watch.stretches().last()?;
    (last.is_tier(tier) && last.last >= revert).then_some(last.from.span.lo)
}
