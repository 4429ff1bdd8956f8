//! The Azure binding: faults on resources of Azure, through Azure Resource Manager.
//!
//! A fault is one snapshot of its resource turned into another: capturing reads the one that is there, injecting and reverting bring the
//! resource to one, and verifying reads again. What Azure carries out by itself is followed to its end.

mod arm;
mod change;
mod credentials;
mod error;
mod health;
mod locks;
mod operation;
mod part;
mod permissions;
mod snapshot;

use std::{
    collections::BTreeSet,
    sync::{Arc, OnceLock},
    time::Duration,
};

use arm::Connection;
pub use change::planned;
use change::{Change, change};
pub use error::AzureError;
pub(super) use permissions::permissions;
use snapshot::Snapshot;
use tokio::{
    sync::Mutex,
    time::{Instant, sleep_until},
};

use super::{Attached, Bindings, Current, Fault, Health, Need, Provider, ProviderError, Undo};
use crate::{
    causes::with_causes,
    drill,
    environment::{
        AzureAccount, AzureCredentials, AzureResource, Binding, Environment, Target, Thing, Touched,
    },
    journal::Access,
    probe::BoxFuture,
};

/// From one reading of a target to the next: Azure counts how often it is asked.
const READ_EVERY: Duration = Duration::from_millis(250);
/// How much longer a step may take than the operation in it, so that what Azure said of it is told.
const BESIDES: Duration = Duration::from_secs(30);

/// How long a request that had no answer may take until it shows: Azure takes it first, and begins it then.
const DOUBT: Duration = Duration::from_secs(15);

impl From<AzureError> for ProviderError {
    fn from(error: AzureError) -> Self {
        Self::Azure(Box::new(error))
    }
}

/// The subscriptions of an environment, or of a journal.
#[derive(Debug)]
struct AzureProvider {
    connections: Vec<Arc<Connection>>,
    /// Those that could not be opened, and why.
    unopened: Vec<(AzureAccount, String)>,
}

/// Gets ready to talk to the subscriptions that an environment names. Nothing is asked of them.
///
/// # Errors
/// If credentials are missing.
pub fn attach(environment: &Environment) -> Result<Attached, ProviderError> {
    let accounts: BTreeSet<&AzureAccount> = accounts(environment).collect();
    let connections: Result<Vec<_>, AzureError> = accounts
        .into_iter()
        .map(|account| Connection::open(account).map(Arc::new))
        .collect();
    let connections = connections?;
    let access = connections.iter().map(|connection| Access::Azure {
        account: connection.account.clone(),
    });
    Ok(Attached {
        access: access.collect(),
        bindings: Bindings::default().with(
            Binding::Azure,
            Arc::new(AzureProvider {
                connections,
                unopened: Vec::new(),
            }),
        ),
        description: None,
    })
}

/// Gets ready to talk to the subscriptions that a journal names. Nothing is asked of them. One that cannot be reached keeps nobody from
/// the others: it is told for each of its targets.
///
/// # Errors
/// If none of them can be reached.
pub(super) fn reach(accesses: &[Access]) -> Result<Arc<dyn Provider>, ProviderError> {
    let (mut connections, mut unopened) = (Vec::new(), Vec::new());
    let mut last_error = None;
    for access in accesses {
        if let Access::Azure { account } = access {
            match Connection::open(account) {
                Ok(connection) => connections.push(Arc::new(connection)),
                Err(error) => {
                    unopened.push((account.clone(), with_causes(&error)));
                    last_error = Some(error);
                }
            }
        }
    }
    match last_error {
        Some(error) if connections.is_empty() => Err(error.into()),
        Some(_) | None => Ok(Arc::new(AzureProvider {
            connections,
            unopened,
        })),
    }
}

/// What is missing on this machine to reach the subscriptions of an environment.
pub(super) fn needs(environment: &Environment) -> Vec<Need> {
    let accounts: BTreeSet<&AzureAccount> = accounts(environment).collect();
    let need = |account: &AzureAccount| {
        let (credentials, missing) = credentials::missing(account);
        let how = credentials.map_or_else(String::new, |credentials| {
            format!(", with the credentials `{}`", credentials.as_str())
        });
        Need {
            binding: Binding::Azure,
            system: format!("{account}{how}"),
            missing,
        }
    };
    accounts.into_iter().map(need).collect()
}

/// How drills would ask that do not say so, and what is missing for that.
pub(super) fn here() -> Need {
    let (credentials, missing) = credentials::missing(&AzureAccount::default());
    let how = credentials.map_or("none", AzureCredentials::as_str);
    Need {
        binding: Binding::Azure,
        system: format!(
            "no subscription, so each has to name one; the credentials would be `{how}`"
        ),
        missing,
    }
}

