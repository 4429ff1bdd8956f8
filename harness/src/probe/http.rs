//! Sending a request once, as `curl -w` does: resolve, connect, TLS, first byte, end, each with its time.
//!
//! hyper is driven by hand here, because every pooled client hides a failover: it keeps connections, looks names up when it
//! likes, tries other addresses, follows redirects, and sends again what failed.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use blackstart_lab::model::dns::ipv4_behind;
use bytes::Bytes;
use hickory_proto::rr::Name;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{client::conn::http1, header};
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{Instant, timeout_at},
};
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

use super::{Answer, BoxFuture, Look, Probe, Recognition, Trouble, classify, contains, dns};
use crate::{
    environment::{Connection, DnsCache, Family},
    timeline::{ErrorClass, VoidReason},
};

/// As much of a body is read as recognising a tier and finding texts is promised to look at.
const BODY_LIMIT: usize = 64 * 1024;
/// As much of a header's value is recorded.
const HEADER_LIMIT: usize = 200;

/// Where a probe's host is to be found.
#[derive(Debug, Clone)]
pub enum Resolution {
    /// The host is an address.
    Address(IpAddr),
    /// A resolver is asked.
    Ask(Asking),
}

/// How a resolver is asked, and what becomes of its answers.
#[derive(Debug, Clone)]
pub struct Asking {
    /// The resolver.
    pub server: SocketAddr,
    /// The name asked for.
    pub name: Name,
    /// The addresses asked for.
    pub family: Family,
    /// How long an answer is kept.
    pub cache: DnsCache,
    /// How many times as fast as the wall's clock answers age.
    pub speed: f64,
    /// Whether IPv6 addresses are a lab's, which lead to its IPv4 sockets.
    pub in_lab: bool,
}

impl Asking {
    /// Asks for the IPv4 addresses of a name for every new connection, as the service's users do without a cache of their own.
    pub fn anew(server: SocketAddr, name: Name) -> Self {
        Self {
            server,
            name,
            family: Family::Ipv4,
            cache: DnsCache::None,
            speed: 1.0,
            in_lab: false,
        }
    }
}

/// A probe that sends a request.
pub struct HttpProbe {
    /// Where the host is found.
    pub resolution: Resolution,
    /// The real port to connect to.
    pub port: u16,
    /// TLS and the name to present, for `https`.
    pub tls: Option<(TlsConnector, ServerName<'static>)>,
    /// The Host header.
    pub host: String,
    /// The request.
    pub request: crate::environment::Request,
    /// The name of the run, for `{run}` in form fields.
    pub run: String,
    /// The real time-out.
    pub timeout: Duration,
    /// What becomes of the connection.
    pub connection: Connection,
    /// Who answers.
    pub recognition: Recognition,
    /// Names of headers to record.
    pub headers: Vec<String>,
    /// Texts to look for in the body.
    pub texts: Vec<String>,
    /// Connections to use again, and how many addresses were used, so that each of several is asked in turn.
    pub kept: Kept,
}

/// What a probe keeps from one look to the next.
#[derive(Default)]
pub struct Kept {
    idle: Mutex<Vec<Open>>,
    /// What the resolver answered, and until when it is kept.
    answer: Mutex<Option<(dns::DnsAnswer, Option<Instant>)>>,
    turn: AtomicU64,
}

/// An open connection.
struct Open {
    sender: http1::SendRequest<Full<Bytes>>,
    address: IpAddr,
    certificate: Vec<String>,
    /// Drives the connection, and ends with it.
    _driver: AbortOnDropHandle<()>,
}

impl std::fmt::Debug for HttpProbe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpProbe")
            .field("host", &self.host)
            .field("request", &self.request.method)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept").finish_non_exhaustive()
    }
}

impl Kept {
    fn fresh(&self) -> Option<dns::DnsAnswer> {
        let kept = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        let (answer, until) = kept.as_ref()?;
        until
            .is_none_or(|until| Instant::now() < until)
            .then(|| answer.clone())
    }
}

impl Probe for HttpProbe {
    fn look(&self, seq: u64) -> BoxFuture<'_, Look> {
        Box::pin(async move {
            let mut look = Look::default();
            if let Err((trouble, detail)) = self.look_into(seq, &mut look).await {
                look.trouble = Some(trouble);
                look.detail = Some(detail);
            }
            look
        })
    }
}

