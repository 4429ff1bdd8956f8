//! Network security groups: a rule of ours that lets nobody in.
//!
//! Rules are gone through by their priority, and the first that fits decides. So ours has to come before every rule that lets somebody in
//! to the same ports.

use std::collections::BTreeSet;

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Part, Place, Taken, id_of, not_found};
use crate::{
    environment::{AzureKind, AzureResource},
    provider::azure::{
        AzureError,
        arm::{Ask, Body, Connection},
        change::port_words,
        locks,
    },
};

pub(in crate::provider::azure) const NETWORK: &str = "2024-05-01";
/// The first and the last priority that a rule may have.
const PRIORITIES: std::ops::RangeInclusive<u16> = 100..=4096;
/// How the names of our rules begin.
pub(in crate::provider::azure) const OURS: &str = "blackstart-block-ingress";
/// The properties that the ports of a rule stand in.
const PORT: &str = "destinationPortRange";
const PORTS: &str = "destinationPortRanges";
/// What ends the description of a rule of ours before its mark.
const DESCRIPTION: &str = "Made by Blackstart for a drill, which deletes it again. Drill ";
/// The answer to a write that was made of what is not there any more.
const PRECONDITION: u16 = 412;
/// How often something is written that somebody else's write came before.
const ATTEMPTS: u32 = 5;

/// A rule of ours in a network security group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::provider::azure) struct Rule {
    pub(super) name: String,
    /// What only this drill's rule has in its description.
    mark: String,
    priority: u16,
    /// The ports that it shuts; every one if there is none.
    ports: Vec<u16>,
    /// Whether it is there.
    is: bool,
}

/// The id of a group.
pub(in crate::provider::azure) fn id(resource: &AzureResource) -> String {
    let name = match &resource.kind {
        AzureKind::NetworkSecurityGroup { name, .. } => name.as_str(),
        AzureKind::VirtualMachine { .. }
        | AzureKind::TrafficManagerEndpoint { .. }
        | AzureKind::FrontDoorEndpoint { .. }
        | AzureKind::FrontDoorRoute { .. }
        | AzureKind::FrontDoorOrigin { .. }
        | AzureKind::StaticWebsite { .. } => "",
    };
    id_of(
        resource,
        &format!("Microsoft.Network/networkSecurityGroups/{name}"),
    )
}

/// Reads a group with its rules; `None` if it is not there.
pub(in crate::provider::azure) async fn group(
    connection: &Connection,
    id: &str,
) -> Result<Option<Value>, AzureError> {
    let what = format!("the network security group {id}");
    connection.get(id, NETWORK, &what).await
}

fn rules(group: &Value) -> impl Iterator<Item = &Value> {
    let rules = group["properties"]["securityRules"].as_array();
    rules.into_iter().flatten()
}

fn unique(group: &Value) -> Option<String> {
    let unique = group["properties"]["resourceGuid"].as_str();
    unique.map(str::to_owned)
}

pub(super) async fn take(
    connection: &Connection,
    resource: &AzureResource,
    ports: &[u16],
) -> Result<Taken, AzureError> {
    let id = id(resource);
    let found = group(connection, &id).await?;
    let found = found.ok_or_else(|| not_found(resource))?;
    let name = name_for(ports);
    let has_name = |rule: &Value| is_named(rule, &name);
    if rules(&found).any(has_name) {
        return Err(AzureError::Foreign {
            group: resource.to_string(),
            rule: name,
        });
    }
    let priority = free_priority(&found, ports, resource)?;
    // A group that lets a rule be made and not be deleted again would stay shut.
    locks::refuse_any(connection, resource, &id).await?;
    let mark = format!("{:016x}", fastrand::u64(..));
    let rule = |is| {
        Part::Rule(Rule {
            name: name.clone(),
            mark: mark.clone(),
            priority,
            ports: ports.to_vec(),
            is,
        })
    };
    Ok(Taken {
        unique: unique(&found),
        id,
        before: rule(false),
        after: rule(true),
    })
}

/// The name of a rule that shuts these ports.
fn name_for(ports: &[u16]) -> String {
    let mut name = OURS.to_owned();
    for port in ports {
        name.push('-');
        name.push_str(&port.to_string());
    }
    // The longest name that a rule may have is 80, and it must not end in a hyphen; which ports they are stands in the rule.
    name.truncate(80);
    name.truncate(name.trim_end_matches('-').len());
    name
}

fn is_named(rule: &Value, name: &str) -> bool {
    let known = rule["name"].as_str();
    known.is_some_and(|known| known.eq_ignore_ascii_case(name))
}

