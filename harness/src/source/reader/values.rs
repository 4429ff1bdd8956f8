//! Reading single values.

use std::{fmt, ops::RangeInclusive, str::FromStr, time::Duration};

use super::{Item, NAME_RULE, is_plain_name, one_of};
use crate::{
    source::{Value, duration},
    statistics::PassRate,
};

/// The longest duration of a drill or a measurement.
const LONGEST: Duration = Duration::from_hours(30 * 24);

impl Item<'_> {
    /// The text of a value that a variable has a part in: it stands for a number or a truth value, too.
    fn variable_text(&self) -> Option<&str> {
        self.node.text().filter(|_| self.node.filled)
    }

    /// Text that is not empty.
    pub(crate) fn text(self) -> Option<String> {
        let Some(text) = self.node.text() else {
            self.wrong_kind("text");
            return None;
        };
        if text.trim().is_empty() {
            self.report(format!("`{}` is empty", self.name));
            return None;
        }
        Some(text.to_owned())
    }

    /// Text, or a whole number as text: `200` and `200-399` are both written without quotes.
    pub(crate) fn text_or_whole(self) -> Option<String> {
        if let Value::Integer(value) = self.node.value {
            return Some(value.to_string());
        }
        self.text()
    }

    /// Whether this is exactly such a text.
    pub(crate) fn is_text(self, text: &str) -> bool {
        let is_it = self.node.text() == Some(text);
        if is_it {
            self.note_word(text);
        }
        is_it
    }

    /// Whether this is a text that starts so.
    pub(crate) fn starts_with(self, start: &str) -> bool {
        self.node.text().is_some_and(|text| text.starts_with(start))
    }

    /// The path of a URL, with or without a query.
    pub(crate) fn path(self) -> Option<String> {
        let text = self.text()?;
        let sound = text.starts_with('/')
            && !text.contains(char::is_whitespace)
            && text.parse::<http::uri::PathAndQuery>().is_ok();
        if !sound && !self.may_stand_for_a_secret() {
            self.report(format!(
                "{} is not the path of a URL, which starts with `/`",
                self.shown()
            ));
            return None;
        }
        Some(text)
    }

    /// The name of an HTTP header.
    pub(crate) fn header_name(self) -> Option<String> {
        let text = self.text()?;
        if text.parse::<http::HeaderName>().is_err() && !self.may_stand_for_a_secret() {
            self.report(format!("{} is not the name of a header", self.shown()));
            return None;
        }
        Some(text)
    }

    /// A name that other places refer to: plain, and not from a variable, so that it can be shown everywhere.
    pub(crate) fn name(self) -> Option<String> {
        let text = self.text()?;
        if self.node.filled {
            self.report(format!(
                "`{}` is a name, and a name cannot come from a variable",
                self.name
            ));
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
        if let Value::Boolean(value) = self.node.value {
            return Some(value);
        }
        match self.variable_text() {
            Some("true") => Some(true),
            Some("false") => Some(false),
            Some(_) | None => {
                self.wrong_kind("`true` or `false`");
                None
            }
        }
    }

    /// A whole number in a range.
    pub(crate) fn whole(self, range: RangeInclusive<u32>) -> Option<u32> {
        let value = if let Value::Integer(value) = self.node.value {
            Some(value)
        } else {
            self.parsed()
        };
        if value.is_none() {
            self.wrong_kind("a whole number");
        }
        self.within(u32::try_from(value?).ok(), &range)
    }

    /// A port number.
    pub(crate) fn port(self) -> Option<u16> {
        self.whole(1..=u32::from(u16::MAX))
            .and_then(|port| u16::try_from(port).ok())
    }

    /// An HTTP status code.
    pub(crate) fn status(self) -> Option<u16> {
        self.whole(100..=599)
            .and_then(|status| u16::try_from(status).ok())
    }

    /// A number in a range.
    pub(crate) fn number(self, range: RangeInclusive<f64>) -> Option<f64> {
        let value = if let Value::Number(value) = self.node.value {
            Some(value)
        } else if let Value::Integer(value) = self.node.value {
            #[expect(
                clippy::cast_precision_loss,
                reason = "what lies in a range of ours has few digits"
            )]
            Some(value as f64)
        } else {
            self.parsed()
        };
        if value.is_none() {
            self.wrong_kind("a number");
        }
        self.within(Some(value?), &range)
    }

    /// What a variable holds, taken for something else than text.
    fn parsed<T: FromStr>(self) -> Option<T> {
        self.variable_text()?.trim().parse().ok()
    }

    /// The value if it lies in a range, as nothing that is no number does.
    fn within<T: PartialOrd + fmt::Display>(
        self,
        value: Option<T>,
        range: &RangeInclusive<T>,
    ) -> Option<T> {
        let value = value.filter(|value| range.contains(value));
        if value.is_none() {
            self.report(format!(
                "`{}` must lie between {} and {}",
                self.name,
                range.start(),
                range.end()
            ));
        }
        value
    }

    /// A share, written `99.5%`.
    pub(crate) fn percent(self) -> Option<f64> {
        let Some(text) = self.node.scalar() else {
            self.wrong_kind("a percentage such as `99.5%`");
            return None;
        };
        let number = text
            .strip_suffix('%')
            .and_then(|number| number.parse::<f64>().ok());
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

    /// A share of runs with how sure it must be, `0.9 @ 0.95`.
    pub(crate) fn pass_rate(self) -> Option<PassRate> {
        let text = self.text()?;
        match text.parse() {
            Ok(rate) => Some(rate),
            Err(why) => {
                let problem = self.problem(format!("{} is not a pass rate", self.shown()));
                self.context.push(problem.with_hint(why));
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
        let Some(text) = self.node.scalar() else {
            self.wrong_kind("a duration such as `30s`");
            return None;
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
            .map(|(word, value)| {
                self.note_word(word);
                *value
            })
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
}
