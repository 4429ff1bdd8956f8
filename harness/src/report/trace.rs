//! The report as a trace for Perfetto (<https://ui.perfetto.dev>) and `chrome://tracing`, to zoom into a long run.
//!
//! The format is Google's "Trace Event Format": a process for each drill, a thread for each lane, complete events (`X`) for what lasted,
//! instant events (`i`) for moments, counters (`C`) for latency, and names as metadata (`M`). Times are microseconds of the architecture
//! since the start. Events are in order of time, what lasts longer before what it holds, so that every viewer nests them alike.

use serde_json::{Value, json};

use super::{Report, json::line, quantity::middle, recorded::phase_words};
use crate::verdict::{Bounds, Seen};

/// The spells of all lanes of a drill that are kept; a trace of more is slow to open.
const SPELLS: usize = 50_000;

/// Viewers filter by it.
const CATEGORY: &str = "drill";

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
    // Names come first, at no time.
    let at = |event: &Value| event["ts"].as_f64().unwrap_or(f64::NEG_INFINITY);
    let lasts = |event: &Value| event["dur"].as_f64().unwrap_or(0.0);
    events.sort_by(|one, other| {
        let longer_first = || lasts(other).total_cmp(&lasts(one));
        at(one).total_cmp(&at(other)).then_with(longer_first)
    });
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
            ("declared", moments.declared),
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
                "cat": CATEGORY,
                "ph": "C",
                "pid": self.process,
                "tid": 0,
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
            "cat": CATEGORY,
            "ph": "X",
            "pid": self.process,
            "tid": self.thread,
            "ts": microseconds(from),
            // From one rounded time to another, or it would reach into what follows it.
            "dur": (microseconds(to) - microseconds(from)).max(0.0),
            "args": args,
        }));
    }

    fn moment(&mut self, name: &str, bounds: Bounds) {
        self.instant(name, middle(bounds), &json!({ "bounds": bounds }));
    }

    fn instant(&mut self, name: &str, at: f64, args: &Value) {
        self.events.push(json!({
            "name": name,
            "cat": CATEGORY,
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

    fn reports() -> [Report; 3] {
        [
            sample::passing_failover(),
            sample::failing_rto(),
            sample::invalid(),
        ]
    }

    /// The events of a trace of these.
    fn traced(reports: &[Report]) -> Vec<Value> {
        let trace: Value = serde_json::from_str(&render(reports)).unwrap();
        let known = ["displayTimeUnit", "traceEvents"];
        let keys = trace.as_object().unwrap().keys();
        assert!(keys.clone().all(|key| known.contains(&key.as_str())));
        assert_eq!(trace["displayTimeUnit"], "ms");
        trace["traceEvents"].as_array().unwrap().clone()
    }

    #[test]
    fn events_have_the_fields_that_the_format_documents_and_no_others() {
        for event in traced(&reports()) {
            let fields: &[&str] = match event["ph"].as_str().unwrap() {
                "X" => &["name", "cat", "ph", "pid", "tid", "ts", "dur", "args"],
                "i" => &["name", "cat", "ph", "s", "pid", "tid", "ts", "args"],
                "C" => &["name", "cat", "ph", "pid", "tid", "ts", "args"],
                "M" => &["name", "ph", "pid", "tid", "args"],
                other => panic!("{other}"),
            };
            let keys: Vec<&str> = event
                .as_object()
                .unwrap()
                .keys()
                .map(String::as_str)
                .collect();
            assert_eq!(keys, fields, "{event}");
            assert!(event["pid"].is_u64() && event["tid"].is_u64(), "{event}");
            assert!(event["args"].is_object(), "{event}");
            if event["ph"] == "C" {
                let series = event["args"].as_object().unwrap();
                assert!(series.values().all(Value::is_number), "{event}");
            }
            if event["ph"] == "M" {
                let known = ["process_name", "thread_name", "thread_sort_index"];
                assert!(known.contains(&event["name"].as_str().unwrap()), "{event}");
            }
        }
    }

    #[test]
    fn events_are_in_order_of_time_and_what_lasts_on_a_lane_does_not_overlap() {
        let mut last = f64::NEG_INFINITY;
        let mut ends = std::collections::BTreeMap::<(u64, u64), f64>::new();
        for event in traced(&reports()) {
            let at = event["ts"].as_f64();
            assert_eq!(at.is_none(), event["ph"] == "M", "{event}");
            let at = at.unwrap_or(f64::NEG_INFINITY);
            assert!(at >= last, "{event} comes after {last}");
            last = at;
            if event["ph"] == "X" {
                let lane = [&event["pid"], &event["tid"]].map(|part| part.as_u64().unwrap());
                let end = ends.entry((lane[0], lane[1])).or_default();
                assert!(at >= *end, "{event} begins before {end}");
                *end = at + event["dur"].as_f64().unwrap();
            }
        }
        assert!(ends.len() > 10, "lanes: {}", ends.len());
    }

    #[test]
    fn every_event_has_what_the_format_asks_for() {
        let reports = reports();
        let events = traced(&reports);
        assert!(events.len() > 50, "{}", events.len());
        let mut processes = std::collections::BTreeSet::new();
        for event in &events {
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
