//! A report put together from what was recorded and what follows from it.

use std::path::Path;

use super::{
    DrillFacts, EnvironmentFacts, FORMAT_VERSION, Measurement, Recorded, Report, RunFacts, Tool,
    hostile,
};
use crate::{drill::Drill, environment::Environment, timeline::RunStarted, verdict::Judgement};

impl Report {
    /// Puts a report together. Everything in it is from the files of the run, so it is the same whenever it is built.
    pub fn new(
        started: &RunStarted,
        drill: &Drill,
        environment: &Environment,
        judgement: Judgement,
        folder: &Path,
    ) -> Self {
        Self {
            format_version: FORMAT_VERSION.to_owned(),
            tool: Tool {
                name: "blackstart".to_owned(),
                version: started.tool_version.clone(),
            },
            run: RunFacts {
                id: started.run_id.clone(),
                started_at: started.started_at.clone(),
                real_duration_s: judgement.length_s / started.speed,
                command: started.command.clone(),
                host: started.host.clone(),
                seed: started.seed,
                repeat: started.repeat,
                folder: folder.display().to_string(),
            },
            drill: DrillFacts {
                name: drill.name.clone(),
                about: drill.about.clone(),
                file: drill.file.display().to_string(),
                commit: started.drill_commit.clone(),
                tags: drill.tags.clone(),
                exercise: drill.exercise.clone(),
            },
            environment: EnvironmentFacts {
                name: environment.name.clone(),
                about: environment.about.clone(),
                speed: started.speed,
                tiers: environment
                    .tiers
                    .iter()
                    .map(|tier| (tier.name.clone(), tier.about.clone()))
                    .collect(),
                way: environment.way_to_containers().map(str::to_owned),
            },
            measurement: measurement(started, environment, &judgement),
            judgement,
            operator: Vec::new(),
            recorded: Recorded::default(),
        }
    }
}

impl Report {
    /// Whether the prober kept no cadence, or could not look at all: then the machine may have been measured, and not the
    /// architecture.
    pub fn is_of_a_late_prober(&self) -> bool {
        let Measurement {
            late_p99_s,
            every_s,
            void,
            ..
        } = self.measurement;
        late_p99_s * self.environment.speed > every_s / 4.0 || void > 0
    }

    /// The drill's file, with its commit as far as that is known.
    pub(super) fn drill_file(&self) -> String {
        let file = &self.drill.file;
        match &self.drill.commit {
            Some(commit) => format!("{file}@{}", commit.words()),
            None => file.clone(),
        }
    }

    /// The command for the person who finds a target not restored.
    pub(super) fn what_restores(&self) -> String {
        hostile::revert_command(Path::new(&self.run.folder))
    }
}

fn measurement(
    started: &RunStarted,
    environment: &Environment,
    judgement: &Judgement,
) -> Measurement {
    let name = environment
        .user_probe()
        .map_or("", |probe| probe.name.as_str());
    let user = started.probes.iter().find(|probe| probe.name == name);
    let lane = judgement.lanes.iter().find(|lane| lane.probe == name);
    let every_s = user.map_or(0.0, |probe| probe.every.as_secs_f64());
    Measurement {
        probe: name.to_owned(),
        every_s,
        good_within_s: user.map_or(0.0, |probe| probe.good_within.as_secs_f64()),
        timeout_s: user.map_or(0.0, |probe| probe.timeout.as_secs_f64()),
        // A duration lies between two edges, each known to one interval and one healthy latency (DESIGN.md, "Clocks and the error of sampling").
        resolution_s: every_s + lane.map_or(0.0, |lane| lane.healthy_bound_s),
        samples: judgement.lanes.iter().map(|lane| lane.samples).sum(),
        void: judgement
            .lanes
            .iter()
            .flat_map(|lane| lane.void.values())
            .sum(),
        late_p99_s: lane.map_or(0.0, |lane| lane.late_p99_s),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_a_word_of_the_shell_whatever_it_is_called() {
        for (folder, word) in [
            (
                "reports/2026-01-01T00-00-00Z-abcd",
                "reports/2026-01-01T00-00-00Z-abcd",
            ),
            ("my reports", "'my reports'"),
            ("it's; rm x", r"'it'\''s; rm x'"),
            ("", "''"),
        ] {
            assert_eq!(hostile::shell_word(folder), word);
        }
    }
}
