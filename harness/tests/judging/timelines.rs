//! Recorded timelines and what the judge makes of them.
//!
//! The files are written by the generator below, and a test holds them against it; after a change of either, write them anew with
//! `BLACKSTART_WRITE_TIMELINES=1 cargo test --test judging`. A bug found in the field becomes another file.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use blackstart::{
    drill::{ClockStart, ClockStop, Drill, Expect, InconclusivePolicy},
    environment::{Connection, DnsView},
    timeline::{
        Entry, ErrorClass, Event, FaultStep, Outcome, Phase, ProbeKind, ProbeStarted, Sample,
        SampleVerdict, VoidReason,
        file::{Reader, Writer},
    },
    verdict::{Bounds, CheckStatus, Judge, Judgement, Seen, Verdict},
};

use crate::simulation::{Script, drill, entry, environment, http_kind, sample};

const EVERY: Duration = Duration::from_secs(2);

/// The fault strikes at 20 s and is reverted at 90 s.
const ISSUED: f64 = 20.1;
const REVERT: f64 = 90.1;
const LENGTH: f64 = 126.0;

fn s(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// What happens in a timeline.
#[derive(Debug, Clone)]
struct Story {
    /// When new connections are refused.
    down: Vec<(f64, f64)>,
    /// Who serves from when on.
    tiers: Vec<(f64, &'static str)>,
    /// When the authority changes its answer to the machine, and back.
    switched: Option<(f64, f64)>,
    /// When nothing is sent.
    void: Option<(f64, f64)>,
    script: Script,
    drill: Drill,
}

impl Story {
    /// The primary stops, the health check notices, names point to the machine, and back.
    fn clean() -> Self {
        Self {
            down: vec![(ISSUED + 0.4, 50.5)],
            tiers: vec![(0.0, "primary"), (50.5, "vm"), (98.5, "primary")],
            switched: Some((38.0, 94.0)),
            void: None,
            script: Script {
                verified: s(ISSUED + 0.2),
                restored: Some(s(REVERT + 0.3)),
                ..Script::plain(s(ISSUED), s(REVERT), s(LENGTH))
            },
            drill: drill(expectations(45.0)),
        }
    }

    fn probes() -> Vec<ProbeStarted> {
        let probe = |name: &str, kind| ProbeStarted {
            name: name.to_owned(),
            kind,
            every: EVERY,
            timeout: s(2.0),
            good_within: s(0.8),
        };
        let dns = |view| ProbeKind::Dns {
            view,
            server: "127.0.0.1:53".to_owned(),
        };
        vec![
            probe("read", http_kind(Connection::New, None)),
            probe("keep-alive", http_kind(Connection::KeepAlive, None)),
            probe("standby", http_kind(Connection::New, Some("vm"))),
            probe("authority", dns(DnsView::Authority)),
            probe("resolver", dns(DnsView::Recursive)),
        ]
    }

    fn entries(&self) -> Vec<Entry> {
        let mut samples = Vec::new();
        for (offset, probe) in (0_u32..).zip(Self::probes()) {
            for seq in 0_u32.. {
                let due = 0.25 + 0.3 * f64::from(offset) + 2.0 * f64::from(seq);
                if due >= LENGTH - 2.0 {
                    break;
                }
                let late = 0.001 + 0.0002 * f64::from(seq % 7);
                let mut seen = self.look(&probe, u64::from(seq), due + late);
                seen.scheduled = s(due);
                samples.push(seen);
            }
        }
        let mut entries = self.script.record(Self::probes(), samples, 1.0);
        let observed = |at, healthy, detail: &str| {
            let event = Event::Observed {
                observer: "health-check".to_owned(),
                healthy: Some(healthy),
                detail: Some(detail.to_owned()),
                before: None,
            };
            entry(s(at), event)
        };
        entries.push(observed(0.1, true, "16 of 16 checkers: 200"));
        if self.switched.is_some() {
            entries.push(observed(36.1, false, "0 of 16 checkers: refused"));
            entries.push(observed(92.1, true, "16 of 16 checkers: 200"));
        }
        // The run comes first and its end last, whatever the time.
        let rank = |entry: &Entry| {
            i32::from(matches!(entry.event, Event::Ended { .. }))
                - i32::from(matches!(entry.event, Event::Run(_)))
        };
        entries.retain(|entry| entry.at <= self.script.length);
        entries.sort_by_key(|entry| (rank(entry), entry.at));
        entries
    }

    fn tier(&self, time: f64) -> &'static str {
        let mut tiers = self.tiers.iter();
        tiers
            .rfind(|(from, _)| *from <= time)
            .map_or("primary", |(_, tier)| tier)
    }

    fn look(&self, probe: &ProbeStarted, seq: u64, start: f64) -> Sample {
        let name = probe.name.as_str();
        let good = |tier, took| {
            let end = s(start + took);
            sample(name, seq, s(start), end, SampleVerdict::Good, Some(tier))
        };
        if self
            .void
            .is_some_and(|(from, to)| (from..to).contains(&start))
        {
            let verdict = SampleVerdict::Void(VoidReason::Late);
            return sample(name, seq, s(start), s(start), verdict, None);
        }
        let switched = |lag: f64| {
            self.switched
                .is_some_and(|(from, to)| (from + lag..to + lag / 2.0).contains(&start))
        };
        let latency = 0.02 + 0.001 * ((start * 10.0) % 5.0);
        match name {
            "standby" => answered(good("vm", latency), "nginx"),
            "authority" => named(
                good(if switched(0.0) { "vm" } else { "primary" }, 0.001),
                20,
            ),
            "resolver" => {
                // Copies are fetched at 10 s, 30 s, 50 s and so on.
                let left = 20 - u32::try_from((s(start).as_secs() + 10) % 20).expect("below 20");
                let tier = if switched(12.0) { "vm" } else { "primary" };
                named(good(tier, 0.002), left)
            }
            // Kept connections are found dead later than new ones are made.
            _ => {
                let lag = if name == "keep-alive" { 6.0 } else { 0.0 };
                let is_down = |(from, to): &(f64, f64)| (*from..*to + lag).contains(&start);
                if self.down.iter().any(is_down) {
                    let verdict = SampleVerdict::Bad(ErrorClass::Refused);
                    let end = s(start + 0.0001);
                    let mut sample = sample(name, seq, s(start), end, verdict, None);
                    sample.detail = Some("connection refused".to_owned());
                    return sample;
                }
                let tier = self.tier(start);
                let server = if tier == "primary" {
                    "Apache-Coyote/1.1"
                } else {
                    "nginx"
                };
                answered(good(tier, latency), server)
            }
        }
    }
}

fn answered(mut sample: Sample, server: &str) -> Sample {
    sample.status = Some(200);
    sample.headers = BTreeMap::from([("server".to_owned(), server.to_owned())]);
    sample
}

fn named(mut sample: Sample, ttl: u32) -> Sample {
    let tier = sample.tier.as_deref().unwrap_or_default();
    sample.answers = vec![format!("{tier}.test"), "192.0.2.1".to_owned()];
    sample.ttl = Some(ttl);
    sample
}

fn expectations(rto: f64) -> Vec<Expect> {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    vec![
        Expect::Detected {
            within: s(25.0),
            by: None,
        },
        Expect::Rto {
            within: s(rto),
            from: ClockStart::Fault,
            to: ClockStop::Stable,
            pass_rate: None,
        },
        Expect::Outage { within: s(40.0) },
        Expect::Path(names(&["primary", "down", "vm"])),
        Expect::Never(names(&["maintenance"])),
        Expect::ServedBy(BTreeMap::from([
            ("authority".to_owned(), "vm".to_owned()),
            ("read".to_owned(), "vm".to_owned()),
        ])),
        Expect::Availability { at_least: 50.0 },
        Expect::MaxErrors {
            probe: None,
            at_most: 20,
        },
        Expect::Flaps { at_most: 0 },
        Expect::Failback {
            to: "primary".to_owned(),
            within: s(30.0),
            errors_at_most: Some(0),
        },
        Expect::DnsSwitch {
            within: s(30.0),
            probe: None,
            to: Some("vm".to_owned()),
        },
        Expect::StaleDns {
            at_most: s(5.0),
            probe: None,
        },
        Expect::Header {
            probe: None,
            name: "Server".to_owned(),
            contains: "nginx".to_owned(),
        },
        Expect::Status {
            probe: None,
            is: vec![200],
        },
    ]
}

/// Every timeline with its name.
fn stories() -> Vec<(&'static str, Story)> {
    let clean = Story::clean();
    let mut flapping = clean.clone();
    flapping.down = vec![(20.5, 30.0), (36.5, 50.5)];
    flapping.tiers[1].0 = 30.0;
    let mut never_recovers = clean.clone();
    never_recovers.down = vec![(20.5, 96.0)];
    never_recovers.tiers = vec![(0.0, "primary")];
    let mut wrong_tier = clean.clone();
    wrong_tier.tiers[1].1 = "maintenance";
    let mut sampling_gap = clean.clone();
    sampling_gap.void = Some((46.0, 62.0));
    let mut not_restored = clean.clone();
    not_restored.script.restored = None;
    let mut killed = clean.clone();
    killed.script.end = None;
    killed.script.length = s(61.0);
    let mut steady_state = clean.clone();
    steady_state.down = vec![(4.0, 30.0)];
    steady_state.script = Script {
        end: Some(Outcome::CouldNotRun {
            phase: Phase::SteadyState,
            reason: "`read` was refused in 4 of 8 samples; nothing was injected".to_owned(),
        }),
        ..Script::plain(s(99.0), s(99.0), s(16.0))
    };
    let mut inconclusive = clean.clone();
    inconclusive.drill = drill(expectations(30.8));
    vec![
        ("clean-failover", clean),
        ("flapping", flapping),
        ("never-recovers", never_recovers),
        ("wrong-tier", wrong_tier),
        ("sampling-gap", sampling_gap),
        ("not-restored", not_restored),
        ("killed", killed),
        ("steady-state-not-met", steady_state),
        ("inconclusive", inconclusive),
    ]
}

fn story(wanted: &str) -> Story {
    let mut stories = stories().into_iter();
    let (_, story) = stories.find(|(name, _)| *name == wanted).expect(wanted);
    story
}

fn file(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/timelines");
    folder.join(name).with_extension("ndjson")
}

/// The bytes of a timeline's file. A killed harness leaves a torn line behind.
fn bytes(name: &str, story: &Story) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("events.ndjson");
    let mut writer = Writer::create(&path).expect("a new file");
    let mut entries = story.entries();
    if story.script.restored.is_none() {
        let event = Event::Fault {
            id: 0,
            step: FaultStep::RevertFailed,
            detail: Some("no answer from the control plane".to_owned()),
        };
        let last = entries.len() - 1;
        entries.insert(last, entry(s(LENGTH - 1.0), event));
    }
    for entry in entries {
        writer.append(&entry).expect("room on the disk");
    }
    let mut bytes = fs::read(&path).expect("it was written");
    if name == "killed" {
        bytes.truncate(bytes.len() - 40);
    }
    bytes
}

