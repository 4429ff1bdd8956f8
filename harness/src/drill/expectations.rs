//! The `expect:` mapping of a drill file.

use super::{ClockStart, ClockStop, Expect, Expectation, Located, Writes};
use crate::source::{Item, Mapping, unknown_key};

/// The expectations by their words, in the order of the documentation.
pub(crate) const EXPECTATIONS: [&str; 18] = [
    "detected",
    "rto",
    "outage",
    "path",
    "never",
    "served-by",
    "writes",
    "availability",
    "max-errors",
    "no-failover",
    "flaps",
    "failback",
    "rpo",
    "dns-switch",
    "stale-dns",
    "header",
    "body",
    "status",
];

/// The most errors that can be allowed: what a number in a drill can mean.
const MOST: u32 = 1_000_000_000;

pub(super) fn decode(item: Item<'_>) -> Option<Vec<Expectation>> {
    let entries = item.entries()?;
    if entries.is_empty() {
        item.report("`expect` is empty: a drill that expects nothing proves nothing");
        return None;
    }
    let expectations: Vec<Option<Expectation>> = entries
        .into_iter()
        .map(|(key, value)| {
            if !EXPECTATIONS.contains(&key.name.as_str()) {
                value
                    .context()
                    .push(unknown_key(value.context().file(), key, &EXPECTATIONS));
                return None;
            }
            Some(Located {
                value: expectation(&key.name, value)?,
                at: key.place.at,
            })
        })
        .collect();
    expectations.into_iter().collect()
}

fn expectation(kind: &str, item: Item<'_>) -> Option<Expect> {
    match kind {
        "path" => path(item).map(Expect::Path),
        "never" => item.filled_list_of(Item::text).map(Expect::Never),
        "served-by" => served_by(item),
        "writes" => writes(item).map(Expect::Writes),
        "no-failover" => {
            if item.boolean()? {
                Some(Expect::NoFailover)
            } else {
                item.report(
                    "`no-failover` can only be `true`: leave it out where a failover is fine",
                );
                None
            }
        }
        _ => {
            let mut mapping = item.mapping()?;
            let expect =
                about_times(kind, &mut mapping).or_else(|| about_answers(kind, &mut mapping));
            mapping.finish();
            expect?
        }
    }
}

/// The expectations whose limit is a duration, none if the word is of another kind.
#[expect(
    clippy::option_option,
    reason = "a wrong value is not the same as another kind"
)]
fn about_times(kind: &str, mapping: &mut Mapping<'_>) -> Option<Option<Expect>> {
    Some(match kind {
        "detected" => {
            let within = mapping.require("within", Item::positive_duration);
            let by = mapping.maybe("by", Item::text);
            both(within, by).map(|(within, by)| Expect::Detected { within, by })
        }
        "rto" => {
            let within = mapping.require("within", Item::positive_duration);
            let from = mapping.default("from", ClockStart::Fault, |from| {
                from.word(&[
                    ("fault", ClockStart::Fault),
                    ("impact", ClockStart::Impact),
                    ("declared", ClockStart::Declared),
                ])
            });
            let to = mapping.default("to", ClockStop::Stable, |to| {
                to.word(&[
                    ("stable", ClockStop::Stable),
                    ("first-success", ClockStop::FirstSuccess),
                ])
            });
            let rate = mapping.maybe("pass-rate", Item::pass_rate);
            both(both(within, rate), both(from, to)).map(|((within, pass_rate), (from, to))| {
                Expect::Rto {
                    within,
                    from,
                    to,
                    pass_rate,
                }
            })
        }
        "outage" => mapping
            .require("within", Item::duration)
            .map(|within| Expect::Outage { within }),
        "rpo" => mapping
            .require("within", Item::duration)
            .map(|within| Expect::Rpo { within }),
        "failback" => {
            let to = mapping.require("to", Item::text);
            let within = mapping.require("within", Item::positive_duration);
            let errors = mapping.maybe("errors-at-most", |errors| errors.whole(0..=MOST));
            both(to, both(within, errors)).map(|(to, (within, errors))| Expect::Failback {
                to,
                within,
                errors_at_most: errors.map(u64::from),
            })
        }
        "dns-switch" => {
            let within = mapping.require("within", Item::positive_duration);
            let probe = mapping.maybe("probe", Item::text);
            let to = mapping.maybe("to", Item::text);
            both(within, both(probe, to)).map(|(within, (probe, to))| Expect::DnsSwitch {
                within,
                probe,
                to,
            })
        }
        "stale-dns" => {
            let at_most = mapping.require("at-most", Item::duration);
            let probe = mapping.maybe("probe", Item::text);
            both(at_most, probe).map(|(at_most, probe)| Expect::StaleDns { at_most, probe })
        }
        _ => return None,
    })
}

