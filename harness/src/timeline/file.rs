//! The timeline on disk: one JSON object a line, written as things happen and flushed line by line.
//!
//! Each line begins with `"v":1`, the major version of the format. A run that was killed leaves at most one torn line, the last,
//! which the reader reports and leaves out; damage anywhere else is an error. Within 1.x a reader ignores fields and types of events
//! that it does not know, so an older version can judge what a newer one recorded.

use std::{
    borrow::Cow,
    fs::File,
    io::{BufRead, BufReader, ErrorKind, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{Entry, Event, Sample, io::Error};

/// The major version that begins every line.
const MAJOR: u64 = 1;

/// The types of events that this version knows. Others are those of a later 1.x.
const KNOWN: [&str; 12] = [
    "run",
    "phase",
    "sample",
    "preflight",
    "fault",
    "observed",
    "ledger",
    "operator",
    "note",
    "interrupted",
    "aborted",
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

    /// Opens a file that is there, to go on with it. A last line that was cut off is taken away. Yields the latest time in it too.
    ///
    /// # Errors
    /// If it cannot be read or written. One that is damaged is gone on with: what is in it stays as it is.
    pub fn reopen(path: impl Into<PathBuf>) -> Result<(Self, Duration), Error> {
        let path = path.into();
        let opened = |source| Error::Open {
            path: path.clone(),
            source,
        };
        let text = std::fs::read(&path).map_err(opened)?;
        let last = Reader::new(&path, text.as_slice())
            .map_while(Result::ok)
            .map(|entry| entry.at)
            .max();
        let file = File::options().append(true).open(&path).map_err(opened)?;
        let whole = text.iter().rposition(|byte| *byte == b'\n');
        let whole = whole.map_or(0, |end| end + 1);
        if whole < text.len() {
            file.set_len(whole as u64).map_err(opened)?;
        }
        let writer = Self {
            path,
            file,
            line: Vec::new(),
        };
        Ok((writer, last.unwrap_or_default()))
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
    /// The line that is being read.
    line: Vec<u8>,
    number: u64,
    torn: Option<u64>,
    done: bool,
}

/// What every line has, whatever its event.
#[derive(Deserialize)]
struct Head<'a> {
    v: u64,
    #[serde(rename = "t", with = "super::seconds")]
    at: Duration,
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
}

impl Reader {
    /// Opens the file of a timeline.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = path.into();
        // A pipe would keep a reader for ever, and a device might never end.
        let opened = std::fs::metadata(&path).and_then(|metadata| {
            if metadata.is_file() {
                File::open(&path)
            } else {
                Err(std::io::Error::other("it is not a regular file"))
            }
        });
        match opened {
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
            line: Vec::new(),
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
            self.line.clear();
            let length = match self.lines.read_until(b'\n', &mut self.line) {
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
            if self.line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let complete = self.line.ends_with(b"\n");
            match self.decode(&self.line) {
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
        let head: Head<'_> = serde_json::from_slice(line).map_err(damaged)?;
        if head.v != MAJOR {
            return Err(other(head.v.to_string()));
        }
        if !KNOWN.contains(&head.kind.as_ref()) {
            return Ok(None);
        }
        // Nearly every line is a sample. Read as one from the start, instead of as an event that turns out to be one, it takes a third of
        // the time, and a report is mostly reading.
        if head.kind == "sample" {
            let sample: Sample = serde_json::from_slice(line).map_err(damaged)?;
            return Ok(Some(Entry {
                at: head.at,
                event: Event::Sample(Box::new(sample)),
            }));
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        causes::with_causes,
        timeline::{FaultStep, Outcome, Phase, TierChecked},
    };

    fn entry(at: u64, event: Event) -> Entry {
        Entry {
            at: Duration::from_millis(at),
            event,
        }
    }

    fn note(text: &str) -> Entry {
        let text = text.to_owned();
        entry(1500, Event::Note { text })
    }

    fn read(text: &str) -> (Vec<Result<Entry, Error>>, Option<u64>) {
        let mut reader = Reader::new("events.ndjson", text.as_bytes());
        let entries = reader.by_ref().collect();
        (entries, reader.torn())
    }

    const NOTE: &str = "{\"v\":1,\"t\":1.5,\"type\":\"note\",\"text\":\"a\"}\n";

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.ndjson");
        let entries = vec![
            entry(0, Event::Phase { phase: Phase::Hold }),
            entry(
                1,
                Event::Fault {
                    id: 3,
                    step: FaultStep::RevertFailed,
                    detail: Some("line one\nline two \u{1f525}".to_owned()),
                },
            ),
            entry(
                2,
                Event::Observed {
                    observer: "check".to_owned(),
                    healthy: None,
                    detail: None,
                    before: None,
                },
            ),
            note("done"),
            entry(
                9,
                Event::Ended {
                    outcome: Outcome::CouldNotRun {
                        phase: Phase::Inject,
                        reason: "no".to_owned(),
                    },
                    clock_drift_ms: -0.25,
                },
            ),
        ];
        let mut writer = Writer::create(&path).unwrap();
        for entry in &entries {
            writer.append(entry).unwrap();
        }
        writer.sync().unwrap();
        let read: Vec<Entry> = Reader::open(writer.path())
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(read, entries);
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), entries.len());
        assert!(text.lines().all(|line| line.starts_with("{\"v\":1,\"t\":")));
    }

    #[test]
    fn a_timeline_that_was_cut_off_is_gone_on_with_after_its_last_whole_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.ndjson");
        std::fs::write(&path, format!("{NOTE}{NOTE}{{\"v\":1,\"t\":99")).unwrap();
        let (mut writer, last) = Writer::reopen(&path).unwrap();
        assert_eq!(last, Duration::from_millis(1500));
        writer.append(&note("a")).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), NOTE.repeat(3));
    }

    #[test]
    fn every_line_is_on_disk_as_soon_as_it_is_appended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.ndjson");
        let mut writer = Writer::create(&path).unwrap();
        writer.append(&note("a")).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), NOTE);
    }

    #[test]
    fn a_timeline_is_never_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.ndjson");
        Writer::create(&path).unwrap();
        assert!(matches!(Writer::create(&path), Err(Error::Open { .. })));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_an_error_that_names_the_file() {
        let file = File::options().append(true).open("/dev/full").unwrap();
        let mut writer = Writer {
            path: "/dev/full".into(),
            file,
            line: Vec::new(),
        };
        let error = writer.append(&note("a")).unwrap_err();
        assert!(with_causes(&error).starts_with("write to `/dev/full`: No space left"));
    }

    #[test]
    fn a_torn_last_line_is_reported_and_left_out() {
        let whole = format!("{NOTE}{NOTE}");
        for length in NOTE.len() + 1..whole.len() - 1 {
            let (entries, torn) = read(&whole[..length]);
            assert_eq!(entries.len(), 1, "{length}");
            assert!(entries[0].is_ok());
            assert_eq!(torn, Some(2));
        }
    }

    #[test]
    fn a_last_line_that_only_lacks_its_end_is_read() {
        let (entries, torn) = read(NOTE.trim_end());
        assert!(matches!(&entries[..], [Ok(_)]));
        assert_eq!(torn, None);
    }

    #[test]
    fn a_damaged_line_in_the_middle_is_an_error_with_its_place() {
        for damage in [
            "{\"v\":1,\"t\":1.5,\"ty\n",
            "\u{0}\u{0}\n",
            "{\"v\":1,\"t\":-1.0,\"type\":\"note\",\"text\":\"\"}\n",
        ] {
            let (entries, torn) = read(&format!("{NOTE}{damage}{NOTE}"));
            let [Ok(_), Err(error)] = &entries[..] else {
                panic!("{entries:?}");
            };
            assert_eq!(torn, None);
            assert_eq!(
                error.to_string(),
                "read events.ndjson:2: the line is damaged"
            );
        }
    }

    #[test]
    fn another_major_version_is_refused() {
        let later = NOTE.replace("\"v\":1", "\"v\":2");
        let (entries, _) = read(&later);
        let [Err(error)] = &entries[..] else {
            panic!("{entries:?}");
        };
        assert_eq!(
            error.to_string(),
            "read events.ndjson:1: format version 2 is not 1.x, which is all that this version of blackstart reads"
        );
    }

    #[test]
    fn a_run_of_format_2_is_refused_and_one_of_a_later_1_is_read() {
        let run = |version: &str| {
            format!(
                "{{\"v\":1,\"t\":0,\"type\":\"run\",\"format_version\":\"{version}\",\"tool_version\":\"9\",\"run_id\":\"r\",\
                 \"drill\":\"d\",\"environment\":\"e\",\"started_at\":\"\",\"command\":[],\"host\":\"h\",\"seed\":1,\"speed\":1.0,\
                 \"tiers\":[],\"probes\":[],\"observers\":[],\"faults\":[],\"mood\":\"good\"}}\n"
            )
        };
        assert!(matches!(&read(&run("1.7")).0[..], [Ok(_)]));
        let (entries, _) = read(&run("2.0"));
        assert!(matches!(&entries[..], [Err(Error::Version { version, .. })] if version == "2.0"));
    }

    #[test]
    fn unknown_fields_and_unknown_types_of_a_later_1_are_ignored() {
        let text = format!(
            "{}{{\"v\":1,\"t\":2,\"type\":\"earthquake\",\"magnitude\":7}}\n\n{NOTE}",
            NOTE.replace("\"t\":1.5", "\"t\":1.5,\"mood\":\"good\"")
        );
        let (entries, torn) = read(&text);
        assert!(matches!(&entries[..], [Ok(_), Ok(_)]));
        assert_eq!(torn, None);
    }

    #[test]
    fn the_known_types_are_those_that_events_have() {
        let observed = Event::Observed {
            observer: String::new(),
            healthy: None,
            detail: None,
            before: None,
        };
        let checked = TierChecked {
            tier: String::new(),
            probe: None,
            asked: String::new(),
            good: None,
            detail: None,
        };
        for event in [
            Event::Preflight(checked),
            Event::Aborted {
                condition: String::new(),
                reason: String::new(),
            },
            Event::Phase { phase: Phase::Hold },
            Event::Ledger {
                before: Duration::ZERO,
                found: Some(Vec::new()),
                detail: None,
            },
            observed,
            Event::Interrupted {
                signal: String::new(),
            },
            Event::Ended {
                outcome: Outcome::Completed,
                clock_drift_ms: 0.0,
            },
        ] {
            let kind = serde_json::to_value(&event).unwrap()["type"].clone();
            assert!(KNOWN.contains(&kind.as_str().unwrap()), "{kind}");
        }
    }
}
