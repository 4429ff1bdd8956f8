//! JSON Schemas (draft 2020-12) of drill files, environment files and `report.json`, generated from the types and their documentation.
//!
//! What the types cannot say is said here: the merged forms (an entry of `faults:` has one key for its fault, `expect:` is one
//! mapping), and what a file may leave out. A field may be left out if it is an `Option`, if its documentation names a default, or
//! if it is listed in `shape`; a test takes every key out of a file in turn and holds the schema against the decoder.

mod azure;
mod shape;

use schemars::{
    SchemaGenerator,
    generate::{Contract, SchemaSettings},
};
use serde_json::{Map, Value, json};

use crate::{
    drill::{
        AbortIf, Command, Exercise, Expect, Fault, InconclusivePolicy, SteadyState,
        abort_if::CONDITIONS, decode::FAULTS, expectations::EXPECTATIONS,
    },
    environment::{
        AwsAccount, Azure, Docker, Kubernetes, Ledger, Limits, Notify, Observer, Probe, SPEEDS,
        Service, Tier, aws,
    },
    report::Report,
};
use blackstart_lab::{
    control::ResourceKind,
    stack::{DurationText, Stack},
};

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The schema of a drill file.
pub fn drill() -> Value {
    let mut generator = generator();
    generator.subschema_for::<DurationText>();
    generator.subschema_for::<SteadyState>();
    generator.subschema_for::<InconclusivePolicy>();
    generator.subschema_for::<Fault>();
    generator.subschema_for::<Expect>();
    generator.subschema_for::<AbortIf>();
    generator.subschema_for::<Exercise>();
    let mut definitions = shape::definitions(generator.take_definitions(true));
    shape::merge_variants(&mut definitions, "Fault", &FAULTS);
    shape::merge_variants(&mut definitions, "Expect", &EXPECTATIONS);
    shape::allow_several(&mut definitions, "Expect");
    shape::merge_variants(&mut definitions, "AbortIf", &CONDITIONS);
    definitions.insert(
        "PassRate".to_owned(),
        json!({
            "description": "A share of runs and how sure it must be: `0.9 @ 0.95`.",
            "type": "string",
            "anyOf": [
                { "pattern": r"^\s*0?\.[0-9]+\s*@\s*0?\.[0-9]+\s*$" },
                { "$ref": "#/$defs/Variable" },
            ],
        }),
    );
    definitions.insert("Step".to_owned(), step());
    json!({
        "$schema": DIALECT,
        "title": "A drill of Blackstart",
        "description": "What to break, how long, and what must hold.",
        "type": "object",
        "properties": {
            "drill": described(name(), "The name, unique in a run; also the name of the test case."),
            "about": described(text(), "What the drill proves, in a sentence for the report."),
            "environment": described(
                text(),
                "The environment it is written for: its name, or the path of its file from the folder of the drill.",
            ),
            "tags": { "description": "Words to select drills by.", "type": "array", "items": name() },
            "steady-state": described(reference("SteadyState"), "What must hold before anything is broken."),
            "faults": {
                "description": "What is broken, in order.",
                "type": "array",
                "minItems": 1,
                "items": reference("Step"),
            },
            "hold": {
                "description": "How long the faults stay before they are reverted, from the last fault's acknowledgement; \
                    `until stable` waits for users to be served again, and at the latest for the longest limit among the expectations.",
                "anyOf": [{ "const": "until stable" }, reference("Duration")],
            },
            "abort-if": abort_if("What ends the drill early, with everything reverted, besides what the environment says."),
            "expect": described(reference("Expect"), "What must hold. Each entry is one test case."),
            "inconclusive": described(
                reference("InconclusivePolicy"),
                "What an expectation that the measurement cannot decide counts as. Default `fail`.",
            ),
            "exercise": described(
                reference("Exercise"),
                "What people say of the drill, for the report. Whatever is left out is a blank line there.",
            ),
        },
        "required": ["drill", "environment", "faults", "hold", "expect"],
        "additionalProperties": false,
        "$defs": definitions,
    })
}

