//! Zonal shifts of a load balancer: its traffic is moved away from one zone.

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    AwsError,
    client::{Kind, Request},
    connection::Connection,
    service::{EC2, ZONAL_SHIFT},
};

/// How long a shift lasts that nobody cancels: AWS ends it by itself, should the journal be lost.
const EXPIRES_IN: &str = "12h";
const NOT_FOUND: [&str; 1] = ["ResourceNotFoundException"];
/// What the comment of our shifts begins with.
const COMMENT: &str = "blackstart: a drill";

/// Whether the traffic of a load balancer is moved away from a zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Shift {
    /// The load balancer's ARN.
    load_balancer: String,
    /// The ids of the zones that it is moved away from by shifts that last.
    away_from: Vec<String>,
    /// The comments of those that are not a drill's, or not any more: an operator who needs one in a real incident takes it over.
    #[serde(default)]
    of_others: Vec<String>,
}

impl Shift {
    pub(super) async fn take(
        connection: &Connection,
        load_balancer: &str,
        zone: &str,
    ) -> Result<(Self, Self), AwsError> {
        let id = zone_id(connection, zone).await?;
        let shift = |away_from| Self {
            load_balancer: load_balancer.to_owned(),
            away_from,
            of_others: Vec::new(),
        };
        let found = shift(Vec::new()).read(connection).await?;
        let before = found.ok_or_else(|| AwsError::NotPossible {
            resource: format!("load-balancer/{load_balancer}"),
            problem: "is not registered for zonal shifts: it needs the attribute `zonal_shift.config.enabled`"
                .to_owned(),
        })?;
        // A load balancer can have one at a time.
        if let Some(other) = before.away_from.first() {
            return Err(AwsError::NotPossible {
                resource: before.title(),
                problem: format!("is shifted away from {other} already"),
            });
        }
        Ok((before, shift(vec![id])))
    }

    pub(super) async fn read(&self, connection: &Connection) -> Result<Option<Self>, AwsError> {
        let shifts = shifts(connection, &self.load_balancer).await?;
        Ok(shifts.map(|shifts| {
            let away_from = shifts.iter().filter_map(|shift| shift["awayFrom"].as_str());
            let comments = shifts
                .iter()
                .map(|shift| shift["comment"].as_str().unwrap_or_default());
            let of_others = comments.filter(|comment| !comment.starts_with(COMMENT));
            Self {
                load_balancer: self.load_balancer.clone(),
                away_from: away_from.map(str::to_owned).collect(),
                of_others: of_others.map(str::to_owned).collect(),
            }
        }))
    }

    pub(super) async fn apply(
        &self,
        connection: &Connection,
        expected: Option<&Self>,
    ) -> Result<(), AwsError> {
        let shifts = shifts(connection, &self.load_balancer).await?;
        let Some(now) = self.read(connection).await? else {
            return Ok(());
        };
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
        for shift in shifts.into_iter().flatten() {
            let zone = shift["awayFrom"].as_str().unwrap_or_default();
            if !self.away_from.iter().any(|wanted| wanted == zone) {
                self.cancel(connection, &shift).await?;
            }
        }
        for zone in &self.away_from {
            if !now.away_from.contains(zone) {
                self.start(connection, zone).await?;
            }
        }
        Ok(())
    }

    async fn start(&self, connection: &Connection, zone: &str) -> Result<(), AwsError> {
        let body = json!({
            "awayFrom": zone,
            "comment": COMMENT,
            "expiresIn": EXPIRES_IN,
            "resourceIdentifier": self.load_balancer,
        });
        let request = Request {
            service: &ZONAL_SHIFT,
            kind: Kind::Write,
            what: &format!("shifting the traffic of {} away from {zone}", self.title()),
            method: Method::POST,
            path: "/zonalshifts",
            content_type: Some("application/json"),
            body: body.to_string(),
        };
        connection.client.rest_json(&request).await.map(drop)
    }

