//! Taking a tree apart. Every method reports what is wrong and goes on, so that one pass finds everything.

use std::{cell::RefCell, ops::RangeInclusive, path::Path, time::Duration};

use super::{
    Key, Node, Place, Problem, Problems, Value, duration,
};

/// The longest duration of a drill or a measurement.
const LONGEST: Duration = Duration::from_hours(30 * 24);

const NAME_RULE: &str = "a name has letters, digits, `-`, `_` and `.`, starts with a letter or digit and has at most 64 characters";

/// Where problems of one file are gathered.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    file: &'a Path,
    problems: RefCell<Problems>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(file: &'a Path) -> Self {
        Self {
            file,
            problems: RefCell::default(),
        }
    }

    pub(crate) fn file(&self) -> &'a Path {
        self.file
    }

    pub(crate) fn push(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    /// Reports a name that refers to nothing.
    pub(crate) fn report_unknown<'k>(
        &self,
        node: &Node,
        what: &str,
        known: impl Iterator<Item = &'k str> + Clone,
    ) {
        let problem = Problem::error(
            self.file,
            node.place,
            format!("unknown {what} {}, expected {}", shown(node), one_of(known.clone())),
        );
        self.push(match &node.value {
            Value::Text(name) if !node.filled => problem.with_nearest(name, known),
            _ => problem,
        });
    }

    pub(crate) fn into_problems(self) -> Problems {
        self.problems.into_inner()
    }
}

/// A value and what it is called in messages.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Item<'a> {
    context: &'a Context<'a>,
    node: &'a Node,
    name: &'a str,
}

impl<'a> Item<'a> {
    pub(crate) fn new(context: &'a Context<'a>, node: &'a Node, name: &'a str) -> Self {
        Self {
            context,
            node,
            name,
        }
    }

    pub(crate) fn context(self) -> &'a Context<'a> {
        self.context
    }

    /// An error at this value.
    pub(crate) fn problem(self, message: impl Into<String>) -> Problem {
        Problem::error(self.context.file, self.node.place, message)
    }

    /// Reports an error at this value.
    pub(crate) fn report(self, message: impl Into<String>) {
        self.context.push(self.problem(message));
    }

    /// The value as it may be shown: what a variable holds stays out of messages.
    pub(crate) fn shown(self) -> String {
        shown(self.node)
    }

    fn wrong_kind(self, wanted: &str) {
        if self.node.value == Value::Unknown {
            return;
        }
        let problem = self.problem(format!(
            "`{}` must be {wanted}, and this is {}",
            self.name,
            self.node.kind()
        ));
        let quotable = matches!(
            self.node.value,
            Value::Boolean(_) | Value::Integer(_) | Value::Number(_)
        );
        self.context.push(if quotable && wanted == "text" {
            problem.with_hint("put it in quotes")
        } else {
            problem
        });
    }

    /// Text that is not empty.
    pub(crate) fn text(self) -> Option<String> {
        match &self.node.value {
            Value::Text(text) if text.trim().is_empty() => {
                self.report(format!("`{}` is empty", self.name));
                None
            }
            Value::Text(text) => Some(text.clone()),
            _ => {
                self.wrong_kind("text");
                None
            }
        }
    }

    /// Text, or a whole number as text: `200` and `200-399` are both written without quotes.
    pub(crate) fn text_or_whole(self) -> Option<String> {
        match &self.node.value {
            Value::Integer(value) => Some(value.to_string()),
            _ => self.text(),
        }
    }

    /// Whether this is exactly such a text.
    pub(crate) fn is_text(self, text: &str) -> bool {
        matches!(&self.node.value, Value::Text(value) if value == text)
    }

    /// Whether this is a text that starts so.
    pub(crate) fn starts_with(self, start: &str) -> bool {
        matches!(&self.node.value, Value::Text(value) if value.starts_with(start))
    }

    /// The path of a URL, with or without a query.
    pub(crate) fn path(self) -> Option<String> {
        let text = self.text()?;
        let sound = text.starts_with('/')
            && !text.contains(char::is_whitespace)
            && text.parse::<http::uri::PathAndQuery>().is_ok();
        if !sound {
            self.report(format!("{} is not the path of a URL, which starts with `/`", self.shown()));
            return None;
        }
        Some(text)
    }

    /// The name of an HTTP header.
    pub(crate) fn header_name(self) -> Option<String> {
        let text = self.text()?;
        if text.parse::<http::HeaderName>().is_err() {
            self.report(format!("{} is not the name of a header", self.shown()));
            return None;
        }
        Some(text)
    }

