//! What happens and what came of it, one JSON object a line, for programs that read along.

use serde::Serialize;

use super::{Report, json::line};
use crate::{
    exit_code::ExitCode,
    timeline::Entry,
    verdict::{Bounds, CheckStatus, Verdict},
};

/// The major version that begins every line, that of `events.ndjson`.
const MAJOR: u64 = 1;

/// An event as a line: as `events.ndjson` has it, with the drill it is of as its `source` (`NAME@03` for one of several runs).
pub fn event(drill: &str, entry: &Entry) -> String {
    #[derive(Serialize)]
    struct Line<'a> {
        v: u64,
        source: &'a str,
        #[serde(flatten)]
        entry: &'a Entry,
    }
    line(&Line {
        v: MAJOR,
        source: drill,
        entry,
    })
}

/// What came of each run, and of all of them, a line each; the last line has the exit code.
pub fn results(reports: &[Report]) -> String {
    #[derive(Serialize)]
    struct Result<'a> {
        v: u64,
        r#type: &'static str,
        drill: &'a str,
        environment: &'a str,
        run: &'a str,
        repeat: Option<u32>,
        verdict: Verdict,
        restored: bool,
        exit_code: u8,
        recovery: Option<Bounds>,
        expectations: Vec<Expectation<'a>>,
        folder: &'a str,
    }
    #[derive(Serialize)]
    struct Expectation<'a> {
        name: &'a str,
        line: u32,
        status: CheckStatus,
        message: &'a str,
    }
    #[derive(Serialize)]
    struct End {
        v: u64,
        r#type: &'static str,
        drills: usize,
        exit_code: u8,
    }
    let mut text: String = reports
        .iter()
        .map(|report| {
            let judgement = &report.judgement;
            line(&Result {
                v: MAJOR,
                r#type: "result",
                drill: &report.drill.name,
                environment: &report.environment.name,
                run: &report.run.id,
                repeat: report.run.repeat.map(|repeat| repeat.number),
                verdict: judgement.verdict,
                restored: judgement.restored,
                exit_code: ExitCode::from(judgement).code(),
                recovery: judgement.durations.recovery,
                expectations: judgement
                    .checks
                    .iter()
                    .map(|check| Expectation {
                        name: &check.name,
                        line: check.line,
                        status: check.status,
                        message: &check.message,
                    })
                    .collect(),
                folder: &report.run.folder,
            })
        })
        .collect();
    for repeats in super::repeats(reports) {
        #[derive(Serialize)]
        struct Together<'a> {
            v: u64,
            r#type: &'static str,
            #[serde(flatten)]
            repeats: &'a super::Repeats,
        }
        text.push_str(&line(&Together {
            v: MAJOR,
            r#type: "repeats",
            repeats: &repeats,
        }));
    }
    text.push_str(&line(&End {
        v: MAJOR,
        r#type: "end",
        drills: reports.len(),
        exit_code: super::exit_code(reports).code(),
    }));
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::Value;

    use super::*;
    use crate::{report::sample, timeline::Event};

    #[test]
    fn every_line_is_one_object_with_its_type_whatever_is_in_it() {
        for hostile in sample::HOSTILE {
            let entry = Entry {
                at: Duration::from_millis(1500),
                event: Event::Note {
                    text: hostile.to_owned(),
                },
            };
            let line = event("a-drill", &entry);
            assert_eq!(line.lines().count(), 1, "{line}");
            assert!(!line.contains("##["), "{line}");
            let value: Value = serde_json::from_str(&line).unwrap();
            assert_eq!(value["source"], "a-drill");
            assert_eq!(value["type"], "note");
            assert_eq!(value["text"], hostile);
            let results = results(&[sample::hostile(hostile), sample::failing_rto()]);
            let types: Vec<Value> = results
                .lines()
                .map(|line| serde_json::from_str::<Value>(line).unwrap()["type"].clone())
                .collect();
            assert_eq!(types, ["result", "result", "end"]);
        }
    }

    #[test]
    fn the_last_line_has_the_exit_code() {
        let text = results(&[sample::passing_failover(), sample::failing_rto()]);
        let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        assert_eq!(last["exit_code"], 1);
        let first: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert_eq!(first["verdict"], "pass");
        assert!(first["expectations"][0]["line"].is_u64());
    }
}
