//! What each signal does: the first stops and reverts, the second says what is still broken, the third leaves.

use std::path::Path;

use crate::{exit_code::ExitCode, hostile::revert_command, journal, recovery};

/// How often somebody wanted the run to stop.
#[derive(Debug, Default)]
pub(super) struct Stopping {
    signals: u32,
    first: Option<&'static str>,
}

impl Stopping {
    /// Takes a signal. Yields what to tell, and the code to leave with at once if this is the third.
    pub(super) fn heed(&mut self, signal: &'static str, run: &Path) -> (String, Option<ExitCode>) {
        self.signals += 1;
        let first = *self.first.get_or_insert(signal);
        if self.signals == 1 {
            let words = format!("{signal}: stopping; every fault is reverted first");
            return (words, None);
        }
        let broken = still_broken(run);
        if self.signals == 2 {
            let words = format!(
                "{signal} again: {}; once more leaves it like that",
                listed(&broken)
            );
            return (words, None);
        }
        if broken.is_empty() {
            let code = match first {
                "SIGINT" => ExitCode::Interrupted,
                _ => ExitCode::Terminated,
            };
            return (format!("{signal} for the third time: leaving"), Some(code));
        }
        let words = format!(
            "{signal} for the third time: leaving; {}; finish with: {}",
            listed(&broken),
            revert_command(run)
        );
        (words, Some(ExitCode::NotRestored))
    }
}

fn listed(broken: &[String]) -> String {
    if broken.is_empty() {
        return "nothing is left broken that outlives this process".to_owned();
    }
    format!("not verified as restored yet: {}", broken.join("; "))
}

/// What the journals of the run say is left, in words. What ends with this process is not.
fn still_broken(run: &Path) -> Vec<String> {
    let mut words = Vec::new();
    for path in recovery::journals_of(run).unwrap_or_default() {
        match journal::read(&path) {
            Ok(journal) if journal.is_clean() => {}
            Ok(journal) => {
                let left = journal.leftovers().into_iter();
                words.extend(
                    left.map(|left| format!("`{}` ({})", left.undo.target, left.undo.words)),
                );
            }
            Err(error) => words.push(format!(
                "nobody knows what, as `{}` cannot be read: {error}",
                path.display()
            )),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_has_broken_nothing_is_left_with_the_code_of_the_first_signal() {
        let run = tempfile::tempdir().unwrap();
        let mut stopping = Stopping::default();
        assert_eq!(stopping.heed("SIGTERM", run.path()).1, None);
        let (words, code) = stopping.heed("SIGINT", run.path());
        assert!(words.contains("nothing is left broken"), "{words}");
        assert_eq!(code, None);
        assert_eq!(
            stopping.heed("SIGINT", run.path()).1,
            Some(ExitCode::Terminated)
        );
    }

    #[test]
    fn a_run_that_has_left_something_broken_is_left_with_the_command_that_finishes() {
        let run = tempfile::tempdir().unwrap();
        std::fs::write(run.path().join(journal::FILE_NAME), journal::sample()).unwrap();
        let mut stopping = Stopping::default();
        stopping.heed("SIGINT", run.path());
        let (words, _) = stopping.heed("SIGINT", run.path());
        assert!(words.contains("`target-0` (set replicas to 2)"), "{words}");
        let (words, code) = stopping.heed("SIGINT", run.path());
        assert_eq!(code, Some(ExitCode::NotRestored));
        let command = format!("blackstart revert {}", run.path().display());
        assert!(words.contains(&command), "{words}");
    }
}
