//! One drill that breaks a lab in its own process and a machine of Azure, and harnesses that are killed in the middle of it.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use blackstart::{
    journal::{self, Record},
    recovery,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::time::{Instant, sleep};

use crate::stand_in::{GROUP, SUBSCRIPTION, StandIn};

/// No condition takes longer on however busy a machine.
const LIMIT: Duration = Duration::from_secs(90);
const TOKEN: &str = "not-to-be-written-down";
const TOKEN_VARIABLE: &str = "BLACKSTART_TEST_TOKEN";

const DRILL: &str = "\
drill: both-kinds
about: A machine of the lab and one of Azure are gone at the same time.
environment: both-kinds
steady-state: { for: 2s }
faults:
  - together:
      - stop: { target: machine }
      - block-ingress: { target: firewall }
      - disable: { target: page }
      - stop: { target: first }
hold: HOLD
expect:
  outage: { within: 10m }
  failback: { to: first, within: 5m }
";

/// The environment of the documentation, with targets of Azure beside those in the lab.
fn environment(endpoint: &str) -> String {
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
  - {{ observer: power, watches: machine, every: 10s }}
azure: {{ subscription: {SUBSCRIPTION}, resource-group: {GROUP}, endpoint: \"{endpoint}\", token-variable: {TOKEN_VARIABLE} }}
targets:
  first: {{ lab: {{ virtual-machine: first }} }}
  check: {{ lab: {{ health-check: first }} }}
  machine: {{ azure: {{ virtual-machine: vm }} }}
  firewall: {{ azure: {{ network-security-group: nsg }} }}
  page: {{ azure: {{ static-website: sorry }} }}
limits:
  azure: {{ subscriptions: [{SUBSCRIPTION}], resource-groups: [{GROUP}] }}
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
"
    )
}

/// The files of the drill, and where its reports go.
struct Files {
    folder: tempfile::TempDir,
    azure: StandIn,
}

impl Files {
    async fn new(hold: &str) -> Self {
        let azure = StandIn::start(TOKEN).await;
        let folder = tempfile::tempdir().unwrap();
        let environments = folder.path().join("environments");
        fs::create_dir(&environments).unwrap();
        fs::write(
            environments.join("both-kinds.yaml"),
            environment(&azure.server.uri()),
        )
        .unwrap();
        fs::write(
            folder.path().join("both-kinds.yaml"),
            DRILL.replace("HOLD", hold),
        )
        .unwrap();
        Self { folder, azure }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_blackstart"));
        command
            .args(arguments)
            .arg("--reports")
            .arg(self.folder.path().join("reports"))
            .current_dir(self.folder.path())
            .env("BLACKSTART_STATE", self.folder.path())
            .env(TOKEN_VARIABLE, TOKEN)
            .stdin(Stdio::null());
        command
    }

    /// Runs it to its end; the stand-in answers meanwhile.
    async fn done(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        tokio::task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap()
    }

    async fn broken(&self) -> Child {
        let mut command = self.command(&["run", "-q", "both-kinds.yaml"]);
        let harness = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        until("everything is broken", || self.is_broken()).await;
        harness.unwrap()
    }

    fn is_broken(&self) -> bool {
        let is_stopped = self.azure.power("vm") == "stopped";
        let state = self.azure.state();
        is_stopped && state.rules.len() == 3 && !state.website.0
    }

    fn is_restored(&self) -> bool {
        let is_running = self.azure.power("vm") == "running";
        let state = self.azure.state();
        let website = (true, Some("index.html".into()), Some("404.html".into()));
        is_running && state.rules.len() == 2 && state.website == website
    }

    fn journal(&self) -> journal::Journal {
        let journals = recovery::journals_in(&self.folder.path().join("reports")).unwrap();
        journal::read(Path::new(&journals[0])).unwrap()
    }

    /// Nothing that a run leaves has the token in it.
    fn has_no_token(&self) {
        let mut folders = vec![self.folder.path().join("reports")];
        let mut files = 0;
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                files += 1;
                let bytes = fs::read(&path).unwrap();
                let text = String::from_utf8_lossy(&bytes);
                assert!(!text.contains(TOKEN), "{}", path.display());
            }
        }
        assert!(files > 2);
    }
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        sleep(Duration::from_millis(50)).await;
    }
}

fn end(process: u32) {
    let process = Pid::from_raw(i32::try_from(process).unwrap());
    kill(process, Signal::SIGKILL).unwrap();
}

#[tokio::test]
async fn one_drill_breaks_and_restores_a_lab_and_resources_of_azure() {
    let files = Files::new("20s").await;
    let output = files.done(&["run", "-q", "both-kinds.yaml"]).await;
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(files.is_restored());
    let journal = files.journal();
    assert!(journal.is_clean(), "{journal:?}");
    assert_eq!(journal.captured().len(), 4);
    files.has_no_token();
}

#[tokio::test]
async fn azure_is_restored_by_the_guard_when_the_harness_is_killed() {
    let files = Files::new("10m").await;
    let mut harness = files.broken().await;
    end(harness.id());
    harness.wait().unwrap();
    until("the guard has restored it", || files.is_restored()).await;
    until("that is written down", || files.journal().is_clean()).await;
}

#[tokio::test]
async fn revert_restores_azure_when_harness_and_guard_are_killed() {
    let files = Files::new("10m").await;
    let mut harness = files.broken().await;
    let guard = files.journal().records.iter().find_map(|record| {
        let Record::Guarded { process } = record else {
            return None;
        };
        Some(*process)
    });
    end(guard.unwrap());
    end(harness.id());
    harness.wait().unwrap();
    assert!(files.is_broken());
    let next = files.done(&["run", "-q", "both-kinds.yaml"]).await;
    let words = String::from_utf8_lossy(&next.stderr).into_owned();
    assert!(words.contains("blackstart revert"), "{words}");
    let reverted = files.done(&["revert"]).await;
    let words = String::from_utf8_lossy(&reverted.stdout).into_owned();
    assert!(
        reverted.status.success() && words.contains("restored `machine`"),
        "{words}"
    );
    assert!(files.is_restored());
    assert!(files.journal().is_clean());
    files.has_no_token();
}

#[tokio::test]
async fn revert_restores_a_machine_that_is_still_on_its_way_down() {
    let files = Files::new("10m").await;
    // Azure takes its time: the harness is killed while it waits.
    files.azure.state().looks = 1_000_000;
    let mut command = files.command(&["run", "-q", "both-kinds.yaml"]);
    let harness = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut harness = harness.unwrap();
    until("the machine is on its way", || {
        files.azure.power("vm") == "stopping"
    })
    .await;
    let guard = files.journal().records.iter().find_map(|record| {
        let Record::Guarded { process } = record else {
            return None;
        };
        Some(*process)
    });
    end(guard.unwrap());
    end(harness.id());
    harness.wait().unwrap();
    files.azure.arrives();
    let reverted = files.done(&["revert"]).await;
    let words = String::from_utf8_lossy(&reverted.stdout).into_owned();
    assert!(reverted.status.success(), "{words}");
    assert!(files.is_restored());
    assert!(files.journal().is_clean());
}
