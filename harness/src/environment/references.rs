//! Names in an environment file that refer to other places in it, and rules that hold between those places.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
};

use blackstart_lab::control::ResourceKind;

use super::{Binding, Containers, DnsView, Environment, Ledger, Probe, Target, stack};
use crate::{
    drill::{AbortIf, Located, duration_words},
    source::{
        Context, Document, Node, Problem,
        Step::{Index, Key},
        report_duplicates, shown,
    },
};

pub(super) fn check(context: &Context<'_>, document: &Document, environment: &Environment) {
    check_service(context, document, environment);
    check_probes(context, document, environment);
    check_tiers(context, document, environment);
    check_observers(context, document, environment);
    check_ledger(context, document, environment);
    check_targets(context, document, environment);
    check_limits(context, document, environment);
    let at = document.follow(&[Key("abort-if")]);
    check_abort_if(context, at, &environment.abort_if, environment);
    if let Some(stack) = &environment.stack {
        let node = document.follow(&[Key("stack")]);
        stack::check(context, node, stack);
        check_host(context, document, environment);
        check_port(context, document, environment);
    }
}

fn check_service(context: &Context<'_>, document: &Document, environment: &Environment) {
    if environment
        .service
        .requests
        .get("read")
        .is_some_and(|read| read.writes)
    {
        let node = document.follow(&[Key("service"), Key("requests"), Key("read")]);
        context.push(Problem::error(
            context.file(),
            node.place,
            "the request `read` writes: give it a method such as GET",
        ));
    }
}

/// In the lab, something must listen on the port that users connect to.
fn check_port(context: &Context<'_>, document: &Document, environment: &Environment) {
    let (Some(port), Some(stack)) = (environment.service.port(), &environment.stack) else {
        return;
    };
    let listeners = stack
        .load_balancers
        .values()
        .flat_map(|config| config.listeners.iter().map(|listener| listener.port));
    // Distributions listen where the cloud's do, which no file can change.
    let distributions = stack.distributions.values().flat_map(|_| [80, 443]);
    let machines = stack.virtual_machines.values().map(|config| config.port);
    let sites = stack.static_sites.values().map(|config| config.port);
    let buckets = stack.buckets.values().map(|config| config.port);
    let known: BTreeSet<u16> = listeners
        .chain(distributions)
        .chain(machines)
        .chain(sites)
        .chain(buckets)
        .collect();
    if !known.contains(&port) {
        let node = document.follow(&[Key("service"), Key("url")]);
        let ports: Vec<String> = known.iter().map(u16::to_string).collect();
        context.push(
            Problem::error(
                context.file(),
                node.place,
                format!("nothing in the stack listens on port {port}"),
            )
            .with_hint(format!(
                "it listens on {}; without a port, http is 80 and https is 443",
                ports.join(", ")
            )),
        );
    }
}

/// In the lab, the name that users type must be in one of its zones.
fn check_host(context: &Context<'_>, document: &Document, environment: &Environment) {
    let (Some(host), Some(stack)) = (environment.service.host(), &environment.stack) else {
        return;
    };
    let known = stack
        .zones
        .iter()
        .flat_map(|zone| &zone.records)
        .any(|record| record.name == host);
    if !known {
        let node = document.follow(&[Key("service"), Key("url")]);
        context.push(Problem::error(
            context.file(),
            node.place,
            "no record of the stack has the host of the service's URL as its name",
        ));
    }
}

