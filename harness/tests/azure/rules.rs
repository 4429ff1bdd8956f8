//! A rule of ours in a security group, and the rules of others, which are left alone.

use blackstart::provider::Current;
use serde_json::{Value, json};

use crate::{
    rig::{Rig, block},
    stand_in::provider,
};

const NSG: &str = "network-security-group: nsg";

impl Rig {
    fn rule(&self, name: &str) -> Option<Value> {
        let state = self.azure.state();
        let mut rules = state.rules.iter();
        rules.find(|rule| rule["name"] == name).cloned()
    }

    /// The rules that are not ours.
    fn others(&self) -> Vec<Value> {
        let state = self.azure.state();
        let rules = state.rules.iter();
        let is_ours = |rule: &Value| rule["name"].as_str().unwrap().starts_with("blackstart");
        rules.filter(|rule| !is_ours(rule)).cloned().collect()
    }
}

#[tokio::test]
async fn a_rule_lets_nobody_in_and_is_deleted_by_its_name() {
    let rig = Rig::start().await;
    let others = rig.others();
    let captured = rig.capture(NSG, &block()).await.unwrap();
    captured
        .there_and_back(|broken| {
            let rule = rig.rule("blackstart-block-ingress");
            assert_eq!(rule.is_some(), broken);
            if let Some(rule) = rule {
                let properties = &rule["properties"];
                assert_eq!(properties["priority"], 100);
                assert_eq!(properties["access"], "Deny");
                assert_eq!(properties["destinationPortRange"], "*");
            }
            assert_eq!(rig.others(), others);
        })
        .await;
    let path = provider("Microsoft.Network/networkSecurityGroups/nsg/securityRules");
    // Once each, and of the version that was read.
    assert_eq!(
        rig.azure
            .count(&format!("PUT {path}/blackstart-block-ingress")),
        1
    );
    assert_eq!(
        rig.azure
            .count(&format!("DELETE {path}/blackstart-block-ingress W/\"2\"")),
        1
    );
    assert_eq!(rig.azure.count("DELETE"), 1);
}

#[tokio::test]
async fn only_the_ports_that_are_named_are_shut() {
    let rig = Rig::start().await;
    let target = "network-security-group: nsg, ports: [80, 443]";
    let captured = rig.capture(target, &block()).await.unwrap();
    captured
        .there_and_back(|broken| {
            let rule = rig.rule("blackstart-block-ingress-80-443");
            let ports = rule.map(|rule| rule["properties"]["destinationPortRanges"].clone());
            assert_eq!(ports, broken.then(|| json!(["80", "443"])));
        })
        .await;
}

