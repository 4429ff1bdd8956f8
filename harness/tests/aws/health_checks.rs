//! The health checks of target groups and of Route 53, and the weights of records.

use std::collections::BTreeMap;

use blackstart::{
    drill::Fault,
    provider::{Current, Provider, attach},
};

use crate::rig::{Rig, all_texts, text_of};

fn it() -> String {
    "it".to_owned()
}

fn break_path() -> Fault {
    Fault::BreakHealthPath {
        target: it(),
        path: "/nonexistent".to_owned(),
    }
}

/// A target group with no setting of its health check as it is by default.
async fn target_group(rig: &Rig, name: &str) -> String {
    let vpc = rig
        .ask("ec2", "CreateVpc", &[("CidrBlock", "10.0.0.0/16")])
        .await;
    let vpc = text_of(&vpc, "vpcId").to_owned();
    let pairs = [
        ("Name", name),
        ("Protocol", "HTTP"),
        ("Port", "8080"),
        ("VpcId", &vpc),
        ("HealthCheckProtocol", "HTTPS"),
        ("HealthCheckPort", "8443"),
        ("HealthCheckPath", "/health?deep=1&x=<y>"),
        ("HealthCheckIntervalSeconds", "10"),
        ("HealthCheckTimeoutSeconds", "4"),
        ("HealthyThresholdCount", "3"),
        ("UnhealthyThresholdCount", "4"),
        ("Matcher.HttpCode", "200-204"),
    ];
    let made = rig
        .ask("elasticloadbalancing", "CreateTargetGroup", &pairs)
        .await;
    text_of(&made, "TargetGroupArn").to_owned()
}

async fn described(rig: &Rig, arn: &str) -> String {
    let pairs = [("TargetGroupArns.member.1", arn)];
    let text = rig
        .ask("elasticloadbalancing", "DescribeTargetGroups", &pairs)
        .await;
    text_of(&text, "TargetGroups").to_owned()
}

pub(crate) async fn the_path_of_a_target_group_is_broken_and_all_its_settings_come_back(rig: &Rig) {
    let arn = target_group(rig, "there-and-back").await;
    let before = described(rig, &arn).await;
    for target in [
        "target-group: there-and-back",
        &format!("target-group: {arn:?}"),
    ] {
        let captured = rig.capture(target, &break_path()).await.unwrap();
        // The path of a drill may be a secret.
        assert!(!captured.undo.injected.to_string().contains("/nonexistent"));
        captured
            .there_and_back(async |broken| {
                let now = described(rig, &arn).await;
                if broken {
                    assert_eq!(text_of(&now, "HealthCheckPath"), "/nonexistent");
                } else {
                    assert_eq!(now, before);
                }
            })
            .await;
    }
}

pub(crate) async fn settings_that_somebody_changes_meanwhile_are_told_and_overwritten_on_request(
    rig: &Rig,
) {
    let arn = target_group(rig, "meanwhile").await;
    let before = described(rig, &arn).await;
    let captured = rig.capture("target-group: meanwhile", &break_path()).await;
    let captured = captured.unwrap();
    captured.fault.inject().await.unwrap();
    let pairs = [
        ("TargetGroupArn", arn.as_str()),
        ("HealthCheckPath", "/other"),
        ("HealthCheckIntervalSeconds", "20"),
    ];
    rig.ask("elasticloadbalancing", "ModifyTargetGroup", &pairs)
        .await;
    let Current::Otherwise(words) = captured.current().await else {
        panic!("is as before")
    };
    assert!(
        words.contains("target-group/meanwhile has the health check path /other")
            && words.contains("every 20 s")
            && words.contains("checksum"),
        "{words}"
    );
    captured.fault.revert(&captured.undo).await.unwrap();
    assert_eq!(described(rig, &arn).await, before);
}

