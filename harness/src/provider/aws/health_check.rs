//! Health checks of Route 53. Each write carries the version that was read, so that Route 53 refuses it if somebody has written
//! meanwhile.

use http::Method;
use serde::{Deserialize, Serialize};

use super::{
    AwsError,
    answer::{Element, escaped},
    change::Action,
    client::{Kind, Request},
    connection::Connection,
    service::ROUTE_53,
};

const NOT_FOUND: [&str; 1] = ["NoSuchHealthCheck"];
/// What Route 53 answers to a write that was made of another version than the present one.
const OTHER_VERSION: [&str; 1] = ["HealthCheckVersionMismatch"];
/// How often something is written that somebody else's write came before.
const ATTEMPTS: u32 = 5;

/// What of a health check faults change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct CheckSettings {
    pub(super) id: String,
    inverted: bool,
    disabled: bool,
    path: Option<String>,
}

impl CheckSettings {
    /// Reads a health check, and works out what a fault makes of it.
    pub(super) async fn take(
        connection: &Connection,
        id: &str,
        action: &Action,
    ) -> Result<(Self, Self), AwsError> {
        let found = found(connection, id).await?;
        let before = Self::of(id, &found);
        let mut after = before.clone();
        if let Action::BreakHealthPath(path) = action {
            if before.path.is_none() {
                let kind = found.find("Type").map(|kind| kind.own_text.as_str());
                return Err(AwsError::NotPossible {
                    resource: before.title(),
                    problem: format!(
                        "is one of the type {}, which asks no path",
                        kind.unwrap_or_default()
                    ),
                });
            }
            after.path = Some(path.clone());
        } else if *action == Action::DisableHealthCheck {
            after.disabled = true;
        } else {
            after.inverted = !before.inverted;
        }
        Ok((before, after))
    }

    fn of(id: &str, check: &Element) -> Self {
        let text = |name: &str| check.find(name).map(|element| element.own_text.trim());
        let path = text("ResourcePath").filter(|path| !path.is_empty());
        Self {
            id: id.to_owned(),
            inverted: text("Inverted") == Some("true"),
            disabled: text("Disabled") == Some("true"),
            path: path.map(str::to_owned),
        }
    }

    /// The settings as they are now; nothing if the check is gone.
    pub(super) async fn read(&self, connection: &Connection) -> Result<Option<Self>, AwsError> {
        let found = get(connection, &self.id).await?;
        Ok(found.map(|found| Self::of(&self.id, &found)))
    }

    /// Brings the check to these settings, if it is as expected or nothing is, and nobody else writes at the same moment.
    pub(super) async fn apply(
        &self,
        connection: &Connection,
        expected: Option<&Self>,
    ) -> Result<(), AwsError> {
        let mut attempt = 1;
        loop {
            let found = found(connection, &self.id).await?;
            let now = Self::of(&self.id, &found);
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
            let version = found.find("HealthCheckVersion");
            let version = version.map_or("", |version| version.own_text.trim());
            match self.write(connection, version, &now).await {
                Err(error) if error.is(&OTHER_VERSION) && attempt < ATTEMPTS => attempt += 1,
                written => return written,
            }
        }
    }

    async fn write(
        &self,
        connection: &Connection,
        version: &str,
        now: &Self,
    ) -> Result<(), AwsError> {
        let path = self.path.as_ref().filter(|_| self.path != now.path);
        let path = path.map_or_else(String::new, |path| {
            format!("<ResourcePath>{}</ResourcePath>", escaped(path))
        });
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
             <UpdateHealthCheckRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\">\
             <HealthCheckVersion>{version}</HealthCheckVersion>{path}\
             <Inverted>{}</Inverted><Disabled>{}</Disabled></UpdateHealthCheckRequest>",
            self.inverted, self.disabled
        );
        let request = Request {
            service: &ROUTE_53,
            kind: Kind::Write,
            what: &format!("changing {}", self.title()),
            method: Method::POST,
            path: &path_of(&self.id),
            content_type: Some("application/xml"),
            body,
        };
        connection.client.rest_xml(&request).await.map(drop)
    }

    /// The same with a checksum for the path, if it is another than before.
    pub(super) fn without_texts(mut self, before: &Self) -> Self {
        if self.path != before.path {
            self.path = self.path.as_deref().map(super::part::checksum);
        }
        self
    }

    pub(super) fn title(&self) -> String {
        format!("health-check/{}", self.id)
    }

    pub(super) fn words(&self) -> String {
        let or = |is, word: &str| {
            if is {
                word.to_owned()
            } else {
                format!("not {word}")
            }
        };
        let path = self.path.as_ref();
        format!(
            "the settings {}, {}{}",
            or(self.inverted, "inverted"),
            or(self.disabled, "disabled"),
            path.map_or_else(String::new, |path| format!(", path {path}"))
        )
    }

    pub(super) fn orders(&self) -> String {
        format!("give {} {}", self.title(), self.words())
    }
}

fn path_of(id: &str) -> String {
    let id: String = form_urlencoded::byte_serialize(id.as_bytes()).collect();
    format!("/2013-04-01/healthcheck/{id}")
}

/// Reads something about a health check; nothing if it is not there.
pub(super) async fn get_below(
    connection: &Connection,
    id: &str,
    below: &str,
) -> Result<Option<Element>, AwsError> {
    let request = Request {
        service: &ROUTE_53,
        kind: Kind::Read,
        what: &format!("reading health-check/{id}"),
        method: Method::GET,
        path: &format!("{}{below}", path_of(id)),
        content_type: None,
        body: String::new(),
    };
    match connection.client.rest_xml(&request).await {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.is(&NOT_FOUND) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn get(connection: &Connection, id: &str) -> Result<Option<Element>, AwsError> {
    get_below(connection, id, "").await
}

/// A health check, which must be there.
pub(super) async fn found(connection: &Connection, id: &str) -> Result<Element, AwsError> {
    let found = get(connection, id).await?;
    found.ok_or_else(|| {
        let resource = format!("health-check/{id}");
        connection.not_found(resource, "route53 list-health-checks")
    })
}
