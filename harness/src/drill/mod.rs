//! A drill: what to break, how long, and what must hold. Pure: nothing here touches a target.
//!
//! The types have the shape of the file, key by key, so that the JSON Schema can be generated from them and their documentation.
//! `decode` builds them by hand from a tree with positions, which is what keeps every error at its line and column.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use blackstart_lab::stack::DurationText;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    hostile::shell_words,
    source::{Document, FilledIn, Position, Problems, Reading, Variables},
    statistics::PassRate,
};

pub(crate) mod abort_if;
pub(crate) mod command;
pub(crate) mod decode;
pub mod exercise;
pub(crate) mod expectations;
mod pauses;
mod words;

pub use abort_if::AbortIf;
pub use command::Command;
pub use exercise::Exercise;
pub use pauses::Pause;
pub use words::duration_words;

/// Reads a drill file. A drill is there if the problems have no error.
pub fn load(path: &Path, variables: Variables<'_>) -> (Option<Drill>, Problems) {
    let (file, problems) = read(path, variables);
    (file.map(|file| file.drill), problems)
}

/// A drill and the tree it was made from, in which the places of its names are found.
#[derive(Debug)]
pub(crate) struct DrillFile {
    pub(crate) drill: Drill,
    pub(crate) document: Document,
}

/// Reads a drill file and keeps its tree.
pub(crate) fn read(path: &Path, variables: Variables<'_>) -> (Option<DrillFile>, Problems) {
    read_as(path, Reading::Original(variables))
}

/// Reads the copy of a drill file that a run keeps, given the variables that were in force.
pub(crate) fn read_copy(
    path: &Path,
    kept: &BTreeMap<String, String>,
) -> (Option<DrillFile>, Problems) {
    read_as(path, Reading::Copy(kept))
}

fn read_as(path: &Path, reading: Reading<'_>) -> (Option<DrillFile>, Problems) {
    let (document, mut problems) = Document::read(path, reading);
    let file = document.and_then(|document| {
        let (drill, found) = decode::decode(&document);
        problems.append(found);
        drill.map(|drill| DrillFile { drill, document })
    });
    (file.filter(|_| !problems.has_errors()), problems)
}

/// One drill file.
#[derive(Debug, Clone, PartialEq)]
pub struct Drill {
    /// The name, unique in a run; also the name of the test case.
    pub name: String,
    /// What the drill proves, in a sentence for the report.
    pub about: String,
    /// The environment it is written for, by name.
    pub environment: String,
    /// Words to select drills by.
    pub tags: Vec<String>,
    /// What must hold before anything is broken.
    pub steady_state: SteadyState,
    /// What is broken, in order.
    pub faults: Vec<Step>,
    /// How long the faults stay.
    pub hold: Hold,
    /// What ends the drill early, besides what the environment says.
    pub abort_if: Vec<Located<AbortIf>>,
    /// What must hold, in the order of the file.
    pub expect: Vec<Expectation>,
    /// What an inconclusive expectation counts as.
    pub inconclusive: InconclusivePolicy,
    /// What people say of it, for the report.
    pub exercise: Option<Exercise>,
    /// The file it came from.
    pub file: PathBuf,
    /// The text of the file, which the run keeps a copy of.
    pub text: String,
    /// What of the process environment was filled in.
    pub variables: FilledIn,
}

/// The condition before the first fault. If it does not hold, nothing is injected.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct SteadyState {
    /// How long the service must have been good without a single failure. Default `10s`.
    #[schemars(with = "DurationText")]
    pub r#for: Duration,
    /// The tier that must be serving users. Default: the first tier of the environment.
    pub served_by: Option<String>,
}

/// One entry of `faults:`: a fault, several at once, or a person to wait for, and when.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The faults of this step; more than one are injected at the same time (`together:`). None where a person is waited for.
    pub faults: Vec<Located<Fault>>,
    /// The person to wait for before the drill goes on.
    pub pause: Option<Located<Pause>>,
    /// When the step is due.
    pub after: After,
}