fn check_probes(context: &Context<'_>, document: &Document, environment: &Environment) {
    let nodes: Vec<&Node> = (0..environment.probes.len())
        .map(|index| document.follow(&[Key("probes"), Index(index)]))
        .collect();
    let lab = environment.stack.is_some();
    for (probe, node) in environment.probes.iter().zip(&nodes) {
        match &probe.value {
            Probe::Http(probe) => {
                let at = |key| node.follow(&[Key("http"), Key(key)]);
                if !environment.service.requests.contains_key(&probe.request) {
                    let known = environment.service.requests.keys().map(String::as_str);
                    context.report_unknown(at("request"), "request", known);
                }
                if let Some(tier) = &probe.standby
                    && !environment.tiers.iter().any(|known| known.name == *tier)
                {
                    let known = environment.tiers.iter().map(|tier| tier.name.as_str());
                    context.report_unknown(at("standby"), "tier", known);
                }
                if let Some(vantage) = &probe.vantage {
                    let stack = environment.stack.as_ref();
                    let vantages = stack.into_iter().flat_map(|stack| stack.vantages.keys());
                    let known = vantages.map(String::as_str);
                    if !known.clone().any(|known| known == vantage) {
                        context.report_unknown(at("vantage"), "vantage", known);
                    }
                }
            }
            Probe::Dns(probe) => {
                let server = node.follow(&[Key("dns"), Key("server")]);
                if !names_a_server(&probe.server, environment) {
                    context.push(Problem::error(
                        context.file(),
                        server.place,
                        format!(
                            "{} is no name server: expected `authority`, `resolver` or a vantage of the stack, `authorities`, `system`, a \
                             public resolver such as `cloudflare`, or an address such as `192.0.2.53:53`",
                            shown(server)
                        ),
                    ));
                }
                if !lab && matches!(probe.server.as_str(), "authority" | "resolver") {
                    context.push(
                        Problem::error(
                            context.file(),
                            server.place,
                            format!(
                                "the name server `{}` is the lab's, and there is no `stack`",
                                probe.server
                            ),
                        )
                        .with_hint("write `authorities`, `system`, a public resolver such as `cloudflare`, or an address"),
                    );
                }
                let is_resolver = probe.server == "resolver"
                    || super::is_outside(&probe.server) && probe.server != super::AUTHORITIES;
                if is_resolver && probe.view == DnsView::Authority {
                    context.push(Problem::error(
                        context.file(),
                        node.follow(&[Key("dns"), Key("view")]).place,
                        "a resolver is no authority: its answers come from a cache",
                    ));
                }
            }
        }
    }
    let probe_names = environment.probes.iter().zip(&nodes).map(|(probe, node)| {
        let kind = match &probe.value {
            Probe::Http(_) => "http",
            Probe::Dns(_) => "dns",
        };
        (
            probe.value.name(),
            node.follow(&[Key(kind), Key("name")]).place,
        )
    });
    let observer_names = environment
        .observers
        .iter()
        .enumerate()
        .map(|(index, observer)| {
            let node = document.follow(&[Key("observers"), Index(index), Key("observer")]);
            (observer.name.as_str(), node.place)
        });
    // `detected: { by: … }` names either, so the two share one set of names.
    report_duplicates(
        context,
        "probes or observers",
        probe_names.chain(observer_names),
    );
}

/// Whether a DNS probe's server is the lab's, one of its vantages, or an address.
fn names_a_server(server: &str, environment: &Environment) -> bool {
    matches!(server, "authority" | "resolver")
        || super::is_outside(server)
        || server.parse::<IpAddr>().is_ok()
        || server.parse::<SocketAddr>().is_ok()
        || environment
            .stack
            .as_ref()
            .is_some_and(|stack| stack.vantages.contains_key(server))
}

/// Two tiers that answers cannot tell apart would make every path a guess.
fn check_tiers(context: &Context<'_>, document: &Document, environment: &Environment) {
    let names = environment.tiers.iter().enumerate().map(|(index, tier)| {
        let node = document.follow(&[Key("tiers"), Index(index), Key("tier")]);
        (tier.name.as_str(), node.place)
    });
    report_duplicates(context, "tiers", names);
    for (index, tier) in environment.tiers.iter().enumerate() {
        let signs = |tier: &super::Tier| {
            let recognise = &tier.recognise;
            (
                recognise.header.clone(),
                recognise.body.clone(),
                recognise.certificate.clone(),
            )
        };
        let mine = signs(tier);
        if mine == (None, None, None) {
            continue;
        }
        if let Some(twin) = environment
            .tiers
            .iter()
            .take(index)
            .find(|twin| signs(twin) == mine)
        {
            let node = document.follow(&[Key("tiers"), Index(index), Key("recognise")]);
            context.push(Problem::error(
                context.file(),
                node.place,
                format!(
                    "the tier `{}` is recognised by the same signs as `{}`",
                    tier.name, twin.name
                ),
            ));
        }
    }
}