type Failure = (Trouble, String);

fn bad(class: ErrorClass, detail: impl Into<String>) -> Failure {
    (Trouble::Bad(class), detail.into())
}

impl HttpProbe {
    async fn look_into(&self, seq: u64, look: &mut Look) -> Result<(), Failure> {
        let deadline = Instant::now() + self.timeout;
        let mut open = match self.take_idle() {
            Some(open) => open,
            None => self.open(deadline, look).await?,
        };
        look.address = Some(open.address);
        let request = self.build(seq)?;
        let sent = timeout_at(deadline, open.sender.send_request(request)).await;
        let response = sent
            .map_err(|_| {
                bad(
                    ErrorClass::ResponseTimeout,
                    format!("connected, no answer within {:?}", self.timeout),
                )
            })?
            .map_err(|error| http_failure(&error))?;
        look.first_byte = Some(Instant::now());
        look.status = Some(response.status().as_u16());
        let (head, mut body) = response.into_parts();
        let mut bytes = Vec::new();
        let mut complete = true;
        let whole = async {
            while let Some(frame) = body.frame().await {
                if let Ok(data) = frame.map_err(|error| http_failure(&error))?.into_data() {
                    bytes.extend_from_slice(&data);
                }
                if bytes.len() >= BODY_LIMIT {
                    // What came in the same packet as the limit does not count, or what is found would depend on the packets.
                    bytes.truncate(BODY_LIMIT);
                    complete = false;
                    break;
                }
            }
            Ok(())
        };
        timeout_at(deadline, whole).await.map_err(|_| {
            bad(
                ErrorClass::ResponseTimeout,
                format!("the answer did not end within {:?}", self.timeout),
            )
        })??;
        look.tier = self.recognition.of_answer(Answer {
            headers: &head.headers,
            body: &bytes,
            certificate: &open.certificate,
        });
        look.headers = self
            .headers
            .iter()
            .filter_map(|name| recorded(&head.headers, name))
            .collect();
        look.found = self
            .texts
            .iter()
            .filter(|text| contains(&bytes, text.as_bytes()))
            .cloned()
            .collect();
        if self.connection == Connection::KeepAlive && complete {
            // The connection is ready again as soon as its task has seen the end of the answer; if it is to be closed, it never is.
            if timeout_at(deadline, open.sender.ready())
                .await
                .is_ok_and(|ready| ready.is_ok())
            {
                self.kept
                    .idle
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(open);
            }
        }
        let status = head.status.as_u16();
        if !self.request.good_status.contains(&status) {
            let class = match status {
                500..=599 => ErrorClass::Http5xx,
                400..=499 => ErrorClass::Http4xx,
                _ => ErrorClass::OtherStatus,
            };
            return Err(bad(class, format!("status {status}")));
        }
        if look.tier.is_none() {
            return Err(bad(
                ErrorClass::UnknownTier,
                format!("status {status} from nobody that a tier recognises"),
            ));
        }
        Ok(())
    }

    /// Asks once on a new connection and yields the whole body, which must not be longer than `longest`.
    ///
    /// # Errors
    /// If no answer with an expected status came within `limit`, in words.
    pub async fn fetch(&self, limit: Duration, longest: usize) -> Result<Vec<u8>, String> {
        let deadline = Instant::now() + limit;
        let mut open = self
            .open(deadline, &mut Look::default())
            .await
            .map_err(|(_, detail)| detail)?;
        let request = self.build(0).map_err(|(_, detail)| detail)?;
        let answer = async {
            let response = open
                .sender
                .send_request(request)
                .await
                .map_err(|error| error.to_string())?;
            let status = response.status().as_u16();
            if !self.request.good_status.contains(&status) {
                return Err(format!("status {status}"));
            }
            let body = Limited::new(response.into_body(), longest).collect().await;
            let body = body.map_err(|error| error.to_string())?;
            Ok(body.to_bytes().to_vec())
        };
        timeout_at(deadline, answer)
            .await
            .map_err(|_| format!("no answer within {limit:?}"))?
    }

    /// The connection that was used last, if it is still open.
    fn take_idle(&self) -> Option<Open> {
        let mut idle = self
            .kept
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        while let Some(open) = idle.pop() {
            if open.sender.is_ready() {
                return Some(open);
            }
        }
        None
    }

