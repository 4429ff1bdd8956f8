//! The text of drill and environment files: a tree with positions, and the problems found in it.
//!
//! - [`Problem`] and [`Problems`]: what is wrong, where, and how it is shown.
//! - `node` reads YAML into a tree in which every key and value knows its place; `variables` fills in `${NAME}`.
//! - `document` reads a file under limits, so that no file can exhaust the machine.
//! - `secrets` keeps what variables held out of everything that is shown or kept.
//! - `reader` takes a tree apart and reports everything that is wrong with it, not only the first thing.

mod document;
mod duration;
mod node;
mod problem;
mod reader;
mod secrets;
mod variables;

pub(crate) use document::{Document, Reading};
pub(crate) use node::{Key, Node, Place, Step, Value};
pub(crate) use problem::nearest;
pub(crate) use reader::{Context, Item, Mapping, one_of, report_duplicates, shown, unknown_key};

pub use problem::{Coloring, Problem, Problems, Severity};
pub use secrets::{FilledIn, Secrets};

/// A place in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Position {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
}

/// Looks up the value of a variable by its name, for `${NAME}` in files.
pub type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Reads a duration as files have it: `500ms`, `30s`, `4m`.
pub(crate) fn parse_duration(text: &str) -> Option<std::time::Duration> {
    duration::parse(text).ok()
}

/// Looks up a variable of the process environment. A value that is not UTF-8 counts as not set.
pub fn process_variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[cfg(test)]
mod tests;
