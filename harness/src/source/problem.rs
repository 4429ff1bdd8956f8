//! What is wrong with a file, and how it is shown.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::{Position, node::Place};
use crate::hostile;

/// As many problems are rendered; who mends these sees the next.
const MOST_RENDERED: usize = 100;

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// The file can be used, and what it says is probably not what was meant.
    Warning,
}

/// Whether rendered text carries ANSI colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coloring {
    /// Plain text.
    Plain,
    /// ANSI escape sequences.
    Ansi,
}

/// One thing that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// The file, as it was named.
    pub file: PathBuf,
    /// Where in the file; line 1, column 1 for the file as a whole.
    pub at: Position,
    /// How many characters of the line it is about, at least 1.
    pub length: u32,
    /// What is wrong: a lowercase fragment without a final period. Never contains the value of a variable.
    pub message: String,
    /// The known name that is nearest to an unknown one.
    pub nearest: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Problems of any number of files, with the text that their snippets are cut from.
#[derive(Debug, Clone, Default)]
pub struct Problems {
    list: Vec<Problem>,
    texts: BTreeMap<PathBuf, Arc<str>>,
}

impl Severity {
    /// The word that starts the line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

impl fmt::Display for Problem {
    /// The problem in one line: ``drills/x.yaml:14:7: unknown key `grace` ``.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}: {}",
            hostile::harmless(&self.file.to_string_lossy()),
            self.at.line,
            self.at.column,
            self.message
        )
    }
}

impl Problem {
    /// A problem that makes the file unusable.
    pub(crate) fn error(file: &Path, place: Place, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            file: file.to_owned(),
            at: place.at,
            length: place.length,
            message: harmless(&message.into()),
            nearest: None,
            hint: None,
        }
    }

    /// A problem that leaves the file usable.
    pub(crate) fn warning(file: &Path, place: Place, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(file, place, message)
        }
    }

    /// Says what to do about it.
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(harmless(&hint.into()));
        self
    }

    /// Names the known name that is nearest to an unknown one, if one is near.
    pub(crate) fn with_nearest<'a>(
        mut self,
        unknown: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        self.nearest = nearest(unknown, known).map(str::to_owned);
        self
    }

    /// The question whether the nearest known name was meant, and the hint.
    pub fn advice(&self) -> Option<String> {
        match (&self.hint, &self.nearest) {
            (Some(hint), None) => Some(hint.clone()),
            (Some(hint), Some(nearest)) => Some(format!("did you mean `{nearest}`? {hint}")),
            (None, Some(nearest)) => Some(format!("did you mean `{nearest}`?")),
            (None, None) => None,
        }
    }
}

impl Problems {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether there is an error among them.
    pub fn has_errors(&self) -> bool {
        self.errors() > 0
    }

    /// How many errors there are.
    pub fn errors(&self) -> usize {
        self.count(Severity::Error)
    }

    /// How many warnings there are.
    pub fn warnings(&self) -> usize {
        self.count(Severity::Warning)
    }

    fn count(&self, severity: Severity) -> usize {
        self.iter()
            .filter(|problem| problem.severity == severity)
            .count()
    }

