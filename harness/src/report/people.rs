//! What people did during a run: asked, done, marked and noted, each with its time.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::{
    hostile::harmless,
    layout::{cut, pad, pad_left, width},
    quantity::trimmed,
    style::{Style, Tone},
};
use crate::{
    timeline::{Act, Mark},
    verdict::word,
};

/// Something that a person did during a run, or was asked to do.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Operated {
    /// When, in seconds since the start of the run.
    pub at_s: f64,
    /// How long after the first fault was issued, in seconds; null before that.
    pub since_fault_s: Option<f64>,
    /// In which role, if that was said.
    pub role: Option<String>,
    /// What: `asked`, `done`, `skipped`, `unanswered`, `noted`, or what was marked: `detected`, `declared`, `decided`.
    pub what: String,
    /// What was asked for or noted.
    pub text: Option<String>,
}

impl Operated {
    pub(super) fn new(
        at: Duration,
        fault: Option<Duration>,
        role: Option<String>,
        act: &Act,
    ) -> Self {
        let (what, text) = match act {
            Act::Asked { text, .. } => ("asked".to_owned(), Some(text.clone())),
            Act::Done => ("done".to_owned(), None),
            Act::Skipped => ("skipped".to_owned(), None),
            Act::Unanswered => ("unanswered".to_owned(), None),
            Act::Marked(mark) => (word(*mark), None),
            Act::Noted(text) => ("noted".to_owned(), Some(text.clone())),
        };
        Self {
            at_s: at.as_secs_f64(),
            since_fault_s: fault.map(|fault| at.saturating_sub(fault).as_secs_f64()),
            role,
            what,
            text,
        }
    }

    /// When, as people read it: since the fault, or since the start where nothing was broken yet.
    pub(super) fn when(&self) -> String {
        match self.since_fault_s {
            Some(since) => format!("+{} s", trimmed(since, 1)),
            None => format!("at {} s", trimmed(self.at_s, 1)),
        }
    }

    /// Who, as people read it. From outside.
    pub(super) fn who(&self) -> &str {
        self.role.as_deref().unwrap_or("operator")
    }
}

/// What an act comes to, for a list of steps: what and what came of it.
pub(super) fn words(act: &Act) -> (String, &'static str) {
    match act {
        Act::Asked { text, .. } => (text.clone(), "asked; the drill waits"),
        Act::Done => ("says that it is done".to_owned(), "the drill goes on"),
        Act::Skipped => ("nobody was to be asked".to_owned(), "the drill goes on"),
        Act::Unanswered => ("did not answer in time".to_owned(), "the drill ends"),
        Act::Marked(mark) => {
            let meaning = match mark {
                Mark::Detected => "somebody has noticed",
                Mark::Declared => "it is called an incident",
                Mark::Decided => "it is decided what to do",
            };
            (format!("marks: {}", word(*mark)), meaning)
        }
        Act::Noted(text) => (text.clone(), "note"),
    }
}

/// A table for a terminal; nothing where nobody took part.
pub(super) fn table(operated: &[Operated], style: &Style) -> Vec<String> {
    if operated.is_empty() {
        return Vec::new();
    }
    let who = operated
        .iter()
        .map(|operated| width(&harmless(operated.who())));
    let who = who.max().unwrap_or(0).clamp(6, 20);
    let head = format!(
        " {}  {}  what",
        pad("people", who),
        pad_left("since fault", 11)
    );
    let mut lines = vec![style.paint(Tone::Faint, &head)];
    for operated in operated {
        let text = operated
            .text
            .as_deref()
            .map_or_else(String::new, |text| format!(": {}", harmless(text)));
        let line = format!(
            " {}  {}  {}{text}",
            pad(&cut(&harmless(operated.who()), who, style), who),
            pad_left(&operated.when(), 11),
            operated.what,
        );
        lines.push(cut(&line, style.columns(), style));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_count_from_the_fault_where_there_was_one() {
        let at = Duration::from_secs(30);
        let marked = Act::Marked(Mark::Declared);
        let before = Operated::new(at, None, None, &marked);
        assert_eq!(
            (before.when().as_str(), before.who()),
            ("at 30 s", "operator")
        );
        let fault = Some(Duration::from_secs(18));
        let after = Operated::new(at, fault, Some("lead".to_owned()), &marked);
        assert_eq!((after.when().as_str(), after.who()), ("+12 s", "lead"));
        let lines = table(&[before, after], &Style::default());
        assert_eq!(
            lines,
            [
                " people    since fault  what",
                " operator      at 30 s  declared",
                " lead            +12 s  declared",
            ]
        );
    }

    #[test]
    fn what_people_type_cannot_move_the_cursor() {
        let noted = Act::Noted("\u{1b}[2J a\nb".to_owned());
        let role = Some("\u{202e}x".to_owned());
        let lines = table(
            &[Operated::new(Duration::ZERO, None, role, &noted)],
            &Style::default(),
        );
        assert!(lines[1].contains("\\x1b[2J a\\nb"), "{lines:?}");
        assert!(!lines[1].contains('\u{202e}'), "{lines:?}");
    }
}
