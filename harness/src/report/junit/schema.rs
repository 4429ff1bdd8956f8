//! Every document is held against `fixtures/junit/junit.xsd`, what CI servers have in common; with `xmllint` too where somebody asks for that.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    process::{Command, Stdio},
};

use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};

use super::*;
use crate::{report::sample, timeline::Repeat};

const SCHEMA: &str = include_str!("../../../../fixtures/junit/junit.xsd");

/// What the schema says of an element. It uses no more of the language than this: one choice of elements, in any number.
#[derive(Debug, Default)]
struct Rule {
    children: BTreeSet<String>,
    /// The type of each attribute, and whether it must be there.
    attributes: BTreeMap<String, (String, bool)>,
    text: bool,
}

fn attribute(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    tag.attributes()
        .map(|attribute| attribute.expect("an attribute is well-formed"))
        .find(|attribute| attribute.key.as_ref() == name.as_bytes())
        .map(|attribute| String::from_utf8(attribute.value.into_owned()).expect("it is UTF-8"))
}

fn rules() -> BTreeMap<String, Rule> {
    let mut rules: BTreeMap<String, Rule> = BTreeMap::new();
    let mut reader = Reader::from_str(SCHEMA);
    let mut element = String::new();
    loop {
        let event = reader.read_event().expect("the schema is well-formed");
        let (Event::Start(tag) | Event::Empty(tag)) = &event else {
            if matches!(event, Event::Eof) {
                return rules;
            }
            continue;
        };
        match tag.name().as_ref() {
            b"xs:element" => {
                if let Some(name) = attribute(tag, "name") {
                    element.clone_from(&name);
                    rules.insert(name, Rule::default());
                } else {
                    let child = attribute(tag, "ref").expect("a name or a reference");
                    rules.get_mut(&element).unwrap().children.insert(child);
                }
            }
            b"xs:complexType" => {
                rules.get_mut(&element).unwrap().text =
                    attribute(tag, "mixed").as_deref() == Some("true");
            }
            b"xs:attribute" => {
                let name = attribute(tag, "name").expect("a name");
                let kind = attribute(tag, "type").expect("a type");
                let must = attribute(tag, "use").as_deref() == Some("required");
                let rule = rules.get_mut(&element).unwrap();
                rule.attributes.insert(name, (kind, must));
            }
            b"xs:schema" | b"xs:choice" => {}
            other => panic!("{} is not understood", String::from_utf8_lossy(other)),
        }
    }
}

fn is_of(kind: &str, value: &str) -> bool {
    match kind {
        "xs:string" => true,
        "xs:nonNegativeInteger" => value.parse::<u64>().is_ok(),
        "xs:decimal" => value.parse::<f64>().is_ok() && !value.contains(['e', 'E', 'n', 'i']),
        "xs:dateTime" => value.parse::<jiff::Timestamp>().is_ok(),
        other => panic!("{other} is not understood"),
    }
}

/// What of a document is not as the schema says.
fn violations(document: &str) -> Vec<String> {
    let rules = rules();
    let mut violations = Vec::new();
    let mut open: Vec<String> = Vec::new();
    let mut reader = Reader::from_str(document);
    loop {
        match reader.read_event().expect("the document is well-formed") {
            ref event @ (Event::Start(ref tag) | Event::Empty(ref tag)) => {
                let name = String::from_utf8_lossy(tag.name().as_ref()).into_owned();
                let Some(rule) = rules.get(&name) else {
                    violations.push(format!("<{name}> is unknown"));
                    continue;
                };
                let allowed = match open.last() {
                    None => name == "testsuites",
                    Some(parent) => rules[parent].children.contains(&name),
                };
                if !allowed {
                    violations.push(format!("<{name}> in {open:?}"));
                }
                for found in tag.attributes() {
                    let found = found.expect("an attribute is well-formed");
                    let key = String::from_utf8_lossy(found.key.as_ref()).into_owned();
                    let value = String::from_utf8_lossy(&found.value).into_owned();
                    match rule.attributes.get(&key) {
                        Some((kind, _)) if is_of(kind, &value) => {}
                        Some((kind, _)) => {
                            violations.push(format!("{name} {key}={value:?} is no {kind}"));
                        }
                        None => violations.push(format!("{name} has no attribute {key}")),
                    }
                }
                for (key, (_, must)) in &rule.attributes {
                    if *must && attribute(tag, key).is_none() {
                        violations.push(format!("{name} needs {key}"));
                    }
                }
                if matches!(event, Event::Start(_)) {
                    open.push(name);
                }
            }
            Event::End(_) => drop(open.pop()),
            Event::Text(text) => {
                let text = String::from_utf8_lossy(&text).into_owned();
                let may = open.last().is_some_and(|parent| rules[parent].text);
                if !may && !text.trim().is_empty() {
                    violations.push(format!("text in {open:?}: {text:?}"));
                }
            }
            Event::Eof => return violations,
            Event::CData(_)
            | Event::Comment(_)
            | Event::Decl(_)
            | Event::PI(_)
            | Event::DocType(_)
            | Event::GeneralRef(_) => {}
        }
    }
}

fn documents() -> Vec<String> {
    let all = [
        sample::passing_failover(),
        sample::failing_rto(),
        sample::inconclusive(),
        sample::invalid(),
        sample::not_restored(),
    ];
    let mut documents: Vec<String> = all
        .iter()
        .map(|report| render(std::slice::from_ref(report)))
        .collect();
    documents.push(render(&all));
    documents.push(render(&[]));
    let hostile = sample::HOSTILE.map(|text| render(&[sample::hostile(text)]));
    documents.extend(hostile);
    let repeated: Vec<Report> = (1..=3)
        .map(|number| {
            let mut report = sample::failing_rto();
            report.run.repeat = Some(Repeat {
                number,
                of: 3,
                until: None,
            });
            report
        })
        .collect();
    documents.push(render(&repeated));
    documents
}

#[test]
fn every_document_is_as_the_schema_says() {
    for document in documents() {
        assert_eq!(violations(&document), Vec::<String>::new(), "{document}");
    }
}

#[test]
fn what_is_not_as_the_schema_says_is_found() {
    for (document, violation) in [
        (
            "<testsuite name='a' tests='1' failures='0' errors='0'/>",
            "<testsuite> in []",
        ),
        (
            "<testsuites><testsuite name='a' tests='1' errors='0'/></testsuites>",
            "testsuite needs failures",
        ),
        (
            "<testsuites time='soon'/>",
            "testsuites time=\"soon\" is no xs:decimal",
        ),
        (
            "<testsuites><surprise/></testsuites>",
            "<surprise> is unknown",
        ),
        (
            "<testsuites color='red'/>",
            "testsuites has no attribute color",
        ),
        (
            "<testsuites>words</testsuites>",
            "text in [\"testsuites\"]: \"words\"",
        ),
    ] {
        assert_eq!(violations(document), [violation]);
    }
}

/// By the tool that everybody has, or nearly. Without it nothing would be shown, so it must be asked for: `cargo test -- --ignored xmllint`.
#[test]
#[ignore = "needs xmllint, of Debian's libxml2-utils"]
fn xmllint_agrees() {
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/junit/junit.xsd");
    for document in documents() {
        let mut lint = Command::new("xmllint")
            .args(["--noout", "--schema", schema, "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("xmllint is installed");
        let mut stdin = lint.stdin.take().expect("it is piped");
        stdin.write_all(document.as_bytes()).expect("it reads");
        drop(stdin);
        let output = lint.wait_with_output().expect("it ends");
        assert!(
            output.status.success(),
            "{}\n{document}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