#[tokio::test]
async fn where_no_priority_is_free_before_a_rule_that_lets_somebody_in_nothing_is_done() {
    let rig = Rig::start().await;
    rig.azure.state().rules[1]["properties"]["priority"] = 100.into();
    let words = rig.refusal(NSG, &block()).await;
    assert!(
        words.contains("the rule `http` of") && words.contains("priority 100"),
        "{words}"
    );
    // For other ports it is not in the way.
    rig.capture("network-security-group: nsg, ports: [443]", &block())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_rule_under_our_name_that_we_did_not_make_is_left_alone() {
    let rig = Rig::start().await;
    let mut rule = rig.rule("http").unwrap();
    rule["name"] = "blackstart-block-ingress".into();
    rule["properties"]["priority"] = 150.into();
    rig.azure.state().rules.push(rule.clone());
    let words = rig.refusal(NSG, &block()).await;
    assert!(
        words.contains("there is a rule `blackstart-block-ingress`"),
        "{words}"
    );
    // One that is made between the capture and the injection is no better.
    rig.azure.state().rules.pop();
    let captured = rig.capture(NSG, &block()).await.unwrap();
    rig.azure.state().rules.push(rule);
    let error = captured.fault.inject().await.unwrap_err().to_string();
    assert!(
        error.contains("was changed after it was captured"),
        "{error}"
    );
    captured
        .is_somebody_elses("a rule `blackstart-block-ingress` with")
        .await;
    assert_eq!(rig.azure.count("PUT"), 0);
}

#[tokio::test]
async fn what_somebody_made_of_our_rule_is_told() {
    let rig = Rig::start().await;
    let captured = rig.capture(NSG, &block()).await.unwrap();
    captured.fault.inject().await.unwrap();
    let set = |key: &str, value: Value| {
        let mut state = rig.azure.state();
        let rule = state.rules.last_mut().unwrap();
        rule["properties"][key] = value;
    };
    set("access", "Allow".into());
    captured.is_somebody_elses("access \"Allow\"").await;
    set("access", "Deny".into());
    assert_eq!(captured.current().await, Current::AsInjected);
    // The rule of another drill has another mark.
    set(
        "description",
        "Made by Blackstart for a drill, which deletes it again. Drill 0.".into(),
    );
    captured.is_somebody_elses("description").await;
    rig.azure.state().rules.pop();
    assert_eq!(captured.current().await, Current::AsCaptured);
}

#[tokio::test]
async fn a_rule_that_somebody_writes_while_it_is_deleted_is_read_again_and_deleted() {
    let rig = Rig::start().await;
    let captured = rig.capture(NSG, &block()).await.unwrap();
    captured.fault.inject().await.unwrap();
    let changed = crate::stand_in::refusal(412, "PreconditionFailed", "The rule was changed.");
    rig.azure.once("DELETE", "/securityRules/", changed);
    let (recalled, undo) = captured.recalled();
    recalled.revert(&undo).await.unwrap();
    assert_eq!(recalled.current(&undo).await.unwrap(), Current::AsCaptured);
    assert_eq!(rig.azure.count("DELETE"), 2);
}

#[tokio::test]
async fn a_priority_that_somebody_took_meanwhile_is_told() {
    let rig = Rig::start().await;
    let captured = rig.capture(NSG, &block()).await.unwrap();
    let mut rule = rig.rule("http").unwrap();
    rule["name"] = "quick".into();
    rule["properties"]["priority"] = 100.into();
    rig.azure.state().rules.push(rule);
    let error = captured.fault.inject().await.unwrap_err().to_string();
    assert!(error.contains("SecurityRuleConflict"), "{error}");
    assert_eq!(captured.current().await, Current::AsCaptured);
}

#[tokio::test]
async fn a_lock_that_would_keep_the_rule_is_told_before_the_rule_is_made() {
    let rig = Rig::start().await;
    let group = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/PETCLINIC";
    let lock = |on: &str| {
        let id = format!("{on}/providers/Microsoft.Authorization/locks/keep");
        json!({ "id": id, "name": "keep", "properties": { "level": "CanNotDelete" } })
    };
    let other = provider("Microsoft.Network/networkSecurityGroups/nsg-2");
    rig.azure.state().locks = vec![lock(&other)];
    rig.capture(NSG, &block()).await.unwrap();
    rig.azure.state().locks.push(lock(group));
    let words = rig.refusal(NSG, &block()).await;
    assert!(words.contains("the lock `keep` (CanNotDelete)"), "{words}");
    assert_eq!(rig.azure.count("PUT"), 0);
}

#[tokio::test]
async fn a_group_that_is_gone_is_told() {
    let rig = Rig::start().await;
    let captured = rig.capture(NSG, &block()).await.unwrap();
    captured.fault.inject().await.unwrap();
    rig.azure.state().group_is_there = false;
    captured.is_somebody_elses("it is gone").await;
}

#[tokio::test]
async fn a_drills_rule_is_what_azure_thinks_of_a_group() {
    let rig = Rig::start().await;
    assert!(rig.health(NSG).await.0);
    let captured = rig.capture(NSG, &block()).await.unwrap();
    captured.fault.inject().await.unwrap();
    let (healthy, detail) = rig.health(NSG).await;
    assert!(
        !healthy && detail.contains("blackstart-block-ingress"),
        "{detail}"
    );
}
