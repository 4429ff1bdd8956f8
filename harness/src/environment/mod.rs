//! An environment: what the names in a drill stand for. Pure: nothing here touches a target.
//!
//! As in [`crate::drill`], the types have the shape of the file and `decode` builds them by hand.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::Duration,
};

use blackstart_lab::{
    control::{Resource, ResourceKind},
    stack::{DurationText, Stack},
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    check,
    drill::{AbortIf, Drill, Located},
    source::{Document, FilledIn, Problems, Reading, Secrets, Variables},
};

pub(crate) mod aws;
pub(crate) mod azure;
pub(crate) mod binding;
pub(crate) mod decode;
pub(crate) mod docker;
mod floor;
mod governs;
pub(crate) mod kubernetes;
mod limits;
mod name_servers;
pub(crate) mod notify;
pub(crate) mod programs;
mod references;
mod stack;

pub use aws::{AwsAccount, AwsKind, AwsRecord, AwsResource, GLOBAL};
pub use azure::{Azure, AzureAccount, AzureCredentials, AzureKind, AzureResource, AzureStandIn};
pub use binding::Binding;
pub(crate) use decode::{METHODS, RESERVED};
pub use docker::{Containers, Docker, Which};
pub use floor::{GOOD_WITHIN_FLOOR, TIMEOUT_FLOOR, real_limit};
pub use governs::Governs;
pub use kubernetes::{Cluster, Kubernetes, ObjectKind, Objects, OtherKind, WhichObjects};
pub use limits::{
    AwsLimits, AzureLimits, Breach, KubernetesLimits, LabLimits, Limits, Thing, Touched,
};
pub use name_servers::{AUTHORITIES, SYSTEM, is_outside, public_resolver};
pub use notify::{Level, Notify, Pagerduty, Slack, Webhook};
pub use programs::{HealthProgram, Programs};
pub(crate) use references::check_abort_if;

/// How many times as fast as the wall's clock a lab may run.
pub const SPEEDS: RangeInclusive<f64> = 0.01..=1000.0;

/// Reads an environment file. An environment is there if the problems have no error.
pub fn load(path: &Path, variables: Variables<'_>) -> (Option<Environment>, Problems) {
    let (file, mut problems) = read(path, variables);
    if let Some(file) = &file {
        problems.append(check::environment(file));
    }
    let environment = file.map(|file| file.environment);
    (environment.filter(|_| !problems.has_errors()), problems)
}

/// Whether a file is an environment and no drill, as far as it can be read.
pub fn is_one(path: &Path) -> bool {
    if path.is_dir() {
        return false;
    }
    let (document, _) = Document::read(path, Reading::Original(&|_| None));
    document.is_some_and(|document| {
        let has = |key| document.root.get(key).is_some();
        has("service") && has("tiers") && !has("drill")
    })
}

/// An environment and the tree it was made from, in which the places of its names are found.
#[derive(Debug)]
pub(crate) struct EnvironmentFile {
    pub(crate) environment: Environment,
    pub(crate) document: Document,
}

/// Reads an environment file and keeps its tree.
pub(crate) fn read(path: &Path, variables: Variables<'_>) -> (Option<EnvironmentFile>, Problems) {
    read_as(path, Reading::Original(variables))
}

/// Reads the copy of an environment file that a run keeps, given the variables that were in force.
pub(crate) fn read_copy(
    path: &Path,
    kept: &BTreeMap<String, String>,
) -> (Option<EnvironmentFile>, Problems) {
    read_as(path, Reading::Copy(kept))
}

fn read_as(path: &Path, reading: Reading<'_>) -> (Option<EnvironmentFile>, Problems) {
    let (document, mut problems) = Document::read(path, reading);
    let file = document.and_then(|document| {
        let (environment, found) = decode::decode(&document);
        problems.append(found);
        environment.map(|environment| EnvironmentFile {
            environment,
            document,
        })
    });
    (file.filter(|_| !problems.has_errors()), problems)
}