pub(crate) async fn a_target_group_that_asks_no_path_or_is_not_there_is_named(rig: &Rig) {
    let vpc = rig
        .ask("ec2", "CreateVpc", &[("CidrBlock", "10.0.0.0/16")])
        .await;
    let vpc = text_of(&vpc, "vpcId").to_owned();
    let pairs = [
        ("Name", "by-tcp"),
        ("Protocol", "TCP"),
        ("Port", "8080"),
        ("VpcId", &vpc),
        ("HealthCheckProtocol", "TCP"),
    ];
    rig.ask("elasticloadbalancing", "CreateTargetGroup", &pairs)
        .await;
    let error = async |target: &str| {
        let captured = rig.capture(target, &break_path()).await;
        captured.err().unwrap().to_string()
    };
    let words = error("target-group: by-tcp").await;
    assert!(
        words.contains("has a health check by TCP, which asks no path"),
        "{words}"
    );
    let words = error("target-group: nowhere").await;
    assert!(
        words.contains("there is no target-group/nowhere")
            && words.contains("elbv2 describe-target-groups"),
        "{words}"
    );
}

pub(crate) async fn target_health_is_what_the_load_balancer_thinks(rig: &Rig) {
    target_group(rig, "watched").await;
    let environment = rig.environment("target-group: watched");
    let bindings = attach(&environment, None).await.unwrap().bindings;
    let health = bindings.health(&environment, "it").await.unwrap();
    assert!(!health.healthy);
    assert_eq!(health.detail, "0 of 0 targets healthy");
}

/// A health check of Route 53 with everything that an update could lose.
async fn check(rig: &Rig, reference: &str, disabled: bool) -> String {
    let body = format!(
        "<CreateHealthCheckRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><CallerReference>{reference}</CallerReference>\
         <HealthCheckConfig><IPAddress>192.0.2.1</IPAddress><Port>443</Port><Type>HTTPS</Type><ResourcePath>/health</ResourcePath>\
         <FullyQualifiedDomainName>www.example.com</FullyQualifiedDomainName><RequestInterval>10</RequestInterval>\
         <FailureThreshold>2</FailureThreshold><Disabled>{disabled}</Disabled></HealthCheckConfig></CreateHealthCheckRequest>"
    );
    let made = rig.rest("POST", "/2013-04-01/healthcheck", &body).await;
    text_of(&made, "Id").to_owned()
}

async fn config(rig: &Rig, check: &str) -> String {
    let path = format!("/2013-04-01/healthcheck/{check}");
    let text = rig.rest("GET", &path, "").await;
    text_of(&text, "HealthCheckConfig").to_owned()
}

pub(crate) async fn a_health_check_is_inverted_disabled_or_misled_and_comes_back(rig: &Rig) {
    let check = check(rig, "there-and-back", false).await;
    let before = config(rig, &check).await;
    let faults = [
        (
            Fault::InvertHealthCheck { target: it() },
            ("Inverted", "true"),
        ),
        (
            Fault::DisableHealthCheck { target: it() },
            ("Disabled", "true"),
        ),
        (break_path(), ("ResourcePath", "/nonexistent")),
    ];
    for (fault, (setting, value)) in faults {
        let captured = rig.capture(&format!("health-check: {check}"), &fault).await;
        captured
            .unwrap()
            .there_and_back(async |broken| {
                let now = config(rig, &check).await;
                if broken {
                    assert_eq!(text_of(&now, setting).to_ascii_lowercase(), value);
                } else {
                    assert_eq!(now.to_ascii_lowercase(), before.to_ascii_lowercase());
                }
            })
            .await;
    }
}

pub(crate) async fn a_health_check_that_is_disabled_already_has_nothing_to_lose(rig: &Rig) {
    let check = check(rig, "disabled", true).await;
    let fault = Fault::DisableHealthCheck { target: it() };
    let captured = rig.capture(&format!("health-check: {check}"), &fault).await;
    let undo = captured.unwrap().undo;
    assert_eq!(undo.state, undo.injected);
}

pub(crate) async fn a_health_check_that_is_not_there_is_named(rig: &Rig) {
    let fault = Fault::InvertHealthCheck { target: it() };
    let missing = rig.capture("health-check: nowhere", &fault).await;
    let error = missing.err().unwrap().to_string();
    assert!(
        error.contains("there is no health-check/nowhere")
            && error.contains("route53 list-health-checks"),
        "{error}"
    );
}

