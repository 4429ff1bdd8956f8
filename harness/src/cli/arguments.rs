//! What can be typed: the commands and their options.

use std::{collections::BTreeSet, net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::examples;
use crate::{
    catalog::Selection, environment::SPEEDS, source::parse_duration, statistics::PassRate,
};

const EXAMPLES: &str = "Examples:
  blackstart init --url https://www.example.com/   begin with a service of your own
  blackstart run                               run every drill in drills/ and print the report
  blackstart run drills/scale-to-zero.yaml     run one
  blackstart watch three-tier --for 5m         see every probe, break nothing
  blackstart run scale.yaml --until 0.9@0.95   run it until 9 of 10 such failovers are shown to pass
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
    #[command(after_help = examples::RUN)]
    Run(RunArguments),
    /// Watch a service without breaking anything, as `watch dig` and loops of `curl -w` would: every probe as a strip, a summary at the end.
    #[command(after_help = examples::WATCH)]
    Watch(WatchArguments),
    /// Check drill and environment files without touching anything.
    #[command(after_help = examples::CHECK)]
    Check(SelectionArguments),
    /// Show what a drill would do: targets, faults with their reverts, probes, how long. Touches nothing.
    #[command(after_help = examples::PLAN)]
    Plan(PlanArguments),
    /// List drills with their environments, tags and expectations.
    #[command(after_help = examples::LIST)]
    List(SelectionArguments),
    /// Show the report of a run again, rebuilt from its events; also of one that was killed.
    #[command(after_help = examples::REPORT)]
    Report(ReportArguments),
    /// Show what all past runs say: how many passed, how long recovery took, what the failover decided wrongly.
    #[command(after_help = examples::TREND)]
    Trend(TrendArguments),
    /// Hold a run against an earlier one. Exit code 1 for a regression, 3 if too few runs tell.
    #[command(after_help = examples::COMPARE)]
    Compare(CompareArguments),
    /// Restore what runs left broken. Doing it twice is doing it once.
    #[command(after_help = examples::REVERT)]
    Revert(RevertArguments),
    /// Write a commented environment and a first drill for a service of your own; whatever is there already stays.
    #[command(after_help = examples::INIT)]
    Init(InitArguments),
    /// Say whether this machine can run drills, what former runs left broken, and what to do about each.
    #[command(after_help = examples::DOCTOR)]
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
    #[command(after_help = examples::EXPLAIN)]
    Explain {
        /// The topic; without one, all topics are listed.
        topic: Option<String>,
    },
    /// Print a JSON Schema.
    #[command(after_help = examples::SCHEMA)]
    Schema {
        /// Of what.
        #[arg(value_enum)]
        of: SchemaOf,
    },
    /// Print the completions for a shell.
    #[command(after_help = examples::COMPLETIONS)]
    Completions {
        /// The shell.
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Print a page for `man`, of the program or of one command.
    #[command(after_help = examples::MAN)]
    Man {
        /// The command; without one, the program's own page.
        command: Vec<String>,
        /// Write the pages of all commands into this folder instead.
        #[arg(long, value_name = "DIR", conflicts_with = "command")]
        dir: Option<PathBuf>,
    },
    /// The local lab.
    #[command(subcommand, after_help = examples::LAB)]
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
    /// Only this part of the drills, for several machines at once: `2/3` is the second of three. Every drill is in exactly one part.
    #[arg(long, value_name = "I/N")]
    pub(super) partition: Option<Partition>,
}

/// One of several parts of the drills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Partition {
    pub(super) number: usize,
    pub(super) of: usize,
}

impl FromStr for Partition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/').and_then(|(number, of)| {
            let (number, of) = (number.parse().ok()?, of.parse().ok()?);
            (1..=of).contains(&number).then_some(Self { number, of })
        });
        parts.ok_or_else(|| {
            "a part is its number and how many there are: 1/3, 2/3 or 3/3".to_owned()
        })
    }
}

impl Partition {
    /// Keeps what is in this part: every n-th in the order of the names, so that parts are of about the same size and each machine
    /// finds the same ones, in whatever order the files were named.
    pub(super) fn keep<T>(self, all: &mut Vec<T>, name: impl Fn(&T) -> String) {
        let mut names: Vec<String> = all.iter().map(&name).collect();
        names.sort();
        let mine: BTreeSet<String> = names
            .into_iter()
            .skip(self.number - 1)
            .step_by(self.of)
            .collect();
        all.retain(|one| mine.contains(&name(one)));
    }
}

