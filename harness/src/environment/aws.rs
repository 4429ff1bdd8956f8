//! Targets that are resources of AWS: `aws:` at the top of an environment file and in its targets.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::source::{Item, Mapping};

/// How AWS is reached. Credentials stay where the AWS tools keep them.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub struct AwsAccount {
    /// The profile of the AWS configuration. Default: `AWS_PROFILE`, or what the AWS tools use without one.
    pub profile: Option<String>,
    /// The region. Default: `AWS_REGION`, or that of the profile.
    pub region: Option<String>,
    /// The account, by its number, that the credentials must be of. Default: whichever they are of.
    pub account: Option<String>,
    /// The address of something that stands in for AWS, for example `http://127.0.0.1:5000`. Default: `AWS_ENDPOINT_URL`, or AWS itself.
    pub endpoint: Option<String>,
}

/// A resource of AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsResource {
    /// How its account is reached.
    pub account: AwsAccount,
    /// What it is.
    pub kind: AwsKind,
}

/// A kind of resource, with what names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AwsKind {
    /// A security group of EC2, by its id.
    SecurityGroup(String),
    /// A target group of Elastic Load Balancing, by its name or ARN.
    TargetGroup(String),
    /// An instance of EC2, by its id.
    Instance(String),
    /// A group of EC2 Auto Scaling, by its name.
    AutoScalingGroup(String),
    /// A health check of Route 53, by its id.
    HealthCheck(String),
    /// The weighted records of one name and type in a zone of Route 53.
    Record(AwsRecord),
    /// A DB instance of RDS, by its identifier.
    Database(String),
    /// A DB cluster of RDS, Aurora for example, by its identifier.
    DatabaseCluster(String),
    /// A load balancer of Elastic Load Balancing, by its ARN.
    LoadBalancer(String),
    /// An alarm of `CloudWatch`, by its name.
    Alarm(String),
}

/// Records of one name and type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct AwsRecord {
    /// The id of the hosted zone.
    pub zone: String,
    /// The name.
    pub name: String,
    /// The type, for example `A`.
    pub kind: String,
}

/// The word of a kind, what makes it of a name, and what the name is.
type Named = (&'static str, fn(String) -> AwsKind, &'static str);

/// The kinds that a target names by one text, with their words, and what the text is.
pub(crate) const KINDS: [Named; 9] = [
    (
        "security-group",
        AwsKind::SecurityGroup,
        "The id of a security group of EC2.",
    ),
    (
        "target-group",
        AwsKind::TargetGroup,
        "The name or ARN of a target group of Elastic Load Balancing.",
    ),
    (
        "instance",
        AwsKind::Instance,
        "The id of an instance of EC2.",
    ),
    (
        "auto-scaling-group",
        AwsKind::AutoScalingGroup,
        "The name of a group of EC2 Auto Scaling.",
    ),
    (
        "health-check",
        AwsKind::HealthCheck,
        "The id of a health check of Route 53.",
    ),
    (
        "database",
        AwsKind::Database,
        "The identifier of a DB instance of RDS.",
    ),
    (
        "database-cluster",
        AwsKind::DatabaseCluster,
        "The identifier of a DB cluster of RDS, Aurora for example.",
    ),
    (
        "load-balancer",
        AwsKind::LoadBalancer,
        "The ARN of a load balancer of Elastic Load Balancing.",
    ),
    (
        "alarm",
        AwsKind::Alarm,
        "The name of an alarm of CloudWatch.",
    ),
];

/// What stands for a region where a resource is in none: those of Route 53 are everywhere.
pub const GLOBAL: &str = "global";

impl AwsKind {
    /// What it is called in files and messages.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::SecurityGroup(_) => "security-group",
            Self::TargetGroup(_) => "target-group",
            Self::Instance(_) => "instance",
            Self::AutoScalingGroup(_) => "auto-scaling-group",
            Self::HealthCheck(_) => "health-check",
            Self::Record(_) => "record",
            Self::Database(_) => "database",
            Self::DatabaseCluster(_) => "database-cluster",
            Self::LoadBalancer(_) => "load-balancer",
            Self::Alarm(_) => "alarm",
        }
    }

    /// Whether somebody has to confirm each drill that changes it: records, whose changes depend on one region and may have to be undone
    /// when that is ill.
    pub fn wants_confirmation(&self) -> bool {
        matches!(self, Self::Record(_))
    }

    /// Whether it is of a service that is in no region.
    pub fn is_global(&self) -> bool {
        matches!(self, Self::HealthCheck(_) | Self::Record(_))
    }
}

