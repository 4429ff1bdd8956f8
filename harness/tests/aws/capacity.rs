//! Instances and the groups that they are in.

use blackstart::{drill::Fault, provider::Current};

use crate::rig::{Rig, all_texts, text_of};

fn stop() -> Fault {
    Fault::Stop {
        target: "it".to_owned(),
    }
}

fn scale(replicas: u32) -> Fault {
    Fault::Scale {
        target: "it".to_owned(),
        replicas,
    }
}

async fn instance(rig: &Rig) -> String {
    let pairs = [
        ("ImageId", "ami-12c6146b"),
        ("MinCount", "1"),
        ("MaxCount", "1"),
    ];
    let made = rig.ask("ec2", "RunInstances", &pairs).await;
    text_of(&made, "instanceId").to_owned()
}

async fn state(rig: &Rig, instance: &str) -> String {
    let pairs = [("InstanceId.1", instance)];
    let text = rig.ask("ec2", "DescribeInstances", &pairs).await;
    let state = text_of(&text, "instanceState").to_owned();
    text_of(&state, "name").to_owned()
}

/// A group of two instances that may have four. Yields those that it has.
async fn group(rig: &Rig, name: &str) -> Vec<String> {
    let pairs = [
        ("LaunchConfigurationName", name),
        ("ImageId", "ami-12c6146b"),
        ("InstanceType", "t2.micro"),
    ];
    rig.ask("autoscaling", "CreateLaunchConfiguration", &pairs)
        .await;
    let pairs = [
        ("AutoScalingGroupName", name),
        ("LaunchConfigurationName", name),
        ("MinSize", "1"),
        ("MaxSize", "4"),
        ("DesiredCapacity", "2"),
        ("AvailabilityZones.member.1", "eu-central-1a"),
    ];
    rig.ask("autoscaling", "CreateAutoScalingGroup", &pairs)
        .await;
    let ids = all_texts(&described(rig, name).await, "InstanceId")
        .into_iter()
        .map(str::to_owned)
        .collect::<Vec<_>>();
    assert_eq!(ids.len(), 2);
    ids
}

async fn described(rig: &Rig, group: &str) -> String {
    let pairs = [("AutoScalingGroupNames.member.1", group)];
    rig.ask("autoscaling", "DescribeAutoScalingGroups", &pairs)
        .await
}

/// The smallest, largest and desired number of instances.
async fn sizes(rig: &Rig, group: &str) -> [u32; 3] {
    let text = described(rig, group).await;
    ["MinSize", "MaxSize", "DesiredCapacity"].map(|name| text_of(&text, name).parse().unwrap())
}

async fn suspended(rig: &Rig, group: &str) -> Vec<String> {
    let text = described(rig, group).await;
    let mut names: Vec<String> = all_texts(&text, "ProcessName")
        .into_iter()
        .map(str::to_owned)
        .collect();
    names.sort();
    names
}

pub(crate) async fn an_instance_is_stopped_and_started(rig: &Rig) {
    let instance = instance(rig).await;
    let captured = rig.capture(&format!("instance: {instance}"), &stop()).await;
    let captured = captured.unwrap();
    assert!(
        captured
            .undo
            .words
            .starts_with(&format!("start instance/{instance}"))
    );
    captured
        .there_and_back(async |broken| {
            let state = state(rig, &instance).await;
            assert_eq!(state, if broken { "stopped" } else { "running" });
        })
        .await;
}

pub(crate) async fn an_instance_that_is_stopped_already_has_nothing_to_lose(rig: &Rig) {
    let instance = instance(rig).await;
    rig.ask("ec2", "StopInstances", &[("InstanceId.1", &instance)])
        .await;
    let captured = rig.capture(&format!("instance: {instance}"), &stop()).await;
    let undo = captured.unwrap().undo;
    assert_eq!(undo.state, undo.injected);
}

pub(crate) async fn the_group_of_an_instance_does_not_replace_it_meanwhile(rig: &Rig) {
    let instances = group(rig, "replacing").await;
    // One process was suspended before, by somebody who wants it to stay so.
    let pairs = [
        ("AutoScalingGroupName", "replacing"),
        ("ScalingProcesses.member.1", "ReplaceUnhealthy"),
    ];
    rig.ask("autoscaling", "SuspendProcesses", &pairs).await;
    let captured = rig
        .capture(&format!("instance: {}", instances[0]), &stop())
        .await;
    let captured = captured.unwrap();
    captured
        .there_and_back(async |broken| {
            let suspended = suspended(rig, "replacing").await;
            if broken {
                assert_eq!(
                    suspended,
                    ["AZRebalance", "HealthCheck", "ReplaceUnhealthy"]
                );
            } else {
                assert_eq!(suspended, ["ReplaceUnhealthy"]);
            }
        })
        .await;
}

