use super::*;
use crate::{
    environment::Connection,
    timeline::{ErrorClass, PhaseTimes, VoidReason},
};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn started() -> ProbeStarted {
    ProbeStarted {
        name: "read".to_owned(),
        kind: ProbeKind::Http {
            request: "read".to_owned(),
            writes: false,
            connection: Connection::New,
            standby: None,
        },
        every: ms(100),
        timeout: ms(2000),
        good_within: ms(800),
    }
}

/// A sample sent at `seq` times 100 ms that took so long.
fn sample(seq: u64, took: u64, seen: &str) -> Sample {
    let start = ms(seq * 100);
    let verdict = match seen {
        "bad" => SampleVerdict::Bad(ErrorClass::ResponseTimeout),
        "503" => SampleVerdict::Bad(ErrorClass::Http5xx),
        "void" => SampleVerdict::Void(VoidReason::Dropped),
        _ => SampleVerdict::Good,
    };
    Sample {
        probe: "read".to_owned(),
        seq,
        scheduled: start,
        start,
        end: start + ms(took),
        verdict,
        tier: (verdict == SampleVerdict::Good).then(|| seen.to_owned()),
        phases: PhaseTimes::default(),
        status: None,
        address: None,
        headers: std::collections::BTreeMap::new(),
        found: Vec::new(),
        answers: Vec::new(),
        ttl: None,
        response_code: None,
        detail: None,
    }
}

/// A watch with a steady state of 4 ms an answer until 1 s, so that H is 10 ms, and then these samples.
fn watch(then: &[(u64, &str)]) -> Watch {
    let mut watch = Watch::new(&started(), 1.0);
    for seq in 0..10 {
        watch.push(&sample(seq, 4, "a"));
    }
    watch.steady_until(ms(990));
    for (seq, (took, seen)) in (10..).zip(then) {
        watch.push(&sample(seq, *took, seen));
    }
    watch
}

/// The changes with their bounds in milliseconds.
fn edges(watch: &Watch) -> Vec<(u128, Option<u128>)> {
    let stretches = watch.stretches().iter().skip(1);
    stretches
        .map(|stretch| {
            let span = stretch.from.span;
            (span.lo.as_millis(), span.hi.map(|hi| hi.as_millis()))
        })
        .collect()
}

#[test]
fn the_healthy_bound_is_twice_the_slowest_and_two_milliseconds() {
    assert_eq!(watch(&[]).healthy_bound(), ms(10));
    let mut slow = Watch::new(&started(), 1.0);
    slow.push(&sample(0, 700, "a"));
    assert_eq!(slow.healthy_bound(), ms(800));
    let fast = Watch::new(&started(), 30.0);
    assert_eq!(fast.epsilon(), ms(30));
}

#[test]
fn edges_of_an_outage_are_placed_by_both_ends_of_samples() {
    for (name, then, found) in [
        (
            "fast failures",
            &[(4, "a"), (1, "503"), (1, "503"), (4, "a")][..],
            &[(1000, 1101), (1200, 1304)][..],
        ),
        (
            "failures that hang: sharpened to H after the start",
            &[(4, "a"), (2000, "bad"), (2000, "bad"), (4, "a")],
            &[(1000, 1110), (1200, 1304)],
        ),
        (
            "a freeze: what was sent before the thaw comes back slow and good",
            &[
                (4, "a"),
                (900, "bad"),
                (750, "a"),
                (650, "a"),
                (550, "a"),
                (450, "a"),
                (350, "a"),
                (250, "a"),
                (150, "a"),
                (50, "a"),
                (4, "a"),
            ],
            &[(1000, 1110), (1900, 1950)],
        ),
        (
            "slow ever after: the last failure alone says when it ended",
            &[
                (4, "a"),
                (1, "503"),
                (150, "a"),
                (150, "a"),
                (150, "a"),
                (150, "a"),
            ],
            &[(1000, 1101), (1100, 1350)],
        ),
        (
            "back on another tier, whose healthy latency nobody knows",
            &[(4, "a"), (1, "503"), (300, "b"), (300, "b"), (300, "b")],
            &[(1000, 1101), (1100, 1500)],
        ),
        (
            "void samples are skipped and widen the bounds",
            &[
                (4, "a"),
                (0, "void"),
                (1, "503"),
                (0, "void"),
                (0, "void"),
                (4, "a"),
            ],
            &[(1000, 1201), (1200, 1504)],
        ),
        (
            "from one tier to another without a failure",
            &[(4, "a"), (4, "b")],
            &[(1000, 1104)],
        ),
        (
            "slow and then failing, with an answer in flight at the first failure",
            &[(4, "a"), (300, "a"), (2000, "bad"), (2000, "bad")],
            &[(1000, 1110)],
        ),
        (
            "slow long before it failed: the first failure alone says when it began",
            &[(4, "a"), (50, "a"), (50, "a"), (2000, "bad")],
            &[(1200, 1310)],
        ),
    ] {
        let mut watch = watch(then);
        watch.finish();
        let found: Vec<(u128, Option<u128>)> =
            found.iter().map(|(lo, hi)| (*lo, Some(*hi))).collect();
        assert_eq!(edges(&watch), found, "{name}");
    }
}

