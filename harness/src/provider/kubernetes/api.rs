//! What is asked of an API server.

use std::time::Duration;

use kube::{
    Api, Error,
    api::{
        ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams,
        Preconditions,
    },
    core::GroupVersionKind,
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{KubernetesError, config::Connection};
use crate::environment::{ObjectKind, Objects, WhichObjects};

/// The answer to a write that was made of what is not there any more.
const CONFLICT: u16 = 409;
const NOT_FOUND: u16 = 404;
/// The answer to an eviction that a disruption budget does not allow now.
const TOO_MANY: u16 = 429;
/// How long something is tried that somebody else's writes come before.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest wait before it is tried again. It is random, so that two who write do not stay in step.
const LONGEST_WAIT: Duration = Duration::from_millis(100);

/// How a kind of object is called in the API.
pub(super) fn resource(kind: &ObjectKind) -> ApiResource {
    match kind {
        ObjectKind::Deployment => of("apps/v1", "Deployment", "deployments"),
        ObjectKind::StatefulSet => of("apps/v1", "StatefulSet", "statefulsets"),
        ObjectKind::ReplicaSet => of("apps/v1", "ReplicaSet", "replicasets"),
        ObjectKind::Rollout => of("argoproj.io/v1alpha1", "Rollout", "rollouts"),
        ObjectKind::Service => of("v1", "Service", "services"),
        ObjectKind::Node => of("v1", "Node", "nodes"),
        ObjectKind::Other(other) => of(&other.api_version, &other.kind, &other.plural),
    }
}

/// A kind of object by its group and version, its kind and its name in paths.
pub(super) fn of(api_version: &str, kind: &str, plural: &str) -> ApiResource {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural)
}

/// The id of an object, which no other ever has.
pub(super) fn uid(object: &DynamicObject) -> String {
    object.metadata.uid.clone().unwrap_or_default()
}

/// The name of an object.
pub(super) fn name(object: &DynamicObject) -> String {
    object.metadata.name.clone().unwrap_or_default()
}

impl Connection {
    pub(super) fn api(&self, kind: &ObjectKind, namespace: Option<&str>) -> Api<DynamicObject> {
        self.api_of(&resource(kind), namespace)
    }

