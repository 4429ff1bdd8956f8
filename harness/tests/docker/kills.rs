//! Harnesses and tests that are killed: nothing stays broken, and nothing stays.

use std::{
    net::IpAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::PoisonError,
    time::Duration,
};

use blackstart::{
    journal::{self, Record},
    provider::docker::{self, Engine, sweep},
    recovery,
};
use bollard::models::{ContainerCreateBody, ContainerStateStatusEnum, NetworkCreateRequest};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

use crate::{
    Shared,
    rig::{Rig, repository},
};

/// No condition takes longer on however busy a machine.
const LIMIT: Duration = Duration::from_mins(3);

/// The program in the repository, with the containers of these tests.
fn blackstart(shared: &Shared, rig: &Rig, arguments: &[&str], reports: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_blackstart"));
    command
        .args(arguments)
        .arg("--reports")
        .arg(reports)
        .current_dir(repository())
        .env("BLACKSTART_PROJECT", &rig.project)
        .env("BLACKSTART_STATE", shared.reports.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn drill(shared: &Shared, rig: &Rig, name: &str, reports: &Path) -> Child {
    let file = format!("drills/{name}.yaml");
    let arguments = ["run", &file, "-q", "--env", "three-tier.docker"];
    blackstart(shared, rig, &arguments, reports)
        .spawn()
        .unwrap()
}

/// After both are gone nobody is there to restore but somebody who types `blackstart revert`.
pub(crate) fn revert_removes_a_filter_when_harness_and_guard_are_killed(
    shared: &Shared,
    rig: &Rig,
) {
    let reports = shared.reports.path().join("both-killed");
    let mut harness = drill(shared, rig, "block-ingress", &reports);
    shared.threads.block_on(async {
        let alb = format!("{}_alb_1", rig.project);
        let inspected = rig.docker.inspect_container(&alb, None).await.unwrap();
        let networks = inspected.network_settings.unwrap().networks.unwrap();
        let users = &networks[&format!("{}_users", rig.project)];
        let address: IpAddr = users.ip_address.as_ref().unwrap().parse().unwrap();
        let lets_in = async || {
            let connecting = TcpStream::connect((address, 443));
            let connected = timeout(Duration::from_millis(500), connecting).await;
            connected.is_ok_and(|connected| connected.is_ok())
        };
        until("connections are dropped", async || !lets_in().await).await;
        let journal = recovery::journals_in(&reports).unwrap().remove(0);
        let guard = journal::read(&journal)
            .unwrap()
            .records
            .iter()
            .find_map(|record| {
                let Record::Guarded { process } = record else {
                    return None;
                };
                Some(*process)
            });
        for process in [guard.unwrap(), harness.id()] {
            let process = Pid::from_raw(i32::try_from(process).unwrap());
            kill(process, Signal::SIGKILL).unwrap();
        }
        harness.wait().unwrap();
        assert!(!lets_in().await);
        let reverted = blackstart(shared, rig, &["revert"], &reports)
            .status()
            .unwrap();
        assert!(reverted.success());
        assert!(lets_in().await);
    });
}

/// The double failure stops five containers at once; the harness is killed as soon as they are.
pub(crate) fn nothing_stays_stopped_when_the_harness_is_killed(shared: &Shared, rig: &Rig) {
    let reports = shared.reports.path().join("killed");
    let mut harness = drill(shared, rig, "double-failure", &reports);
    shared.threads.block_on(async {
        let vm = format!("{}_vm_1", rig.project);
        until("the machine is stopped", async || !runs(rig, &vm).await).await;
        let process = i32::try_from(harness.id()).unwrap();
        kill(Pid::from_raw(process), Signal::SIGKILL).unwrap();
        harness.wait().unwrap();
        for service in ["vm_1", "web_1", "web_2", "was_1", "was_2"] {
            let container = format!("{}_{service}", rig.project);
            until("everything runs again", async || {
                runs(rig, &container).await
            })
            .await;
        }
    });
}

/// A container and a network of a process that is gone are removed, those of one that is there are not.
pub(crate) fn what_a_test_left_that_was_killed_is_swept_away(shared: &Shared, rig: &Rig) {
    let docker = &rig.docker;
    let _alone = shared
        .sweeping
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let mut gone = Command::new("true").spawn().unwrap();
    let owner = sweep::created_by_this_process().replace(
        &format!("\"process\":{}", std::process::id()),
        &format!("\"process\":{}", gone.id()),
    );
    gone.wait().unwrap();
    let labels = || Some([(sweep::CREATED.to_owned(), owner.clone())].into());
    let name = format!("{}-left", rig.project);
    shared.threads.block_on(async {
        let body = ContainerCreateBody {
            image: Some(docker::IMAGE.to_owned()),
            labels: labels(),
            ..ContainerCreateBody::default()
        };
        let left = docker.create_container(None, body).await.unwrap().id;
        let network = NetworkCreateRequest {
            name: name.clone(),
            labels: labels(),
            ..NetworkCreateRequest::default()
        };
        docker.create_network(network).await.unwrap();
        let engine = Engine::connect().await.unwrap();
        let found = sweep::leftovers(&engine).await.unwrap();
        // Harnesses that other tests have killed may have left something, too.
        assert!(found.len() >= 2, "{found:?}");
        sweep::remove(&engine, &found).await.unwrap();
        assert!(docker.inspect_container(&left, None).await.is_err());
        assert!(docker.inspect_network(&name, None).await.is_err());
        assert!(runs(rig, &format!("{}_vm_1", rig.project)).await);
    });
}

async fn runs(rig: &Rig, container: &str) -> bool {
    let docker = &rig.docker;
    let inspected = docker.inspect_container(container, None).await.unwrap();
    let status = inspected.state.and_then(|state| state.status);
    status == Some(ContainerStateStatusEnum::RUNNING)
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !holds().await {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        sleep(Duration::from_millis(50)).await;
    }
}
