//! A namespace of its own in a cluster that is there, and what people and controllers do in it.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
    time::Duration,
};

use blackstart::{
    drill::Fault,
    environment::{self, Environment},
    provider::{self, Bindings, Current, Provider, ProviderError, Undo},
    source::{Coloring, process_variable},
};
use kube::{
    Api, Client, Config,
    api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
    core::GroupVersionKind,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::beside_a_lab::until;

/// The variable that names the kubeconfig of a cluster to test on.
const VARIABLE: &str = "BLACKSTART_TEST_KUBECONFIG";
/// How long a cluster may take to say that it is there.
const REACHED: Duration = Duration::from_secs(10);

/// What all trials share.
pub(crate) struct Rig {
    pub(crate) client: Client,
    pub(crate) kubeconfig: PathBuf,
    pub(crate) namespace: String,
    pub(crate) folder: TempDir,
    /// The other namespaces that were made.
    others: Mutex<Vec<String>>,
    /// Had by whoever cordons a node: they are everybody's.
    pub(crate) nodes: tokio::sync::Mutex<()>,
}

/// Says how kinds are called in the API.
pub(crate) fn resource(group: &str, version: &str, kind: &str) -> ApiResource {
    let plural = match kind {
        "NetworkPolicy" => "networkpolicies".to_owned(),
        _ => format!("{}s", kind.to_lowercase()),
    };
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), &plural)
}

/// The group and version of a kind of workload.
fn group(kind: &str) -> (&'static str, &'static str) {
    match kind {
        "Rollout" => ("argoproj.io", "v1alpha1"),
        _ => ("apps", "v1"),
    }
}