fn judged(name: &str) -> (Judgement, Option<u64>) {
    judged_by(&story(name).drill, name)
}

fn judged_by(drill: &Drill, name: &str) -> (Judgement, Option<u64>) {
    let mut reader = Reader::open(file(name)).expect(name);
    let environment = environment(EVERY);
    let mut judge = Judge::new(drill, &environment);
    for entry in reader.by_ref() {
        judge.push(&entry.expect(name));
    }
    (judge.finish(), reader.torn())
}

#[test]
fn the_files_are_what_the_generator_writes() {
    for (name, story) in stories() {
        let path = file(name);
        if std::env::var_os("BLACKSTART_WRITE_TIMELINES").is_some() {
            fs::write(&path, bytes(name, &story)).unwrap();
        }
        assert!(
            fs::read(&path).is_ok_and(|committed| committed == bytes(name, &story)),
            "{name} differs"
        );
    }
}

/// A judgement as a page of text, which is what snapshots are read for.
fn page(judgement: &Judgement) -> String {
    let mut page = String::new();
    let mut line = |words: String| page.push_str(&(words + "\n"));
    line(format!(
        "{:?}, restored: {}, length {} s, drift {:?} ms",
        judgement.verdict, judgement.restored, judgement.length_s, judgement.clock_drift_ms
    ));
    for reason in &judgement.reasons {
        line(format!("because {reason}"));
    }
    for check in &judgement.checks {
        let status = format!("{:?}", check.status).to_uppercase();
        line(format!("{status:<13}{}  line {}", check.name, check.line));
        line(format!("             {}", check.message));
        let value = check.value.map_or(String::new(), shown);
        let limit = check
            .limit_s
            .map_or(String::new(), |limit| format!(" limit {limit}"));
        line(format!(
            "             actual {}; {value}{limit}",
            check.actual
        ));
        for evidence in &check.evidence {
            line(format!("             - {evidence}"));
        }
    }
    let moments = &judgement.moments;
    let durations = &judgement.durations;
    for (name, bounds) in [
        ("fault", moments.fault),
        ("impact", moments.impact),
        ("detected", moments.detected),
        ("switched", moments.switched),
        ("propagated", moments.propagated),
        ("first success", moments.first_success),
        ("recovered", moments.recovered),
        ("reverted", moments.reverted),
        ("failed back", moments.failed_back),
        ("= impact delay", durations.impact_delay),
        ("= detection", durations.detection),
        ("= dns switch", durations.dns_switch),
        ("= propagation", durations.propagation),
        ("= first success", durations.first_success),
        ("= recovery", durations.recovery),
        ("= outage", durations.outage),
        ("= failback", durations.failback),
        ("availability", judgement.availability),
    ] {
        line(format!(
            "{name:<16}{}",
            bounds.map_or("null".to_owned(), shown)
        ));
    }
    for part in &judgement.parts {
        line(format!(
            "part {:<8}{:.3} s {}",
            part.name, part.seconds, part.about
        ));
    }
    line(format!("path {:?}", judgement.path));
    line(format!("whole path {:?}", judgement.whole_path));
    line(format!(
        "{} blips, {} flaps",
        judgement.blips, judgement.flaps
    ));
    for fault in &judgement.faults {
        line(format!("{fault:?}"));
    }
    for span in &judgement.phases {
        line(format!("{:?} {} .. {}", span.phase, span.from_s, span.to_s));
    }
    for lane in &judgement.lanes {
        line(format!(
            "lane {} ({}): {} samples, {} good, bad {:?}, void {:?}, latency {:?}, H {}, late {}",
            lane.probe,
            lane.label,
            lane.samples,
            lane.good,
            lane.bad,
            lane.void,
            lane.latency_s,
            lane.healthy_bound_s,
            lane.late_p99_s
        ));
        for spell in &lane.spells {
            let seen = match &spell.seen {
                Seen::Tier(tier) => tier.clone(),
                Seen::Down(class) => format!("down ({class})"),
                Seen::Other(answer) => format!("other ({answer})"),
                Seen::Unknown => "unknown".to_owned(),
            };
            let (from, to) = (shown(spell.from), shown(spell.to));
            line(format!(
                "     {from} to {to} {seen}, {} samples",
                spell.samples
            ));
        }
    }
    for finding in &judgement.findings {
        line(format!("finding {}: {}", finding.code, finding.text));
        for evidence in &finding.evidence {
            line(format!("     - {evidence}"));
        }
    }
    page
}

