//! What is asked of Azure Resource Manager, and of a storage account: one request and its answer, patient where Azure asks for patience.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, Method, header};
use reqwest::{Url, redirect};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::{AzureError, credentials::Tokens, error::is_under_way};
use crate::{environment::AzureAccount, probe::http::tls_config};

const ENDPOINT: &str = "https://management.azure.com";
/// Where Azure Resource Manager may send a client on to: the address of a region.
const REGIONAL: &str = ".management.azure.com";
const MANAGEMENT_SCOPE: &str = "https://management.azure.com/.default";
const STORAGE_SCOPE: &str = "https://storage.azure.com/.default";
/// The version of the Blob service's API. It has static websites, and takes tokens.
const STORAGE_VERSION: &str = "2021-12-02";
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const ANSWER_LIMIT: Duration = Duration::from_secs(15);
/// How often one thing is asked.
const ATTEMPTS: u32 = 5;
/// From one attempt to the next where the answer does not say.
const PAUSE: Duration = Duration::from_millis(500);
/// The shortest pause once something was asked that often: Azure counts.
const LONG_PAUSE: Duration = Duration::from_secs(2);
/// Whoever is to wait longer than this is told, and waits no more; but for one who is patient.
const PATIENCE: Duration = Duration::from_secs(15);
/// How much is shown of an answer that has no error in it.
const SHOWN: usize = 200;

/// A subscription and how to talk to it.
#[derive(Clone)]
pub(super) struct Connection {
    pub(super) account: AzureAccount,
    endpoint: Url,
    client: reqwest::Client,
    tokens: Arc<Tokens>,
    /// Until when Azure is waited for that wants to be left alone; if it is not said, for [`PATIENCE`].
    patient_until: Option<Instant>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

/// What is to be asked.
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    pub(super) address: Url,
    /// What is done, in words.
    pub(super) what: &'a str,
    pub(super) body: Body,
    /// The version that is to be written over, if the thing has versions.
    pub(super) if_match: Option<String>,
}

/// What is sent along.
pub(super) enum Body {
    Nothing,
    Json(Value),
    /// For a storage account.
    Xml(String),
}

/// What was answered, with a yes.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) address: Url,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Answer {
    /// The body; null for none.
    pub(super) fn json(&self, what: &str) -> Result<Value, AzureError> {
        if self.text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&self.text).map_err(|error| AzureError::Answer {
            what: what.to_owned(),
            reason: error.to_string(),
        })
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// How long Azure wants to be left alone, if it says so.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        retry_after(&self.headers)
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    seconds.trim().parse().ok().map(Duration::from_secs)
}

