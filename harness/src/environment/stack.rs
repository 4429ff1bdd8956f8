//! The `stack:` block: what the lab stands in for, with the defaults of the services it imitates.

mod data;
mod distribution;
mod pods;
mod references;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use blackstart_lab::stack::{
    Alias, CalculatedCheck, FailoverRole, Flows, HealthCheck, Listener, LoadBalancer,
    MOST_REPLICAS, Protocol, Record, RecordType, Resolver, Serves, Stack, StaticSite, TargetGroup,
    Vantage, VirtualMachine, Workload, Zone,
};

pub(super) use references::check;

use super::decode::host_name;
use crate::source::Item;

/// The longest that a cache may be told to keep something.
const LONGEST_TTL: Duration = Duration::from_hours(10 * 365 * 24);

/// The TTL of the answers of a load balancer's name (Route 53 "Choosing between alias and non-alias records"), which an alias takes over.
const ALIAS_TTL: Duration = Duration::from_mins(1);

pub(super) fn decode(item: Item<'_>) -> Option<Stack> {
    let mut stack = item.mapping()?;
    let zones = stack.default("zones", Vec::new(), |zones| zones.list_of(zone));
    let health_checks = stack.default("health-checks", BTreeMap::new(), |map| {
        named(map, health_check)
    });
    let calculated_checks = stack.default("calculated-checks", BTreeMap::new(), |map| {
        named(map, calculated_check)
    });
    let resolver = stack.default("resolver", Resolver::default(), resolver);
    let vantages = stack.default("vantages", BTreeMap::new(), |map| named(map, vantage));
    let load_balancers = stack.default("load-balancers", BTreeMap::new(), |map| {
        named(map, load_balancer)
    });
    let target_groups = stack.default("target-groups", BTreeMap::new(), |map| {
        named(map, target_group)
    });
    let workloads = stack.default("workloads", BTreeMap::new(), |map| named(map, workload));
    let distributions = stack.default("distributions", BTreeMap::new(), |map| {
        named(map, distribution::decode)
    });
    let virtual_machines = stack.default("virtual-machines", BTreeMap::new(), |map| {
        named(map, virtual_machine)
    });
    let static_sites = stack.default("static-sites", BTreeMap::new(), |map| {
        named(map, static_site)
    });
    let databases = stack.default("databases", BTreeMap::new(), |map| {
        named(map, data::database)
    });
    let buckets = stack.default("buckets", BTreeMap::new(), |map| named(map, data::bucket));
    stack.finish();
    Some(Stack {
        zones: zones?,
        health_checks: health_checks?,
        calculated_checks: calculated_checks?,
        resolver: resolver?,
        vantages: vantages?,
        databases: databases?,
        buckets: buckets?,
        load_balancers: load_balancers?,
        target_groups: target_groups?,
        workloads: workloads?,
        distributions: distributions?,
        virtual_machines: virtual_machines?,
        static_sites: static_sites?,
    })
}

/// A mapping from the names of things to the things.
fn named<'a, T>(
    item: Item<'a>,
    read: impl Fn(Item<'a>) -> Option<T>,
) -> Option<BTreeMap<String, T>> {
    let entries: Vec<_> = item
        .named_entries()?
        .into_iter()
        .map(|(key, value)| read(value).map(|value| (key.name.clone(), value)))
        .collect();
    entries.into_iter().collect()
}

fn ttl(item: Item<'_>) -> Option<Duration> {
    item.duration_up_to(LONGEST_TTL)
}

fn zone(item: Item<'_>) -> Option<Zone> {
    let mut zone = item.mapping()?;
    let name = zone.require("zone", host_name);
    let soa_ttl = zone.default("soa-ttl", Duration::from_mins(15), ttl);
    let negative_ttl = zone.default("negative-ttl", Duration::from_hours(24), ttl);
    let records = zone.require("records", |records| records.list_of(record));
    zone.finish();
    Some(Zone {
        name: name?,
        soa_ttl: soa_ttl?,
        negative_ttl: negative_ttl?,
        records: records?,
    })
}

