//! Expectations about a duration: `detected`, `rto`, `outage`, `failback`.

use std::time::Duration;

use super::{Outcome, Quality, Scene, no_probe, too_few};
use crate::{
    drill::{ClockStart, ClockStop},
    episode::{Watch, disruption::Disruption, span::Span, tally::Counts},
    verdict::{
        CheckStatus,
        record::Attributed,
        times::{detected_by, failback_time, failed_back, return_began},
        words,
    },
};

/// A disruption shorter than this in failed samples, after users were served in a stable way again, is a flap and not the recovery.
const REAL: u64 = 3;

pub(super) fn detected(scene: Scene<'_>, within: Duration, by: Option<&str>) -> Outcome {
    let record = scene.record;
    let Some(name) = by.or(record.default_observer()) else {
        return Outcome::inconclusive("not measured", "the environment has no observer");
    };
    let Some(fault) = record.fault() else {
        return Outcome::inconclusive("not measured", "no fault was issued");
    };
    let quality = if let Some(probe) = record.probe(name) {
        let window = probe.watch.tally().held();
        if let Some(outcome) = too_few(window) {
            return outcome;
        }
        Quality::of(&probe.watch, window)
    } else if record
        .observers
        .get(name)
        .is_some_and(|readings| !readings.0.is_empty())
    {
        Quality {
            every: record.reading_interval(name),
            overhead: Duration::ZERO,
            start_width: Duration::ZERO,
            gap: Duration::ZERO,
            window: Counts::default(),
        }
    } else {
        return Outcome::inconclusive("not measured", format!("`{name}` was never read"));
    };
    let Some(time) = detected_by(record, name) else {
        let last = record.hold_end().saturating_sub(quality.every);
        return Outcome::limited(Span::after(last).since(fault), within, &quality)
            .with_evidence([format!("`{name}` did not turn bad before the revert")]);
    };
    let readings = record.observers.get(name);
    let reading = readings.and_then(|readings| readings.turned_bad(fault.lo, quality.every));
    let told = reading.map(|(_, reading)| {
        let detail = reading.detail.as_deref().unwrap_or("bad");
        format!("`{name}` {}: {detail}", words::at(reading.at))
    });
    Outcome::limited(time.since(fault), within, &quality).with_evidence(told)
}

pub(super) fn rto(scene: Scene<'_>, within: Duration, from: ClockStart, to: ClockStop) -> Outcome {
    let counted = |attributed: &&Attributed| {
        let again = to == ClockStop::Stable && attributed.disruption.bad >= REAL;
        attributed.is_first || again
    };
    let record = scene.record;
    let clock = |attributed: &Attributed, impact: Span| match from {
        ClockStart::Fault => Some(attributed.fault),
        ClockStart::Impact => Some(impact),
        ClockStart::Declared => record.declared(attributed.fault),
    };
    let measure = |attributed: &Attributed, stop: Span, impact: Span| {
        stop.since(clock(attributed, impact).unwrap_or(impact))
    };
    let outcome = longest(scene, within, to, record.revert(), counted, measure);
    if from != ClockStart::Declared || scene.disruptions.is_empty() {
        return outcome;
    }
    // Users were disrupted, and the clock was never started: nothing is known, however soon they were back.
    match record.declared.first() {
        Some(declared) => {
            outcome.with_evidence([format!("an incident was declared {}", words::at(*declared))])
        }
        None => Outcome::inconclusive(
            "not measured",
            "nobody declared an incident, from which it counts: key 2 of `run --interactive`",
        ),
    }
}

/// What users went through, whatever ended it: a service that only came back because the fault was taken away had an outage of
/// known length, and no recovery of its own.
pub(super) fn outage(scene: Scene<'_>, within: Duration) -> Outcome {
    longest(
        scene,
        within,
        ClockStop::Stable,
        None,
        |_| true,
        |_, stop, impact| stop.since(impact),
    )
}

/// The worst of the disruptions that count, held against a limit. Users who were never disrupted keep every limit, if they were
/// watched at all.
fn longest(
    scene: Scene<'_>,
    within: Duration,
    to: ClockStop,
    before: Option<Duration>,
    counted: impl Fn(&&Attributed) -> bool,
    measure: impl Fn(&Attributed, Span, Span) -> Span,
) -> Outcome {
    let Some(users) = scene.record.users() else {
        return no_probe(None);
    };
    let watch = &users.watch;
    let window = watch.tally().held();
    if let Some(outcome) = too_few(window) {
        return outcome;
    }
    let epsilon = watch.epsilon();
    let outcomes = scene.disruptions.iter().filter(counted).map(|attributed| {
        let disruption = &attributed.disruption;
        let impact = disruption.impact.span.widened(epsilon);
        let impact = impact.not_before(attributed.fault.lo);
        let stop = match to {
            ClockStop::Stable => disruption.recovered_before(before),
            ClockStop::FirstSuccess => disruption.answered_before(before),
        };
        let stop = stop.widened(epsilon).not_before(impact.lo);
        let value = measure(attributed, stop, impact);
        (one(value, within, watch, window, attributed), attributed)
    });
    let worst = outcomes.max_by_key(|(outcome, _)| {
        let value = outcome.value.unwrap_or(Span::ZERO);
        (outcome.status, value.hi.unwrap_or(Duration::MAX), value.lo)
    });
    match worst {
        Some((outcome, attributed)) => outcome.with_evidence(evidence(scene, attributed)),
        None => undisturbed(within, watch, window),
    }
}

