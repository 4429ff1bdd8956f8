//! Instances of EC2.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use super::{
    AwsError,
    answer::Element,
    client::{Kind, parameters},
    connection::Connection,
    security_group::would_do,
    service::EC2,
};

const NOT_FOUND: [&str; 2] = ["InvalidInstanceID.NotFound", "InvalidInstanceID.Malformed"];
/// Codes with which EC2 does not start an instance yet: what it said of its state may be older than what it goes by, and a zone that is
/// full may have room again.
const NOT_YET: [&str; 2] = ["IncorrectInstanceState", "InsufficientInstanceCapacity"];
/// How long a start is waited for at once: with what comes after it less than what [`super::patience`] gives it.
const START_LIMIT: Duration = Duration::from_mins(5);
const START_EVERY: Duration = Duration::from_secs(1);

/// Whether an instance runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Instance {
    pub(super) id: String,
    pub(super) state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum State {
    Running,
    /// On its way to run.
    Starting,
    /// Not running, or about to end: nothing is answered any more.
    Stopped,
}

/// What became of starting an instance.
#[derive(Debug, Default)]
struct Start {
    /// The reason that EC2 gave for the instance's state when it was told to start; nothing if it was not told.
    reason: Option<String>,
    has_begun: bool,
    /// Why it was not told yet.
    refused: Option<AwsError>,
}

impl Start {
    /// Whether the instance began to start, and is stopped again. It may be that only the reason for its state shows it.
    fn fell_back(&mut self, now: State, is_settled: bool, reason: &str) -> bool {
        let Some(reason_before) = &self.reason else {
            return false;
        };
        self.has_begun |= now == State::Starting;
        now == State::Stopped
            && is_settled
            && (self.has_begun || (!reason.is_empty() && reason != reason_before))
    }
}

impl Instance {
    pub(super) async fn take(connection: &Connection, id: &str) -> Result<(Self, Self), AwsError> {
        let found = found(connection, id).await?;
        let instance = |state| Self {
            id: id.to_owned(),
            state,
        };
        // An instance on its way to run has no state to come back to.
        let before = match state(&found) {
            Some((State::Starting, _)) | None => {
                return Err(AwsError::NotPossible {
                    resource: format!("instance/{id}"),
                    problem: "is neither running nor stopped".to_owned(),
                });
            }
            Some((before, _)) => before,
        };
        if found
            .find("rootDeviceType")
            .is_some_and(|kind| kind.own_text.trim() == "instance-store")
        {
            return Err(AwsError::NotPossible {
                resource: format!("instance/{id}"),
                problem: "has its root on instance store, so it cannot be stopped and started"
                    .to_owned(),
            });
        }
        Ok((instance(before), instance(State::Stopped)))
    }

    pub(super) async fn read(&self, connection: &Connection) -> Result<Option<Self>, AwsError> {
        let found = describe(connection, &self.id).await?;
        let state = found.as_ref().and_then(state);
        Ok(state.map(|(state, _)| Self {
            id: self.id.clone(),
            state,
        }))
    }

    /// Brings the instance to this state. A start is waited for, because a group whose processes were resumed before would take the
    /// instance for one that failed. On the way back one that is terminated is passed over, so that the rest comes back: whoever reads
    /// afterwards is told.
    pub(super) async fn apply(
        &self,
        connection: &Connection,
        expected: Option<&Self>,
    ) -> Result<(), AwsError> {
        let deadline = Instant::now() + START_LIMIT;
        let mut start = Start::default();
        loop {
            let found = describe(connection, &self.id).await?;
            let now = found
                .as_ref()
                .and_then(|found| Some((found, state(found)?)));
            let Some((found, (now, is_settled))) = now else {
                if expected.is_none() {
                    return Ok(());
                }
                return Err(self.not_possible("is terminated"));
            };
            if now == self.state {
                return Ok(());
            }
            let now_words = Self {
                state: now,
                ..self.clone()
            }
            .words();
            if let Some(expected) = expected.filter(|expected| expected.state != now) {
                return Err(AwsError::Changed {
                    resource: self.title(),
                    was: expected.words(),
                    now: now_words,
                });
            }
            if self.state == State::Stopped {
                return self.set(connection, "StopInstances", false).await;
            }
            let reason = reason(found);
            if start.fell_back(now, is_settled, &reason) {
                let problem = format!("was started and is stopped again{}", saying(&reason));
                return Err(self.not_possible(&problem));
            }
            // One that is stopping can only be started when it has stopped.
            if now == State::Stopped && is_settled && start.reason.is_none() {
                match self.set(connection, "StartInstances", false).await {
                    Ok(()) => start.reason = Some(reason.clone()),
                    Err(error) if error.is(&NOT_YET) => start.refused = Some(error),
                    Err(error) => return Err(error),
                }
            }
            if Instant::now() > deadline {
                let refused = start.refused.filter(|_| start.reason.is_none());
                let problem = format!("has {now_words} still{}", saying(&reason));
                return Err(refused.unwrap_or_else(|| self.not_possible(&problem)));
            }
            sleep(START_EVERY).await;
        }
    }

