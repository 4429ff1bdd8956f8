//! Groups of EC2 Auto Scaling: how many instances they have, and which of their processes are suspended.

use std::{collections::BTreeSet, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use super::{
    AwsError,
    answer::Element,
    client::{Kind, parameters},
    connection::Connection,
    instance,
    service::{AUTO_SCALING, LOAD_BALANCING},
};

/// The processes by which a group replaces or moves an instance that does not run.
const REPLACING: [&str; 3] = ["AZRebalance", "HealthCheck", "ReplaceUnhealthy"];
/// The kind of check by which a group goes by what load balancers think of its instances.
const LOAD_BALANCER_CHECKS: &str = "ELB";
/// How long an instance that was started is waited for at its target groups: with its start less than what [`super::patience`] gives it.
const HEALTHY_LIMIT: Duration = Duration::from_mins(5);
/// From one look at it to the next doubles from the first of these to the second.
const HEALTHY_FIRST: Duration = Duration::from_millis(500);
const HEALTHY_EVERY: Duration = Duration::from_secs(5);

/// How many instances a group has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Capacity {
    group: String,
    smallest: u32,
    largest: u32,
    desired: u32,
}

/// The processes of a group that are suspended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Suspended {
    group: String,
    /// The instance of it that is stopped.
    #[serde(default)]
    instance: String,
    processes: BTreeSet<String>,
}

impl Capacity {
    pub(super) async fn take(
        connection: &Connection,
        group: &str,
        instances: u32,
    ) -> Result<(Self, Self), AwsError> {
        let before = Self::of(group, &found(connection, group).await?);
        let after = Self {
            smallest: before.smallest.min(instances),
            largest: before.largest.max(instances),
            desired: instances,
            group: group.to_owned(),
        };
        Ok((before, after))
    }

    fn of(group: &str, element: &Element) -> Self {
        let number = |name: &str| element.parsed(name).unwrap_or_default();
        Self {
            group: group.to_owned(),
            smallest: number("MinSize"),
            largest: number("MaxSize"),
            desired: number("DesiredCapacity"),
        }
    }

    pub(super) async fn read(&self, connection: &Connection) -> Result<Option<Self>, AwsError> {
        let found = describe(connection, &self.group).await?;
        Ok(found.map(|found| Self::of(&self.group, &found)))
    }

    pub(super) async fn apply(
        &self,
        connection: &Connection,
        expected: Option<&Self>,
    ) -> Result<(), AwsError> {
        let now = Self::of(&self.group, &found(connection, &self.group).await?);
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
        let parameters = parameters([
            ("AutoScalingGroupName", self.group.as_str()),
            ("MinSize", &self.smallest.to_string()),
            ("MaxSize", &self.largest.to_string()),
            ("DesiredCapacity", &self.desired.to_string()),
        ]);
        let what = format!("scaling {}", self.title());
        let action = (Kind::Write, "UpdateAutoScalingGroup");
        let answer = connection
            .client
            .query(&AUTO_SCALING, action, &what, &parameters);
        answer.await.map(drop)
    }

    /// Tells what would work against it. There is no dry run of it.
    pub(super) async fn rehearse(&self, connection: &Connection) -> Result<Vec<String>, AwsError> {
        let what = format!("reading the scaling policies of {}", self.title());
        let parameters = parameters([("AutoScalingGroupName", &self.group)]);
        let action = (Kind::Read, "DescribePolicies");
        let answer = connection
            .client
            .query(&AUTO_SCALING, action, &what, &parameters);
        let answer = answer.await?;
        let names = answer.find_all("PolicyName").into_iter();
        Ok(names
            .map(|name| {
                format!(
                    "the scaling policy `{}` of {} may change the number of instances, which the drill then calls a change by somebody \
                     else",
                    name.own_text.trim(),
                    self.title()
                )
            })
            .collect())
    }

    pub(super) fn title(&self) -> String {
        format!("auto-scaling-group/{}", self.group)
    }

    pub(super) fn words(&self) -> String {
        format!(
            "{} instances desired, {} to {}",
            self.desired, self.smallest, self.largest
        )
    }

