//! A drill as a page shows it.

use std::time::Duration;

use serde::Serialize;

use super::{Watch, stands_for_users_in};
use crate::live::probe::{ProbeWatch, Sight};

/// Everything that a page shows of a drill. Times are in seconds of the architecture; texts are harmless, and still from outside.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(in crate::live) struct Picture {
    drill: String,
    environment: String,
    speed: f64,
    phase: String,
    phase_for_s: f64,
    /// Since the first fault; null before it.
    since_fault_s: Option<f64>,
    /// When users had recovered, since the first fault; null while they have not.
    recovered_s: Option<f64>,
    /// Whether users are or were without service since the fault.
    disturbed: bool,
    asked: Option<Asked>,
    probes: Vec<Strip>,
    tiers: Vec<String>,
    /// What came of it; null while it goes on.
    came: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Asked {
    text: String,
    left_s: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Strip {
    probe: String,
    users: bool,
    /// A letter for each column, as in a report.
    cells: String,
    down: bool,
    state: String,
}

impl Watch {
    /// The drill as a page shows it.
    pub(in crate::live) fn picture(&self) -> Picture {
        let since = |at: Duration, from: Duration| at.saturating_sub(from).as_secs_f64();
        let recovered = self.recovered.zip(self.fault);
        Picture {
            drill: self.name.clone(),
            environment: self.environment.clone(),
            speed: self.speed,
            phase: self.phase_word(),
            phase_for_s: since(self.now, self.phase_since),
            since_fault_s: self.fault.map(|fault| since(self.now, fault)),
            recovered_s: recovered
                .filter(|(recovered, fault)| recovered > fault)
                .map(|(recovered, fault)| since(recovered, fault)),
            disturbed: self.disturbed,
            asked: self.asked.as_ref().map(|(text, until)| Asked {
                text: text.clone(),
                left_s: since(*until, self.now),
            }),
            probes: self.probes.iter().map(|probe| self.strip(probe)).collect(),
            tiers: self.tiers.names().map(str::to_owned).collect(),
            came: self.came.clone(),
        }
    }

    fn strip(&self, probe: &ProbeWatch) -> Strip {
        Strip {
            probe: probe.name.clone(),
            users: stands_for_users_in(probe),
            cells: probe.cells.iter().map(|cell| cell.letter()).collect(),
            down: probe.sight == Some(Sight::Down),
            state: probe.state(self.now),
        }
    }
}
