//! Traps that show in how a service is really set up in Route 53 and CloudFront, whatever the drill breaks. The rules are those of
//! docs/traps.md.

use std::{collections::BTreeMap, time::Duration};

use http::Method;

use super::{
    AwsError,
    answer::Element,
    client::{Kind, Request},
    connection::Connection,
    health_check,
    service::{CLOUDFRONT, ROUTE_53, Service},
    weights::name_of,
};
use crate::environment::Environment;

/// Answers that are kept longer than this outlive a failover noticeably.
const KEPT_LONG: u64 = 60;

/// What was read of a service.
#[derive(Debug, Default)]
struct Setup {
    /// The records of its name.
    records: Vec<Element>,
    /// The health checks of those, by their ids.
    checks: BTreeMap<String, Element>,
    /// The distributions of the account.
    distributions: Vec<Element>,
}

/// Reads how the service of an environment is set up. What this user may not read is passed over; that there is nothing is no finding.
pub(super) async fn read(connection: &Connection, environment: &Environment) -> Vec<String> {
    let Some(host) = environment.service.host() else {
        return Vec::new();
    };
    let host = host.to_ascii_lowercase();
    let Ok(Some(setup)) = setup(connection, &host).await else {
        return Vec::new();
    };
    let mut findings = of_records(&host, &setup);
    findings.extend(of_distributions(&host, &setup, environment));
    findings
}

async fn setup(connection: &Connection, host: &str) -> Result<Option<Setup>, AwsError> {
    let Some(zone) = zone_of(connection, host).await? else {
        return Ok(None);
    };
    let name: String = form_urlencoded::byte_serialize(host.as_bytes()).collect();
    let path = format!("/2013-04-01/{zone}/rrset?name={name}&maxitems=300");
    let page = get(connection, &ROUTE_53, &path).await?;
    let is_host = |set: &&Element| set.text("Name").map(name_of).as_deref() == Some(host);
    let records: Vec<Element> = page
        .list("ResourceRecordSets")
        .filter(is_host)
        .cloned()
        .collect();
    let mut checks = BTreeMap::new();
    for id in records.iter().filter_map(|set| set.text("HealthCheckId")) {
        if let Ok(check) = health_check::found(connection, id).await {
            checks.insert(id.to_owned(), check);
        }
    }
    let mut distributions = Vec::new();
    if records
        .iter()
        .any(|set| alias_of(set).is_some_and(is_of_cloudfront))
    {
        distributions = all_distributions(connection).await.unwrap_or_default();
    }
    Ok(Some(Setup {
        records,
        checks,
        distributions,
    }))
}

async fn get(
    connection: &Connection,
    service: &'static Service,
    path: &str,
) -> Result<Element, AwsError> {
    let request = Request {
        service,
        kind: Kind::Read,
        what: "reading how the service is set up",
        method: Method::GET,
        path,
        content_type: None,
        body: String::new(),
    };
    connection.client.rest_xml(&request).await
}

/// The public zone of a name, as `hostedzone/ID`: the nearest above it.
async fn zone_of(connection: &Connection, host: &str) -> Result<Option<String>, AwsError> {
    let mut name = host;
    while name.contains('.') {
        let encoded: String = form_urlencoded::byte_serialize(name.as_bytes()).collect();
        let path = format!("/2013-04-01/hostedzonesbyname?dnsname={encoded}&maxitems=10");
        let zones = get(connection, &ROUTE_53, &path).await?;
        let is_meant = |zone: &&Element| {
            let is_private = zone.at(&["Config", "PrivateZone"]);
            zone.text("Name").map(name_of).as_deref() == Some(name)
                && is_private.is_none_or(|is| is.own_text.trim() != "true")
        };
        let zone = zones.list("HostedZones").find(is_meant);
        if let Some(id) = zone.and_then(|zone| zone.text("Id")) {
            let id = id.trim_start_matches('/');
            return Ok(Some(id.to_owned()));
        }
        name = name.split_once('.').map_or("", |(_, rest)| rest);
    }
    Ok(None)
}

async fn all_distributions(connection: &Connection) -> Result<Vec<Element>, AwsError> {
    let (mut found, mut marker): (Vec<Element>, String) = (Vec::new(), String::new());
    loop {
        let encoded: String = form_urlencoded::byte_serialize(marker.as_bytes()).collect();
        let path = if marker.is_empty() {
            "/2020-05-31/distribution".to_owned()
        } else {
            format!("/2020-05-31/distribution?Marker={encoded}")
        };
        let page = get(connection, &CLOUDFRONT, &path).await?;
        found.extend(page.list("Items").cloned());
        let next = page.text("NextMarker").unwrap_or_default();
        if next.is_empty() || next == marker {
            return Ok(found);
        }
        next.clone_into(&mut marker);
    }
}

