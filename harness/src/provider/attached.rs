//! What was there before a run: found and opened for it.

use std::{path::Path, sync::Arc};

use blackstart_lab::control::Description;

use super::{
    Bindings, ReachError, aws, azure, docker, kubernetes, lab, programs::ProgramsProvider,
};
use crate::{
    environment::{Binding, Environment},
    journal::Access,
};

/// Systems that were there before a run and will be after it.
#[derive(Debug, Clone, Default)]
pub struct Attached {
    /// What changes each.
    pub bindings: Bindings,
    /// What the lab among them told of itself. Without one, a `stack` is started for the run, and a service without a stack is
    /// somewhere else.
    pub description: Option<Description>,
    /// How each is found again.
    pub access: Vec<Access>,
}

impl Attached {
    /// Whether there is nothing that outlives the run.
    pub fn is_empty(&self) -> bool {
        self.access.is_empty()
    }

    /// Both together.
    fn and(mut self, other: Self) -> Self {
        self.bindings = self.bindings.and(other.bindings);
        self.description = self.description.or(other.description);
        self.access.extend(other.access);
        self
    }
}

/// Finds what of an environment is there before a run: the lab whose token is in a file, containers, clusters.
///
/// # Errors
/// If one of them cannot be reached.
pub async fn attach(
    environment: &Environment,
    token_file: Option<&Path>,
) -> Result<Attached, ReachError> {
    let mut attached = match token_file {
        Some(token_file) => lab::find(token_file).await?,
        None => Attached::default(),
    };
    for binding in environment.bindings() {
        attached = attached.and(match binding {
            // Without a token file it is started for the run.
            Binding::Lab => Attached::default(),
            Binding::Docker => docker::attach(environment).await?,
            Binding::Azure => azure::attach(environment)?,
            Binding::Kubernetes => kubernetes::attach(environment).await?,
            Binding::Aws => aws::attach(environment).await?,
            Binding::Command => Attached {
                bindings: Bindings::default().with(binding, Arc::new(ProgramsProvider)),
                description: None,
                access: vec![Access::Command {
                    environment: environment.name.clone(),
                }],
            },
        });
    }
    Ok(attached)
}
