//! Containers that are no lab: an environment without a stack, looked at by an address and by the wall's own clock.

use std::fs;

use blackstart::{
    catalog::{self, Selection},
    exit_code::ExitCode,
    provider::docker,
    report::{Style, terminal},
    source::{Coloring, process_variable},
    suite::Place,
};

use crate::{Shared, conduct, guard, rig::Rig};

const DRILL: &str = "\
drill: freeze
environment: foreign
steady-state: { for: 2s }
faults: [ pause: { target: machine } ]
hold: 2s
expect:
  outage: { within: 20s }
  failback: { to: shop, within: 20s }
";

pub(crate) fn containers_that_are_no_lab_are_drilled_by_their_address(shared: &Shared, rig: &Rig) {
    let machine = format!("{}_vm_1", rig.project);
    let address = shared.threads.block_on(async {
        let inspected = rig.docker.inspect_container(&machine, None).await.unwrap();
        let networks = inspected.network_settings.unwrap().networks.unwrap();
        networks.into_values().next().unwrap().ip_address.unwrap()
    });
    let folder = tempfile::tempdir().unwrap();
    let environments = folder.path().join("environments");
    fs::create_dir(&environments).unwrap();
    let environment = format!(
        "environment: foreign\n\
         service: {{ url: \"http://{address}/petclinic/\" }}\n\
         tiers: [ {{ tier: shop, recognise: {{ header: {{ name: server, contains: nginx }} }} }} ]\n\
         probes: [ {{ http: {{ name: read, every: 100ms }} }} ]\n\
         observers: [ {{ observer: container, watches: machine }} ]\n\
         targets: {{ machine: {{ docker: {{ container: {machine} }} }} }}\n"
    );
    fs::write(environments.join("foreign.yaml"), environment).unwrap();
    fs::write(folder.path().join("freeze.yaml"), DRILL).unwrap();
    let selection = Selection {
        paths: vec![folder.path().join("freeze.yaml")],
        ..Selection::default()
    };
    let (mut catalog, problems) = catalog::load(&selection, &process_variable);
    assert!(
        !problems.has_errors(),
        "{}",
        problems.render(Coloring::Plain)
    );
    let entry = catalog.entries.remove(0);
    let attached = shared
        .threads
        .block_on(docker::attach(&entry.environment))
        .unwrap_or_else(|error| panic!("{error}"));
    assert!(attached.description.is_none(), "no lab is there");
    let place = Place::Attached {
        systems: Box::new(attached),
        guard: guard(),
        threads: shared.threads.labs(),
        reports: shared.reports.path().join("foreign"),
    };
    let report = conduct(shared, entry, place, "foreign");
    assert_eq!(
        ExitCode::from(&report.judgement),
        ExitCode::Passed,
        "\n{}",
        terminal::render(std::slice::from_ref(&report), &Style::default())
    );
}