/// The schema of an environment file.
pub fn environment() -> Value {
    let mut generator = generator();
    generator.subschema_for::<DurationText>();
    generator.subschema_for::<Service>();
    generator.subschema_for::<Tier>();
    generator.subschema_for::<Probe>();
    generator.subschema_for::<Observer>();
    generator.subschema_for::<Ledger>();
    generator.subschema_for::<Stack>();
    generator.subschema_for::<Limits>();
    generator.subschema_for::<Docker>();
    generator.subschema_for::<Azure>();
    generator.subschema_for::<Notify>();
    generator.subschema_for::<Kubernetes>();
    generator.subschema_for::<AwsAccount>();
    generator.subschema_for::<Command>();
    generator.subschema_for::<AbortIf>();
    let mut definitions = shape::definitions(generator.take_definitions(true));
    shape::merge_variants(&mut definitions, "AbortIf", &CONDITIONS);
    definitions.insert("Target".to_owned(), target());
    json!({
        "$schema": DIALECT,
        "title": "An environment of Blackstart",
        "description": "What the names in a drill stand for.",
        "type": "object",
        "properties": {
            "environment": described(name(), "The name that drills refer to."),
            "about": described(text(), "What it is, in a sentence for the report."),
            "speed": {
                "description": "How many times as fast as the wall's clock the lab's clock runs. Default 1.",
                "anyOf": [
                    { "type": "number", "minimum": SPEEDS.start(), "maximum": SPEEDS.end() },
                    reference("Variable"),
                ],
            },
            "service": described(reference("Service"), "What users ask for."),
            "tiers": {
                "description": "Who may answer, the preferred one first.",
                "type": "array",
                "minItems": 1,
                "items": reference("Tier"),
            },
            "probes": {
                "description": "How the service is looked at.",
                "type": "array",
                "minItems": 1,
                "items": reference("Probe"),
            },
            "observers": {
                "description": "The system's own view of itself.",
                "type": "array",
                "items": reference("Observer"),
            },
            "ledger": described(
                reference("Ledger"),
                "Which writes are counted, and how they are read back: what an `rpo` is measured by.",
            ),
            "docker": described(reference("Docker"), "Where the containers are that targets name."),
            "azure": described(reference("Azure"), "Where the resources of Azure are that targets name."),
            "kubernetes": described(reference("Kubernetes"), "Where the objects of Kubernetes are that targets name."),
            "aws": described(reference("AwsAccount"), "How AWS is reached."),
            "targets": {
                "description": "What faults can be applied to, by name.",
                "type": "object",
                "propertyNames": name(),
                "additionalProperties": reference("Target"),
            },
            "limits": described(reference("Limits"), "What a drill may do here, whatever it says."),
            "abort-if": abort_if("What ends every drill here early, with everything reverted."),
            "notify": {
                "description": "Who is told while a drill runs.",
                "type": "array",
                "minItems": 1,
                "items": reference("Notify"),
            },
            "protected": {
                "description": "Whether a drill runs here only for somebody who gives the environment's name: `--confirm NAME`, or \
                    typed when asked. Default `false`. Cannot come from a variable.",
                "type": "boolean",
            },
            "stack": described(reference("Stack"), "What the lab stands in for. Required if a target is bound to the lab."),
        },
        "required": ["environment", "service", "tiers", "probes"],
        "additionalProperties": false,
        "$defs": definitions,
    })
}

/// The schema of `report.json`. Readers ignore what they do not know, so other keys are allowed.
pub fn report() -> Value {
    let mut generator = generator();
    let mut schema = generator.root_schema_for::<Report>().to_value();
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("title".to_owned(), "A report of Blackstart".into());
    }
    schema
}

fn generator() -> SchemaGenerator {
    let mut settings = SchemaSettings::draft2020_12();
    settings.contract = Contract::Serialize;
    settings.into_generator()
}

