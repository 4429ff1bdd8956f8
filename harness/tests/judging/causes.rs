//! The rules that name causes: each fires on what it is about, and not without its evidence.

use std::time::Duration;

use blackstart::{
    environment::{Connection, DnsView, Environment, Request},
    timeline::{Entry, ErrorClass, ProbeKind, ProbeStarted, Sample, SampleVerdict},
    verdict::judge,
};

use crate::simulation::{Script, asked, drill, environment, name_fault, observe, sample, started};

const EVERY: Duration = Duration::from_secs(2);
const ISSUED: Duration = Duration::from_secs(20);
const REVERT: Duration = Duration::from_secs(200);
const LENGTH: Duration = Duration::from_mins(4);

/// What users, writers and name servers saw, by the second.
struct Story {
    users: fn(u64) -> Seen,
    writes: fn(u64) -> Seen,
    authority: fn(u64) -> &'static str,
    health: Vec<(u64, bool, &'static str)>,
    fault: &'static str,
}

#[derive(Clone, Copy)]
enum Seen {
    By(&'static str),
    Down(ErrorClass),
    Status(u16),
}

impl Story {
    /// Nothing happens to anybody.
    fn quiet() -> Self {
        Self {
            users: |_| Seen::By("primary"),
            writes: |_| Seen::By("primary"),
            authority: |_| "primary",
            health: vec![(
                0,
                true,
                "16 of 16 checkers healthy; Success: HTTP Status Code 200, OK",
            )],
            fault: "stop",
        }
    }

    fn findings(&self) -> Vec<(String, String)> {
        let mut environment = environment(EVERY);
        with_writes(&mut environment);
        let judgement = judge(&drill(Vec::new()), &environment, &self.entries());
        let findings = judgement.findings.into_iter();
        findings.map(|found| (found.code, found.text)).collect()
    }

    fn fires(&self, code: &str) -> bool {
        self.findings().iter().any(|(found, _)| found == code)
    }