    pub(super) fn api_of(
        &self,
        resource: &ApiResource,
        namespace: Option<&str>,
    ) -> Api<DynamicObject> {
        match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, resource),
            None => Api::all_with(self.client.clone(), resource),
        }
    }

    /// What went wrong while something was asked.
    pub(super) fn failed(&self, what: impl Into<String>) -> impl FnOnce(Error) -> KubernetesError {
        let (what, server) = (what.into(), self.server.clone());
        move |source| {
            let Error::Api(status) = source else {
                return KubernetesError::Unreachable {
                    what,
                    server,
                    source: Box::new(source),
                };
            };
            let (code, message) = (status.code, status.message);
            if code == 401 || code == 403 {
                return KubernetesError::Forbidden { what, message };
            }
            KubernetesError::Refused {
                what,
                code,
                message,
            }
        }
    }

    /// Every object that is meant; at least one.
    pub(super) async fn find(
        &self,
        objects: &Objects,
    ) -> Result<Vec<DynamicObject>, KubernetesError> {
        // The namespace of nodes is that of the pods on them.
        let namespace = objects.namespace.as_deref();
        let namespace = namespace.filter(|_| objects.kind != ObjectKind::Node);
        let api = self.api(&objects.kind, namespace);
        let parameters = match &objects.which {
            WhichObjects::Named(name) => {
                let found = api.get_opt(name).await;
                let found = found.map_err(self.failed(format!("reading {objects}")))?;
                return found
                    .map(|found| vec![found])
                    .ok_or_else(|| self.not_found(objects));
            }
            WhichObjects::All => ListParams::default(),
            WhichObjects::Labelled(label) => ListParams::default().labels(label),
        };
        let found = self.list(&api, parameters, &objects.to_string()).await?;
        if found.is_empty() {
            return Err(self.not_found(objects));
        }
        Ok(found)
    }

    /// Everything that matches, page by page.
    pub(super) async fn list(
        &self,
        api: &Api<DynamicObject>,
        parameters: ListParams,
        what: &str,
    ) -> Result<Vec<DynamicObject>, KubernetesError> {
        let mut parameters = parameters.limit(500);
        let mut found = Vec::new();
        loop {
            let page = api.list(&parameters).await;
            let page = page.map_err(self.failed(format!("listing {what}")))?;
            found.extend(page.items);
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => parameters = parameters.continue_token(&token),
                None => return Ok(found),
            }
        }
    }

    fn not_found(&self, objects: &Objects) -> KubernetesError {
        KubernetesError::NotFound {
            objects: objects.to_string(),
            server: self.server.clone(),
            hint: format!(
                "kubectl{} get {}{}",
                flag("context", self.cluster.context.as_deref()),
                resource(&objects.kind).plural,
                flag("namespace", objects.namespace.as_deref())
            ),
        }
    }

    /// Reads an object; `None` if it is not there.
    pub(super) async fn get(
        &self,
        api: &Api<DynamicObject>,
        name: &str,
        what: &str,
    ) -> Result<Option<DynamicObject>, KubernetesError> {
        let found = api.get_opt(name).await;
        found.map_err(self.failed(format!("reading {what}")))
    }

    /// An object's id and how many replicas of it should run; `None` if it is not there.
    pub(super) async fn replicas(
        &self,
        api: &Api<DynamicObject>,
        name: &str,
        what: &str,
    ) -> Result<Option<(String, i32)>, KubernetesError> {
        match api.get_scale(name).await {
            Ok(scale) => {
                let replicas = scale.spec.and_then(|spec| spec.replicas);
                let uid = scale.metadata.uid.unwrap_or_default();
                Ok(Some((uid, replicas.unwrap_or_default())))
            }
            Err(Error::Api(status)) if status.code == NOT_FOUND => Ok(None),
            Err(error) => {
                let what = format!("reading how many of {what} should run");
                Err(self.failed(what)(error))
            }
        }
    }

    /// Sets how many replicas of an object should run, if that is as expected or nothing is, and nobody else writes at the same
    /// moment.
    pub(super) async fn scale(
        &self,
        api: &Api<DynamicObject>,
        name: &str,
        what: &str,
        expected: Option<i32>,
        wanted: i32,
    ) -> Result<(), KubernetesError> {
        let doing = || format!("scaling {what} to {wanted}");
        let deadline = Instant::now() + PATIENCE;
        loop {
            let scale = api.get_scale(name).await.map_err(self.failed(doing()))?;
            let replicas = scale.spec.and_then(|spec| spec.replicas);
            let now = replicas.unwrap_or_default();
            if now == wanted {
                return Ok(());
            }
            if let Some(expected) = expected.filter(|expected| *expected != now) {
                return Err(KubernetesError::Changed {
                    object: what.to_owned(),
                    was: format!("{expected} replicas"),
                    now: now.to_string(),
                });
            }
            let patch = json!({
                "metadata": { "resourceVersion": scale.metadata.resource_version },
                "spec": { "replicas": wanted },
            });
            let written = api
                .patch_scale(name, &self.patching(), &Patch::Merge(patch))
                .await;
            match written {
                Ok(_) => return Ok(()),
                // A controller writes its status all the time; only what it says of the replicas is ours to heed.
                Err(Error::Api(status)) if status.code == CONFLICT && Instant::now() < deadline => {
                    sleep(LONGEST_WAIT.mul_f64(fastrand::f64())).await;
                }
                Err(error) => return Err(self.failed(doing())(error)),
            }
        }
    }

    /// Changes an object: `change` is given it as it is and says what is to be merged into it; nothing if that is so already. It is
    /// given the object anew if somebody else wrote at the same moment.
    pub(super) async fn merge(
        &self,
        api: &Api<DynamicObject>,
        name: &str,
        what: &str,
        change: impl Fn(&DynamicObject) -> Result<Option<Value>, KubernetesError>,
    ) -> Result<(), KubernetesError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let object = api.get(name).await;
            let object = object.map_err(self.failed(format!("reading {what}")))?;
            let Some(mut patch) = change(&object)? else {
                return Ok(());
            };
            patch["metadata"] = json!({ "resourceVersion": object.metadata.resource_version });
            let written = api
                .patch(name, &self.patching(), &Patch::Merge(patch))
                .await;
            match written {
                Ok(_) => return Ok(()),
                Err(Error::Api(status)) if status.code == CONFLICT && Instant::now() < deadline => {
                    sleep(LONGEST_WAIT.mul_f64(fastrand::f64())).await;
                }
                Err(error) => return Err(self.failed(format!("changing {what}"))(error)),
            }
        }
    }

    /// Makes an object. That one is there already is told apart, as `false`.
    pub(super) async fn create(
        &self,
        api: &Api<DynamicObject>,
        object: &DynamicObject,
        what: &str,
    ) -> Result<bool, KubernetesError> {
        let parameters = PostParams {
            dry_run: self.dry_run,
            ..PostParams::default()
        };
        match api.create(&parameters, object).await {
            Ok(_) => Ok(true),
            Err(Error::Api(status)) if status.code == CONFLICT => Ok(false),
            Err(error) => Err(self.failed(format!("making {what}"))(error)),
        }
    }

    /// Deletes the object of this id, so that another of its name is left alone. One that is gone is deleted.
    pub(super) async fn delete(
        &self,
        api: &Api<DynamicObject>,
        (name, uid): (&str, &str),
        what: &str,
        grace_seconds: Option<u32>,
    ) -> Result<(), KubernetesError> {
        let parameters = DeleteParams {
            dry_run: self.dry_run,
            grace_period_seconds: grace_seconds,
            preconditions: Some(Preconditions {
                uid: Some(uid.to_owned()),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        match api.delete(name, &parameters).await {
            Ok(_) => Ok(()),
            // It is gone, or another one has its name.
            Err(Error::Api(status)) if status.code == NOT_FOUND || status.code == CONFLICT => {
                Ok(())
            }
            Err(error) => Err(self.failed(format!("deleting {what}"))(error)),
        }
    }

    /// Evicts a pod. Yields why a disruption budget does not allow it now, if one does not.
    pub(super) async fn evict(
        &self,
        api: &Api<DynamicObject>,
        name: &str,
    ) -> Result<Option<String>, KubernetesError> {
        let parameters = PostParams {
            dry_run: self.dry_run,
            ..PostParams::default()
        };
        // Without a version the server takes the one that it has.
        let eviction = json!({ "metadata": { "name": name } });
        let evicted = api
            .create_subresource::<Value, Value>("eviction", name, &parameters, &eviction)
            .await;
        match evicted {
            Ok(_) => Ok(None),
            Err(Error::Api(status)) if status.code == NOT_FOUND => Ok(None),
            Err(Error::Api(status)) if status.code == TOO_MANY => Ok(Some(status.message)),
            Err(error) => Err(self.failed(format!("evicting pod/{name}"))(error)),
        }
    }

    fn patching(&self) -> PatchParams {
        PatchParams {
            dry_run: self.dry_run,
            ..PatchParams::default()
        }
    }
}

/// A flag of `kubectl` with its value, if there is one.
fn flag(name: &str, value: Option<&str>) -> String {
    value.map_or_else(String::new, |value| format!(" --{name} {value}"))
}
