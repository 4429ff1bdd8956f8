//! The file of a journal: created, locked, appended to, read.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::time::{Instant, sleep};

use super::{
    Actor, Damage, FILE_NAME, Header, Journal, Record,
    disk::{self, Disk},
    line,
};
use crate::timeline::FaultStep;

/// From one attempt to have the lock to the next.
const LOCK_EVERY: Duration = Duration::from_millis(10);

/// Appends to one journal. Once it is open nobody can take the file away from it any more.
#[derive(Debug)]
pub struct Writer {
    file: Arc<File>,
    path: PathBuf,
    /// How long the file is as far as this writer knows.
    length: u64,
    disk: Disk,
}

/// What was found when the lock of a journal was had.
#[derive(Debug, Clone, PartialEq)]
pub enum Held {
    /// Nobody else has written since.
    Unchanged,
    /// Somebody has; this is all that is in it now.
    Changed(Box<Journal>),
}

impl Writer {
    /// Creates the journal of a run in the folder of its drill, and makes sure that it and the folder's entry are on disk. It is
    /// there with its header or not at all.
    ///
    /// # Errors
    /// If the file is there already, or cannot be created, written or synced.
    pub async fn create(folder: &Path, header: Header) -> io::Result<Self> {
        let path = folder.join(FILE_NAME);
        let (folder, place) = (folder.to_owned(), path.clone());
        let file = disk::apart(move || create_at(&folder, &place, header)).await??;
        Ok(Self {
            length: file.metadata()?.len(),
            disk: Disk::of(Arc::clone(&file)),
            file,
            path,
        })
    }

    /// Opens a journal that is there, to go on with it. Where it can only be read, everything but appending works.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn open(path: &Path) -> io::Result<Self> {
        must_be_regular(path)?;
        let opened = OpenOptions::new().read(true).append(true).open(path);
        let (file, disk) = match opened {
            Ok(file) => {
                let file = Arc::new(file);
                (Arc::clone(&file), Disk::of(file))
            }
            Err(error) => (Arc::new(File::open(path)?), Disk::unwritable(&error)),
        };
        Ok(Self {
            length: 0,
            file,
            path: path.to_owned(),
            disk,
        })
    }

    /// Waits for the journal's lock, so that nobody else acts, and looks whether somebody else has. The lock ends with
    /// [`Writer::release`], and with the process however it ends.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] if somebody else has it for longer than `limit`; or if the file cannot be read.
    pub async fn hold(&mut self, limit: Duration) -> io::Result<Held> {
        let deadline = Instant::now() + limit;
        loop {
            match self.file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    sleep(LOCK_EVERY).await;
                }
                Err(TryLockError::WouldBlock) => {
                    let words = format!("somebody else has had the journal for {limit:?}");
                    return Err(io::Error::new(io::ErrorKind::TimedOut, words));
                }
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        self.look()
    }

    /// Looks whether somebody else has written since.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn look(&mut self) -> io::Result<Held> {
        let length = self.file.metadata()?.len();
        if length == self.length {
            return Ok(Held::Unchanged);
        }
        let journal = self.read()?;
        self.length = length;
        Ok(Held::Changed(Box::new(journal)))
    }

    /// Lets others have the lock.
    pub fn release(&self) {
        // What cannot be unlocked is unlocked when the file is closed.
        drop(self.file.unlock());
    }

    /// Appends a record and waits until it is on disk. A line that cannot be written whole is taken back, and so is one that
    /// somebody else was cut off in: what it was to announce was not begun.
    ///
    /// # Errors
    /// If it cannot be written or synced, or the disk does not answer: then what it announces must not be begun.
    pub async fn append(&mut self, record: &Record) -> io::Result<()> {
        let (before, after) = self.disk.append(line::encode(record)?).await?;
        // What somebody else wrote in between is still to be looked at.
        if before == self.length {
            self.length = after;
        }
        Ok(())
    }

    /// Appends a step of a fault, taken now.
    ///
    /// # Errors
    /// As for [`Writer::append`].
    pub async fn step(
        &mut self,
        id: usize,
        by: Actor,
        step: FaultStep,
        detail: Option<String>,
    ) -> io::Result<()> {
        self.append(&Record::Step {
            id,
            by,
            at: jiff::Timestamp::now().to_string(),
            step,
            detail,
        })
        .await
    }

    /// Reads what is in it, also if its name is gone or is something else by now.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(&self) -> io::Result<Journal> {
        Ok(Journal::parse(&disk::bytes_from(&self.file, 0)?))
    }

    /// Where the journal is, or was.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn create_at(folder: &Path, path: &Path, header: Header) -> io::Result<Arc<File>> {
    if path.symlink_metadata().is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let beside = folder.join(format!(".{FILE_NAME}.part"));
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create_new(true)
        .open(&beside)?;
    let written = line::encode(&Record::Opened(Box::new(header)))
        .map_err(io::Error::from)
        .and_then(|bytes| file.write_all(&bytes))
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::rename(&beside, path))
        .and_then(|()| File::open(folder)?.sync_all());
    if written.is_err() {
        // The error says what is wrong; half a file beside it is of no use.
        drop(std::fs::remove_file(&beside));
    }
    written.map(|()| Arc::new(file))
}

/// Opening a pipe would wait for whoever writes into it, for ever.
fn must_be_regular(path: &Path) -> io::Result<()> {
    if std::fs::metadata(path)?.is_file() {
        Ok(())
    } else {
        Err(io::Error::other("it is not a regular file"))
    }
}

/// Reads a journal.
///
/// # Errors
/// If the file cannot be read. What is wrong with its lines is no error: it is in the result.
pub fn read(path: &Path) -> io::Result<Journal> {
    must_be_regular(path)?;
    Ok(Journal::parse(&std::fs::read(path)?))
}

impl Journal {
    /// Reads the bytes of a journal. A last line without its end that cannot be read was cut off; every other line that cannot
    /// be read is damaged.
    pub fn parse(bytes: &[u8]) -> Self {
        let mut journal = Self::default();
        let ends = bytes.ends_with(b"\n");
        let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
        let last = lines.len();
        for (number, line) in (1..).zip(lines) {
            if line.is_empty() {
                continue;
            }
            match line::decode(line) {
                Ok(record) => journal.records.push(record),
                Err(_) if number == last && !ends => journal.torn = true,
                Err(what) => journal.damaged.push(Damage { line: number, what }),
            }
        }
        journal
    }
}
