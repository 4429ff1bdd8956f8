//! The lab binding: faults as changes of settings over the lab's admin API.
//!
//! The API is spoken over loopback even to a lab in this process, so that a lab in a process of its own is reached the same way.

mod attached;
mod change;
mod words;

use std::{net::SocketAddr, time::Duration};

pub(super) use attached::reach;
pub use attached::{AttachError, TokenFile, find};
use blackstart_lab::control::{Description, Resource, Settings, State, UnknownKind};
pub use change::{Change, change};
pub(super) use change::{only, settings as settings_of, without_texts};
use serde::de::DeserializeOwned;
pub(super) use words::{names, orders, states};

use super::{Current, Fault, Health, Provider, ProviderError, Undo};
use crate::{
    drill,
    environment::{Environment, Thing, Touched},
    probe::BoxFuture,
};

/// The binding's name in what is captured.
const BINDING: &str = "lab";
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

    /// Asks the lab what it is.
    ///
    /// # Errors
    /// If it does not answer, or does not know the token.
    pub async fn describe(&self) -> Result<Description, ProviderError> {
        let what = "asking the lab what it is".to_owned();
        self.call(self.client.get(format!("{}/lab", self.base)), what)
            .await
    }

    /// Asks the lab what it has.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn resources(&self) -> Result<Vec<Resource>, ProviderError> {
        let what = "asking the lab what it has".to_owned();
        self.call(self.client.get(format!("{}/resources", self.base)), what)
            .await
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

    async fn call<T: DeserializeOwned>(
        &self,
        request: reqwest::RequestBuilder,
        what: String,
    ) -> Result<T, ProviderError> {
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

    fn recall(&self, undo: &Undo) -> Result<Box<dyn Fault>, ProviderError> {
        undo.must_be_of(BINDING)?;
        let (kind, name) = undo.resource.split_once('/').ok_or_else(|| {
            undo.unreadable(format!("`{}` names nothing in a lab", undo.resource))
        })?;
        let kind = kind
            .parse()
            .map_err(|error: UnknownKind| undo.unreadable(error.to_string()))?;
        Ok(Box::new(LabFault {
            lab: self.clone(),
            target: undo.target.clone(),
            resource: Resource::new(kind, name),
            settings: settings(undo, &undo.injected)?,
        }))
    }

    fn health<'a>(
        &'a self,
        environment: &'a Environment,
        target: &'a str,
    ) -> BoxFuture<'a, Result<Health, ProviderError>> {
        Box::pin(async move {
            let (_, resource) = change::target(environment, target)?;
            let state = self.state(resource).await?;
            Ok(Health {
                healthy: state.healthy.unwrap_or(true),
                detail: state.detail.unwrap_or_default(),
            })
        })
    }
}

#[derive(Debug)]
struct LabFault {
    lab: LabProvider,
    target: String,
    resource: Resource,
    settings: Settings,
}

/// Reads settings from what was captured.
fn settings(undo: &Undo, value: &serde_json::Value) -> Result<Settings, ProviderError> {
    serde_json::from_value(value.clone()).map_err(|error| undo.unreadable(error.to_string()))
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
            let value = |settings: &Settings| {
                serde_json::to_value(settings).map_err(|error| ProviderError::BadUndo {
                    target: self.target.clone(),
                    reason: error.to_string(),
                })
            };
            Ok(Undo {
                target: self.target.clone(),
                binding: BINDING.to_owned(),
                resource: self.resource.to_string(),
                words: format!("{} on lab {}", orders(&before), self.resource),
                state: value(&before)?,
                injected: value(&without_texts(&self.settings))?,
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

    fn current<'a>(&'a self, undo: &'a Undo) -> BoxFuture<'a, Result<Current, ProviderError>> {
        Box::pin(async move {
            let captured = settings(undo, &undo.state)?;
            let state = self.lab.state(&self.resource).await?;
            let now = only(&state.settings, &captured);
            Ok(if now == captured {
                Current::AsCaptured
            } else if without_texts(&now) == settings(undo, &undo.injected)? {
                Current::AsInjected
            } else {
                Current::Otherwise(format!(
                    "{} has {}; it had {} when it was captured, and the fault set {}",
                    self.resource,
                    states(&now),
                    states(&captured),
                    states(&self.settings)
                ))
            })
        })
    }

    fn revert<'a>(&'a self, undo: &'a Undo) -> BoxFuture<'a, Result<(), ProviderError>> {
        Box::pin(async move {
            self.lab
                .apply(&self.resource, &settings(undo, &undo.state)?)
                .await
                .map(drop)
        })
    }
}
