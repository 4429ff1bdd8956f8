//! What became of the standby when it was needed: unused, overloaded, or hidden behind a page that was kept.

use std::time::Duration;

use blackstart_lab::control::ResourceKind;

use super::{
    super::{
        Finding,
        record::{MIN_DWELL, Observations, Probe, Record, name},
        words,
    },
    described, finding, observers,
};
use crate::{
    episode::course::{State, Stretch},
    timeline::{ErrorClass, ProbeKind},
};

/// Good and bad answers that take turns at least so often come from a part of the servers, or from a server that takes a part.
const TURNS: usize = 5;

pub(super) fn find(record: &Record<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    found.extend(standby_unused(record));
    found.extend(standby_overloaded(record));
    found.extend(page_outlives_recovery(record));
    found.extend(readiness_coupled(record));
    found
}

/// The place of a tier in the order of preference.
fn rank(record: &Record<'_>, state: &State) -> Option<usize> {
    match state {
        State::Tier(tier) => record.tiers.iter().position(|known| known == tier),
        State::Other(_) | State::Down => None,
    }
}

/// The standby answered under its own name while users got something worse under the service's.
fn standby_unused(record: &Record<'_>) -> Option<Finding> {
    let users = record.users()?;
    let issued = record.issued()?;
    let refused = |stretch: &Stretch| {
        !stretch.is_good() && matches!(stretch.class(), Some(ErrorClass::Http4xx))
    };
    for probe in &record.probes {
        let ProbeKind::Http {
            standby: Some(tier),
            ..
        } = &probe.started.kind
        else {
            continue;
        };
        let standby = record.tiers.iter().position(|known| known == tier);
        let alive = record.held(probe).iter();
        let alive: Vec<&Stretch> = alive.filter(|stretch| stretch.is_tier(tier)).collect();
        let worse = record.held(users).iter().find(|stretch| {
            let is_worse = rank(record, &stretch.state) > standby && stretch.is_good();
            let overlap = alive
                .iter()
                .any(|alive| alive.first <= stretch.first && alive.last >= stretch.last);
            (is_worse || refused(stretch))
                && stretch.samples >= MIN_DWELL
                && stretch.first >= issued
                && overlap
        });
        let Some(worse) = worse else { continue };
        let got = if worse.is_good() {
            format!("users were answered by {}", name(&worse.state))
        } else {
            "users were refused with a status from 400 to 499".to_owned()
        };
        let text = format!(
            "{got} although the standby `{tier}` was alive: `{}` reached it all the while under its own name",
            probe.started.name
        );
        let mut evidence = vec![format!("`{}`: {}", users.started.name, described(worse))];
        evidence.extend(
            alive
                .iter()
                .take(3)
                .map(|stretch| format!("`{}`: {}", probe.started.name, described(stretch))),
        );
        return Some(finding("standby-unused", text, evidence));
    }
    None
}

/// Users had moved, and a part of their requests got 503 from where they had moved to.
fn standby_overloaded(record: &Record<'_>) -> Option<Finding> {
    let users = record.users()?;
    let steady = record.steady_state(users)?;
    let end = record.hold_end();
    let arrived = record
        .held(users)
        .iter()
        .find(|stretch| stretch.is_good() && stretch.state != *steady)?;
    let answers = users.watch.tally().answers().iter();
    let since: Vec<_> = answers
        .filter(|answers| answers.first >= arrived.first && answers.first < end)
        .collect();
    let refused: Vec<_> = since
        .iter()
        .filter(|answers| !answers.good && answers.status == Some(503))
        .collect();
    let samples: u64 = refused.iter().map(|answers| answers.samples).sum();
    let all: u64 = since.iter().map(|answers| answers.samples).sum();
    let [first, .., last] = refused.as_slice() else {
        return None;
    };
    if refused.len() < TURNS || samples < MIN_DWELL {
        return None;
    }
    let text = format!(
        "the standby could not take everybody: {} answered {samples} of {all} requests with 503 once users had moved to it",
        name(&arrived.state)
    );
    let mut evidence = vec![format!(
        "{} with 503 from {:.1} s to {:.1} s, between good answers",
        words::count(samples, "request"),
        first.first.as_secs_f64(),
        last.last.as_secs_f64()
    )];
    evidence.extend(record.environment.governs.in_words("capacity"));
    Some(finding("standby-overloaded", text, evidence))
}

