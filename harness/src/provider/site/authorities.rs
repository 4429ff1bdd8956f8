//! Probes of every authoritative server of a zone, which are found when a run begins.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use blackstart_lab::part::{DNS_PORT, system_name_server};

use super::SiteError;
use crate::{
    drill::Located,
    environment::{AUTHORITIES, DnsProbe, Environment, Probe},
    probe::{
        authorities::{Authority, authorities},
        dns::fully_qualified,
    },
};

/// How long one question may take while they are looked for.
const LIMIT: Duration = Duration::from_secs(5);

/// The environment with a probe for each authoritative server, in the place of each that stands for all of them.
///
/// # Errors
/// If they cannot be found.
pub async fn with_authorities(
    environment: &Arc<Environment>,
) -> Result<Arc<Environment>, SiteError> {
    let stands_for_all = |probe: &Located<Probe>| matches!(&probe.value, Probe::Dns(probe) if probe.server == AUTHORITIES);
    if !environment.probes.iter().any(stands_for_all) {
        return Ok(Arc::clone(environment));
    }
    let resolver = system_name_server().map_err(SiteError::NoResolver)?;
    let mut found = Vec::new();
    for probe in &environment.probes {
        match &probe.value {
            Probe::Dns(dns) if dns.server == AUTHORITIES => {
                let each = each_authority(dns, resolver).await?;
                found.extend(each.into_iter().map(|each| Located {
                    value: Probe::Dns(each),
                    at: probe.at,
                }));
            }
            Probe::Dns(_) | Probe::Http(_) => found.push(probe.clone()),
        }
    }
    let mut environment = Environment::clone(environment);
    environment.probes = found;
    Ok(Arc::new(environment))
}

/// A probe for each authoritative server of the zone, numbered in the order of the servers' names.
async fn each_authority(
    probe: &DnsProbe,
    resolver: SocketAddr,
) -> Result<Vec<DnsProbe>, SiteError> {
    let wrong = |reason: String| SiteError::Probe {
        probe: probe.name.clone(),
        reason,
    };
    let name = fully_qualified(&probe.query).map_err(wrong)?;
    let found = authorities(resolver, &name, DNS_PORT, LIMIT)
        .await
        .map_err(|error| wrong(crate::causes::with_causes(&error)))?;
    Ok(numbered(probe, &found))
}

fn numbered(probe: &DnsProbe, found: &[Authority]) -> Vec<DnsProbe> {
    let of_number = |(number, authority): (usize, &Authority)| DnsProbe {
        name: format!("{}-{}", probe.name, number + 1),
        server: authority.address.to_string(),
        ..probe.clone()
    };
    found.iter().enumerate().map(of_number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::{DnsType, DnsView};

    #[test]
    fn each_authority_is_a_probe_of_its_own() {
        let probe = DnsProbe {
            name: "ns".to_owned(),
            query: "www.shop.test".to_owned(),
            server: AUTHORITIES.to_owned(),
            view: DnsView::Authority,
            r#type: DnsType::A,
            every: Duration::from_secs(2),
            timeout: Duration::from_secs(2),
        };
        let authority = |name: &str, last| Authority {
            name: name.to_owned(),
            address: ([192, 0, 2, last], 53).into(),
        };
        let each = numbered(&probe, &[authority("a.test", 1), authority("b.test", 2)]);
        let told: Vec<_> = each
            .iter()
            .map(|each| (each.name.as_str(), each.server.as_str(), each.view))
            .collect();
        assert_eq!(
            told,
            [
                ("ns-1", "192.0.2.1:53", DnsView::Authority),
                ("ns-2", "192.0.2.2:53", DnsView::Authority)
            ]
        );
    }
}
