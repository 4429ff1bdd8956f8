//! What the report points out that no expectation asked for. Each finding rests on evidence of this run.

mod causes;
mod clients;
mod next;
mod standby;

use std::time::Duration;

use blackstart_lab::control::ResourceKind;

use super::{
    Finding,
    checks::TTL_QUANTUM,
    record::{Attributed, MIN_DWELL, Observations, Probe, Record, name},
    times::Times,
    words,
};
use crate::{
    environment::DnsView,
    episode::course::Stretch,
    timeline::{ProbeKind, TierChecked},
};

/// Clocks that go further apart than this, in real milliseconds, were not merely disciplined by NTP, which slews.
const MOST_DRIFT_MS: f64 = 1000.0;

/// A prober later than this share of its interval says more about its own machine than bounds should have to bear.
const MOST_LATE: f64 = 0.25;

/// Finds what is worth pointing out.
pub(super) fn findings(
    record: &Record<'_>,
    disruptions: &[Attributed],
    times: &Times,
) -> Vec<Finding> {
    let mut found = Vec::new();
    found.extend(dead_before(record));
    found.extend(standby_dead(record));
    found.extend(fail_open(record));
    // A check that had no time to see anything is not blind.
    if record.aborted.is_none() && record.interrupted.is_none() {
        found.extend(health_check_blind(record, disruptions));
    }
    found.extend(stale_dns(record, times));
    found.extend(stragglers(record, times));
    found.extend(clients::find(record));
    found.extend(standby::find(record));
    found.extend(causes::find(record, disruptions, times));
    found.extend(prober_late(record));
    found.extend(clock_jump(record));
    found
}

fn finding(code: &str, text: String, evidence: Vec<String>) -> Finding {
    Finding {
        code: code.to_owned(),
        text,
        evidence,
        next: next::step(code).to_owned(),
    }
}

/// The observers that watch this kind of thing, with what they saw.
fn observers<'r>(
    record: &'r Record<'_>,
    kind: ResourceKind,
) -> impl Iterator<Item = (&'r str, &'r Observations)> {
    record
        .environment
        .observers
        .iter()
        .filter_map(move |observer| {
            let target = record.environment.targets.get(&observer.watches)?;
            if target.resource()?.kind != kind {
                return None;
            }
            let readings = record.observers.get(&observer.name)?;
            Some((observer.name.as_str(), readings))
        })
}

/// A tier that did not answer when it was asked directly, before anything was broken.
fn dead_before(record: &Record<'_>) -> Vec<Finding> {
    let dead = |checked: &&TierChecked| checked.probe.is_none() && checked.good == Some(false);
    let found = record.preflight.iter().filter(dead).map(|checked| {
        let tier = record.environment.tier_in_words(&checked.tier);
        let detail = checked.detail.as_deref().unwrap_or("no reason known");
        let text = format!("{tier} has been dead before anything was broken: {detail}");
        finding("standby-dead", text, vec![checked.asked.clone()])
    });
    found.collect()
}

/// Somebody set the wall's clock, or the machine slept: durations are from a clock that does not jump, but logs of others are not.
fn clock_jump(record: &Record<'_>) -> Option<Finding> {
    let drift = record.ended.as_ref().map(|(_, drift)| drift.abs())?;
    (drift > MOST_DRIFT_MS).then(|| {
        let text = format!(
            "the wall's clock and the monotonic clock went {:.1} s apart during the run: it was set, or the machine was suspended",
            drift / 1000.0
        );
        let evidence = vec!["every duration of this report is from the monotonic clock".to_owned()];
        finding("clock-jump", text, evidence)
    })
}

