//! Programs that set the state of an alarm, as runbooks do to force a failover.
//!
//! A health check of Route 53 that is made from an alarm reads the alarm's metric, and not its state (developer guide, of health checks
//! that monitor alarms of `CloudWatch`): such a drill breaks nothing, and passes.

use crate::{
    drill::{Command, DrillFile, Fault},
    environment::{EnvironmentFile, Target},
    source::{
        Context, Place, Problem,
        Step::{Index, Key},
    },
};

/// The programs in the targets of an environment.
pub(super) fn environment(context: &Context<'_>, file: &EnvironmentFile) {
    for (name, target) in &file.environment.targets {
        let Target::Command(programs) = target else {
            continue;
        };
        for (fault, command) in &programs.faults {
            let keys = ["targets", name, "command", *fault, "inject"].map(Key);
            warn(context, command, file.document.follow(&keys).place);
        }
    }
}

/// The programs in the faults of a drill.
pub(super) fn drill(context: &Context<'_>, file: &DrillFile) {
    for (step_index, step) in file.drill.faults.iter().enumerate() {
        for (index, fault) in step.faults.iter().enumerate() {
            if let Fault::Command { command, .. } = &fault.value {
                let entry = file.document.follow(&[Key("faults"), Index(step_index)]);
                let entry = match entry.get("together") {
                    Some(list) => list.follow(&[Index(index)]),
                    None => entry,
                };
                let inject = entry.follow(&[Key("command"), Key("inject")]);
                warn(context, command, inject.place);
            }
        }
    }
}

fn warn(context: &Context<'_>, command: &Command, place: Place) {
    // As the command line and the API spell it.
    let sets_a_state = |word: &String| {
        let word = word.replace('-', "").to_ascii_lowercase();
        word.contains("setalarmstate")
    };
    if command.inject.iter().any(sets_a_state) {
        let problem = Problem::warning(
            context.file(),
            place,
            "a health check of Route 53 reads the alarm's metric and not its state, so setting the state moves nobody",
        );
        context.push(problem.with_hint(
            "to force a failover, invert the check: `blackstart explain invert-health-check`",
        ));
    }
}
