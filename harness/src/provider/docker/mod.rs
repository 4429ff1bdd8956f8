//! The Docker binding: faults on containers, whoever made them, and on what of the lab runs in containers.
//!
//! A fault is one snapshot of its containers turned into another. Capturing reads the one that is there, injecting and reverting
//! bring the containers to one, so both can be repeated, and verifying reads again, from the engine and not from what it answered.

mod attached;
mod change;
mod connection;
mod dating;
mod engine;
mod exec;
mod found;
mod health;
pub mod image;
mod ingress;
mod networks;
mod shaping;
mod snapshot;
pub mod sweep;

use std::sync::OnceLock;

use bollard::errors::Error;
use tokio::time::Instant;

pub use attached::attach;
use change::Action;
pub use change::{Change, change};
use dating::{Injected, Reading};
pub use engine::{Engine, IMAGE};
use found::find;
use snapshot::{Means, Snapshot};

use super::{
    Current, Dated, Fault, Health, Provider, ProviderError, Undo, command, lab::LabProvider,
};
use crate::{
    drill,
    environment::{Containers, Environment, Target, Thing, Touched, Which},
    probe::BoxFuture,
};

/// The binding's name in what is captured.
const BINDING: &str = "docker";

/// The label of a container that plays a part of a lab.
pub const ROLE: &str = "blackstart.role";

/// The engine, or a container, is not as it must be.
#[derive(Debug, thiserror::Error)]
pub enum DockerError {
    /// Nobody answers.
    #[error(
        "no container engine answers at `{address}`: start it, or name another one with DOCKER_HOST"
    )]
    NoEngine {
        /// Where it was looked for.
        address: String,
        /// Why it does not answer.
        source: Error,
    },
    /// The address is of no kind that can be reached from here.
    #[error(
        "`{0}` is no address that an engine can be asked at from here: unix:// and tcp:// are; for ssh://, forward the engine's socket \
         with `ssh -NL /tmp/engine.sock:/var/run/docker.sock HOST` and set DOCKER_HOST=unix:///tmp/engine.sock"
    )]
    NoAddress(String),
    /// There is no such Docker context.
    #[error(
        "there is no Docker context `{0}`, which DOCKER_CONTEXT or the Docker configuration names: `docker context ls` lists those \
         that there are"
    )]
    NoContext(String),
    /// The certificates for an engine are not there.
    #[error(
        "the engine at `{address}` is to be asked with TLS, and `{missing}` is not there: `ca.pem`, `cert.pem` and `key.pem` belong \
         in the folder that DOCKER_CERT_PATH names, `~/.docker` if it names none"
    )]
    NoCertificates {
        /// The engine.
        address: String,
        /// The file that is missing.
        missing: String,
    },
    /// The engine's socket is not for this user.
    #[error(
        "the container engine at `{address}` may not be asked by this user: join the group `docker`, or run as root"
    )]
    Forbidden {
        /// Where it is.
        address: String,
        /// What the system says.
        source: Error,
    },
    /// The engine said no.
    #[error("{what} failed")]
    Refused {
        /// What was asked of it.
        what: &'static str,
        /// What it said.
        source: Error,
    },
    /// There is no such container.
    #[error("there is no {which}: {hint}")]
    NoContainer {
        /// What was looked for.
        which: Which,
        /// What there is, or what to do.
        hint: String,
    },
    /// Several projects have the service.
    #[error(
        "the service `{service}` is in the projects `{projects}`: say which is meant with `docker: {{ project: … }}`"
    )]
    SeveralProjects {
        /// The service.
        service: String,
        /// The projects.
        projects: String,
    },
    /// A service has fewer containers than should run.
    #[error(
        "{which} has {count} containers, so {wanted} cannot run: `docker compose up --detach --scale …` makes more"
    )]
    TooFew {
        /// The service.
        which: Which,
        /// How many there are.
        count: usize,
        /// How many should run.
        wanted: u32,
    },
    /// The lab's image is not there.
    #[error("the engine has no image `{0}`, which this needs: `blackstart lab image` builds it")]
    NoImage(String),
    /// The kernel cannot do it.
    #[error(
        "the kernel of the machine that the engine at `{0}` runs on has no netem, so it cannot delay or lose packets: `modprobe \
         sch_netem` there loads it, a kernel without CONFIG_NET_SCH_NETEM has none; `respond` with a `delay` makes answers late \
         without it"
    )]
    NoNetem(String),
    /// A command cannot run in it.
    #[error("the container `{0}` does not run, so no command can run in it")]
    DoesNotRun(String),
    /// A helper container failed.
    #[error("a helper container failed: {0}")]
    Helper(String),
    /// The lab's containers are not there, or not well.
    #[error("{0}: `docker compose up --detach` starts them")]
    NoParts(String),
    /// The container plays no part of a lab.
    #[error(
        "the container `{0}` plays no part of a lab, so what it answers cannot be changed: it has no BLACKSTART_LAB_TOKEN, or does not run"
    )]
    NoLab(String),
}

