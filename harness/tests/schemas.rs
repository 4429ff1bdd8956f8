//! The committed schemas are those that the types yield.
//!
//! `BLACKSTART_UPDATE_EXPECTED=1` writes them instead of comparing them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use blackstart::schema;

/// The YAML files below a folder, but for those that are meant to be broken.
fn files_below(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("an entry can be read").path();
        if path.is_dir() {
            files_below(&path, files);
        } else if path.extension().is_some_and(|kind| kind == "yaml") {
            files.push(path);
        }
    }
}

#[test]
fn every_shipped_file_names_a_schema_that_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    for folder in [
        "drills",
        "fixtures/environments",
        "fixtures/full",
        "fixtures/library-user/drills",
    ] {
        files_below(&root.join(folder), &mut files);
    }
    for file in &files {
        let text = fs::read_to_string(file).expect("the file can be read");
        let line = text.lines().next().unwrap_or_default();
        let (_, schema) = line
            .split_once("yaml-language-server: $schema=")
            .unwrap_or_else(|| panic!("{}: no modeline", file.display()));
        let folder = file.parent().expect("a file is in a folder");
        assert!(
            folder.join(schema.trim()).is_file(),
            "{}: {schema} is not there",
            file.display()
        );
        let kind = if text.lines().any(|line| line.starts_with("drill:")) {
            "drill.schema.json"
        } else {
            "environment.schema.json"
        };
        assert!(
            schema.trim().ends_with(kind),
            "{}: {schema}",
            file.display()
        );
    }
    assert!(files.len() > 10, "only {} files were found", files.len());
}

#[test]
fn the_committed_schemas_are_up_to_date() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
    for (name, generated) in [
        ("drill", schema::drill()),
        ("environment", schema::environment()),
        ("report", schema::report()),
    ] {
        let file = folder.join(format!("{name}.schema.json"));
        let generated =
            serde_json::to_string_pretty(&generated).expect("JSON can be written") + "\n";
        if std::env::var_os("BLACKSTART_UPDATE_EXPECTED").is_some() {
            fs::create_dir_all(&folder).expect("the folder can be made");
            fs::write(&file, &generated).expect("the schema can be written");
        }
        let committed = fs::read_to_string(&file).unwrap_or_default();
        assert!(
            committed == generated,
            "{} differs from the types: run with BLACKSTART_UPDATE_EXPECTED=1 and commit it",
            file.display()
        );
    }
}
