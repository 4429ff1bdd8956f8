//! `watch`: how a service is seen while nothing is broken, with an exit code for objectives.

use std::{path::Path, sync::Arc, time::Duration};

use tokio::time::interval;

use super::{
    Terminal,
    arguments::{WatchArguments, WatchFormat},
    attached, files, print,
    serve::{self, ServeError},
    showing::Showing,
    signals::Signals,
    tell, tell_error,
};
use crate::{
    causes::with_causes,
    environment::Environment,
    exit_code::ExitCode,
    notify::{Alert, Notifier, Sending},
    plan::{self, Plan},
    provider::{
        self,
        site::{Site, SiteError},
    },
    report::json,
    run::{self, Options, RunError, StepLimits, Stopper, Terms},
    suite::{self, RunId, Threads},
    timeline::Entry,
    verdict::CheckStatus,
    watch::{self, Objective, Seen, Summary},
};

/// How often it is asked whether somebody could not be told.
const NEWS: Duration = Duration::from_secs(1);

pub(super) fn watch(arguments: &WatchArguments, terminal: Terminal) -> ExitCode {
    let environment = match files::load_environment(&arguments.environment, terminal) {
        Ok(environment) => environment,
        Err(code) => return code,
    };
    let environment = Arc::new(environment);
    let objectives = match objectives(arguments, &environment) {
        Ok(objectives) => objectives,
        Err(error) => {
            tell(&format!("error: {error}"));
            return ExitCode::Usage;
        }
    };
    let watched = Threads::start()
        .map_err(WatchError::Start)
        .and_then(|threads| {
            let going = go(arguments, &environment, &objectives, &threads, terminal);
            threads.block_on(going)
        });
    match watched {
        Err(error) => {
            tell_error(&error, &environment.secrets());
            match error {
                WatchError::Plan(_) => ExitCode::Usage,
                WatchError::Start(_)
                | WatchError::Find(_)
                | WatchError::Site(_)
                | WatchError::Serve(_)
                | WatchError::Run(_) => ExitCode::CouldNotRun,
            }
        }
        Ok(summary) => {
            print(&match arguments.format {
                WatchFormat::Human => watch::render(&environment.name, &summary, &terminal.stdout),
                WatchFormat::Json | WatchFormat::Ndjson => {
                    let last = serde_json::json!({ "type": "summary", "environment": environment.name, "watch": summary });
                    json::line(&last)
                }
            });
            code(&summary)
        }
    }
}