pub(crate) async fn a_process_that_somebody_suspends_meanwhile_is_told_and_left(rig: &Rig) {
    let instances = group(rig, "suspended").await;
    let captured = rig
        .capture(&format!("instance: {}", instances[0]), &stop())
        .await;
    let captured = captured.unwrap();
    captured.fault.inject().await.unwrap();
    let pairs = [
        ("AutoScalingGroupName", "suspended"),
        ("ScalingProcesses.member.1", "Launch"),
    ];
    rig.ask("autoscaling", "SuspendProcesses", &pairs).await;
    let Current::Otherwise(words) = captured.current().await else {
        panic!("is as before")
    };
    assert!(
        words.contains("auto-scaling-group/suspended has the suspended processes")
            && words.contains("Launch")
            && words.contains("it had no suspended process"),
        "{words}"
    );
}

pub(crate) async fn a_terminated_instance_is_told(rig: &Rig) {
    let instance = instance(rig).await;
    let captured = rig.capture(&format!("instance: {instance}"), &stop()).await;
    let captured = captured.unwrap();
    captured.fault.inject().await.unwrap();
    rig.ask("ec2", "TerminateInstances", &[("InstanceId.1", &instance)])
        .await;
    assert!(
        matches!(captured.current().await, Current::Otherwise(words) if words.contains("gone"))
    );
    let missing = rig.capture("instance: i-0123456789abcdef0", &stop()).await;
    let error = missing.err().unwrap().to_string();
    assert!(
        error.contains("there is no instance/i-0123456789abcdef0"),
        "{error}"
    );
}

pub(crate) async fn a_group_is_scaled_and_gets_all_three_of_its_numbers_back(rig: &Rig) {
    group(rig, "scaled").await;
    for (replicas, broken_sizes) in [(0, [0, 4, 0]), (6, [1, 6, 6])] {
        let captured = rig
            .capture("auto-scaling-group: scaled", &scale(replicas))
            .await;
        captured
            .unwrap()
            .there_and_back(async |broken| {
                let sizes = sizes(rig, "scaled").await;
                assert_eq!(sizes, if broken { broken_sizes } else { [1, 4, 2] });
            })
            .await;
    }
}

pub(crate) async fn what_a_human_or_a_policy_scaled_meanwhile_is_told_and_left(rig: &Rig) {
    group(rig, "policy").await;
    let captured = rig.capture("auto-scaling-group: policy", &scale(0)).await;
    let captured = captured.unwrap();
    let somebody = async |desired: &str| {
        let pairs = [
            ("AutoScalingGroupName", "policy"),
            ("DesiredCapacity", desired),
        ];
        rig.ask("autoscaling", "SetDesiredCapacity", &pairs).await;
    };
    // Between the capture and the injection.
    somebody("3").await;
    let error = captured.fault.inject().await.unwrap_err().to_string();
    assert!(
        error.contains("auto-scaling-group/policy was changed") && error.contains("3 instances"),
        "{error}"
    );
    // While it is in place.
    somebody("2").await;
    captured.fault.inject().await.unwrap();
    somebody("1").await;
    let Current::Otherwise(words) = captured.current().await else {
        panic!("is as before")
    };
    assert_eq!(
        words,
        "auto-scaling-group/policy has 1 instances desired, 0 to 4; it had 2 instances desired, 1 to 4 when it was captured, and the \
         fault set 0 instances desired, 0 to 4"
    );
    captured.fault.revert(&captured.undo).await.unwrap();
    assert_eq!(sizes(rig, "policy").await, [1, 4, 2]);
}

pub(crate) async fn scaling_policies_are_told_beforehand(rig: &Rig) {
    group(rig, "rehearsed").await;
    let pairs = [
        ("AutoScalingGroupName", "rehearsed"),
        ("PolicyName", "by-cpu"),
        ("PolicyType", "SimpleScaling"),
        ("AdjustmentType", "ChangeInCapacity"),
        ("ScalingAdjustment", "1"),
    ];
    rig.ask("autoscaling", "PutScalingPolicy", &pairs).await;
    let captured = rig
        .capture("auto-scaling-group: rehearsed", &scale(0))
        .await;
    let notes = captured.unwrap().fault.rehearse().await.unwrap();
    assert!(
        notes.len() == 1 && notes[0].contains("`by-cpu`"),
        "{notes:#?}"
    );
    assert_eq!(sizes(rig, "rehearsed").await, [1, 4, 2]);
}