/// What an alias record points at.
fn alias_of(set: &Element) -> Option<&str> {
    let name = set.at(&["AliasTarget", "DNSName"])?;
    Some(name.own_text.trim().trim_end_matches('.'))
}

fn is_of_cloudfront(name: &str) -> bool {
    name.ends_with(".cloudfront.net") || name.ends_with(".cloudfront.cn")
}

/// What Route 53 would make of the records in a failure.
fn of_records(host: &str, setup: &Setup) -> Vec<String> {
    let mut findings = Vec::new();
    let is = |check: &Element, name: &str| {
        let found = check.find(name);
        found.is_some_and(|found| found.own_text.trim() == "true")
    };
    for set in &setup.records {
        let role = set.text("Failover").unwrap_or_default();
        let kind = set.text("Type").unwrap_or_default();
        let check = set.text("HealthCheckId");
        let evaluates = set.at(&["AliasTarget", "EvaluateTargetHealth"]);
        let evaluates = evaluates.is_some_and(|is| is.own_text.trim() == "true");
        match (role, check) {
            ("SECONDARY", Some(check)) => findings.push(format!(
                "the secondary {kind} record of {host} has the health check {check}: if that fails as well, Route 53 answers with the \
                 primary, which is down"
            )),
            ("PRIMARY", None) if !evaluates => findings.push(format!(
                "the primary {kind} record of {host} has no health check and does not evaluate target health, so it is never left"
            )),
            _ => {}
        }
        let is_routed = set.text("SetIdentifier").is_some();
        let ttl: Option<u64> = set.parsed("TTL");
        if let Some(ttl) = ttl.filter(|ttl| is_routed && *ttl > KEPT_LONG) {
            findings.push(format!(
                "resolvers keep the {kind} record `{}` of {host} for {ttl} s: users follow so much later",
                set.text("SetIdentifier").unwrap_or_default()
            ));
        }
    }
    for (id, check) in &setup.checks {
        match (is(check, "Disabled"), is(check, "Inverted")) {
            (true, false) => findings.push(format!(
                "the health check {id} of {host} is disabled, which counts as healthy: nothing fails over by it"
            )),
            (false, true) => findings.push(format!(
                "the health check {id} of {host} is inverted: it turns healthy when its endpoint really fails"
            )),
            (true, true) | (false, false) => {}
        }
        let asks = check.find("FullyQualifiedDomainName");
        if asks.is_some_and(|asks| name_of(asks.own_text.trim()) == host) {
            findings.push(format!(
                "the health check {id} asks {host} itself, whose answer follows it: it goes up and down by itself"
            ));
        }
    }
    let fails_over = |kind: &str| {
        let mut sets = setup.records.iter();
        sets.any(|set| set.text("Type") == Some(kind) && set.text("Failover").is_some())
    };
    let has_other = setup
        .records
        .iter()
        .any(|set| set.text("Type") == Some("AAAA"));
    if fails_over("A") && has_other && !fails_over("AAAA") {
        findings.push(format!(
            "{host} fails over by its A records and not by its AAAA records: users of IPv6 stay where they are"
        ));
    }
    findings
}

/// What the distributions that the records lead to would make of users and of a first origin that is down.
fn of_distributions(host: &str, setup: &Setup, environment: &Environment) -> Vec<String> {
    let mut findings = Vec::new();
    let mut known: Vec<&Element> = Vec::new();
    for alias in setup.records.iter().filter_map(alias_of) {
        let mut all = setup.distributions.iter();
        let Some(found) = all.find(|found| found.text("DomainName") == Some(alias)) else {
            continue;
        };
        if known.contains(&found) {
            continue;
        }
        known.push(found);
        let id = found.text("Id").unwrap_or_default();
        let names = found.child("Aliases").map(|names| names.find_all("CNAME"));
        let covers = |name: &&Element| {
            let name = name.own_text.trim();
            let below = host.split_once('.').map(|(_, rest)| rest);
            name == host
                || name
                    .strip_prefix("*.")
                    .is_some_and(|rest| Some(rest) == below)
        };
        if !names.unwrap_or_default().iter().any(covers) {
            findings.push(format!(
                "the distribution {id} that {host} leads to has no alternate domain name {host}: it answers 403"
            ));
        }
        let requests = environment.service.requests.values();
        for request in requests.filter(|request| request.writes) {
            findings.extend(refused_write(found, &request.method, &request.path));
        }
        if let Some(probe) = environment.user_probe() {
            findings.extend(slow_origin(found, probe.timeout));
        }
    }
    findings
}

