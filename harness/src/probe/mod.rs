//! Looking at the service: every probe is a task that yields numbered samples on its own clock.
//!
//! The [`poller`] keeps the schedule and stamps the times; [`http`], [`dns`] and [`cached`] look once and say what they saw;
//! [`control`] tells an ill prober from an ill system. Trouble is an observation, never an error.

pub mod authorities;
pub mod cached;
pub mod control;
pub mod dns;
pub mod http;
pub mod ledger;
pub mod poller;

use std::{
    collections::BTreeMap,
    future::Future,
    net::{IpAddr, Ipv4Addr},
    pin::Pin,
    sync::Arc,
};

use blackstart_lab::model::dns::ipv6_of;
use tokio::time::Instant;

use crate::{
    environment::Tier,
    timeline::{ErrorClass, VoidReason},
};

/// A future behind a pointer, for traits that are used as objects.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One way of looking.
pub trait Probe: Send + Sync {
    /// Looks once. Never waits much longer than the time-out it was set up with, and may be dropped at any point.
    fn look(&self, seq: u64) -> BoxFuture<'_, Look>;
}

/// What one look saw. Raw facts and instants; the poller makes a sample of it.
#[derive(Debug, Clone, Default)]
pub struct Look {
    /// What was wrong; `None` for a good answer, which the poller may still find too slow.
    pub trouble: Option<Trouble>,
    /// The tier that answered.
    pub tier: Option<String>,
    /// When the name was resolved.
    pub resolved: Option<Instant>,
    /// When the connection was made.
    pub connected: Option<Instant>,
    /// When TLS was agreed.
    pub secured: Option<Instant>,
    /// When the first byte of the answer came.
    pub first_byte: Option<Instant>,
    /// The HTTP status.
    pub status: Option<u16>,
    /// The address connected to or asked.
    pub address: Option<IpAddr>,
    /// The headers somebody is interested in.
    pub headers: BTreeMap<String, String>,
    /// The texts somebody is interested in that were in the body.
    pub found: Vec<String>,
    /// The DNS answer.
    pub answers: Vec<String>,
    /// The smallest TTL of the DNS answer.
    pub ttl: Option<u32>,
    /// The response code if it is not NOERROR.
    pub response_code: Option<String>,
    /// What went wrong, in words.
    pub detail: Option<String>,
}

/// What was wrong with a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The system's fault.
    Bad(ErrorClass),
    /// Our own fault, so that it says nothing about the system.
    Void(VoidReason),
}

impl Look {
    /// The same look, failed.
    pub(crate) fn with_trouble(mut self, trouble: Trouble, detail: impl Into<String>) -> Self {
        self.trouble = Some(trouble);
        self.detail = Some(detail.into());
        self
    }
}

/// Sorts an error of a socket into a class, or finds that it is this machine's own.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "what is no failure of a connection is one of what was said on it"
)]
pub(crate) fn classify(error: &std::io::Error) -> Trouble {
    use std::io::ErrorKind;
    // EMFILE and ENFILE have no kind of their own.
    const TOO_MANY_FILES: [i32; 2] = [24, 23];
    if error
        .raw_os_error()
        .is_some_and(|code| TOO_MANY_FILES.contains(&code))
    {
        return Trouble::Void(VoidReason::Local);
    }
    match error.kind() {
        ErrorKind::ConnectionRefused => Trouble::Bad(ErrorClass::Refused),
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
            Trouble::Bad(ErrorClass::Reset)
        }
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => {
            Trouble::Bad(ErrorClass::Unreachable)
        }
        ErrorKind::TimedOut => Trouble::Bad(ErrorClass::ConnectTimeout),
        ErrorKind::AddrNotAvailable | ErrorKind::AddrInUse | ErrorKind::OutOfMemory => {
            Trouble::Void(VoidReason::Local)
        }
        _ => Trouble::Bad(ErrorClass::Protocol),
    }
}

/// What an answer is compared with to tell who gave it.
#[derive(Debug, Clone)]
pub struct Recognition {
    tiers: Arc<[Tier]>,
    /// The names that lead to addresses.
    names: Arc<BTreeMap<String, String>>,
}

/// What of an answer tells who gave it.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// Looks a header up by its name.
    pub headers: &'a ::http::HeaderMap,
    /// The beginning of the body.
    pub body: &'a [u8],
    /// The names in the certificate that was presented.
    pub certificate: &'a [String],
}

impl Recognition {
    /// Recognises these tiers.
    pub fn new(tiers: impl Into<Arc<[Tier]>>) -> Self {
        Self {
            tiers: tiers.into(),
            names: Arc::default(),
        }
    }

