//! What generated definitions need to become the language of the files.

use serde_json::{Map, Value, json};

use crate::environment::METHODS;

/// Fields that a file may leave out although their documentation names no default: nothing, or none of them, is meant.
const OPTIONAL: [(&str, &[&str]); 13] = [
    (
        "Exercise",
        &[
            "third-parties",
            "out-of-scope",
            "assumptions",
            "references",
            "participants",
            "observers",
            "actions",
        ],
    ),
    ("Service", &["requests"]),
    ("Webhook", &["headers"]),
    ("Request", &["headers", "form"]),
    ("Tier", &["about"]),
    (
        "Stack",
        &[
            "zones",
            "health-checks",
            "calculated-checks",
            "resolver",
            "vantages",
            "load-balancers",
            "target-groups",
            "workloads",
            "distributions",
            "virtual-machines",
            "static-sites",
            "databases",
            "buckets",
        ],
    ),
    // An alias takes over the TTL of what it points at, any other record has its own: see below.
    ("Record", &["ttl"]),
    ("HealthCheck", &["disabled", "inverted"]),
    ("CalculatedCheck", &["inverted"]),
    ("Bucket", &["objects"]),
    ("Vantage", &["resolver"]),
    ("Distribution", &["aliases", "origin-groups"]),
    ("StaticSite", &["hosts"]),
];

/// Fields that hold a name which other places refer to.
const NAMES: [(&str, &str); 4] = [
    ("Tier", "tier"),
    ("HttpProbe", "name"),
    ("DnsProbe", "name"),
    ("Observer", "observer"),
];

/// Lists that are not empty.
const NOT_EMPTY: [&str; 18] = [
    "inject",
    "revert",
    "verify",
    "children",
    "nearest",
    "targets",
    "kinds",
    "contexts",
    "namespaces",
    "subscriptions",
    "resource-groups",
    "path",
    "never",
    "is",
    "fail-with",
    "good-status",
    "listeners",
    "behaviors",
];

/// Numbers that are status codes.
const STATUS_CODES: [&str; 6] = [
    "status",
    "is",
    "fail-with",
    "good-status",
    "failover-status-codes",
    "unknown-host-status",
];