    /// A name that other places refer to: plain, and not from a variable, so that it can be shown everywhere.
    pub(crate) fn name(self) -> Option<String> {
        let text = self.text()?;
        if self.node.filled {
            self.report(format!("`{}` is a name, and a name cannot come from a variable", self.name));
            return None;
        }
        if !is_plain_name(&text) {
            self.context.push(
                self.problem(format!("{} is not a name", self.shown()))
                    .with_hint(NAME_RULE),
            );
            return None;
        }
        Some(text)
    }

    /// `true` or `false`.
    pub(crate) fn boolean(self) -> Option<bool> {
        match &self.node.value {
            Value::Boolean(value) => Some(*value),
            Value::Text(text) if self.node.filled && text == "true" => Some(true),
            Value::Text(text) if self.node.filled && text == "false" => Some(false),
            _ => {
                self.wrong_kind("`true` or `false`");
                None
            }
        }
    }

    /// A whole number in a range.
    pub(crate) fn whole(self, range: RangeInclusive<u32>) -> Option<u32> {
        let value = match &self.node.value {
            Value::Integer(value) => *value,
            Value::Text(text) if self.node.filled => {
                let Ok(value) = text.trim().parse() else {
                    self.report(format!("`{}` must be a whole number, and the variable holds none", self.name));
                    return None;
                };
                value
            }
            _ => {
                self.wrong_kind("a whole number");
                return None;
            }
        };
        u32::try_from(value)
            .ok()
            .filter(|value| range.contains(value))
            .or_else(|| {
                self.report(format!(
                    "`{}` must lie between {} and {}",
                    self.name,
                    range.start(),
                    range.end()
                ));
                None
            })
    }

    /// A port number.
    pub(crate) fn port(self) -> Option<u16> {
        self.whole(1..=u32::from(u16::MAX)).and_then(|port| u16::try_from(port).ok())
    }

    /// An HTTP status code.
    pub(crate) fn status(self) -> Option<u16> {
        self.whole(100..=599).and_then(|status| u16::try_from(status).ok())
    }

    /// A number greater than 0.
    pub(crate) fn positive_number(self) -> Option<f64> {
        let value = match &self.node.value {
            #[expect(clippy::cast_precision_loss, reason = "a speed has few digits")]
            Value::Integer(value) => *value as f64,
            Value::Number(value) => *value,
            Value::Text(text) if self.node.filled => text.trim().parse().unwrap_or(f64::NAN),
            _ => {
                self.wrong_kind("a number");
                return None;
            }
        };
        if value.is_finite() && value > 0.0 {
            Some(value)
        } else {
            self.report(format!("`{}` must be greater than 0", self.name));
            None
        }
    }

    /// A share, written `99.5%`.
    pub(crate) fn percent(self) -> Option<f64> {
        let number = match &self.node.value {
            Value::Text(text) => text.strip_suffix('%').and_then(|number| number.parse::<f64>().ok()),
            Value::Integer(_) | Value::Number(_) => None,
            _ => {
                self.wrong_kind("a percentage such as `99.5%`");
                return None;
            }
        };
        match number {
            Some(number) if (0.0..=100.0).contains(&number) => Some(number),
            Some(_) => {
                self.report(format!("`{}` must lie between 0% and 100%", self.name));
                None
            }
            None => {
                self.context.push(
                    self.problem(format!("{} is not a percentage", self.shown()))
                        .with_hint("write it with its sign: `99.5%`"),
                );
                None
            }
        }
    }

    /// A duration of at most 30 days; `0s` is one.
    pub(crate) fn duration(self) -> Option<Duration> {
        self.duration_up_to(LONGEST)
    }

    /// A duration of more than nothing and at most 30 days.
    pub(crate) fn positive_duration(self) -> Option<Duration> {
        let duration = self.duration()?;
        if duration.is_zero() {
            self.report(format!("`{}` must be longer than 0s", self.name));
            return None;
        }
        Some(duration)
    }

    /// A duration up to a longest one; `0s` is one.
    pub(crate) fn duration_up_to(self, longest: Duration) -> Option<Duration> {
        let text = match &self.node.value {
            Value::Text(text) => text.clone(),
            Value::Integer(value) => value.to_string(),
            Value::Number(value) => value.to_string(),
            _ => {
                self.wrong_kind("a duration such as `30s`");
                return None;
            }
        };
        match duration::parse(&text) {
            Ok(duration) if duration > longest => {
                self.report(format!(
                    "`{}` is longer than {}h",
                    self.name,
                    longest.as_secs() / 3600
                ));
                None
            }
            Ok(duration) => Some(duration),
            Err(wrong) => {
                let problem = self.problem(format!("{} {}", self.shown(), wrong.message));
                self.context.push(match wrong.hint {
                    Some(hint) if !self.node.filled => problem.with_hint(hint),
                    Some(_) | None => problem,
                });
                None
            }
        }
    }

