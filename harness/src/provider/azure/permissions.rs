//! What whoever asks must be allowed to, for each fault: as a custom role to make, and as a question to Azure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{
    AzureError,
    arm::Connection,
    change::{Action, Change, change},
};
use crate::{
    drill,
    environment::{AzureKind, AzureResource, Binding, Environment, Target},
    provider::{Permissions, ProviderError},
};

const AUTHORIZATION: &str = "2022-04-01";
/// The types that an endpoint of Traffic Manager can have, which are in its id.
const ENDPOINT_TYPES: [&str; 3] = ["azureEndpoints", "externalEndpoints", "nestedEndpoints"];

/// What reading a resource needs.
fn reading(resource: &AzureResource) -> Vec<String> {
    let owned = |actions: &[&str]| actions.iter().map(|action| (*action).to_owned()).collect();
    match &resource.kind {
        AzureKind::VirtualMachine { .. } => owned(&[
            "Microsoft.Compute/virtualMachines/read",
            "Microsoft.Compute/virtualMachines/instanceView/read",
        ]),
        AzureKind::NetworkSecurityGroup { .. } => owned(&[
            "Microsoft.Network/networkSecurityGroups/read",
            "Microsoft.Network/networkSecurityGroups/securityRules/read",
        ]),
        AzureKind::TrafficManagerEndpoint { .. } => {
            let mut actions: Vec<String> =
                owned(&["Microsoft.Network/trafficManagerProfiles/read"]);
            actions.extend(of_endpoints("read"));
            actions
        }
        AzureKind::FrontDoorEndpoint { .. } => owned(&["Microsoft.Cdn/profiles/afdEndpoints/read"]),
        AzureKind::FrontDoorRoute { .. } => {
            owned(&["Microsoft.Cdn/profiles/afdEndpoints/routes/read"])
        }
        AzureKind::FrontDoorOrigin { .. } => {
            owned(&["Microsoft.Cdn/profiles/originGroups/origins/read"])
        }
        AzureKind::StaticWebsite { .. } => owned(&[
            "Microsoft.Storage/storageAccounts/read",
            "Microsoft.Storage/storageAccounts/blobServices/read",
        ]),
    }
}

fn of_endpoints(verb: &str) -> impl Iterator<Item = String> {
    ENDPOINT_TYPES
        .map(|kind| format!("Microsoft.Network/trafficManagerProfiles/{kind}/{verb}"))
        .into_iter()
}

/// What a fault needs.
pub(super) fn actions(change: &Change) -> BTreeSet<String> {
    let resource = &change.resource;
    let mut actions: BTreeSet<String> = reading(resource).into_iter().collect();
    let mut add = |more: &[&str]| actions.extend(more.iter().map(|action| (*action).to_owned()));
    // A lock would keep it from being put back.
    add(&["Microsoft.Authorization/locks/read"]);
    match (&change.action, &resource.kind) {
        (Action::Stop { deallocate }, _) => {
            add(&[
                "Microsoft.Compute/virtualMachines/start/action",
                "Microsoft.Compute/locations/operations/read",
            ]);
            if *deallocate {
                add(&[
                    "Microsoft.Compute/virtualMachines/deallocate/action",
                    "Microsoft.Network/networkInterfaces/read",
                    "Microsoft.Network/publicIPAddresses/read",
                ]);
            } else {
                add(&["Microsoft.Compute/virtualMachines/powerOff/action"]);
            }
        }
        (Action::BlockIngress(_), _) => add(&[
            "Microsoft.Network/networkSecurityGroups/securityRules/write",
            "Microsoft.Network/networkSecurityGroups/securityRules/delete",
            "Microsoft.Network/locations/operations/read",
        ]),
        (Action::Disable, AzureKind::TrafficManagerEndpoint { .. }) => {
            actions.extend(of_endpoints("write"));
        }
        (Action::Disable, AzureKind::StaticWebsite { .. }) => {
            add(&["Microsoft.Storage/storageAccounts/blobServices/write"]);
        }
        (Action::Disable, kind) => {
            add(&["Microsoft.Cdn/operationresults/*"]);
            add(&[match kind {
                AzureKind::FrontDoorRoute { .. } => {
                    "Microsoft.Cdn/profiles/afdEndpoints/routes/write"
                }
                AzureKind::FrontDoorOrigin { .. } => {
                    "Microsoft.Cdn/profiles/originGroups/origins/write"
                }
                AzureKind::FrontDoorEndpoint { .. }
                | AzureKind::VirtualMachine { .. }
                | AzureKind::NetworkSecurityGroup { .. }
                | AzureKind::TrafficManagerEndpoint { .. }
                | AzureKind::StaticWebsite { .. } => "Microsoft.Cdn/profiles/afdEndpoints/write",
            }]);
        }
    }
    actions
}

