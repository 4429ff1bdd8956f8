//! What the pages for people show besides the judgement: the steps of a run, the readings of observers, latency over time, the files.

use std::{fmt::Write, fs::File, io::Read, path::Path, time::Duration};

use super::{
    layout::as_column,
    people::{Operated, words},
    plural,
};
use crate::{
    drill::Drill,
    environment::{Connection, DnsView, Environment},
    source::Secrets,
    timeline::{Entry, Event, FaultStep, Outcome, Phase, ProbeKind, Sample, SampleVerdict},
};

/// The steps that are listed; a run with more says how many there were.
const STEPS: usize = 400;

/// What was recorded of a run, as people read it. Kept beside the judgement, because nothing is judged by it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recorded {
    pub(super) probes: Vec<ProbeFacts>,
    /// The observers and their readings, in the order of the environment.
    pub(super) observers: Vec<(String, Vec<Reading>)>,
    pub(super) steps: Vec<Step>,
    /// Steps that are not in `steps`, because there were too many.
    pub(super) unlisted: usize,
    /// What the harness took note of, each with its time in seconds.
    pub(super) notes: Vec<(f64, String)>,
    /// Of the good samples of the users' probe.
    pub(super) latency: Latency,
    /// What people did.
    pub(crate) operator: Vec<Operated>,
    pub(super) drill_text: String,
    /// The digest of the drill file as it was read, which is that of the copy.
    pub(super) drill_sha256: Option<String>,
    pub(super) environment_text: String,
    /// How many events the timeline has.
    pub(super) events: u64,
    /// Of the timeline's file, in hexadecimal; `None` if it could not be read again.
    pub(super) events_sha256: Option<String>,
}

/// A probe as it was set up.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ProbeFacts {
    pub(super) name: String,
    pub(super) what: String,
    pub(super) every_s: f64,
    pub(super) timeout_s: f64,
    /// The smallest and the largest TTL that it was told.
    pub(super) ttl_s: Option<[u32; 2]>,
}

/// What an observer read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reading {
    pub(super) at_s: f64,
    /// When the last reading that said otherwise was begun.
    pub(super) before_s: Option<f64>,
    pub(super) healthy: Option<bool>,
    pub(super) detail: Option<String>,
}

/// Something that was done or seen.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Step {
    pub(super) at_s: f64,
    pub(super) who: String,
    pub(super) what: String,
    pub(super) came: String,
}

/// Latency over time in memory that does not grow: when there are too many buckets, two become one.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Latency {
    width_s: f64,
    buckets: Vec<Bucket>,
}

/// The good samples of a time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bucket {
    pub(super) least_s: f64,
    pub(super) largest_s: f64,
    /// How many samples were on each level, from 0.1 ms upwards, each ten to an eighth times the one below.
    levels: [u32; Bucket::LEVELS],
}

impl Bucket {
    const LEVELS: usize = 48;
    const LEAST_S: f64 = 1e-4;
    const PER_DECADE: f64 = 8.0;

    fn push(&mut self, seconds: f64) {
        self.least_s = self.least_s.min(seconds);
        self.largest_s = self.largest_s.max(seconds);
        let level = (seconds.max(Self::LEAST_S) / Self::LEAST_S).log10() * Self::PER_DECADE;
        self.levels[as_column(level).min(Self::LEVELS - 1)] += 1;
    }

    fn join(&mut self, other: &Self) {
        self.least_s = self.least_s.min(other.least_s);
        self.largest_s = self.largest_s.max(other.largest_s);
        for (mine, others) in self.levels.iter_mut().zip(other.levels) {
            *mine += others;
        }
    }

    fn is_empty(&self) -> bool {
        self.levels.iter().all(|count| *count == 0)
    }

    /// The median, to a sixth of its value.
    pub(super) fn median_s(&self) -> f64 {
        let half = self.levels.iter().sum::<u32>().div_ceil(2);
        let mut below = 0;
        let mut seconds = Self::LEAST_S * 10_f64.powf(0.5 / Self::PER_DECADE);
        for count in self.levels {
            below += count;
            if below >= half {
                break;
            }
            seconds *= 10_f64.powf(1.0 / Self::PER_DECADE);
        }
        seconds.clamp(self.least_s, self.largest_s)
    }
}

