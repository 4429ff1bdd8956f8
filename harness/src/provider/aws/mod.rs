//! The AWS binding: faults on resources of an account, through the APIs of AWS.
//!
//! Credentials and region are found as the AWS tools find them, requests are signed by AWS's own code, and the few calls that are made go
//! through a thin client (docs/decisions/0008-a-thin-client-for-aws.md).
//! A fault is one snapshot of a resource turned into another, as in the Kubernetes binding. AWS has no versions that a write could
//! carry, but for health checks: so each write reads first what it is about to change.

mod answer;
mod auto_scaling;
mod change;
mod client;
mod connection;
mod database;
mod error;
mod findings;
mod health;
mod health_check;
mod instance;
mod part;
mod permissions;
mod profiles;
mod security_group;
mod service;
mod snapshot;
mod target_group;
mod weights;
mod zonal_shift;

use std::{
    collections::BTreeSet,
    sync::{Arc, OnceLock},
    time::Duration,
};

pub use change::planned;
use change::{Change, change};
use connection::Connection;
pub use error::AwsError;
pub(super) use permissions::permissions;
use snapshot::Snapshot;

use super::{Attached, Bindings, Current, Fault, Health, Need, Provider, ProviderError, Undo};
use crate::{
    causes::with_causes,
    drill,
    environment::{AwsAccount, AwsKind, AwsResource, Binding, Environment, Target, Thing, Touched},
    journal::Access,
    probe::BoxFuture,
};

impl From<AwsError> for ProviderError {
    fn from(error: AwsError) -> Self {
        Self::Aws(Box::new(error))
    }
}

/// The accounts of an environment, or of a journal.
#[derive(Debug, Clone)]
struct AwsProvider {
    connections: Vec<Connection>,
    /// Those that could not be opened, and why.
    unopened: Vec<(AwsAccount, String)>,
}

/// Finds the credentials of the accounts that an environment names, and asks whose they are.
///
/// # Errors
/// If there are none, or they are not accepted, or of another account than is named.
pub async fn attach(environment: &Environment) -> Result<Attached, ProviderError> {
    let mut connections: Vec<Connection> = Vec::new();
    for account in accounts(environment) {
        if connections.iter().all(|known| known.named != *account) {
            connections.push(Connection::open(account).await?);
        }
    }
    let access = connections.iter().map(|connection| Access::Aws {
        account: connection.account.clone(),
        number: connection.number.clone(),
    });
    Ok(Attached {
        access: access.collect(),
        bindings: Bindings::default().with(
            Binding::Aws,
            Arc::new(AwsProvider {
                connections,
                unopened: Vec::new(),
            }),
        ),
        description: None,
    })
}

/// Finds the credentials of the accounts that a journal names, which must be of the same accounts still. One that cannot be reached keeps
/// nobody from the others: it is told for each of its targets.
///
/// # Errors
/// If none of them can be reached.
pub(super) async fn reach(accesses: &[Access]) -> Result<Arc<dyn Provider>, ProviderError> {
    let (mut connections, mut unopened) = (Vec::new(), Vec::new());
    let mut last_error = None;
    for access in accesses {
        if let Access::Aws { account, .. } = access {
            match Connection::open(account).await {
                Ok(connection) => connections.push(connection),
                Err(error) => {
                    unopened.push((account.clone(), with_causes(&error)));
                    last_error = Some(error);
                }
            }
        }
    }
    match last_error {
        Some(error) if connections.is_empty() => Err(error.into()),
        Some(_) | None => Ok(Arc::new(AwsProvider {
            connections,
            unopened,
        })),
    }
}

/// What is missing on this machine to reach the accounts of an environment.
pub(super) fn needs(environment: &Environment) -> Vec<Need> {
    let accounts: BTreeSet<&AwsAccount> = accounts(environment).collect();
    accounts.into_iter().map(need).collect()
}