/// The least that faults on an environment's resources need, and its observers: a role for each subscription.
pub(in crate::provider) fn permissions(
    environment: &Environment,
    faults: &[&drill::Fault],
) -> Result<Vec<Permissions>, ProviderError> {
    let mut roles: BTreeMap<String, Role> = BTreeMap::new();
    let mut add = |resource: &AzureResource, actions: BTreeSet<String>| {
        let role = roles.entry(resource.account.subscription.clone());
        let role = role.or_insert_with(|| Role {
            system: resource.account.to_string(),
            ..Role::default()
        });
        role.actions.extend(actions);
        role.scopes.insert(format!(
            "/subscriptions/{}/resourceGroups/{}",
            resource.account.subscription, resource.resource_group
        ));
    };
    let resource = |target: &str| match environment.targets.get(target) {
        Some(Target::Azure(resource)) => Some(resource),
        Some(_) | None => None,
    };
    for fault in faults {
        if let Some(resource) = resource(fault.target()) {
            add(resource, actions(&change(resource, fault)?));
        }
    }
    for observer in &environment.observers {
        if let Some(resource) = resource(&observer.watches) {
            add(resource, reading(resource).into_iter().collect());
        }
    }
    let permissions = roles.into_values().map(|role| Permissions {
        binding: Binding::Azure,
        text: role.definition(),
        system: role.system,
    });
    Ok(permissions.collect())
}

/// A custom role.
#[derive(Debug, Default)]
struct Role {
    system: String,
    actions: BTreeSet<String>,
    scopes: BTreeSet<String>,
}

impl Role {
    /// As `az role definition create --role-definition` takes it.
    fn definition(&self) -> String {
        let definition = json!({
            "Name": "blackstart",
            "IsCustom": true,
            "Description": "The least that drills of Blackstart need.",
            "Actions": self.actions,
            "NotActions": [],
            "AssignableScopes": self.scopes,
        });
        format!("{definition:#}\n")
    }
}

/// What of what a fault needs whoever asks may not do to a resource. Azure tells the rights of all roles together.
pub(super) async fn denied(
    connection: &Connection,
    change: &Change,
    id: &str,
) -> Result<Vec<String>, AzureError> {
    let path = format!("{id}/providers/Microsoft.Authorization/permissions");
    let what = format!("what may be done to {}", change.resource);
    let granted = connection.list(&path, AUTHORIZATION, &what).await?;
    let needed = actions(change).into_iter();
    // Of the types of endpoints only that of this one.
    let concerns = |action: &String| {
        let mut types = ENDPOINT_TYPES.iter();
        let of_type = types.find(|kind| action.contains(&format!("/{kind}/")));
        of_type.is_none_or(|kind| id.to_ascii_lowercase().contains(&kind.to_ascii_lowercase()))
    };
    Ok(needed
        .filter(concerns)
        .filter(|action| !is_granted(&granted, action))
        .collect())
}

/// Whether one of several grants allows an action and does not take it back.
fn is_granted(granted: &[Value], action: &str) -> bool {
    let fits = |patterns: &Value| {
        let mut patterns = patterns.as_array().into_iter().flatten();
        patterns.any(|pattern| {
            pattern
                .as_str()
                .is_some_and(|pattern| matches_pattern(pattern, action))
        })
    };
    let mut granted = granted.iter();
    granted.any(|grant| fits(&grant["actions"]) && !fits(&grant["notActions"]))
}

