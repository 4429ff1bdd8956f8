//! Reading one file into a tree, under limits.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_yaml::{MessageFormatter as _, Spanned, UserMessageFormatter};

use super::{
    FilledIn, Position, Problem, Problems, Variables,
    node::{Node, Place, Step, Value},
    variables,
};

/// The largest file that is read, in bytes.
const LARGEST_FILE: u64 = 1024 * 1024;

const MOST_VALUES: usize = 10_000;
const MOST_ALIASES: usize = 200;

/// The deepest nesting that is read. Deserialising recurses and takes nearly 40 KB of stack a level in a debug build, of which a
/// thread of a test runner has 2 MiB; files of ours have eight levels.
const DEEPEST: usize = 32;

/// A file that is sound YAML, with its variables filled in.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    pub(crate) file: PathBuf,
    /// The text as it was read, before variables were filled in.
    pub(crate) text: Arc<str>,
    pub(crate) root: Node,
    /// What was filled in.
    pub(crate) variables: FilledIn,
    /// Whether this is the copy that a run keeps.
    pub(crate) is_copy: bool,
}

/// What variables stand for in a file.
#[derive(Clone, Copy)]
pub(crate) enum Reading<'a> {
    /// What the process environment holds; a variable that is not set and has no default is a problem.
    Original(Variables<'a>),
    /// What was in force when the file was copied, with what may not be kept standing for itself. The file was checked then.
    Copy(&'a BTreeMap<String, String>),
}

impl Reading<'_> {
    /// The value of a variable.
    pub(super) fn value(&self, name: &str, default: Option<&str>) -> Option<String> {
        match self {
            Self::Original(variables) => variables(name),
            Self::Copy(kept) => {
                let stand_in = || default.is_none().then(|| format!("${{{name}}}"));
                kept.get(name).cloned().or_else(stand_in)
            }
        }
    }
}

impl Document {
    /// Reads a file. A missing variable is a problem that leaves the document usable, so that what else is wrong is found too.
    pub(crate) fn read(path: &Path, reading: Reading<'_>) -> (Option<Self>, Problems) {
        let mut problems = Problems::default();
        match read_bytes(path) {
            Ok(bytes) => match String::from_utf8(bytes) {
                Ok(text) => return Self::parse(path, text.into(), reading),
                Err(error) => {
                    let sound = error.utf8_error().valid_up_to();
                    let text = String::from_utf8_lossy(error.as_bytes());
                    let at = position_of(text.get(..sound).unwrap_or_default());
                    problems.remember(path, &text.into());
                    problems.push(Problem::error(
                        path,
                        Place { at, length: 1 },
                        "the file is not UTF-8 from here on",
                    ));
                }
            },
            Err(message) => problems.push(Problem::error(path, Place::START, message)),
        }
        (None, problems)
    }

    /// Takes the text of a file apart.
    pub(crate) fn parse(
        path: &Path,
        text: Arc<str>,
        reading: Reading<'_>,
    ) -> (Option<Self>, Problems) {
        let mut problems = Problems::default();
        problems.remember(path, &text);
        if let Some(offset) = lone_carriage_return(&text) {
            let at = position_of(text.get(..offset).unwrap_or_default());
            problems.push(
                Problem::error(
                    path,
                    Place { at, length: 1 },
                    "a carriage return that ends no line",
                )
                .with_hint("end lines with a line feed"),
            );
            return (None, problems);
        }
        let options = serde_yaml::options! {
            budget: serde_yaml::budget! {
                max_nodes: MOST_VALUES,
                max_depth: DEEPEST,
                flow_nesting_limit: DEEPEST,
                max_documents: 1,
                max_aliases: MOST_ALIASES,
            },
            strict_booleans: true,
            reject_unsupported_tags: true,
            with_snippet: false,
        };
        let mut root = match serde_yaml::from_str_with_options::<Spanned<Value>>(&text, options) {
            Ok(root) => Node::of(root),
            Err(error) => {
                problems.push(syntax_problem(path, &text, &error));
                return (None, problems);
            }
        };
        if root.value == Value::Null {
            problems.push(
                Problem::error(path, Place::START, "the file is empty")
                    .with_hint("drills/scale-to-zero.yaml and fixtures/environments/three-tier.yaml of the project are good to start from"),
            );
            return (None, problems);
        }
        let variables = variables::fill(path, &text, &mut root, reading, &mut problems);
        let document = Self {
            file: path.to_owned(),
            text,
            root,
            variables,
            is_copy: matches!(reading, Reading::Copy(_)),
        };
        (Some(document), problems)
    }