    /// One of some words.
    pub(crate) fn word<T: Copy>(self, words: &[(&str, T)]) -> Option<T> {
        let text = self.text()?;
        words
            .iter()
            .find(|(word, _)| *word == text)
            .map(|(_, value)| *value)
            .or_else(|| {
                let problem = self.problem(format!(
                    "{} is not a value of `{}`, expected {}",
                    self.shown(),
                    self.name,
                    one_of(words.iter().map(|(word, _)| *word))
                ));
                self.context.push(if self.node.filled {
                    problem
                } else {
                    problem.with_nearest(&text, words.iter().map(|(word, _)| *word))
                });
                None
            })
    }

    /// The entries of a list.
    pub(crate) fn list(self) -> Option<Vec<Self>> {
        match &self.node.value {
            Value::Sequence(nodes) => Some(
                nodes
                    .iter()
                    .map(|node| Self { node, ..self })
                    .collect(),
            ),
            _ => {
                self.wrong_kind("a list");
                None
            }
        }
    }

    /// The entries of a list that is not empty.
    pub(crate) fn filled_list(self) -> Option<Vec<Self>> {
        let items = self.list()?;
        if items.is_empty() {
            self.report(format!("`{}` is empty", self.name));
            return None;
        }
        Some(items)
    }

    /// A list of which every entry is read the same way; none if one of them is wrong.
    pub(crate) fn list_of<T>(self, read: impl FnMut(Self) -> Option<T>) -> Option<Vec<T>> {
        all(self.list()?.into_iter().map(read))
    }

    /// The same for a list that is not empty.
    pub(crate) fn filled_list_of<T>(self, read: impl FnMut(Self) -> Option<T>) -> Option<Vec<T>> {
        all(self.filled_list()?.into_iter().map(read))
    }

    /// The entries of a mapping whose keys are names of the file's author.
    pub(crate) fn entries(self) -> Option<Vec<(&'a Key, Self)>> {
        match &self.node.value {
            Value::Mapping(entries) => Some(
                entries
                    .iter()
                    .map(|(key, node)| {
                        let item = Self {
                            node,
                            name: &key.name,
                            ..self
                        };
                        (key, item)
                    })
                    .collect(),
            ),
            _ => {
                self.wrong_kind("a mapping");
                None
            }
        }
    }

    /// The entries of a mapping whose keys are names that other places refer to.
    pub(crate) fn named_entries(self) -> Option<Vec<(&'a Key, Self)>> {
        let entries = self.entries()?;
        let mut sound = true;
        for (key, _) in &entries {
            if !is_plain_name(&key.name) {
                self.context.push(
                    Problem::error(self.context.file, key.place, format!("`{}` is not a name", key.name))
                        .with_hint(NAME_RULE),
                );
                sound = false;
            }
        }
        sound.then_some(entries)
    }

    /// A mapping with keys of the language.
    pub(crate) fn mapping(self) -> Option<Mapping<'a>> {
        self.entries().map(|entries| Mapping {
            item: self,
            entries,
            known: Vec::new(),
        })
    }

    /// A mapping with exactly one key of the language, whose name chooses what the value is.
    pub(crate) fn variant(self, known: &[&str]) -> Option<(&'a Key, Self)> {
        let entries = self.entries()?;
        for (key, _) in &entries {
            if !known.contains(&key.name.as_str()) {
                self.context.push(unknown_key(self.context.file, key, known));
                return None;
            }
        }
        match entries.as_slice() {
            [entry] => Some(*entry),
            [] => {
                self.report(format!("`{}` is empty, expected {}", self.name, one_of(known.iter().copied())));
                None
            }
            [(first, _), (second, _), ..] => {
                self.context.push(Problem::error(
                    self.context.file,
                    second.place,
                    format!("`{}` and `{}` exclude each other: give one", first.name, second.name),
                ));
                None
            }
        }
    }
}