impl Default for Bucket {
    fn default() -> Self {
        Self {
            least_s: f64::INFINITY,
            largest_s: 0.0,
            levels: [0; Self::LEVELS],
        }
    }
}

impl Default for Latency {
    fn default() -> Self {
        Self {
            width_s: 0.05,
            buckets: Vec::new(),
        }
    }
}

impl Latency {
    /// More than there are points on a line of the page.
    const BUCKETS: usize = 1024;

    pub(super) fn push(&mut self, at_s: f64, seconds: f64) {
        while as_column(at_s / self.width_s) >= Self::BUCKETS {
            self.width_s *= 2.0;
            let mut joined: Vec<Bucket> = Vec::new();
            for pair in self.buckets.chunks(2) {
                let mut bucket = pair[0].clone();
                if let [_, second] = pair {
                    bucket.join(second);
                }
                joined.push(bucket);
            }
            self.buckets = joined;
        }
        let place = as_column(at_s / self.width_s);
        if self.buckets.len() <= place {
            self.buckets.resize(place + 1, Bucket::default());
        }
        self.buckets[place].push(seconds);
    }

    /// The buckets that have samples, each with the times at which it begins and ends.
    pub(super) fn buckets(&self) -> impl Iterator<Item = (f64, f64, &Bucket)> {
        let numbered = (0_u32..).zip(&self.buckets);
        numbered
            .filter(|(_, bucket)| !bucket.is_empty())
            .map(|(number, bucket)| {
                let from = f64::from(number) * self.width_s;
                (from, from + self.width_s, bucket)
            })
    }
}

/// Takes the events of a run one by one and keeps what the pages show.
#[derive(Debug)]
pub struct Recorder {
    recorded: Recorded,
    users: String,
    secrets: Secrets,
    faults: Vec<(String, String)>,
    /// When the first was issued.
    fault: Option<Duration>,
}

impl Recorder {
    /// Starts to record a run of this drill on this environment.
    pub fn new(drill: &Drill, environment: &Environment) -> Self {
        let secrets = environment.secrets_with(drill);
        Self {
            recorded: Recorded {
                drill_text: secrets.hide(&drill.text).into_owned(),
                drill_sha256: Some(digest(drill.text.as_bytes())),
                environment_text: secrets.hide(&environment.text).into_owned(),
                ..Recorded::default()
            },
            users: environment
                .user_probe()
                .map_or_else(String::new, |probe| probe.name.clone()),
            secrets,
            faults: Vec::new(),
            fault: None,
        }
    }

