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
                copy.due.lo = copy.due.lo.max(due.lo);
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

    /// How long past its TTL the answer that was there before was still served, given when the authority changed its answer and how
    /// long after that a copy fetched before may be seen for the first time. What comes after `until`, when the old answer may be
    /// right again, does not count. `None` if there is no such answer.
    pub(crate) fn overdue(
        &self,
        switched: Span,
        every: Duration,
        full: Option<Duration>,
        until: Option<Duration>,
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
            .rfind(|copy| copy.state == old.state && until.is_none_or(|until| copy.first <= until))
            .map_or(honest.last, |copy| copy.last);
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
