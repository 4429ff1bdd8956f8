//! `limits:` of an environment: what may be touched, how much of it at once, and for how long.

use std::{path::PathBuf, time::Duration};

use blackstart_lab::{control::ResourceKind, stack::DurationText};
use schemars::JsonSchema;
use serde::Serialize;

use super::Target;
use crate::source::Item;

/// What a drill may do here, whatever it says.
#[derive(Debug, Clone, PartialEq, Default, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Limits {
    /// How long faults may be in place: this long after the first was issued everything is reverted, whatever the drill says, and the
    /// drill is aborted.
    #[schemars(with = "Option<DurationText>")]
    pub max_fault: Option<Duration>,
    /// The only targets that may be touched. Default: every target of the environment.
    pub targets: Option<Vec<String>>,
    /// How many targets may be broken at the same time. Default: as many as the drill breaks.
    pub at_once: Option<u32>,
    /// A file whose existence stops every drill: nothing is started while it is there, and when it appears everything is reverted. An
    /// absolute path. The variable `BLACKSTART_KILL_SWITCH` names another one.
    pub kill_switch: Option<PathBuf>,
    /// What of the lab may be touched. Default: everything.
    pub lab: Option<LabLimits>,
    /// What of Azure may be touched. Default: everything.
    pub azure: Option<AzureLimits>,
    /// What of Kubernetes may be touched. Default: everything.
    pub kubernetes: Option<KubernetesLimits>,
    /// What of AWS may be touched. Default: everything.
    pub aws: Option<AwsLimits>,
}

/// What of the lab may be touched.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct LabLimits {
    /// The only kinds of things.
    pub kinds: Vec<String>,
}

/// What of Azure may be touched.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct AzureLimits {
    /// The only subscriptions, by their ids. Default: every one.
    pub subscriptions: Option<Vec<String>>,
    /// The only resource groups. Default: every one.
    pub resource_groups: Option<Vec<String>>,
}

/// What of Kubernetes may be touched.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct KubernetesLimits {
    /// The only contexts; targets have to name theirs then. Default: every one.
    pub contexts: Option<Vec<String>>,
    /// The only namespaces; nodes, which are in none, may not be touched then. Default: every one.
    pub namespaces: Option<Vec<String>>,
}

/// What of AWS may be touched.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct AwsLimits {
    /// The only accounts, by their numbers; targets have to name theirs then. Default: every one.
    pub accounts: Option<Vec<String>>,
    /// The only regions; targets have to name theirs then. What is in none, as in Route 53, is in `global`. Default: every one.
    pub regions: Option<Vec<String>>,
}

/// What a fault touches, as its binding resolved it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touched {
    /// The target's name in the environment.
    pub target: String,
    /// The thing itself, in the terms of its binding.
    pub thing: Thing,
}

/// A thing that a fault touches, in the terms of its binding, which are those that limits name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Thing {
    /// A thing in the lab.
    Lab(blackstart_lab::control::Resource),
    /// Containers, or something of the lab that runs in one.
    Docker(super::Containers),
    /// Objects of a Kubernetes cluster.
    Kubernetes(super::Objects),
    /// A resource of AWS.
    Aws(super::AwsResource),
    /// Whatever programs reach.
    Command,
    /// A resource of Azure.
    Azure(super::AzureResource),
}

/// A limit that a fault would break.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Breach {
    /// The target is not among those that may be touched.
    #[error("`limits: targets` does not name `{target}`: {may} may be touched")]
    Target {
        /// The target.
        target: String,
        /// Those that may be touched.
        may: String,
    },
    /// Things of this kind may not be touched.
    #[error(
        "`limits: lab: kinds` does not name `{kind}`, and `{target}` is one: {may} may be touched"
    )]
    Kind {
        /// The target.
        target: String,
        /// Its kind.
        kind: String,
        /// The kinds that may be touched.
        may: String,
    },
    /// The target is where nothing may be touched.
    #[error("`limits: {limit}` does not name {place}, where `{target}` is: {may} may be touched")]
    Place {
        /// The limit's key.
        limit: &'static str,
        /// The target.
        target: String,
        /// Where it is.
        place: String,
        /// Where things may be touched.
        may: String,
    },
    /// Too many targets would be broken at the same time.
    #[error("`limits: at-once` is {most}, and with `{target}` it would be {count}: {broken}")]
    AtOnce {
        /// The target that is one too many.
        target: String,
        /// The limit.
        most: u32,
        /// How many there would be.
        count: usize,
        /// All of them.
        broken: String,
    },
}

