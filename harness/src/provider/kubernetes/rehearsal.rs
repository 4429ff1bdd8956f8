//! What a cluster says to a fault beforehand: whether this user may, whether the server would take it, and what would work against
//! it. Nothing is carried out.

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::{
    Api,
    api::{DynamicObject, ListParams, PostParams},
};
use serde_json::{Map, Value};

use super::{
    KubernetesError,
    api::{name, of},
    change::{Action, Change},
    config::Connection,
    permissions::rules,
    selector,
    snapshot::Snapshot,
};
use crate::environment::ObjectKind;

/// Where Argo CD writes that it has made an object.
const ARGO_CD: [&str; 2] = [
    "argocd.argoproj.io/tracking-id",
    "argocd.argoproj.io/instance",
];

/// Asks the server. Yields what would work against the fault, in words.
pub(super) async fn rehearse(
    connection: &Connection,
    change: &Change,
    before: &Snapshot,
    after: &Snapshot,
) -> Result<Vec<String>, KubernetesError> {
    let denied = denied(connection, change).await?;
    if !denied.is_empty() {
        return Err(KubernetesError::Denied { denied });
    }
    let trying = Connection {
        dry_run: true,
        ..connection.clone()
    };
    after.apply(&trying, Some(before)).await?;
    Ok(working_against(connection, change).await)
}

/// What of what the fault needs this user may not do.
async fn denied(connection: &Connection, change: &Change) -> Result<Vec<String>, KubernetesError> {
    let reviews: Api<SelfSubjectAccessReview> = Api::all(connection.client.clone());
    let mut denied = Vec::new();
    for rule in rules(change) {
        let (resource, subresource) = match rule.resource.split_once('/') {
            Some((resource, subresource)) => (resource, Some(subresource.to_owned())),
            None => (rule.resource.as_str(), None),
        };
        for verb in &rule.verbs {
            let attributes = ResourceAttributes {
                namespace: rule.namespace.clone(),
                group: Some(rule.group.clone()),
                resource: Some(resource.to_owned()),
                subresource: subresource.clone(),
                name: rule.names.first().cloned(),
                verb: Some((*verb).to_owned()),
                ..ResourceAttributes::default()
            };
            let review = SelfSubjectAccessReview {
                spec: SelfSubjectAccessReviewSpec {
                    resource_attributes: Some(attributes),
                    ..SelfSubjectAccessReviewSpec::default()
                },
                ..SelfSubjectAccessReview::default()
            };
            let answer = reviews.create(&PostParams::default(), &review).await;
            let answer = answer.map_err(connection.failed("asking what this user may do"))?;
            if !answer.status.is_some_and(|status| status.allowed) {
                let place = rule.namespace.as_ref();
                let place = place.map_or_else(String::new, |place| format!(" in {place}"));
                denied.push(format!("{verb} {}{place}", rule.resource));
            }
        }
    }
    Ok(denied)
}

/// What the cluster has that works against the fault, as far as this user may see it.
async fn working_against(connection: &Connection, change: &Change) -> Vec<String> {
    let objects = &change.objects;
    if objects.kind == ObjectKind::Node {
        return Vec::new();
    }
    let namespace = objects.namespace.as_deref();
    let listed = async |api_version: &str, kind: &str, plural: &str| {
        let api = connection.api_of(&of(api_version, kind, plural), namespace);
        let found = connection.list(&api, ListParams::default(), plural).await;
        found.unwrap_or_default()
    };
    let scalers = listed(
        "autoscaling/v1",
        "HorizontalPodAutoscaler",
        "horizontalpodautoscalers",
    );
    let scalers = scalers.await;
    let mut budgets = listed("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets").await;
    if budgets.is_empty() {
        budgets = listed(
            "policy/v1beta1",
            "PodDisruptionBudget",
            "poddisruptionbudgets",
        )
        .await;
    }
    let Ok(found) = connection.find(objects).await else {
        return Vec::new();
    };
    let mut notes = Vec::new();
    for object in &found {
        let title = format!("{}/{}", objects.kind.as_str(), name(object));
        if is_of_argo_cd(object) {
            notes.push(format!(
                "{title} is made by Argo CD, which sets it back at once if its application heals itself"
            ));
        }
        for scaler in scalers.iter().filter(|scaler| scales(scaler, object)) {
            notes.push(scaler_words(scaler, &title, &change.action));
        }
        if matches!(change.action, Action::Scale(_) | Action::Kill) {
            let labels = object.data.pointer("/spec/template/metadata/labels");
            let none = Map::new();
            let labels = labels.and_then(Value::as_object).unwrap_or(&none);
            let protecting = budgets
                .iter()
                .filter(|budget| selector::matches(&budget.data["spec"]["selector"], labels));
            notes.extend(protecting.map(|budget| {
                format!(
                    "the disruption budget `{}` of {title} does not protect against this, only against evictions",
                    name(budget)
                )
            }));
        }
    }
    notes
}

fn is_of_argo_cd(object: &DynamicObject) -> bool {
    let labels = object.metadata.labels.iter();
    let mut all = labels.chain(&object.metadata.annotations);
    all.any(|known| ARGO_CD.iter().any(|key| known.contains_key(*key)))
}

fn scales(scaler: &DynamicObject, object: &DynamicObject) -> bool {
    let target = &scaler.data["spec"]["scaleTargetRef"];
    let kind = object.types.as_ref().map(|types| types.kind.as_str());
    target["name"].as_str() == object.metadata.name.as_deref()
        && (kind.is_none() || target["kind"].as_str() == kind)
}

fn scaler_words(scaler: &DynamicObject, title: &str, action: &Action) -> String {
    let name = name(scaler);
    match action {
        Action::Scale(0) => format!(
            "the autoscaler `{name}` of {title} stops at 0 replicas, and goes on when the drill has scaled back"
        ),
        Action::Scale(_) => format!(
            "the autoscaler `{name}` of {title} may change the number of replicas, which the drill then calls a change by somebody \
             else"
        ),
        Action::Kill | Action::BlockIngress | Action::BreakHealthPath(_) | Action::LoseZone(_) => {
            format!("the autoscaler `{name}` of {title} may make more replicas meanwhile")
        }
    }
}
