//! Targets that are containers: `docker:` at the top of an environment file and in its targets.

use std::fmt;

use blackstart_lab::{
    control::{Resource, ResourceKind},
    filter::Source,
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::source::Item;

/// Where the containers are.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Docker {
    /// The Compose project whose services are meant. Default: whichever project has the service, if there is one only.
    pub project: Option<String>,
}

/// One or more containers, or something of the lab that runs in one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Containers {
    /// Which containers.
    pub which: Which,
    /// What of the lab is meant that the container plays the part of; the container itself without.
    pub part: Option<Resource>,
    /// The ports that are shut when ingress is blocked; all of them if there is none.
    pub ports: Vec<u16>,
    /// The sources that ingress is blocked for; all of them if there is none. As `10.0.0.0/8`.
    pub from: Vec<String>,
}

/// How containers are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// The one of this name or id.
    Name(String),
    /// Every replica of a Compose service.
    Service {
        /// The project; whichever has the service if none is given.
        project: Option<String>,
        /// The service.
        service: String,
    },
    /// Every one with a label, written `name` or `name=value`.
    Label(String),
}

/// The parts of the lab that are something else than their container.
const PARTS: [ResourceKind; 2] = [ResourceKind::TargetGroup, ResourceKind::HealthCheck];

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "container {name}"),
            Self::Service {
                project: Some(project),
                service,
            } => write!(f, "service {project}/{service}"),
            Self::Service {
                project: None,
                service,
            } => write!(f, "service {service}"),
            Self::Label(label) => write!(f, "containers labelled {label}"),
        }
    }
}

impl Containers {
    /// The words of the faults that can be applied.
    pub fn faults(&self) -> &'static [&'static str] {
        match (&self.part, &self.which) {
            (Some(part), _) if part.kind == ResourceKind::TargetGroup => &["break-health-path"],
            (Some(_), _) => &[
                "break-health-path",
                "invert-health-check",
                "disable-health-check",
            ],
            (None, Which::Service { .. } | Which::Label(_)) => &[
                "scale",
                "stop",
                "kill",
                "pause",
                "disconnect",
                "block-ingress",
                "latency",
                "loss",
                "command",
                "respond",
            ],
            (None, Which::Name(_)) => &[
                "stop",
                "kill",
                "pause",
                "disconnect",
                "block-ingress",
                "latency",
                "loss",
                "command",
                "respond",
            ],
        }
    }
}

impl fmt::Display for Containers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.part {
            Some(part) => write!(f, "{part} in {}", self.which),
            None => self.which.fmt(f),
        }
    }
}

/// The `docker:` mapping at the top of an environment file.
pub(super) fn decode(item: Item<'_>) -> Option<Docker> {
    let mut mapping = item.mapping()?;
    let project = mapping.maybe("project", Item::text);
    mapping.finish();
    Some(Docker { project: project? })
}

/// What a target's `docker:` says.
pub(super) fn containers(item: Item<'_>, docker: Option<&Docker>) -> Option<Containers> {
    let mut mapping = item.mapping()?;
    let name = mapping.maybe("container", Item::text);
    let service = mapping.maybe("service", Item::text);
    let label = mapping.maybe("label", Item::text);
    let parts: Vec<_> = PARTS
        .into_iter()
        .map(|kind| {
            let name = mapping.maybe(kind.as_str(), Item::text)?;
            Some(name.map(|name| Resource::new(kind, name)))
        })
        .collect();
    let ports = mapping.default("ports", Vec::new(), |ports| {
        ports.filled_list_of(|port| {
            let port = port.whole(1..=u32::from(u16::MAX))?;
            u16::try_from(port).ok()
        })
    });
    let from = mapping.default("from", Vec::new(), |from| from.filled_list_of(source));
    mapping.finish();
    let which = match (name?, service?, label?) {
        (Some(name), None, None) => Which::Name(name),
        (None, Some(service), None) => Which::Service {
            project: docker.and_then(|docker| docker.project.clone()),
            service,
        },
        (None, None, Some(label)) => Which::Label(label),
        (None, None, None) | (Some(_), ..) | (_, Some(_), _) => {
            item.report("must have one of `container`, `service` and `label`");
            return None;
        }
    };
    let mut parts = parts
        .into_iter()
        .collect::<Option<Vec<_>>>()?
        .into_iter()
        .flatten();
    let part = parts.next();
    if parts.next().is_some() {
        item.report("must have one of `target-group` and `health-check`, or neither");
        return None;
    }
    Some(Containers {
        which,
        part,
        ports: ports?,
        from: from?,
    })
}

fn source(item: Item<'_>) -> Option<String> {
    let text = item.text()?;
    if text.parse::<Source>().is_err() && !item.may_stand_for_a_secret() {
        item.report(format!(
            "{} is no range of addresses such as `10.0.0.0/8`",
            item.shown()
        ));
        return None;
    }
    Some(text)
}
