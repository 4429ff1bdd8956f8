//! What a cluster itself thinks of a target.

use kube::api::{DynamicObject, ListParams};

use super::{
    KubernetesError,
    api::{name, of},
    config::Connection,
};
use crate::{
    environment::{ObjectKind, Objects},
    provider::Health,
};

/// The label by which the endpoints of a Service are found.
const SERVICE: &str = "kubernetes.io/service-name";
/// The versions in which servers have them, the present one first.
const SLICES: [&str; 2] = ["discovery.k8s.io/v1", "discovery.k8s.io/v1beta1"];

/// Reads the opinion. Of a workload: healthy if every object has one replica at least, and as many are ready as should run. Of a
/// Service: if one endpoint is ready. Of nodes: if each is ready and takes new pods.
pub(super) async fn read(
    connection: &Connection,
    objects: &Objects,
) -> Result<Health, KubernetesError> {
    let found = connection.find(objects).await?;
    let (mut readings, mut healthy) = (Vec::new(), true);
    for object in &found {
        let (is_healthy, words) = match objects.kind {
            ObjectKind::Service => endpoints(connection, objects, object).await?,
            ObjectKind::Node => node(object),
            ObjectKind::Deployment
            | ObjectKind::StatefulSet
            | ObjectKind::ReplicaSet
            | ObjectKind::Rollout
            | ObjectKind::Other(_) => replicas(object),
        };
        healthy &= is_healthy;
        readings.push(format!("{} {words}", name(object)));
        if !is_healthy && let Some(warning) = last_warning(connection, objects, object).await {
            readings.push(warning);
        }
    }
    Ok(Health {
        healthy,
        detail: readings.join(", "),
    })
}

/// How many replicas should run, and how many are ready.
fn replicas(object: &DynamicObject) -> (bool, String) {
    let number = |pointer: &str| {
        let number = object.data.pointer(pointer);
        number.and_then(serde_json::Value::as_i64)
    };
    // Without a number there is one, which the server writes down for its own kinds.
    let wanted = number("/spec/replicas").unwrap_or(1);
    let ready = number("/status/readyReplicas").unwrap_or_default();
    (
        ready > 0 && ready >= wanted,
        format!("{ready} of {wanted} ready"),
    )
}

fn node(object: &DynamicObject) -> (bool, String) {
    let conditions = object.data["status"]["conditions"].as_array();
    let mut conditions = conditions.into_iter().flatten();
    let ready =
        conditions.any(|condition| condition["type"] == "Ready" && condition["status"] == "True");
    let cordoned = super::part::is_cordoned(object);
    let words = match (ready, cordoned) {
        (true, false) => "ready",
        (true, true) => "cordoned",
        (false, _) => "not ready",
    };
    (ready && !cordoned, words.to_owned())
}

/// How many endpoints of a Service there are, and how many are ready.
async fn endpoints(
    connection: &Connection,
    objects: &Objects,
    service: &DynamicObject,
) -> Result<(bool, String), KubernetesError> {
    let parameters = ListParams::default().labels(&format!("{SERVICE}={}", name(service)));
    let listing = async |version: &str| {
        let slices = of(version, "EndpointSlice", "endpointslices");
        let api = connection.api_of(&slices, objects.namespace.as_deref());
        let listed = connection.list(&api, parameters.clone(), "endpoint slices");
        listed.await
    };
    let slices = match listing(SLICES[0]).await {
        // A server that is too old for one version has the other.
        Err(KubernetesError::Refused { code: 404, .. }) => listing(SLICES[1]).await?,
        slices => slices?,
    };
    let all = slices
        .iter()
        .filter_map(|slice| slice.data["endpoints"].as_array())
        .flatten();
    // Unknown counts as ready, as the API has it.
    let is_ready = |endpoint: &&serde_json::Value| endpoint["conditions"]["ready"] != false;
    let (ready, count) = (all.clone().filter(is_ready).count(), all.count());
    Ok((ready > 0, format!("{ready} of {count} endpoints ready")))
}

/// The last warning about an object that is not well. That there is none, or none may be read, is no trouble.
async fn last_warning(
    connection: &Connection,
    objects: &Objects,
    object: &DynamicObject,
) -> Option<String> {
    let namespace = objects.namespace.as_deref();
    let namespace = namespace.filter(|_| objects.kind != ObjectKind::Node);
    let api = connection.api_of(&of("v1", "Event", "events"), namespace);
    let fields = format!("involvedObject.name={},type=Warning", name(object));
    let events = api
        .list(&ListParams::default().fields(&fields))
        .await
        .ok()?;
    let last = events
        .items
        .into_iter()
        .max_by_key(|event| event.data["lastTimestamp"].as_str().map(str::to_owned))?;
    let (reason, message) = (
        last.data["reason"].as_str().unwrap_or_default(),
        last.data["message"].as_str().unwrap_or_default(),
    );
    Some(format!("{reason}: {message}"))
}
