//! The judge against the truth: a simulated prober looks at a simulated service whose outages are known.

use std::time::Duration;

use blackstart::{
    drill::{ClockStart, ClockStop, Expect},
    timeline::{Entry, ErrorClass, Event, Sample, SampleVerdict, VoidReason},
    verdict::{Bounds, CheckStatus, Judgement, Lane, Seen, Spell, judge},
};
use proptest::prelude::*;

use crate::simulation::{Break, Outage, Script, Simulation, Sloppiness, drill, environment};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const KINDS: [Break; 6] = [
    Break::Refused,
    Break::Unavailable,
    Break::Silent,
    Break::Slow(Duration::from_millis(1200)),
    Break::Slow(Duration::from_secs(9)),
    Break::Frozen,
];

/// A service that is broken once, for a second or more, at a time that has nothing to do with the prober's.
fn broken(kind: Break, every: u64, seed: u64) -> Simulation {
    let mut random = fastrand::Rng::with_seed(seed ^ 0x5eed);
    let from = Duration::from_micros(random.u64(8_000_000..9_000_000));
    let length = Duration::from_micros(random.u64(1_000_000..4_000_000));
    Simulation {
        every: ms(every),
        timeout: ms(2000),
        good_within: ms(800),
        latency: ms(2),
        outages: vec![Outage {
            from,
            to: from + length,
            kind,
        }],
        sloppiness: Sloppiness {
            late: ms(4),
            void_one_in: 0,
        },
        length: Duration::from_secs(25),
        seed,
    }
}

fn judged(simulation: &Simulation, expect: Vec<Expect>) -> Judgement {
    let entries = recorded(simulation, simulation.samples());
    judge(&drill(expect), &environment(simulation.every), &entries)
}

/// Some time before the outage, when the fault is issued that brings it about.
fn before(outage: Duration) -> Duration {
    outage.saturating_sub(ms(300))
}

fn recorded(simulation: &Simulation, samples: Vec<Sample>) -> Vec<Entry> {
    let issued = simulation
        .outages
        .first()
        .map_or(ms(8000), |outage| before(outage.from));
    let script = Script::plain(issued, ms(24_000), simulation.length + ms(3000));
    script.record(vec![simulation.probe()], samples, 1.0)
}

fn users(judgement: &Judgement) -> &Lane {
    &judgement.lanes[0]
}

fn downs(judgement: &Judgement) -> Vec<&Spell> {
    let spells = users(judgement).spells.iter();
    spells
        .filter(|spell| matches!(spell.seen, Seen::Down(_)))
        .collect()
}

fn contains(bounds: Bounds, truth: Duration) -> bool {
    let truth = truth.as_secs_f64();
    bounds.lo <= truth && bounds.hi.is_some_and(|hi| truth <= hi)
}

fn width(bounds: Bounds) -> f64 {
    bounds.hi.expect("the outage ended") - bounds.lo
}

#[test]
fn the_true_outage_lies_within_the_bounds_and_the_bounds_are_two_intervals_wide() {
    let mut runs = 0;
    let mut missed = Vec::new();
    for kind in KINDS {
        for every in [10, 50, 100] {
            for seed in 0..40 {
                let simulation = broken(kind, every, seed);
                let judgement = judged(&simulation, Vec::new());
                let outage = simulation.outages[0];
                let found = downs(&judgement);
                runs += 1;
                let [spell] = found[..] else {
                    missed.push(format!("{kind:?} {every} {seed}: {found:?}"));
                    continue;
                };
                if !contains(spell.from, outage.from) || !contains(spell.to, outage.to) {
                    missed.push(format!("{kind:?} {every} {seed}: {outage:?} {spell:?}"));
                }
                let lane = users(&judgement);
                let lateness = simulation.sloppiness.late.as_secs_f64();
                let interval = simulation.every.as_secs_f64();
                let most = 2.0 * (interval + lane.healthy_bound_s + lateness)
                    + 4.0 * lane.late_p99_s.max(0.001);
                let measured = width(spell.from) + width(spell.to);
                assert!(
                    measured <= most,
                    "{kind:?} every {every} ms, seed {seed}: {measured} > {most}"
                );
            }
        }
    }
    assert!(
        missed.len() * 100 <= runs,
        "{} of {runs} missed:\n{}",
        missed.len(),
        missed.join("\n")
    );
}

