//! Showing a run while it goes on. The only module that knows the progress library; it reads events and tells nobody anything.

use std::io::Write;

use tokio::time::Instant;

use crate::{report::Style, timeline::Entry};

/// How a run is shown while it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Display {
    /// Strips that are redrawn in place and erased at the end. For terminals.
    Strips,
    /// A line for everything that happens, and one at least every ten seconds. For logs.
    Lines,
    /// Only what went wrong.
    Quiet,
}

impl Display {
    /// Chooses: strips only on a terminal that is not dumb and not a CI server's log. `variable` reads the process environment.
    pub fn choose(
        quiet: bool,
        is_terminal: bool,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let ci = variable("CI").is_some_and(|value| !value.is_empty() && value != "false");
        let dumb = variable("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        match (quiet, is_terminal && !ci && !dumb) {
            (true, _) => Self::Quiet,
            (false, true) => Self::Strips,
            (false, false) => Self::Lines,
        }
    }
}

/// The live display of one or more drills that run at once.
///
/// Errors of its output are ignored: a broken pipe must not stop a drill that has a fault in place.
#[expect(missing_debug_implementations, reason = "signatures first")]
pub struct Live {
    _output: Box<dyn Write + Send>,
}

impl Live {
    /// Begins a display. Lines go to `output`; strips go to the terminal behind stderr, and if that turns out not to be one,
    /// lines are written instead. `at_once` is how many drills may run at the same time: their lines carry their names then.
    pub fn new(
        _display: Display,
        _style: Style,
        _at_once: usize,
        output: Box<dyn Write + Send>,
    ) -> Self {
        Self { _output: output }
    }

    /// Takes note of an event of a drill.
    pub fn event(&mut self, _drill: &str, _entry: &Entry) {}

    /// Lets the display know that time goes by. To be called about once a second of real time.
    pub fn tick(&mut self, _now: Instant) {}

    /// Shows a line of the caller's above everything that is redrawn, also in quiet mode.
    pub fn error(&mut self, _text: &str) {}

    /// Ends the display and erases what is redrawn.
    pub fn finish(&mut self) {}
}