    async fn open(&self, deadline: Instant, look: &mut Look) -> Result<Open, Failure> {
        let address = self.resolve(deadline, look).await?;
        let connected = timeout_at(
            deadline,
            TcpStream::connect(SocketAddr::new(address, self.port)),
        )
        .await;
        let stream = connected
            .map_err(|_| {
                bad(
                    ErrorClass::ConnectTimeout,
                    format!("{address} did not accept within {:?}", self.timeout),
                )
            })?
            .map_err(|error| {
                (
                    classify(&error),
                    format!("connecting to {address}: {error}"),
                )
            })?;
        look.connected = Some(Instant::now());
        // A request is one small write: nothing to wait for.
        stream
            .set_nodelay(true)
            .map_err(|error| (classify(&error), error.to_string()))?;
        let Some((connector, name)) = &self.tls else {
            return start_http(stream, address, Vec::new()).await;
        };
        let secured = timeout_at(deadline, connector.connect(name.clone(), stream)).await;
        let stream = secured
            .map_err(|_| {
                bad(
                    ErrorClass::Tls,
                    format!("{address} did not agree on TLS within {:?}", self.timeout),
                )
            })?
            .map_err(|error| match classify(&error) {
                void @ Trouble::Void(_) => (void, error.to_string()),
                Trouble::Bad(ErrorClass::Reset) => {
                    bad(ErrorClass::Reset, format!("TLS with {address}: {error}"))
                }
                Trouble::Bad(_) => bad(ErrorClass::Tls, format!("TLS with {address}: {error}")),
            })?;
        look.secured = Some(Instant::now());
        let certificate = stream
            .get_ref()
            .1
            .peer_certificates()
            .and_then(<[_]>::first)
            .map(certificate_names)
            .unwrap_or_default();
        start_http(stream, address, certificate).await
    }

    async fn resolve(&self, deadline: Instant, look: &mut Look) -> Result<IpAddr, Failure> {
        let asking = match &self.resolution {
            Resolution::Address(address) => return Ok(*address),
            Resolution::Ask(asking) => asking,
        };
        look.address = None;
        let answer = match self.kept.fresh() {
            Some(answer) => answer,
            None => self.ask(asking, deadline).await?,
        };
        let name = &asking.name;
        look.resolved = Some(Instant::now());
        look.answers = answer.answers;
        look.ttl = answer.ttl;
        if answer.addresses.is_empty() {
            let (class, reason) = dns::refusal(answer.response_code);
            return Err(bad(class, format!("{name} has no address: {reason}")));
        }
        // One address a sample, each in turn: what is half up must be visible as half up.
        let turn = self.kept.turn.fetch_add(1, Ordering::Relaxed);
        let index = usize::try_from(turn).unwrap_or(0) % answer.addresses.len();
        Ok(match answer.addresses[index] {
            IpAddr::V6(address) if asking.in_lab => {
                ipv4_behind(address).map_or(IpAddr::V6(address), IpAddr::V4)
            }
            address @ (IpAddr::V4(_) | IpAddr::V6(_)) => address,
        })
    }

    /// Asks the resolver, and keeps its answer for as long as this client does.
    async fn ask(&self, asking: &Asking, deadline: Instant) -> Result<dns::DnsAnswer, Failure> {
        let asked = Instant::now();
        let left = deadline.saturating_duration_since(asked);
        let record_type = dns::of_family(asking.family);
        let answer = dns::ask(asking.server, &asking.name, record_type, true, left)
            .await
            .map_err(|failure| (failure.trouble(), failure.to_string()))?;
        if !answer.addresses.is_empty() {
            let ttl = Duration::from_secs(u64::from(answer.ttl.unwrap_or(0)));
            let lives = asking.cache.keeps(ttl);
            // For ever has no end.
            let until = (lives != Duration::MAX).then(|| asked + lives.div_f64(asking.speed));
            let mut kept = self
                .kept
                .answer
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            *kept = Some((answer.clone(), until));
        }
        Ok(answer)
    }

