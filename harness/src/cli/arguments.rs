//! What can be typed: the commands and their options.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{catalog::Selection, environment::SPEEDS};

const EXAMPLES: &str = "Examples:
  blackstart run                               run every drill in drills/ and print the report
  blackstart run drills/scale-to-zero.yaml     run one
  blackstart plan drills/double-failure.yaml   show what it would do; touches nothing
  blackstart report reports/latest             show the last report again
  blackstart report reports/latest --pdf       print it
  blackstart revert                            finish what runs that were killed left broken
  blackstart explain rto                       what an expectation, fault, exit code or finding means

Exit codes:
  0 passed · 1 failed · 2 invalid · 3 could not run · 4 nothing selected · 5 NOT RESTORED
  130, 143 stopped by a signal with everything restored; see `blackstart explain exit-5`";

/// Rehearses disasters on failover architectures and tells, as test cases, whether users came back in time and by the way that
/// was planned.
#[derive(Debug, Parser)]
#[command(name = "blackstart", version, arg_required_else_help = true, propagate_version = true, after_help = EXAMPLES)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) look: Look,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// How output looks.
#[derive(Debug, Clone, Args)]
pub(super) struct Look {
    /// When to use colour.
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t = When::Auto)]
    pub(super) color: When,
    /// Use plain ASCII only.
    #[arg(long, global = true)]
    pub(super) ascii: bool,
    /// Say nothing while drills run.
    #[arg(short, long, global = true)]
    pub(super) quiet: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum When {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run drills and print what came of them.
    Run(RunArguments),
    /// Check drill and environment files without touching anything.
    Check(SelectionArguments),
    /// Show what a drill would do: targets, faults with their reverts, probes, how long. Touches nothing.
    Plan(SelectionArguments),
    /// List drills with their environments, tags and expectations.
    List(SelectionArguments),
    /// Show the report of a run again, rebuilt from its events; also of one that was killed.
    Report(ReportArguments),
    /// Restore what runs left broken. Doing it twice is doing it once.
    Revert(RevertArguments),
    /// Say whether this machine can run drills, what former runs left broken, and what to do about each.
    Doctor {
        /// Where the folders of the runs are.
        #[arg(long, value_name = "DIR", default_value = "reports")]
        reports: PathBuf,
    },
    /// Watch over a run and restore what is left if it is gone. Started by `run`; not for people.
    #[command(hide = true)]
    Guard {
        /// The journal of the run.
        journal: PathBuf,
    },
    /// Explain a fault, an expectation, an exit code or a finding.
    Explain {
        /// The topic; without one, all topics are listed.
        topic: Option<String>,
    },
    /// Print a JSON Schema.
    Schema {
        /// Of what.
        #[arg(value_enum)]
        of: SchemaOf,
    },
    /// The local lab.
    #[command(subcommand)]
    Lab(LabCommand),
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum SchemaOf {
    /// A drill file.
    Drill,
    /// An environment file.
    Environment,
    /// `report.json`.
    Report,
}

#[derive(Debug, Subcommand)]
pub(super) enum LabCommand {
    /// Keep an environment's lab up until Ctrl-C, and say how to try it by hand.
    Up {
        /// The environment: a name such as `three-tier`, or a file.
        environment: String,
        /// How many times as fast as the wall's clock it runs. Default 1: slow enough to watch.
        #[arg(long, value_parser = speed, default_value = "1")]
        speed: f64,
        /// Write here how the lab is reached, for `run --lab`. Readable for its owner only.
        #[arg(long, value_name = "FILE")]
        token_file: Option<PathBuf>,
    },
    /// Build the image `blackstart-lab`, in which every part of a lab is a container. Pulls nothing.
    Image {
        /// The static program to put into it. Default: the one beside this program, else one that cargo builds in this checkout.
        #[arg(long, value_name = "FILE")]
        program: Option<PathBuf>,
    },
    /// Remove what runs that are gone left in the container engine.
    Down {
        /// Only list it.
        #[arg(long)]
        dry_run: bool,
    },
}

/// Which drills, and where.
#[derive(Debug, Clone, Args)]
pub(super) struct SelectionArguments {
    /// Drill files, or folders of them.
    #[arg(value_name = "PATHS", default_value = "drills")]
    pub(super) paths: Vec<PathBuf>,
    /// Run in this environment instead of the one each drill names: a name or a file.
    #[arg(long, value_name = "NAME|FILE")]
    pub(super) env: Option<String>,
    /// Only drills with one of these tags.
    #[arg(long, value_name = "TAG")]
    pub(super) tag: Vec<String>,
    /// Run the lab so many times as fast as the wall's clock, instead of what the environment says.
    #[arg(long, value_parser = speed)]
    pub(super) speed: Option<f64>,
}

/// How drills are run.
#[derive(Debug, Clone, Args)]
pub(super) struct RunArguments {
    #[command(flatten)]
    pub(super) selection: SelectionArguments,
    /// What is printed on stdout at the end.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(super) format: Format,
    /// Where the folder of the run is made.
    #[arg(long, value_name = "DIR", default_value = "reports")]
    pub(super) reports: PathBuf,
    /// Do all but touch: plan, open, look at every tier, watch the steady state, read what would be restored.
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Run in this protected environment. Its name, in full; once for each.
    #[arg(long, value_name = "NAME")]
    pub(super) confirm: Vec<String>,
    /// The seed of everything random, to repeat a run.
    #[arg(long)]
    pub(super) seed: Option<u64>,
    /// How many drills run at once, each in a lab of its own.
    #[arg(long, value_name = "N", default_value_t = super::run::DEFAULT_AT_ONCE, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(super) jobs: u16,
    /// Run in a lab that is up already: the file that `lab up --token-file` wrote. Default: the variable `BLACKSTART_LAB`.
    #[arg(long, value_name = "FILE", conflicts_with = "speed")]
    pub(super) lab: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
pub(super) struct RevertArguments {
    /// The run: its folder or its name. Default: all runs.
    pub(super) run: Option<PathBuf>,
    /// Only list what is left.
    #[arg(long)]
    pub(super) list: bool,
    /// Overwrite what others have changed meanwhile with what was captured, and take damaged records as settled.
    #[arg(long, conflicts_with = "list")]
    pub(super) force: bool,
    /// Where the folders of the runs are.
    #[arg(long, value_name = "DIR", default_value = "reports")]
    pub(super) reports: PathBuf,
}

#[derive(Debug, Clone, Args)]
pub(super) struct ReportArguments {
    /// The folder of the run, for example `reports/latest`.
    pub(super) run: PathBuf,
    /// What is printed on stdout.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(super) format: Format,
    /// Print `report.html` to `report.pdf` beside it, with the Chromium, Chrome or Edge that is on the PATH.
    #[arg(long)]
    pub(super) pdf: bool,
    /// The paper of the PDF.
    #[arg(long, value_name = "SIZE", value_enum, default_value_t = PaperSize::A4, requires = "pdf")]
    pub(super) paper: PaperSize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum PaperSize {
    A4,
    Letter,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// The report for people.
    Human,
    /// The report as `report.json` has it.
    Json,
    /// JUnit XML.
    Junit,
}

fn speed(text: &str) -> Result<f64, String> {
    let speed = text.parse().ok();
    speed.filter(|speed| SPEEDS.contains(speed)).ok_or_else(|| {
        format!(
            "a speed is a number from {} to {}",
            SPEEDS.start(),
            SPEEDS.end()
        )
    })
}

impl SelectionArguments {
    pub(super) fn selection(&self) -> Selection {
        Selection {
            paths: self.paths.clone(),
            environment: self.env.clone(),
            speed: self.speed,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_speed_is_a_sane_number() {
        assert_eq!(speed("30"), Ok(30.0));
        for wrong in ["0", "-1", "inf", "NaN", "fast", "1e9"] {
            assert!(speed(wrong).is_err(), "{wrong}");
        }
    }
}
