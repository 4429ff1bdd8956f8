//! Reaching the system that a journal is about, for somebody who has nothing but the journal.

use std::sync::Arc;

use super::{
    Provider, ProviderError,
    docker::{DockerError, DockerProvider, Engine},
    lab::{self, AttachError},
};
use crate::journal::{Access, Header};

/// What is left of the system that a journal is about.
#[derive(Debug)]
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

/// Reaches the system that a journal is about.
///
/// # Errors
/// If it cannot be reached, and is not known to be gone either.
pub async fn reach(header: &Header) -> Result<Reached, ReachError> {
    match &header.access {
        Access::InProcess | Access::Lab { .. } => Ok(lab::reach(header).await?),
        Access::Docker { engine, .. } => {
            let provider = DockerProvider::new(Engine::at(engine).await?);
            Ok(Reached::Here(Arc::new(provider)))
        }
    }
}