/// What of a plan is shown.
#[derive(Debug, Clone, Args)]
pub(super) struct PlanArguments {
    #[command(flatten)]
    pub(super) selection: SelectionArguments,
    /// Print the least permissions that the faults and observers need instead, as they can be given there.
    #[arg(long)]
    pub(super) permissions: bool,
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
    /// Take part: answer where the drill waits for a person, mark by a key when something was detected, declared and decided, and note
    /// what happens. Needs a terminal; one drill runs at a time.
    #[arg(long)]
    pub(super) interactive: bool,
    /// Who takes part, the first to begin with; the key `r` goes on to the next. Roles that drills name are there anyway.
    #[arg(long, value_name = "NAME", requires = "interactive")]
    pub(super) role: Vec<String>,
    /// Go on where a drill waits for a person, without asking anybody. The report says so.
    #[arg(long, conflicts_with = "interactive")]
    pub(super) skip_pauses: bool,
    /// Show what goes on as a page at this address, for the room: `127.0.0.1:8080`; port 0 takes a free one. Nobody can change anything
    /// there. Another address than this machine's own needs a token in the variable `BLACKSTART_SERVE_TOKEN`.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(super) serve: Option<SocketAddr>,
    /// Run in this protected environment. Its name, in full; once for each.
    #[arg(long, value_name = "NAME")]
    pub(super) confirm: Vec<String>,
    /// The seed of everything random, to repeat a run.
    #[arg(long)]
    pub(super) seed: Option<u64>,
    /// Run each drill so many times, one after the other where they share a system, and say what the runs show together.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(super) repeat: Option<u32>,
    /// Repeat until it is shown, or cannot be any more, that this share of runs passes with this confidence: `0.9@0.95` takes 29 runs
    /// without a failure.
    #[arg(long, value_name = "SHARE@CONFIDENCE")]
    pub(super) until: Option<PassRate>,
    /// A file with an `exercise:` block: participants, actions, sign-off and whatever else people say, for the report.
    #[arg(long, value_name = "FILE")]
    pub(super) meta: Option<PathBuf>,
    /// How many drills run at once, each in a lab of its own.
    #[arg(long, value_name = "N", default_value_t = super::run::DEFAULT_AT_ONCE, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(super) jobs: u16,
    /// Run in a lab that is up already: the file that `lab up --token-file` wrote. Default: the variable `BLACKSTART_LAB`.
    #[arg(long, value_name = "FILE", conflicts_with = "speed")]
    pub(super) lab: Option<PathBuf>,
}

