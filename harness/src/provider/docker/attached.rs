//! An environment whose targets are containers: found, and waited for until it is well.

use std::{sync::Arc, time::Duration};

use blackstart_lab::part;
use tokio::time::{Instant, sleep};

use super::{
    DockerError, DockerProvider, ROLE,
    engine::{Engine, admin},
    found::PROJECT,
    health::own_health,
};
use crate::{
    environment::{Binding, Environment},
    journal::Access,
    provider::{Attached, Bindings, ProviderError},
};

/// How long containers that have just been started may take until they are well.
const START_LIMIT: Duration = Duration::from_secs(30);
/// From one look at them to the next.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Finds the containers of an environment. Those of a lab are waited for until they are well.
///
/// # Errors
/// If no engine answers, or what should be there is not.
pub async fn attach(environment: &Environment) -> Result<Attached, ProviderError> {
    let provider = DockerProvider::new(Engine::connect().await?);
    let project = environment
        .docker
        .as_ref()
        .and_then(|docker| docker.project.clone());
    let description = if environment.stack.is_some() {
        wait_until_well(&provider.engine, project.as_deref()).await?;
        let lab = provider.part(project.as_deref(), "dns").await?;
        let lab = lab.ok_or_else(|| no_lab(project.as_deref()))?;
        Some(lab.describe().await?)
    } else {
        None
    };
    let access = Access::Docker {
        engine: provider.engine.address().to_owned(),
        project,
    };
    Ok(Attached {
        bindings: Bindings::default().with(Binding::Docker, Arc::new(provider)),
        description,
        access: vec![access],
    })
}

fn no_lab(project: Option<&str>) -> DockerError {
    let project = project.map_or_else(String::new, |project| {
        format!(" of the project `{project}`")
    });
    DockerError::NoParts(format!(
        "no container{project} with the label `{ROLE}=dns` runs, and the environment has a `stack`"
    ))
}

async fn wait_until_well(engine: &Engine, project: Option<&str>) -> Result<(), DockerError> {
    let mut labels = vec![ROLE.to_owned()];
    labels.extend(project.map(|project| format!("{PROJECT}={project}")));
    let deadline = Instant::now() + START_LIMIT;
    loop {
        let mut ill = Vec::new();
        for container in engine.labelled(&labels).await? {
            let inspected = engine.inspect(&container.id).await?;
            let health = own_health(&container, inspected.as_ref());
            if !health.healthy {
                ill.push(health.detail);
            } else if let Some((admin, token)) = inspected.as_ref().and_then(admin)
                && let Err(reason) = part::health(admin, &token).await
            {
                ill.push(format!("{}: {reason}", container.name()));
            }
        }
        if ill.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(DockerError::NoParts(format!(
                "after {} s these were not well: {}",
                START_LIMIT.as_secs(),
                ill.join(", ")
            )));
        }
        sleep(LOOK_EVERY).await;
    }
}
