//! Targets with `command:`: programs beside the harness in the place of a binding, together with a lab in the harness's own process.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::Duration,
};

use blackstart::{
    journal::{self, Record},
    recovery,
};
use blackstart_lab as _;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;
use tokio::time::Instant;

/// No condition takes longer on however busy a machine.
const LIMIT: Duration = Duration::from_secs(90);

const DRILL: &str = "\
drill: programs
about: Something that nobody has a binding for is stopped, and users see nothing of it.
environment: programs
steady-state: { for: 2s }
faults: [ FAULT ]
hold: HOLD
expect:
  outage: { within: 0s }
";

const ENVIRONMENT: &str = "\
environment: programs
speed: 20
service: { url: http://www.shop.test/ }
tiers:
  - { tier: first, recognise: { header: { name: server, contains: first } } }
  - { tier: second, recognise: { header: { name: server, contains: second } } }
probes: [ { http: { name: read, every: 2s } } ]
observers: [ { observer: flag, watches: flag, every: 10s } ]
targets:
  flag:
    command:
      stop:
        inject: [sh, -c, INJECT]
        revert: [rm, -f, FLAG]
        verify: [test, -e, FLAG]
        environment: [SECRET_TOKEN]
      health: { run: [test, '!', -e, FLAG] }
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

/// A drill with its environment, and the file that its programs make and remove.
struct Rig {
    folder: TempDir,
}

impl Rig {
    fn new(hold: &str, inject: &str) -> Self {
        Self::of("stop: { target: flag }", hold, inject)
    }

    fn of(fault: &str, hold: &str, inject: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let rig = Self { folder };
        let flag = rig.flag().display().to_string();
        let environment = ENVIRONMENT.replace("INJECT", inject).replace("FLAG", &flag);
        let environments = rig.folder.path().join("environments");
        fs::create_dir(&environments).unwrap();
        fs::write(environments.join("programs.yaml"), environment).unwrap();
        let drill = DRILL
            .replace("FAULT", &fault.replace("FLAG", &flag))
            .replace("HOLD", hold);
        fs::write(rig.folder.path().join("programs.yaml"), drill).unwrap();
        rig
    }

    fn flag(&self) -> PathBuf {
        self.folder.path().join("flag")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_blackstart"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("BLACKSTART_STATE", self.folder.path())
            .env("SECRET_TOKEN", "sesame-open")
            .stdin(Stdio::null());
        command
    }

    fn run(&self) -> Output {
        let arguments = ["run", "-q", "--reports", "reports", "programs.yaml"];
        self.command(&arguments).output().unwrap()
    }

    /// A run in which the flag is there.
    fn broken(&self) -> Child {
        let arguments = ["run", "-q", "--reports", "reports", "programs.yaml"];
        let mut command = self.command(&arguments);
        let harness = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        until("the flag is there", || self.flag().exists());
        harness.unwrap()
    }

    fn journal(&self) -> journal::Journal {
        let journals = recovery::journals_in(&self.folder.path().join("reports")).unwrap();
        journal::read(Path::new(&journals[0])).unwrap()
    }
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        thread::park_timeout(Duration::from_millis(20));
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn end(process: u32) {
    let process = Pid::from_raw(i32::try_from(process).unwrap());
    kill(process, Signal::SIGKILL).unwrap();
}

/// What makes the flag only for somebody who has the variable.
const MAKES: &str = "'test -n \"$SECRET_TOKEN\" && touch FLAG'";

#[test]
fn a_drill_breaks_and_restores_by_programs_what_nobody_has_a_binding_for() {
    let rig = Rig::new("20s", MAKES);
    let output = rig.run();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(!rig.flag().exists());
    let journal = rig.journal();
    assert!(journal.is_clean());
    let restored = &journal.captured()[0];
    assert!(
        restored.undo.words.starts_with("run `rm -f "),
        "{restored:?}"
    );
    let written = fs::read_dir(rig.folder.path().join("reports/latest")).unwrap();
    for file in written.map(|file| file.unwrap().path()) {
        let bytes = fs::read(&file).unwrap_or_default();
        let is_there = bytes.windows(11).any(|window| window == b"sesame-open");
        assert!(!is_there, "the variable's value is in {}", file.display());
    }
}

#[test]
fn a_drill_brings_programs_of_its_own_for_such_a_target() {
    let fault = "command: { target: flag, inject: [touch, FLAG], revert: [rm, FLAG], verify: [test, -e, FLAG] }";
    let rig = Rig::of(fault, "20s", "'false'");
    let output = rig.run();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(!rig.flag().exists());
}

#[test]
fn revert_runs_the_programs_when_harness_and_guard_are_killed() {
    let rig = Rig::new("10m", MAKES);
    let mut harness = rig.broken();
    let records = rig.journal().records;
    let guard = records.iter().find_map(|record| {
        let Record::Guarded { process } = record else {
            return None;
        };
        Some(*process)
    });
    end(guard.unwrap());
    end(harness.id());
    harness.wait().unwrap();
    assert!(rig.flag().exists());
    let reverted = rig
        .command(&["revert", "--reports", "reports"])
        .output()
        .unwrap();
    assert!(reverted.status.success(), "{}", text(&reverted));
    assert!(text(&reverted).contains("restored `flag`"));
    assert!(!rig.flag().exists());
}

#[test]
fn the_guard_runs_the_programs_when_the_harness_is_killed() {
    let rig = Rig::new("10m", MAKES);
    let mut harness = rig.broken();
    end(harness.id());
    harness.wait().unwrap();
    until("the guard has removed it", || !rig.flag().exists());
    until("that is written down", || rig.journal().is_clean());
}

#[test]
fn a_program_that_fails_is_told_with_what_it_printed_and_what_it_did_is_undone() {
    let rig = Rig::new(
        "20s",
        "'touch FLAG; printf \"no\\033[2J such thing\"; exit 7'",
    );
    let output = rig.run();
    let text = text(&output);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(
        text.contains("ended with 7") && text.contains("such thing"),
        "{text}"
    );
    assert!(!text.contains('\u{1b}'), "{text}");
    assert!(!rig.flag().exists());
}

#[test]
fn plan_names_the_programs_and_variables_that_are_missing() {
    let rig = Rig::new("20s", "'true'");
    let file = rig.folder.path().join("environments/programs.yaml");
    let environment = fs::read_to_string(&file).unwrap();
    fs::write(
        &file,
        environment.replace("revert: [rm,", "revert: [no-such-program,"),
    )
    .unwrap();
    let mut plan = rig.command(&["plan", "programs.yaml"]);
    let output = plan.env_remove("SECRET_TOKEN").output().unwrap();
    let text = text(&output);
    assert!(output.status.success(), "{text}");
    assert!(
        text.contains("MISSING: the program `no-such-program` is not in PATH")
            && text.contains("MISSING: the variable `SECRET_TOKEN` is not set"),
        "{text}"
    );
}
