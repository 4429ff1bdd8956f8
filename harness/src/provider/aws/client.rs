//! Asking AWS: requests are made, signed, paced, sent, and sent again where that does no harm.

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, SharedCredentialsProvider},
};
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use form_urlencoded::Serializer;
use http::Method;
use serde_json::Value;
use tokio::time::{Instant, sleep, sleep_until};

use super::{
    AwsError,
    answer::{Complaint, Element, title_of_page},
    service::Service,
};
use crate::environment::AwsAccount;

/// How long a service may take to take a connection, and to answer.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const ANSWER_LIMIT: Duration = Duration::from_secs(15);
/// How long something is tried that a service turns down for now: less than a revert may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// The longest wait before something is tried again doubles from the first of these to the second.
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// Answers are read up to here.
const ANSWER_BYTES: usize = 16 * 1024 * 1024;
/// How many pages are read of a list.
const PAGES: usize = 200;
/// Credentials that end within this time are fetched anew.
const RENEWED_BEFORE: Duration = Duration::from_mins(5);

/// When each service may be asked next, by its address and its name. It is one for the whole process: a service that has one address for
/// all regions has one limit for them as well.
static NEXT: Mutex<BTreeMap<(String, &str), Instant>> = Mutex::new(BTreeMap::new());

/// What asks AWS for one account and region.
pub(super) struct Client {
    http: reqwest::Client,
    provider: SharedCredentialsProvider,
    /// Those that were fetched last: a provider may ask others for each.
    credentials: tokio::sync::Mutex<Option<Credentials>>,
    /// As it is found again.
    account: AwsAccount,
    region: String,
    /// How long something is tried that is turned down for now.
    patience: Duration,
}

/// Whether something may be asked twice without knowing what became of the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Read,
    Write,
}

/// A request before it is signed.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) service: &'static Service,
    pub(super) kind: Kind,
    /// What is asked, for messages.
    pub(super) what: &'a str,
    pub(super) method: Method,
    /// The path with the query, encoded.
    pub(super) path: &'a str,
    pub(super) content_type: Option<&'static str>,
    pub(super) body: String,
}

/// What came of one attempt.
enum Failure {
    /// It was not begun: it may be asked again, whatever it is.
    NotBegun(AwsError),
    /// It may have been done.
    Unknown(AwsError),
    /// There is no use in asking again.
    Final(AwsError),
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A client for an account and region, both resolved. Nothing is asked.
    pub(super) fn new(
        account: &AwsAccount,
        region: &str,
        provider: SharedCredentialsProvider,
    ) -> Result<Self, AwsError> {
        // The client wants the process to have a provider of TLS; one that was chosen already is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_LIMIT)
            .timeout(ANSWER_LIMIT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("blackstart/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|source| AwsError::Client {
                account: Box::new(account.clone()),
                source,
            })?;
        Ok(Self {
            http,
            provider,
            credentials: tokio::sync::Mutex::default(),
            account: account.clone(),
            region: region.to_owned(),
            patience: PATIENCE,
        })
    }

    pub(super) fn region(&self) -> &str {
        &self.region
    }

    /// Asks a service of the query protocol to do something.
    pub(super) async fn query(
        &self,
        service: &'static Service,
        (kind, action): (Kind, &str),
        what: &str,
        parameters: &[(String, String)],
    ) -> Result<Element, AwsError> {
        let body = Serializer::new(String::new())
            .append_pair("Action", action)
            .append_pair("Version", service.version)
            .extend_pairs(parameters)
            .finish();
        let request = Request {
            service,
            kind,
            what,
            method: Method::POST,
            path: "/",
            content_type: Some("application/x-www-form-urlencoded; charset=utf-8"),
            body,
        };
        let text = self.send(&request).await?;
        self.element(&request, &text)
    }

