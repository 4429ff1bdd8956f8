//! One drill that breaks a lab in its own process and resources of Azure, and harnesses that are killed in the middle of it.

use crate::{
    beside_a_lab::{Files, Others, until},
    stand_in::{GROUP, SUBSCRIPTION, StandIn},
};

const TOKEN: &str = "not-to-be-written-down";
const TOKEN_VARIABLE: &str = "BLACKSTART_TEST_TOKEN";

/// The drill, and what stands in for Azure.
async fn files(hold: &str) -> (Files, StandIn) {
    let azure = StandIn::start(TOKEN).await;
    let others = Others {
        faults: &[
            "stop: { target: machine }",
            "block-ingress: { target: firewall }",
            "disable: { target: page }",
        ],
        observers: &["{ observer: power, watches: machine, every: 10s }"],
        systems: &[&format!(
            "azure: {{ subscription: {SUBSCRIPTION}, resource-group: {GROUP}, endpoint: \"{}\", token-variable: {TOKEN_VARIABLE} }}",
            azure.server.uri()
        )],
        targets: &[
            "machine: { azure: { virtual-machine: vm } }",
            "firewall: { azure: { network-security-group: nsg } }",
            "page: { azure: { static-website: sorry } }",
        ],
        limits: &[&format!(
            "azure: {{ subscriptions: [{SUBSCRIPTION}], resource-groups: [{GROUP}] }}"
        )],
        ..Others::default()
    };
    let files = Files::new(&others, hold).with(TOKEN_VARIABLE, Some(TOKEN));
    (files, azure)
}

fn is_broken(azure: &StandIn) -> bool {
    let is_stopped = azure.power("vm") == "stopped";
    let state = azure.state();
    is_stopped && state.rules.len() == 3 && !state.website.0
}

fn is_restored(azure: &StandIn) -> bool {
    let is_running = azure.power("vm") == "running";
    let state = azure.state();
    let website = (true, Some("index.html".into()), Some("404.html".into()));
    is_running && state.rules.len() == 2 && state.website == website
}

#[tokio::test]
async fn one_drill_breaks_and_restores_a_lab_and_resources_of_azure() {
    let (files, azure) = files("20s").await;
    files.passes().await;
    assert!(is_restored(&azure));
    let journal = files.journal();
    assert!(journal.is_clean(), "{journal:?}");
    assert_eq!(journal.captured().len(), 4);
    files.have_no(TOKEN);
}

#[tokio::test]
async fn azure_is_restored_by_the_guard_when_the_harness_is_killed() {
    let (files, azure) = files("10m").await;
    files.broken(async || is_broken(&azure)).await.kill();
    until("the guard has restored it", async || is_restored(&azure)).await;
    until("that is written down", async || files.journal().is_clean()).await;
}

#[tokio::test]
async fn revert_restores_azure_when_harness_and_guard_are_killed() {
    let (files, azure) = files("10m").await;
    let harness = files.broken(async || is_broken(&azure)).await;
    harness.kill_with_its_guard();
    assert!(is_broken(&azure));
    files.is_reverted("machine").await;
    assert!(is_restored(&azure));
    files.have_no(TOKEN);
}

#[tokio::test]
async fn revert_restores_a_machine_that_is_still_on_its_way_down() {
    let (files, azure) = files("10m").await;
    // Azure takes its time: the harness is killed while it waits.
    azure.state().looks = 1_000_000;
    let is_on_its_way = async || azure.power("vm") == "stopping";
    files.broken(is_on_its_way).await.kill_with_its_guard();
    azure.arrives();
    let reverted = files.done(&["revert"]).await;
    assert!(reverted.status.success(), "{reverted:?}");
    assert!(is_restored(&azure));
    assert!(files.journal().is_clean());
}
