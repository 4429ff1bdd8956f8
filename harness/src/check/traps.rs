//! Traps of failover architectures that show in the files alone, before anything is broken. All are warnings: an architecture may have
//! one on purpose, and a drill may be there to show it.

mod alarms;
mod architecture;

use std::time::Duration;

use blackstart_lab::{
    model::distribution::{Distribution, Rejection},
    stack::{self, FailoverRole, Record, Stack},
};

use super::Checker;
use crate::{
    drill::{Expect, Fault, duration_words},
    environment::{DnsCache, Environment, EnvironmentFile, Probe},
    source::{
        Context, Node, Place, Problem,
        Step::{Index, Key},
    },
};

/// Answers that are kept longer than this outlive a recovery noticeably.
const KEPT_LONG: Duration = Duration::from_mins(1);

/// How long Route 53 waits for a connection (developer guide, "How Route 53 determines whether an endpoint is healthy").
const CONNECT_LIMIT: Duration = Duration::from_secs(4);

/// The traps of an environment.
pub(super) fn environment(context: &Context<'_>, file: &EnvironmentFile) {
    alarms::environment(context, file);
    let environment = &file.environment;
    let Some(stack) = &environment.stack else {
        return;
    };
    let traps = Traps {
        context,
        environment,
        stack,
    };
    let node = file.document.follow(&[Key("stack")]);
    traps.health_checks(node);
    traps.distributions(node);
    traps.requests(&file.document.root);
    traps.names_of_secondaries(node);
    architecture::check(&traps, &file.document.root);
}

struct Traps<'a> {
    context: &'a Context<'a>,
    environment: &'a Environment,
    stack: &'a Stack,
}

impl Traps<'_> {
    fn warn(&self, place: Place, message: impl Into<String>, hint: &str) {
        let problem = Problem::warning(self.context.file(), place, message);
        self.context.push(problem.with_hint(hint));
    }

    fn health_checks(&self, node: &Node) {
        for (name, check) in &self.stack.health_checks {
            let at = |key| {
                node.follow(&[Key("health-checks"), Key(name), Key(key)])
                    .place
            };
            if check.disabled && !check.inverted {
                self.warn(
                    at("disabled"),
                    "a disabled health check counts as healthy, so nothing fails over by it",
                    "to force a failover, set `inverted` besides: `blackstart explain disabled-is-healthy`",
                );
            }
            if check.inverted && !check.disabled {
                self.warn(
                    at("inverted"),
                    "an inverted check starts unhealthy, and turns healthy when its endpoint really fails: users are then sent there",
                    "to keep users away, set `disabled` besides: `blackstart explain disabled-is-healthy`",
                );
            }
            let redirects = self.stack.load_balancers.values().any(|balancer| {
                balancer.dns_name == check.fqdn
                    && balancer.listeners.iter().any(|listener| {
                        listener.port == check.port && listener.target_group.is_none()
                    })
            });
            if redirects {
                self.warn(
                    node.follow(&[Key("health-checks"), Key(name)]).place,
                    "this check asks a listener that redirects, and a redirect passes with no target behind it",
                    "ask port 443 by `https`: `blackstart explain redirect-checked`",
                );
            }
            let secured = check.protocol == stack::Protocol::Https;
            if !secured && check.port == 443 {
                self.warn(
                    at("port"),
                    "this check speaks plain HTTP to the port of HTTPS",
                    "write `protocol: https`",
                );
            }
        }
    }

    fn distributions(&self, node: &Node) {
        let patience = self.environment.user_probe().map(|probe| probe.timeout);
        for (name, distribution) in &self.stack.distributions {
            let node = node.follow(&[Key("distributions"), Key(name)]);
            for (group_name, group) in &distribution.origin_groups {
                let first = distribution.origins.get(&group.members[0]);
                let (Some(origin), Some(patience)) = (first, patience) else {
                    continue;
                };
                let waits = origin.connection_timeout * origin.connection_attempts;
                if waits >= patience {
                    self.warn(
                        node.follow(&[Key("origin-groups"), Key(group_name)]).place,
                        format!(
                            "a first origin that is off costs every request {}, and users give up after {}",
                            duration_words(waits),
                            duration_words(patience)
                        ),
                        "fewer `connection-attempts` and a shorter `connection-timeout` at the first origin",
                    );
                }
            }
            for (index, behavior) in distribution.behaviors.iter().enumerate() {
                let is_group = distribution.origin_groups.contains_key(&behavior.origin);
                if is_group && behavior.default_ttl >= KEPT_LONG {
                    let node = node.follow(&[Key("behaviors"), Index(index)]);
                    self.warn(
                        node.place,
                        format!(
                            "an answer of the second origin is kept for {} under the same key, past the recovery of the first",
                            duration_words(behavior.default_ttl)
                        ),
                        "write `default-ttl: 0s`, or send Cache-Control with the page",
                    );
                }
            }
        }
    }

    /// Requests that a distribution would refuse when users are sent to it.
    fn requests(&self, root: &Node) {
        let Some(host) = self.environment.service.host() else {
            return;
        };
        let serving = self.stack.distributions.iter().filter(|(_, config)| {
            config
                .aliases
                .iter()
                .any(|alias| alias.eq_ignore_ascii_case(host))
        });
        for (name, config) in serving {
            let Ok(distribution) = Distribution::new(config) else {
                continue;
            };
            for (request_name, request) in &self.environment.service.requests {
                let is_sent = self
                    .environment
                    .probes
                    .iter()
                    .any(|probe| match &probe.value {
                        Probe::Http(probe) => probe.request == *request_name,
                        Probe::Dns(_) => false,
                    });
                let Ok(method) = request.method.parse::<http::Method>() else {
                    continue;
                };
                let path = request.path.split('?').next().unwrap_or_default();
                let refused = distribution.fetch(host, &method, path).err();
                if is_sent && refused == Some(Rejection::MethodNotAllowed) {
                    let node = root.follow(&[Key("service"), Key("requests"), Key(request_name)]);
                    self.warn(
                        node.place,
                        format!(
                            "the distribution `{name}` answers {method} {path} with 403: its behaviour for that path does not allow the method"
                        ),
                        "give the path a behaviour of its own, to one origin with `methods: all`: `blackstart explain writes-forbidden`",
                    );
                }
            }
        }
    }

    /// Secondary records that lead to a distribution which does not know the name.
    fn names_of_secondaries(&self, node: &Node) {
        for (zone_index, zone) in self.stack.zones.iter().enumerate() {
            for (index, record) in zone.records.iter().enumerate() {
                let leads_to = self.stack.distributions.iter().find(|(_, config)| {
                    config.domain_name == record.value
                        && record.name != config.domain_name
                        && !config.aliases.contains(&record.name)
                });
                if let Some((name, _)) = leads_to {
                    let steps = [
                        Key("zones"),
                        Index(zone_index),
                        Key("records"),
                        Index(index),
                    ];
                    self.warn(
                        node.follow(&steps).place,
                        format!(
                            "the distribution `{name}` does not list `{}`, so whoever is sent there gets 403 or no TLS",
                            record.name
                        ),
                        "add the name to the `aliases` of the distribution",
                    );
                }
            }
        }
    }
}

