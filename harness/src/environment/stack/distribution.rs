//! Content distributions of the `stack:` block.

use std::{collections::BTreeMap, time::Duration};

use blackstart_lab::stack::{
    Behavior, Distribution, EdgeFunction, Methods, Origin, OriginGroup, ViewerProtocol,
};

use super::{host_name, named, protocol, ttl, usual_port};
use crate::source::Item;

const DAY: Duration = Duration::from_hours(24);
const YEAR: Duration = Duration::from_hours(365 * 24);

/// The status codes that can make an origin group fail over (`CloudFront` `OriginGroupFailoverCriteria`).
const FAILOVER_CODES: [u16; 8] = [400, 403, 404, 416, 500, 502, 503, 504];

pub(super) fn decode(item: Item<'_>) -> Option<Distribution> {
    let mut distribution = item.mapping()?;
    let domain_name = distribution.require("domain-name", host_name);
    let aliases = distribution.default("aliases", Vec::new(), |aliases| aliases.list_of(host_name));
    let origins = distribution.require("origins", |origins| named(origins, origin));
    let origin_groups = distribution.default("origin-groups", BTreeMap::new(), |groups| {
        named(groups, origin_group)
    });
    let behaviors =
        distribution.require("behaviors", |behaviors| behaviors.filled_list_of(behavior));
    let error_caching_minimum_ttl =
        distribution.default("error-caching-minimum-ttl", Duration::from_secs(10), ttl);
    distribution.finish();
    Some(Distribution {
        domain_name: domain_name?,
        aliases: aliases?,
        origins: origins?,
        origin_groups: origin_groups?,
        behaviors: behaviors?,
        error_caching_minimum_ttl: error_caching_minimum_ttl?,
    })
}

fn origin(item: Item<'_>) -> Option<Origin> {
    let mut origin = item.mapping()?;
    let domain_name = origin.require("domain-name", host_name);
    let protocol = origin.require("protocol", protocol);
    let port = origin.default("port", usual_port(protocol), Item::port);
    let connection_attempts =
        origin.default("connection-attempts", 3, |attempts| attempts.whole(1..=3));
    let connection_timeout =
        origin.default("connection-timeout", Duration::from_secs(10), |timeout| {
            let duration = timeout.duration()?;
            // CloudFront `Origin.ConnectionTimeout`: 1 to 10 seconds.
            if !(Duration::from_secs(1)..=Duration::from_secs(10)).contains(&duration) {
                timeout.report("`connection-timeout` must lie between 1s and 10s");
                return None;
            }
            Some(duration)
        });
    let read_timeout = origin.default(
        "read-timeout",
        Duration::from_secs(30),
        Item::positive_duration,
    );
    origin.finish();
    Some(Origin {
        domain_name: domain_name?,
        protocol: protocol?,
        port: port?,
        connection_attempts: connection_attempts?,
        connection_timeout: connection_timeout?,
        read_timeout: read_timeout?,
    })
}

fn origin_group(item: Item<'_>) -> Option<OriginGroup> {
    let mut group = item.mapping()?;
    let members = group.require("members", |members| {
        let names = members.list_of(Item::text)?;
        <[String; 2]>::try_from(names)
            .map_err(|_| members.report("an origin group has exactly two members"))
            .ok()
    });
    let failover_status_codes = group.require("failover-status-codes", |codes| {
        codes.filled_list_of(|code| {
            let status = code.status()?;
            if !FAILOVER_CODES.contains(&status) {
                code.context().push(
                    code.problem(format!(
                        "{} cannot make an origin group fail over",
                        code.shown()
                    ))
                    .with_hint("CloudFront takes 400, 403, 404, 416, 500, 502, 503 and 504"),
                );
                return None;
            }
            Some(status)
        })
    });
    group.finish();
    Some(OriginGroup {
        members: members?,
        failover_status_codes: failover_status_codes?,
    })
}

fn behavior(item: Item<'_>) -> Option<Behavior> {
    let mut behavior = item.mapping()?;
    let path = behavior.require("path", Item::text);
    let origin = behavior.require("origin", Item::text);
    let methods = behavior.require("methods", |methods| {
        methods.word(&[
            ("read", Methods::Read),
            ("read-and-options", Methods::ReadAndOptions),
            ("all", Methods::All),
        ])
    });
    let viewer_protocol = behavior.default("viewer-protocol", ViewerProtocol::AllowAll, |policy| {
        policy.word(&[
            ("allow-all", ViewerProtocol::AllowAll),
            ("redirect-to-https", ViewerProtocol::RedirectToHttps),
            ("https-only", ViewerProtocol::HttpsOnly),
        ])
    });
    let forward_host = behavior.default("forward-host", false, Item::boolean);
    let edge_function = behavior.maybe("edge-function", |function| {
        let mut function = function.mapping()?;
        let rewrite_host = function.require("rewrite-host", host_name);
        let only_for = function.maybe("only-for", Item::text);
        function.finish();
        Some(EdgeFunction {
            rewrite_host: rewrite_host?,
            only_for: only_for?,
        })
    });
    let minimum_ttl = behavior.default("minimum-ttl", Duration::ZERO, ttl);
    let default_ttl = behavior.default("default-ttl", DAY, ttl);
    let maximum_ttl = behavior.default("maximum-ttl", YEAR, ttl);
    let item = behavior.item();
    behavior.finish();
    let (minimum_ttl, default_ttl, maximum_ttl) = (minimum_ttl?, default_ttl?, maximum_ttl?);
    if minimum_ttl > default_ttl || default_ttl > maximum_ttl {
        item.report("`minimum-ttl`, `default-ttl` and `maximum-ttl` must grow in this order");
        return None;
    }
    Some(Behavior {
        path: path?,
        origin: origin?,
        methods: methods?,
        viewer_protocol: viewer_protocol?,
        forward_host: forward_host?,
        edge_function: edge_function?,
        minimum_ttl,
        default_ttl,
        maximum_ttl,
    })
}
