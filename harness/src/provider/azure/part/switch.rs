//! What has a switch of its own: endpoints of Traffic Manager, and endpoints, routes and origins of Front Door.

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Part, Place, Taken, id_of, not_found};
use crate::{
    environment::{AzureKind, AzureResource},
    provider::azure::{
        AzureError,
        arm::{Ask, Body, Connection},
    },
};

const TRAFFIC_MANAGER: &str = "2022-04-01";
const FRONT_DOOR: &str = "2024-02-01";
const ENABLED: &str = "Enabled";
const DISABLED: &str = "Disabled";

/// A switch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::provider::azure) struct Switch {
    /// What the property is called.
    pub(super) property: String,
    /// Whether it is on.
    is_on: bool,
}

/// A resource with a switch, as it was read.
pub(in crate::provider::azure) struct Switched {
    pub(in crate::provider::azure) id: String,
    pub(in crate::provider::azure) body: Value,
}

/// The property that is the switch.
fn property(resource: &AzureResource) -> &'static str {
    match resource.kind {
        AzureKind::TrafficManagerEndpoint { .. } => "endpointStatus",
        AzureKind::VirtualMachine { .. }
        | AzureKind::NetworkSecurityGroup { .. }
        | AzureKind::FrontDoorEndpoint { .. }
        | AzureKind::FrontDoorRoute { .. }
        | AzureKind::FrontDoorOrigin { .. }
        | AzureKind::StaticWebsite { .. } => "enabledState",
    }
}

fn version(resource: &AzureResource) -> &'static str {
    match resource.kind {
        AzureKind::TrafficManagerEndpoint { .. } => TRAFFIC_MANAGER,
        AzureKind::VirtualMachine { .. }
        | AzureKind::NetworkSecurityGroup { .. }
        | AzureKind::FrontDoorEndpoint { .. }
        | AzureKind::FrontDoorRoute { .. }
        | AzureKind::FrontDoorOrigin { .. }
        | AzureKind::StaticWebsite { .. } => FRONT_DOOR,
    }
}

/// The id of what has a switch. That of an endpoint of Traffic Manager has its type in it, so its profile is asked.
async fn id(
    connection: &Connection,
    resource: &AzureResource,
) -> Result<Option<String>, AzureError> {
    let front_door = |path: String| {
        Ok(Some(id_of(
            resource,
            &format!("Microsoft.Cdn/profiles/{path}"),
        )))
    };
    match &resource.kind {
        AzureKind::FrontDoorEndpoint { profile, endpoint } => {
            front_door(format!("{profile}/afdEndpoints/{endpoint}"))
        }
        AzureKind::FrontDoorRoute {
            profile,
            endpoint,
            route,
        } => front_door(format!("{profile}/afdEndpoints/{endpoint}/routes/{route}")),
        AzureKind::FrontDoorOrigin {
            profile,
            group,
            origin,
        } => front_door(format!("{profile}/originGroups/{group}/origins/{origin}")),
        AzureKind::TrafficManagerEndpoint { profile, endpoint } => {
            let path = format!("Microsoft.Network/trafficManagerProfiles/{profile}");
            let profile = id_of(resource, &path);
            let what = format!("the profile of {resource}");
            let body = connection.get(&profile, TRAFFIC_MANAGER, &what).await?;
            let body = body.unwrap_or_default();
            let endpoints = body["properties"]["endpoints"].as_array();
            let found = endpoints.into_iter().flatten().find(|known| {
                let name = known["name"].as_str();
                name.is_some_and(|name| name.eq_ignore_ascii_case(endpoint))
            });
            // Such as `Microsoft.Network/trafficManagerProfiles/externalEndpoints`.
            let kind = found.and_then(|found| found["type"].as_str()?.rsplit('/').next());
            Ok(kind.map(|kind| format!("{profile}/{kind}/{endpoint}")))
        }
        AzureKind::VirtualMachine { .. }
        | AzureKind::NetworkSecurityGroup { .. }
        | AzureKind::StaticWebsite { .. } => Ok(None),
    }
}

/// Reads what has a switch; `None` if it is not there.
pub(in crate::provider::azure) async fn switch(
    connection: &Connection,
    resource: &AzureResource,
) -> Result<Option<Switched>, AzureError> {
    let Some(id) = id(connection, resource).await? else {
        return Ok(None);
    };
    let body = body(connection, resource, &id).await?;
    Ok(body.map(|body| Switched { id, body }))
}

async fn body(
    connection: &Connection,
    resource: &AzureResource,
    id: &str,
) -> Result<Option<Value>, AzureError> {
    connection
        .get(id, version(resource), &resource.to_string())
        .await
}

pub(super) async fn take(
    connection: &Connection,
    resource: &AzureResource,
) -> Result<Taken, AzureError> {
    let found = switch(connection, resource).await?;
    let found = found.ok_or_else(|| not_found(resource))?;
    let before = part(resource, &found.body);
    if let Part::Foreign(what) = before {
        return Err(AzureError::Answer {
            what: format!("reading {resource}"),
            reason: what,
        });
    }
    Ok(Taken {
        id: found.id,
        unique: None,
        before,
        after: Part::Switch(Switch {
            property: property(resource).to_owned(),
            is_on: false,
        }),
    })
}

fn part(resource: &AzureResource, body: &Value) -> Part {
    let property = property(resource);
    let value = body["properties"][property].as_str();
    let is = |wanted: &str| value.is_some_and(|value| value.eq_ignore_ascii_case(wanted));
    let is_on = is(ENABLED);
    if !is_on && !is(DISABLED) {
        let value = value.unwrap_or("nothing");
        return Part::Foreign(format!("{property} {value}"));
    }
    Part::Switch(Switch {
        property: property.to_owned(),
        is_on,
    })
}

pub(super) async fn read(place: Place<'_>) -> Result<Part, AzureError> {
    let body = body(place.connection, place.resource, place.id).await?;
    Ok(match body {
        Some(body) => part(place.resource, &body),
        None => Part::Gone,
    })
}

impl Switch {
    pub(super) fn value(&self) -> &'static str {
        if self.is_on { ENABLED } else { DISABLED }
    }

    pub(super) fn words(&self) -> String {
        format!("{} {}", self.property, self.value())
    }

    /// Turns the switch, and nothing else: a PATCH leaves what it does not name.
    pub(super) async fn apply(&self, place: Place<'_>) -> Result<(), AzureError> {
        let (connection, resource) = (place.connection, place.resource);
        let what = format!("setting {} of {resource}", self.words());
        let mut properties = Map::new();
        properties.insert(self.property.clone(), self.value().into());
        let asked = connection.carry_out(Ask {
            method: Method::PATCH,
            address: connection.address(place.id, version(resource)),
            what: &what,
            body: Body::Json(json!({ "properties": properties })),
            // Neither Traffic Manager nor Front Door gives its resources versions.
            if_match: None,
        });
        asked.await
    }
}
