//! One drill that breaks a lab in its own process and an account, and harnesses that are killed in the middle of it.

use crate::{
    beside_a_lab::{Files, Others, until},
    rig::{ACCOUNT, REGION, Rig},
    security_groups::{group, rules},
};

/// The drill, and the security group that it shuts.
async fn files(rig: &Rig, name: &str, hold: &str) -> (Files, String) {
    let group = group(rig, name).await;
    let others = Others {
        faults: &["block-ingress: { target: gate }"],
        systems: &[&format!(
            "aws: {{ region: {REGION}, account: \"{ACCOUNT}\", endpoint: {} }}",
            rig.endpoint
        )],
        targets: &[&format!("gate: {{ aws: {{ security-group: {group} }} }}")],
        limits: &[&format!(
            "aws: {{ accounts: [\"{ACCOUNT}\"], regions: [{REGION}] }}"
        )],
        ..Others::default()
    };
    (Files::new(&others, hold), group)
}

pub(crate) async fn one_drill_breaks_and_restores_a_lab_and_an_account(rig: &Rig) {
    let (files, group) = files(rig, "mixed", "20s").await;
    let before = rules(rig, &group).await;
    files.passes().await;
    assert_eq!(rules(rig, &group).await, before);
    let journal = files.journal();
    assert!(journal.is_clean(), "{journal:?}");
    assert_eq!(journal.captured().len(), 2);
}

pub(crate) async fn an_account_is_restored_by_the_guard_when_the_harness_is_killed(rig: &Rig) {
    let (files, group) = files(rig, "guarded", "10m").await;
    let before = rules(rig, &group).await;
    let is_revoked = async || rules(rig, &group).await.is_empty();
    files.broken(is_revoked).await.kill();
    until("the guard has restored the rules", async || {
        rules(rig, &group).await == before
    })
    .await;
    until("that is written down", async || files.journal().is_clean()).await;
}

pub(crate) async fn revert_restores_an_account_when_harness_and_guard_are_killed(rig: &Rig) {
    let (files, group) = files(rig, "unguarded", "10m").await;
    let before = rules(rig, &group).await;
    let is_revoked = async || rules(rig, &group).await.is_empty();
    files.broken(is_revoked).await.kill_with_its_guard();
    assert!(rules(rig, &group).await.is_empty());
    files.is_reverted("gate").await;
    assert_eq!(rules(rig, &group).await, before);
    files.have_no("hidden-secret");
}
