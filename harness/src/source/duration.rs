//! Durations as they are written in files: `500ms`, `30s`, `2m`, `1h`, `1m30s`.

use std::time::Duration;

use jiff::{SignedDuration, fmt::friendly::SpanParser};

const UNITS: [&str; 4] = ["ms", "s", "m", "h"];

/// What is wrong with the text of a duration.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// Follows what was written, or stands for it: `needs a unit`.
    pub(super) message: &'static str,
    pub(super) hint: Option<String>,
}

fn wrong(message: &'static str) -> Wrong {
    Wrong {
        message,
        hint: None,
    }
}

fn wrong_because(message: &'static str, hint: impl Into<String>) -> Wrong {
    Wrong {
        message,
        hint: Some(hint.into()),
    }
}

/// Takes a duration apart, stricter than jiff does: no spaces, no long names of units, nothing longer than an hour as a unit.
pub(super) fn parse(text: &str) -> Result<Duration, Wrong> {
    const PARSER: SpanParser = SpanParser::new();
    if text.is_empty() {
        return Err(wrong_because("is empty", "write a duration such as `30s`"));
    }
    if text.starts_with('-') {
        return Err(wrong("is negative, and a duration is not"));
    }
    if text.contains(char::is_whitespace) {
        let without: String = text.split_whitespace().collect();
        let hint = match parse(&without) {
            Ok(_) => format!("write `{without}`"),
            Err(wrong) => wrong.hint.unwrap_or_else(units),
        };
        return Err(wrong_because("is not a duration", hint));
    }
    let mut rest = text;
    while !rest.is_empty() {
        let number_ends = rest
            .find(|character: char| !character.is_ascii_digit() && character != '.')
            .unwrap_or(rest.len());
        let (number, after) = rest.split_at(number_ends);
        if !number.starts_with(|first: char| first.is_ascii_digit()) {
            return Err(wrong_because(
                "is not a duration",
                "write a duration such as `30s`",
            ));
        }
        let unit_ends = after
            .find(|character: char| character.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_ends);
        if unit.is_empty() {
            return Err(wrong_because(
                "needs a unit",
                format!("write `{text}s` if seconds are meant"),
            ));
        }
        if !UNITS.contains(&unit) {
            return Err(unknown_unit(number, unit));
        }
        rest = after;
    }
    PARSER
        .parse_duration(text)
        .ok()
        .and_then(|duration: SignedDuration| Duration::try_from(duration).ok())
        .ok_or_else(|| {
            wrong_because(
                "is not a duration",
                "write the larger unit first, and a fraction only of the last: `1m30.5s`",
            )
        })
}

fn unknown_unit(number: &str, unit: &str) -> Wrong {
    let hours_in = match unit {
        "d" | "day" | "days" => 24,
        "w" | "week" | "weeks" => 7 * 24,
        _ => return wrong_because("has an unknown unit", units()),
    };
    let hint = match number
        .parse::<u32>()
        .ok()
        .and_then(|count| count.checked_mul(hours_in))
    {
        Some(hours) => format!("write `{hours}h`: the units are ms, s, m and h"),
        None => units(),
    };
    wrong_because("has an unknown unit", hint)
}

fn units() -> String {
    "the units are ms, s, m and h, as in `500ms`, `30s`, `2m`, `1h` and `1m30s`".to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::drill::duration_words;

    #[test]
    fn a_duration_has_a_unit() {
        for (text, milliseconds) in [
            ("500ms", 500),
            ("0s", 0),
            ("30s", 30_000),
            ("1.5s", 1_500),
            ("2m", 120_000),
            ("1m30s", 90_000),
            ("1h", 3_600_000),
            ("8760h", 31_536_000_000),
        ] {
            assert_eq!(
                parse(text),
                Ok(Duration::from_millis(milliseconds)),
                "{text}"
            );
        }
    }

    #[test]
    fn a_wrong_duration_says_how_to_write_it() {
        for (text, message, hint) in [
            ("30", "needs a unit", "`30s`"),
            ("-5s", "is negative", ""),
            ("2d", "has an unknown unit", "`48h`"),
            ("1w", "has an unknown unit", "`168h`"),
            ("30parsecs", "has an unknown unit", "ms, s, m and h"),
            ("30 parsecs", "is not a duration", "ms, s, m and h"),
            ("1m 30s", "is not a duration", "`1m30s`"),
            ("30s1m", "is not a duration", "larger unit first"),
            ("soon", "is not a duration", "`30s`"),
            ("", "is empty", "`30s`"),
            ("1m30", "needs a unit", ""),
        ] {
            let wrong = parse(text).expect_err(text);
            assert!(wrong.message.contains(message), "{text}: {wrong:?}");
            assert!(wrong.hint.unwrap_or_default().contains(hint), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_displayed_can_be_read_back(milliseconds in 0_u64..40_000_000_000) {
            let duration = Duration::from_millis(milliseconds);
            prop_assert_eq!(parse(&duration_words(duration)), Ok(duration));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,40}") {
            parse(&text).ok();
        }
    }
}
