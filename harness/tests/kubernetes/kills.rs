//! One drill that breaks a lab in its own process and a cluster, and harnesses that are killed in the middle of it.

use crate::{
    Rig,
    beside_a_lab::{Files, Others, until},
};

/// The drill, with two pods that are well before it.
async fn files(rig: &Rig, workload: &str, hold: &str) -> Files {
    rig.ready_workload("Deployment", workload, 2).await;
    let (kubeconfig, namespace) = (rig.kubeconfig.display(), &rig.namespace);
    let others = Others {
        faults: &["scale: { target: pods, replicas: 0 }"],
        observers: &["{ observer: pods, watches: pods, every: 10s }"],
        systems: &[&format!(
            "kubernetes: {{ kubeconfig: {kubeconfig}, namespace: {namespace} }}"
        )],
        targets: &[&format!(
            "pods: {{ kubernetes: {{ deployment: {workload} }} }}"
        )],
        limits: &[&format!("kubernetes: {{ namespaces: [{namespace}] }}")],
        ..Others::default()
    };
    // Nothing but the journal says how the cluster is reached.
    Files::new(&others, hold).with("KUBECONFIG", None)
}

pub(crate) async fn one_drill_breaks_and_restores_a_lab_and_a_cluster(rig: &Rig) {
    let files = files(rig, "mixed", "20s").await;
    files.passes().await;
    assert_eq!(rig.replicas("Deployment", "mixed").await, 2);
    let journal = files.journal();
    assert!(journal.is_clean(), "{journal:?}");
    assert_eq!(journal.captured().len(), 2);
}

pub(crate) async fn a_cluster_is_restored_by_the_guard_when_the_harness_is_killed(rig: &Rig) {
    let files = files(rig, "guarded", "10m").await;
    let is_scaled = async || rig.replicas("Deployment", "guarded").await == 0;
    files.broken(is_scaled).await.kill();
    until("the guard has scaled it back", async || {
        rig.replicas("Deployment", "guarded").await == 2
    })
    .await;
    until("that is written down", async || files.journal().is_clean()).await;
}

pub(crate) async fn revert_restores_a_cluster_when_harness_and_guard_are_killed(rig: &Rig) {
    let files = files(rig, "unguarded", "10m").await;
    let is_scaled = async || rig.replicas("Deployment", "unguarded").await == 0;
    files.broken(is_scaled).await.kill_with_its_guard();
    assert_eq!(rig.replicas("Deployment", "unguarded").await, 0);
    files.is_reverted("pods").await;
    assert_eq!(rig.replicas("Deployment", "unguarded").await, 2);
}