impl Rig {
    /// Finds the cluster and makes a namespace there.
    pub(crate) async fn start() -> Result<Self, String> {
        let kubeconfig = process_variable(VARIABLE).map(PathBuf::from).or_else(|| {
            let home = process_variable("HOME")?;
            Some(Path::new(&home).join(".cache/blackstart-kube/run/kubeconfig"))
        });
        let kubeconfig = kubeconfig
            .filter(|path| path.exists())
            .ok_or_else(|| format!("{VARIABLE} names no kubeconfig of a cluster to test on"))?;
        let unreachable = |error: &dyn std::fmt::Display| {
            format!(
                "no cluster answers as {} says: {error}",
                kubeconfig.display()
            )
        };
        // The process needs a provider of TLS; one that was chosen already is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let read = Kubeconfig::read_from(&kubeconfig).map_err(|error| unreachable(&error))?;
        let config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await;
        let config = config.map_err(|error| unreachable(&error))?;
        let client = Client::try_from(config).map_err(|error| unreachable(&error))?;
        match timeout(REACHED, client.apiserver_version()).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(unreachable(&error)),
            Err(_) => return Err(unreachable(&"nobody answers")),
        }
        let namespace = format!("blackstart-test-{}", std::process::id());
        let rig = Self {
            client,
            kubeconfig,
            namespace: namespace.clone(),
            folder: tempfile::tempdir().unwrap(),
            others: Mutex::default(),
            nodes: tokio::sync::Mutex::default(),
        };
        rig.create(
            None,
            "",
            "v1",
            "Namespace",
            json!({ "metadata": { "name": namespace } }),
        )
        .await;
        rig.install_rollouts().await;
        Ok(rig)
    }

    /// Takes the namespace away with everything in it.
    pub(crate) async fn close(self) {
        let api = self.api(None, "", "v1", "Namespace");
        let others = self.others.into_inner().unwrap();
        for namespace in others.iter().chain([&self.namespace]) {
            drop(api.delete(namespace, &DeleteParams::default()).await);
        }
    }

    pub(crate) fn api(
        &self,
        namespace: Option<&str>,
        group: &str,
        version: &str,
        kind: &str,
    ) -> Api<DynamicObject> {
        let resource = resource(group, version, kind);
        match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        }
    }

    pub(crate) async fn create(
        &self,
        namespace: Option<&str>,
        group: &str,
        version: &str,
        kind: &str,
        object: Value,
    ) -> DynamicObject {
        let mut object = object;
        let api_version = if group.is_empty() {
            version.to_owned()
        } else {
            format!("{group}/{version}")
        };
        object["apiVersion"] = api_version.into();
        object["kind"] = kind.into();
        let object: DynamicObject = serde_json::from_value(object).unwrap();
        self.api(namespace, group, version, kind)
            .create(&PostParams::default(), &object)
            .await
            .unwrap_or_else(|error| panic!("{kind}: {error}"))
    }

    /// The custom resource of Argo Rollouts, as far as its scale subresource goes.
    async fn install_rollouts(&self) {
        let api = self.api(
            None,
            "apiextensions.k8s.io",
            "v1",
            "CustomResourceDefinition",
        );
        let name = "rollouts.argoproj.io";
        if api.get_opt(name).await.unwrap().is_none() {
            let scale = json!({
                "specReplicasPath": ".spec.replicas",
                "statusReplicasPath": ".status.HPAReplicas",
                "labelSelectorPath": ".status.selector",
            });
            let definition = json!({
                "metadata": { "name": name },
                "spec": {
                    "group": "argoproj.io",
                    "scope": "Namespaced",
                    "names": { "kind": "Rollout", "plural": "rollouts", "singular": "rollout", "shortNames": ["ro"] },
                    "versions": [{
                        "name": "v1alpha1", "served": true, "storage": true,
                        "schema": { "openAPIV3Schema": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } },
                        "subresources": { "scale": scale, "status": {} },
                    }],
                },
            });
            self.create(
                None,
                "apiextensions.k8s.io",
                "v1",
                "CustomResourceDefinition",
                definition,
            )
            .await;
        }
        let rollouts = self.api(Some(&self.namespace), "argoproj.io", "v1alpha1", "Rollout");
        until("rollouts are served", async || {
            rollouts.get_opt("none").await.is_ok()
        })
        .await;
    }

    /// A workload with so many replicas, each of a container with a readiness probe.
    pub(crate) async fn workload(&self, kind: &str, name: &str, replicas: i32) -> DynamicObject {
        self.workload_in(&self.namespace, kind, name, replicas)
            .await
    }

    pub(crate) async fn workload_in(
        &self,
        namespace: &str,
        kind: &str,
        name: &str,
        replicas: i32,
    ) -> DynamicObject {
        let (group, version) = group(kind);
        let labels = json!({ "app": name, "tier": format!("{}-tier", kind.to_lowercase()) });
        let mut spec = json!({
            "replicas": replicas,
            "selector": { "matchLabels": { "app": name } },
            "template": {
                "metadata": { "labels": labels },
                "spec": { "containers": [{
                    "name": "main",
                    "image": "registry.test/main:1",
                    "readinessProbe": { "httpGet": { "path": "/health", "port": 8080 } },
                }] },
            },
        });
        if kind == "StatefulSet" {
            spec["serviceName"] = name.into();
        }
        let object = json!({ "metadata": { "name": name, "labels": labels }, "spec": spec });
        self.create(Some(namespace), group, version, kind, object)
            .await
    }

    /// The same, once all of its pods are ready.
    pub(crate) async fn ready_workload(&self, kind: &str, name: &str, replicas: i32) {
        self.workload(kind, name, replicas).await;
        self.ready(kind, &self.namespace, name, replicas).await;
    }

    /// Waits until so many replicas are ready.
    pub(crate) async fn ready(&self, kind: &str, namespace: &str, name: &str, replicas: i32) {
        let (group, version) = group(kind);
        let api = self.api(Some(namespace), group, version, kind);
        until("its pods are ready", async || {
            api.get(name).await.unwrap().data["status"]["readyReplicas"] == replicas
        })
        .await;
    }

    /// A namespace beside that of the other tests.
    pub(crate) async fn another_namespace(&self, suffix: &str) -> String {
        let namespace = format!("{}-{suffix}", self.namespace);
        let object = json!({ "metadata": { "name": namespace } });
        self.create(None, "", "v1", "Namespace", object).await;
        self.others.lock().unwrap().push(namespace.clone());
        namespace
    }

    /// The ids of a workload's pods that live.
    pub(crate) async fn pods(&self, app: &str) -> Vec<String> {
        let api = self.api(Some(&self.namespace), "", "v1", "Pod");
        let parameters = ListParams::default().labels(&format!("app={app}"));
        let found = api.list(&parameters).await.unwrap().items.into_iter();
        found
            .filter(|pod| pod.metadata.deletion_timestamp.is_none())
            .filter_map(|pod| pod.metadata.uid)
            .collect()
    }

    /// The path that the readiness probe of a workload asks.
    pub(crate) async fn probe_path(&self, kind: &str, name: &str) -> String {
        let (group, version) = group(kind);
        let api = self.api(Some(&self.namespace), group, version, kind);
        let object = api.get(name).await.unwrap();
        let path = "/spec/template/spec/containers/0/readinessProbe/httpGet/path";
        object
            .data
            .pointer(path)
            .unwrap()
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// A human changes it, or takes the probe away where the path is empty.
    pub(crate) async fn set_probe_path(&self, kind: &str, name: &str, path: &str) {
        let (group, version) = group(kind);
        let api = self.api(Some(&self.namespace), group, version, kind);
        let object = api.get(name).await.unwrap();
        let mut containers = object
            .data
            .pointer("/spec/template/spec/containers")
            .unwrap()
            .clone();
        if path.is_empty() {
            containers[0]["readinessProbe"].take();
        } else {
            containers[0]["readinessProbe"]["httpGet"]["path"] = path.into();
        }
        let patch = json!({ "spec": { "template": { "spec": { "containers": containers } } } });
        let patch = Patch::Merge(patch);
        api.patch(name, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    /// How many replicas of an object should run, as somebody else reads it.
    pub(crate) async fn replicas(&self, kind: &str, name: &str) -> i64 {
        let (group, version) = group(kind);
        let api = self.api(Some(&self.namespace), group, version, kind);
        let object = api.get(name).await.unwrap();
        object.data["spec"]["replicas"].as_i64().unwrap()
    }

    /// A human, or an autoscaler, scales.
    pub(crate) async fn scale(&self, kind: &str, name: &str, replicas: i32) {
        let api = self.api(Some(&self.namespace), "apps", "v1", kind);
        let patch = Patch::Merge(json!({ "spec": { "replicas": replicas } }));
        api.patch_scale(name, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    /// A kubeconfig of a user without any rights.
    pub(crate) fn viewer(&self) -> PathBuf {
        let text = fs::read_to_string(&self.kubeconfig).unwrap();
        let path = self
            .folder
            .path()
            .join(format!("viewer-{}", fastrand::u64(..)));
        fs::write(&path, text.replace("admintoken", "viewtoken")).unwrap();
        path
    }

    /// An environment whose only target, `it`, is this.
    pub(crate) fn environment(&self, target: &str) -> Environment {
        self.environment_of(&self.kubeconfig, target)
    }

    pub(crate) fn environment_of(&self, kubeconfig: &Path, target: &str) -> Environment {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("environment.yaml");
        let text = format!(
            "environment: cluster\n\
             service: {{ url: http://127.0.0.1:1/ }}\n\
             tiers: [ {{ tier: cluster, recognise: {{ body: ok }} }} ]\n\
             probes: [ {{ http: {{ name: read }} }} ]\n\
             kubernetes: {{ kubeconfig: {}, namespace: {} }}\n\
             targets: {{ it: {{ kubernetes: {{ {target} }} }} }}\n",
            kubeconfig.display(),
            self.namespace
        );
        fs::write(&path, text).unwrap();
        let (environment, problems) = environment::load(&path, &process_variable);
        environment.unwrap_or_else(|| panic!("{}", problems.render(Coloring::Plain)))
    }

    /// Captures a fault on the only target.
    pub(crate) async fn capture(
        &self,
        target: &str,
        fault: &Fault,
    ) -> Result<Captured, ProviderError> {
        capture(&self.environment(target), fault).await
    }
}

/// A fault and what restores it.
pub(crate) struct Captured {
    pub(crate) bindings: Bindings,
    pub(crate) fault: Box<dyn provider::Fault>,
    pub(crate) undo: Undo,
}

pub(crate) async fn capture(
    environment: &Environment,
    fault: &Fault,
) -> Result<Captured, ProviderError> {
    let attached = provider::attach(environment, None).await.unwrap();
    let fault = attached.bindings.resolve(environment, fault)?;
    let undo = fault.capture().await?;
    Ok(Captured {
        bindings: attached.bindings,
        fault,
        undo,
    })
}

impl Captured {
    pub(crate) async fn current(&self) -> Current {
        self.fault.current(&self.undo).await.unwrap()
    }

    /// Injects it twice and undoes it twice, the second by somebody who has nothing but the journal.
    pub(crate) async fn there_and_back(&self, seen: impl AsyncFn(bool)) {
        assert_eq!(self.current().await, Current::AsCaptured);
        for _ in 0..2 {
            self.fault.inject().await.unwrap();
            assert_eq!(self.current().await, Current::AsInjected);
        }
        seen(true).await;
        // As it is on disk.
        let written = serde_json::to_string(&self.undo).unwrap();
        let undo: Undo = serde_json::from_str(&written).unwrap();
        let recalled = self.bindings.recall(&undo).unwrap();
        for _ in 0..2 {
            recalled.revert(&undo).await.unwrap();
            assert_eq!(recalled.current(&undo).await.unwrap(), Current::AsCaptured);
        }
        seen(false).await;
    }
}
