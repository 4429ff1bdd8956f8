//! The place where a drill runs: its bindings opened, and what probes need to look at it.

mod authorities;
mod direct;

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use blackstart_lab::{
    Lab, LabError, Options as LabOptions,
    control::{Description, Resource, ResourceKind},
    part::{DNS_PORT, system_name_server},
};
use rustls::pki_types::ServerName;
use tokio::{runtime::Handle, time::Instant};
use tokio_rustls::TlsConnector;

pub use authorities::with_authorities;

use super::{Attached, Provider, lab::LabProvider};
use crate::{
    drill::{Drill, Expect},
    environment::{
        self, Binding, DnsView, Environment, GOOD_WITHIN_FLOOR, Probe as ProbeSetup, SYSTEM,
        TIMEOUT_FLOOR, Tier, public_resolver, real_limit,
    },
    journal::Access,
    probe::{
        Probe, Recognition,
        cached::CachedProbe,
        dns::{DnsProbe, fully_qualified, on_the_wire},
        http::{Asking, HttpProbe, Kept, Resolution, TlsSetupError, tls_connector},
        ledger::Ledger,
    },
};

/// How long a lab may take, in real time, from its start until it is healthy.
const LAB_START_LIMIT: Duration = Duration::from_secs(20);

/// Headers that tell whether an answer came from a cache, which findings rest on.
const ALWAYS_RECORDED: [&str; 2] = ["age", "x-cache"];

/// An environment that is there: bindings opened, probes can be made.
#[derive(Debug)]
pub struct Site {
    environment: Arc<Environment>,
    speed: f64,
    provider: Arc<dyn Provider>,
    access: Vec<Access>,
    /// The lab, if it was started here.
    lab: Option<Lab>,
    /// What the lab told of itself, wherever it runs; of a service that is no lab, what there is to know.
    description: Description,
    servers: BTreeMap<String, SocketAddr>,
    threads: Handle,
}

/// A probe that was set up, with its real-time limits.
pub struct PreparedProbe {
    /// The probe.
    pub probe: Arc<dyn Probe>,
    /// From one sample to the next, in real time.
    pub every: Duration,
    /// How long a sample may take, in real time.
    pub timeout: Duration,
    /// How long a good answer may take, in real time.
    pub good_within: Duration,
}

impl std::fmt::Debug for PreparedProbe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PreparedProbe")
            .field("every", &self.every)
            .finish_non_exhaustive()
    }
}