impl DockerError {
    pub(super) fn no_engine(address: &str, source: Error) -> Self {
        let address = address.to_owned();
        if engine::is_forbidden(&source) {
            return Self::Forbidden { address, source };
        }
        Self::NoEngine { address, source }
    }
}

/// The containers of an engine.
#[derive(Debug, Clone)]
pub struct DockerProvider {
    engine: Engine,
}

impl DockerProvider {
    /// Works with this engine.
    pub fn new(engine: Engine) -> Self {
        Self { engine }
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// A container of the project that plays this part of a lab, and its admin API; `None` if there is none.
    ///
    /// # Errors
    /// If the engine does not answer.
    pub async fn part(
        &self,
        project: Option<&str>,
        role: &str,
    ) -> Result<Option<LabProvider>, ProviderError> {
        let mut labels = vec![format!("{ROLE}={role}")];
        labels.extend(project.map(|project| format!("{}={project}", found::PROJECT)));
        for container in self.engine.labelled(&labels).await? {
            if let Some(inspected) = self.engine.inspect(&container.id).await?
                && let Some((address, token)) = engine::admin(&inspected)
            {
                return Ok(Some(lab(address, &token)?));
            }
        }
        Ok(None)
    }
}

/// The admin API of a lab's part.
fn lab(address: std::net::SocketAddr, token: &str) -> Result<LabProvider, ProviderError> {
    LabProvider::new(address, token).map_err(|source| ProviderError::Unreachable {
        what: "setting up the client of the admin API".to_owned(),
        source,
    })
}

impl Provider for DockerProvider {
    fn resolve(
        &self,
        environment: &Environment,
        fault: &drill::Fault,
    ) -> Result<Box<dyn Fault>, ProviderError> {
        Ok(Box::new(DockerFault {
            engine: self.engine.clone(),
            target: fault.target().to_owned(),
            change: Some(change(environment, fault)?),
            captured: OnceLock::new(),
            clock: OnceLock::new(),
            injected: OnceLock::new(),
        }))
    }

    fn recall(&self, undo: &Undo) -> Result<Box<dyn Fault>, ProviderError> {
        undo.must_be_of(BINDING)?;
        Ok(Box::new(DockerFault {
            engine: self.engine.clone(),
            target: undo.target.clone(),
            change: None,
            captured: OnceLock::from(undo.captured_and_injected()?),
            clock: OnceLock::new(),
            injected: OnceLock::new(),
        }))
    }

    fn health<'a>(
        &'a self,
        environment: &'a Environment,
        target: &'a str,
    ) -> BoxFuture<'a, Result<Health, ProviderError>> {
        Box::pin(async move {
            let containers = containers(environment, target)?;
            health::health(&self.engine, containers).await
        })
    }
}

/// The containers that a target is.
fn containers<'a>(
    environment: &'a Environment,
    target: &str,
) -> Result<&'a Containers, ProviderError> {
    let Some(Target::Docker(containers)) = environment.targets.get(target) else {
        return Err(ProviderError::UnknownTarget {
            target: target.to_owned(),
        });
    };
    Ok(containers)
}

