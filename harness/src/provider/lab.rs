//! The lab binding: faults as changes of settings over the lab's admin API.
//!
//! The API is spoken over loopback even to a lab in this process, so that a lab in a process of its own is reached the same way.

mod words;

use std::{net::SocketAddr, time::Duration};

use blackstart_lab::control::{
    Answers, Certificate, Ingress, Power, Pulse, Resource, Settings, State, Writer,
};

use super::{Fault, Found, Health, Provider, ProviderError, Undo};
use crate::{
    drill,
    environment::{Environment, Target, Thing, Touched},
    probe::BoxFuture,
};

/// How long a call of the admin API may take.
const CALL_LIMIT: Duration = Duration::from_secs(5);

/// A lab and how to talk to it.
#[derive(Debug, Clone)]
pub struct LabProvider {
    client: reqwest::Client,
    base: String,
    token: String,
}

impl LabProvider {
    /// Talks to the lab whose admin API listens at `admin` and wants `token`.
    ///
    /// # Errors
    /// If the HTTP client cannot be set up.
    pub fn new(admin: SocketAddr, token: &str) -> Result<Self, reqwest::Error> {
        // The client wants the process to have a provider of TLS, even for plain HTTP; one that was chosen already is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(CALL_LIMIT)
            .build()?;
        Ok(Self {
            client,
            base: format!("http://{admin}/v1"),
            token: token.to_owned(),
        })
    }

    /// Reads a resource.
    ///
    /// # Errors
    /// If the lab does not answer, or does not know the resource.
    pub async fn state(&self, resource: &Resource) -> Result<State, ProviderError> {
        let what = format!("reading {resource}");
        self.call(self.client.get(format!("{}/{resource}", self.base)), what)
            .await
    }

    /// Changes a resource.
    ///
    /// # Errors
    /// If the lab does not answer, or refuses.
    pub async fn apply(
        &self,
        resource: &Resource,
        settings: &Settings,
    ) -> Result<State, ProviderError> {
        let what = format!("changing {resource}");
        self.call(
            self.client
                .patch(format!("{}/{resource}", self.base))
                .json(settings),
            what,
        )
        .await
    }

    async fn call(
        &self,
        request: reqwest::RequestBuilder,
        what: String,
    ) -> Result<State, ProviderError> {
        let unreachable = |source| ProviderError::Unreachable {
            what: what.clone(),
            source,
        };
        let response = request
            .bearer_auth(&self.token)
            .send()
            .await
            .map_err(unreachable)?;
        let status = response.status();
        if !status.is_success() {
            let message = response.text().await.unwrap_or_default();
            return Err(ProviderError::Refused {
                what,
                status: status.as_u16(),
                message,
            });
        }
        response.json().await.map_err(unreachable)
    }
}

impl Provider for LabProvider {
    fn resolve(
        &self,
        environment: &Environment,
        fault: &drill::Fault,
    ) -> Result<Box<dyn Fault>, ProviderError> {
        let Change { resource, settings } = change(environment, fault)?;
        let lab = self.clone();
        Ok(Box::new(LabFault {
            lab,
            target: fault.target().to_owned(),
            resource,
            settings,
        }))
    }

    fn health<'a>(
        &'a self,
        environment: &'a Environment,
        target: &'a str,
    ) -> BoxFuture<'a, Result<Health, ProviderError>> {
        Box::pin(async move {
            let Target::Lab(resource) = self::target(environment, target)?;
            let state = self.state(resource).await?;
            Ok(Health {
                healthy: state.healthy.unwrap_or(true),
                detail: state.detail.unwrap_or_default(),
            })
        })
    }
}

/// A fault as the lab carries it out.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// What is changed.
    pub resource: Resource,
    /// The new settings; the fields that are not set stay.
    pub settings: Settings,
}

/// Works out what a fault changes. Touches nothing, so that a plan can be shown without a lab.
///
/// # Errors
/// If the environment lacks the target, or its kind of resource cannot do this.
pub fn change(environment: &Environment, fault: &drill::Fault) -> Result<Change, ProviderError> {
    use drill::Fault as F;
    let target = target(environment, fault.target())?;
    let Target::Lab(resource) = target;
    if !target.faults().contains(&fault.kind()) {
        return Err(ProviderError::Unsupported {
            fault: fault.kind().to_owned(),
            resource: resource.to_string(),
            can: target.faults().join(", "),
        });
    }
    let none = Settings::default();
    let settings = match fault {
        F::Scale { replicas, .. } => Settings {
            replicas: Some(*replicas),
            ..none
        },
        F::Stop { .. } => Settings {
            power: Some(Power::Stopped),
            ..none
        },
        F::Kill { .. } => Settings {
            power: Some(Power::Killed),
            ..none
        },
        F::Pause { .. } => Settings {
            power: Some(Power::Paused),
            ..none
        },
        F::BlockIngress { .. } => Settings {
            ingress: Some(Ingress::Blocked),
            ..none
        },
        F::BreakHealthPath { path, .. } => Settings {
            health_check_path: Some(path.clone()),
            ..none
        },
        F::InvertHealthCheck { .. } => Settings {
            inverted: Some(true),
            ..none
        },
        F::DisableHealthCheck { .. } => Settings {
            disabled: Some(true),
            ..none
        },
        F::Respond {
            status,
            body,
            delay,
            pulse,
            ..
        } => Settings {
            answers: Some(Answers::Fixed {
                status: *status,
                body: body.clone(),
                delay: *delay,
                pulse: pulse.map(|drill::Pulse { on, off }| Pulse { on, off }),
            }),
            ..none
        },
        F::ExpireCertificate { .. } => Settings {
            certificate: Some(Certificate::Expired),
            ..none
        },
        F::LoseZone { zone, .. } => Settings {
            lost_zones: Some(vec![zone.clone()]),
            ..none
        },
        F::FailoverDatabase { .. } => Settings {
            writer: Some(Writer::Second),
            ..none
        },
        F::ShiftWeights { weights, .. } => Settings {
            weights: Some(weights.clone()),
            ..none
        },
    };
    Ok(Change {
        resource: resource.clone(),
        settings,
    })
}

