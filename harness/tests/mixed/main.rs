//! One drill on three systems that nobody here wrote, or that answer as they are documented to: pods gone by Kubernetes, a machine stopped
//! by Azure, the view of health from AWS, and a lab as the service that is probed. Where one of them is missing the trials are ignored,
//! and say why.

#![expect(
    clippy::unwrap_used,
    reason = "these are tests, which a harness of their own runs"
)]

#[path = "../aws/rig.rs"]
#[expect(dead_code, reason = "only the account itself is needed here")]
mod account;
#[path = "../shared/beside_a_lab.rs"]
mod beside_a_lab;
#[path = "../kubernetes/rig.rs"]
#[expect(dead_code, reason = "only a workload is needed here")]
mod cluster;
#[path = "../azure/stand_in.rs"]
#[expect(dead_code, reason = "only a machine is needed here")]
mod subscription;

use std::{process::ExitCode, sync::Arc, time::Duration};

use account::{ACCOUNT, REGION, Settings};
use beside_a_lab::{Files, Others, until};
use blackstart_lab as _;
use futures_util::future::LocalBoxFuture;
use libtest_mimic::{Arguments, Trial};
use subscription::{GROUP, SUBSCRIPTION, StandIn};
use tokio::{runtime::Runtime, time::sleep};

const TOKEN: &str = "not-to-be-written-down";
const TOKEN_VARIABLE: &str = "BLACKSTART_TEST_TOKEN";
/// The key of the account in the tests' own profile.
const SECRET: &str = "hidden-secret";
/// From one look at the pods to the next.
const LOOK: Duration = Duration::from_millis(50);

/// The three counterparts.
struct Rig {
    cluster: cluster::Rig,
    account: account::Rig,
}

impl Rig {
    async fn start() -> Result<Self, String> {
        Ok(Self {
            cluster: cluster::Rig::start().await?,
            account: account::Rig::start().await?,
        })
    }

    async fn scaled_to(&self, workload: &str) -> i64 {
        self.cluster.replicas("Deployment", workload).await
    }

    async fn alarm(&self, name: &str, state: &str) {
        let pairs = [
            ("AlarmName", name),
            ("StateValue", state),
            (
                "StateReason",
                "as many targets are healthy as there are pods",
            ),
        ];
        self.account
            .ask("monitoring", "SetAlarmState", &pairs)
            .await;
    }

    /// What `CloudWatch` does: the alarm follows the pods.
    async fn watch(&self, workload: &str) {
        let mut state = "OK";
        loop {
            let now = if self.scaled_to(workload).await == 0 {
                "ALARM"
            } else {
                "OK"
            };
            if now != state {
                self.alarm(workload, now).await;
                state = now;
            }
            sleep(LOOK).await;
        }
    }
}

/// The drill, with pods that are ready, a machine that runs and an alarm that is quiet.
async fn files(rig: &Rig, workload: &str, hold: &str) -> (Files, StandIn) {
    rig.cluster.ready_workload("Deployment", workload, 2).await;
    let pairs = [
        ("AlarmName", workload),
        ("ComparisonOperator", "LessThanThreshold"),
        ("EvaluationPeriods", "1"),
        ("MetricName", "HealthyHostCount"),
        ("Namespace", "AWS/ApplicationELB"),
        ("Period", "60"),
        ("Statistic", "Minimum"),
        ("Threshold", "1"),
    ];
    rig.account
        .ask("monitoring", "PutMetricAlarm", &pairs)
        .await;
    rig.alarm(workload, "OK").await;
    let azure = StandIn::start(TOKEN).await;
    let (kubeconfig, namespace) = (rig.cluster.kubeconfig.display(), &rig.cluster.namespace);
    let others = Others {
        faults: &[
            "scale: { target: pods, replicas: 0 }",
            "stop: { target: machine }",
        ],
        observers: &[
            "{ observer: pods, watches: pods, every: 10s }",
            "{ observer: power, watches: machine, every: 10s }",
            "{ observer: alarm, watches: alarm, every: 10s }",
        ],
        systems: &[
            &format!("kubernetes: {{ kubeconfig: {kubeconfig}, namespace: {namespace} }}"),
            &format!(
                "aws: {{ region: {REGION}, account: \"{ACCOUNT}\", endpoint: {} }}",
                rig.account.endpoint
            ),
            &format!(
                "azure: {{ subscription: {SUBSCRIPTION}, resource-group: {GROUP}, endpoint: \"{}\", token-variable: {TOKEN_VARIABLE} }}",
                azure.server.uri()
            ),
        ],
        targets: &[
            &format!("pods: {{ kubernetes: {{ deployment: {workload} }} }}"),
            "machine: { azure: { virtual-machine: vm } }",
            &format!("alarm: {{ aws: {{ alarm: {workload} }} }}"),
        ],
        limits: &[
            &format!("kubernetes: {{ namespaces: [{namespace}] }}"),
            &format!("azure: {{ subscriptions: [{SUBSCRIPTION}], resource-groups: [{GROUP}] }}"),
            &format!("aws: {{ accounts: [\"{ACCOUNT}\"], regions: [{REGION}] }}"),
        ],
        expect: &["detected: { within: 10m, by: alarm }"],
    };
    let files = Files::new(&others, hold)
        .with("KUBECONFIG", None)
        .with(TOKEN_VARIABLE, Some(TOKEN));
    (files, azure)
}