/// The first priority that no rule has and that comes before every rule that lets somebody in to these ports.
fn free_priority(
    group: &Value,
    ports: &[u16],
    resource: &AzureResource,
) -> Result<u16, AzureError> {
    let inbound = || rules(group).filter(|rule| rule["properties"]["direction"] == "Inbound");
    let taken: BTreeSet<u16> = inbound().filter_map(priority).collect();
    let letting_in = inbound().filter(|rule| {
        rule["properties"]["access"] == "Allow" && may_concern(&rule["properties"], ports)
    });
    let first = letting_in.min_by_key(|rule| priority(rule));
    let before = first.and_then(priority).unwrap_or(u16::MAX);
    let mut free = PRIORITIES.filter(|priority| !taken.contains(priority));
    match free.next() {
        Some(free) if free < before => Ok(free),
        Some(_) | None => Err(AzureError::LetsIn {
            group: resource.to_string(),
            rule: first
                .and_then(|rule| rule["name"].as_str())
                .unwrap_or_default()
                .to_owned(),
            priority: before,
        }),
    }
}

fn priority(rule: &Value) -> Option<u16> {
    let priority = rule["properties"]["priority"].as_u64()?;
    u16::try_from(priority).ok()
}

/// Whether a rule may be about one of these ports: what is written in a way that is not known here may.
fn may_concern(properties: &Value, ports: &[u16]) -> bool {
    if ports.is_empty() {
        return true;
    }
    let ranges = port_ranges(properties);
    if ranges.is_empty() {
        return true;
    }
    ranges.into_iter().any(|range| {
        let (from, to) = range.split_once('-').unwrap_or((range, range));
        match (from.trim().parse::<u16>(), to.trim().parse::<u16>()) {
            (Ok(from), Ok(to)) => ports.iter().any(|port| (from..=to).contains(port)),
            _ => true,
        }
    })
}

/// The ports that a rule is about, by either of the properties that they may stand in: one at a time, or several in any order.
fn port_ranges(properties: &Value) -> BTreeSet<&str> {
    let one = properties[PORT].as_str().into_iter();
    let several = properties[PORTS].as_array();
    let several = several.into_iter().flatten().filter_map(Value::as_str);
    one.chain(several)
        .filter(|range| !range.is_empty())
        .collect()
}

impl Rule {
    /// What is written.
    fn properties(&self) -> Value {
        let mut properties = json!({
            "description": format!("{DESCRIPTION}{}.", self.mark),
            "priority": self.priority,
            "direction": "Inbound",
            "access": "Deny",
            "protocol": "*",
            "sourceAddressPrefix": "*",
            "sourcePortRange": "*",
            "destinationAddressPrefix": "*",
        });
        match &self.ports[..] {
            [] => properties[PORT] = "*".into(),
            // A list of one comes back in the singular.
            [port] => properties[PORT] = port.to_string().into(),
            ports => {
                let ports = ports.iter().map(u16::to_string).collect::<Vec<_>>();
                properties[PORTS] = ports.into();
            }
        }
        properties
    }

