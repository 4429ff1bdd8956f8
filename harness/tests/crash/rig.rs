//! A lab in a process of its own, and harnesses that are run against it and killed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::Duration,
};

use blackstart::{
    journal::{self, Journal, Record},
    provider::lab::{LabProvider, TokenFile},
    timeline::{Entry, file::Reader},
};
use blackstart_lab::control::{Resource, ResourceKind, Settings};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// No condition takes longer on however busy a machine.
const LIMIT: Duration = Duration::from_secs(90);

/// Three faults in two steps, of which the last two are of one setting of one machine.
pub(crate) const DRILL: &str = "\
drill: crash
about: A machine is stopped, its check is turned round, and then it is frozen.
environment: two-machines
steady-state: { for: 40s }
faults:
  - together:
      - stop: { target: first }
      - invert-health-check: { target: check }
  - pause: { target: first }
    after: 30s
hold: 60s
expect:
  outage: { within: 10m }
";

/// A lab, a drill and a folder for reports.
pub(crate) struct Rig {
    folder: TempDir,
    lab: Child,
    token: TokenFile,
    control: LabProvider,
}

impl Rig {
    /// Starts a lab and waits until it is up.
    pub(crate) async fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap()).await
    }

    pub(crate) async fn start_in(folder: TempDir) -> Self {
        fs::write(folder.path().join("crash.yaml"), DRILL).unwrap();
        let token_file = folder.path().join("lab.json");
        let mut lab = program(folder.path());
        lab.args(["lab", "up", &environment(), "--speed", "60", "--token-file"])
            .arg(&token_file)
            .stdout(Stdio::null());
        let lab = lab.spawn().unwrap();
        until("the lab is up", || token_file.exists()).await;
        let token = TokenFile::read(&token_file).unwrap();
        let control = LabProvider::new(token.address, &token.token).unwrap();
        Self {
            folder,
            lab,
            token,
            control,
        }
    }

    pub(crate) fn reports(&self) -> PathBuf {
        self.folder.path().join("reports")
    }

    /// What can be changed about everything that the drill touches.
    pub(crate) async fn settings(&self) -> Vec<Settings> {
        let mut settings = Vec::new();
        for (kind, name) in [
            (ResourceKind::VirtualMachine, "first"),
            (ResourceKind::VirtualMachine, "second"),
            (ResourceKind::HealthCheck, "first"),
        ] {
            let resource = Resource::new(kind, name);
            settings.push(self.control.state(&resource).await.unwrap().settings);
        }
        settings
    }

    /// Somebody else changes a machine.
    pub(crate) async fn change_first(&self, settings: &Settings) {
        let first = Resource::new(ResourceKind::VirtualMachine, "first");
        self.control.apply(&first, settings).await.unwrap();
    }

    /// The command line of a run of the drill in the lab.
    pub(crate) fn command(&self) -> Command {
        self.command_in(&self.reports())
    }

    /// The same with reports elsewhere.
    pub(crate) fn command_in(&self, reports: &Path) -> Command {
        let mut command = program(self.folder.path());
        command
            .args([
                "run",
                "-q",
                "--env",
                &environment(),
                "--format",
                "json",
                "--lab",
            ])
            .arg(self.folder.path().join("lab.json"))
            .arg("--reports")
            .arg(reports)
            .arg(self.folder.path().join("crash.yaml"));
        command
    }

    /// Begins a run of the drill, once the lab is well after the one before.
    pub(crate) async fn run(&self) -> Harness {
        let check = Resource::new(ResourceKind::HealthCheck, "first");
        let deadline = Instant::now() + LIMIT;
        while self.control.state(&check).await.unwrap().healthy != Some(true) {
            assert!(Instant::now() < deadline, "the lab does not get well");
            sleep(Duration::from_millis(20)).await;
        }
        self.spawn(self.command())
    }

    pub(crate) fn spawn(&self, mut command: Command) -> Harness {
        let stderr = tempfile::tempfile().unwrap();
        let child = command
            .stdout(Stdio::null())
            .stderr(stderr.try_clone().unwrap())
            .spawn()
            .unwrap();
        Harness {
            reports: self.reports(),
            before: runs(&self.reports()),
            child,
            stderr,
            run: None,
        }
    }

    /// Reverts what is left, and waits until that is done.
    pub(crate) fn revert(&self, arguments: &[&str]) -> Output {
        self.about_reports("revert", arguments)
    }

    /// A command that looks at the folder of reports.
    pub(crate) fn about_reports(&self, command: &str, arguments: &[&str]) -> Output {
        let mut program = program(self.folder.path());
        program.arg(command).args(arguments).arg("--reports");
        program.arg(self.reports()).output().unwrap()
    }

    /// The file that the lab is reached by.
    pub(crate) fn token_file(&self) -> PathBuf {
        self.folder.path().join("lab.json")
    }

    /// Puts the file back that the lab is reached by.
    pub(crate) fn write_token_file(&self) {
        self.token.write(&self.token_file()).unwrap();
    }

    /// Ends the lab as a power cut does.
    pub(crate) fn kill_lab(&mut self) {
        self.lab.kill().unwrap();
        self.lab.wait().unwrap();
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        drop(self.lab.kill());
        drop(self.lab.wait());
    }
}