async fn one_drill_breaks_a_cluster_and_a_machine_and_looks_at_an_account(rig: &Rig) {
    let (files, azure) = files(rig, "mixed-passes", "40s").await;
    tokio::select! {
        () = files.passes() => {}
        () = rig.watch("mixed-passes") => {}
    }
    assert_eq!(rig.scaled_to("mixed-passes").await, 2);
    assert_eq!(azure.power("vm"), "running");
    let journal = files.journal();
    assert!(journal.is_clean(), "{journal:?}");
    assert_eq!(journal.captured().len(), 3);
    files.have_no(TOKEN);
    files.have_no(SECRET);
}

async fn revert_reaches_each_system_from_the_journal_alone(rig: &Rig) {
    let (files, azure) = files(rig, "mixed-killed", "10m").await;
    let is_broken =
        async || azure.power("vm") == "stopped" && rig.scaled_to("mixed-killed").await == 0;
    files.broken(is_broken).await.kill_with_its_guard();
    files.is_reverted("pods").await;
    until("the pods are ready again", async || {
        rig.scaled_to("mixed-killed").await == 2
    })
    .await;
    assert_eq!(azure.power("vm"), "running");
    files.have_no(TOKEN);
    files.have_no(SECRET);
}

type Case = for<'a> fn(&'a Rig) -> LocalBoxFuture<'a, ()>;

/// Credentials and region are found in the environment of the process, which cannot be changed within: so the trials run in a process
/// of their own.
fn main() -> ExitCode {
    if Settings::are_there() {
        return trials();
    }
    Settings::new().run_again()
}

fn trials() -> ExitCode {
    let cases: [(&str, Case); 2] = [
        (
            "one_drill_breaks_a_cluster_and_a_machine_and_looks_at_an_account",
            |rig| Box::pin(one_drill_breaks_a_cluster_and_a_machine_and_looks_at_an_account(rig)),
        ),
        ("revert_reaches_each_system_from_the_journal_alone", |rig| {
            Box::pin(revert_reaches_each_system_from_the_journal_alone(rig))
        }),
    ];
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(1);
    let runtime = Arc::new(Runtime::new().expect("threads"));
    let rig = if arguments.list {
        Err("they are only listed".to_owned())
    } else {
        runtime.block_on(Rig::start()).map(Arc::new)
    };
    let trial = |(name, case): (&str, Case)| {
        let (runtime, name) = (Arc::clone(&runtime), format!("mixed::{name}"));
        match rig.clone() {
            Ok(rig) => Trial::test(name, move || {
                runtime.block_on(case(&rig));
                Ok(())
            }),
            Err(reason) => Trial::test(name, || Ok(()))
                .with_kind(reason)
                .with_ignored_flag(true),
        }
    };
    let conclusion = libtest_mimic::run(&arguments, cases.into_iter().map(trial).collect());
    if let Some(rig) = rig.ok().and_then(Arc::into_inner) {
        runtime.block_on(rig.cluster.close());
    }
    conclusion.exit_code()
}
