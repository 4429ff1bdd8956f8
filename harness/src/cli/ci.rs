//! The workflows in `docs/ci` fit the program they are kept with: they can be read, and every command in them can be typed.

use std::path::{Path, PathBuf};

use clap::Parser;

use super::arguments::Cli;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/ci")
}

fn files() -> Vec<(PathBuf, String)> {
    let mut files: Vec<_> = std::fs::read_dir(folder())
        .expect("the folder is there")
        .map(|entry| entry.expect("an entry can be read").path())
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("a file can be read");
            (path, text)
        })
        .collect();
    files.sort();
    files
}

/// The command lines of this program in a file: in a shell, or as a list of words.
fn commands(text: &str) -> Vec<Vec<String>> {
    let mut commands = Vec::new();
    for line in text.lines() {
        let line = line
            .trim()
            .trim_start_matches("- ")
            .trim_start_matches("run: ");
        let shell = line
            .strip_prefix("sh '")
            .and_then(|line| line.strip_suffix('\''))
            .unwrap_or(line);
        if shell.starts_with("blackstart ") {
            let words = shell.replace("${{ matrix.part }}", "2/3");
            let words = words.split(" > ").next().unwrap_or_default();
            commands.push(words.split_whitespace().map(str::to_owned).collect());
        } else if let Some(list) = line.strip_prefix("command: [\"blackstart\"") {
            let words = list.split('"').skip(1).step_by(2).map(str::to_owned);
            commands.push(
                [String::from("blackstart")]
                    .into_iter()
                    .chain(words)
                    .collect(),
            );
        }
    }
    commands
}

#[test]
fn every_command_can_be_typed() {
    let mut found = 0;
    for (path, text) in files() {
        let commands = commands(&text);
        let is_workflow = path.extension().is_none_or(|extension| extension != "md");
        assert!(!is_workflow || !commands.is_empty(), "{}", path.display());
        for command in commands {
            if let Err(error) = Cli::try_parse_from(&command) {
                panic!("{}: {command:?}: {error}", path.display());
            }
            found += 1;
        }
    }
    assert!(found >= 8, "only {found} commands were found");
}

#[test]
fn every_workflow_is_yaml_with_what_its_server_asks_for() {
    let mut read = 0;
    for (path, text) in files() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let keys: &[&str] = match name.as_str() {
            "github-actions.yml" => &["name", "on", "jobs"],
            "gitlab-ci.yml" => &["drills"],
            "kubernetes-cronjob.yaml" => &["apiVersion", "kind", "metadata", "spec"],
            _ => continue,
        };
        let value: serde_json::Value =
            serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        for key in keys {
            assert!(!value[key].is_null(), "{name}: {key}");
        }
        read += 1;
    }
    assert_eq!(read, 3);
}

#[test]
fn every_file_is_in_the_list_of_its_folder() {
    let readme = std::fs::read_to_string(folder().join("README.md")).unwrap();
    for (path, _) in files() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(
            name == "README.md" || readme.contains(&format!("({name})")),
            "{name}"
        );
    }
}
