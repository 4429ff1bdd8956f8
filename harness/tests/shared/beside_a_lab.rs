//! One drill that breaks a lab in the harness's own process and other systems at the same time, by a harness in a process of its own, which
//! can be killed in the middle of it.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use blackstart::{
    exit_code::ExitCode,
    journal::{self, Record},
    recovery,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::time::{Instant, sleep};

/// No condition takes longer on however busy a machine.
const LIMIT: Duration = Duration::from_secs(90);
/// How often a drill is begun whose prober was late: that is a measurement of this machine.
const ATTEMPTS: u32 = 3;

/// The environment of the documentation. What other systems add to it stands where a word is in capitals.
const ENVIRONMENT: &str = "\
environment: beside-a-lab
speed: 20
service: { url: http://www.shop.test/ }
tiers:
  - { tier: first, recognise: { header: { name: server, contains: first }, dns: first.shop.test } }
  - { tier: second, recognise: { header: { name: server, contains: second }, dns: second.shop.test } }
probes:
  - http: { name: read, every: 2s }
observers:
  - { observer: health-check, watches: check }
OBSERVERS
SYSTEMS
targets:
  first: { lab: { virtual-machine: first } }
  check: { lab: { health-check: first } }
TARGETS
limits:
LIMITS
stack:
  zones:
    - zone: shop.test
      records:
        - { name: www.shop.test, type: CNAME, ttl: 60s, failover: primary, health-check: first, value: first.shop.test }
        - { name: www.shop.test, type: CNAME, ttl: 60s, failover: secondary, value: second.shop.test }
  health-checks:
    first: { protocol: http, fqdn: first.shop.test, path: /, request-interval: 10s, failure-threshold: 2 }
  virtual-machines:
    first: { dns-name: first.shop.test, server: first/1.0, serves: { application: { context-path: /, database: first } } }
    second: { dns-name: second.shop.test, server: second/1.0, serves: { application: { context-path: /, database: second } } }
";

const DRILL: &str = "\
drill: beside-a-lab
about: A machine of the lab and what is in other systems are gone at the same time.
environment: beside-a-lab
steady-state: { for: 2s }
faults:
  - together:
      - stop: { target: first }
FAULTS
hold: HOLD
expect:
  outage: { within: 10m }
  failback: { to: first, within: 5m }
EXPECT
";

/// What other systems add to the drill and its environment, a line each.
#[derive(Debug, Default)]
pub(crate) struct Others<'a> {
    /// Beside the fault in the lab: `stop: { target: machine }`.
    pub(crate) faults: &'a [&'a str],
    /// `{ observer: power, watches: machine }`.
    pub(crate) observers: &'a [&'a str],
    /// What stands at the top of the file: `azure: { … }`.
    pub(crate) systems: &'a [&'a str],
    /// `machine: { azure: { … } }`.
    pub(crate) targets: &'a [&'a str],
    /// `azure: { … }`.
    pub(crate) limits: &'a [&'a str],
    /// What is expected besides: `detected: { … }`.
    pub(crate) expect: &'a [&'a str],
}

fn lines(indent: &str, lines: &[&str]) -> String {
    let lines: Vec<String> = lines.iter().map(|line| format!("{indent}{line}")).collect();
    lines.join("\n")
}

/// The files of the drill, and where its reports go.
pub(crate) struct Files {
    folder: tempfile::TempDir,
    variables: Vec<(String, Option<String>)>,
}

impl Files {
    pub(crate) fn new(others: &Others<'_>, hold: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let environments = folder.path().join("environments");
        fs::create_dir(&environments).unwrap();
        let environment = ENVIRONMENT
            .replace("OBSERVERS", &lines("  - ", others.observers))
            .replace("SYSTEMS", &lines("", others.systems))
            .replace("TARGETS", &lines("  ", others.targets))
            .replace("LIMITS", &lines("  ", others.limits));
        let drill = DRILL
            .replace("FAULTS", &lines("      - ", others.faults))
            .replace("HOLD", hold)
            .replace("EXPECT", &lines("  ", others.expect));
        fs::write(environments.join("beside-a-lab.yaml"), environment).unwrap();
        fs::write(folder.path().join("beside-a-lab.yaml"), drill).unwrap();
        Self {
            folder,
            variables: Vec::new(),
        }
    }