/// A zone with two weighted records of one name, and others beside them.
async fn zone(rig: &Rig, name: &str) -> String {
    let body = format!(
        "<CreateHostedZoneRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><Name>{name}</Name>\
         <CallerReference>{name}</CallerReference></CreateHostedZoneRequest>"
    );
    let made = rig.rest("POST", "/2013-04-01/hostedzone", &body).await;
    let zone = text_of(&made, "Id")
        .trim_start_matches("/hostedzone/")
        .to_owned();
    let weighted = |identifier: &str, weight: u8, value: &str| {
        format!(
            "<Change><Action>CREATE</Action><ResourceRecordSet><Name>www.{name}</Name><Type>CNAME</Type>\
             <SetIdentifier>{identifier}</SetIdentifier><Weight>{weight}</Weight><TTL>60</TTL><ResourceRecords><ResourceRecord>\
             <Value>{value}</Value></ResourceRecord></ResourceRecords></ResourceRecordSet></Change>"
        )
    };
    let plain = format!(
        "<Change><Action>CREATE</Action><ResourceRecordSet><Name>plain.{name}</Name><Type>A</Type><TTL>60</TTL><ResourceRecords>\
         <ResourceRecord><Value>192.0.2.1</Value></ResourceRecord></ResourceRecords></ResourceRecordSet></Change>"
    );
    let body = format!(
        "<ChangeResourceRecordSetsRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><ChangeBatch><Changes>{}{}{plain}\
         </Changes></ChangeBatch></ChangeResourceRecordSetsRequest>",
        weighted("blue &amp; green", 200, "blue.example.com"),
        weighted("other", 55, "other.example.com")
    );
    let path = format!("/2013-04-01/hostedzone/{zone}/rrset/");
    rig.rest("POST", &path, &body).await;
    zone
}

async fn records(rig: &Rig, zone: &str) -> String {
    let path = format!("/2013-04-01/hostedzone/{zone}/rrset");
    let text = rig.rest("GET", &path, "").await;
    text_of(&text, "ResourceRecordSets").to_owned()
}

fn shift(weights: &[(&str, u8)]) -> Fault {
    let weights = weights
        .iter()
        .map(|(name, weight)| ((*name).to_owned(), *weight));
    Fault::ShiftWeights {
        target: it(),
        weights: weights.collect::<BTreeMap<_, _>>(),
    }
}

pub(crate) async fn weights_are_shifted_and_come_back_with_all_else_as_it_was(rig: &Rig) {
    let zone = zone(rig, "weights.test").await;
    let before = records(rig, &zone).await;
    let target = format!("record: {{ zone: {zone}, name: www.weights.test, type: CNAME }}");
    // By the set identifier, and by what a record points at.
    let fault = shift(&[("blue & green", 0), ("other.example.com", 255)]);
    let captured = rig.capture(&target, &fault).await.unwrap();
    captured
        .there_and_back(async |broken| {
            let now = records(rig, &zone).await;
            if broken {
                assert_eq!(all_texts(&now, "Weight"), ["0", "255"]);
                let same = now.replace(">0</Weight>", ">200</Weight>");
                assert_eq!(same.replace(">255</Weight>", ">55</Weight>"), before);
            } else {
                assert_eq!(now, before);
            }
        })
        .await;
}

pub(crate) async fn records_that_are_not_there_or_have_no_weight_are_named(rig: &Rig) {
    let zone = zone(rig, "missing.test").await;
    let error = async |target: &str, fault: &Fault| {
        let captured = rig.capture(target, fault).await;
        captured.err().unwrap().to_string()
    };
    let target = |zone: &str, name: &str, kind: &str| {
        format!("record: {{ zone: {zone}, name: {name}, type: {kind} }}")
    };
    let fault = shift(&[("nobody", 1)]);
    let words = error(&target(&zone, "www.missing.test", "CNAME"), &fault).await;
    assert!(
        words.contains("has no record `nobody`: there are blue & green, other"),
        "{words}"
    );
    let words = error(&target(&zone, "plain.missing.test", "A"), &fault).await;
    assert!(words.contains("has no weighted record"), "{words}");
    let words = error(&target("Z0NOWHERE", "www.missing.test", "CNAME"), &fault).await;
    assert!(
        words.contains("there is no hosted zone Z0NOWHERE"),
        "{words}"
    );
}
