//! Showing a run while it goes on. The only module that knows the progress library; it reads events and tells nobody anything.
//!
//! - [`Live`] takes the events of one or more drills.
//! - `watch` keeps the little that is known of each drill, `probe` of each of its probes, and says which events are worth a line.
//! - `screen` draws strips in place.

mod probe;
pub mod room;
mod screen;
#[cfg(test)]
mod tests;
mod watch;

use std::{collections::BTreeMap, fmt, io::Write, time::Duration};

use indicatif::ProgressDrawTarget;
use tokio::time::Instant;

use self::{
    screen::Screen,
    watch::{Line, Watch},
};
use crate::{
    report::{
        Style,
        hostile::harmless,
        layout::{pad, width},
        style::Tone,
    },
    timeline::Entry,
};

/// Silence for so long, seen by a caller that ticks once a second, means a line at least every ten seconds.
const HEARTBEAT: Duration = Duration::from_secs(9);

/// How often strips are redrawn at most.
const REDRAWS_PER_SECOND: u8 = 10;

/// With more drills than this at once, each has a line instead of a block.
const FEW: usize = 3;

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
    ///
    /// `NO_COLOR` has no say: it is about colour, and strips are readable without.
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
pub struct Live {
    style: Style,
    /// Whether lines carry the name of their drill.
    named: bool,
    output: Output,
    /// The drills that run, by name.
    watches: BTreeMap<String, Watch>,
    /// The width of the longest name so far.
    name_columns: usize,
    /// Whether a line was written since the last tick.
    spoke: bool,
    /// The last tick that saw one.
    last_spoken: Option<Instant>,
    last_drawn: Option<Instant>,
    /// What can be typed, below what is redrawn.
    prompt: Option<String>,
}

enum Output {
    Strips(Screen),
    Lines(Box<dyn Write + Send>),
    Quiet(Box<dyn Write + Send>),
}

impl Live {
    /// Begins a display. Lines go to `output`; strips go to the terminal behind stderr, and if the progress library would not draw
    /// there, lines are written instead. `at_once` is how many drills may run at the same time: if more than one, their lines carry
    /// their names.
    pub fn new(
        display: Display,
        style: Style,
        at_once: usize,
        output: Box<dyn Write + Send>,
    ) -> Self {
        let output = match display {
            Display::Quiet => Output::Quiet(output),
            Display::Lines => Output::Lines(output),
            Display::Strips => {
                // Some versions hide themselves for reasons of their own, for example when NO_COLOR is set. Silence is not an option.
                let target = ProgressDrawTarget::stderr_with_hz(REDRAWS_PER_SECOND);
                if target.is_hidden() {
                    Output::Lines(output)
                } else {
                    Output::Strips(Screen::new(target))
                }
            }
        };
        Self::with_output(output, style, at_once)
    }

    fn with_output(output: Output, style: Style, at_once: usize) -> Self {
        Self {
            style,
            named: at_once > 1,
            output,
            watches: BTreeMap::new(),
            name_columns: 0,
            spoke: false,
            last_spoken: None,
            last_drawn: None,
            prompt: None,
        }
    }

    /// Takes note of an event of a drill. Events of one drill come in the order of its timeline.
    pub fn event(&mut self, drill: &str, entry: &Entry) {
        let watch = self
            .watches
            .entry(drill.to_owned())
            .or_insert_with(|| Watch::new(drill));
        let lines = watch.take(entry);
        let ended = watch.ended();
        for line in lines {
            self.write(drill, &line);
        }
        if ended {
            self.watches.remove(drill);
        }
        let due = self.last_drawn.is_none_or(|drawn| {
            drawn.elapsed() * u32::from(REDRAWS_PER_SECOND) >= Duration::from_secs(1)
        });
        if due || ended {
            self.draw();
        }
    }

    /// Lets the display know that time goes by. To be called about once a second of real time.
    pub fn tick(&mut self, now: Instant) {
        self.draw();
        let silent_since = *self.last_spoken.get_or_insert(now);
        if self.spoke {
            self.last_spoken = Some(now);
            self.spoke = false;
        } else if now.duration_since(silent_since) >= HEARTBEAT {
            self.heartbeat();
            self.last_spoken = Some(now);
            self.spoke = false;
        }
    }

