//! Why: rules that name the cause of what users saw, and the setting that governs it. Each rests on what was recorded in this run.

use std::time::Duration;

use blackstart_lab::control::ResourceKind;

use super::{
    super::{
        Finding,
        record::{Attributed, MIN_DWELL, Observations, Record, name},
        times::Times,
        words,
    },
    finding, observers,
};
use crate::{environment::DnsView, timeline::ErrorClass};

/// A part of the recovery time that is a smaller share than this of it explains little.
const MAIN_SHARE: f64 = 0.3;

/// Users who were down for less than this at the end of the hold may have been about to be moved.
const LONG_OUTAGE: Duration = Duration::from_mins(2);

pub(super) fn find(record: &Record<'_>, disruptions: &[Attributed], times: &Times) -> Vec<Finding> {
    let mut found = Vec::new();
    found.extend(where_the_time_went(record, times));
    found.extend(false_positive(record, disruptions, times));
    // What is ended early had no time to fail over.
    if record.aborted.is_none() && record.interrupted.is_none() {
        found.extend(false_negative(record, disruptions));
    }
    found.extend(gray_failure(record));
    found.extend(fault_undone(record));
    found.extend(control_plane_needed(record, times));
    found.extend(disabled_is_healthy(record));
    found.extend(redirect_checked(record, disruptions));
    found.extend(certificate_not_checked(record, disruptions));
    found.extend(writes_forbidden(record));
    found
}

/// The longest part of the recovery time, and what governs it.
fn where_the_time_went(record: &Record<'_>, times: &Times) -> Option<Finding> {
    let parts = times.parts(&record.environment.governs);
    let total: f64 = parts.iter().map(|part| part.seconds).sum();
    // Without anything that noticed or switched there is nothing between the impact and the recovery to tell apart.
    times.detected.or(times.switched)?;
    let main = parts
        .iter()
        .max_by(|a, b| a.seconds.total_cmp(&b.seconds))?;
    if total <= 0.0 || main.seconds < MAIN_SHARE * total {
        return None;
    }
    let ttl = record
        .dns(DnsView::Authority)
        .filter_map(|probe| probe.watch.tally().steady_ttl())
        .max();
    let governed = match main.name.as_str() {
        "impact" => "the time until the fault was felt".to_owned(),
        "detect" => match main.settings.first() {
            Some(setting) => format!("detection: {setting}"),
            None => "detection: the interval and the threshold of what watches".to_owned(),
        },
        "decide" => {
            "the way from the decision to the name servers, which no setting governs".to_owned()
        }
        "caches" => match ttl {
            Some(ttl) => format!("caches: the record's TTL is {ttl} s"),
            None => "caches: the record's TTL, and what resolvers make of it".to_owned(),
        },
        _ => match ttl {
            // Without a probe of a resolver its cache is a part of this.
            Some(ttl)
                if times.switched.is_some() && record.dns(DnsView::Recursive).next().is_none() =>
            {
                format!("caches and connecting: the record's TTL is {ttl} s")
            }
            Some(_) | None => "connecting, and what clients keep".to_owned(),
        },
    };
    let text = format!("{:.1} s of {total:.1} s were {governed}", main.seconds);
    let evidence = parts
        .iter()
        .map(|part| {
            let settings = part.settings.join("; ");
            let before = if settings.is_empty() { "" } else { ": " };
            let bounds = words::bounds(part.bounds);
            format!(
                "{:.1} s {bounds} {}{before}{settings}",
                part.seconds, part.about
            )
        })
        .collect();
    Some(finding("where-the-time-went", text, evidence))
}

/// The kinds of faults that move users on purpose.
const ON_PURPOSE: [&str; 2] = ["invert-health-check", "shift-weights"];

fn is_on_purpose(record: &Record<'_>) -> bool {
    record.faults.values().any(|fault| {
        let planned = fault.planned.as_ref();
        fault.issued.is_some()
            && planned.is_some_and(|planned| ON_PURPOSE.contains(&planned.kind.as_str()))
    })
}

/// Users were moved although none of them had failed.
fn false_positive(
    record: &Record<'_>,
    disruptions: &[Attributed],
    times: &Times,
) -> Option<Finding> {
    let users = record.users()?;
    let (from, switched) = (record.steady_state(users)?, times.switched?);
    let moved = record.held(users).iter().find(|stretch| {
        stretch.is_good() && stretch.state != *from && stretch.samples >= MIN_DWELL
    })?;
    let failed_before = disruptions
        .iter()
        .any(|attributed| attributed.disruption.first <= moved.first);
    if failed_before || is_on_purpose(record) {
        return None;
    }
    let text = format!(
        "a false positive: users were moved from {} to {} although none of them had failed",
        name(from),
        name(&moved.state)
    );
    let evidence = vec![
        format!(
            "every authority had changed its answer {}",
            words::at(switched.hi.unwrap_or(switched.lo))
        ),
        format!(
            "no request failed before {:.1} s",
            moved.first.as_secs_f64()
        ),
    ];
    Some(finding("false-positive", text, evidence))
}