fn check_observers(context: &Context<'_>, document: &Document, environment: &Environment) {
    for (index, observer) in environment.observers.iter().enumerate() {
        let node = document.follow(&[Key("observers"), Index(index), Key("watches")]);
        match environment.targets.get(&observer.watches) {
            None => {
                let known = environment.targets.keys().map(String::as_str);
                context.report_unknown(node, "target", known);
            }
            Some(Target::Command(programs)) if programs.health.is_none() => context.push(
                Problem::error(
                    context.file(),
                    node.place,
                    "nothing tells the health of this target",
                )
                .with_hint("give its `command:` a `health: { run: […] }`"),
            ),
            Some(Target::Aws(resource)) if !resource.is_observable() => context.push(
                Problem::error(
                    context.file(),
                    node.place,
                    format!(
                        "a {} has no opinion about its health",
                        resource.kind.as_str()
                    ),
                )
                .with_hint("watch a health-check, a target-group, an alarm or a database"),
            ),
            // A container may have a health check of its own, which only the engine knows.
            Some(target) if target.resource().is_none() => {}
            Some(
                Target::Lab(resource)
                | Target::Docker(Containers {
                    part: Some(resource),
                    ..
                }),
            ) => match resource.kind {
                ResourceKind::HealthCheck
                | ResourceKind::TargetGroup
                | ResourceKind::LoadBalancer
                | ResourceKind::Database => {}
                // Its readiness probe is one.
                ResourceKind::Workload if is_probed(environment, &resource.name) => {}
                ResourceKind::Workload
                | ResourceKind::VirtualMachine
                | ResourceKind::StaticSite
                | ResourceKind::Distribution
                | ResourceKind::RecordSet
                | ResourceKind::Bucket => context.push(
                    Problem::error(
                        context.file(),
                        node.place,
                        format!(
                            "a {} has no opinion about its health",
                            resource.kind.as_str()
                        ),
                    )
                    .with_hint(
                        "watch a health-check, a target-group, a load-balancer or a database",
                    ),
                ),
            },
            Some(
                Target::Docker(_)
                | Target::Kubernetes(_)
                | Target::Aws(_)
                | Target::Command(_)
                | Target::Azure(_),
            ) => {}
        }
    }
}

/// A ledger's writes must be told apart, and the request that reads them must be there.
fn check_ledger(context: &Context<'_>, document: &Document, environment: &Environment) {
    let Some(ledger) = &environment.ledger else {
        return;
    };
    let at = |key| document.follow(&[Key("ledger"), Key(key)]);
    let requests = &environment.service.requests;
    if !requests.contains_key(&ledger.read) {
        context.report_unknown(at("read"), "request", requests.keys().map(String::as_str));
    }
    let writers = environment
        .probes
        .iter()
        .filter_map(|probe| match &probe.value {
            Probe::Http(probe) => requests
                .get(&probe.request)
                .filter(|request| request.writes)
                .map(|request| (probe.name.as_str(), request)),
            Probe::Dns(_) => None,
        });
    match writers.clone().find(|(name, _)| *name == ledger.writes) {
        None => context.report_unknown(
            at("writes"),
            "probe that writes",
            writers.map(|(name, _)| name),
        ),
        Some((_, request)) if Ledger::marker(request, "").is_none() => context.push(
            Problem::error(
                context.file(),
                at("writes").place,
                format!("the writes of `{}` cannot be told apart", ledger.writes),
            )
            .with_hint("give a form field of its request a value such as `\"{run}-{sequence}\"`"),
        ),
        Some(_) => {}
    }
}