#[derive(Debug)]
struct DockerFault {
    engine: Engine,
    target: String,
    /// What is to be done; nothing for one that is only undone.
    change: Option<Change>,
    /// The containers as they were, and as the fault leaves them.
    captured: OnceLock<(Snapshot, Snapshot)>,
    /// The engine's clock before the fault.
    clock: OnceLock<Reading>,
    injected: OnceLock<Injected>,
}

impl DockerFault {
    fn bad_undo(&self, reason: impl Into<String>) -> ProviderError {
        ProviderError::BadUndo {
            target: self.target.clone(),
            reason: reason.into(),
        }
    }

    fn value(&self, snapshot: &Snapshot) -> Result<serde_json::Value, ProviderError> {
        serde_json::to_value(snapshot).map_err(|error| self.bad_undo(error.to_string()))
    }
}

impl Fault for DockerFault {
    fn describe(&self) -> String {
        self.change.as_ref().map_or_else(
            || format!("undo what was done to {}", self.target),
            Change::describe,
        )
    }

    fn touches(&self) -> Touched {
        let thing = self.change.as_ref().map_or_else(
            || Containers {
                which: Which::Name(self.target.clone()),
                part: None,
                ports: Vec::new(),
                from: Vec::new(),
            },
            |change| change.containers.clone(),
        );
        Touched {
            target: self.target.clone(),
            thing: Thing::Docker(thing),
        }
    }

    fn prepare(&self) -> BoxFuture<'_, Result<(), ProviderError>> {
        Box::pin(async move {
            match self.change.as_ref().map(|change| &change.action) {
                Some(Action::Shape(_)) => Ok(shaping::is_there(&self.engine).await?),
                Some(Action::Command(command)) => Ok(command::environment(command).map(drop)?),
                Some(_) | None => Ok(()),
            }
        })
    }

    fn capture(&self) -> BoxFuture<'_, Result<Undo, ProviderError>> {
        Box::pin(async move {
            let change = self
                .change
                .as_ref()
                .ok_or_else(|| self.bad_undo("it can only be undone"))?;
            let found = find(&self.engine, &change.containers.which).await?;
            let (before, after) = Snapshot::take(&self.engine, change, &found).await?;
            let undo = Undo {
                target: self.target.clone(),
                binding: BINDING.to_owned(),
                resource: change.containers.to_string(),
                words: before.orders(),
                state: self.value(&before)?,
                injected: self.value(&after.clone().without_texts())?,
            };
            if !before.events(&after).is_empty()
                && let Some(reading) = dating::read_clock(&self.engine).await?
            {
                self.clock.get_or_init(|| reading);
            }
            // A second capture finds the same containers, or the first has been refused.
            drop(self.captured.set((before, after)));
            Ok(undo)
        })
    }

    fn inject(&self) -> BoxFuture<'_, Result<(), ProviderError>> {
        Box::pin(async move {
            let (_, after) = self
                .captured
                .get()
                .ok_or_else(|| self.bad_undo("it was not captured"))?;
            let means = self.change.as_ref().map_or(Means::Stop, Change::means);
            let sent = Instant::now();
            after.apply(&self.engine, means).await?;
            let answered = Instant::now();
            self.injected.get_or_init(|| Injected { sent, answered });
            Ok(())
        })
    }

    fn dated(&self) -> BoxFuture<'_, Result<Option<Dated>, ProviderError>> {
        Box::pin(async move {
            let (Some((before, after)), Some(reading), Some(injected)) =
                (self.captured.get(), self.clock.get(), self.injected.get())
            else {
                return Ok(None);
            };
            let expected = before.events(after);
            let dated = dating::dated(&self.engine, *reading, *injected, &expected).await?;
            Ok(Some(dated))
        })
    }

    fn current<'a>(&'a self, undo: &'a Undo) -> BoxFuture<'a, Result<Current, ProviderError>> {
        Box::pin(async move {
            let (before, after) = undo.captured_and_injected::<Snapshot>()?;
            let now = before.read(&self.engine).await?;
            Ok(now.compare(&before, &after))
        })
    }

    fn revert<'a>(&'a self, undo: &'a Undo) -> BoxFuture<'a, Result<(), ProviderError>> {
        Box::pin(async move {
            let before: Snapshot = undo.captured()?;
            before.apply(&self.engine, Means::Stop).await
        })
    }
}
