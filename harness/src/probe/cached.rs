//! Asking as a well-behaved program does: through a resolver library that keeps an answer as long as its TTL says.
//!
//! hickory-resolver does the asking, with what such libraries do: it asks again when an answer is late, and joins a question that
//! is under way. That hides a lost packet, as it hides it from programs; the other views hide nothing. Its cache is off, because
//! it ages by the wall's clock: the one here ages by the architecture's, which in a lab runs faster.

use std::{
    net::SocketAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use hickory_proto::{
    op::ResponseCode,
    rr::{Name, RecordType},
};
use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts},
    net::{DnsError, NetError, runtime::TokioRuntimeProvider},
};
use tokio::time::{Instant, timeout};

use super::{
    BoxFuture, Look, Probe, Recognition,
    dns::{DnsAnswer, DnsFailure, look_at, read_answers},
};

/// A probe with a cache between it and the resolver.
pub struct CachedProbe {
    resolver: TokioResolver,
    server: SocketAddr,
    name: Name,
    record_type: RecordType,
    timeout: Duration,
    speed: f64,
    recognition: Recognition,
    kept: Mutex<Option<Kept>>,
}

#[derive(Debug, Clone)]
struct Kept {
    answer: DnsAnswer,
    since: Instant,
    lives: Duration,
}

impl std::fmt::Debug for CachedProbe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CachedProbe")
            .field("server", &self.server)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl CachedProbe {
    /// Sets up a client of one resolver, whose answers age `speed` times as fast as the wall's clock. `timeout` is real.
    ///
    /// # Errors
    /// If the library refuses the server.
    pub fn new(
        server: SocketAddr,
        name: Name,
        timeout: Duration,
        speed: f64,
        recognition: Recognition,
    ) -> Result<Self, NetError> {
        let connections =
            [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
                connection.port = server.port();
                connection
            });
        let servers = vec![NameServerConfig::new(server.ip(), true, connections.into())];
        let mut options = ResolverOpts::default();
        options.cache_size = 0;
        options.timeout = timeout;
        options.ndots = 0;
        options.use_hosts_file = ResolveHosts::Never;
        let config = ResolverConfig::from_parts(None, Vec::new(), servers);
        let resolver = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            .with_options(options)
            .build()?;
        Ok(Self {
            resolver,
            server,
            name,
            record_type: RecordType::A,
            timeout,
            speed,
            recognition,
            kept: Mutex::new(None),
        })
    }

    /// Asks for records of this type instead of A.
    #[must_use]
    pub fn asking_for(mut self, record_type: RecordType) -> Self {
        self.record_type = record_type;
        self
    }

    fn fresh(&self) -> Option<DnsAnswer> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = kept.as_ref()?;
        let age = kept.since.elapsed();
        (age < kept.lives).then(|| {
            let elapsed = age.mul_f64(self.speed).as_secs();
            let left = kept
                .answer
                .ttl
                .map(|ttl| ttl.saturating_sub(u32::try_from(elapsed).unwrap_or(u32::MAX)));
            DnsAnswer {
                ttl: left,
                ..kept.answer.clone()
            }
        })
    }

    async fn resolve(&self) -> Result<DnsAnswer, DnsFailure> {
        if let Some(answer) = self.fresh() {
            return Ok(answer);
        }
        let asked = Instant::now();
        let answer = self.ask().await?;
        if answer.response_code == ResponseCode::NoError && !answer.answers.is_empty() {
            self.keep(&answer, asked);
        }
        Ok(answer)
    }

    async fn ask(&self) -> Result<DnsAnswer, DnsFailure> {
        let silent = || DnsFailure::Timeout {
            server: self.server,
            after: self.timeout,
        };
        let empty = |response_code| Ok(read_answers(&[], response_code));
        let lookup = self.resolver.lookup(self.name.clone(), self.record_type);
        match timeout(self.timeout, lookup).await.map_err(|_| silent())? {
            Ok(lookup) => Ok(read_answers(lookup.answers(), ResponseCode::NoError)),
            Err(NetError::Dns(DnsError::NoRecordsFound(nothing))) => empty(nothing.response_code),
            Err(NetError::Dns(DnsError::ResponseCode(code))) => empty(code),
            Err(NetError::Timeout) => Err(silent()),
            Err(NetError::Io(source)) => {
                // The number tells whether it was this machine that had no file handle or port left.
                let number = source.raw_os_error().map(std::io::Error::from_raw_os_error);
                let source = number.unwrap_or_else(|| source.kind().into());
                Err(DnsFailure::Socket {
                    server: self.server,
                    source,
                })
            }
            Err(error) => Err(DnsFailure::Malformed {
                server: self.server,
                reason: error.to_string(),
            }),
        }
    }

    /// Keeps an answer, unless one that was asked for later is there already.
    fn keep(&self, answer: &DnsAnswer, since: Instant) {
        let lives = Duration::from_secs(u64::from(answer.ttl.unwrap_or(0))).div_f64(self.speed);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.as_ref().is_none_or(|newest| newest.since <= since) {
            *kept = Some(Kept {
                answer: answer.clone(),
                since,
                lives,
            });
        }
    }
}

impl Probe for CachedProbe {
    fn look(&self, _: u64) -> BoxFuture<'_, Look> {
        Box::pin(async move { look_at(self.resolve().await, &self.recognition, self.server) })
    }
}
