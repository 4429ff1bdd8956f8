//! Virtual machines: whether one runs.

use std::{fmt, time::Duration};

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::{LOOK_EVERY, Part, Place, Taken, id_of, not_found};
use crate::{
    environment::{AzureKind, AzureResource},
    provider::azure::{
        AzureError,
        arm::{Ask, Body, Connection},
    },
};

const COMPUTE: &str = "2024-07-01";
const NETWORK: &str = "2024-05-01";
/// How long Azure may leave out whether a machine runs, for one who is not patient.
const UNTOLD: Duration = Duration::from_secs(10);

/// What a machine does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::provider::azure) enum Power {
    Running,
    /// Running, while Azure carries out something that was asked for: it may be going down.
    Busy,
    Starting,
    Stopping,
    /// Off, with its hardware kept.
    Stopped,
    Deallocating,
    /// Off, with its hardware given back.
    Deallocated,
    /// Azure says something new.
    Unknown,
}

/// A machine as it was read.
pub(in crate::provider::azure) struct Machine {
    pub(in crate::provider::azure) power: Power,
    /// The id that another machine of its name would not have.
    unique: Option<String>,
    body: Value,
}

impl fmt::Display for Power {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running => "running",
            Self::Busy => "running, with an operation under way",
            Self::Starting => "starting",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Deallocating => "deallocating",
            Self::Deallocated => "deallocated",
            Self::Unknown => "unknown",
        })
    }
}

impl Power {
    /// What Azure says; `None` if it leaves that out.
    fn of(machine: &Value) -> Option<Self> {
        let properties = &machine["properties"];
        let statuses = properties["instanceView"]["statuses"].as_array();
        let codes = statuses
            .into_iter()
            .flatten()
            .filter_map(|status| status["code"].as_str());
        let mut power = codes.filter_map(|code| code.strip_prefix("PowerState/"));
        let is_updating = properties["provisioningState"]
            .as_str()
            .is_some_and(|state| state.eq_ignore_ascii_case("Updating"));
        Some(match power.next_back()? {
            "running" if is_updating => Self::Busy,
            "running" => Self::Running,
            "starting" => Self::Starting,
            "stopping" => Self::Stopping,
            "stopped" => Self::Stopped,
            "deallocating" => Self::Deallocating,
            "deallocated" => Self::Deallocated,
            _ => Self::Unknown,
        })
    }

    /// Whether it changes by itself.
    pub(super) fn is_moving(self) -> bool {
        matches!(
            self,
            Self::Busy | Self::Starting | Self::Stopping | Self::Deallocating
        )
    }

    /// Whether the machine serves, as far as Azure knows.
    pub(in crate::provider::azure) fn is_up(self) -> bool {
        matches!(self, Self::Running | Self::Busy)
    }

    /// Whether a machine that was running is so on its way to `after` or back from there. A machine that is to be deallocated is
    /// stopped first.
    pub(super) fn is_on_the_way_to(self, after: Self) -> bool {
        match self {
            Self::Busy | Self::Starting | Self::Stopping => true,
            Self::Stopped | Self::Deallocating => after == Self::Deallocated,
            Self::Running | Self::Deallocated | Self::Unknown => false,
        }
    }

    /// Asks Azure to bring the machine to this.
    pub(super) async fn apply(self, place: Place<'_>) -> Result<(), AzureError> {
        let (action, words) = match self {
            Self::Running => ("start", "starting"),
            Self::Deallocated => ("deallocate", "deallocating"),
            Self::Busy
            | Self::Starting
            | Self::Stopping
            | Self::Stopped
            | Self::Deallocating
            | Self::Unknown => ("powerOff", "powering off"),
        };
        let connection = place.connection;
        let what = format!("{words} {}", place.resource);
        let asked = connection.carry_out(Ask {
            method: Method::POST,
            address: connection.address(&format!("{}/{action}", place.id), COMPUTE),
            what: &what,
            body: Body::Nothing,
            if_match: None,
        });
        asked.await
    }
}

/// Reads a machine; `None` if it is not there. That Azure leaves out whether it runs is an error.
pub(in crate::provider::azure) async fn machine(
    connection: &Connection,
    id: &str,
) -> Result<Option<Machine>, AzureError> {
    let mut address = connection.address(id, COMPUTE);
    address
        .query_pairs_mut()
        .append_pair("$expand", "instanceView");
    let what = format!("the virtual machine {id}");
    let Some(body) = connection.get_at(address, &what).await? else {
        return Ok(None);
    };
    let power = Power::of(&body).ok_or_else(|| AzureError::PowerUntold {
        machine: format!("the virtual machine {id}"),
    })?;
    Ok(Some(Machine {
        power,
        unique: body["properties"]["vmId"].as_str().map(str::to_owned),
        body,
    }))
}

