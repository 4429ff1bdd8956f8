//! Expectations about names: `dns-switch`, `stale-dns`.

use std::time::Duration;

use super::{Outcome, Quality, Scene, no_probe, too_few};
use crate::{
    environment::DnsView,
    episode::{course::Edge, lifetime::Overdue, span::Span},
    verdict::{
        record::{Probe, Record},
        times::switched,
        words,
    },
};

/// TTLs are whole seconds, so that what is within one of them is in time.
pub(in crate::verdict) const TTL_QUANTUM: Duration = Duration::from_secs(1);

/// The probe named, or all with this view. One that stood for every authority of a zone has become several with its name and a number.
fn probes<'r>(record: &'r Record<'r>, name: Option<&str>, views: &[DnsView]) -> Vec<&'r Probe> {
    let all = views.iter().flat_map(|view| record.dns(*view));
    let Some(name) = name else {
        return all.collect();
    };
    let is_numbered = |probe: &&Probe| {
        let number = probe.started.name.strip_prefix(name);
        let number = number.and_then(|rest| rest.strip_prefix('-'));
        number.is_some_and(|number| number.parse::<u8>().is_ok())
    };
    match record.probe(name) {
        Some(probe) => vec![probe],
        None => all.filter(is_numbered).collect(),
    }
}

pub(super) fn switch(
    scene: Scene<'_>,
    within: Duration,
    probe: Option<&str>,
    to: Option<&str>,
) -> Outcome {
    let record = scene.record;
    let Some(fault) = record.fault() else {
        return Outcome::inconclusive("not measured", "no fault was issued");
    };
    let mut latest: Option<(Edge, &Probe)> = None;
    let mut evidence = Vec::new();
    for probe in probes(record, probe, &[DnsView::Authority]) {
        let window = probe.watch.tally().held();
        if let Some(outcome) = too_few(window) {
            return outcome;
        }
        let name = &probe.started.name;
        let edge = switched(record, probe, to);
        evidence.push(match edge.and_then(|edge| edge.span.hi) {
            Some(hi) => format!("`{name}` switched by {:.1} s", hi.as_secs_f64()),
            None => format!("`{name}` did not switch before the revert"),
        });
        let edge = edge.unwrap_or_else(|| {
            let last = record.held(probe).last();
            let last = last.map_or(fault.lo, |stretch| stretch.last.min(record.hold_end()));
            Edge {
                span: Span::after(last),
                gap: Duration::ZERO,
            }
        });
        let rank = |edge: Edge| (edge.span.hi.unwrap_or(Duration::MAX), edge.span.lo);
        if latest.is_none_or(|(latest, _)| rank(edge) > rank(latest)) {
            latest = Some((edge, probe));
        }
    }
    let Some((edge, slowest)) = latest else {
        return no_probe(Some(probe.unwrap_or("an authority")));
    };
    let time = edge.span;
    let quality = Quality {
        gap: edge.gap,
        start_width: fault.hi.unwrap_or(fault.lo).saturating_sub(fault.lo),
        ..Quality::of(&slowest.watch, slowest.watch.tally().held())
    };
    Outcome::limited(time.since(fault), within, &quality).with_evidence(evidence)
}

/// How long a resolver served the old answer past its TTL; `None` if the authority did not switch or the resolver never answered.
pub(in crate::verdict) fn overdue(
    record: &Record<'_>,
    resolver: &Probe,
    authority: Span,
) -> Option<Overdue> {
    let ttl = record
        .dns(DnsView::Authority)
        .filter_map(|probe| probe.watch.tally().steady_ttl())
        .max();
    let full = ttl.map(|ttl| Duration::from_secs(u64::from(ttl)));
    let watch = &resolver.watch;
    watch
        .lifetimes()
        .overdue(authority, record.hold_end(), watch.every(), full)
}

pub(super) fn stale(scene: Scene<'_>, at_most: Duration, probe: Option<&str>) -> Outcome {
    let record = scene.record;
    if record.dns(DnsView::Authority).next().is_none() {
        let message = "no probe asks an authority, so nobody knows when its answer changed";
        return Outcome::inconclusive("not measured", message);
    }
    let views = [DnsView::Recursive, DnsView::Cached];
    let resolvers = probes(record, probe, &views);
    if resolvers.is_empty() {
        return no_probe(Some(probe.unwrap_or("a resolver")));
    }
    let mut worst: Option<(Span, &Probe)> = None;
    let mut evidence = Vec::new();
    for resolver in resolvers {
        if let Some(outcome) = too_few(resolver.watch.tally().held()) {
            return outcome;
        }
        let Some(authority) = scene.times.switched else {
            continue;
        };
        let Some(overdue) = overdue(record, resolver, authority) else {
            return no_probe(Some(&resolver.started.name));
        };
        evidence.push(format!(
            "`{}` served the old answer last {}, {} past its TTL",
            resolver.started.name,
            words::at(overdue.last),
            words::span(overdue.by)
        ));
        if worst.is_none_or(|(by, _)| (overdue.by.hi, overdue.by.lo) > (by.hi, by.lo)) {
            worst = Some((overdue.by, resolver));
        }
    }
    let Some((by, resolver)) = worst else {
        return Outcome::pass("0 s", "no authority changed its answer, so none was old");
    };
    let quality = Quality::of(&resolver.watch, resolver.watch.tally().held());
    let outcome = Outcome::limited(by, at_most.saturating_add(TTL_QUANTUM), &quality);
    Outcome {
        limit: Some(at_most),
        ..outcome
    }
    .with_evidence(evidence)
}
