//! What the programs of a `command` fault tell, wherever they run: in a container or beside the harness.

use crate::{
    drill,
    hostile::{harmless, shell_words},
};

/// How much of what a program prints is kept.
const KEPT: usize = 4096;

/// How much of it is shown in a message.
const SHOWN: usize = 500;

/// A program of a `command` fault did not do what it is for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// It could not be started.
    #[error("`{program}` could not be started: {reason}")]
    NotStarted {
        /// The program with its arguments.
        program: String,
        /// Why.
        reason: String,
    },
    /// It took too long.
    #[error(
        "`{program}` did not end within {limit:?}{then}; a longer `timeout:` gives it more time"
    )]
    TooSlow {
        /// The program with its arguments.
        program: String,
        /// How long it had.
        limit: std::time::Duration,
        /// What becomes of it now, beginning with a comma.
        then: &'static str,
    },
    /// It failed.
    #[error("`{program}` ended with {code}{printed}")]
    Failed {
        /// The program with its arguments.
        program: String,
        /// Its exit code, or the signal that ended it.
        code: String,
        /// What it printed, beginning with a colon.
        printed: String,
    },
    /// It cannot tell.
    #[error(
        "`{program}` ended with {code}, and only 0 (the fault is in place) and 1 (it is not) say something{printed}"
    )]
    NoAnswer {
        /// The program with its arguments.
        program: String,
        /// Its exit code, or the signal that ended it.
        code: String,
        /// What it printed, beginning with a colon.
        printed: String,
    },
    /// A variable that it needs is not set.
    #[error("the variable `{0}`, which a command needs, is not set here: set it and try again")]
    NoVariable(String),
}

/// A program that has ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ended {
    /// Its exit code; `None` if a signal ended it.
    pub(super) code: Option<i64>,
    pub(super) output: Output,
}

/// The beginning of what a program printed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Output {
    kept: Vec<u8>,
    more: bool,
}

impl Output {
    /// Takes what was printed next, which must be read even where it is not kept, or the program would wait.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        let room = KEPT.saturating_sub(self.kept.len()).min(bytes.len());
        self.kept.extend(&bytes[..room]);
        self.more |= room < bytes.len();
    }

    /// The output as one harmless line.
    pub(super) fn line(&self) -> String {
        let text = String::from_utf8_lossy(&self.kept);
        let text = harmless(text.trim());
        let mut shown: String = text.chars().take(SHOWN).collect();
        if self.more || shown.len() < text.len() {
            shown.push('…');
        }
        shown
    }

    /// The same behind a colon; nothing if nothing was printed.
    fn shown(&self) -> String {
        let line = self.line();
        if line.is_empty() {
            return line;
        }
        format!(": {line}")
    }
}

impl Ended {
    fn code(&self) -> String {
        self.code
            .map_or_else(|| "a signal".to_owned(), |code| code.to_string())
    }

    /// That `inject` or `revert` did what it is for.
    pub(super) fn succeeded(&self, program: &[String]) -> Result<(), CommandError> {
        if self.code == Some(0) {
            return Ok(());
        }
        Err(CommandError::Failed {
            program: shell_words(program),
            code: self.code(),
            printed: self.output.shown(),
        })
    }

    /// Whether `verify` says that the fault is in place.
    pub(super) fn says_in_place(&self, program: &[String]) -> Result<bool, CommandError> {
        match self.code {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            _ => Err(CommandError::NoAnswer {
                program: shell_words(program),
                code: self.code(),
                printed: self.output.shown(),
            }),
        }
    }
}

/// The variables that the programs get, with their values from this process.
pub(super) fn environment(command: &drill::Command) -> Result<Vec<(String, String)>, CommandError> {
    variables(&command.environment)
}

/// Variables of this process by their names.
pub(super) fn variables(names: &[String]) -> Result<Vec<(String, String)>, CommandError> {
    let value = |name: &String| {
        let value = std::env::var(name).map_err(|_| CommandError::NoVariable(name.clone()))?;
        Ok((name.clone(), value))
    };
    names.iter().map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(code: Option<i64>, output: &[u8]) -> Ended {
        let mut ended = Ended {
            code,
            ..Ended::default()
        };
        ended.output.take(output);
        ended
    }

    fn program() -> Vec<String> {
        ["pg_ctl", "stop it"].map(str::to_owned).to_vec()
    }

    #[test]
    fn zero_is_in_place_and_one_is_not_and_anything_else_is_no_answer() {
        let says = |code| ended(code, b"").says_in_place(&program());
        assert_eq!(says(Some(0)), Ok(true));
        assert_eq!(says(Some(1)), Ok(false));
        for code in [Some(2), Some(126), Some(127), Some(137), None] {
            assert!(matches!(says(code), Err(CommandError::NoAnswer { .. })));
        }
    }

    #[test]
    fn a_failure_is_told_with_the_command_line_and_one_harmless_line_of_what_was_printed() {
        let error = ended(Some(3), b"no\n::error::\x1b[2Jsuch server\n")
            .succeeded(&program())
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "`pg_ctl 'stop it'` ended with 3: no\\n\\x3a:error::\\x1b[2Jsuch server"
        );
        assert_eq!(ended(Some(0), b"anything").succeeded(&program()), Ok(()));
    }

    #[test]
    fn what_is_printed_is_cut_and_said_to_be() {
        let ended = ended(Some(1), &[b'a'; KEPT + 1]);
        assert_eq!(ended.output.kept.len(), KEPT);
        let shown = ended.output.shown();
        assert_eq!(shown.chars().count(), 2 + SHOWN + 1);
        assert!(shown.ends_with('…'));
    }

    #[test]
    fn a_variable_that_is_not_set_is_named() {
        let command = drill::Command {
            inject: program(),
            revert: program(),
            verify: program(),
            environment: vec!["BLACKSTART_NOBODY_SETS_THIS".to_owned()],
            timeout: std::time::Duration::from_secs(1),
        };
        let error = environment(&command).unwrap_err();
        assert!(error.to_string().contains("BLACKSTART_NOBODY_SETS_THIS"));
    }
}
