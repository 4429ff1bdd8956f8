//! `init`, `completions`, `man`: what somebody meets first.

use std::{collections::BTreeMap, fs, path::Path};

use crate::{
    code,
    program::{blackstart, output, stderr, stdout},
};

/// Every file below a folder with its text.
fn files(folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(
                path.display().to_string(),
                fs::read_to_string(&path).unwrap(),
            );
        }
    }
    found
}

#[test]
fn what_init_writes_passes_check_and_plan_without_a_warning_and_is_never_overwritten() {
    for more in [
        &["--url", "https://www.example.com/"][..],
        &["--url", "http://example.com/shop?a=b", "--name", "a.b_c"],
        &["--url", "http://127.0.0.1:8080/"],
        &["--url", "http://localhost:8080/", "--container", "shop-app"],
        &[
            "--url",
            "https://shop.staging.example.com/",
            "--service",
            "web",
            "--project",
            "staging",
        ],
    ] {
        let folder = tempfile::tempdir().unwrap();
        let init = ["init", "--recognise", "server: \"nginx\""];
        let run = |arguments: &[&str]| {
            let mut command = blackstart(folder.path(), arguments.iter().copied());
            command.output().unwrap()
        };
        let written = run(&[&init, more].concat());
        assert_eq!(code(&written), 0, "{more:?}: {}", stderr(&written));
        let before = files(folder.path());
        for command in ["check", "plan"] {
            let said = run(&[command]);
            assert_eq!(code(&said), 0, "{more:?}: {}", stderr(&said));
            assert_eq!(stderr(&said), "", "{more:?}");
        }
        let watched = stdout(&written)
            .lines()
            .find_map(|line| line.trim().strip_prefix("blackstart watch "))
            .unwrap()
            .split_whitespace()
            .next()
            .unwrap()
            .to_owned();
        assert!(
            before
                .keys()
                .any(|file| file.ends_with(&format!("environments/{watched}.yaml"))),
            "{before:?}"
        );
        let again = run(&[&init, more].concat());
        assert_eq!(code(&again), 2);
        assert!(
            stderr(&again).contains("is there already; nothing was written"),
            "{}",
            stderr(&again)
        );
        assert_eq!(files(folder.path()), before, "{more:?}");
    }
}

#[test]
fn a_service_that_does_not_answer_is_told_and_written_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let init = ["init", "--url", "http://127.0.0.1:1/"];
    let written = blackstart(folder.path(), init).output().unwrap();
    assert_eq!(code(&written), 0, "{}", stderr(&written));
    assert!(
        stderr(&written).contains("could not be looked at"),
        "{}",
        stderr(&written)
    );
    let checked = blackstart(folder.path(), ["check"]).output().unwrap();
    assert_eq!(code(&checked), 0, "{}", stderr(&checked));
}

#[test]
fn without_a_terminal_nobody_is_asked_which_service_is_meant() {
    let folder = tempfile::tempdir().unwrap();
    let asked = blackstart(folder.path(), ["init"]).output().unwrap();
    assert_eq!(code(&asked), 2);
    assert!(
        stderr(&asked).contains("hint: `blackstart init --url"),
        "{}",
        stderr(&asked)
    );
    assert!(files(folder.path()).is_empty());
}

#[test]
fn shells_and_man_know_every_command_and_none_that_is_not_for_people() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = output(&["completions", shell]);
        assert_eq!(code(&script), 0);
        for command in ["watch", "init", "revert"] {
            assert!(stdout(&script).contains(command), "{shell}: {command}");
        }
    }
    let page = output(&["man"]);
    assert!(
        stdout(&page).contains(".TH blackstart 1"),
        "{}",
        stdout(&page)
    );
    assert!(!stdout(&page).contains("guard"), "{}", stdout(&page));
    let page = output(&["man", "lab", "up"]);
    assert!(stdout(&page).contains("token\\-file"), "{}", stdout(&page));
    assert_eq!(code(&output(&["man", "guard"])), 2);
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("man1");
    assert_eq!(code(&output(&["man", "--dir", to.to_str().unwrap()])), 0);
    let pages = files(&to);
    assert!(
        pages
            .keys()
            .any(|page| page.ends_with("blackstart-watch.1")),
        "{:?}",
        pages.keys()
    );
}

#[test]
fn the_help_of_every_command_has_examples() {
    let help = output(&["--help"]);
    let names: Vec<&str> = stdout(&help)
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| {
            line.strip_prefix("  ")
                .filter(|line| !line.starts_with(' '))
        })
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    assert!(names.len() > 10, "{names:?}");
    for name in names {
        let help = output(&[name, "--help"]);
        assert!(
            stdout(&help).contains(&format!("Examples:\n  blackstart {name}")),
            "{name}: {}",
            stdout(&help)
        );
    }
}
