//! A target that is a resource of Azure: one key says what it is, and others go with that one only.

use serde_json::{Map, Value, json};

use super::{described, reference, text};

/// The keys that say what it is, with what goes with each: what must, and what may.
const KINDS: [(&str, &str, &[&str], &[&str]); 5] = [
    (
        "virtual-machine",
        "The name of a virtual machine.",
        &[],
        &["deallocate"],
    ),
    (
        "network-security-group",
        "The name of a network security group.",
        &[],
        &["ports"],
    ),
    (
        "traffic-manager-profile",
        "The name of a Traffic Manager profile, one of whose endpoints is meant.",
        &["endpoint"],
        &[],
    ),
    (
        "front-door-profile",
        "The name of an Azure Front Door profile (Standard or Premium), of which an endpoint, a route or an origin is meant.",
        &[],
        &["endpoint", "route", "origin-group", "origin"],
    ),
    (
        "static-website",
        "The name of the storage account whose static website is meant.",
        &[],
        &[],
    ),
];

/// The keys of every target.
const PLACES: [&str; 2] = ["subscription", "resource-group"];

pub(super) fn resource() -> Value {
    let mut properties: Map<String, Value> = KINDS
        .iter()
        .map(|(key, description, ..)| ((*key).to_owned(), described(text(), description)))
        .collect();
    let texts = [
        ("endpoint", "The name of an endpoint of the profile."),
        (
            "route",
            "The name of a route of the endpoint of Front Door.",
        ),
        ("origin-group", "The name of an origin group of Front Door."),
        ("origin", "The name of an origin of that group."),
        (
            "subscription",
            "The id of the subscription, if not that of `azure:` at the top.",
        ),
        (
            "resource-group",
            "The resource group, if not that of `azure:` at the top.",
        ),
    ];
    properties
        .extend(texts.map(|(key, description)| (key.to_owned(), described(text(), description))));
    properties.insert(
        "deallocate".to_owned(),
        json!({
            "description": "Whether `stop` gives the machine's hardware back. Default `false`: its power is off, and it keeps what it has.",
            "type": "boolean",
        }),
    );
    properties.insert(
        "ports".to_owned(),
        json!({
            "description": "The ports that `block-ingress` shuts. Default: every port.",
            "type": "array",
            "minItems": 1,
            "items": {
                "anyOf": [
                    { "type": "integer", "minimum": 1, "maximum": 65535 },
                    reference("Variable"),
                ],
            },
        }),
    );
    let one_of: Vec<Value> = KINDS
        .iter()
        .flat_map(|(key, _, must, may)| forms(key, must, may))
        .collect();
    json!({
        "description": "A resource of Azure.",
        "type": "object",
        "properties": properties,
        "oneOf": one_of,
        "additionalProperties": false,
    })
}

/// The forms that a kind of resource has.
fn forms(key: &str, must: &[&str], may: &[&str]) -> Vec<Value> {
    if key == "front-door-profile" {
        return vec![
            form(key, &["endpoint"], &["route"]),
            form(key, &["origin-group", "origin"], &[]),
        ];
    }
    vec![form(key, must, may)]
}

fn form(key: &str, must: &[&str], may: &[&str]) -> Value {
    let required: Vec<&str> = [key].into_iter().chain(must.iter().copied()).collect();
    let allowed = required.iter().chain(may).chain(&PLACES);
    let names: Vec<&str> = allowed.copied().collect();
    json!({ "required": required, "propertyNames": { "enum": names } })
}