    /// Shows a line of the caller's, above whatever is redrawn, also in quiet mode.
    pub fn error(&mut self, text: &str) {
        let text = harmless(text).into_owned();
        self.put(&text);
    }

    /// Shows what can be typed, or what is being typed: below whatever is redrawn, or as a line where nothing is.
    pub fn prompt(&mut self, text: &str) {
        let text = harmless(text).into_owned();
        match &self.output {
            Output::Strips(_) => {
                self.prompt = Some(text);
                self.draw();
            }
            Output::Lines(_) | Output::Quiet(_) => self.put(&text),
        }
    }

    /// Ends the display and erases what is redrawn.
    pub fn finish(&mut self) {
        match &mut self.output {
            Output::Strips(screen) => screen.clear(),
            Output::Lines(output) | Output::Quiet(output) => {
                output.flush().ok();
            }
        }
    }

    fn heartbeat(&mut self) {
        if !matches!(self.output, Output::Lines(_)) {
            return;
        }
        if self.watches.is_empty() {
            self.put("no drill is running");
        } else if self.watches.len() <= FEW {
            let waits: Vec<(String, Line)> = self
                .watches
                .iter()
                .map(|(name, watch)| (name.clone(), watch.wait()))
                .collect();
            for (name, line) in waits {
                self.write(&name, &line);
            }
        } else {
            let waits: Vec<String> = self.watches.values().map(Watch::in_short).collect();
            self.put(&format!(
                "{} drills are running: {}",
                waits.len(),
                waits.join(", ")
            ));
        }
    }

    /// Writes what happened, if this display shows it.
    fn write(&mut self, drill: &str, line: &Line) {
        let shown = match self.output {
            Output::Lines(_) => true,
            Output::Strips(_) | Output::Quiet(_) => line.trouble,
        };
        if !shown {
            return;
        }
        let mut name = String::new();
        if self.named {
            let drill = harmless(drill);
            self.name_columns = self.name_columns.max(width(&drill));
            name = format!("{}  ", pad(&drill, self.name_columns));
        }
        let word = self.style.paint(line.tone(), &pad(line.word, 8));
        let text = format!("{name}{} {word} {}", clock(line.at), line.text);
        self.put(&text);
    }

    /// Puts one line out. Whoever reads may be gone, and the run goes on without them.
    fn put(&mut self, text: &str) {
        match &mut self.output {
            Output::Strips(screen) => screen.line(text),
            Output::Lines(output) | Output::Quiet(output) => {
                // One write a line, so that lines of several writers are not mixed.
                output.write_all(format!("{text}\n").as_bytes()).ok();
                output.flush().ok();
            }
        }
        self.spoke = true;
    }

    fn draw(&mut self) {
        if let Output::Strips(screen) = &mut self.output {
            let mut lines = frame(&self.watches, &self.style);
            lines.extend(self.prompt.clone());
            screen.draw(&lines);
            self.last_drawn = Some(Instant::now());
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.finish();
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live")
            .field("style", &self.style)
            .field("watches", &self.watches)
            .finish_non_exhaustive()
    }
}

/// What is on the screen: a block per drill if they are few, a line per drill if they are many.
fn frame(watches: &BTreeMap<String, Watch>, style: &Style) -> Vec<String> {
    let few = watches.len() <= FEW;
    let names = watches.keys().map(|name| width(&harmless(name)));
    let name_columns = names.max().unwrap_or(0).min(30);
    watches
        .values()
        .flat_map(|watch| {
            if few {
                watch.block(style)
            } else {
                vec![watch.line(name_columns, style)]
            }
        })
        .collect()
}

/// A time since the start of a run, `00:05.204` or `1:02:03.004`.
fn clock(at: Duration) -> String {
    let (seconds, milliseconds) = (at.as_secs(), at.subsec_millis());
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}.{milliseconds:03}")
    } else {
        format!("{minutes:02}:{seconds:02}.{milliseconds:03}")
    }
}

impl Line {
    fn tone(&self) -> Tone {
        match self.word {
            _ if self.trouble => Tone::Bad,
            "FAULT" | "IMPACT" => Tone::Warning,
            "UP" | "STABLE" | "BACK" => Tone::Good,
            "DNS" | "DETECT" | "REVERT" | "MARK" | "GO ON" => Tone::Other,
            _ => Tone::Faint,
        }
    }
}