/// When a step of `faults:` is due, counted from the step before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// As soon as the step before is acknowledged.
    Immediately,
    /// So much later than the step before was acknowledged.
    Delay(Duration),
    /// When users have been served again without a failure for as long as makes a stable run.
    Recovered,
    /// When users have been served without one failure for so long since the step before: the condition to go on of a runbook. If they
    /// are not within three times as long, what follows is not done.
    GoodFor(Duration),
}

impl After {
    /// How many times as long as it must be good is waited for that.
    pub const PATIENCE: u32 = 3;
}

/// A disturbance of one target. Each has a reverse that restores what was there before.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Runs so many replicas of the target instead of what runs now.
    Scale {
        /// The target's name in the environment.
        target: String,
        /// How many shall run, 0 for none.
        replicas: u32,
    },
    /// Powers the target off: packets to it vanish.
    Stop {
        /// The target's name in the environment.
        target: String,
    },
    /// Kills the target's process: connections to it are refused.
    Kill {
        /// The target's name in the environment.
        target: String,
    },
    /// Freezes the target: connections are accepted and never answered.
    Pause {
        /// The target's name in the environment.
        target: String,
    },
    /// Takes the target out of all networks it is in: packets to it vanish, and nobody finds its name.
    Disconnect {
        /// The target's name in the environment.
        target: String,
    },
    /// Drops new connections to the target, as a security group without its inbound rule does; established ones live on.
    BlockIngress {
        /// The target's name in the environment.
        target: String,
    },
    /// Holds back every packet that the target sends.
    Latency {
        /// The target's name in the environment.
        target: String,
        /// How long.
        #[schemars(with = "DurationText")]
        delay: Duration,
        /// How much longer or shorter it is at random, at most as much as `delay`. Default `0s`.
        #[schemars(with = "DurationText")]
        jitter: Duration,
    },
    /// Loses a share of the packets that the target sends.
    Loss {
        /// The target's name in the environment.
        target: String,
        /// The share that is lost at random, in percent, from 1 to 100.
        percent: u32,
    },
    /// Runs a program that breaks the target, and another that puts it back.
    Command {
        /// The target's name in the environment.
        target: String,
        /// What is run.
        #[serde(flatten)]
        command: Command,
    },
    /// Points the target's own health check at a path that does not exist.
    BreakHealthPath {
        /// The target's name in the environment.
        target: String,
        /// The path to ask instead. Default `/nonexistent`.
        path: String,
    },
    /// Turns the result of a health check round.
    InvertHealthCheck {
        /// The target's name in the environment.
        target: String,
    },
    /// Switches a health check off. In Route 53 that makes it *healthy*.
    DisableHealthCheck {
        /// The target's name in the environment.
        target: String,
    },
    /// Takes the target out of service by its own switch: an endpoint, a route or an origin of a service that spreads traffic, or a
    /// static website.
    Disable {
        /// The target's name in the environment.
        target: String,
    },
    /// Makes the target answer something else.
    Respond {
        /// The target's name in the environment.
        target: String,
        /// The status code answered; left out, the answers stay and only `delay` applies.
        status: Option<u16>,
        /// The body answered.
        body: Option<String>,
        /// How long every answer is held back. Default `0s`.
        #[schemars(with = "DurationText")]
        delay: Duration,
        /// The fault comes and goes. Default: it stays.
        pulse: Option<Pulse>,
        /// The share of the requests that it is answered to, in percent, 1 to 99: a gray failure. Default: all.
        share: Option<u8>,
    },
    /// Presents a certificate that is not valid any more.
    ExpireCertificate {
        /// The target's name in the environment.
        target: String,
    },
    /// Loses a zone: nothing is heard of what runs in it.
    LoseZone {
        /// The target's name in the environment.
        target: String,
        /// The zone.
        zone: String,
    },
    /// Makes the standby of a database the writer.
    FailoverDatabase {
        /// The target's name in the environment.
        target: String,
    },
    /// Changes the weights of weighted records.
    ShiftWeights {
        /// The target's name in the environment.
        target: String,
        /// The new weights, 0 to 255, by the names that the records point at. Others keep theirs.
        weights: BTreeMap<String, u8>,
    },
}

