//! A prober and a service in virtual time: no socket, no task, no clock, the same for the same seed.
//!
//! The service is broken at known times in known ways, so that what the judge makes of the samples can be held against the truth.

use std::{collections::BTreeMap, time::Duration};

use blackstart::{
    drill::{
        Drill, Expect, Expectation, Fault, Hold, InconclusivePolicy, Located, SteadyState, Step,
    },
    environment::{
        Connection, DnsCache, DnsProbe, DnsType, DnsView, Environment, Family, Governs, HttpProbe,
        Limits, Observer, Probe, Recognise, Service, Target, Tier,
    },
    source::{FilledIn, Position},
    timeline::{
        Entry, ErrorClass, Event, FaultPlanned, FaultStep, Outcome, Phase, PhaseTimes, ProbeKind,
        ProbeStarted, RunStarted, Sample, SampleVerdict, VoidReason,
    },
};
use blackstart_lab::control::{Resource, ResourceKind};

/// How the service is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Break {
    /// Connections are refused at once.
    Refused,
    /// Every answer is a 503, as fast as ever.
    Unavailable,
    /// Packets vanish.
    Silent,
    /// Every answer takes so much longer.
    Slow(Duration),
    /// Nothing is answered until it thaws; then everything is.
    Frozen,
}

/// A time in which the service is broken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outage {
    pub(crate) from: Duration,
    pub(crate) to: Duration,
    pub(crate) kind: Break,
}

/// The prober's own faults.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sloppiness {
    /// Most ticks are late by up to this.
    pub(crate) late: Duration,
    /// One tick in so many is not sent at all; 0 for none.
    pub(crate) void_one_in: u32,
}

/// One probe of one service in virtual time.
#[derive(Debug, Clone)]
pub(crate) struct Simulation {
    pub(crate) every: Duration,
    pub(crate) timeout: Duration,
    pub(crate) good_within: Duration,
    /// The latency in health, give or take a third.
    pub(crate) latency: Duration,
    pub(crate) outages: Vec<Outage>,
    pub(crate) sloppiness: Sloppiness,
    pub(crate) length: Duration,
    pub(crate) seed: u64,
}

impl Simulation {
    /// The probe as a run's first event tells of it.
    pub(crate) fn probe(&self) -> ProbeStarted {
        ProbeStarted {
            name: "read".to_owned(),
            kind: http_kind(Connection::New, None),
            every: self.every,
            timeout: self.timeout,
            good_within: self.good_within,
        }
    }

    /// What the probe sees, in the order in which it was sent.
    pub(crate) fn samples(&self) -> Vec<Sample> {
        let mut random = fastrand::Rng::with_seed(self.seed);
        let phase = self.every.mul_f64(random.f64());
        let mut samples = Vec::new();
        for seq in 0_u32.. {
            let scheduled = phase + self.every.mul_f64(f64::from(seq));
            if scheduled >= self.length {
                return samples;
            }
            let start = scheduled + self.lateness(&mut random);
            let sloppy = self.sloppiness.void_one_in;
            let dropped = sloppy > 0 && random.u32(0..sloppy) == 0;
            let (end, verdict, status) = if dropped || start > scheduled + self.every {
                (start, SampleVerdict::Void(VoidReason::Late), None)
            } else {
                self.answer(start, &mut random)
            };
            let tier = (verdict == SampleVerdict::Good).then_some("primary");
            let mut sample = sample("read", u64::from(seq), start, end, verdict, tier);
            sample.scheduled = scheduled;
            sample.status = status;
            samples.push(sample);
        }
        samples
    }

    fn lateness(&self, random: &mut fastrand::Rng) -> Duration {
        self.sloppiness.late.mul_f64(random.f64().powi(3))
    }

    fn answer(
        &self,
        start: Duration,
        random: &mut fastrand::Rng,
    ) -> (Duration, SampleVerdict, Option<u16>) {
        let latency = self.latency.mul_f64(0.67 + 0.66 * random.f64());
        let at_start = self
            .outages
            .iter()
            .find(|outage| outage.from <= start && start < outage.to);
        let frozen_before = |end: Duration| {
            self.outages.iter().find(|outage| {
                outage.kind == Break::Frozen && outage.from < end && start < outage.to
            })
        };
        let end = match at_start.map(|outage| outage.kind) {
            Some(Break::Refused) => {
                let end = start + Duration::from_micros(100);
                return (end, SampleVerdict::Bad(ErrorClass::Refused), None);
            }
            Some(Break::Unavailable) => {
                let end = start + latency;
                return (end, SampleVerdict::Bad(ErrorClass::Http5xx), Some(503));
            }
            Some(Break::Silent) => start + self.timeout,
            Some(Break::Slow(delay)) => start + latency + delay,
            Some(Break::Frozen) | None => match frozen_before(start + latency) {
                Some(freeze) => freeze.to + latency,
                None => start + latency,
            },
        };
        if end >= start + self.timeout {
            let end = start + self.timeout;
            (end, SampleVerdict::Bad(ErrorClass::ResponseTimeout), None)
        } else if end > start + self.good_within {
            (end, SampleVerdict::Bad(ErrorClass::TooSlow), Some(200))
        } else {
            (end, SampleVerdict::Good, Some(200))
        }
    }
}

