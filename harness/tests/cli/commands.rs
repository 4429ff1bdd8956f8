//! The commands that only read.

use std::fs;

use crate::{
    code,
    program::{Workplace, blackstart, output, repository, stderr, stdout},
};

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
    // Some have a trap on purpose, and are warned of it.
    let warnings = stderr(&output).matches("warning: ").count();
    assert!(!stderr(&output).contains("error: "), "{}", stderr(&output));
    assert_eq!(warnings, 2, "{}", stderr(&output));
}

#[test]
fn check_takes_an_environment_by_itself() {
    let sound = output(&["check", "fixtures/environments/three-tier.yaml"]);
    assert_eq!(code(&sound), 0, "{}", stderr(&sound));
    assert_eq!(stdout(&sound), "1 environment: no errors\n");
    let trap = "fixtures/invalid/environments/check-that-is-redirected.yaml";
    let warned = output(&["check", trap, "drills/scale-to-zero.yaml"]);
    assert_eq!(code(&warned), 0, "{}", stderr(&warned));
    assert!(
        stderr(&warned).starts_with(&format!("warning: {trap}:")),
        "{}",
        stderr(&warned)
    );
    assert!(
        stdout(&warned).starts_with("1 drill, "),
        "{}",
        stdout(&warned)
    );
    let mistaken = "fixtures/invalid/environments/alias-with-ttl.yaml";
    assert_eq!(code(&output(&["check", mistaken])), 2);
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
            let text = fs::read_to_string(&path).unwrap();
            let environment = text
                .lines()
                .find_map(|line| line.strip_prefix("environment: "))
                .unwrap();
            assert!(
                stdout(&output).contains(&format!("{name}  ({environment})")),
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
fn a_plan_in_containers_says_what_is_touched_and_which_way_they_are_probed() {
    let drill = "drills/block-ingress.yaml";
    let output = output(&["plan", drill, "--env", "three-tier.docker"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let page = stdout(&output);
    for words in [
        "touches docker service three-tier/alb",
        "drop new connections to port 443",
        "remove the packet filter",
        "to the containers' own addresses: one that is stopped is silent",
    ] {
        assert!(page.contains(words), "{words}\n{page}");
    }
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
fn doctor_says_of_everything_that_drills_need_whether_it_is_there() {
    let workplace = Workplace::new();
    let output = blackstart(workplace.path(), ["doctor"]).output().unwrap();
    assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
    for line in [
        "ok    leftovers  no run has left anything broken",
        "ok    reports    `reports` can be written",
        "ok    addresses",
        "timers     a timer of 10 ms was late by",
        "resolver   ",
        "clock      ",
        "ports      ",
        "accounts   ",
    ] {
        assert!(stdout(&output).contains(line), "{}", stdout(&output));
    }
    fs::write(workplace.path().join("file"), "").unwrap();
    let arguments = ["doctor", "--reports", "file"];
    let output = blackstart(workplace.path(), arguments).output().unwrap();
    assert_eq!(code(&output), 3, "{}", stdout(&output));
    assert!(
        stdout(&output).contains("BAD   reports    `file` cannot be written")
            && stdout(&output).contains("do: give `--reports`"),
        "{}",
        stdout(&output)
    );
}

#[test]
fn a_result_that_cannot_be_written_is_told() {
    // Not every system has a file that is always full.
    let Ok(full) = fs::OpenOptions::new().write(true).open("/dev/full") else {
        return;
    };
    let mut command = blackstart(&repository(), ["schema", "drill"]);
    let output = command.stdout(full).output().unwrap();
    assert_eq!(code(&output), 3, "{}", stderr(&output));
    assert!(
        stderr(&output).contains("could not write to stdout"),
        "{}",
        stderr(&output)
    );
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
