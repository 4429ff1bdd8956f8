//! Watching a service without breaking anything: what was seen, and whether it is good enough. Pure.
//!
//! [`Seen`] takes the events of a watch one by one and becomes a [`Summary`]; an [`Objective`] is held against that.

mod objective;
mod seen;
mod text;

pub use objective::{Held, Limit, Objective, WrongObjective, parse};
pub use seen::{Latency, Outages, ProbeSummary, Seen, Summary};
pub use text::render;
