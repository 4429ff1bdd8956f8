//! Expectations about who served users: `path`, `never`, `served-by`, `no-failover`, `availability`, `flaps`.

use std::{collections::BTreeMap, time::Duration};

use super::{Outcome, Scene, no_probe, too_few};
use crate::{
    environment::DnsView,
    episode::{
        course::{State, Stretch},
        span::Span,
        tally::Counts,
    },
    verdict::{
        CheckStatus, limit,
        record::{Attributed, Probe, Record, name, path as path_of},
        words,
    },
};

pub(super) fn path(scene: Scene<'_>, wanted: &[String]) -> Outcome {
    let Some(users) = scene.record.users() else {
        return no_probe(None);
    };
    let window = users.watch.tally().held();
    if let Some(outcome) = too_few(window) {
        return outcome;
    }
    let (found, blips) = path_of(scene.record.held(users));
    let actual = found.join(" -> ");
    let shown = wanted.join(" -> ");
    let outcome = if matches(wanted, &found) {
        Outcome::pass(&actual, format!("{actual} = {shown}"))
    } else {
        Outcome::fail(&actual, format!("{actual} != {shown}"))
    };
    let stretches = scene.record.held(users).iter();
    let dwell = stretches.map(|stretch| {
        format!(
            "{} from {:.1} s, {}",
            name(&stretch.state),
            stretch.first.as_secs_f64(),
            words::count(stretch.samples, "sample")
        )
    });
    let passed_over = (blips > 0).then(|| format!("{} left out", words::count(blips, "blip")));
    outcome
        .with_evidence(dwell.take(20).chain(passed_over))
        .unless_void(window)
}

/// Whether a path is as wanted, `*` standing for any number of steps. Only the last `*` so far need ever be tried with one step more:
/// what an earlier one could take besides, the last one can take too.
fn matches(wanted: &[String], found: &[String]) -> bool {
    let (mut at, mut step) = (0, 0);
    // Behind the last `*`, and the first step that it has not taken.
    let mut retry = None;
    while at < found.len() {
        match wanted.get(step) {
            Some(star) if star == "*" => {
                step += 1;
                retry = Some((step, at));
            }
            Some(tier) if *tier == found[at] => {
                at += 1;
                step += 1;
            }
            Some(_) | None => {
                let Some((behind, taken)) = retry else {
                    return false;
                };
                (step, at) = (behind, taken + 1);
                retry = Some((behind, at));
            }
        }
    }
    wanted[step..].iter().all(|rest| rest == "*")
}

pub(super) fn never(scene: Scene<'_>, tiers: &[String]) -> Outcome {
    let Some(users) = scene.record.users() else {
        return no_probe(None);
    };
    let window = users.watch.tally().all();
    if let Some(outcome) = too_few(window) {
        return outcome;
    }
    let stretches = users.watch.stretches();
    let served: Vec<&Stretch> = stretches
        .iter()
        .filter(|stretch| tiers.iter().any(|tier| stretch.is_tier(tier)))
        .collect();
    let Some(first) = served.first() else {
        let actual = "never";
        let seen = words::count(window.good, "good sample");
        return Outcome::pass(actual, format!("none of {seen} came from there"))
            .unless_void(window);
    };
    let samples: u64 = served.iter().map(|stretch| stretch.samples).sum();
    let actual = format!(
        "{} from {}",
        words::count(samples, "sample"),
        name(&first.state)
    );
    let message = format!("{actual}, the first sent {}", words::at(first.first));
    Outcome::fail(actual, message)
}

pub(super) fn served_by(scene: Scene<'_>, probes: &BTreeMap<String, String>) -> Outcome {
    let record = scene.record;
    let mut actual = Vec::new();
    let mut messages = Vec::new();
    let mut status = CheckStatus::Pass;
    for (name, tier) in probes {
        let Some(probe) = record.probe(name) else {
            return no_probe(Some(name));
        };
        let outcome = probe_served_by(record, probe, tier);
        status = status.max(outcome.status);
        actual.push(format!("{name} by {}", outcome.actual));
        messages.push(format!("{name}: {}", outcome.message));
    }
    Outcome::new(status, actual.join(", "), messages.join("; "))
}

