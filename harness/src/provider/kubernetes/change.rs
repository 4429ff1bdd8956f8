//! What a fault does to objects of a cluster, worked out without asking the cluster, so that a plan can be shown without one.

use crate::{
    drill,
    environment::{ObjectKind, Objects, Thing},
    provider::{Planned, ProviderError},
};

/// A fault as objects feel it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Change {
    /// Which objects.
    pub(super) objects: Objects,
    pub(super) action: Action,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Action {
    /// So many replicas of each run.
    Scale(i32),
    /// The pods that there are end, and are replaced.
    Kill,
    /// A policy lets nothing in.
    BlockIngress,
    /// The readiness probes ask this path.
    BreakHealthPath(String),
    /// The nodes of this zone take nothing new, and what runs on them is evicted.
    LoseZone(String),
}

/// Works out what a fault does. Touches nothing.
///
/// # Errors
/// If this cannot be done to these objects.
pub(super) fn change(objects: &Objects, fault: &drill::Fault) -> Result<Change, ProviderError> {
    use drill::Fault as F;
    let unsupported = || {
        let can = objects.faults();
        ProviderError::Unsupported {
            fault: fault.kind().to_owned(),
            resource: objects.to_string(),
            can: if can.is_empty() {
                "only be watched".to_owned()
            } else {
                can.join(", ")
            },
        }
    };
    if !objects.faults().contains(&fault.kind()) {
        return Err(unsupported());
    }
    let action = match fault {
        F::Scale { replicas, .. } => Action::Scale(i32::try_from(*replicas).unwrap_or(i32::MAX)),
        F::Kill { .. } => Action::Kill,
        F::BlockIngress { .. } => Action::BlockIngress,
        F::BreakHealthPath { path, .. } => Action::BreakHealthPath(path.clone()),
        F::LoseZone { zone, .. } => Action::LoseZone(zone.clone()),
        F::Stop { .. }
        | F::Pause { .. }
        | F::Latency { .. }
        | F::Loss { .. }
        | F::Command { .. }
        | F::Disconnect { .. }
        | F::InvertHealthCheck { .. }
        | F::DisableHealthCheck { .. }
        | F::Disable { .. }
        | F::Respond { .. }
        | F::ExpireCertificate { .. }
        | F::FailoverDatabase { .. }
        | F::ShiftWeights { .. } => return Err(unsupported()),
    };
    Ok(Change {
        objects: objects.clone(),
        action,
    })
}

/// What a fault will do, for a plan.
///
/// # Errors
/// If this cannot be done to these objects.
pub fn planned(objects: &Objects, fault: &drill::Fault) -> Result<Planned, ProviderError> {
    let change = change(objects, fault)?;
    Ok(Planned {
        describe: change.describe(),
        describe_revert: change.describe_revert(),
        touches: format!("kubernetes {objects}, {}", objects.cluster),
        warnings: change.warnings().into_iter().map(str::to_owned).collect(),
        thing: Thing::Kubernetes(change.objects),
    })
}

impl Change {
    /// What is done, in words.
    pub(super) fn describe(&self) -> String {
        let whom = &self.objects;
        match &self.action {
            Action::Scale(replicas) => format!("scale {whom} to {replicas} replicas"),
            Action::Kill => format!("delete the pods of {whom}, which are replaced"),
            Action::BlockIngress => {
                format!("shut the pods of {whom} off by a NetworkPolicy that lets nothing in")
            }
            Action::BreakHealthPath(path) => {
                format!("let the readiness probes of {whom} ask {path}")
            }
            Action::LoseZone(zone) => {
                let pods = match &self.objects.namespace {
                    Some(namespace) => format!("the pods of {namespace}"),
                    None => "all pods".to_owned(),
                };
                format!("cordon the nodes of the zone {zone} and evict {pods} from them")
            }
        }
    }

    /// What undoing it does, in words, before the state is known.
    fn describe_revert(&self) -> String {
        let whom = &self.objects;
        match &self.action {
            Action::Scale(_) => format!("scale {whom} back to what each was set to"),
            Action::Kill => format!("see that {whom} has as many pods as before"),
            Action::BlockIngress => format!("delete the NetworkPolicy of {whom}"),
            Action::BreakHealthPath(_) => {
                format!("give the readiness probes of {whom} back the paths that they had")
            }
            Action::LoseZone(zone) => {
                format!("uncordon those nodes of the zone {zone} that were not cordoned")
            }
        }
    }

    /// What a cluster may do against it, as far as that can be said without asking one; `run --dry-run` asks.
    fn warnings(&self) -> Vec<&'static str> {
        let mut warnings = Vec::new();
        match &self.action {
            Action::Scale(0) => {
                warnings.push(
                    "a horizontal autoscaler stops at 0 replicas: it neither works against the drill nor helps to come back",
                );
                warnings.push("disruption budgets do not apply to scaling");
            }
            Action::Scale(_) => {
                warnings.push("a horizontal autoscaler works against it, which the drill then calls a change by somebody else");
                warnings.push("disruption budgets do not apply to scaling");
            }
            Action::Kill => warnings.push("disruption budgets do not apply to pods that are deleted"),
            Action::BlockIngress => {
                warnings.push(
                    "whether a NetworkPolicy does anything is up to the network plugin, and so is what becomes of open \
                     connections: the drill measures it",
                );
                warnings.push("the nodes' own probes are let in by many plugins, so that pods stay ready");
            }
            Action::BreakHealthPath(_) => warnings.push(
                "this changes the pods' template: new pods are rolled out, and a rolling update that they fail keeps old ones \
                 serving",
            ),
            Action::LoseZone(_) => {
                warnings.push("pods of DaemonSets stay, and disruption budgets can keep others");
                warnings.push("evicted pods do not go back by themselves when the nodes are uncordoned");
            }
        }
        let is_declared = matches!(self.action, Action::Scale(_) | Action::BreakHealthPath(_));
        if is_declared && self.objects.kind != ObjectKind::Node {
            warnings.push(
                "a reconciler such as Argo CD with self-heal sets back what it declares, which the drill then calls a change by \
                 somebody else",
            );
        }
        warnings
    }
}