#[test]
fn void_ticks_and_late_ticks_widen_the_bounds_and_do_not_shift_them() {
    let mut missed = 0;
    let mut runs = 0;
    for kind in KINDS {
        for seed in 0..60 {
            let mut simulation = broken(kind, 50, seed);
            simulation.sloppiness = Sloppiness {
                late: ms(60),
                void_one_in: 8,
            };
            let judgement = judged(&simulation, Vec::new());
            let outage = simulation.outages[0];
            runs += 1;
            let moments = &judgement.moments;
            let holds = moments
                .impact
                .is_some_and(|time| contains(time, outage.from))
                && moments
                    .recovered
                    .is_some_and(|time| contains(time, outage.to));
            missed += usize::from(!holds);
        }
    }
    assert!(missed * 100 <= runs, "{missed} of {runs} missed");
}

/// Trap 4: the fault is an interval, and what is not known of its start is not known of the recovery time.
#[test]
fn the_recovery_time_is_as_uncertain_as_the_time_of_the_fault() {
    let simulation = broken(Break::Refused, 50, 9);
    let outage = simulation.outages[0];
    let issued = outage.from.saturating_sub(ms(1500));
    let mut script = Script::plain(issued, ms(24_000), ms(28_000));
    script.verified = issued + ms(1400);
    let entries = script.record(vec![simulation.probe()], simulation.samples(), 1.0);
    let judgement = judge(&drill(Vec::new()), &environment(simulation.every), &entries);
    let fault = judgement.moments.fault.expect("it was issued");
    assert!((width(fault) - 1.4).abs() < 1e-6, "{fault:?}");
    let recovery = judgement.durations.recovery.expect("it recovered");
    assert!(width(recovery) > 1.4, "{recovery:?}");
    let earliest = outage.to.saturating_sub(script.verified);
    let latest = outage.to.saturating_sub(issued);
    assert!(
        contains(recovery, earliest) && contains(recovery, latest),
        "{recovery:?}"
    );
}

/// Trap 6: recovery is when the stable run began, not when it was long enough, and not a first answer that did not last.
#[test]
fn recovery_is_back_dated_to_the_start_of_the_stable_run() {
    let mut simulation = broken(Break::Refused, 50, 4);
    let first = Outage {
        from: ms(8000),
        to: ms(9000),
        kind: Break::Refused,
    };
    simulation.outages = vec![
        first,
        Outage {
            from: ms(9400),
            to: ms(10_000),
            ..first
        },
    ];
    let judgement = judged(&simulation, Vec::new());
    let recovered = judgement.moments.recovered.expect("it recovered");
    assert!(
        contains(recovered, ms(10_000)) && width(recovered) < 0.2,
        "{recovered:?}"
    );
    assert!(contains(
        judgement.moments.first_success.expect("it answered"),
        ms(9000)
    ));
    assert_eq!(judgement.flaps, 1);
}

/// Trap 8: a prober that stands still sees nothing, which is not the same as seeing an outage.
#[test]
fn a_prober_that_stalls_is_void_and_no_outage() {
    let mut simulation = broken(Break::Refused, 50, 6);
    simulation.outages.clear();
    let mut samples = simulation.samples();
    for sample in &mut samples {
        if sample.start >= ms(12_000) && sample.start < ms(15_000) {
            sample.verdict = SampleVerdict::Void(VoidReason::Late);
            sample.tier = None;
        }
    }
    let expect = vec![
        Expect::Outage { within: ms(0) },
        Expect::Availability { at_least: 99.0 },
        Expect::NoFailover,
    ];
    let judgement = judge(
        &drill(expect),
        &environment(simulation.every),
        &recorded(&simulation, samples),
    );
    assert_eq!(downs(&judgement), Vec::<&Spell>::new());
    for check in &judgement.checks {
        assert_eq!(check.status, CheckStatus::Inconclusive, "{}", check.message);
    }
}

