//! What bounds a drill, whatever it says: limits, conditions, confirmation, the kill switch; and what is looked at beforehand.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

mod people;
mod program;
mod trial;

use std::time::Duration;

use blackstart::{
    exit_code::ExitCode,
    run::Terms,
    timeline::{Event, FaultStep, Phase},
    verdict::{CheckStatus, Verdict},
};
use trial::{Binding, Trial, Tried};

/// The drill was ended early by this condition, everything is as it was, and every report says so.
fn assert_aborted(tried: &Tried, condition: &str) {
    let judgement = &tried.report.judgement;
    assert_eq!(
        judgement.verdict,
        Verdict::Aborted,
        "{:?}",
        judgement.reasons
    );
    let aborted = judgement.aborted.as_ref().unwrap();
    assert_eq!(aborted.condition, condition, "{}", aborted.reason);
    assert_eq!(tried.exit_code(), ExitCode::CouldNotRun);
    tried.assert_nothing_is_left();
    for check in &judgement.checks {
        assert_eq!(check.status, CheckStatus::NotRun);
    }
    let junit = tried.junit();
    assert!(junit.contains("type=\"harness.abort\""), "{junit}");
    let terminal = tried.terminal();
    assert!(
        terminal.contains("ABORTED") && terminal.contains(condition),
        "{terminal}"
    );
    assert!(
        tried
            .entries
            .iter()
            .any(|entry| matches!(entry.event, Event::Aborted { .. })),
        "no event tells of it"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_are_reverted_when_their_time_is_over_whatever_the_drill_says() {
    let tried = Trial::new().with("limits: { max-fault: 20s }").run().await;
    assert_aborted(&tried, "faults in place for 20s");
    let (issued, reverted) = (
        tried.time_of(FaultStep::Issued),
        tried.time_of(FaultStep::RevertIssued),
    );
    assert!(
        reverted >= issued + Duration::from_secs(20),
        "{issued:?} {reverted:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_injection_that_never_ends_is_no_way_round_the_limit() {
    let tried = Trial::new()
        .with("limits: { max-fault: 20s }")
        .bound(Binding::Hangs)
        .run()
        .await;
    assert_aborted(&tried, "faults in place for 20s");
    assert_eq!(tried.steps(FaultStep::Acknowledged), 0);
    assert_eq!(tried.steps(FaultStep::Restored), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_that_is_too_long_ends_the_drill() {
    let tried = Trial::new()
        .aborted_if("outage-longer-than: 15s")
        .run()
        .await;
    assert_aborted(&tried, "outage longer than 15s");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_errors_of_a_probe_end_the_drill() {
    let tried = Trial::new()
        .with("abort-if:\n  - errors-above: { probe: read, percent: 50, over: 20s }")
        .run()
        .await;
    assert_aborted(&tried, "errors of read above 50% over 20s");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_observer_that_turns_bad_ends_the_drill() {
    let tried = Trial::new()
        .aborted_if("observer-bad: health-check")
        .run()
        .await;
    assert_aborted(&tried, "observer health-check bad");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_that_is_not_healthy_ends_the_drill() {
    let tried = Trial::new()
        .breaking("respond: { target: second, status: 503 }")
        .aborted_if("standby-not-healthy: standby")
        .run()
        .await;
    assert_aborted(&tried, "standby not healthy by standby");
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_that_are_not_met_leave_the_drill_alone() {
    let tried = Trial::new()
        .exchanged("failure-threshold: 2", "failure-threshold: 9")
        .with("limits: { max-fault: 5m, at-once: 1, targets: [first], lab: { kinds: [virtual-machine] } }")
        .with("abort-if:\n  - outage-longer-than: 5m\n  - observer-bad: health-check")
        .aborted_if("errors-above: { probe: read, percent: 99, over: 10m }")
        .aborted_if("standby-not-healthy: standby")
        .holding("20s")
        .run()
        .await;
    let judgement = &tried.report.judgement;
    assert_eq!(judgement.aborted, None);
    assert_eq!(judgement.verdict, Verdict::Pass, "{:?}", judgement.reasons);
    tried.assert_nothing_is_left();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_last_resort_is_found_before_anything_is_broken() {
    // Answers to its own name only, as a static website does.
    let dead = "{ url: http://page.shop.test/, host-header: www.shop.test }";
    let tried = Trial::new().with_page(dead).run().await;
    let judgement = &tried.report.judgement;
    assert_eq!(tried.exit_code(), ExitCode::CouldNotRun);
    assert_eq!(tried.steps(FaultStep::Captured), 0);
    assert_eq!(tried.steps(FaultStep::Issued), 0);
    tried.assert_nothing_is_left();
    let finding = &judgement.findings[0];
    assert_eq!(finding.code, "standby-dead");
    assert_eq!(
        finding.text,
        "the tier `page` (a static page) has been dead before anything was broken: status 400"
    );
    assert!(judgement.reasons[0].contains(&finding.text));
    let table: Vec<_> = judgement
        .preflight
        .iter()
        .map(|checked| (checked.tier.as_str(), checked.good))
        .collect();
    assert_eq!(table, [("first", Some(true)), ("page", Some(false))]);
    let terminal = tried.terminal();
    let row = " page       DEAD   GET http://page.shop.test/ as www.shop.test  status 400";
    assert!(terminal.contains(row), "{terminal}");
    assert!(
        tried.junit().contains("type=\"harness.preflight\""),
        "{}",
        tried.junit()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_does_all_but_touch() {
    let mut trial = Trial::new()
        .with_page("{ url: http://page.shop.test/ }")
        .with("protected: true");
    trial.terms.dry_run = true;
    let tried = trial.run().await;
    let judgement = &tried.report.judgement;
    assert_eq!(
        judgement.verdict,
        Verdict::DryRun,
        "{:?}",
        judgement.reasons
    );
    assert_eq!(tried.exit_code(), ExitCode::Passed);
    tried.assert_nothing_is_left();
    assert_eq!(tried.journal.captured(), []);
    assert_eq!(tried.steps(FaultStep::Rehearsed), 1);
    for step in [FaultStep::Captured, FaultStep::Issued] {
        assert_eq!(tried.steps(step), 0, "{step:?}");
    }
    assert!(
        judgement
            .preflight
            .iter()
            .all(|checked| checked.good == Some(true)),
        "{:?}",
        judgement.preflight
    );
    let terminal = tried.terminal();
    for words in [
        "DRY RUN",
        "would answer every request with 503 on lab virtual-machine/first",
        "to restore it set answers to normal",
        "nothing was injected",
    ] {
        assert!(terminal.contains(words), "{words}: {terminal}");
    }
    assert!(
        judgement
            .checks
            .iter()
            .all(|check| check.status == CheckStatus::NotRun)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_on_a_sick_architecture_could_not_run() {
    let mut trial = Trial::new().with_page("{ url: http://nowhere.shop.test/ }");
    trial.terms.dry_run = true;
    let tried = trial.run().await;
    assert_eq!(tried.exit_code(), ExitCode::CouldNotRun);
    assert_eq!(tried.steps(FaultStep::Rehearsed), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_binding_really_touches_is_held_against_the_limits_again() {
    let tried = Trial::new()
        .with("limits: { lab: { kinds: [virtual-machine] } }")
        .bound(Binding::TouchesAnother)
        .run()
        .await;
    assert_eq!(tried.exit_code(), ExitCode::CouldNotRun);
    assert_eq!(tried.steps(FaultStep::Captured), 0);
    assert_eq!(tried.steps(FaultStep::Issued), 0);
    let reasons = tried.report.judgement.reasons.join("\n");
    assert!(
        reasons.contains("does not name `workload`, and `first` is one"),
        "{reasons}"
    );
    tried.assert_nothing_is_left();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_that_is_acknowledged_and_not_to_be_seen_never_passes() {
    let tried = Trial::new()
        .bound(Binding::Pretends)
        .expecting("no-failover: true")
        .run()
        .await;
    assert_eq!(tried.report.judgement.verdict, Verdict::Invalid);
    assert_eq!(tried.exit_code(), ExitCode::CouldNotRun);
    assert_eq!(tried.steps(FaultStep::NotVerified), 1);
    let junit = tried.junit();
    assert!(
        junit.contains("type=\"harness.inject\"") && junit.contains("is not in place"),
        "{junit}"
    );
    let terminal = tried.terminal();
    assert!(
        terminal.contains("INVALID") && terminal.contains("does not show"),
        "{terminal}"
    );
    tried.assert_nothing_is_left();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kill_switch_stops_a_run_and_reverts() {
    let mut trial = Trial::new();
    let switch = trial.folder.path().join("stop-all");
    trial.terms = Terms {
        kill_switch: Some(switch.clone()),
        ..Terms::default()
    };
    let tried = trial
        .run_watched(&mut |entry| {
            if matches!(entry.event, Event::Phase { phase: Phase::Hold }) {
                std::fs::write(&switch, "").unwrap();
            }
        })
        .await;
    assert_aborted(&tried, "kill switch");
    assert_eq!(tried.steps(FaultStep::Restored), 1);
}
