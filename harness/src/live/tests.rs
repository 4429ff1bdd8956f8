mod terminals;

use indicatif::TermLike;

use self::terminals::{Broken, Glass, Kept};
use super::*;
use crate::{
    environment::{Connection, DnsView},
    report::hostile::is_invisible,
    timeline::{
        ErrorClass, Event, FaultPlanned, FaultStep, Outcome, Phase, PhaseTimes, ProbeKind,
        ProbeStarted, RunStarted, Sample, SampleVerdict, TierChecked, VoidReason,
    },
};

const STYLE: Style = Style {
    color: false,
    ascii: true,
    width: 100,
};

fn at(seconds: f64, event: Event) -> Entry {
    Entry {
        at: Duration::from_secs_f64(seconds),
        event,
    }
}

fn probe(name: &str, kind: ProbeKind) -> ProbeStarted {
    ProbeStarted {
        name: name.to_owned(),
        kind,
        every: Duration::from_secs(1),
        timeout: Duration::from_secs(2),
        good_within: Duration::from_millis(800),
    }
}

fn run(drill: &str) -> Entry {
    let http = |connection| ProbeKind::Http {
        request: "read".to_owned(),
        writes: false,
        connection,
        standby: None,
    };
    let dns = ProbeKind::Dns {
        view: DnsView::Authority,
        server: "authority".to_owned(),
    };
    let started = RunStarted {
        format_version: "1.0".to_owned(),
        tool_version: "0.1.0".to_owned(),
        run_id: "2026-08-24T10-02-11Z-k3f9".to_owned(),
        drill: drill.to_owned(),
        drill_file: String::new(),
        environment: "three-tier".to_owned(),
        started_at: "2026-08-24T10:02:11Z".to_owned(),
        command: Vec::new(),
        host: "runner-1".to_owned(),
        seed: 7,
        repeat: None,
        drill_commit: None,
        speed: 30.0,
        dry_run: false,
        tiers: vec!["primary".to_owned(), "vm".to_owned()],
        probes: vec![
            probe("keep-alive", http(Connection::KeepAlive)),
            probe("read", http(Connection::New)),
            probe("authority", dns),
        ],
        observers: vec!["health-check".to_owned()],
        faults: vec![FaultPlanned {
            kind: "scale".to_owned(),
            target: "web".to_owned(),
            describe: "scale web to 0".to_owned(),
            line: 7,
        }],
        variables: BTreeMap::new(),
    };
    at(0.0, Event::Run(Box::new(started)))
}

fn sample(probe: &str, seconds: f64, verdict: SampleVerdict, tier: Option<&str>) -> Entry {
    let start = Duration::from_secs_f64(seconds);
    let end = start + Duration::from_millis(5);
    let sample = Sample {
        probe: probe.to_owned(),
        seq: 0,
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
        ttl: (probe == "authority").then_some(60),
        response_code: None,
        detail: None,
    };
    Entry {
        at: end,
        event: Event::Sample(Box::new(sample)),
    }
}

fn good(probe: &str, seconds: f64, tier: &str) -> Entry {
    sample(probe, seconds, SampleVerdict::Good, Some(tier))
}

fn bad(probe: &str, seconds: f64) -> Entry {
    sample(
        probe,
        seconds,
        SampleVerdict::Bad(ErrorClass::Refused),
        None,
    )
}

fn fault(seconds: f64, step: FaultStep, detail: Option<&str>) -> Entry {
    let detail = detail.map(str::to_owned);
    at(
        seconds,
        Event::Fault {
            id: 0,
            step,
            detail,
        },
    )
}

fn phase(seconds: f64, phase: Phase) -> Entry {
    at(seconds, Event::Phase { phase })
}

fn ended(seconds: f64, outcome: Outcome) -> Entry {
    let clock_drift_ms = 0.1;
    at(
        seconds,
        Event::Ended {
            outcome,
            clock_drift_ms,
        },
    )
}