/// An environment could not be watched.
#[derive(Debug, thiserror::Error)]
enum WatchError {
    #[error("could not start")]
    Start(#[source] std::io::Error),
    #[error(transparent)]
    Plan(#[from] plan::PlanError),
    #[error("could not find what is to be watched: {0}")]
    Find(String),
    #[error("could not open the environment")]
    Site(#[from] SiteError),
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error(transparent)]
    Run(#[from] RunError),
}

/// What an objective that does not hold comes to; so does a watch that was cut short.
fn code(summary: &Summary) -> ExitCode {
    let is = |status| {
        let mut objectives = summary.objectives.iter();
        objectives.any(|held| held.status == status)
    };
    if is(CheckStatus::Fail) {
        ExitCode::Failed
    } else if summary.trouble.is_some() || is(CheckStatus::Inconclusive) {
        ExitCode::CouldNotRun
    } else {
        ExitCode::Passed
    }
}

fn objectives(
    arguments: &WatchArguments,
    environment: &Environment,
) -> Result<Vec<Objective>, watch::WrongObjective> {
    let users = environment.user_probe().map_or("", |probe| &probe.name);
    let probes: Vec<&str> = environment
        .probes
        .iter()
        .map(|probe| probe.value.name())
        .collect();
    let mut all = Vec::new();
    for text in &arguments.slo {
        all.extend(watch::parse(text, users, &probes)?);
    }
    Ok(all)
}

async fn go(
    arguments: &WatchArguments,
    environment: &Arc<Environment>,
    objectives: &[Objective],
    threads: &Threads,
    terminal: Terminal,
) -> Result<Summary, WatchError> {
    let mut signals = Signals::listen().map_err(WatchError::Start)?;
    let opening = open(arguments, environment, threads);
    let (plan, site) = tokio::select! {
        opened = opening => opened?,
        signal = signals.next() => {
            return Err(WatchError::Find(format!("stopped by {signal} before anything was seen")));
        }
    };
    let options = Options {
        run_id: RunId::new(jiff::Timestamp::now(), &mut fastrand::Rng::new()).to_string(),
        folder: std::path::PathBuf::new(),
        seed: fastrand::u64(..1_000_000),
        repeat: None,
        drill_commit: None,
        command: suite::command_line(),
        started_at: jiff::Timestamp::now().to_string(),
        limits: StepLimits::default(),
        terms: Terms::default(),
        guard: None,
    };
    let (stopper, stop) = Stopper::new();
    let mut showing = Showing::start(1, terminal);
    let notifier = notifier(environment, threads);
    if let Some(notifier) = &notifier {
        showing.notifying(notifier);
    }
    let room = match arguments.serve {
        Some(address) => Some(serve::open(address, &threads.labs()).await?),
        None => None,
    };
    if let Some(room) = &room {
        showing.on_a_page(room);
    }
    let onlookers = showing.onlookers();
    let mut seen = Seen::new(&plan.drill, &plan.environment);
    let mut on_event = |entry: &Entry| {
        seen.push(entry);
        if arguments.format == WatchFormat::Ndjson {
            print(&json::line(entry));
        }
        onlookers.event(&plan.drill.name, entry);
    };
    let watched = {
        let watching = run::watch(&plan, &site, &options, arguments.r#for, stop, &mut on_event);
        tokio::pin!(watching);
        let mut news = interval(NEWS);
        loop {
            tokio::select! {
                biased;
                signal = signals.next() => stopper.stop(signal),
                watched = &mut watching => break watched,
                // A watch may go on for days, and nobody would know until its end that nobody is told anything.
                _ = news.tick() => {
                    for words in notifier.iter().flat_map(Notifier::news) {
                        showing.speaker().words(words);
                    }
                }
            }
        }
    };
    drop(onlookers);
    showing.finish(true).await;
    if let Some(room) = room {
        room.close().await;
    }
    site.close().await;
    watched?;
    let summary = seen.finish(objectives);
    if let Some(notifier) = notifier {
        notifier.conclude(
            &environment.name,
            Alert::of_watch(&environment.name, &summary),
        );
        tokio::select! {
            told = notifier.finish() => told.iter().for_each(|words| tell(words)),
            signal = signals.next() => tell(&format!("{signal} again: what is not told yet is not told")),
        }
    }
    Ok(summary)
}

/// Tells people, if the environment says whom. That nobody can be told is no reason not to look.
fn notifier(environment: &Arc<Environment>, threads: &Threads) -> Option<Notifier> {
    let watched = [(environment.name.clone(), Arc::clone(environment))];
    Notifier::start(&watched, Sending::Real, &threads.labs()).unwrap_or_else(|error| {
        tell(&format!(
            "warning: nobody can be told: {}",
            with_causes(&error)
        ));
        None
    })
}

/// Opens what is to be watched: what is there before, a lab of its own, or a service somewhere else.
async fn open(
    arguments: &WatchArguments,
    environment: &Arc<Environment>,
    threads: &Threads,
) -> Result<(Plan, Site), WatchError> {
    let labs = threads.labs();
    let token_file = attached::token_file(arguments.lab.as_deref().map(Path::new));
    let attached = provider::attach(environment, token_file.as_deref())
        .await
        .map_err(|error| WatchError::Find(with_causes(&error)))?;
    let speed = match (&attached.description, &environment.stack) {
        (Some(lab), _) => Some(lab.speed),
        (None, Some(_)) => arguments.speed,
        (None, None) => Some(1.0),
    };
    let plan = plan::watching(Arc::clone(environment), speed)?;
    let (speed, seed) = (plan.speed, fastrand::u64(..));
    let site = Site::open_beside(attached, Arc::clone(environment), speed, seed, &labs).await?;
    Ok((plan, site))
}