    fn build(&self, seq: u64) -> Result<hyper::Request<Full<Bytes>>, Failure> {
        let mut builder = hyper::Request::builder()
            .method(self.request.method.as_str())
            .uri(filled_in(&self.request.path, seq, &self.run))
            .header(header::HOST, self.host.as_str());
        for (name, value) in &self.request.headers {
            builder = builder.header(name.as_str(), value.as_str());
        }
        let form = (!self.request.form.is_empty()).then_some("application/x-www-form-urlencoded");
        let agent = concat!("blackstart/", env!("CARGO_PKG_VERSION"));
        for (name, value) in [
            (header::USER_AGENT, Some(agent)),
            (header::ACCEPT, Some("*/*")),
            (header::CONTENT_TYPE, form),
        ] {
            let given = self.request.headers.keys();
            let is_given = given.into_iter().any(|given| name == given.as_str());
            if let Some(value) = value.filter(|_| !is_given) {
                builder = builder.header(name, value);
            }
        }
        let body = match form {
            Some(_) => Bytes::from(form_body(&self.request.form, seq, &self.run)),
            None => Bytes::new(),
        };
        // Loading the environment has checked method, path and headers: a failure here is ours, not the system's.
        builder.body(Full::new(body)).map_err(|error| {
            (
                Trouble::Void(VoidReason::Local),
                format!("building the request: {error}"),
            )
        })
    }
}

async fn start_http<S>(
    stream: S,
    address: IpAddr,
    certificate: Vec<String>,
) -> Result<Open, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| http_failure(&error))?;
    // A failure of the connection reaches the request that is under way on it.
    let driver = tokio::spawn(async move { connection.await.unwrap_or_default() });
    Ok(Open {
        sender,
        address,
        certificate,
        _driver: AbortOnDropHandle::new(driver),
    })
}

fn http_failure(error: &hyper::Error) -> Failure {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            return (classify(io), error.to_string());
        }
        source = cause.source();
    }
    if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        return bad(
            ErrorClass::Reset,
            "the connection was closed without an answer",
        );
    }
    bad(ErrorClass::Protocol, error.to_string())
}

fn recorded(headers: &::http::HeaderMap, name: &str) -> Option<(String, String)> {
    let value = headers.get(name)?;
    let text = String::from_utf8_lossy(value.as_bytes());
    Some((
        name.to_ascii_lowercase(),
        text.chars().take(HEADER_LIMIT).collect(),
    ))
}

/// The DNS names a certificate was made for.
fn certificate_names(certificate: &CertificateDer<'_>) -> Vec<String> {
    webpki::EndEntityCert::try_from(certificate)
        .map(|parsed| parsed.valid_dns_names().map(str::to_owned).collect())
        .unwrap_or_default()
}

fn form_body(fields: &BTreeMap<String, String>, seq: u64, run: &str) -> String {
    let mut encoded = form_urlencoded::Serializer::new(String::new());
    for (name, value) in fields {
        encoded.append_pair(name, &filled_in(value, seq, run));
    }
    encoded.finish()
}

/// A text with the number of the sample and the name of the run in it.
fn filled_in(text: &str, seq: u64, run: &str) -> String {
    text.replace("{sequence}", &seq.to_string())
        .replace("{run}", run)
}

/// The TLS side of `https` probes: trusts one private root (PEM) or else what this machine trusts, resumes nothing, so that every handshake is a whole one.
///
/// # Errors
/// If the private root cannot be read, or this machine's roots cannot be.
pub fn tls_connector(private_root: Option<&str>) -> Result<TlsConnector, TlsSetupError> {
    Ok(TlsConnector::from(Arc::new(tls_config(private_root)?)))
}

/// How TLS is spoken: what is trusted, with ring, and without resumption.
///
/// # Errors
/// If the roots cannot be read.
pub(crate) fn tls_config(
    private_root: Option<&str>,
) -> Result<rustls::ClientConfig, TlsSetupError> {
    use rustls_platform_verifier::BuilderVerifierExt;
    let builder = rustls::ClientConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()?;
    let mut config = match private_root {
        Some(root) => {
            let mut roots = rustls::RootCertStore::empty();
            let root = CertificateDer::from_pem_slice(root.as_bytes()).map_err(|error| {
                rustls::Error::General(format!("the private root is no certificate: {error}"))
            })?;
            roots.add(root)?;
            builder.with_root_certificates(roots).with_no_client_auth()
        }
        None => builder.with_platform_verifier()?.with_no_client_auth(),
    };
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}

/// TLS could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("TLS could not be set up: {0}")]
pub struct TlsSetupError(#[from] rustls::Error);