/// One environment file.
#[derive(Debug, Clone, PartialEq)]
pub struct Environment {
    /// The name that drills refer to.
    pub name: String,
    /// What it is, in a sentence for the report.
    pub about: String,
    /// How many times as fast as the wall's clock the architecture's time runs. 1 except in the lab.
    pub speed: f64,
    /// What users ask for.
    pub service: Service,
    /// Who may answer, the preferred one first.
    pub tiers: Vec<Tier>,
    /// How the service is looked at.
    pub probes: Vec<Located<Probe>>,
    /// The system's own view of itself.
    pub observers: Vec<Observer>,
    /// Which writes are counted, and how they are read back.
    pub ledger: Option<Ledger>,
    /// Where the containers are that targets name.
    pub docker: Option<Docker>,
    /// Where the resources of Azure are that targets name.
    pub azure: Option<Azure>,
    /// Where the objects of Kubernetes are that targets name.
    pub kubernetes: Option<Kubernetes>,
    /// How AWS is reached.
    pub aws: Option<AwsAccount>,
    /// What faults can be applied to, by name.
    pub targets: BTreeMap<String, Target>,
    /// What a drill may do here, whatever it says.
    pub limits: Limits,
    /// What ends every drill here early.
    pub abort_if: Vec<Located<AbortIf>>,
    /// Who is told while a drill runs.
    pub notify: Vec<Notify>,
    /// Whether a drill runs here only for somebody who has given the environment's name.
    pub protected: bool,
    /// What the lab stands in for. Required if a target is bound to the lab.
    pub stack: Option<Stack>,
    /// Which of its settings explains which part of a recovery.
    pub governs: Governs,
    /// The file it came from.
    pub file: PathBuf,
    /// The text of the file as it was read, before `${NAME}` was filled in, so that no secret is in the copy that a run keeps.
    pub text: String,
    /// What of the process environment was filled in.
    pub variables: FilledIn,
}

/// What users ask for.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Service {
    /// The URL that users type, for example `https://www.petclinic.test/petclinic/`.
    pub url: String,
    /// The requests that probes send, by name. `read` is there unless given: GET of `url`, answered 200.
    pub requests: BTreeMap<String, Request>,
}

/// A request and the answer that counts as good.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Request {
    /// The method. Default `GET`.
    pub method: String,
    /// The path and query; `{sequence}` and `{run}` are replaced as in a form. Default: those of the service's URL.
    pub path: String,
    /// Header lines to send besides Host. `User-Agent` and `Accept` replace those that are sent otherwise.
    pub headers: BTreeMap<String, String>,
    /// Form fields to send; `{sequence}` in a value is replaced by the number of the sample and `{run}` by the names of the run and
    /// the drill.
    pub form: BTreeMap<String, String>,
    /// The status codes that count as good. Default `[200]`.
    pub good_status: Vec<u16>,
    /// Whether the request changes data. Default: what the method says.
    pub writes: bool,
}

/// Which writes are counted, and how they are read back: what an `rpo` is measured by.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Ledger {
    /// The probe that writes. A form field of its request has `{run}` and then `{sequence}` in it.
    pub writes: String,
    /// The request that shows what was written, by name. It is sent once, at the end of the hold.
    pub read: String,
}

/// One rung of the service.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Tier {
    /// The name that drills use. `down` and `*` are reserved.
    #[serde(rename = "tier")]
    pub name: String,
    /// What it is, in a few words for the report.
    pub about: String,
    /// How an answer shows that it came from here. All that is given must hold.
    pub recognise: Recognise,
    /// Where this tier can be asked directly, to know before anything is broken that it is alive. For a tier that no probe watches.
    pub preflight: Option<DirectRequest>,
}

/// A request to a tier under a name of its own. It is a GET, and 200 is good.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct DirectRequest {
    /// The URL, for example `https://page.example.net/`.
    pub url: String,
    /// The Host header, for a tier that answers to the service's name only. Default: the host of the URL.
    pub host_header: Option<String>,
}

/// How an answer shows which tier it came from.
#[derive(Debug, Clone, PartialEq, Default, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Recognise {
    /// A response header.
    pub header: Option<HeaderMatch>,
    /// Text in the first 64 KiB of the body.
    pub body: Option<String>,
    /// A name in the certificate that was presented.
    pub certificate: Option<String>,
    /// Text in the DNS answer (a canonical name or an address), which is how DNS probes tell tiers apart. In the lab, whose addresses
    /// are different each time, the name that an address belongs to counts as well. Where two tiers share an answer, it is shown as
    /// the first of them.
    pub dns: Option<String>,
}

