//! A drill file's tree made into a [`Drill`]. Everything that is wrong is reported in one pass.

use std::{collections::BTreeMap, time::Duration};

use blackstart_lab::stack::MOST_REPLICAS;

use super::{
    After, Command, Drill, Fault, Hold, InconclusivePolicy, Located, Pulse, SteadyState, Step,
    abort_if, exercise, expectations, pauses::Besides,
};
use crate::source::{Context, Document, Item, Problem, Problems, unknown_key};

/// How long the service must have been good before anything is broken, unless the drill says otherwise.
const STEADY_FOR: Duration = Duration::from_secs(10);

/// The path asked by a broken health check, unless the drill says otherwise.
const BROKEN_PATH: &str = "/nonexistent";

/// The faults by their words, in the order of the documentation.
pub(crate) const FAULTS: [&str; 18] = [
    "scale",
    "stop",
    "kill",
    "pause",
    "disconnect",
    "block-ingress",
    "latency",
    "loss",
    "command",
    "break-health-path",
    "invert-health-check",
    "disable-health-check",
    "disable",
    "respond",
    "expire-certificate",
    "lose-zone",
    "failover-database",
    "shift-weights",
];

pub(crate) fn decode(document: &Document) -> (Option<Drill>, Problems) {
    let context = Context::of(document);
    let drill = decode_file(&context, document);
    let problems = context.into_problems();
    (drill.filter(|_| !problems.has_errors()), problems)
}

fn decode_file(context: &Context<'_>, document: &Document) -> Option<Drill> {
    let mut file = Item::new(context, &document.root, "the file").mapping()?;
    let name = file.require("drill", Item::name);
    let about = file.default("about", String::new(), Item::text);
    let environment = file.require("environment", Item::text);
    let tags = file.default("tags", Vec::new(), |tags| tags.list_of(Item::name));
    let steady_state = file.default(
        "steady-state",
        SteadyState {
            r#for: STEADY_FOR,
            served_by: None,
        },
        steady_state,
    );
    let faults = file.require("faults", |faults| {
        let mut broken = false;
        let steps: Vec<Option<Step>> = faults
            .filled_list()?
            .into_iter()
            .map(|item| {
                let step = step(item, !broken);
                broken |= step.as_ref().is_none_or(|step| step.pause.is_none());
                step
            })
            .collect();
        if !broken {
            faults.report("nothing here breaks anything: every entry waits for a person");
            return None;
        }
        steps.into_iter().collect::<Option<Vec<Step>>>()
    });
    let hold = file.require("hold", hold);
    let abort_if = file.default("abort-if", Vec::new(), abort_if::decode);
    let expect = file.require("expect", expectations::decode);
    let inconclusive = file.default("inconclusive", InconclusivePolicy::Fail, |item| {
        item.word(&[
            ("fail", InconclusivePolicy::Fail),
            ("warn", InconclusivePolicy::Warn),
        ])
    });
    let exercise = file.maybe("exercise", exercise::decode);
    file.finish();
    Some(Drill {
        name: name?,
        about: about?,
        environment: environment?,
        tags: tags?,
        steady_state: steady_state?,
        faults: faults?,
        hold: hold?,
        abort_if: abort_if?,
        expect: expect?,
        inconclusive: inconclusive?,
        exercise: exercise?,
        file: document.file.clone(),
        text: document.text.to_string(),
        variables: document.variables.with_words(context.words()),
    })
}

fn steady_state(item: Item<'_>) -> Option<SteadyState> {
    let mut mapping = item.mapping()?;
    let r#for = mapping.default("for", STEADY_FOR, Item::positive_duration);
    let served_by = mapping.maybe("served-by", Item::text);
    mapping.finish();
    Some(SteadyState {
        r#for: r#for?,
        served_by: served_by?,
    })
}

fn hold(item: Item<'_>) -> Option<Hold> {
    if item.is_text("until stable") {
        return Some(Hold::UntilStable);
    }
    if item.starts_with("until") {
        item.context().push(
            item.problem(format!("{} is not a time to hold", item.shown()))
                .with_hint("write `hold: until stable`, or a duration such as `hold: 4m`"),
        );
        return None;
    }
    item.positive_duration().map(Hold::For)
}

/// An entry of `faults:`.
fn step(item: Item<'_>, first: bool) -> Option<Step> {
    let mut mapping = item.mapping()?;
    let after = mapping.default("after", After::Immediately, |after| {
        if after.is_text("recovered") {
            if first {
                after.report(
                    "nothing has been broken before the first fault that could be recovered from",
                );
                return None;
            }
            return Some(After::Recovered);
        }
        if after.is_mapping() {
            let mut mapping = after.mapping()?;
            let good_for = mapping.require("good-for", Item::positive_duration);
            mapping.finish();
            return good_for.map(After::GoodFor);
        }
        after.positive_duration().map(After::Delay)
    });
    let together = mapping.optional("together");
    let besides = Besides::take(&mut mapping);
    let single: Vec<_> = mapping.others().collect();
    let mut sound = true;
    for (key, _) in &single {
        if !FAULTS.contains(&key.name.as_str()) {
            let more = ["together", "after", "role", "within"];
            let known: Vec<&str> = FAULTS.into_iter().chain(more).collect();
            item.context()
                .push(unknown_key(item.context().file(), key, &known));
            sound = false;
        }
    }
    if sound
        && let (None, [(key, value)]) = (together, single.as_slice())
        && key.name == "pause"
        && !value.is_mapping()
    {
        let pause = besides.pause(*value, key.place.at);
        return Some(Step {
            faults: Vec::new(),
            pause: Some(pause?),
            after: after?,
        });
    }
    // One without any fault is told just that.
    sound &= (together.is_none() && single.is_empty()) || besides.refuse();
    let faults = match (together, single.as_slice()) {
        _ if !sound => None,
        (Some(list), []) => list.filled_list_of(|item| {
            let (key, value) = item.variant(&FAULTS)?;
            located_fault(&key.name, value, key.place.at)
        }),
        (None, [(key, value)]) => {
            located_fault(&key.name, *value, key.place.at).map(|fault| vec![fault])
        }
        (None, []) => {
            item.context().push(
                item.problem("this entry names no fault")
                    .with_hint("write one, such as `stop: { target: web }`"),
            );
            None
        }
        (_, [.., (key, _)]) => {
            item.context().push(
                Problem::error(
                    item.context().file(),
                    key.place,
                    format!("`{}` is one fault too many for one entry", key.name),
                )
                .with_hint("give each fault its own `- `, or put them under `together:` to inject them at the same time"),
            );
            None
        }
    };
    Some(Step {
        faults: faults?,
        pause: None,
        after: after?,
    })
}

