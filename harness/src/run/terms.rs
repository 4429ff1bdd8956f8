//! The terms on which drills are run: what somebody has allowed, and what forbids everything.

use std::path::{Path, PathBuf};

use super::Pauses;
use crate::{drill::Drill, environment::Environment};

/// The variable of the process environment that names a kill switch besides the one that an environment names.
pub const KILL_SWITCH: &str = "BLACKSTART_KILL_SWITCH";

/// On what terms drills are run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms {
    /// Whether to do all but touch.
    pub dry_run: bool,
    /// The names of the protected environments that somebody has given. Never from a default or a variable.
    pub confirmed: Vec<String>,
    /// A file whose existence stops every drill, besides the one that an environment names.
    pub kill_switch: Option<PathBuf>,
    /// What becomes of steps that wait for a person.
    pub pauses: Pauses,
}

/// A drill must not be begun. Nothing was touched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The environment is protected and nobody has given its name.
    #[error(
        "the environment `{environment}` is protected and was not confirmed; nothing was touched"
    )]
    NotConfirmed {
        /// The environment's name.
        environment: String,
    },
    /// The drill needs a person, and nobody is there to be asked.
    #[error(
        "the drill `{drill}` needs a person ({file}:{line}: {words}), and nobody is there to be asked; nothing was touched"
    )]
    Pauses {
        /// The drill.
        drill: String,
        /// Its file.
        file: String,
        /// The line that first needs one.
        line: u32,
        /// What the person is to do.
        words: String,
    },
    /// The kill switch is on.
    #[error("the kill switch is on: `{}` exists; nothing was touched", path.display())]
    KillSwitch {
        /// The file.
        path: PathBuf,
    },
}

impl Terms {
    /// Nothing allowed beyond the ordinary, with the kill switch that the process environment names, if it names one.
    pub fn of_process(variable: impl Fn(&str) -> Option<String>) -> Self {
        Self {
            kill_switch: variable(KILL_SWITCH)
                .filter(|path| !path.is_empty())
                .map(PathBuf::from),
            ..Self::default()
        }
    }

    /// Whether a drill may be begun in an environment. One that touches nothing needs no confirmation.
    ///
    /// # Errors
    /// Why not.
    pub fn permit(&self, environment: &Environment) -> Result<(), Refusal> {
        if environment.protected && !self.dry_run && !self.confirmed.contains(&environment.name) {
            return Err(Refusal::NotConfirmed {
                environment: environment.name.clone(),
            });
        }
        match self.kill_switches(environment).find(|path| is_on(path)) {
            Some(path) => Err(Refusal::KillSwitch {
                path: path.to_owned(),
            }),
            None => Ok(()),
        }
    }

    /// Whether a drill may be begun that may need a person. One that touches nothing waits for nobody.
    ///
    /// # Errors
    /// Why not.
    pub fn permit_pauses(&self, drill: &Drill) -> Result<(), Refusal> {
        match drill.needs_a_person() {
            Some(need) if self.pauses == Pauses::Refused && !self.dry_run => Err(Refusal::Pauses {
                drill: drill.name.clone(),
                file: drill.file.display().to_string(),
                line: need.at.line,
                words: need.value,
            }),
            Some(_) | None => Ok(()),
        }
    }

    /// The files that stop a drill in an environment.
    pub(super) fn kill_switches<'a>(
        &'a self,
        environment: &'a Environment,
    ) -> impl Iterator<Item = &'a Path> {
        [&environment.limits.kill_switch, &self.kill_switch]
            .into_iter()
            .flatten()
            .map(PathBuf::as_path)
    }
}

/// Whether a kill switch is on. One that cannot be looked at counts as on: whoever put it out of reach did not mean "go on".
pub(super) fn is_on(path: &Path) -> bool {
    !std::fs::symlink_metadata(path)
        .is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_kill_switch_comes_from_the_process_environment() {
        let terms = Terms::of_process(|name| Some(format!("/{name}")));
        assert_eq!(
            terms,
            Terms {
                kill_switch: Some("/BLACKSTART_KILL_SWITCH".into()),
                ..Terms::default()
            }
        );
        assert_eq!(Terms::of_process(|_| Some(String::new())), Terms::default());
        assert_eq!(Terms::of_process(|_| None), Terms::default());
    }

    #[test]
    fn a_kill_switch_that_cannot_be_looked_at_is_on() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("stop");
        assert!(!is_on(&file));
        std::fs::write(&file, "").unwrap();
        assert!(is_on(&file));
        assert!(is_on(&file.join("below-a-file")));
        let dangling = folder.path().join("dangling");
        std::os::unix::fs::symlink("nowhere", &dangling).unwrap();
        assert!(is_on(&dangling), "somebody has put it there");
    }
}