/// The traps of a drill in its environment.
pub(super) fn drill(checker: &Checker<'_>) {
    alarms::drill(checker.context, checker.file);
    let faults = checker.file.drill.faults.iter().enumerate();
    let disables = faults.clone().flat_map(|(index, step)| {
        step.faults
            .iter()
            .enumerate()
            .map(move |(inner, fault)| (index, inner, &fault.value))
    });
    let inverted = |wanted: &str| {
        let mut all = checker
            .file
            .drill
            .faults
            .iter()
            .flat_map(|step| &step.faults);
        all.any(
            |fault| matches!(&fault.value, Fault::InvertHealthCheck { target } if target == wanted),
        )
    };
    for (index, inner, fault) in disables {
        if let Fault::DisableHealthCheck { target } = fault
            && !inverted(target)
        {
            let steps = [Key("faults"), Index(index)];
            let entry = checker.file.document.follow(&steps);
            let entry = match entry.get("together") {
                Some(list) => list.follow(&[Index(inner)]),
                None => entry,
            };
            let problem = Problem::warning(
                checker.context.file(),
                entry.place_of_key(fault.kind()),
                "a disabled health check counts as healthy, so this moves nobody",
            );
            checker.push(problem.with_hint(
                "to move users, use `invert-health-check`: `blackstart explain disabled-is-healthy`",
            ));
        }
    }
}

/// Clients that keep answers for ever, of whom a drill expects that they are moved.
pub(super) fn clients(checker: &Checker<'_>, expect: &Expect, node: &Node) {
    let Expect::ServedBy(wanted) = expect else {
        return;
    };
    let first = checker.environment.tiers.first().map(|tier| &tier.name);
    for (name, tier) in wanted {
        if let Some(Probe::Http(probe)) = checker.environment.probe(name)
            && probe.dns_cache == DnsCache::ForEver
            && Some(tier) != first
        {
            let problem = checker.warning(
                node.follow(&[Key(name)]),
                format!("clients like `{name}` never look a name up again, so no failover of DNS moves them to {tier}"),
            );
            checker.push(problem.with_hint(
                "leave them out, or give the probe another `dns-cache`: `blackstart explain dns-cache-stragglers`",
            ));
        }
    }
}

/// A limit on the recovery time that the documented rules of the services can break.
pub(super) fn recovery(checker: &Checker<'_>, expect: &Expect, node: &Node) {
    let (Expect::Rto { within, .. }, Some(stack)) = (expect, &checker.environment.stack) else {
        return;
    };
    let Some((check, ttl)) = deciding(checker.environment, stack) else {
        return;
    };
    let detect = |failure: Duration| (check.request_interval + failure) * check.failure_threshold;
    let rest = check.propagation + ttl;
    let (fast, slow) = (detect(Duration::ZERO) + rest, detect(CONNECT_LIMIT) + rest);
    if *within < fast {
        let problem = Problem::warning(
            checker.context.file(),
            node.place,
            format!(
                "users can be away for {}, and for {} if nobody answers: {} x {} of the check, {} of publication, a TTL of {}",
                duration_words(fast),
                duration_words(slow),
                check.failure_threshold,
                duration_words(check.request_interval),
                duration_words(check.propagation),
                duration_words(ttl)
            ),
        );
        checker.push(problem.with_hint(
            "a limit that only some phases keep proves nothing: `blackstart explain rto-cache-wait`",
        ));
    }
}

/// The check that decides about the service's name, and the TTL that its users wait for; none if something faster decides, too.
fn deciding<'s>(
    environment: &Environment,
    stack: &'s Stack,
) -> Option<(&'s stack::HealthCheck, Duration)> {
    let host = environment.service.host()?;
    let records = || stack.zones.iter().flat_map(|zone| &zone.records);
    let primary = records()
        .find(|record| record.name == host && record.failover == Some(FailoverRole::Primary))?;
    let evaluates = |record: &Record| {
        let alias = record.alias.as_ref();
        alias.is_some_and(|alias| alias.evaluate_target_health)
    };
    if evaluates(primary) {
        return None;
    }
    let check = stack.health_checks.get(primary.health_check.as_ref()?)?;
    Some((
        check,
        primary
            .ttl
            .clamp(stack.resolver.minimum_ttl, stack.resolver.maximum_ttl),
    ))
}