/// The expectations about answers and their number, none if the word is of another kind.
#[expect(
    clippy::option_option,
    reason = "a wrong value is not the same as another kind"
)]
fn about_answers(kind: &str, mapping: &mut Mapping<'_>) -> Option<Option<Expect>> {
    Some(match kind {
        "availability" => mapping
            .require("at-least", Item::percent)
            .map(|at_least| Expect::Availability { at_least }),
        "flaps" => mapping
            .require("at-most", |at_most| at_most.whole(0..=MOST))
            .map(|at_most| Expect::Flaps { at_most }),
        "max-errors" => {
            let probe = mapping.maybe("probe", Item::text);
            let at_most = mapping.require("at-most", |at_most| at_most.whole(0..=MOST));
            both(probe, at_most).map(|(probe, at_most)| Expect::MaxErrors {
                probe,
                at_most: at_most.into(),
            })
        }
        "header" => {
            let probe = mapping.maybe("probe", Item::text);
            let name = mapping.require("name", Item::header_name);
            let contains = mapping.require("contains", Item::text);
            both(probe, both(name, contains)).map(|(probe, (name, contains))| Expect::Header {
                probe,
                name,
                contains,
            })
        }
        "body" => {
            let probe = mapping.maybe("probe", Item::text);
            let contains = mapping.require("contains", Item::text);
            both(probe, contains).map(|(probe, contains)| Expect::Body { probe, contains })
        }
        "status" => {
            let probe = mapping.maybe("probe", Item::text);
            let is = mapping.require("is", |is| is.filled_list_of(Item::status));
            both(probe, is).map(|(probe, is)| Expect::Status { probe, is })
        }
        _ => return None,
    })
}

fn both<A, B>(one: Option<A>, other: Option<B>) -> Option<(A, B)> {
    one.zip(other)
}

fn path(item: Item<'_>) -> Option<Vec<String>> {
    let items = item.filled_list()?;
    let mut steps: Vec<String> = Vec::new();
    let mut sound = true;
    for item in items {
        let step = item.text();
        if step.is_some() && step.as_ref() == steps.last() {
            item.report(format!(
                "{} follows itself: the path names each change once",
                item.shown()
            ));
            sound = false;
        }
        match step {
            Some(step) => steps.push(step),
            None => sound = false,
        }
    }
    sound.then_some(steps)
}

fn served_by(item: Item<'_>) -> Option<Expect> {
    let entries = item.entries()?;
    if entries.is_empty() {
        item.report("`served-by` is empty");
        return None;
    }
    let probes: Vec<_> = entries
        .into_iter()
        .map(|(key, value)| value.text().map(|tier| (key.name.clone(), tier)))
        .collect();
    probes
        .into_iter()
        .collect::<Option<_>>()
        .map(Expect::ServedBy)
}

fn writes(item: Item<'_>) -> Option<Writes> {
    let (key, value) = item.variant(&["served-by", "fail-with"])?;
    if key.name == "served-by" {
        value.text().map(Writes::ServedBy)
    } else {
        value.filled_list_of(Item::status).map(Writes::FailWith)
    }
}
