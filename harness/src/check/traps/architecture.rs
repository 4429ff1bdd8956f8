//! Traps that lie in how the parts of an architecture fit together: names, pods, databases, and how often all of it is asked.

use std::collections::BTreeMap;

use blackstart_lab::stack::{self, FailoverRole, Record, RecordType, Serves};

use super::Traps;
use crate::{
    drill::duration_words,
    environment::Target,
    source::{
        Node,
        Step::{Index, Key},
    },
};

/// Requests a second that Route 53 takes from one account (developer guide, "Quotas").
const ROUTE_53_REQUESTS: f64 = 5.0;

pub(super) fn check(traps: &Traps<'_>, root: &Node) {
    let stack = root.follow(&[Key("stack")]);
    traps.families(stack);
    traps.coupled(stack);
    traps.empty_groups(stack);
    traps.polling(root);
}

impl Traps<'_> {
    /// Names whose A records are failed over and whose AAAA records are not, or the other way round.
    fn families(&self, node: &Node) {
        for (zone_index, zone) in self.stack.zones.iter().enumerate() {
            let mut by_name: BTreeMap<&str, Vec<(usize, &Record)>> = BTreeMap::new();
            for (index, record) in zone.records.iter().enumerate() {
                by_name
                    .entry(&record.name)
                    .or_default()
                    .push((index, record));
            }
            for (name, records) in by_name {
                let of = |wanted: RecordType| {
                    let records = records.iter();
                    records.filter(move |(_, record)| record.r#type == wanted)
                };
                let decided = |wanted| {
                    of(wanted)
                        .map(|(_, record)| how(record))
                        .collect::<Vec<_>>()
                };
                let Some((index, _)) = of(RecordType::Aaaa).next() else {
                    continue;
                };
                let (four, six) = (decided(RecordType::A), decided(RecordType::Aaaa));
                if four.is_empty() || same(four, &six) {
                    continue;
                }
                let steps = [
                    Key("zones"),
                    Index(zone_index),
                    Key("records"),
                    Index(*index),
                ];
                self.warn(
                    node.follow(&steps).place,
                    format!("the AAAA records of `{name}` are not failed over as its A records are, so users of IPv6 go elsewhere"),
                    "give both types the same roles and checks: `blackstart explain ipv6-left-behind`",
                );
            }
        }
    }

    /// A database in the health of what is asked whether a region is alive.
    fn coupled(&self, node: &Node) {
        for (name, workload) in &self.stack.workloads {
            let Serves::Application {
                database,
                health_includes_database,
                readiness_includes_database,
                ..
            } = &workload.serves
            else {
                continue;
            };
            let Some(config) = self.stack.databases.get(database) else {
                continue;
            };
            let includes = |path: &str| {
                let readiness = path.ends_with("/actuator/health/readiness");
                readiness && *readiness_includes_database
                    || path.ends_with("/actuator/health") && *health_includes_database
            };
            let group_asks = self
                .stack
                .target_groups
                .values()
                .any(|group| group.workload == *name && includes(&group.health_check_path));
            let pods_ask = workload
                .readiness
                .as_ref()
                .is_some_and(|probe| includes(&probe.path));
            let check = self
                .stack
                .health_checks
                .iter()
                .find(|(_, check)| includes(&check.path) && self.leads_to(&check.fqdn, name));
            let steps = [
                Key("workloads"),
                Key(name),
                Key("serves"),
                Key("application"),
            ];
            let place = node.follow(&steps).place;
            let hint =
                "take the database out of what decides: `blackstart explain readiness-coupled`";
            let away = duration_words(config.promotion);
            if let Some((check_name, check)) = check {
                let soonest = check.request_interval * (check.failure_threshold - 1);
                if config.promotion >= soonest {
                    self.warn(
                        place,
                        format!(
                            "a failover of the database takes {away}, and the health check `{check_name}` asks a path that includes it: \
                             after {} to {} everything is failed over",
                            duration_words(soonest),
                            duration_words(soonest + check.request_interval)
                        ),
                        hint,
                    );
                }
            } else if group_asks || pods_ask {
                self.warn(
                    place,
                    format!(
                        "a failover of the database takes {away}, and every pod of `{name}` is called unready meanwhile: the load balancer \
                         has no target, and readers get 503"
                    ),
                    hint,
                );
            }
        }
    }

    /// Whether a name is that of a load balancer in front of a workload.
    fn leads_to(&self, dns_name: &str, workload: &str) -> bool {
        let mut balancers = self.stack.load_balancers.values();
        balancers.any(|balancer| {
            balancer.dns_name == dns_name
                && self
                    .groups_of(balancer)
                    .any(|(_, group)| group.workload == workload)
        })
    }

    fn groups_of<'b>(
        &'b self,
        balancer: &'b stack::LoadBalancer,
    ) -> impl Iterator<Item = (&'b String, &'b stack::TargetGroup)> {
        let names = balancer.listeners.iter();
        names
            .filter_map(|listener| listener.target_group.as_ref())
            .filter_map(|name| self.stack.target_groups.get_key_value(name))
    }

    /// A target group without pods beside others: it makes an alias that evaluates target health unhealthy.
    fn empty_groups(&self, node: &Node) {
        let records = || self.stack.zones.iter().flat_map(|zone| &zone.records);
        for (name, balancer) in &self.stack.load_balancers {
            let evaluated = records().any(|record| {
                let alias = record.alias.as_ref();
                record.value == balancer.dns_name
                    && alias.is_some_and(|alias| alias.evaluate_target_health)
            });
            let pods = |group: &stack::TargetGroup| {
                let workload = self.stack.workloads.get(&group.workload);
                workload.map_or(0, |workload| workload.replicas)
            };
            let groups: Vec<_> = self.groups_of(balancer).collect();
            let empty = groups.iter().find(|(_, group)| pods(group) == 0);
            if let Some((group, _)) = empty
                && evaluated
            {
                self.warn(
                    node.follow(&[Key("load-balancers"), Key(name)]).place,
                    format!(
                        "the target group `{group}` has no pods, and a load balancer with an empty group is unhealthy for an alias that \
                         evaluates its health, whatever the others are"
                    ),
                    "give the group a pod, or take it off the listeners while nothing stands behind it",
                );
            }
        }
    }

    /// Health checks that are read more often than Route 53 lets an account ask.
    fn polling(&self, root: &Node) {
        let watching = self.environment.observers.iter().enumerate();
        let mut watching = watching.filter(|(_, observer)| {
            let target = self.environment.targets.get(&observer.watches);
            let kind = target
                .and_then(Target::resource)
                .map(|resource| resource.kind);
            kind == Some(blackstart_lab::control::ResourceKind::HealthCheck)
        });
        let rate: f64 = watching
            .clone()
            .map(|(_, observer)| 1.0 / observer.every.as_secs_f64())
            .sum();
        if rate > ROUTE_53_REQUESTS
            && let Some((index, _)) = watching.next()
        {
            self.warn(
                root.follow(&[Key("observers"), Index(index), Key("every")]).place,
                format!(
                    "health checks are read {rate:.0} times a second, and Route 53 takes {ROUTE_53_REQUESTS} requests a second from an account: \
                     a drill would throttle whoever operates it"
                ),
                "read them every 2s",
            );
        }
    }
}

/// What decides whether a record is answered.
type How<'r> = (
    Option<FailoverRole>,
    Option<u8>,
    Option<&'r str>,
    Option<&'r str>,
    bool,
);

fn how(record: &Record) -> How<'_> {
    (
        record.failover,
        record.weight,
        record.region.as_deref(),
        record.health_check.as_deref(),
        record
            .alias
            .is_some_and(|alias| alias.evaluate_target_health),
    )
}

/// Whether two sets of records are decided in the same way, whatever their order.
fn same(mut one: Vec<How<'_>>, other: &[How<'_>]) -> bool {
    one.len() == other.len()
        && other.iter().all(|how| {
            let place = one.iter().position(|known| known == how);
            place.map(|place| one.remove(place)).is_some()
        })
}
