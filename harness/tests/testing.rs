//! Drills as `cargo test`, seen from outside: this program is also the test of a project that drills its own architecture.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[expect(dead_code, reason = "the tests of the command line need more of it")]
#[path = "cli/program.rs"]
mod program;

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
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
