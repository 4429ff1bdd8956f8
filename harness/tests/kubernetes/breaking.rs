//! Everything that can be broken besides the number of replicas.

use blackstart::{
    drill::Fault,
    provider::{Current, Provider, attach},
};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use serde_json::json;

use crate::{Rig, beside_a_lab::until, rig::capture};

fn it() -> String {
    "it".to_owned()
}

pub(crate) async fn killed_pods_are_back_when_as_many_live_as_before(rig: &Rig) {
    rig.ready_workload("Deployment", "killed", 2).await;
    let before = rig.pods("killed").await;
    let fault = Fault::Kill { target: it() };
    let captured = rig.capture("deployment: killed", &fault).await.unwrap();
    assert_eq!(captured.current().await, Current::AsCaptured);
    captured.fault.inject().await.unwrap();
    assert_eq!(captured.current().await, Current::AsInjected);
    until("they are replaced", async || {
        let now = rig.pods("killed").await;
        now.len() == 2 && now.iter().all(|pod| !before.contains(pod))
    })
    .await;
    // Only whoever puts it back says that it is as before.
    assert_eq!(captured.current().await, Current::AsInjected);
    let recalled = captured.bindings.recall(&captured.undo).unwrap();
    recalled.revert(&captured.undo).await.unwrap();
    assert_eq!(
        recalled.current(&captured.undo).await.unwrap(),
        Current::AsCaptured
    );
}

pub(crate) async fn of_none_that_lives_none_is_killed(rig: &Rig) {
    rig.workload("Deployment", "killed-none", 0).await;
    let fault = Fault::Kill { target: it() };
    let captured = rig
        .capture("deployment: killed-none", &fault)
        .await
        .unwrap();
    // The engine takes that for a fault that breaks nothing.
    assert_eq!(captured.undo.state, captured.undo.injected);
}

pub(crate) async fn ingress_is_shut_by_a_policy_of_its_own_and_opened_again(rig: &Rig) {
    rig.workload("StatefulSet", "shut", 1).await;
    let fault = Fault::BlockIngress { target: it() };
    let captured = rig.capture("stateful-set: shut", &fault).await.unwrap();
    let policies = rig.api(
        Some(&rig.namespace),
        "networking.k8s.io",
        "v1",
        "NetworkPolicy",
    );
    let name = "blackstart-stateful-set-shut";
    captured
        .there_and_back(async |broken| {
            let policy = policies.get_opt(name).await.unwrap();
            assert_eq!(policy.is_some(), broken);
            if let Some(policy) = policy {
                let spec = &policy.data["spec"];
                assert_eq!(spec["podSelector"]["matchLabels"]["app"], "shut");
                assert_eq!(spec["policyTypes"], json!(["Ingress"]));
                assert!(spec["ingress"].as_array().is_none_or(Vec::is_empty));
            }
        })
        .await;
    // Somebody lets somebody in through it.
    captured.fault.inject().await.unwrap();
    let patch = Patch::Merge(json!({ "spec": { "ingress": [{}] } }));
    policies
        .patch(name, &PatchParams::default(), &patch)
        .await
        .unwrap();
    let words = captured.current().await;
    assert!(
        matches!(&words, Current::Otherwise(words) if words.contains(name)),
        "{words:?}"
    );
    policies
        .delete(name, &DeleteParams::default())
        .await
        .unwrap();
}

pub(crate) async fn a_policy_that_lets_somebody_in_anyway_is_named(rig: &Rig) {
    rig.workload("Deployment", "let-in", 1).await;
    let policy = json!({
        "metadata": { "name": "lets-in" },
        "spec": {
            "podSelector": { "matchLabels": { "app": "let-in" } },
            "ingress": [{ "ports": [{ "port": 8080 }] }],
        },
    });
    rig.create(
        Some(&rig.namespace),
        "networking.k8s.io",
        "v1",
        "NetworkPolicy",
        policy,
    )
    .await;
    let fault = Fault::BlockIngress { target: it() };
    let refused = rig.capture("deployment: let-in", &fault).await;
    let error = refused.err().unwrap().to_string();
    assert!(
        error.contains("`lets-in`") && error.contains("policies add up"),
        "{error}"
    );
}