/// Trap 9: what is not known is neither up nor down nor zero.
#[test]
fn what_is_not_known_is_null_and_drawn_as_unknown() {
    let mut simulation = broken(Break::Refused, 50, 6);
    simulation.outages.clear();
    let mut samples = simulation.samples();
    for sample in &mut samples {
        if sample.start >= ms(12_000) && sample.start < ms(15_000) {
            sample.verdict = SampleVerdict::Void(VoidReason::ControlFailed);
            sample.tier = None;
        }
    }
    let judgement = judge(
        &drill(Vec::new()),
        &environment(simulation.every),
        &recorded(&simulation, samples),
    );
    let seen: Vec<&Seen> = users(&judgement)
        .spells
        .iter()
        .map(|spell| &spell.seen)
        .collect();
    let primary = Seen::Tier("primary".to_owned());
    assert_eq!(seen, [&primary, &Seen::Unknown, &primary]);
    let spells = &users(&judgement).spells;
    for pair in spells.windows(2) {
        assert_eq!(pair[0].to, pair[1].from);
    }
    assert_eq!(
        users(&judgement)
            .spells
            .iter()
            .map(|spell| spell.samples)
            .sum::<u64>(),
        500
    );
    assert_eq!(judgement.moments.impact, None);
    assert_eq!(judgement.durations.recovery, None);
    assert_eq!(judgement.durations.outage, None);
    assert_eq!(judgement.durations.detection, None);
}

#[test]
fn an_epsilon_of_a_real_millisecond_grows_with_the_speed() {
    let simulation = broken(Break::Refused, 100, 8);
    let issued = before(simulation.outages[0].from);
    let script = Script::plain(issued, ms(24_000), ms(28_000));
    let mut simulation = simulation;
    simulation.sloppiness.late = ms(0);
    let widths: Vec<f64> = [1.0, 30.0]
        .into_iter()
        .map(|speed| {
            let entries = script.record(vec![simulation.probe()], simulation.samples(), speed);
            let judgement = judge(&drill(Vec::new()), &environment(ms(100)), &entries);
            width(downs(&judgement)[0].from)
        })
        .collect();
    // 2 epsilon more at each edge; the healthy latency does not matter to a refused connection.
    assert!((widths[1] - widths[0] - 0.058).abs() < 1e-6, "{widths:?}");
}

/// Trap 1: with a long time-out, requests sent into a dead service come back good when it is back.
#[test]
fn a_silent_outage_is_seen_because_good_answers_may_not_take_long() {
    let mut simulation = broken(Break::Frozen, 10, 3);
    simulation.timeout = ms(30_000);
    let judgement = judged(&simulation, Vec::new());
    let outage = simulation.outages[0];
    let found = downs(&judgement);
    assert_eq!(found.len(), 1);
    assert!(contains(found[0].to, outage.to), "{:?}", found[0]);
    assert_eq!(found[0].seen, Seen::Down("too-slow".to_owned()));
}

/// Trap 2: a request that hangs for its whole time-out tells of the moment it was sent.
#[test]
fn a_time_out_does_not_shift_the_outage_by_its_length() {
    let simulation = broken(Break::Silent, 10, 5);
    let judgement = judged(&simulation, Vec::new());
    let outage = simulation.outages[0];
    let spell = downs(&judgement)[0];
    assert!(contains(spell.from, outage.from) && contains(spell.to, outage.to));
    assert!(width(spell.from) < 0.05, "{:?}", spell.from);
}

#[test]
fn a_freeze_shorter_than_a_good_answer_may_take_is_a_stall_and_no_outage() {
    let mut simulation = broken(Break::Frozen, 10, 11);
    simulation.outages[0].to = simulation.outages[0].from + ms(500);
    let judgement = judged(&simulation, vec![Expect::Outage { within: ms(0) }]);
    assert_eq!(downs(&judgement), Vec::<&Spell>::new());
    let lane = users(&judgement);
    assert_eq!(lane.stalls, 1);
    assert!(
        (lane.longest_stall_s - 0.5).abs() < 0.03,
        "{}",
        lane.longest_stall_s
    );
    assert_eq!(judgement.checks[0].status, CheckStatus::Pass);
}

#[test]
fn a_flapping_service_is_down_once_for_each_time() {
    let mut simulation = broken(Break::Refused, 50, 2);
    let from = ms(8000);
    simulation.outages = (0..4)
        .map(|turn| Outage {
            from: from + ms(1000 * turn),
            to: from + ms(1000 * turn + 500),
            kind: Break::Refused,
        })
        .collect();
    let judgement = judged(&simulation, vec![Expect::Flaps { at_most: 2 }]);
    assert_eq!(downs(&judgement).len(), 4);
    assert_eq!(judgement.flaps, 3);
    assert_eq!(judgement.checks[0].status, CheckStatus::Fail);
    let recovered = judgement.moments.recovered.expect("it recovered");
    assert!(contains(recovered, ms(11_500)), "{recovered:?}");
    let first = judgement.moments.first_success.expect("it answered");
    assert!(contains(first, ms(8500)), "{first:?}");
}

