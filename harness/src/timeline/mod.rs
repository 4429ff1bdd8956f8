//! The record of a run: everything that happened, in order, each with its time since the start of the run.
//!
//! Whatever is shown or judged comes from here, so a report can be rebuilt from the file, also for a run that was killed. All
//! times are the architecture's: a lab that runs thirty times as fast has its samples converted before they are recorded.
//! Events say what happened and nothing about how it is shown.

pub mod file;
mod hiding;
pub mod io;

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    environment::{Connection, DnsView},
    statistics::PassRate,
};

/// The version of the events' format. A reader takes every 1.x and ignores fields it does not know.
pub const FORMAT_VERSION: &str = "1.0";

/// An event and when it happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Since the start of the run.
    #[serde(rename = "t", with = "seconds")]
    pub at: Duration,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// Something that happened during a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Event {
    /// The run began. Always the first event.
    Run(Box<RunStarted>),
    /// The harness went on to another phase.
    Phase {
        /// The phase that begins.
        phase: Phase,
    },
    /// A probe looked once.
    Sample(Box<Sample>),
    /// A tier that the drill leans on was looked at before anything was broken.
    Preflight(TierChecked),
    /// A step in the life of a fault.
    Fault {
        /// The fault's number in the drill, from 0.
        id: usize,
        /// What happened to it.
        step: FaultStep,
        /// More about it, for example the error.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
    /// An observer's reading, recorded when it changed, and the first one.
    Observed {
        /// The observer's name.
        observer: String,
        /// What the system thinks of itself; `None` if the reading failed.
        healthy: Option<bool>,
        /// The reading in words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
        /// When the last reading that said otherwise was begun: the change came after that, and before this event.
        #[serde(
            default,
            with = "seconds::option",
            skip_serializing_if = "Option::is_none"
        )]
        before: Option<Duration>,
    },
    /// The ledger of writes was read back.
    Ledger {
        /// When the reading was begun: what was acknowledged later may be missing from it.
        #[serde(with = "seconds")]
        before: Duration,
        /// The numbers of the writes that are there, in the order in which they are shown; `None` if they could not be read.
        found: Option<Vec<u64>>,
        /// Why not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
    /// A person did something, or was asked to.
    Operator {
        /// In which role; none if nobody said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        role: Option<String>,
        /// What.
        act: Act,
    },
    /// Something worth telling that is none of the above.
    Note {
        /// What it is.
        text: String,
    },
    /// The run was told to stop.
    Interrupted {
        /// By what: `SIGINT` or `SIGTERM`.
        signal: String,
    },
    /// The drill is ended early for its own sake, or for somebody's who pulled the kill switch. Everything is reverted next.
    Aborted {
        /// The condition, in words.
        condition: String,
        /// What was seen.
        reason: String,
    },
    /// The run is over. Always the last event, missing if the harness was killed.
    Ended {
        /// How it went.
        outcome: Outcome,
        /// How far the wall's clock and the monotonic clock went apart, in real milliseconds.
        clock_drift_ms: f64,
    },
}

/// What a person did, or was asked to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// The drill waits until this is done.
    Asked {
        /// What.
        text: String,
        /// How long it is waited for.
        #[serde(with = "seconds")]
        within: Duration,
    },
    /// What was asked for last is done, and the drill goes on.
    Done,
    /// What was asked for last was waited for by nobody, because whoever started the run wanted none to be asked.
    Skipped,
    /// Nobody answered in time.
    Unanswered,
    /// A moment that only people know.
    Marked(Mark),
    /// Something that somebody wanted to be kept.
    Noted(String),
}

/// A moment that only people know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    /// Somebody noticed.
    Detected,
    /// It was called an incident.
    Declared,
    /// It was decided what to do.
    Decided,
}

