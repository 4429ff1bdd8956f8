//! What the kernel says that this process has used.

use std::{fs, io, time::Duration};

/// The unit of `/proc/self/stat` on every Linux that Rust runs on.
const TICK: Duration = Duration::from_millis(10);

/// Processor time so far, in user and kernel mode.
pub(crate) fn processor_time() -> io::Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The name of the program stands in brackets and may have spaces; the fields are counted after it.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks = |field: &str| field.parse::<u32>().map_err(io::Error::other);
    let mut times = fields.split_whitespace().skip(11);
    let (user, kernel) = times
        .next()
        .zip(times.next())
        .ok_or(io::ErrorKind::InvalidData)?;
    Ok(TICK * (ticks(user)? + ticks(kernel)?))
}

/// Memory in KiB: now, and at its peak.
pub(crate) fn memory() -> io::Result<(u64, u64)> {
    let status = fs::read_to_string("/proc/self/status")?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    let found = field("VmRSS:").zip(field("VmHWM:"));
    Ok(found.ok_or(io::ErrorKind::InvalidData)?)
}

/// KiB as MiB, in words.
#[expect(clippy::cast_precision_loss, reason = "a size to be read by people")]
pub(crate) fn mebibytes(kibibytes: u64) -> String {
    format!("{:.1} MiB", kibibytes as f64 / 1024.0)
}
