use std::{
    fs,
    path::{Path, PathBuf},
};

use jsonschema::Validator;

use crate::source::{Coloring, Document, Node, Problems, Reading, Value};

/// A drill with every key there is.
const FULL_DRILL: &str = include_str!("../../../fixtures/full/drill.yaml");

/// An environment with every key there is.
const FULL_ENVIRONMENT: &str = include_str!("../../../fixtures/full/environment.yaml");

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn validator(schema: &serde_json::Value) -> Validator {
    jsonschema::draft202012::new(schema).expect("the schema is a schema")
}

/// The YAML files of a folder.
fn files(folder: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(root().join(folder))
        .expect("the folder is there")
        .map(|entry| entry.expect("an entry can be read").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
                && path.is_file()
        })
        .collect();
    files.sort();
    files
}

fn json_of(file: &Path) -> Option<serde_json::Value> {
    let text = fs::read_to_string(file).ok()?;
    // Validated as an editor does: before variables are filled in.
    let (document, _) = Document::parse(
        file,
        text.into(),
        Reading::Original(&|name| Some(format!("${{{name}}}"))),
    );
    Some(document?.root.to_json())
}

fn assert_valid(validator: &Validator, value: &serde_json::Value, file: &Path) {
    let errors: Vec<String> = validator
        .iter_errors(value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{}: {errors:#?}", file.display());
}

#[test]
fn shipped_drills_and_environments_are_valid() {
    let drill = validator(&super::drill());
    for file in files("drills") {
        assert_valid(&drill, &json_of(&file).expect("it is YAML"), &file);
    }
    let environment = validator(&super::environment());
    for file in files("fixtures/environments") {
        assert_valid(&environment, &json_of(&file).expect("it is YAML"), &file);
    }
}

#[test]
fn structural_mistakes_are_invalid() {
    let drill = validator(&super::drill());
    let mistakes = [
        "bad-name",
        "bad-status",
        "duration-in-days",
        "duration-negative",
        "duration-unknown-unit",
        "duration-with-space",
        "duration-without-unit",
        "empty-expect",
        "empty-faults",
        "empty-path",
        "fault-beside-together",
        "hold-until-something-else",
        "missing-keys",
        "missing-target",
        "no-failover-false",
        "no-fault-in-item",
        "no-is-text-not-false",
        "not-a-mapping",
        "null-value",
        "number-out-of-range",
        "percent-without-sign",
        "several-mistakes",
        "two-faults-in-one-item",
        "two-faults-in-together",
        "two-kinds-of-writes",
        "unknown-expectation",
        "unknown-fault",
        "unknown-key",
        "unknown-key-near-name",
        "unknown-word",
        "variable-in-a-name",
        "wrong-type-list",
        "wrong-type-mapping",
        "wrong-type-number",
        "wrong-type-number-as-text",
        "wrong-type-text",
    ];
    for mistake in mistakes {
        let file = root().join(format!("fixtures/invalid/{mistake}.yaml"));
        let value = json_of(&file).expect(mistake);
        assert!(!drill.is_valid(&value), "the schema accepts {mistake}");
    }
    let environment = validator(&super::environment());
    for mistake in [
        "lower-case-method",
        "no-probes",
        "no-service",
        "origin-group-of-three",
        "target-of-an-unknown-binding",
        "target-of-an-unknown-kind",
        "unknown-kind-of-probe",
    ] {
        let file = root().join(format!("fixtures/invalid/environments/{mistake}.yaml"));
        let value = json_of(&file).expect(mistake);
        assert!(
            !environment.is_valid(&value),
            "the schema accepts {mistake}"
        );
    }
}

/// Every tree that lacks one key of the given one, with the key's name.
fn without_one_key(node: &Node) -> Vec<(String, Node)> {
    match &node.value {
        Value::Mapping(entries) => {
            let mut trees = Vec::new();
            for index in 0..entries.len() {
                let mut fewer = entries.clone();
                let (key, value) = fewer.remove(index);
                trees.push((key.name.clone(), with(node, Value::Mapping(fewer))));
                for (name, inner) in without_one_key(&value) {
                    let mut changed = entries.clone();
                    changed[index].1 = inner;
                    trees.push((
                        format!("{}.{name}", key.name),
                        with(node, Value::Mapping(changed)),
                    ));
                }
            }
            trees
        }
        Value::Sequence(items) => {
            let mut trees = Vec::new();
            for index in 0..items.len() {
                for (name, inner) in without_one_key(&items[index]) {
                    let mut changed = items.clone();
                    changed[index] = inner;
                    trees.push((
                        format!("{index}.{name}"),
                        with(node, Value::Sequence(changed)),
                    ));
                }
            }
            trees
        }
        Value::Null
        | Value::Boolean(_)
        | Value::Integer(_)
        | Value::Number(_)
        | Value::Text(_)
        | Value::Unknown => Vec::new(),
    }
}

fn with(node: &Node, value: Value) -> Node {
    Node {
        value,
        ..node.clone()
    }
}

/// The schema and the decoder agree on which keys may be left out.
fn agree_on_missing_keys(
    file: &str,
    text: &str,
    schema: &serde_json::Value,
    decode: impl Fn(&Document) -> Problems,
) {
    let file = root().join(file);
    let (document, problems) = Document::parse(&file, text.into(), Reading::Original(&|_| None));
    assert!(problems.is_empty(), "{}", problems.render(Coloring::Plain));
    let document = document.expect("it is YAML");
    let problems = decode(&document);
    assert!(
        !problems.has_errors(),
        "{}",
        problems.render(Coloring::Plain)
    );
    let validator = validator(schema);
    assert_valid(&validator, &document.root.to_json(), &file);
    let trees = without_one_key(&document.root);
    assert!(trees.len() > 30);
    for (path, tree) in trees {
        let valid = validator.is_valid(&tree.to_json());
        let changed = Document {
            root: tree,
            ..document.clone()
        };
        let problems = decode(&changed);
        // Without its key, what is left may be wrong in another way that no schema speaks of.
        let structural = problems.iter().any(|problem| {
            ["is missing", "is empty", "names no fault"]
                .iter()
                .any(|words| problem.message.contains(words))
        });
        assert_eq!(
            valid,
            !structural,
            "without {path}: {}",
            problems.render(Coloring::Plain)
        );
    }
}

#[test]
fn the_schema_of_drills_and_the_decoder_agree_on_what_may_be_left_out() {
    agree_on_missing_keys(
        "fixtures/full/drill.yaml",
        FULL_DRILL,
        &super::drill(),
        |document| crate::drill::decode::decode(document).1,
    );
}

#[test]
fn the_schema_of_environments_and_the_decoder_agree_on_what_may_be_left_out() {
    agree_on_missing_keys(
        "fixtures/full/environment.yaml",
        FULL_ENVIRONMENT,
        &super::environment(),
        |document| crate::environment::decode::decode(document).1,
    );
}