/// A fault that comes and goes, beginning with being there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Pulse {
    /// How long it lasts each time.
    #[schemars(with = "DurationText")]
    pub on: Duration,
    /// How long it is gone each time.
    #[schemars(with = "DurationText")]
    pub off: Duration,
}

/// How long the faults stay before they are reverted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// So long, counted from the last fault's acknowledgement.
    For(Duration),
    /// Until users are served in a stable way again, and at the latest when the longest limit among the expectations has passed.
    UntilStable,
}

/// What an expectation that the measurement cannot decide counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum InconclusivePolicy {
    /// As a failure.
    #[default]
    Fail,
    /// As a warning.
    Warn,
}

/// An expectation and where it stands in the file.
pub type Expectation = Located<Expect>;

/// One thing that must hold. Each is one test case.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Expect {
    /// The system itself notices in time: an observer turns bad after the fault.
    Detected {
        /// The longest time from the fault.
        #[schemars(with = "DurationText")]
        within: Duration,
        /// The observer, or the probe of a standby, that must notice. Default: the first observer of the environment.
        by: Option<String>,
    },
    /// Users are served again in time, and stay so.
    Rto {
        /// The recovery time objective.
        #[schemars(with = "DurationText")]
        within: Duration,
        /// Where the clock starts. Default `fault`.
        from: ClockStart,
        /// Where the clock stops. Default `stable`.
        to: ClockStop,
        /// In how many runs it must hold, and how sure that must be, such as `0.9 @ 0.95`. Default: in every one.
        #[schemars(with = "Option<String>")]
        pass_rate: Option<PassRate>,
    },
    /// The time without service, from the first failure users saw to recovery, is short enough.
    Outage {
        /// The longest outage; `0s` for none at all.
        #[schemars(with = "DurationText")]
        within: Duration,
    },
    /// Users were served by these tiers in this order until the revert; `down` stands for an outage, `*` for anything.
    Path(Vec<String>),
    /// None of these tiers ever served users.
    Never(Vec<String>),
    /// At the end of the hold, each of these probes is served by this tier.
    ServedBy(BTreeMap<String, String>),
    /// What happened to writes while the fault lasted and reads were served again.
    Writes(Writes),
    /// The share of the time, from the fault until the end of the hold, in which users were served.
    Availability {
        /// The least share in percent.
        at_least: f64,
    },
    /// How many requests of a probe may fail from the fault until the end of the drill.
    MaxErrors {
        /// The probe. Default: the first that sends the read request.
        probe: Option<String>,
        /// The most failed requests.
        at_most: u64,
    },
    /// Users stay on the tier they were on, and no authority changes its answer.
    NoFailover,
    /// How often the service may fail again after it first came back.
    Flaps {
        /// The most changes from good to bad.
        at_most: u32,
    },
    /// After the revert, users return to a tier in time and stay.
    Failback {
        /// The tier.
        to: String,
        /// The longest time from the revert.
        #[schemars(with = "DurationText")]
        within: Duration,
        /// How many requests may fail meanwhile. Not checked if left out.
        errors_at_most: Option<u64>,
    },
    /// No acknowledged write is lost beyond this.
    Rpo {
        /// The recovery point objective.
        #[schemars(with = "DurationText")]
        within: Duration,
    },
    /// A name server answers with another tier in time.
    DnsSwitch {
        /// The longest time from the fault.
        #[schemars(with = "DurationText")]
        within: Duration,
        /// The DNS probe. Default: every probe that asks an authority.
        probe: Option<String>,
        /// The tier it must answer with. Default: any other than before.
        to: Option<String>,
    },
    /// How long a resolver may serve the old answer after its TTL has run out.
    StaleDns {
        /// The longest time past the TTL.
        #[schemars(with = "DurationText")]
        at_most: Duration,
        /// The DNS probe. Default: every probe that asks a resolver.
        probe: Option<String>,
    },
    /// The last good answer of the hold carries this header.
    Header {
        /// The probe. Default: the first that sends the read request.
        probe: Option<String>,
        /// The header's name.
        name: String,
        /// The text its value contains.
        contains: String,
    },
    /// The last good answer of the hold contains this text.
    Body {
        /// The probe. Default: the first that sends the read request.
        probe: Option<String>,
        /// The text.
        contains: String,
    },
    /// Every answer of the probe, from recovery to the end of the hold, has one of these status codes.
    Status {
        /// The probe. Default: the first that sends the read request.
        probe: Option<String>,
        /// The status codes.
        is: Vec<u16>,
    },
}