/// The same, asked again while Azure leaves out whether the machine runs, as it does now and then while one changes.
async fn told(connection: &Connection, id: &str) -> Result<Option<Machine>, AzureError> {
    let until = connection.deadline(UNTOLD);
    loop {
        match machine(connection, id).await {
            Err(AzureError::PowerUntold { .. }) if Instant::now() + LOOK_EVERY <= until => {
                sleep(LOOK_EVERY).await;
            }
            told => return told,
        }
    }
}

/// The id of a machine.
pub(in crate::provider::azure) fn id(resource: &AzureResource) -> String {
    let name = match &resource.kind {
        AzureKind::VirtualMachine { name, .. } => name.as_str(),
        AzureKind::NetworkSecurityGroup { .. }
        | AzureKind::TrafficManagerEndpoint { .. }
        | AzureKind::FrontDoorEndpoint { .. }
        | AzureKind::FrontDoorRoute { .. }
        | AzureKind::FrontDoorOrigin { .. }
        | AzureKind::StaticWebsite { .. } => "",
    };
    id_of(
        resource,
        &format!("Microsoft.Compute/virtualMachines/{name}"),
    )
}

pub(super) async fn take(
    connection: &Connection,
    resource: &AzureResource,
    deallocate: bool,
) -> Result<Taken, AzureError> {
    let id = id(resource);
    let found = told(connection, &id).await?;
    let found = found.ok_or_else(|| not_found(resource))?;
    let after = if deallocate {
        Power::Deallocated
    } else {
        Power::Stopped
    };
    if found.power == Power::Busy {
        return Err(AzureError::MachineBusy {
            machine: resource.to_string(),
            power: found.power.to_string(),
        });
    }
    // What is off already is told by whoever compares the two.
    if found.power != Power::Running && found.power != after {
        return Err(AzureError::NotRunning {
            machine: resource.to_string(),
            power: found.power.to_string(),
        });
    }
    if deallocate {
        refuse_what_is_lost(connection, resource, &found.body).await?;
    }
    Ok(Taken {
        id,
        unique: found.unique,
        before: Part::Power(found.power),
        after: Part::Power(after),
    })
}

/// What goes with the hardware and does not come back with it.
async fn refuse_what_is_lost(
    connection: &Connection,
    resource: &AzureResource,
    machine: &Value,
) -> Result<(), AzureError> {
    let refuse = |reason: String| AzureError::NotDeallocated {
        machine: resource.to_string(),
        reason,
    };
    let disk = &machine["properties"]["storageProfile"]["osDisk"]["diffDiskSettings"];
    if !disk.is_null() {
        return Err(refuse(
            "its disk is ephemeral, and ends with its hardware".to_owned(),
        ));
    }
    let interfaces = &machine["properties"]["networkProfile"]["networkInterfaces"];
    for interface in ids(interfaces) {
        let what = format!("the network interface {interface}");
        let interface = connection.get(interface, NETWORK, &what).await?;
        let interface = interface.unwrap_or_default();
        let configurations = interface["properties"]["ipConfigurations"].as_array();
        for configuration in configurations.into_iter().flatten() {
            let public = &configuration["properties"]["publicIPAddress"]["id"];
            let Some(public) = public.as_str() else {
                continue;
            };
            let what = format!("the public address {public}");
            let address = connection.get(public, NETWORK, &what).await?;
            let address = address.unwrap_or_default();
            if address["properties"]["publicIPAllocationMethod"] == "Dynamic" {
                return Err(refuse(format!(
                    "its public address `{}` is dynamic, and it would get another one: make it static, or leave `deallocate` out",
                    address["name"].as_str().unwrap_or(public)
                )));
            }
        }
    }
    Ok(())
}

fn ids(list: &Value) -> impl Iterator<Item = &str> {
    let entries = list.as_array().into_iter().flatten();
    entries.filter_map(|entry| entry["id"].as_str())
}

pub(super) async fn read(place: Place<'_>) -> Result<Part, AzureError> {
    let found = told(place.connection, place.id).await?;
    Ok(match found {
        Some(machine) if !place.is_another(machine.unique.as_deref()) => Part::Power(machine.power),
        Some(_) | None => Part::Gone,
    })
}