    pub(super) async fn rehearse(&self, connection: &Connection) -> Result<Vec<String>, AwsError> {
        would_do(self.set(connection, "StopInstances", true).await)?;
        would_do(self.set(connection, "StartInstances", true).await)?;
        let found = found(connection, &self.id).await?;
        let mut notes = Vec::new();
        let has_public = found.find("ipAddress").is_some();
        let is_elastic = found
            .find("association")
            .and_then(|association| association.text("ipOwnerId"))
            .is_some_and(|owner| owner != "amazon");
        if has_public && !is_elastic {
            notes.push(format!(
                "{} has a public address that is not elastic: it has another one when it is started",
                self.title()
            ));
        }
        Ok(notes)
    }

    async fn set(
        &self,
        connection: &Connection,
        action: &str,
        dry_run: bool,
    ) -> Result<(), AwsError> {
        let mut parameters = parameters([("InstanceId.1", &self.id)]);
        if dry_run {
            parameters.push(("DryRun".to_owned(), "true".to_owned()));
        }
        let what = match action {
            "StopInstances" => format!("stopping {}", self.title()),
            _ => format!("starting {}", self.title()),
        };
        let action = (Kind::Write, action);
        let answer = connection.client.query(&EC2, action, &what, &parameters);
        answer.await.map(drop)
    }

    fn not_possible(&self, problem: &str) -> AwsError {
        AwsError::NotPossible {
            resource: self.title(),
            problem: problem.to_owned(),
        }
    }

    pub(super) fn title(&self) -> String {
        format!("instance/{}", self.id)
    }

    pub(super) fn words(&self) -> String {
        match self.state {
            State::Running => "the state running",
            State::Starting => "the state starting",
            State::Stopped => "the state stopped",
        }
        .to_owned()
    }

    pub(super) fn orders(&self) -> String {
        match self.state {
            State::Running | State::Starting => format!("start {}", self.title()),
            State::Stopped => format!("leave {} stopped, as it was", self.title()),
        }
    }
}

/// Why an instance is in its state, in EC2's words; empty if it gives no reason.
fn reason(instance: &Element) -> String {
    let message = instance.at(&["stateReason", "message"]);
    message.map_or_else(String::new, |message| message.own_text.trim().to_owned())
}

/// A reason at the end of a sentence.
fn saying(reason: &str) -> String {
    if reason.is_empty() {
        return String::new();
    }
    format!(": EC2 says `{reason}`")
}

/// The state of an instance, and whether it stays so by itself; nothing if it is terminated.
fn state(instance: &Element) -> Option<(State, bool)> {
    let name = instance.at(&["instanceState", "name"])?.own_text.trim();
    match name {
        "running" => Some((State::Running, true)),
        "pending" => Some((State::Starting, false)),
        "stopping" => Some((State::Stopped, false)),
        "stopped" => Some((State::Stopped, true)),
        _ => None,
    }
}

/// Whether an instance runs.
pub(super) fn is_up(instance: &Element) -> bool {
    matches!(state(instance), Some((State::Running, _)))
}

/// An instance; nothing if it is not there.
pub(super) async fn describe(
    connection: &Connection,
    id: &str,
) -> Result<Option<Element>, AwsError> {
    let what = format!("reading instance/{id}");
    let parameters = parameters([("InstanceId.1", id)]);
    let action = (Kind::Read, "DescribeInstances");
    let answer = connection.client.query(&EC2, action, &what, &parameters);
    match answer.await {
        Ok(answer) => {
            let instances = answer.find("instancesSet");
            Ok(instances.and_then(|instances| instances.children.first().cloned()))
        }
        Err(error) if error.is(&NOT_FOUND) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The same, which must be there.
pub(super) async fn found(connection: &Connection, id: &str) -> Result<Element, AwsError> {
    let found = describe(connection, id).await?;
    found.ok_or_else(|| {
        let resource = format!("instance/{id}");
        connection.not_found(resource, "ec2 describe-instances")
    })
}
