//! The undo log: what restores each target, on disk before the target is touched.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::provider::Undo;

/// The file's name in a run's folder.
pub(super) const FILE_NAME: &str = "undo.ndjson";

/// A line of the undo log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UndoRecord {
    /// The version of the format.
    pub v: u32,
    /// The fault's number in the drill.
    pub id: usize,
    /// What happened.
    #[serde(flatten)]
    pub step: UndoStep,
}

/// A step that the undo log keeps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UndoStep {
    /// The target was captured and is about to be touched.
    Captured(Undo),
    /// The target is verified as restored.
    Restored,
    /// A revert failed.
    RevertFailed {
        /// Why.
        reason: String,
    },
}

/// Appends to the undo log of one run.
#[derive(Debug)]
pub struct UndoLog {
    file: File,
    path: PathBuf,
}

impl UndoLog {
    /// Creates the log in a run's folder and makes sure that the folder's entry is on disk.
    ///
    /// # Errors
    /// If the file cannot be created or synced.
    pub fn create(folder: &Path) -> io::Result<Self> {
        let path = folder.join(FILE_NAME);
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .open(&path)?;
        file.sync_all()?;
        File::open(folder)?.sync_all()?;
        Ok(Self { file, path })
    }

    /// Appends a record and waits until it is on disk.
    ///
    /// # Errors
    /// If it cannot be written or synced: then the target must not be touched.
    pub fn append(&mut self, id: usize, step: UndoStep) -> io::Result<()> {
        let mut line = serde_json::to_vec(&UndoRecord { v: 1, id, step })?;
        line.push(b'\n');
        self.file.write_all(&line)?;
        self.file.sync_data()
    }

    /// Where the log is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_captured_can_be_read_back_word_by_word() {
        let folder = tempfile::tempdir().unwrap();
        let undo = Undo {
            target: "web".into(),
            binding: "lab".into(),
            words: "set replicas to 2".into(),
            state: serde_json::json!({"replicas": 2}),
        };
        let mut log = UndoLog::create(folder.path()).unwrap();
        log.append(0, UndoStep::Captured(undo.clone())).unwrap();
        log.append(0, UndoStep::Restored).unwrap();
        let records: Vec<UndoRecord> = std::fs::read_to_string(log.path())
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(
            records,
            [
                UndoRecord {
                    v: 1,
                    id: 0,
                    step: UndoStep::Captured(undo)
                },
                UndoRecord {
                    v: 1,
                    id: 0,
                    step: UndoStep::Restored
                }
            ]
        );
    }

    #[test]
    fn a_log_that_is_there_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        drop(UndoLog::create(folder.path()).unwrap());
        assert_eq!(
            UndoLog::create(folder.path()).unwrap_err().kind(),
            io::ErrorKind::AlreadyExists
        );
    }
}
