//! Reaching targets: what a fault does where, and how it is undone.
//!
//! A [`Fault`] is described, captured, injected, verified, reverted and verified again by the runner, in that order; a binding
//! only says how. Nothing here decides when.

mod attached;
#[cfg(feature = "aws")]
pub mod aws;
#[cfg(not(feature = "aws"))]
#[path = "aws_left_out.rs"]
mod aws;
#[cfg(feature = "azure")]
pub mod azure;
#[cfg(not(feature = "azure"))]
#[path = "azure_left_out.rs"]
mod azure;
mod bindings;
pub mod command;
pub mod docker;
#[cfg(feature = "kubernetes")]
pub mod kubernetes;
#[cfg(not(feature = "kubernetes"))]
#[path = "kubernetes_left_out.rs"]
mod kubernetes;
pub mod lab;
mod programs;
mod reach;
pub mod site;

use std::{fmt, time::Duration};

pub use attached::{Attached, attach};
pub use bindings::Bindings;
pub use reach::{ReachError, Reached, reach};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    causes::with_causes,
    drill,
    environment::{Binding, Environment, Target, Thing, Touched},
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

    /// The captured state.
    fn captured<T: DeserializeOwned>(&self) -> Result<T, ProviderError> {
        serde_json::from_value(self.state.clone())
            .map_err(|error| self.unreadable(error.to_string()))
    }

    /// The captured state, and the one that the fault leaves.
    fn captured_and_injected<T: DeserializeOwned>(&self) -> Result<(T, T), ProviderError> {
        let injected = serde_json::from_value(self.injected.clone())
            .map_err(|error| self.unreadable(error.to_string()))?;
        Ok((self.captured()?, injected))
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
    /// Finds out, before anything is broken, whether what is needed is there, such as a kernel that can do it. Touches no target.
    fn prepare(&self) -> BoxFuture<'_, Result<(), ProviderError>> {
        Box::pin(async { Ok(()) })
    }
    /// Reads the state that [`Fault::revert`] will restore. Changes nothing.
    fn capture(&self) -> BoxFuture<'_, Result<Undo, ProviderError>>;
    /// Asks the control plane, once the state was captured, whether it would let the fault through, and what there is that would
    /// work against it: in words. Changes nothing.
    fn rehearse(&self) -> BoxFuture<'_, Result<Vec<String>, ProviderError>> {
        Box::pin(async { Ok(Vec::new()) })
    }
    /// Breaks the target. May fail half-way; a revert must still work.
    fn inject(&self) -> BoxFuture<'_, Result<(), ProviderError>>;
    /// Reads the target, independently of what the control plane answered to the last change, and says whose state it shows.
    fn current<'a>(&'a self, undo: &'a Undo) -> BoxFuture<'a, Result<Current, ProviderError>>;
    /// What the target's own system says of when it was broken, held against the harness's clock; `None` if it says nothing of such a
    /// fault. Asked once the fault is in place.
    fn dated(&self) -> BoxFuture<'_, Result<Option<Dated>, ProviderError>> {
        Box::pin(async { Ok(None) })
    }
    /// How long one injection, one attempt to revert, or the reading before it may take where that is longer than usual: there are
    /// control planes that take minutes for a machine. Such a fault is reverted after the others, and those of one resource are alike
    /// in this, or they would be put back in the wrong order.
    fn patience(&self) -> Option<Duration> {
        None
    }
    /// How long a call without an answer may take to have its effect, where that is longer than usual.
    fn doubt(&self) -> Option<Duration> {
        None
    }
    /// Restores the target. Idempotent: on a target that is as it was it changes nothing and succeeds. Whether the target may be
    /// changed at all was decided by whoever calls this, from [`Fault::current`].
    fn revert<'a>(&'a self, undo: &'a Undo) -> BoxFuture<'a, Result<(), ProviderError>>;
}

/// When the target's own system says that it was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dated {
    /// What it says, in words.
    pub words: String,
    /// Whether that agrees with the harness's clock.
    pub agrees: bool,
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
    /// Looks for traps in how the service of an environment is really set up, as far as this user may see it: in words. Changes nothing.
    fn findings<'a>(&'a self, _environment: &'a Environment) -> BoxFuture<'a, Vec<String>> {
        Box::pin(async { Vec::new() })
    }
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
    /// What may keep the fault from doing what is expected of it, or make it last.
    pub warnings: Vec<String>,
}

