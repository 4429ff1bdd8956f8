//! Traps in how a service is really set up.

use blackstart::{
    environment::{self, Environment},
    provider::{Provider, attach},
    source::{Coloring, process_variable},
};

use crate::rig::{REGION, Rig, text_of};

/// An environment whose service has this name.
fn environment(rig: &Rig, host: &str) -> Environment {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("environment.yaml");
    let text = format!(
        "environment: cloud\n\
         service:\n  url: http://{host}/shop/\n  requests:\n    read: {{ method: GET, path: /shop/ }}\n    \
         write: {{ method: POST, path: /shop/orders }}\n\
         tiers: [ {{ tier: cloud, recognise: {{ body: ok }} }} ]\n\
         probes: [ {{ http: {{ name: read }} }} ]\n\
         aws: {{ region: {REGION}, endpoint: {} }}\n\
         targets: {{ it: {{ aws: {{ instance: i-1 }} }} }}\n",
        rig.endpoint
    );
    std::fs::write(&path, text).unwrap();
    let (environment, problems) = environment::load(&path, &process_variable);
    environment.unwrap_or_else(|| panic!("{}", problems.render(Coloring::Plain)))
}

async fn findings(rig: &Rig, host: &str) -> Vec<String> {
    let environment = environment(rig, host);
    let bindings = attach(&environment, None).await.unwrap().bindings;
    bindings.findings(&environment).await
}

async fn distribution(rig: &Rig) -> (String, String) {
    let body = "<DistributionConfig xmlns=\"http://cloudfront.amazonaws.com/doc/2020-05-31/\"><CallerReference>c</CallerReference>\
                <Aliases><Quantity>1</Quantity><Items><CNAME>other.findings.test</CNAME></Items></Aliases><Origins><Quantity>1</Quantity>\
                <Items><Origin><Id>vm</Id><DomainName>vm.example.com</DomainName><CustomOriginConfig><HTTPPort>80</HTTPPort>\
                <HTTPSPort>443</HTTPSPort><OriginProtocolPolicy>https-only</OriginProtocolPolicy></CustomOriginConfig></Origin></Items>\
                </Origins><DefaultCacheBehavior><TargetOriginId>vm</TargetOriginId>\
                <ViewerProtocolPolicy>allow-all</ViewerProtocolPolicy><AllowedMethods><Quantity>2</Quantity><Items><Method>GET</Method>\
                <Method>HEAD</Method></Items></AllowedMethods></DefaultCacheBehavior><Comment>x</Comment><Enabled>true</Enabled>\
                </DistributionConfig>";
    let made = rig.rest("POST", "/2020-05-31/distribution", body).await;
    let name = text_of(&made, "DomainName");
    (text_of(&made, "Id").to_owned(), name.to_owned())
}

pub(crate) async fn what_would_keep_a_service_from_failing_over_is_found(rig: &Rig) {
    let (distribution, domain_name) = distribution(rig).await;
    let zone = "<CreateHostedZoneRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><Name>findings.test</Name>\
                <CallerReference>findings</CallerReference></CreateHostedZoneRequest>";
    let zone = rig.rest("POST", "/2013-04-01/hostedzone", zone).await;
    let zone = text_of(&zone, "Id").to_owned();
    let check = "<CreateHealthCheckRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\">\
                 <CallerReference>findings</CallerReference><HealthCheckConfig><Port>443</Port><Type>HTTPS</Type>\
                 <ResourcePath>/</ResourcePath><FullyQualifiedDomainName>www.findings.test</FullyQualifiedDomainName>\
                 <Disabled>true</Disabled></HealthCheckConfig></CreateHealthCheckRequest>";
    let check = rig.rest("POST", "/2013-04-01/healthcheck", check).await;
    let check = text_of(&check, "Id").to_owned();
    let change = |kind: &str, role: &str, rest: &str| {
        let role = if role.is_empty() {
            String::new()
        } else {
            format!("<SetIdentifier>{role}</SetIdentifier><Failover>{role}</Failover>")
        };
        format!(
            "<Change><Action>CREATE</Action><ResourceRecordSet><Name>www.findings.test</Name><Type>{kind}</Type>{role}{rest}\
             </ResourceRecordSet></Change>"
        )
    };
    let plain = |ttl: u32, address: &str| {
        format!(
            "<TTL>{ttl}</TTL><ResourceRecords><ResourceRecord><Value>{address}</Value></ResourceRecord></ResourceRecords>"
        )
    };
    let check_id = format!("<HealthCheckId>{check}</HealthCheckId>");
    let alias = format!(
        "<AliasTarget><HostedZoneId>Z2FDTNDATAQYW2</HostedZoneId><DNSName>{domain_name}.</DNSName>\
         <EvaluateTargetHealth>false</EvaluateTargetHealth></AliasTarget>"
    );
    let changes = [
        change("A", "PRIMARY", &(plain(300, "192.0.2.1") + &check_id)),
        change("A", "SECONDARY", &(alias + &check_id)),
        change("AAAA", "", &plain(60, "2001:db8::1")),
    ];
    let body = format!(
        "<ChangeResourceRecordSetsRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><ChangeBatch><Changes>{}</Changes>\
         </ChangeBatch></ChangeResourceRecordSetsRequest>",
        changes.concat()
    );
    let path = format!("/2013-04-01{zone}/rrset/");
    rig.rest("POST", &path, &body).await;
    let found = findings(rig, "www.findings.test").await;
    let expected = [
        format!("the secondary A record of www.findings.test has the health check {check}"),
        "resolvers keep the A record `PRIMARY` of www.findings.test for 300 s".to_owned(),
        format!("the health check {check} of www.findings.test is disabled"),
        format!("the health check {check} asks www.findings.test itself"),
        "www.findings.test fails over by its A records and not by its AAAA records".to_owned(),
        format!(
            "the distribution {distribution} that www.findings.test leads to has no alternate domain name www.findings.test"
        ),
        format!("the distribution {distribution} answers POST to /shop/orders with 403"),
    ];
    for words in &expected {
        assert!(
            found.iter().any(|found| found.starts_with(words)),
            "{words}\n{found:#?}"
        );
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    // Of a service that is not in the account there is nothing to find.
    assert!(findings(rig, "www.elsewhere.test").await.is_empty());
}
