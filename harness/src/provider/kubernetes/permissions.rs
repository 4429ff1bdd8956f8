//! What a user must be allowed to, for each fault: as a role to give, and as questions to the server.

use std::{collections::BTreeMap, fmt::Write};

use super::{
    api::resource,
    change::{Action, Change, change},
};
use crate::{
    drill,
    environment::{Binding, Environment, ObjectKind, Objects, Target, WhichObjects},
    provider::{Permissions, ProviderError},
};

/// Verbs that are needed for one kind of thing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rule {
    /// The namespace; nothing for the whole cluster.
    pub(super) namespace: Option<String>,
    /// The API group; empty for the first of them.
    pub(super) group: String,
    /// The kind in paths, perhaps with a subresource: `deployments/scale`.
    pub(super) resource: String,
    /// The only names; every one if there is none.
    pub(super) names: Vec<String>,
    pub(super) verbs: Vec<&'static str>,
}

impl Rule {
    fn new(namespace: Option<&str>, group: &str, resource: &str, verbs: &[&'static str]) -> Self {
        Self {
            namespace: namespace.map(str::to_owned),
            group: group.to_owned(),
            resource: resource.to_owned(),
            names: Vec::new(),
            verbs: verbs.to_vec(),
        }
    }

    fn named(mut self, names: &[String]) -> Self {
        self.names = names.to_vec();
        self
    }
}

/// What a fault needs.
pub(super) fn rules(change: &Change) -> Vec<Rule> {
    let objects = &change.objects;
    let namespace = objects.namespace.as_deref();
    let own = own_namespace(objects);
    let kind = resource(&objects.kind);
    let names: Vec<String> = name(objects).into_iter().collect();
    let mut rules = vec![reading(objects)];
    let of_kind = |suffix: &str, verbs: &[&'static str]| {
        let resource = format!("{}{suffix}", kind.plural);
        Rule::new(own, &kind.group, &resource, verbs).named(&names)
    };
    match &change.action {
        Action::Scale(_) => rules.push(of_kind("/scale", &["get", "patch"])),
        Action::Kill => rules.push(Rule::new(namespace, "", "pods", &["list", "delete"])),
        Action::BlockIngress => rules.push(Rule::new(
            namespace,
            "networking.k8s.io",
            "networkpolicies",
            &["get", "list", "create", "delete"],
        )),
        Action::BreakHealthPath(_) => rules.push(of_kind("", &["patch"])),
        Action::LoseZone(_) => {
            rules.push(of_kind("", &["patch"]));
            rules.push(Rule::new(namespace, "", "pods", &["list"]));
            rules.push(Rule::new(namespace, "", "pods/eviction", &["create"]));
        }
    }
    rules
}

/// What an observer needs besides reading the object.
fn watching(objects: &Objects) -> Vec<Rule> {
    let own = own_namespace(objects);
    let mut rules = vec![reading(objects), Rule::new(own, "", "events", &["list"])];
    if objects.kind == ObjectKind::Service {
        rules.push(Rule::new(
            own,
            "discovery.k8s.io",
            "endpointslices",
            &["list"],
        ));
    }
    rules
}

fn reading(objects: &Objects) -> Rule {
    let kind = resource(&objects.kind);
    let own = own_namespace(objects);
    match name(objects) {
        Some(name) => Rule::new(own, &kind.group, &kind.plural, &["get"]).named(&[name]),
        None => Rule::new(own, &kind.group, &kind.plural, &["get", "list"]),
    }
}

fn name(objects: &Objects) -> Option<String> {
    match &objects.which {
        WhichObjects::Named(name) => Some(name.clone()),
        WhichObjects::All | WhichObjects::Labelled(_) => None,
    }
}

/// The namespace of the objects themselves.
fn own_namespace(objects: &Objects) -> Option<&str> {
    let namespace = objects.namespace.as_deref();
    namespace.filter(|_| objects.kind != ObjectKind::Node)
}

/// The roles that faults and the observers of their environment need, as what `kubectl apply` takes.
///
/// # Errors
/// If a fault cannot be done to its target.
pub(in crate::provider) fn permissions(
    environment: &Environment,
    faults: &[&drill::Fault],
) -> Result<Vec<Permissions>, ProviderError> {
    let mut clusters: BTreeMap<String, Vec<Rule>> = BTreeMap::new();
    let objects = |target: &str| match environment.targets.get(target) {
        Some(Target::Kubernetes(objects)) => Some(objects),
        Some(_) | None => None,
    };
    for fault in faults {
        if let Some(objects) = objects(fault.target()) {
            let rules = rules(&change(objects, fault)?);
            let of_cluster = clusters.entry(objects.cluster.to_string());
            of_cluster.or_default().extend(rules);
        }
    }
    for observer in &environment.observers {
        if let Some(objects) = objects(&observer.watches) {
            let of_cluster = clusters.entry(objects.cluster.to_string());
            of_cluster.or_default().extend(watching(objects));
        }
    }
    let permissions = clusters.into_iter().map(|(system, rules)| Permissions {
        binding: Binding::Kubernetes,
        system,
        text: manifest(rules),
    });
    Ok(permissions.collect())
}

/// Roles as a manifest: one for each namespace, and one for the cluster.
fn manifest(rules: Vec<Rule>) -> String {
    let mut namespaces: BTreeMap<Option<String>, Vec<Rule>> = BTreeMap::new();
    for rule in merged(rules) {
        namespaces
            .entry(rule.namespace.clone())
            .or_default()
            .push(rule);
    }
    let mut text = String::new();
    for (namespace, rules) in namespaces {
        let (kind, place) = match &namespace {
            Some(namespace) => ("Role", format!(", namespace: {namespace}")),
            None => ("ClusterRole", String::new()),
        };
        // Writing to a string does not fail.
        let _written = write!(
            text,
            "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: {kind}\nmetadata: {{ name: blackstart{place} }}\nrules:\n"
        );
        for rule in rules {
            let names = if rule.names.is_empty() {
                String::new()
            } else {
                format!(", resourceNames: [{}]", rule.names.join(", "))
            };
            let _written = writeln!(
                text,
                "  - {{ apiGroups: [\"{}\"], resources: [{}]{names}, verbs: [{}] }}",
                rule.group,
                rule.resource,
                rule.verbs.join(", ")
            );
        }
    }
    text
}

/// Rules for the same things as one.
fn merged(mut rules: Vec<Rule>) -> Vec<Rule> {
    rules.sort();
    let mut merged: Vec<Rule> = Vec::new();
    for rule in rules {
        let same = merged.iter_mut().find(|known| {
            (
                &known.namespace,
                &known.group,
                &known.resource,
                &known.names,
            ) == (&rule.namespace, &rule.group, &rule.resource, &rule.names)
        });
        match same {
            Some(known) => {
                let new = rule.verbs.iter().filter(|verb| !known.verbs.contains(verb));
                let new: Vec<_> = new.copied().collect();
                known.verbs.extend(new);
            }
            None => merged.push(rule),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Cluster;

    fn change_of(kind: ObjectKind, which: WhichObjects, action: Action) -> Change {
        Change {
            objects: Objects {
                cluster: Cluster::default(),
                namespace: Some("petclinic".to_owned()),
                kind,
                which,
            },
            action,
        }
    }

    /// The roles of docs/permissions/kubernetes.md are those that are printed.
    #[test]
    fn the_documented_roles_are_those_that_are_printed() {
        let documented = include_str!("../../../../docs/permissions/kubernetes.md");
        let web = || WhichObjects::Named("web".to_owned());
        for (kind, which, action) in [
            (ObjectKind::Deployment, web(), Action::Scale(0)),
            (ObjectKind::Rollout, WhichObjects::All, Action::Scale(0)),
            (ObjectKind::Deployment, web(), Action::Kill),
            (ObjectKind::Deployment, web(), Action::BlockIngress),
            (
                ObjectKind::Deployment,
                web(),
                Action::BreakHealthPath("/nonexistent".to_owned()),
            ),
            (
                ObjectKind::Node,
                WhichObjects::All,
                Action::LoseZone("a".to_owned()),
            ),
        ] {
            let change = change_of(kind, which, action);
            let text = manifest(rules(&change));
            assert!(
                documented.contains(&text),
                "docs/permissions/kubernetes.md lacks, for {:?}:\n{text}",
                change.action
            );
        }
    }

    #[test]
    fn what_two_faults_need_of_one_thing_is_one_rule() {
        let named = WhichObjects::Named("web".to_owned());
        let scale = change_of(ObjectKind::Deployment, named.clone(), Action::Scale(0));
        let path = Action::BreakHealthPath("/x".to_owned());
        let path = change_of(ObjectKind::Deployment, named, path);
        let rules = merged([rules(&scale), rules(&path)].concat());
        let of_deployments: Vec<_> = rules
            .iter()
            .filter(|rule| rule.resource == "deployments")
            .collect();
        assert_eq!(of_deployments.len(), 1);
        assert_eq!(of_deployments[0].verbs, ["get", "patch"]);
    }
}
