//! What is found out beforehand: rights and locks.

use blackstart::provider;
use serde_json::{Value, json};

use crate::{
    rig::{Rig, block, disable, stop},
    stand_in::provider as path_of,
};

const TARGETS: [&str; 5] = [
    "virtual-machine: vm",
    "virtual-machine: static, deallocate: true",
    "network-security-group: nsg",
    "traffic-manager-profile: profile, endpoint: vm",
    "static-website: sorry",
];

fn fault_of(target: &str) -> blackstart::drill::Fault {
    if target.starts_with("virtual") {
        stop()
    } else if target.starts_with("network") {
        block()
    } else {
        disable()
    }
}

#[tokio::test]
async fn a_rehearsal_asks_azure_and_changes_nothing() {
    let rig = Rig::start().await;
    for target in TARGETS {
        let captured = rig.capture(target, &fault_of(target)).await.unwrap();
        let notes = captured.fault.rehearse().await;
        assert_eq!(notes.unwrap(), Vec::<String>::new(), "{target}");
    }
    let state = rig.azure.state();
    let mut asked = state.asked.iter();
    assert!(
        asked.all(|asked| asked.starts_with("GET ")),
        "{:?}",
        state.asked
    );
}

#[tokio::test]
async fn the_role_that_plan_prints_is_what_a_fault_needs() {
    let rig = Rig::start().await;
    for target in TARGETS {
        let environment = rig.environment(target);
        let fault = fault_of(target);
        let printed = provider::permissions(&environment, &[&fault]).unwrap();
        let role: Value = serde_json::from_str(&printed[0].text).unwrap();
        let actions = role["Actions"].as_array().unwrap().clone();
        rig.azure.state().granted = json!([{ "actions": actions, "notActions": [] }]);
        let captured = rig.capture(target, &fault).await.unwrap();
        captured.fault.rehearse().await.unwrap();
        // Without any one of them it is told; a type of endpoint that this one does not have is none of them.
        for index in 0..actions.len() {
            let action = actions[index].as_str().unwrap().to_owned();
            if action.contains("azureEndpoints") || action.contains("nestedEndpoints") {
                continue;
            }
            let mut fewer = actions.clone();
            fewer.remove(index);
            rig.azure.state().granted = json!([{ "actions": fewer, "notActions": [] }]);
            let error = captured.fault.rehearse().await.unwrap_err().to_string();
            assert!(error.contains(&action), "{target}: {error}");
        }
    }
}

#[tokio::test]
async fn what_a_role_takes_back_is_told() {
    let rig = Rig::start().await;
    rig.azure.state().granted =
        json!([{ "actions": ["*"], "notActions": ["Microsoft.Compute/virtualMachines/start/*"] }]);
    let captured = rig.capture("virtual-machine: vm", &stop()).await.unwrap();
    let error = captured.fault.rehearse().await.unwrap_err().to_string();
    assert!(
        error.contains("may not Microsoft.Compute/virtualMachines/start/action;")
            && error.contains("plan --permissions"),
        "{error}"
    );
}

#[tokio::test]
async fn a_lock_under_which_nothing_can_be_done_is_told() {
    let rig = Rig::start().await;
    let id = path_of(
        "Microsoft.Compute/virtualMachines/vm/providers/Microsoft.Authorization/locks/still",
    );
    rig.azure.state().locks =
        vec![json!({ "id": id, "name": "still", "properties": { "level": "ReadOnly" } })];
    let captured = rig.capture("virtual-machine: vm", &stop()).await.unwrap();
    let error = captured.fault.rehearse().await.unwrap_err().to_string();
    assert!(error.contains("the lock `still` (ReadOnly)"), "{error}");
}