/// Whether a probe was served by a tier at the end of the hold.
pub(super) fn probe_served_by(record: &Record<'_>, probe: &Probe, tier: &str) -> Outcome {
    let window = probe.watch.tally().held();
    if let Some(outcome) = too_few(window) {
        return outcome;
    }
    let Some(last) = record.at_hold_end(probe) else {
        return no_probe(Some(&probe.started.name));
    };
    let actual = name(&last.state);
    let since = format!("since {:.1} s", last.first.as_secs_f64());
    if last.is_tier(tier) {
        Outcome::pass(actual, format!("{actual} {since}")).unless_void(window)
    } else {
        Outcome::fail(actual, format!("{actual} {since}, not {tier}"))
    }
}

pub(super) fn no_failover(scene: Scene<'_>) -> Outcome {
    let record = scene.record;
    let Some(users) = record.users() else {
        return no_probe(None);
    };
    let tally = users.watch.tally();
    let window = tally.held().plus(tally.after());
    if let Some(outcome) = too_few(window) {
        return outcome;
    }
    let Some(issued) = record.issued() else {
        return Outcome::inconclusive("not measured", "no fault was issued");
    };
    let mut window = window;
    for probe in std::iter::once(users).chain(record.dns(DnsView::Authority)) {
        if probe.started.name != users.started.name {
            let tally = probe.watch.tally();
            let own = tally.held().plus(tally.after());
            if let Some(outcome) = too_few(own) {
                return outcome;
            }
            window = window.plus(own);
        }
        if let Some((stretch, before)) = left(probe, issued, record.steady_state(probe)) {
            let tier = answer(stretch);
            let from = before.map_or("nothing".to_owned(), |state| name(state).to_owned());
            let message = format!(
                "`{}` went from {from} to {tier} {}",
                probe.started.name,
                words::at(stretch.first)
            );
            return Outcome::fail(format!("{from} -> {tier}"), message);
        }
    }
    let steady = record.steady_state(users).map_or("down", name).to_owned();
    let message = format!(
        "{} on {steady}",
        words::count(tally.held().good, "good sample")
    );
    Outcome::pass(steady, message).unless_void(window)
}

/// What a probe was answered with that it was not before. No answer is no other answer.
fn left<'p>(
    probe: &'p Probe,
    issued: Duration,
    before: Option<&'p State>,
) -> Option<(&'p Stretch, Option<&'p State>)> {
    use crate::timeline::ErrorClass;
    probe
        .watch
        .stretches()
        .iter()
        .filter(|stretch| stretch.first >= issued)
        .find(|stretch| match &stretch.state {
            State::Down => stretch.class() == Some(ErrorClass::DnsNxdomain),
            state @ (State::Tier(_) | State::Other(_)) => Some(state) != before,
        })
        .map(|stretch| (stretch, before))
}

fn answer(stretch: &Stretch) -> String {
    match &stretch.state {
        State::Tier(tier) => tier.clone(),
        State::Other(answer) => answer.clone(),
        State::Down => "no such name".to_owned(),
    }
}

/// How long users were down between the first fault and the end of the hold.
fn downtime(record: &Record<'_>, users: &Probe, from: Duration, to: Duration) -> Span {
    let epsilon = users.watch.epsilon();
    let inside = |time: Duration| time.max(from).min(to);
    let mut sum = Span::ZERO;
    for stretch in users.watch.stretches().iter().filter(|one| !one.is_good()) {
        let began = stretch.from.span.widened(epsilon);
        let ended = match stretch.to {
            Some(edge) => edge.span.widened(epsilon),
            None => Span::between(stretch.last, record.length.max(stretch.last)),
        };
        let lo = inside(ended.lo).saturating_sub(inside(began.hi.unwrap_or(to)));
        let hi = inside(ended.hi.unwrap_or(to)).saturating_sub(inside(began.lo));
        sum.lo = sum.lo.saturating_add(lo);
        sum.hi = sum.hi.map(|sum| sum.saturating_add(hi));
    }
    sum
}

/// The share of the time from the fault to the end of the hold in which users were served, in percent.
pub(in crate::verdict) fn share_served(record: &Record<'_>) -> Option<(f64, f64)> {
    let users = record.users()?;
    let from = record.issued()?;
    let to = record.hold_end();
    let window = users.watch.tally().held();
    if window.usable() == 0 {
        return None;
    }
    let down = downtime(record, users, from, to);
    let length = to.saturating_sub(from);
    limit::availability(down, length, window, users.watch.every())
}

