//! One broken file a mistake: every file in `fixtures/invalid` is refused, or warned about, in the words that stand beside it.
//!
//! `BLACKSTART_UPDATE_EXPECTED=1` writes the words instead of comparing them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use blackstart::{
    catalog::{self, Selection},
    environment,
    source::{Coloring, Problem, Problems},
};

/// Files that would be absurd to keep in a repository, made when the test runs.
fn generated() -> [(&'static str, Vec<u8>); 4] {
    let sound = b"drill: generated\nenvironment: three-tier\n".to_vec();
    let mut large = sound.clone();
    large.extend(std::iter::repeat_n(b'#', 1024 * 1024));
    let mut broken = sound;
    broken.extend("tags: [wöch".as_bytes());
    broken.extend([0xff, 0xfe]);
    broken.extend(b"ntlich]\n");
    [
        (
            "nested-20000-deep.yaml",
            [vec![b'['; 20_000], vec![b']'; 20_000]].concat(),
        ),
        ("nested-blocks.yaml", b"- ".repeat(20_000)),
        ("not-utf-8.yaml", broken),
        ("too-large.yaml", large),
    ]
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn drills() -> PathBuf {
    root().join("drills")
}

/// Reads one file as what its folder says it is.
fn problems_of(file: &Path) -> Problems {
    let variables = |name: &str| match name {
        "SECRET" => Some("hunter2".to_owned()),
        _ => None,
    };
    if file
        .parent()
        .is_some_and(|folder| folder.ends_with("environments"))
    {
        return environment::load(file, &variables).1;
    }
    let selection = Selection {
        paths: vec![file.to_owned()],
        ..Selection::default()
    };
    catalog::load(&selection, &variables).1
}

fn invalid_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("an entry can be read").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .collect();
    files.sort();
    files
}

/// Compares with the file beside it, and says how they differ.
fn compare(file: &Path, name: &str, expected_file: &Path, differences: &mut Vec<String>) {
    let problems = problems_of(file);
    let folder = file.parent().expect("a file is in a folder");
    let actual = problems
        .render(Coloring::Plain)
        .replace(&format!("{}/", folder.display()), "");
    if problems.is_empty() {
        differences.push(format!("{name}: nothing was found wrong with it"));
    }
    for problem in problems.iter() {
        if problem.at.line == 0 || problem.at.column == 0 || problem.length == 0 {
            differences.push(format!("{name}: no position: {problem:?}"));
        }
        if problem.message.contains("hunter2") {
            differences.push(format!(
                "{name}: the value of a variable is shown: {problem}"
            ));
        }
    }
    if std::env::var_os("BLACKSTART_UPDATE_EXPECTED").is_some() {
        fs::write(expected_file, &actual).expect("the expected words can be written");
    }
    let expected = fs::read_to_string(expected_file).unwrap_or_default();
    if actual != expected {
        differences.push(format!("{name}: expected\n{expected}\nactual\n{actual}"));
    }
}

#[test]
fn every_invalid_file_is_refused_in_the_words_beside_it() {
    // Relative, so that the words are the same on every machine.
    std::env::set_current_dir(root()).expect("the root of the repository is there");
    let mut differences = Vec::new();
    for folder in ["fixtures/invalid", "fixtures/invalid/environments"] {
        let files = invalid_files(Path::new(folder));
        assert!(files.len() > 10, "{folder} has only {} files", files.len());
        for file in files {
            let name = file.display().to_string();
            compare(
                &file,
                &name,
                &file.with_extension("expected"),
                &mut differences,
            );
        }
    }
    let folder = tempfile::tempdir().expect("a folder for generated files");
    for (name, bytes) in generated() {
        let file = folder.path().join(name);
        fs::write(&file, bytes).expect("a generated file can be written");
        let expected = Path::new("fixtures/invalid")
            .join(name)
            .with_extension("expected");
        compare(&file, name, &expected, &mut differences);
    }
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
}

#[test]
fn the_shipped_drills_and_environments_have_no_problems() {
    let selection = Selection {
        paths: vec![drills()],
        ..Selection::default()
    };
    let (catalog, problems) = catalog::load(&selection, &|_| None);
    assert!(!catalog.entries.is_empty());
    assert_only_what_is_meant(&problems);
    for file in invalid_files(&root().join("fixtures/environments")) {
        let (environment, problems) = environment::load(&file, &|_| None);
        assert_only_what_is_meant(&problems);
        assert!(environment.is_some());
    }
}

/// Traps that a shipped file has on purpose, because an architecture has them or a drill shows them: the file and what is said of it.
const MEANT: [(&str, &str); 2] = [
    (
        "two-region.yaml",
        "when the secondary is unhealthy too, Route 53 answers with the dead primary",
    ),
    (
        "manual-failover-disabled.yaml",
        "a disabled health check counts as healthy, so this moves nobody",
    ),
];

fn assert_only_what_is_meant(problems: &Problems) {
    let meant = |problem: &&Problem| {
        MEANT
            .iter()
            .any(|(file, message)| problem.file.ends_with(file) && problem.message == *message)
    };
    let others: Vec<String> = problems
        .iter()
        .filter(|problem| !meant(problem))
        .map(ToString::to_string)
        .collect();
    assert!(others.is_empty(), "{}", others.join("\n"));
}
