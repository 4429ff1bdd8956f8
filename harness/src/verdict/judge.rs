//! Takes the events of a run and keeps what the judgement needs.

use super::Judgement;
use crate::{drill::Drill, environment::Environment, timeline::Entry};

/// Judges a run. Takes the events one by one, so that a run of any length needs the same memory.
#[derive(Debug)]
pub struct Judge<'a> {
    drill: &'a Drill,
    environment: &'a Environment,
}

impl<'a> Judge<'a> {
    /// Starts to judge a run of this drill on this environment.
    pub fn new(drill: &'a Drill, environment: &'a Environment) -> Self {
        Self { drill, environment }
    }

    /// Takes the next event.
    pub fn push(&mut self, entry: &Entry) {
        let _ = (self.drill, self.environment, entry);
    }

    /// Judges what was taken.
    pub fn finish(self) -> Judgement {
        todo!()
    }
}