fn record(item: Item<'_>) -> Option<Record> {
    let mut record = item.mapping()?;
    let name = record.require("name", host_name);
    let r#type = record.require("type", |kind| {
        kind.word(&[
            ("A", RecordType::A),
            ("AAAA", RecordType::Aaaa),
            ("CNAME", RecordType::Cname),
            ("TXT", RecordType::Txt),
        ])
    });
    let ttl_item = record.optional("ttl");
    let value = record.require("value", |value| match r#type {
        Some(RecordType::Txt) => value.text(),
        Some(RecordType::A | RecordType::Aaaa | RecordType::Cname) | None => host_name(value),
    });
    let alias = record.maybe("alias", |alias| {
        let mut mapping = alias.mapping()?;
        let evaluate = mapping.require("evaluate-target-health", Item::boolean);
        mapping.finish();
        Some(Alias {
            evaluate_target_health: evaluate?,
        })
    });
    let failover = record.maybe("failover", |role| {
        role.word(&[
            ("primary", FailoverRole::Primary),
            ("secondary", FailoverRole::Secondary),
        ])
    });
    let health_check = record.maybe("health-check", Item::text);
    let weight = record.maybe("weight", weight);
    let region = record.maybe("region", Item::name);
    let item = record.item();
    record.finish();
    let alias = alias?;
    let ttl = match (ttl_item, alias) {
        (Some(item), None) => ttl(item),
        (Some(item), Some(_)) => {
            item.report("an alias takes the TTL of what it points at, and has none of its own");
            None
        }
        (None, None) => {
            item.report("the key `ttl` is missing");
            None
        }
        (None, Some(_)) => Some(ALIAS_TTL),
    };
    Some(Record {
        name: name?,
        r#type: r#type?,
        ttl: ttl?,
        value: value?,
        alias,
        failover: failover?,
        health_check: health_check?,
        weight: weight?,
        region: region?,
    })
}

/// The weight of a record (Route 53 `ResourceRecordSet.Weight`: 0 to 255).
fn weight(item: Item<'_>) -> Option<u8> {
    item.whole(0..=255)
        .and_then(|weight| u8::try_from(weight).ok())
}

fn calculated_check(item: Item<'_>) -> Option<CalculatedCheck> {
    let mut check = item.mapping()?;
    let children = check.require("children", |children| children.filled_list_of(Item::text));
    let healthy_threshold =
        check.require("healthy-threshold", |threshold| threshold.whole(0..=256));
    let inverted = check.default("inverted", false, Item::boolean);
    check.finish();
    Some(CalculatedCheck {
        children: children?,
        healthy_threshold: healthy_threshold?,
        inverted: inverted?,
    })
}

fn vantage(item: Item<'_>) -> Option<Vantage> {
    let mut vantage = item.mapping()?;
    let region = vantage.require("region", Item::name);
    let own = region.clone().into_iter().collect();
    let nearest = vantage.default("nearest", own, |regions| regions.filled_list_of(Item::name));
    let resolver = vantage.default("resolver", Resolver::default(), resolver);
    vantage.finish();
    Some(Vantage {
        region: region?,
        nearest: nearest?,
        resolver: resolver?,
    })
}

fn flows(item: Item<'_>) -> Option<Flows> {
    item.word(&[("tracked", Flows::Tracked), ("untracked", Flows::Untracked)])
}

/// The regions that Route 53 checks from (API `HealthCheckRegion`).
const CHECKER_REGIONS: [&str; 8] = [
    "us-east-1",
    "us-west-1",
    "us-west-2",
    "eu-west-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-northeast-1",
    "sa-east-1",
];

/// As many checkers ask from each region, as seen in the field.
const CHECKERS_PER_REGION: u32 = 2;

