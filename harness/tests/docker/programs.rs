//! The same drills on real programs: a load balancer, web servers and a database, where their images were built
//! (`fixtures/programs/build.sh`).

use std::{
    process::{Command, Stdio},
    sync::PoisonError,
};

use blackstart::{
    catalog::{self, Entry, Selection},
    provider::docker::sweep,
    source::{Coloring, process_variable},
};
use bollard::Docker;

use crate::{Shared, attached, must_pass, named, rig};

const IMAGES: [&str; 6] = ["haproxy", "web", "app", "vm", "page", "database"];

/// Those drills of the three tiers that real programs can have done to them.
const DRILLS: [&str; 8] = [
    "scale-to-zero",
    "double-failure",
    "double-failure-in-sequence",
    "stop-vm-only",
    "writes-do-not-fail-over",
    "block-ingress",
    "failback",
    "manual-failover-inverted",
];

/// The one that is written for them.
const READ_ONLY: &str = "read-only-database";

const ENVIRONMENT: &str = "three-tier.programs";

pub(crate) fn names() -> Vec<String> {
    DRILLS
        .into_iter()
        .chain([READ_ONLY])
        .map(|name| format!("programs::{name}"))
        .collect()
}

/// Why no drill on real programs can be run here, if it cannot.
pub(crate) async fn what_is_missing(docker: &Docker) -> Option<String> {
    for image in IMAGES {
        let image = format!("blackstart-programs-{image}");
        if docker.inspect_image(&image).await.is_err() {
            return Some(format!(
                "there is no image `{image}`; `fixtures/programs/build.sh` builds it"
            ));
        }
    }
    if compose().is_none() {
        return Some("there is neither `docker compose` nor `docker-compose`".to_owned());
    }
    None
}

/// Whichever Compose there is.
fn compose() -> Option<Command> {
    let works = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments);
        let mut asked = Command::new(program);
        asked
            .args(arguments)
            .arg("version")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let answered = asked.status().is_ok_and(|status| status.success());
        answered.then_some(command)
    };
    works("docker", &["compose"]).or_else(|| works("docker-compose", &[]))
}

/// The programs, up until this is dropped.
pub(crate) struct Programs {
    project: String,
    subnet: String,
}

impl Programs {
    fn start() -> Self {
        let programs = Self {
            project: format!("blackstart-test-{}-programs", std::process::id()),
            // Other tests have networks from 10.128 on.
            subnet: format!("10.{}", fastrand::u8(64..128)),
        };
        programs.compose(&["up", "--detach"]);
        programs
    }

    fn compose(&self, arguments: &[&str]) {
        let mut command = compose().unwrap();
        command
            .arg("--project-name")
            .arg(&self.project)
            .arg("--file")
            .arg(rig::repository().join("fixtures/programs/docker-compose.yml"))
            .args(arguments)
            .env("BLACKSTART_SUBNET", &self.subnet)
            .env("BLACKSTART_LAB_TOKEN", &self.project)
            .env("BLACKSTART_CREATED", sweep::created_by_this_process());
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
    }

    fn entry(&self, name: &str) -> Entry {
        let variable = |asked: &str| {
            if asked == "BLACKSTART_PROJECT" {
                return Some(self.project.clone());
            }
            process_variable(asked)
        };
        let (file, environment) = if name == READ_ONLY {
            (format!("fixtures/programs/{name}.yaml"), None)
        } else {
            (format!("drills/{name}.yaml"), Some(ENVIRONMENT.to_owned()))
        };
        let selection = Selection {
            paths: vec![rig::repository().join(file)],
            environment,
            ..Selection::default()
        };
        let (catalog, problems) = catalog::load(&selection, &variable);
        assert!(
            !problems.has_errors(),
            "{}",
            problems.render(Coloring::Plain)
        );
        named(catalog.entries, name)
    }
}

impl Drop for Programs {
    fn drop(&mut self) {
        self.compose(&["down", "--volumes", "--timeout", "1"]);
    }
}

/// The drill as it is written, on real programs.
pub(crate) fn drill(shared: &Shared, name: &str) {
    let mut programs = shared
        .programs
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let programs = programs.get_or_insert_with(Programs::start);
    must_pass(&shared.measured(|run| {
        let entry = programs.entry(name);
        attached(shared, entry, &format!("programs-{name}-{run}"))
    }));
}
