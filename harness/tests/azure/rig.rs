//! A stand-in, an environment that leads to it, and what every fault has to stand.

use std::fs;

use blackstart::{
    drill::Fault,
    environment::{self, Environment},
    provider::{self, Attached, Current, Provider, ProviderError, Undo},
    source::{Coloring, process_variable},
};

use crate::stand_in::{GROUP, SUBSCRIPTION, StandIn};

/// A variable that every process has: what it is set to is the token here.
pub(crate) const TOKEN_VARIABLE: &str = "PATH";

pub(crate) struct Rig {
    pub(crate) azure: StandIn,
}

pub(crate) fn stop() -> Fault {
    Fault::Stop {
        target: "it".to_owned(),
    }
}

pub(crate) fn block() -> Fault {
    Fault::BlockIngress {
        target: "it".to_owned(),
    }
}

pub(crate) fn disable() -> Fault {
    Fault::Disable {
        target: "it".to_owned(),
    }
}

impl Rig {
    pub(crate) async fn start() -> Self {
        let token = process_variable(TOKEN_VARIABLE).unwrap();
        Self {
            azure: StandIn::start(&token).await,
        }
    }

    /// An environment whose only target, `it`, is this.
    pub(crate) fn environment(&self, target: &str) -> Environment {
        self.environment_with(target, "")
    }

    /// The same with more said of Azure.
    pub(crate) fn environment_with(&self, target: &str, more: &str) -> Environment {
        let azure = format!(
            "endpoint: \"{}\", token-variable: {TOKEN_VARIABLE}{more}",
            self.azure.server.uri()
        );
        environment_of(target, &azure)
    }

    /// Captures a fault on the only target.
    pub(crate) async fn capture(
        &self,
        target: &str,
        fault: &Fault,
    ) -> Result<Captured, ProviderError> {
        capture(&self.environment(target), fault).await
    }

    /// Why a fault on the only target cannot be captured.
    pub(crate) async fn refusal(&self, target: &str, fault: &Fault) -> String {
        match self.capture(target, fault).await {
            Ok(captured) => panic!("it was captured: {:?}", captured.undo),
            Err(error) => error.to_string(),
        }
    }

    /// What Azure thinks of the only target.
    pub(crate) async fn health(&self, target: &str) -> (bool, String) {
        let environment = self.environment(target);
        let attached = provider::attach(&environment, None).await.unwrap();
        let health = attached.bindings.health(&environment, "it").await.unwrap();
        (health.healthy, health.detail)
    }
}

/// An environment with a machine at an address.
pub(crate) fn environment_at(endpoint: &str, token_variable: &str) -> Environment {
    let azure = format!("endpoint: \"{endpoint}\", token-variable: {token_variable}");
    environment_of("virtual-machine: vm", &azure)
}

fn environment_of(target: &str, azure: &str) -> Environment {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("environment.yaml");
    let text = format!(
        "environment: azure\n\
         service: {{ url: http://127.0.0.1:1/ }}\n\
         tiers: [ {{ tier: azure, recognise: {{ body: ok }} }} ]\n\
         probes: [ {{ http: {{ name: read }} }} ]\n\
         azure: {{ subscription: {SUBSCRIPTION}, resource-group: {GROUP}, {azure} }}\n\
         targets: {{ it: {{ azure: {{ {target} }} }} }}\n"
    );
    fs::write(&path, text).unwrap();
    let (environment, problems) = environment::load(&path, &process_variable);
    environment.unwrap_or_else(|| panic!("{}", problems.render(Coloring::Plain)))
}

/// A fault and what restores it.
pub(crate) struct Captured {
    pub(crate) attached: Attached,
    pub(crate) fault: Box<dyn provider::Fault>,
    pub(crate) undo: Undo,
}

pub(crate) async fn capture(
    environment: &Environment,
    fault: &Fault,
) -> Result<Captured, ProviderError> {
    let attached = provider::attach(environment, None).await.unwrap();
    let fault = attached.bindings.resolve(environment, fault)?;
    let undo = fault.capture().await?;
    Ok(Captured {
        attached,
        fault,
        undo,
    })
}

impl Captured {
    pub(crate) async fn current(&self) -> Current {
        self.fault.current(&self.undo).await.unwrap()
    }

    /// The fault as somebody knows it who has nothing but what is on disk.
    pub(crate) fn recalled(&self) -> (Box<dyn provider::Fault>, Undo) {
        let written = serde_json::to_string(&self.undo).unwrap();
        let undo: Undo = serde_json::from_str(&written).unwrap();
        (self.attached.bindings.recall(&undo).unwrap(), undo)
    }

    /// Injects it twice and undoes it twice, by somebody who has nothing but the journal.
    pub(crate) async fn there_and_back(&self, seen: impl Fn(bool)) {
        assert_eq!(self.current().await, Current::AsCaptured);
        assert_ne!(self.undo.state, self.undo.injected);
        for _ in 0..2 {
            self.fault.inject().await.unwrap();
            assert_eq!(self.current().await, Current::AsInjected);
        }
        seen(true);
        let (recalled, undo) = self.recalled();
        for _ in 0..2 {
            recalled.revert(&undo).await.unwrap();
            assert_eq!(recalled.current(&undo).await.unwrap(), Current::AsCaptured);
        }
        seen(false);
    }

    /// Somebody else has changed it: that is told, with these words, and injecting leaves it alone.
    pub(crate) async fn is_somebody_elses(&self, words: &str) {
        let Current::Otherwise(told) = self.current().await else {
            panic!("nothing is told")
        };
        assert!(told.contains(words), "{told}");
    }
}