/// A standby that its own probe does not reach, or reaches another tier in its place: the way out is shut.
fn standby_dead(record: &Record<'_>) -> Vec<Finding> {
    let end = record.hold_end();
    let wrong = |probe: &Probe| {
        let ProbeKind::Http {
            standby: Some(tier),
            ..
        } = &probe.started.kind
        else {
            return None;
        };
        let stretches = probe.watch.stretches();
        let bad: Vec<&Stretch> = stretches
            .iter()
            .filter(|stretch| {
                !stretch.is_tier(tier) && stretch.samples >= MIN_DWELL && stretch.first < end
            })
            .collect();
        let first = bad.first()?;
        let text = if first.is_good() {
            format!(
                "the standby `{tier}` was not the one that answered its probe `{}`: {} did, from {:.1} s on",
                probe.started.name,
                name(&first.state),
                first.first.as_secs_f64()
            )
        } else {
            format!(
                "the standby `{tier}` did not answer its probe `{}` from {:.1} s on",
                probe.started.name,
                first.first.as_secs_f64()
            )
        };
        let evidence = bad
            .iter()
            .take(10)
            .map(|stretch| described(stretch))
            .collect();
        Some(finding("standby-dead", text, evidence))
    };
    record.probes.iter().filter_map(wrong).collect()
}

fn described(stretch: &Stretch) -> String {
    let class = stretch
        .class()
        .map(|class| format!(" ({})", super::word(class)))
        .unwrap_or_default();
    format!(
        "{}{class} from {:.1} s to {:.1} s, {}",
        name(&stretch.state),
        stretch.first.as_secs_f64(),
        stretch.last.as_secs_f64(),
        words::count(stretch.samples, "sample")
    )
}

/// A load balancer that knows no healthy target and sends requests to all of them: users are served by luck.
fn fail_open(record: &Record<'_>) -> Vec<Finding> {
    let Some(users) = record.users() else {
        return Vec::new();
    };
    let Some(steady) = record.steady_state(users) else {
        return Vec::new();
    };
    let end = record.hold_end();
    let least = users.watch.stability().time;
    let mut found = Vec::new();
    for (observer, readings) in observers(record, ResourceKind::TargetGroup) {
        let overlap = readings.bad_times().into_iter().find_map(|(from, to)| {
            let to = to.unwrap_or(end).min(end);
            let stretches = record.held(users).iter();
            stretches
                .filter(|stretch| stretch.state == *steady)
                .map(|stretch| (stretch.first.max(from), stretch.last.min(to)))
                .find(|(first, last)| last.saturating_sub(*first) >= least)
        });
        if let Some((from, to)) = overlap {
            let text = format!(
                "`{observer}` called every target unhealthy while users went on being served by {}: the load balancer fails open",
                name(steady)
            );
            let evidence = vec![format!(
                "from {:.1} s to {:.1} s `{observer}` was bad and no request failed",
                from.as_secs_f64(),
                to.as_secs_f64()
            )];
            found.push(finding("fail-open", text, evidence));
        }
    }
    found
}

/// A health check that stayed healthy through an outage.
fn health_check_blind(record: &Record<'_>, disruptions: &[Attributed]) -> Vec<Finding> {
    let Some(issued) = record.issued() else {
        return Vec::new();
    };
    let end = record.hold_end();
    let mut evidence: Vec<String> = disruptions
        .iter()
        .filter(|attributed| attributed.disruption.bad >= MIN_DWELL)
        .map(|attributed| {
            format!(
                "users were down from {:.1} s, {} failed",
                attributed.disruption.first.as_secs_f64(),
                words::count(attributed.disruption.bad, "request")
            )
        })
        .collect();
    for (observer, readings) in observers(record, ResourceKind::TargetGroup) {
        let bad = readings
            .bad_times()
            .into_iter()
            .find(|(from, _)| *from >= issued && *from < end);
        evidence.extend(bad.map(|(from, _)| format!("`{observer}` was bad {}", words::at(from))));
    }
    if evidence.is_empty() {
        return Vec::new();
    }
    // Where one of several noticed, the others had nothing to notice: they watch something else.
    let noticed = observers(record, ResourceKind::HealthCheck)
        .chain(observers(record, ResourceKind::LoadBalancer))
        .any(|(_, readings)| {
            let mut bad = readings.bad_times().into_iter();
            bad.any(|(from, _)| from >= issued && from < end)
        });
    if noticed {
        return Vec::new();
    }
    observers(record, ResourceKind::HealthCheck)
        .filter(|(_, readings)| readings.is_healthy_throughout(issued, end))
        .map(|(observer, _)| {
            let text = format!("the health check `{observer}` stayed healthy all the while");
            finding("health-check-blind", text, evidence.clone())
        })
        .collect()
}