fn checker_regions(item: Item<'_>) -> Option<Vec<String>> {
    let regions = item.list_of(|region| {
        region
            .word(&CHECKER_REGIONS.map(|word| (word, word)))
            .map(str::to_owned)
    })?;
    if regions.len() < 3 {
        item.report("a health check is made from three regions at least");
        return None;
    }
    Some(regions)
}

fn protocol(item: Item<'_>) -> Option<Protocol> {
    item.word(&[("http", Protocol::Http), ("https", Protocol::Https)])
}

fn usual_port(protocol: Option<Protocol>) -> u16 {
    match protocol {
        Some(Protocol::Https) => 443,
        Some(Protocol::Http) | None => 80,
    }
}

fn health_check(item: Item<'_>) -> Option<HealthCheck> {
    let mut check = item.mapping()?;
    let protocol = check.require("protocol", protocol);
    let fqdn = check.require("fqdn", host_name);
    let port = check.default("port", usual_port(protocol), Item::port);
    let path = check.default("path", "/".to_owned(), Item::path);
    let search_string = check.maybe("search-string", |item| {
        let text = item.text()?;
        // Route 53 `SearchString`: at most 255 characters.
        if text.chars().count() > 255 {
            item.report("`search-string` has more than 255 characters");
            return None;
        }
        Some(text)
    });
    let request_interval = check.default("request-interval", Duration::from_secs(30), |interval| {
        let duration = interval.duration()?;
        // Route 53 `RequestInterval`: 10 or 30.
        if ![10, 30].map(Duration::from_secs).contains(&duration) {
            interval.report("`request-interval` is 10s or 30s");
            return None;
        }
        Some(duration)
    });
    let failure_threshold =
        check.default("failure-threshold", 3, |threshold| threshold.whole(1..=10));
    let regions = check.default("regions", Vec::new(), checker_regions);
    let from = match regions.as_ref().map_or(0, Vec::len) {
        0 => CHECKER_REGIONS.len(),
        some => some,
    };
    let usual = CHECKERS_PER_REGION * u32::try_from(from).unwrap_or(1);
    let checkers = check.default("checkers", usual, |checkers| checkers.whole(1..=64));
    let propagation = check.default("propagation", Duration::from_secs(5), Item::duration);
    let disabled = check.default("disabled", false, Item::boolean);
    let inverted = check.default("inverted", false, Item::boolean);
    check.finish();
    Some(HealthCheck {
        protocol: protocol?,
        fqdn: fqdn?,
        port: port?,
        path: path?,
        search_string: search_string?,
        request_interval: request_interval?,
        failure_threshold: failure_threshold?,
        regions: regions?,
        checkers: checkers?,
        propagation: propagation?,
        disabled: disabled?,
        inverted: inverted?,
    })
}

fn resolver(item: Item<'_>) -> Option<Resolver> {
    let usual = Resolver::default();
    let mut resolver = item.mapping()?;
    let minimum_ttl = resolver.default("minimum-ttl", usual.minimum_ttl, ttl);
    let maximum_ttl = resolver.default("maximum-ttl", usual.maximum_ttl, ttl);
    let maximum_negative_ttl =
        resolver.default("maximum-negative-ttl", usual.maximum_negative_ttl, ttl);
    let item = resolver.item();
    resolver.finish();
    let (minimum_ttl, maximum_ttl) = (minimum_ttl?, maximum_ttl?);
    if minimum_ttl > maximum_ttl {
        item.report("`minimum-ttl` is longer than `maximum-ttl`");
        return None;
    }
    Some(Resolver {
        minimum_ttl,
        maximum_ttl,
        maximum_negative_ttl: maximum_negative_ttl?,
    })
}