/// Definitions in the language of the files, with those that every file needs.
pub(super) fn definitions(generated: Map<String, Value>) -> Map<String, Value> {
    let mut definitions: Map<String, Value> = generated
        .into_iter()
        .map(|(name, mut schema)| {
            adapt(&mut schema, &name, "");
            (name, schema)
        })
        .collect();
    if let Some(record) = definitions.get_mut("Record").and_then(Value::as_object_mut) {
        record.insert(
            "oneOf".to_owned(),
            json!([{ "required": ["ttl"] }, { "required": ["alias"] }]),
        );
    }
    // A stand-in has a token of its own.
    if let Some(azure) = definitions.get_mut("Azure").and_then(Value::as_object_mut) {
        azure.insert(
            "dependentRequired".to_owned(),
            json!({ "endpoint": ["token-variable"], "token-variable": ["endpoint"] }),
        );
    }
    definitions.insert(
        "Duration".to_owned(),
        json!({
            "description": "A duration with its unit: `500ms`, `30s`, `2m`, `1h`, `1m30s`.",
            "type": "string",
            "anyOf": [
                { "pattern": r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$" },
                { "$ref": "#/$defs/Variable" },
            ],
        }),
    );
    definitions.insert(
        "Percentage".to_owned(),
        json!({
            "description": "A share with its sign: `99.5%`.",
            "type": "string",
            "anyOf": [
                { "pattern": r"^[0-9]+(\.[0-9]+)?%$" },
                { "$ref": "#/$defs/Variable" },
            ],
        }),
    );
    definitions.insert(
        "Name".to_owned(),
        json!({
            "description": "A name that other places refer to.",
            "type": "string",
            "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
        }),
    );
    definitions.insert(
        "Variable".to_owned(),
        json!({
            "description": "A value that comes from the process environment: `${NAME}`, or `${NAME:-default}`.",
            "type": "string",
            "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}",
        }),
    );
    definitions
}

/// Makes the variants of an enum the properties of one object with exactly one of them, in the order of the documentation.
pub(super) fn merge_variants(definitions: &mut Map<String, Value>, name: &str, order: &[&str]) {
    let Some(definition) = definitions.get_mut(name) else {
        return;
    };
    let variants = definition["oneOf"].as_array().cloned().unwrap_or_default();
    let mut properties = Map::new();
    for word in order {
        let property = variants.iter().find_map(|variant| {
            let description = variant.get("description").cloned();
            // A variant without values is a word of its own, and `true` in a file.
            let mut inner = if variant
                .get("const")
                .is_some_and(|constant| constant == word)
            {
                json!({ "const": true })
            } else {
                variant.get("properties")?.get(word)?.clone()
            };
            if let (Some(inner), Some(description)) = (inner.as_object_mut(), description) {
                inner.insert("description".to_owned(), description);
            }
            Some(inner)
        });
        if let Some(property) = property {
            properties.insert((*word).to_owned(), property);
        }
    }
    *definition = json!({
        "description": definition["description"],
        "type": "object",
        "properties": properties,
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": false,
    });
}

/// Lets a merged object have several of its properties.
pub(super) fn allow_several(definitions: &mut Map<String, Value>, name: &str) {
    if let Some(definition) = definitions.get_mut(name).and_then(Value::as_object_mut) {
        definition.remove("maxProperties");
    }
}

/// Adapts a schema and everything in it. `key` is the property it belongs to, if any.
fn adapt(schema: &mut Value, definition: &str, key: &str) {
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    drop_null(object);
    object.remove("format");
    if let Some(Value::Object(properties)) = object.remove("properties") {
        let (properties, required) = adapt_properties(properties, definition);
        object.insert("properties".to_owned(), Value::Object(properties));
        object.remove("required");
        if !required.is_empty() {
            object.insert("required".to_owned(), required.into());
        }
        object.insert("additionalProperties".to_owned(), false.into());
    } else if let Some(values) = object.get_mut("additionalProperties") {
        adapt(values, definition, key);
    }
    if let Some(items) = object.get_mut("items") {
        adapt(items, definition, key);
    }
    if let Some(Value::Array(variants)) = object.get_mut("oneOf") {
        let words = variants
            .iter()
            .all(|variant| variant.get("const").is_some());
        for variant in variants.iter_mut() {
            adapt(variant, definition, key);
        }
        if words {
            variants.push(json!({ "$ref": "#/$defs/Variable" }));
        }
    }
    adapt_leaf(object, key);
}

fn adapt_properties(
    properties: Map<String, Value>,
    definition: &str,
) -> (Map<String, Value>, Vec<String>) {
    let mut adapted = Map::new();
    let mut required = Vec::new();
    for (key, mut property) in properties {
        let key = key.replace('_', "-");
        if !may_be_left_out(&property, definition, &key) {
            required.push(key.clone());
        }
        if NAMES.contains(&(definition, key.as_str())) {
            property = json!({
                "description": property["description"],
                "$ref": "#/$defs/Name",
            });
        } else {
            adapt(&mut property, definition, &key);
        }
        adapted.insert(key, property);
    }
    (adapted, required)
}

fn may_be_left_out(property: &Value, definition: &str, key: &str) -> bool {
    let documented = property["description"]
        .as_str()
        .is_some_and(|description| description.contains("Default"));
    let listed = OPTIONAL
        .iter()
        .any(|(name, keys)| *name == definition && keys.contains(&key));
    documented || listed || has_null(property)
}

fn has_null(schema: &Value) -> bool {
    let is_null = |schema: &Value| schema["type"] == "null";
    let in_types = schema["type"]
        .as_array()
        .is_some_and(|types| types.iter().any(|kind| kind == "null"));
    let in_choice = schema["anyOf"]
        .as_array()
        .is_some_and(|choice| choice.iter().any(is_null));
    in_types || in_choice
}

/// Files leave a key out instead of giving it nothing.
fn drop_null(object: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(choice)) = object.get("anyOf")
        && let Some(Value::Object(real)) = choice
            .iter()
            .find(|schema| schema["type"] != "null")
            .cloned()
        && choice.len() == 2
    {
        object.remove("anyOf");
        object.extend(real);
    }
}

/// Values that are not text can come from a variable, which is text.
fn adapt_leaf(object: &mut Map<String, Value>, key: &str) {
    let kind = object
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    match kind.as_str() {
        "number" if key == "at-least" => {
            object.remove("type");
            object.insert("$ref".to_owned(), "#/$defs/Percentage".into());
        }
        "integer" | "number" | "boolean" => {
            let description = object.remove("description");
            if STATUS_CODES.contains(&key) {
                object.insert("minimum".to_owned(), 100.into());
                object.insert("maximum".to_owned(), 599.into());
            }
            let value = Value::Object(std::mem::take(object));
            if let Some(description) = description {
                object.insert("description".to_owned(), description);
            }
            object.insert(
                "anyOf".to_owned(),
                json!([value, { "$ref": "#/$defs/Variable" }]),
            );
        }
        "string" if key == "method" => {
            object.insert(
                "anyOf".to_owned(),
                json!([{ "enum": METHODS }, { "$ref": "#/$defs/Variable" }]),
            );
        }
        "string" if key == "matcher" => {
            // `200` and `200-399` are both written without quotes.
            object.insert("type".to_owned(), json!(["string", "integer"]));
        }
        "string" if key == "pass-rate" => {
            object.remove("type");
            object.insert("$ref".to_owned(), "#/$defs/PassRate".into());
        }
        "string" if !object.contains_key("const") && !object.contains_key("enum") => {
            object.insert("minLength".to_owned(), 1.into());
        }
        "object" if ["served-by", "weights"].contains(&key) => {
            object.insert("minProperties".to_owned(), 1.into());
        }
        "array" if NOT_EMPTY.contains(&key) => {
            object.insert("minItems".to_owned(), 1.into());
        }
        _ => {}
    }
}
