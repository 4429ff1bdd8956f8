//! Names in the `stack:` block that refer to other places in it, and the rules of the services it imitates.

use std::collections::BTreeMap;

use blackstart_lab::stack::{
    Distribution, FailoverRole, Methods, Record, RecordType, Serves, Stack, Zone,
};

use crate::source::{
    Context, Node, Place, Problem,
    Step::{Index, Key},
    report_duplicates,
};

pub(in crate::environment) fn check(context: &Context<'_>, node: &Node, stack: &Stack) {
    let checker = Checker { context, stack };
    for (index, zone) in stack.zones.iter().enumerate() {
        checker.zone(node.follow(&[Key("zones"), Index(index)]), zone);
    }
    checker.health_checks(node.follow(&[Key("health-checks")]));
    checker.calculated_checks(node.follow(&[Key("calculated-checks")]));
    checker.buckets(node.follow(&[Key("buckets")]));
    checker.balancers(node.follow(&[Key("load-balancers")]));
    for (name, group) in &stack.target_groups {
        checker.workload(
            node.follow(&[Key("target-groups"), Key(name), Key("workload")]),
            &group.workload,
        );
    }
    for (name, workload) in &stack.workloads {
        checker.serves(
            node.follow(&[Key("workloads"), Key(name), Key("serves")]),
            &workload.serves,
            Some(name),
        );
    }
    for (name, machine) in &stack.virtual_machines {
        checker.serves(
            node.follow(&[Key("virtual-machines"), Key(name), Key("serves")]),
            &machine.serves,
            None,
        );
    }
    for (name, distribution) in &stack.distributions {
        checker.distribution(
            node.follow(&[Key("distributions"), Key(name)]),
            distribution,
        );
    }
    checker.dns_names(node);
}

struct Checker<'a> {
    context: &'a Context<'a>,
    stack: &'a Stack,
}

