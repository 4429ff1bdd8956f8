//! What a user must be allowed to, for each fault: as a policy to attach.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::change::{Action, Change, change};
use crate::{
    drill,
    environment::{AwsKind, AwsRecord, AwsResource, Binding, Environment, Target},
    provider::{Permissions, ProviderError},
};

/// What stands for every resource: of what only lists, none can be named.
const EVERY: &str = "*";

/// Actions that are needed on one resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Rule {
    /// The resource's ARN.
    on: String,
    only: Option<Only>,
    actions: BTreeSet<&'static str>,
}

/// The condition under which something is needed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Only {
    /// The only records that may be changed: their name and type.
    Record(String, String),
    /// Grants of a key for a service of AWS that needs it, and for nobody else.
    GrantsForAws,
}

fn rule<const N: usize>(on: impl Into<String>, actions: [&'static str; N]) -> Rule {
    Rule {
        on: on.into(),
        only: None,
        actions: actions.into(),
    }
}

/// The ARN of something in the region of a resource.
fn arn(resource: &AwsResource, service: &str, rest: &str) -> String {
    let region = resource.account.region.as_deref().unwrap_or(EVERY);
    let account = resource.account.account.as_deref().unwrap_or(EVERY);
    let partition = match region {
        region if region.starts_with("cn-") => "aws-cn",
        region if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    };
    if resource.kind.is_global() {
        return format!("arn:{partition}:{service}:::{rest}");
    }
    format!("arn:{partition}:{service}:{region}:{account}:{rest}")
}

/// The ARN of the resource itself.
fn own(resource: &AwsResource) -> String {
    match &resource.kind {
        AwsKind::SecurityGroup(id) => arn(resource, "ec2", &format!("security-group/{id}")),
        AwsKind::Instance(id) => arn(resource, "ec2", &format!("instance/{id}")),
        AwsKind::TargetGroup(name) | AwsKind::LoadBalancer(name) if name.starts_with("arn:") => {
            name.clone()
        }
        AwsKind::TargetGroup(name) => {
            let rest = format!("targetgroup/{name}/*");
            arn(resource, "elasticloadbalancing", &rest)
        }
        AwsKind::LoadBalancer(name) => {
            let rest = format!("loadbalancer/*/{name}/*");
            arn(resource, "elasticloadbalancing", &rest)
        }
        AwsKind::AutoScalingGroup(name) => {
            let rest = format!("autoScalingGroup:*:autoScalingGroupName/{name}");
            arn(resource, "autoscaling", &rest)
        }
        AwsKind::HealthCheck(id) => arn(resource, "route53", &format!("healthcheck/{id}")),
        AwsKind::Record(record) => {
            let zone = record.zone.trim_start_matches("/hostedzone/");
            arn(resource, "route53", &format!("hostedzone/{zone}"))
        }
        AwsKind::Database(id) => arn(resource, "rds", &format!("db:{id}")),
        AwsKind::DatabaseCluster(id) => arn(resource, "rds", &format!("cluster:{id}")),
        AwsKind::Alarm(name) => arn(resource, "cloudwatch", &format!("alarm:{name}")),
    }
}

/// What a fault needs.
fn rules(change: &Change) -> Vec<Rule> {
    let resource = &change.resource;
    let own = own(resource);
    match (&change.action, &resource.kind) {
        (Action::BlockIngress, _) => vec![
            rule(
                &own,
                [
                    "ec2:AuthorizeSecurityGroupIngress",
                    "ec2:RevokeSecurityGroupIngress",
                ],
            ),
            // The rules that are made anew, with the tags that they had.
            rule(
                arn(resource, "ec2", "security-group-rule/*"),
                ["ec2:AuthorizeSecurityGroupIngress", "ec2:CreateTags"],
            ),
            rule(
                EVERY,
                [
                    "ec2:DescribeSecurityGroupRules",
                    "ec2:DescribeSecurityGroups",
                ],
            ),
        ],
        (Action::BreakHealthPath(_), AwsKind::TargetGroup(_)) => vec![
            rule(own, ["elasticloadbalancing:ModifyTargetGroup"]),
            rule(
                EVERY,
                [
                    "elasticloadbalancing:DescribeTags",
                    "elasticloadbalancing:DescribeTargetGroups",
                ],
            ),
        ],
        (
            Action::BreakHealthPath(_) | Action::InvertHealthCheck | Action::DisableHealthCheck,
            _,
        ) => {
            vec![rule(
                own,
                ["route53:GetHealthCheck", "route53:UpdateHealthCheck"],
            )]
        }
        (Action::Stop, _) => {
            // Whoever starts an instance with an encrypted volume hands the key on to EC2, or it falls back to stopped. Which key that is
            // stands in the volume.
            let mut handing_on = rule(arn(resource, "kms", "key/*"), ["kms:CreateGrant"]);
            handing_on.only = Some(Only::GrantsForAws);
            vec![
                rule(own, ["ec2:StartInstances", "ec2:StopInstances"]),
                handing_on,
                // Of the group that the instance is in, which is found when it is stopped.
                rule(
                    arn(
                        resource,
                        "autoscaling",
                        "autoScalingGroup:*:autoScalingGroupName/*",
                    ),
                    [
                        "autoscaling:ResumeProcesses",
                        "autoscaling:SuspendProcesses",
                    ],
                ),
                rule(
                    EVERY,
                    [
                        "autoscaling:DescribeAutoScalingGroups",
                        "autoscaling:DescribeAutoScalingInstances",
                        "ec2:DescribeInstances",
                        "elasticloadbalancing:DescribeTargetHealth",
                    ],
                ),
            ]
        }
        (Action::Scale(_), _) => vec![
            rule(own, ["autoscaling:UpdateAutoScalingGroup"]),
            rule(
                EVERY,
                [
                    "autoscaling:DescribeAutoScalingGroups",
                    "autoscaling:DescribePolicies",
                ],
            ),
        ],
        (Action::ShiftWeights(_), kind) => {
            let mut changing = rule(&own, ["route53:ChangeResourceRecordSets"]);
            if let AwsKind::Record(AwsRecord { name, kind, .. }) = kind {
                changing.only = Some(Only::Record(name.clone(), kind.clone()));
            }
            vec![changing, rule(own, ["route53:ListResourceRecordSets"])]
        }
        (Action::FailoverDatabase, AwsKind::DatabaseCluster(_)) => {
            // The instances of the cluster are named as well, and not known here.
            vec![
                rule(own, ["rds:DescribeDBClusters", "rds:FailoverDBCluster"]),
                rule(arn(resource, "rds", "db:*"), ["rds:FailoverDBCluster"]),
            ]
        }
        (Action::FailoverDatabase, _) => {
            vec![rule(
                own,
                ["rds:DescribeDBInstances", "rds:RebootDBInstance"],
            )]
        }
        (Action::LoseZone(_), _) => vec![
            rule(
                own,
                [
                    "arc-zonal-shift:CancelZonalShift",
                    "arc-zonal-shift:StartZonalShift",
                ],
            ),
            rule(
                EVERY,
                [
                    "arc-zonal-shift:ListZonalShifts",
                    "ec2:DescribeAvailabilityZones",
                ],
            ),
        ],
    }
}

/// What an observer needs.
fn watching(resource: &AwsResource) -> Vec<Rule> {
    let own = own(resource);
    vec![match &resource.kind {
        AwsKind::HealthCheck(_) => rule(
            own,
            ["route53:GetHealthCheck", "route53:GetHealthCheckStatus"],
        ),
        AwsKind::TargetGroup(_) => rule(
            EVERY,
            [
                "elasticloadbalancing:DescribeTargetGroups",
                "elasticloadbalancing:DescribeTargetHealth",
            ],
        ),
        AwsKind::Instance(_) => rule(EVERY, ["ec2:DescribeInstances"]),
        AwsKind::AutoScalingGroup(_) => rule(EVERY, ["autoscaling:DescribeAutoScalingGroups"]),
        AwsKind::Database(_) => rule(own, ["rds:DescribeDBInstances"]),
        AwsKind::DatabaseCluster(_) => rule(own, ["rds:DescribeDBClusters"]),
        AwsKind::LoadBalancer(_) => rule(EVERY, ["elasticloadbalancing:DescribeLoadBalancers"]),
        // Limited to an alarm it hides those that are composite.
        AwsKind::Alarm(_) => rule(EVERY, ["cloudwatch:DescribeAlarms"]),
        AwsKind::SecurityGroup(_) | AwsKind::Record(_) => return Vec::new(),
    }]
}

/// The policies that faults and the observers of their environment need, one for each account and region.
///
/// # Errors
/// If a fault cannot be done to its target.
pub(in crate::provider) fn permissions(
    environment: &Environment,
    faults: &[&drill::Fault],
) -> Result<Vec<Permissions>, ProviderError> {
    let mut accounts: BTreeMap<String, Vec<Rule>> = BTreeMap::new();
    let resource = |target: &str| match environment.targets.get(target) {
        Some(Target::Aws(resource)) => Some(resource),
        Some(_) | None => None,
    };
    for fault in faults {
        if let Some(resource) = resource(fault.target()) {
            let rules = rules(&change(resource, fault)?);
            let of_account = accounts.entry(resource.account.to_string());
            of_account.or_default().extend(rules);
        }
    }
    for observer in &environment.observers {
        if let Some(resource) = resource(&observer.watches) {
            let of_account = accounts.entry(resource.account.to_string());
            of_account.or_default().extend(watching(resource));
        }
    }
    let permissions = accounts.into_iter().map(|(system, rules)| Permissions {
        binding: Binding::Aws,
        system,
        text: policy(rules),
    });
    Ok(permissions.collect())
}

/// A policy: what is needed on the same resource is one statement, and resources on which the same is needed are one.
fn policy(rules: Vec<Rule>) -> String {
    let mut by_resource: BTreeMap<_, BTreeSet<&str>> = BTreeMap::new();
    for Rule { on, only, actions } in rules {
        by_resource.entry((on, only)).or_default().extend(actions);
    }
    let mut by_actions: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    for ((on, only), actions) in by_resource {
        by_actions.entry((actions, only)).or_default().insert(on);
    }
    let statements = by_actions.into_iter().map(|((actions, only), on)| {
        let mut statement = json!({ "Effect": "Allow", "Action": actions, "Resource": on });
        if let Some(only) = only {
            statement["Condition"] = only.condition();
        }
        statement
    });
    let policy = json!({ "Version": "2012-10-17", "Statement": statements.collect::<Vec<_>>() });
    let mut text = format!("{policy:#}");
    text.push('\n');
    text
}

impl Only {
    /// As it stands in a policy (Route 53 developer guide, "Using IAM policy conditions for fine-grained access control"; KMS developer
    /// guide, "Condition keys": `kms:GrantIsForAWSResource`).
    fn condition(&self) -> Value {
        let of = |what: &str| format!("route53:ChangeResourceRecordSets{what}");
        match self {
            Self::Record(name, kind) => json!({
                "ForAllValues:StringEquals": {
                    of("Actions"): ["UPSERT"],
                    of("NormalizedRecordNames"): [name.replace('*', "\\052")],
                    of("RecordTypes"): [kind],
                },
            }),
            Self::GrantsForAws => json!({ "Bool": { "kms:GrantIsForAWSResource": "true" } }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::AwsAccount;

    fn change_of(kind: AwsKind, action: Action) -> Change {
        Change {
            resource: AwsResource {
                account: AwsAccount {
                    region: Some("eu-central-1".to_owned()),
                    account: Some("123456789012".to_owned()),
                    ..AwsAccount::default()
                },
                kind,
            },
            action,
        }
    }

    /// The policies of docs/permissions/aws.md are those that are printed.
    #[test]
    fn the_documented_policies_are_those_that_are_printed() {
        let documented = include_str!("../../../../docs/permissions/aws.md");
        let named = |name: &str| name.to_owned();
        let balancer = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:loadbalancer/app/web/0123456789abcdef";
        for (kind, action) in [
            (
                AwsKind::SecurityGroup(named("sg-0123456789abcdef0")),
                Action::BlockIngress,
            ),
            (
                AwsKind::TargetGroup(named("web")),
                Action::BreakHealthPath(named("/nonexistent")),
            ),
            (
                AwsKind::Instance(named("i-0123456789abcdef0")),
                Action::Stop,
            ),
            (AwsKind::AutoScalingGroup(named("web")), Action::Scale(0)),
            (
                AwsKind::HealthCheck(named("01234567-89ab-cdef-0123-456789abcdef")),
                Action::InvertHealthCheck,
            ),
            (
                AwsKind::Record(AwsRecord {
                    zone: named("Z0123456789ABCDEFGHIJ"),
                    name: named("www.example.com"),
                    kind: named("A"),
                }),
                Action::ShiftWeights(BTreeMap::new()),
            ),
            (
                AwsKind::Database(named("petclinic")),
                Action::FailoverDatabase,
            ),
            (
                AwsKind::DatabaseCluster(named("petclinic")),
                Action::FailoverDatabase,
            ),
            (
                AwsKind::LoadBalancer(named(balancer)),
                Action::LoseZone(named("eu-central-1a")),
            ),
        ] {
            let change = change_of(kind, action);
            let text = policy(rules(&change));
            assert!(
                documented.contains(&text),
                "docs/permissions/aws.md lacks, for {:?}:\n{text}",
                change.action
            );
        }
    }

    #[test]
    fn an_alarm_is_read_among_all_or_a_composite_one_is_hidden() {
        let change = change_of(AwsKind::Alarm("too-slow".to_owned()), Action::Stop);
        let policy: Value = serde_json::from_str(&policy(watching(&change.resource))).unwrap();
        assert_eq!(
            policy["Statement"],
            json!([{ "Effect": "Allow", "Action": ["cloudwatch:DescribeAlarms"], "Resource": ["*"] }])
        );
    }

    #[test]
    fn what_is_needed_twice_is_one_statement() {
        let kind = || AwsKind::HealthCheck("abc".to_owned());
        let change = change_of(kind(), Action::InvertHealthCheck);
        let policy = policy([rules(&change), watching(&change.resource)].concat());
        let policy: Value = serde_json::from_str(&policy).unwrap();
        assert_eq!(
            policy["Statement"],
            json!([{
                "Effect": "Allow",
                "Action": ["route53:GetHealthCheck", "route53:GetHealthCheckStatus", "route53:UpdateHealthCheck"],
                "Resource": ["arn:aws:route53:::healthcheck/abc"],
            }])
        );
    }
}
