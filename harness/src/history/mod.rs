//! Past runs: what a folder of reports says over time, and how two of them differ.
//!
//! Only `report.json` is read of a run, and only the few values of it that are counted here, so a thousand runs take less than a second.
//! What was killed before it wrote one is told, not counted.

mod compare;
mod trend;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::{Deserialize, de::Error as _};

pub use compare::{Comparison, compare};
pub use trend::{Trend, svg, text, trends};

use crate::verdict::Bounds;

/// The file that is read of a run.
const REPORT: &str = "report.json";

/// What is kept of one past run of a drill.
#[derive(Debug, Clone, PartialEq)]
pub struct Past {
    /// The drill.
    pub drill: String,
    /// Where it ran.
    pub environment: String,
    /// When it began.
    pub started_at: Timestamp,
    /// What came of it.
    pub outcome: Outcome,
    /// The recovery time, if one was measured: by the drill's own rule if it has one.
    pub recovery: Option<Bounds>,
    /// The limit of it in seconds.
    pub limit_s: Option<f64>,
    /// From one sample of the users' probe to the next, in seconds.
    pub every_s: f64,
    /// Whether users were moved although nothing had failed.
    pub false_positive: bool,
    /// Whether users were not moved although they had to be.
    pub false_negative: bool,
    /// The expectations by name, with whether each held; those that were not judged are left out.
    pub held: Vec<(String, bool)>,
}

/// What came of a past run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Everything held.
    Passed,
    /// Something did not hold, or could not be decided.
    Failed,
    /// It was not carried out, so it says nothing about the drill.
    NotCarriedOut,
    /// Something was not verified as restored.
    NotRestored,
}

/// The past runs of a folder, the oldest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    /// The runs.
    pub runs: Vec<Past>,
    /// Folders without a report that can be read, each with the reason.
    pub unreadable: Vec<(PathBuf, String)>,
}