fn located_fault(
    kind: &str,
    item: Item<'_>,
    at: crate::source::Position,
) -> Option<Located<Fault>> {
    let mut mapping = item.mapping()?;
    let target = mapping.require("target", Item::text);
    let fault = match kind {
        "scale" => {
            let replicas =
                mapping.require("replicas", |replicas| replicas.whole(0..=MOST_REPLICAS));
            mapping.finish();
            Fault::Scale {
                target: target?,
                replicas: replicas?,
            }
        }
        "latency" => {
            let delay = mapping.require("delay", Item::positive_duration);
            let jitter = mapping.default("jitter", Duration::ZERO, Item::duration);
            let item = mapping.item();
            mapping.finish();
            let (target, delay, jitter) = (target?, delay?, jitter?);
            if jitter > delay {
                item.report("`jitter` is more than `delay`: no packet can be early");
                return None;
            }
            Fault::Latency {
                target,
                delay,
                jitter,
            }
        }
        "loss" => {
            let percent = mapping.require("percent", |percent| percent.whole(1..=100));
            mapping.finish();
            Fault::Loss {
                target: target?,
                percent: percent?,
            }
        }
        "command" => {
            let command = Command::decode(&mut mapping);
            mapping.finish();
            Fault::Command {
                target: target?,
                command: command?,
            }
        }
        "break-health-path" => {
            let path = mapping.default("path", BROKEN_PATH.to_owned(), Item::path);
            mapping.finish();
            Fault::BreakHealthPath {
                target: target?,
                path: path?,
            }
        }
        "respond" => {
            let status = mapping.maybe("status", Item::status);
            let body = mapping.maybe("body", Item::text);
            let delay = mapping.default("delay", Duration::ZERO, Item::duration);
            let pulse = mapping.maybe("pulse", pulse);
            let share = mapping.maybe("share", |share| {
                share
                    .whole(1..=99)
                    .and_then(|share| u8::try_from(share).ok())
            });
            let item = mapping.item();
            mapping.finish();
            let (target, status, body, delay) = (target?, status?, body?, delay?);
            if status.is_none() && body.is_none() && delay.is_zero() {
                item.report("`respond` changes nothing: give `status`, `body` or `delay`");
                return None;
            }
            if body.is_some() && status.is_none() {
                item.report("a `body` needs the `status` it is answered with");
                return None;
            }
            Fault::Respond {
                target,
                status,
                body,
                delay,
                pulse: pulse?,
                share: share?,
            }
        }
        "lose-zone" => {
            let zone = mapping.require("zone", Item::name);
            mapping.finish();
            Fault::LoseZone {
                target: target?,
                zone: zone?,
            }
        }
        "shift-weights" => {
            let weights = mapping.require("weights", weights);
            mapping.finish();
            Fault::ShiftWeights {
                target: target?,
                weights: weights?,
            }
        }
        _ => {
            mapping.finish();
            plain_fault(kind, target?)?
        }
    };
    Some(Located { value: fault, at })
}

fn pulse(item: Item<'_>) -> Option<Pulse> {
    let mut mapping = item.mapping()?;
    let on = mapping.require("on", Item::positive_duration);
    let off = mapping.require("off", Item::positive_duration);
    mapping.finish();
    Some(Pulse { on: on?, off: off? })
}

fn weights(item: Item<'_>) -> Option<BTreeMap<String, u8>> {
    let entries = item.entries()?;
    if entries.is_empty() {
        item.report("`weights` is empty");
        return None;
    }
    let weights: Vec<_> = entries
        .into_iter()
        .map(|(key, value)| {
            let weight = value.whole(0..=255)?;
            Some((key.name.clone(), u8::try_from(weight).ok()?))
        })
        .collect();
    weights.into_iter().collect()
}

/// The faults that need nothing but a target.
fn plain_fault(kind: &str, target: String) -> Option<Fault> {
    Some(match kind {
        "stop" => Fault::Stop { target },
        "kill" => Fault::Kill { target },
        "pause" => Fault::Pause { target },
        "disconnect" => Fault::Disconnect { target },
        "block-ingress" => Fault::BlockIngress { target },
        "invert-health-check" => Fault::InvertHealthCheck { target },
        "disable-health-check" => Fault::DisableHealthCheck { target },
        "disable" => Fault::Disable { target },
        "expire-certificate" => Fault::ExpireCertificate { target },
        "failover-database" => Fault::FailoverDatabase { target },
        _ => return None,
    })
}
