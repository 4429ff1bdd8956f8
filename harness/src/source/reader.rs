//! Taking a tree apart. Every method reports what is wrong and goes on, so that one pass finds everything.

mod values;

use std::{cell::RefCell, collections::BTreeSet, path::Path};

use super::{Document, Key, Node, Place, Problem, Problems, Value};

const NAME_RULE: &str = "a name has letters, digits, `-`, `_` and `.`, starts with a letter or digit and has at most 64 characters";

/// Where problems of one file are gathered.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    file: &'a Path,
    /// Whether the file is a copy that was checked when it was made, with secrets standing for themselves.
    is_copy: bool,
    problems: RefCell<Problems>,
    /// The values that variables are part of and that were read as words of the language.
    words: RefCell<BTreeSet<String>>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(file: &'a Path) -> Self {
        Self {
            file,
            is_copy: false,
            problems: RefCell::default(),
            words: RefCell::default(),
        }
    }

    /// For taking a document apart.
    pub(crate) fn of(document: &'a Document) -> Self {
        Self {
            is_copy: document.is_copy,
            ..Self::new(&document.file)
        }
    }

    pub(crate) fn is_copy(&self) -> bool {
        self.is_copy
    }

    /// The values of variables that were read as words of the language, which are no secrets.
    pub(crate) fn words(&self) -> BTreeSet<String> {
        self.words.borrow().clone()
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
            format!(
                "unknown {what} {}, expected {}",
                shown(node),
                one_of(known.clone())
            ),
        );
        self.push(match node.text() {
            Some(name) if !node.filled => problem.with_nearest(name, known),
            Some(_) | None => problem,
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

    /// Whether a variable has a part in the value.
    pub(crate) fn is_filled(self) -> bool {
        self.node.filled
    }

    /// Whether this is a value of a copy in which a secret may stand for itself: what it looked like was checked before the run.
    pub(crate) fn may_stand_for_a_secret(self) -> bool {
        self.context.is_copy && self.node.filled
    }

    /// Takes note that this is a word of the language.
    fn note_word(self, text: &str) {
        if self.node.filled {
            self.context.words.borrow_mut().insert(text.to_owned());
        }
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

    /// The entries of a list.
    pub(crate) fn list(self) -> Option<Vec<Self>> {
        let Value::Sequence(nodes) = &self.node.value else {
            self.wrong_kind("a list");
            return None;
        };
        Some(nodes.iter().map(|node| Self { node, ..self }).collect())
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
        let Value::Mapping(entries) = &self.node.value else {
            self.wrong_kind("a mapping");
            return None;
        };
        let entries = entries.iter().map(|(key, node)| {
            let item = Self {
                node,
                name: &key.name,
                ..self
            };
            (key, item)
        });
        Some(entries.collect())
    }

    /// The entries of a mapping whose keys are names that other places refer to.
    pub(crate) fn named_entries(self) -> Option<Vec<(&'a Key, Self)>> {
        let entries = self.entries()?;
        let mut sound = true;
        for (key, _) in &entries {
            if !is_plain_name(&key.name) {
                self.context.push(
                    Problem::error(
                        self.context.file,
                        key.place,
                        format!("`{}` is not a name", key.name),
                    )
                    .with_hint(NAME_RULE),
                );
                sound = false;
            }
        }
        sound.then_some(entries)
    }

    /// Whether this is a mapping.
    pub(crate) fn is_mapping(self) -> bool {
        matches!(self.node.value, Value::Mapping(_))
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
                self.context
                    .push(unknown_key(self.context.file, key, known));
                return None;
            }
        }
        match entries.as_slice() {
            [entry] => Some(*entry),
            [] => {
                self.report(format!(
                    "`{}` is empty, expected {}",
                    self.name,
                    one_of(known.iter().copied())
                ));
                None
            }
            [(first, _), (second, _), ..] => {
                self.context.push(Problem::error(
                    self.context.file,
                    second.place,
                    format!(
                        "`{}` and `{}` exclude each other: give one",
                        first.name, second.name
                    ),
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
        format!(
            "unknown key `{}`, expected {}",
            key.name,
            one_of(known.iter().copied())
        ),
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
    if node.filled {
        return "the value of the variable".to_owned();
    }
    let Some(text) = node.scalar() else {
        return node.kind().to_owned();
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
    let mut seen = BTreeSet::new();
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