pub(crate) async fn the_path_of_a_readiness_probe_is_broken_and_put_back(rig: &Rig) {
    for (kind, word) in [("Deployment", "deployment"), ("Rollout", "rollout")] {
        let name = format!("probed-{word}");
        rig.workload(kind, &name, 1).await;
        let fault = Fault::BreakHealthPath {
            target: it(),
            path: "/nonexistent?key=hidden".to_owned(),
        };
        let captured = rig.capture(&format!("{word}: {name}"), &fault).await;
        let captured = captured.unwrap();
        assert!(!captured.undo.injected.to_string().contains("hidden"));
        captured
            .there_and_back(async |broken| {
                let path = rig.probe_path(kind, &name).await;
                let expected = if broken {
                    "/nonexistent?key=hidden"
                } else {
                    "/health"
                };
                assert_eq!(path, expected);
            })
            .await;
        // Somebody rolls out another path while it is broken.
        captured.fault.inject().await.unwrap();
        rig.set_probe_path(kind, &name, "/ready").await;
        let words = captured.current().await;
        assert!(
            matches!(&words, Current::Otherwise(words) if words.contains("/ready") && !words.contains("hidden")),
            "{words:?}"
        );
    }
}

pub(crate) async fn a_workload_without_a_probe_is_named(rig: &Rig) {
    rig.workload("Deployment", "unprobed", 1).await;
    rig.set_probe_path("Deployment", "unprobed", "").await;
    let fault = Fault::BreakHealthPath {
        target: it(),
        path: "/nonexistent".to_owned(),
    };
    let refused = rig.capture("deployment: unprobed", &fault).await;
    let error = refused.err().unwrap().to_string();
    assert!(
        error.contains("no container of deployment/unprobed"),
        "{error}"
    );
}

pub(crate) async fn a_zone_is_cordoned_and_drained_and_open_again(rig: &Rig) {
    let _nodes = rig.nodes.lock().await;
    let namespace = rig.another_namespace("zone").await;
    let in_zone = |fault: &str| format!("node: \"*\", namespace: {namespace}{fault}");
    rig.workload_in(&namespace, "Deployment", "zoned", 4).await;
    let pods = rig.api(Some(&namespace), "", "v1", "Pod");
    let on_node = async |node: &str| {
        let on = ListParams::default().fields(&format!("spec.nodeName={node}"));
        let found = pods.list(&on).await.unwrap().items.into_iter();
        found
            .filter(|pod| pod.metadata.deletion_timestamp.is_none())
            .count()
    };
    until("they are scheduled", async || {
        on_node("n1").await + on_node("n2").await == 4 && on_node("n2").await > 0
    })
    .await;
    let nodes = rig.api(None, "", "v1", "Node");
    let fault = Fault::LoseZone {
        target: it(),
        zone: "zone-n2".to_owned(),
    };
    let captured = rig.capture(&in_zone(""), &fault).await.unwrap();
    assert!(
        captured.undo.words.starts_with("uncordon node/n2"),
        "{}",
        captured.undo.words
    );
    captured
        .there_and_back(async |broken| {
            let node = nodes.get("n2").await.unwrap();
            let cordoned = node.data["spec"]["unschedulable"] == true;
            assert_eq!(cordoned, broken);
            if broken {
                assert_eq!(on_node("n2").await, 0);
            }
        })
        .await;
    let unknown = Fault::LoseZone {
        target: it(),
        zone: "zone-n9".to_owned(),
    };
    let error = rig.capture(&in_zone(""), &unknown).await.err().unwrap();
    let error = error.to_string();
    assert!(
        error.contains("`zone-n9`") && error.contains("`zone-n1`, `zone-n2`"),
        "{error}"
    );
}

