//! What of a resource a fault changes, whatever kind of resource it is.

use serde::{Deserialize, Serialize};

use super::{
    AwsError,
    auto_scaling::{Capacity, Suspended},
    change::Action,
    connection::Connection,
    database::{Cluster, Standby},
    health_check::CheckSettings,
    instance::{Instance, State},
    security_group::Ingress,
    target_group::HealthCheckSettings,
    weights::Weights,
    zonal_shift::Shift,
};
use crate::environment::AwsKind;

/// What of a resource a fault changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Part {
    /// The inbound rules of a security group.
    Ingress(Ingress),
    /// The health check of a target group.
    HealthCheckSettings(Box<HealthCheckSettings>),
    /// The suspended processes of an Auto Scaling group.
    Suspended(Suspended),
    /// Whether an instance runs.
    Instance(Instance),
    /// How many instances an Auto Scaling group has.
    Capacity(Capacity),
    /// The settings of a health check of Route 53.
    CheckSettings(CheckSettings),
    /// The weights of records.
    Weights(Weights),
    /// Whether a database with a standby is available.
    Standby(Standby),
    /// The writer of a database cluster.
    Cluster(Cluster),
    /// The zones that the traffic of a load balancer is moved away from.
    Shift(Shift),
    /// The resource is not there: what it was called.
    Gone(String),
}

/// The same expression for what is in a part, whatever it is; another for one that is gone.
macro_rules! each {
    ($part:expr, $inner:ident => $then:expr, $title:ident => $gone:expr) => {
        match $part {
            Part::Ingress($inner) => $then,
            Part::HealthCheckSettings($inner) => $then,
            Part::Suspended($inner) => $then,
            Part::Instance($inner) => $then,
            Part::Capacity($inner) => $then,
            Part::CheckSettings($inner) => $then,
            Part::Weights($inner) => $then,
            Part::Standby($inner) => $then,
            Part::Cluster($inner) => $then,
            Part::Shift($inner) => $then,
            Part::Gone($title) => $gone,
        }
    };
}

/// What stands on disk for a text that a drill may have given, and that may be a secret.
pub(super) fn checksum(text: &str) -> String {
    format!("checksum {:08x}", crc32fast::hash(text.as_bytes()))
}

/// Both states of a part.
fn both<T>((before, after): (T, T), part: fn(T) -> Part) -> Vec<(Part, Part)> {
    vec![(part(before), part(after))]
}

impl Part {
    /// Reads what a fault will change, and works out what it will make of that.
    pub(super) async fn take(
        connection: &Connection,
        kind: &AwsKind,
        action: &Action,
    ) -> Result<Vec<(Self, Self)>, AwsError> {
        Ok(match (kind, action) {
            (AwsKind::SecurityGroup(group), Action::BlockIngress) => {
                both(Ingress::take(connection, group).await?, Self::Ingress)
            }
            (AwsKind::TargetGroup(group), Action::BreakHealthPath(path)) => {
                let taken = HealthCheckSettings::take(connection, group, path).await?;
                both(taken, |settings| {
                    Self::HealthCheckSettings(Box::new(settings))
                })
            }
            (AwsKind::Instance(id), Action::Stop) => {
                // First what would replace the instance, and last on the way back.
                let group = Suspended::take(connection, id).await?;
                let mut parts = group.map_or_else(Vec::new, |group| both(group, Self::Suspended));
                parts.extend(both(Instance::take(connection, id).await?, Self::Instance));
                parts
            }
            (AwsKind::AutoScalingGroup(group), Action::Scale(instances)) => {
                let taken = Capacity::take(connection, group, *instances).await?;
                both(taken, Self::Capacity)
            }
            (
                AwsKind::HealthCheck(id),
                Action::InvertHealthCheck | Action::DisableHealthCheck | Action::BreakHealthPath(_),
            ) => {
                let taken = CheckSettings::take(connection, id, action).await?;
                both(taken, Self::CheckSettings)
            }
            (AwsKind::Record(record), Action::ShiftWeights(weights)) => {
                let taken = Weights::take(connection, record, weights).await?;
                both(taken, Self::Weights)
            }
            (AwsKind::Database(id), Action::FailoverDatabase) => {
                both(Standby::take(connection, id).await?, Self::Standby)
            }
            (AwsKind::DatabaseCluster(id), Action::FailoverDatabase) => {
                both(Cluster::take(connection, id).await?, Self::Cluster)
            }
            (AwsKind::LoadBalancer(arn), Action::LoseZone(zone)) => {
                both(Shift::take(connection, arn, zone).await?, Self::Shift)
            }
            // The change was refused when it was worked out.
            (kind, _) => {
                return Err(AwsError::NotPossible {
                    resource: kind.to_string(),
                    problem: "cannot be broken in this way".to_owned(),
                });
            }
        })
    }

