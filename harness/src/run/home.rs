//! How the system looked while all was well, to know when it does again.

use std::{collections::BTreeMap, time::Duration};

use crate::timeline::{Event, SampleVerdict};

/// What the name servers answer and what the system thinks of itself, as last seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct View {
    /// The tier in the last good answer of each DNS probe.
    answers: BTreeMap<String, Option<String>>,
    /// The last reading of each observer.
    healthy: BTreeMap<String, Option<bool>>,
}

impl View {
    pub(super) fn see(&mut self, event: &Event) {
        match event {
            // A good sample without a status is the answer of a name server.
            Event::Sample(sample)
                if sample.verdict == SampleVerdict::Good && sample.status.is_none() =>
            {
                self.answers
                    .insert(sample.probe.clone(), sample.tier.clone());
            }
            Event::Observed {
                observer, healthy, ..
            } => {
                self.healthy.insert(observer.clone(), *healthy);
            }
            Event::Sample(_)
            | Event::Run(_)
            | Event::Phase { .. }
            | Event::Preflight(_)
            | Event::Fault { .. }
            | Event::Ledger { .. }
            | Event::Operator { .. }
            | Event::Note { .. }
            | Event::Interrupted { .. }
            | Event::Aborted { .. }
            | Event::Ended { .. } => {}
        }
    }
}

/// Since when everything has looked again as it did before the first fault.
#[derive(Debug)]
pub(super) struct Return {
    before: View,
    since: Option<Duration>,
}

impl Return {
    /// Compares with a view of the system while all was well.
    pub(super) fn to(before: View) -> Self {
        Self {
            before,
            since: None,
        }
    }

    /// Takes note of the present view. Yields since when it has been as before: a health check that has not noticed yet, or a name
    /// server that has not been told, would still send users elsewhere after they have seemed to be at home.
    pub(super) fn since(&mut self, view: &View, now: Duration) -> Option<Duration> {
        if *view == self.before {
            self.since.get_or_insert(now);
        } else {
            self.since = None;
        }
        self.since
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observed(healthy: bool) -> Event {
        Event::Observed {
            observer: "health-check".into(),
            healthy: Some(healthy),
            detail: None,
            before: None,
        }
    }

    #[test]
    fn a_system_is_back_since_all_of_it_last_became_as_before() {
        let mut view = View::default();
        view.see(&observed(true));
        let mut home = Return::to(view.clone());
        assert_eq!(
            home.since(&view, Duration::from_secs(1)),
            Some(Duration::from_secs(1))
        );
        assert_eq!(
            home.since(&view, Duration::from_secs(2)),
            Some(Duration::from_secs(1))
        );
        view.see(&observed(false));
        assert_eq!(home.since(&view, Duration::from_secs(3)), None);
        view.see(&observed(true));
        assert_eq!(
            home.since(&view, Duration::from_secs(4)),
            Some(Duration::from_secs(4))
        );
    }
}
