//! Targets that there is no binding for: `command:` in a target names programs that break it and put it back.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    drill::{
        self, Command,
        command::{argv, time_limit, variables},
        decode::FAULTS,
    },
    source::Item,
};

/// Programs in the place of a binding. They run beside the harness, without a shell.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Programs {
    /// What is run for each fault, by its word.
    pub faults: BTreeMap<&'static str, Command>,
    /// What tells how the target is.
    pub health: Option<HealthProgram>,
}

/// A program that tells how a target is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthProgram {
    /// The program and its arguments. It ends with 0 if the target is healthy, with 1 if it is not, and with anything else if that is
    /// not known; what it prints is shown.
    pub run: Vec<String>,
    /// Variables of the harness's own environment that it gets, by their names.
    pub environment: Vec<String>,
    /// How long it may run.
    pub timeout: Duration,
}

/// The fault whose programs stand in the drill.
const OWN: &str = "command";

impl Programs {
    /// The words of the faults that can be applied.
    pub fn faults(&self) -> Vec<&'static str> {
        self.faults.keys().copied().chain([OWN]).collect()
    }

    /// What is run for a fault, with what the drill says of it in the place of `{replicas}`, `{path}` and `{zone}`.
    pub fn command(&self, fault: &drill::Fault) -> Option<Command> {
        use drill::Fault as F;
        if let F::Command { command, .. } = fault {
            return Some(command.clone());
        }
        let mut command = self.faults.get(fault.kind())?.clone();
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "no other fault says more than its target"
        )]
        let (name, value) = match fault {
            F::Scale { replicas, .. } => ("{replicas}", replicas.to_string()),
            F::BreakHealthPath { path, .. } => ("{path}", path.clone()),
            F::LoseZone { zone, .. } => ("{zone}", zone.clone()),
            _ => return Some(command),
        };
        let programs = [
            &mut command.inject,
            &mut command.revert,
            &mut command.verify,
        ];
        for word in programs.into_iter().flatten() {
            *word = word.replace(name, &value);
        }
        Some(command)
    }
}

/// What a target's `command:` says.
pub(super) fn programs(item: Item<'_>) -> Option<Programs> {
    let mut mapping = item.mapping()?;
    let words = FAULTS.into_iter().filter(|word| *word != OWN);
    let faults: Vec<_> = words
        .map(|word| {
            let command = mapping.maybe(word, |item| {
                let mut mapping = item.mapping()?;
                let command = Command::decode(&mut mapping);
                mapping.finish();
                command
            })?;
            Some(command.map(|command| (word, command)))
        })
        .collect();
    let health = mapping.maybe("health", health);
    mapping.finish();
    let faults = faults.into_iter().collect::<Option<Vec<_>>>()?;
    Some(Programs {
        faults: faults.into_iter().flatten().collect(),
        health: health?,
    })
}

fn health(item: Item<'_>) -> Option<HealthProgram> {
    let mut mapping = item.mapping()?;
    let run = mapping.require("run", argv);
    let environment = variables(&mut mapping);
    let timeout = time_limit(&mut mapping);
    mapping.finish();
    Some(HealthProgram {
        run: run?,
        environment: environment?,
        timeout: timeout?,
    })
}
