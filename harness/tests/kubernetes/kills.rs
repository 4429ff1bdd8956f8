//! One drill that breaks a lab in its own process and a cluster, and harnesses that are killed in the middle of it.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use blackstart::{
    journal::{self, Record},
    recovery,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{Rig, rig::until};

const DRILL: &str = "\
drill: both-kinds
about: A machine of the lab and the pods of a cluster are gone at the same time.
environment: both-kinds
steady-state: { for: 2s }
faults:
  - together:
      - scale: { target: pods, replicas: 0 }
      - stop: { target: first }
hold: HOLD
expect:
  outage: { within: 10m }
  failback: { to: first, within: 5m }
";

/// The environment of the documentation, with a target in a cluster beside those in the lab.
fn environment(rig: &Rig, workload: &str) -> String {
    format!(
        "environment: both-kinds
speed: 20
service: {{ url: http://www.shop.test/ }}
tiers:
  - {{ tier: first, recognise: {{ header: {{ name: server, contains: first }}, dns: first.shop.test }} }}
  - {{ tier: second, recognise: {{ header: {{ name: server, contains: second }}, dns: second.shop.test }} }}
probes:
  - http: {{ name: read, every: 2s }}
observers:
  - {{ observer: health-check, watches: check }}
  - {{ observer: pods, watches: pods, every: 10s }}
kubernetes: {{ kubeconfig: {}, namespace: {} }}
targets:
  first: {{ lab: {{ virtual-machine: first }} }}
  check: {{ lab: {{ health-check: first }} }}
  pods: {{ kubernetes: {{ deployment: {workload} }} }}
limits:
  kubernetes: {{ namespaces: [{}] }}
stack:
  zones:
    - zone: shop.test
      records:
        - {{ name: www.shop.test, type: CNAME, ttl: 60s, failover: primary, health-check: first, value: first.shop.test }}
        - {{ name: www.shop.test, type: CNAME, ttl: 60s, failover: secondary, value: second.shop.test }}
  health-checks:
    first: {{ protocol: http, fqdn: first.shop.test, path: /, request-interval: 10s, failure-threshold: 2 }}
  virtual-machines:
    first: {{ dns-name: first.shop.test, server: first/1.0, serves: {{ application: {{ context-path: /, database: first }} }} }}
    second: {{ dns-name: second.shop.test, server: second/1.0, serves: {{ application: {{ context-path: /, database: second }} }} }}
",
        rig.kubeconfig.display(),
        rig.namespace,
        rig.namespace
    )
}

/// The files of the drill, and where its reports go.
struct Files(tempfile::TempDir);

impl Files {
    async fn new(rig: &Rig, workload: &str, hold: &str) -> Self {
        rig.workload("Deployment", workload, 2).await;
        let folder = tempfile::tempdir().unwrap();
        let environments = folder.path().join("environments");
        fs::create_dir(&environments).unwrap();
        fs::write(
            environments.join("both-kinds.yaml"),
            environment(rig, workload),
        )
        .unwrap();
        fs::write(
            folder.path().join("both-kinds.yaml"),
            DRILL.replace("HOLD", hold),
        )
        .unwrap();
        // Those that the drill breaks have to be well before.
        let api = rig.api(Some(&rig.namespace), "apps", "v1", "Deployment");
        until("its pods are ready", async || {
            api.get(workload).await.unwrap().data["status"]["readyReplicas"] == 2
        })
        .await;
        Self(folder)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_blackstart"));
        command
            .args(arguments)
            .arg("--reports")
            .arg(self.0.path().join("reports"))
            .current_dir(self.0.path())
            .env("BLACKSTART_STATE", self.0.path())
            // Nothing but the journal says how the cluster is reached.
            .env_remove("KUBECONFIG")
            .stdin(Stdio::null());
        command
    }

    fn run(&self) -> Output {
        self.command(&["run", "-q", "both-kinds.yaml"])
            .output()
            .unwrap()
    }

    async fn broken(&self, rig: &Rig, workload: &str) -> Child {
        let mut command = self.command(&["run", "-q", "both-kinds.yaml"]);
        let harness = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        until("it is scaled", async || {
            rig.replicas("Deployment", workload).await == 0
        })
        .await;
        harness.unwrap()
    }

    fn journal(&self) -> journal::Journal {
        let journals = recovery::journals_in(&self.0.path().join("reports")).unwrap();
        journal::read(Path::new(&journals[0])).unwrap()
    }
}

fn end(process: u32) {
    let process = Pid::from_raw(i32::try_from(process).unwrap());
    kill(process, Signal::SIGKILL).unwrap();
}

pub(crate) async fn one_drill_breaks_and_restores_a_lab_and_a_cluster(rig: &Rig) {
    let files = Files::new(rig, "mixed", "20s").await;
    let output = files.run();
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert_eq!(rig.replicas("Deployment", "mixed").await, 2);
    let journal = files.journal();
    assert!(journal.is_clean(), "{journal:?}");
    assert_eq!(journal.captured().len(), 2);
}

pub(crate) async fn a_cluster_is_restored_by_the_guard_when_the_harness_is_killed(rig: &Rig) {
    let files = Files::new(rig, "guarded", "10m").await;
    let mut harness = files.broken(rig, "guarded").await;
    end(harness.id());
    harness.wait().unwrap();
    until("the guard has scaled it back", async || {
        rig.replicas("Deployment", "guarded").await == 2
    })
    .await;
    until("that is written down", async || files.journal().is_clean()).await;
}

pub(crate) async fn revert_restores_a_cluster_when_harness_and_guard_are_killed(rig: &Rig) {
    let files = Files::new(rig, "unguarded", "10m").await;
    let mut harness = files.broken(rig, "unguarded").await;
    let guard = files.journal().records.iter().find_map(|record| {
        let Record::Guarded { process } = record else {
            return None;
        };
        Some(*process)
    });
    end(guard.unwrap());
    end(harness.id());
    harness.wait().unwrap();
    assert_eq!(rig.replicas("Deployment", "unguarded").await, 0);
    let next = files.run();
    let words = String::from_utf8_lossy(&next.stderr).into_owned();
    assert!(words.contains("blackstart revert"), "{words}");
    let reverted = files.command(&["revert"]).output().unwrap();
    let words = String::from_utf8_lossy(&reverted.stdout).into_owned();
    assert!(
        reverted.status.success() && words.contains("restored `pods`"),
        "{words}"
    );
    assert_eq!(rig.replicas("Deployment", "unguarded").await, 2);
}