/// A system that an environment's targets are in, and what is missing on this machine to reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// The binding.
    pub binding: Binding,
    /// The system, as it would be reached.
    pub system: String,
    /// What is missing.
    pub missing: Vec<String>,
}

/// What an environment's targets need besides a lab, as far as this machine shows it. Asks nobody.
pub fn needs(environment: &Environment) -> Vec<Need> {
    let of = |binding: Binding| match binding {
        // What these need is found out, and told, when they are attached.
        Binding::Lab | Binding::Docker => Vec::new(),
        Binding::Kubernetes => kubernetes::needs(environment),
        Binding::Aws => aws::needs(environment),
        Binding::Command => programs::needs(environment),
        Binding::Azure => azure::needs(environment),
    };
    environment.bindings().into_iter().flat_map(of).collect()
}

/// What a user of a system must be allowed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permissions {
    /// The binding.
    pub binding: Binding,
    /// The system.
    pub system: String,
    /// The least that is needed, in the system's own terms, as it can be given there.
    pub text: String,
}

/// The least that some faults and the observers of their environment need, for each system that has such a thing.
///
/// # Errors
/// If a fault cannot be done to its target, or this program lacks what reaches it.
pub fn permissions(
    environment: &Environment,
    faults: &[&drill::Fault],
) -> Result<Vec<Permissions>, ProviderError> {
    let mut permissions = Vec::new();
    for binding in environment.bindings() {
        match binding {
            // Whoever may talk to these may do everything there, and what programs need only they know.
            Binding::Lab | Binding::Docker | Binding::Command => {}
            Binding::Azure => permissions.extend(azure::permissions(environment, faults)?),
            Binding::Kubernetes => {
                permissions.extend(kubernetes::permissions(environment, faults)?);
            }
            Binding::Aws => permissions.extend(aws::permissions(environment, faults)?),
        }
    }
    Ok(permissions)
}

/// The systems that this machine would reach where an environment does not say which. Asks nobody.
pub fn systems_here() -> Vec<Need> {
    vec![kubernetes::here(), aws::here(), azure::here()]
}

/// Whether a program would be found that is named as in a shell: by its path, or in the folders of `PATH`.
fn is_program(program: &str) -> bool {
    if program.contains(std::path::MAIN_SEPARATOR) {
        return std::path::Path::new(program).is_file();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
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
                warnings: Vec::new(),
            })
        }
        Some(Target::Kubernetes(objects)) => kubernetes::planned(objects, fault),
        Some(Target::Aws(resource)) => aws::planned(resource, fault),
        Some(Target::Command(programs)) => programs::planned(programs, fault),
        Some(Target::Azure(resource)) => azure::planned(resource, fault),
        Some(Target::Lab(_)) | None => {
            let change = lab::change(environment, fault)?;
            Ok(Planned {
                describe: change.describe(),
                describe_revert: change.describe_revert(),
                touches: format!("lab {}", change.resource),
                thing: Thing::Lab(change.resource),
                warnings: Vec::new(),
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
    /// This program was built without what reaches the target.
    #[error(
        "this program was built without the feature `{binding}`: build it with `cargo install blackstart --features {binding}`"
    )]
    NotBuiltIn {
        /// The binding, which is also the name of the feature.
        binding: Binding,
    },
    /// Nothing was opened that reaches the target.
    #[error("nothing is there that reaches targets of `{binding}`")]
    NotReached {
        /// The binding.
        binding: Binding,
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
    /// Azure could not do it.
    #[cfg(feature = "azure")]
    #[error("{}", with_causes(.0))]
    Azure(Box<azure::AzureError>),
    /// A Kubernetes cluster could not do it.
    #[cfg(feature = "kubernetes")]
    #[error("{}", with_causes(.0))]
    Kubernetes(Box<kubernetes::KubernetesError>),
    /// AWS could not do it.
    #[cfg(feature = "aws")]
    #[error("{}", with_causes(.0))]
    Aws(Box<aws::AwsError>),
    /// A program of a `command` fault did not do what it is for.
    #[error(transparent)]
    Command(#[from] command::CommandError),
    /// What was captured cannot be read.
    #[error("the captured state of `{target}` cannot be read: {reason}")]
    BadUndo {
        /// The target's name.
        target: String,
        /// Why.
        reason: String,
    },
}
