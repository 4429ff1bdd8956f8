//! Which of a database's instances writes.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use super::{
    AwsError,
    answer::Element,
    client::{Kind, parameters},
    connection::Connection,
    service::RDS,
};

const NOT_FOUND: [&str; 2] = ["DBInstanceNotFound", "DBClusterNotFoundFault"];
/// How long a failover is waited for at once: less than what [`super::patience`] gives it.
const LIMIT: Duration = Duration::from_mins(5);
const EVERY: Duration = Duration::from_secs(1);
/// The state in which a database takes orders.
const AVAILABLE: &str = "available";
/// States in which a database serves as well, busy with something that no failover is (user guide, "Viewing DB instance status").
const SERVING: [&str; 6] = [
    "backing-up",
    "configuring-enhanced-monitoring",
    "configuring-iam-database-auth",
    "configuring-log-exports",
    "storage-config-upgrade",
    "storage-optimization",
];
/// Codes with which a cluster, or the instance that is to write, does not take the order yet.
const NOT_YET: [&str; 2] = ["InvalidDBClusterStateFault", "InvalidDBInstanceState"];

/// Whether a database in this state serves.
pub(super) fn serves(status: &str) -> bool {
    status == AVAILABLE || SERVING.contains(&status)
}

/// An instance with a standby in another zone. Which zone it is in is told minutes late, so it is known by whether it is available.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Standby {
    id: String,
    is_available: bool,
}

/// A cluster with readers that can become its writer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Cluster {
    id: String,
    writer: String,
    /// Whether it is changing its writer just now.
    is_changing: bool,
}

impl Standby {
    pub(super) async fn take(connection: &Connection, id: &str) -> Result<(Self, Self), AwsError> {
        let found = instance(connection, id).await?.ok_or_else(|| {
            connection.not_found(format!("database/{id}"), "rds describe-db-instances")
        })?;
        let refused = |problem: String| {
            Err(AwsError::NotPossible {
                resource: format!("database/{id}"),
                problem,
            })
        };
        if found.text("MultiAZ") != Some("true") {
            return refused("has no standby in another zone, so it cannot fail over".to_owned());
        }
        let status = found.text("DBInstanceStatus").unwrap_or_default();
        if status != AVAILABLE {
            return refused(format!(
                "is {status}, and only one that is available fails over"
            ));
        }
        let standby = |is_available| Self {
            id: id.to_owned(),
            is_available,
        };
        Ok((standby(true), standby(false)))
    }

    pub(super) async fn read(&self, connection: &Connection) -> Result<Option<Self>, AwsError> {
        let found = instance(connection, &self.id).await?;
        Ok(found.map(|found| Self {
            id: self.id.clone(),
            is_available: found.text("DBInstanceStatus").is_some_and(serves),
        }))
    }

    /// Reboots it with failover, or waits until it is available again.
    pub(super) async fn apply(&self, connection: &Connection) -> Result<(), AwsError> {
        let deadline = Instant::now() + LIMIT;
        loop {
            let now = self.read(connection).await?;
            match now {
                Some(now) if now == *self => return Ok(()),
                Some(_) if !self.is_available => return self.fail_over(connection).await,
                Some(_) if Instant::now() < deadline => sleep(EVERY).await,
                Some(_) | None => {
                    return Err(AwsError::NotPossible {
                        resource: self.title(),
                        problem: "is not available yet".to_owned(),
                    });
                }
            }
        }
    }

    async fn fail_over(&self, connection: &Connection) -> Result<(), AwsError> {
        let parameters = parameters([
            ("DBInstanceIdentifier", self.id.as_str()),
            ("ForceFailover", "true"),
        ]);
        let what = format!("rebooting {} with failover", self.title());
        let action = (Kind::Write, "RebootDBInstance");
        let answer = connection.client.query(&RDS, action, &what, &parameters);
        answer.await.map(drop)
    }

    pub(super) fn title(&self) -> String {
        format!("database/{}", self.id)
    }

    pub(super) fn words(&self) -> String {
        if self.is_available {
            "the state available".to_owned()
        } else {
            "the state of a reboot".to_owned()
        }
    }

    pub(super) fn orders(&self) -> String {
        format!("wait until {} is available", self.title())
    }
}

impl Cluster {
    pub(super) async fn take(connection: &Connection, id: &str) -> Result<(Self, Self), AwsError> {
        let found = cluster(connection, id).await?.ok_or_else(|| {
            connection.not_found(format!("database-cluster/{id}"), "rds describe-db-clusters")
        })?;
        let refused = |problem: String| {
            Err(AwsError::NotPossible {
                resource: format!("database-cluster/{id}"),
                problem,
            })
        };
        let before = Self::of(id, &found);
        let status = found.text("Status").unwrap_or_default();
        if status != AVAILABLE {
            return refused(format!(
                "is {status}, and only one that is available fails over"
            ));
        }
        let readers = members(&found).filter(|(_, is_writer)| !is_writer);
        let Some(reader) = readers.map(|(name, _)| name).min() else {
            return refused("has no reader that could become its writer".to_owned());
        };
        let after = Self {
            writer: reader,
            ..before.clone()
        };
        Ok((before, after))
    }

