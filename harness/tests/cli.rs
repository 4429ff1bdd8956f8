//! The program as people and other programs use it: arguments in; streams, files and an exit code out.

mod program;

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Output, Stdio},
    sync::OnceLock,
};

use blackstart::timeline::{Event, FaultStep, Outcome};
use nix::sys::signal::Signal;
use program::{Running, Workplace, blackstart, entries, output, repository, stderr, stdout};

fn code(output: &Output) -> i32 {
    output
        .status
        .code()
        .unwrap_or_else(|| panic!("killed: {output:?}"))
}

/// A run of the quick drill, made once for all tests that only look at what it left.
fn quick() -> &'static (Workplace, Output) {
    static QUICK: OnceLock<(Workplace, Output)> = OnceLock::new();
    QUICK.get_or_init(|| {
        let workplace = Workplace::new();
        let output = workplace.run("quick", &["--seed", "7"]).output().unwrap();
        (workplace, output)
    })
}

/// A copy of the quick drill's run that a test may change.
fn copy_of_quick() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(quick().0.only_run()).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    folder
}

fn report(run: &Path, more: &[&str]) -> Output {
    let arguments = ["report", run.to_str().unwrap()];
    blackstart(&repository(), arguments.iter().chain(more))
        .output()
        .unwrap()
}

