//! Locks of Azure Resource Manager: they keep people from deleting or changing what they are on and everything beneath, and so a drill
//! from being put back.

use super::{AzureError, arm::Connection};
use crate::environment::AzureResource;

const AUTHORIZATION: &str = "2020-05-01";
const LOCKS: &str = "/providers/Microsoft.Authorization/locks";
const READ_ONLY: &str = "ReadOnly";

/// Refuses what has any lock.
pub(super) async fn refuse_any(
    connection: &Connection,
    resource: &AzureResource,
    id: &str,
) -> Result<(), AzureError> {
    refuse(connection, resource, id, |_| true).await
}

/// Refuses what nothing can be done to.
pub(super) async fn refuse_read_only(
    connection: &Connection,
    resource: &AzureResource,
    id: &str,
) -> Result<(), AzureError> {
    let is_read_only = |level: &str| level.eq_ignore_ascii_case(READ_ONLY);
    refuse(connection, resource, id, is_read_only).await
}

async fn refuse(
    connection: &Connection,
    resource: &AzureResource,
    id: &str,
    is_meant: impl Fn(&str) -> bool,
) -> Result<(), AzureError> {
    let group = format!(
        "/subscriptions/{}/resourceGroups/{}{LOCKS}",
        resource.account.subscription, resource.resource_group
    );
    let what = format!(
        "the locks of the resource group {}",
        resource.resource_group
    );
    for lock in connection.list(&group, AUTHORIZATION, &what).await? {
        let level = lock["properties"]["level"].as_str().unwrap_or_default();
        let lock_id = lock["id"].as_str().unwrap_or_default();
        let scope = scope(lock_id);
        if is_meant(level) && is_beneath(id, scope) {
            return Err(AzureError::Locked {
                lock: lock["name"].as_str().unwrap_or(lock_id).to_owned(),
                level: level.to_owned(),
                scope: scope.to_owned(),
            });
        }
    }
    Ok(())
}

/// What a lock is on, by its id.
fn scope(lock: &str) -> &str {
    let lower = lock.to_ascii_lowercase();
    let at = lower.rfind(&LOCKS.to_ascii_lowercase());
    at.and_then(|at| lock.get(..at)).unwrap_or(lock)
}

/// Whether something is a scope itself or in it. Ids are the same in small letters and in capitals.
fn is_beneath(id: &str, scope: &str) -> bool {
    let (id, scope) = (id.to_ascii_lowercase(), scope.to_ascii_lowercase());
    id.strip_prefix(&scope)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_counts_for_what_it_is_on_and_for_everything_beneath() {
        let group = "/subscriptions/1/resourceGroups/rg";
        let nsg = format!("{group}/providers/Microsoft.Network/networkSecurityGroups/nsg");
        let lock = |on: &str| format!("{on}{LOCKS}/keep");
        assert!(is_beneath(&nsg, scope(&lock(group))));
        assert!(is_beneath(&nsg, scope(&lock(&nsg))));
        assert!(is_beneath(
            &nsg.to_ascii_lowercase(),
            scope(&lock(&group.to_ascii_uppercase()))
        ));
        assert!(!is_beneath(&format!("{nsg}-2"), scope(&lock(&nsg))));
        assert!(!is_beneath(
            &nsg,
            scope(&lock("/subscriptions/1/resourceGroups/r"))
        ));
    }
}
