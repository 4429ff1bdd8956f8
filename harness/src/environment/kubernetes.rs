//! Targets that are objects of a Kubernetes cluster: `kubernetes:` at the top of an environment file and in its targets.

use std::{fmt, path::PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::source::{Item, Mapping};

/// Where the objects are that targets name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Kubernetes {
    /// The kubeconfig. Default: what `kubectl` uses, `KUBECONFIG` or `~/.kube/config`, and in a pod its service account.
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig. Default: its current one.
    pub context: Option<String>,
    /// The namespace of targets that name none.
    pub namespace: Option<String>,
}

/// One or more objects of a cluster that are broken in the same way.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Objects {
    /// How their cluster is reached.
    pub cluster: Cluster,
    /// Their namespace. Of nodes, that of the pods that are evicted from them; every one if there is none.
    pub namespace: Option<String>,
    /// What they are.
    pub kind: ObjectKind,
    /// Which of that kind.
    pub which: WhichObjects,
}

/// How a cluster is reached.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Cluster {
    /// The kubeconfig; where `kubectl` looks, if none is named.
    pub kubeconfig: Option<PathBuf>,
    /// The context; the current one, if none is named.
    pub context: Option<String>,
}

/// A kind of object.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ObjectKind {
    /// A Deployment.
    #[default]
    Deployment,
    /// A `StatefulSet`.
    StatefulSet,
    /// A `ReplicaSet`.
    ReplicaSet,
    /// A Rollout of Argo Rollouts.
    Rollout,
    /// A Service, whose endpoints are watched.
    Service,
    /// A node.
    Node,
    /// Anything that has a scale subresource.
    Other(OtherKind),
}

/// A kind of object that is not known here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct OtherKind {
    /// The group and version, for example `argoproj.io/v1alpha1`.
    pub api_version: String,
    /// The kind, for example `Rollout`.
    pub kind: String,
    /// Its name in paths, for example `rollouts`.
    pub plural: String,
}

/// Which objects of a kind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum WhichObjects {
    /// The one of this name.
    Named(String),
    /// All of them.
    #[default]
    All,
    /// Those with a label, as `kubectl --selector` takes it.
    Labelled(String),
}

/// The kinds that a target can name, with their words.
const KINDS: [(&str, ObjectKind); 6] = [
    ("deployment", ObjectKind::Deployment),
    ("stateful-set", ObjectKind::StatefulSet),
    ("replica-set", ObjectKind::ReplicaSet),
    ("rollout", ObjectKind::Rollout),
    ("service", ObjectKind::Service),
    ("node", ObjectKind::Node),
];
/// What stands for every object of a kind, which no object can be called.
pub(crate) const EVERY: &str = "*";

impl ObjectKind {
    /// What it is called in files and messages.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Deployment => "deployment",
            Self::StatefulSet => "stateful-set",
            Self::ReplicaSet => "replica-set",
            Self::Rollout => "rollout",
            Self::Service => "service",
            Self::Node => "node",
            Self::Other(other) => &other.plural,
        }
    }
}

impl Objects {
    /// The words of the faults that can be applied.
    pub fn faults(&self) -> &'static [&'static str] {
        match self.kind {
            ObjectKind::Deployment
            | ObjectKind::StatefulSet
            | ObjectKind::ReplicaSet
            | ObjectKind::Rollout => &["scale", "kill", "block-ingress", "break-health-path"],
            ObjectKind::Other(_) => &["scale"],
            ObjectKind::Node => &["lose-zone"],
            ObjectKind::Service => &[],
        }
    }
}

impl fmt::Display for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.context {
            Some(context) => write!(f, "the context {context}")?,
            None => f.write_str("the current context")?,
        }
        match &self.kubeconfig {
            Some(path) => write!(f, " of {}", path.display()),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind.as_str();
        match &self.which {
            WhichObjects::Named(name) => write!(f, "{kind}/{name}")?,
            WhichObjects::All => write!(f, "every {kind}")?,
            WhichObjects::Labelled(label) => write!(f, "every {kind} labelled {label}")?,
        }
        match &self.namespace {
            Some(namespace) => write!(f, " in {namespace}"),
            None => Ok(()),
        }
    }
}

