//! Sends alerts: a task for each channel, with retries and a time limit, apart from everything that a drill waits for.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::join_all;
use reqwest::{StatusCode, header, redirect};
use serde_json::Value;
use tokio::{
    runtime::Handle,
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, sleep, timeout_at},
};

use super::{Alert, Alerts, Facts, payload};
use crate::{
    causes::with_causes,
    environment::{Environment, Notify},
    hostile::harmless,
    probe::http::{TlsSetupError, tls_config},
    source::Secrets,
    timeline::Entry,
};

/// How often an alert is sent at most.
const ATTEMPTS: u32 = 3;
/// From the first attempt to the second; doubled each time.
const BACKOFF: Duration = Duration::from_millis(500);
/// How much longer than the most patient channel the end of a run waits for what is under way.
const GRACE: Duration = Duration::from_millis(500);

/// Alerts could not be sent at all.
#[derive(Debug, thiserror::Error)]
pub enum NotifierError {
    /// TLS could not be set up.
    #[error(transparent)]
    Tls(#[from] TlsSetupError),
    /// The client could not be set up.
    #[error("the client of `notify:` could not be set up")]
    Client(#[from] reqwest::Error),
}

/// Whether alerts are really sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sending {
    /// They are.
    Real,
    /// They are only told, as in a dry run.
    Shown,
}

/// What is passed on.
enum Told {
    Event(String, Box<Entry>),
    Concluded(String, Box<Alert>),
    Over,
}

/// Tells people. Handing something to it takes no time, whatever the channels do.
#[derive(Debug)]
pub struct Notifier {
    sender: Hand,
    task: JoinHandle<()>,
    patience: Duration,
    words: Words,
}

/// What somebody should know of it, from all channels.
#[derive(Debug, Clone, Default)]
struct Words(Arc<Mutex<Vec<String>>>);

impl Words {
    fn push(&self, words: String) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(words);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Hands events to a notifier.
#[derive(Debug, Clone)]
pub struct Hand(mpsc::UnboundedSender<Told>);

impl std::fmt::Debug for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Event(..) => "Event",
            Self::Concluded(..) => "Concluded",
            Self::Over => "Over",
        })
    }
}

impl Hand {
    /// Hands over an event of a drill.
    pub fn event(&self, drill: &str, entry: &Entry) {
        // A notifier that is gone tells nobody, and no drill minds.
        drop(
            self.0
                .send(Told::Event(drill.to_owned(), Box::new(entry.clone()))),
        );
    }
}

/// A channel and what it needs to be reached.
struct Channel {
    setup: Notify,
    name: String,
    client: reqwest::Client,
    secrets: Arc<Secrets>,
}

impl Notifier {
    /// Starts to tell of drills, each by its name with its environment, or of a watch, which has the name of its environment. None if nobody is to be told of any.
    ///
    /// # Errors
    /// If nothing could be sent at all.
    pub fn start(
        drills: &[(String, Arc<Environment>)],
        sending: Sending,
        threads: &Handle,
    ) -> Result<Option<Self>, NotifierError> {
        let wants =
            |environment: &Environment| environment.notify.iter().any(|channel| !channel.is_off());
        if !drills.iter().any(|(_, environment)| wants(environment)) {
            return Ok(None);
        }
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls_config(None)?)
            .redirect(redirect::Policy::none())
            .user_agent(concat!("blackstart/", env!("CARGO_PKG_VERSION")))
            .build()?;
        // One queue for each channel of an environment, however many drills it has.
        let mut channels: BTreeMap<String, Vec<Channel>> = BTreeMap::new();
        let mut of_drills = BTreeMap::new();
        for (drill, environment) in drills {
            of_drills.insert(drill.clone(), environment.name.clone());
            channels.entry(environment.name.clone()).or_insert_with(|| {
                let secrets = Arc::new(environment.secrets());
                let on = environment
                    .notify
                    .iter()
                    .filter(|channel| !channel.is_off());
                on.map(|setup| Channel {
                    name: format!("{} of {}", setup.kind(), environment.name),
                    setup: setup.clone(),
                    client: client.clone(),
                    secrets: Arc::clone(&secrets),
                })
                .collect()
            });
        }
        let all = channels.values().flatten();
        let patience = all
            .map(|channel| channel.setup.within())
            .max()
            .unwrap_or_default();
        let (sender, told) = mpsc::unbounded_channel();
        let words = Words::default();
        let task = threads.spawn(tell_all(told, channels, of_drills, sending, words.clone()));
        Ok(Some(Self {
            sender: Hand(sender),
            task,
            patience,
            words,
        }))
    }

    /// Where events are handed over.
    pub fn hand(&self) -> Hand {
        self.sender.clone()
    }

    /// Tells what came of a drill.
    pub fn conclude(&self, drill: &str, alert: Alert) {
        drop(
            self.sender
                .0
                .send(Told::Concluded(drill.to_owned(), Box::new(alert))),
        );
    }

    /// What somebody should know and has not been told yet: what could not be told, or would have been.
    pub fn news(&self) -> Vec<String> {
        self.words.take()
    }

    /// Waits for what is under way, no longer than a channel may take. Yields what somebody should know: what could not be told, or
    /// would have been.
    pub async fn finish(self) -> Vec<String> {
        let patience = self.patience;
        self.finish_within(patience + GRACE).await
    }

    /// The same for somebody who does not want to wait so long.
    pub async fn finish_within(self, patience: Duration) -> Vec<String> {
        drop(self.sender.0.send(Told::Over));
        let deadline = Instant::now() + patience;
        let mut task = self.task;
        match timeout_at(deadline, &mut task).await {
            Ok(Ok(())) => {}
            Ok(Err(panic)) => {
                let words = format!("warning: nobody could be told any more: {panic}");
                self.words.push(words);
            }
            Err(_) => {
                task.abort();
                let words = "warning: not everything could be told in time".to_owned();
                self.words.push(words);
            }
        }
        self.words.take()
    }
}

