//! The report as a trace for Perfetto (<https://ui.perfetto.dev>) and `chrome://tracing`, to zoom into a long run.
//!
//! The format is Google's "Trace Event Format": a process for each drill, a thread for each lane, complete events (`X`) for what lasted,
//! instant events (`i`) for moments, and names as metadata (`M`). Times are microseconds of the architecture since the start.

use serde_json::{Value, json};

use super::{Report, json::line, quantity::middle, recorded::phase_words};
use crate::verdict::{Bounds, Seen};

/// The spells of all lanes of a drill that are kept; a trace of more is slow to open.
const SPELLS: usize = 50_000;

/// Renders the reports as one trace that ends in a newline.
pub fn render(reports: &[Report]) -> String {
    let mut events = Vec::new();
    for (process, report) in (1..).zip(reports) {
        Drill {
            process,
            report,
            thread: 0,
            events: &mut events,
        }
        .write();
    }
    line(&json!({ "displayTimeUnit": "ms", "traceEvents": events }))
}

struct Drill<'a> {
    process: u32,
    report: &'a Report,
    thread: u32,
    events: &'a mut Vec<Value>,
}

impl Drill<'_> {
    fn write(mut self) {
        let judgement = &self.report.judgement;
        let repeat = self.report.run.repeat.map_or_else(String::new, |repeat| {
            format!(", run {} of {}", repeat.number, repeat.of)
        });
        let name = format!("{}{repeat}", self.report.drill.name);
        self.metadata("process_name", &name);
        self.lane("phases");
        for phase in &judgement.phases {
            self.span(
                phase_words(phase.phase),
                phase.from_s,
                phase.to_s,
                &json!({}),
            );
        }
        for fault in &judgement.faults {
            let Some(issued) = fault.issued_s else {
                continue;
            };
            self.lane(&format!("fault {}", fault.target));
            let to = fault.restored_s.unwrap_or(judgement.length_s);
            let facts = json!({
                "acknowledged_s": fault.acknowledged_s,
                "verified_s": fault.verified_s,
                "restored_s": fault.restored_s,
                "trouble": fault.trouble,
            });
            self.span(&fault.describe, issued, to, &facts);
        }
        let mut left = SPELLS;
        for lane in &judgement.lanes {
            self.lane(&format!("{} ({})", lane.label, lane.probe));
            for spell in lane.spells.iter().take(left) {
                let to = spell.to.hi.map_or(judgement.length_s, |_| middle(spell.to));
                let facts = json!({
                    "samples": spell.samples,
                    "from": spell.from,
                    "to": spell.to,
                });
                self.span(&seen(&spell.seen), middle(spell.from), to, &facts);
            }
            left = left.saturating_sub(lane.spells.len());
        }
        self.lane("moments");
        let moments = &judgement.moments;
        for (name, moment) in [
            ("fault", moments.fault),
            ("impact", moments.impact),
            ("detected", moments.detected),
            ("switched", moments.switched),
            ("propagated", moments.propagated),
            ("first success", moments.first_success),
            ("recovered", moments.recovered),
            ("reverted", moments.reverted),
            ("failed back", moments.failed_back),
        ] {
            if let Some(moment) = moment {
                self.moment(name, moment);
            }
        }
        self.lane("steps");
        for step in &self.report.recorded.steps {
            let facts = json!({ "by": step.who, "came": step.came });
            self.instant(&step.what, step.at_s, &facts);
        }
        let buckets: Vec<_> = self.report.recorded.latency.buckets().collect();
        for (from, _, bucket) in buckets {
            self.events.push(json!({
                "name": "latency of good samples, ms",
                "ph": "C",
                "pid": self.process,
                "ts": microseconds(from),
                "args": { "median": bucket.median_s() * 1e3, "largest": bucket.largest_s * 1e3 },
            }));
        }
    }

    /// Begins the next lane.
    fn lane(&mut self, name: &str) {
        self.thread += 1;
        self.metadata("thread_name", name);
        self.events.push(json!({
            "name": "thread_sort_index",
            "ph": "M",
            "pid": self.process,
            "tid": self.thread,
            "args": { "sort_index": self.thread },
        }));
    }

    fn metadata(&mut self, what: &str, name: &str) {
        self.events.push(json!({
            "name": what,
            "ph": "M",
            "pid": self.process,
            "tid": self.thread,
            "args": { "name": name },
        }));
    }

    fn span(&mut self, name: &str, from: f64, to: f64, args: &Value) {
        self.events.push(json!({
            "name": name,
            "ph": "X",
            "pid": self.process,
            "tid": self.thread,
            "ts": microseconds(from),
            "dur": microseconds((to - from).max(0.0)),
            "args": args,
        }));
    }

    fn moment(&mut self, name: &str, bounds: Bounds) {
        self.instant(name, middle(bounds), &json!({ "bounds": bounds }));
    }

    fn instant(&mut self, name: &str, at: f64, args: &Value) {
        self.events.push(json!({
            "name": name,
            "ph": "i",
            "s": "t",
            "pid": self.process,
            "tid": self.thread,
            "ts": microseconds(at),
            "args": args,
        }));
    }
}

/// What a probe saw, in a word.
fn seen(seen: &Seen) -> String {
    match seen {
        Seen::Tier(tier) => tier.clone(),
        Seen::Down(class) => format!("down: {class}"),
        Seen::Other(answer) => format!("other: {answer}"),
        Seen::Unknown => "not known".to_owned(),
    }
}

fn microseconds(seconds: f64) -> f64 {
    (seconds * 1e6).round()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn every_event_has_what_the_format_asks_for() {
        let reports = [
            sample::passing_failover(),
            sample::failing_rto(),
            sample::invalid(),
        ];
        let trace: Value = serde_json::from_str(&render(&reports)).unwrap();
        let events = trace["traceEvents"].as_array().unwrap();
        assert!(events.len() > 50, "{}", events.len());
        let mut processes = std::collections::BTreeSet::new();
        for event in events {
            assert!(
                event["name"].is_string() && event["pid"].is_u64(),
                "{event}"
            );
            processes.insert(event["pid"].as_u64().unwrap());
            match event["ph"].as_str().unwrap() {
                "X" => assert!(
                    event["ts"].as_f64().unwrap() >= 0.0 && event["dur"].as_f64().unwrap() >= 0.0,
                    "{event}"
                ),
                "i" => assert!(event["ts"].is_number() && event["s"] == "t", "{event}"),
                "C" => assert!(event["args"]["median"].is_number(), "{event}"),
                "M" => assert!(event["args"].is_object(), "{event}"),
                other => panic!("{other}"),
            }
        }
        assert_eq!(processes.len(), reports.len());
        let named = |name: &str| events.iter().any(|event| event["args"]["name"] == name);
        assert!(named("scale-to-zero") && named("phases") && named("moments"));
    }

    #[test]
    fn hostile_text_is_data() {
        for text in sample::HOSTILE {
            let trace = render(&[sample::hostile(text)]);
            assert_eq!(trace.lines().count(), 1);
            assert!(serde_json::from_str::<Value>(&trace).is_ok(), "{text:?}");
        }
    }
}
