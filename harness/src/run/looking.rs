//! Looking: the tasks that watch the service and the system's own view of it, and what is known when they begin.

use std::{sync::Arc, time::Duration};

use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    Clock, Options, Pauses, RunError, observers::observe, operator::hear, preflight::direct_looks,
};
use crate::{
    journal::host_name,
    plan::Plan,
    probe::{
        control::Control,
        poller::{Schedule, poll},
    },
    provider::site::Site,
    timeline::{Event, FORMAT_VERSION, RunStarted},
};

/// The stream of what probes and observers see.
pub(super) struct Looking {
    pub(super) events: mpsc::UnboundedReceiver<Event>,
    pub(super) cancel: CancellationToken,
}

/// Starts the control probe, every probe and every observer.
pub(super) fn start_looking(
    plan: &Plan,
    site: &Site,
    options: &Options,
    clock: Clock,
    random: &mut fastrand::Rng,
    sender: &mpsc::UnboundedSender<Event>,
    cancel: &CancellationToken,
) -> Result<JoinSet<()>, RunError> {
    let mut tasks = JoinSet::new();
    let fastest = plan
        .probes
        .iter()
        .map(|probe| plan.real(probe.facts.every))
        .min()
        .unwrap_or(Duration::from_secs(1));
    let control =
        Control::start(fastest, cancel.clone(), site.echo_threads()).map_err(RunError::Control)?;
    for setup in &plan.environment.probes {
        let prepared = site.prepare(&setup.value, &plan.drill, &run_name(plan, options))?;
        let schedule = Schedule {
            name: setup.value.name().to_owned(),
            every: prepared.every,
            phase: prepared.every.mul_f64(random.f64()),
            good_within: prepared.good_within,
            timeout: prepared.timeout,
        };
        tasks.spawn(poll(
            prepared.probe,
            schedule,
            clock,
            control.clone(),
            sender.clone(),
            cancel.clone(),
        ));
    }
    for look in direct_looks(plan, site)? {
        tasks.spawn(look.ask(sender.clone()));
    }
    for observer in &plan.environment.observers {
        tasks.spawn(observe(
            Arc::clone(site.provider()),
            Arc::clone(&plan.environment),
            observer.clone(),
            plan.real(observer.every),
            clock,
            sender.clone(),
            cancel.clone(),
        ));
    }
    if let Pauses::Asked(operator) = &options.terms.pauses {
        tasks.spawn(hear(operator.clone(), sender.clone(), cancel.clone()));
    }
    Ok(tasks)
}

/// What stands for `{run}` in requests: drills that are run together have one name of the run, and may have one database.
pub(super) fn run_name(plan: &Plan, options: &Options) -> String {
    match options.repeat {
        Some(repeat) => format!("{}-{}-{}", options.run_id, plan.drill.name, repeat.number),
        None => format!("{}-{}", options.run_id, plan.drill.name),
    }
}

/// What is known of a run when it begins.
pub fn started(plan: &Plan, options: &Options) -> RunStarted {
    RunStarted {
        format_version: FORMAT_VERSION.to_owned(),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        run_id: options.run_id.clone(),
        drill: plan.drill.name.clone(),
        drill_file: plan.drill.file.display().to_string(),
        drill_commit: options.drill_commit.clone(),
        environment: plan.environment.name.clone(),
        started_at: options.started_at.clone(),
        command: options.command.clone(),
        host: host_name(),
        seed: options.seed,
        repeat: options.repeat,
        speed: plan.speed,
        dry_run: options.terms.dry_run,
        tiers: plan
            .environment
            .tiers
            .iter()
            .map(|tier| tier.name.clone())
            .collect(),
        probes: plan
            .probes
            .iter()
            .map(|probe| probe.facts.clone())
            .collect(),
        observers: plan
            .environment
            .observers
            .iter()
            .map(|observer| observer.name.clone())
            .collect(),
        faults: plan
            .faults
            .iter()
            .map(|fault| fault.facts.clone())
            .collect(),
        variables: plan.secrets().kept().clone(),
    }
}
