//! Containers as they are, as they were and as a fault leaves them.

use std::collections::BTreeMap;

use blackstart_lab::control::{Resource, ResourceKind, Settings};
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};

use super::{
    DockerError,
    change::{Action, Change},
    engine::{self, Engine},
    exec::{self, Commanded},
    found::{Found, Status},
    ingress::{Blocked, Ingress, filter, ingress},
    lab,
    networks::{Endpoint, alike, networks, rewire},
    shaping::{self, Packets},
};
use crate::{
    environment::Containers,
    hostile::shell_words,
    provider::{
        Current, ProviderError,
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
    /// What becomes of packets that they send.
    Shape(Of<Packets>),
    /// What a command has done in them.
    Command(Of<Commanded>),
    /// How parts of a lab behave.
    Settings(Of<Part>),
}

/// A value for each container, by its name.
pub(super) type Of<T> = BTreeMap<String, Known<T>>;

/// A container and its value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Known<T> {
    pub(super) id: String,
    /// `None` for a container that is gone.
    pub(super) is: Option<T>,
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
            Action::Shape(shape) => {
                let before = shaping::read(engine, &ids(found)).await?;
                let after = map(before.clone(), |_| Packets::Shaped(*shape));
                (Self::Shape(before), Self::Shape(after))
            }
            Action::Command(command) => {
                let before = exec::read(engine, &ids(found), command).await?;
                let after = map(before.clone(), |was| Commanded {
                    is_in_place: true,
                    ..was
                });
                (Self::Command(before), Self::Command(after))
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
            Self::Shape(of) => Self::Shape(shaping::read(engine, &ids_of(of)).await?),
            Self::Command(of) => {
                // Every container has the same command.
                let command = present(of).map(|(_, was)| &was.command).next();
                match command {
                    Some(command) => Self::Command(exec::read(engine, &ids_of(of), command).await?),
                    None => Self::Command(of.clone()),
                }
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
            Self::Shape(of) => {
                let changes = present(of).map(|(id, packets)| shaping::set(engine, id, *packets));
                try_join_all(changes).await?;
            }
            Self::Command(of) => {
                let changes = present(of).map(|(id, wanted)| exec::set(engine, id, wanted));
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
            Self::Status(_)
            | Self::Networks(_)
            | Self::Ingress(_)
            | Self::Shape(_)
            | Self::Command(_) => self,
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
            (Self::Shape(now), Self::Shape(was), Self::Shape(set)) => {
                compared(now, was, set, PartialEq::eq, |packets| match packets {
                    Packets::Plain => "without netem".to_owned(),
                    Packets::Shaped(shape) => {
                        format!("with netem: each packet {}", shaping::words(shape))
                    }
                })
            }
            (Self::Command(now), Self::Command(was), Self::Command(set)) => {
                compared(now, was, set, PartialEq::eq, |commanded| {
                    let program = shell_words(&commanded.command.verify);
                    if commanded.is_in_place {
                        format!("broken, as `{program}` says")
                    } else {
                        format!("not broken, as `{program}` says")
                    }
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

    /// What the engine's events call it when the containers become `after`: by the id of each container that changes, its name and the
    /// action. Nothing for what the engine has no events for.
    pub(super) fn events(&self, after: &Self) -> BTreeMap<String, (String, &'static str)> {
        match (self, after) {
            (Self::Status(before), Self::Status(after)) => {
                changes(before, after, |was, is| match (was, is) {
                    (_, Status::Stopped) => "die",
                    (_, Status::Paused) => "pause",
                    (Status::Paused, Status::Running) => "unpause",
                    (_, Status::Running) => "start",
                })
            }
            (Self::Networks(before), Self::Networks(after)) => {
                changes(before, after, |_, _| "disconnect")
            }
            _ => BTreeMap::new(),
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
            Self::Shape(of) => named(of)
                .map(|(name, _)| {
                    format!(
                        "docker run --rm --cap-add NET_ADMIN --network container:{name} {} netem remove",
                        engine::image()
                    )
                })
                .collect(),
            Self::Command(of) => named(of)
                .map(|(name, was)| {
                    format!("docker exec {name} {}", shell_words(&was.command.revert))
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

/// The containers whose value changes, by id, each with its name and the word for the change.
fn changes<T: PartialEq>(
    before: &Of<T>,
    after: &Of<T>,
    word: impl Fn(&T, &T) -> &'static str,
) -> BTreeMap<String, (String, &'static str)> {
    let change = |(name, was): (&String, &Known<T>)| {
        let (was_there, is) = (was.is.as_ref()?, after.get(name)?.is.as_ref()?);
        let word = (was_there != is).then(|| word(was_there, is))?;
        Some((was.id.clone(), (name.clone(), word)))
    };
    before.iter().filter_map(change).collect()
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

/// The admin API of the part of a lab that a container plays; `None` if it plays none or does not run.
pub(super) async fn lab_in(
    engine: &Engine,
    id: &str,
) -> Result<Option<LabProvider>, ProviderError> {
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

#[cfg(test)]
mod tests;
