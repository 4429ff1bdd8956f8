//! `${NAME}` and `${NAME:-default}` in values.

use std::path::Path;

use super::{
    FilledIn, Problem, Problems, Reading,
    node::{Node, Place, Value},
};

/// Fills in the variables of every text in the tree. Keys stay as they are.
pub(super) fn fill(
    path: &Path,
    text: &str,
    root: &mut Node,
    reading: Reading<'_>,
    problems: &mut Problems,
) -> FilledIn {
    let mut filling = Filling {
        path,
        text,
        reading,
        problems,
        filled_in: FilledIn::default(),
    };
    filling.fill(root);
    filling.filled_in
}

struct Filling<'a> {
    path: &'a Path,
    text: &'a str,
    reading: Reading<'a>,
    problems: &'a mut Problems,
    filled_in: FilledIn,
}

impl Filling<'_> {
    fn fill(&mut self, node: &mut Node) {
        match &mut node.value {
            Value::Text(value) => {
                if !value.contains("${") {
                    return;
                }
                let outcome = fill_text(value, self.reading, &mut self.filled_in);
                node.filled = outcome.filled;
                node.value = if outcome.problems.is_empty() {
                    Value::Text(outcome.text)
                } else {
                    Value::Unknown
                };
                for (variable, trouble) in outcome.problems {
                    let place = place_of(self.text, node.place, &variable);
                    self.problems
                        .push(trouble.into_problem(self.path, place, &variable));
                }
            }
            Value::Sequence(items) => {
                for item in items {
                    self.fill(item);
                }
            }
            Value::Mapping(entries) => {
                for (_, value) in entries {
                    self.fill(value);
                }
            }
            Value::Null
            | Value::Boolean(_)
            | Value::Integer(_)
            | Value::Number(_)
            | Value::Unknown => {}
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Trouble {
    NotSet,
    Unclosed,
    BadName,
}

impl Trouble {
    fn into_problem(self, path: &Path, place: Place, variable: &str) -> Problem {
        match self {
            Self::NotSet => {
                let name = variable.trim_start_matches("${").trim_end_matches('}');
                Problem::error(path, place, format!("the variable `{name}` is not set"))
                    .with_hint(format!("set it, or give a default: `${{{name}:-default}}`"))
            }
            Self::Unclosed => Problem::error(path, place, "`${` without its `}`")
                .with_hint("write `$${` for the two characters themselves"),
            Self::BadName => Problem::error(path, place, format!("`{variable}` names no variable")).with_hint(
                "write `${NAME}` or `${NAME:-default}`, and `$${` for the two characters themselves",
            ),
        }
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    text: String,
    filled: bool,
    /// As they are written, with what is wrong.
    problems: Vec<(String, Trouble)>,
}

fn fill_text(value: &str, reading: Reading<'_>, filled_in: &mut FilledIn) -> Outcome {
    let mut outcome = Outcome::default();
    let mut rest = value;
    while let Some(start) = rest.find("${") {
        let (before, from) = rest.split_at(start);
        if let Some(before) = before.strip_suffix('$') {
            outcome.text.push_str(before);
            outcome.text.push_str("${");
            rest = &from[2..];
            continue;
        }
        outcome.text.push_str(before);
        outcome.filled = true;
        let Some(end) = from.find('}') else {
            outcome.problems.push(("${".to_owned(), Trouble::Unclosed));
            return outcome;
        };
        let written = &from[..=end];
        let inside = &from[2..end];
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        if is_name(name) {
            let value = reading.value(name, default);
            match value.filter(|value| !(value.is_empty() && default.is_some())) {
                Some(value) => {
                    filled_in.insert(name, &value);
                    outcome.text.push_str(&value);
                }
                None => match default {
                    Some(default) => outcome.text.push_str(default),
                    None => outcome.problems.push((written.to_owned(), Trouble::NotSet)),
                },
            }
        } else {
            outcome
                .problems
                .push((written.to_owned(), Trouble::BadName));
        }
        rest = &from[end + 1..];
    }
    outcome.text.push_str(rest);
    outcome
}

fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || character == '_')
}

/// The place of a variable within its value, if it stands on the value's first line.
fn place_of(text: &str, value: Place, variable: &str) -> Place {
    let inside = || {
        let line = text
            .lines()
            .nth(usize::try_from(value.at.line).ok()?.checked_sub(1)?)?;
        let skipped = usize::try_from(value.at.column).ok()?.checked_sub(1)?;
        let (start, _) = line.char_indices().nth(skipped)?;
        let found = line.get(start..)?.find(variable)?;
        let column = line.get(..start + found)?.chars().count() + 1;
        let mut place = value;
        place.at.column = u32::try_from(column).ok()?;
        place.length = u32::try_from(variable.chars().count()).ok()?;
        Some(place)
    };
    inside().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn known(name: &str) -> Option<String> {
        match name {
            "HOST" => Some("example.test".to_owned()),
            "EMPTY" => Some(String::new()),
            "NESTED" => Some("${HOST}".to_owned()),
            _ => None,
        }
    }

    fn fill_text(written: &str) -> Outcome {
        super::fill_text(written, Reading::Original(&known), &mut FilledIn::default())
    }

    #[test]
    fn in_a_copy_only_what_was_in_force_counts() {
        let kept = BTreeMap::from([("LIMIT".to_owned(), "45s".to_owned())]);
        for (written, expected) in [
            ("${LIMIT:-5s}", "45s"),
            ("${HOST:-fallback}", "fallback"),
            ("https://${HOST}/", "https://${HOST}/"),
        ] {
            let mut filled_in = FilledIn::default();
            let outcome = super::fill_text(written, Reading::Copy(&kept), &mut filled_in);
            assert_eq!(
                (outcome.text.as_str(), outcome.problems.len()),
                (expected, 0)
            );
        }
    }

    #[test]
    fn a_variable_is_replaced_by_its_value_or_its_default() {
        for (written, expected) in [
            ("https://${HOST}/", "https://example.test/"),
            ("${HOST}${HOST}", "example.testexample.test"),
            ("${MISSING:-fallback}", "fallback"),
            ("${MISSING:-}", ""),
            ("${EMPTY:-fallback}", "fallback"),
            ("${EMPTY}", ""),
            ("${NESTED}", "${HOST}"),
            ("$HOST and $ and {HOST}", "$HOST and $ and {HOST}"),
        ] {
            let outcome = fill_text(written);
            assert_eq!(
                (outcome.text.as_str(), outcome.problems.len()),
                (expected, 0),
                "{written}"
            );
        }
    }

    #[test]
    fn two_dollars_stand_for_one_and_fill_in_nothing() {
        let outcome = fill_text("$${HOST} costs $$5");
        assert_eq!(outcome.text, "${HOST} costs $$5");
        assert!(!outcome.filled);
    }

    #[test]
    fn what_cannot_be_filled_in_is_reported_as_it_is_written() {
        for (written, variable, trouble) in [
            ("a ${MISSING} b", "${MISSING}", Trouble::NotSet),
            ("${", "${", Trouble::Unclosed),
            ("${}", "${}", Trouble::BadName),
            ("${1A}", "${1A}", Trouble::BadName),
            ("${A:?b}", "${A:?b}", Trouble::BadName),
        ] {
            let outcome = fill_text(written);
            assert_eq!(
                outcome.problems,
                [(variable.to_owned(), trouble)],
                "{written}"
            );
        }
    }
}