    pub(super) fn orders(&self) -> String {
        format!(
            "set {} to {} instances desired, {} at least and {} at most",
            self.title(),
            self.desired,
            self.smallest,
            self.largest
        )
    }
}

impl Suspended {
    /// The processes of the group that an instance is in; nothing if it is in none.
    pub(super) async fn take(
        connection: &Connection,
        instance: &str,
    ) -> Result<Option<(Self, Self)>, AwsError> {
        let what = format!("asking for the Auto Scaling group of instance/{instance}");
        let parameters = parameters([("InstanceIds.member.1", instance)]);
        let action = (Kind::Read, "DescribeAutoScalingInstances");
        let answer = connection
            .client
            .query(&AUTO_SCALING, action, &what, &parameters);
        let answer = answer.await?;
        let Some(group) = answer.find("AutoScalingGroupName") else {
            return Ok(None);
        };
        let group = group.own_text.trim().to_owned();
        let found = found(connection, &group).await?;
        let balancer = found.list("LoadBalancerNames").next();
        if let Some(balancer) = balancer.filter(|_| asks_load_balancers(&found)) {
            return Err(AwsError::NotPossible {
                resource: format!("auto-scaling-group/{group}"),
                problem: format!(
                    "goes by what the classic load balancer `{}` thinks of its instances, which is not waited for here: it would terminate \
                     instance/{instance} when that runs again",
                    balancer.own_text.trim()
                ),
            });
        }
        let before = Self::of(&group, instance, &found);
        let mut after = before.clone();
        after.processes.extend(REPLACING.map(str::to_owned));
        Ok(Some((before, after)))
    }

    fn of(group: &str, instance: &str, element: &Element) -> Self {
        let processes = element.list("SuspendedProcesses");
        let processes = processes.filter_map(|process| process.text("ProcessName"));
        Self {
            group: group.to_owned(),
            instance: instance.to_owned(),
            processes: processes.map(str::to_owned).collect(),
        }
    }

    pub(super) async fn read(&self, connection: &Connection) -> Result<Option<Self>, AwsError> {
        let found = describe(connection, &self.group).await?;
        Ok(found.map(|found| Self::of(&self.group, &self.instance, &found)))
    }

    /// Whether these are some of the processes that the fault suspends, and all that were suspended before.
    pub(super) fn is_half_way(&self, before: &Self, after: &Self) -> bool {
        before.processes.is_subset(&self.processes) && self.processes.is_subset(&after.processes)
    }

    pub(super) async fn apply(
        &self,
        connection: &Connection,
        expected: Option<&Self>,
    ) -> Result<(), AwsError> {
        let found = found(connection, &self.group).await?;
        let now = Self::of(&self.group, &self.instance, &found);
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
        let suspend = self.processes.difference(&now.processes).cloned().collect();
        self.set(connection, "SuspendProcesses", suspend).await?;
        let resume: BTreeSet<String> = now.processes.difference(&self.processes).cloned().collect();
        if !resume.is_empty() && asks_load_balancers(&found) {
            self.until_serving(connection, &found).await?;
        }
        self.set(connection, "ResumeProcesses", resume).await
    }

    /// Waits until the load balancers of the group have seen that the instance is up again: a group whose processes are resumed before that
    /// terminates it.
    async fn until_serving(
        &self,
        connection: &Connection,
        group: &Element,
    ) -> Result<(), AwsError> {
        let id = &self.instance;
        // One that does not run will not be healthy, however long it is waited for.
        let found = instance::describe(connection, id).await?;
        if !found.as_ref().is_some_and(instance::is_up) {
            return Ok(());
        }
        let deadline = Instant::now() + HEALTHY_LIMIT;
        let mut pause = HEALTHY_FIRST;
        for target_group in group.list("TargetGroupARNs") {
            let target_group = target_group.own_text.trim();
            while let Some(words) = not_yet_healthy(connection, target_group, id).await? {
                if Instant::now() > deadline {
                    return Err(AwsError::NotPossible {
                        resource: format!("instance/{id}"),
                        problem: format!(
                            "runs and is {words} at {target_group} still, so the processes of {} stay suspended: it would terminate the \
                             instance; see why it is not healthy and revert again, or let go of it with `aws autoscaling \
                             resume-processes --auto-scaling-group-name {}`",
                            self.title(),
                            self.group
                        ),
                    });
                }
                sleep(pause).await;
                pause = (pause * 2).min(HEALTHY_EVERY);
            }
        }
        Ok(())
    }

