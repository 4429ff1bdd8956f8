//! A resource with what of it a fault changes: as it is, as it was, and as the fault leaves it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use super::{AwsError, change::Change, connection::Connection, part::Part};
use crate::{
    environment::{AwsAccount, AwsKind},
    provider::Current,
};

/// How long a change may take to show that AWS has said yes to.
const SHOWN_LIMIT: Duration = Duration::from_mins(2);
const SHOWN_EVERY: Duration = Duration::from_millis(500);

/// A resource with what of it a fault changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Snapshot {
    /// How the account is found again.
    pub(super) account: AwsAccount,
    /// The resource, as the environment names it.
    pub(super) kind: AwsKind,
    /// In the order in which they are broken; they are restored the other way round.
    pub(super) parts: Vec<Part>,
}

impl Snapshot {
    /// Reads what a fault will change, and works out what it will make of that.
    pub(super) async fn take(
        connection: &Connection,
        change: &Change,
    ) -> Result<(Self, Self), AwsError> {
        let kind = &change.resource.kind;
        let parts = Part::take(connection, kind, &change.action).await?;
        let (before, after) = parts.into_iter().unzip();
        let snapshot = |parts| Self {
            account: connection.account.clone(),
            kind: kind.clone(),
            parts,
        };
        Ok((snapshot(before), snapshot(after)))
    }

    /// The same with a checksum for each text that a drill may have given: what is written to disk has nothing in it that may be a
    /// secret, and is still known again.
    pub(super) fn without_texts(mut self, before: &Self) -> Self {
        let parts = self.parts.into_iter().zip(&before.parts);
        self.parts = parts
            .map(|(part, before)| part.without_texts(before))
            .collect();
        self
    }

    /// The same as it is now.
    pub(super) async fn read(&self, connection: &Connection) -> Result<Self, AwsError> {
        let mut now = self.clone();
        for part in &mut now.parts {
            *part = part.read(connection).await?;
        }
        Ok(now)
    }

    /// Breaks the resource. What is not as it was captured is left alone, and is an error.
    pub(super) async fn inject(
        &self,
        connection: &Connection,
        before: &Self,
    ) -> Result<(), AwsError> {
        for (part, before) in self.parts.iter().zip(&before.parts) {
            part.apply(connection, Some(before)).await?;
        }
        Ok(())
    }

    /// Waits until everything that the fault changes shows that it is changed, given the state before: what AWS has said yes to may happen
    /// later or be told later, and would be taken for restored by whoever reads it too soon.
    pub(super) async fn until_shown(
        &self,
        connection: &Connection,
        before: &Self,
    ) -> Result<(), AwsError> {
        let deadline = Instant::now() + SHOWN_LIMIT;
        let parts = before.parts.iter().zip(&self.parts);
        for (before, _) in parts.filter(|(before, after)| before != after) {
            while before.read(connection).await? == *before {
                if Instant::now() > deadline {
                    return Err(AwsError::NotPossible {
                        resource: before.title(),
                        problem: format!(
                            "has {} still, {} s after AWS has said yes to the change: it may come yet",
                            before.words(),
                            SHOWN_LIMIT.as_secs()
                        ),
                    });
                }
                sleep(SHOWN_EVERY).await;
            }
        }
        Ok(())
    }

    /// Restores the resource.
    pub(super) async fn restore(&self, connection: &Connection) -> Result<(), AwsError> {
        for part in self.parts.iter().rev() {
            part.apply(connection, None).await?;
        }
        Ok(())
    }

    /// Asks whether this user may break the resource and restore it, where AWS answers that. Yields what would work against it, in
    /// words.
    pub(super) async fn rehearse(&self, connection: &Connection) -> Result<Vec<String>, AwsError> {
        let mut notes = Vec::new();
        for part in &self.parts {
            notes.extend(part.rehearse(connection).await?);
        }
        Ok(notes)
    }

    /// Whose state this is, given the one before and the one that the fault leaves, which has no texts of a drill.
    pub(super) fn compare(&self, before: &Self, after: &Self) -> Current {
        if self.parts == before.parts {
            return Current::AsCaptured;
        }
        let triples = self.parts.iter().zip(&before.parts).zip(&after.parts);
        let others: Vec<String> = triples
            .filter(|((now, before), after)| !now.is_ours(before, after))
            .map(|((now, before), after)| {
                format!(
                    "{} has {}; it had {} when it was captured, and the fault set {}",
                    now.title(),
                    now.words(),
                    before.words(),
                    after.words()
                )
            })
            .collect();
        if others.is_empty() {
            Current::AsInjected
        } else {
            Current::Otherwise(others.join("; "))
        }
    }

    /// What restoring this does, in words that a person could follow.
    pub(super) fn orders(&self) -> String {
        let orders: Vec<String> = self.parts.iter().rev().map(Part::orders).collect();
        format!("{}, {}", orders.join(", "), self.account)
    }
}
