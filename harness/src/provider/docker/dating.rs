//! When the engine itself says that a fault happened, held against the harness's clock.
//!
//! The engine dates its events by its own wall clock, which may be that of another machine. It is asked for the time once before the
//! fault, so that only what passes since then is compared.

use std::{collections::BTreeMap, time::Duration};

use bollard::{models::EventMessage, query_parameters::EventsOptions};
use futures_util::StreamExt;
use jiff::Timestamp;
use tokio::time::Instant;

use super::{
    DockerError,
    engine::{Engine, asked},
};
use crate::provider::Dated;

/// How far apart the two clocks may date a fault: more than that is no rounding and no busy machine.
const LIMIT: Duration = Duration::from_millis(500);

/// What an engine's clock showed, between two instants of the harness's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    asked: Instant,
    answered: Instant,
    shown: Timestamp,
}

/// When an injection was sent and when it was answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Injected {
    pub(super) sent: Instant,
    pub(super) answered: Instant,
}

/// Reads the engine's clock; `None` if it does not tell.
pub(super) async fn read_clock(engine: &Engine) -> Result<Option<Reading>, DockerError> {
    let asked_at = Instant::now();
    let info = engine
        .client()
        .info()
        .await
        .map_err(asked("asking the engine for its time"))?;
    let answered = Instant::now();
    let shown = info.system_time.and_then(|time| time.parse().ok());
    Ok(shown.map(|shown| Reading {
        asked: asked_at,
        answered,
        shown,
    }))
}