    async fn set(
        &self,
        connection: &Connection,
        action: &str,
        processes: BTreeSet<String>,
    ) -> Result<(), AwsError> {
        // Without a name all would be meant.
        if processes.is_empty() {
            return Ok(());
        }
        let mut parameters = parameters([("AutoScalingGroupName", &self.group)]);
        let numbered = processes.into_iter().zip(1..);
        parameters.extend(numbered.map(|(process, number)| {
            let name = format!("ScalingProcesses.member.{number}");
            (name, process)
        }));
        let what = format!("suspending or resuming processes of {}", self.title());
        let answer =
            connection
                .client
                .query(&AUTO_SCALING, (Kind::Write, action), &what, &parameters);
        answer.await.map(drop)
    }

    pub(super) fn title(&self) -> String {
        format!("auto-scaling-group/{}", self.group)
    }

    pub(super) fn words(&self) -> String {
        if self.processes.is_empty() {
            return "no suspended process".to_owned();
        }
        let processes: Vec<&str> = self.processes.iter().map(String::as_str).collect();
        format!("the suspended processes {}", processes.join(", "))
    }

    pub(super) fn orders(&self) -> String {
        if self.processes.is_empty() {
            return format!("resume the processes of {}", self.title());
        }
        format!(
            "resume the processes of {} but for {}",
            self.title(),
            self.processes
                .iter()
                .cloned()
                .collect::<Vec<_>>()
                .join(", ")
        )
    }
}

/// Whether a group terminates an instance that a load balancer takes for unhealthy. It may have several kinds of checks.
fn asks_load_balancers(group: &Element) -> bool {
    let kinds = group.text("HealthCheckType").unwrap_or_default();
    kinds
        .split(',')
        .any(|kind| kind.trim() == LOAD_BALANCER_CHECKS)
}

/// What a target group says of an instance that it has not found healthy yet; nothing if it has, or does not ask it.
async fn not_yet_healthy(
    connection: &Connection,
    target_group: &str,
    instance: &str,
) -> Result<Option<String>, AwsError> {
    let what = format!("reading the target health of instance/{instance}");
    let parameters = parameters([
        ("TargetGroupArn", target_group),
        ("Targets.member.1.Id", instance),
    ]);
    let action = (Kind::Read, "DescribeTargetHealth");
    let answer = connection
        .client
        .query(&LOAD_BALANCING, action, &what, &parameters);
    let answer = answer.await?;
    let health = answer.find("TargetHealth");
    let text = |name| health.and_then(|health| health.text(name));
    Ok(match (text("State"), text("Reason")) {
        (Some("initial"), _) => Some("initial".to_owned()),
        (Some("unhealthy"), reason) => {
            let reason = reason.map_or_else(String::new, |reason| format!(" ({reason})"));
            Some(format!("unhealthy{reason}"))
        }
        // The load balancer has not seen yet that it was started.
        (Some("unused"), Some("Target.InvalidState")) => Some("taken for stopped".to_owned()),
        _ => None,
    })
}

/// A group; nothing if it is not there.
async fn describe(connection: &Connection, group: &str) -> Result<Option<Element>, AwsError> {
    let what = format!("reading auto-scaling-group/{group}");
    let parameters = parameters([("AutoScalingGroupNames.member.1", group)]);
    let action = (Kind::Read, "DescribeAutoScalingGroups");
    let answer = connection
        .client
        .query(&AUTO_SCALING, action, &what, &parameters);
    let answer = answer.await?;
    let groups = answer.find("AutoScalingGroups");
    Ok(groups.and_then(|groups| groups.children.first().cloned()))
}

/// The same, which must be there.
pub(super) async fn found(connection: &Connection, group: &str) -> Result<Element, AwsError> {
    let found = describe(connection, group).await?;
    found.ok_or_else(|| {
        let resource = format!("auto-scaling-group/{group}");
        connection.not_found(resource, "autoscaling describe-auto-scaling-groups")
    })
}
