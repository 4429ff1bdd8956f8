//! The file of a journal: created, locked, appended to, read.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{
    runtime::{Handle, RuntimeFlavor},
    task::block_in_place,
    time::{Instant, sleep},
};

use super::{Actor, Damage, FILE_NAME, Header, Journal, Record, line};
use crate::timeline::FaultStep;

/// From one attempt to have the lock to the next.
const LOCK_EVERY: Duration = Duration::from_millis(10);

/// Appends to one journal.
#[derive(Debug)]
pub struct Writer {
    file: File,
    path: PathBuf,
    /// How long the file is as far as this writer knows.
    length: u64,
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
    /// Creates the journal of a run in the folder of its drill, and makes sure that it and the folder's entry are on disk.
    ///
    /// # Errors
    /// If the file is there already, or cannot be created, written or synced.
    pub fn create(folder: &Path, header: Header) -> io::Result<Self> {
        while_others_go_on(|| Self::create_here(folder, header))
    }

    fn create_here(folder: &Path, header: Header) -> io::Result<Self> {
        let path = folder.join(FILE_NAME);
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create_new(true)
            .open(&path)?;
        let mut writer = Self {
            file,
            path,
            length: 0,
        };
        writer.append_here(&Record::Opened(Box::new(header)))?;
        writer.file.sync_all()?;
        File::open(folder)?.sync_all()?;
        Ok(writer)
    }

    /// Opens a journal that is there, to go on with it.
    ///
    /// # Errors
    /// If it cannot be opened for writing.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).append(true).open(path)?;
        Ok(Self {
            length: 0,
            file,
            path: path.to_owned(),
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
        let journal = read(&self.path)?;
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
    /// If it cannot be written or synced: then what it announces must not be done.
    pub fn append(&mut self, record: &Record) -> io::Result<()> {
        while_others_go_on(|| self.append_here(record))
    }

    fn append_here(&mut self, record: &Record) -> io::Result<()> {
        let mut bytes = line::encode(record)?;
        let tail = self.unfinished_line()?;
        let mut before = self.file.metadata()?.len();
        if !tail.is_empty() {
            if line::decode(&tail).is_ok() {
                bytes.insert(0, b'\n');
            } else {
                before -= tail.len() as u64;
                self.file.set_len(before)?;
            }
        }
        let written = self
            .file
            .write_all(&bytes)
            .and_then(|()| self.file.sync_data());
        if written.is_err() {
            // On a disk that is full and then is not, what follows must not be glued to half a line.
            drop(self.file.set_len(before));
        }
        written?;
        // What somebody else wrote in between is still to be looked at.
        if before == self.length {
            self.length = before + bytes.len() as u64;
        }
        Ok(())
    }

    /// Appends a step of a fault, taken now.
    ///
    /// # Errors
    /// As for [`Writer::append`].
    pub fn step(
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
    }

    /// What follows the last end of a line. Nothing, unless somebody was cut off.
    fn unfinished_line(&self) -> io::Result<Vec<u8>> {
        let length = self.file.metadata()?.len();
        let mut last = [0];
        if length > 0 {
            self.file.read_exact_at(&mut last, length - 1)?;
        }
        if length == 0 || last == *b"\n" {
            return Ok(Vec::new());
        }
        let bytes = std::fs::read(&self.path)?;
        let end = bytes.iter().rposition(|byte| *byte == b'\n');
        Ok(bytes[end.map_or(0, |end| end + 1)..].to_vec())
    }

    /// Where the journal is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Waits for the disk, which may take a tenth of a second when it is busy. On a thread of a runtime that has several the others
/// take over what else was to be done there: probes have to ask in time.
fn while_others_go_on<T>(work: impl FnOnce() -> T) -> T {
    let flavor = Handle::try_current().map(|runtime| runtime.runtime_flavor());
    if matches!(flavor, Ok(RuntimeFlavor::MultiThread)) {
        block_in_place(work)
    } else {
        work()
    }
}

/// Reads a journal.
///
/// # Errors
/// If the file cannot be read. What is wrong with its lines is no error: it is in the result.
pub fn read(path: &Path) -> io::Result<Journal> {
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
