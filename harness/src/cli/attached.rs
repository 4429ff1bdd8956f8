//! What was up before the run and will be after it: locked, and free of what others left broken.

use std::path::{Path, PathBuf};

use tokio::runtime::Handle;

use super::variable;
use crate::{
    hostile::revert_command,
    journal::{self, Liveness, Owner},
    provider::Attached,
    recovery::{
        self,
        lock::{self, Claim, Lock, LockError},
    },
    suite::Place,
};

/// The variable that names the file which `lab up --token-file` wrote.
const LAB_VARIABLE: &str = "BLACKSTART_LAB";

/// Systems that this run has for itself.
#[derive(Debug)]
pub(super) struct Claimed {
    systems: Attached,
    guard: PathBuf,
    reports: PathBuf,
    lock: Lock,
}

/// A lab could not be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClaimError {
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error("a run has left something broken there; finish that with `{}`", revert_command(.0))]
    Leftovers(PathBuf),
    #[error("could not look for what runs left broken in `{path}`: {source}")]
    Reports {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("could not find the program that guards the run, which is this one: {0}")]
    Program(std::io::Error),
}

/// The file of the lab that is to be used, if one is.
pub(super) fn token_file(argument: Option<&Path>) -> Option<PathBuf> {
    argument
        .map(Path::to_owned)
        .or_else(|| variable(LAB_VARIABLE).map(PathBuf::from))
        .filter(|path| !path.as_os_str().is_empty())
}

impl Claimed {
    /// Takes systems for a run.
    pub(super) fn take(
        systems: Attached,
        environment: &str,
        run: &Path,
        reports: &Path,
    ) -> Result<Self, ClaimError> {
        let unreadable = |source| ClaimError::Reports {
            path: reports.to_owned(),
            source,
        };
        let claim = Claim {
            owner: Owner::this(),
            since: format!("{:.0}", jiff::Timestamp::now()),
            environment: environment.to_owned(),
            run: std::path::absolute(run).map_err(unreadable)?,
        };
        let lock = Lock::take(&lock::folder(variable, reports), &systems.access, &claim)?;
        let journals = recovery::journals_in(reports).map_err(unreadable)?;
        if let Some(run) = recovery::left_in(&journals, &systems.access) {
            return Err(ClaimError::Leftovers(run));
        }
        Ok(Self {
            systems,
            guard: std::env::current_exe().map_err(ClaimError::Program)?,
            reports: reports.to_owned(),
            lock,
        })
    }

    /// Where drills run then.
    pub(super) fn place(&self, threads: &Handle) -> Place {
        Place::Attached {
            systems: Box::new(self.systems.clone()),
            guard: self.guard.clone(),
            reports: self.reports.clone(),
            threads: threads.clone(),
        }
    }

    /// Lets others have it.
    pub(super) fn release(self) {
        self.lock.release();
    }
}

/// The claims of runs that are over and left something, or nobody knows what, wherever their reports are.
pub(super) fn stale_claims(reports: &Path) -> Vec<Claim> {
    // A folder that cannot be read has no claims that anybody could do anything about; `doctor` says so.
    lock::stale_claims(&lock::folder(variable, reports)).unwrap_or_default()
}

/// The folders of drills that are over and left something broken, in whatever system, and of runs whose files are gone.
pub(super) fn left_broken(reports: &Path) -> Vec<PathBuf> {
    let mut journals = recovery::journals_in(reports).unwrap_or_default();
    let claims = stale_claims(reports);
    for claim in &claims {
        recovery::add_others(&mut journals, &claim.run);
    }
    let is_left = |path: &PathBuf| match journal::read(path) {
        Ok(journal) => {
            let owner = journal.header().map(|header| header.owner.liveness());
            !journal.is_clean() && owner != Some(Liveness::Alive)
        }
        Err(_) => true,
    };
    let left = journals.iter().filter(|path| is_left(path));
    let vanished = claims.iter().filter(|claim| !claim.run.exists());
    left.filter_map(|path| path.parent())
        .chain(vanished.map(|claim| claim.run.as_path()))
        .map(Path::to_owned)
        .collect()
}