    fn of(id: &str, found: &Element) -> Self {
        let writer = members(found).find(|(_, is_writer)| *is_writer);
        Self {
            id: id.to_owned(),
            writer: writer.map(|(name, _)| name).unwrap_or_default(),
            is_changing: !found.text("Status").is_some_and(serves),
        }
    }

    pub(super) async fn read(&self, connection: &Connection) -> Result<Option<Self>, AwsError> {
        let found = cluster(connection, &self.id).await?;
        Ok(found.map(|found| Self::of(&self.id, &found)))
    }

    /// Whether it is on its way from one writer to the other.
    pub(super) fn is_half_way(&self, before: &Self, after: &Self) -> bool {
        self.is_changing && [&before.writer, &after.writer, &String::new()].contains(&&self.writer)
    }

    /// Makes that instance the writer. On the way back it is waited for, and so is a cluster that does not take the order yet: the former
    /// writer may be on its way up still.
    pub(super) async fn apply(
        &self,
        connection: &Connection,
        expected: Option<&Self>,
    ) -> Result<(), AwsError> {
        let deadline = Instant::now() + LIMIT;
        let mut is_asked = false;
        let mut refused = None;
        loop {
            let Some(now) = self.read(connection).await? else {
                return Err(self.not_possible("is gone"));
            };
            if now == *self {
                return Ok(());
            }
            if let Some(expected) = expected {
                if now.is_half_way(expected, self) {
                    return Ok(());
                }
                if now != *expected {
                    return Err(AwsError::Changed {
                        resource: self.title(),
                        was: expected.words(),
                        now: now.words(),
                    });
                }
                return self.fail_over(connection).await;
            }
            if !now.is_changing && !is_asked {
                match self.fail_over(connection).await {
                    Ok(()) => is_asked = true,
                    Err(error) if error.is(&NOT_YET) => refused = Some(error),
                    Err(error) => return Err(error),
                }
            }
            if Instant::now() > deadline {
                let refused = refused.filter(|_| !is_asked);
                let problem = || self.not_possible(&format!("has {} still", now.words()));
                return Err(refused.unwrap_or_else(problem));
            }
            sleep(EVERY).await;
        }
    }

    async fn fail_over(&self, connection: &Connection) -> Result<(), AwsError> {
        let parameters = parameters([
            ("DBClusterIdentifier", &self.id),
            ("TargetDBInstanceIdentifier", &self.writer),
        ]);
        let what = format!("making {} the writer of {}", self.writer, self.title());
        let action = (Kind::Write, "FailoverDBCluster");
        let answer = connection.client.query(&RDS, action, &what, &parameters);
        answer.await.map(drop)
    }

    fn not_possible(&self, problem: &str) -> AwsError {
        AwsError::NotPossible {
            resource: self.title(),
            problem: problem.to_owned(),
        }
    }

    pub(super) fn title(&self) -> String {
        format!("database-cluster/{}", self.id)
    }

    pub(super) fn words(&self) -> String {
        let how = if self.is_changing {
            ", and is changing it"
        } else {
            ""
        };
        format!("the writer {}{how}", self.writer)
    }

    pub(super) fn orders(&self) -> String {
        format!("make {} the writer of {}", self.writer, self.title())
    }
}

/// The instances of a cluster, and whether each writes.
fn members(cluster: &Element) -> impl Iterator<Item = (String, bool)> {
    let members = cluster.list("DBClusterMembers");
    members.filter_map(|member| {
        let name = member.text("DBInstanceIdentifier")?.to_owned();
        Some((name, member.text("IsClusterWriter") == Some("true")))
    })
}

/// A DB instance; nothing if it is not there.
pub(super) async fn instance(
    connection: &Connection,
    id: &str,
) -> Result<Option<Element>, AwsError> {
    let what = format!("reading database/{id}");
    let parameters = parameters([("DBInstanceIdentifier", id)]);
    let action = (Kind::Read, "DescribeDBInstances");
    first(connection, action, &what, &parameters, "DBInstances").await
}

/// A DB cluster; nothing if it is not there.
pub(super) async fn cluster(
    connection: &Connection,
    id: &str,
) -> Result<Option<Element>, AwsError> {
    let what = format!("reading database-cluster/{id}");
    let parameters = parameters([("DBClusterIdentifier", id)]);
    let action = (Kind::Read, "DescribeDBClusters");
    first(connection, action, &what, &parameters, "DBClusters").await
}

async fn first(
    connection: &Connection,
    action: (Kind, &str),
    what: &str,
    parameters: &[(String, String)],
    list: &str,
) -> Result<Option<Element>, AwsError> {
    let answer = connection.client.query(&RDS, action, what, parameters);
    match answer.await {
        Ok(answer) => {
            let list = answer.find(list);
            Ok(list.and_then(|list| list.children.first().cloned()))
        }
        Err(error) if error.is(&NOT_FOUND) => Ok(None),
        Err(error) => Err(error),
    }
}