/// A fault at 12 s, an outage until 50 s, the switch of the name at 40 s, a revert at 90 s and users back at 110 s.
fn failover() -> Vec<Entry> {
    let mut entries = vec![run("scale-to-zero"), phase(0.0, Phase::SteadyState)];
    let readings = [(0.1, true), (35.0, false), (105.0, true)];
    entries.extend(readings.map(|(seconds, healthy)| {
        let event = Event::Observed {
            observer: "health-check".to_owned(),
            healthy: Some(healthy),
            detail: None,
            before: None,
        };
        at(seconds, event)
    }));
    entries.extend([
        phase(12.0, Phase::Inject),
        fault(12.0, FaultStep::Captured, None),
        fault(12.1, FaultStep::Issued, None),
        fault(12.3, FaultStep::Acknowledged, None),
        fault(12.5, FaultStep::Verified, None),
        phase(12.6, Phase::Hold),
        phase(90.0, Phase::Revert),
        fault(90.1, FaultStep::RevertIssued, None),
        fault(90.2, FaultStep::Reverted, None),
        fault(95.0, FaultStep::Restored, None),
        phase(95.1, Phase::Failback),
        ended(130.0, Outcome::Completed),
    ]);
    for second in 0..130_u32 {
        let seconds = f64::from(second) + 0.2;
        let users = match second {
            0..13 | 110.. => Some("primary"),
            13..50 => None,
            50..110 => Some("vm"),
        };
        entries.push(match users {
            Some(tier) => good("read", seconds, tier),
            None => bad("read", seconds),
        });
        entries.push(match second {
            13..100 => bad("keep-alive", seconds),
            _ => good("keep-alive", seconds, "primary"),
        });
        entries.push(match second {
            40..102 => good("authority", seconds, "vm"),
            _ => good("authority", seconds, "primary"),
        });
    }
    entries.sort_by_key(|entry| entry.at);
    entries
}

fn lines(at_once: usize, display: Display) -> (Live, Kept) {
    let kept = Kept::default();
    let live = Live::new(display, STYLE, at_once, Box::new(kept.clone()));
    (live, kept)
}

#[test]
fn everything_that_happens_is_a_line() {
    let (mut live, kept) = lines(1, Display::Lines);
    for entry in failover() {
        live.event("scale-to-zero", &entry);
    }
    live.finish();
    insta::assert_snapshot!("lines_of_a_failover", kept.text());
}