fn limits() -> Vec<Expect> {
    vec![
        Expect::Rto {
            within: ms(2800),
            from: ClockStart::Fault,
            to: ClockStop::Stable,
            pass_rate: None,
        },
        Expect::Outage { within: ms(2500) },
        Expect::Availability { at_least: 85.0 },
        Expect::MaxErrors {
            probe: None,
            at_most: 50,
        },
    ]
}

fn simulations() -> impl Strategy<Value = Simulation> {
    (
        0..KINDS.len(),
        prop::sample::select(vec![50, 100, 250]),
        any::<u64>(),
        0u32..2,
    )
        .prop_map(|(kind, every, seed, sloppy)| {
            let mut simulation = broken(KINDS[kind], every, seed);
            simulation.sloppiness.void_one_in = sloppy * 60;
            simulation
        })
}

fn moved(bounds: Option<Bounds>, by: f64) -> Option<(i64, Option<i64>)> {
    #[expect(clippy::cast_possible_truncation, reason = "microseconds of a minute")]
    let micros = |seconds: f64| ((seconds + by) * 1e6).round() as i64;
    bounds.map(|bounds| (micros(bounds.lo), bounds.hi.map(micros)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn shifting_all_times_changes_nothing(simulation in simulations(), by in 1u64..100_000) {
        let mut entries = recorded(&simulation, simulation.samples());
        let original = judge(&drill(limits()), &environment(simulation.every), &entries);
        for entry in &mut entries {
            entry.at += ms(by);
            if let Event::Sample(sample) = &mut entry.event {
                sample.scheduled += ms(by);
                sample.start += ms(by);
                sample.end += ms(by);
            }
        }
        let changed = judge(&drill(limits()), &environment(simulation.every), &entries);
        for (before, after) in original.checks.iter().zip(&changed.checks) {
            prop_assert_eq!(before.status, after.status);
            prop_assert_eq!(before.value, after.value);
        }
        prop_assert_eq!(&original.durations, &changed.durations);
        let by = ms(by).as_secs_f64();
        prop_assert_eq!(moved(original.moments.recovered, by), moved(changed.moments.recovered, 0.0));
    }

    #[test]
    fn the_order_of_completion_does_not_matter(simulation in simulations(), seed: u64) {
        let entries = recorded(&simulation, simulation.samples());
        let drill = drill(limits());
        let environment = environment(simulation.every);
        let original = judge(&drill, &environment, &entries);
        // Samples of the same phase in any order.
        let mut shuffled = entries;
        let mut random = fastrand::Rng::with_seed(seed);
        for chunk in shuffled.chunk_by_mut(|left, right| {
            matches!(left.event, Event::Sample(_)) && matches!(right.event, Event::Sample(_))
        }) {
            for window in chunk.chunks_mut(30) {
                random.shuffle(window);
            }
        }
        prop_assert_eq!(original, judge(&drill, &environment, &shuffled));
    }

    #[test]
    fn turning_a_good_sample_bad_never_improves_a_verdict(
        simulation in simulations(),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 1..4),
        class in prop::sample::select(vec![ErrorClass::Refused, ErrorClass::Http5xx]),
    ) {
        let mut samples = simulation.samples();
        let drill = drill(limits());
        let environment = environment(simulation.every);
        let original = judge(&drill, &environment, &recorded(&simulation, samples.clone()));
        let issued = before(simulation.outages[0].from);
        let good: Vec<usize> = (0..samples.len())
            .filter(|index| {
                let sample = &samples[*index];
                sample.verdict == SampleVerdict::Good && sample.start > issued
            })
            .collect();
        for pick in picks {
            let sample = &mut samples[good[pick.index(good.len())]];
            sample.verdict = SampleVerdict::Bad(class);
            sample.tier = None;
        }
        let changed = judge(&drill, &environment, &recorded(&simulation, samples));
        for (before, after) in original.checks.iter().zip(&changed.checks) {
            // An undecided one may become decided in either direction only if its value did not grow.
            let improved = after.status < before.status;
            prop_assert!(!improved, "{}: {} became {}", before.name, before.message, after.message);
        }
    }
}
