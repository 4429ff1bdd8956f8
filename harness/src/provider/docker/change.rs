//! What a fault does to containers, worked out without an engine, so that a plan can be shown without one.

use std::time::Duration;

use blackstart_lab::{control::Settings, filter::netem::Shape, part::ADMIN_PORT};

use super::{ingress::Blocked, shaping, snapshot::Means};
use crate::{
    drill,
    environment::{Containers, Environment},
    hostile::shell_words,
    provider::{ProviderError, lab},
};

/// A fault as containers feel it.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Whom.
    pub containers: Containers,
    pub(super) action: Action,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Action {
    /// So many of them run.
    Scale(u32),
    Stop,
    Kill,
    Pause,
    /// They are in no network.
    Disconnect,
    BlockIngress(Blocked),
    /// Packets that they send are late, or lost.
    Shape(Shape),
    /// A program runs in them.
    Command(drill::Command),
    /// What plays a part of a lab is told to behave in another way.
    Set(Settings),
}

/// Works out what a fault does. Touches nothing.
///
/// # Errors
/// If the environment lacks the target, or this cannot be done to it.
pub fn change(environment: &Environment, fault: &drill::Fault) -> Result<Change, ProviderError> {
    use drill::Fault as F;
    let containers = super::containers(environment, fault.target())?;
    let can = containers.faults();
    let unsupported = || ProviderError::Unsupported {
        fault: fault.kind().to_owned(),
        resource: containers.to_string(),
        can: can.join(", "),
    };
    if !can.contains(&fault.kind()) {
        return Err(unsupported());
    }
    let action = match fault {
        F::Scale { replicas, .. } => Action::Scale(*replicas),
        F::Stop { .. } => Action::Stop,
        F::Kill { .. } => Action::Kill,
        F::Pause { .. } => Action::Pause,
        F::Disconnect { .. } => Action::Disconnect,
        F::BlockIngress { .. } => Action::BlockIngress(Blocked {
            ports: containers.ports.clone(),
            // Without its control plane a lab's part could neither be watched nor repaired.
            except: if containers.ports.is_empty() {
                vec![ADMIN_PORT]
            } else {
                Vec::new()
            },
            from: containers.from.clone(),
        }),
        F::Latency { delay, jitter, .. } => {
            let real = |duration: Duration| duration.div_f64(environment.speed);
            Action::Shape(Shape {
                delay: real(*delay),
                jitter: real(*jitter),
                loss_percent: 0,
            })
        }
        F::Loss { percent, .. } => Action::Shape(Shape {
            loss_percent: *percent,
            ..Shape::default()
        }),
        F::Command { command, .. } => Action::Command(command.clone()),
        F::ExpireCertificate { .. }
        | F::Disable { .. }
        | F::LoseZone { .. }
        | F::FailoverDatabase { .. }
        | F::ShiftWeights { .. } => return Err(unsupported()),
        F::BreakHealthPath { .. }
        | F::InvertHealthCheck { .. }
        | F::DisableHealthCheck { .. }
        | F::Respond { .. } => Action::Set(lab::settings_of(fault).ok_or_else(unsupported)?),
    };
    Ok(Change {
        containers: containers.clone(),
        action,
    })
}

impl Change {
    /// What is done, in words.
    pub fn describe(&self) -> String {
        let whom = &self.containers;
        match &self.action {
            Action::Scale(replicas) => {
                format!("run {replicas} containers of docker {whom}, stop the others")
            }
            Action::Stop => format!("stop docker {whom}"),
            Action::Kill => format!("kill docker {whom}"),
            Action::Pause => format!("pause docker {whom}"),
            Action::Disconnect => format!("disconnect docker {whom} from all its networks"),
            Action::BlockIngress(blocked) => {
                format!("drop new connections to {blocked} of docker {whom}")
            }
            Action::Shape(shape) => {
                format!(
                    "each packet that docker {whom} sends {}",
                    shaping::words(shape)
                )
            }
            Action::Command(command) => {
                format!("run `{}` in docker {whom}", shell_words(&command.inject))
            }
            Action::Set(settings) => format!("{} on docker {whom}", lab::orders(settings)),
        }
    }

    /// What undoing it does, in words, before the state is known.
    pub fn describe_revert(&self) -> String {
        let whom = &self.containers;
        match &self.action {
            Action::Scale(_) | Action::Stop | Action::Kill => {
                format!("start what ran of docker {whom}")
            }
            Action::Pause => format!("unpause what ran of docker {whom}"),
            Action::Disconnect => {
                format!("connect docker {whom} to its networks again, by its addresses and aliases")
            }
            Action::BlockIngress(_) => {
                format!("remove the packet filter from docker {whom}")
            }
            Action::Shape(_) => format!("take netem away from docker {whom} again"),
            Action::Command(command) => {
                format!("run `{}` in docker {whom}", shell_words(&command.revert))
            }
            Action::Set(settings) => format!(
                "set {} of docker {whom} back to what it was",
                lab::names(settings)
            ),
        }
    }

    pub(super) fn means(&self) -> Means {
        if self.action == Action::Kill {
            Means::Kill
        } else {
            Means::Stop
        }
    }
}