    /// Takes an address for the name that leads to it as well: an alias record answers with addresses alone.
    #[must_use]
    pub fn with_names(mut self, names: &BTreeMap<String, Vec<Ipv4Addr>>) -> Self {
        let pairs = names.iter().flat_map(|(name, addresses)| {
            let ipv4 = addresses.iter().map(ToString::to_string);
            let ipv6 = addresses
                .iter()
                .map(|address| ipv6_of(*address).to_string());
            ipv4.chain(ipv6).map(|address| (address, name.clone()))
        });
        self.names = Arc::new(pairs.collect());
        self
    }

    /// The first tier whose every given mark is in the answer. A tier known only by its DNS answer is never recognised here.
    pub fn of_answer(&self, answer: Answer<'_>) -> Option<String> {
        self.tiers
            .iter()
            .find(|tier| {
                let marks = &tier.recognise;
                if marks.header.is_none() && marks.body.is_none() && marks.certificate.is_none() {
                    return false;
                }
                marks.header.as_ref().is_none_or(|header| {
                    answer
                        .headers
                        .get_all(header.name.as_str())
                        .iter()
                        .any(|value| contains(value.as_bytes(), header.contains.as_bytes()))
                }) && marks
                    .body
                    .as_ref()
                    .is_none_or(|text| contains(answer.body, text.as_bytes()))
                    && marks
                        .certificate
                        .as_ref()
                        .is_none_or(|name| answer.certificate.iter().any(|known| known == name))
            })
            .map(|tier| tier.name.clone())
    }

    /// The first tier whose DNS mark is in one of the answers.
    pub fn of_dns(&self, answers: &[String]) -> Option<String> {
        self.tiers
            .iter()
            .find(|tier| {
                tier.recognise.dns.as_ref().is_some_and(|mark| {
                    answers.iter().any(|answer| {
                        let name = self.names.get(answer);
                        answer.contains(mark) || name.is_some_and(|name| name.contains(mark))
                    })
                })
            })
            .map(|tier| tier.name.clone())
    }

    /// The header names that tell tiers apart.
    pub fn header_names(&self) -> impl Iterator<Item = &str> {
        self.tiers.iter().filter_map(|tier| {
            tier.recognise
                .header
                .as_ref()
                .map(|header| header.name.as_str())
        })
    }
}

/// Whether a text stands in some bytes.
pub(crate) fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    needle.is_empty()
        || haystack
            .windows(needle.len())
            .any(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::{HeaderMatch, Recognise};

    fn tier(name: &str, recognise: Recognise) -> Tier {
        Tier {
            name: name.to_owned(),
            about: String::new(),
            recognise,
            preflight: None,
        }
    }

    fn header(name: &str, contains: &str) -> HeaderMatch {
        HeaderMatch {
            name: name.to_owned(),
            contains: contains.to_owned(),
        }
    }

    #[test]
    fn every_given_mark_of_a_tier_must_be_in_the_answer() {
        let recognition = Recognition::new(vec![
            tier(
                "marked",
                Recognise {
                    header: Some(header("server", "nginx")),
                    body: Some("petclinic".into()),
                    ..Default::default()
                },
            ),
            tier(
                "plain",
                Recognise {
                    header: Some(header("server", "nginx")),
                    ..Default::default()
                },
            ),
        ]);
        let headers = ::http::HeaderMap::from_iter([(
            ::http::header::SERVER,
            "nginx/1.18.0".parse().unwrap(),
        )]);
        let who = |body: &[u8]| {
            recognition.of_answer(Answer {
                headers: &headers,
                body,
                certificate: &[],
            })
        };
        assert_eq!(who(b"welcome to petclinic").as_deref(), Some("marked"));
        assert_eq!(who(b"welcome").as_deref(), Some("plain"));
    }

    #[test]
    fn a_tier_that_only_dns_tells_is_not_recognised_in_an_http_answer() {
        let recognition = Recognition::new(vec![tier(
            "dns-only",
            Recognise {
                dns: Some("elb".into()),
                ..Default::default()
            },
        )]);
        let headers = ::http::HeaderMap::new();
        assert_eq!(
            recognition.of_answer(Answer {
                headers: &headers,
                body: b"",
                certificate: &[]
            }),
            None
        );
        assert_eq!(
            recognition
                .of_dns(&["petclinic.elb.test".into()])
                .as_deref(),
            Some("dns-only")
        );
    }

    #[test]
    fn running_out_of_file_handles_says_nothing_about_the_system() {
        assert_eq!(
            classify(&std::io::Error::from_raw_os_error(24)),
            Trouble::Void(VoidReason::Local)
        );
        assert_eq!(
            classify(&std::io::Error::from_raw_os_error(111)),
            Trouble::Bad(ErrorClass::Refused)
        );
    }
}