/// That a distribution refuses a write, if it does.
fn refused_write(distribution: &Element, method: &str, path: &str) -> Option<String> {
    let path = path.split(['?', '#']).next().unwrap_or(path);
    let behaviors = distribution.at(&["CacheBehaviors", "Items"]);
    let mut behaviors = behaviors.into_iter().flat_map(|items| &items.children);
    let behavior = behaviors.find(|behavior| {
        let pattern = behavior.text("PathPattern").unwrap_or_default();
        matches(
            pattern.trim_start_matches('/'),
            path.trim_start_matches('/'),
        )
    });
    let pattern = behavior.and_then(|behavior| behavior.text("PathPattern"));
    let behavior = behavior.or_else(|| distribution.child("DefaultCacheBehavior"))?;
    let allowed = behavior.at(&["AllowedMethods", "Items"])?;
    let mut methods = allowed.children.iter().map(|method| method.own_text.trim());
    if methods.any(|allowed| allowed == method) {
        return None;
    }
    Some(format!(
        "the distribution {} answers {method} to {path} with 403: its behaviour {} does not allow it",
        distribution.text("Id").unwrap_or_default(),
        pattern.unwrap_or("for everything else")
    ))
}

/// Whether a path pattern of CloudFront is one of a path: `*` stands for any text, `?` for a character.
fn matches(pattern: &str, path: &str) -> bool {
    let mut rest = pattern.chars();
    match rest.next() {
        None => path.is_empty(),
        Some('*') => {
            let mut ends = path.char_indices().map(|(at, _)| at).chain([path.len()]);
            ends.any(|at| matches(rest.as_str(), &path[at..]))
        }
        Some(first) => {
            let mut path = path.chars();
            path.next()
                .is_some_and(|next| first == '?' || first == next)
                && matches(rest.as_str(), path.as_str())
        }
    }
}

