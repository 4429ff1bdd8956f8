//! Inbound rules that can be revoked and not be made again: moto makes every one.

use blackstart::{drill::Fault, provider::Current};
use wiremock::{Request, ResponseTemplate};

use crate::{
    rig::{capture, environment_at},
    stand_in::{it, refusal, stand_in, values, xml},
};

const TARGET: &str = "security-group: sg-1";

/// A security group.
struct Group {
    /// The inbound rules by the ranges that they let in.
    ranges: Vec<String>,
    /// A rule besides, for another group.
    other: &'static str,
    /// Ranges that EC2 does not take any more.
    refused: Vec<&'static str>,
}

fn group(other: &'static str) -> Group {
    Group {
        ranges: ["192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"]
            .map(str::to_owned)
            .to_vec(),
        other,
        refused: Vec::new(),
    }
}

fn answers(group: &mut Group, _: &Request, body: &str) -> ResponseTemplate {
    let action = values(body, "Action", "").pop().unwrap();
    match action.as_str() {
        "DescribeSecurityGroups" => xml(
            200,
            "<R><securityGroupInfo><item><groupId>sg-1</groupId></item></securityGroupInfo></R>",
        ),
        "DescribeSecurityGroupRules" => {
            let rule = |id: &str, source: &str| {
                format!(
                    "<item><securityGroupRuleId>{id}</securityGroupRuleId><isEgress>false</isEgress><ipProtocol>tcp</ipProtocol>\
                     <fromPort>443</fromPort><toPort>443</toPort>{source}</item>"
                )
            };
            let mut rules: String = group
                .ranges
                .iter()
                .map(|range| {
                    rule(
                        &format!("sgr-{range}"),
                        &format!("<cidrIpv4>{range}</cidrIpv4>"),
                    )
                })
                .collect();
            if !group.other.is_empty() {
                let source = format!("<referencedGroupInfo>{}</referencedGroupInfo>", group.other);
                rules += &rule("sgr-other", &source);
            }
            xml(
                200,
                format!("<R><securityGroupRuleSet>{rules}</securityGroupRuleSet></R>"),
            )
        }
        "RevokeSecurityGroupIngress" => {
            let ids = values(body, "SecurityGroupRuleId.", "");
            group
                .ranges
                .retain(|range| !ids.contains(&format!("sgr-{range}")));
            xml(200, "<R/>")
        }
        "AuthorizeSecurityGroupIngress" => {
            let ranges = values(body, "IpPermissions.", ".CidrIp");
            // All or none.
            if ranges
                .iter()
                .any(|range| group.refused.contains(&range.as_str()))
            {
                return refusal(
                    400,
                    "InvalidParameterValue",
                    "EC2 does not take it any more.",
                );
            }
            group.ranges.extend(ranges);
            xml(200, "<R/>")
        }
        other => panic!("{other} is asked"),
    }
}

pub(crate) async fn one_rule_that_cannot_be_made_again_keeps_no_other_out() {
    let (server, state) = stand_in(group(""), answers).await;
    let environment = environment_at(&server.uri(), TARGET);
    let captured = capture(&environment, &Fault::BlockIngress { target: it() }).await;
    let captured = captured.unwrap();
    captured.fault.inject().await.unwrap();
    assert!(state.lock().unwrap().ranges.is_empty());
    state.lock().unwrap().refused = vec!["198.51.100.0/24"];
    let error = captured.fault.revert(&captured.undo).await.unwrap_err();
    let words = error.to_string();
    assert!(
        words.contains(
            "authorising the inbound rule `tcp 443 from 198.51.100.0/24` of security-group/sg-1"
        ) && words.contains("EC2 does not take it any more."),
        "{words}"
    );
    assert_eq!(
        state.lock().unwrap().ranges,
        ["192.0.2.0/24", "203.0.113.0/24"]
    );
    assert_eq!(captured.current().await, Current::AsInjected);
    // Nothing else is missing when that is mended.
    state.lock().unwrap().refused.clear();
    captured.fault.revert(&captured.undo).await.unwrap();
    assert_eq!(captured.current().await, Current::AsCaptured);
}

pub(crate) async fn a_rule_whose_peering_connection_ended_is_named_and_nothing_revoked() {
    for (other, words) in [
        (
            "<groupId>sg-2</groupId><userId>210987654321</userId><vpcPeeringConnectionId>pcx-1</vpcPeeringConnectionId>\
             <peeringStatus>deleted</peeringStatus>",
            Some("the rule `sgr-other` for sg-2 by a peering connection that is deleted"),
        ),
        (
            "<groupId>sg-2</groupId><vpcPeeringConnectionId>pcx-1</vpcPeeringConnectionId>",
            Some("the rule `sgr-other` for sg-2 by a peering connection to an account"),
        ),
        (
            "<groupId>sg-2</groupId><userId>210987654321</userId><vpcPeeringConnectionId>pcx-1</vpcPeeringConnectionId>\
             <peeringStatus>active</peeringStatus>",
            None,
        ),
        ("<groupId>sg-2</groupId><userId>123456789012</userId>", None),
    ] {
        let (server, _) = stand_in(group(other), answers).await;
        let environment = environment_at(&server.uri(), TARGET);
        let captured = capture(&environment, &Fault::BlockIngress { target: it() }).await;
        let error = captured.err().map(|error| error.to_string());
        match (error, words) {
            (Some(error), Some(words)) => assert!(error.contains(words), "{error}"),
            (error, words) => assert_eq!(error.is_some(), words.is_some(), "{error:?}, {other}"),
        }
    }
}
