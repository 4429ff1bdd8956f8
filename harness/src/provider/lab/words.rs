//! The settings of the lab in words: for who approves a plan, and for who puts something back by hand.

use blackstart_lab::control::{Answers, Certificate, Ingress, Power, Pulse, Settings, Writer};

use crate::drill::duration_words;

/// One setting.
struct Words {
    /// What it is called.
    name: &'static str,
    /// What it is: `503 to every request`.
    state: String,
    /// What to do so that it becomes that: `answer every request with 503`.
    order: String,
}

/// What to do so that the settings become these: `set replicas to 0`.
pub(in crate::provider) fn orders(settings: &Settings) -> String {
    joined(settings, |words| words.order)
}

/// What the settings are: `replicas 0`.
pub(in crate::provider) fn states(settings: &Settings) -> String {
    joined(settings, |words| format!("{} {}", words.name, words.state))
}

/// What the settings are called.
pub(in crate::provider) fn names(settings: &Settings) -> String {
    joined(settings, |words| words.name.to_owned())
}

fn joined(settings: &Settings, part: impl Fn(Words) -> String) -> String {
    let parts: Vec<String> = words(settings).into_iter().map(part).collect();
    parts.join(", ")
}

/// The settings that are set, one by one.
fn words(settings: &Settings) -> Vec<Words> {
    let Settings {
        replicas,
        power,
        ingress,
        answers,
        health_check_path,
        inverted,
        disabled,
        lost_zones,
        certificate,
        weights,
        writer,
    } = settings;
    let power = power.map(|power| match power {
        Power::Running => "running",
        Power::Stopped => "stopped",
        Power::Killed => "killed",
        Power::Paused => "paused",
    });
    let ingress = ingress.map(|ingress| match ingress {
        Ingress::Open => "open",
        Ingress::Blocked => "blocked",
    });
    let result = inverted.map(|inverted| if inverted { "inverted" } else { "as it is" });
    let check = disabled.map(|disabled| if disabled { "off" } else { "on" });
    let zones = lost_zones.as_ref().map(|zones| match zones.as_slice() {
        [] => "none".to_owned(),
        zones => zones.join(", "),
    });
    let certificate = certificate.map(|certificate| match certificate {
        Certificate::Valid => "a valid one",
        Certificate::Expired => "an expired one",
        Certificate::WrongName => "one for another name",
    });
    let weights = weights.as_ref().map(|weights| {
        let weights: Vec<String> = weights
            .iter()
            .map(|(name, weight)| format!("{name} {weight}"))
            .collect();
        weights.join(", ")
    });
    let writer = writer.map(|writer| match writer {
        Writer::First => "the first instance",
        Writer::Second => "the second instance",
    });
    let all = [
        replicas.map(|replicas| set("replicas", replicas.to_string())),
        power.map(|power| set("power", power)),
        ingress.map(|ingress| set("ingress", ingress)),
        answers.as_ref().map(self::answers),
        health_check_path
            .as_ref()
            .map(|path| set("the health check's path", path)),
        result.map(|result| set("the health check's result", result)),
        check.map(|check| set("the health check", check)),
        zones.map(|zones| set("the lost zones", zones)),
        certificate.map(|certificate| set("the certificate", certificate)),
        weights.map(|weights| set("the weights", weights)),
        writer.map(|writer| set("the writer", writer)),
    ];
    all.into_iter().flatten().collect()
}

fn set(name: &'static str, state: impl Into<String>) -> Words {
    let state = state.into();
    Words {
        name,
        order: format!("set {name} to {state}"),
        state,
    }
}

fn answers(answers: &Answers) -> Words {
    let (state, order) = match answers {
        Answers::Normally => ("normal".to_owned(), "set answers to normal".to_owned()),
        Answers::Fixed {
            status,
            body,
            delay,
            pulse,
            share,
        } => {
            let later = if delay.is_zero() {
                String::new()
            } else {
                format!(" after {}", duration_words(*delay))
            };
            let later = match pulse {
                Some(Pulse { on, off }) => {
                    let (on, off) = (duration_words(*on), duration_words(*off));
                    format!("{later}, {on} on and {off} off")
                }
                None => later,
            };
            let whom = match share {
                Some(share) => format!("{share} % of the requests"),
                None => "every request".to_owned(),
            };
            let body = body.as_ref().map_or_else(String::new, |body| {
                format!(" and a body of {} bytes", body.len())
            });
            match status {
                Some(status) => (
                    format!("{status}{body} to {whom}{later}"),
                    format!("answer {whom} with {status}{body}{later}"),
                ),
                None => (
                    format!("normal{later}"),
                    format!("answer {whom} as usual{later}"),
                ),
            }
        }
    };
    Words {
        name: "answers",
        state,
        order,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_setting_is_told_in_words() {
        let none = Settings::default;
        let fixed = |status, body: Option<&str>, seconds| Settings {
            answers: Some(Answers::Fixed {
                status,
                body: body.map(str::to_owned),
                delay: Duration::from_secs(seconds),
                pulse: None,
                share: None,
            }),
            ..none()
        };
        for (settings, order, state) in [
            (
                Settings {
                    replicas: Some(0),
                    ..none()
                },
                "set replicas to 0",
                "replicas 0",
            ),
            (
                Settings {
                    power: Some(Power::Stopped),
                    ..none()
                },
                "set power to stopped",
                "power stopped",
            ),
            (
                Settings {
                    ingress: Some(Ingress::Open),
                    ..none()
                },
                "set ingress to open",
                "ingress open",
            ),
            (
                Settings {
                    answers: Some(Answers::Normally),
                    ..none()
                },
                "set answers to normal",
                "answers normal",
            ),
            (
                fixed(Some(503), None, 0),
                "answer every request with 503",
                "answers 503 to every request",
            ),
            (
                fixed(Some(200), Some("secret"), 2),
                "answer every request with 200 and a body of 6 bytes after 2s",
                "answers 200 and a body of 6 bytes to every request after 2s",
            ),
            (
                fixed(None, None, 90),
                "answer every request as usual after 90s",
                "answers normal after 90s",
            ),
            (
                Settings {
                    health_check_path: Some("/x".to_owned()),
                    ..none()
                },
                "set the health check's path to /x",
                "the health check's path /x",
            ),
            (
                Settings {
                    inverted: Some(true),
                    disabled: Some(false),
                    ..none()
                },
                "set the health check's result to inverted, set the health check to on",
                "the health check's result inverted, the health check on",
            ),
            (
                Settings {
                    lost_zones: Some(vec!["a".to_owned()]),
                    certificate: Some(Certificate::Expired),
                    ..none()
                },
                "set the lost zones to a, set the certificate to an expired one",
                "the lost zones a, the certificate an expired one",
            ),
            (
                Settings {
                    lost_zones: Some(Vec::new()),
                    writer: Some(Writer::Second),
                    ..none()
                },
                "set the lost zones to none, set the writer to the second instance",
                "the lost zones none, the writer the second instance",
            ),
            (
                Settings {
                    weights: Some(
                        [("a.test", 10), ("b.test", 90)]
                            .map(|(name, weight)| (name.to_owned(), weight))
                            .into(),
                    ),
                    ..none()
                },
                "set the weights to a.test 10, b.test 90",
                "the weights a.test 10, b.test 90",
            ),
        ] {
            assert_eq!(
                (orders(&settings), states(&settings)),
                (order.to_owned(), state.to_owned())
            );
        }
        assert_eq!(names(&fixed(Some(503), None, 0)), "answers");
    }
}
