//! Expectations about single requests and their answers: `writes`, `max-errors`, `header`, `body`, `status`.

use std::time::Duration;

use super::{Outcome, Scene, no_probe, too_few, users};
use crate::{
    timeline::Sample,
    verdict::{
        record::{Probe, Record},
        words,
    },
};

pub(super) fn writes_served_by(scene: Scene<'_>, tier: &str) -> Outcome {
    match scene.record.writer() {
        Some(writer) => users::probe_served_by(scene.record, writer, tier),
        None => no_writer(),
    }
}

fn no_writer() -> Outcome {
    Outcome::inconclusive("not measured", "no probe of the environment writes")
}

pub(super) fn writes_fail_with(scene: Scene<'_>, codes: &[u16]) -> Outcome {
    let record = scene.record;
    let Some(writer) = record.writer() else {
        return no_writer();
    };
    let window = writer.watch.tally().held();
    if let Some(outcome) = too_few(window) {
        return outcome;
    }
    let Some(start) = scene.times.impact.or(scene.times.fault) else {
        return Outcome::inconclusive("not measured", "no fault was issued");
    };
    // What was sent while it is not sure that the service was hit already says nothing.
    let start = start.hi.unwrap_or(start.lo);
    let end = record.hold_end();
    let seen = writer
        .watch
        .tally()
        .answers()
        .iter()
        // What was under way at the revert may have been answered after it.
        .filter(|answers| {
            answers.last > start && answers.first < end && (answers.answered < end || !answers.good)
        });
    let mut statuses = Vec::new();
    let mut samples = 0;
    for answers in seen {
        samples += answers.samples;
        let when = words::at(answers.first.max(start));
        if answers.good {
            let actual = "taken";
            return Outcome::fail(actual, format!("a write was taken {when}"));
        }
        match answers.status {
            Some(status) if !codes.contains(&status) => {
                let wanted = alternatives(codes);
                let message = format!("a write was answered {status} {when}, not {wanted}");
                return Outcome::fail(status.to_string(), message);
            }
            Some(status) if !statuses.contains(&status) => statuses.push(status),
            Some(_) | None => {}
        }
    }
    if samples == 0 {
        return Outcome::inconclusive("not measured", "no write was tried after the impact");
    }
    let actual = if statuses.is_empty() {
        "no answer".to_owned()
    } else {
        alternatives(&statuses)
    };
    let message = format!("every write failed: {actual}");
    Outcome::pass(actual, message).unless_void(window)
}

fn alternatives(codes: &[u16]) -> String {
    let codes: Vec<String> = codes.iter().map(u16::to_string).collect();
    codes.join(" or ")
}

pub(super) fn max_errors(scene: Scene<'_>, probe: Option<&str>, at_most: u64) -> Outcome {
    let Some(probe) = scene.record.probe_or_users(probe) else {
        return no_probe(probe);
    };
    let tally = probe.watch.tally();
    let window = tally.held().plus(tally.after());
    if let Some(outcome) = too_few(window) {
        return outcome;
    }
    let failed = window.bad;
    let actual = format!("{failed} of {}", words::count(window.usable(), "request"));
    if failed > at_most {
        let message = format!("{actual} failed, {failed} > {at_most}");
        Outcome::fail(actual, message)
    } else {
        let message = format!("{actual} failed, {failed} <= {at_most}");
        Outcome::pass(actual, message).unless_void(window)
    }
}

/// The last good answer of the hold, or why there is none.
fn last_good<'p>(record: &Record<'_>, probe: &'p Probe) -> Result<&'p Sample, Box<Outcome>> {
    let window = probe.watch.tally().held();
    if let Some(outcome) = too_few(window) {
        return Err(Box::new(outcome));
    }
    let issued = record.issued().unwrap_or(Duration::ZERO);
    let sample = probe.watch.tally().last_good();
    sample
        .filter(|sample| sample.start >= issued)
        .ok_or_else(|| {
            let failed = words::count(window.bad, "request");
            let message = format!("no good answer during the hold, {failed} failed");
            Box::new(Outcome::fail("no good answer", message))
        })
}

pub(super) fn header(scene: Scene<'_>, probe: Option<&str>, name: &str, contains: &str) -> Outcome {
    let Some(probe) = scene.record.probe_or_users(probe) else {
        return no_probe(probe);
    };
    let sample = match last_good(scene.record, probe) {
        Ok(sample) => sample,
        Err(outcome) => return *outcome,
    };
    let value = sample
        .headers
        .iter()
        .find(|(header, _)| header.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str());
    let sent = format!(
        "answer to sample {} sent {}",
        sample.seq,
        words::at(sample.start)
    );
    let outcome = match value {
        Some(value) if value.contains(contains) => {
            Outcome::pass(value, format!("`{value}` contains `{contains}`"))
        }
        Some(value) => Outcome::fail(value, format!("`{value}` does not contain `{contains}`")),
        None => Outcome::fail(
            "no such header",
            format!("the answer has no header `{name}`"),
        ),
    };
    outcome.with_evidence([sent])
}

pub(super) fn body(scene: Scene<'_>, probe: Option<&str>, contains: &str) -> Outcome {
    let Some(probe) = scene.record.probe_or_users(probe) else {
        return no_probe(probe);
    };
    let sample = match last_good(scene.record, probe) {
        Ok(sample) => sample,
        Err(outcome) => return *outcome,
    };
    let sent = format!(
        "answer to sample {} sent {}",
        sample.seq,
        words::at(sample.start)
    );
    let outcome = if sample.found.iter().any(|found| found == contains) {
        Outcome::pass("found", format!("the body contains `{contains}`"))
    } else {
        Outcome::fail(
            "not found",
            format!("the body does not contain `{contains}`"),
        )
    };
    outcome.with_evidence([sent])
}

pub(super) fn status(scene: Scene<'_>, probe: Option<&str>, wanted: &[u16]) -> Outcome {
    let record = scene.record;
    let Some(probe) = record.probe_or_users(probe) else {
        return no_probe(probe);
    };
    let window = probe.watch.tally().held();
    if let Some(outcome) = too_few(window) {
        return outcome;
    }
    let start = if scene.disruptions.is_empty() {
        record.issued().unwrap_or(Duration::ZERO)
    } else if let Some(recovered) = scene.times.recovered {
        recovered.hi.unwrap_or(recovered.lo)
    } else {
        let message = "users were not served in a stable way again before the revert";
        return Outcome::fail("no recovery", message);
    };
    let end = record.hold_end();
    let mut seen = Vec::new();
    for answers in probe.watch.tally().answers() {
        if answers.last < start || answers.first >= end {
            continue;
        }
        let Some(status) = answers.status else {
            continue;
        };
        if !wanted.contains(&status) {
            let when = words::at(answers.first.max(start));
            let wanted = alternatives(wanted);
            let message = format!("{status} {when}, not {wanted}");
            return Outcome::fail(status.to_string(), message);
        }
        if !seen.contains(&status) {
            seen.push(status);
        }
    }
    if seen.is_empty() {
        return Outcome::inconclusive("no answer", "nothing was answered after recovery");
    }
    let seen = alternatives(&seen);
    let message = format!("every answer was {seen}");
    Outcome::pass(seen, message).unless_void(window)
}