pub(super) fn availability(scene: Scene<'_>, at_least: f64) -> Outcome {
    let Some(users) = scene.record.users() else {
        return no_probe(None);
    };
    let window = users.watch.tally().held();
    if let Some(outcome) = too_few(window) {
        return outcome;
    }
    let Some((lo, hi)) = share_served(scene.record) else {
        return Outcome::inconclusive("not measured", "no time to measure it over");
    };
    let actual = words::percent(lo, hi);
    let requests = format!(
        "{} of {} failed",
        window.bad,
        words::count(window.usable(), "request")
    );
    let outcome = if let Some(reason) = limit::void(window) {
        let message = format!("{actual} against {at_least} %: {reason}");
        Outcome::inconclusive(&actual, message)
    } else if lo >= at_least {
        Outcome::pass(&actual, format!("{actual} >= {at_least} %"))
    } else if hi < at_least {
        Outcome::fail(&actual, format!("{actual} < {at_least} %"))
    } else {
        let message = format!(
            "{actual} against {at_least} %: the limit lies within the bounds; sample more often"
        );
        Outcome::inconclusive(&actual, message)
    };
    outcome.with_evidence([requests])
}

/// Changes from good to bad after the first success, until the revert. What a further fault brought about is none.
pub(in crate::verdict) fn count_flaps(record: &Record<'_>, disruptions: &[Attributed]) -> u64 {
    let end = record.hold_end();
    disruptions
        .iter()
        .map(|attributed| {
            let downs = attributed.disruption.downs.iter();
            let before = downs.filter(|down| **down < end).count() as u64;
            before.saturating_sub(u64::from(attributed.is_first))
        })
        .sum()
}

pub(super) fn flaps(scene: Scene<'_>, at_most: u32) -> Outcome {
    let Some(users) = scene.record.users() else {
        return no_probe(None);
    };
    let window: Counts = users.watch.tally().held();
    if let Some(outcome) = too_few(window) {
        return outcome;
    }
    let flaps = count_flaps(scene.record, scene.disruptions);
    let outcome = if flaps > u64::from(at_most) {
        Outcome::fail(flaps.to_string(), format!("{flaps} > {at_most}"))
    } else {
        Outcome::pass(flaps.to_string(), format!("{flaps} <= {at_most}")).unless_void(window)
    };
    let downs = scene
        .disruptions
        .iter()
        .flat_map(|attributed| attributed.disruption.downs.iter().take(10));
    outcome.with_evidence(downs.map(|down| format!("down {}", words::at(*down))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn steps(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn a_star_in_a_path_stands_for_any_number_of_steps() {
        for (wanted, found, holds) in [
            ("primary down vm", "primary down vm", true),
            ("primary down vm", "primary down", false),
            ("primary down", "primary down vm", false),
            ("primary * vm", "primary down page down vm", true),
            ("primary * vm", "primary vm", true),
            ("* vm", "vm", true),
            ("*", "", true),
            ("primary *", "vm down", false),
            ("* down vm", "down page down vm", true),
            ("* down * vm *", "down vm page", true),
            ("", "", true),
            ("", "vm", false),
            ("* *", "", true),
        ] {
            assert_eq!(
                matches(&steps(wanted), &steps(found)),
                holds,
                "{wanted} {found}"
            );
        }
    }

    #[test]
    fn thirty_stars_take_no_longer_than_one() {
        // With every star tried in every place, these would be a billion billion attempts.
        let wanted = format!("{}* page", "* down ".repeat(30));
        assert!(!matches(&steps(&wanted), &steps(&"down vm ".repeat(60))));
        let found = format!("{}down page", "down vm ".repeat(60));
        assert!(matches(&steps(&wanted), &steps(&found)));
    }

    proptest! {
        #[test]
        fn a_path_matches_as_its_definition_says(wanted in "[ab*]{0,6}", found in "[ab]{0,8}") {
            fn defined(wanted: &[String], found: &[String]) -> bool {
                match wanted.split_first() {
                    None => found.is_empty(),
                    Some((step, rest)) if step == "*" => {
                        (0..=found.len()).any(|skipped| defined(rest, &found[skipped..]))
                    }
                    Some((step, rest)) => found
                        .split_first()
                        .is_some_and(|(first, after)| first == step && defined(rest, after)),
                }
            }
            let letters = |text: &str| text.chars().map(String::from).collect::<Vec<_>>();
            let (wanted, found) = (letters(&wanted), letters(&found));
            prop_assert_eq!(matches(&wanted, &found), defined(&wanted, &found));
        }
    }
}