/// The subscriptions that an environment names.
fn accounts(environment: &Environment) -> impl Iterator<Item = &AzureAccount> {
    environment.targets.values().filter_map(|target| {
        if let Target::Azure(resource) = target {
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
) -> Result<&'a AzureResource, ProviderError> {
    let Some(Target::Azure(resource)) = environment.targets.get(target) else {
        return Err(ProviderError::UnknownTarget {
            target: target.to_owned(),
        });
    };
    Ok(resource)
}

impl AzureProvider {
    fn connection(&self, account: &AzureAccount) -> Result<&Arc<Connection>, ProviderError> {
        let mut unopened = self.unopened.iter();
        if let Some((account, reason)) = unopened.find(|(known, _)| known == account) {
            return Err(AzureError::Unopened {
                account: account.clone(),
                reason: reason.clone(),
            }
            .into());
        }
        let mut connections = self.connections.iter();
        let found = connections.find(|known| known.account == *account);
        found.ok_or(ProviderError::NotReached {
            binding: Binding::Azure,
        })
    }
}

impl Provider for AzureProvider {
    fn resolve(
        &self,
        environment: &Environment,
        fault: &drill::Fault,
    ) -> Result<Box<dyn Fault>, ProviderError> {
        let resource = resource(environment, fault.target())?;
        Ok(Box::new(AzureFault {
            connection: Arc::clone(self.connection(&resource.account)?),
            target: fault.target().to_owned(),
            change: Some(change(resource, fault)?),
            captured: OnceLock::new(),
            next_reading: Mutex::new(Instant::now()),
        }))
    }

    fn recall(&self, undo: &Undo) -> Result<Box<dyn Fault>, ProviderError> {
        undo.must_be_of(Binding::Azure.as_str())?;
        let (before, after) = undo.captured_and_injected::<Snapshot>()?;
        Ok(Box::new(AzureFault {
            connection: Arc::clone(self.connection(&before.resource.account)?),
            target: undo.target.clone(),
            change: None,
            captured: OnceLock::from((before, after)),
            next_reading: Mutex::new(Instant::now()),
        }))
    }

    fn health<'a>(
        &'a self,
        environment: &'a Environment,
        target: &'a str,
    ) -> BoxFuture<'a, Result<Health, ProviderError>> {
        Box::pin(async move {
            let resource = resource(environment, target)?;
            let connection = self.connection(&resource.account)?;
            Ok(health::read(connection, resource).await?)
        })
    }
}

#[derive(Debug)]
struct AzureFault {
    connection: Arc<Connection>,
    target: String,
    /// What is to be done; nothing for one that is only undone.
    change: Option<Change>,
    /// The resource as it was, and as the fault leaves it.
    captured: OnceLock<(Snapshot, Snapshot)>,
    /// When it may be read again.
    next_reading: Mutex<Instant>,
}

impl AzureFault {
    fn bad_undo(&self, reason: impl Into<String>) -> ProviderError {
        ProviderError::BadUndo {
            target: self.target.clone(),
            reason: reason.into(),
        }
    }

    fn value(&self, snapshot: &Snapshot) -> Result<serde_json::Value, ProviderError> {
        serde_json::to_value(snapshot).map_err(|error| self.bad_undo(error.to_string()))
    }

    fn not_captured(&self) -> ProviderError {
        self.bad_undo("it was not captured")
    }
}

impl Fault for AzureFault {
    fn describe(&self) -> String {
        self.change.as_ref().map_or_else(
            || format!("undo what was done to {}", self.target),
            Change::describe,
        )
    }

    fn touches(&self) -> Touched {
        let named = self.change.as_ref().map(|change| change.resource.clone());
        let captured = || {
            self.captured
                .get()
                .map(|(before, _)| before.resource.clone())
        };
        Touched {
            target: self.target.clone(),
            thing: Thing::Azure(named.or_else(captured).unwrap_or_default()),
        }
    }

    fn capture(&self) -> BoxFuture<'_, Result<Undo, ProviderError>> {
        Box::pin(async move {
            let change = self
                .change
                .as_ref()
                .ok_or_else(|| self.bad_undo("it can only be undone"))?;
            let taken = match self.captured.get() {
                // What marks a rule as ours is drawn once.
                Some(taken) => taken.clone(),
                None => Snapshot::take(&self.connection, change).await?,
            };
            let (before, after) = &taken;
            let undo = Undo {
                target: self.target.clone(),
                binding: Binding::Azure.as_str().to_owned(),
                resource: before.id.clone(),
                words: before.orders(),
                state: self.value(before)?,
                injected: self.value(after)?,
            };
            drop(self.captured.set(taken));
            Ok(undo)
        })
    }

    fn rehearse(&self) -> BoxFuture<'_, Result<Vec<String>, ProviderError>> {
        Box::pin(async move {
            let (Some(change), Some((before, _))) = (&self.change, self.captured.get()) else {
                return Err(self.not_captured());
            };
            let connection = &self.connection;
            let denied = permissions::denied(connection, change, &before.id).await?;
            if !denied.is_empty() {
                return Err(AzureError::Denied { denied }.into());
            }
            locks::refuse_read_only(connection, &change.resource, &before.id).await?;
            Ok(Vec::new())
        })
    }

    fn inject(&self) -> BoxFuture<'_, Result<(), ProviderError>> {
        Box::pin(async move {
            let (before, after) = self.captured.get().ok_or_else(|| self.not_captured())?;
            Ok(after.apply(&self.connection, Some(before)).await?)
        })
    }

    fn current<'a>(&'a self, undo: &'a Undo) -> BoxFuture<'a, Result<Current, ProviderError>> {
        Box::pin(async move {
            let (before, after) = undo.captured_and_injected::<Snapshot>()?;
            let mut next_reading = self.next_reading.lock().await;
            sleep_until(*next_reading).await;
            *next_reading = Instant::now() + READ_EVERY;
            let now = before.read(&self.connection.patient()).await?;
            Ok(before.compare(&after, &now))
        })
    }

    fn patience(&self) -> Option<Duration> {
        // What somebody else has under way may take as long as what is asked for then.
        Some(self.connection.account.timeout.saturating_mul(2) + BESIDES)
    }

    fn doubt(&self) -> Option<Duration> {
        Some(DOUBT)
    }

    fn revert<'a>(&'a self, undo: &'a Undo) -> BoxFuture<'a, Result<(), ProviderError>> {
        Box::pin(async move {
            let before: Snapshot = undo.captured()?;
            Ok(before.apply(&self.connection.patient(), None).await?)
        })
    }
}
