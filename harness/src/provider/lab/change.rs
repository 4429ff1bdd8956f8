//! What a fault changes in a lab, and how that is put into words.

use blackstart_lab::control::{
    Answers, Certificate, Ingress, Power, Pulse, Resource, Settings, Writer,
};

use super::{super::ProviderError, words};
use crate::{
    drill,
    environment::{Environment, Target},
};

/// A fault as the lab carries it out.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// What is changed.
    pub resource: Resource,
    /// The new settings; the fields that are not set stay.
    pub settings: Settings,
}

/// Works out what a fault changes. Touches nothing, so that a plan can be shown without a lab.
///
/// # Errors
/// If the environment lacks the target, or its kind of resource cannot do this.
pub fn change(environment: &Environment, fault: &drill::Fault) -> Result<Change, ProviderError> {
    let (target, resource) = target(environment, fault.target())?;
    let unsupported = || ProviderError::Unsupported {
        fault: fault.kind().to_owned(),
        resource: resource.to_string(),
        can: target.faults().join(", "),
    };
    if !target.faults().contains(&fault.kind()) {
        return Err(unsupported());
    }
    let settings = settings(fault).ok_or_else(unsupported)?;
    Ok(Change {
        resource: resource.clone(),
        settings,
    })
}

/// The settings that a fault makes, wherever the lab is that has them; `None` if it is done to no setting.
pub(in crate::provider) fn settings(fault: &drill::Fault) -> Option<Settings> {
    use drill::Fault as F;
    let none = Settings::default();
    Some(match fault {
        F::Scale { replicas, .. } => Settings {
            replicas: Some(*replicas),
            ..none
        },
        F::Stop { .. } => Settings {
            power: Some(Power::Stopped),
            ..none
        },
        F::Kill { .. } => Settings {
            power: Some(Power::Killed),
            ..none
        },
        F::Pause { .. } => Settings {
            power: Some(Power::Paused),
            ..none
        },
        // Nothing in the lab is in a network that it could be taken out of, sends packets of its own, runs programs, or has a switch.
        F::Disconnect { .. }
        | F::Latency { .. }
        | F::Loss { .. }
        | F::Command { .. }
        | F::Disable { .. } => {
            return None;
        }
        F::BlockIngress { .. } => Settings {
            ingress: Some(Ingress::Blocked),
            ..none
        },
        F::BreakHealthPath { path, .. } => Settings {
            health_check_path: Some(path.clone()),
            ..none
        },
        F::InvertHealthCheck { .. } => Settings {
            inverted: Some(true),
            ..none
        },
        F::DisableHealthCheck { .. } => Settings {
            disabled: Some(true),
            ..none
        },
        F::Respond {
            status,
            body,
            delay,
            pulse,
            share,
            ..
        } => Settings {
            answers: Some(Answers::Fixed {
                status: *status,
                body: body.clone(),
                delay: *delay,
                pulse: pulse.map(|drill::Pulse { on, off }| Pulse { on, off }),
                share: *share,
            }),
            ..none
        },
        F::ExpireCertificate { .. } => Settings {
            certificate: Some(Certificate::Expired),
            ..none
        },
        F::LoseZone { zone, .. } => Settings {
            lost_zones: Some(vec![zone.clone()]),
            ..none
        },
        F::FailoverDatabase { .. } => Settings {
            writer: Some(Writer::Second),
            ..none
        },
        F::ShiftWeights { weights, .. } => Settings {
            weights: Some(weights.clone()),
            ..none
        },
    })
}

pub(super) fn target<'a>(
    environment: &'a Environment,
    name: &str,
) -> Result<(&'a Target, &'a Resource), ProviderError> {
    let Some(target @ Target::Lab(resource)) = environment.targets.get(name) else {
        return Err(ProviderError::UnknownTarget {
            target: name.to_owned(),
        });
    };
    Ok((target, resource))
}

impl Change {
    /// What is done, in words.
    pub fn describe(&self) -> String {
        format!("{} on lab {}", words::orders(&self.settings), self.resource)
    }

    /// What undoing it does, in words, before the state is known.
    pub fn describe_revert(&self) -> String {
        format!(
            "set {} of lab {} back to what it was",
            words::names(&self.settings),
            self.resource
        )
    }
}

/// Those fields of `settings` that are set in `mask`.
pub(in crate::provider) fn only(settings: &Settings, mask: &Settings) -> Settings {
    Settings {
        replicas: settings.replicas.filter(|_| mask.replicas.is_some()),
        power: settings.power.filter(|_| mask.power.is_some()),
        ingress: settings.ingress.filter(|_| mask.ingress.is_some()),
        answers: settings.answers.clone().filter(|_| mask.answers.is_some()),
        health_check_path: settings
            .health_check_path
            .clone()
            .filter(|_| mask.health_check_path.is_some()),
        inverted: settings.inverted.filter(|_| mask.inverted.is_some()),
        disabled: settings.disabled.filter(|_| mask.disabled.is_some()),
        lost_zones: settings
            .lost_zones
            .clone()
            .filter(|_| mask.lost_zones.is_some()),
        certificate: settings.certificate.filter(|_| mask.certificate.is_some()),
        weights: mask.weights.as_ref().and_then(|named| {
            let mut weights = settings.weights.clone()?;
            weights.retain(|name, _| named.contains_key(name));
            Some(weights)
        }),
        writer: settings.writer.filter(|_| mask.writer.is_some()),
    }
}

/// The settings with the checksum of each text that a drill may have given in its place: what is written to disk has nothing in it
/// that may be a secret, and is still known again.
pub(in crate::provider) fn without_texts(settings: &Settings) -> Settings {
    let mut settings = settings.clone();
    let body = match &mut settings.answers {
        Some(Answers::Fixed { body, .. }) => body.as_mut(),
        Some(Answers::Normally) | None => None,
    };
    for text in body.into_iter().chain(&mut settings.health_check_path) {
        *text = format!("checksum {:08x}", crc32fast::hash(text.as_bytes()));
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_a_drill_is_known_again_and_not_written_down() {
        let set = |text: &str| {
            let settings = Settings {
                health_check_path: Some(format!("/x?key={text}")),
                answers: Some(Answers::Fixed {
                    status: Some(503),
                    body: Some(text.to_owned()),
                    delay: std::time::Duration::ZERO,
                    pulse: None,
                    share: None,
                }),
                ..Settings::default()
            };
            serde_json::to_string(&without_texts(&settings)).unwrap()
        };
        assert!(!set("hidden").contains("hidden"));
        assert_eq!(set("hidden"), set("hidden"));
        assert_ne!(set("hidden"), set("another"));
    }
}
