//! Inbound rules of security groups.

use std::collections::BTreeSet;

use blackstart::{drill::Fault, provider::Current};

use crate::rig::{Rig, all_texts, text_of};

/// Names and values.
type Pairs<'a> = &'a [(&'a str, &'a str)];

fn block() -> Fault {
    Fault::BlockIngress {
        target: "it".to_owned(),
    }
}

/// A group with rules of every kind of source, some with tags.
pub(crate) async fn group(rig: &Rig, name: &str) -> String {
    let group = empty_group(rig, name).await;
    let other = empty_group(rig, &format!("{name}-other")).await;
    let rules: [(Pairs<'_>, Pairs<'_>); 4] = [
        (
            &[
                ("IpPermissions.1.IpProtocol", "tcp"),
                ("IpPermissions.1.FromPort", "443"),
                ("IpPermissions.1.ToPort", "443"),
                ("IpPermissions.1.IpRanges.1.CidrIp", "0.0.0.0/0"),
                (
                    "IpPermissions.1.IpRanges.1.Description",
                    "everybody, by <TLS> & more",
                ),
            ],
            &[("cost", "1"), ("owner", "web")],
        ),
        (
            &[
                ("IpPermissions.1.IpProtocol", "tcp"),
                ("IpPermissions.1.FromPort", "8080"),
                ("IpPermissions.1.ToPort", "8090"),
                ("IpPermissions.1.Ipv6Ranges.1.CidrIpv6", "2001:db8::/32"),
            ],
            &[],
        ),
        (
            &[
                ("IpPermissions.1.IpProtocol", "-1"),
                ("IpPermissions.1.Groups.1.GroupId", &other),
            ],
            &[("owner", "web")],
        ),
        (
            &[
                ("IpPermissions.1.IpProtocol", "udp"),
                ("IpPermissions.1.FromPort", "53"),
                ("IpPermissions.1.ToPort", "53"),
                (
                    "IpPermissions.1.PrefixListIds.1.PrefixListId",
                    "pl-12345678",
                ),
            ],
            &[],
        ),
    ];
    for (permission, tags) in rules {
        let mut pairs = vec![("GroupId", group.as_str())];
        pairs.extend(permission);
        let names: Vec<(String, String)> = (1..=tags.len())
            .map(|number| {
                let prefix = format!("TagSpecification.1.Tag.{number}");
                (format!("{prefix}.Key"), format!("{prefix}.Value"))
            })
            .collect();
        if !tags.is_empty() {
            pairs.push(("TagSpecification.1.ResourceType", "security-group-rule"));
        }
        for ((key, value), (key_name, value_name)) in tags.iter().zip(&names) {
            pairs.extend([(key_name.as_str(), *key), (value_name.as_str(), *value)]);
        }
        rig.ask("ec2", "AuthorizeSecurityGroupIngress", &pairs)
            .await;
    }
    group
}

async fn empty_group(rig: &Rig, name: &str) -> String {
    let pairs = [("GroupName", name), ("GroupDescription", "a test")];
    let made = rig.ask("ec2", "CreateSecurityGroup", &pairs).await;
    text_of(&made, "groupId").to_owned()
}

/// The inbound rules without their ids, as somebody else reads them.
pub(crate) async fn rules(rig: &Rig, group: &str) -> BTreeSet<String> {
    let pairs = [("Filter.1.Name", "group-id"), ("Filter.1.Value.1", group)];
    let text = rig.ask("ec2", "DescribeSecurityGroupRules", &pairs).await;
    let set = text_of(&text, "securityGroupRuleSet").to_owned();
    // Of each rule, as items nest in it for its tags, from its id to the next one's.
    set.split("<securityGroupRuleId>")
        .skip(1)
        .filter(|rule| rule.contains("<isEgress>false"))
        .map(|rule| rule.split_once("</securityGroupRuleId>").unwrap().1)
        .map(|rule| {
            rule.trim_end()
                .trim_end_matches("<item>")
                .trim_end()
                .to_owned()
        })
        .collect()
}

async fn ids(rig: &Rig, group: &str) -> Vec<String> {
    let pairs = [("Filter.1.Name", "group-id"), ("Filter.1.Value.1", group)];
    let text = rig.ask("ec2", "DescribeSecurityGroupRules", &pairs).await;
    let ids = all_texts(&text, "securityGroupRuleId");
    ids.into_iter().map(str::to_owned).collect()
}

pub(crate) async fn inbound_rules_are_revoked_and_come_back_with_descriptions_and_tags(rig: &Rig) {
    let group = group(rig, "there-and-back").await;
    let before = rules(rig, &group).await;
    assert_eq!(before.len(), 4, "{before:#?}");
    let ids_before = ids(rig, &group).await;
    let captured = rig
        .capture(&format!("security-group: {group}"), &block())
        .await;
    let captured = captured.unwrap();
    let words = &captured.undo.words;
    assert!(
        words.contains("tcp 443 from 0.0.0.0/0") && words.contains(&group),
        "{words}"
    );
    captured
        .there_and_back(async |broken| {
            let now = rules(rig, &group).await;
            if broken {
                assert!(now.is_empty(), "{now:#?}");
            } else {
                assert_eq!(now, before);
            }
        })
        .await;
    // They are others, with the same content.
    assert!(ids(rig, &group).await != ids_before);
}

