//! What the benchmarks share: the program's own probe, and the record that its judge reads.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use blackstart::{
    drill::{Drill, Hold, InconclusivePolicy, Located, SteadyState},
    environment::{
        Connection, DnsCache, Environment, Family, Governs, HeaderMatch, HttpProbe as ProbeSetup,
        Limits, Probe, Recognise, Request, Service, Tier,
    },
    probe::{
        Recognition,
        http::{HttpProbe, Kept, Resolution},
    },
    source::{FilledIn, Position},
    timeline::{Event, FORMAT_VERSION, FaultPlanned, ProbeKind, ProbeStarted, RunStarted},
};

/// How long a sample may take before it is given up.
pub(crate) const TIMEOUT: Duration = Duration::from_millis(1500);
/// How long a good answer may take: the default of environments.
pub(crate) const GOOD_WITHIN: Duration = Duration::from_millis(800);
/// What the server of a benchmark answers in health.
pub(crate) const GOOD: &[u8] = b"HTTP/1.1 200 OK\r\nserver: bench\r\ncontent-length: 2\r\n\r\nok";

const READ: &str = "read";

fn tiers() -> Vec<Tier> {
    let header = HeaderMatch {
        name: "server".to_owned(),
        contains: "bench".to_owned(),
    };
    vec![Tier {
        name: "bench".to_owned(),
        about: "a server on loopback".to_owned(),
        recognise: Recognise {
            header: Some(header),
            ..Recognise::default()
        },
        preflight: None,
    }]
}

/// A probe of a server, as a drill would set it up for new connections.
pub(crate) fn probe(server: SocketAddr, timeout: Duration) -> HttpProbe {
    HttpProbe {
        resolution: Resolution::Address(server.ip()),
        port: server.port(),
        tls: None,
        host: "www.test".to_owned(),
        request: Request {
            method: "GET".to_owned(),
            path: "/".to_owned(),
            headers: BTreeMap::new(),
            form: BTreeMap::new(),
            good_status: vec![200],
            writes: false,
        },
        run: "bench".to_owned(),
        timeout,
        connection: Connection::New,
        recognition: Recognition::new(tiers()),
        headers: vec!["server".to_owned()],
        texts: Vec::new(),
        kept: Kept::default(),
    }
}

/// The name of a probe by its number; the first is the users' own.
pub(crate) fn name(number: usize) -> String {
    if number == 0 {
        READ.to_owned()
    } else {
        format!("{READ}-{number}")
    }
}

/// The first event of a run of so many probes and one fault.
pub(crate) fn started(probes: usize, every: Duration) -> Event {
    let probe = |number| ProbeStarted {
        name: name(number),
        kind: ProbeKind::Http {
            request: READ.to_owned(),
            writes: false,
            connection: Connection::New,
            standby: None,
        },
        every,
        timeout: TIMEOUT,
        good_within: GOOD_WITHIN,
    };
    Event::Run(Box::new(RunStarted {
        format_version: FORMAT_VERSION.to_owned(),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        run_id: "bench".to_owned(),
        drill: "bench".to_owned(),
        drill_file: String::new(),
        environment: "bench".to_owned(),
        started_at: "2026-01-01T00:00:00Z".to_owned(),
        command: Vec::new(),
        host: "bench".to_owned(),
        seed: 0,
        repeat: None,
        drill_commit: None,
        speed: 1.0,
        dry_run: false,
        tiers: vec!["bench".to_owned()],
        probes: (0..probes).map(probe).collect(),
        observers: Vec::new(),
        faults: vec![FaultPlanned {
            kind: "stop".to_owned(),
            target: "bench".to_owned(),
            describe: "break the server".to_owned(),
            line: 1,
        }],
        variables: BTreeMap::new(),
    }))
}

/// A drill that expects nothing: all that is asked of the judge is what the probes saw.
pub(crate) fn drill() -> Drill {
    Drill {
        name: "bench".to_owned(),
        about: String::new(),
        environment: "bench".to_owned(),
        tags: Vec::new(),
        steady_state: SteadyState {
            r#for: Duration::from_secs(2),
            served_by: None,
        },
        faults: Vec::new(),
        hold: Hold::UntilStable,
        abort_if: Vec::new(),
        expect: Vec::new(),
        inconclusive: InconclusivePolicy::Fail,
        exercise: None,
        file: "bench.yaml".into(),
        text: String::new(),
        variables: FilledIn::default(),
    }
}

/// The environment of the one server, looked at through one probe.
pub(crate) fn environment(every: Duration) -> Environment {
    let probe = Probe::Http(ProbeSetup {
        name: READ.to_owned(),
        request: READ.to_owned(),
        host: None,
        standby: None,
        vantage: None,
        family: Family::Ipv4,
        dns_cache: DnsCache::None,
        connection: Connection::New,
        every,
        timeout: TIMEOUT,
        good_within: GOOD_WITHIN,
    });
    Environment {
        name: "bench".to_owned(),
        about: String::new(),
        speed: 1.0,
        service: Service {
            url: "http://www.test/".to_owned(),
            requests: BTreeMap::new(),
        },
        tiers: tiers(),
        probes: vec![Located {
            value: probe,
            at: Position { line: 1, column: 1 },
        }],
        observers: Vec::new(),
        ledger: None,
        docker: None,
        azure: None,
        kubernetes: None,
        aws: None,
        targets: BTreeMap::new(),
        limits: Limits::default(),
        abort_if: Vec::new(),
        notify: Vec::new(),
        protected: false,
        stack: None,
        governs: Governs::default(),
        file: "bench.yaml".into(),
        text: String::new(),
        variables: FilledIn::default(),
    }
}
