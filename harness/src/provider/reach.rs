//! Reaching the systems that a journal is about, for somebody who has nothing but the journal.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Provider, ProviderError, aws, azure,
    docker::{DockerError, DockerProvider, Engine},
    kubernetes,
    lab::{self, AttachError},
    programs::ProgramsProvider,
};
use crate::{
    environment::Binding,
    journal::{Access, Header},
};

/// What is left of a system that a journal is about.
#[derive(Debug, Clone)]
pub enum Reached {
    /// It can be worked on.
    Here(Arc<dyn Provider>),
    /// It is gone, and with it whatever was broken in it: why that is known.
    Gone(String),
}

/// A system could not be reached, and is not known to be gone either.
#[derive(Debug, thiserror::Error)]
pub enum ReachError {
    /// A lab.
    #[error(transparent)]
    Lab(#[from] AttachError),
    /// A container engine.
    #[error(transparent)]
    Docker(#[from] DockerError),
    /// What runs there.
    #[error(transparent)]
    Provider(#[from] ProviderError),
}

/// Reaches every system that a journal is about and that can still be there, by binding. What was in the harness's own process is
/// not among them.
pub async fn reach(header: &Header) -> BTreeMap<Binding, Result<Reached, ReachError>> {
    let mut reached = BTreeMap::new();
    for access in &header.access {
        let binding = access.binding();
        match access {
            Access::InProcess => {}
            Access::Lab { .. } => {
                let lab = lab::reach(access).await.map_err(ReachError::from);
                reached.insert(binding, lab);
            }
            Access::Docker { engine, .. } => {
                let docker = Engine::at(engine).await.map(|engine| {
                    Reached::Here(Arc::new(DockerProvider::new(engine)) as Arc<dyn Provider>)
                });
                reached.insert(binding, docker.map_err(ReachError::from));
            }
            Access::Command { .. } => {
                let programs = Reached::Here(Arc::new(ProgramsProvider));
                reached.insert(binding, Ok(programs));
            }
            // One provider for all accounts.
            Access::Aws { .. } if reached.contains_key(&binding) => {}
            Access::Aws { .. } => {
                let accounts = aws::reach(&header.access).await;
                let here = accounts.map(Reached::Here);
                reached.insert(binding, here.map_err(ReachError::from));
            }
            // One provider for all subscriptions.
            Access::Azure { .. } if reached.contains_key(&binding) => {}
            Access::Azure { .. } => {
                let subscriptions = azure::reach(&header.access);
                let here = subscriptions.map(Reached::Here);
                reached.insert(binding, here.map_err(ReachError::from));
            }
            // One provider for all clusters.
            Access::Kubernetes { .. } if reached.contains_key(&binding) => {}
            Access::Kubernetes { .. } => {
                let clusters = kubernetes::reach(&header.access).await;
                let here = clusters.map(Reached::Here);
                reached.insert(binding, here.map_err(ReachError::from));
            }
        }
    }
    reached
}