fn load_balancer(item: Item<'_>) -> Option<LoadBalancer> {
    let mut balancer = item.mapping()?;
    let dns_name = balancer.require("dns-name", host_name);
    let zones = balancer.require("zones", |zones| zones.filled_list_of(Item::name));
    let listeners = balancer.require("listeners", |listeners| {
        listeners.filled_list_of(|item| {
            let mut listener = item.mapping()?;
            let protocol = listener.require("protocol", protocol);
            let port = listener.require("port", Item::port);
            let target_group = listener.maybe("target-group", Item::text);
            listener.finish();
            Some(Listener {
                protocol: protocol?,
                port: port?,
                target_group: target_group?,
            })
        })
    });
    let health_propagation =
        balancer.default("health-propagation", Duration::from_secs(5), Item::duration);
    let flows = balancer.default("flows", Flows::Tracked, flows);
    let node_withdrawal =
        balancer.default("node-withdrawal", Duration::from_secs(15), Item::duration);
    let client_keep_alive = balancer.default(
        "client-keep-alive",
        Duration::from_hours(1),
        Item::positive_duration,
    );
    balancer.finish();
    Some(LoadBalancer {
        dns_name: dns_name?,
        zones: zones?,
        listeners: listeners?,
        health_propagation: health_propagation?,
        flows: flows?,
        node_withdrawal: node_withdrawal?,
        client_keep_alive: client_keep_alive?,
    })
}

fn target_group(item: Item<'_>) -> Option<TargetGroup> {
    let mut group = item.mapping()?;
    let workload = group.require("workload", Item::text);
    let health_check_path = group.default("health-check-path", "/".to_owned(), Item::path);
    let interval = group.default("interval", Duration::from_secs(30), Item::positive_duration);
    let timeout = group.default("timeout", Duration::from_secs(6), Item::positive_duration);
    let healthy_threshold =
        group.default("healthy-threshold", 5, |threshold| threshold.whole(1..=10));
    let unhealthy_threshold = group.default("unhealthy-threshold", 2, |threshold| {
        threshold.whole(1..=10)
    });
    let matcher = group.default("matcher", "200".to_owned(), matcher);
    let deregistration_delay = group.default(
        "deregistration-delay",
        Duration::from_mins(5),
        Item::duration,
    );
    group.finish();
    Some(TargetGroup {
        workload: workload?,
        health_check_path: health_check_path?,
        interval: interval?,
        timeout: timeout?,
        healthy_threshold: healthy_threshold?,
        unhealthy_threshold: unhealthy_threshold?,
        matcher: matcher?,
        deregistration_delay: deregistration_delay?,
    })
}

/// The status codes that pass a load balancer's check: `200`, `200-399` or `200,302`, within 200 to 499 (ELB `Matcher`).
fn matcher(item: Item<'_>) -> Option<String> {
    let text = item.text_or_whole()?;
    let code = |text: &str| {
        text.parse::<u16>()
            .ok()
            .filter(|code| (200..=499).contains(code))
    };
    let sound = text.split(',').all(|part| match part.split_once('-') {
        Some((first, last)) => {
            matches!((code(first), code(last)), (Some(first), Some(last)) if first <= last)
        }
        None => code(part).is_some(),
    });
    if !sound {
        item.context().push(
            item.problem(format!("{} matches no status codes", item.shown()))
                .with_hint("write `200`, `200-399` or `200,302`, from 200 to 499"),
        );
        return None;
    }
    Some(text)
}

fn workload(item: Item<'_>) -> Option<Workload> {
    let mut workload = item.mapping()?;
    let replicas = workload.require("replicas", |replicas| replicas.whole(0..=MOST_REPLICAS));
    let zones = workload.default("zones", vec!["a".to_owned()], |zones| {
        zones.filled_list_of(Item::name)
    });
    let start_up = workload.default("start-up", Duration::from_secs(20), Item::duration);
    let serves = workload.require("serves", serves);
    let server = workload.require("server", header_value);
    let readiness = workload.maybe("readiness", pods::probe);
    let liveness = workload.maybe("liveness", pods::liveness);
    let capacity = workload.maybe("capacity", pods::capacity);
    let reconciled_after = workload.maybe("reconciled-after", Item::duration);
    workload.finish();
    Some(Workload {
        replicas: replicas?,
        zones: zones?,
        start_up: start_up?,
        serves: serves?,
        server: server?,
        readiness: readiness?,
        liveness: liveness?,
        capacity: capacity?,
        reconciled_after: reconciled_after?,
    })
}

