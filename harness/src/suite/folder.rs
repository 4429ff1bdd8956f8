//! Where a run keeps its files.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use crate::timeline::Repeat;

/// The name of a run: when it began and a few random letters, so that two at the same second differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunId(String);

/// The folder of a run.
#[derive(Debug, Clone)]
pub struct RunFolder {
    reports: PathBuf,
    path: PathBuf,
    several: bool,
}

impl RunId {
    /// A new name for a run that begins at `now`.
    pub fn new(now: jiff::Timestamp, random: &mut fastrand::Rng) -> Self {
        let letters: String = (0..4)
            .map(|_| {
                char::from(
                    *random
                        .choice(b"abcdefghjkmnpqrstuvwxyz23456789")
                        .unwrap_or(&b'x'),
                )
            })
            .collect();
        Self(format!("{}-{letters}", now.strftime("%Y-%m-%dT%H-%M-%SZ")))
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The number of a run, with as many digits as the last one has, so that names sort as numbers do.
pub(super) fn numbered(repeat: Repeat) -> String {
    let digits = repeat.of.to_string().len().max(2);
    format!("{:0digits$}", repeat.number)
}

impl RunFolder {
    /// Creates the folder of a run below `reports`. Several drills get a folder each inside it.
    ///
    /// # Errors
    /// If it cannot be created, or is there already.
    pub fn create(reports: &Path, run_id: &RunId, several: bool) -> io::Result<Self> {
        std::fs::create_dir_all(reports)?;
        let path = reports.join(run_id.to_string());
        std::fs::create_dir(&path)?;
        Ok(Self {
            reports: reports.to_owned(),
            path,
            several,
        })
    }

    /// The folder of a run that may be there already, for several drills.
    ///
    /// # Errors
    /// If it cannot be created.
    pub fn join(reports: &Path, run_id: &RunId) -> io::Result<Self> {
        let path = reports.join(run_id.to_string());
        std::fs::create_dir_all(&path)?;
        Ok(Self {
            reports: reports.to_owned(),
            path,
            several: true,
        })
    }

    /// The folder for the runs of one drill, beside the folders of other drills.
    ///
    /// # Errors
    /// If it cannot be created.
    pub fn of_series(&self, drill: &str) -> io::Result<Self> {
        Ok(Self {
            reports: self.path.clone(),
            path: self.of_drill(drill)?,
            several: true,
        })
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Creates the folder for one drill's files.
    ///
    /// # Errors
    /// If it cannot be created.
    pub fn of_drill(&self, drill: &str) -> io::Result<PathBuf> {
        let path = if self.several {
            self.path.join(drill)
        } else {
            self.path.clone()
        };
        std::fs::create_dir_all(&path)?;
        Ok(path)
    }

    /// Creates the folder for the files of one of several runs of a drill.
    ///
    /// # Errors
    /// If it cannot be created.
    pub fn of_repeat(&self, drill: &str, repeat: Repeat, alone: bool) -> io::Result<PathBuf> {
        let number = numbered(repeat);
        // No drill's name has an `@`.
        let path = self.path.join(if alone {
            number
        } else {
            format!("{drill}@{number}")
        });
        std::fs::create_dir_all(&path)?;
        Ok(path)
    }

    /// Points `latest` at this run. A file system without symbolic links goes without.
    pub fn point_latest(&self) {
        let latest = self.reports.join("latest");
        let Some(name) = self.path.file_name() else {
            return;
        };
        #[cfg(unix)]
        {
            let next = self
                .reports
                .join(format!(".latest-{}", name.to_string_lossy()));
            // Made beside it and renamed over it, so that `latest` is there at every moment.
            if std::os::unix::fs::symlink(name, &next).is_ok()
                && std::fs::rename(&next, &latest).is_err()
            {
                drop(std::fs::remove_file(&next));
            }
        }
    }

    /// The folders of the drills in the folder of a run: itself, or those inside it.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn drills_in(run: &Path) -> io::Result<Vec<PathBuf>> {
        if run.join(super::EVENTS).exists() {
            return Ok(vec![run.to_owned()]);
        }
        let mut folders = Vec::new();
        for entry in std::fs::read_dir(run)? {
            let path = entry?.path();
            if path.join(super::EVENTS).exists() {
                folders.push(path);
            }
        }
        folders.sort();
        Ok(folders)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latest_points_at_the_newest_run() {
        let reports = tempfile::tempdir().unwrap();
        for name in ["first", "second"] {
            RunFolder::create(reports.path(), &RunId(name.into()), false)
                .unwrap()
                .point_latest();
        }
        assert_eq!(
            std::fs::read_link(reports.path().join("latest")).unwrap(),
            Path::new("second")
        );
    }

    #[test]
    fn two_runs_never_share_a_folder() {
        let reports = tempfile::tempdir().unwrap();
        let id = RunId("same".into());
        RunFolder::create(reports.path(), &id, false).unwrap();
        assert_eq!(
            RunFolder::create(reports.path(), &id, false)
                .unwrap_err()
                .kind(),
            io::ErrorKind::AlreadyExists
        );
    }

    #[test]
    fn the_drills_of_a_run_are_found_again_in_the_order_of_their_names() {
        let reports = tempfile::tempdir().unwrap();
        let run = RunFolder::create(reports.path(), &RunId("run".into()), true).unwrap();
        for drill in ["b", "a"] {
            std::fs::write(run.of_drill(drill).unwrap().join(super::super::EVENTS), "").unwrap();
        }
        let found = RunFolder::drills_in(run.path()).unwrap();
        assert_eq!(found, [run.path().join("a"), run.path().join("b")]);
    }
}
