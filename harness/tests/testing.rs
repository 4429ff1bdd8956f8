//! Drills as `cargo test`, seen from outside: this program is also the test of a project that drills its own architecture.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[expect(dead_code, reason = "the tests of the command line need more of it")]
#[path = "cli/program.rs"]
mod program;

use std::{
    collections::BTreeSet,
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Output},
};

use libtest_mimic::{Arguments, Trial};
use program::{Workplace, repository, stderr, stdout};

/// The folder whose drills are to be tests. Set, this program is what a project has in its `tests/drills.rs`.
const FOLDER: &str = "BLACKSTART_TEST_FOLDER";

fn main() -> ExitCode {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return blackstart::testing::drills(folder);
    }
    let trial = |name: &str, test: fn()| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    };
    let trials = vec![
        trial(
            "every_drill_is_listed_as_a_test_and_nothing_else_is_printed",
            every_drill_is_listed,
        ),
        trial(
            "a_filter_runs_what_it_names_and_leaves_a_report",
            a_filter_runs_what_it_names,
        ),
        trial(
            "a_drill_that_does_not_pass_fails_with_its_report",
            a_drill_that_does_not_pass_fails,
        ),
        trial(
            "an_invalid_drill_fails_a_check_in_the_words_of_check",
            an_invalid_drill_fails_a_check,
        ),
        trial(
            "a_drill_with_a_pass_rate_is_run_as_often_as_that_needs",
            a_drill_with_a_pass_rate_is_run_often_enough,
        ),
        trial(
            "a_pass_rate_that_is_out_of_reach_fails_without_another_run",
            a_pass_rate_out_of_reach_fails,
        ),
        trial("nobody_is_told_of_tests", nobody_is_told_of_tests),
        trial(
            "a_folder_without_drills_fails",
            a_folder_without_drills_fails,
        ),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// Runs this program as the test of a project.
fn drills(folder: &Path, arguments: &[&str]) -> Output {
    let program = std::env::current_exe().unwrap();
    Command::new(program)
        .args(arguments)
        .env(FOLDER, folder)
        .output()
        .unwrap()
}

fn every_drill_is_listed() {
    let folder = repository().join("drills");
    let listed = drills(&folder, &["--list", "--format", "terse"]);
    let files = fs::read_dir(&folder)
        .unwrap()
        .map(|file| file.unwrap().path());
    let expected: BTreeSet<String> = files
        .filter(|file| file.extension().is_some_and(|kind| kind == "yaml"))
        .map(|file| format!("lab::{}: test", file.file_stem().unwrap().display()))
        .collect();
    let lines: BTreeSet<String> = stdout(&listed).lines().map(str::to_owned).collect();
    assert_eq!(lines, expected);
    assert!(
        listed.status.success() && listed.stderr.is_empty(),
        "{}",
        stderr(&listed)
    );
    // A runner asks for these in a list of their own.
    let ignored = drills(&folder, &["--list", "--format", "terse", "--ignored"]);
    assert_eq!((ignored.status.code(), stdout(&ignored)), (Some(0), ""));
}

fn a_filter_runs_what_it_names() {
    let workplace = Workplace::new();
    let folder = workplace.path().join("drills");
    let output = drills(&folder, &["--exact", "lab::quick"]);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}{}",
        stdout(&output),
        stderr(&output)
    );
    assert!(
        stdout(&output).contains("1 passed; 0 failed; 0 ignored; 0 measured; 2 filtered out"),
        "{}",
        stdout(&output)
    );
    let run = workplace.only_run().join("quick");
    for name in [
        "events.ndjson",
        "undo.ndjson",
        "drill.yaml",
        "environment.yaml",
        "report.json",
        "report.html",
        "TEST-drills.xml",
        "summary.md",
        "blackstart.prom",
    ] {
        assert!(run.join(name).exists(), "{name}");
    }
    let output = drills(&folder, &["no drill is called so"]);
    assert!(
        stdout(&output).contains("0 passed") && output.status.success(),
        "{}",
        stdout(&output)
    );
}

fn a_drill_that_does_not_pass_fails() {
    let workplace = Workplace::new();
    let output = drills(&workplace.path().join("drills"), &["sick"]);
    assert_eq!(
        output.status.code(),
        Some(101),
        "{}{}",
        stdout(&output),
        stderr(&output)
    );
    let shown = stdout(&output);
    assert!(
        shown.contains("DRILL  sick") && shown.contains("steady state not met"),
        "{shown}"
    );
}