impl Checker<'_> {
    fn error(&self, place: Place, message: impl Into<String>) {
        self.context
            .push(Problem::error(self.context.file(), place, message));
    }

    fn warn(&self, place: Place, message: impl Into<String>, hint: &str) {
        self.context
            .push(Problem::warning(self.context.file(), place, message).with_hint(hint));
    }

    fn zone(&self, node: &Node, zone: &Zone) {
        let mut sets: BTreeMap<(&str, &str), Vec<(usize, &Record)>> = BTreeMap::new();
        for (index, record) in zone.records.iter().enumerate() {
            self.record(node.follow(&[Key("records"), Index(index)]), zone, record);
            sets.entry((&record.name, type_word(record.r#type)))
                .or_default()
                .push((index, record));
        }
        for ((name, _), records) in &sets {
            self.record_set(node, name, records);
        }
        for ((name, kind), records) in &sets {
            if *kind != "CNAME"
                && sets.contains_key(&(*name, "CNAME"))
                && let Some((index, _)) = records.first()
            {
                self.error(
                    node.follow(&[Key("records"), Index(*index)]).place,
                    format!("`{name}` has a CNAME record, and then it can have no other"),
                );
            }
        }
    }

    fn record(&self, node: &Node, zone: &Zone, record: &Record) {
        let at = |key| node.follow(&[Key(key)]);
        let inside = record.name == zone.name
            || record
                .name
                .strip_suffix(&zone.name)
                .is_some_and(|rest| rest.ends_with('.'));
        if !inside {
            self.error(
                at("name").place,
                format!("`{}` is not in the zone `{}`", record.name, zone.name),
            );
        }
        if let Some(check) = &record.health_check
            && !self.stack.health_checks.contains_key(check)
            && !self.stack.calculated_checks.contains_key(check)
        {
            let checks = self.stack.health_checks.keys();
            let known = checks
                .chain(self.stack.calculated_checks.keys())
                .map(String::as_str);
            self.context
                .report_unknown(at("health-check"), "health check", known);
        }
        let distribution = self
            .stack
            .distributions
            .values()
            .any(|distribution| distribution.domain_name == record.value);
        if distribution
            && record
                .alias
                .is_some_and(|alias| alias.evaluate_target_health)
        {
            // Route 53 `AliasTarget.EvaluateTargetHealth`.
            self.error(
                at("alias").place,
                "`evaluate-target-health` cannot be true for a distribution",
            );
        }
        match record.r#type {
            RecordType::Cname if record.name == zone.name => self.error(
                at("type").place,
                "the zone's own name cannot be a CNAME: use an `A` record with `alias`",
            ),
            RecordType::A | RecordType::Aaaa if record.alias.is_none() => {
                let known = self
                    .stack
                    .virtual_machines
                    .values()
                    .map(|machine| machine.dns_name.as_str());
                if !known.clone().any(|name| name == record.value) {
                    self.context.report_unknown(at("value"), "machine", known);
                }
            }
            RecordType::Txt if record.alias.is_some() => {
                self.error(at("alias").place, "a text is no alias of anything");
            }
            RecordType::A | RecordType::Aaaa | RecordType::Cname | RecordType::Txt => {}
        }
        if record.failover == Some(FailoverRole::Primary)
            && record.health_check.is_none()
            && !record
                .alias
                .is_some_and(|alias| alias.evaluate_target_health)
        {
            self.warn(
                node.place,
                format!(
                    "nothing checks the primary record of `{}`, so it never fails over",
                    record.name
                ),
                "give it a `health-check`, or an `alias` with `evaluate-target-health: true`",
            );
        }
        if record.failover == Some(FailoverRole::Secondary) && record.health_check.is_some() {
            self.warn(
                at("health-check").place,
                "when the secondary is unhealthy too, Route 53 answers with the dead primary",
                "leave out the secondary's health check: without one it counts as healthy",
            );
        }
    }

    /// The records of one name and type.
    fn record_set(&self, node: &Node, name: &str, records: &[(usize, &Record)]) {
        let place = |index: usize| node.follow(&[Key("records"), Index(index)]).place;
        let [(first, only), rest @ ..] = records else {
            return;
        };
        if self.is_group(&place, name, records) {
            return;
        }
        let mut roles = [0_usize; 2];
        for (index, record) in records {
            let slot = match record.failover {
                Some(FailoverRole::Primary) => &mut roles[0],
                Some(FailoverRole::Secondary) => &mut roles[1],
                None if rest.is_empty() => continue,
                None => {
                    self.error(
                        place(*index),
                        format!("there is another record of this type for `{name}`: only a failover pair may share one"),
                    );
                    return;
                }
            };
            *slot += 1;
            if *slot > 1 {
                self.error(
                    place(*index),
                    format!("`{name}` has two records of this role: a failover pair is one primary and one secondary"),
                );
                return;
            }
        }
        if only.failover.is_some() && rest.is_empty() {
            self.error(
                place(*first),
                format!("the failover pair of `{name}` lacks its other record"),
            );
        }
    }

    /// Weighted or latency records, or a mixture that there cannot be.
    fn is_group(
        &self,
        place: &impl Fn(usize) -> Place,
        name: &str,
        records: &[(usize, &Record)],
    ) -> bool {
        let kind = |record: &Record| {
            (
                record.failover.is_some(),
                record.weight.is_some(),
                record.region.is_some(),
            )
        };
        let routed = |kind: (bool, bool, bool)| kind.1 || kind.2;
        let first = kind(records[0].1);
        if !records.iter().any(|(_, record)| routed(kind(record))) {
            return false;
        }
        for (index, record) in records {
            let (failover, weight, region) = kind(record);
            if usize::from(failover) + usize::from(weight) + usize::from(region) != 1
                || kind(record) != first
            {
                self.error(
                    place(*index),
                    format!(
                        "the records of `{name}` must all have a `failover` role, all a `weight` or all a `region`: \
                         to nest them, point an alias at a name of its own"
                    ),
                );
                return true;
            }
            let regions = records
                .iter()
                .filter(|(_, other)| other.region == record.region);
            if region && regions.count() > 1 {
                self.error(
                    place(*index),
                    format!("`{name}` has two records of this region"),
                );
                return true;
            }
        }
        true
    }

    fn buckets(&self, node: &Node) {
        for (name, bucket) in &self.stack.buckets {
            let Some(source) = &bucket.replica_of else {
                continue;
            };
            let node = node.follow(&[Key(name), Key("replica-of")]);
            match self.stack.buckets.get(source) {
                None => {
                    let known = self.stack.buckets.keys().map(String::as_str);
                    self.context.report_unknown(node, "bucket", known);
                }
                Some(source) if source.replica_of.is_some() => self.error(
                    node.place,
                    "a replica cannot be replicated further: name the bucket that is written to",
                ),
                Some(_) => {}
            }
        }
    }

    fn calculated_checks(&self, node: &Node) {
        for (name, check) in &self.stack.calculated_checks {
            let children = node.follow(&[Key(name), Key("children")]);
            if self.stack.health_checks.contains_key(name) {
                self.error(
                    children.place,
                    format!("`{name}` is the name of a health check as well"),
                );
            }
            for (index, child) in check.children.iter().enumerate() {
                if !self.stack.health_checks.contains_key(child) {
                    let known = self.stack.health_checks.keys().map(String::as_str);
                    let node = children.follow(&[Index(index)]);
                    self.context.report_unknown(node, "health check", known);
                }
            }
            let threshold = node.follow(&[Key(name), Key("healthy-threshold")]).place;
            let hint = "from 1 to the number of children";
            if check.healthy_threshold == 0 {
                self.warn(threshold, "a threshold of 0 is always healthy", hint);
            } else if check.healthy_threshold as usize > check.children.len() {
                self.warn(
                    threshold,
                    "more than there are children: this check is never healthy",
                    hint,
                );
            }
        }
    }

    fn health_checks(&self, node: &Node) {
        for (name, check) in &self.stack.health_checks {
            let own_record = self
                .stack
                .zones
                .iter()
                .flat_map(|zone| &zone.records)
                .any(|record| {
                    record.name == check.fqdn && record.health_check.as_deref() == Some(name)
                });
            if own_record {
                self.warn(
                    node.follow(&[Key(name), Key("fqdn")]).place,
                    "this check asks the name that it decides about, so its results are unpredictable",
                    "ask the name of the load balancer or machine behind the primary record",
                );
            }
        }
    }

    fn balancers(&self, node: &Node) {
        for (name, balancer) in &self.stack.load_balancers {
            for (index, listener) in balancer.listeners.iter().enumerate() {
                if let Some(group) = &listener.target_group
                    && !self.stack.target_groups.contains_key(group)
                {
                    let known = self.stack.target_groups.keys().map(String::as_str);
                    let node = node.follow(&[
                        Key(name),
                        Key("listeners"),
                        Index(index),
                        Key("target-group"),
                    ]);
                    self.context.report_unknown(node, "target group", known);
                }
            }
        }
    }

    fn workload(&self, node: &Node, name: &str) {
        if !self.stack.workloads.contains_key(name) {
            let known = self.stack.workloads.keys().map(String::as_str);
            self.context.report_unknown(node, "workload", known);
        }
    }

    /// What answers, and for a workload that it is not a circle of proxies.
    fn serves(&self, node: &Node, serves: &Serves, own_name: Option<&str>) {
        let Serves::Proxy { workload } = serves else {
            return;
        };
        let node = node.follow(&[Key("proxy"), Key("workload")]);
        self.workload(node, workload);
        let mut next = workload.as_str();
        for _ in 0..self.stack.workloads.len() {
            if Some(next) == own_name {
                self.error(node.place, "the proxies pass requests round in a circle");
                return;
            }
            match self
                .stack
                .workloads
                .get(next)
                .map(|workload| &workload.serves)
            {
                Some(Serves::Proxy { workload }) => next = workload,
                Some(Serves::Application { .. }) | None => return,
            }
        }
    }

    fn distribution(&self, node: &Node, distribution: &Distribution) {
        let at_behavior =
            |index: usize, key| node.follow(&[Key("behaviors"), Index(index), Key(key)]);
        for (name, group) in &distribution.origin_groups {
            let members = node.follow(&[Key("origin-groups"), Key(name), Key("members")]);
            if distribution.origins.contains_key(name) {
                self.error(
                    members.place,
                    format!("`{name}` is the name of an origin as well"),
                );
            }
            for (index, member) in group.members.iter().enumerate() {
                if !distribution.origins.contains_key(member) {
                    let known = distribution.origins.keys().map(String::as_str);
                    self.context
                        .report_unknown(members.follow(&[Index(index)]), "origin", known);
                }
            }
            if group.members[0] == group.members[1] {
                self.error(members.place, "both members are the same origin");
            }
        }
        for (index, behavior) in distribution.behaviors.iter().enumerate() {
            let grouped = distribution.origin_groups.contains_key(&behavior.origin);
            if !grouped && !distribution.origins.contains_key(&behavior.origin) {
                let known = distribution
                    .origins
                    .keys()
                    .chain(distribution.origin_groups.keys())
                    .map(String::as_str);
                self.context
                    .report_unknown(at_behavior(index, "origin"), "origin", known);
            }
            let only_for = behavior
                .edge_function
                .as_ref()
                .and_then(|function| function.only_for.as_ref());
            if let Some(origin) = only_for
                && !distribution.origins.contains_key(origin)
            {
                let known = distribution.origins.keys().map(String::as_str);
                let node = at_behavior(index, "edge-function").follow(&[Key("only-for")]);
                self.context.report_unknown(node, "origin", known);
            }
            if grouped && behavior.edge_function.is_some() && only_for.is_none() {
                self.warn(
                    at_behavior(index, "edge-function").place,
                    "the function runs once for each origin of the group and rewrites the Host header for both",
                    "say which origin it is `only-for`",
                );
            }
            if grouped && behavior.methods == Methods::All {
                self.error(
                    at_behavior(index, "methods").place,
                    "an origin group takes no methods that write: use `read` or `read-and-options`",
                );
            }
            let last = index + 1 == distribution.behaviors.len();
            if last && behavior.path != "*" {
                self.error(
                    at_behavior(index, "path").place,
                    "the last behaviour must match every path: `*`",
                );
            }
            if !last && behavior.path == "*" {
                self.error(
                    at_behavior(index, "path").place,
                    "`*` matches every path, so the behaviours after it are never used",
                );
            }
        }
        let names: Vec<&str> = self.names().map(|(name, _)| name).collect();
        for (name, origin) in &distribution.origins {
            let recorded = self
                .stack
                .zones
                .iter()
                .flat_map(|zone| &zone.records)
                .any(|record| record.name == origin.domain_name);
            if !recorded && !names.contains(&origin.domain_name.as_str()) {
                self.warn(
                    node.follow(&[Key("origins"), Key(name), Key("domain-name")]).place,
                    format!("nothing in the stack is called `{}`, so this origin never answers", origin.domain_name),
                    "name a load balancer, machine, static site, distribution or record of the stack",
                );
            }
        }
    }

    /// The DNS names that things bring with them, and the steps to each.
    fn names(&self) -> impl Iterator<Item = (&str, [&str; 3])> {
        let stack = self.stack;
        let buckets = stack
            .buckets
            .iter()
            .map(|(name, bucket)| (bucket.dns_name.as_str(), ["buckets", name, "dns-name"]));
        let databases = stack
            .databases
            .iter()
            .map(|(name, database)| (database.endpoint.as_str(), ["databases", name, "endpoint"]));
        let balancers = stack.load_balancers.iter().map(|(name, balancer)| {
            (
                balancer.dns_name.as_str(),
                ["load-balancers", name, "dns-name"],
            )
        });
        let distributions = stack.distributions.iter().map(|(name, distribution)| {
            (
                distribution.domain_name.as_str(),
                ["distributions", name, "domain-name"],
            )
        });
        let machines = stack.virtual_machines.iter().map(|(name, machine)| {
            (
                machine.dns_name.as_str(),
                ["virtual-machines", name, "dns-name"],
            )
        });
        let sites = stack
            .static_sites
            .iter()
            .map(|(name, site)| (site.dns_name.as_str(), ["static-sites", name, "dns-name"]));
        balancers
            .chain(distributions)
            .chain(machines)
            .chain(sites)
            .chain(buckets)
            .chain(databases)
    }

    fn dns_names(&self, node: &Node) {
        report_duplicates(
            self.context,
            "things",
            self.names()
                .map(|(name, steps)| (name, node.follow(&steps.map(Key)).place)),
        );
    }
}

fn type_word(kind: RecordType) -> &'static str {
    match kind {
        RecordType::A => "A",
        RecordType::Aaaa => "AAAA",
        RecordType::Cname => "CNAME",
        RecordType::Txt => "TXT",
    }
}
