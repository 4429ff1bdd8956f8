//! How long a resolver's answers promise to live, and whether one was served for longer.
//!
//! The TTL in a resolver's answers counts down: an answer with TTL r seen at s comes from a copy that is due at s + r, give or take
//! the second to which a TTL is rounded. A due time that jumps ahead means a new copy. A copy fetched after the authority changed
//! its answer cannot be the old one, so an old answer after the due time of the last honest copy is stale.

use std::{collections::VecDeque, time::Duration};

use super::{course::State, span::Span};

/// TTLs are whole seconds.
const QUANTUM: Duration = Duration::from_secs(1);

/// Copies kept: the change at the authority is known within a few samples, so that the copy it concerns is among the newest.
const KEPT: usize = 64;

/// One copy of an answer in a resolver's cache.
#[derive(Debug, Clone)]
struct Copy {
    state: State,
    first: Duration,
    last: Span,
    due: Span,
}

/// The copies that a resolver answered from, the newest last.
#[derive(Debug, Default)]
pub(crate) struct Lifetimes {
    copies: VecDeque<Copy>,
}

/// An old answer that lived on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Overdue {
    /// When the last old answer came.
    pub(crate) last: Duration,
    /// How long past its TTL that was.
    pub(crate) by: Span,
}

impl Lifetimes {
    /// Takes an answer.
    pub(super) fn take(&mut self, state: &State, start: Duration, end: Duration, ttl: u32) {
        let ttl = Duration::from_secs(u64::from(ttl));
        let due = Span::between(
            start.saturating_add(ttl),
            end.saturating_add(ttl).saturating_add(QUANTUM),
        );
        let seen = Span::between(start, end);
        let full = self.copies.len() >= KEPT;
        if let Some(copy) = self.copies.back_mut()
            && copy.state == *state
        {
            let same = copy
                .due
                .hi
                .is_none_or(|hi| due.lo <= hi.saturating_add(QUANTUM));
            if same {
                // Each look narrows the due time down. What lies past it is no news: a TTL that stays at zero does not extend it.
                let lo = copy.due.lo.max(due.lo);
                copy.due.lo = copy.due.hi.map_or(lo, |hi| lo.min(hi));
                copy.due.hi = copy.due.hi.min(due.hi).max(Some(copy.due.lo));
                copy.last = seen;
                return;
            }
            if full {
                // Better to miss that one was stale than to call an honest copy stale.
                copy.due = due;
                copy.last = seen;
                return;
            }
        }
        if full {
            self.copies.pop_front();
        }
        self.copies.push_back(Copy {
            state: state.clone(),
            first: start,
            last: seen,
            due,
        });
    }

    /// Forgets what can no longer matter, because nothing has been broken yet.
    pub(super) fn forget(&mut self) {
        let spare = self.copies.len().saturating_sub(2);
        self.copies.drain(..spare);
    }

    /// How long past its TTL the answer that was there before was still served, given when the authority changed its answer. A copy
    /// fetched before that may be seen two intervals later for the first time. What is seen from `until` on no longer counts, for
    /// then the old answer may be the right one again. `None` if there is no old answer.
    pub(crate) fn overdue(
        &self,
        switched: Span,
        until: Duration,
        every: Duration,
        full: Option<Duration>,
    ) -> Option<Overdue> {
        let hi = switched.hi?;
        let latest = hi.saturating_add(every.saturating_mul(2));
        let honest = self.copies.iter().rfind(|copy| copy.first <= latest)?;
        // The copy in force at the change may be one of the new answer, if the resolver asked at once.
        let old = self
            .copies
            .iter()
            .rfind(|copy| copy.first <= switched.lo)
            .unwrap_or(honest);
        let honest = if honest.state == old.state {
            honest
        } else {
            old
        };
        let last = self
            .copies
            .iter()
            .rfind(|copy| copy.state == old.state && copy.first < until)
            .map_or(honest.last, |copy| copy.last);
        let last = Span {
            lo: last.lo.min(until),
            hi: last.hi.min(Some(until)),
        };
        let mut due = honest.due;
        if let Some(full) = full {
            // No copy of the old answer can be due later than a full TTL after the change.
            let end = hi.saturating_add(full).saturating_add(QUANTUM);
            due.hi = due.hi.min(Some(end));
            due.lo = due.lo.min(end);
        }
        Some(Overdue {
            last: last.lo,
            by: last.since(due),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// A resolver asked every second that fetches its copies at these times, serves each for its TTL of 20 s, and has the new answer
    /// from `moved` on.
    fn resolver(fetches: &[u64], moved: u64) -> Lifetimes {
        let mut lifetimes = Lifetimes::default();
        for now in 0..100 {
            let fetched = fetches.iter().rfind(|fetch| **fetch <= now).unwrap();
            let left = u32::try_from((fetched + 20).saturating_sub(now)).unwrap();
            let tier = if now < moved { "primary" } else { "vm" };
            let state = State::Tier(tier.to_owned());
            lifetimes.take(&state, s(now), s(now) + Duration::from_millis(5), left);
        }
        lifetimes
    }

    fn overdue(lifetimes: &Lifetimes) -> Span {
        let switched = Span::between(s(34), s(35));
        let found = lifetimes.overdue(switched, s(100), s(1), Some(s(20)));
        found.unwrap().by
    }

    #[test]
    fn a_resolver_that_drops_the_answer_in_time_is_not_overdue() {
        let lifetimes = resolver(&[0, 20, 40, 60, 80], 40);
        assert_eq!(overdue(&lifetimes), Span::ZERO);
    }

    #[test]
    fn a_resolver_that_lives_on_what_it_has_is_overdue_from_the_due_time_on() {
        // The copy of 20 is due at 40; its TTL stays at zero until 55.
        let lifetimes = resolver(&[0, 20, 55, 75], 55);
        let by = overdue(&lifetimes);
        assert!(by.lo >= s(12) && by.hi.unwrap() <= s(15), "{by:?}");
    }

    #[test]
    fn a_stale_answer_with_a_fresh_ttl_is_no_new_copy() {
        // Asked again at 40, it cannot have got the old answer from an authority that switched by 35.
        let lifetimes = resolver(&[0, 20, 40, 60, 80], 58);
        let by = overdue(&lifetimes);
        assert!(by.lo >= s(15) && by.hi.unwrap() <= s(18), "{by:?}");
    }

    #[test]
    fn the_old_answer_may_return_after_the_revert() {
        let mut lifetimes = resolver(&[0, 20, 40, 60, 80], 40);
        let state = State::Tier("primary".to_owned());
        lifetimes.take(&state, s(101), s(101), 20);
        assert_eq!(overdue(&lifetimes), Span::ZERO);
    }

    #[test]
    fn memory_does_not_grow_with_the_number_of_copies() {
        let fetches: Vec<u64> = (0..100).collect();
        assert!(resolver(&fetches, 100).copies.len() <= KEPT);
    }
}
