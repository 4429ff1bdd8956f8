//! The three tiers of `docker-compose.yml` in containers of their own: started through testcontainers, on networks that nobody else has.

use std::{
    collections::BTreeMap,
    fs,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use blackstart::{
    catalog::{self, Entry, Selection},
    environment::Environment,
    provider::docker::{self, Engine, sweep},
    source::{Coloring, process_variable},
};
use blackstart_lab::part;
use bollard::{
    Docker,
    models::{
        EndpointIpamConfig, EndpointSettings, Ipam, IpamConfig, NetworkConnectRequest,
        NetworkCreateRequest, NetworkDisconnectRequest,
    },
};
use serde::Deserialize;
use testcontainers::{ContainerAsync, GenericImage, ImageExt, core::WaitFor, runners::AsyncRunner};
use tokio::time::{Instant, sleep};

/// No condition takes longer on however busy a machine.
const LIMIT: Duration = Duration::from_mins(1);

/// How often networks are looked for that nobody has.
const ATTEMPTS: usize = 50;

/// What of a Compose file is needed.
#[derive(Debug, Deserialize)]
struct Compose {
    services: BTreeMap<String, Service>,
    networks: BTreeMap<String, Network>,
}

#[derive(Debug, Deserialize)]
struct Service {
    command: Vec<String>,
    environment: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
    networks: BTreeMap<String, Endpoint>,
    #[serde(default)]
    depends_on: BTreeMap<String, BTreeMap<String, String>>,
    #[serde(default = "once")]
    scale: u32,
}

#[derive(Debug, Deserialize)]
struct Endpoint {
    ipv4_address: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Network {
    ipam: Addresses,
}

#[derive(Debug, Deserialize)]
struct Addresses {
    config: Vec<Range>,
}

#[derive(Debug, Deserialize)]
struct Range {
    subnet: String,
    ip_range: String,
}

fn once() -> u32 {
    1
}

/// The containers, and the networks they are in.
pub(crate) struct Rig {
    pub(crate) project: String,
    pub(crate) docker: Docker,
    containers: Vec<ContainerAsync<GenericImage>>,
    networks: Vec<String>,
}

pub(crate) fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The engine, with what earlier tests left there swept away, or why no container can run.
pub(crate) async fn engine() -> Result<(Engine, Docker), String> {
    let engine = Engine::connect().await.map_err(|error| error.to_string())?;
    let docker = Docker::connect_with_host(engine.address()).map_err(|error| error.to_string())?;
    let docker = docker
        .negotiate_version()
        .await
        .map_err(|error| error.to_string())?;
    if docker.inspect_image(docker::IMAGE).await.is_err() {
        return Err(format!(
            "there is no image `{}`; `cargo run -- lab image` builds it",
            docker::IMAGE
        ));
    }
    let left = sweep::leftovers(&engine)
        .await
        .map_err(|error| error.to_string())?;
    sweep::remove(&engine, &left)
        .await
        .map_err(|error| error.to_string())?;
    Ok((engine, docker))
}

impl Rig {
    /// Starts everything, as the environment of this number.
    pub(crate) async fn start(docker: Docker, number: usize) -> Self {
        let project = format!("blackstart-test-{}-{number}", std::process::id());
        let mut rig = Self {
            project,
            docker,
            containers: Vec::new(),
            networks: Vec::new(),
        };
        let compose = rig.networks().await;
        let (first, last): (Vec<_>, Vec<_>) = compose
            .services
            .iter()
            .partition(|(_, service)| service.depends_on.is_empty());
        for (name, service) in first.into_iter().chain(last) {
            for needed in service.depends_on.keys() {
                rig.until_well(needed).await;
            }
            for number in 1..=service.scale {
                rig.container(name, service, number).await;
            }
        }
        rig
    }

    /// Makes the networks where nobody else has any, and returns the Compose file with the addresses in it.
    async fn networks(&mut self) -> Compose {
        let text = fs::read_to_string(repository().join("docker-compose.yml")).unwrap();
        let mut refused = String::new();
        for _ in 0..ATTEMPTS {
            let subnet = format!("10.{}", fastrand::u8(128..=254));
            let text = text
                .replace("${BLACKSTART_SUBNET:-10.213}", &subnet)
                .replace("${BLACKSTART_LAB_TOKEN:-three-tier}", &self.project);
            let compose: Compose = serde_yaml::from_str(&text).unwrap();
            match self.make_networks(&compose).await {
                Ok(()) => return compose,
                Err(error) => refused = error.to_string(),
            }
            self.remove_networks().await;
        }
        panic!("no free networks: {refused}");
    }

    async fn make_networks(&mut self, compose: &Compose) -> Result<(), bollard::errors::Error> {
        for (name, network) in &compose.networks {
            let range = &network.ipam.config[0];
            let name = format!("{}_{name}", self.project);
            let request = NetworkCreateRequest {
                name: name.clone(),
                labels: Some(
                    [(sweep::CREATED.to_owned(), sweep::created_by_this_process())].into(),
                ),
                ipam: Some(Ipam {
                    config: Some(vec![IpamConfig {
                        subnet: Some(range.subnet.clone()),
                        ip_range: Some(range.ip_range.clone()),
                        ..IpamConfig::default()
                    }]),
                    ..Ipam::default()
                }),
                ..NetworkCreateRequest::default()
            };
            self.docker.create_network(request).await?;
            self.networks.push(name);
        }
        Ok(())
    }

    /// Starts a container as Compose does: named, labelled and in its networks by its address and the name of its service.
    async fn container(&mut self, name: &str, service: &Service, number: u32) {
        let mut request = GenericImage::new(docker::IMAGE, "latest")
            .with_wait_for(WaitFor::message_on_stdout("is up"))
            .with_cmd(service.command.clone())
            .with_container_name(format!("{}_{name}_{number}", self.project))
            .with_network(&self.networks[0])
            .with_label("com.docker.compose.project", &self.project)
            .with_label("com.docker.compose.service", name)
            .with_label(sweep::CREATED, sweep::created_by_this_process())
            .with_startup_timeout(Duration::from_secs(30));
        for (name, value) in &service.environment {
            request = request.with_env_var(name, value);
        }
        for (name, value) in &service.labels {
            request = request.with_label(name, value);
        }
        for (inside, outside) in [
            (
                "/environments/three-tier.docker.yaml",
                "fixtures/environments/three-tier.docker.yaml",
            ),
            ("/pages/maintenance.html", "fixtures/pages/maintenance.html"),
        ] {
            let content = fs::read(repository().join(outside)).unwrap();
            request = request.with_copy_to(inside, content);
        }
        let container = request.start().await.unwrap();
        // testcontainers knows one network and no addresses in it.
        let disconnect = NetworkDisconnectRequest {
            container: container.id().to_owned(),
            force: None,
        };
        self.docker
            .disconnect_network(&self.networks[0], disconnect)
            .await
            .unwrap();
        for (network, endpoint) in &service.networks {
            let settings = EndpointSettings {
                aliases: Some(vec![name.to_owned()]),
                ipam_config: endpoint
                    .ipv4_address
                    .clone()
                    .map(|address| EndpointIpamConfig {
                        ipv4_address: Some(address),
                        ..EndpointIpamConfig::default()
                    }),
                ..EndpointSettings::default()
            };
            let connect = NetworkConnectRequest {
                container: container.id().to_owned(),
                endpoint_config: Some(settings),
            };
            self.docker
                .connect_network(&format!("{}_{network}", self.project), connect)
                .await
                .unwrap();
        }
        self.containers.push(container);
    }

    /// Waits for what Compose waits for by a container's health check.
    async fn until_well(&self, service: &str) {
        let container = format!("{}_{service}_1", self.project);
        let inspected = self.docker.inspect_container(&container, None).await;
        let settings = inspected.unwrap().network_settings.unwrap();
        let address = settings.networks.unwrap().into_values().next().unwrap();
        let address: IpAddr = address.ip_address.unwrap().parse().unwrap();
        let admin = SocketAddr::from((address, part::ADMIN_PORT));
        let deadline = Instant::now() + LIMIT;
        while let Err(reason) = part::health(admin, &self.project).await {
            assert!(Instant::now() < deadline, "{container}: {reason}");
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// What a variable of an environment file stands for.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        if name == "BLACKSTART_PROJECT" {
            return Some(self.project.clone());
        }
        process_variable(name)
    }

    /// The drills of the repository in this environment.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        entries(Some("three-tier.docker"), &|name| self.variable(name))
    }

    /// The environment.
    pub(crate) fn environment(&self) -> Environment {
        Environment::clone(&self.entries()[0].environment)
    }

    /// Takes everything down.
    pub(crate) async fn close(mut self) {
        for container in self.containers.drain(..) {
            container.rm().await.unwrap();
        }
        self.remove_networks().await;
        assert!(self.networks.is_empty(), "{:?} is left", self.networks);
    }

    async fn remove_networks(&mut self) {
        let mut left = Vec::new();
        for network in self.networks.drain(..) {
            if self.docker.remove_network(&network).await.is_err() {
                left.push(network);
            }
        }
        self.networks = left;
    }
}

/// The drills of the three tiers, in their own environment or another.
pub(crate) fn entries(
    environment: Option<&str>,
    variables: &dyn Fn(&str) -> Option<String>,
) -> Vec<Entry> {
    let load = |paths, environment: Option<&str>| {
        let selection = Selection {
            paths,
            environment: environment.map(str::to_owned),
            speed: None,
        };
        let (catalog, problems) = catalog::load(&selection, variables);
        assert!(
            !problems.has_errors(),
            "{}",
            problems.render(Coloring::Plain)
        );
        catalog.entries
    };
    // Drills of other architectures name what this one does not have.
    let mut own = load(vec![repository().join("drills")], None);
    own.retain(|entry| entry.drill.environment == "three-tier");
    if environment.is_none() {
        return own;
    }
    let paths = own.into_iter().map(|entry| entry.drill.file.clone());
    load(paths.collect(), environment)
}
