//! One harness at a time has a system that outlives it.
//!
//! The lock is a file that the kernel frees when its owner ends, however that ends. What is written in it says who that is, or
//! was: somebody who is gone may have left something broken, and that is finished first.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::journals_of;
use crate::journal::{self, Access, Owner};

/// Where locks are kept, if not in the user's folder for such things.
pub const FOLDER_VARIABLE: &str = "BLACKSTART_STATE";

/// Who has a system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Whose process it is.
    pub owner: Owner,
    /// When it began, RFC 3339 in UTC.
    pub since: String,
    /// The environment's name.
    pub environment: String,
    /// The folder of the run.
    pub run: PathBuf,
}

/// A system that nobody else may break while this is held.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

/// A system could not be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else has it.
    #[error("somebody else runs a drill there: {}, since {}, in {}", .0.owner, .0.since, .0.run.display())]
    Taken(Box<Claim>),
    /// Somebody else has it and has not yet said who that is.
    #[error("somebody else runs a drill there, who has just begun")]
    TakenByNobody,
    /// Whoever had it before is gone and has left something broken.
    #[error("{} is gone and has left something broken; finish that with `blackstart revert {}`", .claim.owner, .run.display())]
    Stale {
        /// Who had it.
        claim: Box<Claim>,
        /// The folder of the run.
        run: PathBuf,
    },
    /// The lock's file cannot be used.
    #[error("could not lock the environment with `{path}`")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Lock {
    /// Takes a system, if nobody else has it and nobody who had it left something broken.
    ///
    /// # Errors
    /// If it is not to be had.
    pub fn take(folder: &Path, access: &Access, claim: &Claim) -> Result<Self, LockError> {
        let path = folder.join(format!("{}.lock", key(access, &claim.environment)));
        let failed = |source| LockError::File {
            path: path.clone(),
            source,
        };
        std::fs::create_dir_all(folder).map_err(failed)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        let locked = file.try_lock();
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(failed)?;
        let former: Option<Claim> = serde_json::from_str(&text).ok();
        match (locked, former) {
            (Ok(()), Some(former)) => {
                if let Some(run) = leftovers_of(&former.run) {
                    let claim = Box::new(former);
                    return Err(LockError::Stale { claim, run });
                }
            }
            (Ok(()), None) => {}
            (Err(TryLockError::WouldBlock), Some(former)) => {
                return Err(LockError::Taken(Box::new(former)));
            }
            (Err(TryLockError::WouldBlock), None) => return Err(LockError::TakenByNobody),
            (Err(TryLockError::Error(source)), _) => return Err(failed(source)),
        }
        let lock = Self { file };
        let text = serde_json::to_string(claim).map_err(|error| failed(error.into()))?;
        lock.write(&text).map_err(failed)?;
        Ok(lock)
    }

    /// Lets others have it.
    pub fn release(self) {
        // With what was written in it still there the next one reads a journal that is clean.
        drop(self.write(""));
    }

    fn write(&self, text: &str) -> io::Result<()> {
        let mut file = &self.file;
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(text.as_bytes())?;
        file.sync_data()
    }
}

/// Where locks are kept: for all reports of a user alike, since two folders of reports may be about one system.
pub fn folder(variable: impl Fn(&str) -> Option<String>, reports: &Path) -> PathBuf {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    if let Some(folder) = set(FOLDER_VARIABLE) {
        return PathBuf::from(folder).join("locks");
    }
    let state = set("XDG_STATE_HOME")
        .map(PathBuf::from)
        .or_else(|| set("HOME").map(|home| Path::new(&home).join(".local/state")));
    state.map_or_else(
        || reports.join(".locks"),
        |state| state.join("blackstart/locks"),
    )
}

/// What is left broken by a run that is gone: its folder, if there is anything. One whose files are gone has told all it will.
fn leftovers_of(run: &Path) -> Option<PathBuf> {
    let journals = journals_of(run).unwrap_or_default();
    let is_clean = |path: &PathBuf| journal::read(path).is_ok_and(|journal| journal.is_clean());
    (!journals.iter().all(is_clean)).then(|| run.to_owned())
}

/// The name of a system's lock.
fn key(access: &Access, environment: &str) -> String {
    let system = match access {
        Access::InProcess => "in-process".to_owned(),
        Access::Lab { address, .. } => format!("lab-{address}"),
        Access::Docker { engine, project } => {
            let project = project.as_deref().unwrap_or("any-project");
            format!("docker-{engine}-{project}")
        }
    };
    format!("{environment}-{system}")
        .chars()
        .map(|letter| match letter {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '.' => letter,
            _ => '-',
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access() -> Access {
        Access::Lab {
            address: "127.0.0.1:4000".parse().unwrap(),
            id: "ab12".into(),
            token_file: "/run/lab.json".into(),
        }
    }

    fn claim(run: &Path) -> Claim {
        Claim {
            owner: Owner::this(),
            since: "2026-01-01T00:00:00Z".into(),
            environment: "three-tier".into(),
            run: run.to_owned(),
        }
    }

    #[test]
    fn the_second_is_told_who_has_it_and_has_it_when_the_first_has_gone() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        let take = || Lock::take(folder.path(), &access(), &claim(&run));
        let first = take().unwrap();
        let LockError::Taken(claim) = take().unwrap_err() else {
            panic!("is free")
        };
        assert_eq!(claim.owner.process, std::process::id());
        first.release();
        // Whoever only drops it, as a process does that is killed, leaves its claim and no lock.
        drop(take().unwrap());
        take().unwrap();
    }

    #[test]
    fn another_system_is_another_lock() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        let _first = Lock::take(folder.path(), &access(), &claim(&run)).unwrap();
        let other = Access::Lab {
            address: "127.0.0.1:4001".parse().unwrap(),
            id: "cd34".into(),
            token_file: "/run/lab.json".into(),
        };
        Lock::take(folder.path(), &other, &claim(&run)).unwrap();
    }

    #[test]
    fn one_that_was_left_with_something_broken_is_not_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        std::fs::create_dir(&run).unwrap();
        drop(Lock::take(folder.path(), &access(), &claim(&run)).unwrap());
        std::fs::write(run.join(journal::FILE_NAME), "damaged\n").unwrap();
        let error = Lock::take(folder.path(), &access(), &claim(&run)).unwrap_err();
        let words = error.to_string();
        assert!(matches!(error, LockError::Stale { .. }), "{words}");
        assert!(
            words.contains(&format!("blackstart revert {}", run.display())),
            "{words}"
        );
    }

    #[test]
    fn locks_are_kept_where_the_user_keeps_state() {
        let reports = Path::new("reports");
        let with = |pairs: &'static [(&str, &str)]| {
            let variable = |name: &str| {
                let found = pairs.iter().find(|(key, _)| *key == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            folder(variable, reports).display().to_string()
        };
        assert_eq!(
            with(&[("BLACKSTART_STATE", "/s"), ("HOME", "/h")]),
            "/s/locks"
        );
        assert_eq!(
            with(&[("XDG_STATE_HOME", "/x"), ("HOME", "/h")]),
            "/x/blackstart/locks"
        );
        assert_eq!(with(&[("HOME", "/h")]), "/h/.local/state/blackstart/locks");
        assert_eq!(with(&[]), "reports/.locks");
    }
}