/// Whether an action is meant by a pattern: `*` stands for anything, and capitals do not count.
fn matches_pattern(pattern: &str, action: &str) -> bool {
    let (pattern, action) = (pattern.to_ascii_lowercase(), action.to_ascii_lowercase());
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = action.strip_prefix(first) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::AzureAccount;

    fn change_of(kind: AzureKind, action: Action) -> Change {
        Change {
            resource: AzureResource {
                account: AzureAccount {
                    subscription: "00000000-0000-0000-0000-000000000000".to_owned(),
                    ..AzureAccount::default()
                },
                resource_group: "petclinic".to_owned(),
                kind,
            },
            action,
        }
    }

    /// The roles of docs/permissions/azure.md are those that are printed.
    #[test]
    fn the_documented_roles_are_those_that_are_printed() {
        let documented = include_str!("../../../../docs/permissions/azure.md");
        let machine = |deallocate| AzureKind::VirtualMachine {
            name: "vm".to_owned(),
            deallocate,
        };
        let (profile, endpoint) = ("front".to_owned(), "www".to_owned());
        for (kind, action) in [
            (machine(false), Action::Stop { deallocate: false }),
            (machine(true), Action::Stop { deallocate: true }),
            (
                AzureKind::NetworkSecurityGroup {
                    name: "vm".to_owned(),
                    ports: Vec::new(),
                },
                Action::BlockIngress(Vec::new()),
            ),
            (
                AzureKind::TrafficManagerEndpoint {
                    profile: profile.clone(),
                    endpoint: endpoint.clone(),
                },
                Action::Disable,
            ),
            (
                AzureKind::FrontDoorEndpoint {
                    profile: profile.clone(),
                    endpoint: endpoint.clone(),
                },
                Action::Disable,
            ),
            (
                AzureKind::FrontDoorRoute {
                    profile: profile.clone(),
                    endpoint,
                    route: "all".to_owned(),
                },
                Action::Disable,
            ),
            (
                AzureKind::FrontDoorOrigin {
                    profile,
                    group: "all".to_owned(),
                    origin: "vm".to_owned(),
                },
                Action::Disable,
            ),
            (
                AzureKind::StaticWebsite {
                    account: "sorry".to_owned(),
                },
                Action::Disable,
            ),
        ] {
            let change = change_of(kind, action);
            let role = Role {
                actions: actions(&change),
                scopes: BTreeSet::from([format!(
                    "/subscriptions/{}/resourceGroups/petclinic",
                    change.resource.account.subscription
                )]),
                ..Role::default()
            };
            let text = role.definition();
            assert!(
                documented.contains(&text),
                "docs/permissions/azure.md lacks, for {:?}:\n{text}",
                change.describe()
            );
        }
    }

    #[test]
    fn patterns_of_roles_are_read_as_azure_does() {
        let start = "Microsoft.Compute/virtualMachines/start/action";
        for pattern in [
            "*",
            "Microsoft.Compute/*",
            "microsoft.compute/virtualmachines/start/ACTION",
            "Microsoft.Compute/*/action",
            "*/start/*",
        ] {
            assert!(matches_pattern(pattern, start), "{pattern}");
        }
        for pattern in ["*/read", "Microsoft.Compute", "Microsoft.Network/*", ""] {
            assert!(!matches_pattern(pattern, start), "{pattern}");
        }
    }

    #[test]
    fn what_one_role_takes_back_another_may_still_allow() {
        let start = "Microsoft.Compute/virtualMachines/start/action";
        let but_machines = json!({ "actions": ["*"], "notActions": ["Microsoft.Compute/*"] });
        let reader = json!({ "actions": ["*/read"], "notActions": [] });
        let operator = json!({ "actions": [start], "notActions": [] });
        assert!(!is_granted(&[but_machines.clone(), reader], start));
        assert!(is_granted(&[but_machines, operator], start));
        assert!(!is_granted(&[], start));
    }
}
