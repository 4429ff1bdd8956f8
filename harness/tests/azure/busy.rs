//! Resources that somebody else is changing already: they are waited for, and then changed.

use blackstart::provider::Current;
use serde_json::json;
use wiremock::ResponseTemplate;

use crate::{
    rig::{Captured, Rig, block, capture, disable, stop},
    stand_in::refusal,
};

const NSG: &str = "network-security-group: nsg";
const ENDPOINT: &str = "front-door-profile: front, endpoint: www";
const WEBSITE: &str = "static-website: sorry";

fn under_way() -> ResponseTemplate {
    let message = "Another operation on this or dependent resource is in progress.";
    refusal(409, "AnotherOperationInProgress", message)
}

/// Reverts it, and sees that it is as it was.
async fn is_put_back(captured: &Captured) {
    let (recalled, undo) = captured.recalled();
    recalled.revert(&undo).await.unwrap();
    assert_eq!(recalled.current(&undo).await.unwrap(), Current::AsCaptured);
}

#[tokio::test]
async fn whatever_is_put_off_is_asked_for_again() {
    let rig = Rig::start().await;
    for (target, fault, method, path) in [
        (NSG, block(), "DELETE", "/securityRules/"),
        (ENDPOINT, disable(), "PATCH", "/afdEndpoints/www"),
        (WEBSITE, disable(), "PUT", "/blob/sorry"),
    ] {
        let captured = rig.capture(target, &fault).await.unwrap();
        captured.fault.inject().await.unwrap();
        let before = rig.azure.count(method);
        rig.azure.once(method, path, under_way());
        is_put_back(&captured).await;
        assert_eq!(rig.azure.count(method), before + 2, "{target}");
    }
}

#[tokio::test]
async fn an_operation_that_fails_since_another_is_under_way_is_asked_for_again() {
    let rig = Rig::start().await;
    let captured = rig.capture(NSG, &block()).await.unwrap();
    captured.fault.inject().await.unwrap();
    let operations = "/subscriptions/any/operations/99?api-version=1";
    let address = format!("{}{operations}", rig.azure.server.uri());
    let taken = ResponseTemplate::new(202)
        .insert_header("Azure-AsyncOperation", address)
        .insert_header("Retry-After", "0");
    let ended = json!({
        "status": "Failed",
        "error": { "code": "RetryableError", "message": "A retryable error occurred." },
    });
    rig.azure.once("DELETE", "/securityRules/", taken);
    let ended = ResponseTemplate::new(200).set_body_json(ended);
    rig.azure.once("GET", "/operations/99", ended);
    is_put_back(&captured).await;
    assert_eq!(rig.azure.count("DELETE"), 2);
}

#[tokio::test]
async fn what_is_busy_for_longer_than_the_environment_allows_is_told_with_the_reason() {
    let rig = Rig::start().await;
    rig.azure.state().looks = 1;
    let environment = rig.environment_with(NSG, ", timeout: 1s");
    let captured = capture(&environment, &block()).await.unwrap();
    captured.fault.inject().await.unwrap();
    rig.azure.once("DELETE", "/securityRules/", under_way());
    let error = captured.fault.revert(&captured.undo).await.unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("could not be changed within 1s")
            && error.contains("AnotherOperationInProgress")
            && error.contains("azure: timeout"),
        "{error}"
    );
}

#[tokio::test]
async fn a_conflict_that_does_not_pass_is_told_at_once() {
    let rig = Rig::start().await;
    let captured = rig.capture("virtual-machine: vm", &stop()).await.unwrap();
    let locked = refusal(
        409,
        "ScopeLocked",
        "The scope cannot perform this: it is locked.",
    );
    rig.azure.once("POST", "/powerOff", locked);
    let error = captured.fault.inject().await.unwrap_err().to_string();
    assert!(error.contains("ScopeLocked"), "{error}");
    assert_eq!(rig.azure.count("POST"), 1);
}
