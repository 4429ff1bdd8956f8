//! Who gets through to a container: a packet filter in its network namespace.

use std::fmt;

use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};

use super::{
    DockerError,
    engine::Engine,
    found::Status,
    snapshot::{Known, Of},
};

/// Who gets through to a container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Ingress {
    /// Everybody.
    Open,
    /// New connections are dropped.
    Blocked(Blocked),
}

/// What a packet filter drops.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Blocked {
    /// The ports; every one if there is none.
    pub(super) ports: Vec<u16>,
    /// Ports that are let through all the same.
    pub(super) except: Vec<u16>,
    /// The sources; every one if there is none.
    pub(super) from: Vec<String>,
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |ports: &[u16]| {
            let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
            ports.join(", ")
        };
        match self.ports.as_slice() {
            [] => f.write_str("every TCP port")?,
            [port] => write!(f, "port {port}")?,
            ports => write!(f, "ports {}", list(ports))?,
        }
        if !self.except.is_empty() {
            write!(f, " but {}", list(&self.except))?;
        }
        if !self.from.is_empty() {
            write!(f, " from {}", self.from.join(", "))?;
        }
        Ok(())
    }
}

/// Whether packets are dropped. Without its namespace a container has no filter.
pub(super) async fn ingress(
    engine: &Engine,
    containers: &[(String, String)],
    blocked: &Blocked,
) -> Result<Of<Ingress>, DockerError> {
    let read = containers.iter().map(|(name, id)| async move {
        let is = match engine.status(id).await? {
            None => None,
            Some(Status::Stopped) => Some(Ingress::Open),
            Some(Status::Running | Status::Paused) => {
                let command = ["filter".to_owned(), "show".to_owned()];
                let shown = engine.in_namespace_of(id, &command).await?;
                Some(if shown.trim() == "blocked" {
                    Ingress::Blocked(blocked.clone())
                } else {
                    Ingress::Open
                })
            }
        };
        let id = id.clone();
        Ok::<_, DockerError>((name.clone(), Known { id, is }))
    });
    Ok(try_join_all(read).await?.into_iter().collect())
}

/// Sets the packet filter of a container that runs.
pub(super) async fn filter(
    engine: &Engine,
    id: &str,
    ingress: &Ingress,
) -> Result<(), DockerError> {
    if matches!(engine.status(id).await?, None | Some(Status::Stopped)) {
        return Ok(());
    }
    let mut command = vec!["filter".to_owned()];
    match ingress {
        Ingress::Open => command.push("open".to_owned()),
        Ingress::Blocked(blocked) => {
            command.push("block".to_owned());
            let list = |ports: &[u16]| {
                let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
                ports.join(",")
            };
            for (flag, value) in [
                ("--ports", list(&blocked.ports)),
                ("--except", list(&blocked.except)),
                ("--from", blocked.from.join(",")),
            ] {
                if !value.is_empty() {
                    command.extend([flag.to_owned(), value]);
                }
            }
        }
    }
    engine.in_namespace_of(id, &command).await.map(drop)
}