#[test]
fn what_goes_wrong_is_told_even_in_quiet_mode_and_nothing_else() {
    let (mut live, kept) = lines(2, Display::Quiet);
    for entry in failover() {
        live.event("scale-to-zero", &entry);
    }
    assert_eq!(kept.text(), "");
    live.event("b", &run("b"));
    live.event(
        "b",
        &fault(1.0, FaultStep::InjectFailed, Some("no such target")),
    );
    live.event("b", &fault(2.0, FaultStep::RevertFailed, None));
    let signal = "SIGINT".to_owned();
    live.event("b", &at(3.0, Event::Interrupted { signal }));
    let reason = "steady state not met".to_owned();
    let phase = Phase::SteadyState;
    live.event("b", &ended(4.0, Outcome::CouldNotRun { phase, reason }));
    live.error("error: reports/ cannot be written");
    insta::assert_snapshot!(kept.text(), @r"
    b  00:01.000 FAULT    scale web to 0: FAILED (no such target)
    b  00:02.000 REVERT   scale web to 0: NOT RESTORED
    b  00:03.000 STOP     SIGINT: everything is being reverted
    b  00:04.000 END      could not run, ended in steady-state: steady state not met
    error: reports/ cannot be written
    ");
}

#[test]
fn silence_is_broken_at_least_every_ten_seconds() {
    let (mut live, kept) = lines(1, Display::Lines);
    let start = Instant::now();
    let mut heard = Vec::new();
    let mut seen = 0;
    for entry in failover()
        .into_iter()
        .take_while(|entry| entry.at < Duration::from_secs(20))
    {
        live.event("scale-to-zero", &entry);
    }
    for second in 0..60 {
        live.tick(start + Duration::from_secs(second));
        let count = kept.text().lines().count();
        if count > seen {
            heard.push(second);
        }
        seen = count;
    }
    let gaps = heard.windows(2).map(|pair| pair[1] - pair[0]);
    assert!(heard.len() >= 6 && gaps.max() <= Some(10), "{heard:?}");
    insta::assert_snapshot!(
        kept.text().lines().last().unwrap(),
        @"00:19.205 WAIT     hold 00:06 | keep-alive down 6.0 s | read down 6.0 s | authority primary ttl 60"
    );
}

#[test]
fn a_heartbeat_comes_even_if_nothing_runs_and_for_many_drills_is_one_line() {
    let (mut live, kept) = lines(5, Display::Lines);
    let start = Instant::now();
    live.tick(start);
    live.tick(start + Duration::from_secs(10));
    assert_eq!(kept.text(), "no drill is running\n");
    for name in ["a", "b", "c", "d"] {
        live.event(name, &run(name));
        live.event(name, &phase(0.0, Phase::Hold));
        live.event(name, &bad("read", 1.0));
    }
    live.tick(start + Duration::from_secs(11));
    live.tick(start + Duration::from_secs(21));
    assert_eq!(
        kept.text().lines().last().unwrap(),
        "4 drills are running: a hold down 0.0 s, b hold down 0.0 s, c hold down 0.0 s, d hold down 0.0 s"
    );
}

#[test]
fn a_flapping_probe_does_not_flood_the_log() {
    let (mut live, kept) = lines(1, Display::Lines);
    live.event("a", &run("a"));
    for second in 0..200_u32 {
        let seconds = f64::from(second);
        let entry = if second % 2 == 0 {
            good("read", seconds, "primary")
        } else {
            bad("read", seconds)
        };
        live.event("a", &entry);
    }
    for second in 200..220 {
        live.event("a", &good("read", f64::from(second), "vm"));
    }
    let text = kept.text();
    assert!(text.lines().count() < 15, "{text}");
    assert!(text.contains("read: flapping"));
    assert!(
        text.lines()
            .last()
            .unwrap()
            .contains("STABLE   read: recovered on vm")
    );
}

#[test]
fn an_answer_that_was_overtaken_changes_nothing() {
    let (mut live, kept) = lines(1, Display::Lines);
    live.event("a", &run("a"));
    live.event("a", &good("read", 1.0, "primary"));
    live.event("a", &good("read", 3.0, "vm"));
    live.event("a", &bad("read", 2.0));
    assert!(!kept.text().contains("IMPACT"), "{}", kept.text());
}

fn watches(entries: &[Entry], until: u64, names: &[&str]) -> BTreeMap<String, Watch> {
    let mut watches = BTreeMap::new();
    for name in names {
        let mut watch = Watch::new(name);
        for entry in entries
            .iter()
            .filter(|entry| entry.at < Duration::from_secs(until))
        {
            watch.take(entry);
        }
        watches.insert((*name).to_owned(), watch);
    }
    watches
}

#[test]
fn a_few_drills_are_blocks_and_many_are_lines() {
    let entries = failover();
    for (name, until, names) in [
        ("block_in_the_outage", 30, &["scale-to-zero"][..]),
        ("block_after_recovery", 100, &["scale-to-zero"]),
        (
            "lines_of_many",
            30,
            &["a", "b", "maintenance-page", "scale-to-zero"],
        ),
    ] {
        insta::assert_snapshot!(
            name,
            frame(&watches(&entries, until, names), &STYLE).join("\n")
        );
    }
}

#[test]
fn a_failure_is_not_lost_when_strips_are_compressed() {
    let mut watch = Watch::new("a");
    watch.take(&run("a"));
    for second in 0..2000_u32 {
        let seconds = f64::from(second);
        watch.take(&match second {
            700 => bad("read", seconds),
            1500 => sample("read", seconds, SampleVerdict::Void(VoidReason::Late), None),
            _ => good("read", seconds, "primary"),
        });
    }
    let block = watch.block(&STYLE);
    let read = block.iter().find(|line| line.starts_with(" read")).unwrap();
    assert_eq!(read.matches('x').count(), 1, "{read}");
    assert_eq!(read.matches('?').count(), 1, "{read}");
}

fn strips(terminal: Box<dyn TermLike>) -> Live {
    let target = ProgressDrawTarget::term_like(terminal);
    Live::with_output(Output::Strips(Screen::new(target)), STYLE, 1)
}

#[test]
fn strips_are_drawn_cut_at_the_width_and_erased_at_the_end() {
    let glass = Glass::default();
    let mut live = strips(Box::new(glass.clone()));
    for entry in failover()
        .iter()
        .filter(|entry| entry.at < Duration::from_secs(30))
    {
        live.event("scale-to-zero", entry);
    }
    live.tick(Instant::now());
    let seen = glass.text();
    assert!(
        seen.lines()
            .any(|line| line.starts_with(" read") && line.contains("AAAxxx")),
        "{seen}"
    );
    assert!(seen.lines().all(|line| width(line) <= 60), "{seen}");
    live.error("error: something that stays");
    live.finish();
    assert_eq!(glass.text(), "error: something that stays");
}

#[test]
fn the_strips_of_a_drill_go_when_it_ends() {
    let glass = Glass::default();
    let mut live = strips(Box::new(glass.clone()));
    for entry in failover() {
        live.event("scale-to-zero", &entry);
    }
    live.tick(Instant::now());
    assert_eq!(glass.text(), "");
}

#[test]
fn a_reader_who_is_gone_stops_nothing() {
    let mut shown = [
        Live::new(Display::Lines, STYLE, 2, Box::new(Broken)),
        Live::new(Display::Quiet, STYLE, 2, Box::new(Broken)),
        strips(Box::new(Broken)),
    ];
    let start = Instant::now();
    for live in &mut shown {
        for (second, entry) in failover().iter().enumerate() {
            live.event("a", entry);
            live.event("b", &fault(1.0, FaultStep::RevertFailed, None));
            live.tick(start + Duration::from_secs(second as u64));
        }
        live.error("gone");
        live.finish();
    }
}

#[test]
fn without_a_terminal_behind_stderr_strips_become_lines() {
    // Where the tests run on a terminal there is nothing to show.
    if ProgressDrawTarget::stderr().is_hidden() {
        let (mut live, kept) = lines(1, Display::Strips);
        live.event("a", &run("a"));
        assert!(kept.text().contains("RUN      a on three-tier"));
    }
}

#[test]
fn the_display_fits_what_is_at_the_other_end() {
    type Case<'a> = (bool, bool, &'a [(&'a str, &'a str)], Display);
    let cases: [Case<'_>; 8] = [
        (false, true, &[("TERM", "xterm")], Display::Strips),
        (
            false,
            true,
            &[("TERM", "xterm"), ("NO_COLOR", "1")],
            Display::Strips,
        ),
        (
            false,
            true,
            &[("TERM", "xterm"), ("CI", "true")],
            Display::Lines,
        ),
        (
            false,
            true,
            &[("TERM", "xterm"), ("CI", "")],
            Display::Strips,
        ),
        (false, true, &[("TERM", "dumb")], Display::Lines),
        (false, true, &[], Display::Lines),
        (false, false, &[("TERM", "xterm")], Display::Lines),
        (true, true, &[("TERM", "xterm")], Display::Quiet),
    ];
    for (quiet, is_terminal, variables, expected) in cases {
        let lookup = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        assert_eq!(
            Display::choose(quiet, is_terminal, lookup),
            expected,
            "{variables:?}"
        );
    }
}