/// What an HTTP probe does.
pub(crate) fn http_kind(connection: Connection, standby: Option<&str>) -> ProbeKind {
    ProbeKind::Http {
        request: "read".to_owned(),
        writes: false,
        connection,
        standby: standby.map(str::to_owned),
    }
}

/// A sample sent on time.
pub(crate) fn sample(
    probe: &str,
    seq: u64,
    start: Duration,
    end: Duration,
    verdict: SampleVerdict,
    tier: Option<&str>,
) -> Sample {
    Sample {
        probe: probe.to_owned(),
        seq,
        scheduled: start,
        start,
        end,
        verdict,
        tier: tier.map(str::to_owned),
        phases: PhaseTimes::default(),
        status: None,
        address: None,
        headers: BTreeMap::new(),
        found: Vec::new(),
        answers: Vec::new(),
        ttl: None,
        response_code: None,
        detail: None,
    }
}

/// The steps of a fault's life at given times, and the phases that go with them.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    pub(crate) issued: Duration,
    pub(crate) verified: Duration,
    pub(crate) revert: Duration,
    pub(crate) restored: Option<Duration>,
    pub(crate) end: Option<Outcome>,
    pub(crate) length: Duration,
}

impl Script {
    /// A fault that strikes at once, is reverted at once, and a run that ends well.
    pub(crate) fn plain(issued: Duration, revert: Duration, length: Duration) -> Self {
        Self {
            issued,
            verified: issued,
            revert,
            restored: Some(revert),
            end: Some(Outcome::Completed),
            length,
        }
    }

    /// The whole record of a run, in the order in which things came to be known.
    pub(crate) fn record(
        &self,
        probes: Vec<ProbeStarted>,
        samples: impl IntoIterator<Item = Sample>,
        speed: f64,
    ) -> Vec<Entry> {
        let run = RunStarted {
            format_version: "1.0".to_owned(),
            tool_version: "0.1.0".to_owned(),
            run_id: "2026-01-02T03-04-05Z-test".to_owned(),
            drill: "stop-primary".to_owned(),
            drill_file: String::new(),
            environment: "pair".to_owned(),
            started_at: "2026-01-02T03:04:05Z".to_owned(),
            command: vec!["blackstart".to_owned(), "run".to_owned()],
            host: "test".to_owned(),
            seed: 7,
            repeat: None,
            drill_commit: None,
            speed,
            dry_run: false,
            tiers: vec!["primary".to_owned(), "vm".to_owned()],
            probes,
            observers: vec!["health-check".to_owned()],
            faults: vec![FaultPlanned {
                kind: "stop".to_owned(),
                target: "web".to_owned(),
                describe: "stop web".to_owned(),
                line: 7,
            }],
            variables: BTreeMap::new(),
        };
        let phase = |at, phase| entry(at, Event::Phase { phase });
        let mut entries = vec![phase(self.issued, Phase::Inject)];
        let mut steps = vec![
            (self.issued, FaultStep::Captured),
            (self.issued, FaultStep::Issued),
            (self.verified, FaultStep::Acknowledged),
            (self.verified, FaultStep::Verified),
            (self.revert, FaultStep::RevertIssued),
        ];
        if let Some(restored) = self.restored {
            steps.push((restored, FaultStep::Reverted));
            steps.push((restored, FaultStep::Restored));
        }
        for (at, step) in steps {
            let detail = None;
            entries.push(entry(
                at,
                Event::Fault {
                    id: 0,
                    step,
                    detail,
                },
            ));
        }
        entries.push(phase(self.verified, Phase::Hold));
        entries.push(phase(self.revert, Phase::Revert));
        entries.push(phase(self.restored.unwrap_or(self.revert), Phase::Failback));
        entries.extend(
            samples
                .into_iter()
                .map(|sample| entry(sample.end, Event::Sample(Box::new(sample)))),
        );
        entries.retain(|entry| entry.at <= self.length);
        entries.sort_by_key(|entry| entry.at);
        let begin = [
            entry(Duration::ZERO, Event::Run(Box::new(run))),
            phase(Duration::ZERO, Phase::SteadyState),
        ];
        entries.splice(0..0, begin);
        if let Some(outcome) = &self.end {
            entries.push(entry(
                self.length,
                Event::Ended {
                    outcome: outcome.clone(),
                    clock_drift_ms: 0.1,
                },
            ));
        }
        entries
    }
}

/// An event and its time.
pub(crate) fn entry(at: Duration, event: Event) -> Entry {
    Entry { at, event }
}

/// A probe as it begins, which gives an answer two seconds and calls it good for 800 ms.
pub(crate) fn started(name: &str, kind: ProbeKind, every: Duration) -> ProbeStarted {
    ProbeStarted {
        name: name.to_owned(),
        kind,
        every,
        timeout: Duration::from_secs(2),
        good_within: Duration::from_millis(800),
    }
}

