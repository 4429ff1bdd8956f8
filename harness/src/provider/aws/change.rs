//! What a fault does to a resource of AWS, worked out without asking AWS, so that a plan can be shown without credentials.

use std::collections::BTreeMap;

use crate::{
    drill,
    environment::{AwsKind, AwsResource, Thing},
    provider::{Planned, ProviderError},
};

/// A fault as a resource feels it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Change {
    pub(super) resource: AwsResource,
    pub(super) action: Action,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Action {
    /// Nothing is let in any more.
    BlockIngress,
    /// The health check asks this path.
    BreakHealthPath(String),
    /// The instance is stopped.
    Stop,
    /// So many instances are wanted.
    Scale(u32),
    /// The result of the health check is turned round.
    InvertHealthCheck,
    /// The health check is switched off.
    DisableHealthCheck,
    /// The records have these weights, by their set identifiers.
    ShiftWeights(BTreeMap<String, u8>),
    /// The standby becomes the writer.
    FailoverDatabase,
    /// Traffic is shifted away from this zone.
    LoseZone(String),
}

/// Works out what a fault does. Touches nothing.
///
/// # Errors
/// If this cannot be done to such a resource.
pub(super) fn change(
    resource: &AwsResource,
    fault: &drill::Fault,
) -> Result<Change, ProviderError> {
    use drill::Fault as F;
    let unsupported = || {
        let can = resource.faults();
        ProviderError::Unsupported {
            fault: fault.kind().to_owned(),
            resource: resource.to_string(),
            can: if can.is_empty() {
                "only be watched".to_owned()
            } else {
                can.join(", ")
            },
        }
    };
    if !resource.faults().contains(&fault.kind()) {
        return Err(unsupported());
    }
    let action = match fault {
        F::BlockIngress { .. } => Action::BlockIngress,
        F::BreakHealthPath { path, .. } => Action::BreakHealthPath(path.clone()),
        F::Stop { .. } => Action::Stop,
        F::Scale { replicas, .. } => Action::Scale(*replicas),
        F::InvertHealthCheck { .. } => Action::InvertHealthCheck,
        F::DisableHealthCheck { .. } => Action::DisableHealthCheck,
        F::ShiftWeights { weights, .. } => Action::ShiftWeights(weights.clone()),
        F::FailoverDatabase { .. } => Action::FailoverDatabase,
        F::LoseZone { zone, .. } => Action::LoseZone(zone.clone()),
        F::Kill { .. }
        | F::Pause { .. }
        | F::Latency { .. }
        | F::Loss { .. }
        | F::Command { .. }
        | F::Disconnect { .. }
        | F::Disable { .. }
        | F::Respond { .. }
        | F::ExpireCertificate { .. } => return Err(unsupported()),
    };
    Ok(Change {
        resource: resource.clone(),
        action,
    })
}

/// What a fault will do, for a plan.
///
/// # Errors
/// If this cannot be done to such a resource.
pub fn planned(resource: &AwsResource, fault: &drill::Fault) -> Result<Planned, ProviderError> {
    let change = change(resource, fault)?;
    Ok(Planned {
        describe: change.describe(),
        describe_revert: change.describe_revert(),
        touches: format!("aws {resource}, {}", resource.account),
        warnings: change.warnings().into_iter().map(str::to_owned).collect(),
        thing: Thing::Aws(change.resource),
    })
}

impl Change {
    fn is_of_a_cluster(&self) -> bool {
        matches!(self.resource.kind, AwsKind::DatabaseCluster(_))
    }

