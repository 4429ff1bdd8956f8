//! What can go wrong with Azure, in words that say what to do.

use std::time::Duration;

use crate::environment::AzureAccount;

/// What Azure calls it if something else is being done to a resource, or to one that it depends on.
const UNDER_WAY: [&str; 3] = [
    "AnotherOperationInProgress",
    "RetryableError",
    "RetryableErrorDueToAnotherOperation",
];
/// The answer to what cannot be done as things are.
const CONFLICT: u16 = 409;
/// Conflicts that nobody waits out: somebody has to do something about them.
const LASTING: [&str; 2] = ["ScopeLocked", "ReadOnlyDisabledSubscription"];

/// Whether the code of an error says that something else is under way.
pub(super) fn is_under_way(code: &str) -> bool {
    UNDER_WAY.contains(&code)
}

/// Azure cannot be reached, or would not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum AzureError {
    /// Nothing on this machine says who asks.
    #[error("there are no credentials for Azure here: {}", .missing.join("; "))]
    NoCredentials {
        /// What is missing.
        missing: Vec<String>,
    },
    /// Credentials are there and cannot be used.
    #[error("the credentials `{credentials}` for Azure cannot be used")]
    Credentials {
        /// Which.
        credentials: &'static str,
        /// Why. Says nothing secret.
        source: Box<azure_core::Error>,
    },
    /// The variable with a stand-in's token is not set.
    #[error(
        "the variable `{variable}`, which `azure: token-variable` names, is not set: it has the token for {endpoint}"
    )]
    NoToken {
        /// The variable.
        variable: String,
        /// The stand-in.
        endpoint: String,
    },
    /// The client could not be set up.
    #[error("the client for Azure could not be set up: {0}")]
    Client(String),
    /// The subscription could not be opened in the beginning.
    #[error("{account} cannot be reached: {reason}")]
    Unopened {
        /// The subscription.
        account: AzureAccount,
        /// Why.
        reason: String,
    },
    /// Azure does not answer.
    #[error("{what}: Azure does not answer")]
    Unreachable {
        /// What was asked.
        what: String,
        /// Why.
        source: reqwest::Error,
    },
    /// Whoever asks is not known.
    #[error(
        "{what}: Azure does not know who asks (401): {message}; log in again, or see that the credentials are of the right tenant"
    )]
    Unauthenticated {
        /// What was asked.
        what: String,
        /// What it said.
        message: String,
    },
    /// Whoever asks may not do this.
    #[error(
        "{what}: these credentials may not: {message}; `blackstart plan --permissions` shows what is needed"
    )]
    Forbidden {
        /// What was asked.
        what: String,
        /// What it said.
        message: String,
    },
    /// The credentials may not do what the fault needs.
    #[error(
        "these credentials may not {}; `blackstart plan --permissions` prints the role that is needed", .denied.join(", ")
    )]
    Denied {
        /// The actions.
        denied: Vec<String>,
    },
    /// There is no such thing.
    #[error("there is no {resource}: `{hint}` shows what there is")]
    NotFound {
        /// What was looked for.
        resource: String,
        /// What shows what there is.
        hint: String,
    },
    /// Azure wants to be asked less.
    #[error(
        "{what}: Azure is asked too much and wants to be left alone for {}s (429); wait, or let observers look less often",
        .wait.as_secs()
    )]
    Throttled {
        /// What was asked.
        what: String,
        /// For how long.
        wait: Duration,
    },
    /// Azure said no.
    #[error("{what}: Azure answered {status}: {message}")]
    Refused {
        /// What was asked.
        what: String,
        /// The HTTP status.
        status: u16,
        /// The code of the error, for example `OperationNotAllowed`; empty if it has none.
        code: String,
        /// What it said, with the code.
        message: String,
    },
    /// The answer makes no sense.
    #[error("{what}: Azure's answer cannot be understood: {reason}")]
    Answer {
        /// What was asked.
        what: String,
        /// Why.
        reason: String,
    },
    /// Something that Azure carried out by itself has failed.
    #[error("{what}: Azure took it, and then it ended as {status}: {message}")]
    OperationFailed {
        /// What was asked.
        what: String,
        /// How it ended.
        status: String,
        /// The code of the error; empty if it has none.
        code: String,
        /// What was said of it, with the code.
        message: String,
    },
    /// Something that Azure carries out by itself does not end.
    #[error(
        "{what}: Azure took it, and it had not ended after {}s, when it was `{status}`; `azure: timeout` allows longer",
        .limit.as_secs()
    )]
    OperationEndless {
        /// What was asked.
        what: String,
        /// How it is.
        status: String,
        /// How long it was followed.
        limit: Duration,
    },
    /// Nobody says how something ended that Azure carries out by itself.
    #[error(
        "{what}: Azure took it, and how it went could not be seen until {}s were over; `azure: timeout` allows longer",
        .limit.as_secs()
    )]
    OperationUnseen {
        /// What was asked.
        what: String,
        /// How long it was followed.
        limit: Duration,
        /// Why the last look failed.
        source: Box<AzureError>,
    },
    /// Something else is being done to a resource, and does not end.
    #[error(
        "{resource} could not be changed within {}s, as something else was under way: {reason}; `azure: timeout` allows longer",
        .limit.as_secs()
    )]
    StillBusy {
        /// The resource.
        resource: String,
        /// What shows that, or said so.
        reason: String,
        /// How long it was waited for.
        limit: Duration,
    },
    /// Azure leaves out whether a machine runs.
    #[error(
        "Azure does not say at the moment whether {machine} runs (no power state), as it does now and then while a machine changes: it is \
         left alone until Azure does"
    )]
    PowerUntold {
        /// The machine.
        machine: String,
    },
    /// Azure names an address that is not its own.
    #[error(
        "{what}: the answer leads to {address}, which is not Azure Resource Manager, so no token is sent there"
    )]
    ForeignAddress {
        /// What was asked.
        what: String,
        /// The address, without its query.
        address: String,
    },
    /// The machine does not run.
    #[error("{machine} is {power} and not running, so it cannot be stopped")]
    NotRunning {
        /// The machine.
        machine: String,
        /// What it is.
        power: String,
    },
    /// What is lost when the machine is deallocated cannot be given back.
    #[error("{machine} must not be deallocated, as it could not be put back as it is: {reason}")]
    NotDeallocated {
        /// The machine.
        machine: String,
        /// Why.
        reason: String,
    },
    /// Something else is being done to the machine.
    #[error("{machine} is {power}: it is not touched until that is over")]
    MachineBusy {
        /// The machine.
        machine: String,
        /// What it is.
        power: String,
    },
    /// No rule of ours would come before one that lets somebody in.
    #[error(
        "the rule `{rule}` of {group} has the priority {priority} and lets somebody in, and none is free before it: a rule after it would \
         shut nobody out"
    )]
    LetsIn {
        /// The network security group.
        group: String,
        /// The rule.
        rule: String,
        /// Its priority.
        priority: u16,
    },
    /// Something is there under a name that a fault needs.
    #[error(
        "there is a rule `{rule}` in {group} already: another drill is under way or was not reverted (`blackstart revert`), or somebody \
         else made it; it is left alone"
    )]
    Foreign {
        /// The network security group.
        group: String,
        /// The rule.
        rule: String,
    },
    /// A lock keeps the fault from being put back.
    #[error(
        "the lock `{lock}` ({level}) on {scope} would keep this from being done or put back, so nothing is touched: take it away for the \
         drill"
    )]
    Locked {
        /// The lock.
        lock: String,
        /// What it forbids.
        level: String,
        /// What it is on.
        scope: String,
    },
    /// Somebody else has changed it after it was captured.
    #[error(
        "{resource} was changed after it was captured, so it is left alone: it had {was}, and has {now}"
    )]
    Changed {
        /// What it is.
        resource: String,
        /// What it had.
        was: String,
        /// What it has.
        now: String,
    },
}

impl AzureError {
    /// Whether the same may be taken a while later, since something else is being done to the resource.
    pub(super) fn is_for_now(&self) -> bool {
        if let Self::Refused { status, code, .. } = self {
            return is_under_way(code)
                || (*status == CONFLICT && !LASTING.contains(&code.as_str()));
        }
        matches!(self, Self::OperationFailed { code, .. } if is_under_way(code))
    }

    /// Whether a look told nothing, so that another one may.
    pub(super) fn is_silence(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. } | Self::Throttled { .. } | Self::Refused { status: 500.., .. }
        )
    }
}
