//! Which containers a target is.

use bollard::models::ContainerSummary;
use serde::{Deserialize, Serialize};

use super::{DockerError, engine::Engine, sweep::CREATED};
use crate::environment::Which;

/// The labels that Compose gives its containers.
pub(super) const PROJECT: &str = "com.docker.compose.project";
pub(super) const SERVICE: &str = "com.docker.compose.service";
const ONE_OFF: &str = "com.docker.compose.oneoff";

/// A container that was found. In the order of names, so that replicas are in the order of their numbers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Found {
    /// How long a number makes a name: `web_10` comes after `web_9`.
    order: (usize, String),
    /// Its id, which no other container ever has.
    pub(super) id: String,
    /// Its Compose project.
    pub(super) project: Option<String>,
    /// Its Compose service.
    pub(super) service: Option<String>,
    /// The process of ours that created it, as its label says.
    pub(super) created_by: Option<String>,
    is_one_off: bool,
}

/// Whether a container runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Status {
    /// It does.
    Running,
    /// It is frozen.
    Paused,
    /// It does not.
    Stopped,
}

impl Found {
    pub(super) fn of_summary(summary: ContainerSummary) -> Option<Self> {
        let mut labels = summary.labels.unwrap_or_default();
        let name = summary.names.unwrap_or_default().into_iter().next();
        let name = name?.trim_start_matches('/').to_owned();
        Some(Self {
            order: (name.len(), name),
            id: summary.id?,
            project: labels.remove(PROJECT),
            service: labels.remove(SERVICE),
            created_by: labels.remove(CREATED),
            is_one_off: labels.get(ONE_OFF).is_some_and(|value| value == "True"),
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.order.1
    }
}

/// Every container that is meant; at least one.
pub(super) async fn find(engine: &Engine, which: &Which) -> Result<Vec<Found>, DockerError> {
    match which {
        Which::Name(name) => {
            let Some(inspected) = engine.inspect(name).await? else {
                return Err(DockerError::NoContainer {
                    which: which.clone(),
                    hint: "`docker ps --all` lists those that there are".to_owned(),
                });
            };
            let name = inspected.name.unwrap_or_else(|| name.clone());
            let name = name.trim_start_matches('/').to_owned();
            Ok(vec![Found {
                order: (name.len(), name),
                id: inspected.id.unwrap_or_default(),
                project: None,
                service: None,
                created_by: None,
                is_one_off: false,
            }])
        }
        Which::Label(label) => {
            let found = engine.labelled(std::slice::from_ref(label)).await?;
            if found.is_empty() {
                return Err(DockerError::NoContainer {
                    which: which.clone(),
                    hint: format!("`docker ps --all --filter label={label}` lists none"),
                });
            }
            Ok(found)
        }
        Which::Service { project, service } => {
            let mut labels = vec![format!("{SERVICE}={service}")];
            labels.extend(project.iter().map(|project| format!("{PROJECT}={project}")));
            let mut found = engine.labelled(&labels).await?;
            found.retain(|container| !container.is_one_off);
            let mut projects: Vec<_> = found
                .iter()
                .filter_map(|container| container.project.clone())
                .collect();
            projects.sort();
            projects.dedup();
            if projects.len() > 1 {
                return Err(DockerError::SeveralProjects {
                    service: service.clone(),
                    projects: projects.join("`, `"),
                });
            }
            if found.is_empty() {
                return Err(DockerError::NoContainer {
                    which: which.clone(),
                    hint: services(engine, project.as_deref()).await?,
                });
            }
            Ok(found)
        }
    }
}

/// Which services there are, for somebody who named one that is not there.
async fn services(engine: &Engine, project: Option<&str>) -> Result<String, DockerError> {
    let labels = [match project {
        Some(project) => format!("{PROJECT}={project}"),
        None => PROJECT.to_owned(),
    }];
    let found = engine.labelled(&labels).await?;
    let mut services: Vec<_> = found
        .into_iter()
        .filter_map(|container| container.service)
        .collect();
    services.sort();
    services.dedup();
    Ok(match (services.is_empty(), project) {
        (true, Some(project)) => format!(
            "nothing of the project `{project}` is there: `docker compose --project-name {project} up --detach` starts it"
        ),
        (true, None) => {
            "no Compose project is there: `docker compose up --detach` starts one".to_owned()
        }
        (false, _) => format!("there are `{}`", services.join("`, `")),
    })
}
