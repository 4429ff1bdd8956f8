//! The run's clock: the architecture's time since the start of the run.

use std::time::Duration;

use tokio::time::Instant;

/// Turns instants into times of the architecture since the start of the run.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started: Instant,
    speed: f64,
}

impl Clock {
    /// Starts at zero, now.
    pub fn start(speed: f64) -> Self {
        Self {
            started: Instant::now(),
            speed,
        }
    }

    /// The architecture's time at an instant; zero for one before the start.
    pub fn at(&self, instant: Instant) -> Duration {
        instant
            .saturating_duration_since(self.started)
            .mul_f64(self.speed)
    }

    /// The architecture's time now.
    pub fn now(&self) -> Duration {
        self.at(Instant::now())
    }

    /// The instant at which the architecture's clock shows `time`.
    pub fn instant(&self, time: Duration) -> Instant {
        self.started + time.div_f64(self.speed)
    }

    /// How long the run has taken on the wall's clock.
    pub fn real_elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}
