//! How text looks: with or without colour, in ASCII or with a few other characters, and how wide.

use anstyle::AnsiColor;

/// How a report is laid out for a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Whether escape sequences for colours are written. Nothing is said by colour alone.
    pub color: bool,
    /// Whether our own words are confined to ASCII.
    pub ascii: bool,
    /// The columns there are. Less than 60 is taken as 60, more than 100 as 100.
    pub width: usize,
}

impl Default for Style {
    /// No colour, 100 columns.
    fn default() -> Self {
        Self {
            color: false,
            ascii: false,
            width: 100,
        }
    }
}

/// What a piece of text means, from which follows its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Other,
    Warning,
    Bad,
    Faint,
    Strong,
    Plain,
}

impl Style {
    /// The columns used.
    pub(crate) fn columns(&self) -> usize {
        self.width.clamp(60, 100)
    }

    /// Gives a text, whose width must have been dealt with before, the colour of its meaning.
    pub(crate) fn paint(&self, tone: Tone, text: &str) -> String {
        let plain = anstyle::Style::new();
        let style = match tone {
            Tone::Good => AnsiColor::Green.on_default(),
            Tone::Other => AnsiColor::Cyan.on_default(),
            Tone::Warning => AnsiColor::Yellow.on_default(),
            Tone::Bad => AnsiColor::Red.on_default().bold(),
            Tone::Faint => plain.dimmed(),
            Tone::Strong => plain.bold(),
            Tone::Plain => plain,
        };
        if self.color && tone != Tone::Plain {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }

    /// Chooses between two spellings of the same.
    pub(crate) fn either<'a>(&self, ascii: &'a str, unicode: &'a str) -> &'a str {
        if self.ascii { ascii } else { unicode }
    }
}

/// What `--color` asks for, if not for the decision of [`color_choice`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColorChoice {
    /// Colour, wherever the text goes.
    Always,
    /// No colour.
    Never,
}

/// Whether to write colours: the flag decides, then `NO_COLOR`, then `CLICOLOR_FORCE` and `FORCE_COLOR`, then whether the text goes
/// to a terminal that is not dumb. A variable counts if it is set and not empty; the forcing ones not if they are `0`.
///
/// `variable` reads the process environment.
pub fn color_choice(
    flag: Option<ColorChoice>,
    is_terminal: bool,
    variable: impl Fn(&str) -> Option<String>,
) -> bool {
    let set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
    let forced = |name: &str| variable(name).is_some_and(|value| !value.is_empty() && value != "0");
    match flag {
        Some(ColorChoice::Always) => true,
        Some(ColorChoice::Never) => false,
        None if set("NO_COLOR") => false,
        None if forced("CLICOLOR_FORCE") || forced("FORCE_COLOR") => true,
        None => is_terminal && variable("TERM").as_deref() != Some("dumb"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_beats_no_color_beats_forcing_beats_the_terminal() {
        type Case<'a> = (Option<ColorChoice>, bool, &'a [(&'a str, &'a str)], bool);
        let cases: [Case<'_>; 13] = [
            (None, true, &[], true),
            (None, false, &[], false),
            (None, true, &[("TERM", "dumb")], false),
            (None, true, &[("NO_COLOR", "1")], false),
            (None, true, &[("NO_COLOR", "")], true),
            (None, false, &[("CLICOLOR_FORCE", "1")], true),
            (None, false, &[("CLICOLOR_FORCE", "0")], false),
            (None, false, &[("FORCE_COLOR", "1")], true),
            (
                None,
                true,
                &[("NO_COLOR", "1"), ("FORCE_COLOR", "1")],
                false,
            ),
            (None, false, &[("TERM", "dumb"), ("FORCE_COLOR", "1")], true),
            (Some(ColorChoice::Always), false, &[("NO_COLOR", "1")], true),
            (
                Some(ColorChoice::Never),
                true,
                &[("FORCE_COLOR", "1")],
                false,
            ),
            (Some(ColorChoice::Always), false, &[], true),
        ];
        for (flag, is_terminal, variables, expected) in cases {
            let lookup = |name: &str| {
                variables
                    .iter()
                    .find(|(known, _)| *known == name)
                    .map(|(_, value)| (*value).to_owned())
            };
            assert_eq!(
                color_choice(flag, is_terminal, lookup),
                expected,
                "{flag:?} {is_terminal} {variables:?}"
            );
        }
    }

    #[test]
    fn without_colour_no_escape_is_written() {
        let style = Style::default();
        assert_eq!(style.paint(Tone::Bad, "FAIL"), "FAIL");
        let style = Style {
            color: true,
            ..style
        };
        assert!(style.paint(Tone::Bad, "FAIL").starts_with('\u{1b}'));
    }
}
