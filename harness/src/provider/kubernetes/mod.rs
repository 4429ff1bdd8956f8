//! The Kubernetes binding: faults on objects of clusters, through their API servers.
//!
//! A fault is one snapshot of its objects turned into another: capturing reads the one that is there, injecting and reverting bring
//! the objects to one, and verifying reads again. What is written carries the version that was read, so that the server refuses it
//! if somebody else has written meanwhile.

mod api;
mod change;
mod config;
mod error;
mod health;
mod part;
mod permissions;
mod rehearsal;
mod selector;
mod snapshot;

use std::{
    collections::BTreeSet,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

pub use change::planned;
use change::{Change, change};
use config::Connection;
pub use error::KubernetesError;
pub(super) use permissions::permissions;
use snapshot::Snapshot;

use super::{Attached, Bindings, Current, Fault, Health, Need, Provider, ProviderError, Undo};
use crate::{
    causes::with_causes,
    drill,
    environment::{Binding, Cluster, Environment, Objects, Target, Thing, Touched},
    journal::Access,
    probe::BoxFuture,
};

impl From<KubernetesError> for ProviderError {
    fn from(error: KubernetesError) -> Self {
        Self::Kubernetes(Box::new(error))
    }
}

/// The clusters of an environment, or of a journal.
#[derive(Debug, Clone)]
struct KubernetesProvider {
    connections: Vec<Connection>,
    /// Those that could not be opened, and why.
    unopened: Vec<(Cluster, String)>,
}

/// Gets ready to talk to the clusters that an environment names. Nothing is asked of them.
///
/// # Errors
/// If a kubeconfig or its context cannot be used.
pub async fn attach(environment: &Environment) -> Result<Attached, ProviderError> {
    let mut connections: Vec<Connection> = Vec::new();
    for cluster in clusters(environment) {
        if connections.iter().all(|known| known.named != *cluster) {
            connections.push(Connection::open(cluster).await?);
        }
    }
    let access = connections.iter().map(|connection| Access::Kubernetes {
        cluster: connection.cluster.clone(),
        server: connection.server.clone(),
    });
    Ok(Attached {
        access: access.collect(),
        bindings: Bindings::default().with(
            Binding::Kubernetes,
            Arc::new(KubernetesProvider {
                connections,
                unopened: Vec::new(),
            }),
        ),
        description: None,
    })
}

/// Gets ready to talk to the clusters that a journal names. Nothing is asked of them. One that cannot be reached keeps nobody from
/// the others: it is told for each of its targets.
///
/// # Errors
/// If none of them can be reached.
pub(super) async fn reach(accesses: &[Access]) -> Result<Arc<dyn Provider>, ProviderError> {
    let (mut connections, mut unopened) = (Vec::new(), Vec::new());
    let mut last_error = None;
    for access in accesses {
        if let Access::Kubernetes { cluster, .. } = access {
            match Connection::open(cluster).await {
                Ok(connection) => connections.push(connection),
                Err(error) => {
                    unopened.push((cluster.clone(), with_causes(&error)));
                    last_error = Some(error);
                }
            }
        }
    }
    match last_error {
        Some(error) if connections.is_empty() => Err(error.into()),
        Some(_) | None => Ok(Arc::new(KubernetesProvider {
            connections,
            unopened,
        })),
    }
}

/// What is missing on this machine to reach the clusters of an environment.
pub(super) fn needs(environment: &Environment) -> Vec<Need> {
    let clusters: BTreeSet<&Cluster> = clusters(environment).collect();
    clusters.into_iter().map(need).collect()
}

/// The cluster that drills would be in which name none, and what is missing to reach it.
pub(super) fn here() -> Need {
    need(&Cluster::default())
}

fn need(named: &Cluster) -> Need {
    let (cluster, missing) = config::missing(named);
    Need {
        binding: Binding::Kubernetes,
        system: cluster.to_string(),
        missing,
    }
}

/// The clusters that an environment names.
fn clusters(environment: &Environment) -> impl Iterator<Item = &Cluster> {
    environment.targets.values().filter_map(|target| {
        if let Target::Kubernetes(objects) = target {
            Some(&objects.cluster)
        } else {
            None
        }
    })
}

/// The objects that a target is.
fn objects<'a>(environment: &'a Environment, target: &str) -> Result<&'a Objects, ProviderError> {
    let Some(Target::Kubernetes(objects)) = environment.targets.get(target) else {
        return Err(ProviderError::UnknownTarget {
            target: target.to_owned(),
        });
    };
    Ok(objects)
}

impl KubernetesProvider {
    fn connection(
        &self,
        is_meant: impl Fn(&Connection) -> bool,
    ) -> Result<&Connection, ProviderError> {
        let found = self.connections.iter().find(|known| is_meant(known));
        found.ok_or(ProviderError::NotReached {
            binding: Binding::Kubernetes,
        })
    }

    /// Finds the cluster that something was captured in, which must still be the same one.
    fn connection_of(&self, before: &Snapshot) -> Result<&Connection, ProviderError> {
        let mut unopened = self.unopened.iter();
        if let Some((cluster, reason)) = unopened.find(|(cluster, _)| *cluster == before.cluster) {
            return Err(KubernetesError::Unopened {
                cluster: cluster.clone(),
                reason: reason.clone(),
            }
            .into());
        }
        let connection = self.connection(|known| known.cluster == before.cluster)?;
        if connection.server != before.server {
            return Err(KubernetesError::OtherServer {
                cluster: before.cluster.clone(),
                then: before.server.clone(),
                now: connection.server.clone(),
            }
            .into());
        }
        Ok(connection)
    }
}

