//! Containers as they are, as they were and as a fault leaves them.

use std::{collections::BTreeMap, fmt};

use blackstart_lab::control::{Resource, ResourceKind, Settings};
use bollard::models::{
    ContainerInspectResponse, EndpointIpamConfig, EndpointSettings, HealthStatusEnum,
};
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};

use super::{
    DockerError,
    change::{Action, Change},
    engine::{self, Engine},
    found::{Found, Status, find},
    lab,
};
use crate::{
    environment::Containers,
    provider::{
        Current, Health, ProviderError,
        lab::{LabProvider, only, orders, states, without_texts},
    },
};

/// One aspect of some containers, by their names; each is found again by its id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Snapshot {
    /// Whether they run.
    Status(Of<Status>),
    /// The networks they are in.
    Networks(Of<BTreeMap<String, Endpoint>>),
    /// Who gets through to them.
    Ingress(Of<Ingress>),
    /// How parts of a lab behave.
    Settings(Of<Part>),
}

/// A value for each container, by its name.
pub(super) type Of<T> = BTreeMap<String, Known<T>>;

/// A container and its value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Known<T> {
    id: String,
    /// `None` for a container that is gone.
    is: Option<T>,
}

/// A container's place in a network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Endpoint {
    /// Its address; `None` if the engine chose it, which it may do again otherwise.
    address: Option<String>,
    /// The address that the engine chose, which is asked for again.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    chosen: Option<String>,
    aliases: Vec<String>,
    links: Vec<String>,
}

/// Who gets through to a container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Ingress {
    /// Everybody.
    Open,
    /// New connections are dropped.
    Blocked(Blocked),
}

/// What a packet filter drops.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Blocked {
    /// The ports; every one if there is none.
    pub(super) ports: Vec<u16>,
    /// Ports that are let through all the same.
    pub(super) except: Vec<u16>,
    /// The sources; every one if there is none.
    pub(super) from: Vec<String>,
}

/// How a part of a lab behaves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Part {
    resource: Resource,
    settings: Settings,
}

/// How a container is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Means {
    /// With the signal it asks for and the time it has.
    Stop,
    /// With SIGKILL.
    Kill,
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |ports: &[u16]| {
            let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
            ports.join(", ")
        };
        match self.ports.as_slice() {
            [] => f.write_str("every TCP port")?,
            [port] => write!(f, "port {port}")?,
            ports => write!(f, "ports {}", list(ports))?,
        }
        if !self.except.is_empty() {
            write!(f, " but {}", list(&self.except))?;
        }
        if !self.from.is_empty() {
            write!(f, " from {}", self.from.join(", "))?;
        }
        Ok(())
    }
}

impl Snapshot {
    /// The containers as they are, in the aspect that a change is about, and as it will leave them.
    pub(super) async fn take(
        engine: &Engine,
        change: &Change,
        found: &[Found],
    ) -> Result<(Self, Self), ProviderError> {
        let all = |of: Of<Status>, wanted| {
            let changed = |was| if was == Status::Stopped { was } else { wanted };
            (Self::Status(of.clone()), Self::Status(map(of, changed)))
        };
        Ok(match &change.action {
            Action::Scale(replicas) => {
                let before = statuses(engine, &ids(found)).await?;
                let after = scaled(&before, found, *replicas).ok_or(DockerError::TooFew {
                    which: change.containers.which.clone(),
                    count: found.len(),
                    wanted: *replicas,
                })?;
                (Self::Status(before), Self::Status(after))
            }
            Action::Stop | Action::Kill => {
                all(statuses(engine, &ids(found)).await?, Status::Stopped)
            }
            Action::Pause => all(statuses(engine, &ids(found)).await?, Status::Paused),
            Action::Disconnect => {
                let before = networks(engine, &ids(found)).await?;
                let after = map(before.clone(), |_| BTreeMap::new());
                (Self::Networks(before), Self::Networks(after))
            }
            Action::BlockIngress(blocked) => {
                let before = ingress(engine, &ids(found), blocked).await?;
                let after = map(before.clone(), |_| Ingress::Blocked(blocked.clone()));
                (Self::Ingress(before), Self::Ingress(after))
            }
            Action::Set(settings) => {
                let mut before = BTreeMap::new();
                for container in found {
                    let (lab, resource) = part(engine, container, &change.containers).await?;
                    let state = lab.state(&resource).await?;
                    let is = Some(Part {
                        settings: only(&state.settings, settings),
                        resource,
                    });
                    let id = container.id.clone();
                    before.insert(container.name().to_owned(), Known { id, is });
                }
                let after = map(before.clone(), |part| Part {
                    settings: settings.clone(),
                    ..part
                });
                (Self::Settings(before), Self::Settings(after))
            }
        })
    }