/// A tier and whether it was alive before anything was broken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TierChecked {
    /// The tier.
    pub tier: String,
    /// The probe that showed it; none if it was asked directly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<String>,
    /// What was asked, in words.
    pub asked: String,
    /// Whether it was alive; `None` if nothing in the environment can show it.
    pub good: Option<bool>,
    /// What it answered, or why it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What is known when a run begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunStarted {
    /// The version of this format.
    pub format_version: String,
    /// The harness's version.
    pub tool_version: String,
    /// The run's name, also that of its folder.
    pub run_id: String,
    /// The drill's name.
    pub drill: String,
    /// The drill's file as it was named. Empty in timelines of earlier versions.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub drill_file: String,
    /// The commit of that file, if it is in a repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drill_commit: Option<Commit>,
    /// The environment's name.
    pub environment: String,
    /// The wall's clock at the start, RFC 3339 in UTC.
    pub started_at: String,
    /// The command line.
    pub command: Vec<String>,
    /// The machine's name.
    pub host: String,
    /// The seed of everything random.
    pub seed: u64,
    /// Which of several runs of the same drill this is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<Repeat>,
    /// How many times as fast as the wall's clock the architecture's time ran.
    pub speed: f64,
    /// Whether nothing was to be touched.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// The tiers, the preferred one first.
    pub tiers: Vec<String>,
    /// The probes.
    pub probes: Vec<ProbeStarted>,
    /// The observers' names.
    pub observers: Vec<String>,
    /// The faults, by number.
    pub faults: Vec<FaultPlanned>,
    /// What the variables held that were filled in from the process environment; a secret stands for itself, `${NAME}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, String>,
}

/// The commit of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Commit {
    /// The commit in which it was changed last, in hexadecimal.
    pub id: String,
    /// Whether it was changed since and not committed.
    #[serde(default)]
    pub changed: bool,
}

impl Commit {
    /// It in few letters, as git shows it.
    pub fn words(&self) -> String {
        let short: String = self.id.chars().take(10).collect();
        let changed = if self.changed { ", changed since" } else { "" };
        format!("{short}{changed}")
    }
}

/// One of several runs of the same drill.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Repeat {
    /// Which one, from 1.
    pub number: u32,
    /// How many were planned.
    pub of: u32,
    /// The share of runs that must pass, with how sure that must be; null if every one must.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<PassRate>,
}

/// A probe as it was set up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProbeStarted {
    /// Its name.
    pub name: String,
    /// What it does.
    pub kind: ProbeKind,
    /// From one sample to the next.
    #[serde(with = "seconds")]
    pub every: Duration,
    /// How long a sample may take before it is given up, as it really was (never below the real-time floor).
    #[serde(with = "seconds")]
    pub timeout: Duration,
    /// How long a good answer may take, as it really was. The time-out for DNS probes.
    #[serde(with = "seconds")]
    pub good_within: Duration,
}

/// What a probe does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProbeKind {
    /// Sends a request.
    Http {
        /// The request's name.
        request: String,
        /// Whether the request changes data.
        writes: bool,
        /// What becomes of its connection.
        connection: Connection,
        /// The tier it reaches while all is well, if it watches a standby.
        standby: Option<String>,
    },
    /// Asks a name server.
    Dns {
        /// Which question it answers.
        view: DnsView,
        /// The server asked.
        server: String,
    },
}

/// A fault as it was planned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FaultPlanned {
    /// Its kind, for example `scale`.
    pub kind: String,
    /// Its target's name.
    pub target: String,
    /// What will be done, in words.
    pub describe: String,
    /// The line of the drill file it stands on.
    pub line: u32,
}

/// What the harness is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Making sure that all is well before anything is broken.
    SteadyState,
    /// Breaking.
    Inject,
    /// Watching with the faults in place.
    Hold,
    /// Putting everything back.
    Revert,
    /// Watching users return.
    Failback,
}

/// A step in the life of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultStep {
    /// A dry run read what would restore the target, and went no further.
    Rehearsed,
    /// What restores the target has been read and written to disk.
    Captured,
    /// The injection was sent. The fault's time is not before this.
    Issued,
    /// The target's control plane said yes.
    Acknowledged,
    /// An independent read shows the fault in place.
    Verified,
    /// The injection failed; the target may be half broken and is reverted.
    InjectFailed,
    /// The injection was acknowledged, and an independent read does not show it.
    NotVerified,
    /// The revert was sent.
    RevertIssued,
    /// The control plane said yes to the revert.
    Reverted,
    /// An independent read shows the target as it was captured.
    Restored,
    /// The target is not verified as restored.
    RevertFailed,
}

/// How a run went, which is not how the system did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// All phases were gone through.
    Completed,
    /// Nothing was judged, because the drill could not be carried out.
    CouldNotRun {
        /// The phase in which it ended.
        phase: Phase,
        /// Why.
        reason: String,
    },
    /// A condition ended it early; everything captured was reverted.
    Aborted {
        /// The condition, in words.
        condition: String,
        /// What was seen.
        reason: String,
    },
    /// Somebody stopped it; everything captured was reverted.
    Interrupted {
        /// By which signal.
        signal: String,
    },
}

