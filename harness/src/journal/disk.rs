//! Waiting for a disk, which may take a tenth of a second when it is busy, and for ever when it is a network's.
//!
//! Both must not be waited for where probes ask in time or targets are restored: what is written is written by a thread of its own,
//! and given up after a while.

use std::{
    fs::File,
    io::{self, Write},
    os::unix::fs::FileExt,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use tokio::{
    runtime::{Handle, RuntimeFlavor},
    sync::oneshot,
    time::timeout,
};

use super::line;

/// How long a disk may take for one record.
const DISK_LIMIT: Duration = Duration::from_secs(5);
const PARTS: u32 = 10;

/// How long the file was before a record, and after it.
type Lengths = (u64, u64);

/// A file that records are appended to, in the order in which that was asked for.
#[derive(Debug)]
pub(super) enum Disk {
    /// The thread that writes, and the file for runtimes that have only one.
    Writes(mpsc::Sender<Order>, Arc<File>),
    /// Why nothing can be written any more.
    Unwritable(io::ErrorKind, String),
}

/// A record to be written, and who waits for it.
#[derive(Debug)]
pub(super) struct Order {
    bytes: Vec<u8>,
    written: oneshot::Sender<io::Result<Lengths>>,
}

impl Disk {
    pub(super) fn of(file: Arc<File>) -> Self {
        let (orders, received) = mpsc::channel::<Order>();
        let writes = Arc::clone(&file);
        let spawned = thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || {
                for Order { bytes, written } in received {
                    // Whoever asked may not want to know any more.
                    drop(written.send(append(&writes, bytes)));
                }
            });
        match spawned {
            Ok(_) => Self::Writes(orders, file),
            Err(error) => Self::unwritable(&error),
        }
    }

    pub(super) fn unwritable(error: &io::Error) -> Self {
        Self::Unwritable(error.kind(), format!("it can only be read: {error}"))
    }

    pub(super) async fn append(&mut self, bytes: Vec<u8>) -> io::Result<Lengths> {
        let (orders, file) = match self {
            Self::Writes(orders, file) => (orders, file),
            Self::Unwritable(kind, why) => return Err(io::Error::new(*kind, why.clone())),
        };
        if !has_other_threads() {
            return append(file, bytes);
        }
        let (written, answer) = oneshot::channel();
        if orders.send(Order { bytes, written }).is_err() {
            return Err(io::Error::other("the thread that writes it has ended"));
        }
        let answered = in_time(answer).await;
        if let Err(error) = &answered {
            *self = Self::Unwritable(error.kind(), error.to_string());
        }
        answered?
    }
}

/// Does something with a disk on a thread of its own, and waits no longer than a disk may take.
///
/// # Errors
/// If it takes longer.
pub(super) async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    if !has_other_threads() {
        return Ok(work());
    }
    let (done, answer) = oneshot::channel();
    thread::Builder::new()
        .name("disk".to_owned())
        .spawn(move || drop(done.send(work())))?;
    in_time(answer).await
}

/// What a thread that waits for a disk answers, if that is not too late. The limit is waited for in parts: a process that was stopped
/// meanwhile loses one of them, and does not take its own standstill for the disk's.
async fn in_time<T>(mut answer: oneshot::Receiver<T>) -> io::Result<T> {
    for _ in 0..PARTS {
        match timeout(DISK_LIMIT / PARTS, &mut answer).await {
            Ok(Ok(result)) => return Ok(result),
            Ok(Err(_)) => return Err(io::Error::other("the thread that writes has ended")),
            Err(_) => {}
        }
    }
    Err(io::Error::new(
        io::ErrorKind::TimedOut,
        format!("the disk has not answered for {DISK_LIMIT:?}"),
    ))
}

/// Whether anything else goes on beside whoever waits: on a runtime of one thread, and on none, there is nothing to hold up.
fn has_other_threads() -> bool {
    let flavor = Handle::try_current().map(|runtime| runtime.runtime_flavor());
    matches!(flavor, Ok(RuntimeFlavor::MultiThread))
}

/// Appends a line and syncs it.
fn append(file: &File, mut bytes: Vec<u8>) -> io::Result<Lengths> {
    let mut before = file.metadata()?.len();
    let tail = unfinished_line(file, before)?;
    if !tail.is_empty() {
        if line::decode(&tail).is_ok() {
            bytes.insert(0, b'\n');
        } else {
            before -= tail.len() as u64;
            file.set_len(before)?;
        }
    }
    let after = before + bytes.len() as u64;
    let mut writes = file;
    let written = writes.write_all(&bytes).and_then(|()| file.sync_data());
    if written.is_err() && file.metadata().is_ok_and(|now| now.len() <= after) {
        // On a disk that is full and then is not, what follows must not be glued to half a line. What is longer than that line
        // somebody else has written.
        drop(file.set_len(before));
    }
    written.map(|()| (before, after))
}

/// What follows the last end of a line. Nothing, unless somebody was cut off.
fn unfinished_line(file: &File, length: u64) -> io::Result<Vec<u8>> {
    let mut last = [0];
    if length > 0 {
        file.read_exact_at(&mut last, length - 1)?;
    }
    if length == 0 || last == *b"\n" {
        return Ok(Vec::new());
    }
    let bytes = bytes_from(file, 0)?;
    let end = bytes.iter().rposition(|byte| *byte == b'\n');
    Ok(bytes[end.map_or(0, |end| end + 1)..].to_vec())
}

/// Everything in a file from a position on.
pub(super) fn bytes_from(file: &File, mut position: u64) -> io::Result<Vec<u8>> {
    let (mut bytes, mut block) = (Vec::new(), [0; 8192]);
    loop {
        match file.read_at(&mut block, position)? {
            0 => return Ok(bytes),
            length => {
                bytes.extend(&block[..length]);
                position += length as u64;
            }
        }
    }
}