/// Makes alerts of what is told, and passes each on to the channels that want it.
async fn tell_all(
    mut told: mpsc::UnboundedReceiver<Told>,
    channels: BTreeMap<String, Vec<Channel>>,
    of_drills: BTreeMap<String, String>,
    sending: Sending,
    words: Words,
) {
    let mut queues: BTreeMap<String, Vec<mpsc::UnboundedSender<(Alert, Facts)>>> = BTreeMap::new();
    let mut workers = Vec::new();
    for (environment, channels) in channels {
        let mut of_environment = Vec::new();
        for channel in channels {
            let (queue, alerts) = mpsc::unbounded_channel();
            of_environment.push(queue);
            workers.push(tokio::spawn(work(channel, alerts, sending, words.clone())));
        }
        queues.insert(environment, of_environment);
    }
    let mut drills: BTreeMap<String, Alerts> = BTreeMap::new();
    while let Some(told) = told.recv().await {
        let (drill, alerts, facts) = match told {
            Told::Event(drill, entry) => {
                let known = drills.entry(drill.clone()).or_default();
                let alerts = known.take(&entry);
                (drill, alerts, known.facts().clone())
            }
            Told::Concluded(drill, alert) => {
                let known = drills.entry(drill.clone()).or_default();
                (drill, vec![*alert], known.facts().clone())
            }
            Told::Over => break,
        };
        let queues = of_drills.get(&drill).and_then(|name| queues.get(name));
        for alert in alerts {
            for queue in queues.into_iter().flatten() {
                // A worker ends only when this does.
                drop(queue.send((alert.clone(), facts.clone())));
            }
        }
    }
    drop(queues);
    for worker in join_all(workers).await {
        if let Err(panic) = worker {
            words.push(format!("warning: a channel could not be told: {panic}"));
        }
    }
}

/// Tells one channel, one alert after the other.
async fn work(
    channel: Channel,
    mut alerts: mpsc::UnboundedReceiver<(Alert, Facts)>,
    sending: Sending,
    words: Words,
) {
    let mut has_told = false;
    while let Some((alert, facts)) = alerts.recv().await {
        // Who was told that something is the matter wants to know that it no longer is.
        if alert.level < channel.setup.from() && !(alert.is_all_clear && has_told) {
            continue;
        }
        let body = payload::body(&channel.setup, &alert, &facts);
        has_told = true;
        if sending == Sending::Shown {
            let shown = payload::shown(&channel.setup, &alert, &facts);
            let shown = channel.secrets.hide(&shown).into_owned();
            words.push(format!("would tell {}: {}", channel.name, harmless(&shown)));
        } else if let Err(reason) = channel.send(&body).await {
            let reason = channel.secrets.hide(&reason).into_owned();
            words.push(format!(
                "warning: could not tell {} of `{}`: {}",
                channel.name,
                alert.event,
                harmless(&reason)
            ));
        }
    }
}

