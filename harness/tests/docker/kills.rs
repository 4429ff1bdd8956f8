//! Harnesses and tests that are killed: nothing stays broken, and nothing stays.

use std::{
    fs::{self, File},
    net::IpAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::PoisonError,
    time::Duration,
};

use blackstart::{
    exit_code::ExitCode,
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
        .stdin(Stdio::null());
    command
}

/// A harness in a process of its own whose fault is in place.
struct Breaking {
    process: Child,
    reports: PathBuf,
}

/// How often a drill is begun that finds this machine too busy to measure on, and breaks nothing for that reason.
const ATTEMPTS: u32 = 5;

impl Breaking {
    /// Runs a drill until its fault is seen.
    async fn begin(
        shared: &Shared,
        rig: &Rig,
        name: &str,
        mut is_broken: impl AsyncFnMut() -> bool,
    ) -> Self {
        let file = format!("drills/{name}.yaml");
        let arguments = ["run", &file, "-q", "--env", "three-tier.docker"];
        let mut said = String::new();
        for attempt in 1..=ATTEMPTS {
            let reports = shared.reports.path().join(format!("{name}-{attempt}"));
            let output = reports.with_extension("output");
            let file = File::create(&output).unwrap();
            let mut process = blackstart(shared, rig, &arguments, &reports)
                .stdout(file.try_clone().unwrap())
                .stderr(file)
                .spawn()
                .unwrap();
            let deadline = Instant::now() + LIMIT;
            let ended = loop {
                if is_broken().await {
                    return Self { process, reports };
                }
                if let Some(status) = process.try_wait().unwrap() {
                    break status;
                }
                assert!(
                    Instant::now() < deadline,
                    "`{name}` neither broke anything nor ended:\n{}",
                    fs::read_to_string(&output).unwrap()
                );
                sleep(Duration::from_millis(50)).await;
            };
            said = fs::read_to_string(&output).unwrap();
            let could_not_run = i32::from(ExitCode::CouldNotRun.code());
            assert_eq!(ended.code(), Some(could_not_run), "{said}");
        }
        panic!("`{name}` could not be carried out {ATTEMPTS} times, the last time:\n{said}");
    }

    fn kill(&mut self) {
        kill(
            Pid::from_raw(self.process.id().cast_signed()),
            Signal::SIGKILL,
        )
        .unwrap();
        self.process.wait().unwrap();
    }
}

/// After both are gone nobody is there to restore but somebody who types `blackstart revert`.
pub(crate) fn revert_removes_a_filter_when_harness_and_guard_are_killed(
    shared: &Shared,
    rig: &Rig,
) {
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
        let is_broken = async || !lets_in().await;
        let mut harness = Breaking::begin(shared, rig, "block-ingress", is_broken).await;
        let journal = recovery::journals_in(&harness.reports).unwrap().remove(0);
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
        let guard = Pid::from_raw(guard.unwrap().cast_signed());
        kill(guard, Signal::SIGKILL).unwrap();
        harness.kill();
        assert!(!lets_in().await);
        let reverted = blackstart(shared, rig, &["revert"], &harness.reports)
            .output()
            .unwrap();
        assert!(reverted.status.success(), "{reverted:?}");
        assert!(lets_in().await);
    });
}

/// The double failure stops five containers at once; the harness is killed as soon as they are.
pub(crate) fn nothing_stays_stopped_when_the_harness_is_killed(shared: &Shared, rig: &Rig) {
    shared.threads.block_on(async {
        let vm = format!("{}_vm_1", rig.project);
        let is_broken = async || !runs(rig, &vm).await;
        let mut harness = Breaking::begin(shared, rig, "double-failure", is_broken).await;
        harness.kill();
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