fn shown(bounds: Bounds) -> String {
    let mut words = format!("[{:.3} ..", bounds.lo);
    match bounds.hi {
        Some(hi) => write!(words, " {hi:.3}]").expect("a string takes everything"),
        None => words.push_str(" )"),
    }
    words
}

#[test]
fn every_timeline_is_judged_as_it_was() {
    for (name, _) in stories() {
        insta::assert_snapshot!(name, page(&judged(name).0));
    }
}

fn status(judgement: &Judgement, kind: &str) -> CheckStatus {
    let mut checks = judgement.checks.iter();
    checks.find(|check| check.kind == kind).expect(kind).status
}

#[test]
fn a_clean_failover_passes_and_its_parts_add_up_to_the_recovery_time() {
    let (judgement, torn) = judged("clean-failover");
    assert_eq!(judgement.verdict, Verdict::Pass, "{:?}", judgement.reasons);
    assert_eq!(torn, None);
    let sum: f64 = judgement.parts.iter().map(|part| part.seconds).sum();
    let recovery = judgement.durations.recovery.unwrap();
    let middle = f64::midpoint(recovery.lo, recovery.hi.unwrap());
    assert!((sum - middle).abs() < 1e-6, "{sum} {middle}");
}

#[test]
fn users_who_come_back_only_with_the_revert_have_not_recovered() {
    let (judgement, _) = judged("never-recovers");
    assert_eq!(judgement.verdict, Verdict::Fail);
    assert_eq!(status(&judgement, "rto"), CheckStatus::Fail);
    assert_eq!(judgement.moments.recovered, None);
    assert_eq!(judgement.durations.recovery, None);
}

