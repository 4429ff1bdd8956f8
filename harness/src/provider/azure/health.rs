//! What Azure itself thinks of a target.

use serde_json::Value;

use super::{
    AzureError,
    arm::Connection,
    part::{self, OURS},
};
use crate::{
    environment::{AzureKind, AzureResource},
    provider::Health,
};

/// Reads what Azure thinks of a resource.
pub(super) async fn read(
    connection: &Connection,
    resource: &AzureResource,
) -> Result<Health, AzureError> {
    match &resource.kind {
        AzureKind::VirtualMachine { .. } => machine(connection, resource).await,
        AzureKind::NetworkSecurityGroup { .. } => group(connection, resource).await,
        AzureKind::StaticWebsite { .. } => website(connection, resource).await,
        AzureKind::TrafficManagerEndpoint { .. } => {
            switched(connection, resource, traffic_manager).await
        }
        AzureKind::FrontDoorEndpoint { .. }
        | AzureKind::FrontDoorRoute { .. }
        | AzureKind::FrontDoorOrigin { .. } => switched(connection, resource, front_door).await,
    }
}

async fn machine(connection: &Connection, resource: &AzureResource) -> Result<Health, AzureError> {
    let found = part::machine(connection, &part::machine_id(resource)).await?;
    let power = found.ok_or_else(|| part::not_found(resource))?.power;
    Ok(Health {
        healthy: power.is_up(),
        detail: power.to_string(),
    })
}

/// A group is well while no drill's rule is in it.
async fn group(connection: &Connection, resource: &AzureResource) -> Result<Health, AzureError> {
    let found = part::group(connection, &part::group_id(resource)).await?;
    let group = found.ok_or_else(|| part::not_found(resource))?;
    let rules = group["properties"]["securityRules"].as_array();
    let mut names = rules
        .into_iter()
        .flatten()
        .filter_map(|rule| rule["name"].as_str());
    let ours = names.find(|name| name.starts_with(OURS));
    Ok(Health {
        healthy: ours.is_none(),
        detail: ours.map_or_else(
            || "no rule of a drill".to_owned(),
            |name| format!("the rule `{name}` lets nobody in"),
        ),
    })
}

async fn website(connection: &Connection, resource: &AzureResource) -> Result<Health, AzureError> {
    let found = part::website(connection, resource, &part::website_id(resource)).await?;
    let website = found.ok_or_else(|| part::not_found(resource))?;
    Ok(Health {
        healthy: website.is_on,
        detail: if website.is_on { "on" } else { "off" }.to_owned(),
    })
}

async fn switched(
    connection: &Connection,
    resource: &AzureResource,
    opinion: fn(&Value) -> Health,
) -> Result<Health, AzureError> {
    let found = part::switch(connection, resource).await?;
    let found = found.ok_or_else(|| part::not_found(resource))?;
    Ok(opinion(&found.body["properties"]))
}

/// What the probes of Traffic Manager found: it gives out what is online, and what it does not watch (`Unmonitored`).
fn traffic_manager(properties: &Value) -> Health {
    let status = properties["endpointMonitorStatus"].as_str();
    let switch = properties["endpointStatus"].as_str().unwrap_or("unknown");
    let status = status.unwrap_or(switch);
    Health {
        healthy: switch == "Enabled" && matches!(status, "Online" | "Unmonitored"),
        detail: status.to_owned(),
    }
}

/// Front Door tells whether something is switched on, and whether every edge has heard of the last change. It does not tell what its
/// probes find.
fn front_door(properties: &Value) -> Health {
    let switch = properties["enabledState"].as_str().unwrap_or("unknown");
    let deployment = properties["deploymentStatus"].as_str();
    let detail = match deployment {
        // What Front Door says although the edges have it.
        None | Some("NotStarted" | "Succeeded") => switch.to_owned(),
        Some(deployment) => format!("{switch}, deployment {deployment}"),
    };
    Health {
        healthy: switch == "Enabled" && deployment != Some("Failed"),
        detail,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_endpoint_of_traffic_manager_is_well_if_it_is_given_out() {
        let health = |monitor: &str, switch: &str| {
            let health = traffic_manager(
                &json!({ "endpointMonitorStatus": monitor, "endpointStatus": switch }),
            );
            (health.healthy, health.detail)
        };
        assert_eq!(health("Online", "Enabled"), (true, "Online".to_owned()));
        assert!(health("Unmonitored", "Enabled").0);
        for monitor in ["Degraded", "CheckingEndpoint", "Inactive", "Stopped"] {
            assert_eq!(health(monitor, "Enabled"), (false, monitor.to_owned()));
        }
        // The monitor lags behind the switch.
        assert!(!health("Online", "Disabled").0);
    }

    #[test]
    fn what_front_door_has_not_told_its_edges_yet_is_said() {
        let health =
            front_door(&json!({ "enabledState": "Enabled", "deploymentStatus": "InProgress" }));
        assert_eq!(
            (health.healthy, health.detail.as_str()),
            (true, "Enabled, deployment InProgress")
        );
        assert!(
            !front_door(&json!({ "enabledState": "Disabled", "deploymentStatus": "Succeeded" }))
                .healthy
        );
    }
}
