//! Everything that Azure, and what is in between, can say but yes.

use blackstart::{
    provider::{self, Current},
    source::process_variable,
};
use wiremock::ResponseTemplate;

use crate::{
    rig::{Rig, block, capture, disable, environment_at, stop},
    stand_in::refusal,
};

const VM: &str = "virtual-machine: vm";

#[tokio::test]
async fn what_is_not_there_is_named_with_what_shows_what_there_is() {
    let rig = Rig::start().await;
    let missing = [
        ("virtual-machine: none", stop()),
        ("network-security-group: none", block()),
        ("traffic-manager-profile: none, endpoint: vm", disable()),
        (
            "traffic-manager-profile: profile, endpoint: none",
            disable(),
        ),
        ("front-door-profile: front, endpoint: none", disable()),
        ("static-website: none", disable()),
    ];
    for (target, fault) in missing {
        let words = rig.refusal(target, &fault).await;
        assert!(
            words.contains("there is no ")
                && words.contains("none")
                && words.contains("`az resource list --subscription"),
            "{target}: {words}"
        );
    }
}

#[tokio::test]
async fn who_may_not_is_told_what_shows_what_is_needed() {
    let rig = Rig::start().await;
    let message = "The client does not have authorization to perform action 'Microsoft.Compute/virtualMachines/read'.";
    rig.azure.once(
        "GET",
        "/virtualMachines/vm",
        refusal(403, "AuthorizationFailed", message),
    );
    let words = rig.refusal(VM, &stop()).await;
    assert!(
        words.contains("AuthorizationFailed")
            && words.contains("virtualMachines/read")
            && words.contains("plan --permissions"),
        "{words}"
    );
}

#[tokio::test]
async fn who_is_not_known_is_told_to_log_in() {
    let rig = Rig::start().await;
    let expired = refusal(401, "ExpiredAuthenticationToken", "The token is expired.");
    rig.azure.once("GET", "/virtualMachines/vm", expired);
    let words = rig.refusal(VM, &stop()).await;
    assert!(
        words.contains("does not know who asks") && words.contains("log in again"),
        "{words}"
    );
    let token = process_variable(crate::rig::TOKEN_VARIABLE).unwrap();
    assert!(!words.contains(&token));
}

#[tokio::test]
async fn who_asks_too_much_waits_as_long_as_azure_says() {
    let rig = Rig::start().await;
    let busy = || refusal(429, "TooManyRequests", "Slow down.").insert_header("Retry-After", "1");
    for (method, path) in [
        ("GET", "/virtualMachines/vm"),
        ("POST", "/powerOff"),
        ("GET", "/operations/"),
    ] {
        rig.azure.once(method, path, busy());
    }
    let began = tokio::time::Instant::now();
    let captured = rig.capture(VM, &stop()).await.unwrap();
    captured.fault.inject().await.unwrap();
    assert!(began.elapsed() >= std::time::Duration::from_secs(3));
    assert_eq!(rig.azure.power("vm"), "stopped");
    assert_eq!(rig.azure.count("POST"), 2);
}

#[tokio::test]
async fn who_is_to_wait_too_long_is_told_for_how_long() {
    let rig = Rig::start().await;
    let busy = refusal(429, "TooManyRequests", "Slow down.").insert_header("Retry-After", "300");
    rig.azure.once("GET", "/virtualMachines/vm", busy);
    let words = rig.refusal(VM, &stop()).await;
    assert!(words.contains("left alone for 300s"), "{words}");
    assert_eq!(rig.azure.count("GET"), 1);
}

#[tokio::test]
async fn what_puts_back_waits_for_azure_that_is_asked_too_much() {
    let rig = Rig::start().await;
    let captured = rig.capture(VM, &stop()).await.unwrap();
    captured.fault.inject().await.unwrap();
    let (recalled, undo) = captured.recalled();
    // Once more than anybody else would ask.
    let busy = |method, path| {
        for _ in 0..6 {
            let answer = refusal(429, "TooManyRequests", "Slow down.");
            rig.azure.once(method, path, answer);
        }
    };
    busy("GET", "/virtualMachines/vm");
    assert_eq!(recalled.current(&undo).await.unwrap(), Current::AsInjected);
    busy("POST", "/start");
    recalled.revert(&undo).await.unwrap();
    assert_eq!(rig.azure.power("vm"), "running");
}

#[tokio::test]
async fn what_is_no_answer_of_azure_is_shown() {
    let rig = Rig::start().await;
    let page = "<html><h1>The proxy says no</h1></html>";
    rig.azure.once(
        "GET",
        "/virtualMachines/vm",
        ResponseTemplate::new(400).set_body_raw(page, "text/html"),
    );
    let words = rig.refusal(VM, &stop()).await;
    assert!(
        words.contains("answered 400: <html><h1>The proxy"),
        "{words}"
    );
    rig.azure.once(
        "GET",
        "/virtualMachines/vm",
        ResponseTemplate::new(200).set_body_raw(page, "text/html"),
    );
    let words = rig.refusal(VM, &stop()).await;
    assert!(words.contains("cannot be understood"), "{words}");
}

#[tokio::test]
async fn a_stand_in_that_is_not_there_does_not_answer() {
    // Nobody listens at a port that was just free.
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = port.local_addr().unwrap();
    drop(port);
    let endpoint = format!("http://{address}");
    let environment = environment_at(&endpoint, crate::rig::TOKEN_VARIABLE);
    let Err(error) = capture(&environment, &stop()).await else {
        panic!("somebody answers")
    };
    let error = error.to_string();
    assert!(error.contains("Azure does not answer"), "{error}");
}

#[tokio::test]
async fn a_plan_says_which_credentials_are_missing_and_asks_nobody() {
    let environment = environment_at("http://127.0.0.1:1", "BLACKSTART_NO_SUCH_VARIABLE");
    let needs = provider::needs(&environment);
    assert_eq!(needs.len(), 1);
    assert_eq!(
        needs[0].missing,
        ["the variable `BLACKSTART_NO_SUCH_VARIABLE` is not set"]
    );
    let error = provider::attach(&environment, None).await.unwrap_err();
    assert!(error.to_string().contains("BLACKSTART_NO_SUCH_VARIABLE"));
}