/// That the first origin of a group is waited for as long as users wait, if it is.
fn slow_origin(distribution: &Element, patience: Duration) -> Option<String> {
    let groups = distribution.at(&["OriginGroups", "Items"])?;
    let first = groups.find("OriginGroupMember")?.text("OriginId")?;
    let origins = distribution.at(&["Origins", "Items"])?;
    let mut origins = origins.children.iter();
    let origin = origins.find(|origin| origin.text("Id") == Some(first))?;
    // The service's own defaults.
    let attempts: u64 = origin.parsed("ConnectionAttempts").unwrap_or(3);
    let limit: u64 = origin.parsed("ConnectionTimeout").unwrap_or(10);
    let waits = Duration::from_secs(attempts * limit);
    (waits >= patience).then(|| {
        format!(
            "the distribution {} waits for its first origin {first} for {} s at each request while that is off, and users give up \
             after {} s",
            distribution.text("Id").unwrap_or_default(),
            waits.as_secs(),
            patience.as_secs()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "www.shop.test";

    fn setup(records: &str, checks: &[(&str, &str)]) -> Setup {
        let records = Element::parse(&format!("<R>{records}</R>")).unwrap();
        let checks = checks
            .iter()
            .map(|(id, config)| {
                let check = format!("<HealthCheckConfig>{config}</HealthCheckConfig>");
                ((*id).to_owned(), Element::parse(&check).unwrap())
            })
            .collect();
        Setup {
            records: records.children,
            checks,
            distributions: Vec::new(),
        }
    }

    fn record(kind: &str, role: &str, rest: &str) -> String {
        format!(
            "<ResourceRecordSet><Name>{HOST}.</Name><Type>{kind}</Type><SetIdentifier>{role}</SetIdentifier>\
             <Failover>{role}</Failover>{rest}</ResourceRecordSet>"
        )
    }

    #[test]
    fn a_failover_that_is_set_up_well_has_no_finding() {
        let records = record(
            "A",
            "PRIMARY",
            "<TTL>60</TTL><HealthCheckId>one</HealthCheckId>",
        ) + &record("A", "SECONDARY", "<TTL>60</TTL>");
        let check = "<FullyQualifiedDomainName>a.elb.test</FullyQualifiedDomainName><Disabled>false</Disabled>";
        assert!(of_records(HOST, &setup(&records, &[("one", check)])).is_empty());
    }

    #[test]
    fn each_trap_of_the_records_is_found() {
        let healthy = "<Disabled>false</Disabled><Inverted>false</Inverted>";
        let one = |records: String, check: &str| {
            let findings = of_records(HOST, &setup(&records, &[("one", check)]));
            assert_eq!(findings.len(), 1, "{findings:#?}");
            findings.into_iter().next().unwrap()
        };
        let primary = || {
            record(
                "A",
                "PRIMARY",
                "<TTL>60</TTL><HealthCheckId>one</HealthCheckId>",
            )
        };
        let checked = record("A", "SECONDARY", "<HealthCheckId>two</HealthCheckId>");
        assert!(one(checked, healthy).contains("answers with the primary, which is down"));
        let bare = record("A", "PRIMARY", "<TTL>60</TTL>");
        assert!(one(bare, healthy).contains("it is never left"));
        let slow = record("A", "SECONDARY", "<TTL>300</TTL>");
        assert!(one(slow, healthy).contains("for 300 s"));
        let plain = "<ResourceRecordSet><Name>www.shop.test.</Name><Type>AAAA</Type><TTL>60</TTL></ResourceRecordSet>";
        assert!(one(primary() + plain, healthy).contains("users of IPv6 stay"));
        let off = "<Disabled>true</Disabled><Inverted>false</Inverted>";
        assert!(one(primary(), off).contains("disabled, which counts as healthy"));
        let inverted = "<Disabled>false</Disabled><Inverted>true</Inverted>";
        assert!(one(primary(), inverted).contains("is inverted"));
        let own = "<FullyQualifiedDomainName>www.shop.test</FullyQualifiedDomainName>";
        assert!(one(primary(), own).contains("asks www.shop.test itself"));
    }

    fn distribution() -> Element {
        Element::parse(
            "<DistributionSummary><Id>E1</Id><DomainName>d1.cloudfront.net</DomainName>\
             <Origins><Quantity>2</Quantity><Items><Origin><Id>vm</Id><ConnectionAttempts>3</ConnectionAttempts>\
             <ConnectionTimeout>10</ConnectionTimeout></Origin><Origin><Id>page</Id></Origin></Items></Origins>\
             <OriginGroups><Quantity>1</Quantity><Items><OriginGroup><Members><Items><OriginGroupMember><OriginId>vm</OriginId>\
             </OriginGroupMember><OriginGroupMember><OriginId>page</OriginId></OriginGroupMember></Items></Members></OriginGroup></Items>\
             </OriginGroups><DefaultCacheBehavior><AllowedMethods><Items><Method>GET</Method><Method>HEAD</Method></Items>\
             </AllowedMethods></DefaultCacheBehavior><CacheBehaviors><Items><CacheBehavior><PathPattern>/shop/*</PathPattern>\
             <AllowedMethods><Items><Method>GET</Method><Method>POST</Method></Items></AllowedMethods></CacheBehavior></Items>\
             </CacheBehaviors></DistributionSummary>",
        )
        .unwrap()
    }

    #[test]
    fn a_write_that_no_behaviour_allows_is_found() {
        let found = distribution();
        assert_eq!(refused_write(&found, "POST", "/shop/owners?x=1"), None);
        assert_eq!(refused_write(&found, "GET", "/"), None);
        assert_eq!(
            refused_write(&found, "POST", "/other").unwrap(),
            "the distribution E1 answers POST to /other with 403: its behaviour for everything else does not allow it"
        );
        assert!(
            refused_write(&found, "PUT", "/shop/")
                .unwrap()
                .contains("/shop/*")
        );
    }

    #[test]
    fn a_first_origin_that_is_waited_for_longer_than_users_wait_is_found() {
        let found = distribution();
        assert_eq!(slow_origin(&found, Duration::from_secs(31)), None);
        assert!(
            slow_origin(&found, Duration::from_secs(4))
                .unwrap()
                .contains("first origin vm for 30 s")
        );
    }

    #[test]
    fn path_patterns_are_those_of_cloudfront() {
        for (pattern, path, is) in [
            ("*", "anything/at/all", true),
            ("images/*.jpg", "images/a/b.jpg", true),
            ("images/*.jpg", "images/a.png", false),
            ("a??", "abc", true),
            ("a??", "ab", false),
            ("", "", true),
        ] {
            assert_eq!(matches(pattern, path), is, "{pattern} {path}");
        }
    }
}