#[test]
fn a_run_that_was_killed_is_invalid_and_its_torn_line_is_left_out() {
    let (judgement, torn) = judged("killed");
    assert_eq!(judgement.verdict, Verdict::Invalid);
    assert!(torn.is_some());
    assert!(!judgement.restored);
    assert_eq!(judgement.clock_drift_ms, None);
    for check in &judgement.checks {
        assert_eq!(check.status, CheckStatus::NotRun);
    }
}

#[test]
fn a_limit_within_the_bounds_is_inconclusive_and_fails_unless_told() {
    let (judgement, _) = judged("inconclusive");
    assert_eq!(status(&judgement, "rto"), CheckStatus::Inconclusive);
    assert_eq!(judgement.verdict, Verdict::Inconclusive);
    let mut warned = story("inconclusive").drill;
    warned.inconclusive = InconclusivePolicy::Warn;
    warned.expect.truncate(2);
    let (judgement, _) = judged_by(&warned, "inconclusive");
    assert_eq!(status(&judgement, "rto"), CheckStatus::Inconclusive);
    assert_eq!(judgement.verdict, Verdict::Pass);
    assert!(
        judgement.reasons[0].starts_with("inconclusive: rto"),
        "{:?}",
        judgement.reasons
    );
}

#[test]
fn a_gap_at_the_edge_decides_nothing() {
    let (judgement, _) = judged("sampling-gap");
    assert_eq!(status(&judgement, "rto"), CheckStatus::Inconclusive);
    assert_eq!(
        status(&judgement, "availability"),
        CheckStatus::Inconclusive
    );
}

#[test]
fn a_target_that_is_not_restored_is_told_with_its_reason() {
    let (judgement, _) = judged("not-restored");
    assert!(!judgement.restored);
    assert!(
        judgement
            .reasons
            .iter()
            .any(|reason| reason.contains("`web` (stop) is not verified")),
        "{:?}",
        judgement.reasons
    );
}

#[test]
fn data_loss_that_nobody_measured_is_inconclusive_and_never_a_pass() {
    let rpo = drill(vec![Expect::Rpo { within: s(60.0) }]);
    let (judgement, _) = judged_by(&rpo, "clean-failover");
    assert_eq!(status(&judgement, "rpo"), CheckStatus::Inconclusive);
    assert_eq!(judgement.checks[0].value, None);
}
