//! Looking without breaking: the probes and observers of an environment, and nothing else.

use std::time::Duration;

use tokio::{sync::mpsc, time::sleep_until};
use tokio_util::sync::CancellationToken;

use super::{
    Clock, Options, RunError, Stop,
    engine::first_panic,
    looking::{start_looking, started},
};
use crate::{
    plan::Plan,
    provider::site::Site,
    timeline::{Entry, Event, Outcome, Phase},
};

/// Watches for so long in the architecture's time, or until told to stop. Touches no target and writes no file; every event is told, from
/// the beginning of the run to its end, without secrets.
///
/// # Errors
/// If the service cannot be looked at.
pub async fn watch(
    plan: &Plan,
    site: &Site,
    options: &Options,
    span: Option<Duration>,
    mut stop: Stop,
    on_event: &mut (dyn FnMut(&Entry) + Send),
) -> Result<(), RunError> {
    let clock = Clock::start(plan.speed);
    let secrets = plan.secrets();
    let mut tell = |event| {
        let at = clock.now();
        on_event(&Entry { at, event }.without(&secrets));
    };
    let wall_started = jiff::Timestamp::now();
    let cancel = CancellationToken::new();
    let (sender, mut events) = mpsc::unbounded_channel();
    let mut random = fastrand::Rng::with_seed(options.seed);
    let started = started(plan, options);
    let mut tasks = start_looking(plan, site, options, clock, &mut random, &sender, &cancel)
        .inspect_err(|_| cancel.cancel())?;
    drop(sender);
    tell(Event::Run(Box::new(started)));
    let until = async {
        match span {
            Some(span) => sleep_until(clock.instant(span)).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(until);
    let blind = |reason: String| Outcome::CouldNotRun {
        phase: Phase::SteadyState,
        reason,
    };
    let outcome = loop {
        tokio::select! {
            biased;
            // Whoever watches stops when they have seen enough: that is how it ends.
            _ = stop.wait() => break Outcome::Completed,
            () = &mut until => break Outcome::Completed,
            panic = first_panic(&mut tasks) => break blind(format!("a probe or an observer ended in a panic: {panic}")),
            event = events.recv() => match event {
                Some(event) => tell(event),
                None => break blind("every probe has ended".to_owned()),
            },
        }
    };
    cancel.cancel();
    while let Some(event) = events.recv().await {
        tell(event);
    }
    let wall = jiff::Timestamp::now().duration_since(wall_started);
    let drift = (wall.as_secs_f64() - clock.real_elapsed().as_secs_f64()).abs();
    tell(Event::Ended {
        outcome,
        clock_drift_ms: drift * 1e3,
    });
    Ok(())
}