    /// Takes the next event.
    pub fn push(&mut self, entry: &Entry) {
        self.recorded.events += 1;
        let at = entry.at;
        match &entry.event {
            Event::Run(run) if self.recorded.probes.is_empty() => {
                self.recorded.probes = run
                    .probes
                    .iter()
                    .map(|probe| ProbeFacts {
                        name: probe.name.clone(),
                        what: what(&probe.kind),
                        every_s: probe.every.as_secs_f64(),
                        timeout_s: probe.timeout.as_secs_f64(),
                        ttl_s: None,
                    })
                    .collect();
                self.recorded.observers = run
                    .observers
                    .iter()
                    .map(|observer| (observer.clone(), Vec::new()))
                    .collect();
                self.faults = run
                    .faults
                    .iter()
                    .map(|fault| (fault.target.clone(), fault.describe.clone()))
                    .collect();
            }
            Event::Run(_) | Event::Preflight(_) => {}
            Event::Sample(sample) => self.sample(sample),
            Event::Phase { phase } => self.step(at, "harness", phase_words(*phase), "begins"),
            Event::Fault { id, step, detail } => {
                if *step == FaultStep::Issued {
                    self.fault.get_or_insert(at);
                }
                let (target, describe) = self.faults.get(*id).cloned().unwrap_or_default();
                let (who, came) = step_words(*step);
                let who = who.map_or(target, str::to_owned);
                let came = match detail {
                    Some(detail) => format!("{came}: {detail}"),
                    None => came.to_owned(),
                };
                self.step(at, &who, &describe, &came);
            }
            Event::Ledger { found, detail, .. } => {
                let came = match (found, detail) {
                    (Some(found), _) => format!("{} writes are there", found.len()),
                    (None, detail) => detail.clone().unwrap_or_default(),
                };
                self.step(at, "ledger", "reads the writes back", &came);
            }
            Event::Observed {
                observer,
                healthy,
                detail,
                before,
            } => {
                let word = match healthy {
                    Some(true) => "healthy",
                    Some(false) => "unhealthy",
                    None => "could not be read",
                };
                self.step(at, observer, detail.as_deref().unwrap_or("reads"), word);
                let reading = Reading {
                    at_s: at.as_secs_f64(),
                    before_s: before.map(|before| before.as_secs_f64()),
                    healthy: *healthy,
                    detail: detail.clone(),
                };
                let known = self
                    .recorded
                    .observers
                    .iter_mut()
                    .find(|(name, _)| name == observer);
                match known {
                    Some((_, readings)) => readings.push(reading),
                    None => self
                        .recorded
                        .observers
                        .push((observer.clone(), vec![reading])),
                }
            }
            Event::Operator { role, act } => {
                let (what, came) = words(act);
                self.step(at, role.as_deref().unwrap_or("operator"), &what, came);
                if self.recorded.operator.len() < STEPS {
                    let mut operated = Operated::new(at, self.fault, role.clone(), act);
                    for text in operated.role.iter_mut().chain(&mut operated.text) {
                        *text = self.secrets.hide(text).into_owned();
                    }
                    self.recorded.operator.push(operated);
                }
            }
            Event::Note { text } => {
                self.step(at, "harness", text, "");
                if self.recorded.notes.len() < STEPS {
                    let text = self.secrets.hide(text).into_owned();
                    self.recorded.notes.push((at.as_secs_f64(), text));
                }
            }
            Event::Interrupted { signal } => self.step(at, "operator", signal, "stops the drill"),
            Event::Aborted { condition, reason } => {
                self.step(at, "harness", &format!("ended early: {condition}"), reason);
            }
            Event::Ended { outcome, .. } => {
                let (what, came) = match outcome {
                    Outcome::Completed => ("the drill is over", "all phases were gone through"),
                    Outcome::CouldNotRun { reason, .. } => {
                        ("the drill could not be carried out", reason.as_str())
                    }
                    Outcome::Aborted { reason, .. } => {
                        ("the drill was ended early", reason.as_str())
                    }
                    Outcome::Interrupted { signal } => ("the drill was stopped", signal.as_str()),
                };
                self.step(at, "harness", what, came);
            }
        }
    }

    /// What was kept. `timeline` is the file that the events came from.
    pub fn finish(mut self, timeline: &Path) -> Recorded {
        self.recorded.events_sha256 = sha256(timeline).ok();
        self.recorded
    }

    fn sample(&mut self, sample: &Sample) {
        if sample.verdict == SampleVerdict::Good && sample.probe == self.users {
            let seconds = sample.end.saturating_sub(sample.start).as_secs_f64();
            self.recorded
                .latency
                .push(sample.start.as_secs_f64(), seconds);
        }
        if let Some(ttl) = sample.ttl
            && let Some(probe) = self
                .recorded
                .probes
                .iter_mut()
                .find(|probe| probe.name == sample.probe)
        {
            let [least, largest] = probe.ttl_s.unwrap_or([ttl, ttl]);
            probe.ttl_s = Some([least.min(ttl), largest.max(ttl)]);
        }
    }

    fn step(&mut self, at: Duration, who: &str, what: &str, came: &str) {
        if self.recorded.steps.len() >= STEPS {
            self.recorded.unlisted += 1;
            return;
        }
        let hidden = |text: &str| self.secrets.hide(text).into_owned();
        self.recorded.steps.push(Step {
            at_s: at.as_secs_f64(),
            who: hidden(who),
            what: hidden(what),
            came: hidden(came),
        });
    }
}