    /// Asks a service of the query protocol for every page of a list. `token` names the element that says where the next begins, and
    /// the parameter that asks for it.
    pub(super) async fn pages(
        &self,
        service: &'static Service,
        action: &str,
        what: &str,
        parameters: &[(String, String)],
        (element, parameter): (&str, &str),
    ) -> Result<Vec<Element>, AwsError> {
        let mut pages: Vec<Element> = Vec::new();
        let mut parameters = parameters.to_vec();
        loop {
            let page = self
                .query(service, (Kind::Read, action), what, &parameters)
                .await?;
            let next = page
                .find(element)
                .map(|next| next.own_text.trim().to_owned());
            pages.push(page);
            let Some(next) = next.filter(|next| !next.is_empty()) else {
                return Ok(pages);
            };
            if pages.len() >= PAGES {
                return Err(AwsError::NotPossible {
                    resource: what.to_owned(),
                    problem: format!("has more than {PAGES} pages"),
                });
            }
            parameters.retain(|(name, _)| name != parameter);
            parameters.push((parameter.to_owned(), next));
        }
    }

    /// Asks a service that takes and answers XML.
    pub(super) async fn rest_xml(&self, request: &Request<'_>) -> Result<Element, AwsError> {
        let text = self.send(request).await?;
        self.element(request, &text)
    }

