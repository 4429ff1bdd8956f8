//! Reaching targets: what a fault does where, and how it is undone.
//!
//! A [`Fault`] is described, captured, injected, verified, reverted and verified again by the runner, in that order; a binding
//! only says how. Nothing here decides when.

pub mod docker;
pub mod lab;
mod reach;
pub mod site;

use std::fmt;

pub use reach::{ReachError, Reached, reach};
use serde::{Deserialize, Serialize};

use crate::{
    causes::with_causes,
    drill,
    environment::{Environment, Target, Thing, Touched},
    probe::BoxFuture,
};

/// What restores a target, as it is written to disk before anything is touched. Holds no secrets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Undo {
    /// The target's name in the environment.
    pub target: String,
    /// The binding that can read `state`.
    pub binding: String,
    /// What the binding itself calls the target, so that it is found again without drill and environment.
    pub resource: String,
    /// What restoring will do, in words a person could follow by hand.
    pub words: String,
    /// The captured state, in the binding's own terms.
    pub state: serde_json::Value,
    /// The same part of the state as the fault leaves it. Never equal to `state`: a fault that changes nothing is none.
    pub injected: serde_json::Value,
}

impl Undo {
    /// That this cannot be read, and why.
    fn unreadable(&self, reason: impl Into<String>) -> ProviderError {
        ProviderError::BadUndo {
            target: self.target.clone(),
            reason: reason.into(),
        }
    }

    /// Refuses what another binding captured.
    fn must_be_of(&self, binding: &str) -> Result<(), ProviderError> {
        if self.binding == binding {
            return Ok(());
        }
        Err(self.unreadable(format!("it is of the binding `{}`", self.binding)))
    }
}

/// A disturbance of one target that can be undone.
pub trait Fault: fmt::Debug + Send + Sync {
    /// What this will do, in words a person can approve beforehand.
    fn describe(&self) -> String;
    /// What this touches, in the terms that limits name.
    fn touches(&self) -> Touched;
    /// Reads the state that [`Fault::revert`] will restore. Changes nothing.
    fn capture(&self) -> BoxFuture<'_, Result<Undo, ProviderError>>;
    /// Breaks the target. May fail half-way; a revert must still work.
    fn inject(&self) -> BoxFuture<'_, Result<(), ProviderError>>;
    /// Reads the target, independently of what the control plane answered to the last change, and says whose state it shows.
    fn current<'a>(&'a self, undo: &'a Undo) -> BoxFuture<'a, Result<Current, ProviderError>>;
    /// Restores the target. Idempotent: on a target that is as it was it changes nothing and succeeds. Whether the target may be
    /// changed at all was decided by whoever calls this, from [`Fault::current`].
    fn revert<'a>(&'a self, undo: &'a Undo) -> BoxFuture<'a, Result<(), ProviderError>>;
}

/// Whose state a target shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Current {
    /// As it was captured.
    AsCaptured,
    /// As the fault leaves it, also one that got only half-way.
    AsInjected,
    /// Neither: somebody or something else has changed it. In words, with what it is, what it was and what the fault set.
    Otherwise(String),
}

/// The health of a target as its own system sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Its opinion.
    pub healthy: bool,
    /// The opinion in words.
    pub detail: String,
}

/// Something that can carry out faults on its targets.
pub trait Provider: fmt::Debug + Send + Sync {
    /// Turns a fault of a drill into one that can be carried out. Changes nothing.
    fn resolve(
        &self,
        environment: &Environment,
        fault: &drill::Fault,
    ) -> Result<Box<dyn Fault>, ProviderError>;
    /// Turns what was captured back into the fault that it undoes, for somebody who has neither the drill nor the environment.
    /// Changes nothing.
    fn recall(&self, undo: &Undo) -> Result<Box<dyn Fault>, ProviderError>;
    /// Reads what the system itself thinks of a target.
    fn health<'a>(
        &'a self,
        environment: &'a Environment,
        target: &'a str,
    ) -> BoxFuture<'a, Result<Health, ProviderError>>;
}

impl From<docker::DockerError> for ProviderError {
    fn from(error: docker::DockerError) -> Self {
        Self::Docker(Box::new(error))
    }
}

/// What a fault will do, worked out without touching anything.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// What will be done, in words.
    pub describe: String,
    /// What undoing it will do, in words.
    pub describe_revert: String,
    /// The binding and what of it is touched: `lab workload/web`.
    pub touches: String,
    /// The thing that is touched, in the terms that limits name.
    pub thing: Thing,
}

/// Works out what a fault will do. Touches nothing, so that a plan can be shown without what it is about.
///
/// # Errors
/// If the environment lacks the target, or this cannot be done to it.
pub fn planned(environment: &Environment, fault: &drill::Fault) -> Result<Planned, ProviderError> {
    let name = fault.target();
    let target = environment.targets.get(name);
    match target {
        Some(Target::Docker(_)) => {
            let change = docker::change(environment, fault)?;
            Ok(Planned {
                describe: change.describe(),
                describe_revert: change.describe_revert(),
                touches: format!("docker {}", change.containers),
                thing: Thing::Docker(change.containers),
            })
        }
        Some(Target::Lab(_)) | None => {
            let change = lab::change(environment, fault)?;
            Ok(Planned {
                describe: change.describe(),
                describe_revert: change.describe_revert(),
                touches: format!("lab {}", change.resource),
                thing: Thing::Lab(change.resource),
            })
        }
    }
}

/// A target could not be reached, read or changed.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// The environment has no target of this name.
    #[error("the environment has no target `{target}`")]
    UnknownTarget {
        /// The name.
        target: String,
    },
    /// The binding cannot do this to this kind of thing.
    #[error("`{fault}` cannot be done to {resource}: it can {can}")]
    Unsupported {
        /// The fault's kind.
        fault: String,
        /// The thing, with its kind.
        resource: String,
        /// What can be done to it.
        can: String,
    },
    /// The control plane could not be asked.
    #[error("{what}: the control plane did not answer: {source}")]
    Unreachable {
        /// What was to be done.
        what: String,
        /// Why it failed.
        source: reqwest::Error,
    },
    /// The control plane said no.
    #[error("{what}: the control plane answered {status}: {message}")]
    Refused {
        /// What was to be done.
        what: String,
        /// The HTTP status.
        status: u16,
        /// What it said.
        message: String,
    },
    /// The container engine could not do it.
    #[error("{}", with_causes(.0))]
    Docker(Box<docker::DockerError>),
    /// What was captured cannot be read.
    #[error("the captured state of `{target}` cannot be read: {reason}")]
    BadUndo {
        /// The target's name.
        target: String,
        /// Why.
        reason: String,
    },
}
