//! Whether any probe or observer of the environment can answer an expectation.

use super::Checker;
use crate::{
    drill::Expect,
    environment::{DnsView, Probe},
    source::{Node, Problem, Step::Key},
};

/// Reports an expectation that nothing can answer, at its word or at the name that makes it so.
pub(super) fn expectation(checker: &Checker<'_>, expect: &Expect, node: &Node) {
    let Some((message, hint)) = trouble(checker, expect) else {
        return;
    };
    let kind = expect.kind();
    let named = ["probe", "by"].into_iter().find_map(|key| node.get(key));
    let place = match named {
        Some(named) => named.place,
        None => checker
            .file
            .document
            .follow(&[Key("expect")])
            .place_of_key(kind),
    };
    let message = format!("nothing can answer `{kind}`: {message}");
    checker.push(Problem::error(checker.context.file(), place, message).with_hint(hint));
}

const USER_PROBE: (&str, &str) = (
    "no probe looks as a user does",
    "add `http: { name: read }` to the probes: the read request, on new connections, without `standby`",
);

/// Why an expectation cannot be answered, and what would help.
fn trouble(checker: &Checker<'_>, expect: &Expect) -> Option<(&'static str, &'static str)> {
    let environment = checker.environment;
    let users = || environment.user_probe().is_none().then_some(USER_PROBE);
    match expect {
        Expect::Rto { .. }
        | Expect::Outage { .. }
        | Expect::Path(_)
        | Expect::Never(_)
        | Expect::Availability { .. }
        | Expect::NoFailover
        | Expect::Flaps { .. }
        | Expect::Failback { .. } => users(),
        Expect::MaxErrors { probe, .. }
        | Expect::Header { probe, .. }
        | Expect::Body { probe, .. }
        | Expect::Status { probe, .. } => match probe {
            None => users(),
            Some(name) => matches!(environment.probe(name), Some(Probe::Dns(_))).then_some((
                "the probe asks a name server, which sends no HTTP answers",
                "name an `http` probe",
            )),
        },
        Expect::ServedBy(_) => None,
        Expect::Writes(_) => (!has_write_probe(checker)).then_some((
            "no probe sends a request that writes",
            "add a request with `method: POST` to the service, and a probe that sends it",
        )),
        Expect::Rpo { .. } => environment.ledger.is_none().then_some((
            "the environment keeps no ledger of acknowledged writes",
            "say which probe's writes count and how they are read back, such as `ledger: { writes: write, read: owners }`",
        )),
        Expect::Detected { by: None, .. } => environment.observers.is_empty().then_some((
            "the environment has no observer",
            "add one that watches a health check or target group, such as `{ observer: health-check, watches: primary-check }`",
        )),
        Expect::Detected { by: Some(by), .. } => match environment.probe(by) {
            Some(Probe::Http(probe)) if probe.standby.is_some() => None,
            Some(_) => Some((
                "a probe sees what users see, not what the system has noticed",
                "name an observer, or the probe of a standby",
            )),
            None => None,
        },
        Expect::DnsSwitch { probe, .. } => (!has_dns_probe(checker, probe.as_deref(), is_authority)).then_some((
            "no such probe asks an authority",
            "add `dns: { name: authority, server: authority }` to the probes",
        )),
        Expect::StaleDns { probe, .. } => (!has_dns_probe(checker, probe.as_deref(), is_cache)).then_some((
            "no such probe asks a resolver",
            "add `dns: { name: resolver, server: resolver }` to the probes",
        )),
    }
}

fn has_write_probe(checker: &Checker<'_>) -> bool {
    checker
        .environment
        .probes
        .iter()
        .any(|probe| match &probe.value {
            Probe::Http(probe) => {
                probe.standby.is_none()
                    && checker
                        .environment
                        .service
                        .requests
                        .get(&probe.request)
                        .is_some_and(|request| request.writes)
            }
            Probe::Dns(_) => false,
        })
}

fn is_authority(view: DnsView) -> bool {
    match view {
        DnsView::Authority => true,
        DnsView::Recursive | DnsView::Cached => false,
    }
}

fn is_cache(view: DnsView) -> bool {
    !is_authority(view)
}

/// Whether there is a DNS probe of a view, of this name if one is given. An unknown name is reported elsewhere.
fn has_dns_probe(checker: &Checker<'_>, name: Option<&str>, fits: fn(DnsView) -> bool) -> bool {
    if name.is_some_and(|name| checker.environment.probe(name).is_none()) {
        return true;
    }
    checker
        .environment
        .probes
        .iter()
        .any(|probe| match &probe.value {
            Probe::Dns(probe) => fits(probe.view) && name.is_none_or(|name| name == probe.name),
            Probe::Http(_) => false,
        })
}
