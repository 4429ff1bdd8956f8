//! Whoever answers instead of AWS where moto does not imitate it, with answers of the shapes that AWS documents.

use std::sync::{Arc, Mutex};

use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::any};

use crate::rig::ACCOUNT;

/// Whoever answers instead of AWS, with a state of its own.
pub(crate) async fn stand_in<S: Send + 'static>(
    state: S,
    answer: impl Fn(&mut S, &Request, &str) -> ResponseTemplate + Send + Sync + 'static,
) -> (MockServer, Arc<Mutex<S>>) {
    let server = MockServer::start().await;
    let state = Arc::new(Mutex::new(state));
    let shared = Arc::clone(&state);
    Mock::given(any())
        .respond_with(move |request: &Request| {
            let body = String::from_utf8_lossy(&request.body).into_owned();
            if body.contains("Action=GetCallerIdentity") {
                return identity();
            }
            answer(&mut shared.lock().unwrap(), request, &body)
        })
        .mount(&server)
        .await;
    (server, state)
}

fn identity() -> ResponseTemplate {
    xml(
        200,
        format!(
            "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
             <Arn>arn:aws:iam::{ACCOUNT}:user/drill</Arn><UserId>AIDAEXAMPLE</UserId><Account>{ACCOUNT}</Account>\
             </GetCallerIdentityResult></GetCallerIdentityResponse>"
        ),
    )
}

pub(crate) fn xml(status: u16, body: impl Into<String>) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_raw(body.into(), "text/xml")
}

/// An error as the query protocol has it, and nearly as EC2 has it.
pub(crate) fn refusal(status: u16, code: &str, message: &str) -> ResponseTemplate {
    xml(
        status,
        format!(
            "<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors></Response>"
        ),
    )
}

/// The values of parameters of a request whose names begin and end so, in order of their numbers.
pub(crate) fn values(body: &str, begin: &str, end: &str) -> Vec<String> {
    let pairs = form_urlencoded::parse(body.as_bytes());
    pairs
        .filter(|(name, _)| name.starts_with(begin) && name.ends_with(end))
        .map(|(_, value)| value.into_owned())
        .collect()
}

/// The only target of all environments.
pub(crate) fn it() -> String {
    "it".to_owned()
}