/// Users were down until the faults were taken away, and no name server ever answered with another tier.
fn false_negative(record: &Record<'_>, disruptions: &[Attributed]) -> Option<Finding> {
    let end = record.hold_end();
    let outage = disruptions.iter().find(|attributed| {
        attributed
            .disruption
            .recovered
            .is_none_or(|rise| rise.first >= end)
    })?;
    let lasted = end.saturating_sub(outage.disruption.first);
    if lasted < LONG_OUTAGE {
        return None;
    }
    let mut authorities = record.dns(DnsView::Authority).peekable();
    authorities.peek()?;
    let unchanged = authorities.all(|probe| {
        let before = record.steady_state(probe);
        let mut held = record.held(probe).iter();
        held.all(|stretch| !stretch.is_good() || Some(&stretch.state) == before)
    });
    unchanged.then(|| {
        let text = format!(
            "a false negative: users were down for {} and no name server answered with another tier",
            words::seconds(Duration::from_secs(lasted.as_secs()))
        );
        let evidence = vec![format!(
            "users were down from {:.1} s until the revert at {:.1} s",
            outage.disruption.first.as_secs_f64(),
            end.as_secs_f64()
        )];
        finding("false-negative", text, evidence)
    })
}

/// Good and bad answers that take turns at least so often come from a part of the servers.
const TURNS: usize = 10;

/// A part of the requests failed, and no check took that for a failure.
fn gray_failure(record: &Record<'_>) -> Option<Finding> {
    let users = record.users()?;
    let (issued, end) = (record.issued()?, record.hold_end());
    let answers = users.watch.tally().answers().iter();
    let held: Vec<_> = answers
        .filter(|answers| answers.first >= issued && answers.first < end)
        .collect();
    let bad = held.iter().filter(|answers| !answers.good);
    let failed: u64 = bad.clone().map(|answers| answers.samples).sum();
    let all: u64 = held.iter().map(|answers| answers.samples).sum();
    let first = bad.clone().next()?;
    // Blips that come and go are outages, one after the other: here it is chance which request fails.
    if bad.clone().count() < TURNS || failed > MIN_DWELL * bad.count() as u64 {
        return None;
    }
    let moved = users.watch.stretches().iter().any(|stretch| {
        stretch.is_good()
            && stretch.first >= issued
            && stretch.first < end
            && Some(&stretch.state) != record.steady_state(users)
    });
    if moved {
        return None;
    }
    let (observer, detail) = blind(record, first.first).next()?;
    let share = 100 * failed / all.max(1);
    let text = format!(
        "a gray failure: {share} % of the requests failed and nothing failed over, because a check needs from 65 to 82 % of \
         errors for that, depending on its threshold"
    );
    let mut evidence = vec![
        format!(
            "{failed} of {all} requests failed, one here and one there, from {:.1} s on",
            first.first.as_secs_f64()
        ),
        format!("`{observer}` was healthy all the while"),
    ];
    evidence.extend(detail.map(str::to_owned));
    Some(finding("gray-failure", text, evidence))
}

/// Somebody else had taken a fault away before it was to be reverted.
fn fault_undone(record: &Record<'_>) -> Vec<Finding> {
    if record.interrupted.is_some() || record.ended.is_none() {
        return Vec::new();
    }
    let undone = record.faults.values().filter_map(|fault| {
        let planned = fault.planned.as_ref()?;
        let (verified, asked, restored) = (fault.verified?, fault.revert_issued?, fault.restored?);
        fault.reverted.is_none().then(|| {
            let text = format!(
                "somebody else undid `{}` of `{}`: there was nothing left to revert, so what came of it may be theirs and not the \
                 architecture's",
                planned.kind, planned.target
            );
            let evidence = vec![
                format!("in place {}", words::at(verified)),
                format!(
                    "as it was before {}, and nothing had been sent to restore it",
                    words::at(restored.max(asked))
                ),
            ];
            finding("fault-undone", text, evidence)
        })
    });
    undone.collect()
}

/// Users were moved by a call to a control plane, which is not there when its region is what fails.
fn control_plane_needed(record: &Record<'_>, times: &Times) -> Option<Finding> {
    let switched = times.switched?;
    if !is_on_purpose(record) {
        return None;
    }
    let calls: Vec<String> = record
        .faults
        .values()
        .filter_map(|fault| {
            let planned = fault.planned.as_ref()?;
            let issued = fault.issued?;
            let moves = ON_PURPOSE.contains(&planned.kind.as_str());
            moves.then(|| {
                format!(
                    "`{}` of `{}` {}",
                    planned.kind,
                    planned.target,
                    words::at(issued)
                )
            })
        })
        .collect();
    let text = "users were moved by a call to Route 53's control plane, which has one region, us-east-1: the same way is shut when \
                that region is what fails"
        .to_owned();
    let mut evidence = calls;
    evidence.push(format!(
        "every authority had changed its answer {}",
        words::at(switched.hi.unwrap_or(switched.lo))
    ));
    Some(finding("control-plane-needed", text, evidence))
}

