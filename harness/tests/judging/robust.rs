//! Whatever a record says, the judge has an answer; and single rules that a whole timeline would hide.

use std::{collections::BTreeMap, time::Duration};

use blackstart::{
    drill::{ClockStart, ClockStop, Drill, Expect, Writes},
    environment::{Connection, DnsView},
    timeline::{
        Act, Entry, ErrorClass, Event, FaultStep, Mark, Outcome, Phase, ProbeKind, ProbeStarted,
        Sample, SampleVerdict, TierChecked, VoidReason,
    },
    verdict::{CheckStatus, Judgement, Verdict, judge},
};
use proptest::prelude::*;

use crate::simulation::{Script, drill, entry, environment, http_kind, sample};

const EVERY: Duration = Duration::from_millis(500);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn probe(name: &str, kind: ProbeKind) -> ProbeStarted {
    ProbeStarted {
        name: name.to_owned(),
        kind,
        every: EVERY,
        timeout: ms(2000),
        good_within: ms(800),
    }
}

fn probes() -> Vec<ProbeStarted> {
    let dns = |view| ProbeKind::Dns {
        view,
        server: "192.0.2.53".to_owned(),
    };
    let writes = ProbeKind::Http {
        request: "write".to_owned(),
        writes: true,
        connection: Connection::New,
        standby: None,
    };
    vec![
        probe("read", http_kind(Connection::New, None)),
        probe("standby", http_kind(Connection::New, Some("vm"))),
        probe("write", writes),
        probe("authority", dns(DnsView::Authority)),
        probe("resolver", dns(DnsView::Recursive)),
    ]
}

