//! The weights of weighted records in Route 53.

use std::collections::BTreeMap;

use http::Method;
use serde::{Deserialize, Serialize};

use super::{
    AwsError,
    answer::Element,
    client::{Kind, Request},
    connection::Connection,
    service::ROUTE_53,
};
use crate::environment::AwsRecord;

const NOT_FOUND: [&str; 1] = ["NoSuchHostedZone"];

/// The weights of the records of one name and type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Weights {
    record: AwsRecord,
    /// By the records' set identifiers.
    weights: BTreeMap<String, u8>,
}

impl Weights {
    /// Reads the weights, and works out what a fault makes of them. A drill may name a record by its set identifier or by what it
    /// points at.
    pub(super) async fn take(
        connection: &Connection,
        record: &AwsRecord,
        wanted: &BTreeMap<String, u8>,
    ) -> Result<(Self, Self), AwsError> {
        let sets = record_sets(connection, record).await?.ok_or_else(|| {
            connection.not_found(
                format!("hosted zone {}", record.zone),
                "route53 list-hosted-zones",
            )
        })?;
        let before = Self::of(record, &sets);
        if before.weights.is_empty() {
            return Err(AwsError::NotPossible {
                resource: before.title(),
                problem: format!(
                    "has no weighted record in the zone {}: there are {} of that name and type",
                    record.zone,
                    sets.len()
                ),
            });
        }
        let mut after = before.clone();
        for (name, weight) in wanted {
            let set = sets.iter().find(|set| is_named(set, name));
            let set = set.and_then(|set| set.text("SetIdentifier"));
            let Some(set) = set else {
                let known: Vec<&str> = before.weights.keys().map(String::as_str).collect();
                return Err(AwsError::NotPossible {
                    resource: before.title(),
                    problem: format!("has no record `{name}`: there are {}", known.join(", ")),
                });
            };
            after.weights.insert(set.to_owned(), *weight);
        }
        Ok((before, after))
    }

    fn of(record: &AwsRecord, sets: &[Element]) -> Self {
        let weights = sets.iter().filter_map(|set| {
            let identifier = set.text("SetIdentifier")?.to_owned();
            Some((identifier, set.parsed("Weight")?))
        });
        Self {
            record: record.clone(),
            weights: weights.collect(),
        }
    }

    /// The weights as they are now; nothing if there are none any more.
    pub(super) async fn read(&self, connection: &Connection) -> Result<Option<Self>, AwsError> {
        let sets = record_sets(connection, &self.record).await?;
        let now = sets.map(|sets| Self::of(&self.record, &sets));
        Ok(now.filter(|now| !now.weights.is_empty()))
    }

    /// Brings the records to these weights, all at once or none. What else they have stays as it is.
    pub(super) async fn apply(
        &self,
        connection: &Connection,
        expected: Option<&Self>,
    ) -> Result<(), AwsError> {
        let sets = record_sets(connection, &self.record).await?;
        let sets = sets.unwrap_or_default();
        let now = Self::of(&self.record, &sets);
        if now == *self {
            return Ok(());
        }
        if let Some(expected) = expected.filter(|expected| **expected != now) {
            return Err(AwsError::Changed {
                resource: self.title(),
                was: expected.words(),
                now: now.words(),
            });
        }
        let mut changes = String::new();
        for (identifier, weight) in &self.weights {
            if now.weights.get(identifier) == Some(weight) {
                continue;
            }
            let set = sets
                .iter()
                .find(|set| set.text("SetIdentifier") == Some(identifier));
            let mut set = set.cloned().ok_or_else(|| AwsError::NotPossible {
                resource: self.title(),
                problem: format!("has no record `{identifier}` any more"),
            })?;
            let children = set.children.iter_mut();
            for child in children.filter(|child| child.name == "Weight") {
                child.own_text = weight.to_string();
            }
            changes.push_str("<Change><Action>UPSERT</Action>");
            changes.push_str(&set.to_string());
            changes.push_str("</Change>");
        }
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
             <ChangeResourceRecordSetsRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\">\
             <ChangeBatch><Changes>{changes}</Changes></ChangeBatch></ChangeResourceRecordSetsRequest>"
        );
        let request = Request {
            service: &ROUTE_53,
            kind: Kind::Write,
            what: &format!("changing the weights of {}", self.title()),
            method: Method::POST,
            path: &format!("{}/", path_of(&self.record)),
            content_type: Some("application/xml"),
            body,
        };
        connection.client.rest_xml(&request).await.map(drop)
    }

    pub(super) fn title(&self) -> String {
        format!("record/{} {}", self.record.name, self.record.kind)
    }

    pub(super) fn words(&self) -> String {
        let weights: Vec<String> = self
            .weights
            .iter()
            .map(|(identifier, weight)| format!("{identifier}: {weight}"))
            .collect();
        format!("the weights {}", weights.join(", "))
    }

    pub(super) fn orders(&self) -> String {
        format!(
            "give {} of the zone {} {}",
            self.title(),
            self.record.zone,
            self.words()
        )
    }
}