fn check_targets(context: &Context<'_>, document: &Document, environment: &Environment) {
    let is_lab = |target: &Target| matches!(target, Target::Lab(_));
    let is_mixed = environment.is_in_containers() && environment.targets.values().any(is_lab);
    for (name, target) in &environment.targets {
        let binding = target.binding().as_str();
        let node = document.follow(&[Key("targets"), Key(name), Key(binding)]);
        if is_mixed && matches!(target.binding(), Binding::Lab | Binding::Docker) {
            context.push(Problem::error(
                context.file(),
                node.place,
                "some targets are in the lab and some in containers: the one `stack` of an environment is in the one or the other",
            ));
            return;
        }
        let Some(resource) = target.resource() else {
            continue;
        };
        let node = node.follow(&[Key(resource.kind.as_str())]);
        let Some(stack) = &environment.stack else {
            context.push(
                Problem::error(
                    context.file(),
                    node.place,
                    format!("the target `{name}` is in the lab, and there is no `stack`"),
                )
                .with_hint("describe under `stack:` what the lab is to stand in for"),
            );
            continue;
        };
        let known: Vec<&str> = match resource.kind {
            ResourceKind::Workload => stack.workloads.keys().map(String::as_str).collect(),
            ResourceKind::VirtualMachine => {
                stack.virtual_machines.keys().map(String::as_str).collect()
            }
            ResourceKind::StaticSite => stack.static_sites.keys().map(String::as_str).collect(),
            ResourceKind::LoadBalancer => stack.load_balancers.keys().map(String::as_str).collect(),
            ResourceKind::Distribution => stack.distributions.keys().map(String::as_str).collect(),
            ResourceKind::TargetGroup => stack.target_groups.keys().map(String::as_str).collect(),
            ResourceKind::HealthCheck => stack.health_checks.keys().map(String::as_str).collect(),
            ResourceKind::Database => stack.databases.keys().map(String::as_str).collect(),
            ResourceKind::Bucket => stack.buckets.keys().map(String::as_str).collect(),
            ResourceKind::RecordSet => stack
                .zones
                .iter()
                .flat_map(|zone| &zone.records)
                .filter(|record| record.weight.is_some())
                .map(|record| record.name.as_str())
                .collect(),
        };
        if !known.contains(&resource.name.as_str()) {
            context.report_unknown(node, resource.kind.as_str(), known.iter().copied());
        }
    }
}

fn check_limits(context: &Context<'_>, document: &Document, environment: &Environment) {
    let targets = environment.limits.targets.iter().flatten();
    for (index, target) in targets.enumerate() {
        if !environment.targets.contains_key(target) {
            let node = document.follow(&[Key("limits"), Key("targets"), Index(index)]);
            let known = environment.targets.keys().map(String::as_str);
            context.report_unknown(node, "target", known);
        }
    }
}

/// A share of fewer samples than this says nothing.
const FEWEST: u32 = 5;

/// The probes and observers that conditions name, in whichever file they stand.
pub(crate) fn check_abort_if(
    context: &Context<'_>,
    list: &Node,
    conditions: &[Located<AbortIf>],
    environment: &Environment,
) {
    for (index, condition) in conditions.iter().enumerate() {
        let node = list.follow(&[Index(index), Key(condition.value.kind())]);
        match &condition.value {
            AbortIf::OutageLongerThan(_) => {}
            AbortIf::ErrorsAbove { probe, over, .. } => match environment.probe(probe) {
                None => {
                    let known = environment.probes.iter().map(|probe| probe.value.name());
                    context.report_unknown(node.follow(&[Key("probe")]), "probe", known);
                }
                Some(probe) if probe.every().saturating_mul(FEWEST) > *over => {
                    let message = format!(
                        "`{}` looks every {}, so this is a share of fewer than {FEWEST} samples",
                        probe.name(),
                        duration_words(probe.every())
                    );
                    let hint = format!(
                        "at least {}",
                        duration_words(probe.every().saturating_mul(FEWEST))
                    );
                    let place = node.follow(&[Key("over")]).place;
                    context.push(Problem::error(context.file(), place, message).with_hint(hint));
                }
                Some(_) => {}
            },
            AbortIf::ObserverBad(observer) => {
                let known = environment
                    .observers
                    .iter()
                    .map(|known| known.name.as_str());
                if !known.clone().any(|known| known == observer) {
                    context.report_unknown(node, "observer", known);
                }
            }
            AbortIf::StandbyNotHealthy(probe) => {
                let standbys = environment
                    .probes
                    .iter()
                    .filter_map(|probe| match &probe.value {
                        Probe::Http(probe) => probe.standby.as_ref().map(|_| probe.name.as_str()),
                        Probe::Dns(_) => None,
                    });
                if !standbys.clone().any(|known| known == probe) {
                    context.report_unknown(node, "probe of a standby", standbys);
                }
            }
        }
    }
}

/// Whether a workload has a readiness probe; in a copy of an environment, which has no stack any more, it is taken to have one.
fn is_probed(environment: &Environment, workload: &str) -> bool {
    environment.stack.as_ref().is_none_or(|stack| {
        let workload = stack.workloads.get(workload);
        workload.is_none_or(|workload| workload.readiness.is_some())
    })
}