/// The `kubernetes:` mapping at the top of an environment file.
pub(super) fn decode(item: Item<'_>) -> Option<Kubernetes> {
    let mut mapping = item.mapping()?;
    let kubeconfig = mapping.maybe("kubeconfig", Item::text);
    let context = mapping.maybe("context", Item::text);
    let namespace = mapping.maybe("namespace", Item::text);
    mapping.finish();
    Some(Kubernetes {
        kubeconfig: kubeconfig?.map(PathBuf::from),
        context: context?,
        namespace: namespace?,
    })
}

/// What a target's `kubernetes:` says.
pub(super) fn objects(item: Item<'_>, common: Option<&Kubernetes>) -> Option<Objects> {
    let mut mapping = item.mapping()?;
    let kubeconfig = mapping.maybe("kubeconfig", Item::text);
    let context = mapping.maybe("context", Item::text);
    let namespace = mapping.maybe("namespace", Item::text);
    let label = mapping.maybe("label", Item::text);
    let named: Vec<_> = KINDS
        .iter()
        .map(|(word, kind)| {
            let name = mapping.maybe(word, Item::text)?;
            Some(name.map(|name| (kind.clone(), name)))
        })
        .collect();
    let other = mapping.maybe("object", other);
    mapping.finish();
    let named = named.into_iter().collect::<Option<Vec<_>>>()?;
    let mut named = named.into_iter().flatten().chain(other?);
    let one_of = KINDS.map(|(word, _)| format!("`{word}`")).join(", ");
    let (kind, name) = match (named.next(), named.next()) {
        (Some(only), None) => only,
        (None, _) => {
            item.report(format!("one of {one_of} and `object` is missing"));
            return None;
        }
        (Some(_), Some(_)) => {
            item.report(format!("must have only one of {one_of} and `object`"));
            return None;
        }
    };
    let which = match (name, label?) {
        (name, None) if name == EVERY => WhichObjects::All,
        (name, Some(label)) if name == EVERY => WhichObjects::Labelled(label),
        (name, None) => WhichObjects::Named(name),
        (_, Some(_)) => {
            item.report(format!(
                "has a `label` beside a name: write `{}: \"{EVERY}\"` for every one with the label",
                kind.as_str()
            ));
            return None;
        }
    };
    let common = common.cloned().unwrap_or_default();
    let namespace = namespace?.or(common.namespace);
    if namespace.is_none() && kind != ObjectKind::Node {
        item.context().push(
            item.problem(format!("the {} has no namespace", kind.as_str()))
                .with_hint(
                    "add `namespace: …` here, or for all targets in `kubernetes:` at the top",
                ),
        );
        return None;
    }
    Some(Objects {
        cluster: Cluster {
            kubeconfig: kubeconfig?.map(PathBuf::from).or(common.kubeconfig),
            context: context?.or(common.context),
        },
        namespace,
        kind,
        which,
    })
}

/// Something with a scale subresource, and its name.
fn other(item: Item<'_>) -> Option<(ObjectKind, String)> {
    let mut mapping: Mapping<'_> = item.mapping()?;
    let api_version = mapping.require("api-version", Item::text);
    let kind = mapping.require("kind", Item::text);
    let plural = mapping.maybe("plural", Item::text);
    let name = mapping.require("name", Item::text);
    mapping.finish();
    let kind = kind?;
    let plural = plural?.unwrap_or_else(|| format!("{}s", kind.to_ascii_lowercase()));
    let other = OtherKind {
        api_version: api_version?,
        kind,
        plural,
    };
    Some((ObjectKind::Other(other), name?))
}
