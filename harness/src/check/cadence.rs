//! Whether samples are close enough to decide a limit, and fast enough to see an outage.

use std::time::Duration;

use super::Checker;
use crate::{
    drill::{Expect, duration_words},
    environment::{DnsView, EnvironmentFile, GOOD_WITHIN_FLOOR, Probe, is_outside, real_limit},
    source::{
        Context, Node, Problem,
        Step::{Index, Key},
    },
};

/// After this, Linux sends a lost SYN again: a request sent in an outage then succeeds, one second late.
const SYN_SENT_AGAIN: Duration = Duration::from_secs(1);

/// The shortest real time from one sample to the next that a prober keeps.
const SHORTEST_REAL: Duration = Duration::from_millis(10);

/// How often name servers of others are asked at most.
const POLITE: Duration = Duration::from_secs(1);

/// Two samples' distance should be at most one fiftieth of the limit. Five times that is worth a warning.
const FINE: u32 = 50;
const COARSE: u32 = FINE / 5;

pub(super) fn environment(context: &Context<'_>, file: &EnvironmentFile) {
    let speed = file.environment.speed;
    #[expect(clippy::float_cmp, reason = "1 is written as 1")]
    if file.environment.stack.is_none() && speed != 1.0 {
        context.push(Problem::error(
            context.file(),
            file.document.follow(&[Key("speed")]).place,
            "only the lab's clock can run at another speed, and there is no `stack`",
        ));
    }
    for (index, probe) in file.environment.probes.iter().enumerate() {
        let node = file.document.follow(&[Key("probes"), Index(index)]);
        let (kind, good_within) = match &probe.value {
            Probe::Http(probe) => ("http", Some(probe.good_within)),
            Probe::Dns(_) => ("dns", None),
        };
        let every = real(probe.value.every(), speed);
        if every < SHORTEST_REAL {
            context.push(
                Problem::error(
                    context.file(),
                    node.follow(&[Key(kind), Key("every")]).place,
                    format!(
                        "at speed {speed} this is a sample every {}, faster than a prober can keep",
                        duration_words(every)
                    ),
                )
                .with_hint(format!(
                    "sample every {} or slower, or run at a lower speed",
                    duration_words(rounded_up(SHORTEST_REAL, speed))
                )),
            );
        }
        if let Probe::Dns(probe) = &probe.value
            && is_outside(&probe.server)
            && every < POLITE
        {
            context.push(
                Problem::error(
                    context.file(),
                    node.follow(&[Key(kind), Key("every")]).place,
                    format!(
                        "`{}` belongs to others, and is asked once a second at most",
                        probe.server
                    ),
                )
                .with_hint("write `every: 1s` or more"),
            );
        }
        if let Some(good_within) = good_within
            && real_limit(good_within, speed, GOOD_WITHIN_FLOOR) >= SYN_SENT_AGAIN
        {
            context.push(
                Problem::warning(
                    context.file(),
                    node.follow(&[Key(kind), Key("good-within")]).place,
                    "an outage of packets can go unseen: a lost SYN is sent again after 1s, so requests of the outage succeed late and still count as good",
                )
                .with_hint("keep `good-within` below 1s of real time; 800ms is the default"),
            );
        }
    }
}

pub(super) fn expectation(checker: &Checker<'_>, expect: &Expect, node: &Node) {
    let Some((limit, every, who, key)) = limit_and_cadence(checker, expect) else {
        return;
    };
    let distance = every.saturating_mul(2);
    if limit.is_zero() || distance.saturating_mul(COARSE) <= limit {
        return;
    }
    let undecidable = distance >= limit;
    let words = duration_words(limit);
    let every_words = duration_words(every);
    let message = if undecidable {
        format!("a limit of {words} cannot be decided by `{who}`, which looks every {every_words}")
    } else {
        format!("a limit of {words} is barely decided by `{who}`, which looks every {every_words}")
    };
    let cure = duration_words(millisecond_steps(limit / (2 * FINE)));
    checker.push(
        checker
            .warning(node.follow(&[Key(key)]), message)
            .with_hint(format!("the measured time is known to ±{every_words}; `every: {cure}` would make that 1 % of the limit")),
    );
}

/// The limit of an expectation about a duration, the cadence that decides it, whose that is, and the key of the limit.
fn limit_and_cadence<'a>(
    checker: &Checker<'a>,
    expect: &Expect,
) -> Option<(Duration, Duration, &'a str, &'static str)> {
    let environment = checker.environment;
    let user = || {
        environment
            .user_probe()
            .map(|probe| (probe.every, probe.name.as_str()))
    };
    let dns = |name: &Option<String>, authority: bool| {
        environment
            .probes
            .iter()
            .find_map(|probe| match &probe.value {
                Probe::Dns(probe)
                    if (probe.view == DnsView::Authority) == authority
                        && name.as_ref().is_none_or(|name| *name == probe.name) =>
                {
                    Some((probe.every, probe.name.as_str()))
                }
                Probe::Dns(_) | Probe::Http(_) => None,
            })
    };
    let (limit, (every, who), key) = match expect {
        Expect::Rto { within, .. }
        | Expect::Outage { within }
        | Expect::Failback { within, .. } => (*within, user()?, "within"),
        Expect::Detected { within, by } => {
            let observer = environment
                .observers
                .iter()
                .find(|observer| by.as_ref().is_none_or(|by| *by == observer.name))
                .map(|observer| (observer.every, observer.name.as_str()));
            let probe = || {
                let probe = environment.probe(by.as_deref()?)?;
                Some((probe.every(), probe.name()))
            };
            (*within, observer.or_else(probe)?, "within")
        }
        Expect::DnsSwitch { within, probe, .. } => (*within, dns(probe, true)?, "within"),
        Expect::StaleDns { at_most, probe } => (*at_most, dns(probe, false)?, "at-most"),
        Expect::Path(_)
        | Expect::Never(_)
        | Expect::ServedBy(_)
        | Expect::Writes(_)
        | Expect::Availability { .. }
        | Expect::MaxErrors { .. }
        | Expect::NoFailover
        | Expect::Flaps { .. }
        | Expect::Rpo { .. }
        | Expect::Header { .. }
        | Expect::Body { .. }
        | Expect::Status { .. } => return None,
    };
    Some((limit, every, who, key))
}

/// A duration of the architecture on the wall's clock.
fn real(duration: Duration, speed: f64) -> Duration {
    Duration::try_from_secs_f64(duration.as_secs_f64() / speed).unwrap_or(Duration::MAX)
}

/// A duration of the wall's clock in the architecture's time, to the next millisecond.
fn rounded_up(duration: Duration, speed: f64) -> Duration {
    let milliseconds = (duration.as_secs_f64() * speed * 1000.0).ceil();
    Duration::try_from_secs_f64(milliseconds / 1000.0).unwrap_or(Duration::MAX)
}

/// Rounded down to milliseconds, one at least.
fn millisecond_steps(duration: Duration) -> Duration {
    let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(milliseconds.max(1))
}
