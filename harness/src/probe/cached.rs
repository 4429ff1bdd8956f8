//! Asking as a well-behaved program does: through a client that keeps an answer as long as its TTL says.
//!
//! hickory-resolver does the asking. Its own cache is off: it ages by the wall's clock, which a lab that runs thirty times as
//! fast does not share. The cache here ages by the architecture's.

use std::{
    net::SocketAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use hickory_proto::{
    op::ResponseCode,
    rr::{Name, RData, RecordType},
};
use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts},
    net::{DnsError, NetError, runtime::TokioRuntimeProvider},
};
use tokio::time::Instant;

use super::{
    BoxFuture, Look, Probe, Recognition,
    dns::{DnsAnswer, DnsFailure, look_at},
};

/// A probe with a cache between it and the resolver.
pub struct CachedProbe {
    resolver: TokioResolver,
    server: SocketAddr,
    name: Name,
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
    /// Sets up a client of one resolver.
    ///
    /// # Errors
    /// If the client cannot be built.
    pub fn new(
        server: SocketAddr,
        name: Name,
        timeout: Duration,
        speed: f64,
        recognition: Recognition,
    ) -> Result<Self, NetError> {
        let mut connection = ConnectionConfig::udp();
        connection.port = server.port();
        let config = ResolverConfig::from_parts(
            None,
            Vec::new(),
            vec![NameServerConfig::new(server.ip(), true, vec![connection])],
        );
        let mut options = ResolverOpts::default();
        options.cache_size = 0;
        options.attempts = 1;
        options.timeout = timeout;
        options.ndots = 0;
        options.use_hosts_file = ResolveHosts::Never;
        let resolver = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            .with_options(options)
            .build()?;
        Ok(Self {
            resolver,
            server,
            name,
            timeout,
            speed,
            recognition,
            kept: Mutex::new(None),
        })
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
        let lookup = tokio::time::timeout(
            self.timeout,
            self.resolver.lookup(self.name.clone(), RecordType::A),
        )
        .await
        .map_err(|_| DnsFailure::Timeout {
            server: self.server,
            after: self.timeout,
        })?;
        let mut answer = DnsAnswer {
            answers: Vec::new(),
            addresses: Vec::new(),
            ttl: None,
            response_code: ResponseCode::NoError,
        };
        match lookup {
            Ok(lookup) => {
                for record in lookup.answers() {
                    answer.ttl = Some(answer.ttl.map_or(record.ttl, |ttl| ttl.min(record.ttl)));
                    #[expect(
                        clippy::wildcard_enum_match_arm,
                        reason = "an answer about addresses has no other record that matters"
                    )]
                    match &record.data {
                        RData::A(address) => answer.answers.push(address.0.to_string()),
                        RData::CNAME(name) => answer
                            .answers
                            .push(name.0.to_utf8().trim_end_matches('.').to_ascii_lowercase()),
                        _ => {}
                    }
                }
                let lives =
                    Duration::from_secs(u64::from(answer.ttl.unwrap_or(0))).div_f64(self.speed);
                *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(Kept {
                    answer: answer.clone(),
                    since: asked,
                    lives,
                });
                Ok(answer)
            }
            Err(NetError::Dns(DnsError::NoRecordsFound(nothing))) => {
                answer.response_code = nothing.response_code;
                Ok(answer)
            }
            Err(NetError::Timeout) => Err(DnsFailure::Timeout {
                server: self.server,
                after: self.timeout,
            }),
            Err(error) => Err(DnsFailure::Malformed {
                server: self.server,
                reason: error.to_string(),
            }),
        }
    }
}

impl Probe for CachedProbe {
    fn look(&self, _: u64) -> BoxFuture<'_, Look> {
        Box::pin(async move { look_at(self.resolve().await, &self.recognition, self.server) })
    }
}