#[test]
fn an_outage_is_named_by_the_class_of_most_of_its_failures() {
    let watch = watch(&[(1, "503"), (1, "bad"), (1, "bad")]);
    let last = watch.stretches().last().unwrap();
    assert_eq!(last.class(), Some(ErrorClass::ResponseTimeout));
    assert_eq!((last.samples, last.bad), (3, 3));
}

#[test]
fn stalls_are_counted_apart_from_outages() {
    let mut watch = watch(&[(4, "a"), (300, "a"), (200, "a"), (4, "a"), (50, "a")]);
    watch.finish();
    assert_eq!(watch.stalls(), (2, ms(300)));
    assert_eq!(watch.stretches().len(), 1);
}

#[test]
fn a_failure_in_the_steady_state_begins_it_anew() {
    let mut watch = Watch::new(&started(), 1.0);
    for (seq, took, seen) in [(0, 300, "a"), (1, 1, "503"), (2, 4, "a")] {
        watch.push(&sample(seq, took, seen));
    }
    assert_eq!(watch.healthy_bound(), ms(10));
}

#[test]
fn a_sample_counts_when_those_before_it_are_there() {
    let mut watch = Watch::new(&started(), 1.0);
    watch.push(&sample(1, 4, "a"));
    watch.push(&sample(2, 4, "a"));
    assert_eq!(watch.good_run(), None);
    watch.push(&sample(0, 4, "a"));
    assert_eq!(watch.good_run().unwrap().samples, 3);
    watch.push(&sample(1, 1, "503"));
    assert_eq!(watch.good_run().unwrap().samples, 3);
}

#[test]
fn samples_that_never_come_are_given_up_and_counted_as_lost() {
    let mut watch = Watch::new(&started(), 1.0);
    for seq in 5..500 {
        watch.push(&sample(seq, 4, "a"));
    }
    assert_eq!(watch.good_run().unwrap().samples, 495);
    assert_eq!(watch.tally().lost(), 5);
}

#[test]
fn memory_does_not_grow_with_the_number_of_samples() {
    let mut watch = watch(&[]);
    for seq in 10..20_000 {
        watch.push(&sample(seq, 4 + seq % 5, "a"));
    }
    assert_eq!(watch.stretches().len(), 1);
    assert_eq!(watch.tally().answers().len(), 1);
}

#[test]
fn a_good_run_names_its_tier_if_there_was_but_one() {
    let one = watch(&[(4, "a")]);
    assert_eq!(one.good_run().unwrap().tier, Some("a"));
    assert_eq!(one.good_run().unwrap().since, ms(0));
    let two = watch(&[(4, "a"), (4, "b")]);
    assert_eq!(two.good_run().unwrap().tier, None);
    assert_eq!(two.tier(), Some("b"));
    assert_eq!(watch(&[(1, "503")]).good_run(), None);
}

#[test]
fn stable_is_five_seconds_without_a_failure_and_on_the_tier() {
    let mut then = vec![(1, "503")];
    then.extend([(4, "b"); 50]);
    let almost = watch(&then);
    assert_eq!(almost.stable_since(ms(0), None), None);
    then.push((4, "b"));
    let stable = watch(&then);
    assert_eq!(stable.stable_since(ms(0), None), Some(ms(1100)));
    assert_eq!(stable.stable_since(ms(0), Some("b")), Some(ms(1100)));
    assert_eq!(stable.stable_since(ms(0), Some("a")), None);
    assert_eq!(stable.stable_since(ms(1200), None), None);
}

#[test]
fn recovered_means_failed_and_then_stable() {
    let mut then = vec![(4, "a"); 80];
    assert_eq!(watch(&then).recovered_since(ms(1000)), None);
    then.push((1, "503"));
    assert_eq!(watch(&then).failed_since(ms(1000)), Some(ms(9000)));
    assert_eq!(watch(&then).recovered_since(ms(1000)), None);
    then.extend([(4, "b"); 60]);
    assert_eq!(watch(&then).recovered_since(ms(1000)), Some(ms(9100)));
    assert_eq!(watch(&then).recovered_since(ms(9050)), None);
}

#[test]
fn what_was_under_way_when_the_run_ended_leaves_no_gap() {
    let mut watch = watch(&[(4, "a"), (4, "a")]);
    for seq in 12..20 {
        let mut late = sample(seq, 0, "void");
        late.verdict = SampleVerdict::Void(VoidReason::Cancelled);
        watch.push(&late);
    }
    watch.finish();
    assert_eq!(watch.tally().held().void, 0);
    assert_eq!(watch.tally().gaps(), []);
    assert_eq!(watch.tally().void()[&VoidReason::Cancelled], 8);
}

#[test]
fn rotated_addresses_are_the_same_answer() {
    let mut watch = Watch::new(&started(), 1.0);
    for seq in 0..4 {
        let mut rotated = sample(seq, 4, "a");
        rotated.tier = None;
        rotated.answers = vec!["192.0.2.1".to_owned(), "192.0.2.2".to_owned()];
        rotated.answers.rotate_left(usize::from(seq % 2 == 1));
        watch.push(&rotated);
    }
    assert_eq!(watch.stretches().len(), 1);
}
