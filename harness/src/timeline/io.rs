//! What can go wrong with the file of a timeline.

use std::{io, path::PathBuf};

/// Why a timeline could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file could not be opened or created.
    #[error("open `{path}`")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// An event could not be written.
    #[error("write to `{path}`")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why, for example that the disk is full.
        #[source]
        source: io::Error,
    },
    /// The file could not be read.
    #[error("read `{path}`")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A line that is not the last one is no event.
    #[error("read {path}:{line}: the line is damaged")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// The file was written by a version of Blackstart that this one does not understand.
    #[error(
        "read {path}:{line}: format version {version} is not 1.x, which is all that this version of blackstart reads"
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The version found.
        version: String,
    },
}