impl Channel {
    /// Sends, again if that may help, and no longer than the channel may take.
    async fn send(&self, body: &Value) -> Result<(), String> {
        let within = self.setup.within();
        let deadline = Instant::now() + within;
        let mut wait = BACKOFF;
        let mut last = format!("no answer within {within:?}");
        for attempt in 1..=ATTEMPTS {
            let again = match timeout_at(deadline, self.attempt(body)).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(Refused { reason, again })) => {
                    last = format!("{reason}, attempt {attempt} of {ATTEMPTS}");
                    again
                }
                Err(_) => return Err(format!("no answer within {within:?}, attempt {attempt}")),
            };
            let Some(asked) = again else { break };
            let pause = asked.max(wait);
            if attempt == ATTEMPTS || Instant::now() + pause >= deadline {
                break;
            }
            sleep(pause).await;
            wait *= 2;
        }
        Err(last)
    }

    async fn attempt(&self, body: &Value) -> Result<(), Refused> {
        let mut request = self.client.post(self.setup.url()).json(body);
        if let Notify::Webhook(webhook) = &self.setup {
            for (name, value) in &webhook.headers {
                request = request.header(name, value);
            }
        }
        let answer = request.send().await.map_err(|error| Refused {
            // Where it was sent may be a secret.
            reason: with_causes(&error.without_url()),
            again: Some(Duration::ZERO),
        })?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let may_pass = status.is_server_error()
            || matches!(
                status,
                StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
            );
        let asked = answer
            .headers()
            .get(header::RETRY_AFTER)
            .and_then(|seconds| seconds.to_str().ok()?.parse().ok())
            .map_or(Duration::ZERO, Duration::from_secs);
        Err(Refused {
            reason: format!("it answered {status}"),
            again: may_pass.then_some(asked),
        })
    }
}

/// An attempt that failed.
struct Refused {
    reason: String,
    /// How long to wait at least before the next; none if that would fail as well.
    again: Option<Duration>,
}

#[cfg(test)]
mod tests {
    use wiremock::{
        Mock, MockServer, ResponseTemplate,
        matchers::{header, method, path},
    };

    use super::*;
    use crate::environment::{self, Level, Slack, Webhook};

    fn webhook(server: &MockServer, from: Level, within: Duration) -> Notify {
        Notify::Webhook(Webhook {
            url: format!("{}/hook", server.uri()),
            headers: BTreeMap::from([("x-team".to_owned(), "shop".to_owned())]),
            from,
            within,
        })
    }

    fn notifier(channels: Vec<Notify>, sending: Sending) -> Notifier {
        let drills = [("drill".to_owned(), Arc::new(environment_with(channels)))];
        Notifier::start(&drills, sending, &Handle::current())
            .unwrap()
            .expect("somebody is to be told")
    }

    fn alert(level: Level) -> Alert {
        Alert {
            level,
            ..Alert::example()
        }
    }

    const LONG: Duration = Duration::from_mins(1);

    #[tokio::test]
    async fn a_channel_is_told_what_is_bad_enough_for_it_and_nothing_else() {
        let server = MockServer::start().await;
        Mock::given(method("POST"))
            .and(path("/hook"))
            .and(header("x-team", "shop"))
            .and(header("content-type", "application/json"))
            .respond_with(ResponseTemplate::new(200))
            .expect(2)
            .mount(&server)
            .await;
        let notifier = notifier(vec![webhook(&server, Level::Critical, LONG)], Sending::Real);
        for level in [
            Level::Information,
            Level::Warning,
            Level::Critical,
            Level::Emergency,
        ] {
            notifier.conclude("drill", alert(level));
        }
        assert_eq!(notifier.finish().await, Vec::<String>::new());
        let bodies: Vec<Value> = server
            .received_requests()
            .await
            .unwrap()
            .iter()
            .map(|request| request.body_json().unwrap())
            .collect();
        assert_eq!(bodies[0]["severity"], "critical");
        assert_eq!(bodies[1]["level"], 4);
    }

