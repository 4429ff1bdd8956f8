//! The networks that a container is in, and how it gets back into them.

use std::collections::BTreeMap;

use bollard::models::{ContainerInspectResponse, EndpointIpamConfig, EndpointSettings};
use serde::{Deserialize, Serialize};

use super::{
    DockerError,
    engine::Engine,
    snapshot::{Known, Of},
};

/// A container's place in a network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Endpoint {
    /// Its address; `None` if the engine chose it, which it may do again otherwise.
    pub(super) address: Option<String>,
    /// The address that the engine chose, which is asked for again.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) chosen: Option<String>,
    pub(super) aliases: Vec<String>,
    pub(super) links: Vec<String>,
}

/// The networks that containers are in.
pub(super) async fn networks(
    engine: &Engine,
    containers: &[(String, String)],
) -> Result<Of<BTreeMap<String, Endpoint>>, DockerError> {
    let mut networks = BTreeMap::new();
    for (name, id) in containers {
        let is = engine
            .inspect(id)
            .await?
            .map(|inspected| endpoints(&inspected));
        let id = id.clone();
        networks.insert(name.clone(), Known { id, is });
    }
    Ok(networks)
}

fn endpoints(inspected: &ContainerInspectResponse) -> BTreeMap<String, Endpoint> {
    let id = inspected.id.as_deref().unwrap_or_default();
    let networks = inspected
        .network_settings
        .as_ref()
        .and_then(|settings| settings.networks.clone())
        .unwrap_or_default();
    networks
        .into_iter()
        .map(|(name, endpoint)| {
            let address = endpoint
                .ipam_config
                .and_then(|config| config.ipv4_address)
                .filter(|address| !address.is_empty());
            let chosen = endpoint
                .ip_address
                .filter(|chosen| address.is_none() && !chosen.is_empty());
            // The engine adds the short id by itself.
            let mut aliases: Vec<String> = endpoint
                .aliases
                .unwrap_or_default()
                .into_iter()
                .filter(|alias| !id.starts_with(alias))
                .collect();
            aliases.sort();
            let endpoint = Endpoint {
                address,
                chosen,
                aliases,
                links: endpoint.links.unwrap_or_default(),
            };
            (name, endpoint)
        })
        .collect()
}

/// Whether two containers are in the same networks by the same names, and by the same addresses where those were given.
pub(super) fn alike(now: &BTreeMap<String, Endpoint>, other: &BTreeMap<String, Endpoint>) -> bool {
    now.len() == other.len()
        && other.iter().all(|(name, other)| {
            now.get(name).is_some_and(|now| {
                let is_address = match &other.address {
                    Some(_) => now.address == other.address,
                    None => true,
                };
                is_address && now.aliases == other.aliases && now.links == other.links
            })
        })
}

/// Brings a container into these networks and no others.
pub(super) async fn rewire(
    engine: &Engine,
    id: &str,
    wanted: &BTreeMap<String, Endpoint>,
) -> Result<(), DockerError> {
    let Some(inspected) = engine.inspect(id).await? else {
        return Ok(());
    };
    let now = endpoints(&inspected);
    for network in now.keys().filter(|network| !wanted.contains_key(*network)) {
        engine.disconnect(id, network).await?;
    }
    for (network, endpoint) in wanted {
        if now.contains_key(network) {
            continue;
        }
        let settings = |address: &Option<String>| EndpointSettings {
            aliases: (!endpoint.aliases.is_empty()).then(|| endpoint.aliases.clone()),
            links: (!endpoint.links.is_empty()).then(|| endpoint.links.clone()),
            ipam_config: address.as_ref().map(|address| EndpointIpamConfig {
                ipv4_address: Some(address.clone()),
                ..EndpointIpamConfig::default()
            }),
            ..EndpointSettings::default()
        };
        // An address that the engine chose cannot be asked for in every network; then it chooses again.
        if endpoint.chosen.is_some()
            && engine
                .connect_network(id, network, settings(&endpoint.chosen))
                .await
                .is_ok()
        {
            continue;
        }
        engine
            .connect_network(id, network, settings(&endpoint.address))
            .await?;
    }
    Ok(())
}