fn stale_dns(record: &Record<'_>, times: &Times) -> Vec<Finding> {
    let Some(authority) = times.switched else {
        return Vec::new();
    };
    let stale = |probe: &Probe| {
        let overdue = super::checks::overdue(record, probe, authority)?;
        (overdue.by.lo > TTL_QUANTUM).then(|| {
            let text = format!(
                "the resolver behind `{}` served the old answer {} past its TTL",
                probe.started.name,
                words::span(overdue.by)
            );
            let evidence = vec![
                format!("old answer last {}", words::at(overdue.last)),
                format!(
                    "the authority had switched {}",
                    words::at(authority.hi.unwrap_or(authority.lo))
                ),
            ];
            finding("stale-dns", text, evidence)
        })
    };
    record
        .dns(DnsView::Recursive)
        .chain(record.dns(DnsView::Cached))
        .filter_map(stale)
        .collect()
}

/// Clients that keep their connections stay behind: on the old tier, or down, when new connections are served.
fn stragglers(record: &Record<'_>, times: &Times) -> Vec<Finding> {
    let (Some(users), Some(issued)) = (record.users(), record.issued()) else {
        return Vec::new();
    };
    let end = record.hold_end();
    let arrived = |probe: &Probe| clients::arrived(record, probe);
    let arrived_by = arrived(users).and_then(|time| time.hi);
    let up_by = times.recovered.and_then(|time| time.hi);
    let mut found = Vec::new();
    for probe in record.keep_alive() {
        let code = "keep-alive-stragglers";
        let name = &probe.started.name;
        if let Some(by) = arrived_by {
            let late = arrived(probe).map_or(end, |time| time.lo);
            let mut stretches = record.held(probe).iter();
            let before = record.steady_state(probe);
            let old = stretches.rfind(|stretch| {
                Some(&stretch.state) == before && stretch.last > by && stretch.first < late
            });
            if let Some(old) = old {
                let last = old.last.min(end);
                let text = format!(
                    "kept connections (`{name}`) stayed on {} {} after new ones had moved",
                    super::record::name(&old.state),
                    words::seconds(whole(last.saturating_sub(by)))
                );
                found.push(finding(code, text, vec![described(old)]));
                continue;
            }
        }
        let Some(by) = up_by else { continue };
        let epsilon = probe.watch.epsilon();
        let down = probe
            .watch
            .disruptions()
            .into_iter()
            .filter(|disruption| disruption.last >= issued && disruption.first < end)
            .map(|disruption| {
                let recovered = disruption.recovered_before(record.revert());
                (recovered.widened(epsilon).lo.min(end), disruption)
            })
            .max_by_key(|(lo, _)| *lo);
        if let Some((lo, disruption)) = down
            && lo > by
        {
            let text = format!(
                "kept connections (`{name}`) were down {} longer than new ones",
                words::seconds(whole(lo.saturating_sub(by)))
            );
            let evidence = vec![
                format!("new connections recovered by {:.1} s", by.as_secs_f64()),
                format!("kept ones failed last {}", words::at(disruption.last)),
            ];
            found.push(finding(code, text, evidence));
        }
    }
    found
}

/// Tenths of a second, enough for a sentence.
fn whole(duration: Duration) -> Duration {
    Duration::from_millis(u64::try_from(duration.as_millis() / 100 * 100).unwrap_or(u64::MAX))
}

fn prober_late(record: &Record<'_>) -> Vec<Finding> {
    let late = |probe: &Probe| {
        let late = probe.watch.tally().late_p99();
        let every = probe.watch.every();
        (late.as_secs_f64() > MOST_LATE * every.as_secs_f64()).then(|| {
            format!(
                "`{}` was late by up to {} with one sample every {} (99th percentile)",
                probe.started.name,
                words::seconds(late),
                words::seconds(every)
            )
        })
    };
    let evidence: Vec<String> = record.probes.iter().filter_map(late).collect();
    if evidence.is_empty() {
        return Vec::new();
    }
    let text =
        "the prober was late: this machine is too busy for its cadence, which widens every bound";
    vec![finding("prober-late", text.to_owned(), evidence)]
}