    /// What is done, in words.
    pub(super) fn describe(&self) -> String {
        let what = &self.resource;
        match &self.action {
            Action::BlockIngress => format!("revoke every inbound rule of {what}"),
            Action::BreakHealthPath(path) => format!("let the health checks of {what} ask {path}"),
            Action::Stop => format!("stop {what}"),
            Action::Scale(instances) => format!("scale {what} to {instances} instances"),
            Action::InvertHealthCheck => format!("invert {what}"),
            Action::DisableHealthCheck => format!("disable {what}"),
            Action::ShiftWeights(weights) => {
                let weights: Vec<String> = weights
                    .iter()
                    .map(|(name, weight)| format!("{name}: {weight}"))
                    .collect();
                format!("give {what} the weights {}", weights.join(", "))
            }
            Action::FailoverDatabase if self.is_of_a_cluster() => {
                format!("make a reader of {what} its writer")
            }
            Action::FailoverDatabase => format!("reboot {what} with failover to its standby"),
            Action::LoseZone(zone) => format!("shift the traffic of {what} away from {zone}"),
        }
    }

    /// What undoing it does, in words, before the state is known.
    fn describe_revert(&self) -> String {
        let what = &self.resource;
        match &self.action {
            Action::BlockIngress => {
                format!(
                    "authorise the inbound rules of {what} again, with their descriptions and tags"
                )
            }
            Action::BreakHealthPath(_) => {
                format!("give the health checks of {what} back all settings that they had")
            }
            Action::Stop => format!("start {what}, if it ran"),
            Action::Scale(_) => {
                format!("give {what} back its smallest, largest and desired number of instances")
            }
            Action::InvertHealthCheck | Action::DisableHealthCheck => {
                format!("set {what} back as it was")
            }
            Action::ShiftWeights(_) => format!("give {what} back the weights that they had"),
            Action::FailoverDatabase if self.is_of_a_cluster() => {
                format!("make the former writer of {what} its writer again")
            }
            Action::FailoverDatabase => {
                format!("see that {what} is available; it stays where it is")
            }
            Action::LoseZone(_) => format!("cancel the zonal shift of {what}"),
        }
    }

    /// What there is that would work against it or make it another fault than is expected, as far as that can be said without asking
    /// AWS; `run --dry-run` asks.
    fn warnings(&self) -> Vec<&'static str> {
        match &self.action {
            Action::BlockIngress => vec![
                "connections that are tracked live on; those that a rule for 0.0.0.0/0 let in may be cut at once",
                "target health and an alias that evaluates it do not see this: only checks from outside fail",
            ],
            Action::BreakHealthPath(_) if self.resource.kind.is_global() => vec![US_EAST_1],
            Action::BreakHealthPath(_) => vec![
                "a load balancer all of whose targets are unhealthy sends requests to all of them: users may see nothing of it",
                "what manages the target group, such as the load balancer controller of Kubernetes, may set its path back",
            ],
            Action::Stop => vec![
                "an instance of an Auto Scaling group would be replaced: its group's processes are suspended meanwhile",
                "what is on instance store volumes is lost, and a public address that is not elastic is another one afterwards",
            ],
            Action::Scale(_) => vec![
                "scaling policies and schedules work against it, which the drill then calls a change by somebody else",
                "instances that come back are new ones",
            ],
            Action::InvertHealthCheck => vec![
                US_EAST_1,
                "if the endpoint really fails meanwhile, the inverted check turns healthy and users are sent there",
            ],
            Action::DisableHealthCheck => vec![
                US_EAST_1,
                "a disabled check counts as healthy: nothing fails over by it, unless it is inverted as well",
            ],
            Action::ShiftWeights(_) => vec![
                US_EAST_1,
                "resolvers keep the former answer for as long as its TTL",
            ],
            Action::FailoverDatabase => vec![
                "every open connection to the writer is lost",
                "clients that keep names for long go on asking the former writer",
            ],
            Action::LoseZone(_) => vec![
                "the other zones get the traffic: they need room for it",
                "a zonal shift ends by itself after 12 hours, should nobody cancel it",
            ],
        }
    }
}

/// What every change in Route 53 depends on.
const US_EAST_1: &str = "changes in Route 53 go through us-east-1, whatever region is drilled: a plan for real must not need them";