    /// The same part of the resource as it is now.
    pub(super) async fn read(&self, connection: &Connection) -> Result<Self, AwsError> {
        let now = match self {
            Self::Ingress(part) => part.read(connection).await?.map(Self::Ingress),
            Self::HealthCheckSettings(part) => {
                let now = part.read(connection).await?;
                now.map(|now| Self::HealthCheckSettings(Box::new(now)))
            }
            Self::Suspended(part) => part.read(connection).await?.map(Self::Suspended),
            Self::Instance(part) => part.read(connection).await?.map(Self::Instance),
            Self::Capacity(part) => part.read(connection).await?.map(Self::Capacity),
            Self::CheckSettings(part) => part.read(connection).await?.map(Self::CheckSettings),
            Self::Weights(part) => part.read(connection).await?.map(Self::Weights),
            Self::Standby(part) => part.read(connection).await?.map(Self::Standby),
            Self::Cluster(part) => part.read(connection).await?.map(Self::Cluster),
            Self::Shift(part) => part.read(connection).await?.map(Self::Shift),
            Self::Gone(_) => None,
        };
        Ok(now.unwrap_or_else(|| Self::Gone(self.title())))
    }

    /// Brings the resource to what this says. What is not as `expected` is left alone, and is an error.
    pub(super) async fn apply(
        &self,
        connection: &Connection,
        expected: Option<&Self>,
    ) -> Result<(), AwsError> {
        /// What is expected of a part of this kind.
        macro_rules! expected {
            ($kind:ident) => {
                match expected {
                    Some(Self::$kind(expected)) => Some(expected),
                    Some(_) | None => None,
                }
            };
        }
        match self {
            Self::Ingress(part) => part.apply(connection, expected!(Ingress)).await,
            Self::HealthCheckSettings(part) => {
                let expected = expected!(HealthCheckSettings).map(AsRef::as_ref);
                part.apply(connection, expected).await
            }
            Self::Suspended(part) => part.apply(connection, expected!(Suspended)).await,
            Self::Instance(part) => part.apply(connection, expected!(Instance)).await,
            Self::Capacity(part) => part.apply(connection, expected!(Capacity)).await,
            Self::CheckSettings(part) => part.apply(connection, expected!(CheckSettings)).await,
            Self::Weights(part) => part.apply(connection, expected!(Weights)).await,
            Self::Standby(part) => part.apply(connection).await,
            Self::Cluster(part) => part.apply(connection, expected!(Cluster)).await,
            Self::Shift(part) => part.apply(connection, expected!(Shift)).await,
            Self::Gone(_) => Ok(()),
        }
    }

    /// Asks whether this user may bring the resource to another state and back, where AWS answers that. Yields what would work against
    /// it, in words.
    pub(super) async fn rehearse(&self, connection: &Connection) -> Result<Vec<String>, AwsError> {
        match self {
            Self::Ingress(part) => part.rehearse(connection).await,
            Self::HealthCheckSettings(part) => part.rehearse(connection).await,
            Self::Instance(part) => part.rehearse(connection).await,
            Self::Capacity(part) => part.rehearse(connection).await,
            Self::Suspended(_)
            | Self::CheckSettings(_)
            | Self::Weights(_)
            | Self::Standby(_)
            | Self::Cluster(_)
            | Self::Shift(_)
            | Self::Gone(_) => Ok(Vec::new()),
        }
    }

    /// Whether this is what was there before, or what the fault leaves, or something on the way from one to the other. What the fault
    /// leaves has no texts of a drill.
    pub(super) fn is_ours(&self, before: &Self, after: &Self) -> bool {
        let is_half_way = match (self, before, after) {
            (Self::Ingress(now), Self::Ingress(before), _) => now.is_half_way(before),
            (Self::Suspended(now), Self::Suspended(before), Self::Suspended(after)) => {
                now.is_half_way(before, after)
            }
            (Self::Cluster(now), Self::Cluster(before), Self::Cluster(after)) => {
                now.is_half_way(before, after)
            }
            (Self::Instance(now), ..) => now.state == State::Starting,
            _ => false,
        };
        is_half_way || self == before || self.clone().without_texts(before) == *after
    }

    /// The same with a checksum for each text that a drill may have given: what was there before is none of a drill's.
    pub(super) fn without_texts(self, before: &Self) -> Self {
        match (self, before) {
            (Self::HealthCheckSettings(part), Self::HealthCheckSettings(before)) => {
                Self::HealthCheckSettings(Box::new(part.without_texts(before)))
            }
            (Self::CheckSettings(part), Self::CheckSettings(before)) => {
                Self::CheckSettings(part.without_texts(before))
            }
            (other, _) => other,
        }
    }

    /// What the resource is called in messages.
    pub(super) fn title(&self) -> String {
        each!(self, part => part.title(), title => title.clone())
    }

    /// What the resource has, as a fragment that fits after its name.
    pub(super) fn words(&self) -> String {
        each!(self, part => part.words(), _title => "gone, or been made anew".to_owned())
    }

    /// What restoring this does, in words that a person could follow.
    pub(super) fn orders(&self) -> String {
        each!(self, part => part.orders(), title => format!("look at {title}"))
    }
}
