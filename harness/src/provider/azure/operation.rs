//! What Azure takes and carries out by itself, followed to its end.
//!
//! The answer to a change names an address that tells how it goes: `Azure-AsyncOperation`, whose body has a `status`, or `Location`, whose
//! own status is the news. Without either, the thing itself has a `provisioningState`.

use std::time::Duration;

use http::Method;
use reqwest::Url;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::{
    AzureError,
    arm::{Answer, Ask, Body, Connection, error_of},
};

/// From one look to the next where the answer does not say.
const PAUSE: Duration = Duration::from_secs(2);
/// The shortest and the longest pause, whatever the answer says.
const SHORTEST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(30);

/// Where the news of an operation is.
enum News {
    /// A body with a `status`.
    Operation(Url),
    /// An address that answers 202 until it is over.
    Location(Url),
    /// The thing itself.
    Resource(Url),
    /// It is over.
    Over,
}

/// How it stands.
enum Standing {
    /// It goes on: how it is.
    Running(String),
    Succeeded,
}

impl Connection {
    /// Asks for a change, and waits until it is carried out. One look that tells nothing is no reason to give it up.
    pub(super) async fn carry_out(&self, ask: Ask<'_>) -> Result<(), AzureError> {
        let what = ask.what;
        let answer = self.ask(ask).await?;
        let limit = self.account.timeout;
        let deadline = Instant::now() + limit;
        let patient = self.patient();
        let mut news = News::of(&answer, what)?;
        let mut pause = answer.retry_after();
        // How it was when it was last seen, or why it was not.
        let mut seen = Ok("accepted".to_owned());
        loop {
            let address = match &news {
                News::Operation(address) | News::Location(address) | News::Resource(address) => {
                    address.clone()
                }
                News::Over => return Ok(()),
            };
            let wait = pause.unwrap_or(PAUSE).clamp(SHORTEST, LONGEST);
            if Instant::now() + wait > deadline {
                let what = what.to_owned();
                return Err(match seen {
                    Ok(status) => AzureError::OperationEndless {
                        what,
                        status,
                        limit,
                    },
                    Err(source) => AzureError::OperationUnseen {
                        what,
                        limit,
                        source: Box::new(source),
                    },
                });
            }
            sleep(wait).await;
            let following = format!("{what}, asking how far it is");
            let looked = patient
                .ask(Ask {
                    method: Method::GET,
                    address,
                    what: &following,
                    body: Body::Nothing,
                    if_match: None,
                })
                .await;
            let answer = match looked {
                Ok(answer) => answer,
                Err(error) if error.is_silence() => {
                    pause = if let AzureError::Throttled { wait, .. } = &error {
                        Some(*wait)
                    } else {
                        None
                    };
                    seen = Err(error);
                    continue;
                }
                Err(error) => return Err(ended_badly(&news, what, error)),
            };
            pause = answer.retry_after();
            match news.standing(&answer, what)? {
                Standing::Succeeded => return Ok(()),
                Standing::Running(now) => seen = Ok(now),
            }
            // An address may move while it goes on.
            if let News::Location(address) = &mut news
                && let Some(next) = link(&answer, "location", what)?
            {
                *address = next;
            }
        }
    }
}

impl News {
    /// Where the answer to a change says that news is.
    fn of(answer: &Answer, what: &str) -> Result<Self, AzureError> {
        if let Some(address) = link(answer, "azure-asyncoperation", what)? {
            return Ok(Self::Operation(address));
        }
        if answer.status == 202 {
            return match link(answer, "location", what)? {
                Some(address) => Ok(Self::Location(address)),
                None => Err(AzureError::Answer {
                    what: what.to_owned(),
                    reason: "it says that it goes on (202), and not where to see that it is over"
                        .to_owned(),
                }),
            };
        }
        let state = answer.json(what)?;
        match state["properties"]["provisioningState"].as_str() {
            Some(state) if !is_over(state) => Ok(Self::Resource(answer.address.clone())),
            Some(_) | None => Ok(Self::Over),
        }
    }

    /// How it stands, by an answer.
    fn standing(&self, answer: &Answer, what: &str) -> Result<Standing, AzureError> {
        let body = match self {
            Self::Over => return Ok(Standing::Succeeded),
            Self::Location(_) if answer.status == 202 => {
                return Ok(Standing::Running("accepted".to_owned()));
            }
            Self::Location(_) => return Ok(Standing::Succeeded),
            Self::Operation(_) | Self::Resource(_) => answer.json(what)?,
        };
        let status = match self {
            Self::Resource(_) => &body["properties"]["provisioningState"],
            Self::Operation(_) | Self::Location(_) | Self::Over => &body["status"],
        };
        let Some(status) = status.as_str() else {
            return Err(AzureError::Answer {
                what: what.to_owned(),
                reason: "it does not say how far it is".to_owned(),
            });
        };
        if status.eq_ignore_ascii_case("Succeeded") {
            return Ok(Standing::Succeeded);
        }
        if is_over(status) {
            return Err(failed(what, status, &body));
        }
        Ok(Standing::Running(status.to_owned()))
    }
}

/// What `Location` answers with a no is how the operation ended; so is not what it means to be refused the look itself.
fn ended_badly(news: &News, what: &str, error: AzureError) -> AzureError {
    match (news, error) {
        (
            News::Location(_),
            AzureError::Refused {
                status,
                code,
                message,
                ..
            },
        ) => AzureError::OperationFailed {
            what: what.to_owned(),
            status: status.to_string(),
            code,
            message,
        },
        (_, error) => error,
    }
}

fn failed(what: &str, status: &str, body: &Value) -> AzureError {
    let (code, message) = error_of(body);
    AzureError::OperationFailed {
        what: what.to_owned(),
        status: status.to_owned(),
        message: if code.is_empty() {
            message
        } else {
            format!("{code}: {message}")
        },
        code,
    }
}

/// Whether nothing more comes after this.
fn is_over(status: &str) -> bool {
    // Both spellings of one word are in use.
    let ends = ["Succeeded", "Failed", "Canceled", "Cancelled"];
    ends.iter().any(|end| status.eq_ignore_ascii_case(end))
}

/// An address in a header.
fn link(answer: &Answer, name: &str, what: &str) -> Result<Option<Url>, AzureError> {
    let Some(text) = answer.header(name) else {
        return Ok(None);
    };
    let address = answer
        .address
        .join(text)
        .map_err(|error| AzureError::Answer {
            what: what.to_owned(),
            reason: format!("`{name}` is no address: {error}"),
        })?;
    Ok(Some(address))
}
