//! One line of a journal: a record in an envelope with the checksum of its bytes.
//!
//! The envelope is of one fixed form, `{"v":2,"crc":"89abcdef","record":…}`, so that the checksum is over bytes as they are on
//! disk, and not over what a parser makes of them.

use super::Record;

const BEGINNING: &[u8] = b"{\"v\":2,\"crc\":\"";
const MIDDLE: &[u8] = b"\",\"record\":";
const END: &[u8] = b"}";
const CHECKSUM_LENGTH: usize = 8;

/// Spells a record as a line, with its end.
pub(super) fn encode(record: &Record) -> serde_json::Result<Vec<u8>> {
    let record = serde_json::to_vec(record)?;
    let checksum = format!("{:08x}", crc32fast::hash(&record));
    Ok([BEGINNING, checksum.as_bytes(), MIDDLE, &record, END, b"\n"].concat())
}

/// Reads a line without its end.
///
/// # Errors
/// What is wrong with it, in words.
pub(super) fn decode(line: &[u8]) -> Result<Record, String> {
    let record = |line: &[u8]| -> Option<(Vec<u8>, Vec<u8>)> {
        let rest = line.strip_prefix(BEGINNING)?;
        let (checksum, rest) = rest.split_at_checked(CHECKSUM_LENGTH)?;
        let record = rest.strip_prefix(MIDDLE)?.strip_suffix(END)?;
        Some((checksum.to_vec(), record.to_vec()))
    };
    let Some((checksum, record)) = record(line) else {
        return Err(match version(line) {
            Some(version) if version != 2 => {
                format!("is of format {version}, and this version of blackstart reads 2")
            }
            Some(_) | None => "is not a record of a journal".to_owned(),
        });
    };
    let found = format!("{:08x}", crc32fast::hash(&record));
    if found.as_bytes() != checksum {
        return Err(format!(
            "does not match its checksum: it says {}, its bytes are {found}",
            String::from_utf8_lossy(&checksum)
        ));
    }
    serde_json::from_slice(&record).map_err(|error| {
        format!("is not understood, it may be of a later version of blackstart: {error}")
    })
}

fn version(line: &[u8]) -> Option<u64> {
    let value: serde_json::Value = serde_json::from_slice(line).ok()?;
    value.get("v")?.as_u64()
}
