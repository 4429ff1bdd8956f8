//! What can go wrong with AWS, in words that say what to do.

use aws_credential_types::provider::error::CredentialsError;

use super::answer::Complaint;
use crate::environment::AwsAccount;

/// Codes that say that the credentials are not accepted.
const NOT_ACCEPTED: [&str; 16] = [
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "IncompleteSignatureException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignature",
    "InvalidSignatureException",
    "InvalidToken",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "RequestExpired",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
];
/// Codes that say that the user may not.
const DENIED: [&str; 4] = [
    "AccessDenied",
    "AccessDeniedException",
    "NotAuthorized",
    "UnauthorizedOperation",
];
/// Codes that say that there were too many requests, or that one before is not done: what was asked was not begun.
const THROTTLED: [&str; 11] = [
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
    "PriorRequestNotComplete",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "TooManyRequestsException",
];

/// AWS cannot be reached, or would not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum AwsError {
    /// The configuration has no such profile.
    #[error("there is no profile `{profile}` in {}: there are {}", .files.join(" or "), list(.known))]
    UnknownProfile {
        /// The profile.
        profile: String,
        /// The files that were looked through.
        files: Vec<String>,
        /// The profiles that there are.
        known: Vec<String>,
    },
    /// Nothing says which region is meant.
    #[error(
        "no region is given for {account}: name one with `aws: {{ region: … }}`, AWS_REGION, or `region = …` in the profile"
    )]
    NoRegion {
        /// What was looked for.
        account: Box<AwsAccount>,
    },
    /// There are no credentials.
    #[error(
        "there are no credentials for {account}: set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or log in with `aws \
         sso login`"
    )]
    NoCredentials {
        /// What was looked for.
        account: Box<AwsAccount>,
        /// Why.
        source: Box<CredentialsError>,
    },
    /// The client could not be set up.
    #[error("the client of {account} could not be set up")]
    Client {
        /// What was to be reached.
        account: Box<AwsAccount>,
        /// Why.
        source: reqwest::Error,
    },
    /// The credentials are of another account than the environment names.
    #[error(
        "{named} has credentials of the account {now}: nothing was touched; choose the profile of the account that is meant"
    )]
    WrongAccount {
        /// What was looked for.
        named: Box<AwsAccount>,
        /// Whose the credentials are.
        now: String,
    },
    /// The account could not be opened in the beginning.
    #[error("{account} cannot be reached: {reason}")]
    Unopened {
        /// The account.
        account: Box<AwsAccount>,
        /// Why.
        reason: String,
    },
    /// A request could not be signed.
    #[error("{what}: the request could not be signed: {reason}")]
    NotSigned {
        /// What was asked.
        what: String,
        /// Why.
        reason: String,
    },
    /// Nobody answers.
    #[error("{what}: {server} does not answer")]
    Unreachable {
        /// What was asked.
        what: String,
        /// Where.
        server: String,
        /// Why.
        source: reqwest::Error,
    },
    /// Something else than the API answers.
    #[error(
        "{what}: {server} answered {status} with a web page{}, which is not the API of AWS: `endpoint` or a proxy leads elsewhere", titled(.title)
    )]
    WebPage {
        /// What was asked.
        what: String,
        /// Where.
        server: String,
        /// The HTTP status.
        status: u16,
        /// The page's title.
        title: String,
    },
    /// The answer cannot be read.
    #[error("{what}: {server} answered {status} with what cannot be read: {reason}")]
    Unreadable {
        /// What was asked.
        what: String,
        /// Where.
        server: String,
        /// The HTTP status.
        status: u16,
        /// Why.
        reason: String,
    },
    /// The credentials are not accepted.
    #[error(
        "{what}: the credentials of {account} are not accepted: {code}: {message}; `aws sts get-caller-identity` shows whether they \
         are valid, and a clock that is wrong makes them invalid too"
    )]
    NotAccepted {
        /// What was asked.
        what: String,
        /// Which credentials.
        account: Box<AwsAccount>,
        /// The code of the answer.
        code: String,
        /// What AWS said.
        message: String,
    },
    /// The user may not do this.
    #[error(
        "{what}: {account} may not: {message}; `blackstart plan --permissions` shows what is needed"
    )]
    Denied {
        /// What was asked.
        what: String,
        /// Which credentials.
        account: Box<AwsAccount>,
        /// What AWS said.
        message: String,
    },
    /// There were too many requests for too long.
    #[error(
        "{what}: AWS turned it down {attempts} times for too many requests ({code}): somebody else uses up what the account may ask"
    )]
    Throttled {
        /// What was asked.
        what: String,
        /// How often it was tried.
        attempts: u32,
        /// The code of the last answer.
        code: String,
    },
    /// AWS said no.
    #[error("{what}: AWS answered {status} {code}: {message}")]
    Refused {
        /// What was asked.
        what: String,
        /// The HTTP status.
        status: u16,
        /// The code of the answer.
        code: String,
        /// What AWS said.
        message: String,
    },
    /// There is no such thing.
    #[error("there is no {resource} in {account}: `{hint}` shows what there is")]
    NotFound {
        /// What was looked for.
        resource: String,
        /// Where.
        account: Box<AwsAccount>,
        /// What shows what there is.
        hint: String,
    },
    /// The resource is in no state for the fault.
    #[error("{resource} {problem}")]
    NotPossible {
        /// The resource.
        resource: String,
        /// Why not, as a fragment that fits after its name.
        problem: String,
    },
    /// Nobody is asked before it is changed.
    #[error(
        "{resource} is changed through us-east-1, and somebody has to confirm that: add `protected: true` to the environment"
    )]
    Unconfirmed {
        /// The resource.
        resource: String,
    },
    /// Somebody else has changed a resource after it was captured.
    #[error(
        "{resource} was changed after it was captured, so it is left alone: it had {was}, and has {now}"
    )]
    Changed {
        /// The resource.
        resource: String,
        /// What it had.
        was: String,
        /// What it has.
        now: String,
    },
}

impl AwsError {
    /// What a service's complaint means.
    pub(super) fn of(complaint: Complaint, what: &str, status: u16, account: &AwsAccount) -> Self {
        let (what, account) = (what.to_owned(), Box::new(account.clone()));
        let Complaint { code, message } = complaint;
        let is_one_of = |codes: &[&str]| codes.contains(&code.as_str());
        if is_one_of(&NOT_ACCEPTED) {
            return Self::NotAccepted {
                what,
                account,
                code,
                message,
            };
        }
        if is_one_of(&DENIED) {
            return Self::Denied {
                what,
                account,
                message,
            };
        }
        if is_one_of(&THROTTLED) {
            return Self::Throttled {
                what,
                attempts: 1,
                code,
            };
        }
        Self::Refused {
            what,
            status,
            code,
            message,
        }
    }

    /// The code with which AWS said no.
    pub(super) fn code(&self) -> Option<&str> {
        if let Self::Refused { code, .. } = self {
            Some(code)
        } else {
            None
        }
    }

    /// The same with how often it was tried.
    pub(super) fn after(self, attempts: u32) -> Self {
        let Self::Throttled { what, code, .. } = self else {
            return self;
        };
        Self::Throttled {
            what,
            attempts,
            code,
        }
    }

    /// Whether AWS said no with a code such as this.
    pub(super) fn is(&self, codes: &[&str]) -> bool {
        self.code().is_some_and(|code| codes.contains(&code))
    }
}

/// Names in a sentence.
fn list(names: &[String]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    format!("`{}`", names.join("`, `"))
}

fn titled(title: &str) -> String {
    if title.is_empty() {
        return String::new();
    }
    format!(" (`{title}`)")
}