    fn entries(&self) -> Vec<Entry> {
        let mut samples = Vec::new();
        for seq in 0..LENGTH.as_secs() / EVERY.as_secs() {
            let second = seq * EVERY.as_secs();
            samples.push(http("read", seq, second, (self.users)(second)));
            samples.push(http("write", seq, second, (self.writes)(second)));
            let tier = (self.authority)(second);
            let answer = http("authority", seq, second, Seen::By(tier));
            samples.push(asked(answer, tier, 60));
        }
        let script = Script::plain(ISSUED, REVERT, LENGTH);
        let mut entries = script.record(probes(), samples, 1.0);
        name_fault(&mut entries, self.fault, "primary-check");
        observe(&mut entries, "health-check", &self.health);
        entries
    }
}

fn with_writes(environment: &mut Environment) {
    let request = Request {
        method: "POST".to_owned(),
        path: "/".to_owned(),
        headers: [].into(),
        form: [].into(),
        good_status: vec![200],
        writes: true,
    };
    let requests = &mut environment.service.requests;
    requests.insert("write".to_owned(), request);
}

fn probes() -> Vec<ProbeStarted> {
    let http = |writes| ProbeKind::Http {
        request: if writes { "write" } else { "read" }.to_owned(),
        writes,
        connection: Connection::New,
        standby: None,
    };
    let dns = ProbeKind::Dns {
        view: DnsView::Authority,
        server: "authority".to_owned(),
    };
    [
        ("read", http(false)),
        ("write", http(true)),
        ("authority", dns),
    ]
    .map(|(name, kind)| started(name, kind, EVERY))
    .to_vec()
}

fn http(probe: &str, seq: u64, second: u64, seen: Seen) -> Sample {
    let start = Duration::from_secs(second) + Duration::from_millis(5);
    let end = start + Duration::from_millis(2);
    let (verdict, tier, status) = match seen {
        Seen::By(tier) => (SampleVerdict::Good, Some(tier), Some(200)),
        Seen::Down(class) => (SampleVerdict::Bad(class), None, None),
        Seen::Status(status) => (SampleVerdict::Bad(ErrorClass::Http4xx), None, Some(status)),
    };
    let mut sample = sample(probe, seq, start, end, verdict, tier);
    sample.status = status;
    sample
}

/// Down with this from the fault to the revert.
macro_rules! down {
    ($class:expr) => {
        |second| match second {
            21..200 => Seen::Down($class),
            _ => Seen::By("primary"),
        }
    };
}

const CODES: [&str; 7] = [
    "where-the-time-went",
    "false-positive",
    "false-negative",
    "disabled-is-healthy",
    "redirect-checked",
    "certificate-not-checked",
    "writes-forbidden",
];

#[test]
fn where_nothing_happened_no_cause_is_named() {
    for code in CODES {
        assert!(!Story::quiet().fires(code), "{code}");
    }
}

#[test]
fn the_longest_part_of_the_recovery_time_is_named_with_what_governs_it() {
    let recovered = |authority: fn(u64) -> &'static str| Story {
        users: |second| match second {
            21..100 => Seen::Down(ErrorClass::Refused),
            100.. => Seen::By("vm"),
            _ => Seen::By("primary"),
        },
        authority,
        health: vec![(0, true, "healthy"), (40, false, "unhealthy")],
        ..Story::quiet()
    };
    let text = |story: &Story| {
        let found = story.findings();
        let one = found
            .into_iter()
            .find(|(code, _)| code == "where-the-time-went");
        one.expect("users recovered").1
    };
    let in_caches = recovered(|second| if second < 46 { "primary" } else { "vm" });
    let words = text(&in_caches);
    assert!(words.contains("the record's TTL is 60 s"), "{words}");
    let at_the_servers = recovered(|second| if second < 98 { "primary" } else { "vm" });
    let words = text(&at_the_servers);
    assert!(words.contains("no setting governs"), "{words}");
}

#[test]
fn nothing_is_said_of_the_time_of_a_recovery_that_nothing_noticed() {
    let blip = Story {
        users: |second| match second {
            21..60 => Seen::Down(ErrorClass::Refused),
            _ => Seen::By("primary"),
        },
        ..Story::quiet()
    };
    assert!(!blip.fires("where-the-time-went"));
    assert!(blip.fires("health-check-blind"));
}

#[test]
fn users_who_are_moved_without_a_failure_are_a_false_positive_unless_it_was_on_purpose() {
    let moved = |fault| Story {
        users: |second| Seen::By(if second < 60 { "primary" } else { "vm" }),
        authority: |second| if second < 40 { "primary" } else { "vm" },
        fault,
        ..Story::quiet()
    };
    assert!(moved("break-health-path").fires("false-positive"));
    assert!(!moved("invert-health-check").fires("false-positive"));
    let failed = Story {
        users: |second| match second {
            21..60 => Seen::Down(ErrorClass::Refused),
            60.. => Seen::By("vm"),
            _ => Seen::By("primary"),
        },
        ..moved("stop")
    };
    assert!(!failed.fires("false-positive"));
}

#[test]
fn an_outage_that_nobody_is_moved_from_is_a_false_negative() {
    let stuck = Story {
        users: down!(ErrorClass::Refused),
        ..Story::quiet()
    };
    assert!(stuck.fires("false-negative"));
    let moved = Story {
        authority: |second| if second < 100 { "primary" } else { "vm" },
        ..stuck
    };
    assert!(!moved.fires("false-negative"));
    let short = Story {
        users: |second| match second {
            100..200 => Seen::Down(ErrorClass::Refused),
            _ => Seen::By("primary"),
        },
        ..Story::quiet()
    };
    assert!(
        !short.fires("false-negative"),
        "it may have been about to come"
    );
}

#[test]
fn a_check_that_was_disabled_and_stayed_healthy_is_named() {
    let disabled = Story {
        fault: "disable-health-check",
        ..Story::quiet()
    };
    assert!(disabled.fires("disabled-is-healthy"));
    let unhealthy = Story {
        health: vec![(0, true, "healthy"), (60, false, "inverted")],
        ..disabled
    };
    assert!(!unhealthy.fires("disabled-is-healthy"));
}

#[test]
fn a_redirect_that_passed_through_an_outage_is_named() {
    let redirected = Story {
        users: down!(ErrorClass::Http5xx),
        health: vec![(
            0,
            true,
            "16 of 16 checkers healthy; Success: HTTP Status Code 301, Moved Permanently",
        )],
        ..Story::quiet()
    };
    assert!(redirected.fires("redirect-checked"));
    let served = Story {
        users: |_| Seen::By("primary"),
        ..redirected
    };
    assert!(!served.fires("redirect-checked"), "nobody was down");
    let answered = Story {
        users: down!(ErrorClass::Http5xx),
        ..Story::quiet()
    };
    assert!(!answered.fires("redirect-checked"), "200 is no redirect");
}

#[test]
fn users_who_fail_at_tls_while_the_check_is_green_are_named() {
    let expired = Story {
        users: down!(ErrorClass::Tls),
        ..Story::quiet()
    };
    assert!(expired.fires("certificate-not-checked"));
    let refused = Story {
        users: down!(ErrorClass::Refused),
        ..Story::quiet()
    };
    assert!(!refused.fires("certificate-not-checked"));
    let noticed = Story {
        health: vec![(0, true, "healthy"), (60, false, "handshake failure")],
        ..expired
    };
    assert!(!noticed.fires("certificate-not-checked"));
}

#[test]
fn writes_that_are_forbidden_while_reads_are_served_are_named() {
    let forbidden = Story {
        writes: |second| match second {
            60..200 => Seen::Status(403),
            _ => Seen::By("primary"),
        },
        ..Story::quiet()
    };
    assert!(forbidden.fires("writes-forbidden"));
    let unavailable = Story {
        writes: |second| match second {
            60..200 => Seen::Status(404),
            _ => Seen::By("primary"),
        },
        ..Story::quiet()
    };
    assert!(!unavailable.fires("writes-forbidden"));
}
