//! Objects with what of them a fault changes: as they are, as they were, and as the fault leaves them.

use kube::api::{DynamicObject, ListParams};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    KubernetesError,
    api::{name, uid},
    change::Action,
    config::Connection,
    part::{self, Object, Part},
    selector,
};
use crate::{
    environment::{Cluster, ObjectKind, Objects, WhichObjects},
    provider::Current,
};

/// The labels that say which zone a node is in, the present one first.
const ZONE: [&str; 2] = [
    "topology.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/zone",
];

/// Objects of a cluster with what of them a fault changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Snapshot {
    /// How the cluster is found again.
    pub(super) cluster: Cluster,
    /// The API server's address: the same context may lead elsewhere later.
    pub(super) server: String,
    /// The namespace of the objects; of nodes, that of the pods on them.
    pub(super) namespace: Option<String>,
    pub(super) objects: Vec<Object>,
}

impl Snapshot {
    /// Reads what a fault will change, and works out what it will make of that.
    pub(super) async fn take(
        connection: &Connection,
        objects: &Objects,
        action: &Action,
    ) -> Result<(Self, Self), KubernetesError> {
        let mut found = connection.find(objects).await?;
        if let Action::LoseZone(zone) = action {
            found = in_zone(found, zone, objects)?;
        }
        let (mut before, mut after) = (Vec::new(), Vec::new());
        for found in found {
            let parts = take_one(connection, objects, action, &found).await?;
            let object = |part| Object {
                kind: objects.kind.clone(),
                name: name(&found),
                uid: uid(&found),
                part,
            };
            before.push(object(parts.0));
            after.push(object(parts.1));
        }
        let snapshot = |objects_of| Self {
            cluster: connection.cluster.clone(),
            server: connection.server.clone(),
            namespace: objects.namespace.clone(),
            objects: objects_of,
        };
        Ok((snapshot(before), snapshot(after)))
    }

    /// What these are, as a target names them: the first of several.
    pub(super) fn objects(&self) -> Objects {
        let first = self.objects.first();
        let which = first.map(|first| WhichObjects::Named(first.name.clone()));
        Objects {
            cluster: self.cluster.clone(),
            namespace: self.namespace.clone(),
            kind: first.map(|first| first.kind.clone()).unwrap_or_default(),
            which: which.unwrap_or_default(),
        }
    }

    /// The same with a checksum for each text that a drill may have given: what is written to disk has nothing in it that may be a
    /// secret, and is still known again.
    pub(super) fn without_texts(mut self) -> Self {
        for object in &mut self.objects {
            object.part = object.part.clone().without_texts();
        }
        self
    }

    /// The same objects as they are now. `reverted` says that what was killed is to be replaced by now.
    pub(super) async fn read(
        &self,
        connection: &Connection,
        reverted: bool,
    ) -> Result<Self, KubernetesError> {
        let mut now = self.clone();
        for object in &mut now.objects {
            let namespace = namespace_of(self.namespace.as_deref(), &object.kind);
            object.part = object.read(connection, namespace, reverted).await?;
        }
        Ok(now)
    }

    /// Brings the objects to what this says. What differs from `expected` is left alone, and is an error.
    pub(super) async fn apply(
        &self,
        connection: &Connection,
        expected: Option<&Self>,
    ) -> Result<(), KubernetesError> {
        for (index, object) in self.objects.iter().enumerate() {
            let expected = expected.and_then(|expected| expected.objects.get(index));
            let namespace = namespace_of(self.namespace.as_deref(), &object.kind);
            object
                .apply(connection, namespace, expected.map(|object| &object.part))
                .await?;
        }
        // Only when nothing new is scheduled on any of them, or the pods would move from one to the next.
        for object in &self.objects {
            if object.part == Part::Cordoned(true) && expected.is_some() {
                part::drain(connection, self.namespace.as_deref(), &object.name).await?;
            }
        }
        Ok(())
    }

    /// Whose state this is, given the one before and the one that the fault leaves, which has no texts of a drill.
    pub(super) fn compare(&self, before: &Self, after: &Self) -> Current {
        if self.objects == before.objects {
            return Current::AsCaptured;
        }
        let triples = self.objects.iter().zip(&before.objects).zip(&after.objects);
        let is_other = |now: &Part, before: &Part, after: &Part| {
            now != before && now.clone().without_texts() != *after
        };
        let others: Vec<String> = triples
            .filter(|((now, before), after)| is_other(&now.part, &before.part, &after.part))
            .map(|((now, before), after)| {
                format!(
                    "{} has {}; it had {} when it was captured, and the fault set {}",
                    now.title(),
                    now.part.words(),
                    before.part.words(),
                    after.part.words()
                )
            })
            .collect();
        if others.is_empty() {
            Current::AsInjected
        } else {
            Current::Otherwise(others.join("; "))
        }
    }

