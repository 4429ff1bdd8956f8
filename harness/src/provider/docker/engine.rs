//! The container engine: how it is found, and what is asked of it.

use std::{env, io};

use blackstart_lab::part::ADMIN_PORT;
use bollard::{
    Docker,
    errors::Error,
    models::{
        ContainerCreateBody, ContainerInspectResponse, ContainerStateStatusEnum, EndpointSettings,
        HostConfig, NetworkConnectRequest, NetworkDisconnectRequest,
    },
    query_parameters::{
        CreateContainerOptions, KillContainerOptions, ListContainersOptions, LogsOptions,
        RemoveContainerOptions, WaitContainerOptions,
    },
};
use futures_util::{StreamExt, future::try_join};

use super::{
    DockerError, connection,
    found::{Found, Status},
    sweep::{CREATED, created_by_this_process},
};

/// The image of the lab's parts and of helpers, unless `BLACKSTART_IMAGE` names another.
pub const IMAGE: &str = "blackstart-lab";

/// An engine that answers.
#[derive(Debug, Clone)]
pub struct Engine {
    docker: Docker,
    address: String,
}

impl Engine {
    /// Connects to the engine that `DOCKER_HOST` names, else to that of the current Docker context (`DOCKER_CONTEXT`, or what `docker
    /// context use` chose), else to Docker's own socket, else to Podman's.
    ///
    /// # Errors
    /// If none answers, this user may not ask it, or the context is not there.
    pub async fn connect() -> Result<Self, DockerError> {
        Self::at(&connection::address()?).await
    }

    /// Connects to the engine at an address such as `unix:///var/run/docker.sock` or `tcp://build.example:2376`. Over TCP it is asked
    /// with TLS if `DOCKER_TLS_VERIFY` says so, or a Docker context has certificates for the address.
    ///
    /// # Errors
    /// If it does not answer, or this user may not ask it.
    pub async fn at(address: &str) -> Result<Self, DockerError> {
        let failed = |source| DockerError::no_engine(address, source);
        let docker = connection::client(address)?;
        // Whatever is newer than the engine is not asked for.
        let docker = docker.negotiate_version().await.map_err(failed)?;
        Ok(Self {
            docker,
            address: address.to_owned(),
        })
    }

    /// Where it is.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The engine's client.
    pub(super) fn client(&self) -> &Docker {
        &self.docker
    }

    /// The ids and labels of all containers with these labels, running or not.
    pub(super) async fn labelled(&self, labels: &[String]) -> Result<Vec<Found>, DockerError> {
        let options = ListContainersOptions {
            all: true,
            filters: Some([("label".to_owned(), labels.to_vec())].into()),
            ..ListContainersOptions::default()
        };
        let listed = self
            .docker
            .list_containers(Some(options))
            .await
            .map_err(asked("listing containers"))?;
        let mut found: Vec<Found> = listed.into_iter().filter_map(Found::of_summary).collect();
        found.sort();
        Ok(found)
    }

    /// A container as it is now; `None` if there is none.
    pub(super) async fn inspect(
        &self,
        container: &str,
    ) -> Result<Option<ContainerInspectResponse>, DockerError> {
        match self.docker.inspect_container(container, None).await {
            Ok(inspected) => Ok(Some(inspected)),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(asked("inspecting a container")(error)),
        }
    }

    /// Whether a container runs; `None` if there is none.
    pub(super) async fn status(&self, container: &str) -> Result<Option<Status>, DockerError> {
        Ok(self
            .inspect(container)
            .await?
            .map(|inspected| status(&inspected)))
    }

    /// Makes a container run, whatever it was.
    pub(super) async fn run(&self, container: &str) -> Result<(), DockerError> {
        match self.status(container).await? {
            Some(Status::Running) => Ok(()),
            Some(Status::Paused) => self
                .docker
                .unpause_container(container)
                .await
                .map_err(asked("unpausing a container")),
            Some(Status::Stopped) | None => self
                .docker
                .start_container(container, None)
                .await
                .map_err(asked("starting a container")),
        }
    }

    /// Stops a container: with the signal it asks for and the time it has, or killed at once.
    pub(super) async fn stop(&self, container: &str, kill: bool) -> Result<(), DockerError> {
        match self.status(container).await? {
            Some(Status::Stopped) => return Ok(()),
            // No signal reaches a frozen process.
            Some(Status::Paused) => self.run(container).await?,
            Some(Status::Running) | None => {}
        }
        if kill {
            return self
                .docker
                .kill_container(container, None::<KillContainerOptions>)
                .await
                .map_err(asked("killing a container"));
        }
        self.docker
            .stop_container(container, None)
            .await
            .map_err(asked("stopping a container"))
    }

    /// Freezes a container.
    pub(super) async fn pause(&self, container: &str) -> Result<(), DockerError> {
        match self.status(container).await? {
            Some(Status::Paused) => return Ok(()),
            Some(Status::Stopped) => self.run(container).await?,
            Some(Status::Running) | None => {}
        }
        self.docker
            .pause_container(container)
            .await
            .map_err(asked("pausing a container"))
    }

    /// Takes a container out of a network.
    pub(super) async fn disconnect(
        &self,
        container: &str,
        network: &str,
    ) -> Result<(), DockerError> {
        let request = NetworkDisconnectRequest {
            container: container.to_owned(),
            force: None,
        };
        self.docker
            .disconnect_network(network, request)
            .await
            .map_err(asked("disconnecting a container"))
    }

