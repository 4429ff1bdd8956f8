//! `doctor`: whether this machine can run drills, and what to do where it cannot.

mod surroundings;

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use nix::sys::resource::{Resource, getrlimit};
use tokio::time::Instant;

use super::{
    attached,
    containers::{self, Looked},
    print, variable,
};
use crate::{
    exit_code::ExitCode,
    provider::{self, Need, docker},
    recovery::lock,
};

/// Four labs with all their listeners and connections need fewer than this.
const FILES_WANTED: u64 = 1024;
/// A timer of this length shows how late a prober would be here.
const TICK: Duration = Duration::from_millis(10);
const TICKS: u32 = 50;
/// A prober that is this late makes every bound wider than it need be.
const LATE: Duration = Duration::from_millis(20);

/// What was looked at.
struct Finding {
    what: &'static str,
    state: State,
    words: String,
}

enum State {
    Good,
    /// Drills run, and worse than they could; what to do.
    Poor(String),
    /// Drills cannot run, or must not; what to do.
    Bad(String),
}

/// Looks at the machine and at what runs in `reports` left.
pub(super) fn doctor(reports: &Path) -> ExitCode {
    let left = attached::left_broken(reports);
    let mut findings = vec![
        leftovers(&left),
        folder(
            "reports",
            reports,
            "give `--reports` a folder that can be written",
        ),
        folder(
            "locks",
            &lock::folder(variable, reports),
            "set BLACKSTART_STATE to a folder that can be written",
        ),
        open_files(),
        addresses(),
        engine(),
        punctuality(),
    ];
    findings.extend(surroundings::findings());
    findings.extend(
        provider::systems_here()
            .into_iter()
            .map(|need| system(&need)),
    );
    for Finding { what, state, words } in &findings {
        let (mark, advice) = match state {
            State::Good => ("ok", None),
            State::Poor(advice) => ("POOR", Some(advice)),
            State::Bad(advice) => ("BAD", Some(advice)),
        };
        print(&format!("{mark:<5} {what:<10} {words}\n"));
        if let Some(advice) = advice {
            print(&format!("{:<16} do: {advice}\n", ""));
        }
    }
    let is_bad = |finding: &Finding| matches!(finding.state, State::Bad(_));
    if !left.is_empty() {
        ExitCode::NotRestored
    } else if findings.iter().any(is_bad) {
        ExitCode::CouldNotRun
    } else {
        ExitCode::Passed
    }
}

fn leftovers(left: &[PathBuf]) -> Finding {
    let folders: Vec<String> = left
        .iter()
        .map(|run| format!("`{}`", run.display()))
        .collect();
    let (state, words) = if folders.is_empty() {
        (State::Good, "no run has left anything broken".to_owned())
    } else {
        let words = format!("left broken by {}", folders.join(", "));
        (State::Bad("blackstart revert".to_owned()), words)
    };
    Finding {
        what: "leftovers",
        state,
        words,
    }
}

fn folder(what: &'static str, folder: &Path, advice: &str) -> Finding {
    let written = std::fs::create_dir_all(folder).and_then(|()| tempfile_in(folder));
    let (state, words) = match written {
        Ok(()) => (
            State::Good,
            format!("`{}` can be written", folder.display()),
        ),
        Err(error) => (
            State::Bad(advice.to_owned()),
            format!("`{}` cannot be written: {error}", folder.display()),
        ),
    };
    Finding { what, state, words }
}

/// Writes a file and takes it away again.
fn tempfile_in(folder: &Path) -> std::io::Result<()> {
    let path = folder.join(format!(".doctor-{}", std::process::id()));
    std::fs::write(&path, "a disk that is full takes no journal")?;
    std::fs::remove_file(path)
}

/// Only drills in containers need an engine, so that none is there is nothing bad.
fn engine() -> Finding {
    let (state, words) = match containers::look() {
        Err(error) => (State::Good, format!("no drills in containers: {error}")),
        Ok(Looked { engine, left, .. }) if !left.is_empty() => {
            let left: Vec<String> = left.iter().map(ToString::to_string).collect();
            let words = format!("{engine} has leftovers: {}", left.join(", "));
            (State::Poor("blackstart lab down".to_owned()), words)
        }
        Ok(Looked {
            engine,
            has_image: false,
            ..
        }) => (
            State::Poor("blackstart lab image, for drills of the lab in containers".to_owned()),
            format!("{engine} answers, and has no image `{}`", docker::IMAGE),
        ),
        Ok(Looked { engine, .. }) => (State::Good, format!("{engine} answers")),
    };
    Finding {
        what: "containers",
        state,
        words,
    }
}

/// Only drills there need a cloud, so that none is reached is nothing bad.
fn system(need: &Need) -> Finding {
    let words = if need.missing.is_empty() {
        format!("drills that name none are in {}", need.system)
    } else {
        format!("no drills there: {}", need.missing.join("; "))
    };
    Finding {
        what: need.binding.as_str(),
        state: State::Good,
        words,
    }
}

fn open_files() -> Finding {
    let (state, words) = match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((now, _)) if now >= FILES_WANTED => (State::Good, format!("{now} at once")),
        Ok((now, most)) => (
            State::Poor(format!("ulimit -n {}", FILES_WANTED.min(most))),
            format!("only {now} at once, so that several labs may run out of them"),
        ),
        Err(error) => (
            State::Poor("ulimit -n".to_owned()),
            format!("how many is not known: {error}"),
        ),
    };
    Finding {
        what: "open files",
        state,
        words,
    }
}

/// A lab listens on loopback addresses of its own.
fn addresses() -> Finding {
    let (state, words) = match TcpListener::bind("127.77.0.1:0") {
        Ok(_) => (
            State::Good,
            "the lab can have addresses of 127.0.0.0/8".to_owned(),
        ),
        Err(error) => (
            State::Bad("run on Linux, where all of 127.0.0.0/8 is this machine".to_owned()),
            format!("the lab can have no addresses of its own: {error}"),
        ),
    };
    Finding {
        what: "addresses",
        state,
        words,
    }
}

/// How late a prober would be.
fn punctuality() -> Finding {
    let began = Instant::now();
    let mut latest = Duration::ZERO;
    for tick in 1..=TICKS {
        let due = TICK * tick;
        thread::park_timeout(due.saturating_sub(began.elapsed()));
        latest = latest.max(began.elapsed().saturating_sub(due));
    }
    let words = format!(
        "a timer of {} ms was late by {:.1} ms at most",
        TICK.as_millis(),
        latest.as_secs_f64() * 1e3
    );
    let state = if latest <= LATE {
        State::Good
    } else {
        State::Poor("run less beside it, or drills at a lower `--speed` and `--jobs`".to_owned())
    };
    Finding {
        what: "timers",
        state,
        words,
    }
}