/// What must become of writes.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Writes {
    /// This tier takes them at the end of the hold.
    ServedBy(String),
    /// None is taken from the impact to the end of the hold, and each one that is answered gets one of these status codes.
    FailWith(Vec<u16>),
}

/// Where the clock of a recovery time starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClockStart {
    /// When the first fault was issued.
    #[default]
    Fault,
    /// When users saw the first failure.
    Impact,
    /// When a person declared an incident, by a key of `run --interactive`.
    Declared,
}

/// Where the clock of a recovery time stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClockStop {
    /// At the start of the first stable run of good samples.
    #[default]
    Stable,
    /// At the first good sample, whatever came after it.
    FirstSuccess,
}

/// A value and where it stands in its file.
#[derive(Debug, Clone, PartialEq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub at: Position,
}

impl Fault {
    /// The word that names the fault in files and reports.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Scale { .. } => "scale",
            Self::Stop { .. } => "stop",
            Self::Kill { .. } => "kill",
            Self::Pause { .. } => "pause",
            Self::Disconnect { .. } => "disconnect",
            Self::BlockIngress { .. } => "block-ingress",
            Self::Latency { .. } => "latency",
            Self::Loss { .. } => "loss",
            Self::Command { .. } => "command",
            Self::BreakHealthPath { .. } => "break-health-path",
            Self::InvertHealthCheck { .. } => "invert-health-check",
            Self::DisableHealthCheck { .. } => "disable-health-check",
            Self::Disable { .. } => "disable",
            Self::Respond { .. } => "respond",
            Self::ExpireCertificate { .. } => "expire-certificate",
            Self::LoseZone { .. } => "lose-zone",
            Self::FailoverDatabase { .. } => "failover-database",
            Self::ShiftWeights { .. } => "shift-weights",
        }
    }

    /// The target it is applied to.
    pub fn target(&self) -> &str {
        match self {
            Self::Scale { target, .. }
            | Self::Stop { target }
            | Self::Kill { target }
            | Self::Pause { target }
            | Self::Disconnect { target }
            | Self::BlockIngress { target }
            | Self::Latency { target, .. }
            | Self::Loss { target, .. }
            | Self::Command { target, .. }
            | Self::BreakHealthPath { target, .. }
            | Self::InvertHealthCheck { target }
            | Self::DisableHealthCheck { target }
            | Self::Disable { target }
            | Self::Respond { target, .. }
            | Self::ExpireCertificate { target }
            | Self::LoseZone { target, .. }
            | Self::FailoverDatabase { target }
            | Self::ShiftWeights { target, .. } => target,
        }
    }
}