/// A header and what its value contains.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct HeaderMatch {
    /// The header's name.
    pub name: String,
    /// The text its value contains. Case counts.
    pub contains: String,
}

/// One way of looking.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Probe {
    /// Sends a request as a user's client would.
    Http(HttpProbe),
    /// Asks a name server.
    Dns(DnsProbe),
}

/// A probe that sends a request.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct HttpProbe {
    /// The name that drills and reports use.
    pub name: String,
    /// The request to send, by name. Default `read`.
    pub request: String,
    /// Asks this host instead of the service's own, for example the standby under its own name.
    pub host: Option<String>,
    /// The tier that this probe reaches while all is well, if that is not the one that serves users: then the probe watches a standby,
    /// takes no part in the users' path and times, and its failures are reported as a dead standby.
    pub standby: Option<String>,
    /// The vantage of the lab's stack whose resolver it asks, as users in that region do. Default: the resolver.
    pub vantage: Option<String>,
    /// The addresses it asks for and connects to. Default `ipv4`.
    pub family: Family,
    /// How long it keeps an answer of the resolver, as different clients do. Default `none`: it asks for every new connection.
    pub dns_cache: DnsCache,
    /// A new connection for every sample, or one that is kept as long as it lasts. Default `new`.
    pub connection: Connection,
    /// From one sample to the next. Default `1s`.
    #[schemars(with = "DurationText")]
    pub every: Duration,
    /// How long a sample may take before it is given up. Default `2s`.
    #[schemars(with = "DurationText")]
    pub timeout: Duration,
    /// How long a good answer may take. Default `800ms`: below the second after which a lost SYN is sent again.
    #[schemars(with = "DurationText")]
    pub good_within: Duration,
}

/// What becomes of a probe's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Connection {
    /// Every sample opens its own: what a user sees who comes now.
    #[default]
    New,
    /// Kept while it lasts: what a client with a connection pool sees.
    KeepAlive,
}

/// The addresses that a probe asks for and connects to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// A records.
    #[default]
    Ipv4,
    /// AAAA records. A lab answers them with addresses that lead to the same sockets as its IPv4 addresses.
    Ipv6,
}

/// How long a client keeps what a resolver answered, whatever that says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DnsCache {
    /// Not at all: it asks for every new connection (glibc without a caching daemon).
    #[default]
    None,
    /// As long as its TTL.
    Ttl,
    /// As long as its TTL, and a minute at least (Chromium, Firefox).
    #[serde(rename = "at-least-60s")]
    AtLeastMinute,
    /// As long as its TTL, and five minutes at most (the resolver of a VPC).
    #[serde(rename = "at-most-300s")]
    AtMostFiveMinutes,
    /// For ever (a JVM with a security manager, nginx with a name in `proxy_pass`).
    ForEver,
}

/// A probe that asks a name server.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct DnsProbe {
    /// The name that drills and reports use.
    pub name: String,
    /// The name asked for. Default: the host of the service's URL.
    pub query: String,
    /// Whom to ask: `authority`, `resolver` and the names of vantages are the lab's; `authorities` is every server of the name's zone,
    /// each a probe of its own; `system` is this machine's; `cloudflare`, `google`, `opendns` and `quad9` are public; otherwise an
    /// address, `192.0.2.53` or `192.0.2.53:5353`.
    pub server: String,
    /// How to look. Default: `authority` for `authority` and `authorities`, `recursive` otherwise.
    pub view: DnsView,
    /// The records asked for. Default `A`.
    pub r#type: DnsType,
    /// From one sample to the next. Default `1s`.
    #[schemars(with = "DurationText")]
    pub every: Duration,
    /// How long a sample may take before it is given up. Default `2s`.
    #[schemars(with = "DurationText")]
    pub timeout: Duration,
}

/// The type of record that a DNS probe asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, JsonSchema)]
pub enum DnsType {
    /// IPv4 addresses.
    #[default]
    A,
    /// IPv6 addresses.
    #[serde(rename = "AAAA")]
    Aaaa,
    /// Texts.
    #[serde(rename = "TXT")]
    Txt,
}