    /// The same aspect of the same containers as it is now.
    pub(super) async fn read(&self, engine: &Engine) -> Result<Self, ProviderError> {
        Ok(match self {
            Self::Status(of) => Self::Status(statuses(engine, &ids_of(of)).await?),
            Self::Networks(of) => Self::Networks(networks(engine, &ids_of(of)).await?),
            Self::Ingress(of) => {
                Self::Ingress(ingress(engine, &ids_of(of), &Blocked::default()).await?)
            }
            Self::Settings(of) => {
                let mut now = BTreeMap::new();
                for (name, known) in of {
                    let is = match (&known.is, lab_in(engine, &known.id).await?) {
                        (Some(part), Some(lab)) => {
                            let state = lab.state(&part.resource).await?;
                            Some(Part {
                                resource: part.resource.clone(),
                                settings: only(&state.settings, &part.settings),
                            })
                        }
                        (None, _) | (_, None) => None,
                    };
                    let id = known.id.clone();
                    now.insert(name.clone(), Known { id, is });
                }
                Self::Settings(now)
            }
        })
    }

    /// Brings the containers to this. What is so already is left alone; one that is gone is reported by reading again.
    pub(super) async fn apply(&self, engine: &Engine, means: Means) -> Result<(), ProviderError> {
        match self {
            Self::Status(of) => {
                let changes = present(of).map(|(id, status)| async move {
                    match status {
                        Status::Running => engine.run(id).await,
                        Status::Paused => engine.pause(id).await,
                        Status::Stopped => engine.stop(id, means == Means::Kill).await,
                    }
                });
                try_join_all(changes).await?;
            }
            Self::Networks(of) => {
                for (id, wanted) in present(of) {
                    rewire(engine, id, wanted).await?;
                }
            }
            Self::Ingress(of) => {
                let changes = present(of).map(|(id, ingress)| filter(engine, id, ingress));
                try_join_all(changes).await?;
            }
            Self::Settings(of) => {
                for (id, part) in present(of) {
                    let lab = lab_in(engine, id)
                        .await?
                        .ok_or_else(|| DockerError::NoLab(id.to_owned()))?;
                    lab.apply(&part.resource, &part.settings).await?;
                }
            }
        }
        Ok(())
    }

    /// As it is written to disk, with nothing in it that may be a secret.
    pub(super) fn without_texts(self) -> Self {
        match self {
            Self::Settings(of) => Self::Settings(map(of, |part| Part {
                settings: without_texts(&part.settings),
                resource: part.resource,
            })),
            Self::Status(_) | Self::Networks(_) | Self::Ingress(_) => self,
        }
    }

