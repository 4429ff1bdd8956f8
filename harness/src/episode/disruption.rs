//! From stretches to disruptions: each lasts from the first failure until the service is served in a stable way again.

use std::time::Duration;

use super::{
    course::{Edge, Stretch},
    span::Span,
};

/// What makes a run of good samples stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stability {
    /// At least so many samples.
    pub(crate) samples: u64,
    /// At least so long from the first to the last of them.
    pub(crate) time: Duration,
}

impl Stability {
    /// Five samples and the longer of five seconds and ten intervals.
    pub(crate) fn of(every: Duration) -> Self {
        Self {
            samples: 5,
            time: Duration::from_secs(5).max(every.saturating_mul(10)),
        }
    }

    /// Whether a run is long enough.
    pub(crate) fn holds(self, first: Duration, last: Duration, samples: u64) -> bool {
        samples >= self.samples && last.saturating_sub(first) >= self.time
    }
}

/// A time in which users were not served in a stable way.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Disruption {
    /// The first change from good to bad.
    pub(crate) impact: Edge,
    /// When the first failure was sent.
    pub(crate) first: Duration,
    /// The first change back.
    pub(crate) first_success: Option<Rise>,
    /// The change back after which it stayed good.
    pub(crate) recovered: Option<Rise>,
    /// The change back that had not yet lasted long enough when the record ended.
    pub(crate) unconfirmed: Option<Rise>,
    /// When the last failure of it was sent.
    pub(crate) last: Duration,
    /// When each time down began: the first is the impact, each other one a flap.
    pub(crate) downs: Vec<Duration>,
    /// Failed samples.
    pub(crate) bad: u64,
}

/// A change from bad to good.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rise {
    /// When.
    pub(crate) edge: Edge,
    /// When the first good sample was sent.
    pub(crate) first: Duration,
}

/// Finds the disruptions, in order.
pub(crate) fn disruptions(stretches: &[Stretch], stability: Stability) -> Vec<Disruption> {
    let mut found: Vec<Disruption> = Vec::new();
    let mut open = false;
    let mut rest = stretches;
    while let Some((stretch, after)) = rest.split_first() {
        if stretch.is_good() {
            let length = rest.iter().take_while(|next| next.is_good()).count();
            let (run, after) = rest.split_at(length);
            if open && let Some(disruption) = found.last_mut() {
                open = !rise(disruption, run, after.is_empty(), stability);
            }
            rest = after;
            continue;
        }
        if !open {
            found.push(Disruption {
                impact: stretch.from,
                first: stretch.first,
                first_success: None,
                recovered: None,
                unconfirmed: None,
                last: stretch.last,
                downs: Vec::new(),
                bad: 0,
            });
            open = true;
        }
        if let Some(disruption) = found.last_mut() {
            disruption.downs.push(stretch.first);
            disruption.last = stretch.last;
            disruption.bad += stretch.bad;
        }
        rest = after;
    }
    found
}

/// Takes a run of good stretches into a disruption. Yields whether it ends it.
fn rise(
    disruption: &mut Disruption,
    run: &[Stretch],
    at_the_end: bool,
    stability: Stability,
) -> bool {
    let (Some(first), Some(last)) = (run.first(), run.last()) else {
        return false;
    };
    let rise = Rise {
        edge: first.from,
        first: first.first,
    };
    disruption.first_success.get_or_insert(rise);
    let samples = run.iter().map(|stretch| stretch.samples).sum();
    if stability.holds(first.first, last.last, samples) {
        disruption.recovered = Some(rise);
        return true;
    }
    if at_the_end {
        disruption.unconfirmed = Some(rise);
    }
    false
}

impl Disruption {
    /// When users were served again, if that was before a revert that would explain it; open above if it was not.
    ///
    /// Who is still down when the revert comes had not recovered until then, and neither when the last failure after it was sent: a
    /// revert does not break anything that works.
    pub(crate) fn recovered_before(&self, revert: Option<Duration>) -> Span {
        self.censored(self.recovered, revert)
    }

    /// When the first good answer came, if that was before the revert; open above if not.
    pub(crate) fn answered_before(&self, revert: Option<Duration>) -> Span {
        self.censored(self.first_success, revert)
    }

    fn censored(&self, rise: Option<Rise>, revert: Option<Duration>) -> Span {
        match rise {
            Some(rise) if revert.is_none_or(|revert| rise.first < revert) => rise.edge.span,
            Some(rise) => Span::after(rise.edge.span.lo),
            None => Span::after(self.unconfirmed.map_or(self.last, |rise| rise.edge.span.lo)),
        }
    }
}