/// Past runs could not be read.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// A file or folder cannot be read.
    #[error("could not read `{path}`")]
    Read {
        /// It.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file is no report.
    #[error("`{path}` is no report of this version")]
    NoReport {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

impl History {
    /// Reads a folder of runs, such as `reports`.
    ///
    /// # Errors
    /// If the folder cannot be read. A run in it that cannot be is listed.
    pub fn of(reports: &Path) -> Result<Self, HistoryError> {
        let mut history = Self::default();
        for run in folders_in(reports)? {
            // A run of several drills has one report of all of them; where that is missing, those of its drills are read.
            if run.join(REPORT).is_file() {
                history.take(&run);
                continue;
            }
            let drills: Vec<PathBuf> = folders_in(&run)?
                .into_iter()
                .filter(|drill| {
                    drill.join(REPORT).is_file() || drill.join("events.ndjson").is_file()
                })
                .collect();
            for drill in &drills {
                history.take(drill);
            }
            if drills.is_empty() && run.join("events.ndjson").is_file() {
                history.take(&run);
            }
        }
        history.runs.sort_by_key(|run| run.started_at);
        Ok(history)
    }

    fn take(&mut self, folder: &Path) {
        match read(&folder.join(REPORT)) {
            Ok(runs) => self.runs.extend(runs),
            Err(error) => self
                .unreadable
                .push((folder.to_owned(), crate::causes::with_causes(&error))),
        }
    }
}

/// Reads the runs of one folder of a run, or of one `report.json`.
///
/// # Errors
/// If it cannot be read or is no report.
pub fn read(path: &Path) -> Result<Vec<Past>, HistoryError> {
    let path = if path.is_dir() {
        path.join(REPORT)
    } else {
        path.to_owned()
    };
    let text = std::fs::read(&path).map_err(|source| HistoryError::Read {
        path: path.clone(),
        source,
    })?;
    let kept = serde_json::from_slice::<File>(&text).and_then(File::kept);
    let kept = kept.map_err(|source| HistoryError::NoReport { path, source })?;
    Ok(kept.into_iter().filter_map(Kept::past).collect())
}

/// The folders in a folder by their real names: `latest` is one of the others.
fn folders_in(folder: &Path) -> Result<BTreeSet<PathBuf>, HistoryError> {
    let failed = |source| HistoryError::Read {
        path: folder.to_owned(),
        source,
    };
    let mut folders = BTreeSet::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_type().map_err(failed)?.is_dir() {
            folders.insert(entry.path());
        }
    }
    Ok(folders)
}

/// A report of one run, or of several: read at one go, as either may be large.
#[derive(Deserialize)]
struct File {
    drills: Option<Vec<Kept>>,
    run: Option<Run>,
    drill: Option<Named>,
    environment: Option<Named>,
    measurement: Option<Measurement>,
    result: Option<Judged>,
}

impl File {
    /// The reports in it.
    fn kept(self) -> Result<Vec<Kept>, serde_json::Error> {
        if let Some(drills) = self.drills {
            return Ok(drills);
        }
        let missing = serde_json::Error::missing_field;
        Ok(vec![Kept {
            run: self.run.ok_or_else(|| missing("run"))?,
            drill: self.drill.ok_or_else(|| missing("drill"))?,
            environment: self.environment.ok_or_else(|| missing("environment"))?,
            measurement: self.measurement.ok_or_else(|| missing("measurement"))?,
            result: self.result.ok_or_else(|| missing("result"))?,
        }])
    }
}

/// What is read of a report; everything else is passed over.
#[derive(Deserialize)]
struct Kept {
    run: Run,
    drill: Named,
    environment: Named,
    measurement: Measurement,
    result: Judged,
}

#[derive(Deserialize)]
struct Run {
    started_at: String,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct Measurement {
    every_s: f64,
}

#[derive(Deserialize)]
struct Judged {
    verdict: String,
    restored: bool,
    #[serde(default)]
    interrupted_by: Option<String>,
    checks: Vec<Checked>,
    durations: Durations,
    #[serde(default)]
    findings: Vec<Found>,
}

#[derive(Deserialize)]
struct Checked {
    kind: String,
    name: String,
    status: String,
    value: Option<Bounds>,
    limit_s: Option<f64>,
}

#[derive(Deserialize)]
struct Durations {
    recovery: Option<Bounds>,
}

#[derive(Deserialize)]
struct Found {
    code: String,
}

impl Kept {
    /// The run, unless it was only a rehearsal or its time cannot be read.
    fn past(self) -> Option<Past> {
        let Self {
            run,
            drill,
            environment,
            measurement,
            result,
        } = self;
        let outcome = match (result.restored, result.verdict.as_str()) {
            (_, "dry-run") => return None,
            (false, _) => Outcome::NotRestored,
            (true, "pass") => Outcome::Passed,
            (true, "fail" | "inconclusive") if result.interrupted_by.is_none() => Outcome::Failed,
            (true, _) => Outcome::NotCarriedOut,
        };
        let rto = result.checks.iter().find(|check| check.kind == "rto");
        let no_failover = |check: &&Checked| check.kind == "no-failover" && check.status == "fail";
        let found = |code: &str| result.findings.iter().any(|finding| finding.code == code);
        Some(Past {
            drill: drill.name,
            environment: environment.name,
            started_at: run.started_at.parse().ok()?,
            outcome,
            recovery: rto
                .and_then(|check| check.value)
                .or(result.durations.recovery),
            limit_s: rto.and_then(|check| check.limit_s),
            every_s: measurement.every_s,
            false_positive: found("false-positive")
                || result.checks.iter().find(no_failover).is_some(),
            false_negative: found("false-negative"),
            held: result
                .checks
                .iter()
                .filter(|check| matches!(check.status.as_str(), "pass" | "fail"))
                .map(|check| (check.name.clone(), check.status == "pass"))
                .collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{self, sample};

    /// The month of architecture A: twelve drills, all passed, mean 95 s, from 78 s to 112 s.
    pub(super) fn month() -> Vec<Past> {
        let values = [
            95.0, 78.0, 90.0, 112.0, 88.0, 101.0, 93.0, 85.0, 99.0, 107.0, 92.0, 100.0,
        ];
        let first: Timestamp = "2026-10-05T03:00:00Z".parse().unwrap();
        (0..)
            .zip(values)
            .map(|(week, value)| Past {
                drill: "break-health-path".to_owned(),
                environment: "static-site".to_owned(),
                started_at: first + jiff::SignedDuration::from_hours(week * 60),
                outcome: Outcome::Passed,
                recovery: Some(sample::bounds(value - 0.5, value + 0.5)),
                limit_s: Some(120.0),
                every_s: 0.5,
                false_positive: false,
                false_negative: false,
                held: vec![("rto within 2m".to_owned(), true)],
            })
            .collect()
    }

    fn write(folder: &Path, reports: &[report::Report]) {
        std::fs::create_dir_all(folder).unwrap();
        let text = match reports {
            [only] => report::json::render(only),
            several => report::json::render_together(several),
        };
        std::fs::write(folder.join(REPORT), text).unwrap();
    }

    #[test]
    fn every_run_in_a_folder_is_counted_once() {
        let folder = tempfile::tempdir().unwrap();
        let reports = folder.path();
        write(&reports.join("one"), &[sample::passing_failover()]);
        let both = [sample::passing_failover(), sample::failing_rto()];
        write(&reports.join("several"), &both);
        write(&reports.join("several/scale-to-zero"), &both[..1]);
        write(&reports.join("tests/scale-to-zero"), &both[..1]);
        write(&reports.join("tests/region-failover"), &both[1..]);
        std::fs::create_dir_all(reports.join("killed")).unwrap();
        std::fs::write(reports.join("killed/events.ndjson"), "").unwrap();
        std::os::unix::fs::symlink("one", reports.join("latest")).unwrap();
        std::fs::create_dir_all(reports.join("sample")).unwrap();
        let history = History::of(reports).unwrap();
        let passed = history
            .runs
            .iter()
            .filter(|run| run.outcome == Outcome::Passed)
            .count();
        assert_eq!((history.runs.len(), passed), (5, 3));
        assert_eq!(history.unreadable.len(), 1, "{:?}", history.unreadable);
    }

    #[test]
    fn what_is_read_is_what_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let report = sample::failing_rto();
        write(folder.path(), std::slice::from_ref(&report));
        let [past] = &read(folder.path()).unwrap()[..] else {
            panic!("one run")
        };
        let rto = report
            .judgement
            .checks
            .iter()
            .find(|check| check.kind == "rto")
            .unwrap();
        assert_eq!(past.recovery, rto.value);
        assert_eq!(past.limit_s, rto.limit_s);
        assert_eq!(past.outcome, Outcome::Failed);
        assert!(past.held.contains(&(rto.name.clone(), false)));
    }

    #[test]
    fn what_is_no_report_says_what_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        for (text, words) in [
            ("{}", "missing field `run`"),
            (r#"{"run":{"started_at":""}}"#, "missing field `drill`"),
            (r#"{"drills":[{}]}"#, "missing field `run`"),
            ("[]", ""),
            ("{", "EOF"),
        ] {
            std::fs::write(folder.path().join(REPORT), text).unwrap();
            let error = read(folder.path()).unwrap_err();
            let said = crate::causes::with_causes(&error);
            assert!(said.contains(words), "{text}: {said}");
        }
    }

    #[test]
    fn a_rehearsal_is_no_run_and_what_could_not_be_carried_out_no_evidence() {
        let folder = tempfile::tempdir().unwrap();
        let mut rehearsal = sample::passing_failover();
        rehearsal.judgement.verdict = crate::verdict::Verdict::DryRun;
        write(
            folder.path(),
            &[rehearsal, sample::invalid(), sample::not_restored()],
        );
        let outcomes: Vec<Outcome> = read(folder.path())
            .unwrap()
            .iter()
            .map(|run| run.outcome)
            .collect();
        assert_eq!(outcomes, [Outcome::NotCarriedOut, Outcome::NotRestored]);
    }
}