impl From<&Target> for Thing {
    fn from(target: &Target) -> Self {
        match target {
            Target::Lab(resource) => Self::Lab(resource.clone()),
            Target::Docker(containers) => Self::Docker(containers.clone()),
            Target::Kubernetes(objects) => Self::Kubernetes(objects.clone()),
            Target::Aws(resource) => Self::Aws(resource.clone()),
            Target::Command(_) => Self::Command,
            Target::Azure(resource) => Self::Azure(resource.clone()),
        }
    }
}

impl Limits {
    /// Whether nothing is limited.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether one more thing may be touched, with these targets broken already.
    ///
    /// # Errors
    /// The limit that it would break.
    pub fn permit<'t>(
        &self,
        touched: &'t Touched,
        broken: impl IntoIterator<Item = &'t str>,
    ) -> Result<(), Breach> {
        let target = touched.target.as_str();
        if let Some(targets) = &self.targets
            && !targets.iter().any(|known| known == target)
        {
            return Err(Breach::Target {
                target: target.to_owned(),
                may: only(targets),
            });
        }
        match &touched.thing {
            Thing::Lab(resource) => {
                let kind = resource.kind.as_str();
                if let Some(LabLimits { kinds }) = &self.lab
                    && !kinds.iter().any(|known| known == kind)
                {
                    return Err(Breach::Kind {
                        target: target.to_owned(),
                        kind: kind.to_owned(),
                        may: only(kinds),
                    });
                }
            }
            Thing::Docker(_) | Thing::Command => {}
            Thing::Azure(resource) => {
                if let Some(limits) = &self.azure {
                    limits.permit(target, resource)?;
                }
            }
            Thing::Kubernetes(objects) => {
                if let Some(limits) = &self.kubernetes {
                    limits.permit(target, objects)?;
                }
            }
            Thing::Aws(resource) => {
                if let Some(limits) = &self.aws {
                    limits.permit(target, resource)?;
                }
            }
        }
        let mut broken: Vec<&str> = broken.into_iter().chain([target]).collect();
        broken.sort_unstable();
        broken.dedup();
        match self.at_once {
            Some(most) if broken.len() > usize::try_from(most).unwrap_or(usize::MAX) => {
                Err(Breach::AtOnce {
                    target: target.to_owned(),
                    most,
                    count: broken.len(),
                    broken: broken.join(", "),
                })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// What may be touched, in words for the plan; empty where everything may.
    pub fn words(&self) -> Vec<String> {
        let targets = self
            .targets
            .as_ref()
            .map(|targets| format!("targets {}", targets.join(", ")));
        let kinds = self
            .lab
            .as_ref()
            .map(|lab| format!("of the lab {}", lab.kinds.join(", ")));
        let azure = self.azure.iter();
        let subscriptions = azure.clone().filter_map(|limits| {
            let subscriptions = limits.subscriptions.as_ref()?;
            Some(format!("subscriptions {}", subscriptions.join(", ")))
        });
        let resource_groups = azure.filter_map(|limits| {
            let groups = limits.resource_groups.as_ref()?;
            Some(format!("resource groups {}", groups.join(", ")))
        });
        let kubernetes = self.kubernetes.iter();
        let contexts = kubernetes.clone().filter_map(|limits| {
            let contexts = limits.contexts.as_ref()?;
            Some(format!("contexts {}", contexts.join(", ")))
        });
        let namespaces = kubernetes.filter_map(|limits| {
            let namespaces = limits.namespaces.as_ref()?;
            Some(format!("namespaces {}", namespaces.join(", ")))
        });
        let aws = self.aws.iter();
        let accounts = aws.clone().filter_map(|limits| {
            let accounts = limits.accounts.as_ref()?;
            Some(format!("accounts {}", accounts.join(", ")))
        });
        let regions = aws.filter_map(|limits| {
            let regions = limits.regions.as_ref()?;
            Some(format!("regions {}", regions.join(", ")))
        });
        let at_once = self.at_once.map(|most| format!("at most {most} at once"));
        let first = targets.into_iter().chain(kinds);
        first
            .chain(subscriptions)
            .chain(resource_groups)
            .chain(contexts)
            .chain(namespaces)
            .chain(accounts)
            .chain(regions)
            .chain(at_once)
            .collect()
    }
}

impl AzureLimits {
    fn permit(&self, target: &str, resource: &super::AzureResource) -> Result<(), Breach> {
        permit_place(
            "azure: subscriptions",
            target,
            self.subscriptions.as_deref(),
            Some(&resource.account.subscription),
        )?;
        permit_place(
            "azure: resource-groups",
            target,
            self.resource_groups.as_deref(),
            Some(&resource.resource_group),
        )
    }
}

impl KubernetesLimits {
    fn permit(&self, target: &str, objects: &super::Objects) -> Result<(), Breach> {
        let context = objects.cluster.context.as_deref();
        permit_place(
            "kubernetes: contexts",
            target,
            self.contexts.as_deref(),
            context,
        )?;
        permit_place(
            "kubernetes: namespaces",
            target,
            self.namespaces.as_deref(),
            objects.namespace.as_deref(),
        )
    }
}

impl AwsLimits {
    fn permit(&self, target: &str, resource: &super::AwsResource) -> Result<(), Breach> {
        permit_place(
            "aws: accounts",
            target,
            self.accounts.as_deref(),
            resource.account.account.as_deref(),
        )?;
        permit_place(
            "aws: regions",
            target,
            self.regions.as_deref(),
            resource.region(),
        )
    }
}

/// Whether a place is among those where things may be touched. One that is not known is none of them.
fn permit_place(
    limit: &'static str,
    target: &str,
    may: Option<&[String]>,
    place: Option<&str>,
) -> Result<(), Breach> {
    let Some(may) = may else { return Ok(()) };
    if place.is_some_and(|place| may.iter().any(|known| known == place)) {
        return Ok(());
    }
    Err(Breach::Place {
        limit,
        target: target.to_owned(),
        place: place.map_or_else(|| "the default".to_owned(), |place| format!("`{place}`")),
        may: only(may),
    })
}

fn only(names: &[String]) -> String {
    format!("only {}", names.join(", "))
}

/// The `limits:` mapping of an environment file.
pub(super) fn decode(item: Item<'_>) -> Option<Limits> {
    let mut mapping = item.mapping()?;
    let max_fault = mapping.maybe("max-fault", Item::positive_duration);
    let targets = mapping.maybe("targets", |targets| targets.filled_list_of(Item::text));
    let at_once = mapping.maybe("at-once", |count| count.whole(1..=1000));
    let kill_switch = mapping.maybe("kill-switch", absolute_path);
    let lab = mapping.maybe("lab", |lab| {
        let mut mapping = lab.mapping()?;
        let kinds = mapping.require("kinds", |kinds| {
            kinds.filled_list_of(|kind| {
                kind.word(&ResourceKind::ALL.map(|kind| (kind.as_str(), kind)))
                    .map(|kind| kind.as_str().to_owned())
            })
        });
        mapping.finish();
        Some(LabLimits { kinds: kinds? })
    });
    let azure = mapping.maybe("azure", |azure| {
        let mut mapping = azure.mapping()?;
        let names = |names: Item<'_>| names.filled_list_of(Item::text);
        let subscriptions = mapping.maybe("subscriptions", names);
        let resource_groups = mapping.maybe("resource-groups", names);
        mapping.finish();
        Some(AzureLimits {
            subscriptions: subscriptions?,
            resource_groups: resource_groups?,
        })
    });
    let kubernetes = mapping.maybe("kubernetes", |kubernetes| {
        let mut mapping = kubernetes.mapping()?;
        let names = |names: Item<'_>| names.filled_list_of(Item::text);
        let contexts = mapping.maybe("contexts", names);
        let namespaces = mapping.maybe("namespaces", names);
        mapping.finish();
        Some(KubernetesLimits {
            contexts: contexts?,
            namespaces: namespaces?,
        })
    });
    let aws = mapping.maybe("aws", |aws| {
        let mut mapping = aws.mapping()?;
        let names = |names: Item<'_>| names.filled_list_of(Item::text);
        let accounts = mapping.maybe("accounts", names);
        let regions = mapping.maybe("regions", names);
        mapping.finish();
        Some(AwsLimits {
            accounts: accounts?,
            regions: regions?,
        })
    });
    mapping.finish();
    Some(Limits {
        max_fault: max_fault?,
        targets: targets?,
        at_once: at_once?,
        kill_switch: kill_switch?,
        lab: lab?,
        azure: azure?,
        kubernetes: kubernetes?,
        aws: aws?,
    })
}

/// A path that means the same in every folder.
fn absolute_path(item: Item<'_>) -> Option<PathBuf> {
    let path = PathBuf::from(item.text()?);
    // In the copy that a run keeps, a variable that is not set any more stands for itself.
    if !path.is_absolute() && !item.starts_with("${") {
        item.report(format!(
            "{} is not an absolute path, so it would be another file in another folder",
            item.shown()
        ));
        return None;
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use blackstart_lab::control::Resource;

    use super::*;
    use crate::environment::{
        AwsAccount, AwsKind, AwsResource, AzureAccount, AzureResource, Cluster, Objects,
    };

    fn machine(target: &str) -> Touched {
        Touched {
            target: target.to_owned(),
            thing: Thing::Lab(Resource::new(ResourceKind::VirtualMachine, "shop")),
        }
    }

    #[test]
    fn without_limits_everything_may_be_touched() {
        assert_eq!(
            Limits::default().permit(&machine("vm"), ["web", "was"]),
            Ok(())
        );
        assert!(Limits::default().is_empty());
    }

    #[test]
    fn only_the_targets_that_are_named_may_be_touched() {
        let limits = Limits {
            targets: Some(vec!["web".into(), "vm".into()]),
            ..Limits::default()
        };
        assert_eq!(limits.permit(&machine("vm"), []), Ok(()));
        assert_eq!(
            limits
                .permit(&machine("page"), [])
                .map_err(|breach| breach.to_string()),
            Err("`limits: targets` does not name `page`: only web, vm may be touched".to_owned())
        );
    }

    #[test]
    fn only_the_kinds_that_are_named_may_be_touched() {
        let limits = |kind: &str| Limits {
            lab: Some(LabLimits {
                kinds: vec![kind.to_owned()],
            }),
            ..Limits::default()
        };
        assert_eq!(limits("virtual-machine").permit(&machine("vm"), []), Ok(()));
        assert!(matches!(
            limits("workload").permit(&machine("vm"), []),
            Err(Breach::Kind { .. })
        ));
    }

    #[test]
    fn of_kubernetes_only_the_places_that_are_named_may_be_touched() {
        let limits = Limits {
            kubernetes: Some(KubernetesLimits {
                contexts: Some(vec!["staging".into()]),
                namespaces: Some(vec!["shop".into()]),
            }),
            ..Limits::default()
        };
        let touched = |context: Option<&str>, namespace: Option<&str>| Touched {
            target: "web".to_owned(),
            thing: Thing::Kubernetes(Objects {
                cluster: Cluster {
                    kubeconfig: None,
                    context: context.map(str::to_owned),
                },
                namespace: namespace.map(str::to_owned),
                ..Objects::default()
            }),
        };
        let words = |context, namespace| {
            let breach = limits.permit(&touched(context, namespace), []).err();
            breach.map(|breach| breach.to_string())
        };
        assert_eq!(words(Some("staging"), Some("shop")), None);
        assert_eq!(
            words(Some("production"), Some("shop")).as_deref(),
            Some(
                "`limits: kubernetes: contexts` does not name `production`, where `web` is: only staging may be touched"
            )
        );
        // Where a target is that does not say so is not known before it is resolved.
        for (context, namespace) in [(None, Some("shop")), (Some("staging"), None)] {
            assert!(words(context, namespace).is_some_and(|words| words.contains("the default")));
        }
        assert_eq!(limits.words(), ["contexts staging", "namespaces shop"]);
    }

    #[test]
    fn of_aws_only_the_accounts_and_regions_that_are_named_may_be_touched() {
        let limits = Limits {
            aws: Some(AwsLimits {
                accounts: Some(vec!["123456789012".into()]),
                regions: Some(vec!["eu-central-1".into()]),
            }),
            ..Limits::default()
        };
        let words = |account: Option<&str>, region: Option<&str>, kind: AwsKind| {
            let touched = Touched {
                target: "it".to_owned(),
                thing: Thing::Aws(AwsResource {
                    account: AwsAccount {
                        account: account.map(str::to_owned),
                        region: region.map(str::to_owned),
                        ..AwsAccount::default()
                    },
                    kind,
                }),
            };
            let breach = limits.permit(&touched, []).err();
            breach.map(|breach| breach.to_string())
        };
        let instance = || AwsKind::Instance("i-1".to_owned());
        let (ours, here) = (Some("123456789012"), Some("eu-central-1"));
        assert_eq!(words(ours, here, instance()), None);
        assert_eq!(
            words(Some("210987654321"), here, instance()).as_deref(),
            Some(
                "`limits: aws: accounts` does not name `210987654321`, where `it` is: only 123456789012 may be touched"
            )
        );
        // Where a target is that does not say so is not known before it is resolved.
        for (account, region) in [(None, here), (ours, None)] {
            let words = words(account, region, instance());
            assert!(words.is_some_and(|words| words.contains("the default")));
        }
        // What is in no region is not in that of the others.
        let check = AwsKind::HealthCheck("abc".to_owned());
        assert!(words(ours, here, check).is_some_and(|words| words.contains("`global`")));
    }

    #[test]
    fn of_azure_only_the_subscriptions_and_resource_groups_that_are_named_may_be_touched() {
        let limits = Limits {
            azure: Some(AzureLimits {
                subscriptions: Some(vec!["ours".into()]),
                resource_groups: Some(vec!["shop".into()]),
            }),
            ..Limits::default()
        };
        let words = |subscription: &str, resource_group: &str| {
            let touched = Touched {
                target: "vm".to_owned(),
                thing: Thing::Azure(AzureResource {
                    account: AzureAccount {
                        subscription: subscription.to_owned(),
                        ..AzureAccount::default()
                    },
                    resource_group: resource_group.to_owned(),
                    ..AzureResource::default()
                }),
            };
            let breach = limits.permit(&touched, []).err();
            breach.map(|breach| breach.to_string())
        };
        assert_eq!(words("ours", "shop"), None);
        assert_eq!(
            words("theirs", "shop").as_deref(),
            Some(
                "`limits: azure: subscriptions` does not name `theirs`, where `vm` is: only ours may be touched"
            )
        );
        assert!(words("ours", "other").is_some_and(|words| words.contains("resource-groups")));
        assert_eq!(
            limits.words(),
            ["subscriptions ours", "resource groups shop"]
        );
    }

    #[test]
    fn a_target_that_is_broken_already_counts_once() {
        let limits = Limits {
            at_once: Some(2),
            ..Limits::default()
        };
        assert_eq!(limits.permit(&machine("vm"), ["vm", "web", "web"]), Ok(()));
        assert_eq!(
            limits.permit(&machine("vm"), ["web", "was"]),
            Err(Breach::AtOnce {
                target: "vm".into(),
                most: 2,
                count: 3,
                broken: "vm, was, web".into()
            })
        );
    }
}