/// What a probe saw when it looked once, and when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// The probe's name.
    pub probe: String,
    /// The number of the tick, from 0 and without gaps: a tick that was not sent is a void sample.
    pub seq: u64,
    /// When it was due.
    #[serde(rename = "due", with = "seconds")]
    pub scheduled: Duration,
    /// When it was really sent.
    #[serde(with = "seconds")]
    pub start: Duration,
    /// When the last byte, or the failure, came.
    #[serde(with = "seconds")]
    pub end: Duration,
    /// What it amounts to.
    pub verdict: SampleVerdict,
    /// The tier that answered, if it was recognised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// When each phase was over, for the phases that were.
    #[serde(default, skip_serializing_if = "PhaseTimes::is_empty")]
    pub phases: PhaseTimes,
    /// The HTTP status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The address connected to or asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// The response headers that a tier or an expectation names, `age` and `x-cache`, each value cut at 200 characters.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Those texts that a `body` expectation asks for and that were in the body.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub found: Vec<String>,
    /// DNS: the answer, canonical names and addresses in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<String>,
    /// DNS: the smallest TTL of the answer in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u32>,
    /// DNS: the response code if it is not NOERROR, for example `NXDOMAIN`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_code: Option<String>,
    /// What went wrong, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// When the phases of a sample were over, since the start of the run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct PhaseTimes {
    /// The name was resolved.
    #[serde(
        default,
        with = "seconds::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub resolved: Option<Duration>,
    /// The connection was made.
    #[serde(
        default,
        with = "seconds::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub connected: Option<Duration>,
    /// TLS was agreed.
    #[serde(
        default,
        with = "seconds::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub secured: Option<Duration>,
    /// The first byte of the answer came.
    #[serde(
        default,
        with = "seconds::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub first_byte: Option<Duration>,
}

impl PhaseTimes {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What a sample amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SampleVerdict {
    /// The expected status, from a tier that was recognised, in time. DNS: an answer, in time.
    Good,
    /// Not that.
    Bad(ErrorClass),
    /// Says nothing, neither up nor down.
    Void(VoidReason),
}

/// How a sample failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorClass {
    /// The connection was refused.
    Refused,
    /// The connection was reset.
    Reset,
    /// No route to the host.
    Unreachable,
    /// The connection was not made in time.
    ConnectTimeout,
    /// TLS could not be agreed.
    Tls,
    /// Connected, and no answer in time.
    ResponseTimeout,
    /// The answer broke off or was no HTTP.
    Protocol,
    /// Status 5xx.
    Http5xx,
    /// Status 4xx.
    Http4xx,
    /// Another status that is not expected.
    OtherStatus,
    /// An expected status from nobody that a tier recognises.
    UnknownTier,
    /// A good answer, later than `good-within`.
    TooSlow,
    /// The name does not exist.
    DnsNxdomain,
    /// The server failed.
    DnsServfail,
    /// The server did not answer in time.
    DnsTimeout,
    /// The server refused, or answered nothing that can be used.
    DnsOther,
}

/// Why a sample says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VoidReason {
    /// Sent later than one interval after it was due, or not at all for that reason.
    Late,
    /// Not sent because too many were under way.
    Dropped,
    /// The prober's own machine was at fault: no file handle, no port, no own address.
    Local,
    /// The control probe failed at the time.
    ControlFailed,
    /// The run ended before it did.
    Cancelled,
}

/// Seconds with microseconds, the unit of every time in files.
pub mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes a duration as seconds.
    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(rounded(*duration))
    }

    /// Reads a duration from seconds, which must not be negative.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        from_seconds(f64::deserialize(deserializer)?)
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "microseconds of 285 years fit a double exactly"
    )]
    fn rounded(duration: Duration) -> f64 {
        duration.as_micros() as f64 / 1e6
    }

    fn from_seconds<E: Error>(seconds: f64) -> Result<Duration, E> {
        let micros = Duration::try_from_secs_f64(seconds + 5e-7)
            .map_err(E::custom)?
            .as_micros();
        Ok(Duration::from_micros(
            u64::try_from(micros).map_err(E::custom)?,
        ))
    }

    /// The same for a duration that may be missing.
    pub mod option {
        use std::time::Duration;

        use serde::{Deserialize, Deserializer, Serializer};

        /// Writes seconds, or null.
        pub fn serialize<S: Serializer>(
            duration: &Option<Duration>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            match duration {
                Some(duration) => super::serialize(duration, serializer),
                None => serializer.serialize_none(),
            }
        }

        /// Reads seconds, or null.
        pub fn deserialize<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<Duration>, D::Error> {
            Option::<f64>::deserialize(deserializer)?
                .map(super::from_seconds)
                .transpose()
        }
    }
}
