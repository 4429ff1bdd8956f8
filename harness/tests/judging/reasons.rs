//! The rules about standbys, clients and whoever else had a hand in it: each fires on what it is about, and not without its evidence.

use std::time::Duration;

use blackstart::{
    environment::{Connection, DnsCache, DnsView, Environment, Family, Probe},
    timeline::{
        Entry, ErrorClass, Event, FaultStep, ProbeKind, ProbeStarted, Sample, SampleVerdict,
    },
    verdict::{Finding, judge},
};

use crate::simulation::{Script, asked, drill, environment, name_fault, observe, sample, started};

const EVERY: Duration = Duration::from_secs(2);
const ISSUED: Duration = Duration::from_secs(20);
const REVERT: Duration = Duration::from_secs(200);
const LENGTH: Duration = Duration::from_mins(5);

/// What one probe saw, by the second.
type Lane = fn(u64) -> Sight;

#[derive(Clone, Copy)]
enum Sight {
    By(&'static str),
    /// The same out of an edge's cache.
    Kept(&'static str),
    Status(u16),
    Refused,
}

use Sight::{By, Kept, Refused, Status};

/// A run of `stop` unless it says otherwise.
struct Tale {
    users: Lane,
    standby: Lane,
    /// Another client, its habit and its addresses.
    client: (Lane, DnsCache, Family),
    authority: fn(u64) -> &'static str,
    targets: Vec<(u64, bool, &'static str)>,
    fault: &'static str,
    /// Whether the harness had something to revert.
    reverted: bool,
    /// The tier in the resolver's answers and the seconds that they have left.
    resolver: fn(u64) -> (&'static str, u32),
    /// What somebody sees who keeps the connection.
    kept: Lane,
    /// How late each sample is sent.
    late: Duration,
}

impl Tale {
    fn quiet() -> Self {
        Self {
            users: |_| By("primary"),
            standby: |_| By("vm"),
            client: (|_| By("primary"), DnsCache::None, Family::Ipv4),
            authority: |_| "primary",
            targets: vec![(0, true, "2 targets: 2 healthy")],
            fault: "stop",
            reverted: true,
            resolver: |_| ("primary", 60),
            kept: |_| By("primary"),
            late: Duration::ZERO,
        }
    }

    /// Users are down for a minute and then on the machine, until a minute after the revert.
    fn failover() -> Self {
        Self {
            users: failed_over,
            client: (failed_over, DnsCache::None, Family::Ipv4),
            authority: |second| {
                if (60..230).contains(&second) {
                    "vm"
                } else {
                    "primary"
                }
            },
            // Its copies are fetched every minute, the one at 20 s the last before the switch.
            resolver: |second| {
                let left = 60 - u32::try_from((second + 40) % 60).expect("less than 60");
                let tier = if (80..262).contains(&second) {
                    "vm"
                } else {
                    "primary"
                };
                (tier, left)
            },
            kept: failed_over,
            ..Self::quiet()
        }
    }

    fn finding(&self, code: &str) -> Option<Finding> {
        let mut environment = environment(EVERY);
        let (_, cache, family) = self.client;
        with_client(&mut environment, cache, family);
        environment.tiers.push(blackstart::environment::Tier {
            name: "page".to_owned(),
            ..environment.tiers[0].clone()
        });
        let judgement = judge(&drill(Vec::new()), &environment, &self.entries());
        let mut findings = judgement.findings.into_iter();
        let found = findings.find(|found| found.code == code);
        if let Some(found) = &found {
            assert!(!found.evidence.is_empty(), "{code} rests on nothing");
            assert!(!found.next.is_empty(), "{code} says nothing to do");
            assert!(blackstart::explain::page(code).is_some(), "{code}");
        }
        found
    }

    fn fires(&self, code: &str) -> bool {
        self.finding(code).is_some()
    }

    fn entries(&self) -> Vec<Entry> {
        let mut samples = Vec::new();
        for seq in 0..LENGTH.as_secs() / EVERY.as_secs() {
            let second = seq * EVERY.as_secs();
            samples.push(http("read", seq, second, (self.users)(second)));
            samples.push(http("standby", seq, second, (self.standby)(second)));
            samples.push(http("client", seq, second, (self.client.0)(second)));
            let tier = (self.authority)(second);
            let answer = http("authority", seq, second, By(tier));
            samples.push(asked(answer, tier, 60));
            let (tier, left) = (self.resolver)(second);
            let answer = http("resolver", seq, second, By(tier));
            samples.push(asked(answer, tier, left));
            samples.push(http("keep-alive", seq, second, (self.kept)(second)));
        }
        for sample in &mut samples {
            sample.start += self.late;
            sample.end += self.late;
        }
        let script = Script::plain(ISSUED, REVERT, LENGTH);
        let mut entries = script.record(probes(), samples, 1.0);
        entries.retain(|entry| {
            let is_revert = matches!(
                &entry.event,
                Event::Fault {
                    step: FaultStep::Reverted,
                    ..
                }
            );
            self.reverted || !is_revert
        });
        for entry in &mut entries {
            if let Event::Run(run) = &mut entry.event {
                run.tiers.push("page".to_owned());
            }
        }
        name_fault(&mut entries, self.fault, "web");
        let healthy = [(0, true, "16 of 16 checkers healthy")];
        observe(&mut entries, "health-check", &healthy);
        observe(&mut entries, "target-health", &self.targets);
        entries
    }
}

fn failed_over(second: u64) -> Sight {
    match second {
        0..21 | 262.. => By("primary"),
        21..80 => Refused,
        80..262 => By("vm"),
    }
}

fn with_client(environment: &mut Environment, cache: DnsCache, family: Family) {
    let mut client = environment.probes[0].clone();
    if let Probe::Http(probe) = &mut client.value {
        "client".clone_into(&mut probe.name);
        probe.dns_cache = cache;
        probe.family = family;
    }
    environment.probes.push(client);
}

fn probes() -> Vec<ProbeStarted> {
    let http = |connection, standby: Option<&str>| ProbeKind::Http {
        request: "read".to_owned(),
        writes: false,
        connection,
        standby: standby.map(str::to_owned),
    };
    let dns = |view, server: &str| ProbeKind::Dns {
        view,
        server: server.to_owned(),
    };
    [
        ("read", http(Connection::New, None)),
        ("standby", http(Connection::New, Some("vm"))),
        ("client", http(Connection::New, None)),
        ("keep-alive", http(Connection::KeepAlive, None)),
        ("authority", dns(DnsView::Authority, "authority")),
        ("resolver", dns(DnsView::Recursive, "resolver")),
    ]
    .map(|(name, kind)| started(name, kind, EVERY))
    .to_vec()
}

fn http(probe: &str, seq: u64, second: u64, seen: Sight) -> Sample {
    let start = Duration::from_secs(second) + Duration::from_millis(5);
    let end = start + Duration::from_millis(2);
    let (verdict, tier, status) = match seen {
        By(tier) | Kept(tier) => (SampleVerdict::Good, Some(tier), Some(200)),
        Refused => (SampleVerdict::Bad(ErrorClass::Refused), None, None),
        Status(status) => {
            let class = if status < 500 {
                ErrorClass::Http4xx
            } else {
                ErrorClass::Http5xx
            };
            (SampleVerdict::Bad(class), None, Some(status))
        }
    };
    let mut sample = sample(probe, seq, start, end, verdict, tier);
    sample.status = status;
    let x_cache = match seen {
        Kept(_) => "Hit from cloudfront",
        By(_) | Status(_) | Refused => "Miss from cloudfront",
    };
    sample.headers = [("x-cache".to_owned(), x_cache.to_owned())].into();
    sample
}

#[test]
fn where_nothing_happened_no_reason_is_named_and_a_plain_failover_has_none() {
    for code in [
        "dns-cache-stragglers",
        "ipv6-left-behind",
        "standby-unused",
        "standby-overloaded",
        "page-outlives-recovery",
        "readiness-coupled",
        "gray-failure",
        "fault-undone",
        "control-plane-needed",
        "stale-dns",
        "keep-alive-stragglers",
        "prober-late",
    ] {
        assert!(!Tale::quiet().fires(code), "{code}");
        assert!(!Tale::failover().fires(code), "{code}");
    }
}

#[test]
fn clients_with_a_cache_of_their_own_that_come_later_are_named_with_the_time() {
    let later: Lane = |second| match second {
        21..140 => Refused,
        140..262 => By("vm"),
        _ => By("primary"),
    };
    let habit = |lane, cache| Tale {
        client: (lane, cache, Family::Ipv4),
        ..Tale::failover()
    };
    let found = habit(later, DnsCache::AtLeastMinute).finding("dns-cache-stragglers");
    let text = found.expect("it came a minute later").text;
    assert!(
        text.contains("`at-least-60s` (`client`) came to vm 5"),
        "{text}"
    );
    let never: Lane = |second| match second {
        21..210 => Refused,
        _ => By("primary"),
    };
    let found = habit(never, DnsCache::ForEver).finding("dns-cache-stragglers");
    let text = found.expect("it never came").text;
    assert!(
        text.contains("did not until the faults were taken away"),
        "{text}"
    );
    assert!(!habit(failed_over, DnsCache::ForEver).fires("dns-cache-stragglers"));
    // Somebody without a cache who comes late is another matter.
    assert!(!habit(later, DnsCache::None).fires("dns-cache-stragglers"));
    let nobody_moved = Tale {
        client: (never, DnsCache::ForEver, Family::Ipv4),
        ..Tale::quiet()
    };
    assert!(!nobody_moved.fires("dns-cache-stragglers"));
}

#[test]
fn users_of_ipv6_who_stay_when_the_others_are_moved_are_named() {
    let stays: Lane = |second| match second {
        21..210 => Refused,
        _ => By("primary"),
    };
    let tale = |lane| Tale {
        client: (lane, DnsCache::None, Family::Ipv6),
        ..Tale::failover()
    };
    assert!(tale(stays).fires("ipv6-left-behind"));
    assert!(!tale(failed_over).fires("ipv6-left-behind"));
}

#[test]
fn a_standby_that_is_alive_while_users_get_something_worse_is_named() {
    let page: Lane = |second| match second {
        21..80 => Refused,
        80..230 => By("page"),
        _ => By("primary"),
    };
    let unused = Tale {
        users: page,
        ..Tale::failover()
    };
    let text = unused.finding("standby-unused").expect("it was alive").text;
    assert!(
        text.contains("answered by page although the standby `vm` was alive"),
        "{text}"
    );
    let refused = Tale {
        users: |second| match second {
            21..80 => Refused,
            80..230 => Status(403),
            _ => By("primary"),
        },
        ..Tale::failover()
    };
    assert!(refused.fires("standby-unused"));
    let dead = Tale {
        standby: |second| if second < 30 { By("vm") } else { Refused },
        ..unused
    };
    assert!(!dead.fires("standby-unused"), "the page is what is left");
}

#[test]
fn a_standby_that_refuses_a_part_of_the_users_who_came_to_it_is_named() {
    let half: Lane = |second| match second {
        21..80 => Refused,
        80..200 if second % 4 == 0 => Status(503),
        80..262 => By("vm"),
        _ => By("primary"),
    };
    let overloaded = Tale {
        users: half,
        ..Tale::failover()
    };
    let text = overloaded
        .finding("standby-overloaded")
        .expect("it refuses half")
        .text;
    assert!(text.contains("with 503"), "{text}");
    let dead = Tale {
        users: |second| match second {
            21..80 => Refused,
            80..120 => By("vm"),
            120..200 => Status(503),
            _ => By("primary"),
        },
        ..Tale::failover()
    };
    assert!(
        !dead.fires("standby-overloaded"),
        "nobody is answered: it is down"
    );
}

#[test]
fn a_page_that_the_edge_keeps_past_the_recovery_of_a_better_tier_is_named_with_the_time() {
    let users: Lane = |second| match second {
        21..80 => Refused,
        80..192 => Kept("page"),
        192..262 => By("vm"),
        _ => By("primary"),
    };
    let standby: Lane = |second| match second {
        21..140 => Refused,
        _ => By("vm"),
    };
    let kept = Tale {
        users,
        standby,
        ..Tale::failover()
    };
    let text = kept
        .finding("page-outlives-recovery")
        .expect("kept for 50 s")
        .text;
    assert!(
        text.contains("the cached page outlived the recovery of vm by 50 s"),
        "{text}"
    );
    let fetched = Tale {
        users: |second| match second {
            21..80 => Refused,
            80..192 => By("page"),
            192..262 => By("vm"),
            _ => By("primary"),
        },
        ..Tale {
            standby,
            ..Tale::failover()
        }
    };
    assert!(
        !fetched.fires("page-outlives-recovery"),
        "no cache had a part in it"
    );
    let needed = Tale {
        standby: |second| if second < 21 { By("vm") } else { Refused },
        ..kept
    };
    assert!(
        !needed.fires("page-outlives-recovery"),
        "nothing better was there"
    );
}

#[test]
fn a_database_whose_failover_takes_the_targets_with_it_is_named() {
    let coupled = Tale {
        fault: "failover-database",
        users: |second| match second {
            40..100 => Status(503),
            _ => By("primary"),
        },
        targets: vec![
            (0, true, "2 targets: 2 healthy"),
            (40, false, "no targets"),
            (100, true, "2 targets: 2 healthy"),
        ],
        ..Tale::quiet()
    };
    let evidence = coupled
        .finding("readiness-coupled")
        .expect("no targets")
        .evidence;
    assert!(evidence[0].contains("no targets"), "{evidence:?}");
    let apart = Tale {
        targets: vec![(0, true, "2 targets: 2 healthy")],
        ..coupled
    };
    assert!(!apart.fires("readiness-coupled"), "the targets were there");
    let other = Tale {
        fault: "scale",
        targets: vec![(0, true, "2 targets: 2 healthy"), (40, false, "no targets")],
        ..apart
    };
    assert!(
        !other.fires("readiness-coupled"),
        "no database had a part in it"
    );
}

#[test]
fn errors_here_and_there_that_no_check_sees_are_a_gray_failure() {
    let gray: Lane = |second| match second {
        21..200 if second % 6 == 0 => Status(500),
        _ => By("primary"),
    };
    let part = Tale {
        users: gray,
        ..Tale::quiet()
    };
    let text = part.finding("gray-failure").expect("one in three").text;
    assert!(text.contains("% of the requests failed"), "{text}");
    let outage = Tale {
        users: |second| match second {
            40..100 => Status(500),
            _ => By("primary"),
        },
        ..Tale::quiet()
    };
    assert!(!outage.fires("gray-failure"), "an outage is no part");
    let blips = Tale {
        users: |second| match second {
            21..200 if second % 30 < 10 => Status(500),
            _ => By("primary"),
        },
        ..Tale::quiet()
    };
    assert!(
        !blips.fires("gray-failure"),
        "blips are outages, one after the other"
    );
}

#[test]
fn a_fault_that_was_gone_before_it_was_reverted_is_named() {
    let undone = Tale {
        reverted: false,
        ..Tale::quiet()
    };
    let text = undone
        .finding("fault-undone")
        .expect("nothing was sent")
        .text;
    assert!(text.contains("`stop` of `web`"), "{text}");
    assert!(!Tale::quiet().fires("fault-undone"));
}

#[test]
fn users_who_are_moved_by_a_control_plane_are_moved_by_one_that_is_in_one_region() {
    let by_hand = Tale {
        fault: "invert-health-check",
        ..Tale::failover()
    };
    assert!(by_hand.fires("control-plane-needed"));
    let nothing_came_of_it = Tale {
        fault: "invert-health-check",
        ..Tale::quiet()
    };
    assert!(!nothing_came_of_it.fires("control-plane-needed"));
}

#[test]
fn a_resolver_that_serves_an_answer_past_its_ttl_is_named_with_the_time() {
    let stale = Tale {
        resolver: |second| match second {
            0..20 => ("primary", 60),
            // Fetched at 20 s, due at 80 s, and still there a minute later.
            20..140 => (
                "primary",
                80_u32.saturating_sub(u32::try_from(second).expect("a few minutes")),
            ),
            _ => ("vm", 60),
        },
        ..Tale::failover()
    };
    let text = stale
        .finding("stale-dns")
        .expect("a minute past its TTL")
        .text;
    assert!(text.contains("`resolver`"), "{text}");
}

#[test]
fn clients_that_stay_on_their_connections_are_named_with_the_time() {
    let stays: Lane = |second| match second {
        120..262 => By("vm"),
        _ => By("primary"),
    };
    let moved_by_hand = Tale {
        users: |second| match second {
            80..262 => By("vm"),
            _ => By("primary"),
        },
        kept: stays,
        ..Tale::failover()
    };
    let text = moved_by_hand
        .finding("keep-alive-stragglers")
        .expect("it stayed")
        .text;
    assert!(text.contains("stayed on primary"), "{text}");
    let down = Tale {
        kept: |second| match second {
            21..150 => Refused,
            150..262 => By("vm"),
            _ => By("primary"),
        },
        ..Tale::failover()
    };
    assert!(down.fires("keep-alive-stragglers"));
}

#[test]
fn a_prober_that_is_late_says_so() {
    let late = |milliseconds| Tale {
        late: Duration::from_millis(milliseconds),
        ..Tale::quiet()
    };
    assert!(late(700).fires("prober-late"));
    assert!(!late(300).fires("prober-late"));
}
