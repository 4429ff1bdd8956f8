//! What somebody created in an engine and did not live to remove.

use std::fmt;

use bollard::query_parameters::{
    ListNetworksOptions, ListVolumesOptions, RemoveContainerOptions, RemoveVolumeOptions,
};

use super::{
    DockerError,
    engine::{Engine, asked},
};
use crate::journal::{Liveness, Owner};

/// The label of everything that is created here, whose value is the process that did.
pub const CREATED: &str = "blackstart.created";

/// Something that was created here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// What it is.
    pub kind: Kind,
    /// Its name, or its id if it has none.
    pub name: String,
    id: String,
}

/// What was created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A container.
    Container,
    /// A network.
    Network,
    /// A volume.
    Volume,
}

impl fmt::Display for Leftover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Container => "container",
            Kind::Network => "network",
            Kind::Volume => "volume",
        };
        write!(f, "{kind} {}", self.name)
    }
}

/// The value of [`CREATED`] for what this process creates.
pub fn created_by_this_process() -> String {
    // Plain data with text keys has a JSON form.
    serde_json::to_string(&Owner::this()).unwrap_or_default()
}

/// Whether whoever created something is gone. What was created on another machine may still be used there.
fn is_left(owner: Option<&String>) -> bool {
    owner
        .and_then(|owner| serde_json::from_str::<Owner>(owner).ok())
        .is_some_and(|owner| owner.liveness() == Liveness::Gone)
}

/// What processes of this machine left behind that are gone, containers first.
///
/// # Errors
/// If the engine does not answer.
pub async fn leftovers(engine: &Engine) -> Result<Vec<Leftover>, DockerError> {
    let mut left = Vec::new();
    for container in engine.labelled(&[CREATED.to_owned()]).await? {
        if is_left(container.created_by.as_ref()) {
            left.push(Leftover {
                kind: Kind::Container,
                name: container.name().to_owned(),
                id: container.id,
            });
        }
    }
    let options = ListNetworksOptions {
        filters: Some([("label".to_owned(), vec![CREATED.to_owned()])].into()),
    };
    let networks = engine
        .client()
        .list_networks(Some(options))
        .await
        .map_err(asked("listing networks"))?;
    for network in networks {
        let owner = network
            .labels
            .as_ref()
            .and_then(|labels| labels.get(CREATED));
        if let (true, Some(id)) = (is_left(owner), network.id) {
            left.push(Leftover {
                kind: Kind::Network,
                name: network.name.unwrap_or_else(|| id.clone()),
                id,
            });
        }
    }
    let options = ListVolumesOptions {
        filters: Some([("label".to_owned(), vec![CREATED.to_owned()])].into()),
    };
    let volumes = engine
        .client()
        .list_volumes(Some(options))
        .await
        .map_err(asked("listing volumes"))?;
    for volume in volumes.volumes.unwrap_or_default() {
        if is_left(volume.labels.get(CREATED)) {
            left.push(Leftover {
                kind: Kind::Volume,
                id: volume.name.clone(),
                name: volume.name,
            });
        }
    }
    Ok(left)
}

/// Removes leftovers.
///
/// # Errors
/// At the first that cannot be removed.
pub async fn remove(engine: &Engine, leftovers: &[Leftover]) -> Result<(), DockerError> {
    for leftover in leftovers {
        match leftover.kind {
            Kind::Container => {
                let options = RemoveContainerOptions {
                    force: true,
                    v: true,
                    ..RemoveContainerOptions::default()
                };
                engine
                    .client()
                    .remove_container(&leftover.id, Some(options))
                    .await
                    .map_err(asked("removing a container"))?;
            }
            Kind::Network => engine
                .client()
                .remove_network(&leftover.id)
                .await
                .map_err(asked("removing a network"))?,
            Kind::Volume => engine
                .client()
                .remove_volume(&leftover.id, None::<RemoveVolumeOptions>)
                .await
                .map_err(asked("removing a volume"))?,
        }
    }
    Ok(())
}