/// Makes the answer of a name server of a sample: the name of its tier, with the seconds that it may be kept.
pub(crate) fn asked(mut sample: Sample, tier: &str, ttl: u32) -> Sample {
    sample.answers = vec![format!("{tier}.test")];
    sample.ttl = Some(ttl);
    sample.status = None;
    sample
}

/// Says what the only fault of a run is.
pub(crate) fn name_fault(entries: &mut [Entry], kind: &str, target: &str) {
    for entry in entries {
        if let Event::Run(run) = &mut entry.event {
            run.faults = vec![FaultPlanned {
                kind: kind.to_owned(),
                target: target.to_owned(),
                describe: kind.to_owned(),
                line: 7,
            }];
        }
    }
}

/// Puts the readings of an observer into a run: the second, whether it was healthy, and what it said.
pub(crate) fn observe(
    entries: &mut Vec<Entry>,
    observer: &str,
    readings: &[(u64, bool, &'static str)],
) {
    for (second, healthy, detail) in readings {
        let event = Event::Observed {
            observer: observer.to_owned(),
            healthy: Some(*healthy),
            detail: Some((*detail).to_owned()),
            before: None,
        };
        let at = Duration::from_secs(*second) + Duration::from_millis(1);
        let place = entries.iter().position(|entry| entry.at > at);
        entries.insert(place.unwrap_or(1), entry(at, event));
    }
}

/// A drill that stops the primary and expects this.
pub(crate) fn drill(expect: Vec<Expect>) -> Drill {
    let at = |line| Position { line, column: 3 };
    Drill {
        name: "stop-primary".to_owned(),
        about: "The primary is stopped; users are on the machine in time.".to_owned(),
        environment: "pair".to_owned(),
        tags: Vec::new(),
        steady_state: SteadyState {
            r#for: Duration::from_secs(10),
            served_by: None,
        },
        faults: vec![Step {
            faults: vec![Located {
                value: Fault::Stop {
                    target: "web".to_owned(),
                },
                at: at(7),
            }],
            pause: None,
            after: blackstart::drill::After::Immediately,
        }],
        hold: Hold::UntilStable,
        abort_if: Vec::new(),
        expect: (10..)
            .zip(expect)
            .map(|(line, value)| Expectation {
                value,
                at: at(line),
            })
            .collect(),
        inconclusive: InconclusivePolicy::Fail,
        exercise: None,
        file: "drills/stop-primary.yaml".into(),
        text: String::new(),
        variables: FilledIn::default(),
    }
}

/// A primary and a machine to fall back on, looked at every `every`.
pub(crate) fn environment(every: Duration) -> Environment {
    let here = Position { line: 1, column: 1 };
    let http = |name: &str, connection, standby: Option<&str>| {
        Probe::Http(HttpProbe {
            name: name.to_owned(),
            request: "read".to_owned(),
            host: None,
            standby: standby.map(str::to_owned),
            vantage: None,
            family: Family::Ipv4,
            dns_cache: DnsCache::None,
            connection,
            every,
            timeout: Duration::from_secs(2),
            good_within: Duration::from_millis(800),
        })
    };
    let dns = |name: &str, view| {
        Probe::Dns(DnsProbe {
            name: name.to_owned(),
            query: "www.test".to_owned(),
            server: name.to_owned(),
            view,
            r#type: DnsType::A,
            every,
            timeout: Duration::from_secs(2),
        })
    };
    let tier = |name: &str| Tier {
        name: name.to_owned(),
        about: name.to_owned(),
        recognise: Recognise::default(),
        preflight: None,
    };
    let observer = |name: &str, watches: &str| Observer {
        name: name.to_owned(),
        watches: watches.to_owned(),
        every: Duration::from_secs(2),
    };
    let target = |name: &str, kind| (name.to_owned(), Target::Lab(Resource::new(kind, name)));
    Environment {
        name: "pair".to_owned(),
        about: "a primary and a machine".to_owned(),
        speed: 1.0,
        service: Service {
            url: "https://www.test/".to_owned(),
            requests: BTreeMap::new(),
        },
        tiers: vec![tier("primary"), tier("vm")],
        probes: [
            http("read", Connection::New, None),
            http("keep-alive", Connection::KeepAlive, None),
            http("standby", Connection::New, Some("vm")),
            dns("authority", DnsView::Authority),
            dns("resolver", DnsView::Recursive),
        ]
        .into_iter()
        .map(|value| Located { value, at: here })
        .collect(),
        observers: vec![
            observer("health-check", "primary-check"),
            observer("target-health", "web-targets"),
        ],
        ledger: None,
        docker: None,
        azure: None,
        kubernetes: None,
        aws: None,
        targets: [
            target("web", ResourceKind::Workload),
            target("primary-check", ResourceKind::HealthCheck),
            target("web-targets", ResourceKind::TargetGroup),
        ]
        .into_iter()
        .collect(),
        limits: Limits::default(),
        abort_if: Vec::new(),
        notify: Vec::new(),
        protected: false,
        stack: None,
        governs: Governs::default(),
        file: "fixtures/environments/pair.yaml".into(),
        text: String::new(),
        variables: FilledIn::default(),
    }
}
