//! What of an object a fault changes, and how that is read and written.

use std::{collections::BTreeMap, time::Duration};

use kube::api::{DynamicObject, ListParams};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{
    KubernetesError,
    api::{name, of, uid},
    config::Connection,
    selector,
};
use crate::environment::ObjectKind;

/// The label of what this program makes.
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
const US: &str = "blackstart";
/// How long a pod has to end that is killed: the shortest there is that leaves no doubt about whether it still runs. With 0 the
/// server forgets the pod before its node has ended it.
const KILL_SECONDS: u32 = 1;
/// How long evictions are tried that a disruption budget does not allow.
const EVICTION_LIMIT: Duration = Duration::from_secs(20);
const EVICTION_EVERY: Duration = Duration::from_millis(500);

/// What of an object a fault changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Part {
    /// How many replicas should run.
    Replicas(i32),
    /// Whether its pods are shut off by a policy of ours.
    ShutOff {
        /// Which pods.
        selector: Value,
        /// Whether they are.
        is: bool,
    },
    /// The path that the readiness probe of each container asks.
    ProbePaths(BTreeMap<String, String>),
    /// Whether nothing new is scheduled on the node.
    Cordoned(bool),
    /// The pods that it had when it was captured, by name, with their ids.
    Pods {
        /// Which pods are its own.
        selector: Value,
        /// Those that lived.
        lived: BTreeMap<String, String>,
        /// Whether one of them is gone and not replaced.
        killed: bool,
    },
    /// Something in the place of what a fault changes, that is not ours.
    Foreign(String),
    /// The object is not there, or another one under its name.
    Gone,
}

/// An object that is changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Object {
    pub(super) kind: ObjectKind,
    pub(super) name: String,
    /// One that was deleted and made anew under the same name is another.
    pub(super) uid: String,
    pub(super) part: Part,
}

impl Part {
    /// What an object has, as a fragment that fits after its name.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Replicas(replicas) => format!("{replicas} replicas"),
            Self::ShutOff { is: true, .. } => "pods that are shut off".to_owned(),
            Self::ShutOff { is: false, .. } => "no policy that shuts its pods off".to_owned(),
            Self::ProbePaths(paths) => {
                let paths: Vec<String> = paths
                    .iter()
                    .map(|(container, path)| format!("{container}: {path}"))
                    .collect();
                format!("the readiness paths {}", paths.join(", "))
            }
            Self::Cordoned(true) => "a cordon".to_owned(),
            Self::Cordoned(false) => "no cordon".to_owned(),
            Self::Pods { killed: true, .. } => "pods that were killed".to_owned(),
            Self::Pods {
                killed: false,
                lived,
                ..
            } => format!("{} pods", lived.len()),
            Self::Foreign(what) => what.clone(),
            Self::Gone => "gone, or been made anew".to_owned(),
        }
    }

    /// The same with a checksum for each text that a drill may have given.
    pub(super) fn without_texts(self) -> Self {
        match self {
            Self::ProbePaths(paths) => {
                let hidden =
                    |path: String| format!("checksum {:08x}", crc32fast::hash(path.as_bytes()));
                let paths = paths.into_iter();
                Self::ProbePaths(paths.map(|(name, path)| (name, hidden(path))).collect())
            }
            Self::Replicas(_)
            | Self::ShutOff { .. }
            | Self::Cordoned(_)
            | Self::Pods { .. }
            | Self::Foreign(_)
            | Self::Gone => self,
        }
    }
}

impl Object {
    /// What it is called in messages.
    pub(super) fn title(&self) -> String {
        format!("{}/{}", self.kind.as_str(), self.name)
    }

    /// The name of the policy that shuts its pods off.
    fn policy(&self) -> String {
        format!("{US}-{}-{}", self.kind.as_str(), self.name)
    }

    /// The same part of the object as it is now. `reverted` says that what was killed is to be replaced by now.
    pub(super) async fn read(
        &self,
        connection: &Connection,
        namespace: Option<&str>,
        reverted: bool,
    ) -> Result<Part, KubernetesError> {
        let api = connection.api(&self.kind, namespace);
        let title = self.title();
        if let Part::Replicas(_) = self.part {
            let read = connection.replicas(&api, &self.name, &title).await?;
            return Ok(match read {
                Some((uid, replicas)) if uid == self.uid => Part::Replicas(replicas),
                Some(_) | None => Part::Gone,
            });
        }
        let object = connection.get(&api, &self.name, &title).await?;
        let Some(object) = object.filter(|object| uid(object) == self.uid) else {
            return Ok(Part::Gone);
        };
        match &self.part {
            Part::Replicas(_) | Part::Gone | Part::Foreign(_) => Ok(self.part.clone()),
            Part::Cordoned(_) => Ok(Part::Cordoned(is_cordoned(&object))),
            Part::ProbePaths(_) => Ok(Part::ProbePaths(probe_paths(&object))),
            Part::ShutOff { selector, .. } => {
                self.read_policy(connection, namespace, selector).await
            }
            Part::Pods {
                selector, lived, ..
            } => {
                let now = living(connection, namespace, selector).await?;
                let all_live = lived.iter().all(|(name, uid)| now.get(name) == Some(uid));
                let is_replaced = reverted && now.len() >= lived.len();
                Ok(Part::Pods {
                    selector: selector.clone(),
                    lived: lived.clone(),
                    killed: !(all_live || is_replaced),
                })
            }
        }
    }