impl AwsResource {
    /// The words of the faults that can be applied.
    pub fn faults(&self) -> &'static [&'static str] {
        match self.kind {
            AwsKind::SecurityGroup(_) => &["block-ingress"],
            AwsKind::TargetGroup(_) => &["break-health-path"],
            AwsKind::Instance(_) => &["stop"],
            AwsKind::AutoScalingGroup(_) => &["scale"],
            AwsKind::HealthCheck(_) => &[
                "break-health-path",
                "invert-health-check",
                "disable-health-check",
            ],
            AwsKind::Record(_) => &["shift-weights"],
            AwsKind::Database(_) | AwsKind::DatabaseCluster(_) => &["failover-database"],
            AwsKind::LoadBalancer(_) => &["lose-zone"],
            AwsKind::Alarm(_) => &[],
        }
    }

    /// Whether it has an opinion about its own health.
    pub fn is_observable(&self) -> bool {
        !matches!(self.kind, AwsKind::SecurityGroup(_) | AwsKind::Record(_))
    }

    /// Where it is, as limits name it.
    pub fn region(&self) -> Option<&str> {
        if self.kind.is_global() {
            return Some(GLOBAL);
        }
        self.account.region.as_deref()
    }
}

impl fmt::Display for AwsAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.profile {
            Some(profile) => write!(f, "the profile {profile}")?,
            None => f.write_str("the default credentials")?,
        }
        if let Some(account) = &self.account {
            write!(f, " of the account {account}")?;
        }
        if let Some(region) = &self.region {
            write!(f, " in {region}")?;
        }
        match &self.endpoint {
            Some(endpoint) => write!(f, " at {endpoint}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for AwsKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.as_str();
        match self {
            Self::SecurityGroup(name)
            | Self::TargetGroup(name)
            | Self::Instance(name)
            | Self::AutoScalingGroup(name)
            | Self::HealthCheck(name)
            | Self::Database(name)
            | Self::DatabaseCluster(name)
            | Self::LoadBalancer(name)
            | Self::Alarm(name) => write!(f, "{kind}/{name}"),
            Self::Record(record) => write!(f, "{kind}/{} {}", record.name, record.kind),
        }
    }
}

impl fmt::Display for AwsResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

/// The `aws:` mapping at the top of an environment file.
pub(super) fn decode(item: Item<'_>) -> Option<AwsAccount> {
    let mut mapping = item.mapping()?;
    let account = account(&mut mapping);
    mapping.finish();
    account
}

fn account(mapping: &mut Mapping<'_>) -> Option<AwsAccount> {
    let profile = mapping.maybe("profile", Item::text);
    let region = mapping.maybe("region", Item::text);
    let account = mapping.maybe("account", account_number);
    let endpoint = mapping.maybe("endpoint", endpoint);
    Some(AwsAccount {
        profile: profile?,
        region: region?,
        account: account?,
        endpoint: endpoint?,
    })
}

/// Twelve digits, which YAML takes for a number where they are not quoted, and those that begin with 0 for another one.
fn account_number(item: Item<'_>) -> Option<String> {
    let number = item.text()?;
    let is_number = number.len() == 12 && number.bytes().all(|digit| digit.is_ascii_digit());
    if !is_number && !item.starts_with("${") {
        item.report(format!(
            "{} is no account: its number has twelve digits, in quotation marks: \"123456789012\"",
            item.shown()
        ));
        return None;
    }
    Some(number)
}

fn endpoint(item: Item<'_>) -> Option<String> {
    let text = item.text()?;
    let is_address = text.parse::<http::Uri>().is_ok_and(|url| {
        matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some()
    });
    if !is_address && !item.starts_with("${") {
        item.report(format!(
            "{} is no address such as http://127.0.0.1:5000",
            item.shown()
        ));
        return None;
    }
    Some(text.trim_end_matches('/').to_owned())
}

/// What a target's `aws:` says.
pub(super) fn resource(item: Item<'_>, common: Option<&AwsAccount>) -> Option<AwsResource> {
    let mut mapping = item.mapping()?;
    let own = account(&mut mapping);
    let named: Vec<_> = KINDS
        .iter()
        .map(|(word, kind, _)| Some(mapping.maybe(word, Item::text)?.map(kind)))
        .collect();
    let record = mapping.maybe("record", record);
    mapping.finish();
    let named = named.into_iter().collect::<Option<Vec<_>>>()?;
    let mut named = named.into_iter().flatten().chain(record?);
    let one_of = KINDS.map(|(word, _, _)| format!("`{word}`")).join(", ");
    let kind = match (named.next(), named.next()) {
        (Some(only), None) => only,
        (None, _) => {
            item.report(format!("one of {one_of} and `record` is missing"));
            return None;
        }
        (Some(_), Some(_)) => {
            item.report(format!("must have only one of {one_of} and `record`"));
            return None;
        }
    };
    let (own, common) = (own?, common.cloned().unwrap_or_default());
    Some(AwsResource {
        account: AwsAccount {
            profile: own.profile.or(common.profile),
            region: own.region.or(common.region),
            account: own.account.or(common.account),
            endpoint: own.endpoint.or(common.endpoint),
        },
        kind,
    })
}

fn record(item: Item<'_>) -> Option<AwsKind> {
    let mut mapping = item.mapping()?;
    let zone = mapping.require("zone", Item::text);
    let name = mapping.require("name", Item::text);
    let kind = mapping.require("type", Item::text);
    mapping.finish();
    Some(AwsKind::Record(AwsRecord {
        zone: zone?,
        name: name?.trim_end_matches('.').to_ascii_lowercase(),
        kind: kind?,
    }))
}
