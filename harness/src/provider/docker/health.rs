//! What containers think of themselves.

use bollard::models::{ContainerInspectResponse, HealthStatusEnum};

use super::{
    DockerError,
    engine::{self, Engine},
    found::{Found, Status, find},
    snapshot::lab_in,
};
use crate::{
    environment::Containers,
    provider::{Health, ProviderError},
};

/// What the system itself thinks: the part of a lab, or a container's own health check, or whether it runs.
pub(super) async fn health(
    engine: &Engine,
    containers: &Containers,
) -> Result<Health, ProviderError> {
    let found = find(engine, &containers.which).await?;
    let mut healths = Vec::new();
    for container in &found {
        let health = if let Some(part) = &containers.part {
            let lab = lab_in(engine, &container.id)
                .await?
                .ok_or_else(|| DockerError::NoLab(container.name().to_owned()))?;
            let state = lab.state(part).await?;
            Health {
                healthy: state.healthy.unwrap_or(true),
                detail: state.detail.unwrap_or_default(),
            }
        } else {
            own_health(container, engine.inspect(&container.id).await?.as_ref())
        };
        healths.push(health);
    }
    let details: Vec<String> = healths.iter().map(|health| health.detail.clone()).collect();
    Ok(Health {
        healthy: healths.iter().any(|health| health.healthy),
        detail: details.join("; "),
    })
}

pub(super) fn own_health(
    container: &Found,
    inspected: Option<&ContainerInspectResponse>,
) -> Health {
    let name = container.name();
    let of = |healthy, words: &str| Health {
        healthy,
        detail: format!("{name}: {words}"),
    };
    let Some(inspected) = inspected else {
        return of(false, "gone");
    };
    match engine::status(inspected) {
        Status::Stopped => return of(false, "stopped"),
        Status::Paused => return of(false, "paused"),
        Status::Running => {}
    }
    let state = inspected.state.as_ref();
    match state
        .and_then(|state| state.health.as_ref())
        .and_then(|health| health.status)
    {
        Some(HealthStatusEnum::HEALTHY) => of(true, "healthy"),
        Some(HealthStatusEnum::UNHEALTHY) => of(false, "unhealthy"),
        Some(HealthStatusEnum::STARTING) => of(false, "starting"),
        _ => of(true, "running"),
    }
}