    async fn read_policy(
        &self,
        connection: &Connection,
        namespace: Option<&str>,
        selector: &Value,
    ) -> Result<Part, KubernetesError> {
        let (api, policy) = (connection.api_of(&policies(), namespace), self.policy());
        let what = format!("networkpolicy/{policy}");
        let Some(found) = connection.get(&api, &policy, &what).await? else {
            return Ok(Part::ShutOff {
                selector: selector.clone(),
                is: false,
            });
        };
        // What the server fills in is empty lists.
        let is_shut = found.data["spec"]["podSelector"] == *selector
            && found.data["spec"]["ingress"]
                .as_array()
                .is_none_or(Vec::is_empty);
        Ok(if is_ours(&found) && is_shut {
            Part::ShutOff {
                selector: selector.clone(),
                is: true,
            }
        } else {
            Part::Foreign(format!(
                "a NetworkPolicy `{policy}` that is not as it was made"
            ))
        })
    }

    /// Brings the object to what this says. What is not as `expected` is left alone, and is an error.
    pub(super) async fn apply(
        &self,
        connection: &Connection,
        namespace: Option<&str>,
        expected: Option<&Part>,
    ) -> Result<(), KubernetesError> {
        let api = connection.api(&self.kind, namespace);
        let title = self.title();
        match &self.part {
            Part::Replicas(wanted) => {
                let expected = match expected {
                    Some(Part::Replicas(expected)) => Some(*expected),
                    Some(_) | None => None,
                };
                connection
                    .scale(&api, &self.name, &title, expected, *wanted)
                    .await
            }
            Part::ProbePaths(wanted) => {
                let change = |object: &DynamicObject| {
                    let now = probe_paths(object);
                    if now == *wanted {
                        return Ok(None);
                    }
                    match expected {
                        Some(expected @ Part::ProbePaths(paths)) if *paths != now => {
                            Err(KubernetesError::Changed {
                                object: title.clone(),
                                was: expected.words(),
                                now: Part::ProbePaths(now).words(),
                            })
                        }
                        Some(_) | None => Ok(Some(with_paths(object, wanted))),
                    }
                };
                connection.merge(&api, &self.name, &title, change).await
            }
            Part::Cordoned(wanted) => {
                let change = |object: &DynamicObject| {
                    let patch = json!({ "spec": { "unschedulable": wanted.then_some(true) } });
                    Ok((is_cordoned(object) != *wanted).then_some(patch))
                };
                connection.merge(&api, &self.name, &title, change).await
            }
            Part::ShutOff { selector, is } => {
                self.apply_policy(connection, namespace, selector, *is)
                    .await
            }
            Part::Pods {
                lived,
                killed: true,
                ..
            } => {
                let pods = connection.api_of(&pods(), namespace);
                for (name, uid) in lived {
                    let what = format!("pod/{name}");
                    connection
                        .delete(&pods, (name, uid), &what, Some(KILL_SECONDS))
                        .await?;
                }
                Ok(())
            }
            // Whoever made the pods replaces them.
            Part::Pods { killed: false, .. } | Part::Foreign(_) | Part::Gone => Ok(()),
        }
    }

    async fn apply_policy(
        &self,
        connection: &Connection,
        namespace: Option<&str>,
        selector: &Value,
        wanted: bool,
    ) -> Result<(), KubernetesError> {
        let (api, policy) = (connection.api_of(&policies(), namespace), self.policy());
        let what = format!("networkpolicy/{policy}");
        let found = connection.get(&api, &policy, &what).await?;
        match (found, wanted) {
            (None, false) => Ok(()),
            (Some(found), false) => {
                let uid = uid(&found);
                connection.delete(&api, (&policy, &uid), &what, None).await
            }
            (Some(found), true) if is_ours(&found) => Ok(()),
            (Some(_), true) => Err(KubernetesError::Foreign { what }),
            (None, true) => {
                let mut object = DynamicObject::new(&policy, &policies());
                let label = (MANAGED_BY.to_owned(), US.to_owned());
                object.metadata.labels = Some([label].into());
                let why = format!(
                    "shuts {} off for a drill; `blackstart revert` removes it",
                    self.title()
                );
                object.metadata.annotations = Some([("blackstart".to_owned(), why)].into());
                object.data = json!({
                    "spec": { "podSelector": selector, "policyTypes": ["Ingress"], "ingress": [] },
                });
                connection.create(&api, &object, &what).await.map(drop)
            }
        }
    }
}