/// The account that drills would be in which name none, and what is missing to reach it.
pub(super) fn here() -> Need {
    need(&AwsAccount::default())
}

fn need(named: &AwsAccount) -> Need {
    Need {
        binding: Binding::Aws,
        system: named.to_string(),
        missing: connection::missing(named),
    }
}

/// How long an injection, or an attempt to revert, may take: a start and what comes after it, or a failover, take minutes, and everything
/// may take up to two until it shows.
fn patience(kind: &AwsKind) -> Duration {
    match kind {
        AwsKind::Instance(_) | AwsKind::Database(_) | AwsKind::DatabaseCluster(_) => {
            Duration::from_secs(690)
        }
        AwsKind::SecurityGroup(_)
        | AwsKind::TargetGroup(_)
        | AwsKind::AutoScalingGroup(_)
        | AwsKind::HealthCheck(_)
        | AwsKind::Record(_)
        | AwsKind::LoadBalancer(_)
        | AwsKind::Alarm(_) => Duration::from_secs(150),
    }
}

/// The accounts that an environment names.
fn accounts(environment: &Environment) -> impl Iterator<Item = &AwsAccount> {
    environment.targets.values().filter_map(|target| {
        if let Target::Aws(resource) = target {
            Some(&resource.account)
        } else {
            None
        }
    })
}

/// The resource that a target is.
fn resource<'a>(
    environment: &'a Environment,
    target: &str,
) -> Result<&'a AwsResource, ProviderError> {
    let Some(Target::Aws(resource)) = environment.targets.get(target) else {
        return Err(ProviderError::UnknownTarget {
            target: target.to_owned(),
        });
    };
    Ok(resource)
}

impl AwsProvider {
    fn connection(
        &self,
        is_meant: impl Fn(&Connection) -> bool,
    ) -> Result<&Connection, ProviderError> {
        let found = self.connections.iter().find(|known| is_meant(known));
        found.ok_or(ProviderError::NotReached {
            binding: Binding::Aws,
        })
    }

    /// Finds the account that something was captured in.
    fn connection_of(&self, before: &Snapshot) -> Result<&Connection, ProviderError> {
        let mut unopened = self.unopened.iter();
        if let Some((account, reason)) = unopened.find(|(account, _)| *account == before.account) {
            return Err(AwsError::Unopened {
                account: Box::new(account.clone()),
                reason: reason.clone(),
            }
            .into());
        }
        // Whoever has only the journal names the account as it was found then.
        self.connection(|known| [&known.named, &known.account].contains(&&before.account))
    }
}

impl Provider for AwsProvider {
    fn resolve(
        &self,
        environment: &Environment,
        fault: &drill::Fault,
    ) -> Result<Box<dyn Fault>, ProviderError> {
        let resource = resource(environment, fault.target())?;
        if resource.kind.wants_confirmation() && !environment.protected {
            return Err(AwsError::Unconfirmed {
                resource: resource.to_string(),
            }
            .into());
        }
        Ok(Box::new(AwsFault {
            connection: self
                .connection(|known| known.named == resource.account)?
                .clone(),
            target: fault.target().to_owned(),
            kind: resource.kind.clone(),
            change: Some(change(resource, fault)?),
            captured: OnceLock::new(),
        }))
    }

    fn recall(&self, undo: &Undo) -> Result<Box<dyn Fault>, ProviderError> {
        undo.must_be_of(Binding::Aws.as_str())?;
        let (before, after) = undo.captured_and_injected::<Snapshot>()?;
        Ok(Box::new(AwsFault {
            connection: self.connection_of(&before)?.clone(),
            target: undo.target.clone(),
            kind: before.kind.clone(),
            change: None,
            captured: OnceLock::from((before, after)),
        }))
    }

    fn findings<'a>(&'a self, environment: &'a Environment) -> BoxFuture<'a, Vec<String>> {
        Box::pin(async move {
            let mut findings: Vec<String> = Vec::new();
            for connection in &self.connections {
                let found = findings::read(connection, environment).await;
                let new = found.into_iter().filter(|new| !findings.contains(new));
                let new: Vec<String> = new.collect();
                findings.extend(new);
            }
            findings
        })
    }

