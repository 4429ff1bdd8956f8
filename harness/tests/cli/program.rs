//! The real program in a folder of its own, with drills that take a few seconds.

use std::{
    ffi::OsStr,
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::Duration,
};

use blackstart::timeline::{Entry, file::Reader};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;
use tokio::time::Instant;

/// Far longer than anything here takes.
const LONG: Duration = Duration::from_mins(1);

/// The root of the repository, where drills are as the program looks for them.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The program, in a folder, with an environment that says nothing about how to look.
pub(crate) fn blackstart(
    folder: &Path,
    arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_blackstart"));
    command
        .args(arguments)
        .current_dir(folder)
        // Whatever whoever runs the tests left broken is none of their business.
        .env("BLACKSTART_STATE", folder.join(".state"))
        .stdin(Stdio::null());
    for variable in [
        "NO_COLOR",
        "CLICOLOR",
        "CLICOLOR_FORCE",
        "FORCE_COLOR",
        "COLUMNS",
        "CI",
        "TERM",
    ] {
        command.env_remove(variable);
    }
    command
}

/// Runs the program in the repository to its end.
pub(crate) fn output(arguments: &[&str]) -> Output {
    blackstart(&repository(), arguments).output().unwrap()
}

pub(crate) fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

pub(crate) fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// A folder with three drills, of which one ends by itself within seconds, one holds until it is stopped, and one cannot begin.
#[derive(Debug)]
pub(crate) struct Workplace(TempDir);

impl Workplace {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let environments = folder.path().join("drills/environments");
        fs::create_dir_all(&environments).unwrap();
        let original =
            repository().join("fixtures/library-user/drills/environments/two-machines.yaml");
        let text = fs::read_to_string(original).unwrap();
        // Short periods make a short steady state; five failures make a check that sees nothing of a blip, on however slow a machine.
        let sound = exchanged(&text, "ttl: 60s", "ttl: 5s");
        let sound = exchanged(&sound, "failure-threshold: 2", "failure-threshold: 5");
        // No answer is late, on however slow a machine.
        let sound = exchanged(
            &sound,
            "name: read, every: 2s",
            "name: read, every: 2s, good-within: 2m, timeout: 2m",
        );
        let sound = exchanged(
            &sound,
            "standby: second, every: 2s",
            "standby: second, every: 2s, good-within: 2m, timeout: 2m",
        );
        let sick = exchanged(&sound, "environment: two-machines", "environment: sick");
        let sick = exchanged(
            &sick,
            "{ context-path: /, database: second }",
            "{ context-path: /elsewhere/, database: second }",
        );
        fs::write(environments.join("two-machines.yaml"), sound).unwrap();
        fs::write(environments.join("sick.yaml"), sick).unwrap();
        for (name, environment, hold) in [
            ("quick", "two-machines", "10s"),
            ("endless", "two-machines", "10h"),
            ("sick", "sick", "10s"),
        ] {
            let drill = format!(
                "drill: {name}\n\
                 about: The machine answers 503 for a while, and nobody is sent anywhere else.\n\
                 environment: {environment}\n\
                 tags: [{name}]\n\
                 faults:\n  - respond: {{ target: first, status: 503 }}\n\
                 hold: {hold}\n\
                 inconclusive: warn\n\
                 expect:\n  no-failover: true\n  never: [second]\n  failback: {{ to: first, within: 2m }}\n"
            );
            fs::write(
                folder
                    .path()
                    .join("drills")
                    .join(name)
                    .with_extension("yaml"),
                drill,
            )
            .unwrap();
        }
        Self(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// `run` of one of the drills, with more arguments.
    pub(crate) fn run(&self, drill: &str, more: &[&str]) -> Command {
        let file = format!("drills/{drill}.yaml");
        let arguments = ["run", &file];
        blackstart(self.path(), arguments.iter().chain(more))
    }

    /// Runs a drill to its end, and anew while the machine was too busy to measure anything, as the program says itself.
    pub(crate) fn measured(&self, command: &mut Command) -> Output {
        for _ in 0..4 {
            let output = command.output().unwrap();
            if !stdout(&output).contains("the measurement is void") {
                return output;
            }
            drop(fs::remove_dir_all(self.path().join("reports")));
        }
        command.output().unwrap()
    }

    /// The folder of the only run so far.
    pub(crate) fn only_run(&self) -> PathBuf {
        self.runs().remove(0)
    }

    fn runs(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(self.path().join("reports")) else {
            return Vec::new();
        };
        let paths = entries.map(|entry| entry.unwrap().path());
        paths
            .filter(|path| path.is_dir() && !path.is_symlink())
            .collect()
    }

    /// Starts the drill that never ends and waits until its fault is in place and it holds.
    pub(crate) fn start_endless(&self) -> Running {
        let child = self
            .run("endless", &[])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let running = Running(child);
        wait_until("the drill holds", || {
            let events = self
                .runs()
                .first()
                .and_then(|run| fs::read_to_string(run.join("events.ndjson")).ok());
            events.is_some_and(|events| events.contains(r#""phase":"hold""#))
        });
        running
    }
}

fn exchanged(text: &str, old: &str, new: &str) -> String {
    assert!(text.contains(old), "the environment has no `{old}`");
    text.replace(old, new)
}

/// A program that runs. Killed if the test ends before it does.
#[derive(Debug)]
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Running {
    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.0.id()).unwrap()), signal).unwrap();
    }

    /// Waits for the end. Yields how it ended and what it said on stdout and stderr; it says little enough for a pipe to hold.
    pub(crate) fn end(mut self) -> (ExitStatus, String, String) {
        let mut status = None;
        wait_until("the program ends", || {
            status = self.0.try_wait().unwrap();
            status.is_some()
        });
        let (mut stdout, mut stderr) = (String::new(), String::new());
        if let Some(mut pipe) = self.0.stdout.take() {
            pipe.read_to_string(&mut stdout).unwrap();
        }
        if let Some(mut pipe) = self.0.stderr.take() {
            pipe.read_to_string(&mut stderr).unwrap();
        }
        (status.unwrap(), stdout, stderr)
    }
}

/// Asks again and again.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        #[expect(
            clippy::disallowed_methods,
            reason = "there is no runtime here, and this only paces the asking"
        )]
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The timeline of a run.
pub(crate) fn entries(run: &Path) -> Vec<Entry> {
    Reader::open(run.join("events.ndjson"))
        .unwrap()
        .map(Result::unwrap)
        .collect()
}