    #[tokio::test]
    async fn whoever_was_told_that_something_is_wrong_is_told_when_it_is_over() {
        let server = MockServer::start().await;
        Mock::given(method("POST"))
            .respond_with(ResponseTemplate::new(202))
            .mount(&server)
            .await;
        let clear = Alert {
            is_all_clear: true,
            ..alert(Level::Information)
        };
        for (told_before, expected) in [(true, 2), (false, 0)] {
            server.reset().await;
            Mock::given(method("POST"))
                .respond_with(ResponseTemplate::new(202))
                .mount(&server)
                .await;
            let notifier = notifier(vec![webhook(&server, Level::Critical, LONG)], Sending::Real);
            if told_before {
                notifier.conclude("drill", alert(Level::Critical));
            }
            notifier.conclude("drill", clear.clone());
            assert_eq!(notifier.finish().await, Vec::<String>::new());
            assert_eq!(server.received_requests().await.unwrap().len(), expected);
        }
    }

    #[tokio::test]
    async fn what_may_pass_is_tried_again_and_what_may_not_is_told() {
        let server = MockServer::start().await;
        Mock::given(method("POST"))
            .respond_with(ResponseTemplate::new(503))
            .up_to_n_times(1)
            .mount(&server)
            .await;
        Mock::given(method("POST"))
            .respond_with(ResponseTemplate::new(200))
            .mount(&server)
            .await;
        let sent = notifier(vec![webhook(&server, Level::Critical, LONG)], Sending::Real);
        sent.conclude("drill", alert(Level::Critical));
        assert_eq!(sent.finish().await, Vec::<String>::new());
        assert_eq!(server.received_requests().await.unwrap().len(), 2);

        server.reset().await;
        Mock::given(method("POST"))
            .respond_with(
                ResponseTemplate::new(302).insert_header("location", "http://127.0.0.1:1/"),
            )
            .expect(1)
            .mount(&server)
            .await;
        let refused = notifier(vec![webhook(&server, Level::Critical, LONG)], Sending::Real);
        refused.conclude("drill", alert(Level::Critical));
        let words = refused.finish().await.join("\n");
        assert!(
            words.contains("could not tell webhook of two-machines") && words.contains("302"),
            "{words}"
        );
    }

    #[tokio::test]
    async fn a_channel_that_never_answers_is_given_up_and_its_url_is_never_told() {
        let server = MockServer::start().await;
        Mock::given(method("POST"))
            .respond_with(ResponseTemplate::new(200).set_delay(LONG * 10))
            .mount(&server)
            .await;
        let within = Duration::from_millis(300);
        let slow = notifier(
            vec![webhook(&server, Level::Critical, within)],
            Sending::Real,
        );
        slow.conclude("drill", alert(Level::Critical));
        let words = slow.finish().await.join("\n");
        assert!(words.starts_with("warning: "), "{words}");
        let gone = Notify::Slack(Slack {
            url: "http://127.0.0.1:1/services/secret".to_owned(),
            from: Level::Information,
            within: Duration::from_secs(20),
        });
        let gone = notifier(vec![gone], Sending::Real);
        gone.conclude("drill", alert(Level::Critical));
        let words = gone.finish().await.join("\n");
        assert!(words.contains("attempt 3 of 3"), "{words}");
        assert!(!words.contains("services/secret"), "{words}");
    }

    #[tokio::test]
    async fn what_would_be_told_is_shown_without_what_only_the_channel_should_know() {
        let pagerduty = Notify::Pagerduty(environment::Pagerduty {
            routing_key: "12345678901234567890123456789012".to_owned(),
            url: "http://127.0.0.1:1/v2/enqueue".to_owned(),
            from: Level::Critical,
            within: LONG,
        });
        let shown = notifier(vec![pagerduty], Sending::Shown);
        shown.conclude("drill", alert(Level::Emergency));
        let words = shown.finish().await.join("\n");
        assert!(words.contains("would tell pagerduty"), "{words}");
        assert!(words.contains(r#""routing_key":"(secret)""#), "{words}");
        assert!(!words.contains("1234567890"), "{words}");
    }

    #[tokio::test]
    async fn a_channel_whose_variable_is_empty_tells_nobody() {
        let off = Notify::Slack(Slack {
            url: String::new(),
            from: Level::Information,
            within: LONG,
        });
        let drills = [("drill".to_owned(), Arc::new(environment_with(vec![off])))];
        let started = Notifier::start(&drills, Sending::Real, &Handle::current()).unwrap();
        assert!(started.is_none());
    }

    fn environment_with(notify: Vec<Notify>) -> Environment {
        let file = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../fixtures/library-user/drills/environments/two-machines.yaml"
        );
        let (environment, _) = environment::load(std::path::Path::new(file), &|_| None);
        Environment {
            notify,
            ..environment.unwrap()
        }
    }
}