/// How a service is watched.
#[derive(Debug, Clone, Args)]
pub(super) struct WatchArguments {
    /// The environment: a name such as `three-tier`, or a file.
    #[arg(value_name = "NAME|FILE")]
    pub(super) environment: String,
    /// Stop after so long, in the architecture's time: `90s`, `10m`. Default: until Ctrl-C.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(super) r#for: Option<Duration>,
    /// What must hold, for the exit code: `availability=99.9`, `median=`, `p99=`, `max=` or `outage=` with a duration, separated by commas;
    /// `PROBE:` before one means another probe than the users' own.
    #[arg(long, value_name = "SLO")]
    pub(super) slo: Vec<String>,
    /// What is printed on stdout: a table at the end, the same as JSON, or every event as a line of JSON and the summary as the last.
    #[arg(long, value_enum, default_value_t = WatchFormat::Human)]
    pub(super) format: WatchFormat,
    /// Show the same as a page at this address: `127.0.0.1:8080`. As of `run`.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(super) serve: Option<SocketAddr>,
    /// Run the lab so many times as fast as the wall's clock, instead of what the environment says.
    #[arg(long, value_parser = speed)]
    pub(super) speed: Option<f64>,
    /// Watch a lab that is up already: the file that `lab up --token-file` wrote. Default: the variable `BLACKSTART_LAB`.
    #[arg(long, value_name = "FILE", conflicts_with = "speed")]
    pub(super) lab: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum WatchFormat {
    Human,
    Json,
    Ndjson,
}

/// What is written for a service of one's own.
#[derive(Debug, Clone, Args)]
pub(super) struct InitArguments {
    /// The URL of the service, as users type it. Without it, a terminal is asked.
    #[arg(long)]
    pub(super) url: Option<String>,
    /// A short name for it. Default: made of the host.
    #[arg(long)]
    pub(super) name: Option<String>,
    /// A container that the first drill stops. Without one, and without a service, the first drill runs in a lab that stands in.
    #[arg(long, value_name = "NAME", conflicts_with = "service")]
    pub(super) container: Option<String>,
    /// A Compose service that the first drill stops.
    #[arg(long, value_name = "NAME")]
    pub(super) service: Option<String>,
    /// The Compose project of the service.
    #[arg(long, value_name = "NAME", requires = "service")]
    pub(super) project: Option<String>,
    /// A header of its answers and what that contains, `server: nginx`. Default: the service is looked at once.
    #[arg(long, value_name = "HEADER: TEXT")]
    pub(super) recognise: Option<String>,
    /// The folder in which `drills` is, or will be.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(super) folder: PathBuf,
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
    /// A file with an `exercise:` block: participants, actions, sign-off and whatever else people say. It is kept with the run.
    #[arg(long, value_name = "FILE")]
    pub(super) meta: Option<PathBuf>,
    /// Print `report.html` to `report.pdf` beside it, with the Chromium, Chrome or Edge that is on the PATH.
    #[arg(long)]
    pub(super) pdf: bool,
    /// The paper of the PDF.
    #[arg(long, value_name = "SIZE", value_enum, default_value_t = PaperSize::A4, requires = "pdf")]
    pub(super) paper: PaperSize,
}

#[derive(Debug, Clone, Args)]
pub(super) struct TrendArguments {
    /// The drill. Default: all.
    pub(super) drill: Option<String>,
    /// Where the folders of the runs are.
    #[arg(long, value_name = "DIR", default_value = "reports")]
    pub(super) reports: PathBuf,
    /// What is printed on stdout.
    #[arg(long, value_enum, default_value_t = Picture::Human)]
    pub(super) format: Picture,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Picture {
    /// Text for people.
    Human,
    /// A picture.
    Svg,
}

#[derive(Debug, Clone, Args)]
pub(super) struct CompareArguments {
    /// The earlier run: its folder, or a `report.json`.
    pub(super) before: PathBuf,
    /// The later one.
    pub(super) now: PathBuf,
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
    /// Each event as a line of JSON while it happens, then what came of it.
    Ndjson,
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

fn duration(text: &str) -> Result<Duration, String> {
    let duration = parse_duration(text).filter(|duration| !duration.is_zero());
    duration.ok_or_else(|| "a duration is a number with a unit, such as `90s` or `10m`".to_owned())
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
    fn every_drill_is_in_exactly_one_part() {
        let drills: Vec<String> = (0..27)
            .map(|number| format!("drill-{}", number * 7 % 27))
            .collect();
        for of in [1, 2, 3, 5, 27, 40] {
            let mut found = Vec::new();
            for number in 1..=of {
                let mut part = drills.clone();
                Partition { number, of }.keep(&mut part, Clone::clone);
                let mut other_order: Vec<String> = drills.iter().rev().cloned().collect();
                Partition { number, of }.keep(&mut other_order, Clone::clone);
                other_order.reverse();
                assert_eq!(part, other_order);
                assert!(part.len() <= drills.len().div_ceil(of));
                found.extend(part);
            }
            found.sort();
            let mut all = drills.clone();
            all.sort();
            assert_eq!(found, all, "{of}");
        }
    }

    #[test]
    fn a_part_is_one_that_there_is() {
        assert_eq!("2/3".parse(), Ok(Partition { number: 2, of: 3 }));
        for wrong in ["", "3", "0/3", "4/3", "1/0", "a/b", "-1/3"] {
            assert!(wrong.parse::<Partition>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_speed_is_a_sane_number() {
        assert_eq!(speed("30"), Ok(30.0));
        for wrong in ["0", "-1", "inf", "NaN", "fast", "1e9"] {
            assert!(speed(wrong).is_err(), "{wrong}");
        }
    }
}
