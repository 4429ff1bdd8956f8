//! Doing: the only step that changes anything. Whatever happens, everything captured is reverted and a timeline exists.
//!
//! [`run`] goes through the phases in order: steady state, inject, hold, revert, failback. It returns what became of the run,
//! never an error, once the first event is on disk.

mod abort;
mod clock;
mod dry_run;
mod engine;
mod fence;
mod home;
mod injecting;
mod ledger;
mod looking;
mod observers;
mod operator;
mod preflight;
mod recorder;
mod reverting;
mod steady_state;
mod step;
mod stop;
mod terms;
mod waiting;
mod watching;

use std::{io, path::PathBuf, time::Duration};

pub use clock::Clock;
pub use engine::run;
pub use looking::started;
pub use operator::{Operator, Pauses, Said};
pub(crate) use reverting::{Others, Owed, Reverted, Reverting, Witness};
pub use stop::{Stop, Stopper};
pub use terms::{KILL_SWITCH, Refusal, Terms};
pub use watching::watch;

use crate::timeline::{Commit, Outcome, Repeat};

/// What a run is told besides its plan.
#[derive(Debug, Clone)]
pub struct Options {
    /// The run's name.
    pub run_id: String,
    /// The folder for this drill's files. It must exist.
    pub folder: PathBuf,
    /// The seed of everything random.
    pub seed: u64,
    /// Which of several runs of the drill it is.
    pub repeat: Option<Repeat>,
    /// The commit of the drill's file, if it is in a repository.
    pub drill_commit: Option<Commit>,
    /// The command line, for the record.
    pub command: Vec<String>,
    /// The wall's clock when the run began, RFC 3339 in UTC.
    pub started_at: String,
    /// How long the steps of a fault may take.
    pub limits: StepLimits,
    /// What somebody has allowed.
    pub terms: Terms,
    /// The program that guards targets which outlive this process. Without one, such targets are not touched.
    pub guard: Option<PathBuf>,
}

/// How long the steps of a fault may take, in real time: a control plane is as slow in a lab that runs fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepLimits {
    /// One capture.
    pub capture: Duration,
    /// One injection.
    pub inject: Duration,
    /// From an answer of the control plane until an independent read shows what it said.
    pub verify: Duration,
    /// One attempt to revert.
    pub revert: Duration,
    /// How often a revert is tried.
    pub revert_attempts: u32,
    /// From the first attempt to revert to the second; doubled each time.
    pub revert_backoff: Duration,
    /// How long a target is watched, after it was restored, whose injection was begun and not answered with yes; longer where its fault
    /// says so.
    pub doubt: Duration,
    /// How long somebody else may have the journal's lock: long enough to revert what is in it.
    pub lock: Duration,
}

impl Default for StepLimits {
    fn default() -> Self {
        Self {
            capture: Duration::from_secs(30),
            inject: Duration::from_secs(30),
            verify: Duration::from_secs(10),
            revert: Duration::from_secs(30),
            revert_attempts: 3,
            revert_backoff: Duration::from_millis(200),
            doubt: Duration::from_secs(1),
            lock: Duration::from_mins(2),
        }
    }
}

/// What became of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// How it went.
    pub outcome: Outcome,
    /// Those targets that are not verified as restored, with the reason.
    pub left_broken: Vec<String>,
}

/// A run could not be begun. Nothing was touched.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The drill must not be begun.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A file of the run could not be written.
    #[error("could not write `{path}`; nothing was injected")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The timeline could not be begun.
    #[error("could not begin the timeline; nothing was injected")]
    Timeline(#[from] crate::timeline::io::Error),
    /// A probe, an observer or the control probe could not be set up.
    #[error("could not look at the service; nothing was injected")]
    Site(#[from] crate::provider::site::SiteError),
    /// A fault could not be resolved.
    #[error("could not resolve a fault; nothing was injected")]
    Fault(#[from] crate::provider::ProviderError),
    /// What a fault needs is not there.
    #[error("the fault `{fault}` cannot be injected here, and nothing was: {reason}")]
    NotPrepared {
        /// What was to be done.
        fault: String,
        /// Why it cannot be.
        reason: String,
    },
    /// No guard watches over targets that stay broken if this process ends.
    #[error("could not have the run guarded; nothing was injected")]
    Guard(#[from] crate::recovery::GuardingError),
    /// Nobody said which program guards such targets.
    #[error("the targets outlive this process and nobody guards them; nothing was injected")]
    Unguarded,
    /// The control probe could not listen.
    #[error("could not start the control probe on loopback; nothing was injected")]
    Control(#[source] io::Error),
}

/// The seed of one drill in a run of several: its own, so that they do not all meet the same chance, and the same again when the
/// drill is run alone with the run's seed.
pub fn seed_for(seed: u64, drill: &str) -> u64 {
    // FNV-1a, whose result does not depend on the version of anything.
    let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    drill.bytes().fold(seed ^ 0xcbf2_9ce4_8422_2325, hash)
}
