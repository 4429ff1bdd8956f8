//! One drill that breaks a lab in its own process and an account, and harnesses that are killed in the middle of it.

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

use crate::rig::{ACCOUNT, REGION, Rig, until};
use crate::security_groups::{group, rules};

const DRILL: &str = "\
drill: both-kinds
about: A machine of the lab is gone and a security group of AWS lets nobody in at the same time.
environment: both-kinds
steady-state: { for: 2s }
faults:
  - together:
      - block-ingress: { target: gate }
      - stop: { target: first }
hold: HOLD
expect:
  outage: { within: 10m }
  failback: { to: first, within: 5m }
";

/// The environment of the documentation, with a target in an account beside those in the lab.
fn environment(rig: &Rig, group: &str) -> String {
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
aws: {{ region: {REGION}, account: \"{ACCOUNT}\", endpoint: {} }}
targets:
  first: {{ lab: {{ virtual-machine: first }} }}
  check: {{ lab: {{ health-check: first }} }}
  gate: {{ aws: {{ security-group: {group} }} }}
limits:
  aws: {{ accounts: [\"{ACCOUNT}\"], regions: [{REGION}] }}
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
        rig.endpoint
    )
}

/// The files of the drill, and where its reports go.
struct Files {
    folder: tempfile::TempDir,
    group: String,
}

impl Files {
    async fn new(rig: &Rig, name: &str, hold: &str) -> Self {
        let group = group(rig, name).await;
        let folder = tempfile::tempdir().unwrap();
        let environments = folder.path().join("environments");
        fs::create_dir(&environments).unwrap();
        fs::write(
            environments.join("both-kinds.yaml"),
            environment(rig, &group),
        )
        .unwrap();
        fs::write(
            folder.path().join("both-kinds.yaml"),
            DRILL.replace("HOLD", hold),
        )
        .unwrap();
        Self { folder, group }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_blackstart"));
        command
            .args(arguments)
            .arg("--reports")
            .arg(self.folder.path().join("reports"))
            .current_dir(self.folder.path())
            .env("BLACKSTART_STATE", self.folder.path())
            .stdin(Stdio::null());
        command
    }

    fn run(&self) -> Output {
        self.command(&["run", "-q", "both-kinds.yaml"])
            .output()
            .unwrap()
    }

    async fn broken(&self, rig: &Rig) -> Child {
        let mut command = self.command(&["run", "-q", "both-kinds.yaml"]);
        let harness = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        until("the rules are revoked", async || {
            rules(rig, &self.group).await.is_empty()
        })
        .await;
        harness.unwrap()
    }

    fn journal(&self) -> journal::Journal {
        let journals = recovery::journals_in(&self.folder.path().join("reports")).unwrap();
        journal::read(Path::new(&journals[0])).unwrap()
    }
}

fn end(process: u32) {
    let process = Pid::from_raw(i32::try_from(process).unwrap());
    kill(process, Signal::SIGKILL).unwrap();
}

pub(crate) async fn one_drill_breaks_and_restores_a_lab_and_an_account(rig: &Rig) {
    let files = Files::new(rig, "mixed", "20s").await;
    let before = rules(rig, &files.group).await;
    let output = files.run();
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert_eq!(rules(rig, &files.group).await, before);
    let journal = files.journal();
    assert!(journal.is_clean(), "{journal:?}");
    assert_eq!(journal.captured().len(), 2);
}

pub(crate) async fn an_account_is_restored_by_the_guard_when_the_harness_is_killed(rig: &Rig) {
    let files = Files::new(rig, "guarded", "10m").await;
    let before = rules(rig, &files.group).await;
    let mut harness = files.broken(rig).await;
    end(harness.id());
    harness.wait().unwrap();
    until("the guard has restored the rules", async || {
        rules(rig, &files.group).await == before
    })
    .await;
    until("that is written down", async || files.journal().is_clean()).await;
}

pub(crate) async fn revert_restores_an_account_when_harness_and_guard_are_killed(rig: &Rig) {
    let files = Files::new(rig, "unguarded", "10m").await;
    let before = rules(rig, &files.group).await;
    let mut harness = files.broken(rig).await;
    let guard = files.journal().records.iter().find_map(|record| {
        let Record::Guarded { process } = record else {
            return None;
        };
        Some(*process)
    });
    end(guard.unwrap());
    end(harness.id());
    harness.wait().unwrap();
    assert!(rules(rig, &files.group).await.is_empty());
    let next = files.run();
    let words = String::from_utf8_lossy(&next.stderr).into_owned();
    assert!(words.contains("blackstart revert"), "{words}");
    let reverted = files.command(&["revert"]).output().unwrap();
    let words = String::from_utf8_lossy(&reverted.stdout).into_owned();
    assert!(
        reverted.status.success() && words.contains("restored `gate`"),
        "{words}"
    );
    assert_eq!(rules(rig, &files.group).await, before);
    // No secret is in anything that was written.
    let journals = recovery::journals_in(&files.folder.path().join("reports")).unwrap();
    for file in fs::read_dir(journals[0].parent().unwrap()).unwrap() {
        let text = fs::read(file.unwrap().path()).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&text).contains("hidden-secret"));
    }
}