    fn health<'a>(
        &'a self,
        environment: &'a Environment,
        target: &'a str,
    ) -> BoxFuture<'a, Result<Health, ProviderError>> {
        Box::pin(async move {
            let resource = resource(environment, target)?;
            let connection = self.connection(|known| known.named == resource.account)?;
            Ok(health::read(connection, &resource.kind).await?)
        })
    }
}

#[derive(Debug)]
struct AwsFault {
    connection: Connection,
    target: String,
    kind: AwsKind,
    /// What is to be done; nothing for one that is only undone.
    change: Option<Change>,
    /// The resource as it was, and as the fault leaves it.
    captured: OnceLock<(Snapshot, Snapshot)>,
}

impl AwsFault {
    fn bad_undo(&self, reason: impl Into<String>) -> ProviderError {
        ProviderError::BadUndo {
            target: self.target.clone(),
            reason: reason.into(),
        }
    }

    fn value(&self, snapshot: &Snapshot) -> Result<serde_json::Value, ProviderError> {
        serde_json::to_value(snapshot).map_err(|error| self.bad_undo(error.to_string()))
    }

    fn both(&self) -> Result<&(Snapshot, Snapshot), ProviderError> {
        let captured = self.captured.get();
        captured.ok_or_else(|| self.bad_undo("it was not captured"))
    }
}

impl Fault for AwsFault {
    fn describe(&self) -> String {
        self.change.as_ref().map_or_else(
            || format!("undo what was done to {}", self.target),
            Change::describe,
        )
    }

    fn touches(&self) -> Touched {
        Touched {
            target: self.target.clone(),
            thing: Thing::Aws(AwsResource {
                account: self.connection.account.clone(),
                kind: self.kind.clone(),
            }),
        }
    }

    fn capture(&self) -> BoxFuture<'_, Result<Undo, ProviderError>> {
        Box::pin(async move {
            let change = self
                .change
                .as_ref()
                .ok_or_else(|| self.bad_undo("it can only be undone"))?;
            let taken = Snapshot::take(&self.connection, change).await?;
            let (before, after) = &taken;
            let undo = Undo {
                target: self.target.clone(),
                binding: Binding::Aws.as_str().to_owned(),
                resource: format!("{} of {}", change.resource, self.connection.account),
                words: before.orders(),
                state: self.value(before)?,
                injected: self.value(&after.clone().without_texts(before))?,
            };
            // A second capture finds the same resource, or the first has been refused.
            drop(self.captured.set(taken));
            Ok(undo)
        })
    }

    fn rehearse(&self) -> BoxFuture<'_, Result<Vec<String>, ProviderError>> {
        Box::pin(async move {
            let (before, _) = self.both()?;
            Ok(before.rehearse(&self.connection).await?)
        })
    }

    fn inject(&self) -> BoxFuture<'_, Result<(), ProviderError>> {
        Box::pin(async move {
            let (before, after) = self.both()?;
            after.inject(&self.connection, before).await?;
            Ok(after.until_shown(&self.connection, before).await?)
        })
    }

    fn current<'a>(&'a self, undo: &'a Undo) -> BoxFuture<'a, Result<Current, ProviderError>> {
        Box::pin(async move {
            let (before, after) = undo.captured_and_injected::<Snapshot>()?;
            let now = before.read(&self.connection).await?;
            Ok(now.compare(&before, &after))
        })
    }

    fn patience(&self) -> Option<Duration> {
        Some(patience(&self.kind))
    }

    fn revert<'a>(&'a self, undo: &'a Undo) -> BoxFuture<'a, Result<(), ProviderError>> {
        Box::pin(async move {
            let before: Snapshot = undo.captured()?;
            Ok(before.restore(&self.connection).await?)
        })
    }
}
