//! What AWS itself thinks of a target.

use super::{
    AwsError,
    answer::Element,
    auto_scaling,
    client::{Kind, parameters},
    connection::Connection,
    database, health_check, instance,
    service::{CLOUDWATCH, LOAD_BALANCING},
    target_group,
};
use crate::{environment::AwsKind, provider::Health};

/// The share of the checkers that a health check needs to be healthy: more than this many in a hundred (developer guide, "How Route 53
/// determines whether an endpoint is healthy").
const HEALTHY_PERCENT: usize = 18;

/// Reads the opinion.
pub(super) async fn read(connection: &Connection, kind: &AwsKind) -> Result<Health, AwsError> {
    match kind {
        AwsKind::HealthCheck(id) => of_check(connection, id).await,
        AwsKind::TargetGroup(group) => of_target_group(connection, group).await,
        AwsKind::Instance(id) => of_instance(connection, id).await,
        AwsKind::AutoScalingGroup(group) => of_group(connection, group).await,
        AwsKind::Alarm(name) => of_alarm(connection, name).await,
        AwsKind::Database(id) => {
            let found = database::instance(connection, id).await?;
            let found =
                found.ok_or_else(|| connection.not_found(kind, "rds describe-db-instances"))?;
            Ok(of_status(found.text("DBInstanceStatus"), &found))
        }
        AwsKind::DatabaseCluster(id) => {
            let found = database::cluster(connection, id).await?;
            let found =
                found.ok_or_else(|| connection.not_found(kind, "rds describe-db-clusters"))?;
            Ok(of_status(found.text("Status"), &found))
        }
        AwsKind::LoadBalancer(arn) => of_load_balancer(connection, arn).await,
        AwsKind::SecurityGroup(_) | AwsKind::Record(_) => Err(AwsError::NotPossible {
            resource: kind.to_string(),
            problem: "has no opinion about its health".to_owned(),
        }),
    }
}

/// Of a health check: Route 53 tells what each checker saw last, and nothing of what it makes of that. So the rule is applied here, with
/// what the check is set to.
async fn of_check(connection: &Connection, id: &str) -> Result<Health, AwsError> {
    let check = health_check::found(connection, id).await?;
    let is = |name: &str| {
        let found = check.find(name);
        found.is_some_and(|found| found.own_text.trim() == "true")
    };
    let (inverted, disabled) = (is("Inverted"), is("Disabled"));
    let statuses = if disabled {
        Vec::new()
    } else {
        let answer = health_check::get_below(connection, id, "/status").await?;
        let answer = answer.unwrap_or_default();
        let reports = answer.find_all("StatusReport").into_iter();
        reports
            .filter_map(|report| report.text("Status").map(str::to_owned))
            .collect()
    };
    Ok(aggregated(&statuses, inverted, disabled))
}

/// What Route 53 makes of what its checkers see.
fn aggregated(statuses: &[String], inverted: bool, disabled: bool) -> Health {
    let passed = statuses
        .iter()
        .filter(|status| status.starts_with("Success"))
        .count();
    // Without data a check counts as healthy, and one that is inverted as unhealthy.
    let is_up = disabled || statuses.is_empty() || passed * 100 > statuses.len() * HEALTHY_PERCENT;
    let mut detail = if disabled {
        "disabled, which counts as healthy".to_owned()
    } else {
        format!("{passed} of {} checkers pass", statuses.len())
    };
    if inverted {
        detail.push_str(", inverted");
    }
    let first_failure = statuses
        .iter()
        .find(|status| !status.starts_with("Success"));
    if let Some(failure) = first_failure {
        detail.push_str(": ");
        detail.push_str(failure);
    }
    Health {
        healthy: is_up != inverted,
        detail,
    }
}

/// Of a target group: healthy if one target at least is.
async fn of_target_group(connection: &Connection, group: &str) -> Result<Health, AwsError> {
    let found = target_group::found(connection, group).await?;
    let arn = found.text("TargetGroupArn").unwrap_or_default();
    let what = format!("reading the target health of target-group/{group}");
    let parameters = parameters([("TargetGroupArn", arn)]);
    let action = (Kind::Read, "DescribeTargetHealth");
    let answer = connection
        .client
        .query(&LOAD_BALANCING, action, &what, &parameters);
    let answer = answer.await?;
    let targets = answer.find_all("TargetHealth");
    let is_healthy = |target: &&&Element| target.text("State") == Some("healthy");
    let healthy = targets.iter().filter(is_healthy).count();
    let mut detail = format!("{healthy} of {} targets healthy", targets.len());
    let ill = targets.iter().find(|target| !is_healthy(target));
    if let Some(reason) = ill.and_then(|target| target.text("Reason")) {
        detail.push_str(": ");
        detail.push_str(reason);
    }
    Ok(Health {
        healthy: healthy > 0,
        detail,
    })
}