pub(crate) async fn a_group_that_lets_nothing_in_has_nothing_to_lose(rig: &Rig) {
    let group = empty_group(rig, "lets-nothing-in").await;
    let captured = rig
        .capture(&format!("security-group: {group}"), &block())
        .await;
    // Which the engine takes for a fault that is none.
    let undo = captured.unwrap().undo;
    assert_eq!(undo.state, undo.injected);
}

pub(crate) async fn a_rule_that_somebody_adds_meanwhile_is_told_and_left(rig: &Rig) {
    let group = group(rig, "meanwhile").await;
    let before = rules(rig, &group).await;
    let captured = rig
        .capture(&format!("security-group: {group}"), &block())
        .await;
    let captured = captured.unwrap();
    let somebody = [
        ("GroupId", group.as_str()),
        ("IpPermissions.1.IpProtocol", "tcp"),
        ("IpPermissions.1.FromPort", "22"),
        ("IpPermissions.1.ToPort", "22"),
        ("IpPermissions.1.IpRanges.1.CidrIp", "192.0.2.1/32"),
    ];
    // Between the capture and the injection.
    rig.ask("ec2", "AuthorizeSecurityGroupIngress", &somebody)
        .await;
    let error = captured.fault.inject().await.unwrap_err().to_string();
    assert!(
        error.contains(&format!("security-group/{group} was changed"))
            && error.contains("tcp 22 from 192.0.2.1/32"),
        "{error}"
    );
    assert_eq!(rules(rig, &group).await.len(), 5);
    rig.ask("ec2", "RevokeSecurityGroupIngress", &somebody)
        .await;
    // While it is in place.
    captured.fault.inject().await.unwrap();
    rig.ask("ec2", "AuthorizeSecurityGroupIngress", &somebody)
        .await;
    let Current::Otherwise(words) = captured.current().await else {
        panic!("is as before")
    };
    assert!(
        words.contains("has the inbound rules `tcp 22 from 192.0.2.1/32`")
            && words.contains("the fault set no inbound rule"),
        "{words}"
    );
    // Only somebody who says that he wants it overwrites that.
    captured.fault.revert(&captured.undo).await.unwrap();
    assert_eq!(rules(rig, &group).await, before);
}

pub(crate) async fn half_a_revocation_is_known_as_ours(rig: &Rig) {
    let group = group(rig, "half-way").await;
    let before = rules(rig, &group).await;
    let captured = rig
        .capture(&format!("security-group: {group}"), &block())
        .await;
    let captured = captured.unwrap();
    let ids = ids(rig, &group).await;
    let inbound = [
        ("GroupId", group.as_str()),
        ("SecurityGroupRuleId.1", ids.last().unwrap()),
    ];
    rig.ask("ec2", "RevokeSecurityGroupIngress", &inbound).await;
    assert_eq!(rules(rig, &group).await.len(), 3);
    assert_eq!(captured.current().await, Current::AsInjected);
    captured.fault.revert(&captured.undo).await.unwrap();
    assert_eq!(rules(rig, &group).await, before);
}

pub(crate) async fn a_group_that_is_not_there_is_named(rig: &Rig) {
    let missing = rig
        .capture("security-group: sg-0123456789abcdef0", &block())
        .await;
    let error = missing.err().unwrap().to_string();
    assert!(
        error.contains("there is no security-group/sg-0123456789abcdef0")
            && error.contains("aws ec2 describe-security-groups --region eu-central-1"),
        "{error}"
    );
    // One that is deleted while it is broken is not taken for one that is broken.
    let group = group(rig, "deleted").await;
    let captured = rig
        .capture(&format!("security-group: {group}"), &block())
        .await;
    let captured = captured.unwrap();
    captured.fault.inject().await.unwrap();
    rig.ask("ec2", "DeleteSecurityGroup", &[("GroupId", &group)])
        .await;
    assert!(
        matches!(captured.current().await, Current::Otherwise(words) if words.contains("gone"))
    );
}

pub(crate) async fn a_dry_run_asks_and_changes_nothing(rig: &Rig) {
    let group = group(rig, "dry-run").await;
    let before = rules(rig, &group).await;
    rig.ask(
        "ec2",
        "CreateTags",
        &[
            ("ResourceId.1", &group),
            ("Tag.1.Key", "elbv2.k8s.aws/cluster"),
            ("Tag.1.Value", "shop"),
        ],
    )
    .await;
    let captured = rig
        .capture(&format!("security-group: {group}"), &block())
        .await;
    let notes = captured.unwrap().fault.rehearse().await.unwrap();
    assert_eq!(notes.len(), 2, "{notes:#?}");
    assert!(notes[0].contains("load balancer controller"), "{notes:#?}");
    assert!(notes[1].contains("tcp 443 from 0.0.0.0/0"), "{notes:#?}");
    assert_eq!(rules(rig, &group).await, before);
}
