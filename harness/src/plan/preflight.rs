//! Which tiers a drill leans on, and what shows beforehand that they are alive.

use std::collections::BTreeSet;

use crate::{
    drill::{Drill, Expect, Writes},
    environment::{DirectRequest, Environment, Probe},
};

/// A tier that the drill leans on, and one way to see that it is alive.
#[derive(Debug, Clone, PartialEq)]
pub struct TierCheck {
    /// The tier.
    pub tier: String,
    /// How it is seen.
    pub how: How,
}

/// How a tier is seen to be alive.
#[derive(Debug, Clone, PartialEq)]
pub enum How {
    /// A probe reaches it while all is well.
    Probe(String),
    /// It is asked directly.
    Direct(DirectRequest),
    /// Nothing in the environment can show it.
    Nothing,
}

impl How {
    /// What is asked, in words.
    pub fn words(&self) -> String {
        match self {
            Self::Probe(probe) => format!("probe {probe}"),
            Self::Direct(request) => match &request.host_header {
                Some(host) => format!("GET {} as {host}", request.url),
                None => format!("GET {}", request.url),
            },
            Self::Nothing => "nothing can show it".to_owned(),
        }
    }
}

/// The tiers that a drill leans on with every way there is to see that they are alive, in the order of preference.
pub(crate) fn tier_checks(drill: &Drill, environment: &Environment) -> Vec<TierCheck> {
    let home = drill
        .steady_state
        .served_by
        .as_deref()
        .or(environment.tiers.first().map(|tier| tier.name.as_str()));
    let mut leant_on: BTreeSet<&str> = home.into_iter().collect();
    for expectation in &drill.expect {
        leant_on.extend(tiers_of(&expectation.value));
    }
    let tiers = environment
        .tiers
        .iter()
        .filter(|tier| leant_on.contains(tier.name.as_str()));
    let checks = tiers.flat_map(|tier| {
        let users = environment
            .user_probe()
            .filter(|_| home == Some(tier.name.as_str()))
            .map(|probe| probe.name.clone());
        let standbys = environment
            .probes
            .iter()
            .filter_map(|probe| match &probe.value {
                Probe::Http(probe) if probe.standby.as_ref() == Some(&tier.name) => {
                    Some(probe.name.clone())
                }
                Probe::Http(_) | Probe::Dns(_) => None,
            });
        let mut ways: Vec<How> = users.into_iter().chain(standbys).map(How::Probe).collect();
        ways.extend(tier.preflight.clone().map(How::Direct));
        if ways.is_empty() {
            ways.push(How::Nothing);
        }
        ways.into_iter().map(|how| TierCheck {
            tier: tier.name.clone(),
            how,
        })
    });
    checks.collect()
}

/// The tiers that must serve somebody if the expectation is to hold.
fn tiers_of(expect: &Expect) -> Vec<&str> {
    match expect {
        Expect::Path(steps) => steps.iter().map(String::as_str).collect(),
        Expect::ServedBy(probes) => probes.values().map(String::as_str).collect(),
        Expect::Writes(Writes::ServedBy(tier)) => vec![tier],
        Expect::Failback { to, .. } => vec![to],
        Expect::DnsSwitch { to, .. } => to.as_deref().into_iter().collect(),
        Expect::Detected { .. }
        | Expect::Rto { .. }
        | Expect::Outage { .. }
        | Expect::Never(_)
        | Expect::Writes(Writes::FailWith(_))
        | Expect::Availability { .. }
        | Expect::MaxErrors { .. }
        | Expect::NoFailover
        | Expect::Flaps { .. }
        | Expect::Rpo { .. }
        | Expect::StaleDns { .. }
        | Expect::Header { .. }
        | Expect::Body { .. }
        | Expect::Status { .. } => Vec::new(),
    }
}
