//! Outages: of which kind, how long, and when they really were.

use std::time::Duration;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// How a service fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// Nobody listens.
    Refused,
    /// It answers 503.
    Unavailable,
    /// It accepts and never answers.
    Silent,
    /// It answers after 1.2 s.
    Slow,
    /// The process is frozen; when it thaws it answers what has waited.
    Frozen,
    /// 503 with a short time of health inside.
    Flapping,
    /// A packet filter drops what comes.
    Dropped,
}

/// A change of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Break,
    Heal,
}

/// What is to be done, each so long after the step before.
pub(crate) type Plan = Vec<(Duration, Change)>;

/// A time between two others, in seconds since the start of the run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Within {
    pub(crate) lo: f64,
    pub(crate) hi: f64,
}

/// When an outage really was, by the stamps of the server itself.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Truth {
    /// When it began.
    pub(crate) down: Within,
    /// When it was over.
    pub(crate) up: Within,
}

impl Kind {
    /// The kind in the words of a table.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Unavailable => "503",
            Self::Silent => "accepts, never answers",
            Self::Slow => "answers after 1.2 s",
            Self::Frozen => "frozen, then answers late",
            Self::Flapping => "503, flapping",
            Self::Dropped => "packets dropped",
        }
    }

    /// An outage of random length.
    pub(crate) fn plan(self, random: &mut fastrand::Rng) -> Plan {
        let mut between = |lo: f64, hi: f64| Duration::from_secs_f64(lo + random.f64() * (hi - lo));
        let now = (Duration::ZERO, Change::Break);
        match self {
            // Frozen for less than `good-within` is no outage, by definition.
            Self::Frozen => vec![now, (between(1.0, 1.6), Change::Heal)],
            Self::Flapping => vec![
                now,
                (between(0.25, 0.6), Change::Heal),
                (between(0.06, 0.15), Change::Break),
                (between(0.25, 0.8), Change::Heal),
            ],
            Self::Refused | Self::Unavailable | Self::Silent | Self::Slow | Self::Dropped => {
                vec![now, (between(0.2, 1.6), Change::Heal)]
            }
        }
    }
}

impl Within {
    /// Whether both can be true.
    pub(crate) fn agrees(self, other: Self) -> bool {
        self.lo <= other.hi && other.lo <= self.hi
    }

    pub(crate) fn middle(self) -> f64 {
        f64::midpoint(self.lo, self.hi)
    }

    pub(crate) fn width(self) -> f64 {
        self.hi - self.lo
    }

    /// The duration from another time to this one.
    pub(crate) fn since(self, start: Self) -> Self {
        Self {
            lo: (self.lo - start.hi).max(0.0),
            hi: (self.hi - start.lo).max(0.0),
        }
    }
}

impl Truth {
    /// How long it really was.
    pub(crate) fn length(self) -> Within {
        self.up.since(self.down)
    }
}
