//! Reports of runs that are over.

use std::{fs, path::Path, process::Output};

use crate::{
    code, copy_of_quick,
    program::{Workplace, blackstart, repository, stderr, stdout},
    quick,
};

/// The files that a run's events are made into.
const NAMES: [&str; 6] = [
    "report.json",
    "report.html",
    "TEST-drills.xml",
    "summary.md",
    "blackstart.prom",
    "trace.json",
];

fn report(run: &Path, more: &[&str]) -> Output {
    let arguments = ["report", run.to_str().unwrap()];
    blackstart(&repository(), arguments.iter().chain(more))
        .output()
        .unwrap()
}

#[test]
fn a_report_is_rebuilt_from_the_files_of_a_run_to_the_byte() {
    let workplace = Workplace::new();
    let first = workplace.measured(&mut workplace.run("quick", &[]));
    let run = workplace.only_run();
    let folder = format!("reports/{}", run.file_name().unwrap().to_str().unwrap());
    let files = || NAMES.map(|name| fs::read_to_string(run.join(name)).unwrap());
    let written = files();
    for name in NAMES {
        fs::remove_file(run.join(name)).unwrap();
    }
    let again = blackstart(workplace.path(), ["report", &folder, "--format", "json"])
        .output()
        .unwrap();
    assert_eq!(
        again.status.code(),
        first.status.code(),
        "{}",
        stderr(&again)
    );
    let rebuilt = files();
    assert_eq!(rebuilt, written);
    assert_eq!(stdout(&again).trim_end(), rebuilt[0].trim_end());
    blackstart(workplace.path(), ["report", &folder])
        .output()
        .unwrap();
    assert_eq!(files(), rebuilt);
}

#[test]
fn a_run_that_was_killed_has_a_report_and_could_not_run() {
    let whole = fs::read(quick().0.only_run().join("events.ndjson")).unwrap();
    let text = String::from_utf8_lossy(&whole);
    let captured = text.find(r#""step":"captured""#).unwrap();
    let next = captured + text[captured..].find('\n').unwrap() + 1;
    // Before the fault; within the line of its capture, before it was touched; after that line; and within the last one.
    for (length, expected) in [
        (captured / 2, 3),
        (captured, 3),
        (next, 5),
        (whole.len() - 30, 3),
    ] {
        let copy = copy_of_quick();
        fs::write(copy.path().join("events.ndjson"), &whole[..length]).unwrap();
        let output = report(copy.path(), &[]);
        assert_eq!(
            code(&output),
            expected,
            "{length}: {}{}",
            stdout(&output),
            stderr(&output)
        );
        assert!(
            stdout(&output).contains("the run was killed"),
            "{length}: {}",
            stdout(&output)
        );
        let line = whole[..length].split(|byte| *byte == b'\n').count();
        let torn = format!("the timeline ends in the middle of line {line}");
        let is_torn = !whole[..length].ends_with(b"\n");
        assert_eq!(
            output_json(copy.path()).contains(&torn),
            is_torn,
            "{length}: {}",
            stdout(&output)
        );
    }
}

/// What `report.json` of a run says.
fn output_json(run: &Path) -> String {
    fs::read_to_string(run.join("report.json")).unwrap()
}

#[test]
fn a_report_of_something_else_is_a_mistake_and_no_panic() {
    let empty = tempfile::tempdir().unwrap();
    let damaged = copy_of_quick();
    fs::write(damaged.path().join("events.ndjson"), "{}\n{}\n").unwrap();
    let lost = copy_of_quick();
    fs::remove_file(lost.path().join("drill.yaml")).unwrap();
    // Nobody ever writes into this pipe, so whoever opens it waits for ever.
    let pipe = copy_of_quick();
    fs::remove_file(pipe.path().join("events.ndjson")).unwrap();
    nix::unistd::mkfifo(
        &pipe.path().join("events.ndjson"),
        nix::sys::stat::Mode::S_IRWXU,
    )
    .unwrap();
    for folder in [
        empty.path(),
        damaged.path(),
        pipe.path(),
        lost.path(),
        Path::new("/nonexistent"),
    ] {
        let output = report(folder, &[]);
        assert_eq!(
            (code(&output), stdout(&output)),
            (2, ""),
            "{}",
            stderr(&output)
        );
        assert!(
            stderr(&output).starts_with("error: "),
            "{}",
            stderr(&output)
        );
    }
}

#[test]
fn a_report_can_be_had_as_json_that_keeps_its_schema_and_as_junit() {
    let run = copy_of_quick();
    let json = report(run.path(), &["--format", "json"]);
    assert_eq!(code(&json), 0);
    let json: serde_json::Value = serde_json::from_str(stdout(&json)).unwrap();
    let schema =
        fs::read_to_string(repository().join("harness/schemas/report.schema.json")).unwrap();
    let validator = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
    let errors: Vec<_> = validator
        .iter_errors(&json)
        .map(|error| format!("{error} at {}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:?}");
    let junit = report(run.path(), &["--format", "junit"]);
    let junit = quick_junit::Report::deserialize_from_str(stdout(&junit)).unwrap();
    assert!(junit.tests >= 3, "{junit:?}");
    assert_eq!(junit.failures + junit.errors, 0, "{junit:?}");
}

#[test]
fn colour_and_width_are_what_the_user_asks_for() {
    let run = copy_of_quick();
    let with = |more: &[&str], variables: &[(&str, &str)]| {
        let arguments = ["report", run.path().to_str().unwrap()];
        let mut command = blackstart(&repository(), arguments.iter().chain(more));
        let output = command.envs(variables.iter().copied()).output().unwrap();
        stdout(&output).to_owned()
    };
    let coloured = |text: &str| text.contains('\u{1b}');
    assert!(!coloured(&with(&[], &[])));
    assert!(coloured(&with(&["--color", "always"], &[])));
    assert!(
        coloured(&with(&["--color", "always"], &[("NO_COLOR", "1")])),
        "an option is stronger than a variable"
    );
    assert!(!coloured(&with(
        &["--color", "never"],
        &[("CLICOLOR_FORCE", "1")]
    )));
    assert!(with(&[], &[]).contains('┣') && with(&["--ascii"], &[]).is_ascii());
    let widest = |text: &str| {
        text.lines()
            .filter(|line| line.starts_with(" served by"))
            .map(|line| line.chars().count())
            .max()
    };
    let (narrow, wide) = (
        with(&[], &[("COLUMNS", "60")]),
        with(&[], &[("COLUMNS", "160")]),
    );
    assert!(
        widest(&narrow) <= Some(60) && widest(&wide) > Some(60) && widest(&wide) <= Some(160),
        "{narrow}{wide}"
    );
    assert_eq!(with(&[], &[("COLUMNS", "wide")]), with(&[], &[]));
}

#[test]
fn without_a_browser_a_report_is_shown_all_the_same_and_says_how_to_print() {
    let run = quick().0.only_run();
    let nowhere = tempfile::tempdir().unwrap();
    let output = blackstart(&repository(), ["report", run.to_str().unwrap(), "--pdf"])
        .env("PATH", nowhere.path())
        .output()
        .unwrap();
    let told = stderr(&output);
    assert!(
        told.contains("no Chromium, Chrome or Edge") && told.contains("report.html"),
        "{told}"
    );
    assert_eq!(output.status.code(), report(&run, &[]).status.code());
    assert!(!run.join("report.pdf").exists());
}