fn target<'a>(environment: &'a Environment, name: &str) -> Result<&'a Target, ProviderError> {
    environment
        .targets
        .get(name)
        .ok_or_else(|| ProviderError::UnknownTarget {
            target: name.to_owned(),
        })
}

impl Change {
    /// What is done, in words.
    pub fn describe(&self) -> String {
        format!("{} on lab {}", words::orders(&self.settings), self.resource)
    }

    /// What undoing it does, in words, before the state is known.
    pub fn describe_revert(&self) -> String {
        format!(
            "set {} of lab {} back to what it was",
            words::names(&self.settings),
            self.resource
        )
    }
}

#[derive(Debug)]
struct LabFault {
    lab: LabProvider,
    target: String,
    resource: Resource,
    settings: Settings,
}

impl LabFault {
    fn captured(&self, undo: &Undo) -> Result<Settings, ProviderError> {
        serde_json::from_value(undo.state.clone()).map_err(|error| ProviderError::BadUndo {
            target: self.target.clone(),
            reason: error.to_string(),
        })
    }
}

impl Fault for LabFault {
    fn describe(&self) -> String {
        Change {
            resource: self.resource.clone(),
            settings: self.settings.clone(),
        }
        .describe()
    }

    fn touches(&self) -> Touched {
        Touched {
            target: self.target.clone(),
            thing: Thing::Lab(self.resource.clone()),
        }
    }

    fn capture(&self) -> BoxFuture<'_, Result<Undo, ProviderError>> {
        Box::pin(async move {
            let state = self.lab.state(&self.resource).await?;
            let before = only(&state.settings, &self.settings);
            Ok(Undo {
                target: self.target.clone(),
                binding: "lab".to_owned(),
                words: format!("{} on lab {}", words::orders(&before), self.resource),
                state: serde_json::to_value(&before).map_err(|error| ProviderError::BadUndo {
                    target: self.target.clone(),
                    reason: error.to_string(),
                })?,
            })
        })
    }

    fn inject(&self) -> BoxFuture<'_, Result<(), ProviderError>> {
        Box::pin(async move {
            self.lab
                .apply(&self.resource, &self.settings)
                .await
                .map(drop)
        })
    }

    fn is_in_place(&self) -> BoxFuture<'_, Result<Found, ProviderError>> {
        Box::pin(async move { self.compare(&self.settings).await })
    }

    fn revert<'a>(&'a self, undo: &'a Undo) -> BoxFuture<'a, Result<(), ProviderError>> {
        Box::pin(async move {
            self.lab
                .apply(&self.resource, &self.captured(undo)?)
                .await
                .map(drop)
        })
    }

    fn is_restored<'a>(&'a self, undo: &'a Undo) -> BoxFuture<'a, Result<Found, ProviderError>> {
        Box::pin(async move { self.compare(&self.captured(undo)?).await })
    }
}

impl LabFault {
    async fn compare(&self, expected: &Settings) -> Result<Found, ProviderError> {
        let state = self.lab.state(&self.resource).await?;
        let now = only(&state.settings, expected);
        Ok(if now == *expected {
            Found::AsExpected
        } else {
            Found::Otherwise(format!(
                "{} has {} instead of {}",
                self.resource,
                words::states(&now),
                words::states(expected)
            ))
        })
    }
}

/// Those fields of `settings` that are set in `mask`.
fn only(settings: &Settings, mask: &Settings) -> Settings {
    Settings {
        replicas: settings.replicas.filter(|_| mask.replicas.is_some()),
        power: settings.power.filter(|_| mask.power.is_some()),
        ingress: settings.ingress.filter(|_| mask.ingress.is_some()),
        answers: settings.answers.clone().filter(|_| mask.answers.is_some()),
        health_check_path: settings
            .health_check_path
            .clone()
            .filter(|_| mask.health_check_path.is_some()),
        inverted: settings.inverted.filter(|_| mask.inverted.is_some()),
        disabled: settings.disabled.filter(|_| mask.disabled.is_some()),
        lost_zones: settings
            .lost_zones
            .clone()
            .filter(|_| mask.lost_zones.is_some()),
        certificate: settings.certificate.filter(|_| mask.certificate.is_some()),
        weights: mask.weights.as_ref().and_then(|named| {
            let mut weights = settings.weights.clone()?;
            weights.retain(|name, _| named.contains_key(name));
            Some(weights)
        }),
        writer: settings.writer.filter(|_| mask.writer.is_some()),
    }
}