/// What a probe sees from when on: a tier, `refused`, `503`, `405` or `void`.
type Plot<'a> = &'a [(u64, &'a str)];

/// One sample every half second for two minutes, half a millisecond long.
fn plotted(probe: &str, plot: Plot<'_>) -> Vec<Sample> {
    (0..240)
        .map(|seq| {
            let start = ms(seq * 500 + 7);
            let end = start + Duration::from_micros(500);
            let (_, seen) = plot
                .iter()
                .rfind(|(from, _)| ms(*from) <= start)
                .expect("plots begin at 0");
            let (verdict, status) = match *seen {
                "refused" => (SampleVerdict::Bad(ErrorClass::Refused), None),
                "503" => (SampleVerdict::Bad(ErrorClass::Http5xx), Some(503)),
                "405" => (SampleVerdict::Bad(ErrorClass::Http4xx), Some(405)),
                "nxdomain" => (SampleVerdict::Bad(ErrorClass::DnsNxdomain), None),
                "void" => (SampleVerdict::Void(VoidReason::Late), None),
                _ => (SampleVerdict::Good, Some(200)),
            };
            let tier = (verdict == SampleVerdict::Good).then_some(*seen);
            let mut sample = sample(probe, seq, start, end, verdict, tier);
            sample.status = status;
            sample
        })
        .collect()
}

/// A run with the fault at 20 s and the revert at 100 s.
fn run(plots: &[(&str, Plot<'_>)]) -> Vec<Entry> {
    let script = Script::plain(ms(20_000), ms(100_000), ms(125_000));
    let samples = plots.iter().flat_map(|(probe, plot)| plotted(probe, plot));
    script.record(probes(), samples, 1.0)
}

fn judged(expect: Vec<Expect>, plots: &[(&str, Plot<'_>)]) -> Judgement {
    judge(&drill(expect), &environment(EVERY), &run(plots))
}

fn only(expect: Expect, plots: &[(&str, Plot<'_>)]) -> (CheckStatus, String) {
    let judgement = judged(vec![expect], plots);
    let check = &judgement.checks[0];
    (check.status, check.message.clone())
}

fn rto(within: u64) -> Expect {
    Expect::Rto {
        within: ms(within),
        from: ClockStart::Fault,
        to: ClockStop::Stable,
        pass_rate: None,
    }
}

const UP: Plot<'static> = &[(0, "primary")];
const FAILOVER: Plot<'static> = &[
    (0, "primary"),
    (21_000, "refused"),
    (40_000, "vm"),
    (102_000, "primary"),
];

#[test]
fn a_drill_without_expectations_passes_if_it_was_carried_out() {
    assert_eq!(judged(Vec::new(), &[("read", UP)]).verdict, Verdict::Pass);
}

#[test]
fn no_samples_are_never_a_pass() {
    for expect in everything().expect {
        let kind = expect.value.kind();
        let (status, message) = only(expect.value, &[]);
        assert!(status > CheckStatus::Pass, "{kind}: {message}");
    }
}

#[test]
fn a_small_failure_before_the_outage_does_not_stand_in_for_it() {
    let early: Plot<'_> = &[
        (0, "primary"),
        (21_000, "refused"),
        (21_500, "primary"),
        (50_000, "refused"),
        (90_000, "vm"),
    ];
    let (status, message) = only(rto(30_000), &[("read", early)]);
    assert_eq!(status, CheckStatus::Fail, "{message}");
    let (status, message) = only(Expect::Outage { within: ms(30_000) }, &[("read", early)]);
    assert_eq!(status, CheckStatus::Fail, "{message}");
}

#[test]
fn a_lost_request_after_recovery_is_a_flap_and_does_not_move_the_recovery() {
    let late: Plot<'_> = &[
        (0, "primary"),
        (21_000, "refused"),
        (40_000, "vm"),
        (80_000, "refused"),
        (80_500, "vm"),
    ];
    let judgement = judged(vec![rto(30_000)], &[("read", late)]);
    assert_eq!(judgement.checks[0].status, CheckStatus::Pass);
    assert_eq!(judgement.flaps, 1);
    assert_eq!(judgement.path, ["primary", "down", "vm"]);
    assert_eq!(judgement.blips, 1);
}

#[test]
fn each_fault_of_a_sequence_has_its_own_clock() {
    let twice: Plot<'_> = &[
        (0, "primary"),
        (21_000, "refused"),
        (40_000, "vm"),
        (61_000, "refused"),
        (70_000, "maintenance"),
    ];
    let mut entries = run(&[("read", twice)]);
    let second = |step| {
        let detail = None;
        entry(
            ms(60_000),
            Event::Fault {
                id: 1,
                step,
                detail,
            },
        )
    };
    let at = entries.partition_point(|entry| entry.at <= ms(60_000));
    entries.splice(
        at..at,
        [FaultStep::Issued, FaultStep::Acknowledged].map(second),
    );
    let drill = drill(vec![rto(25_000), Expect::Flaps { at_most: 0 }]);
    let judgement = judge(&drill, &environment(EVERY), &entries);
    for check in &judgement.checks {
        assert_eq!(check.status, CheckStatus::Pass, "{}", check.message);
    }
}

/// A run in which people declared an incident at these times.
fn declared(marks: &[u64], plots: &[(&str, Plot<'_>)]) -> Vec<Entry> {
    let mut entries = run(plots);
    for mark in marks {
        let act = Act::Marked(Mark::Declared);
        let said = entry(ms(*mark), Event::Operator { role: None, act });
        let at = entries.partition_point(|entry| entry.at <= ms(*mark));
        entries.insert(at, said);
    }
    entries
}

#[test]
fn a_clock_that_people_start_counts_from_when_they_did() {
    use CheckStatus::{Fail, Inconclusive, Pass};
    let limits = [5000, 15_000].map(|within| Expect::Rto {
        within: ms(within),
        from: ClockStart::Declared,
        to: ClockStop::Stable,
        pass_rate: None,
    });
    let judged = |marks: &[u64], read| {
        let entries = declared(marks, &[("read", read)]);
        judge(&drill(limits.to_vec()), &environment(EVERY), &entries)
    };
    let statuses = |marks: &[u64], read| {
        let checks = judged(marks, read).checks;
        let statuses: Vec<CheckStatus> = checks.iter().map(|check| check.status).collect();
        [statuses[0], statuses[1]]
    };
    // The fault is at 20 s, and users are back at 40 s.
    assert_eq!(statuses(&[30_000], FAILOVER), [Fail, Pass]);
    assert_eq!(
        statuses(&[30_000, 38_000], FAILOVER),
        [Fail, Pass],
        "the first counts"
    );
    assert_eq!(
        statuses(&[50_000], FAILOVER),
        [Pass, Pass],
        "they were back before that"
    );
    assert_eq!(
        statuses(&[10_000], FAILOVER),
        [Fail, Fail],
        "somebody knew beforehand"
    );
    // Nobody did, so nothing is known; and where users felt nothing there was nothing to declare.
    assert_eq!(statuses(&[], FAILOVER), [Inconclusive, Inconclusive]);
    assert_eq!(statuses(&[], UP), [Pass, Pass]);
    let judgement = judged(&[30_000], FAILOVER);
    let since = judgement.durations.since_declared.unwrap();
    assert!(since.lo <= 10.0 && since.hi >= Some(10.0), "{since:?}");
    assert_eq!(judgement.moments.declared.map(|at| at.lo), Some(30.0));
    assert_eq!(judged(&[], FAILOVER).durations.since_declared, None);
}

#[test]
fn nothing_at_all_is_a_limit_that_one_failure_breaks() {
    let one: Plot<'_> = &[(0, "primary"), (21_000, "refused"), (21_500, "primary")];
    let none = Expect::Outage { within: ms(0) };
    assert_eq!(only(none.clone(), &[("read", UP)]).0, CheckStatus::Pass);
    assert_eq!(only(none, &[("read", one)]).0, CheckStatus::Fail);
}

#[test]
fn users_who_never_left_are_back_at_the_revert() {
    let judgement = judged(Vec::new(), &[("read", UP)]);
    assert_eq!(judgement.moments.failed_back, judgement.moments.reverted);
    let failback = judgement.durations.failback.expect("it is known");
    assert_eq!((failback.lo, failback.hi), (0.0, Some(0.0)));
}

#[test]
fn users_who_leave_after_the_revert_are_back_when_they_return() {
    let restless: Plot<'_> = &[(0, "primary"), (103_000, "refused"), (106_000, "primary")];
    let judgement = judged(Vec::new(), &[("read", restless)]);
    let back = judgement.moments.failed_back.expect("they came back");
    assert!(back.lo < 106.1 && back.lo > 105.0, "{back:?}");
}

#[test]
fn no_failover_means_that_neither_users_nor_names_moved() {
    let moved: Plot<'_> = &[(0, "primary"), (50_000, "vm"), (60_000, "primary")];
    let gone: Plot<'_> = &[(0, "primary"), (50_000, "nxdomain"), (60_000, "primary")];
    let silent: Plot<'_> = &[(0, "primary"), (50_000, "refused"), (60_000, "primary")];
    for (users, authority, status) in [
        (UP, UP, CheckStatus::Pass),
        (UP, moved, CheckStatus::Fail),
        (moved, UP, CheckStatus::Fail),
        (UP, gone, CheckStatus::Fail),
        (silent, silent, CheckStatus::Pass),
    ] {
        let plots = [("read", users), ("authority", authority)];
        let (found, message) = only(Expect::NoFailover, &plots);
        assert_eq!(found, status, "{message}");
    }
}

#[test]
fn writes_must_fail_with_the_status_that_was_expected() {
    let expect = || Expect::Writes(Writes::FailWith(vec![503]));
    let taken: Plot<'_> = &[(0, "primary"), (21_000, "503"), (60_000, "vm")];
    for (writes, status) in [
        (&[(0, "primary"), (20_500, "503")][..], CheckStatus::Pass),
        (&[(0, "primary"), (20_500, "refused")], CheckStatus::Pass),
        (&[(0, "primary"), (20_500, "405")], CheckStatus::Fail),
        (taken, CheckStatus::Fail),
    ] {
        let plots = [("read", FAILOVER), ("write", writes)];
        let (found, message) = only(expect(), &plots);
        assert_eq!(found, status, "{message}");
    }
    let served = Expect::Writes(Writes::ServedBy("vm".to_owned()));
    let plots = [("read", FAILOVER), ("write", taken)];
    assert_eq!(only(served, &plots).0, CheckStatus::Pass);
}

#[test]
fn a_standby_that_fails_is_found_and_can_be_what_notices() {
    let broken: Plot<'_> = &[(0, "vm"), (30_000, "refused")];
    let plots = [("read", UP), ("standby", broken)];
    let judgement = judged(Vec::new(), &plots);
    assert_eq!(judgement.findings[0].code, "standby-dead");
    let expect = |within| Expect::Detected {
        within: ms(within),
        by: Some("standby".to_owned()),
    };
    assert_eq!(only(expect(12_000), &plots).0, CheckStatus::Pass);
    assert_eq!(only(expect(9_000), &plots).0, CheckStatus::Fail);
}

#[test]
fn a_load_balancer_without_healthy_targets_that_still_serves_fails_open() {
    let mut entries = run(&[("read", UP)]);
    let observed = |at, observer: &str, healthy| {
        let event = Event::Observed {
            observer: observer.to_owned(),
            healthy: Some(healthy),
            detail: None,
            before: None,
        };
        entry(ms(at), event)
    };
    entries.extend([
        observed(1000, "health-check", true),
        observed(1000, "target-health", true),
        observed(30_000, "target-health", false),
    ]);
    entries.sort_by_key(|entry| entry.at);
    let judgement = judge(&drill(Vec::new()), &environment(EVERY), &entries);
    let codes: Vec<&str> = judgement
        .findings
        .iter()
        .map(|one| one.code.as_str())
        .collect();
    assert_eq!(codes, ["fail-open", "health-check-blind"]);
}

#[test]
fn what_was_not_detected_by_the_revert_took_longer_than_that() {
    let mut entries = run(&[("read", FAILOVER)]);
    let event = Event::Observed {
        observer: "health-check".to_owned(),
        healthy: Some(true),
        detail: None,
        before: None,
    };
    entries.insert(2, entry(ms(1000), event));
    let detected = |within| Expect::Detected {
        within: ms(within),
        by: None,
    };
    let drill = drill(vec![detected(60_000), detected(90_000)]);
    let judgement = judge(&drill, &environment(EVERY), &entries);
    assert_eq!(judgement.checks[0].status, CheckStatus::Fail);
    assert_eq!(judgement.checks[1].status, CheckStatus::Inconclusive);
    assert_eq!(judgement.checks[0].value.map(|value| value.hi), Some(None));
}

#[test]
fn a_fault_that_does_not_show_makes_a_drill_invalid() {
    for step in [FaultStep::InjectFailed, FaultStep::NotVerified] {
        let mut entries = run(&[("read", UP)]);
        let detail = Some("no such thing".to_owned());
        let at = entries.partition_point(|entry| entry.at <= ms(20_000));
        entries.insert(
            at,
            entry(
                ms(20_001),
                Event::Fault {
                    id: 0,
                    step,
                    detail,
                },
            ),
        );
        let judgement = judge(&drill(vec![rto(1000)]), &environment(EVERY), &entries);
        assert_eq!(judgement.verdict, Verdict::Invalid);
        assert_eq!(judgement.checks[0].status, CheckStatus::NotRun);
        assert!(
            judgement.reasons[0].contains("no such thing"),
            "{:?}",
            judgement.reasons
        );
    }
}

#[test]
fn a_run_that_was_stopped_is_invalid_and_tells_by_what() {
    let mut script = Script::plain(ms(20_000), ms(100_000), ms(125_000));
    script.end = Some(Outcome::Interrupted {
        signal: "SIGINT".to_owned(),
    });
    let entries = script.record(probes(), plotted("read", UP), 1.0);
    let judgement = judge(&drill(Vec::new()), &environment(EVERY), &entries);
    assert_eq!(judgement.verdict, Verdict::Invalid);
    assert_eq!(judgement.interrupted_by.as_deref(), Some("SIGINT"));
    assert!(judgement.restored);
}

#[test]
fn a_run_that_a_condition_ended_is_aborted_and_tells_by_which() {
    let mut script = Script::plain(ms(20_000), ms(100_000), ms(125_000));
    let (condition, reason) = ("outage longer than 3m".to_owned(), "181 s".to_owned());
    script.end = Some(Outcome::Aborted {
        condition: condition.clone(),
        reason,
    });
    let mut entries = script.record(probes(), plotted("read", UP), 1.0);
    let judgement = judge(&drill(vec![rto(1000)]), &environment(EVERY), &entries);
    assert_eq!(judgement.verdict, Verdict::Aborted);
    assert_eq!(judgement.aborted.unwrap().condition, condition);
    assert_eq!(judgement.checks[0].status, CheckStatus::NotRun);
    assert_eq!(
        judgement.reasons,
        ["aborted (outage longer than 3m): 181 s"]
    );
    assert!(judgement.restored);
    // Killed while it reverted: the event that told of the abort is there, the end is not.
    entries.pop();
    let event = Event::Aborted {
        condition,
        reason: "181 s".to_owned(),
    };
    let at = entries.last().unwrap().at;
    entries.push(entry(at, event));
    let judgement = judge(&drill(vec![rto(1000)]), &environment(EVERY), &entries);
    assert_eq!(judgement.verdict, Verdict::Aborted);
    assert_eq!(judgement.reasons.len(), 2);
}

#[test]
fn clocks_that_went_apart_by_more_than_a_second_are_pointed_out() {
    for (milliseconds, found) in [
        (0.1, false),
        (1000.0, false),
        (1000.1, true),
        (-7200e3, true),
    ] {
        let mut entries = run(&[("read", UP)]);
        let Some(Event::Ended { clock_drift_ms, .. }) =
            entries.last_mut().map(|entry| &mut entry.event)
        else {
            panic!("a run has an end")
        };
        *clock_drift_ms = milliseconds;
        let judgement = judge(&drill(vec![rto(1000)]), &environment(EVERY), &entries);
        let codes: Vec<_> = judgement
            .findings
            .iter()
            .map(|finding| &finding.code)
            .collect();
        assert_eq!(
            codes.iter().any(|code| *code == "clock-jump"),
            found,
            "{milliseconds} ms: {codes:?}"
        );
    }
}

#[test]
fn a_dry_run_is_never_a_pass() {
    let mut entries = run(&[("read", UP)]);
    let Some(Event::Run(run)) = entries.first_mut().map(|entry| &mut entry.event) else {
        panic!("a run has a beginning")
    };
    run.dry_run = true;
    entries.retain(|entry| !matches!(entry.event, Event::Fault { .. }));
    let judgement = judge(
        &drill(vec![Expect::NoFailover]),
        &environment(EVERY),
        &entries,
    );
    assert_eq!(judgement.verdict, Verdict::DryRun);
    assert_eq!(judgement.checks[0].status, CheckStatus::NotRun);
    entries.pop();
    let judgement = judge(
        &drill(vec![Expect::NoFailover]),
        &environment(EVERY),
        &entries,
    );
    assert_eq!(judgement.verdict, Verdict::Invalid);
}

#[test]
fn a_prober_that_saw_nothing_during_the_fault_makes_the_drill_invalid() {
    let blind: Plot<'_> = &[(0, "primary"), (20_000, "void"), (100_000, "primary")];
    let judgement = judged(vec![rto(1000)], &[("read", blind)]);
    assert_eq!(judgement.verdict, Verdict::Invalid);
    assert!(
        judgement.reasons[0].contains("void"),
        "{:?}",
        judgement.reasons
    );
}

/// A drill that expects everything there is to expect.
fn everything() -> Drill {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    drill(vec![
        Expect::Detected {
            within: ms(1000),
            by: None,
        },
        Expect::Detected {
            within: ms(1000),
            by: Some("standby".to_owned()),
        },
        rto(1000),
        Expect::Rto {
            within: ms(0),
            from: ClockStart::Impact,
            to: ClockStop::FirstSuccess,
            pass_rate: None,
        },
        Expect::Rto {
            within: ms(1000),
            from: ClockStart::Declared,
            to: ClockStop::Stable,
            pass_rate: None,
        },
        Expect::Outage { within: ms(0) },
        Expect::Path(words(&["primary", "*", "vm"])),
        Expect::Never(words(&["maintenance"])),
        Expect::ServedBy(BTreeMap::from([("read".to_owned(), "vm".to_owned())])),
        Expect::Writes(Writes::ServedBy("vm".to_owned())),
        Expect::Writes(Writes::FailWith(vec![503])),
        Expect::Availability { at_least: 99.9 },
        Expect::MaxErrors {
            probe: None,
            at_most: 3,
        },
        Expect::NoFailover,
        Expect::Flaps { at_most: 0 },
        Expect::Failback {
            to: "primary".to_owned(),
            within: ms(1000),
            errors_at_most: Some(0),
        },
        Expect::Rpo { within: ms(1000) },
        Expect::DnsSwitch {
            within: ms(1000),
            probe: None,
            to: None,
        },
        Expect::StaleDns {
            at_most: ms(0),
            probe: None,
        },
        Expect::Header {
            probe: None,
            name: "server".to_owned(),
            contains: "nginx".to_owned(),
        },
        Expect::Body {
            probe: None,
            contains: "owners".to_owned(),
        },
        Expect::Status {
            probe: Some("write".to_owned()),
            is: vec![200],
        },
    ])
}

/// A time: mostly of a run, at times one that nobody would think of.
fn time() -> impl Strategy<Value = Duration> {
    prop_oneof![
        20 => (0_u64..130_000).prop_map(ms),
        1 => any::<u64>().prop_map(Duration::from_micros),
        1 => Just(Duration::MAX),
    ]
}

fn verdict() -> impl Strategy<Value = SampleVerdict> {
    prop_oneof![
        3 => Just(SampleVerdict::Good),
        2 => prop::sample::select(vec![ErrorClass::Refused, ErrorClass::TooSlow, ErrorClass::DnsNxdomain])
            .prop_map(SampleVerdict::Bad),
        1 => prop::sample::select(vec![VoidReason::Late, VoidReason::Cancelled])
            .prop_map(SampleVerdict::Void),
    ]
}

fn any_sample() -> impl Strategy<Value = Event> {
    let probe = prop::sample::select(vec![
        "read",
        "write",
        "standby",
        "authority",
        "resolver",
        "?",
    ]);
    let tier = prop::option::of(prop::sample::select(vec!["primary", "vm", "maintenance"]));
    let seq = prop_oneof![30 => 0_u64..60, 1 => any::<u64>()];
    let rest = (
        prop::option::of(any::<u32>()),
        prop::option::of(any::<u16>()),
    );
    (probe, seq, time(), time(), verdict(), tier, rest).prop_map(
        |(probe, seq, start, end, verdict, tier, (ttl, status))| {
            let mut sample = sample(probe, seq, start, end, verdict, tier);
            sample.scheduled = end;
            sample.ttl = ttl;
            sample.status = status;
            Event::Sample(Box::new(sample))
        },
    )
}

fn any_event() -> impl Strategy<Value = Event> {
    let steps = vec![
        FaultStep::Captured,
        FaultStep::Issued,
        FaultStep::Acknowledged,
        FaultStep::Verified,
        FaultStep::InjectFailed,
        FaultStep::NotVerified,
        FaultStep::RevertIssued,
        FaultStep::Reverted,
        FaultStep::Restored,
        FaultStep::RevertFailed,
    ];
    let fault = (any::<usize>(), prop::sample::select(steps)).prop_map(|(id, step)| Event::Fault {
        id: if id % 2 == 0 { id } else { 0 },
        step,
        detail: None,
    });
    let observer = prop::sample::select(vec!["health-check", "target-health", "?"]);
    let observed =
        (observer, any::<Option<bool>>()).prop_map(|(observer, healthy)| Event::Observed {
            observer: observer.to_owned(),
            healthy,
            detail: None,
            before: None,
        });
    let phases = vec![
        Phase::SteadyState,
        Phase::Inject,
        Phase::Hold,
        Phase::Revert,
    ];
    prop_oneof![
        40 => any_sample(),
        6 => fault,
        3 => observed,
        2 => prop::sample::select(phases).prop_map(|phase| Event::Phase { phase }),
        1 => any::<Option<Vec<u64>>>().prop_map(|found| Event::Ledger {
            before: Duration::from_secs(100),
            found,
            detail: None,
        }),
        1 => Just(Event::Operator { role: None, act: Act::Marked(Mark::Declared) }),
        1 => Just(Event::Note { text: String::new() }),
        1 => Just(Event::Interrupted { signal: "SIGTERM".to_owned() }),
        1 => Just(Event::Aborted { condition: String::new(), reason: String::new() }),
        1 => any::<Option<bool>>().prop_map(|good| Event::Preflight(TierChecked {
            tier: "vm".to_owned(),
            probe: None,
            asked: String::new(),
            good,
            detail: None,
        })),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_judge_never_panics_on_any_list_of_events(
        events in prop::collection::vec((time(), any_event()), 0..250),
        begun: bool,
        ended: bool,
        speed in prop_oneof![Just(1.0), Just(30.0), any::<f64>()],
    ) {
        let script = Script::plain(ms(20_000), ms(100_000), ms(125_000));
        let mut entries = script.record(probes(), Vec::new(), speed);
        entries.truncate(usize::from(begun));
        entries.extend(events.into_iter().map(|(at, event)| entry(at, event)));
        if ended {
            let clock_drift_ms = f64::NAN;
            let outcome = Outcome::Completed;
            entries.push(entry(ms(0), Event::Ended { outcome, clock_drift_ms }));
        }
        let judgement = judge(&everything(), &environment(EVERY), &entries);
        for lane in &judgement.lanes {
            for pair in lane.spells.windows(2) {
                prop_assert_eq!(pair[0].to, pair[1].from);
            }
        }
        if !begun || !ended {
            prop_assert!(matches!(judgement.verdict, Verdict::Invalid | Verdict::Aborted));
        }
    }

    #[test]
    fn events_in_the_wrong_order_are_still_judged(seed: u64) {
        let mut entries = run(&[("read", FAILOVER), ("authority", FAILOVER)]);
        fastrand::Rng::with_seed(seed).shuffle(&mut entries);
        judge(&everything(), &environment(EVERY), &entries);
    }
}
