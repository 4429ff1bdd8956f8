//! Everything that has a number of replicas, and everybody who may change it meanwhile.

use blackstart::{
    drill::Fault,
    provider::{Current, Provider, attach},
};

use crate::{Rig, beside_a_lab::until, rig::capture};

fn scale(replicas: u32) -> Fault {
    Fault::Scale {
        target: "it".to_owned(),
        replicas,
    }
}

pub(crate) async fn whatever_can_be_scaled_is_scaled_and_gets_its_own_number_back(rig: &Rig) {
    let kinds = [
        ("Deployment", "deployment"),
        ("StatefulSet", "stateful-set"),
        ("ReplicaSet", "replica-set"),
        ("Rollout", "rollout"),
    ];
    for (kind, word) in kinds {
        let name = format!("scaled-{}", kind.to_lowercase());
        rig.workload(kind, &name, 3).await;
        let captured = rig.capture(&format!("{word}: {name}"), &scale(1)).await;
        let captured = captured.unwrap();
        captured
            .there_and_back(async |broken| {
                let replicas = rig.replicas(kind, &name).await;
                assert_eq!(replicas, if broken { 1 } else { 3 }, "{kind}");
            })
            .await;
    }
}

pub(crate) async fn an_object_of_any_kind_is_scaled_by_its_subresource(rig: &Rig) {
    rig.workload("Rollout", "any-kind", 2).await;
    let target = "object: { api-version: argoproj.io/v1alpha1, kind: Rollout, name: any-kind }";
    let captured = rig.capture(target, &scale(0)).await.unwrap();
    captured
        .there_and_back(async |broken| {
            let replicas = rig.replicas("Rollout", "any-kind").await;
            assert_eq!(replicas, if broken { 0 } else { 2 });
        })
        .await;
}

pub(crate) async fn of_several_objects_each_gets_its_own_number_back(rig: &Rig) {
    for (name, replicas) in [("several-one", 1), ("several-two", 2), ("several-none", 0)] {
        rig.workload("StatefulSet", name, replicas).await;
    }
    let target = "stateful-set: \"*\", label: \"app in (several-one, several-two, several-none)\"";
    let captured = rig.capture(target, &scale(0)).await.unwrap();
    let words = &captured.undo.words;
    assert!(
        words.contains("stateful-set/several-one to 1 replicas")
            && words.contains("stateful-set/several-two to 2 replicas"),
        "{words}"
    );
    captured
        .there_and_back(async |broken| {
            for (name, replicas) in [("several-one", 1), ("several-two", 2), ("several-none", 0)] {
                let now = rig.replicas("StatefulSet", name).await;
                assert_eq!(now, if broken { 0 } else { replicas }, "{name}");
            }
        })
        .await;
}

pub(crate) async fn what_a_human_or_an_autoscaler_set_meanwhile_is_told_and_left(rig: &Rig) {
    rig.workload("Deployment", "meanwhile", 3).await;
    let captured = rig
        .capture("deployment: meanwhile", &scale(0))
        .await
        .unwrap();
    // Between the capture and the injection.
    rig.scale("Deployment", "meanwhile", 4).await;
    let error = captured.fault.inject().await.unwrap_err().to_string();
    assert!(
        error.contains("deployment/meanwhile was changed") && error.contains('4'),
        "{error}"
    );
    assert_eq!(rig.replicas("Deployment", "meanwhile").await, 4);
    // While it is in place.
    rig.scale("Deployment", "meanwhile", 3).await;
    captured.fault.inject().await.unwrap();
    rig.scale("Deployment", "meanwhile", 2).await;
    let Current::Otherwise(words) = captured.current().await else {
        panic!("is as before")
    };
    assert_eq!(
        words,
        "deployment/meanwhile has 2 replicas; it had 3 replicas when it was captured, and the fault set 0 replicas"
    );
    // Only somebody who says that he wants it overwrites that.
    captured.fault.revert(&captured.undo).await.unwrap();
    assert_eq!(rig.replicas("Deployment", "meanwhile").await, 3);
}

