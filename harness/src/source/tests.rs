//! Whatever is in a file, reading it neither panics nor points outside of it.

use std::{path::Path, sync::Arc};

use proptest::prelude::*;

use super::{Coloring, Document, FilledIn, Key, Node, Place, Problems, Reading, Value};
use crate::{
    check,
    drill::{self, DrillFile},
    environment::{self, EnvironmentFile},
};

const FULL_DRILL: &str = include_str!("../../../fixtures/full/drill.yaml");
const FULL_ENVIRONMENT: &str = include_str!("../../../fixtures/full/environment.yaml");

/// A path beside which the pages of the environment are found.
fn file() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/full/any.yaml")
}

fn parse(text: &str) -> (Option<Document>, Problems) {
    let variables = |name: &str| (name == "SECRET").then(|| "hunter2".to_owned());
    Document::parse(&file(), text.into(), Reading::Original(&variables))
}

/// Reads a document as a drill and as an environment, and checks it against the full ones.
fn read(document: &Document) -> Problems {
    let (drill, mut problems) = drill::decode::decode(document);
    let (environment, found) = environment::decode::decode(document);
    problems.append(found);
    let (full_drill, full_environment) = full();
    if let Some(drill) = drill {
        let drill = DrillFile {
            drill,
            document: document.clone(),
        };
        problems.append(check::drill(&drill, &full_environment.environment));
    }
    if let Some(environment) = environment {
        let environment = EnvironmentFile {
            environment,
            document: document.clone(),
        };
        problems.append(check::environment(&environment));
        check::drill(&full_drill, &environment.environment);
    }
    problems
}

fn full() -> (DrillFile, EnvironmentFile) {
    let (document, _) = parse(FULL_DRILL);
    let document = document.expect("the full drill is YAML");
    let drill = drill::decode::decode(&document)
        .0
        .expect("the full drill is sound");
    let drill = DrillFile { drill, document };
    let (document, _) = parse(FULL_ENVIRONMENT);
    let document = document.expect("the full environment is YAML");
    let environment = environment::decode::decode(&document)
        .0
        .expect("the full environment is sound");
    (
        drill,
        EnvironmentFile {
            environment,
            document,
        },
    )
}

fn assert_inside(problems: &Problems, text: &str) {
    let lines: Vec<&str> = text.split('\n').collect();
    for problem in problems.iter() {
        let line = usize::try_from(problem.at.line).expect("a line number fits");
        let column = usize::try_from(problem.at.column).expect("a column fits");
        assert!(
            (1..=lines.len()).contains(&line),
            "{problem:?} of {} lines",
            lines.len()
        );
        let width = lines[line - 1].chars().count();
        assert!(
            (1..=width + 1).contains(&column),
            "{problem:?} on a line of {width}"
        );
        assert!(problem.length >= 1);
        assert!(!problem.message.contains("hunter2"), "{problem:?}");
        assert!(!problem.message.contains(char::is_control), "{problem:?}");
    }
    // Cutting the snippets must not panic either.
    problems.render(Coloring::Plain);
    problems.render(Coloring::Ansi);
}

fn assert_readable(text: &str) {
    let (document, mut problems) = parse(text);
    if let Some(document) = document {
        problems.append(read(&document));
    }
    assert_inside(&problems, text);
}

/// A full file in which some pieces of text are replaced by others.
fn mutated(original: &'static str) -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "",
        " ",
        "\n",
        "  ",
        "\t",
        ":",
        "- ",
        "{",
        "}",
        "[",
        "]",
        "'",
        "\"",
        "#",
        "*a",
        "&a ",
        "<<: ",
        "!x ",
        "${SECRET}",
        "${",
        "é",
        "\u{1b}[31m",
        "0",
        "-1",
        "99999999999999999999",
        "1e400",
        "~",
        "true",
        "2d",
        "web",
        "down",
        "%",
    ]);
    let change = (any::<prop::sample::Index>(), 0_usize..12, pieces);
    prop::collection::vec(change, 1..6).prop_map(move |changes| {
        let mut characters: Vec<char> = original.chars().collect();
        for (index, removed, piece) in changes {
            let start = index.index(characters.len());
            let end = (start + removed).min(characters.len());
            characters.splice(start..end, piece.chars());
            if characters.is_empty() {
                break;
            }
        }
        characters.into_iter().collect()
    })
}