#[test]
fn hostile_text_cannot_do_anything_in_a_log_or_on_the_screen() {
    for text in crate::report::sample::HOSTILE {
        let (mut live, kept) = lines(2, Display::Lines);
        let mut entry = run(text);
        if let Event::Run(run) = &mut entry.event {
            text.clone_into(&mut run.environment);
            text.clone_into(&mut run.run_id);
            text.clone_into(&mut run.faults[0].describe);
            text.clone_into(&mut run.probes[1].name);
            run.tiers = vec![text.to_owned()];
        }
        let word = || text.to_owned();
        let entries = [
            entry,
            good(text, 1.0, text),
            bad(text, 2.0),
            good(text, 3.0, text),
            fault(4.0, FaultStep::InjectFailed, Some(text)),
            at(5.0, Event::Note { text: word() }),
            at(6.0, Event::Interrupted { signal: word() }),
            fault(6.0, FaultStep::Rehearsed, Some(text)),
            at(
                6.0,
                Event::Preflight(TierChecked {
                    tier: word(),
                    probe: Some(word()),
                    asked: word(),
                    good: Some(false),
                    detail: Some(word()),
                }),
            ),
            at(
                6.0,
                Event::Aborted {
                    condition: word(),
                    reason: word(),
                },
            ),
            at(
                7.0,
                Event::Observed {
                    observer: word(),
                    healthy: None,
                    detail: Some(word()),
                    before: None,
                },
            ),
        ];
        for entry in &entries {
            live.event(text, entry);
        }
        live.error(text);
        let start = Instant::now();
        live.tick(start);
        live.tick(start + Duration::from_secs(1));
        live.tick(start + Duration::from_secs(30));
        let mut shown = kept.text();
        shown.push_str(&frame(&live.watches, &STYLE).join("\n"));
        assert!(shown.lines().count() > 10, "{shown}");
        for line in shown.lines() {
            assert!(!line.chars().any(is_invisible), "{line:?}");
            assert!(!line.trim_start().starts_with("::"), "{line:?}");
            assert!(!line.contains("##["), "{line:?}");
        }
    }
}