async fn of_instance(connection: &Connection, id: &str) -> Result<Health, AwsError> {
    let found = instance::found(connection, id).await?;
    let state = found.at(&["instanceState", "name"]);
    let state = state.map_or("unknown", |state| state.own_text.trim());
    Ok(Health {
        healthy: state == "running",
        detail: state.to_owned(),
    })
}

/// Of an Auto Scaling group: healthy if it has one instance at least, and as many in service as are desired.
async fn of_group(connection: &Connection, group: &str) -> Result<Health, AwsError> {
    let found = auto_scaling::found(connection, group).await?;
    let desired: usize = found.parsed("DesiredCapacity").unwrap_or_default();
    let in_service = found
        .list("Instances")
        .filter(|instance| instance.text("LifecycleState") == Some("InService"))
        .filter(|instance| instance.text("HealthStatus") == Some("Healthy"))
        .count();
    Ok(Health {
        healthy: in_service > 0 && in_service >= desired,
        detail: format!("{in_service} of {desired} instances in service"),
    })
}

async fn of_alarm(connection: &Connection, name: &str) -> Result<Health, AwsError> {
    let what = format!("reading alarm/{name}");
    let mut parameters = parameters([("AlarmNames.member.1", name)]);
    for (number, kind) in ["MetricAlarm", "CompositeAlarm"].iter().enumerate() {
        let name = format!("AlarmTypes.member.{}", number + 1);
        parameters.push((name, (*kind).to_owned()));
    }
    let action = (Kind::Read, "DescribeAlarms");
    let answer = connection
        .client
        .query(&CLOUDWATCH, action, &what, &parameters);
    let answer = answer.await?;
    let state = answer.find("StateValue").ok_or_else(|| {
        connection.not_found(format!("alarm/{name}"), "cloudwatch describe-alarms")
    })?;
    let state = state.own_text.trim();
    let reason = answer.find("StateReason");
    let reason = reason.map_or("", |reason| reason.own_text.trim());
    Ok(Health {
        healthy: state == "OK",
        detail: if reason.is_empty() {
            state.to_owned()
        } else {
            format!("{state}: {reason}")
        },
    })
}

fn of_status(status: Option<&str>, database: &Element) -> Health {
    let status = status.unwrap_or("unknown");
    let zone = database.text("AvailabilityZone");
    Health {
        healthy: database::serves(status),
        detail: match zone {
            Some(zone) => format!("{status} in {zone}"),
            None => status.to_owned(),
        },
    }
}

async fn of_load_balancer(connection: &Connection, arn: &str) -> Result<Health, AwsError> {
    let what = format!("reading load-balancer/{arn}");
    let parameters = parameters([("LoadBalancerArns.member.1", arn)]);
    let action = (Kind::Read, "DescribeLoadBalancers");
    let answer = connection
        .client
        .query(&LOAD_BALANCING, action, &what, &parameters);
    let answer = answer.await?;
    let state = answer.find("State").and_then(|state| state.text("Code"));
    let state = state.unwrap_or("unknown");
    Ok(Health {
        healthy: state == "active",
        detail: state.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statuses(passed: usize, failed: usize) -> Vec<String> {
        let pass = "Success: HTTP Status Code 200, OK".to_owned();
        let fail = "Failure: Connection timed out.".to_owned();
        [vec![pass; passed], vec![fail; failed]].concat()
    }

    #[test]
    fn more_than_18_percent_of_the_checkers_make_a_check_healthy() {
        for (passed, failed, healthy) in [
            (16, 0, true),
            (3, 13, true),
            (2, 14, false),
            (0, 16, false),
            (2, 4, true),
            (1, 5, false),
            // 9 of 50 are exactly 18 in a hundred.
            (9, 41, false),
            (10, 40, true),
        ] {
            let statuses = statuses(passed, failed);
            let reading = aggregated(&statuses, false, false);
            assert_eq!(reading.healthy, healthy, "{passed} of {}", passed + failed);
            assert_eq!(aggregated(&statuses, true, false).healthy, !healthy);
        }
    }

    #[test]
    fn a_check_that_is_disabled_or_has_no_data_counts_as_healthy_before_it_is_inverted() {
        let all_fail = statuses(0, 16);
        assert!(aggregated(&all_fail, false, true).healthy);
        assert!(!aggregated(&all_fail, true, true).healthy);
        assert!(aggregated(&[], false, false).healthy);
        assert!(!aggregated(&[], true, false).healthy);
    }

    #[test]
    fn the_first_failure_stands_beside_the_count() {
        assert_eq!(
            aggregated(&statuses(1, 15), true, false).detail,
            "1 of 16 checkers pass, inverted: Failure: Connection timed out."
        );
    }
}