/// Any tree, with keys of the language among its keys.
fn tree() -> impl Strategy<Value = Node> {
    let node = |value| Node {
        value,
        place: Place::START,
        filled: false,
    };
    let leaf = prop_oneof![
        Just(Value::Null),
        Just(Value::Unknown),
        any::<bool>().prop_map(Value::Boolean),
        any::<i64>().prop_map(Value::Integer),
        any::<f64>().prop_map(Value::Number),
        prop::sample::select(vec![
            "30s",
            "web",
            "primary",
            "down",
            "*",
            "99%",
            "recovered",
            "200",
            "/",
            "a.test"
        ])
        .prop_map(|text| Value::Text(text.to_owned())),
        ".{0,12}".prop_map(Value::Text),
    ];
    let keys: Vec<&'static str> = drill::decode::FAULTS
        .into_iter()
        .chain(drill::expectations::EXPECTATIONS)
        .chain([
            "drill",
            "environment",
            "faults",
            "hold",
            "expect",
            "together",
            "after",
            "target",
            "replicas",
            "within",
            "to",
            "at-most",
            "service",
            "url",
            "tiers",
            "tier",
            "recognise",
            "probes",
            "http",
            "dns",
            "name",
            "targets",
            "lab",
            "workload",
            "stack",
            "zones",
            "zone",
            "records",
            "origins",
            "members",
            "serves",
            "proxy",
        ])
        .collect();
    let value = leaf.prop_recursive(5, 64, 6, move |inner| {
        let keys = prop::sample::select(keys.clone());
        let entry = (keys, inner.clone()).prop_map(move |(name, value)| {
            let key = Key {
                name: name.to_owned(),
                place: Place::START,
            };
            (key, node(value))
        });
        prop_oneof![
            prop::collection::vec(inner.prop_map(node), 0..5).prop_map(Value::Sequence),
            prop::collection::vec(entry, 0..8).prop_map(Value::Mapping),
        ]
    });
    value.prop_map(node)
}

proptest! {
    #[test]
    fn no_text_makes_reading_panic_or_point_outside(text in "(?s).{0,200}") {
        assert_readable(&text);
    }

    #[test]
    fn no_change_of_a_drill_makes_reading_panic_or_point_outside(text in mutated(FULL_DRILL)) {
        assert_readable(&text);
    }

    #[test]
    fn no_change_of_an_environment_makes_reading_panic_or_point_outside(text in mutated(FULL_ENVIRONMENT)) {
        assert_readable(&text);
    }

    #[test]
    fn no_tree_makes_decoding_panic(root in tree()) {
        let document = Document {
            file: file(),
            text: Arc::from(""),
            root,
            variables: FilledIn::default(),
            is_copy: false,
        };
        read(&document);
    }
}

#[test]
fn columns_count_characters_also_after_wide_ones() {
    let (document, _) = parse("drill: ok\nabout: { 점검: 서비스, extra: 1 }\n");
    let (_, problems) = drill::decode::decode(&document.expect("it is YAML"));
    let about = problems
        .iter()
        .find(|problem| problem.message.contains("about"));
    assert_eq!(
        about.map(|problem| (problem.at.line, problem.at.column)),
        Some((2, 8))
    );
    let (document, _) = parse("drill: \"점검\"\nenvironment: x\n");
    let (_, problems) = drill::decode::decode(&document.expect("it is YAML"));
    assert_eq!(problems.iter().map(|problem| problem.length).max(), Some(4));
}

#[test]
fn an_alias_is_reported_where_it_is_used() {
    let (document, _) = parse("drill: &name [a]\nabout: *name\n");
    let (_, problems) = drill::decode::decode(&document.expect("it is YAML"));
    let about = problems
        .iter()
        .find(|problem| problem.message.contains("`about`"));
    assert_eq!(
        about.map(|problem| (problem.at.line, problem.at.column)),
        Some((2, 8))
    );
}

#[test]
fn control_characters_of_a_file_reach_no_terminal() {
    let text = "drill: \"\\e[31mred\"\nenvironment: x\n\"\\e]0;title\\a\": 1\n";
    let (document, mut problems) = parse(text);
    problems.append(drill::decode::decode(&document.expect("it is YAML")).1);
    assert!(problems.errors() > 2);
    assert!(!problems.render(Coloring::Plain).contains('\u{1b}'));
}
