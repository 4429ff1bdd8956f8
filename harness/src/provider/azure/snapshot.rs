//! A resource with what of it a fault changes: as it is, as it was, and as the fault leaves it.

use serde::{Deserialize, Serialize};

use super::{
    AzureError,
    arm::Connection,
    change::Change,
    part::{self, Part, Place},
};
use crate::{environment::AzureResource, provider::Current};

/// A resource with what of it a fault changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Snapshot {
    /// The resource as the environment named it, and how it is found again.
    pub(super) resource: AzureResource,
    /// The id by which Azure Resource Manager knows it.
    pub(super) id: String,
    /// The id that a resource made anew under its name does not have, where there is such a thing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unique: Option<String>,
    pub(super) part: Part,
}

impl Snapshot {
    /// Reads what a fault will change, and works out what it will make of that.
    pub(super) async fn take(
        connection: &Connection,
        change: &Change,
    ) -> Result<(Self, Self), AzureError> {
        let taken = part::take(connection, change).await?;
        let snapshot = |part| Self {
            resource: change.resource.clone(),
            id: taken.id.clone(),
            unique: taken.unique.clone(),
            part,
        };
        Ok((snapshot(taken.before), snapshot(taken.after)))
    }

    fn place<'a>(&'a self, connection: &'a Connection) -> Place<'a> {
        Place {
            connection,
            resource: &self.resource,
            id: &self.id,
            unique: self.unique.as_deref(),
        }
    }

    /// The part of the same resource as it is now.
    pub(super) async fn read(&self, connection: &Connection) -> Result<Part, AzureError> {
        self.part.read(self.place(connection)).await
    }

    /// Brings the resource to what this says. What differs from `expected` is left alone, and is an error.
    pub(super) async fn apply(
        &self,
        connection: &Connection,
        expected: Option<&Self>,
    ) -> Result<(), AzureError> {
        let expected = expected.map(|expected| &expected.part);
        self.part.apply(self.place(connection), expected).await
    }

    /// Whose state this is, given the one after the fault; `self` is the one before.
    pub(super) fn compare(&self, after: &Self, now: &Part) -> Current {
        if *now == self.part {
            return Current::AsCaptured;
        }
        if *now == after.part || now.is_between(&after.part) {
            return Current::AsInjected;
        }
        Current::Otherwise(format!(
            "{} has {}; it had {} when it was captured, and the fault set {}",
            self.resource,
            now.words(),
            self.part.words(),
            after.part.words()
        ))
    }

    /// What restoring this does, in words that a person could follow.
    pub(super) fn orders(&self) -> String {
        self.part.orders(&self.resource, &self.id)
    }
}