impl Provider for KubernetesProvider {
    fn resolve(
        &self,
        environment: &Environment,
        fault: &drill::Fault,
    ) -> Result<Box<dyn Fault>, ProviderError> {
        let objects = objects(environment, fault.target())?;
        Ok(Box::new(KubernetesFault {
            connection: self
                .connection(|known| known.named == objects.cluster)?
                .clone(),
            target: fault.target().to_owned(),
            change: Some(change(objects, fault)?),
            captured: OnceLock::new(),
            reverted: AtomicBool::new(false),
        }))
    }

    fn recall(&self, undo: &Undo) -> Result<Box<dyn Fault>, ProviderError> {
        undo.must_be_of(Binding::Kubernetes.as_str())?;
        let (before, after) = undo.captured_and_injected::<Snapshot>()?;
        Ok(Box::new(KubernetesFault {
            connection: self.connection_of(&before)?.clone(),
            target: undo.target.clone(),
            change: None,
            captured: OnceLock::from((before, after)),
            reverted: AtomicBool::new(false),
        }))
    }

    fn health<'a>(
        &'a self,
        environment: &'a Environment,
        target: &'a str,
    ) -> BoxFuture<'a, Result<Health, ProviderError>> {
        Box::pin(async move {
            let objects = objects(environment, target)?;
            let connection = self.connection(|known| known.named == objects.cluster)?;
            Ok(health::read(connection, objects).await?)
        })
    }
}

#[derive(Debug)]
struct KubernetesFault {
    connection: Connection,
    target: String,
    /// What is to be done; nothing for one that is only undone.
    change: Option<Change>,
    /// The objects as they were, and as the fault leaves them.
    captured: OnceLock<(Snapshot, Snapshot)>,
    /// Whether what was killed is to be replaced by now.
    reverted: AtomicBool,
}

impl KubernetesFault {
    fn bad_undo(&self, reason: impl Into<String>) -> ProviderError {
        ProviderError::BadUndo {
            target: self.target.clone(),
            reason: reason.into(),
        }
    }

    fn value(&self, snapshot: &Snapshot) -> Result<serde_json::Value, ProviderError> {
        serde_json::to_value(snapshot).map_err(|error| self.bad_undo(error.to_string()))
    }
}

impl Fault for KubernetesFault {
    fn describe(&self) -> String {
        self.change.as_ref().map_or_else(
            || format!("undo what was done to {}", self.target),
            Change::describe,
        )
    }

    fn touches(&self) -> Touched {
        let named = self.change.as_ref().map(|change| change.objects.clone());
        let captured = || self.captured.get().map(|(before, _)| before.objects());
        let objects = Objects {
            cluster: self.connection.cluster.clone(),
            ..named.or_else(captured).unwrap_or_default()
        };
        Touched {
            target: self.target.clone(),
            thing: Thing::Kubernetes(objects),
        }
    }

    fn capture(&self) -> BoxFuture<'_, Result<Undo, ProviderError>> {
        Box::pin(async move {
            let change = self
                .change
                .as_ref()
                .ok_or_else(|| self.bad_undo("it can only be undone"))?;
            let taken = Snapshot::take(&self.connection, &change.objects, &change.action).await?;
            let (before, after) = &taken;
            let undo = Undo {
                target: self.target.clone(),
                binding: Binding::Kubernetes.as_str().to_owned(),
                resource: format!("{} at {}", change.objects, self.connection.server),
                words: before.orders(),
                state: self.value(before)?,
                injected: self.value(&after.clone().without_texts())?,
            };
            // A second capture finds the same objects, or the first has been refused.
            drop(self.captured.set(taken));
            Ok(undo)
        })
    }

    fn rehearse(&self) -> BoxFuture<'_, Result<Vec<String>, ProviderError>> {
        Box::pin(async move {
            let (Some(change), Some((before, after))) = (&self.change, self.captured.get()) else {
                return Err(self.bad_undo("it was not captured"));
            };
            Ok(rehearsal::rehearse(&self.connection, change, before, after).await?)
        })
    }

    fn inject(&self) -> BoxFuture<'_, Result<(), ProviderError>> {
        Box::pin(async move {
            let (before, after) = self
                .captured
                .get()
                .ok_or_else(|| self.bad_undo("it was not captured"))?;
            Ok(after.apply(&self.connection, Some(before)).await?)
        })
    }

    fn current<'a>(&'a self, undo: &'a Undo) -> BoxFuture<'a, Result<Current, ProviderError>> {
        Box::pin(async move {
            let (before, after) = undo.captured_and_injected::<Snapshot>()?;
            let reverted = self.reverted.load(Ordering::Relaxed);
            let now = before.read(&self.connection, reverted).await?;
            Ok(now.compare(&before, &after))
        })
    }

    fn revert<'a>(&'a self, undo: &'a Undo) -> BoxFuture<'a, Result<(), ProviderError>> {
        Box::pin(async move {
            self.reverted.store(true, Ordering::Relaxed);
            let before: Snapshot = undo.captured()?;
            Ok(before.apply(&self.connection, None).await?)
        })
    }
}