fn header_value(item: Item<'_>) -> Option<String> {
    let text = item.text()?;
    if text.parse::<http::HeaderValue>().is_err() {
        item.report(format!("{} is not the value of a header", item.shown()));
        return None;
    }
    Some(text)
}

fn serves(item: Item<'_>) -> Option<Serves> {
    let (key, value) = item.variant(&["application", "proxy"])?;
    let mut mapping = value.mapping()?;
    if key.name == "proxy" {
        let workload = mapping.require("workload", Item::text);
        mapping.finish();
        return Some(Serves::Proxy {
            workload: workload?,
        });
    }
    let context_path = mapping.require("context-path", |item| {
        let path = item.path()?;
        if !path.ends_with('/') {
            item.report("`context-path` ends with `/`");
            return None;
        }
        Some(path)
    });
    let database = mapping.require("database", Item::name);
    let health_includes_database =
        mapping.default("health-includes-database", false, Item::boolean);
    let readiness_includes_database = mapping.default(
        "readiness-includes-database",
        health_includes_database.unwrap_or(false),
        Item::boolean,
    );
    mapping.finish();
    Some(Serves::Application {
        context_path: context_path?,
        database: database?,
        health_includes_database: health_includes_database?,
        readiness_includes_database: readiness_includes_database?,
    })
}

fn virtual_machine(item: Item<'_>) -> Option<VirtualMachine> {
    let mut machine = item.mapping()?;
    let dns_name = machine.require("dns-name", host_name);
    let protocol = machine.default("protocol", Protocol::Http, protocol);
    let port = machine.default("port", usual_port(protocol), Item::port);
    let serves = machine.require("serves", serves);
    let start_up = machine.default("start-up", Duration::from_secs(30), Item::duration);
    let server = machine.default("server", "nginx/1.18.0 (Ubuntu)".to_owned(), header_value);
    let flows = machine.default("flows", Flows::Tracked, flows);
    machine.finish();
    Some(VirtualMachine {
        dns_name: dns_name?,
        protocol: protocol?,
        port: port?,
        serves: serves?,
        start_up: start_up?,
        server: server?,
        flows: flows?,
    })
}

fn static_site(item: Item<'_>) -> Option<StaticSite> {
    let mut site = item.mapping()?;
    let dns_name = site.require("dns-name", host_name);
    let protocol = site.default("protocol", Protocol::Https, protocol);
    let port = site.default("port", usual_port(protocol), Item::port);
    let hosts = site.default("hosts", Vec::new(), |hosts| hosts.list_of(host_name));
    let page = site.require("page", file);
    let index_paths = site.default("index-paths", Vec::new(), |paths| paths.list_of(Item::path));
    let error_document = site.maybe("error-document", file);
    let unknown_host_status = site.default("unknown-host-status", 400, Item::status);
    site.finish();
    Some(StaticSite {
        dns_name: dns_name?,
        protocol: protocol?,
        port: port?,
        hosts: hosts?,
        page: page?,
        index_paths: index_paths?,
        error_document: error_document?,
        unknown_host_status: unknown_host_status?,
    })
}

/// A file's path, resolved from the folder of the environment file. Whether it is there is for the check: the copy of an
/// environment that a run keeps has its pages elsewhere.
fn file(item: Item<'_>) -> Option<PathBuf> {
    let folder = item.context().file().parent().unwrap_or(Path::new(""));
    item.text().map(|text| folder.join(text))
}