    /// The rule under our name, if there is one.
    fn find<'g>(&self, group: &'g Value) -> Option<&'g Value> {
        rules(group).find(|rule| is_named(rule, &self.name))
    }

    /// What a group has of it.
    fn of(&self, group: &Value) -> Part {
        let Some(found) = self.find(group) else {
            return Part::Rule(Self {
                is: false,
                ..self.clone()
            });
        };
        let (ours, theirs) = (self.properties(), &found["properties"]);
        let (wanted, ports) = (port_ranges(&ours), port_ranges(theirs));
        let ours = ours.as_object().into_iter().flatten();
        let mut differs: Vec<String> = ours
            .filter(|(key, value)| {
                ![PORT, PORTS].contains(&key.as_str()) && theirs[key.as_str()] != **value
            })
            .map(|(key, _)| format!("{key} {}", theirs[key.as_str()]))
            .collect();
        if ports != wanted {
            let ports: Vec<&str> = ports.into_iter().collect();
            differs.push(format!("destination ports {}", ports.join(", ")));
        }
        if differs.is_empty() {
            return Part::Rule(Self {
                is: true,
                ..self.clone()
            });
        }
        Part::Foreign(format!(
            "a rule `{}` with {}",
            self.name,
            differs.join(", ")
        ))
    }

    pub(super) async fn read(&self, place: Place<'_>) -> Result<Part, AzureError> {
        let found = group(place.connection, place.id).await?;
        Ok(match found {
            Some(group) if !place.is_another(unique(&group).as_deref()) => self.of(&group),
            Some(_) | None => Part::Gone,
        })
    }

    /// Makes the rule, or deletes it. What is deleted is what was read, of the version that was read.
    pub(super) async fn apply(&self, place: Place<'_>) -> Result<(), AzureError> {
        let connection = place.connection;
        let path = format!("{}/securityRules/{}", place.id, self.name);
        let address = connection.address(&path, NETWORK);
        if self.is {
            let what = format!("making the rule `{}` of {}", self.name, place.resource);
            let asked = connection.carry_out(Ask {
                method: Method::PUT,
                address,
                what: &what,
                body: Body::Json(json!({ "properties": self.properties() })),
                if_match: None,
            });
            return asked.await;
        }
        let what = format!("deleting the rule `{}` of {}", self.name, place.resource);
        let mut attempt = 1;
        loop {
            let found = group(connection, place.id).await?.unwrap_or_default();
            let Some(rule) = self.find(&found) else {
                return Ok(());
            };
            let deleted = connection.carry_out(Ask {
                method: Method::DELETE,
                address: address.clone(),
                what: &what,
                body: Body::Nothing,
                if_match: rule["etag"].as_str().map(str::to_owned),
            });
            match deleted.await {
                Err(AzureError::Refused { status: 404, .. }) => return Ok(()),
                Err(AzureError::Refused {
                    status: PRECONDITION,
                    ..
                }) if attempt < ATTEMPTS => attempt += 1,
                done => return done,
            }
        }
    }

    pub(super) fn words(&self) -> String {
        if self.is {
            format!(
                "the rule `{}`, which lets nobody in to {}",
                self.name,
                port_words(&self.ports)
            )
        } else {
            format!("no rule `{}`", self.name)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allow(name: &str, priority: u16, ports: &str) -> Value {
        json!({ "name": name, "properties": {
            "priority": priority, "direction": "Inbound", "access": "Allow", "destinationPortRange": ports,
        } })
    }

    fn free(rules: &[Value], ports: &[u16]) -> Result<u16, String> {
        let group = json!({ "properties": { "securityRules": rules } });
        free_priority(&group, ports, &AzureResource::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_rule_gets_the_first_priority_that_no_inbound_rule_has() {
        assert_eq!(free(&[], &[]), Ok(100));
        let deny = |priority: u16| {
            json!({ "name": "deny", "properties": {
                "priority": priority, "direction": "Inbound", "access": "Deny", "destinationPortRange": "*",
            } })
        };
        assert_eq!(
            free(&[deny(100), deny(101), allow("http", 300, "80")], &[]),
            Ok(102)
        );
        // Those of the other direction have priorities of their own.
        let mut outbound = deny(100);
        outbound["properties"]["direction"] = "Outbound".into();
        assert_eq!(free(&[outbound], &[]), Ok(100));
    }

    #[test]
    fn where_a_rule_lets_somebody_in_before_the_first_free_priority_it_is_named() {
        let error = free(&[allow("ssh", 100, "22")], &[]).unwrap_err();
        assert!(error.contains("`ssh`") && error.contains("100"), "{error}");
    }

    fn rule(ports: &[u16]) -> Rule {
        Rule {
            name: name_for(ports),
            mark: "0123456789abcdef".to_owned(),
            priority: 100,
            ports: ports.to_vec(),
            is: true,
        }
    }

    #[test]
    fn a_name_has_eighty_characters_at_most_and_does_not_end_in_a_hyphen() {
        assert_eq!(name_for(&[]), OURS);
        assert_eq!(name_for(&[80, 443]), format!("{OURS}-80-443"));
        // The eightieth character would be a hyphen.
        let ports: Vec<u16> = [1, 4444].into_iter().chain(20_000..20_020).collect();
        let name = name_for(&ports);
        assert_eq!(name.len(), 79);
        assert!(name.ends_with("-20007"), "{name}");
    }

    #[test]
    fn ports_are_the_same_in_any_order_and_in_either_property() {
        let group = |rule: &Rule, key: &str, ports: Value| {
            let mut properties = rule.properties();
            for key in [PORT, PORTS] {
                properties.as_object_mut().unwrap().remove(key);
            }
            properties[key] = ports;
            let known = json!({ "name": rule.name, "properties": properties });
            json!({ "properties": { "securityRules": [known] } })
        };
        let several = rule(&[80, 443]);
        assert_eq!(several.properties()[PORTS], json!(["80", "443"]));
        let other_way_round = group(&several, PORTS, json!(["443", "80"]));
        assert_eq!(several.of(&other_way_round), Part::Rule(several.clone()));
        let less = group(&several, PORTS, json!(["443"]));
        assert!(matches!(several.of(&less), Part::Foreign(what) if what.contains("ports 443")));
        let one = rule(&[80]);
        assert_eq!(one.properties()[PORT], "80");
        let in_a_list = group(&one, PORTS, json!(["80"]));
        assert_eq!(one.of(&in_a_list), Part::Rule(one.clone()));
    }

    #[test]
    fn a_rule_for_other_ports_is_not_in_the_way() {
        let rules = [allow("ssh", 100, "22"), allow("web", 200, "8080-8090")];
        assert_eq!(free(&rules, &[80]), Ok(101));
        assert_eq!(free(&rules, &[80, 8085]), Ok(101));
        assert!(free(&[allow("web", 100, "8080-8090")], &[8085]).is_err());
        assert!(free(&[allow("odd", 100, "http")], &[80]).is_err());
    }
}