    /// Whose state this is.
    pub(super) fn compare(&self, captured: &Self, injected: &Self) -> Current {
        match (self, captured, injected) {
            (Self::Status(now), Self::Status(was), Self::Status(set)) => {
                compared(now, was, set, PartialEq::eq, |status| match status {
                    Status::Running => "running".to_owned(),
                    Status::Paused => "paused".to_owned(),
                    Status::Stopped => "stopped".to_owned(),
                })
            }
            (Self::Networks(now), Self::Networks(was), Self::Networks(set)) => {
                compared(now, was, set, alike, |networks| {
                    let names: Vec<_> = networks
                        .iter()
                        .map(|(name, endpoint)| match &endpoint.address {
                            Some(address) => format!("{name} as {address}"),
                            None => name.clone(),
                        })
                        .collect();
                    if names.is_empty() {
                        "in no network".to_owned()
                    } else {
                        format!("in {}", names.join(", "))
                    }
                })
            }
            (Self::Ingress(now), Self::Ingress(was), Self::Ingress(set)) => {
                // The kernel tells that it drops, not what.
                let same = |now: &Ingress, other: &Ingress| {
                    (*now == Ingress::Open) == (*other == Ingress::Open)
                };
                compared(now, was, set, same, |ingress| match ingress {
                    Ingress::Open => "open".to_owned(),
                    Ingress::Blocked(blocked) => format!("shut for new connections to {blocked}"),
                })
            }
            (Self::Settings(now), Self::Settings(was), Self::Settings(set)) => {
                let same = |now: &Part, other: &Part| {
                    now == other || without_texts(&now.settings) == other.settings
                };
                compared(now, was, set, same, |part| {
                    format!("{} with {}", part.resource, states(&part.settings))
                })
            }
            _ => Current::Otherwise("what was captured is about something else".to_owned()),
        }
    }

    /// What to do so that the containers become this, in words that a person could follow by hand.
    pub(super) fn orders(&self) -> String {
        let orders: Vec<String> = match self {
            Self::Status(of) => named(of)
                .map(|(name, status)| match status {
                    Status::Running => format!("docker start {name} (or unpause)"),
                    Status::Paused => format!("docker pause {name}"),
                    Status::Stopped => format!("docker stop {name}"),
                })
                .collect(),
            Self::Networks(of) => named(of)
                .flat_map(|(name, networks)| {
                    networks.iter().map(move |(network, endpoint)| {
                        let mut order = "docker network connect".to_owned();
                        if let Some(address) = &endpoint.address {
                            order = format!("{order} --ip {address}");
                        }
                        for alias in &endpoint.aliases {
                            order = format!("{order} --alias {alias}");
                        }
                        format!("{order} {network} {name}")
                    })
                })
                .collect(),
            Self::Ingress(of) => named(of)
                .map(|(name, _)| {
                    format!(
                        "docker run --rm --cap-add NET_ADMIN --network container:{name} {} filter open",
                        engine::image()
                    )
                })
                .collect(),
            Self::Settings(of) => named(of)
                .map(|(name, part)| {
                    format!("{} on {} in {name}", orders(&part.settings), part.resource)
                })
                .collect(),
        };
        orders.join("; ")
    }
}

fn ids(found: &[Found]) -> Vec<(String, String)> {
    found
        .iter()
        .map(|container| (container.name().to_owned(), container.id.clone()))
        .collect()
}

fn ids_of<T>(of: &Of<T>) -> Vec<(String, String)> {
    of.iter()
        .map(|(name, known)| (name.clone(), known.id.clone()))
        .collect()
}

fn map<T>(of: Of<T>, mut change: impl FnMut(T) -> T) -> Of<T> {
    of.into_iter()
        .map(|(name, Known { id, is })| {
            let is = is.map(&mut change);
            (name, Known { id, is })
        })
        .collect()
}

/// The ids of the containers that were there, with their values.
fn present<T>(of: &Of<T>) -> impl Iterator<Item = (&str, &T)> {
    of.values()
        .filter_map(|known| Some((known.id.as_str(), known.is.as_ref()?)))
}

fn named<T>(of: &Of<T>) -> impl Iterator<Item = (&str, &T)> {
    of.iter()
        .filter_map(|(name, known)| Some((name.as_str(), known.is.as_ref()?)))
}