pub(crate) async fn a_disruption_budget_keeps_a_zone_and_is_named(rig: &Rig) {
    let _nodes = rig.nodes.lock().await;
    let namespace = rig.another_namespace("budget").await;
    rig.workload_in(&namespace, "StatefulSet", "kept", 1).await;
    let budget = json!({
        "metadata": { "name": "kept" },
        "spec": { "minAvailable": 1, "selector": { "matchLabels": { "app": "kept" } } },
    });
    rig.create(
        Some(&namespace),
        "policy",
        "v1beta1",
        "PodDisruptionBudget",
        budget,
    )
    .await;
    let pods = rig.api(Some(&namespace), "", "v1", "Pod");
    let mut node = String::new();
    until("it runs", async || {
        let pod = pods.get_opt("kept-0").await.unwrap();
        let Some(pod) = pod.filter(|pod| pod.data["status"]["phase"] == "Running") else {
            return false;
        };
        pod.data["spec"]["nodeName"]
            .as_str()
            .unwrap()
            .clone_into(&mut node);
        true
    })
    .await;
    let budgets = rig.api(Some(&namespace), "policy", "v1beta1", "PodDisruptionBudget");
    until("the budget counts it", async || {
        budgets.get("kept").await.unwrap().data["status"]["currentHealthy"] == 1
    })
    .await;
    let fault = Fault::LoseZone {
        target: it(),
        zone: format!("zone-{node}"),
    };
    let target = format!("node: {node}, namespace: {namespace}");
    let captured = rig.capture(&target, &fault).await.unwrap();
    let error = captured.fault.inject().await.unwrap_err().to_string();
    assert!(
        error.contains("pod/kept-0 cannot be evicted") && error.contains("disruption budget"),
        "{error}"
    );
    // Half of it is in place, and is taken back.
    assert_eq!(captured.current().await, Current::AsInjected);
    captured.fault.revert(&captured.undo).await.unwrap();
    assert_eq!(captured.current().await, Current::AsCaptured);
}

pub(crate) async fn a_service_is_healthy_while_one_of_its_endpoints_is_ready(rig: &Rig) {
    rig.ready_workload("Deployment", "served", 2).await;
    let service = json!({
        "metadata": { "name": "served" },
        "spec": { "selector": { "app": "served" }, "ports": [{ "port": 80 }] },
    });
    rig.create(Some(&rig.namespace), "", "v1", "Service", service)
        .await;
    let environment = rig.environment("service: served");
    let bindings = attach(&environment, None).await.unwrap().bindings;
    let health = async || bindings.health(&environment, "it").await.unwrap();
    until("both are endpoints", async || {
        health().await.detail == "served 2 of 2 endpoints ready"
    })
    .await;
    assert!(health().await.healthy);
    rig.scale("Deployment", "served", 0).await;
    until("none is", async || !health().await.healthy).await;
    let fault = Fault::Kill { target: it() };
    let error = capture(&environment, &fault).await.err().unwrap();
    assert!(error.to_string().contains("only be watched"), "{error}");
}

pub(crate) async fn what_went_wrong_last_stands_beside_a_bad_reading(rig: &Rig) {
    rig.workload("Deployment", "warned", 0).await;
    let event = json!({
        "metadata": { "name": "warned" },
        "involvedObject": { "kind": "Deployment", "name": "warned", "namespace": rig.namespace },
        "type": "Warning",
        "reason": "FailedCreate",
        "message": "no quota",
        "lastTimestamp": "2026-01-01T00:00:00Z",
    });
    rig.create(Some(&rig.namespace), "", "v1", "Event", event)
        .await;
    let environment = rig.environment("deployment: warned");
    let bindings = attach(&environment, None).await.unwrap().bindings;
    let health = bindings.health(&environment, "it").await.unwrap();
    assert!(!health.healthy);
    assert_eq!(health.detail, "warned 0 of 0 ready, FailedCreate: no quota");
}
