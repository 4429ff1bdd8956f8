//! Each fault on its own: in place when it says so, and undone so that nothing tells it was there.

use std::net::IpAddr;

use blackstart::{
    drill::Fault,
    environment::Environment,
    provider::{
        Current, Provider, ProviderError,
        docker::{DockerProvider, Engine},
    },
};
use bollard::models::ContainerInspectResponse;
use tokio::{net::TcpStream, time::timeout};

use crate::Shared;

/// What a client meets at a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Met {
    /// It is let in.
    In,
    /// It is told that nobody listens there, or that nobody is there at all.
    Refused,
    /// It hears nothing.
    Silence,
}

pub(crate) fn every_fault_is_in_place_and_is_undone_to_the_last_address(shared: &Shared) {
    let rig = shared.rig();
    let environment = rig.environment();
    let target = || "vm".to_owned();
    let vm = format!("{}_vm_1", rig.project);
    shared.threads.block_on(async {
        let provider = DockerProvider::new(Engine::connect().await.unwrap());
        for (fault, met) in [
            (Fault::BlockIngress { target: target() }, Met::Silence),
            (Fault::Pause { target: target() }, Met::In),
            (Fault::Disconnect { target: target() }, Met::Silence),
            (Fault::Stop { target: target() }, Met::Silence),
            (Fault::Kill { target: target() }, Met::Silence),
        ] {
            let before = rig.docker.inspect_container(&vm, None).await.unwrap();
            let address = address(&before);
            until_met(address, Met::In, &fault).await;
            let resolved = provider.resolve(&environment, &fault).unwrap();
            let undo = resolved.capture().await.unwrap();
            assert_eq!(resolved.current(&undo).await.unwrap(), Current::AsCaptured);
            resolved.inject().await.unwrap();
            assert_eq!(
                resolved.current(&undo).await.unwrap(),
                Current::AsInjected,
                "{fault}"
            );
            until_met(address, met, &fault).await;
            // Twice, and by somebody who has nothing but the journal.
            let recalled = provider.recall(&undo).unwrap();
            for _ in 0..2 {
                recalled.revert(&undo).await.unwrap();
                assert_eq!(
                    recalled.current(&undo).await.unwrap(),
                    Current::AsCaptured,
                    "{fault}"
                );
            }
            let after = rig.docker.inspect_container(&vm, None).await.unwrap();
            assert_eq!(networks(&after), networks(&before), "{fault}");
            until_met(address, Met::In, &fault).await;
        }
        scaled_by_half(&provider, &environment).await;
        answers_something_else(&provider, &environment).await;
        a_service_that_is_not_there_is_named_with_those_that_are(&provider, &environment);
    });
}

async fn scaled_by_half(provider: &DockerProvider, environment: &Environment) {
    let scale = |replicas| Fault::Scale {
        target: "web".to_owned(),
        replicas,
    };
    let fault = provider.resolve(environment, &scale(1)).unwrap();
    let undo = fault.capture().await.unwrap();
    fault.inject().await.unwrap();
    assert_eq!(fault.current(&undo).await.unwrap(), Current::AsInjected);
    fault.revert(&undo).await.unwrap();
    assert_eq!(fault.current(&undo).await.unwrap(), Current::AsCaptured);
    let more = provider.resolve(environment, &scale(3)).unwrap();
    let error = more.capture().await.unwrap_err().to_string();
    assert!(
        error.contains("2 containers") && error.contains("--scale"),
        "{error}"
    );
}

async fn answers_something_else(provider: &DockerProvider, environment: &Environment) {
    let respond = Fault::Respond {
        target: "load-balancer".to_owned(),
        status: Some(503),
        body: Some("a secret".to_owned()),
        delay: std::time::Duration::ZERO,
        pulse: None,
    };
    let fault = provider.resolve(environment, &respond).unwrap();
    let undo = fault.capture().await.unwrap();
    assert!(!undo.injected.to_string().contains("a secret"));
    fault.inject().await.unwrap();
    assert_eq!(fault.current(&undo).await.unwrap(), Current::AsInjected);
    let recalled = provider.recall(&undo).unwrap();
    recalled.revert(&undo).await.unwrap();
    assert_eq!(recalled.current(&undo).await.unwrap(), Current::AsCaptured);
}

fn a_service_that_is_not_there_is_named_with_those_that_are(
    provider: &DockerProvider,
    environment: &Environment,
) {
    let unsupported = provider.resolve(
        environment,
        &Fault::Scale {
            target: "web-targets".to_owned(),
            replicas: 0,
        },
    );
    assert!(
        matches!(unsupported, Err(ProviderError::Unsupported { .. })),
        "{unsupported:?}"
    );
}

fn networks(inspected: &ContainerInspectResponse) -> Vec<(String, Option<String>, Vec<String>)> {
    let settings = inspected.network_settings.as_ref();
    let networks = settings.and_then(|settings| settings.networks.clone());
    let mut networks: Vec<_> = networks
        .unwrap_or_default()
        .into_iter()
        .map(|(name, endpoint)| {
            let mut aliases = endpoint.aliases.unwrap_or_default();
            aliases.sort();
            aliases.dedup();
            (name, endpoint.ip_address, aliases)
        })
        .collect();
    networks.sort();
    networks
}

fn address(inspected: &ContainerInspectResponse) -> IpAddr {
    networks(inspected)[0].1.as_ref().unwrap().parse().unwrap()
}

/// Waits until a client that connects to the machine's web server meets this; a machine that is started boots.
async fn until_met(address: IpAddr, expected: Met, fault: &Fault) {
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let limit = std::time::Duration::from_secs(1);
        let met = match timeout(limit, TcpStream::connect((address, 80))).await {
            Ok(Ok(_)) => Met::In,
            Ok(Err(_)) => Met::Refused,
            Err(_) => Met::Silence,
        };
        // After some seconds of silence the kernel says that nobody is there.
        if met == expected || (expected, met) == (Met::Silence, Met::Refused) {
            return;
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "{fault}: met {met:?} instead of {expected:?}"
        );
    }
}