/// Whose state it is: as captured if every container is, as injected if every one is either.
fn compared<T>(
    now: &Of<T>,
    captured: &Of<T>,
    injected: &Of<T>,
    same: impl Fn(&T, &T) -> bool,
    words: impl Fn(&T) -> String,
) -> Current {
    let value =
        |of: &Of<T>, name: &str| of.get(name).and_then(|known| known.is.as_ref().map(&words));
    let is = |name: &str, other: &Of<T>| {
        let of = |of: &'_ Of<T>| of.get(name).is_some_and(|known| known.is.is_some());
        match (
            now.get(name).and_then(|known| known.is.as_ref()),
            other.get(name).and_then(|known| known.is.as_ref()),
        ) {
            (Some(now), Some(other)) => same(now, other),
            (None, None) => !of(other),
            _ => false,
        }
    };
    if captured.keys().all(|name| is(name, captured)) {
        return Current::AsCaptured;
    }
    let strange = captured
        .keys()
        .find(|name| !is(name, captured) && !is(name, injected));
    let Some(name) = strange else {
        return Current::AsInjected;
    };
    let told = |of| value(of, name).unwrap_or_else(|| "gone".to_owned());
    Current::Otherwise(format!(
        "the container {name} is {}; it was {} when it was captured, and the fault made it {}",
        told(now),
        told(captured),
        told(injected)
    ))
}

/// The first `replicas` run: those that do, and of the others the first.
fn scaled(before: &Of<Status>, found: &[Found], replicas: u32) -> Option<Of<Status>> {
    let wanted = usize::try_from(replicas).ok()?;
    if wanted > found.len() {
        return None;
    }
    let runs = |container: &&Found| {
        let known = before.get(container.name());
        known.is_some_and(|known| known.is == Some(Status::Running))
    };
    let chosen: Vec<&str> = found
        .iter()
        .filter(runs)
        .chain(found.iter().filter(|container| !runs(container)))
        .take(wanted)
        .map(Found::name)
        .collect();
    let after = before.iter().map(|(name, known)| {
        let status = if chosen.contains(&name.as_str()) {
            Status::Running
        } else {
            Status::Stopped
        };
        let (id, is) = (known.id.clone(), known.is.map(|_| status));
        (name.clone(), Known { id, is })
    });
    Some(after.collect())
}

async fn statuses(
    engine: &Engine,
    containers: &[(String, String)],
) -> Result<Of<Status>, DockerError> {
    let read = containers.iter().map(|(name, id)| async move {
        let is = engine.status(id).await?;
        let id = id.clone();
        Ok::<_, DockerError>((name.clone(), Known { id, is }))
    });
    Ok(try_join_all(read).await?.into_iter().collect())
}

