//! Finding the servers that are authoritative for a name, as whoever resolves it would.

use std::{net::SocketAddr, time::Duration};

use hickory_proto::rr::{Name, RData, RecordType};

use super::dns::{DnsFailure, exchange};

/// The root has that many; a zone with more of them is asked no more often.
const MOST: usize = 13;

/// A server that is authoritative for a zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// Its name.
    pub name: String,
    /// Where it is asked.
    pub address: SocketAddr,
}

/// The servers of a name's zone could not be found.
#[derive(Debug, thiserror::Error)]
pub enum NoAuthorities {
    /// The resolver does not answer.
    #[error("the name servers of `{name}` could not be found")]
    Resolver {
        /// The name.
        name: String,
        /// What the resolver did.
        source: DnsFailure,
    },
    /// No zone above the name has servers with addresses.
    #[error("`{resolver}` knows no name servers of `{name}`, nor of any zone above it")]
    None {
        /// The name.
        name: String,
        /// Who was asked.
        resolver: SocketAddr,
    },
}

/// Finds every server of the zone that a name is in: the nearest name above it that has name servers. They are asked on `port`, which
/// is 53 everywhere but in tests.
///
/// # Errors
/// If the resolver does not answer, or knows of none.
pub async fn authorities(
    resolver: SocketAddr,
    name: &Name,
    port: u16,
    timeout: Duration,
) -> Result<Vec<Authority>, NoAuthorities> {
    let failed = |source| NoAuthorities::Resolver {
        name: text(name),
        source,
    };
    let mut zone = name.clone();
    while !zone.is_root() {
        let reply = exchange(resolver, &zone, RecordType::NS, true, timeout).await;
        let reply = reply.map_err(failed)?;
        let servers = reply.answers.iter().filter_map(|record| {
            let RData::NS(server) = &record.data else {
                return None;
            };
            // What a canonical name leads to is another zone's.
            (record.name == zone).then(|| server.0.clone())
        });
        let mut found = Vec::new();
        for server in servers.take(MOST) {
            let reply = exchange(resolver, &server, RecordType::A, true, timeout).await;
            let address = reply.map_err(failed)?.answers.iter().find_map(|record| {
                let RData::A(address) = &record.data else {
                    return None;
                };
                Some(SocketAddr::new(address.0.into(), port))
            });
            found.extend(address.map(|address| Authority {
                name: text(&server),
                address,
            }));
        }
        if !found.is_empty() {
            found.sort_by(|one, other| one.name.cmp(&other.name));
            return Ok(found);
        }
        zone = zone.base_name();
    }
    Err(NoAuthorities::None {
        name: text(name),
        resolver,
    })
}

fn text(name: &Name) -> String {
    name.to_utf8().trim_end_matches('.').to_ascii_lowercase()
}