/// A run that goes on.
pub(crate) struct Harness {
    reports: PathBuf,
    before: Vec<PathBuf>,
    pub(crate) child: Child,
    stderr: fs::File,
    run: Option<PathBuf>,
}

impl Harness {
    /// The folder of the run, once it is there.
    pub(crate) async fn folder(&mut self) -> PathBuf {
        if let Some(run) = &self.run {
            return run.clone();
        }
        let (reports, before) = (self.reports.clone(), self.before.clone());
        let new = || runs(&reports).into_iter().find(|run| !before.contains(run));
        until("the run has a folder", || new().is_some()).await;
        let run = new().unwrap();
        self.run = Some(run.clone());
        run
    }

    /// Waits until the events of the run have a text in them.
    pub(crate) async fn reaches(&mut self, text: &str) {
        let events = self.folder().await.join("events.ndjson");
        let deadline = Instant::now() + LIMIT;
        while !fs::read_to_string(&events).is_ok_and(|events| events.contains(text)) {
            let ended = self.child.try_wait().unwrap();
            let is_in_time = Instant::now() < deadline && ended.is_none();
            assert!(is_in_time, "not {text}, {ended:?}: {}", self.stderr());
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Kills it and its guard, so that nobody is there to restore.
    pub(crate) async fn killed_with_its_guard(&mut self) {
        let guard = guard_of(&self.journal().await).unwrap();
        // The guard first, which the harness cannot tell from a guard that is killed at the same time.
        self.signal(Signal::SIGSTOP);
        kill(Pid::from_raw(guard), Signal::SIGKILL).unwrap();
        self.signal(Signal::SIGKILL);
        self.ended().await;
        until("the guard is dead", || !is_running(guard)).await;
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    /// Waits until the harness has ended.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the harness does not end");
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until its guard, if it had one, has gone too.
    pub(crate) async fn guard_ended(&mut self) {
        let journal = self.folder().await.join(journal::FILE_NAME);
        if !journal.exists() {
            return;
        }
        let Some(guard) = guard_of(&read(&journal)) else {
            return;
        };
        until("the guard has gone", || !is_running(guard)).await;
    }

    pub(crate) async fn journal(&mut self) -> Journal {
        read(&self.folder().await.join(journal::FILE_NAME))
    }

    pub(crate) async fn events(&mut self) -> Vec<Entry> {
        let events = self.folder().await.join("events.ndjson");
        Reader::open(events).unwrap().map(Result::unwrap).collect()
    }

    /// What it has said.
    pub(crate) fn stderr(&self) -> String {
        use std::os::unix::fs::FileExt;
        let length = usize::try_from(self.stderr.metadata().unwrap().len()).unwrap();
        let mut bytes = vec![0; length];
        self.stderr.read_exact_at(&mut bytes, 0).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Harness {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn read(path: &Path) -> Journal {
    journal::read(path).unwrap()
}

/// The number of the guard's process.
pub(crate) fn guard_of(journal: &Journal) -> Option<i32> {
    journal.records.iter().find_map(|record| {
        let Record::Guarded { process } = record else {
            return None;
        };
        i32::try_from(*process).ok()
    })
}

/// Whether a process runs, and is not only waiting to be collected.
pub(crate) fn is_running(process: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(')')
        .is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

/// Waits for something that takes as long as it takes.
pub(crate) async fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

fn runs(reports: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(reports) else {
        return Vec::new();
    };
    let folders = entries.map_while(Result::ok).filter(|entry| {
        entry.file_type().is_ok_and(|kind| kind.is_dir())
            && !entry.file_name().to_string_lossy().starts_with('.')
    });
    folders.map(|entry| entry.path()).collect()
}

fn program(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_blackstart"));
    command.env("BLACKSTART_STATE", folder.join("state"));
    command.env_remove("BLACKSTART_LAB");
    command
}

fn environment() -> String {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures");
    format!("{fixtures}/library-user/drills/environments/two-machines.yaml")
}
