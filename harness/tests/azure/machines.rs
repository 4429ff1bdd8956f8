//! Machines that are stopped and started, and everybody who may do so meanwhile.

use blackstart::provider::{Current, Provider as _};

use crate::{
    rig::{Captured, Rig, capture, stop},
    stand_in::{refusal, untold},
};

const VM: &str = "virtual-machine: vm";

#[tokio::test]
async fn a_machine_is_powered_off_and_started_again() {
    let rig = Rig::start().await;
    let captured = rig.capture(VM, &stop()).await.unwrap();
    assert!(
        captured
            .undo
            .words
            .contains("az vm start --ids /subscriptions/"),
        "{}",
        captured.undo.words
    );
    captured
        .there_and_back(|broken| {
            let power = if broken { "stopped" } else { "running" };
            assert_eq!(rig.azure.power("vm"), power);
        })
        .await;
}

#[tokio::test]
async fn a_machine_is_deallocated_where_that_is_asked_for() {
    let rig = Rig::start().await;
    let target = "virtual-machine: static, deallocate: true";
    let captured = rig.capture(target, &stop()).await.unwrap();
    captured
        .there_and_back(|broken| {
            let power = if broken { "deallocated" } else { "running" };
            assert_eq!(rig.azure.power("static"), power);
        })
        .await;
}

#[tokio::test]
async fn a_machine_that_would_get_another_address_or_lose_its_disk_is_not_deallocated() {
    let rig = Rig::start().await;
    let words = rig
        .refusal("virtual-machine: dynamic, deallocate: true", &stop())
        .await;
    assert!(words.contains("`dynamic` is dynamic"), "{words}");
    rig.capture("virtual-machine: dynamic", &stop())
        .await
        .unwrap();
    rig.azure
        .state()
        .machines
        .get_mut("vm")
        .unwrap()
        .is_ephemeral = true;
    let words = rig
        .refusal("virtual-machine: vm, deallocate: true", &stop())
        .await;
    assert!(words.contains("ephemeral"), "{words}");
}

#[tokio::test]
async fn what_does_not_run_cannot_be_stopped_and_what_is_stopped_is_so_already() {
    let rig = Rig::start().await;
    let set = |power| rig.azure.state().machines.get_mut("vm").unwrap().power = power;
    for power in ["deallocated", "starting", "hibernated"] {
        set(power);
        let words = rig.refusal(VM, &stop()).await;
        assert!(words.contains("not running"), "{power}: {words}");
    }
    set("stopped");
    let captured = rig.capture(VM, &stop()).await.unwrap();
    assert_eq!(captured.undo.state, captured.undo.injected);
}

#[tokio::test]
async fn what_somebody_else_did_to_a_machine_is_told() {
    let rig = Rig::start().await;
    let captured = rig.capture(VM, &stop()).await.unwrap();
    captured.fault.inject().await.unwrap();
    let set = |power| rig.azure.state().machines.get_mut("vm").unwrap().power = power;
    set("deallocated");
    captured
        .is_somebody_elses("has the power state deallocated; it had the power state running")
        .await;
    // Somebody has started it: there is nothing left to do.
    set("running");
    assert_eq!(captured.current().await, Current::AsCaptured);
    let (recalled, undo) = captured.recalled();
    recalled.revert(&undo).await.unwrap();
    assert_eq!(rig.azure.count("POST"), 1);
}

#[tokio::test]
async fn a_machine_that_was_stopped_by_somebody_else_after_the_capture_is_left_alone() {
    let rig = Rig::start().await;
    let captured = rig.capture(VM, &stop()).await.unwrap();
    rig.azure.state().machines.get_mut("vm").unwrap().power = "deallocated";
    let error = captured.fault.inject().await.unwrap_err().to_string();
    assert!(
        error.contains("was changed after it was captured"),
        "{error}"
    );
    assert_eq!(rig.azure.count("POST"), 0);
}

#[tokio::test]
async fn a_machine_made_anew_under_its_name_is_another() {
    let rig = Rig::start().await;
    let captured = rig.capture(VM, &stop()).await.unwrap();
    captured.fault.inject().await.unwrap();
    rig.azure.state().machines.get_mut("vm").unwrap().vm_id = "another".to_owned();
    captured.is_somebody_elses("was made anew").await;
    rig.azure.state().machines.remove("vm");
    captured.is_somebody_elses("it is gone").await;
}

/// Asks to power the machine off, as a harness that is gone right after Azure took it.
async fn power_off_and_go(rig: &Rig, captured: &Captured) {
    let asked = format!(
        "{}{}/powerOff?api-version=2024-07-01",
        rig.azure.server.uri(),
        captured.undo.resource
    );
    let token = blackstart::source::process_variable(crate::rig::TOKEN_VARIABLE).unwrap();
    // Plain HTTP, and the client wants a provider of TLS all the same.
    drop(rustls::crypto::ring::default_provider().install_default());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let taken = client.post(asked).bearer_auth(token).send().await.unwrap();
    assert_eq!(taken.status(), 202);
}