    /// Asks a service that takes and answers JSON.
    pub(super) async fn rest_json(&self, request: &Request<'_>) -> Result<Value, AwsError> {
        let text = self.send(request).await?;
        if text.trim().is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text)
            .map_err(|error| self.unreadable(request, 200, error.to_string()))
    }

    fn element(&self, request: &Request<'_>, text: &str) -> Result<Element, AwsError> {
        Element::parse(text).map_err(|reason| self.unreadable(request, 200, reason))
    }

    fn unreadable(&self, request: &Request<'_>, status: u16, reason: String) -> AwsError {
        AwsError::Unreadable {
            what: request.what.to_owned(),
            server: self.server(request.service).0,
            status,
            reason,
        }
    }

    /// Where a service is, and the region that requests to it are signed for.
    fn server(&self, service: &Service) -> (String, String) {
        let (address, signed_for) = service.place(&self.region);
        let endpoint = self.account.endpoint.clone();
        (endpoint.unwrap_or(address), signed_for)
    }

    /// Sends a request, again where it was not begun or changes nothing, until patience ends. The waits are random, so that several
    /// who were turned down together do not come back together.
    async fn send(&self, request: &Request<'_>) -> Result<String, AwsError> {
        let deadline = Instant::now() + self.patience;
        let (mut attempts, mut longest) = (1, FIRST_WAIT);
        loop {
            self.pace(request.service).await;
            let error = match self.once(request).await {
                Ok(text) => return Ok(text),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Unknown(error)) if request.kind == Kind::Write => return Err(error),
                Err(Failure::Unknown(error) | Failure::NotBegun(error)) => error,
            };
            let wait = longest.mul_f64(fastrand::f64());
            if Instant::now() + wait > deadline {
                return Err(error.after(attempts));
            }
            sleep(wait).await;
            longest = (longest * 2).min(LONGEST_WAIT);
            attempts += 1;
        }
    }

    /// Waits for this request's turn.
    async fn pace(&self, service: &'static Service) {
        let turn = {
            let mut next = NEXT.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let which = (self.server(service).0, service.signing_name);
            let turn = next.get(&which).map_or(now, |turn| now.max(*turn));
            next.insert(which, turn + service.pace);
            turn
        };
        sleep_until(turn).await;
    }

    async fn once(&self, request: &Request<'_>) -> Result<String, Failure> {
        let (server, region) = self.server(request.service);
        let signed = self
            .signed(request, &server, &region)
            .await
            .map_err(Failure::Final)?;
        let unreachable = |source: reqwest::Error| AwsError::Unreachable {
            what: request.what.to_owned(),
            server: server.clone(),
            source: source.without_url(),
        };
        let mut response = match self.http.execute(signed).await {
            Ok(response) => response,
            Err(error) if error.is_connect() => {
                return Err(Failure::NotBegun(unreachable(error)));
            }
            Err(error) => return Err(Failure::Unknown(unreachable(error))),
        };
        let status = response.status().as_u16();
        let header = |name: &str| {
            let value = response.headers().get(name)?;
            value.to_str().ok().map(str::to_owned)
        };
        let (error_type, content_type) = (
            header("x-amzn-errortype"),
            header("content-type").unwrap_or_default(),
        );
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => break,
                Err(error) => return Err(Failure::Unknown(unreachable(error))),
            }
            if body.len() > ANSWER_BYTES {
                let reason = format!("it is longer than {ANSWER_BYTES} bytes");
                return Err(Failure::Final(self.unreadable(request, status, reason)));
            }
        }
        let text = String::from_utf8_lossy(&body).into_owned();
        if let Some(title) = title_of_page(&content_type, &text) {
            let page = AwsError::WebPage {
                what: request.what.to_owned(),
                server,
                status,
                title,
            };
            // That of a proxy in front of the service, when it is overloaded, goes away.
            return Err(if status >= 500 {
                Failure::Unknown(page)
            } else {
                Failure::Final(page)
            });
        }
        if (200..300).contains(&status) {
            return Ok(text);
        }
        Err(self.refusal(request, status, error_type.as_deref(), &text))
    }

    /// What it means that a service said no.
    fn refusal(
        &self,
        request: &Request<'_>,
        status: u16,
        error_type: Option<&str>,
        text: &str,
    ) -> Failure {
        let complaint = Complaint::of_xml(text).or_else(|| Complaint::of_json(error_type, text));
        let Some(complaint) = complaint else {
            let error = self.unreadable(request, status, "it is no error of AWS".to_owned());
            return if status >= 500 {
                Failure::Unknown(error)
            } else {
                Failure::Final(error)
            };
        };
        let error = AwsError::of(complaint, request.what, status, &self.account);
        if matches!(error, AwsError::Throttled { .. }) {
            Failure::NotBegun(error)
        } else if status >= 500 {
            Failure::Unknown(error)
        } else {
            Failure::Final(error)
        }
    }

    async fn signed(
        &self,
        request: &Request<'_>,
        server: &str,
        region: &str,
    ) -> Result<reqwest::Request, AwsError> {
        let not_signed = |reason: String| AwsError::NotSigned {
            what: request.what.to_owned(),
            reason,
        };
        let identity = self.credentials().await?.into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name(request.service.signing_name)
            .time(SystemTime::from(jiff::Timestamp::now()))
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| not_signed(error.to_string()))?
            .into();
        let address = format!("{server}{}", request.path);
        let content_type = request.content_type.map(|value| ("content-type", value));
        let signable = SignableRequest::new(
            request.method.as_str(),
            &address,
            content_type.into_iter(),
            SignableBody::Bytes(request.body.as_bytes()),
        )
        .map_err(|error| not_signed(error.to_string()))?;
        let (instructions, _) = sign(signable, &parameters)
            .map_err(|error| not_signed(error.to_string()))?
            .into_parts();
        let mut unsigned = http::Request::builder()
            .method(request.method.clone())
            .uri(&address);
        if let Some((name, value)) = content_type {
            unsigned = unsigned.header(name, value);
        }
        let mut unsigned = unsigned
            .body(request.body.clone())
            .map_err(|error| not_signed(error.to_string()))?;
        instructions.apply_to_request_http1x(&mut unsigned);
        reqwest::Request::try_from(unsigned).map_err(|error| not_signed(error.to_string()))
    }

    /// The credentials, fetched if there are none or they end soon.
    pub(super) async fn credentials(&self) -> Result<Credentials, AwsError> {
        let mut kept = self.credentials.lock().await;
        let soon = SystemTime::from(jiff::Timestamp::now()) + RENEWED_BEFORE;
        if let Some(credentials) = &*kept
            && credentials.expiry().is_none_or(|expiry| expiry > soon)
        {
            return Ok(credentials.clone());
        }
        let fetched = self.provider.provide_credentials().await;
        let fetched = fetched.map_err(|source| AwsError::NoCredentials {
            account: Box::new(self.account.clone()),
            source: Box::new(source),
        })?;
        *kept = Some(fetched.clone());
        Ok(fetched)
    }
}

/// Parameters of the query protocol.
pub(super) fn parameters<const N: usize>(pairs: [(&str, &str); N]) -> Vec<(String, String)> {
    let pairs = pairs.into_iter();
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}