async fn networks(
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
fn alike(now: &BTreeMap<String, Endpoint>, other: &BTreeMap<String, Endpoint>) -> bool {
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

async fn rewire(
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

/// Whether packets are dropped. Without its namespace a container has no filter.
async fn ingress(
    engine: &Engine,
    containers: &[(String, String)],
    blocked: &Blocked,
) -> Result<Of<Ingress>, DockerError> {
    let read = containers.iter().map(|(name, id)| async move {
        let is = match engine.status(id).await? {
            None => None,
            Some(Status::Stopped) => Some(Ingress::Open),
            Some(Status::Running | Status::Paused) => {
                let command = ["filter".to_owned(), "show".to_owned()];
                let shown = engine.in_namespace_of(id, &command).await?;
                Some(if shown.trim() == "blocked" {
                    Ingress::Blocked(blocked.clone())
                } else {
                    Ingress::Open
                })
            }
        };
        let id = id.clone();
        Ok::<_, DockerError>((name.clone(), Known { id, is }))
    });
    Ok(try_join_all(read).await?.into_iter().collect())
}

async fn filter(engine: &Engine, id: &str, ingress: &Ingress) -> Result<(), DockerError> {
    if matches!(engine.status(id).await?, None | Some(Status::Stopped)) {
        return Ok(());
    }
    let mut command = vec!["filter".to_owned()];
    match ingress {
        Ingress::Open => command.push("open".to_owned()),
        Ingress::Blocked(blocked) => {
            command.push("block".to_owned());
            let list = |ports: &[u16]| {
                let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
                ports.join(",")
            };
            for (flag, value) in [
                ("--ports", list(&blocked.ports)),
                ("--except", list(&blocked.except)),
                ("--from", blocked.from.join(",")),
            ] {
                if !value.is_empty() {
                    command.extend([flag.to_owned(), value]);
                }
            }
        }
    }
    engine.in_namespace_of(id, &command).await.map(drop)
}

/// The admin API of the part of a lab that a container plays; `None` if it plays none or does not run.
async fn lab_in(engine: &Engine, id: &str) -> Result<Option<LabProvider>, ProviderError> {
    let Some(inspected) = engine.inspect(id).await? else {
        return Ok(None);
    };
    match engine::admin(&inspected) {
        Some((address, token)) => Ok(Some(lab(address, &token)?)),
        None => Ok(None),
    }
}

/// What of the lab a container plays, and how it is told.
async fn part(
    engine: &Engine,
    container: &Found,
    containers: &Containers,
) -> Result<(LabProvider, Resource), ProviderError> {
    let no_lab = || DockerError::NoLab(container.name().to_owned());
    let lab = lab_in(engine, &container.id).await?.ok_or_else(no_lab)?;
    if let Some(part) = &containers.part {
        return Ok((lab, part.clone()));
    }
    let serving = lab.resources().await?.into_iter().find(|resource| {
        !matches!(
            resource.kind,
            ResourceKind::TargetGroup | ResourceKind::HealthCheck
        )
    });
    Ok((lab, serving.ok_or_else(no_lab)?))
}

/// What the system itself thinks: the part of a lab, or a container's own health check, or whether it runs.
pub(super) async fn health(
    engine: &Engine,
    containers: &Containers,
) -> Result<Health, ProviderError> {
    let found = find(engine, &containers.which).await?;
    let mut healths = Vec::new();
    for container in &found {
        let health = if let Some(part) = &containers.part {
            let lab = lab_in(engine, &container.id)
                .await?
                .ok_or_else(|| DockerError::NoLab(container.name().to_owned()))?;
            let state = lab.state(part).await?;
            Health {
                healthy: state.healthy.unwrap_or(true),
                detail: state.detail.unwrap_or_default(),
            }
        } else {
            own_health(container, engine.inspect(&container.id).await?.as_ref())
        };
        healths.push(health);
    }
    let details: Vec<String> = healths.iter().map(|health| health.detail.clone()).collect();
    Ok(Health {
        healthy: healths.iter().any(|health| health.healthy),
        detail: details.join("; "),
    })
}

pub(super) fn own_health(
    container: &Found,
    inspected: Option<&ContainerInspectResponse>,
) -> Health {
    let name = container.name();
    let of = |healthy, words: &str| Health {
        healthy,
        detail: format!("{name}: {words}"),
    };
    let Some(inspected) = inspected else {
        return of(false, "gone");
    };
    match engine::status(inspected) {
        Status::Stopped => return of(false, "stopped"),
        Status::Paused => return of(false, "paused"),
        Status::Running => {}
    }
    let state = inspected.state.as_ref();
    match state
        .and_then(|state| state.health.as_ref())
        .and_then(|health| health.status)
    {
        Some(HealthStatusEnum::HEALTHY) => of(true, "healthy"),
        Some(HealthStatusEnum::UNHEALTHY) => of(false, "unhealthy"),
        Some(HealthStatusEnum::STARTING) => of(false, "starting"),
        _ => of(true, "running"),
    }
}

#[cfg(test)]
mod tests;