/// The environment could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// The lab did not start.
    #[error("the lab could not be started")]
    Lab(#[from] LabError),
    /// The lab ended in a panic while it started, which is a defect of ours.
    #[error("the lab ended in a panic while it started")]
    Panicked(#[source] tokio::task::JoinError),
    /// The lab started and is not well.
    #[error("the lab was not healthy {after:?} after its start: {what}")]
    LabNotHealthy {
        /// How long was waited.
        after: Duration,
        /// What is not healthy.
        what: String,
    },
    /// The client of a control plane could not be set up.
    #[error("the client of the lab's admin API could not be set up")]
    Client(#[source] reqwest::Error),
    /// A lab in a process of its own runs something else.
    #[error(
        "the lab does not run the stack of the environment `{0}`; was it started from another version of the file?"
    )]
    OtherStack(String),
    /// A probe cannot be set up.
    #[error("the probe `{probe}` cannot be set up: {reason}")]
    Probe {
        /// The probe's name.
        probe: String,
        /// Why.
        reason: String,
    },
    /// Nothing says whom this machine asks for names.
    #[error("the name server of this machine is not known")]
    NoResolver(#[source] std::io::Error),
    /// A tier cannot be asked directly.
    #[error("the tier `{tier}` cannot be asked directly: {reason}")]
    Preflight {
        /// The tier's name.
        tier: String,
        /// Why.
        reason: String,
    },
    /// TLS could not be set up.
    #[error(transparent)]
    Tls(#[from] TlsSetupError),
}

impl Site {
    /// Opens an environment of which nothing is there before. A lab is started on threads of its own and waited for until it is
    /// healthy.
    ///
    /// # Errors
    /// If a binding cannot be opened. What was started is taken down again.
    pub async fn open(
        environment: Arc<Environment>,
        speed: f64,
        seed: u64,
        labs: &Handle,
    ) -> Result<Self, SiteError> {
        Self::open_beside(Attached::default(), environment, speed, seed, labs).await
    }

    /// Opens an environment of which some systems are there before and outlive this process. The rest is started as by
    /// [`Site::open`].
    ///
    /// # Errors
    /// If a binding cannot be opened, or the lab that is there is not of this environment.
    pub async fn open_beside(
        attached: Attached,
        environment: Arc<Environment>,
        speed: f64,
        seed: u64,
        labs: &Handle,
    ) -> Result<Self, SiteError> {
        if let Some(description) = &attached.description {
            let stack = serde_json::to_value(&environment.stack).ok();
            if stack.map(without_paths) != Some(without_paths(description.stack.clone())) {
                return Err(SiteError::OtherStack(environment.name.clone()));
            }
            return Ok(Self::at(environment, attached, None, labs.clone()));
        }
        let Some(stack) = &environment.stack else {
            return Ok(Self::at(environment, attached, None, labs.clone()));
        };
        let (stack, options) = (stack.clone(), LabOptions { speed, seed });
        let lab = labs
            .spawn(async move { Lab::start(&stack, &options).await })
            .await
            .map_err(SiteError::Panicked)??;
        let (admin, token) = lab.admin();
        let provider = LabProvider::new(admin, token).map_err(SiteError::Client)?;
        let mut attached = Attached {
            bindings: attached.bindings.with(Binding::Lab, Arc::new(provider)),
            description: Some(lab.description().clone()),
            access: attached.access,
        };
        attached.access.push(Access::InProcess);
        let site = Self::at(environment, attached, Some(lab), labs.clone());
        site.wait_until_healthy().await?;
        Ok(site)
    }

    fn at(
        environment: Arc<Environment>,
        attached: Attached,
        lab: Option<Lab>,
        threads: Handle,
    ) -> Self {
        let description = attached.description.unwrap_or_else(elsewhere);
        Self {
            environment,
            speed: description.speed,
            provider: Arc::new(attached.bindings),
            access: attached.access,
            lab,
            servers: servers(&description),
            description,
            threads,
        }
    }

    /// What carries faults out.
    pub fn provider(&self) -> &Arc<dyn Provider> {
        &self.provider
    }

    /// Carries faults out in another way: `bind` is given what the environment itself would use, to wrap it or to replace it.
    #[must_use]
    pub fn with_provider(
        mut self,
        bind: impl FnOnce(Arc<dyn Provider>) -> Arc<dyn Provider>,
    ) -> Self {
        self.provider = bind(self.provider);
        self
    }

    /// The threads that show whether what is looked at is given the processor: the lab's, if it runs here.
    pub fn echo_threads(&self) -> &Handle {
        &self.threads
    }

    /// How its targets are reached by somebody who was not there when it was opened.
    pub fn access(&self) -> &[Access] {
        &self.access
    }

    /// The environment that was opened.
    pub fn environment(&self) -> &Arc<Environment> {
        &self.environment
    }

    /// The lab, if it was started here.
    pub fn lab(&self) -> Option<&Lab> {
        self.lab.as_ref()
    }

    /// How many times as fast as the wall's clock its time runs.
    pub fn speed(&self) -> f64 {
        self.speed
    }

    /// Takes down what was started.
    pub async fn close(self) {
        if let Some(lab) = self.lab {
            lab.shut_down().await;
        }
    }

    /// A lab that has just been started still has to look at its own targets once.
    async fn wait_until_healthy(&self) -> Result<(), SiteError> {
        let (Some(lab), Some(stack)) = (&self.lab, &self.environment.stack) else {
            return Ok(());
        };
        let balancers = stack
            .load_balancers
            .keys()
            .map(|name| Resource::new(ResourceKind::LoadBalancer, name));
        let checks = stack
            .health_checks
            .keys()
            .map(|name| Resource::new(ResourceKind::HealthCheck, name));
        let deadline = Instant::now() + LAB_START_LIMIT;
        for resource in balancers.chain(checks) {
            loop {
                let state = lab.control(&resource);
                if state
                    .as_ref()
                    .is_ok_and(|state| state.healthy != Some(false))
                {
                    break;
                }
                if Instant::now() > deadline {
                    // An environment that is ill by design is for the steady state to find; a lab that cannot be read is ours.
                    if state.is_ok() {
                        return Ok(());
                    }
                    return Err(SiteError::LabNotHealthy {
                        after: LAB_START_LIMIT,
                        what: resource.to_string(),
                    });
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        Ok(())
    }

    /// Sets a probe up. The drill says what else is to be recorded of its answers.
    ///
    /// # Errors
    /// If the probe's server or host cannot be used.
    pub fn prepare(
        &self,
        setup: &ProbeSetup,
        drill: &Drill,
        run: &str,
    ) -> Result<PreparedProbe, SiteError> {
        let wrong = |reason: String| SiteError::Probe {
            probe: setup.name().to_owned(),
            reason,
        };
        let tiers: Arc<[Tier]> = self.environment.tiers.clone().into();
        let recognition = Recognition::new(tiers).with_names(&self.description.names);
        match setup {
            ProbeSetup::Dns(setup) => {
                let server = self.server(&setup.server).map_err(wrong)?;
                let name = fully_qualified(&setup.query).map_err(wrong)?;
                let timeout = real_limit(setup.timeout, self.speed, TIMEOUT_FLOOR);
                let probe: Arc<dyn Probe> = match setup.view {
                    DnsView::Cached => Arc::new(
                        CachedProbe::new(server, name, timeout, self.speed, recognition)
                            .map_err(|error| wrong(error.to_string()))?
                            .asking_for(on_the_wire(setup.r#type)),
                    ),
                    view @ (DnsView::Authority | DnsView::Recursive) => Arc::new(DnsProbe {
                        server,
                        name,
                        record_type: on_the_wire(setup.r#type),
                        recursive: view == DnsView::Recursive,
                        timeout,
                        recognition,
                    }),
                };
                Ok(PreparedProbe {
                    probe,
                    every: setup.every.div_f64(self.speed),
                    timeout,
                    good_within: timeout,
                })
            }
            ProbeSetup::Http(setup) => {
                let probe = self.prepare_http(setup, recognition, drill, run)?;
                Ok(PreparedProbe {
                    every: setup.every.div_f64(self.speed),
                    timeout: probe.timeout,
                    good_within: real_limit(setup.good_within, self.speed, GOOD_WITHIN_FLOOR),
                    probe: Arc::new(probe),
                })
            }
        }
    }

    fn prepare_http(
        &self,
        setup: &environment::HttpProbe,
        recognition: Recognition,
        drill: &Drill,
        run: &str,
    ) -> Result<HttpProbe, SiteError> {
        let wrong = |reason: String| SiteError::Probe {
            probe: setup.name.clone(),
            reason,
        };
        let url: reqwest::Url = self
            .environment
            .service
            .url
            .parse()
            .map_err(|error| wrong(format!("{error}")))?;
        let request = self
            .environment
            .service
            .requests
            .get(&setup.request)
            .ok_or_else(|| wrong(format!("no request `{}`", setup.request)))?;
        let host = setup
            .host
            .as_deref()
            .or_else(|| url.host_str())
            .ok_or_else(|| wrong("the URL has no host".into()))?;
        let logical_port = url
            .port_or_known_default()
            .ok_or_else(|| wrong("the URL has no port".into()))?;
        let port = self.real_port(logical_port).map_err(wrong)?;
        let resolver = setup.vantage.as_deref().unwrap_or("resolver");
        let mut resolution = self.resolution(host, resolver).map_err(wrong)?;
        if let Resolution::Ask(asking) = &mut resolution {
            asking.family = setup.family;
            asking.cache = setup.dns_cache;
        }
        let tls = if url.scheme() == "https" {
            Some((self.tls()?, server_name(host).map_err(wrong)?))
        } else {
            None
        };
        let (headers, texts) = wanted(drill, &recognition);
        Ok(HttpProbe {
            resolution,
            port,
            tls,
            host: url
                .port()
                .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")),
            request: request.clone(),
            run: run.to_owned(),
            timeout: real_limit(setup.timeout, self.speed, TIMEOUT_FLOOR),
            connection: setup.connection,
            recognition,
            headers,
            texts,
            kept: Kept::default(),
        })
    }

    /// Sets up the reading of the ledger, if the environment has one, for the run of this name.
    ///
    /// # Errors
    /// If the service's URL cannot be used.
    pub fn prepare_ledger(&self, drill: &Drill, run: &str) -> Result<Option<Ledger>, SiteError> {
        let Some(ledger) = &self.environment.ledger else {
            return Ok(None);
        };
        let writes = self.environment.probe(&ledger.writes);
        let (Some(ProbeSetup::Http(writes)), requests) =
            (writes, &self.environment.service.requests)
        else {
            return Ok(None);
        };
        let marker = requests
            .get(&writes.request)
            .and_then(|request| environment::Ledger::marker(request, run));
        let Some(marker) = marker else {
            return Ok(None);
        };
        let setup = environment::HttpProbe {
            request: ledger.read.clone(),
            ..writes.clone()
        };
        let recognition = Recognition::new(self.environment.tiers.clone());
        Ok(Some(Ledger {
            request: self.prepare_http(&setup, recognition, drill, run)?,
            marker,
        }))
    }

    /// Whether what is looked at is no lab.
    fn is_foreign(&self) -> bool {
        self.description.stack.is_null()
    }

    /// The port to connect to: a lab has ports of its own.
    fn real_port(&self, logical: u16) -> Result<u16, String> {
        if self.is_foreign() {
            return Ok(logical);
        }
        let port = self.description.ports.get(&logical).copied();
        port.ok_or_else(|| format!("nothing in the stack listens on port {logical}"))
    }

    /// How a host is found: it is an address, or a resolver of the environment knows it.
    fn resolution(&self, host: &str, resolver: &str) -> Result<Resolution, String> {
        Ok(match host.parse::<IpAddr>() {
            Ok(address) => Resolution::Address(address),
            Err(_) if host == "localhost" => Resolution::Address(Ipv4Addr::LOCALHOST.into()),
            Err(_) => Resolution::Ask(Asking {
                speed: self.speed,
                in_lab: !self.is_foreign(),
                ..Asking::anew(self.server(resolver)?, fully_qualified(host)?)
            }),
        })
    }

    fn tls(&self) -> Result<TlsConnector, TlsSetupError> {
        let authority = &self.description.ca_pem;
        tls_connector(Some(authority.as_str()).filter(|_| !self.is_foreign()))
    }

    /// Finds a name server: one of the lab's by its role, or an address.
    fn server(&self, server: &str) -> Result<SocketAddr, String> {
        if let Some(address) = self.servers.get(server) {
            return Ok(*address);
        }
        if let Some(address) = public_resolver(server) {
            return Ok((address, DNS_PORT).into());
        }
        if server == SYSTEM {
            return system_name_server().map_err(|error| error.to_string());
        }
        server
            .parse::<SocketAddr>()
            .or_else(|_| {
                server
                    .parse::<IpAddr>()
                    .map(|address| SocketAddr::new(address, 53))
            })
            .map_err(|_| format!("`{server}` is neither `authority`, `resolver` nor an address"))
    }
}

/// The name servers of a lab by the names that probes give them.
fn servers(lab: &Description) -> BTreeMap<String, SocketAddr> {
    let mut servers = lab.vantages.clone();
    servers.insert("authority".to_owned(), lab.authority);
    servers.insert("resolver".to_owned(), lab.resolver);
    servers
}

/// What there is to know where no lab is: the wall's own time, the ports that are written, this machine's name server.
fn elsewhere() -> Description {
    let resolver = system_name_server().unwrap_or_else(|_| (Ipv4Addr::LOCALHOST, DNS_PORT).into());
    Description {
        id: String::new(),
        speed: 1.0,
        authority: resolver,
        resolver,
        vantages: BTreeMap::new(),
        names: BTreeMap::new(),
        ports: BTreeMap::new(),
        ca_pem: String::new(),
        stack: serde_json::Value::Null,
    }
}

/// A stack without the paths of its pages, which are other ones in a container.
fn without_paths(mut stack: serde_json::Value) -> serde_json::Value {
    let sites = stack
        .get_mut("static-sites")
        .and_then(serde_json::Value::as_object_mut);
    for site in sites.into_iter().flat_map(serde_json::Map::values_mut) {
        if let Some(site) = site.as_object_mut() {
            site.remove("page");
        }
    }
    stack
}

fn server_name(host: &str) -> Result<ServerName<'static>, String> {
    ServerName::try_from(host.to_owned())
        .map_err(|error| format!("`{host}` cannot be in a certificate: {error}"))
}

/// The headers and texts that somebody will ask for: tiers, and expectations of the drill.
fn wanted(drill: &Drill, recognition: &Recognition) -> (Vec<String>, Vec<String>) {
    let mut headers: Vec<String> = recognition
        .header_names()
        .map(str::to_ascii_lowercase)
        .chain(ALWAYS_RECORDED.map(str::to_owned))
        .collect();
    let mut texts = Vec::new();
    for expectation in &drill.expect {
        if let Expect::Header { name, .. } = &expectation.value {
            headers.push(name.to_ascii_lowercase());
        }
        if let Expect::Body { contains, .. } = &expectation.value {
            texts.push(contains.clone());
        }
    }
    headers.sort();
    headers.dedup();
    (headers, texts)
}