    async fn cancel(&self, connection: &Connection, shift: &Value) -> Result<(), AwsError> {
        let id = shift["zonalShiftId"].as_str().unwrap_or_default();
        let id: String = form_urlencoded::byte_serialize(id.as_bytes()).collect();
        let request = Request {
            service: &ZONAL_SHIFT,
            kind: Kind::Write,
            what: &format!("cancelling the zonal shift of {}", self.title()),
            method: Method::DELETE,
            path: &format!("/zonalshifts/{id}"),
            content_type: None,
            body: String::new(),
        };
        connection.client.rest_json(&request).await.map(drop)
    }

    pub(super) fn title(&self) -> String {
        // arn:aws:elasticloadbalancing:region:account:loadbalancer/app/name/id
        let name = self.load_balancer.rsplit('/').nth(1);
        format!("load-balancer/{}", name.unwrap_or(&self.load_balancer))
    }

    pub(super) fn words(&self) -> String {
        if self.away_from.is_empty() {
            return "no zonal shift".to_owned();
        }
        let words = format!("a zonal shift away from {}", self.away_from.join(", "));
        if self.of_others.is_empty() {
            return words;
        }
        format!(
            "{words} that is somebody else's, with the comment `{}`",
            self.of_others.join("`, `")
        )
    }

    pub(super) fn orders(&self) -> String {
        if self.away_from.is_empty() {
            format!("cancel the zonal shift of {}", self.title())
        } else {
            format!("leave {} as it was, with {}", self.title(), self.words())
        }
    }
}

/// The shifts of a load balancer that last; nothing if it is not registered for them.
async fn shifts(
    connection: &Connection,
    load_balancer: &str,
) -> Result<Option<Vec<Value>>, AwsError> {
    let arn: String = form_urlencoded::byte_serialize(load_balancer.as_bytes()).collect();
    let mut found = Vec::new();
    let mut token: Option<String> = None;
    loop {
        let next = token.as_ref().map_or_else(String::new, |token| {
            let token: String = form_urlencoded::byte_serialize(token.as_bytes()).collect();
            format!("&nextToken={token}")
        });
        let request = Request {
            service: &ZONAL_SHIFT,
            kind: Kind::Read,
            what: &format!("reading the zonal shifts of {load_balancer}"),
            method: Method::GET,
            path: &format!("/zonalshifts?resourceIdentifier={arn}&status=ACTIVE{next}"),
            content_type: None,
            body: String::new(),
        };
        let page = match connection.client.rest_json(&request).await {
            Ok(page) => page,
            Err(error) if error.is(&NOT_FOUND) => return Ok(None),
            Err(error) => return Err(error),
        };
        found.extend(page["items"].as_array().into_iter().flatten().cloned());
        let next = page["nextToken"].as_str().map(str::to_owned);
        if next.is_none() || next == token {
            return Ok(Some(found));
        }
        token = next;
    }
}

/// The id of a zone, which is the same in every account, by its id or by its name in this one.
async fn zone_id(connection: &Connection, zone: &str) -> Result<String, AwsError> {
    let action = (Kind::Read, "DescribeAvailabilityZones");
    let what = "reading the zones of the region";
    let answer = connection.client.query(&EC2, action, what, &[]);
    let answer = answer.await?;
    let region = connection.client.region();
    // A drill may name a zone by its letter alone.
    let full = format!("{region}{zone}");
    let mut known = Vec::new();
    for item in answer.list("availabilityZoneInfo") {
        let (name, id) = (item.text("zoneName"), item.text("zoneId"));
        if id == Some(zone) || name == Some(zone) || name == Some(&full) {
            return Ok(id.unwrap_or_default().to_owned());
        }
        known.extend(name);
    }
    Err(AwsError::NotPossible {
        resource: format!("the region {region}"),
        problem: format!("has no zone `{zone}`: there are {}", known.join(", ")),
    })
}
