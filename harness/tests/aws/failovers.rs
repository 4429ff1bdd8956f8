//! Databases that fail over, as RDS does it and moto does not: it says yes, and does it later.

use blackstart::{
    drill::Fault,
    provider::{Current, Provider, attach},
};
use wiremock::{Request, ResponseTemplate};

use crate::{
    rig::{capture, environment_at},
    stand_in::{it, refusal, stand_in, values, xml},
};

/// A database that reboots for some readings after it was told to.
fn rebooting(readings_left: &mut Option<u32>, _: &Request, body: &str) -> ResponseTemplate {
    if body.contains("Action=RebootDBInstance") {
        assert!(body.contains("ForceFailover=true"), "{body}");
        *readings_left = Some(3);
    }
    let status = match readings_left {
        Some(0) | None => "available",
        Some(left) => {
            *left -= 1;
            "rebooting"
        }
    };
    xml(
        200,
        format!(
            "<R xmlns=\"http://rds.amazonaws.com/doc/2014-10-31/\"><DescribeDBInstancesResult><DBInstances><DBInstance>\
             <DBInstanceIdentifier>petclinic</DBInstanceIdentifier><DBInstanceStatus>{status}</DBInstanceStatus>\
             <MultiAZ>true</MultiAZ><AvailabilityZone>eu-central-1a</AvailabilityZone></DBInstance></DBInstances>\
             </DescribeDBInstancesResult></R>"
        ),
    )
}

pub(crate) async fn a_database_with_a_standby_is_rebooted_and_waited_for() {
    let (server, _) = stand_in(None, rebooting).await;
    let environment = environment_at(&server.uri(), "database: petclinic");
    let fault = Fault::FailoverDatabase { target: it() };
    let captured = capture(&environment, &fault).await.unwrap();
    assert_eq!(captured.current().await, Current::AsCaptured);
    captured.fault.inject().await.unwrap();
    assert_eq!(captured.current().await, Current::AsInjected);
    captured.fault.revert(&captured.undo).await.unwrap();
    assert_eq!(captured.current().await, Current::AsCaptured);
}

/// A database in this state.
fn in_state(status: &mut &'static str, _: &Request, _: &str) -> ResponseTemplate {
    xml(
        200,
        format!(
            "<R><DescribeDBInstancesResult><DBInstances><DBInstance><DBInstanceIdentifier>petclinic</DBInstanceIdentifier>\
             <DBInstanceStatus>{status}</DBInstanceStatus><MultiAZ>true</MultiAZ></DBInstance></DBInstances>\
             </DescribeDBInstancesResult></R>"
        ),
    )
}

pub(crate) async fn a_database_that_is_busy_and_serves_is_not_taken_for_one_that_reboots() {
    let (server, status) = stand_in("available", in_state).await;
    let environment = environment_at(&server.uri(), "database: petclinic");
    let fault = Fault::FailoverDatabase { target: it() };
    let captured = capture(&environment, &fault).await.unwrap();
    let bindings = attach(&environment, None).await.unwrap().bindings;
    for (now, serves) in [
        ("backing-up", true),
        ("storage-optimization", true),
        ("configuring-enhanced-monitoring", true),
        ("rebooting", false),
        ("modifying", false),
    ] {
        *status.lock().unwrap() = now;
        let expected = if serves {
            Current::AsCaptured
        } else {
            Current::AsInjected
        };
        assert_eq!(captured.current().await, expected, "{now}");
        let health = bindings.health(&environment, "it").await.unwrap();
        assert_eq!(health.healthy, serves, "{now}");
    }
    // It begins only with one that takes orders.
    *status.lock().unwrap() = "backing-up";
    let refused = capture(&environment, &fault).await.err().unwrap();
    assert!(refused.to_string().contains("is backing-up"), "{refused}");
}

/// A cluster that changes its writer a reading after it said yes to that.
struct Cluster {
    writer: String,
    next: Option<String>,
    /// How often it says no before.
    refuses: u32,
}

fn failing_over(cluster: &mut Cluster, _: &Request, body: &str) -> ResponseTemplate {
    if body.contains("Action=FailoverDBCluster") {
        if cluster.refuses > 0 {
            cluster.refuses -= 1;
            return refusal(
                400,
                "InvalidDBInstanceState",
                "The instance is not in a state to become the writer.",
            );
        }
        cluster.next = values(body, "TargetDBInstanceIdentifier", "").pop();
        return xml(200, "<R/>");
    }
    let member = |name: &str| {
        format!(
            "<DBClusterMember><DBInstanceIdentifier>{name}</DBInstanceIdentifier><IsClusterWriter>{}</IsClusterWriter></DBClusterMember>",
            name == cluster.writer
        )
    };
    let answer = format!(
        "<R><DescribeDBClustersResult><DBClusters><DBCluster><DBClusterIdentifier>petclinic</DBClusterIdentifier>\
         <Status>available</Status><DBClusterMembers>{}{}</DBClusterMembers></DBCluster></DBClusters></DescribeDBClustersResult></R>",
        member("one"),
        member("two")
    );
    if let Some(next) = cluster.next.take() {
        cluster.writer = next;
    }
    xml(200, answer)
}

fn cluster() -> Cluster {
    Cluster {
        writer: "one".to_owned(),
        next: None,
        refuses: 0,
    }
}

pub(crate) async fn a_failover_that_shows_late_is_not_taken_for_none() {
    let (server, state) = stand_in(cluster(), failing_over).await;
    let environment = environment_at(&server.uri(), "database-cluster: petclinic");
    let fault = Fault::FailoverDatabase { target: it() };
    let captured = capture(&environment, &fault).await.unwrap();
    captured.fault.inject().await.unwrap();
    assert_eq!(captured.current().await, Current::AsInjected);
    // The former writer is on its way up still, and is the writer in the end.
    state.lock().unwrap().refuses = 1;
    captured.fault.revert(&captured.undo).await.unwrap();
    assert_eq!(captured.current().await, Current::AsCaptured);
    assert_eq!(state.lock().unwrap().refuses, 0);
}

pub(crate) async fn what_a_cluster_refuses_beforehand_is_told_at_once() {
    let (server, state) = stand_in(cluster(), failing_over).await;
    let environment = environment_at(&server.uri(), "database-cluster: petclinic");
    let fault = Fault::FailoverDatabase { target: it() };
    let captured = capture(&environment, &fault).await.unwrap();
    state.lock().unwrap().refuses = u32::MAX;
    let error = captured.fault.inject().await.unwrap_err().to_string();
    assert!(error.contains("InvalidDBInstanceState"), "{error}");
    assert_eq!(state.lock().unwrap().refuses, u32::MAX - 1);
}
