//! Expectations about what was written: `rpo`.

use std::time::Duration;

use super::{Outcome, Scene};
use crate::{
    episode::span::Span,
    verdict::{
        CheckStatus,
        limit::{self, Quality},
        record::{Acknowledged, Ledger},
        words,
    },
};

/// How many lost writes are listed.
const LISTED: usize = 10;

pub(super) fn rpo(scene: Scene<'_>, within: Duration) -> Outcome {
    let Some(ledger) = &scene.record.ledger else {
        return Outcome::inconclusive("not measured", "the ledger of writes was not read back");
    };
    let Some(found) = &ledger.found else {
        let detail = ledger.detail.as_deref().unwrap_or("no reason known");
        let message = format!("the ledger of writes could not be read back: {detail}");
        return Outcome::inconclusive("not measured", message);
    };
    let balance = Balance::of(ledger, found);
    if balance.before_the_fault(scene.record.issued()) == 0 {
        let message = "no write was acknowledged before the fault, so none could be lost";
        return Outcome::inconclusive("not measured", message);
    }
    let actual = balance.words();
    let evidence = balance.lost.iter().take(LISTED).map(|write| {
        format!(
            "write {} was acknowledged {} and is not there",
            write.number,
            words::at(write.at)
        )
    });
    let Some(writes) = scene.record.ledger_probe() else {
        return Outcome::inconclusive("not measured", "the record has no samples of the writes");
    };
    let Some(age) = balance.age() else {
        return Outcome {
            value: Some(Span::ZERO),
            limit: Some(within),
            ..Outcome::pass(&actual, format!("{actual}: nothing acknowledged is gone"))
        };
    };
    let (status, message) = if within.is_zero() {
        (CheckStatus::Fail, format!("{} > 0s", words::span(age)))
    } else {
        limit::within(
            age,
            within,
            &Quality::of(&writes.watch, writes.watch.tally().held()),
        )
    };
    Outcome {
        value: Some(age),
        limit: Some(within),
        ..Outcome::new(status, &actual, format!("{actual}: {message}"))
    }
    .with_evidence(evidence)
}

/// What was acknowledged against what is there.
#[derive(Debug)]
struct Balance<'l> {
    /// In the order of their acknowledgement.
    acknowledged: Vec<&'l Acknowledged>,
    lost: Vec<&'l Acknowledged>,
    /// When writes were not taken.
    refused: &'l [Duration],
    /// Numbers that are there more than once, each time more.
    duplicated: usize,
    /// Numbers that stand behind a greater one.
    reordered: usize,
}

impl<'l> Balance<'l> {
    fn of(ledger: &'l Ledger, found: &[u64]) -> Self {
        let mut acknowledged: Vec<&Acknowledged> = ledger
            .acknowledged
            .iter()
            .filter(|write| write.at < ledger.before)
            .collect();
        acknowledged.sort_by_key(|write| write.at);
        let mut sorted = found.to_vec();
        sorted.sort_unstable();
        let lost = acknowledged
            .iter()
            .copied()
            .filter(|write| sorted.binary_search(&write.number).is_err())
            .collect();
        sorted.dedup();
        Self {
            acknowledged,
            lost,
            refused: &ledger.refused,
            duplicated: found.len() - sorted.len(),
            reordered: found.windows(2).filter(|pair| pair[0] > pair[1]).count(),
        }
    }

    fn before_the_fault(&self, issued: Option<Duration>) -> usize {
        let writes = self.acknowledged.iter();
        writes
            .filter(|write| issued.is_none_or(|issued| write.at < issued))
            .count()
    }

    /// How much time was lost: at least from the oldest lost write to the newest, at most from the newest write such that it and all
    /// before it are there, to whatever came after the newest lost one, be it taken or not.
    fn age(&self) -> Option<Span> {
        let (oldest, newest) = (self.lost.first()?, self.lost.last()?);
        let earlier = self
            .acknowledged
            .iter()
            .rev()
            .find(|write| write.at < oldest.at);
        let later = self.acknowledged.iter().find(|write| write.at > newest.at);
        let from = earlier.map_or(Duration::ZERO, |write| write.at);
        let refused = self.refused.iter().find(|at| **at > newest.at).copied();
        let next = [later.map(|write| write.at), refused];
        let until = next.into_iter().flatten().min().unwrap_or(newest.at);
        let certain = newest.at.saturating_sub(oldest.at);
        Some(Span::between(
            certain,
            until.saturating_sub(from).max(certain),
        ))
    }

    fn words(&self) -> String {
        format!(
            "{} of {} lost, {} duplicated, {} out of order",
            self.lost.len(),
            words::count(
                u64::try_from(self.acknowledged.len()).unwrap_or(u64::MAX),
                "acknowledged write"
            ),
            self.duplicated,
            self.reordered
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Write n is acknowledged in second n + 1.
    fn ledger(numbers: impl IntoIterator<Item = u64>) -> Ledger {
        Ledger {
            before: Duration::from_secs(100),
            found: None,
            detail: None,
            refused: Vec::new(),
            acknowledged: numbers
                .into_iter()
                .map(|number| Acknowledged {
                    number,
                    at: Duration::from_secs(number + 1),
                })
                .collect(),
        }
    }

    #[test]
    fn what_is_there_is_not_lost_however_often_and_in_whatever_order() {
        let ledger = ledger(0..4);
        let balance = Balance::of(&ledger, &[0, 2, 1, 3, 3, 7]);
        assert_eq!(balance.age(), None);
        assert_eq!(
            balance.words(),
            "0 of 4 acknowledged writes lost, 1 duplicated, 1 out of order"
        );
    }

    #[test]
    fn the_age_of_the_loss_lies_between_the_lost_and_their_neighbours() {
        let ledger = ledger([0, 1, 2, 3, 4, 20]);
        let balance = Balance::of(&ledger, &[0, 1, 20]);
        let numbers: Vec<u64> = balance.lost.iter().map(|write| write.number).collect();
        assert_eq!(numbers, [2, 3, 4]);
        let (two, nineteen) = (Duration::from_secs(2), Duration::from_secs(19));
        assert_eq!(balance.age(), Some(Span::between(two, nineteen)));
    }

    #[test]
    fn a_write_that_was_not_taken_bounds_the_loss() {
        let mut ledger = ledger([0, 1, 2, 90]);
        ledger.refused = vec![Duration::from_secs(5), Duration::from_mins(1)];
        let age = Balance::of(&ledger, &[0, 90]).age();
        let (one, four) = (Duration::from_secs(1), Duration::from_secs(4));
        assert_eq!(age, Some(Span::between(one, four)));
    }

    #[test]
    fn what_was_acknowledged_after_the_reading_began_is_not_expected_to_be_in_it() {
        let ledger = ledger([0, 99, 100]);
        let balance = Balance::of(&ledger, &[0]);
        assert_eq!(balance.acknowledged.len(), 1);
        assert!(balance.lost.is_empty());
    }
}