impl Recorded {
    /// How many steps are not listed, in words.
    pub(super) fn unlisted(&self) -> Option<String> {
        (self.unlisted > 0)
            .then(|| format!("{} more in events.ndjson", plural(self.unlisted, "step")))
    }
}

fn what(kind: &ProbeKind) -> String {
    match kind {
        ProbeKind::Http {
            request,
            writes,
            connection,
            standby,
        } => {
            let connection = match connection {
                Connection::New => "a new connection each time",
                Connection::KeepAlive => "a connection that is kept",
            };
            let verb = if *writes { "writes" } else { "reads" };
            let at = standby
                .as_ref()
                .map_or_else(String::new, |tier| format!(" at the standby {tier}"));
            format!("{verb} ({request}){at}, {connection}")
        }
        ProbeKind::Dns { view, server } => {
            let view = match view {
                DnsView::Authority => "an authority",
                DnsView::Recursive => "a resolver",
                DnsView::Cached => "a resolver, through a cache like a program's",
            };
            format!("asks {view}: {server}")
        }
    }
}

pub(super) fn phase_words(phase: Phase) -> &'static str {
    match phase {
        Phase::SteadyState => "steady state",
        Phase::Inject => "inject",
        Phase::Hold => "hold",
        Phase::Revert => "revert",
        Phase::Failback => "failback",
    }
}

/// Who took a step, if not the target, and what came of it.
fn step_words(step: FaultStep) -> (Option<&'static str>, &'static str) {
    match step {
        FaultStep::Rehearsed => (Some("harness"), "read what would restore it; not sent"),
        FaultStep::Captured => (Some("harness"), "read and kept what restores it"),
        FaultStep::Issued => (Some("harness"), "sent"),
        FaultStep::Acknowledged => (None, "acknowledged"),
        FaultStep::Verified => (Some("harness"), "an independent read shows it in place"),
        FaultStep::InjectFailed => (None, "failed"),
        FaultStep::NotVerified => (Some("harness"), "an independent read does not show it"),
        FaultStep::RevertIssued => (Some("harness"), "revert sent"),
        FaultStep::Reverted => (None, "revert acknowledged"),
        FaultStep::Restored => (
            Some("harness"),
            "an independent read shows the target as it was",
        ),
        FaultStep::RevertFailed => (Some("harness"), "NOT verified as restored"),
    }
}

fn sha256(file: &Path) -> std::io::Result<String> {
    let mut file = File::open(file)?;
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    let mut part = vec![0; 64 * 1024];
    loop {
        let length = file.read(&mut part)?;
        if length == 0 {
            return Ok(hexadecimal(&context.finish()));
        }
        context.update(&part[..length]);
    }
}

fn digest(bytes: &[u8]) -> String {
    hexadecimal(&ring::digest::digest(&ring::digest::SHA256, bytes))
}

fn hexadecimal(digest: &ring::digest::Digest) -> String {
    let mut text = String::new();
    for byte in digest.as_ref() {
        write!(text, "{byte:02x}").expect("memory takes every write");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twelve_hours_of_latency_stay_in_a_thousand_buckets_and_lose_no_peak() {
        let mut latency = Latency::default();
        for second in 0..43_200_u32 {
            let seconds = if second == 30_000 { 0.7 } else { 0.004 };
            latency.push(f64::from(second), seconds);
        }
        let buckets: Vec<_> = latency.buckets().collect();
        assert!(buckets.len() <= Latency::BUCKETS);
        let slow: Vec<_> = buckets
            .iter()
            .filter(|(.., bucket)| bucket.largest_s > 0.5)
            .collect();
        let [(from, to, bucket)] = slow[..] else {
            panic!("one bucket has the peak: {slow:?}");
        };
        assert!((*from..*to).contains(&30_000.0));
        assert!((0.003..0.005).contains(&bucket.median_s()), "{bucket:?}");
    }

    #[test]
    fn the_digest_is_the_one_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("events.ndjson");
        std::fs::write(&file, "abc").unwrap();
        assert_eq!(
            sha256(&file).unwrap(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