fn path_of(record: &AwsRecord) -> String {
    let zone = record.zone.trim_start_matches("/hostedzone/");
    let zone: String = form_urlencoded::byte_serialize(zone.as_bytes()).collect();
    format!("/2013-04-01/hostedzone/{zone}/rrset")
}

/// What asks for the records of a name and type, and others after them.
fn query_of(record: &AwsRecord, from: Option<&str>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query
        .append_pair("name", &record.name)
        .append_pair("type", &record.kind)
        .append_pair("maxitems", "300");
    if let Some(identifier) = from {
        query.append_pair("identifier", identifier);
    }
    query.finish()
}

/// Whether a drill means this record by a name: its set identifier, or what it points at.
fn is_named(set: &Element, name: &str) -> bool {
    let bare = |name: &str| {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        name.trim_start_matches("dualstack.").to_owned()
    };
    let alias = set.at(&["AliasTarget", "DNSName"]);
    let values = set.list("ResourceRecords");
    let values = values.filter_map(|value| value.text("Value"));
    let mut points_at = alias
        .map(|alias| alias.own_text.as_str())
        .into_iter()
        .chain(values);
    set.text("SetIdentifier") == Some(name) || points_at.any(|target| bare(target) == bare(name))
}

/// The records of a name and type; nothing if the zone is not there.
async fn record_sets(
    connection: &Connection,
    record: &AwsRecord,
) -> Result<Option<Vec<Element>>, AwsError> {
    let (mut found, mut from): (Vec<Element>, Option<String>) = (Vec::new(), None);
    loop {
        let request = Request {
            service: &ROUTE_53,
            kind: Kind::Read,
            what: &format!("reading record/{} {}", record.name, record.kind),
            method: Method::GET,
            path: &format!("{}?{}", path_of(record), query_of(record, from.as_deref())),
            content_type: None,
            body: String::new(),
        };
        let page = match connection.client.rest_xml(&request).await {
            Ok(page) => page,
            Err(error) if error.is(&NOT_FOUND) => return Ok(None),
            Err(error) => return Err(error),
        };
        let is_meant = |set: &&Element| {
            set.text("Name").map(name_of) == Some(record.name.clone())
                && set.text("Type") == Some(&record.kind)
        };
        let sets = page.list("ResourceRecordSets");
        found.extend(sets.filter(is_meant).cloned());
        // Names are in order: those that are meant go on only if the next is one of them.
        let goes_on = page.text("IsTruncated") == Some("true")
            && page.text("NextRecordName").map(name_of) == Some(record.name.clone())
            && page.text("NextRecordType") == Some(&record.kind);
        let next = page.text("NextRecordIdentifier").filter(|_| goes_on);
        match next {
            Some(next) if from.as_deref() != Some(next) => from = Some(next.to_owned()),
            Some(_) | None => return Ok(Some(found)),
        }
    }
}

/// A name as environments have it: Route 53 ends each with a point, and writes an asterisk by its number.
pub(super) fn name_of(name: &str) -> String {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name.replace("\\052", "*")
}