impl fmt::Display for Fault {
    /// The fault as a line of a report: `scale web to 0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, target) = (self.kind(), self.target());
        match self {
            Self::Scale { replicas, .. } => write!(f, "{kind} {target} to {replicas}"),
            Self::Latency { delay, jitter, .. } => {
                write!(f, "{kind} of {target} by {}", duration_words(*delay))?;
                if !jitter.is_zero() {
                    write!(f, " ± {}", duration_words(*jitter))?;
                }
                Ok(())
            }
            Self::Loss { percent, .. } => write!(f, "{kind} of {percent}% from {target}"),
            Self::Command { command, .. } => {
                write!(f, "{kind} for {target}: {}", shell_words(&command.inject))
            }
            Self::BreakHealthPath { path, .. } => write!(f, "{kind} {target} (asks {path})"),
            Self::LoseZone { zone, .. } => write!(f, "{kind} {zone} of {target}"),
            Self::ShiftWeights { weights, .. } => {
                write!(f, "{kind} {target}")?;
                for (index, (name, weight)) in weights.iter().enumerate() {
                    let before = if index == 0 { ": " } else { ", " };
                    write!(f, "{before}{name} {weight}")?;
                }
                Ok(())
            }
            Self::Respond {
                status,
                delay,
                pulse,
                share,
                ..
            } => {
                write!(f, "{kind} {target}")?;
                if let Some(status) = status {
                    write!(f, " with {status}")?;
                }
                if !delay.is_zero() {
                    write!(f, " after {}", duration_words(*delay))?;
                }
                if let Some(Pulse { on, off }) = pulse {
                    let (on, off) = (duration_words(*on), duration_words(*off));
                    write!(f, ", {on} on and {off} off")?;
                }
                if let Some(share) = share {
                    write!(f, ", to {share} % of the requests")?;
                }
                Ok(())
            }
            Self::Stop { .. }
            | Self::Kill { .. }
            | Self::Pause { .. }
            | Self::Disconnect { .. }
            | Self::BlockIngress { .. }
            | Self::InvertHealthCheck { .. }
            | Self::DisableHealthCheck { .. }
            | Self::Disable { .. }
            | Self::ExpireCertificate { .. }
            | Self::FailoverDatabase { .. } => write!(f, "{kind} {target}"),
        }
    }
}

impl Expect {
    /// The limit of an expectation that is decided while the faults are in place; none for those without a limit, or of zero.
    pub fn limit_while_held(&self) -> Option<Duration> {
        match self {
            Self::Detected { within, .. }
            | Self::Rto { within, .. }
            | Self::Outage { within }
            | Self::DnsSwitch { within, .. } => Some(*within).filter(|within| !within.is_zero()),
            Self::Path(_)
            | Self::Never(_)
            | Self::ServedBy(_)
            | Self::Writes(_)
            | Self::Availability { .. }
            | Self::MaxErrors { .. }
            | Self::NoFailover
            | Self::Flaps { .. }
            | Self::Failback { .. }
            | Self::Rpo { .. }
            | Self::StaleDns { .. }
            | Self::Header { .. }
            | Self::Body { .. }
            | Self::Status { .. } => None,
        }
    }

    /// In how many runs it must hold, for the expectation that says so.
    pub fn pass_rate(&self) -> Option<PassRate> {
        if let Self::Rto { pass_rate, .. } = self {
            *pass_rate
        } else {
            None
        }
    }

    /// How long users may take to return, for the expectation that says so.
    pub fn failback_limit(&self) -> Option<Duration> {
        if let Self::Failback { within, .. } = self {
            Some(*within)
        } else {
            None
        }
    }

    /// The word that names the expectation in files and reports.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Detected { .. } => "detected",
            Self::Rto { .. } => "rto",
            Self::Outage { .. } => "outage",
            Self::Path(_) => "path",
            Self::Never(_) => "never",
            Self::ServedBy(_) => "served-by",
            Self::Writes(_) => "writes",
            Self::Availability { .. } => "availability",
            Self::MaxErrors { .. } => "max-errors",
            Self::NoFailover => "no-failover",
            Self::Flaps { .. } => "flaps",
            Self::Failback { .. } => "failback",
            Self::Rpo { .. } => "rpo",
            Self::DnsSwitch { .. } => "dns-switch",
            Self::StaleDns { .. } => "stale-dns",
            Self::Header { .. } => "header",
            Self::Body { .. } => "body",
            Self::Status { .. } => "status",
        }
    }
}