#[test]
fn check_says_how_much_was_checked() {
    let output = output(&["check", "drills"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let files = fs::read_dir(repository().join("drills")).unwrap();
    let drills = files
        .filter(|file| {
            file.as_ref()
                .unwrap()
                .path()
                .extension()
                .is_some_and(|kind| kind == "yaml")
        })
        .count();
    assert!(
        stdout(&output).starts_with(&format!("{drills} drills, ")),
        "{}",
        stdout(&output)
    );
    assert!(
        stdout(&output).ends_with("expectations: no errors\n"),
        "{}",
        stdout(&output)
    );
    assert_eq!(stderr(&output), "");
}

#[test]
fn check_names_file_line_and_column_of_a_mistake() {
    let output = output(&["check", "fixtures/invalid/unknown-fault.yaml"]);
    assert_eq!(code(&output), 2);
    assert_eq!(stdout(&output), "");
    assert!(
        stderr(&output).starts_with("error: fixtures/invalid/unknown-fault.yaml:4:5: "),
        "{}",
        stderr(&output)
    );
    assert!(
        stderr(&output).contains("hint: did you mean `scale`?"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn what_is_invalid_is_neither_planned_nor_listed_nor_run() {
    let workplace = Workplace::new();
    let file = repository().join("fixtures/invalid/unknown-fault.yaml");
    for command in ["plan", "list", "run"] {
        let output = blackstart(workplace.path(), [command, file.to_str().unwrap()])
            .output()
            .unwrap();
        assert_eq!(code(&output), 2, "{command}");
        assert_eq!(stdout(&output), "", "{command}");
        assert!(!workplace.path().join("reports").exists(), "{command}");
    }
}

#[test]
fn list_names_every_drill_with_what_it_expects() {
    let output = output(&["list"]);
    assert_eq!(code(&output), 0);
    for entry in fs::read_dir(repository().join("drills")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|kind| kind == "yaml") {
            let name = path.file_stem().unwrap().to_str().unwrap();
            assert!(
                stdout(&output).contains(&format!("{name}  (three-tier)")),
                "{name}"
            );
        }
    }
    assert!(
        stdout(&output).contains("      path primary -> down -> vm\n"),
        "{}",
        stdout(&output)
    );
}

#[test]
fn plan_shows_everything_that_a_drill_would_do() {
    let output = output(&[
        "plan",
        "drills/double-failure-in-sequence.yaml",
        "--speed",
        "30",
    ]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    insta::assert_snapshot!(stdout(&output));
}

#[test]
fn explain_has_a_page_for_what_a_report_names_and_the_nearest_topic_for_what_is_misspelled() {
    let page = output(&["explain", "rto"]);
    assert_eq!(code(&page), 0);
    assert!(stdout(&page).starts_with("rto"), "{}", stdout(&page));
    let all = output(&["explain"]);
    assert!(stdout(&all).lines().any(|topic| topic == "rto"));
    let unknown = output(&["explain", "failbak"]);
    assert_eq!((code(&unknown), stdout(&unknown)), (2, ""));
    assert!(
        stderr(&unknown).contains("hint: did you mean `failback`?"),
        "{}",
        stderr(&unknown)
    );
    assert_eq!(code(&output(&["explain", "nonsense"])), 2);
}

#[test]
fn schemas_are_those_that_are_committed() {
    for of in ["drill", "environment", "report"] {
        let printed = output(&["schema", of]);
        assert_eq!(code(&printed), 0);
        let printed: serde_json::Value = serde_json::from_str(stdout(&printed)).unwrap();
        let file = repository().join(format!("harness/schemas/{of}.schema.json"));
        let committed: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        assert_eq!(printed, committed, "{of}");
    }
}

#[test]
fn a_mistaken_command_line_is_told_on_stderr_and_help_on_stdout() {
    for wrong in [
        &[][..],
        &["frobnicate"],
        &["run", "--frobnicate"],
        &["run", "--speed", "0"],
        &["report"],
        &["schema", "nothing"],
    ] {
        let output = output(wrong);
        assert_eq!((code(&output), stdout(&output)), (2, ""), "{wrong:?}");
        assert!(
            stderr(&output).contains("Usage:") || stderr(&output).contains("--help"),
            "{wrong:?}: {}",
            stderr(&output)
        );
    }
    for help in [&["--help"][..], &["run", "--help"], &["--version"]] {
        let output = output(help);
        assert_eq!((code(&output), stderr(&output)), (0, ""), "{help:?}");
        assert!(stdout(&output).contains("blackstart"), "{help:?}");
    }
}

#[test]
fn nothing_selected_is_neither_a_pass_nor_a_run() {
    let workplace = Workplace::new();
    let output = blackstart(workplace.path(), ["run", "--tag", "none"])
        .output()
        .unwrap();
    assert_eq!((code(&output), stdout(&output)), (4, ""));
    assert!(!workplace.path().join("reports").exists());
}

#[test]
fn a_run_prints_its_report_on_stdout_and_what_happens_on_stderr() {
    let (_, output) = quick();
    let (report, live) = (stdout(output), stderr(output));
    assert_eq!(code(output), 0, "{report}{live}");
    assert!(
        report.starts_with("DRILL  quick") && report.contains("PASS"),
        "{report}"
    );
    assert!(
        report.contains("restored   1 of 1 fault reverted and verified (first)"),
        "{report}"
    );
    for word in [
        "PHASE    steady-state",
        "FAULT ",
        "PHASE    hold",
        "REVERT ",
        "END      completed",
    ] {
        assert!(live.contains(word), "no `{word}` in {live}");
        assert!(!report.contains(word), "`{word}` in {report}");
    }
    assert!(
        !report.contains('\u{1b}') && !live.contains('\u{1b}'),
        "colours on a pipe"
    );
}

#[test]
fn a_run_leaves_its_files_and_latest_points_at_them() {
    let (workplace, _) = quick();
    let run = workplace.only_run();
    for name in [
        "events.ndjson",
        "undo.ndjson",
        "drill.yaml",
        "environment.yaml",
        "report.json",
        "TEST-drills.xml",
    ] {
        assert!(
            fs::metadata(run.join(name)).is_ok_and(|file| file.len() > 0),
            "{name}"
        );
    }
    let same = |copy: &str, original: &str| {
        fs::read(run.join(copy)).unwrap() == fs::read(workplace.path().join(original)).unwrap()
    };
    assert!(same("drill.yaml", "drills/quick.yaml"));
    assert!(same(
        "environment.yaml",
        "drills/environments/two-machines.yaml"
    ));
    let latest = fs::canonicalize(workplace.path().join("reports/latest")).unwrap();
    assert_eq!(latest, fs::canonicalize(&run).unwrap());
    let undone = fs::read_to_string(run.join("undo.ndjson")).unwrap();
    assert_eq!(undone.lines().count(), 2, "{undone}");
    assert!(
        undone.lines().next().unwrap().contains("captured")
            && undone.lines().last().unwrap().contains("restored"),
        "{undone}"
    );
}

#[test]
fn a_report_is_rebuilt_from_the_files_of_a_run_to_the_byte() {
    let workplace = Workplace::new();
    let first = workplace.run("quick", &[]).output().unwrap();
    let run = workplace.only_run();
    let folder = format!("reports/{}", run.file_name().unwrap().to_str().unwrap());
    // What is rebuilt names the copy of the drill, which is what it was rebuilt from.
    let same = |text: &str| text.replace(&format!("{folder}/drill.yaml"), "drills/quick.yaml");
    let files = || {
        ["report.json", "TEST-drills.xml"].map(|name| fs::read_to_string(run.join(name)).unwrap())
    };
    let written = files();
    for name in ["report.json", "TEST-drills.xml"] {
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
    assert_eq!(rebuilt.each_ref().map(|text| same(text)), written);
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
    }
}

#[test]
fn a_report_of_something_else_is_a_mistake_and_no_panic() {
    let empty = tempfile::tempdir().unwrap();
    let damaged = copy_of_quick();
    fs::write(damaged.path().join("events.ndjson"), "{}\n{}\n").unwrap();
    let lost = copy_of_quick();
    fs::remove_file(lost.path().join("drill.yaml")).unwrap();
    for folder in [
        empty.path(),
        damaged.path(),
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
fn a_drill_on_a_sick_system_breaks_nothing() {
    let workplace = Workplace::new();
    let output = workplace.run("sick", &[]).output().unwrap();
    assert_eq!(code(&output), 3, "{}{}", stdout(&output), stderr(&output));
    assert!(
        stdout(&output).contains("steady state not met") && stdout(&output).contains("`standby`"),
        "{}",
        stdout(&output)
    );
    let run = workplace.only_run();
    assert_eq!(fs::read_to_string(run.join("undo.ndjson")).unwrap(), "");
    assert!(
        !entries(&run)
            .iter()
            .any(|entry| matches!(entry.event, Event::Fault { .. }))
    );
}

#[test]
fn several_drills_have_a_folder_each_and_an_index_of_all_and_quiet_is_quiet() {
    let workplace = Workplace::new();
    let arguments = [
        "run", "--speed", "60", "--tag", "quick", "--tag", "sick", "--quiet", "--format", "json",
    ];
    let output = blackstart(workplace.path(), arguments).output().unwrap();
    assert_eq!(code(&output), 3, "{}{}", stdout(&output), stderr(&output));
    let run = workplace.only_run();
    for (folder, tests) in [("quick", 1), ("sick", 1), ("", 2)] {
        let folder = run.join(folder);
        let json: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(folder.join("report.json")).unwrap()).unwrap();
        assert!(json.is_object(), "{tests} {json}");
        assert!(folder.join("TEST-drills.xml").exists());
    }
    let printed = fs::read_to_string(run.join("report.json")).unwrap();
    assert_eq!(stdout(&output).trim_end(), printed.trim_end());
    assert!(!stderr(&output).contains("PHASE"), "{}", stderr(&output));
}

#[test]
fn without_a_place_for_the_report_nothing_is_injected() {
    let workplace = Workplace::new();
    fs::write(workplace.path().join("file"), "").unwrap();
    let output = workplace
        .run("quick", &["--reports", "file/reports"])
        .output()
        .unwrap();
    assert_eq!((code(&output), stdout(&output)), (3, ""));
    assert!(
        stderr(&output).contains("file/reports")
            && stderr(&output).contains("nothing was injected"),
        "{}",
        stderr(&output)
    );
}

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
    for signal in [Signal::SIGINT, Signal::SIGINT, Signal::SIGTERM] {
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
    // The fault is reverted, and the record of that has no place: what is not on record is not verified.
    assert_eq!(status.code(), Some(5), "{report}{live}");
    let undone = fs::read_to_string(workplace.only_run().join("undo.ndjson")).unwrap();
    assert!(
        undone.lines().last().unwrap().contains("restored"),
        "{undone}"
    );
}

#[test]
fn arguments_need_not_be_text() {
    use std::os::unix::ffi::OsStrExt;
    let workplace = Workplace::new();
    let reports = std::ffi::OsStr::from_bytes(b"rep\xffrts");
    let mut command = workplace.run("quick", &["--quiet", "--reports"]);
    let output = command.arg(reports).output().unwrap();
    assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
    assert!(
        workplace
            .path()
            .join(reports)
            .join("latest/report.json")
            .exists()
    );
}

fn is_installed(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok()
}

#[test]
fn a_lab_in_the_foreground_can_be_tried_by_hand_until_sigterm() {
    let mut command = blackstart(&repository(), ["lab", "up", "three-tier"]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let running = Running(child);
    let printed: Vec<String> = lines
        .take_while(|line| !line.starts_with("Ctrl-C"))
        .collect();
    let commands: Vec<&str> = printed
        .iter()
        .map(|line| line.trim())
        .filter(|line| line.starts_with("dig ") || line.starts_with("curl "))
        .collect();
    assert_eq!(commands.len(), 7, "{printed:?}");
    let mut answers = BTreeMap::new();
    for command in &commands {
        let wanted = ["dig", "curl"]
            .into_iter()
            .filter(|program| command.contains(program));
        if let Some(missing) = wanted.into_iter().find(|program| !is_installed(program)) {
            #[expect(
                clippy::print_stderr,
                reason = "a test that does not test everything says so"
            )]
            {
                eprintln!("not tried, because {missing} is not installed: {command}");
            }
            continue;
        }
        let output = Command::new("sh").args(["-c", command]).output().unwrap();
        assert!(
            output.status.success(),
            "{command}: {}{}",
            stdout(&output),
            stderr(&output)
        );
        answers.insert(*command, stdout(&output).to_owned());
    }
    for (command, answer) in &answers {
        let expected = match *command {
            command if command.starts_with("dig") => "petclinic.elb.test",
            command if command.contains("--connect-to") => "Apache-Coyote",
            command if command.ends_with("/v1/resources") => r#"{"kind":"workload","name":"web"}"#,
            command if command.contains(r#""replicas": 0"#) => r#""replicas":0"#,
            _ => r#""replicas":2"#,
        };
        assert!(answer.contains(expected), "{command}: {answer}");
    }
    running.signal(Signal::SIGTERM);
    let (status, _, told) = running.end();
    assert_eq!(status.code(), Some(0), "{told}");
    assert!(told.contains("SIGTERM: the lab is down"), "{told}");
}
