//! What a fault does to a resource of Azure, worked out without asking anybody, so that a plan can be shown without credentials.

use crate::{
    drill,
    environment::{AzureKind, AzureResource, Thing},
    provider::{Planned, ProviderError},
};

/// A fault as a resource feels it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Change {
    /// Which resource.
    pub(super) resource: AzureResource,
    pub(super) action: Action,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Action {
    /// The machine is powered off, or deallocated.
    Stop {
        /// Whether its hardware is given back.
        deallocate: bool,
    },
    /// A rule shuts these ports; every one if there is none.
    BlockIngress(Vec<u16>),
    /// The switch is turned off.
    Disable,
}

/// Works out what a fault does. Touches nothing.
///
/// # Errors
/// If this cannot be done to such a resource.
pub(super) fn change(
    resource: &AzureResource,
    fault: &drill::Fault,
) -> Result<Change, ProviderError> {
    if !resource.faults().contains(&fault.kind()) {
        return Err(ProviderError::Unsupported {
            fault: fault.kind().to_owned(),
            resource: resource.to_string(),
            can: resource.faults().join(", "),
        });
    }
    // Each kind of resource has one fault.
    let action = match &resource.kind {
        AzureKind::VirtualMachine { deallocate, .. } => Action::Stop {
            deallocate: *deallocate,
        },
        AzureKind::NetworkSecurityGroup { ports, .. } => Action::BlockIngress(ports.clone()),
        AzureKind::TrafficManagerEndpoint { .. }
        | AzureKind::FrontDoorEndpoint { .. }
        | AzureKind::FrontDoorRoute { .. }
        | AzureKind::FrontDoorOrigin { .. }
        | AzureKind::StaticWebsite { .. } => Action::Disable,
    };
    Ok(Change {
        resource: resource.clone(),
        action,
    })
}

/// What a fault will do, for a plan.
///
/// # Errors
/// If this cannot be done to such a resource.
pub fn planned(resource: &AzureResource, fault: &drill::Fault) -> Result<Planned, ProviderError> {
    let change = change(resource, fault)?;
    Ok(Planned {
        describe: change.describe(),
        describe_revert: change.describe_revert(),
        touches: format!("azure {resource}, {}", resource.account),
        warnings: change.warnings().into_iter().map(str::to_owned).collect(),
        thing: Thing::Azure(change.resource),
    })
}

impl Change {
    /// What is done, in words.
    pub(super) fn describe(&self) -> String {
        let which = &self.resource;
        match &self.action {
            Action::Stop { deallocate: false } => format!("power {which} off"),
            Action::Stop { deallocate: true } => format!("deallocate {which}"),
            Action::BlockIngress(ports) => {
                format!(
                    "add a rule to {which} that lets nobody in to {}",
                    port_words(ports)
                )
            }
            Action::Disable => format!("disable {which}"),
        }
    }

    /// What undoing it does, in words, before the state is known.
    fn describe_revert(&self) -> String {
        let which = &self.resource;
        match &self.action {
            Action::Stop { .. } => format!("start {which}"),
            Action::BlockIngress(_) => format!("delete that rule of {which}"),
            Action::Disable => format!("enable {which} as it was"),
        }
    }

    /// What Azure does with it, as far as that can be said without asking.
    fn warnings(&self) -> Vec<&'static str> {
        match (&self.action, &self.resource.kind) {
            (Action::Stop { deallocate: false }, _) => vec![
                "the machine shuts down before its power is off, and starts from cold: each can take minutes",
            ],
            (Action::Stop { deallocate: true }, _) => vec![
                "the temporary disk is lost, and there may be no capacity to start the machine again",
                "the machine shuts down before it is deallocated, and starts from cold: each can take minutes",
            ],
            (Action::BlockIngress(_), _) => vec![
                "connections that are open live on: rules apply to new ones only",
                "probes of a load balancer of Azure are shut out as well",
            ],
            (Action::Disable, AzureKind::TrafficManagerEndpoint { .. }) => vec![
                "clients keep the address that they have for the TTL of the profile",
                "a profile whose endpoints are all disabled answers with nothing",
            ],
            (Action::Disable, AzureKind::StaticWebsite { .. }) => {
                vec!["how soon the address stops to answer is up to Azure: the drill measures it"]
            }
            (Action::Disable, _) => {
                vec![
                    "it can take minutes until every edge of Front Door knows, on the way back as well",
                ]
            }
        }
    }
}

/// Ports in words.
pub(super) fn port_words(ports: &[u16]) -> String {
    match ports {
        [] => "any port".to_owned(),
        [port] => format!("port {port}"),
        ports => {
            let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
            format!("ports {}", ports.join(", "))
        }
    }
}
