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
use crate::{
    hostile::revert_command,
    journal::{self, Access, Owner},
};

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

/// Systems that nobody else may break while this is held.
#[derive(Debug)]
pub struct Lock {
    files: Vec<File>,
    /// The lab's own file, locked as well: whoever keeps locks in another folder still uses that one.
    _token_file: Option<File>,
    run: PathBuf,
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
    /// Somebody else has it who keeps locks elsewhere.
    #[error("somebody else runs a drill there, who keeps locks elsewhere: another user, or with another {FOLDER_VARIABLE}; `{}` is locked", .0.display())]
    TakenElsewhere(PathBuf),
    /// Whoever had it before is gone, and so are the files that would say what was left.
    #[error("{} is gone, and so are the files of that run, so that what it left broken is not known: look at the system, and then settle it with `{} --force`", .claim.owner, revert_command(.run))]
    Vanished {
        /// Who had it.
        claim: Box<Claim>,
        /// The folder of the run.
        run: PathBuf,
    },
    /// Whoever had it before is gone and has left something broken.
    #[error("{} is gone and has left something broken; finish that with `{}`", .claim.owner, revert_command(.run))]
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
    /// Takes systems, if nobody else has one of them and nobody who had one left something broken there.
    ///
    /// # Errors
    /// If one of them is not to be had: then none is taken.
    pub fn take(folder: &Path, accesses: &[Access], claim: &Claim) -> Result<Self, LockError> {
        let failed = |source| LockError::File {
            path: folder.to_owned(),
            source,
        };
        std::fs::create_dir_all(folder).map_err(failed)?;
        let mut keys: Vec<String> = accesses.iter().map(key).collect();
        // What is one system has one lock, however it is named, and all take several in the same order.
        keys.sort();
        keys.dedup();
        let files = keys
            .iter()
            .map(|key| lock_one(&folder.join(format!("{key}.lock"))));
        let mut token_file = None;
        let files = files.collect::<Result<Vec<_>, _>>()?;
        for access in accesses {
            token_file = token_file.or(lock_token_file(access)?);
        }
        let lock = Self {
            files,
            _token_file: token_file,
            run: claim.run.clone(),
        };
        let text = serde_json::to_string(claim).map_err(|error| failed(error.into()))?;
        lock.write(&text).map_err(failed)?;
        Ok(lock)
    }

    /// Lets others have it. The claim stays if the run left something: then the next one finds that.
    pub fn release(self) {
        if what_is_left(&self.run) == Left::Nothing {
            // With what was written in it still there the next one reads a journal that is clean.
            drop(self.write(""));
        }
    }

    fn write(&self, text: &str) -> io::Result<()> {
        for mut file in &self.files {
            file.set_len(0)?;
            file.seek(SeekFrom::Start(0))?;
            file.write_all(text.as_bytes())?;
            file.sync_data()?;
        }
        Ok(())
    }
}

/// Locks one system's file, if nobody else has it and nobody who had it left something broken.
fn lock_one(path: &Path) -> Result<File, LockError> {
    let failed = |source| LockError::File {
        path: path.to_owned(),
        source,
    };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(failed)?;
    let locked = file.try_lock();
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(failed)?;
    let former: Option<Claim> = serde_json::from_str(&text).ok();
    match (locked, former) {
        (Ok(()), Some(former)) => {
            let (run, claim) = (former.run.clone(), Box::new(former));
            match what_is_left(&run) {
                Left::Nothing => Ok(file),
                Left::Something => Err(LockError::Stale { claim, run }),
                Left::Unknown => Err(LockError::Vanished { claim, run }),
            }
        }
        (Ok(()), None) => Ok(file),
        (Err(TryLockError::WouldBlock), Some(former)) => Err(LockError::Taken(Box::new(former))),
        (Err(TryLockError::WouldBlock), None) => Err(LockError::TakenByNobody),
        (Err(TryLockError::Error(source)), _) => Err(failed(source)),
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

/// The claims in a folder of locks of runs that are over and were not clean when they ended.
///
/// # Errors
/// If the folder is there and cannot be read.
pub fn stale_claims(folder: &Path) -> io::Result<Vec<Claim>> {
    let stale = |file: &File, claim: &Claim| {
        file.try_lock().is_ok() && what_is_left(&claim.run) != Left::Nothing
    };
    let claims = claims_in(folder)?.into_iter();
    Ok(claims
        .filter(|(file, claim)| stale(file, claim))
        .map(|(_, claim)| claim)
        .collect())
}

/// Takes what a run left as settled whose files are gone. Whether there was such a claim.
///
/// # Errors
/// If the folder cannot be read or a claim not be removed.
pub fn forget(folder: &Path, run: &Path) -> io::Result<bool> {
    let run = std::path::absolute(run)?;
    let mut found = false;
    for (file, claim) in claims_in(folder)? {
        if claim.run == run && what_is_left(&run) == Left::Unknown && file.try_lock().is_ok() {
            file.set_len(0)?;
            found = true;
        }
    }
    Ok(found)
}

fn claims_in(folder: &Path) -> io::Result<Vec<(File, Claim)>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut claims = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "lock")
        {
            let mut file = OpenOptions::new().read(true).write(true).open(path)?;
            let mut text = String::new();
            file.read_to_string(&mut text)?;
            if let Ok(claim) = serde_json::from_str(&text) {
                claims.push((file, claim));
            }
        }
    }
    Ok(claims)
}

