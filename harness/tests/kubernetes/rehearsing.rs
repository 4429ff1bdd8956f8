//! What is found out beforehand: permissions, the server's own dry run, and what would work against a drill.

use blackstart::{drill::Fault, provider};
use serde_json::{Value, json};

use crate::{Rig, beside_a_lab::until, rig::capture};

fn it() -> String {
    "it".to_owned()
}

pub(crate) async fn a_rehearsal_asks_the_server_and_changes_nothing(rig: &Rig) {
    rig.ready_workload("Deployment", "rehearsed", 2).await;
    let pods = rig.pods("rehearsed").await;
    let all = [
        Fault::Scale {
            target: it(),
            replicas: 0,
        },
        Fault::Kill { target: it() },
        Fault::BlockIngress { target: it() },
        Fault::BreakHealthPath {
            target: it(),
            path: "/nonexistent".to_owned(),
        },
    ];
    for fault in all {
        let captured = rig.capture("deployment: rehearsed", &fault).await.unwrap();
        captured
            .fault
            .rehearse()
            .await
            .unwrap_or_else(|error| panic!("{fault}: {error}"));
    }
    assert_eq!(rig.replicas("Deployment", "rehearsed").await, 2);
    assert_eq!(rig.probe_path("Deployment", "rehearsed").await, "/health");
    assert_eq!(rig.pods("rehearsed").await, pods);
    let policies = rig.api(
        Some(&rig.namespace),
        "networking.k8s.io",
        "v1",
        "NetworkPolicy",
    );
    let policy = policies.get_opt("blackstart-deployment-rehearsed").await;
    assert!(policy.unwrap().is_none());
}

pub(crate) async fn what_works_against_a_drill_is_told_beforehand(rig: &Rig) {
    rig.workload("Deployment", "worked-against", 2).await;
    let api = rig.api(Some(&rig.namespace), "apps", "v1", "Deployment");
    let tracked =
        json!({ "metadata": { "annotations": { "argocd.argoproj.io/tracking-id": "shop" } } });
    api.patch(
        "worked-against",
        &kube::api::PatchParams::default(),
        &kube::api::Patch::Merge(tracked),
    )
    .await
    .unwrap();
    let scaler = json!({
        "metadata": { "name": "scaler" },
        "spec": {
            "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "worked-against" },
            "minReplicas": 1, "maxReplicas": 5,
        },
    });
    let namespace = Some(rig.namespace.as_str());
    rig.create(
        namespace,
        "autoscaling",
        "v1",
        "HorizontalPodAutoscaler",
        scaler,
    )
    .await;
    let budget = json!({
        "metadata": { "name": "budget" },
        "spec": { "minAvailable": 1, "selector": { "matchLabels": { "app": "worked-against" } } },
    });
    rig.create(
        namespace,
        "policy",
        "v1beta1",
        "PodDisruptionBudget",
        budget,
    )
    .await;
    let fault = Fault::Scale {
        target: it(),
        replicas: 0,
    };
    let captured = rig.capture("deployment: worked-against", &fault).await;
    let notes = captured.unwrap().fault.rehearse().await.unwrap();
    assert_eq!(notes.len(), 3, "{notes:#?}");
    assert!(notes[0].contains("made by Argo CD"), "{notes:#?}");
    assert!(
        notes[1].contains("`scaler`") && notes[1].contains("stops at 0"),
        "{notes:#?}"
    );
    assert!(
        notes[2].contains("`budget`") && notes[2].contains("does not protect"),
        "{notes:#?}"
    );
}

/// The role that is printed is enough, and without any part of it something is missing.
pub(crate) async fn the_role_that_plan_prints_is_what_a_fault_needs(rig: &Rig) {
    let namespace = rig.another_namespace("roles").await;
    rig.workload_in(&namespace, "Deployment", "allowed", 1)
        .await;
    let viewer = rig.viewer();
    let target = format!("deployment: allowed, namespace: {namespace}");
    let environment = rig.environment_of(&viewer, &target);
    let faults = [
        Fault::Scale {
            target: it(),
            replicas: 0,
        },
        Fault::BreakHealthPath {
            target: it(),
            path: "/nonexistent".to_owned(),
        },
        Fault::BlockIngress { target: it() },
        Fault::Kill { target: it() },
    ];
    rig.ready("Deployment", &namespace, "allowed", 1).await;
    for (number, fault) in faults.iter().enumerate() {
        let denied = capture(&environment, fault).await.err();
        assert!(
            denied.is_some(),
            "{fault} is allowed before its role is given"
        );
        let permissions = provider::permissions(&environment, &[fault]).unwrap();
        let role = given(rig, &permissions[0].text, number).await;
        // The server takes a moment to know of it.
        until("the role is enough to capture", async || {
            capture(&environment, fault).await.is_ok()
        })
        .await;
        let captured = capture(&environment, fault).await.unwrap();
        captured
            .fault
            .rehearse()
            .await
            .unwrap_or_else(|error| panic!("{fault}: {error}\n{}", permissions[0].text));
        captured.fault.inject().await.unwrap();
        captured.fault.revert(&captured.undo).await.unwrap();
        let roles = rig.api(Some(&namespace), "rbac.authorization.k8s.io", "v1", "Role");
        roles
            .delete(&role, &kube::api::DeleteParams::default())
            .await
            .unwrap();
        until("the user may not any more", async || {
            let denied = captured.fault.rehearse().await.err();
            denied.is_some_and(|denied| denied.to_string().contains("this user may not"))
        })
        .await;
    }
}

/// Gives the user without rights the role of a manifest. Yields its name.
async fn given(rig: &Rig, manifest: &str, number: usize) -> String {
    let roles: Vec<Value> = serde_yaml::from_multiple(manifest).unwrap();
    assert_eq!(roles.len(), 1, "{manifest}");
    let mut role = roles.into_iter().next().unwrap();
    let name = format!("role-{number}");
    role["metadata"]["name"] = name.clone().into();
    let namespace = role["metadata"]["namespace"].as_str().unwrap().to_owned();
    let group = "rbac.authorization.k8s.io";
    rig.create(Some(&namespace), group, "v1", "Role", role)
        .await;
    let binding = json!({
        "metadata": { "name": name },
        "roleRef": { "apiGroup": group, "kind": "Role", "name": name },
        "subjects": [{ "apiGroup": group, "kind": "User", "name": "viewer" }],
    });
    rig.create(Some(&namespace), group, "v1", "RoleBinding", binding)
        .await;
    name
}
