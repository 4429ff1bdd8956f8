//! People who take part in a drill: what they are asked, what they mark and what they note.

use std::time::Duration;

use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::CancellationToken;

use super::{
    engine::{Engine, Halt, Waited},
    looking::Looking,
};
use crate::{
    drill::{Pause, duration_words},
    timeline::{Act, Event, Mark},
};

/// What people can say before anybody listens; nobody types faster.
const WAITING: usize = 64;

/// What somebody said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// What was asked for is done.
    Done {
        /// In which role.
        role: Option<String>,
    },
    /// A moment that only people know is now.
    Marked {
        /// In which role.
        role: Option<String>,
        /// Which.
        mark: Mark,
    },
    /// Something to be kept.
    Noted {
        /// In which role.
        role: Option<String>,
        /// What.
        text: String,
    },
}

/// Hands what people say to the run that goes on. Clones speak to the same.
#[derive(Debug, Clone)]
pub struct Operator(broadcast::Sender<Said>);

impl Operator {
    /// Somebody whom no run listens to yet.
    #[expect(clippy::new_without_default, reason = "a speaker is made on purpose")]
    pub fn new() -> Self {
        Self(broadcast::Sender::new(WAITING))
    }

    /// Says something. Whether anybody listens.
    pub fn say(&self, said: Said) -> bool {
        self.0.send(said).is_ok()
    }
}

/// The same if they speak to the same run.
impl PartialEq for Operator {
    fn eq(&self, other: &Self) -> bool {
        self.0.same_channel(&other.0)
    }
}

impl Eq for Operator {}

/// What becomes of steps that wait for a person.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Pauses {
    /// A drill that has some is not begun.
    #[default]
    Refused,
    /// Nobody is asked, and the drill goes on.
    Skipped,
    /// This person is asked.
    Asked(Operator),
}

/// Passes what people mark and note into the stream of what is seen, until cancelled.
pub(super) async fn hear(
    operator: Operator,
    events: mpsc::UnboundedSender<Event>,
    cancel: CancellationToken,
) {
    let mut said = operator.0.subscribe();
    let hearing = async {
        loop {
            let (role, act) = match said.recv().await {
                Ok(Said::Marked { role, mark }) => (role, Act::Marked(mark)),
                Ok(Said::Noted { role, text }) => (role, Act::Noted(text)),
                // That something is done is heard where it is waited for.
                Ok(Said::Done { .. }) | Err(broadcast::error::RecvError::Lagged(_)) => continue,
                Err(broadcast::error::RecvError::Closed) => return,
            };
            if events.send(Event::Operator { role, act }).is_err() {
                return;
            }
        }
    };
    // Cancelled or told that nobody listens: either way there is nothing left to do.
    let _ended = cancel.run_until_cancelled(hearing).await;
}

impl Engine<'_> {
    /// Waits until a person says that something is done. Whoever does not answer in time ends the drill.
    pub(super) async fn ask(&mut self, looking: &mut Looking, pause: &Pause) -> Result<(), Halt> {
        let role = pause.role.clone();
        let asked = Act::Asked {
            text: pause.text.clone(),
            within: pause.within,
        };
        let Pauses::Asked(operator) = self.pauses.clone() else {
            self.operator(role.clone(), asked);
            self.operator(role, Act::Skipped);
            return Ok(());
        };
        let mut said = operator.0.subscribe();
        let asked_at = self.clock.now();
        let deadline = asked_at + pause.within;
        self.operator(role.clone(), asked);
        let mut done = None;
        let waited = self.wait(looking, deadline, |_| {
            while let Ok(said) = said.try_recv() {
                if let Said::Done { role } = said {
                    done.get_or_insert(role);
                }
            }
            done.is_some()
        });
        match waited.await? {
            Waited::Fulfilled => {
                self.operator(done.flatten(), Act::Done);
                self.must_still_be_steady(asked_at)
            }
            Waited::TimedOut => {
                self.operator(role, Act::Unanswered);
                Err(Halt::Trouble(format!(
                    "nobody said within {} that this is done: {}",
                    duration_words(pause.within),
                    pause.words()
                )))
            }
        }
    }

    /// A service that has failed while a person was waited for is not steady any more, and nothing is broken yet that would explain it.
    fn must_still_be_steady(&self, asked_at: Duration) -> Result<(), Halt> {
        let users = self.recorder.watch(self.plan.user_probe());
        if self.undos.is_empty()
            && users.is_some_and(|users| users.failed_since(asked_at).is_some())
        {
            return Err(Halt::Trouble(
                "users were not served all the time while a person was waited for; nothing was injected"
                    .to_owned(),
            ));
        }
        Ok(())
    }

    fn operator(&mut self, role: Option<String>, act: Act) {
        self.recorder.record(Event::Operator { role, act });
    }
}