/// The quick drill, of which two runs without a failure show what it asks for.
fn rated(workplace: &Workplace, target: &str, within: &str) -> PathBuf {
    let folder = workplace.path().join("drills");
    let file = folder.join("quick.yaml");
    let text = fs::read_to_string(&file).unwrap();
    let text = text.replace("target: first", &format!("target: {target}"));
    let rate = format!("expect:\n  rto: {{ within: {within}, pass-rate: 0.5 @ 0.75 }}\n");
    fs::write(&file, text.replace("expect:\n", &rate)).unwrap();
    let environment = folder.join("environments/two-machines.yaml");
    let text = fs::read_to_string(&environment).unwrap();
    let targets = "targets:\n  second: { lab: { virtual-machine: second } }\n";
    fs::write(&environment, text.replace("targets:\n", targets)).unwrap();
    folder
}

/// Runs the drill with a rate until the machine was quick enough to measure it: unlike a drill of its own it is not taken again.
fn measured(target: &str, within: &str) -> (Workplace, Output) {
    for _ in 0..4 {
        let workplace = Workplace::new();
        let folder = rated(&workplace, target, within);
        let output = drills(&folder, &["--exact", "lab::quick"]);
        if !stdout(&output).contains("the measurement is void") {
            return (workplace, output);
        }
    }
    panic!("this machine is too busy to measure anything");
}

/// The reports of the runs of a series, and the one over all of them.
fn series(workplace: &Workplace) -> (Vec<String>, serde_json::Value) {
    let folder = workplace.only_run().join("quick");
    let numbers = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap());
    let mut numbers: Vec<String> = numbers
        .filter(|entry| entry.path().join("report.html").is_file())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    numbers.sort();
    let together = fs::read_to_string(folder.join("report.json")).unwrap();
    assert!(
        folder.join("report.html").is_file(),
        "the page that those of the runs lead to"
    );
    (numbers, serde_json::from_str(&together).unwrap())
}

fn a_drill_with_a_pass_rate_is_run_often_enough() {
    // What is broken is nothing that users need, so every run holds.
    let (workplace, output) = measured("second", "5m");
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}{}",
        stdout(&output),
        stderr(&output)
    );
    let (runs, together) = series(&workplace);
    assert_eq!(runs, ["01", "02"]);
    let rate = &together["repeats"][0]["rates"][1];
    assert_eq!((&rate["passed"], &rate["runs"]), (&2.into(), &2.into()));
    let seeds = [0, 1].map(|run| together["drills"][run]["run"]["seed"].clone());
    assert_ne!(seeds[0], seeds[1], "each has a phase of its own");
}

fn a_pass_rate_out_of_reach_fails() {
    // Users are only served again when what is broken is taken away, after ten seconds.
    let (workplace, output) = measured("first", "5s");
    assert_eq!(
        output.status.code(),
        Some(101),
        "{}{}",
        stdout(&output),
        stderr(&output)
    );
    let shown = stdout(&output);
    assert!(
        shown.contains("0/1 does not show a pass rate of 0.5 @ 0.75"),
        "{shown}"
    );
    assert_eq!(series(&workplace).0, ["01"]);
}

fn nobody_is_told_of_tests() {
    let channel = TcpListener::bind("127.0.0.1:0").unwrap();
    channel.set_nonblocking(true).unwrap();
    let workplace = Workplace::new();
    let folder = workplace.path().join("drills");
    let file = folder.join("environments/two-machines.yaml");
    let text = fs::read_to_string(&file).unwrap();
    let url = format!("http://{}/", channel.local_addr().unwrap());
    let notify = format!("notify:\n  - webhook: {{ url: \"{url}\", from: information }}\n");
    fs::write(&file, text + &notify).unwrap();
    let output = drills(&folder, &["--exact", "lab::quick"]);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}{}",
        stdout(&output),
        stderr(&output)
    );
    // Whoever had connected would be waiting here.
    let nobody = channel.accept().map(|(_, from)| from).unwrap_err();
    assert_eq!(nobody.kind(), std::io::ErrorKind::WouldBlock);
}

fn an_invalid_drill_fails_a_check() {
    let workplace = Workplace::new();
    let folder = workplace.path().join("drills");
    fs::copy(
        repository().join("fixtures/invalid/unknown-fault.yaml"),
        folder.join("unknown-fault.yaml"),
    )
    .unwrap();
    let output = drills(&folder, &[]);
    assert_eq!(
        output.status.code(),
        Some(101),
        "{}{}",
        stdout(&output),
        stderr(&output)
    );
    let shown = stdout(&output);
    assert!(
        shown.contains("unknown-fault.yaml:4:5: ") && shown.contains("hint: did you mean `scale`?"),
        "{shown}"
    );
    assert_eq!(
        stdout(&drills(&folder, &["--list", "--format", "terse"])),
        "check: test\n"
    );
    assert!(!workplace.path().join("reports").exists());
}

fn a_folder_without_drills_fails() {
    let folder = tempfile::tempdir().unwrap();
    for empty in [folder.path(), &folder.path().join("nonexistent")] {
        let output = drills(empty, &[]);
        assert_eq!(
            output.status.code(),
            Some(101),
            "{}{}",
            stdout(&output),
            stderr(&output)
        );
    }
}
