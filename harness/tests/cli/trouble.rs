//! Runs that somebody stops, or that lose those who read them or the disk they are written on.

use std::{
    fs,
    process::{Command, Stdio},
};

use blackstart::timeline::{Event, FaultStep, Outcome};
use nix::sys::signal::Signal;

use crate::program::{Running, Workplace, entries};

/// What a stopped run has to show.
fn assert_stopped(workplace: &Workplace, running: Running, name: &str, expected: i32) {
    let (status, report, live) = running.end();
    assert_eq!(status.code(), Some(expected), "{report}{live}");
    assert!(
        report.contains(&format!("the run was interrupted by {name}")),
        "{report}"
    );
    assert!(
        report.contains("restored   1 of 1 fault reverted and verified (first)"),
        "{report}"
    );
    assert!(live.contains(&format!("{name}: stopping")), "{live}");
    let run = workplace.only_run();
    let undone = fs::read_to_string(run.join("undo.ndjson")).unwrap();
    assert!(
        undone.lines().last().unwrap().contains("restored"),
        "{undone}"
    );
    let entries = entries(&run);
    assert!(entries.iter().any(|entry| matches!(
        entry.event,
        Event::Fault {
            step: FaultStep::Restored,
            ..
        }
    )));
    let last = &entries.last().unwrap().event;
    assert!(
        matches!(last, Event::Ended { outcome: Outcome::Interrupted { signal }, .. } if signal == name),
        "{last:?}"
    );
    assert!(run.join("report.json").exists());
}

#[test]
fn sigint_reverts_every_fault_and_ends_with_130() {
    let workplace = Workplace::new();
    let running = workplace.start_endless();
    running.signal(Signal::SIGINT);
    assert_stopped(&workplace, running, "SIGINT", 130);
}

#[test]
fn sigterm_reverts_every_fault_and_ends_with_143() {
    let workplace = Workplace::new();
    let running = workplace.start_endless();
    running.signal(Signal::SIGTERM);
    assert_stopped(&workplace, running, "SIGTERM", 143);
}

#[test]
fn an_impatient_second_signal_does_not_stop_the_revert() {
    let workplace = Workplace::new();
    let running = workplace.start_endless();
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        running.signal(signal);
    }
    // Signals that come at the same time may be seen in any order.
    let (status, report, live) = running.end();
    assert!(
        matches!(status.code(), Some(130 | 143)),
        "{status:?} {report}{live}"
    );
    assert!(
        report.contains("restored   1 of 1 fault reverted and verified (first)"),
        "{report}"
    );
}

#[test]
fn readers_that_go_away_change_nothing_about_the_run() {
    for gone in ["stdout", "stderr", "both"] {
        let workplace = Workplace::new();
        let mut command = workplace.run("quick", &[]);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        if gone != "stderr" {
            drop(child.stdout.take());
        }
        if gone != "stdout" {
            drop(child.stderr.take());
        }
        let (status, _, live) = Running(child).end();
        assert_eq!(status.code(), Some(0), "{gone}: {live}");
        assert!(!live.contains("panicked"), "{gone}: {live}");
        assert!(workplace.only_run().join("report.json").exists(), "{gone}");
    }
}

#[test]
fn a_disk_that_is_full_ends_the_drill_and_not_the_revert() {
    let workplace = Workplace::new();
    let arguments = ["run", "drills/endless.yaml"];
    let mut command = Command::new("sh");
    // Some hundred samples fit.
    command.args([
        "-c",
        "trap '' XFSZ; ulimit -f 256; exec \"$0\" \"$@\"",
        env!("CARGO_BIN_EXE_blackstart"),
    ]);
    let child = command
        .args(arguments)
        .current_dir(workplace.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (status, report, live) = Running(child).end();
    // The fault is reverted, and the record of that has no place; the process that did it knows.
    assert_eq!(status.code(), Some(3), "{report}{live}");
    assert!(report.contains("events.ndjson"), "{report}");
    let undone = fs::read_to_string(workplace.only_run().join("undo.ndjson")).unwrap();
    assert!(
        undone.lines().last().unwrap().contains("restored"),
        "{undone}"
    );
}