/// A mapping with keys of the language, of which [`Mapping::finish`] reports those that nobody asked for.
#[derive(Debug)]
pub(crate) struct Mapping<'a> {
    item: Item<'a>,
    entries: Vec<(&'a Key, Item<'a>)>,
    known: Vec<&'static str>,
}

impl<'a> Mapping<'a> {
    pub(crate) fn item(&self) -> Item<'a> {
        self.item
    }

    /// The value of a key that may be left out.
    pub(crate) fn optional(&mut self, name: &'static str) -> Option<Item<'a>> {
        self.known.push(name);
        self.entries
            .iter()
            .find(|(key, _)| key.name == name)
            .map(|(_, item)| *item)
    }

    /// The value of a key that may not be left out.
    pub(crate) fn required(&mut self, name: &'static str) -> Option<Item<'a>> {
        let found = self.optional(name);
        if found.is_none() {
            self.item.report(format!("the key `{name}` is missing"));
        }
        found
    }

    /// The value of a key, read by a function; none if the key is missing or wrong.
    pub(crate) fn require<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(Item<'a>) -> Option<T>,
    ) -> Option<T> {
        self.required(name).and_then(read)
    }

    /// The value of a key, read by a function, or the default if the key is left out; none if it is wrong.
    pub(crate) fn default<T>(
        &mut self,
        name: &'static str,
        default: T,
        read: impl FnOnce(Item<'a>) -> Option<T>,
    ) -> Option<T> {
        match self.optional(name) {
            Some(item) => read(item),
            None => Some(default),
        }
    }

    /// The value of a key, read by a function, if it is there; none if it is wrong.
    #[expect(clippy::option_option, reason = "wrong is not the same as left out")]
    pub(crate) fn maybe<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(Item<'a>) -> Option<T>,
    ) -> Option<Option<T>> {
        match self.optional(name) {
            Some(item) => read(item).map(Some),
            None => Some(None),
        }
    }

    /// The keys that are there, of those not asked for so far.
    pub(crate) fn others(&self) -> impl Iterator<Item = (&'a Key, Item<'a>)> {
        self.entries
            .iter()
            .filter(|(key, _)| !self.known.contains(&key.name.as_str()))
            .copied()
    }

    /// Reports the keys that nobody asked for.
    pub(crate) fn finish(self) {
        for (key, _) in self.others() {
            self.item
                .context
                .push(unknown_key(self.item.context.file, key, &self.known));
        }
    }
}

/// All values, or none if one is missing; every one of them is read.
pub(crate) fn all<T>(values: impl Iterator<Item = Option<T>>) -> Option<Vec<T>> {
    let values: Vec<Option<T>> = values.collect();
    values.into_iter().collect()
}

pub(crate) fn unknown_key(file: &Path, key: &Key, known: &[&str]) -> Problem {
    Problem::error(
        file,
        key.place,
        format!("unknown key `{}`, expected {}", key.name, one_of(known.iter().copied())),
    )
    .with_nearest(&key.name, known.iter().copied())
}

/// The words as a choice: ``one of `a`, `b` ``.
pub(crate) fn one_of<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let words: Vec<String> = words.map(|word| format!("`{word}`")).collect();
    match words.as_slice() {
        [] => "nothing".to_owned(),
        [word] => word.clone(),
        words => format!("one of {}", words.join(", ")),
    }
}

/// A value as it may be shown: what a variable holds stays out of messages.
pub(crate) fn shown(node: &Node) -> String {
    const LONGEST: usize = 60;
    let text = match &node.value {
        _ if node.filled => return "the value of the variable".to_owned(),
        Value::Text(text) => text.clone(),
        Value::Integer(value) => value.to_string(),
        Value::Number(value) => value.to_string(),
        Value::Boolean(value) => value.to_string(),
        Value::Null | Value::Sequence(_) | Value::Mapping(_) | Value::Unknown => {
            return node.kind().to_owned();
        }
    };
    if text.chars().count() > LONGEST {
        let start: String = text.chars().take(LONGEST).collect();
        return format!("`{start}…`");
    }
    format!("`{text}`")
}

fn is_plain_name(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || "-_.".contains(character))
}

/// The names that a list or a mapping in the file defines, each once.
pub(crate) fn report_duplicates<'a>(
    context: &Context<'_>,
    what: &str,
    names: impl IntoIterator<Item = (&'a str, Place)>,
) {
    let mut seen = std::collections::BTreeSet::new();
    for (name, place) in names {
        if !seen.insert(name) {
            context.push(Problem::error(
                context.file(),
                place,
                format!("there are two {what} named `{name}`"),
            ));
        }
    }
}