/// One disruption's value, held against the limit.
fn one(
    value: Span,
    within: Duration,
    watch: &Watch,
    window: Counts,
    attributed: &Attributed,
) -> Outcome {
    let fault = attributed.fault;
    let quality = Quality {
        start_width: fault.hi.unwrap_or(fault.lo).saturating_sub(fault.lo),
        gap: widest_gap(&attributed.disruption),
        ..Quality::of(watch, window)
    };
    let mut outcome = Outcome::limited(value, within, &quality);
    // A failure that was seen breaks a limit of nothing at all, however short it was.
    if within.is_zero() && outcome.status == CheckStatus::Inconclusive {
        outcome.status = CheckStatus::Fail;
        outcome.message = format!("{} > 0 s", words::span(value));
    }
    outcome
}

fn undisturbed(within: Duration, watch: &Watch, window: Counts) -> Outcome {
    let resolution = watch.every().saturating_add(watch.healthy_bound());
    let message = format!(
        "no failure in {}; an outage of {} would have been seen",
        words::count(window.usable(), "sample"),
        words::seconds(resolution)
    );
    let outcome = Outcome {
        value: Some(Span::ZERO),
        limit: Some(within),
        ..Outcome::pass("0 s", message)
    };
    outcome.unless_void(window)
}

fn widest_gap(disruption: &Disruption) -> Duration {
    let rise = disruption.recovered.or(disruption.first_success);
    disruption
        .impact
        .gap
        .max(rise.map_or(Duration::ZERO, |rise| rise.edge.gap))
}

fn evidence(scene: Scene<'_>, attributed: &Attributed) -> Vec<String> {
    let disruption = &attributed.disruption;
    let mut lines = Vec::new();
    if scene.disruptions.len() > 1 {
        let fault = scene.record.faults.get(&attributed.id);
        let planned = fault.and_then(|fault| fault.planned.as_ref());
        let after = planned.map_or_else(
            || format!("fault {}", attributed.id),
            |fault| fault.describe.clone(),
        );
        lines.push(format!(
            "the worst of {} disruptions, after: {after}",
            scene.disruptions.len()
        ));
    }
    lines.push(format!(
        "first failure sent {}",
        words::at(disruption.first)
    ));
    match disruption.recovered {
        Some(rise) => lines.push(format!(
            "first good sample of the stable run sent {}",
            words::at(rise.first)
        )),
        None => lines.push(format!(
            "last failure sent {}, and no stable run after it",
            words::at(disruption.last)
        )),
    }
    if let (Some(first), Some(stable)) = (disruption.first_success, disruption.recovered)
        && first.first < stable.first
    {
        lines.push(format!(
            "a first answer {} did not last: {} until then",
            words::at(first.first),
            words::count(disruption.downs.len() as u64, "time down")
                .replace("time downs", "times down")
        ));
    }
    lines
}

pub(super) fn failback(
    scene: Scene<'_>,
    to: &str,
    within: Duration,
    errors_at_most: Option<u64>,
) -> Outcome {
    let record = scene.record;
    let Some(users) = record.users() else {
        return no_probe(None);
    };
    let Some(reverted) = record.reverted() else {
        return Outcome::inconclusive("not measured", "nothing was reverted");
    };
    let watch = &users.watch;
    let window = watch.tally().after();
    if let Some(outcome) = too_few(window) {
        return outcome;
    }
    let stretches = watch.stretches();
    let back = failed_back(record, to);
    let value = if let Some(back) = back {
        failback_time(back.span, reverted)
    } else {
        let last = stretches.last().map_or(reverted.lo, |last| last.last);
        let known = return_began(record, to).unwrap_or(last);
        Span::after(known).since(reverted)
    };
    let quality = Quality {
        start_width: reverted
            .hi
            .unwrap_or(reverted.lo)
            .saturating_sub(reverted.lo),
        gap: back.map_or(Duration::ZERO, |back| back.gap),
        ..Quality::of(watch, window)
    };
    let mut outcome = Outcome::limited(value, within, &quality);
    let end = back.and_then(|back| back.span.hi).unwrap_or(Duration::MAX);
    let later: u64 = stretches
        .iter()
        .filter(|stretch| stretch.first > end)
        .map(|stretch| stretch.bad)
        .sum();
    let errors = window.bad.saturating_sub(later);
    let failed = words::count(errors, "request");
    if let Some(most) = errors_at_most {
        let keeps = if errors > most {
            outcome.status = CheckStatus::Fail;
            ">"
        } else {
            "<="
        };
        outcome.message = format!("{}; {failed} failed {keeps} {most}", outcome.message);
    }
    outcome.with_evidence([format!(
        "{failed} failed from the revert until users were back"
    )])
}
