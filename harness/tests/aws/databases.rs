//! The writer of a database cluster.

use blackstart::{
    drill::Fault,
    provider::{Current, Provider, attach},
};

use crate::rig::{Rig, text_of};

fn fail_over() -> Fault {
    Fault::FailoverDatabase {
        target: "it".to_owned(),
    }
}

/// A cluster of so many instances.
async fn cluster(rig: &Rig, name: &str, instances: u32) {
    let pairs = [
        ("DBClusterIdentifier", name),
        ("Engine", "aurora-mysql"),
        ("MasterUsername", "root"),
        ("MasterUserPassword", "hunter2hunter2"),
    ];
    rig.ask("rds", "CreateDBCluster", &pairs).await;
    for number in 1..=instances {
        let instance = format!("{name}-{number}");
        let pairs = [
            ("DBInstanceIdentifier", instance.as_str()),
            ("DBClusterIdentifier", name),
            ("DBInstanceClass", "db.r5.large"),
            ("Engine", "aurora-mysql"),
        ];
        rig.ask("rds", "CreateDBInstance", &pairs).await;
    }
}

async fn writer(rig: &Rig, cluster: &str) -> String {
    let pairs = [("DBClusterIdentifier", cluster)];
    let text = rig.ask("rds", "DescribeDBClusters", &pairs).await;
    let members = text_of(&text, "DBClusterMembers").to_owned();
    let writer = members
        .split("<DBClusterMember>")
        .find(|member| member.contains("<IsClusterWriter>true"));
    text_of(writer.unwrap(), "DBInstanceIdentifier").to_owned()
}

pub(crate) async fn a_reader_becomes_the_writer_and_the_writer_comes_back(rig: &Rig) {
    cluster(rig, "there-and-back", 2).await;
    let before = writer(rig, "there-and-back").await;
    let captured = rig
        .capture("database-cluster: there-and-back", &fail_over())
        .await;
    captured
        .unwrap()
        .there_and_back(async |broken| {
            let now = writer(rig, "there-and-back").await;
            assert_eq!(now != before, broken, "{now}");
        })
        .await;
}

pub(crate) async fn a_writer_that_somebody_chose_meanwhile_is_told_and_left(rig: &Rig) {
    cluster(rig, "meanwhile", 3).await;
    let captured = rig
        .capture("database-cluster: meanwhile", &fail_over())
        .await;
    let captured = captured.unwrap();
    captured.fault.inject().await.unwrap();
    let pairs = [
        ("DBClusterIdentifier", "meanwhile"),
        ("TargetDBInstanceIdentifier", "meanwhile-3"),
    ];
    rig.ask("rds", "FailoverDBCluster", &pairs).await;
    let Current::Otherwise(words) = captured.current().await else {
        panic!("is as before")
    };
    assert_eq!(
        words,
        "database-cluster/meanwhile has the writer meanwhile-3; it had the writer meanwhile-1 when it was captured, and the fault set \
         the writer meanwhile-2"
    );
}

pub(crate) async fn what_cannot_fail_over_is_named(rig: &Rig) {
    cluster(rig, "alone", 1).await;
    let error = async |target: &str| {
        let captured = rig.capture(target, &fail_over()).await;
        captured.err().unwrap().to_string()
    };
    let words = error("database-cluster: alone").await;
    assert!(
        words.contains("has no reader that could become its writer"),
        "{words}"
    );
    let words = error("database: alone-1").await;
    assert!(words.contains("has no standby in another zone"), "{words}");
    for (target, name) in [
        ("database-cluster: nowhere", "database-cluster/nowhere"),
        ("database: nowhere", "database/nowhere"),
    ] {
        let words = error(target).await;
        assert!(words.contains(&format!("there is no {name}")), "{words}");
    }
}

pub(crate) async fn the_status_of_a_database_and_the_state_of_an_alarm_are_read(rig: &Rig) {
    cluster(rig, "watched", 1).await;
    let pairs = [
        ("AlarmName", "too-slow"),
        ("ComparisonOperator", "GreaterThanThreshold"),
        ("EvaluationPeriods", "1"),
        ("MetricName", "Latency"),
        ("Namespace", "Shop"),
        ("Period", "60"),
        ("Statistic", "Average"),
        ("Threshold", "1"),
    ];
    rig.ask("monitoring", "PutMetricAlarm", &pairs).await;
    let pairs = [
        ("AlarmName", "too-slow"),
        ("StateValue", "ALARM"),
        ("StateReason", "5 s"),
    ];
    rig.ask("monitoring", "SetAlarmState", &pairs).await;
    for (target, healthy, detail) in [
        ("database-cluster: watched", true, "available"),
        ("database: watched-1", true, "available"),
        ("alarm: too-slow", false, "ALARM: 5 s"),
    ] {
        let environment = rig.environment(target);
        let bindings = attach(&environment, None).await.unwrap().bindings;
        let health = bindings.health(&environment, "it").await.unwrap();
        assert_eq!(health.healthy, healthy, "{target}: {}", health.detail);
        assert!(health.detail.starts_with(detail), "{}", health.detail);
    }
}
