//! Waiting for the service: until it is steady before anything is broken, and until everything is as it was afterwards.

use tokio::time::{Instant, sleep_until};

use super::{
    engine::{Engine, Halt, PULSE_EVERY},
    home::Return,
    looking::Looking,
    recorder::Recorder,
    steady_state::SteadyState,
};
use crate::timeline::Event;

/// How many windows a service has to be steady in one of them.
const STEADY_WINDOWS: u32 = 3;

impl Engine<'_> {
    /// Watches until the service has been good for a whole window. A service that fails begins the window anew, and one that is
    /// good in none of three is not steady: a drill on a sick system proves nothing.
    pub(super) async fn watch_steady_state(&mut self, looking: &mut Looking) -> Result<(), Halt> {
        let mut steady = SteadyState::new(self.plan);
        for window in 1..=STEADY_WINDOWS {
            steady.begin_anew();
            self.watch_window(looking, &mut steady).await?;
            let (dead, problems) = (steady.dead_tiers(), steady.problems());
            if !dead.is_empty() {
                let words = [dead, problems].concat().join("; ");
                return Err(Halt::Trouble(format!(
                    "steady state not met: {words}; nothing was injected"
                )));
            }
            let problems = problems.join("; ");
            if problems.is_empty() {
                return Ok(());
            }
            if window == STEADY_WINDOWS {
                let words = format!(
                    "steady state not met in {STEADY_WINDOWS} attempts: {problems}; nothing was injected"
                );
                return Err(Halt::Trouble(words));
            }
            self.recorder.record(Event::Note {
                text: format!("not steady yet: {problems}"),
            });
        }
        Ok(())
    }

    /// Watches for the length of the steady state and a random while longer, and until there is enough to decide by.
    async fn watch_window(
        &mut self,
        looking: &mut Looking,
        steady: &mut SteadyState<'_>,
    ) -> Result<(), Halt> {
        let watch_until = self
            .clock
            .instant(self.clock.now() + self.plan.limits.steady_state + self.phase);
        // Void samples and slow observers may need longer, an ill service does not become well by waiting.
        let give_up = watch_until + self.plan.real(self.plan.limits.steady_state);
        loop {
            let now = Instant::now();
            if (now >= watch_until && steady.is_decided()) || now >= give_up {
                return Ok(());
            }
            let wake = if now < watch_until {
                watch_until
            } else {
                give_up
            };
            self.recorder.pulse().beat();
            tokio::select! {
                biased;
                signal = self.stop.wait() => return Err(Halt::Stopped(signal)),
                () = sleep_until(wake.min(now + PULSE_EVERY)) => {}
                event = looking.events.recv() => match event {
                    Some(event) => {
                        steady.see(&event);
                        self.recorder.record(event);
                    }
                    None => return Err(Halt::Trouble("every probe has ended before the drill".to_owned())),
                },
            }
        }
    }

    /// Waits until everything is as it was before the drill, for name servers and observers, then for users and the standbys, and
    /// no longer than the drill allows: a drill that ends while a standby still boots, or while a late failover is on its way, would
    /// leave the system worse than it found it, and judge it better than it is.
    pub(super) async fn wait_for_failback(&mut self, looking: &mut Looking) -> Result<(), Halt> {
        let reverted = self.clock.now();
        let user = self.plan.user_probe().to_owned();
        let home = SteadyState::new(self.plan).served_by().to_owned();
        let standbys: Vec<_> = self
            .plan
            .standbys()
            .map(|(probe, tier)| (probe.to_owned(), tier.to_owned()))
            .collect();
        let (clock, mut home_again) = (self.clock, Return::to(self.before.clone()));
        let is_back = |recorder: &Recorder<'_>| {
            let Some(since) = home_again.since(recorder.view(), clock.now()) else {
                return false;
            };
            let since = since.max(reverted);
            let watch = |probe: &str| recorder.watch(probe);
            let users =
                watch(&user).is_some_and(|watch| watch.stable_since(since, Some(&home)).is_some());
            let standby = |probe: &str, tier: &str| {
                watch(probe).is_some_and(|watch| watch.stable_since(since, Some(tier)).is_some())
            };
            users && standbys.iter().all(|(probe, tier)| standby(probe, tier))
        };
        // Those who have not returned in time are the judge's business.
        self.wait(looking, reverted + self.plan.limits.failback, is_back)
            .await
            .map(drop)
    }
}