pub(crate) async fn an_object_made_anew_under_its_name_is_another(rig: &Rig) {
    rig.workload("ReplicaSet", "anew", 2).await;
    let captured = rig.capture("replica-set: anew", &scale(0)).await.unwrap();
    captured.fault.inject().await.unwrap();
    let api = rig.api(Some(&rig.namespace), "apps", "v1", "ReplicaSet");
    api.delete("anew", &kube::api::DeleteParams::default())
        .await
        .unwrap();
    until("it is gone", async || {
        api.get_opt("anew").await.unwrap().is_none()
    })
    .await;
    rig.workload("ReplicaSet", "anew", 2).await;
    assert!(
        matches!(captured.current().await, Current::Otherwise(words) if words.contains("made anew"))
    );
}

pub(crate) async fn writes_of_controllers_do_not_keep_a_fault_from_being_injected(rig: &Rig) {
    rig.workload("Deployment", "busy", 2).await;
    let captured = rig.capture("deployment: busy", &scale(0)).await.unwrap();
    let api = rig.api(Some(&rig.namespace), "apps", "v1", "Deployment");
    let busy = async {
        for number in 0..40 {
            let patch = serde_json::json!({ "metadata": { "annotations": { "busy": number.to_string() } } });
            let patch = kube::api::Patch::Merge(patch);
            api.patch("busy", &kube::api::PatchParams::default(), &patch)
                .await
                .unwrap();
        }
    };
    let (injected, ()) = tokio::join!(captured.fault.inject(), busy);
    injected.unwrap();
    assert_eq!(captured.current().await, Current::AsInjected);
    captured.fault.revert(&captured.undo).await.unwrap();
    assert_eq!(rig.replicas("Deployment", "busy").await, 2);
}

pub(crate) async fn who_may_not_and_what_is_not_there_is_named(rig: &Rig) {
    rig.workload("Deployment", "forbidden", 1).await;
    let denied = rig.environment_of(&rig.viewer(), "deployment: forbidden");
    let error = capture(&denied, &scale(0)).await.err().unwrap().to_string();
    assert!(
        error.contains("this user may not")
            && error.contains("viewer")
            && error.contains("plan --permissions"),
        "{error}"
    );
    let missing = rig.capture("deployment: nowhere", &scale(0)).await;
    let error = missing.err().unwrap().to_string();
    assert!(
        error.contains("there is no deployment/nowhere")
            && error.contains(&format!("get deployments --namespace {}", rig.namespace)),
        "{error}"
    );
    assert_eq!(rig.replicas("Deployment", "forbidden").await, 1);
}

pub(crate) async fn a_context_that_leads_elsewhere_now_is_refused(rig: &Rig) {
    rig.workload("Deployment", "elsewhere", 1).await;
    let captured = rig
        .capture("deployment: elsewhere", &scale(0))
        .await
        .unwrap();
    let mut undo = captured.undo.clone();
    for state in [&mut undo.state, &mut undo.injected] {
        state["server"] = "https://192.0.2.1:6443/".into();
    }
    let error = captured.bindings.recall(&undo).unwrap_err().to_string();
    assert!(
        error.contains("leads to") && error.contains("192.0.2.1"),
        "{error}"
    );
}

pub(crate) async fn ready_replicas_are_what_the_cluster_thinks_of_a_workload(rig: &Rig) {
    rig.workload("Deployment", "ready", 2).await;
    let environment = rig.environment("deployment: ready");
    let bindings = attach(&environment, None).await.unwrap().bindings;
    let health = async || bindings.health(&environment, "it").await.unwrap();
    until("both are ready", async || health().await.healthy).await;
    assert_eq!(health().await.detail, "ready 2 of 2 ready");
    rig.scale("Deployment", "ready", 0).await;
    until("none is", async || !health().await.healthy).await;
}