    /// With a variable set for the harness, or taken from it.
    pub(crate) fn with(mut self, name: &str, value: Option<&str>) -> Self {
        self.variables
            .push((name.to_owned(), value.map(str::to_owned)));
        self
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_blackstart"));
        command
            .args(arguments)
            .arg("--reports")
            .arg(self.reports())
            .current_dir(self.folder.path())
            .env("BLACKSTART_STATE", self.folder.path())
            .stdin(Stdio::null());
        for (name, value) in &self.variables {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }

    pub(crate) fn reports(&self) -> PathBuf {
        self.folder.path().join("reports")
    }

    /// Runs the program to its end; whatever stands in for the other systems answers meanwhile.
    pub(crate) async fn done(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        tokio::task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap()
    }

    /// Runs the drill, which must pass; again where the prober was late.
    pub(crate) async fn passes(&self) {
        let mut text = String::new();
        for _ in 0..ATTEMPTS {
            let output = self.done(&["run", "-q", "beside-a-lab.yaml"]).await;
            text = said(&output);
            if output.status.success() {
                return;
            }
            assert!(self.prober_was_late(), "{text}");
            fs::remove_dir_all(self.reports()).unwrap();
        }
        panic!("the prober was late {ATTEMPTS} times:\n{text}");
    }

    fn prober_was_late(&self) -> bool {
        let report = self.reports().join("latest/report.json");
        let report = fs::read_to_string(report).unwrap_or_default();
        report.contains("\"prober-late\"")
    }

    /// Starts the drill and waits until it has broken what is looked at; again where the prober was too late for it to begin.
    pub(crate) async fn broken(&self, mut is_broken: impl AsyncFnMut() -> bool) -> Harness<'_> {
        let said = self.folder.path().join("said");
        for _ in 0..ATTEMPTS {
            let file = File::create(&said).unwrap();
            let mut process = self
                .command(&["run", "-q", "beside-a-lab.yaml"])
                .stdout(file.try_clone().unwrap())
                .stderr(file)
                .spawn()
                .unwrap();
            let deadline = Instant::now() + LIMIT;
            let ended = loop {
                if is_broken().await {
                    return Harness {
                        files: self,
                        process,
                    };
                }
                if let Some(status) = process.try_wait().unwrap() {
                    break status;
                }
                assert!(
                    Instant::now() < deadline,
                    "it neither broke what it was to break nor ended:\n{}",
                    fs::read_to_string(&said).unwrap()
                );
                sleep(Duration::from_millis(20)).await;
            };
            assert_eq!(
                ended.code(),
                Some(i32::from(ExitCode::CouldNotRun.code())),
                "{}",
                fs::read_to_string(&said).unwrap()
            );
            fs::remove_dir_all(self.reports()).unwrap();
        }
        panic!(
            "it could not be carried out {ATTEMPTS} times:\n{}",
            fs::read_to_string(&said).unwrap()
        );
    }

    /// What the run wrote down of what it broke.
    pub(crate) fn journal(&self) -> journal::Journal {
        let journals = recovery::journals_in(&self.reports()).unwrap();
        journal::read(Path::new(&journals[0])).unwrap()
    }

    /// After a run whose harness and guard were killed: a next drill does not begin, and `revert` restores a target.
    pub(crate) async fn is_reverted(&self, target: &str) {
        let next = self.done(&["run", "-q", "beside-a-lab.yaml"]).await;
        assert!(said(&next).contains("blackstart revert"), "{}", said(&next));
        let reverted = self.done(&["revert"]).await;
        let words = said(&reverted);
        let restored = format!("restored `{target}`");
        assert!(
            reverted.status.success() && words.contains(&restored),
            "{words}"
        );
        assert!(self.journal().is_clean());
    }

    /// Nothing that a run leaves has a secret in it.
    pub(crate) fn have_no(&self, secret: &str) {
        let mut folders = vec![self.reports()];
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
                assert!(!text.contains(secret), "{}", path.display());
            }
        }
        assert!(files > 2);
    }
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// A harness that has broken something.
pub(crate) struct Harness<'f> {
    files: &'f Files,
    process: Child,
}

impl Harness<'_> {
    /// Kills it, and leaves the guard.
    pub(crate) fn kill(mut self) {
        end(self.process.id());
        self.process.wait().unwrap();
    }

    /// Kills the guard first, so that nobody is there to restore anything.
    pub(crate) fn kill_with_its_guard(self) {
        let journal = self.files.journal();
        let guard = journal.records.iter().find_map(|record| {
            let Record::Guarded { process } = record else {
                return None;
            };
            Some(*process)
        });
        end(guard.unwrap());
        self.kill();
    }
}

fn end(process: u32) {
    kill(Pid::from_raw(process.cast_signed()), Signal::SIGKILL).unwrap();
}

pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !holds().await {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        sleep(Duration::from_millis(50)).await;
    }
}