/// Finds the events of an injection: of each container, by its id and name, the action that it should have.
pub(super) async fn dated(
    engine: &Engine,
    reading: Reading,
    injected: Injected,
    expected: &BTreeMap<String, (String, &'static str)>,
) -> Result<Dated, DockerError> {
    let time = |at: Timestamp| {
        format!(
            "{}.{:09}",
            at.as_second(),
            at.subsec_nanosecond().unsigned_abs()
        )
    };
    let passed = jiff::SignedDuration::try_from(reading.asked.elapsed()).unwrap_or_default();
    let actions = expected.values().flat_map(|(_, action)| words(action));
    let options = EventsOptions {
        since: Some(time(reading.shown)),
        // What has not passed yet would be waited for.
        until: Some(time(reading.shown + passed)),
        filters: Some([("event".to_owned(), actions.map(str::to_owned).collect())].into()),
    };
    let mut events = Box::pin(engine.client().events(Some(options)));
    let mut found = BTreeMap::new();
    while let Some(event) = events.next().await {
        let event = event.map_err(asked("reading the engine's events"))?;
        if let Some((id, at)) = happened(&event, expected) {
            found.insert(id, at);
        }
    }
    Ok(held_against(reading, injected, expected, &found))
}

/// An action as Docker calls it, and as Podman does.
fn words(action: &'static str) -> impl Iterator<Item = &'static str> {
    let podman = (action == "die").then_some("died");
    std::iter::once(action).chain(podman)
}

/// Which container an event is about, and when it happened by the engine's clock.
fn happened(
    event: &EventMessage,
    expected: &BTreeMap<String, (String, &'static str)>,
) -> Option<(String, Timestamp)> {
    let actor = event.actor.as_ref()?;
    // Networks tell of the container in an attribute.
    let attributes = actor.attributes.as_ref();
    let container = attributes.and_then(|attributes| attributes.get("container"));
    let id = [container, actor.id.as_ref()]
        .into_iter()
        .flatten()
        .find(|id| expected.contains_key(*id))?;
    let (_, action) = expected.get(id)?;
    let told = event.action.as_deref()?;
    if !words(action).any(|word| word == told) {
        return None;
    }
    let at = match (event.time_nano, event.time) {
        (Some(nanoseconds), _) => Timestamp::from_nanosecond(nanoseconds.into()),
        (None, Some(seconds)) => Timestamp::from_second(seconds),
        (None, None) => return None,
    };
    Some((id.clone(), at.ok()?))
}

fn held_against(
    reading: Reading,
    injected: Injected,
    expected: &BTreeMap<String, (String, &'static str)>,
    found: &BTreeMap<String, Timestamp>,
) -> Dated {
    let mut missing: Vec<&str> = expected
        .iter()
        .filter(|(id, _)| !found.contains_key(*id))
        .map(|(_, (name, _))| name.as_str())
        .collect();
    missing.sort_unstable();
    if !missing.is_empty() {
        return Dated {
            words: format!(
                "the engine has no event of it for {}, so its time is known from this clock alone",
                missing.join(", ")
            ),
            agrees: false,
        };
    }
    let seconds = |at: Instant| -> f64 {
        // Counted from when it was sent.
        match at.checked_duration_since(injected.sent) {
            Some(after) => after.as_secs_f64(),
            None => -(injected.sent - at).as_secs_f64(),
        }
    };
    let offsets = found
        .values()
        .map(|at| at.duration_since(reading.shown).as_secs_f64());
    let (first, last) = offsets.fold((f64::MAX, f64::MIN), |(first, last), offset| {
        (first.min(offset), last.max(offset))
    });
    // The engine read its clock between the two instants.
    let earliest = seconds(reading.asked) + first;
    let latest = seconds(reading.answered) + last;
    let answered = seconds(injected.answered);
    let limit = LIMIT.as_secs_f64();
    let agrees = latest >= -limit && earliest <= answered + limit;
    let span = if latest - earliest < 0.001 {
        format!("{latest:.3} s")
    } else {
        format!("{earliest:.3} to {latest:.3} s")
    };
    let words = format!(
        "the engine dates it {span} of real time after it was sent, and it was answered after {answered:.3} s"
    );
    Dated {
        words: if agrees {
            words
        } else {
            format!(
                "{words}: the clocks disagree, so one of them has jumped, or somebody else did the same; times here are by this clock"
            )
        },
        agrees,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn expected() -> BTreeMap<String, (String, &'static str)> {
        [("abc".to_owned(), ("vm".to_owned(), "die"))].into()
    }

    /// The engine's clock is read at 0 s to 0.01 s, the fault is sent at 1 s and answered at 1.2 s.
    fn dated_at(offset: Option<f64>) -> Dated {
        let start = Instant::now();
        let reading = Reading {
            asked: start,
            answered: start + Duration::from_millis(10),
            shown: Timestamp::UNIX_EPOCH,
        };
        let injected = Injected {
            sent: start + SECOND,
            answered: start + SECOND + Duration::from_millis(200),
        };
        let found = offset.map(|offset| {
            let offset = jiff::SignedDuration::from_secs_f64(offset);
            ("abc".to_owned(), Timestamp::UNIX_EPOCH + offset)
        });
        held_against(reading, injected, &expected(), &found.into_iter().collect())
    }

    #[test]
    fn an_event_between_sent_and_answered_confirms_the_time() {
        let dated = dated_at(Some(1.15));
        assert!(dated.agrees);
        assert!(dated.words.contains("0.150 to 0.160 s"), "{}", dated.words);
    }

    #[test]
    fn an_event_far_from_the_injection_is_a_disagreement() {
        for offset in [0.4, 1.8, -3600.0, 3600.0] {
            let dated = dated_at(Some(offset));
            assert!(!dated.agrees, "{offset}");
            assert!(dated.words.contains("the clocks disagree"));
        }
        for offset in [0.6, 1.6] {
            assert!(dated_at(Some(offset)).agrees, "{offset}: within the limit");
        }
    }

    #[test]
    fn without_an_event_nothing_is_confirmed() {
        let dated = dated_at(None);
        assert!(!dated.agrees);
        assert!(dated.words.contains("no event of it for vm"));
    }

    #[test]
    fn events_are_told_by_container_and_action_also_those_of_networks() {
        use bollard::models::EventActor;
        let event = |id: &str, container: Option<&str>, action: &str| EventMessage {
            action: Some(action.to_owned()),
            actor: Some(EventActor {
                id: Some(id.to_owned()),
                attributes: container
                    .map(|container| [("container".to_owned(), container.to_owned())].into()),
            }),
            time: Some(1),
            time_nano: Some(1_500_000_000),
            ..EventMessage::default()
        };
        let mut expected = expected();
        let at = Timestamp::from_millisecond(1500).unwrap();
        let found = Some(("abc".to_owned(), at));
        assert_eq!(happened(&event("abc", None, "die"), &expected), found);
        assert_eq!(happened(&event("abc", None, "died"), &expected), found);
        assert_eq!(happened(&event("abc", None, "stop"), &expected), None);
        assert_eq!(happened(&event("other", None, "die"), &expected), None);
        expected.insert("abc".to_owned(), ("vm".to_owned(), "disconnect"));
        let of_network = event("network", Some("abc"), "disconnect");
        assert_eq!(happened(&of_network, &expected), found);
    }
}