#[tokio::test]
async fn a_machine_that_is_on_its_way_is_waited_for_and_started() {
    let rig = Rig::start().await;
    rig.azure.state().looks = 3;
    let captured = rig.capture(VM, &stop()).await.unwrap();
    power_off_and_go(&rig, &captured).await;
    assert_eq!(rig.azure.power("vm"), "stopping");
    let (recalled, undo) = captured.recalled();
    assert_eq!(recalled.current(&undo).await.unwrap(), Current::AsInjected);
    recalled.revert(&undo).await.unwrap();
    assert_eq!(recalled.current(&undo).await.unwrap(), Current::AsCaptured);
}

#[tokio::test]
async fn a_power_off_that_is_taken_and_not_begun_is_no_machine_that_runs() {
    let rig = Rig::start().await;
    {
        let mut state = rig.azure.state();
        (state.looks, state.dawdles) = (5, true);
    }
    let captured = rig.capture(VM, &stop()).await.unwrap();
    power_off_and_go(&rig, &captured).await;
    assert_eq!(rig.azure.power("vm"), "running");
    let (recalled, undo) = captured.recalled();
    assert_eq!(recalled.current(&undo).await.unwrap(), Current::AsInjected);
    // It serves still.
    let words = "running, with an operation under way".to_owned();
    assert_eq!(rig.health(VM).await, (true, words));
    let refused = rig.refusal(VM, &stop()).await;
    assert!(
        refused.contains("not touched until that is over"),
        "{refused}"
    );
    recalled.revert(&undo).await.unwrap();
    assert_eq!(recalled.current(&undo).await.unwrap(), Current::AsCaptured);
    assert_eq!(rig.azure.count("POST"), 2, "it was off, and was started");
}

#[tokio::test]
async fn an_operation_of_somebody_elses_is_waited_for_before_a_machine_is_stopped() {
    let rig = Rig::start().await;
    let captured = rig.capture(VM, &stop()).await.unwrap();
    {
        // Whatever it is, the machine runs all the while.
        let mut state = rig.azure.state();
        state.dawdles = true;
        state.operate("vm", "running");
    }
    captured.fault.inject().await.unwrap();
    assert_eq!(rig.azure.power("vm"), "stopped");
}

#[tokio::test]
async fn what_azure_leaves_out_of_a_machine_is_asked_for_again() {
    let rig = Rig::start().await;
    let leave_out = || rig.azure.once("GET", "/virtualMachines/vm", untold());
    leave_out();
    let captured = rig.capture(VM, &stop()).await.unwrap();
    captured.fault.inject().await.unwrap();
    leave_out();
    assert_eq!(captured.current().await, Current::AsInjected);
    let (recalled, undo) = captured.recalled();
    leave_out();
    recalled.revert(&undo).await.unwrap();
    assert_eq!(recalled.current(&undo).await.unwrap(), Current::AsCaptured);
    leave_out();
    let environment = rig.environment(VM);
    let attached = blackstart::provider::attach(&environment, None).await;
    let health = attached.unwrap().bindings.health(&environment, "it").await;
    let error = health.unwrap_err().to_string();
    assert!(
        error.contains("does not say at the moment whether"),
        "{error}"
    );
}

#[tokio::test]
async fn nothing_is_done_to_a_machine_of_which_azure_does_not_say_whether_it_runs() {
    let rig = Rig::start().await;
    rig.azure.state().looks = 1;
    let environment = rig.environment_with(VM, ", timeout: 3s");
    let captured = capture(&environment, &stop()).await.unwrap();
    captured.fault.inject().await.unwrap();
    let set = |power| rig.azure.state().machines.get_mut("vm").unwrap().power = power;
    set("");
    let error = captured.fault.revert(&captured.undo).await.unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("does not say at the moment whether"),
        "{error}"
    );
    assert_eq!(rig.azure.count("POST"), 1);
    // What is new is somebody else's doing, and no silence.
    set("hibernated");
    captured.is_somebody_elses("the power state unknown").await;
}

#[tokio::test]
async fn a_start_that_azure_puts_off_is_asked_for_again() {
    let rig = Rig::start().await;
    let captured = rig.capture(VM, &stop()).await.unwrap();
    captured.fault.inject().await.unwrap();
    let busy = refusal(
        409,
        "OperationNotAllowed",
        "Another operation is in progress.",
    );
    rig.azure.once("POST", "/start", busy);
    let (recalled, undo) = captured.recalled();
    recalled.revert(&undo).await.unwrap();
    assert_eq!(rig.azure.power("vm"), "running");
}

#[tokio::test]
async fn the_power_state_is_what_azure_thinks_of_a_machine() {
    let rig = Rig::start().await;
    assert_eq!(rig.health(VM).await, (true, "running".to_owned()));
    rig.azure.state().machines.get_mut("vm").unwrap().power = "stopping";
    assert_eq!(rig.health(VM).await, (false, "stopping".to_owned()));
}
