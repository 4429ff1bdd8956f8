//! Drills that people take part in: what they are asked, what they mark, and what bounds them all the same.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use blackstart::{
    exit_code::ExitCode,
    run::{Operator, Pauses, Said, Terms},
    timeline::{Act, Entry, Event, FaultStep, Mark, Outcome, SampleVerdict},
};

use crate::{
    assert_aborted,
    trial::{Trial, Tried},
};

const LEAD: &str = "lead";

/// The first machine answers 503, then a person is asked, then the check is inverted.
fn trial(within: &str, operator: &Operator) -> Trial {
    let mut trial = Trial::new()
        .breaking(&format!(
            "respond: {{ target: first, status: 503 }}\n  - pause: call the network team\n    role: network\n    within: {within}\n  - \
             invert-health-check: {{ target: check }}"
        ))
        .holding("10s");
    trial.terms = Terms {
        pauses: Pauses::Asked(operator.clone()),
        ..Terms::default()
    };
    trial
}

fn acts(tried: &Tried) -> Vec<&Act> {
    tried
        .entries
        .iter()
        .filter_map(|entry| {
            if let Event::Operator { act, .. } = &entry.event {
                Some(act)
            } else {
                None
            }
        })
        .collect()
}

fn is_asked(entry: &Entry) -> bool {
    matches!(
        entry.event,
        Event::Operator {
            act: Act::Asked { .. },
            ..
        }
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_goes_on_when_a_person_says_so_and_keeps_what_people_mark_and_note() {
    let operator = Operator::new();
    let role = Some(LEAD.to_owned());
    let said = [
        Said::Marked {
            role: role.clone(),
            mark: Mark::Declared,
        },
        Said::Noted {
            role: role.clone(),
            text: "the switch was restarted".to_owned(),
        },
        Said::Done { role },
    ];
    let speaker = operator.clone();
    let tried = trial("5m", &operator)
        .run_watched(&mut |entry| {
            if is_asked(entry) {
                for said in &said {
                    assert!(speaker.say(said.clone()), "the run listens");
                }
            }
        })
        .await;
    assert_eq!(
        tried.steps(FaultStep::Issued),
        2,
        "{:?}",
        tried.report.judgement.reasons
    );
    let acts = acts(&tried);
    assert_eq!(acts.len(), 4, "{acts:?}");
    assert!(matches!(acts[0], Act::Asked { within, .. } if *within == Duration::from_mins(5)));
    for wanted in [
        &Act::Marked(Mark::Declared),
        &Act::Noted("the switch was restarted".to_owned()),
        &Act::Done,
    ] {
        assert!(acts.contains(&wanted), "{acts:?}");
    }
    let operated = &tried.report.operator;
    let declared = operated.iter().find(|act| act.what == "declared").unwrap();
    assert_eq!(declared.role.as_deref(), Some(LEAD));
    assert!(declared.since_fault_s.is_some());
    let terminal = tried.terminal();
    assert!(
        terminal.contains("noted: the switch was restarted"),
        "{terminal}"
    );
    tried.assert_nothing_is_left();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_does_not_answer_in_time_ends_the_drill_and_everything_is_reverted() {
    let operator = Operator::new();
    let tried = trial("20s", &operator).run().await;
    assert_eq!(tried.exit_code(), ExitCode::CouldNotRun);
    assert_eq!(tried.steps(FaultStep::Issued), 1);
    let reasons = tried.report.judgement.reasons.join("; ");
    assert!(
        reasons
            .contains("nobody said within 20s that this is done: call the network team (network)"),
        "{reasons}"
    );
    assert_eq!(acts(&tried).last(), Some(&&Act::Unanswered));
    tried.assert_nothing_is_left();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_on_the_time_of_faults_holds_while_a_person_is_waited_for() {
    let operator = Operator::new();
    let trial = trial("10m", &operator).with("limits: { max-fault: 20s }");
    assert_aborted(&trial.run().await, "faults in place for 20s");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_before_somebody_was_asked_is_no_answer() {
    let operator = Operator::new();
    let early = Arc::new(operator.clone());
    let tried = trial("20s", &operator)
        .run_watched(&mut |entry| {
            if matches!(
                entry.event,
                Event::Fault {
                    step: FaultStep::Issued,
                    ..
                }
            ) {
                early.say(Said::Done { role: None });
            }
        })
        .await;
    let ended = tried.entries.last().map(|entry| &entry.event);
    let Some(Event::Ended { outcome, .. }) = ended else {
        panic!("the timeline has an end: {ended:?}");
    };
    assert!(
        matches!(outcome, Outcome::CouldNotRun { .. }),
        "{outcome:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_broken_of_a_service_that_failed_while_a_person_was_waited_for() {
    let operator = Operator::new();
    let mut trial = Trial::new().breaking(
        "pause: call the network team\n    within: 10m\n  - invert-health-check: { target: check }",
    );
    trial.terms = Terms {
        pauses: Pauses::Asked(operator.clone()),
        ..Terms::default()
    };
    let fails = Arc::clone(&trial.fails_by_itself);
    let mut failures = 0;
    let tried = trial
        .run_watched(&mut |entry| {
            if is_asked(entry) {
                fails.store(true, Ordering::Relaxed);
            }
            let failed = matches!(&entry.event, Event::Sample(sample)
                if sample.probe == "read" && matches!(sample.verdict, SampleVerdict::Bad(_)));
            failures += u32::from(failed);
            // Samples before the first that failed may still be under way.
            if failures >= 3 {
                operator.say(Said::Done { role: None });
            }
        })
        .await;
    assert_eq!(tried.exit_code(), ExitCode::CouldNotRun);
    let reasons = tried.report.judgement.reasons.join("; ");
    assert!(
        reasons.contains("while a person was waited for; nothing was injected"),
        "{reasons}"
    );
    assert_eq!(tried.steps(FaultStep::Captured), 0);
}