impl Connection {
    /// Gets ready to talk to a subscription. Nothing is asked of it.
    pub(super) fn open(account: &AzureAccount) -> Result<Self, AzureError> {
        let failed = |error: &dyn std::error::Error| AzureError::Client(error.to_string());
        let tls = tls_config(None).map_err(|error| failed(&error))?;
        let mut client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT_LIMIT)
            .timeout(ANSWER_LIMIT)
            .user_agent(concat!("blackstart/", env!("CARGO_PKG_VERSION")));
        let endpoint = account.stand_in.as_ref();
        if endpoint.is_some() {
            client = client.no_proxy();
        }
        let client = client.build().map_err(|error| failed(&error))?;
        let endpoint = endpoint.map_or(ENDPOINT, |stand_in| stand_in.endpoint.as_str());
        Ok(Self {
            account: account.clone(),
            endpoint: Url::parse(endpoint).map_err(|error| failed(&error))?,
            tokens: Arc::new(Tokens::open(account, &client)?),
            client,
            patient_until: None,
        })
    }

    /// The same for what has to be done, and may take as long as the account allows: it waits for Azure that wants to be left alone.
    pub(super) fn patient(&self) -> Self {
        Self {
            patient_until: Some(Instant::now() + self.account.timeout),
            ..self.clone()
        }
    }

    /// Until when something is waited for.
    pub(super) fn deadline(&self, unless_patient: Duration) -> Instant {
        let usual = || Instant::now() + unless_patient;
        self.patient_until.unwrap_or_else(usual)
    }

    /// The address of a resource, or of something to do with it.
    pub(super) fn address(&self, path: &str, version: &str) -> Url {
        let mut address = self.endpoint.clone();
        address.set_path(path);
        address
            .query_pairs_mut()
            .append_pair("api-version", version);
        address
    }

    /// Reads something; `None` if it is not there.
    pub(super) async fn get(
        &self,
        path: &str,
        version: &str,
        what: &str,
    ) -> Result<Option<Value>, AzureError> {
        self.get_at(self.address(path, version), what).await
    }

    pub(super) async fn get_at(
        &self,
        address: Url,
        what: &str,
    ) -> Result<Option<Value>, AzureError> {
        let what = format!("reading {what}");
        let asked = self.ask(Ask {
            method: Method::GET,
            address,
            what: &what,
            body: Body::Nothing,
            if_match: None,
        });
        match asked.await {
            Ok(answer) => answer.json(&what).map(Some),
            Err(AzureError::Refused { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Everything in a list, page by page.
    pub(super) async fn list(
        &self,
        path: &str,
        version: &str,
        what: &str,
    ) -> Result<Vec<Value>, AzureError> {
        let mut found = Vec::new();
        let mut next = Some(self.address(path, version));
        while let Some(address) = next {
            let mut page = self.get_at(address, what).await?.unwrap_or_default();
            if let Some(values) = page["value"].as_array_mut() {
                found.append(values);
            }
            next = match page["nextLink"].as_str() {
                Some(link) => Some(Url::parse(link).map_err(|error| AzureError::Answer {
                    what: format!("reading {what}"),
                    reason: format!("`nextLink` is no address: {error}"),
                })?),
                None => None,
            };
        }
        Ok(found)
    }

    /// Asks Azure Resource Manager.
    pub(super) async fn ask(&self, ask: Ask<'_>) -> Result<Answer, AzureError> {
        self.must_be_ours(&ask)?;
        self.send(&ask, MANAGEMENT_SCOPE).await
    }

    /// Asks a storage account, whose address Azure Resource Manager has told.
    pub(super) async fn ask_storage(&self, ask: Ask<'_>) -> Result<Answer, AzureError> {
        if self.account.stand_in.is_none() && ask.address.scheme() != "https" {
            return Err(foreign(&ask));
        }
        self.send(&ask, STORAGE_SCOPE).await
    }

    /// Refuses to send a token anywhere but to Azure Resource Manager: an operation's address comes from an answer.
    fn must_be_ours(&self, ask: &Ask<'_>) -> Result<(), AzureError> {
        let address = &ask.address;
        let is_same = address.origin() == self.endpoint.origin();
        let is_regional = self.account.stand_in.is_none()
            && address.scheme() == "https"
            && address.port().is_none()
            && address
                .host_str()
                .is_some_and(|host| host.ends_with(REGIONAL));
        if is_same || is_regional {
            return Ok(());
        }
        Err(foreign(ask))
    }

    async fn send(&self, ask: &Ask<'_>, scope: &'static str) -> Result<Answer, AzureError> {
        let (mut attempt, began) = (1, Instant::now());
        loop {
            let pause = match self.send_once(ask, scope).await {
                Err(AzureError::Unreachable { .. })
                    if ask.method == Method::GET
                        && attempt < ATTEMPTS
                        && began.elapsed() < PATIENCE =>
                {
                    PAUSE
                }
                Err(error) => return Err(error),
                Ok(answer) if answer.status < 400 => return Ok(answer),
                Ok(answer) => {
                    // What only reads may be asked again whatever became of it; what Azure has not taken, too.
                    let is_worth_another = matches!(answer.status, 429 | 503)
                        || (answer.status >= 500 && ask.method == Method::GET);
                    let mut pause = answer.retry_after().unwrap_or(PAUSE);
                    let is_asked_for = matches!(answer.status, 429 | 503);
                    let is_over = match self.patient_until {
                        Some(until) if is_asked_for => {
                            if attempt >= ATTEMPTS {
                                pause = pause.max(LONG_PAUSE);
                            }
                            Instant::now() + pause > until
                        }
                        Some(_) | None => pause > PATIENCE || attempt >= ATTEMPTS,
                    };
                    if answer.status == 429 && is_over && !says_under_way(&answer) {
                        return Err(AzureError::Throttled {
                            what: ask.what.to_owned(),
                            wait: pause,
                        });
                    }
                    if is_over || !is_worth_another {
                        return Err(refused(ask.what, &answer));
                    }
                    pause
                }
            };
            attempt += 1;
            sleep(pause).await;
        }
    }

    async fn send_once(&self, ask: &Ask<'_>, scope: &'static str) -> Result<Answer, AzureError> {
        let unreachable = |source: reqwest::Error| AzureError::Unreachable {
            what: ask.what.to_owned(),
            source: source.without_url(),
        };
        let token = self.tokens.token(scope).await?;
        let mut request = self
            .client
            .request(ask.method.clone(), ask.address.clone())
            .bearer_auth(token.secret());
        if let Some(version) = &ask.if_match {
            request = request.header(header::IF_MATCH, version);
        }
        if scope == STORAGE_SCOPE {
            request = request.header("x-ms-version", STORAGE_VERSION);
        }
        request = match &ask.body {
            // Azure wants to be told the length of nothing, too.
            Body::Nothing if ask.method == Method::POST => {
                request.header(header::CONTENT_LENGTH, 0)
            }
            Body::Nothing => request,
            Body::Json(body) => request.json(body),
            Body::Xml(body) => request
                .header(header::CONTENT_TYPE, "application/xml")
                .body(body.clone()),
        };
        let response = request.send().await.map_err(unreachable)?;
        Ok(Answer {
            status: response.status().as_u16(),
            address: ask.address.clone(),
            headers: response.headers().clone(),
            text: response.text().await.map_err(unreachable)?,
        })
    }
}

fn foreign(ask: &Ask<'_>) -> AzureError {
    let mut address = ask.address.clone();
    address.set_query(None);
    AzureError::ForeignAddress {
        what: ask.what.to_owned(),
        address: address.to_string(),
    }
}

/// Whether an answer says that something else is being done to what it is about.
fn says_under_way(answer: &Answer) -> bool {
    let (code, _) = error_in(&answer.text);
    is_under_way(&code)
}

/// An answer of no.
pub(super) fn refused(what: &str, answer: &Answer) -> AzureError {
    let (code, message) = error_in(&answer.text);
    let what = what.to_owned();
    let message = if code.is_empty() {
        message
    } else {
        format!("{code}: {message}")
    };
    match answer.status {
        401 => AzureError::Unauthenticated { what, message },
        403 => AzureError::Forbidden { what, message },
        status => AzureError::Refused {
            what,
            status,
            code,
            message,
        },
    }
}

/// The code and the message of an error, in the shape of Azure Resource Manager or that of storage.
pub(super) fn error_in(text: &str) -> (String, String) {
    if let Ok(body) = serde_json::from_str::<Value>(text) {
        return error_of(&body);
    }
    if let (Some(code), Some(message)) = (between(text, "Code"), between(text, "Message")) {
        return (code.to_owned(), first_line(message));
    }
    (String::new(), first_line(text))
}

/// The same, of a body that was read already, or of the state of an operation.
pub(super) fn error_of(body: &Value) -> (String, String) {
    let error = body.get("error").unwrap_or(body);
    let text = |key: &str| error[key].as_str().unwrap_or_default();
    let details = error["details"].as_array().into_iter().flatten();
    let details = details.filter_map(|detail| detail["message"].as_str());
    let mut message = text("message").to_owned();
    for detail in details.filter(|detail| !text("message").contains(detail)) {
        message.push_str(" / ");
        message.push_str(detail);
    }
    (text("code").to_owned(), first_line(&message))
}

fn between<'t>(text: &'t str, tag: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(&format!("<{tag}>"))?;
    let (inside, _) = rest.split_once(&format!("</{tag}>"))?;
    Some(inside)
}

/// The first line of a text, so much of it as fits into a message.
fn first_line(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    if line.is_empty() {
        return "nothing more is said".to_owned();
    }
    if line.chars().count() <= SHOWN {
        return line.to_owned();
    }
    line.chars().take(SHOWN).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_read_in_each_of_their_shapes() {
        let of = |text: &str| {
            let (code, message) = error_in(text);
            format!("{code} | {message}")
        };
        assert_eq!(
            of(
                r#"{"error":{"code":"Conflict","message":"Busy.","details":[{"code":"X","message":"The disk is busy."}]}}"#
            ),
            "Conflict | Busy. / The disk is busy."
        );
        assert_eq!(
            of(r#"{"code":"AuthorizationFailed","message":"No."}"#),
            "AuthorizationFailed | No."
        );
        assert_eq!(
            of(
                "<?xml version=\"1.0\"?><Error><Code>AuthorizationPermissionMismatch</Code><Message>Not you.\nRequestId:1</Message></Error>"
            ),
            "AuthorizationPermissionMismatch | Not you."
        );
        assert_eq!(of("<html>\n<h1>Proxy</h1>"), " | <html>");
        assert_eq!(of(""), " | nothing more is said");
    }

    fn connection(stand_in: bool) -> Result<(), AzureError> {
        let account = AzureAccount {
            stand_in: stand_in.then(|| crate::environment::AzureStandIn {
                endpoint: "http://127.0.0.1:1".to_owned(),
                token_variable: "BLACKSTART_NO_SUCH_VARIABLE".to_owned(),
            }),
            ..AzureAccount::default()
        };
        Connection::open(&account).map(|_| ())
    }

    #[test]
    fn a_stand_in_without_its_token_is_told_by_the_variables_name() {
        let error = connection(true).unwrap_err().to_string();
        assert!(error.contains("BLACKSTART_NO_SUCH_VARIABLE"), "{error}");
    }
}