/// An entry of `faults:`: one fault or `together:`, and when.
fn step() -> Value {
    let mut properties: Map<String, Value> = FAULTS
        .iter()
        .map(|fault| {
            let place = format!("#/$defs/Fault/properties/{fault}");
            ((*fault).to_owned(), json!({ "$ref": place }))
        })
        .collect();
    let fault = json!({ "$ref": "#/$defs/Fault/properties/pause" });
    let person = described(
        text(),
        "What a person is to do; the drill waits until somebody says that it is done. Needs `run --interactive`.",
    );
    properties.insert("pause".to_owned(), json!({ "anyOf": [fault, person] }));
    properties.insert(
        "together".to_owned(),
        json!({
            "description": "Faults that are injected at the same time.",
            "type": "array",
            "minItems": 1,
            "items": reference("Fault"),
        }),
    );
    let one_of: Vec<Value> = properties
        .keys()
        .map(|key| json!({ "required": [key] }))
        .collect();
    properties.insert(
        "after".to_owned(),
        json!({
            "description": "When this is due, counted from the entry before: so much later, when users have been served without \
                a failure again for as long as makes a stable run (`recovered`), or when they have been without a failure for so \
                long since then (`good-for`). Default: at once.",
            "anyOf": [{ "const": "recovered" }, reference("Duration"), good_for()],
        }),
    );
    let wait = json!({ "required": ["pause"], "properties": { "pause": { "type": "string" } } });
    properties.insert(
        "role".to_owned(),
        described(name(), "Whose it is to do what `pause` says."),
    );
    properties.insert(
        "within".to_owned(),
        described(
            reference("Duration"),
            "How long a person is waited for; after that everything is reverted. Default `15m`.",
        ),
    );
    json!({
        "description": "A fault, several at once, or a person to wait for, and when.",
        "type": "object",
        "properties": properties,
        "oneOf": one_of,
        "dependentSchemas": { "role": wait, "within": wait },
        "additionalProperties": false,
    })
}

/// A target: exactly one binding. The lab's names exactly one kind of thing.
fn target() -> Value {
    let kinds: Map<String, Value> = ResourceKind::ALL
        .iter()
        .map(|kind| {
            let description = format!("The name of a {} in the stack.", kind.as_str());
            (kind.as_str().to_owned(), described(text(), &description))
        })
        .collect();
    json!({
        "description": "What a fault can be applied to, and how it is reached.",
        "type": "object",
        "properties": {
            "lab": {
                "description": "A thing in the lab.",
                "type": "object",
                "properties": kinds,
                "minProperties": 1,
                "maxProperties": 1,
                "additionalProperties": false,
            },
            "docker": containers(),
            "azure": azure::resource(),
            "kubernetes": objects(),
            "aws": resource(),
            "command": programs(),
        },
        "oneOf": [{ "required": ["lab"] }, { "required": ["docker"] }, { "required": ["azure"] }, { "required": ["kubernetes"] }, { "required": ["aws"] }, { "required": ["command"] }],
        "additionalProperties": false,
    })
}

/// One way to find containers, and what of the lab is meant that runs in them.
fn containers() -> Value {
    json!({
        "description": "Containers, or something of the lab that runs in one.",
        "type": "object",
        "properties": {
            "container": described(text(), "The name or the id of a container."),
            "service": described(text(), "A Compose service; every replica of it is meant."),
            "label": described(text(), "A label, `name` or `name=value`; every container that has it is meant."),
            "target-group": described(text(), "The target group of the lab's load balancer that runs in it."),
            "health-check": described(text(), "The health check of the lab's name server that runs in it."),
            "ports": {
                "description": "The ports that are shut when ingress is blocked. Default: every TCP port.",
                "type": "array",
                "minItems": 1,
                "items": {
                    "anyOf": [
                        { "type": "integer", "minimum": 1, "maximum": 65535 },
                        reference("Variable"),
                    ],
                },
            },
            "from": {
                "description": "The sources that ingress is blocked for, as `10.0.0.0/8`. Default: every source.",
                "type": "array",
                "minItems": 1,
                "items": text(),
            },
        },
        "oneOf": [{ "required": ["container"] }, { "required": ["service"] }, { "required": ["label"] }],
        "not": { "required": ["target-group", "health-check"] },
        "additionalProperties": false,
    })
}

/// Programs in the place of a binding: one set of them for each fault that can be applied.
fn programs() -> Value {
    let words = FAULTS.iter().filter(|word| **word != "command");
    let mut properties: Map<String, Value> = words
        .map(|word| ((*word).to_owned(), reference("Command")))
        .collect();
    let argv = json!({
        "description": "The program and its arguments. It ends with 0 if the target is healthy, with 1 if it is not, and with anything \
            else if that is not known; what it prints is shown.",
        "type": "array",
        "minItems": 1,
        "items": { "type": "string" },
    });
    let names = json!({
        "description": "Variables of the harness's own environment that it gets, by their names. Default: none.",
        "type": "array",
        "minItems": 1,
        "items": text(),
    });
    properties.insert(
        "health".to_owned(),
        json!({
            "description": "What tells how the target is.",
            "type": "object",
            "properties": {
                "run": argv,
                "environment": names,
                "timeout": described(reference("Duration"), "How long it may run, 30 s at most. Default `10s`."),
            },
            "required": ["run"],
            "additionalProperties": false,
        }),
    );
    json!({
        "description": "Programs that break the target and put it back, run beside the harness without a shell: for what there is no \
            other binding for. `{replicas}`, `{path}` and `{zone}` in their arguments stand for what the drill says. The fault `command` \
            brings programs of its own.",
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    })
}

