//! Asking as a well-behaved program does: through a client that keeps an answer as long as its TTL says.
//!
//! The cache ages by the architecture's time, which a resolver library's own, by the wall's clock, would not. Nothing is asked twice
//! either: libraries send a question again when its answer is late, and join a question that is under way, and both hide a loss.

use std::{
    net::SocketAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use hickory_proto::{op::ResponseCode, rr::Name};
use tokio::time::Instant;

use super::{
    BoxFuture, Look, Probe, Recognition,
    dns::{DnsAnswer, DnsFailure, ask, look_at},
};

/// A probe with a cache between it and the resolver.
#[derive(Debug)]
pub struct CachedProbe {
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

impl CachedProbe {
    /// Sets up a client of one resolver, whose answers age `speed` times as fast as the wall's clock. `timeout` is real.
    pub fn new(
        server: SocketAddr,
        name: Name,
        timeout: Duration,
        speed: f64,
        recognition: Recognition,
    ) -> Self {
        Self {
            server,
            name,
            timeout,
            speed,
            recognition,
            kept: Mutex::new(None),
        }
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
        let answer = ask(self.server, &self.name, true, self.timeout).await?;
        if answer.response_code == ResponseCode::NoError && !answer.answers.is_empty() {
            self.keep(&answer, asked);
        }
        Ok(answer)
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
