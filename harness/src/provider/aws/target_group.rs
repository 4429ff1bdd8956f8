//! The health check of a target group.

use serde::{Deserialize, Serialize};

use super::{
    AwsError,
    answer::Element,
    client::{Kind, parameters},
    connection::Connection,
    service::LOAD_BALANCING,
};

/// The code for a group that is not there.
const NOT_FOUND: [&str; 1] = ["TargetGroupNotFound"];
/// The tag of a group that the load balancer controller of Kubernetes made.
const OF_CONTROLLER: &str = "elbv2.k8s.aws/cluster";

/// All settings of the health check of a target group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct HealthCheckSettings {
    /// The group's ARN, which one that is made anew under the same name does not have.
    pub(super) arn: String,
    path: Option<String>,
    protocol: Option<String>,
    port: Option<String>,
    enabled: Option<String>,
    interval_seconds: Option<String>,
    timeout_seconds: Option<String>,
    healthy_threshold: Option<String>,
    unhealthy_threshold: Option<String>,
    /// The status codes that pass.
    http_codes: Option<String>,
    grpc_codes: Option<String>,
}

impl HealthCheckSettings {
    /// Reads the settings of a group that is named by its name or ARN.
    pub(super) async fn take(
        connection: &Connection,
        group: &str,
        path: &str,
    ) -> Result<(Self, Self), AwsError> {
        let before = Self::of(&found(connection, group).await?);
        if before.path.as_deref().unwrap_or_default().is_empty() {
            return Err(AwsError::NotPossible {
                resource: before.title(),
                problem: format!(
                    "has a health check by {}, which asks no path",
                    before.protocol.as_deref().unwrap_or("nothing")
                ),
            });
        }
        let after = Self {
            path: Some(path.to_owned()),
            ..before.clone()
        };
        Ok((before, after))
    }

    fn of(group: &Element) -> Self {
        let text = |name: &str| group.text(name).map(str::to_owned);
        let code = |name: &str| {
            group
                .at(&["Matcher", name])
                .map(|code| code.own_text.clone())
        };
        Self {
            arn: text("TargetGroupArn").unwrap_or_default(),
            path: text("HealthCheckPath"),
            protocol: text("HealthCheckProtocol"),
            port: text("HealthCheckPort"),
            enabled: text("HealthCheckEnabled"),
            interval_seconds: text("HealthCheckIntervalSeconds"),
            timeout_seconds: text("HealthCheckTimeoutSeconds"),
            healthy_threshold: text("HealthyThresholdCount"),
            unhealthy_threshold: text("UnhealthyThresholdCount"),
            http_codes: code("HttpCode"),
            grpc_codes: code("GrpcCode"),
        }
    }

    /// The settings with the parameters that change them.
    fn parameters(&self) -> [(&'static str, &Option<String>); 10] {
        [
            ("HealthCheckPath", &self.path),
            ("HealthCheckProtocol", &self.protocol),
            ("HealthCheckPort", &self.port),
            ("HealthCheckEnabled", &self.enabled),
            ("HealthCheckIntervalSeconds", &self.interval_seconds),
            ("HealthCheckTimeoutSeconds", &self.timeout_seconds),
            ("HealthyThresholdCount", &self.healthy_threshold),
            ("UnhealthyThresholdCount", &self.unhealthy_threshold),
            ("Matcher.HttpCode", &self.http_codes),
            ("Matcher.GrpcCode", &self.grpc_codes),
        ]
    }

    /// The settings as they are now; nothing if the group is gone.
    pub(super) async fn read(&self, connection: &Connection) -> Result<Option<Self>, AwsError> {
        let found = describe(connection, &self.arn).await?;
        Ok(found.as_ref().map(Self::of))
    }

    /// Brings the health check to these settings. Only what differs is written, because some kinds of groups take no other.
    pub(super) async fn apply(
        &self,
        connection: &Connection,
        expected: Option<&Self>,
    ) -> Result<(), AwsError> {
        let now = Self::of(&found(connection, &self.arn).await?);
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
        let mut parameters = parameters([("TargetGroupArn", &self.arn)]);
        let settings = self.parameters().into_iter().zip(now.parameters());
        parameters.extend(settings.filter_map(|((name, wanted), (_, now))| {
            let wanted = wanted.as_ref().filter(|_| wanted != now)?;
            Some((name.to_owned(), wanted.clone()))
        }));
        let what = format!("changing the health check of {}", self.title());
        let action = (Kind::Write, "ModifyTargetGroup");
        let answer = connection
            .client
            .query(&LOAD_BALANCING, action, &what, &parameters);
        answer.await.map(drop)
    }

    /// Tells what would work against it. That the user may is not known beforehand: there is no dry run of it.
    pub(super) async fn rehearse(&self, connection: &Connection) -> Result<Vec<String>, AwsError> {
        let what = format!("reading the tags of {}", self.title());
        let parameters = parameters([("ResourceArns.member.1", &self.arn)]);
        let action = (Kind::Read, "DescribeTags");
        let answer = connection
            .client
            .query(&LOAD_BALANCING, action, &what, &parameters);
        let tags = answer.await?;
        let is_tag = |key: &&Element| key.own_text.trim() == OF_CONTROLLER;
        let mut notes = Vec::new();
        if tags.find_all("Key").iter().any(is_tag) {
            notes.push(format!(
                "{} is made by the load balancer controller of Kubernetes, which sets its path back when it reconciles",
                self.title()
            ));
        }
        Ok(notes)
    }

    /// The same with a checksum for the path, if it is another than before.
    pub(super) fn without_texts(mut self, before: &Self) -> Self {
        if self.path != before.path {
            self.path = self.path.as_deref().map(super::part::checksum);
        }
        self
    }

    pub(super) fn title(&self) -> String {
        // arn:aws:elasticloadbalancing:region:account:targetgroup/name/id
        let name = self.arn.split('/').nth(1).unwrap_or(&self.arn);
        format!("target-group/{name}")
    }

    pub(super) fn words(&self) -> String {
        let or = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".to_owned());
        format!(
            "the health check path {}, by {} to port {}, every {} s for {} s, thresholds {} and {}, codes {}",
            or(&self.path),
            or(&self.protocol),
            or(&self.port),
            or(&self.interval_seconds),
            or(&self.timeout_seconds),
            or(&self.healthy_threshold),
            or(&self.unhealthy_threshold),
            or(&self.http_codes.clone().or_else(|| self.grpc_codes.clone()))
        )
    }

    pub(super) fn orders(&self) -> String {
        format!("give {} {}", self.title(), self.words())
    }
}

/// A group by its name or ARN; nothing if it is not there.
pub(super) async fn describe(
    connection: &Connection,
    group: &str,
) -> Result<Option<Element>, AwsError> {
    let what = format!("reading target-group/{group}");
    let name = if group.starts_with("arn:") {
        "TargetGroupArns.member.1"
    } else {
        "Names.member.1"
    };
    let parameters = parameters([(name, group)]);
    let action = (Kind::Read, "DescribeTargetGroups");
    let answer = connection
        .client
        .query(&LOAD_BALANCING, action, &what, &parameters);
    match answer.await {
        Ok(answer) => {
            let groups = answer.find("TargetGroups");
            Ok(groups.and_then(|groups| groups.children.first().cloned()))
        }
        Err(error) if error.is(&NOT_FOUND) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The same, which must be there.
pub(super) async fn found(connection: &Connection, group: &str) -> Result<Element, AwsError> {
    let found = describe(connection, group).await?;
    found.ok_or_else(|| {
        let resource = format!("target-group/{group}");
        connection.not_found(resource, "elbv2 describe-target-groups")
    })
}
