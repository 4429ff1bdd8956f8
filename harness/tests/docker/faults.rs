//! Each fault on its own: in place when it says so, and undone so that nothing tells it was there.

use std::{net::IpAddr, time::Duration};

use blackstart::{
    drill::{Command, Fault},
    environment::{Containers, Environment, Target, Which},
    provider::{
        Current, Provider, ProviderError,
        docker::{self, DockerProvider, Engine, sweep},
    },
};
use bollard::models::{ContainerCreateBody, ContainerInspectResponse};
use tokio::{net::TcpStream, time::timeout};

use crate::{Shared, rig::Rig};

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

pub(crate) fn every_fault_is_in_place_and_is_undone_to_the_last_address(
    shared: &Shared,
    rig: &Rig,
) {
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
        what_cannot_be_done_is_refused(&provider, &environment);
        who_is_not_there_or_there_twice_is_told(rig, &provider, &environment).await;
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
        delay: Duration::ZERO,
        pulse: None,
        share: None,
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

fn what_cannot_be_done_is_refused(provider: &DockerProvider, environment: &Environment) {
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

async fn who_is_not_there_or_there_twice_is_told(
    rig: &Rig,
    provider: &DockerProvider,
    environment: &Environment,
) {
    let refused = async |which: Which| {
        let mut environment = environment.clone();
        let containers = Containers {
            which,
            part: None,
            ports: Vec::new(),
            from: Vec::new(),
        };
        let name = "other".to_owned();
        environment
            .targets
            .insert(name.clone(), Target::Docker(containers));
        let stop = Fault::Stop { target: name };
        let fault = provider.resolve(&environment, &stop).unwrap();
        fault.capture().await.unwrap_err().to_string()
    };
    let service = |project: Option<&str>, service: &str| Which::Service {
        project: project.map(str::to_owned),
        service: service.to_owned(),
    };
    let project = rig.project.as_str();
    for (which, words) in [
        (
            Which::Name("nowhere".to_owned()),
            "there is no container nowhere: `docker ps --all` lists",
        ),
        (
            Which::Label("blackstart.nowhere".to_owned()),
            "`docker ps --all --filter label=blackstart.nowhere` lists none",
        ),
        (
            service(Some(project), "nowhere"),
            "there are `alb`, `dns`, `edge`, `page`",
        ),
        (
            service(Some("nowhere"), "vm"),
            "`docker compose --project-name nowhere up --detach` starts it",
        ),
    ] {
        let error = refused(which).await;
        assert!(error.contains(words), "{error}");
    }
    let twin = format!("{project}-twin");
    let labels = [
        ("com.docker.compose.project", twin.clone()),
        ("com.docker.compose.service", "vm".to_owned()),
        (sweep::CREATED, sweep::created_by_this_process()),
    ];
    let body = ContainerCreateBody {
        image: Some(docker::IMAGE.to_owned()),
        labels: Some(labels.map(|(name, value)| (name.to_owned(), value)).into()),
        ..ContainerCreateBody::default()
    };
    let created = rig.docker.create_container(None, body).await.unwrap();
    let error = refused(service(None, "vm")).await;
    rig.docker
        .remove_container(&created.id, None)
        .await
        .unwrap();
    assert!(
        error.contains(&twin) && error.contains("say which is meant with `docker: { project: … }`"),
        "{error}"
    );
}

/// Where the kernel has no netem, the words for it come before the target is even looked at.
pub(crate) fn netem_is_set_and_taken_away_or_its_absence_is_told_before_anything_is_touched(
    shared: &Shared,
    rig: &Rig,
) {
    let environment = rig.environment();
    let target = || "vm".to_owned();
    shared.threads.block_on(async {
        let provider = DockerProvider::new(Engine::connect().await.unwrap());
        for fault in [
            Fault::Latency {
                target: target(),
                delay: Duration::from_secs(1),
                jitter: Duration::from_millis(200),
            },
            Fault::Loss {
                target: target(),
                percent: 30,
            },
        ] {
            let resolved = provider.resolve(&environment, &fault).unwrap();
            if let Err(error) = resolved.prepare().await {
                let error = error.to_string();
                assert!(
                    error.contains("no netem") && error.contains("modprobe sch_netem"),
                    "{error}"
                );
                // What would be read and taken away needs no netem.
                let undo = resolved.capture().await.unwrap();
                assert_eq!(resolved.current(&undo).await.unwrap(), Current::AsCaptured);
                assert!(resolved.inject().await.is_err());
                let recalled = provider.recall(&undo).unwrap();
                recalled.revert(&undo).await.unwrap();
                assert_eq!(recalled.current(&undo).await.unwrap(), Current::AsCaptured);
                continue;
            }
            let undo = resolved.capture().await.unwrap();
            assert_eq!(resolved.current(&undo).await.unwrap(), Current::AsCaptured);
            resolved.inject().await.unwrap();
            assert_eq!(resolved.current(&undo).await.unwrap(), Current::AsInjected);
            let recalled = provider.recall(&undo).unwrap();
            for _ in 0..2 {
                recalled.revert(&undo).await.unwrap();
                assert_eq!(recalled.current(&undo).await.unwrap(), Current::AsCaptured);
            }
        }
    });
}

/// The lab's image has one program, and that knows no answer to these questions.
pub(crate) fn a_command_that_cannot_tell_or_is_not_there_breaks_nothing(
    shared: &Shared,
    rig: &Rig,
) {
    let environment = rig.environment();
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let command = |verify: &[&str]| Command {
        inject: words(&["/blackstart-lab", "--version"]),
        revert: words(&["/blackstart-lab", "--version"]),
        verify: words(verify),
        environment: Vec::new(),
        timeout: Duration::from_secs(2),
    };
    let fault = |target: &str, command| Fault::Command {
        target: target.to_owned(),
        command,
    };
    shared.threads.block_on(async {
        let provider = DockerProvider::new(Engine::connect().await.unwrap());
        let refused = async |fault: &Fault| {
            let resolved = provider.resolve(&environment, fault).unwrap();
            resolved.capture().await.unwrap_err().to_string()
        };
        let no_answer = fault("vm", command(&["/blackstart-lab", "--nonsense"]));
        let error = refused(&no_answer).await;
        assert!(
            error.contains("ended with 2") && error.contains("unexpected argument"),
            "{error}"
        );
        let error = refused(&fault("vm", command(&["/nothing"]))).await;
        assert!(error.contains("`/nothing` could not be started"), "{error}");
        let hurried = Command {
            timeout: Duration::from_millis(1),
            ..command(&["/blackstart-lab", "--version"])
        };
        let error = refused(&fault("vm", hurried)).await;
        assert!(error.contains("did not end within 1ms"), "{error}");
        let secret = Command {
            environment: vec!["BLACKSTART_NOBODY_SETS_THIS".to_owned()],
            ..command(&["/blackstart-lab", "--version"])
        };
        let unset = provider
            .resolve(&environment, &fault("vm", secret))
            .unwrap();
        let error = unset.prepare().await.unwrap_err().to_string();
        assert!(error.contains("BLACKSTART_NOBODY_SETS_THIS"), "{error}");
        // It says that it is so already, which the engine of the run refuses as no fault at all.
        let already = fault("vm", command(&["/blackstart-lab", "--version"]));
        let already = provider.resolve(&environment, &already).unwrap();
        let undo = already.capture().await.unwrap();
        assert_eq!(undo.state, undo.injected);
    });
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
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        let limit = Duration::from_secs(1);
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
