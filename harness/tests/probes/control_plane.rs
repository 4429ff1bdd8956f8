//! What is said when a control plane refuses, breaks off or talks nonsense.

use std::{error::Error, time::Duration};

use blackstart::provider::{ProviderError, lab::LabProvider};
use blackstart_lab::control::{Power, Resource, ResourceKind, Settings};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{bearer_token, body_json, method, path},
};

fn web() -> Resource {
    Resource {
        kind: ResourceKind::Workload,
        name: "web".to_owned(),
    }
}

/// A control plane that answers everything with the same, and a client of it.
async fn control_plane(answer: ResponseTemplate) -> (MockServer, LabProvider) {
    install_tls();
    let server = MockServer::start().await;
    Mock::given(path("/v1/workload/web"))
        .respond_with(answer)
        .mount(&server)
        .await;
    let provider = LabProvider::new(*server.address(), "secret-token").unwrap();
    (server, provider)
}

/// The provider of TLS is the process's, and the client wants one even where it speaks none.
fn install_tls() {
    drop(rustls::crypto::ring::default_provider().install_default());
}

/// An error and its causes, as they are printed.
fn told(error: &ProviderError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[tokio::test]
async fn a_state_is_read_and_changed_with_the_token() {
    install_tls();
    let server = MockServer::start().await;
    let state = serde_json::json!({ "settings": { "power": "stopped" } });
    for (verb, body) in [
        ("GET", None),
        ("PATCH", Some(serde_json::json!({ "power": "stopped" }))),
    ] {
        let mock = Mock::given(method(verb))
            .and(path("/v1/workload/web"))
            .and(bearer_token("secret-token"));
        let mock = match body {
            Some(body) => mock.and(body_json(body)),
            None => mock,
        };
        let answer = ResponseTemplate::new(200).set_body_json(&state);
        mock.respond_with(answer).expect(1).mount(&server).await;
    }
    let provider = LabProvider::new(*server.address(), "secret-token").unwrap();
    let stopped = Settings {
        power: Some(Power::Stopped),
        ..Settings::default()
    };
    assert_eq!(provider.state(&web()).await.unwrap().settings, stopped);
    assert_eq!(
        provider.apply(&web(), &stopped).await.unwrap().settings,
        stopped
    );
}

#[tokio::test]
async fn a_refusal_says_what_was_to_be_done_and_what_the_control_plane_said() {
    for (status, message) in [
        (401, "the token is not the lab's"),
        (404, "no workload `web`; there are `was` and `worker`"),
        (422, "a workload has no health check path"),
        (500, "panicked"),
    ] {
        let answer = ResponseTemplate::new(status).set_body_string(message);
        let (server, provider) = control_plane(answer).await;
        let error = provider
            .apply(&web(), &Settings::default())
            .await
            .unwrap_err();
        assert!(
            matches!(&error, ProviderError::Refused { status: told, .. } if *told == status),
            "{error:?}"
        );
        let text = told(&error);
        for part in ["changing workload/web", &status.to_string(), message] {
            assert!(text.contains(part), "`{part}` is not in `{text}`");
        }
        assert!(!text.contains("secret-token"));
        assert_eq!(
            server.received_requests().await.unwrap().len(),
            1,
            "a change is not tried again"
        );
    }
}

#[tokio::test]
async fn a_control_plane_that_does_not_answer_in_time_is_said_to_have_timed_out() {
    let answer = ResponseTemplate::new(200).set_delay(Duration::from_mins(1));
    let (_server, provider) = control_plane(answer).await;
    let error = provider.state(&web()).await.unwrap_err();
    let text = told(&error);
    assert!(
        text.contains("reading workload/web") && text.contains("timed out"),
        "{text}"
    );
}

#[tokio::test]
async fn a_control_plane_that_is_not_there_is_said_to_refuse_connections() {
    let (server, provider) = control_plane(ResponseTemplate::new(200)).await;
    drop(server);
    let closed = LabProvider::new(crate::http::closed_address(), "secret-token").unwrap();
    drop(provider);
    let text = told(&closed.state(&web()).await.unwrap_err());
    assert!(
        text.contains("reading workload/web") && text.contains("refused"),
        "{text}"
    );
}

#[tokio::test]
async fn a_page_instead_of_json_is_said_to_be_no_answer_of_a_control_plane() {
    let page = "<!doctype html><title>Welcome to nginx!</title>";
    let answer = ResponseTemplate::new(200).set_body_raw(page, "text/html");
    let (_server, provider) = control_plane(answer).await;
    let text = told(&provider.state(&web()).await.unwrap_err());
    assert!(
        text.contains("reading workload/web") && text.contains("error decoding response body"),
        "{text}"
    );
}
