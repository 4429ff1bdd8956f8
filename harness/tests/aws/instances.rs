//! Instances as EC2 has them and moto does not: they start in their own time or not at all, and the group that they are in goes by what
//! load balancers think of them.

use std::collections::BTreeSet;

use blackstart::{drill::Fault, provider::Current};
use wiremock::{Request, ResponseTemplate};

use crate::{
    rig::{Captured, capture, environment_at},
    stand_in::{it, refusal, stand_in, values, xml},
};

const TARGET: &str = "instance: i-1";

/// An instance of a group of Auto Scaling.
#[derive(Clone)]
struct Cloud {
    state: &'static str,
    /// Why it is in this state.
    reason: &'static str,
    /// What EC2 answers to the first orders to start it.
    refusals: Vec<(u16, &'static str)>,
    /// What becomes of it when it is started: each reading shows the next.
    start: Vec<&'static str>,
    next: Vec<&'static str>,
    /// What its group goes by, and the classic load balancers of that.
    checks: &'static str,
    classic: &'static str,
    suspended: BTreeSet<String>,
    /// What its target group answers, one after the other, once it runs.
    health: Vec<(&'static str, &'static str)>,
    /// How often that was asked.
    asked: usize,
    /// What its target group had said of it last when processes were resumed.
    resumed_at: Option<&'static str>,
}

fn cloud() -> Cloud {
    Cloud {
        state: "running",
        reason: "",
        refusals: Vec::new(),
        start: vec!["running"],
        next: Vec::new(),
        checks: "EC2",
        classic: "",
        suspended: BTreeSet::new(),
        health: vec![("healthy", "")],
        asked: 0,
        resumed_at: None,
    }
}

fn answers(cloud: &mut Cloud, _: &Request, body: &str) -> ResponseTemplate {
    let action = values(body, "Action", "").pop().unwrap();
    let text = match action.as_str() {
        "DescribeInstances" => {
            if !cloud.next.is_empty() {
                cloud.state = cloud.next.remove(0);
            }
            format!(
                "<R><reservationSet><item><instancesSet><item><instanceId>i-1</instanceId><instanceState><name>{}</name></instanceState>\
                 <stateReason><message>{}</message></stateReason></item></instancesSet></item></reservationSet></R>",
                cloud.state, cloud.reason
            )
        }
        "StopInstances" => {
            cloud.state = "stopped";
            cloud.reason = "Client.UserInitiatedShutdown: User initiated shutdown";
            "<R/>".to_owned()
        }
        "StartInstances" => {
            if let Some((status, code)) = cloud.refusals.pop() {
                return refusal(status, code, "It cannot be started.");
            }
            cloud.next = cloud.start.clone();
            if cloud.start.last() == Some(&"stopped") {
                cloud.reason = "Client.InternalError: Client error on launch";
            }
            "<R/>".to_owned()
        }
        "DescribeAutoScalingInstances" => {
            "<R><AutoScalingGroupName>web</AutoScalingGroupName></R>".to_owned()
        }
        "DescribeAutoScalingGroups" => {
            let suspended = cloud
                .suspended
                .iter()
                .map(|name| format!("<member><ProcessName>{name}</ProcessName></member>"));
            format!(
                "<R><AutoScalingGroups><member><AutoScalingGroupName>web</AutoScalingGroupName><HealthCheckType>{}</HealthCheckType>\
                 <LoadBalancerNames>{}</LoadBalancerNames><TargetGroupARNs><member>arn:targets</member></TargetGroupARNs>\
                 <SuspendedProcesses>{}</SuspendedProcesses></member></AutoScalingGroups></R>",
                cloud.checks,
                cloud.classic,
                suspended.collect::<String>()
            )
        }
        "SuspendProcesses" => {
            cloud
                .suspended
                .extend(values(body, "ScalingProcesses.", ""));
            "<R/>".to_owned()
        }
        "ResumeProcesses" => {
            for process in values(body, "ScalingProcesses.", "") {
                cloud.suspended.remove(&process);
            }
            let last = cloud.asked.checked_sub(1).map(|last| health(cloud, last).0);
            cloud.resumed_at = Some(last.unwrap_or("not asked"));
            "<R/>".to_owned()
        }
        "DescribeTargetHealth" => {
            assert_eq!(values(body, "TargetGroupArn", ""), ["arn:targets"]);
            assert_eq!(values(body, "Targets.", ".Id"), ["i-1"]);
            let (state, reason) = health(cloud, cloud.asked);
            cloud.asked += 1;
            format!(
                "<R><TargetHealthDescriptions><member><TargetHealth><State>{state}</State><Reason>{reason}</Reason></TargetHealth></member>\
                 </TargetHealthDescriptions></R>"
            )
        }
        other => panic!("{other} is asked"),
    };
    xml(200, text)
}

/// What the target group answers when it is asked the so many-th time.
fn health(cloud: &Cloud, asked: usize) -> (&'static str, &'static str) {
    cloud.health[asked.min(cloud.health.len() - 1)]
}

fn stop() -> Fault {
    Fault::Stop { target: it() }
}

async fn stopped(uri: &str) -> Captured {
    let captured = capture(&environment_at(uri, TARGET), &stop())
        .await
        .unwrap();
    captured.fault.inject().await.unwrap();
    assert_eq!(captured.current().await, Current::AsInjected);
    captured
}

pub(crate) async fn a_group_goes_on_when_its_load_balancers_have_seen_the_instance_again() {
    for (checks, health, resumed_at) in [
        (
            "EC2,ELB",
            vec![
                ("unused", "Target.InvalidState"),
                ("initial", "Elb.RegistrationInProgress"),
                ("unhealthy", "Target.Timeout"),
                ("healthy", ""),
            ],
            "healthy",
        ),
        // One that is not asked about is not waited for.
        ("ELB", vec![("unused", "Target.NotRegistered")], "unused"),
        ("EC2", vec![("unhealthy", "Target.Timeout")], "not asked"),
    ] {
        let cloud = Cloud {
            checks,
            health,
            ..cloud()
        };
        let (server, state) = stand_in(cloud, answers).await;
        let captured = stopped(&server.uri()).await;
        captured.fault.revert(&captured.undo).await.unwrap();
        assert_eq!(captured.current().await, Current::AsCaptured);
        assert_eq!(state.lock().unwrap().resumed_at, Some(resumed_at));
    }
}

pub(crate) async fn a_group_that_asks_a_classic_load_balancer_is_refused() {
    for (checks, is_refused) in [("ELB", true), ("EC2", false)] {
        let cloud = Cloud {
            checks,
            classic: "<member>old-web</member>",
            ..cloud()
        };
        let (server, _) = stand_in(cloud, answers).await;
        let captured = capture(&environment_at(&server.uri(), TARGET), &stop()).await;
        assert_eq!(captured.is_err(), is_refused, "{checks}");
        if let Err(error) = captured {
            let words = error.to_string();
            assert!(
                words.contains(
                    "auto-scaling-group/web goes by what the classic load balancer `old-web`"
                ),
                "{words}"
            );
        }
    }
}

pub(crate) async fn an_instance_that_ec2_does_not_start_yet_is_started_later() {
    let cloud = Cloud {
        refusals: vec![
            (500, "InsufficientInstanceCapacity"),
            (400, "IncorrectInstanceState"),
        ],
        // It may be shown as stopped still when it was told to start, which is no falling back.
        start: vec!["stopped", "running"],
        ..cloud()
    };
    let (server, state) = stand_in(cloud, answers).await;
    let captured = stopped(&server.uri()).await;
    captured.fault.revert(&captured.undo).await.unwrap();
    assert_eq!(captured.current().await, Current::AsCaptured);
    assert!(state.lock().unwrap().refusals.is_empty());
}

pub(crate) async fn an_instance_that_falls_back_is_told_with_what_ec2_says() {
    let cloud = Cloud {
        start: vec!["pending", "stopped"],
        ..cloud()
    };
    let (server, state) = stand_in(cloud, answers).await;
    let captured = stopped(&server.uri()).await;
    let error = captured.fault.revert(&captured.undo).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "instance/i-1 was started and is stopped again: EC2 says `Client.InternalError: Client error on launch`"
    );
    // Its group does not replace it meanwhile.
    assert!(state.lock().unwrap().suspended.contains("HealthCheck"));
}

pub(crate) async fn the_group_of_an_instance_that_was_terminated_goes_on() {
    for end in ["terminated", "shutting-down"] {
        let (server, state) = stand_in(
            Cloud {
                checks: "ELB",
                ..cloud()
            },
            answers,
        )
        .await;
        let captured = stopped(&server.uri()).await;
        state.lock().unwrap().state = end;
        // By somebody who insists: it is told before, and afterwards.
        assert!(matches!(captured.current().await, Current::Otherwise(_)));
        captured.fault.revert(&captured.undo).await.unwrap();
        assert!(state.lock().unwrap().suspended.is_empty());
        assert!(
            matches!(captured.current().await, Current::Otherwise(words) if words.contains("instance/i-1 has gone"))
        );
    }
}

pub(crate) async fn what_takes_minutes_has_the_time() {
    let (server, _) = stand_in(cloud(), answers).await;
    let captured = capture(&environment_at(&server.uri(), TARGET), &stop()).await;
    let limit = captured.unwrap().fault.patience().unwrap();
    // Five minutes for the start and five for the load balancers, and time to ask.
    assert!(limit.as_secs() > 600, "{limit:?}");
}