    /// The problems: file by file in the order in which the files were read, by position within a file.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.list.iter()
    }

    /// Remembers the text of a file for snippets.
    pub(crate) fn remember(&mut self, file: &Path, text: &Arc<str>) {
        self.texts
            .entry(file.to_owned())
            .or_insert_with(|| Arc::clone(text));
    }

    /// Adds a problem behind those of its file that stand before it.
    pub(crate) fn push(&mut self, problem: Problem) {
        let index = match self.list.iter().rposition(|known| {
            known.file == problem.file
                && (known.at, known.severity) <= (problem.at, problem.severity)
        }) {
            Some(before) => before + 1,
            None => self
                .list
                .iter()
                .position(|known| known.file == problem.file)
                .unwrap_or(self.list.len()),
        };
        self.list.insert(index, problem);
    }

    /// Adds all problems of another list.
    pub(crate) fn append(&mut self, other: Self) {
        for (file, text) in other.texts {
            self.texts.entry(file).or_insert(text);
        }
        for problem in other.list {
            self.push(problem);
        }
    }

    /// Renders all problems with the lines they are about, one blank line between two.
    pub fn render(&self, coloring: Coloring) -> String {
        let mut out = String::new();
        for problem in self.list.iter().take(MOST_RENDERED) {
            if !out.is_empty() {
                out.push('\n');
            }
            self.render_one(problem, coloring, &mut out);
        }
        let more = self.list.len().saturating_sub(MOST_RENDERED);
        if more > 0 {
            writeln!(out, "\nand {more} more problems").expect("a String takes everything");
        }
        out
    }

    fn render_one(&self, problem: &Problem, coloring: Coloring, out: &mut String) {
        let word = problem.severity.as_str();
        let (before, after) = match (coloring, problem.severity) {
            (Coloring::Plain, _) => ("", ""),
            (Coloring::Ansi, Severity::Error) => ("\u{1b}[1;91m", "\u{1b}[0m"),
            (Coloring::Ansi, Severity::Warning) => ("\u{1b}[1;33m", "\u{1b}[0m"),
        };
        writeln!(out, "{before}{word}{after}: {problem}").expect("a String takes everything");
        let text = self.texts.get(&problem.file).map(|text| visible(text));
        if let Some(text) = text
            && let Some(span) = span_of(&text, problem)
        {
            let level = match problem.severity {
                Severity::Error => Level::ERROR,
                Severity::Warning => Level::WARNING,
            };
            let snippet =
                Snippet::source(text.as_str()).annotation(AnnotationKind::Primary.span(span));
            let renderer = match coloring {
                Coloring::Plain => Renderer::plain(),
                Coloring::Ansi => Renderer::styled(),
            };
            let shown = renderer.render(&[Group::with_level(level).element(snippet)]);
            for line in shown.lines() {
                writeln!(out, "{}", line.trim_end()).expect("a String takes everything");
            }
        }
        if let Some(advice) = problem.advice() {
            writeln!(out, "\nhint: {advice}").expect("a String takes everything");
        }
    }
}

/// The known name that is spelled most like an unknown one, none if every third letter or more would have to change.
pub(crate) fn nearest<'a>(
    unknown: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let allowed = (unknown.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(unknown, name), name))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Text from a file as it may be shown, and not more of it than a person reads.
fn harmless(text: &str) -> String {
    const LONGEST: usize = 400;
    let text = hostile::harmless(text);
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.into_owned(),
    }
}

/// The same text with a sign in the place of each character beyond ASCII that a terminal would obey or hide, so that every column
/// stays. The renderer draws those of ASCII itself.
fn visible(text: &str) -> String {
    let obeyed = |character: char| {
        let mut bytes = [0; 4];
        let written = character.encode_utf8(&mut bytes);
        !character.is_ascii() && hostile::harmless(written).as_ref() != &*written
    };
    text.chars()
        .map(|character| {
            if obeyed(character) {
                '\u{fffd}'
            } else {
                character
            }
        })
        .collect()
}

/// The bytes of the text that a problem is about, none if the text has no such line.
fn span_of(text: &str, problem: &Problem) -> Option<Range<usize>> {
    let line_index = usize::try_from(problem.at.line).ok()?.checked_sub(1)?;
    let column_index = usize::try_from(problem.at.column).ok()?.checked_sub(1)?;
    let mut line_start = 0;
    let line = text
        .split_inclusive('\n')
        .enumerate()
        .find_map(|(index, line)| {
            if index == line_index {
                return Some(line);
            }
            line_start += line.len();
            None
        })?
        .trim_end_matches(['\n', '\r']);
    let offset_of = |characters: usize| {
        line.char_indices()
            .nth(characters)
            .map_or(line.len(), |(offset, _)| offset)
    };
    let length = usize::try_from(problem.length).ok()?.max(1);
    let start = offset_of(column_index);
    let end = offset_of(column_index.saturating_add(length)).max(start);
    Some(line_start + start..line_start + end)
}
