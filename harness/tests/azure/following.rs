//! What Azure carries out by itself: followed to a good end, to a bad one, and no longer than is allowed.

use blackstart::provider::Current;
use wiremock::ResponseTemplate;

use crate::{
    rig::{Rig, capture, stop},
    stand_in::{End, News, refusal},
};

const VM: &str = "virtual-machine: vm";

#[tokio::test]
async fn an_operation_is_followed_by_whatever_address_it_names() {
    for news in [News::AsyncOperation, News::Location] {
        let rig = Rig::start().await;
        rig.azure.state().news = news;
        let captured = rig.capture(VM, &stop()).await.unwrap();
        captured.fault.inject().await.unwrap();
        assert_eq!(rig.azure.power("vm"), "stopped", "{news:?}");
        let looks = rig
            .azure
            .state()
            .asked
            .iter()
            .filter(|asked| asked.contains("/operations/"))
            .count();
        assert_eq!(looks, 2, "{news:?}");
    }
}

#[tokio::test]
async fn an_operation_that_fails_is_told_with_its_reason_and_can_be_put_back() {
    for news in [News::AsyncOperation, News::Location] {
        let rig = Rig::start().await;
        let captured = rig.capture(VM, &stop()).await.unwrap();
        {
            let mut state = rig.azure.state();
            (state.news, state.end) = (news, End::Fails);
        }
        let error = captured.fault.inject().await.unwrap_err().to_string();
        assert!(
            error.contains("powering off virtual-machine/vm")
                && error.contains("AllocationFailed: There is no capacity."),
            "{error}"
        );
        // Nobody knows what became of it, so whatever is found is put back.
        {
            let mut state = rig.azure.state();
            state.end = End::Succeeds;
            state.machines.get_mut("vm").unwrap().power = "stopped";
        }
        let (recalled, undo) = captured.recalled();
        recalled.revert(&undo).await.unwrap();
        assert_eq!(recalled.current(&undo).await.unwrap(), Current::AsCaptured);
    }
}

#[tokio::test]
async fn an_operation_that_does_not_end_is_given_up_when_the_environment_says() {
    let rig = Rig::start().await;
    rig.azure.state().end = End::Never;
    let environment = rig.environment_with(VM, ", timeout: 1s");
    let captured = capture(&environment, &stop()).await.unwrap();
    let error = captured.fault.inject().await.unwrap_err().to_string();
    assert!(
        error.contains("had not ended after 1s, when it was `InProgress`")
            && error.contains("azure: timeout"),
        "{error}"
    );
    // On its way is ours still.
    assert_eq!(captured.current().await, Current::AsInjected);
}

#[tokio::test]
async fn a_step_may_take_longer_than_the_operation_in_it() {
    let rig = Rig::start().await;
    let environment = rig.environment_with(VM, ", timeout: 20m");
    let captured = capture(&environment, &stop()).await.unwrap();
    let patience = captured.fault.patience().unwrap();
    // What somebody else has under way, and then what was asked for.
    assert!(patience > std::time::Duration::from_mins(40));
}

#[tokio::test]
async fn one_look_that_fails_does_not_lose_an_operation() {
    let rig = Rig::start().await;
    let captured = rig.capture(VM, &stop()).await.unwrap();
    rig.azure
        .once("GET", "/operations/", ResponseTemplate::new(502));
    captured.fault.inject().await.unwrap();
    assert_eq!(rig.azure.power("vm"), "stopped");
}

#[tokio::test]
async fn looks_that_tell_nothing_do_not_lose_an_operation_while_there_is_time() {
    let rig = Rig::start().await;
    let captured = rig.capture(VM, &stop()).await.unwrap();
    // More than one look asks.
    for _ in 0..6 {
        rig.azure
            .once("GET", "/operations/", ResponseTemplate::new(502));
    }
    for _ in 0..6 {
        let answer = refusal(429, "TooManyRequests", "Slow down.");
        rig.azure.once("GET", "/operations/", answer);
    }
    captured.fault.inject().await.unwrap();
    assert_eq!(rig.azure.power("vm"), "stopped");
}

#[tokio::test]
async fn an_operation_of_which_nothing_is_seen_is_given_up_with_the_reason() {
    let rig = Rig::start().await;
    let environment = rig.environment_with(VM, ", timeout: 4s");
    let captured = capture(&environment, &stop()).await.unwrap();
    for _ in 0..50 {
        rig.azure
            .once("GET", "/operations/", ResponseTemplate::new(502));
    }
    let error = captured.fault.inject().await.unwrap_err().to_string();
    assert!(
        error.contains("could not be seen until 4s were over") && error.contains("answered 502"),
        "{error}"
    );
}

#[tokio::test]
async fn who_may_begin_an_operation_and_not_look_at_it_is_told() {
    let rig = Rig::start().await;
    let captured = rig.capture(VM, &stop()).await.unwrap();
    let no = refusal(403, "AuthorizationFailed", "No right to operations/read.");
    rig.azure.once("GET", "/operations/", no);
    let error = captured.fault.inject().await.unwrap_err().to_string();
    assert!(
        error.contains("asking how far it is") && error.contains("operations/read"),
        "{error}"
    );
}

#[tokio::test]
async fn a_token_is_not_sent_to_an_address_elsewhere() {
    let rig = Rig::start().await;
    let captured = rig.capture(VM, &stop()).await.unwrap();
    let elsewhere = crate::stand_in::StandIn::start("nothing").await;
    let address = format!("{}/operations/1?api-version=1", elsewhere.server.uri());
    let answer = ResponseTemplate::new(202).insert_header("Azure-AsyncOperation", address);
    rig.azure.once("POST", "/powerOff", answer);
    let error = captured.fault.inject().await.unwrap_err().to_string();
    assert!(error.contains("no token is sent there"), "{error}");
    assert!(elsewhere.state().asked.is_empty());
}

#[tokio::test]
async fn an_operation_that_says_nothing_of_itself_is_told() {
    let rig = Rig::start().await;
    let captured = rig.capture(VM, &stop()).await.unwrap();
    rig.azure
        .once("POST", "/powerOff", ResponseTemplate::new(202));
    let error = captured.fault.inject().await.unwrap_err().to_string();
    assert!(
        error.contains("not where to see that it is over"),
        "{error}"
    );
}