/// Somebody disabled a health check, and it stayed healthy.
fn disabled_is_healthy(record: &Record<'_>) -> Vec<Finding> {
    let end = record.hold_end();
    let disabled = record.faults.values().filter_map(|fault| {
        let planned = fault.planned.as_ref()?;
        let since = fault.verified.or(fault.acknowledged)?;
        (planned.kind == "disable-health-check").then_some((planned.target.as_str(), since))
    });
    let mut found = Vec::new();
    for (target, since) in disabled {
        let watching = record
            .environment
            .observers
            .iter()
            .filter(|observer| observer.watches == target)
            .filter_map(|observer| Some((observer, record.observers.get(&observer.name)?)));
        for (observer, readings) in watching {
            if readings.is_healthy_throughout(since, end) {
                let text = format!(
                    "the health check `{target}` was disabled: Route 53 treats it as healthy, and moves nobody"
                );
                let evidence = vec![format!(
                    "`{}` was healthy from {:.1} s to {:.1} s",
                    observer.name,
                    since.as_secs_f64(),
                    end.as_secs_f64()
                )];
                found.push(finding("disabled-is-healthy", text, evidence));
            }
        }
    }
    found
}

/// The health checks that stayed healthy while users were down for some time, each with the reading in force.
fn blind<'r>(
    record: &'r Record<'_>,
    from: Duration,
) -> impl Iterator<Item = (&'r str, Option<&'r str>)> {
    let end = record.hold_end();
    observers(record, ResourceKind::HealthCheck)
        .filter(move |(_, readings)| readings.is_healthy_throughout(from, end))
        .map(move |(observer, readings)| (observer, detail_at(readings, end)))
}

fn detail_at(readings: &Observations, at: Duration) -> Option<&str> {
    let mut before = readings.0.iter().rev();
    before.find(|reading| reading.at <= at)?.detail.as_deref()
}

fn first_real(disruptions: &[Attributed]) -> Option<&Attributed> {
    let mut real = disruptions.iter();
    real.find(|attributed| attributed.disruption.bad >= MIN_DWELL)
}

/// A check that stayed healthy because it is redirected.
fn redirect_checked(record: &Record<'_>, disruptions: &[Attributed]) -> Vec<Finding> {
    let Some(outage) = first_real(disruptions) else {
        return Vec::new();
    };
    let redirected = blind(record, outage.disruption.first)
        .filter_map(|(observer, detail)| Some((observer, detail?)))
        .filter(|(_, detail)| detail.contains("HTTP Status Code 3"));
    redirected
        .map(|(observer, detail)| {
            let text = format!(
                "the health check `{observer}` passed throughout: it is redirected, and a redirect passes whatever stands behind it"
            );
            let evidence = vec![
                detail.to_owned(),
                format!("users were down from {:.1} s", outage.disruption.first.as_secs_f64()),
            ];
            finding("redirect-checked", text, evidence)
        })
        .collect()
}

/// Users could not agree on TLS, and the checks, which look at no certificate, stayed healthy.
fn certificate_not_checked(record: &Record<'_>, disruptions: &[Attributed]) -> Option<Finding> {
    let outage = first_real(disruptions)?;
    let users = record.users()?;
    let failed = users.watch.tally().bad().get(&ErrorClass::Tls).copied();
    let failed = failed.filter(|failed| *failed >= MIN_DWELL)?;
    let (observer, detail) = blind(record, outage.disruption.first).next()?;
    let text = format!(
        "users failed at TLS while the health check `{observer}` passed: Route 53 validates no certificate"
    );
    let mut evidence = vec![format!(
        "{} failed at TLS from {:.1} s on",
        words::count(failed, "request"),
        outage.disruption.first.as_secs_f64()
    )];
    evidence.extend(detail.map(str::to_owned));
    Some(finding("certificate-not-checked", text, evidence))
}

/// Writes were refused as forbidden while reads were served.
fn writes_forbidden(record: &Record<'_>) -> Option<Finding> {
    let (writer, users) = (record.writer()?, record.users()?);
    let (issued, end) = (record.issued()?, record.hold_end());
    let forbidden = writer.watch.tally().answers().iter().find(|answers| {
        !answers.good
            && answers.status == Some(403)
            && answers.samples >= MIN_DWELL
            && answers.first >= issued
            && answers.first < end
    })?;
    let served = record.held(users).iter().find(|stretch| {
        stretch.is_good() && stretch.first < forbidden.last && stretch.last > forbidden.first
    })?;
    let text = format!(
        "writes got 403 while {} served reads: their path matches a behaviour that allows no such method",
        name(&served.state)
    );
    let evidence = vec![format!(
        "{} with 403 from {:.1} s to {:.1} s",
        words::count(forbidden.samples, "write"),
        forbidden.first.as_secs_f64(),
        forbidden.last.as_secs_f64()
    )];
    Some(finding("writes-forbidden", text, evidence))
}
