//! Name servers outside of any lab, by words.

use std::net::Ipv4Addr;

/// Every server that is authoritative for the zone of the name, found when a run begins, each as a probe of its own.
pub const AUTHORITIES: &str = "authorities";
/// The name server that this machine asks.
pub const SYSTEM: &str = "system";

/// Public resolvers, by the names of those who run them, with the addresses that those publish.
const PUBLIC: [(&str, Ipv4Addr); 4] = [
    ("cloudflare", Ipv4Addr::new(1, 1, 1, 1)),
    ("google", Ipv4Addr::new(8, 8, 8, 8)),
    ("opendns", Ipv4Addr::new(208, 67, 222, 222)),
    ("quad9", Ipv4Addr::new(9, 9, 9, 9)),
];

/// The address of a public resolver.
pub fn public_resolver(name: &str) -> Option<Ipv4Addr> {
    let mut known = PUBLIC.iter();
    known
        .find(|(known, _)| *known == name)
        .map(|(_, address)| *address)
}

/// Whether this names a server outside of any lab: such servers are others', and are asked at polite rates.
pub fn is_outside(server: &str) -> bool {
    server == AUTHORITIES || server == SYSTEM || public_resolver(server).is_some()
}