    /// The value that some steps from the root lead to, or the last one on the way.
    pub(crate) fn follow(&self, steps: &[Step<'_>]) -> &Node {
        self.root.follow(steps)
    }
}

fn read_bytes(path: &Path) -> Result<Vec<u8>, String> {
    let unreadable = |error: io::Error| {
        if error.kind() == io::ErrorKind::NotFound {
            return "there is no such file".to_owned();
        }
        format!("the file cannot be read: {error}")
    };
    // Looked at before it is opened: opening a named pipe would wait for its writer.
    let metadata = path.metadata().map_err(unreadable)?;
    if metadata.is_dir() {
        return Err("this is a folder, not a file".to_owned());
    }
    if !metadata.is_file() {
        return Err("this is not a regular file".to_owned());
    }
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LARGEST_FILE + 1).read_to_end(&mut bytes))
        .map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err("the file is larger than 1 MiB".to_owned());
    }
    Ok(bytes)
}

/// Where a carriage return stands without a line feed. YAML counts it as the end of a line and editors do not, so every place after it
/// would be wrong.
fn lone_carriage_return(text: &str) -> Option<usize> {
    text.match_indices('\r')
        .map(|(offset, _)| offset)
        .find(|offset| !text[offset + 1..].starts_with('\n'))
}

/// The place behind some text.
fn position_of(before: &str) -> Position {
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .map_or(0, |line| line.chars().count())
        + 1;
    Position {
        line: u32::try_from(line).unwrap_or(u32::MAX),
        column: u32::try_from(column).unwrap_or(u32::MAX),
    }
}

fn syntax_problem(path: &Path, text: &str, error: &serde_yaml::Error) -> Problem {
    use serde_yaml::{Error, budget::BudgetBreach};
    let mut error = error.without_snippet();
    let place = error.location().map_or(Place::START, Place::of);
    while let Error::AliasError { error: inner, .. } = error {
        error = inner.without_snippet();
    }
    let place = inside(text, place);
    let two_documents = || {
        Problem::error(path, place, "the file holds more than one document")
            .with_hint("write one file for each")
    };
    let too_much = || {
        Problem::error(path, place, "the file is too large or nested too deeply").with_hint(
            format!(
                "at most {MOST_VALUES} values, {DEEPEST} levels and {MOST_ALIASES} aliases are read"
            ),
        )
    };
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the parser has some sixty errors, of which these need words of ours"
    )]
    match error {
        Error::DuplicateMappingKey { key, .. } => {
            let message = match key {
                Some(key) => format!("the key `{key}` is there twice"),
                None => "the same key is there twice".to_owned(),
            };
            Problem::error(path, place, message)
        }
        Error::MultipleDocuments { .. }
        | Error::Budget {
            breach: BudgetBreach::Documents { .. },
            ..
        } => two_documents(),
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::AliasReplayCounterOverflow { .. } => too_much(),
        other => {
            let message = UserMessageFormatter.format_message(other);
            // The scanner's own limit has no variant.
            if message.contains("recursion limit") {
                return too_much();
            }
            let problem = Problem::error(path, place, message);
            if variable_before(text, place) {
                return problem.with_hint(
                    "put a value with `${…}` in quotes: inside `{ }` and `[ ]` its brace ends the value",
                );
            }
            problem
        }
    }
}

/// The place, or the nearest one in the text: the end of a text and some characters are reported past it.
fn inside(text: &str, place: Place) -> Place {
    let last = position_of(text.trim_end());
    if place.at.line > last.line {
        return Place {
            at: last,
            length: 1,
        };
    }
    let width = usize::try_from(place.at.line)
        .ok()
        .and_then(|line| text.lines().nth(line.checked_sub(1)?))
        .map_or(0, |line| line.chars().count());
    let end = u32::try_from(width + 1).unwrap_or(u32::MAX);
    Place {
        at: Position {
            line: place.at.line,
            column: place.at.column.min(end),
        },
        length: place.length,
    }
}

/// Whether a variable stands on the line before a place, or just at it.
fn variable_before(text: &str, place: Place) -> bool {
    let line = usize::try_from(place.at.line)
        .ok()
        .and_then(|line| text.lines().nth(line.checked_sub(1)?));
    let columns = usize::try_from(place.at.column).unwrap_or(usize::MAX);
    line.is_some_and(|line| {
        let before: String = line.chars().take(columns).collect();
        before.contains("${")
    })
}