    /// What restoring this does, in words that a person could follow.
    pub(super) fn orders(&self) -> String {
        let order = |object: &Object| {
            let title = object.title();
            match &object.part {
                Part::Replicas(replicas) => format!("scale {title} to {replicas} replicas"),
                Part::ShutOff { .. } => format!("delete the NetworkPolicy that shuts {title} off"),
                Part::ProbePaths(_) => format!("give {title} {}", object.part.words()),
                Part::Cordoned(false) => format!("uncordon {title}"),
                Part::Cordoned(true) => format!("leave {title} cordoned, as it was"),
                Part::Pods { lived, .. } => {
                    format!("see that {title} has {} pods again", lived.len())
                }
                Part::Foreign(_) | Part::Gone => format!("look at {title}"),
            }
        };
        let orders: Vec<String> = self.objects.iter().map(order).collect();
        let place = self.namespace.as_ref();
        let place = place.map_or_else(String::new, |namespace| format!(" in {namespace}"));
        format!("{}{place}, {}", orders.join(", "), self.cluster)
    }
}

/// The namespace that an object itself is in.
fn namespace_of<'n>(namespace: Option<&'n str>, kind: &ObjectKind) -> Option<&'n str> {
    namespace.filter(|_| *kind != ObjectKind::Node)
}

/// What of an object a fault changes, as it is and as the fault leaves it.
async fn take_one(
    connection: &Connection,
    objects: &Objects,
    action: &Action,
    found: &DynamicObject,
) -> Result<(Part, Part), KubernetesError> {
    let namespace = objects.namespace.as_deref();
    let title = format!("{}/{}", objects.kind.as_str(), name(found));
    let pods_selector = || found.data["spec"]["selector"].clone();
    Ok(match action {
        Action::Scale(wanted) => {
            let api = connection.api(&objects.kind, namespace);
            let replicas = connection.replicas(&api, &name(found), &title).await?;
            let (_, replicas) = replicas.ok_or(KubernetesError::NoScale { object: title })?;
            (Part::Replicas(replicas), Part::Replicas(*wanted))
        }
        Action::Kill => {
            let selector = pods_selector();
            let lived = part::living(connection, namespace, &selector).await?;
            let pods = |killed| Part::Pods {
                selector: selector.clone(),
                lived: lived.clone(),
                killed,
            };
            // Of none that lives none can be killed.
            (pods(false), pods(!lived.is_empty()))
        }
        Action::BlockIngress => {
            let selector = pods_selector();
            refuse_what_lets_in(connection, namespace, found, &title).await?;
            let shut = |is| Part::ShutOff {
                selector: selector.clone(),
                is,
            };
            let object = Object {
                kind: objects.kind.clone(),
                name: name(found),
                uid: uid(found),
                part: shut(false),
            };
            (object.read(connection, namespace, false).await?, shut(true))
        }
        Action::BreakHealthPath(path) => {
            let paths = part::probe_paths(found);
            if paths.is_empty() {
                return Err(KubernetesError::NoProbe { object: title });
            }
            let broken = paths.keys().map(|name| (name.clone(), path.clone()));
            let broken = broken.collect();
            (Part::ProbePaths(paths), Part::ProbePaths(broken))
        }
        Action::LoseZone(_) => (
            Part::Cordoned(part::is_cordoned(found)),
            Part::Cordoned(true),
        ),
    })
}

/// Policies add up: what one lets in, another that lets nothing in does not shut out.
async fn refuse_what_lets_in(
    connection: &Connection,
    namespace: Option<&str>,
    workload: &DynamicObject,
    title: &str,
) -> Result<(), KubernetesError> {
    let api = connection.api_of(&part::policies(), namespace);
    let found = connection
        .list(&api, ListParams::default(), "network policies")
        .await?;
    let none = Map::new();
    let labels = workload.data.pointer("/spec/template/metadata/labels");
    let labels = labels.and_then(Value::as_object).unwrap_or(&none);
    let lets_in = |policy: &&DynamicObject| {
        let spec = &policy.data["spec"];
        let rules = spec["ingress"]
            .as_array()
            .is_some_and(|rules| !rules.is_empty());
        rules && selector::matches(&spec["podSelector"], labels)
    };
    match found.iter().find(lets_in) {
        Some(policy) => Err(KubernetesError::LetsIn {
            object: title.to_owned(),
            policy: name(policy),
        }),
        None => Ok(()),
    }
}

/// The nodes of a zone.
fn in_zone(
    nodes: Vec<DynamicObject>,
    zone: &str,
    objects: &Objects,
) -> Result<Vec<DynamicObject>, KubernetesError> {
    let zone_of = |node: &DynamicObject| {
        let labels = node.metadata.labels.as_ref()?;
        ZONE.iter().find_map(|label| labels.get(*label)).cloned()
    };
    let mut known: Vec<String> = nodes.iter().filter_map(zone_of).collect();
    known.sort();
    known.dedup();
    let nodes: Vec<_> = nodes
        .into_iter()
        .filter(|node| zone_of(node).as_deref() == Some(zone))
        .collect();
    if nodes.is_empty() {
        return Err(KubernetesError::NoZone {
            objects: objects.to_string(),
            zone: zone.to_owned(),
            known,
        });
    }
    Ok(nodes)
}