    /// Puts a container into a network.
    pub(super) async fn connect_network(
        &self,
        container: &str,
        network: &str,
        settings: EndpointSettings,
    ) -> Result<(), DockerError> {
        let request = NetworkConnectRequest {
            container: container.to_owned(),
            endpoint_config: Some(settings),
        };
        self.docker
            .connect_network(network, request)
            .await
            .map_err(asked("connecting a container"))
    }

    /// Runs a command of the lab's image in the network namespace of a container.
    pub(super) async fn in_namespace_of(
        &self,
        container: &str,
        command: &[String],
    ) -> Result<String, DockerError> {
        self.helper(&format!("container:{container}"), command)
            .await
    }

    /// Runs a command of the lab's image in a network, with the right to change that and no other, and returns what it printed.
    pub(super) async fn helper(
        &self,
        network: &str,
        command: &[String],
    ) -> Result<String, DockerError> {
        let image = image();
        let body = ContainerCreateBody {
            image: Some(image.clone()),
            cmd: Some(command.to_vec()),
            labels: Some([(CREATED.to_owned(), created_by_this_process())].into()),
            host_config: Some(HostConfig {
                network_mode: Some(network.to_owned()),
                cap_drop: Some(vec!["ALL".to_owned()]),
                cap_add: Some(vec!["NET_ADMIN".to_owned()]),
                readonly_rootfs: Some(true),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        let created = self
            .docker
            .create_container(None::<CreateContainerOptions>, body)
            .await
            .map_err(|error| {
                if is_missing(&error) {
                    DockerError::NoImage(image)
                } else {
                    asked("creating a helper container")(error)
                }
            })?;
        let outcome = self.outcome(&created.id).await;
        let options = RemoveContainerOptions {
            force: true,
            ..RemoveContainerOptions::default()
        };
        let removed = self
            .docker
            .remove_container(&created.id, Some(options))
            .await
            .map_err(asked("removing a helper container"));
        let printed = outcome?;
        removed?;
        Ok(printed)
    }

    async fn outcome(&self, helper: &str) -> Result<String, DockerError> {
        let wait = WaitContainerOptions {
            condition: "next-exit".to_owned(),
        };
        let mut exits = self.docker.wait_container(helper, Some(wait));
        let start = self.docker.start_container(helper, None);
        // Waiting begins with the first poll, before the start, so that no exit is missed. One that does not start never exits.
        let (exit, ()) = try_join(async { Ok(exits.next().await) }, start)
            .await
            .map_err(asked("starting a helper container"))?;
        let options = LogsOptions {
            stdout: true,
            stderr: true,
            ..LogsOptions::default()
        };
        let mut logs = self.docker.logs(helper, Some(options));
        let mut printed = String::new();
        while let Some(line) = logs.next().await {
            let line = line.map_err(asked("reading what a helper container printed"))?;
            printed.push_str(&String::from_utf8_lossy(&line.into_bytes()));
        }
        match exit {
            None | Some(Ok(_)) => Ok(printed),
            Some(Err(Error::DockerContainerWaitError { .. })) => {
                Err(DockerError::Helper(printed.trim().to_owned()))
            }
            Some(Err(error)) => Err(asked("waiting for a helper container")(error)),
        }
    }
}

/// The lab's image.
pub(crate) fn image() -> String {
    env::var("BLACKSTART_IMAGE").unwrap_or_else(|_| IMAGE.to_owned())
}

/// The admin API of a lab's part that runs in this container, and its token.
pub(super) fn admin(
    inspected: &ContainerInspectResponse,
) -> Option<(std::net::SocketAddr, String)> {
    let variables = inspected.config.as_ref()?.env.as_ref()?;
    let token = variables
        .iter()
        .find_map(|variable| variable.strip_prefix("BLACKSTART_LAB_TOKEN="))?;
    let networks = inspected.network_settings.as_ref()?.networks.as_ref()?;
    let mut addresses: Vec<_> = networks
        .iter()
        .filter_map(|(name, endpoint)| {
            let address: std::net::IpAddr = endpoint.ip_address.as_ref()?.parse().ok()?;
            Some((name, address))
        })
        .collect();
    addresses.sort();
    let (_, address) = addresses.first()?;
    Some(((*address, ADMIN_PORT).into(), token.to_owned()))
}

/// Whether a container runs, as far as drills care.
pub(super) fn status(inspected: &ContainerInspectResponse) -> Status {
    let status = inspected.state.as_ref().and_then(|state| state.status);
    match status {
        Some(ContainerStateStatusEnum::RUNNING) => Status::Running,
        Some(ContainerStateStatusEnum::PAUSED) => Status::Paused,
        _ => Status::Stopped,
    }
}

/// The error of something that was asked of the engine.
pub(super) fn asked(what: &'static str) -> impl Fn(Error) -> DockerError {
    move |source| DockerError::Refused { what, source }
}

fn is_missing(error: &Error) -> bool {
    matches!(
        error,
        Error::DockerResponseServerError {
            status_code: 404,
            ..
        }
    )
}

/// Whether an error says that the engine's socket may not be opened.
pub(super) fn is_forbidden(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
        {
            return true;
        }
        cause = error.source();
    }
    false
}
