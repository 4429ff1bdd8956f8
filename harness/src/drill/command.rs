//! The `command` fault: programs that somebody names to break a target, to put it back, and to tell which of the two it is.

use std::time::Duration;

use blackstart_lab::stack::DurationText;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::source::{Item, Mapping};

/// How long a program may run, unless the drill says otherwise.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long a program may run at most: no longer than a step of a fault.
const LONGEST: Duration = Duration::from_secs(30);

/// What a `command` fault runs: each a program and its arguments, which no shell reads.
///
/// It is kept in the undo journal, so that whoever has nothing else can run `revert` and `verify`. Variables are there by their
/// names only: their values, which may be secrets, come from the environment of whoever runs the program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Command {
    /// Breaks the target. Ends with 0 when that is done.
    pub inject: Vec<String>,
    /// Puts the target back. Ends with 0 when that is done, also if there was nothing to put back.
    pub revert: Vec<String>,
    /// Tells whether the target is broken, and changes nothing: ends with 0 if it is, with 1 if it is not, with anything else if that
    /// is not known.
    pub verify: Vec<String>,
    /// Variables of the harness's own environment that the programs get, by their names. Default: none.
    pub environment: Vec<String>,
    /// How long each of the programs may run, in real time and at most 30 s. Default `10s`.
    #[schemars(with = "DurationText")]
    pub timeout: Duration,
}

impl Command {
    /// Reads the keys of a `command` fault, all but its target.
    pub(crate) fn decode(mapping: &mut Mapping<'_>) -> Option<Self> {
        let inject = mapping.require("inject", argv);
        let revert = mapping.require("revert", argv);
        let verify = mapping.require("verify", argv);
        let environment = variables(mapping);
        let timeout = time_limit(mapping);
        Some(Self {
            inject: inject?,
            revert: revert?,
            verify: verify?,
            environment: environment?,
            timeout: timeout?,
        })
    }
}

/// The names of the variables that programs get.
pub(crate) fn variables(mapping: &mut Mapping<'_>) -> Option<Vec<String>> {
    mapping.default("environment", Vec::new(), |names| {
        names.filled_list_of(variable)
    })
}

/// How long a program may run.
pub(crate) fn time_limit(mapping: &mut Mapping<'_>) -> Option<Duration> {
    mapping.default("timeout", TIMEOUT, |item| {
        let timeout = item.positive_duration()?;
        if timeout > LONGEST {
            item.report("`timeout` must be 30s at most, as long as a step of a fault may take");
            return None;
        }
        Some(timeout)
    })
}

/// A program and its arguments.
pub(crate) fn argv(item: Item<'_>) -> Option<Vec<String>> {
    let words = item.filled_list_of(|word| {
        let text = word.text_or_whole()?;
        if text.contains('\0') {
            word.report("an argument cannot contain a zero byte");
            return None;
        }
        Some(text)
    })?;
    if words.first().is_some_and(String::is_empty) {
        item.report("the first word is the program, and it is empty");
        return None;
    }
    Some(words)
}

/// The name of a variable.
fn variable(item: Item<'_>) -> Option<String> {
    let name = item.text()?;
    if name.is_empty() || name.contains(['=', '\0']) {
        item.context().push(
            item.problem("this is not the name of a variable")
                .with_hint("write its name only: the value comes from the environment of whoever runs the drill"),
        );
        return None;
    }
    Some(name)
}
