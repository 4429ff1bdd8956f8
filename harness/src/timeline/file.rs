//! The timeline on disk: one JSON object a line, written as things happen and flushed line by line.
//!
//! Each line begins with `"v":1`, the major version of the format. A run that was killed leaves at most one torn line, the last,
//! which the reader reports and leaves out; damage anywhere else is an error. Within 1.x a reader ignores fields and types of events
//! that it does not know, so an older version can judge what a newer one recorded.

use std::{
    fs::File,
    io::{BufRead, BufReader, ErrorKind, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{Entry, Event, io::Error};

/// The major version that begins every line.
const MAJOR: u64 = 1;

/// The types of events that this version knows. Others are those of a later 1.x.
const KNOWN: [&str; 8] = [
    "run",
    "phase",
    "sample",
    "fault",
    "observed",
    "note",
    "interrupted",
    "ended",
];

/// Appends events to a file.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    file: File,
    line: Vec<u8>,
}

#[derive(Serialize)]
struct Line<'a> {
    v: u64,
    #[serde(flatten)]
    entry: &'a Entry,
}

impl Writer {
    /// Creates the file, which must not exist yet: a timeline is never written over.
    pub fn create(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = path.into();
        match File::options().append(true).create_new(true).open(&path) {
            Ok(file) => Ok(Self {
                path,
                file,
                line: Vec::new(),
            }),
            Err(source) => Err(Error::Open { path, source }),
        }
    }

    /// Writes one event as one line and hands it to the operating system, so that it outlives the process.
    ///
    /// # Errors
    ///
    /// [`Error::Write`], for example when the disk is full. The line may then be torn.
    pub fn append(&mut self, entry: &Entry) -> Result<(), Error> {
        self.line.clear();
        let written = serde_json::to_writer(&mut self.line, &Line { v: MAJOR, entry })
            .map_err(Into::into)
            .and_then(|()| {
                self.line.push(b'\n');
                self.file.write_all(&self.line)
            })
            .and_then(|()| self.file.flush());
        written.map_err(|source| Error::Write {
            path: self.path.clone(),
            source,
        })
    }

    /// Waits until everything written is on the disk, so that it outlives a power cut.
    pub fn sync(&self) -> Result<(), Error> {
        self.file.sync_data().map_err(|source| Error::Write {
            path: self.path.clone(),
            source,
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Reads events from a file, one by one. After the first error it yields nothing more.
#[derive(Debug)]
pub struct Reader<R = BufReader<File>> {
    path: PathBuf,
    lines: R,
    number: u64,
    torn: Option<u64>,
    done: bool,
}

#[derive(Deserialize)]
struct Head {
    v: u64,
    #[serde(rename = "type")]
    kind: String,
}

impl Reader {
    /// Opens the file of a timeline.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = path.into();
        match File::open(&path) {
            Ok(file) => Ok(Self::new(path, BufReader::new(file))),
            Err(source) => Err(Error::Open { path, source }),
        }
    }
}

impl<R: BufRead> Reader<R> {
    /// Reads from anything that has lines; `path` is what errors call it.
    pub fn new(path: impl Into<PathBuf>, lines: R) -> Self {
        Self {
            path: path.into(),
            lines,
            number: 0,
            torn: None,
            done: false,
        }
    }

    /// The number of the last line if it was torn, known when the reader has yielded its last event.
    pub fn torn(&self) -> Option<u64> {
        self.torn
    }

    fn read(&mut self) -> Result<Option<Entry>, Error> {
        loop {
            let mut line = Vec::new();
            let length = match self.lines.read_until(b'\n', &mut line) {
                Ok(length) => length,
                Err(source) if source.kind() == ErrorKind::Interrupted => continue,
                Err(source) => {
                    return Err(Error::Read {
                        path: self.path.clone(),
                        source,
                    });
                }
            };
            if length == 0 {
                return Ok(None);
            }
            self.number += 1;
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let complete = line.ends_with(b"\n");
            match self.decode(&line) {
                Ok(Some(entry)) => return Ok(Some(entry)),
                Ok(None) => {}
                // A line without an end that cannot be read is what a killed harness leaves behind.
                Err(Error::Damaged { .. }) if !complete => {
                    self.torn = Some(self.number);
                    return Ok(None);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Decodes a line; `None` for an event of a type that this version does not know.
    fn decode(&self, line: &[u8]) -> Result<Option<Entry>, Error> {
        let damaged = |source| Error::Damaged {
            path: self.path.clone(),
            line: self.number,
            source,
        };
        let other = |version: String| Error::Version {
            path: self.path.clone(),
            line: self.number,
            version,
        };
        let head: Head = serde_json::from_slice(line).map_err(damaged)?;
        if head.v != MAJOR {
            return Err(other(head.v.to_string()));
        }
        if !KNOWN.contains(&head.kind.as_str()) {
            return Ok(None);
        }
        let entry: Entry = serde_json::from_slice(line).map_err(damaged)?;
        if let Event::Run(run) = &entry.event
            && run.format_version.split('.').next() != Some("1")
        {
            return Err(other(run.format_version.clone()));
        }
        Ok(Some(entry))
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Entry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let entry = self.read().transpose();
        self.done = !matches!(entry, Some(Ok(_)));
        entry
    }
}