/// The kinds that are asked for beside those that targets name.
pub(super) fn pods() -> kube::api::ApiResource {
    of("v1", "Pod", "pods")
}

pub(super) fn policies() -> kube::api::ApiResource {
    of("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies")
}

fn is_ours(object: &DynamicObject) -> bool {
    let labels = object.metadata.labels.as_ref();
    labels
        .and_then(|labels| labels.get(MANAGED_BY))
        .map(String::as_str)
        == Some(US)
}

pub(super) fn is_cordoned(node: &DynamicObject) -> bool {
    node.data["spec"]["unschedulable"].as_bool() == Some(true)
}

/// The paths that the readiness probes of a workload's containers ask.
pub(super) fn probe_paths(workload: &DynamicObject) -> BTreeMap<String, String> {
    let containers = workload.data.pointer("/spec/template/spec/containers");
    let containers = containers.and_then(Value::as_array).into_iter().flatten();
    containers
        .filter_map(|container| {
            let probe = container.get("readinessProbe")?.get("httpGet")?;
            let path = probe.get("path").and_then(Value::as_str).unwrap_or("/");
            Some((container["name"].as_str()?.to_owned(), path.to_owned()))
        })
        .collect()
}

/// What is to be merged into a workload so that its probes ask these paths. A list is merged as a whole.
fn with_paths(workload: &DynamicObject, paths: &BTreeMap<String, String>) -> Value {
    let containers = workload.data.pointer("/spec/template/spec/containers");
    let mut containers = containers.cloned().unwrap_or_default();
    for container in containers.as_array_mut().into_iter().flatten() {
        let path = container["name"].as_str().and_then(|name| paths.get(name));
        if let Some(path) = path.cloned()
            && let Some(probe) = container.pointer_mut("/readinessProbe/httpGet")
        {
            probe["path"] = path.into();
        }
    }
    json!({ "spec": { "template": { "spec": { "containers": containers } } } })
}

/// The pods of a selector that live, with their ids: those that are ending do not.
pub(super) async fn living(
    connection: &Connection,
    namespace: Option<&str>,
    selector: &Value,
) -> Result<BTreeMap<String, String>, KubernetesError> {
    let api = connection.api_of(&pods(), namespace);
    let parameters = ListParams::default().labels(&selector::query(selector));
    let found = connection.list(&api, parameters, "pods").await?;
    let lives = |pod: &&DynamicObject| {
        let phase = pod.data["status"]["phase"].as_str();
        pod.metadata.deletion_timestamp.is_none() && !matches!(phase, Some("Succeeded" | "Failed"))
    };
    Ok(found
        .iter()
        .filter(lives)
        .map(|pod| (name(pod), uid(pod)))
        .collect())
}

/// Evicts what runs on a node, but for what belongs to the node itself.
pub(super) async fn drain(
    connection: &Connection,
    namespace: Option<&str>,
    node: &str,
) -> Result<(), KubernetesError> {
    let all = connection.api_of(&pods(), namespace);
    let parameters = ListParams::default().fields(&format!("spec.nodeName={node}"));
    let found = connection
        .list(&all, parameters, "the pods of a node")
        .await?;
    let deadline = Instant::now() + EVICTION_LIMIT;
    for pod in found.iter().filter(|pod| is_evicted(pod)) {
        let api = connection.api_of(&pods(), pod.metadata.namespace.as_deref());
        let name = name(pod);
        while let Some(reason) = connection.evict(&api, &name).await? {
            if connection.dry_run || Instant::now() > deadline {
                return Err(KubernetesError::NotEvicted { pod: name, reason });
            }
            sleep(EVICTION_EVERY).await;
        }
    }
    Ok(())
}

/// Whether a pod is evicted when its node is drained: not what a `DaemonSet` or the node itself runs there, nor what is over.
fn is_evicted(pod: &DynamicObject) -> bool {
    let owners = pod.metadata.owner_references.iter().flatten();
    let annotations = pod.metadata.annotations.as_ref();
    let is_mirror =
        annotations.is_some_and(|known| known.contains_key("kubernetes.io/config.mirror"));
    let phase = pod.data["status"]["phase"].as_str();
    !is_mirror
        && pod.metadata.deletion_timestamp.is_none()
        && !matches!(phase, Some("Succeeded" | "Failed"))
        && owners.clone().all(|owner| owner.kind != "DaemonSet")
}
