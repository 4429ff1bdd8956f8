//! What one probe of a running drill last saw, and its strip.

use std::time::Duration;

use crate::{
    environment::Connection,
    report::{
        Style,
        hostile::harmless,
        strips::{Cell, Tiers, draw},
    },
    timeline::{ErrorClass, ProbeKind, ProbeStarted, Sample, SampleVerdict},
};

/// The columns of a strip.
pub(super) const COLUMNS: usize = 40;

/// A probe of a drill.
#[derive(Debug)]
pub(super) struct ProbeWatch {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) every: Duration,
    pub(super) sight: Option<Sight>,
    pub(super) since: Duration,
    /// The class of the last failure.
    pub(super) class: Option<ErrorClass>,
    pub(super) ttl: Option<u32>,
    /// Samples that saw the same, up to the last.
    pub(super) samples: u32,
    pub(super) changes: u32,
    pub(super) cells: Vec<Cell>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The probe that stands for users who come now.
    Users,
    Http,
    Dns,
}

/// What a probe sees. All failures are alike here: their class may change from one sample to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sight {
    Tier(String),
    Other(String),
    Down,
}

impl ProbeWatch {
    pub(super) fn new(probe: &ProbeStarted) -> Self {
        Self {
            name: harmless(&probe.name).into_owned(),
            role: match probe.kind {
                ProbeKind::Http { .. } => Role::Http,
                ProbeKind::Dns { .. } => Role::Dns,
            },
            every: probe.every,
            sight: None,
            since: Duration::ZERO,
            class: None,
            ttl: None,
            samples: 0,
            changes: 0,
            cells: Vec::new(),
        }
    }

    /// Draws into the strip: the worst of each column's time, and what was seen before where nothing was seen.
    pub(super) fn mark(&mut self, column: usize, cell: Cell) {
        let before = self.cells.last().copied().unwrap_or(Cell::Nothing);
        while self.cells.len() < column {
            self.cells.push(before);
        }
        match self.cells.get_mut(column) {
            Some(shown) => *shown = (*shown).max(cell),
            None => self.cells.push(cell),
        }
    }

    pub(super) fn state(&self, now: Duration) -> String {
        match &self.sight {
            None => "nothing yet".to_owned(),
            Some(Sight::Down) => format!("down {}", seconds(now.saturating_sub(self.since))),
            Some(sight) => sight.name(),
        }
    }
}

impl Sight {
    pub(super) fn name(&self) -> String {
        match self {
            Self::Tier(name) | Self::Other(name) => harmless(name).into_owned(),
            Self::Down => "down".to_owned(),
        }
    }
}

pub(super) fn stands_for_users(kind: &ProbeKind) -> bool {
    match kind {
        ProbeKind::Http {
            request,
            connection: Connection::New,
            standby: None,
            ..
        } => request == "read",
        ProbeKind::Http { .. } | ProbeKind::Dns { .. } => false,
    }
}

pub(super) fn sight(sample: &Sample) -> Option<Sight> {
    match (sample.verdict, &sample.tier) {
        (SampleVerdict::Good, Some(tier)) => Some(Sight::Tier(tier.clone())),
        (SampleVerdict::Good, None) if sample.answers.is_empty() => {
            Some(Sight::Other("an unknown answer".to_owned()))
        }
        (SampleVerdict::Good, None) => Some(Sight::Other(sample.answers.join(" "))),
        (SampleVerdict::Bad(_), _) => Some(Sight::Down),
        (SampleVerdict::Void(_), _) => None,
    }
}

pub(super) fn cell(sight: &Sight, verdict: SampleVerdict, tiers: &Tiers) -> Cell {
    match (sight, verdict) {
        (Sight::Tier(tier), _) => Cell::Tier(tiers.rank(tier)),
        (Sight::Other(_), _) => Cell::Wrong,
        (Sight::Down, SampleVerdict::Bad(ErrorClass::TooSlow | ErrorClass::UnknownTier)) => {
            Cell::Wrong
        }
        (Sight::Down, _) => Cell::Down,
    }
}

pub(super) fn strip(cells: &[Cell], style: &Style) -> String {
    let shown = &cells[..cells.len().min(COLUMNS)];
    format!(
        "{}{}",
        draw(shown, style),
        " ".repeat(COLUMNS - shown.len())
    )
}

pub(super) fn column(at: Duration, slice: Duration) -> usize {
    usize::try_from(at.as_micros() / slice.as_micros().max(1)).unwrap_or(usize::MAX)
}

pub(super) fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}