/// Objects of a Kubernetes cluster.
fn objects() -> Value {
    let of_kind = |kind: &str| {
        format!(
            "The name of a {kind}, or `*` for every one of the namespace, of those with `label:` if that is given."
        )
    };
    let kinds = [
        "deployment",
        "stateful-set",
        "replica-set",
        "rollout",
        "service",
        "node",
    ];
    let mut properties: Map<String, Value> = kinds
        .iter()
        .map(|kind| ((*kind).to_owned(), described(text(), &of_kind(kind))))
        .collect();
    properties.insert(
        "object".to_owned(),
        json!({
            "description": "Anything else that has a scale subresource.",
            "type": "object",
            "properties": {
                "api-version": described(text(), "Its group and version, for example `argoproj.io/v1alpha1`."),
                "kind": described(text(), "Its kind, for example `Rollout`."),
                "plural": described(text(), "Its name in paths. Default: the kind in small letters with an `s`."),
                "name": described(text(), &of_kind("such object")),
            },
            "required": ["api-version", "kind", "name"],
            "additionalProperties": false,
        }),
    );
    let one_of: Vec<Value> = properties
        .keys()
        .map(|key| json!({ "required": [key] }))
        .collect();
    let places = [
        (
            "kubeconfig",
            "The kubeconfig, if not that of `kubernetes:` at the top.",
        ),
        (
            "context",
            "The context, if not that of `kubernetes:` at the top.",
        ),
        (
            "namespace",
            "The namespace, if not that of `kubernetes:` at the top.",
        ),
        (
            "label",
            "Only those with this label, as `kubectl --selector` takes it.",
        ),
    ];
    properties
        .extend(places.map(|(key, description)| (key.to_owned(), described(text(), description))));
    json!({
        "description": "Objects of a Kubernetes cluster.",
        "type": "object",
        "properties": properties,
        "oneOf": one_of,
        "additionalProperties": false,
    })
}

/// A resource of AWS.
fn resource() -> Value {
    let mut properties: Map<String, Value> = aws::KINDS
        .iter()
        .map(|(word, _, about)| ((*word).to_owned(), described(text(), about)))
        .collect();
    properties.insert(
        "record".to_owned(),
        json!({
            "description": "The weighted records of one name and type in Route 53.",
            "type": "object",
            "properties": {
                "zone": described(text(), "The id of their hosted zone."),
                "name": described(text(), "Their name."),
                "type": described(text(), "Their type, for example `A`."),
            },
            "required": ["zone", "name", "type"],
            "additionalProperties": false,
        }),
    );
    let one_of: Vec<Value> = properties
        .keys()
        .map(|key| json!({ "required": [key] }))
        .collect();
    let places = [
        ("profile", "The profile, if not that of `aws:` at the top."),
        ("region", "The region, if not that of `aws:` at the top."),
        ("account", "The account, if not that of `aws:` at the top."),
        (
            "endpoint",
            "The endpoint, if not that of `aws:` at the top.",
        ),
    ];
    properties
        .extend(places.map(|(key, description)| (key.to_owned(), described(text(), description))));
    json!({
        "description": "A resource of AWS.",
        "type": "object",
        "properties": properties,
        "oneOf": one_of,
        "additionalProperties": false,
    })
}

/// The condition to go on of a runbook.
fn good_for() -> Value {
    json!({
        "type": "object",
        "properties": {
            "good-for": described(reference("Duration"), "How long users must have been served without one failure."),
        },
        "required": ["good-for"],
        "additionalProperties": false,
    })
}

fn abort_if(description: &str) -> Value {
    json!({
        "description": description,
        "type": "array",
        "minItems": 1,
        "items": reference("AbortIf"),
    })
}

fn reference(definition: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{definition}") })
}

fn name() -> Value {
    reference("Name")
}

fn text() -> Value {
    json!({ "type": "string", "minLength": 1 })
}

fn described(mut schema: Value, description: &str) -> Value {
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("description".to_owned(), description.into());
    }
    schema
}

#[cfg(test)]
mod tests;