/// Which question a DNS probe answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DnsView {
    /// One question to an authoritative server, recursion not desired: when the decision becomes visible.
    Authority,
    /// One question to a resolver: when its users get it.
    Recursive,
    /// Through a client of our own that caches and honours TTLs: when a well-behaved program gets it.
    Cached,
}

/// The system's own view: the health of a target as its binding reports it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Observer {
    /// The name that drills and reports use.
    #[serde(rename = "observer")]
    pub name: String,
    /// The target whose health is read, for example a health check or a target group.
    pub watches: String,
    /// From one reading to the next. Default `2s`.
    #[schemars(with = "DurationText")]
    pub every: Duration,
}

/// What a fault can be applied to, and how it is reached.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// A thing in the lab.
    Lab(Resource),
    /// Containers, or something of the lab that runs in one.
    Docker(Containers),
    /// Objects of a Kubernetes cluster.
    Kubernetes(Objects),
    /// A resource of AWS.
    Aws(AwsResource),
    /// Whatever programs reach.
    Command(Programs),
    /// A resource of Azure.
    Azure(AzureResource),
}

impl Ledger {
    /// What stands before the number in a write of this request, in the run of this name; `None` if its writes cannot be told apart.
    pub fn marker(request: &Request, run: &str) -> Option<String> {
        let values = request.form.values();
        let marked = values.filter(|value| value.contains("{run}"));
        let before = marked.filter_map(|value| value.split_once("{sequence}"));
        let marker = before
            .map(|(before, _)| before.replace("{run}", run))
            .next()?;
        let ends_in_a_digit = marker.ends_with(|last: char| last.is_ascii_digit());
        (!ends_in_a_digit).then_some(marker)
    }
}

impl Service {
    /// The host of the URL.
    pub fn host(&self) -> Option<&str> {
        let (_, rest) = self.url.split_once("://")?;
        let authority = rest.split(['/', '?', '#']).next()?;
        // An address of IPv6 has colons of its own.
        match authority.strip_prefix('[') {
            Some(address) => address.split(']').next(),
            None => authority.split(':').next(),
        }
    }

    /// The port of the URL, or what its scheme stands for.
    pub fn port(&self) -> Option<u16> {
        let url: http::Uri = self.url.parse().ok()?;
        url.port_u16().or(match url.scheme_str() {
            Some("http") => Some(80),
            Some("https") => Some(443),
            _ => None,
        })
    }
}

impl Probe {
    /// The name that drills and reports use.
    pub fn name(&self) -> &str {
        match self {
            Self::Http(probe) => &probe.name,
            Self::Dns(probe) => &probe.name,
        }
    }

    /// From one sample to the next.
    pub fn every(&self) -> Duration {
        match self {
            Self::Http(probe) => probe.every,
            Self::Dns(probe) => probe.every,
        }
    }
}

impl DnsCache {
    /// How long an answer with this TTL is kept.
    pub fn keeps(self, ttl: Duration) -> Duration {
        match self {
            Self::None => Duration::ZERO,
            Self::Ttl => ttl,
            Self::AtLeastMinute => ttl.max(Duration::from_mins(1)),
            Self::AtMostFiveMinutes => ttl.min(Duration::from_mins(5)),
            Self::ForEver => Duration::MAX,
        }
    }

    /// The word that files have for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Ttl => "ttl",
            Self::AtLeastMinute => "at-least-60s",
            Self::AtMostFiveMinutes => "at-most-300s",
            Self::ForEver => "for-ever",
        }
    }
}

impl Target {
    /// The words of the faults that can be applied to it.
    pub fn faults(&self) -> Vec<&'static str> {
        match self {
            Self::Lab(resource) => of_the_lab(resource.kind).to_vec(),
            Self::Docker(containers) => containers.faults().to_vec(),
            Self::Kubernetes(objects) => objects.faults().to_vec(),
            Self::Aws(resource) => resource.faults().to_vec(),
            Self::Command(programs) => programs.faults(),
            Self::Azure(resource) => resource.faults().to_vec(),
        }
    }

    /// What it is in the terms of the lab, whether that runs in this process or in containers.
    pub fn resource(&self) -> Option<&Resource> {
        match self {
            Self::Lab(resource) => Some(resource),
            Self::Docker(containers) => containers.part.as_ref(),
            Self::Kubernetes(_) | Self::Aws(_) | Self::Command(_) | Self::Azure(_) => None,
        }
    }

    /// What reaches it.
    pub fn binding(&self) -> Binding {
        match self {
            Self::Lab(_) => Binding::Lab,
            Self::Docker(_) => Binding::Docker,
            Self::Kubernetes(_) => Binding::Kubernetes,
            Self::Aws(_) => Binding::Aws,
            Self::Command(_) => Binding::Command,
            Self::Azure(_) => Binding::Azure,
        }
    }
}

