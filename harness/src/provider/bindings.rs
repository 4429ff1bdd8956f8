//! Several bindings as one: each fault and each reading goes to what reaches its target.

use std::{collections::BTreeMap, sync::Arc};

use super::{Fault, Health, Provider, ProviderError, Undo};
use crate::{
    drill,
    environment::{Binding, Environment},
    probe::BoxFuture,
};

/// What reaches the targets of one environment, by binding.
#[derive(Debug, Clone, Default)]
pub struct Bindings(BTreeMap<Binding, Arc<dyn Provider>>);

impl Bindings {
    /// The same, with one more.
    #[must_use]
    pub fn with(mut self, binding: Binding, provider: Arc<dyn Provider>) -> Self {
        self.0.insert(binding, provider);
        self
    }

    /// Both together.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    fn of(&self, binding: Binding) -> Result<&Arc<dyn Provider>, ProviderError> {
        self.0
            .get(&binding)
            .ok_or(ProviderError::NotReached { binding })
    }

    fn of_target(
        &self,
        environment: &Environment,
        target: &str,
    ) -> Result<&Arc<dyn Provider>, ProviderError> {
        let found = environment.targets.get(target);
        let found = found.ok_or_else(|| ProviderError::UnknownTarget {
            target: target.to_owned(),
        })?;
        self.of(found.binding())
    }
}

impl Provider for Bindings {
    fn resolve(
        &self,
        environment: &Environment,
        fault: &drill::Fault,
    ) -> Result<Box<dyn Fault>, ProviderError> {
        self.of_target(environment, fault.target())?
            .resolve(environment, fault)
    }

    fn recall(&self, undo: &Undo) -> Result<Box<dyn Fault>, ProviderError> {
        let binding = Binding::named(&undo.binding).ok_or_else(|| {
            undo.unreadable(format!(
                "this version of blackstart knows no binding `{}`",
                undo.binding
            ))
        })?;
        self.of(binding)?.recall(undo)
    }

    fn findings<'a>(&'a self, environment: &'a Environment) -> BoxFuture<'a, Vec<String>> {
        Box::pin(async move {
            let mut findings = Vec::new();
            for provider in self.0.values() {
                findings.extend(provider.findings(environment).await);
            }
            findings
        })
    }

    fn health<'a>(
        &'a self,
        environment: &'a Environment,
        target: &'a str,
    ) -> BoxFuture<'a, Result<Health, ProviderError>> {
        match self.of_target(environment, target) {
            Ok(provider) => provider.health(environment, target),
            Err(error) => Box::pin(async { Err(error) }),
        }
    }
}