/// An edge went on answering with what it had kept of a worse tier when a better one answered again.
fn page_outlives_recovery(record: &Record<'_>) -> Option<Finding> {
    let users = record.users()?;
    let twice = users.watch.every() * 2;
    let hits = users.watch.tally().hits().iter().filter(|hits| {
        let state = State::Tier(hits.tier.clone());
        rank(record, &state) > Some(0) && hits.samples >= MIN_DWELL
    });
    let mut longest: Option<(Duration, Finding)> = None;
    for hits in hits {
        let kept = rank(record, &State::Tier(hits.tier.clone()));
        let others = record
            .probes
            .iter()
            .filter(|probe| probe.started.name != users.started.name);
        let better = others
            .flat_map(|probe| {
                let stretches = probe.watch.stretches().iter();
                stretches.map(move |stretch| (probe, stretch))
            })
            .filter(|(probe, stretch)| {
                is_http(probe)
                    && rank(record, &stretch.state).is_some_and(|rank| Some(rank) < kept)
                    && stretch.first > hits.first
                    && stretch.first < hits.last
                    && stretch.samples >= MIN_DWELL
            })
            .min_by_key(|(_, stretch)| stretch.first);
        let Some((probe, stretch)) = better else {
            continue;
        };
        let outlived = hits.last.saturating_sub(stretch.first);
        if outlived < twice || longest.as_ref().is_some_and(|(most, _)| *most >= outlived) {
            continue;
        }
        let text = format!(
            "the cached {} outlived the recovery of {} by {:.0} s: the edge went on answering with what it had kept",
            hits.tier,
            name(&stretch.state),
            outlived.as_secs_f64()
        );
        let mut evidence = vec![
            format!(
                "`{}`: {} from {} with `x-cache: Hit` from {:.1} s to {:.1} s",
                users.started.name,
                words::count(hits.samples, "answer"),
                hits.tier,
                hits.first.as_secs_f64(),
                hits.last.as_secs_f64()
            ),
            format!("`{}`: {}", probe.started.name, described(stretch)),
        ];
        evidence.extend(record.environment.governs.in_words("edge"));
        longest = Some((outlived, finding("page-outlives-recovery", text, evidence)));
    }
    longest.map(|(_, finding)| finding)
}

fn is_http(probe: &Probe) -> bool {
    matches!(probe.started.kind, ProbeKind::Http { .. })
}

/// A database failed over, and what watches the application called it dead for that.
fn readiness_coupled(record: &Record<'_>) -> Option<Finding> {
    let fault = record.faults.values().find(|fault| {
        let planned = fault.planned.as_ref();
        planned.is_some_and(|planned| planned.kind == "failover-database")
    })?;
    // Where something else is broken as well, that may be the reason.
    if record.faults.len() > 1 {
        return None;
    }
    let (issued, end) = (fault.issued?, record.hold_end());
    let turned = |kind: ResourceKind| {
        observers(record, kind)
            .filter_map(|(observer, readings)| Some((observer, turned_bad(readings, issued, end)?)))
            .map(|(observer, (at, detail))| {
                let detail = detail.unwrap_or("bad");
                format!("`{observer}` {}: {detail}", words::at(at))
            })
            .collect::<Vec<_>>()
    };
    let mut evidence = turned(ResourceKind::Workload);
    evidence.extend(turned(ResourceKind::TargetGroup));
    let users = record.users()?;
    let down = record.held(users).iter().find(|stretch| {
        !stretch.is_good() && stretch.samples >= MIN_DWELL && stretch.first >= issued
    })?;
    if evidence.is_empty() {
        return None;
    }
    evidence.push(format!("`{}`: {}", users.started.name, described(down)));
    let text = "the failover of the database took the application out of service: its health includes the database, so every pod \
                was called dead at the same time, and readers with it"
        .to_owned();
    Some(finding("readiness-coupled", text, evidence))
}

fn turned_bad(
    readings: &Observations,
    after: Duration,
    before: Duration,
) -> Option<(Duration, Option<&str>)> {
    let mut readings = readings.0.iter();
    readings
        .find(|reading| {
            reading.healthy == Some(false) && reading.at >= after && reading.at < before
        })
        .map(|reading| (reading.at, reading.detail.as_deref()))
}