/// The words of the faults that a kind of thing in the lab can have.
fn of_the_lab(kind: ResourceKind) -> &'static [&'static str] {
    match kind {
        ResourceKind::Workload => &[
            "scale",
            "stop",
            "kill",
            "pause",
            "block-ingress",
            "respond",
            "lose-zone",
        ],
        ResourceKind::LoadBalancer => &[
            "stop",
            "kill",
            "pause",
            "block-ingress",
            "respond",
            "expire-certificate",
            "lose-zone",
        ],
        ResourceKind::VirtualMachine
        | ResourceKind::StaticSite
        | ResourceKind::Distribution
        | ResourceKind::Bucket => &[
            "stop",
            "kill",
            "pause",
            "block-ingress",
            "respond",
            "expire-certificate",
        ],
        ResourceKind::RecordSet => &["shift-weights"],
        ResourceKind::Database => &["failover-database"],
        ResourceKind::TargetGroup => &["break-health-path"],
        ResourceKind::HealthCheck => &[
            "break-health-path",
            "invert-health-check",
            "disable-health-check",
        ],
    }
}

impl Recognise {
    /// Whether an HTTP answer can show the tier.
    pub fn by_http(&self) -> bool {
        self.header.is_some() || self.body.is_some() || self.certificate.is_some()
    }
}

impl Environment {
    /// What must not be shown of the environment.
    pub fn secrets(&self) -> Secrets {
        Secrets::of([(&self.variables, self.text.as_str())])
    }

    /// What must not be shown of a drill in it.
    pub fn secrets_with(&self, drill: &Drill) -> Secrets {
        Secrets::of([
            (&drill.variables, drill.text.as_str()),
            (&self.variables, self.text.as_str()),
        ])
    }

    /// Whether some of its targets are containers.
    pub fn is_in_containers(&self) -> bool {
        self.bindings().contains(&Binding::Docker)
    }

    /// What reaches its targets.
    pub fn bindings(&self) -> BTreeSet<Binding> {
        self.targets.values().map(Target::binding).collect()
    }

    /// Which way probes go to containers, in words, because the same fault looks different on each (docs/faults.md).
    pub fn way_to_containers(&self) -> Option<&'static str> {
        if !self.is_in_containers() {
            return None;
        }
        let host = self.service.host()?;
        let is_published = host == "localhost"
            || host
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback());
        Some(if is_published {
            "through a published port: the engine refuses at once for a container that is stopped"
        } else {
            "to the containers' own addresses: one that is stopped is silent"
        })
    }

    /// The users' own probe: the first that sends the read request on new connections and watches no standby.
    pub fn user_probe(&self) -> Option<&HttpProbe> {
        self.probes.iter().find_map(|probe| match &probe.value {
            Probe::Http(probe)
                if probe.request == "read"
                    && probe.standby.is_none()
                    && probe.connection == Connection::New =>
            {
                Some(probe)
            }
            Probe::Http(_) | Probe::Dns(_) => None,
        })
    }

    /// A tier with what it is, for a sentence: ``the tier `page` (a static page)``.
    pub fn tier_in_words(&self, name: &str) -> String {
        match self.tiers.iter().find(|tier| tier.name == name) {
            Some(tier) if !tier.about.is_empty() => format!("the tier `{name}` ({})", tier.about),
            Some(_) | None => format!("the tier `{name}`"),
        }
    }

    /// Finds a probe by name.
    pub fn probe(&self, name: &str) -> Option<&Probe> {
        self.probes
            .iter()
            .map(|probe| &probe.value)
            .find(|probe| probe.name() == name)
    }
}