/// Locks the file that a lab is reached by, which everybody needs who uses the lab.
fn lock_token_file(access: &Access) -> Result<Option<File>, LockError> {
    let Access::Lab { token_file, .. } = access else {
        return Ok(None);
    };
    let failed = |source| LockError::File {
        path: token_file.clone(),
        source,
    };
    let file = File::open(token_file).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(LockError::TakenElsewhere(token_file.clone())),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// What is known of what a run left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    Nothing,
    Something,
    /// Its files are gone.
    Unknown,
}

fn what_is_left(run: &Path) -> Left {
    if !run.is_dir() {
        return Left::Unknown;
    }
    let journals = journals_of(run).unwrap_or_default();
    let is_clean = |path: &PathBuf| journal::read(path).is_ok_and(|journal| journal.is_clean());
    if journals.iter().all(is_clean) {
        Left::Nothing
    } else {
        Left::Something
    }
}

/// The name of a system's lock.
fn key(access: &Access) -> String {
    let system = match access {
        Access::InProcess => "in-process".to_owned(),
        Access::Lab { address, .. } => format!("lab-{address}"),
        Access::Docker { engine, project } => {
            let project = project.as_deref().unwrap_or("any-project");
            format!("docker-{engine}-{project}")
        }
        Access::Kubernetes { server, .. } => format!("kubernetes-{server}"),
        Access::Aws { account, number } => {
            let place = account.endpoint.as_deref().unwrap_or_default();
            format!("aws-{place}{number}")
        }
        Access::Command { environment } => format!("command-{environment}"),
        Access::Azure { account } => match &account.stand_in {
            Some(stand_in) => format!("azure-{}-{}", stand_in.endpoint, account.subscription),
            None => format!("azure-{}", account.subscription),
        },
    };
    system
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

    /// A lab, as far as locks are concerned: a file that stands for it.
    fn access(folder: &Path, port: u16) -> Vec<Access> {
        let token_file = folder.join(format!("{port}.json"));
        std::fs::write(&token_file, "").unwrap();
        vec![Access::Lab {
            address: ([127, 0, 0, 1], port).into(),
            id: port.to_string(),
            token_file,
            process: None,
        }]
    }

    fn claim(run: &Path) -> Claim {
        std::fs::create_dir_all(run).unwrap();
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
        let access = access(folder.path(), 4000);
        let take = || Lock::take(folder.path(), &access, &claim(&run));
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
    fn who_keeps_locks_elsewhere_is_told_all_the_same() {
        let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let run = folder.path().join("run");
        let access = access(folder.path(), 4000);
        let _first = Lock::take(folder.path(), &access, &claim(&run)).unwrap();
        let second = Lock::take(elsewhere.path(), &access, &claim(&run));
        let words = second.unwrap_err().to_string();
        assert!(words.contains("4000.json` is locked"), "{words}");
    }

    #[test]
    fn another_system_is_another_lock() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        let take = |port| {
            let access = access(folder.path(), port);
            Lock::take(folder.path(), &access, &claim(&run))
        };
        let _first = take(4000).unwrap();
        take(4001).unwrap();
    }

    #[test]
    fn of_several_systems_one_that_somebody_has_is_enough_to_get_none() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        let cluster = Access::Kubernetes {
            cluster: crate::environment::Cluster::default(),
            server: "https://192.0.2.1:6443".into(),
        };
        let both = [access(folder.path(), 4000), vec![cluster.clone()]].concat();
        let take = |accesses: &[Access]| Lock::take(folder.path(), accesses, &claim(&run));
        let first = take(&[cluster]).unwrap();
        assert!(matches!(take(&both), Err(LockError::Taken(_))));
        // The other is free still.
        take(&access(folder.path(), 4000)).unwrap().release();
        first.release();
        take(&both).unwrap();
    }

    #[test]
    fn a_run_whose_files_are_gone_is_not_taken_for_one_that_left_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (run, next) = (folder.path().join("run"), folder.path().join("next"));
        let access = access(folder.path(), 4000);
        drop(Lock::take(folder.path(), &access, &claim(&run)).unwrap());
        std::fs::remove_dir(&run).unwrap();
        let take = || Lock::take(folder.path(), &access, &claim(&next));
        let error = take().unwrap_err();
        assert!(matches!(error, LockError::Vanished { .. }), "{error}");
        assert_eq!(stale_claims(folder.path()).unwrap()[0].run, run);
        assert!(!forget(folder.path(), &next).unwrap());
        assert!(forget(folder.path(), &run).unwrap());
        assert_eq!(stale_claims(folder.path()).unwrap(), []);
        take().unwrap();
    }

    #[test]
    fn one_that_was_left_with_something_broken_is_not_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        let access = access(folder.path(), 4000);
        let take = || Lock::take(folder.path(), &access, &claim(&run));
        let first = take().unwrap();
        std::fs::write(run.join(journal::FILE_NAME), "damaged\n").unwrap();
        // The claim outlives a release, too.
        first.release();
        let error = take().unwrap_err();
        let words = error.to_string();
        assert!(matches!(error, LockError::Stale { .. }), "{words}");
        let command = format!("blackstart revert {}", run.display());
        assert!(words.contains(&command), "{words}");
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
