//! Every step of a run may fail: whatever was captured is restored or named, and the run has a timeline with an end.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod scripted;

use std::{sync::Arc, time::Duration};

use blackstart::{
    exit_code::ExitCode,
    run::RunError,
    timeline::{Entry, Event, FaultStep, Outcome, Phase},
};
use futures_util::{StreamExt, stream};
use scripted::{Act, Call, KINDS, LARGE_UNDO, Played, Script};

/// How many runs go on at once in one test: they mostly wait.
const AT_ONCE: usize = 6;

/// What holds for every run, however it went.
fn assert_nothing_is_forgotten(played: &Played, case: &str) {
    let Some(Entry {
        event: Event::Ended { outcome, .. },
        ..
    }) = played.entries.last()
    else {
        panic!(
            "{case}: the timeline has no end: {:?}",
            played.entries.last()
        );
    };
    assert_eq!(*outcome, played.finished.outcome, "{case}");
    assert!(matches!(played.entries[0].event, Event::Run(_)), "{case}");
    assert!(
        played.unprepared.is_empty(),
        "{case}: injected before the undo was on disk: {:?}",
        played.unprepared
    );

    assert!(
        played.journal.damaged.is_empty() && !played.journal.torn,
        "{case}"
    );
    let captured = played.journalled(FaultStep::Captured);
    let mut expected: Vec<_> = captured.iter().rev().copied().collect();
    expected.sort_by_key(|kind| played.patient == Some(*kind));
    assert_eq!(
        played.journalled(FaultStep::RevertIssued),
        expected,
        "{case}: not everything captured was reverted, the last first, and what takes minutes last"
    );
    let captured_at_all = played
        .kinds_of(Call::Inject)
        .into_iter()
        .all(|kind| captured.contains(&kind));
    assert!(captured_at_all, "{case}: injected and not captured");

    let mut left = 0;
    for kind in &captured {
        let restored = played.journalled(FaultStep::Restored).contains(kind);
        let failed = played.journalled(FaultStep::RevertFailed).contains(kind);
        assert!(
            restored != failed,
            "{case}: the journal does not tell how `{kind}` ended"
        );
        left += usize::from(failed);
        assert!(
            failed || !played.broken.contains(kind),
            "{case}: `{kind}` is broken"
        );
    }
    assert_eq!(played.journal.leftovers().len(), left, "{case}");
    assert_eq!(
        played.finished.left_broken.len(),
        left,
        "{case}: {:?}",
        played.finished.left_broken
    );
    assert_eq!(played.report.judgement.restored, left == 0, "{case}");
    assert_eq!(
        played.exit_code() == ExitCode::NotRestored,
        left > 0,
        "{case}"
    );
}

fn phases(played: &Played) -> Vec<Phase> {
    let phase = |entry: &Entry| {
        if let Event::Phase { phase } = entry.event {
            Some(phase)
        } else {
            None
        }
    };
    played.entries.iter().filter_map(phase).collect()
}

fn notes(played: &Played) -> Vec<&str> {
    let text = |entry| {
        if let &Entry {
            event: Event::Note { ref text },
            ..
        } = entry
        {
            Some(text.as_str())
        } else {
            None
        }
    };
    played.entries.iter().filter_map(text).collect()
}

fn reached(played: &Played, step: FaultStep) -> Vec<&'static str> {
    let kind = |entry: &Entry| {
        if let Event::Fault { id, step: made, .. } = entry.event {
            (made == step).then_some(KINDS[id])
        } else {
            None
        }
    };
    played.entries.iter().filter_map(kind).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_that_all_succeed_are_made_in_order_and_undone_in_the_reverse_order() {
    let played = Script::new().play().await;
    assert_nothing_is_forgotten(&played, "all succeed");
    assert_eq!(played.finished.outcome, Outcome::Completed);
    assert_eq!(
        played.exit_code(),
        ExitCode::Passed,
        "{:?}",
        played.report.judgement.reasons
    );
    let expected = [
        Phase::SteadyState,
        Phase::Inject,
        Phase::Hold,
        Phase::Revert,
        Phase::Failback,
    ];
    assert_eq!(phases(&played), expected);
    let calls: Vec<_> = played
        .calls
        .iter()
        .map(|(kind, call)| (*call, *kind))
        .collect();
    let [first, second, third] = KINDS;
    let expected = [
        (Call::Capture, first),
        (Call::Capture, second),
        (Call::Inject, first),
        (Call::Inject, second),
        (Call::IsInPlace, first),
        (Call::IsInPlace, second),
        (Call::Capture, third),
        (Call::Inject, third),
        (Call::IsInPlace, third),
        (Call::Look, third),
        (Call::Revert, third),
        (Call::IsRestored, third),
        (Call::Look, second),
        (Call::Revert, second),
        (Call::IsRestored, second),
        (Call::Look, first),
        (Call::Revert, first),
        (Call::IsRestored, first),
    ];
    assert_eq!(calls, expected);
    for step in [
        FaultStep::Captured,
        FaultStep::Issued,
        FaultStep::Acknowledged,
        FaultStep::Verified,
    ] {
        assert_eq!(reached(&played, step), KINDS, "{step:?}");
        assert_eq!(played.journalled(step), KINDS, "{step:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_step_fails_and_however_everything_captured_is_restored_or_named() {
    let mut cases = Vec::new();
    for kind in KINDS {
        for call in [
            Call::Capture,
            Call::Inject,
            Call::IsInPlace,
            Call::Look,
            Call::Revert,
            Call::IsRestored,
        ] {
            for act in [Act::Fail, Act::Hang, Act::Panic, Act::PanicAtOnce] {
                cases.push((kind, call, act));
            }
        }
    }
    let runs = stream::iter(cases).map(|(kind, call, act)| async move {
        let played = Script::new().with(kind, call, act).play().await;
        let case = format!("{act:?} at {call:?} of {kind}");
        assert_nothing_is_forgotten(&played, &case);
        match call {
            Call::Capture | Call::Inject | Call::IsInPlace => {
                assert_eq!(played.exit_code(), ExitCode::CouldNotRun, "{case}");
                let Outcome::CouldNotRun { phase, reason } = &played.finished.outcome else {
                    panic!("{case}: {:?}", played.finished.outcome);
                };
                assert_eq!(*phase, Phase::Inject, "{case}");
                assert!(reason.contains(kind), "{case}: {reason}");
                assert!(played.broken.is_empty(), "{case}");
                assert!(!phases(&played).contains(&Phase::Hold), "{case}");
                // The third fault belongs to a later step, which is not begun when the first is in trouble.
                let later = kind != KINDS[2] && played.kinds_of(Call::Capture).contains(&KINDS[2]);
                assert!(!later, "{case}: went on");
            }
            Call::Look | Call::Revert | Call::IsRestored => {
                assert_eq!(played.exit_code(), ExitCode::NotRestored, "{case}");
                assert_eq!(reached(&played, FaultStep::RevertFailed), [kind], "{case}");
                let [left] = &played.finished.left_broken[..] else {
                    panic!("{case}")
                };
                assert!(left.contains(&format!("put {kind} back")), "{case}: {left}");
                assert_eq!(
                    played.broken.contains(kind),
                    call != Call::IsRestored,
                    "{case}"
                );
            }
        }
    });
    let done: Vec<()> = runs.buffer_unordered(AT_ONCE).collect().await;
    assert_eq!(done.len(), 72);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revert_that_fails_once_is_tried_again_and_the_run_counts() {
    let played = Script::new()
        .with("stop", Call::Revert, Act::FailOnce)
        .play()
        .await;
    assert_nothing_is_forgotten(&played, "fails once");
    assert_eq!(
        played.exit_code(),
        ExitCode::Passed,
        "{:?}",
        played.report.judgement.reasons
    );
    assert_eq!(
        played
            .calls
            .iter()
            .filter(|call| **call == ("stop", Call::Revert))
            .count(),
        2
    );
    assert!(
        notes(&played)
            .iter()
            .any(|note| note.starts_with("attempt 1 to revert `first` failed")),
        "{:?}",
        notes(&played)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revert_that_always_fails_is_tried_three_times() {
    let played = Script::new()
        .with("pause", Call::Revert, Act::Fail)
        .play()
        .await;
    assert_nothing_is_forgotten(&played, "always fails");
    assert_eq!(
        played
            .calls
            .iter()
            .filter(|call| **call == ("pause", Call::Revert))
            .count(),
        3
    );
    assert_eq!(
        reached(&played, FaultStep::Restored),
        ["invert-health-check", "stop"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_that_is_acknowledged_and_never_in_place_is_no_drill() {
    let played = Script::new()
        .with("invert-health-check", Call::Inject, Act::Pretend)
        .play()
        .await;
    assert_nothing_is_forgotten(&played, "never in place");
    assert_eq!(played.exit_code(), ExitCode::CouldNotRun);
    assert_eq!(reached(&played, FaultStep::Verified), ["stop"]);
    assert_eq!(
        reached(&played, FaultStep::NotVerified),
        ["invert-health-check"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_changed_meanwhile_is_named_and_left_alone() {
    let played = Script::new()
        .with("stop", Call::Look, Act::ChangedByOthers)
        .play()
        .await;
    assert_nothing_is_forgotten(&played, "changed by others");
    assert_eq!(played.exit_code(), ExitCode::NotRestored);
    assert!(!played.kinds_of(Call::Revert).contains(&"stop"));
    let [left] = &played.finished.left_broken[..] else {
        panic!("{:?}", played.finished.left_broken)
    };
    for words in ["`first`", "is as others want it", "revert --force"] {
        assert!(left.contains(words), "{left}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revert_that_says_yes_and_does_nothing_is_tried_again_and_found_out() {
    let played = Script::new()
        .with("stop", Call::Revert, Act::Pretend)
        .play()
        .await;
    assert_nothing_is_forgotten(&played, "pretends");
    assert_eq!(played.exit_code(), ExitCode::NotRestored);
    assert_eq!(
        reached(&played, FaultStep::Reverted),
        ["pause", "invert-health-check", "stop", "stop", "stop"]
    );
    assert_eq!(reached(&played, FaultStep::RevertFailed), ["stop"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_control_plane_is_waited_for() {
    let mut script = Script::new();
    for call in [
        Call::Capture,
        Call::Inject,
        Call::IsInPlace,
        Call::Revert,
        Call::IsRestored,
    ] {
        script = script.with("stop", call, Act::Slow);
    }
    let played = script.play().await;
    assert_nothing_is_forgotten(&played, "slow");
    assert_eq!(
        played.exit_code(),
        ExitCode::Passed,
        "{:?}",
        played.report.judgement.reasons
    );
}

/// Asks for a stop when an event of the run says that it is time.
async fn stopped_when(signal: &str, is_time: impl Fn(&Event) -> bool + Sync) -> Played {
    let script = Script::new();
    let stopper = script.stopper();
    let look_on = &mut |entry: &Entry| {
        if is_time(&entry.event) {
            stopper.stop(signal);
        }
    };
    script.play_watched(look_on).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_stopped_in_any_phase_restores_everything_and_says_by_what() {
    let cases = [
        (Phase::SteadyState, "SIGINT", ExitCode::Interrupted, 0),
        (Phase::Inject, "SIGTERM", ExitCode::Terminated, 0),
        (Phase::Hold, "SIGINT", ExitCode::Interrupted, 3),
        (Phase::Hold, "SIGTERM", ExitCode::Terminated, 3),
        (Phase::Revert, "SIGINT", ExitCode::Interrupted, 3),
        (Phase::Failback, "SIGTERM", ExitCode::Terminated, 3),
    ];
    let runs = stream::iter(cases).map(|(phase, signal, code, captured)| async move {
        let played = stopped_when(
            signal,
            |event| matches!(event, Event::Phase { phase: begun } if *begun == phase),
        )
        .await;
        let case = format!("{signal} in {phase:?}");
        assert_nothing_is_forgotten(&played, &case);
        assert_eq!(
            played.exit_code(),
            code,
            "{case}: {:?}",
            played.report.judgement.reasons
        );
        assert_eq!(
            played.finished.outcome,
            Outcome::Interrupted {
                signal: signal.to_owned()
            },
            "{case}"
        );
        assert_eq!(played.kinds_of(Call::Capture).len(), captured, "{case}");
        assert!(played.broken.is_empty(), "{case}");
        let told = played
            .entries
            .iter()
            .any(|entry| matches!(&entry.event, Event::Interrupted { signal: by } if by == signal));
        assert!(told, "{case}");
    });
    let done: Vec<()> = runs.buffer_unordered(AT_ONCE).collect().await;
    assert_eq!(done.len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_stopped_between_two_faults_never_touches_the_second() {
    let played = stopped_when("SIGINT", |event| {
        matches!(
            event,
            Event::Fault {
                id: 1,
                step: FaultStep::Verified,
                ..
            }
        )
    })
    .await;
    assert_nothing_is_forgotten(&played, "between");
    assert_eq!(played.exit_code(), ExitCode::Interrupted);
    assert_eq!(
        played.kinds_of(Call::Capture),
        ["stop", "invert-health-check"]
    );
    assert_eq!(
        reached(&played, FaultStep::Restored),
        ["invert-health-check", "stop"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_during_an_injection_waits_for_its_answer_and_then_reverts() {
    let played = Script::new()
        .with("stop", Call::Inject, Act::StopMeanwhile)
        .play()
        .await;
    assert_nothing_is_forgotten(&played, "meanwhile");
    assert_eq!(played.exit_code(), ExitCode::Interrupted);
    assert_eq!(
        reached(&played, FaultStep::Acknowledged),
        ["stop", "invert-health-check"]
    );
    assert!(!phases(&played).contains(&Phase::Hold));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_does_not_wait_for_an_injection_that_takes_minutes() {
    let script = Script::new()
        .with_patience_for("stop")
        .with("stop", Call::Inject, Act::Hang)
        .with("invert-health-check", Call::Inject, Act::StopMeanwhile);
    let playing = tokio::time::timeout(Duration::from_mins(2), script.play());
    let played = playing.await.expect("the stop is heeded");
    assert_nothing_is_forgotten(&played, "minutes");
    assert_eq!(played.exit_code(), ExitCode::Interrupted);
    // What was answered is known as it was, in the timeline and on disk; what was not is in doubt.
    for steps in [
        reached as fn(&Played, FaultStep) -> Vec<&'static str>,
        Played::journalled,
    ] {
        assert_eq!(
            steps(&played, FaultStep::Acknowledged),
            ["invert-health-check"]
        );
        assert_eq!(steps(&played, FaultStep::InjectFailed), [""; 0]);
    }
    let in_doubt: Vec<bool> = played
        .journal
        .captured()
        .iter()
        .map(|left| left.in_doubt)
        .collect();
    assert_eq!(in_doubt, [true, false]);
    assert_eq!(
        reached(&played, FaultStep::Restored),
        ["invert-health-check", "stop"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_minutes_is_reverted_after_everything_else() {
    let played = Script::new().with_patience_for("pause").play().await;
    assert_nothing_is_forgotten(&played, "patient");
    assert_eq!(
        reached(&played, FaultStep::Restored),
        ["invert-health-check", "stop", "pause"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_asked_for_before_the_beginning_leaves_everything_alone() {
    let script = Script::new();
    script.stopper().stop("SIGTERM");
    script.stopper().stop("SIGINT");
    let played = script.play().await;
    assert_nothing_is_forgotten(&played, "before");
    assert_eq!(
        played.exit_code(),
        ExitCode::Terminated,
        "the first signal counts"
    );
    assert!(played.calls.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_files_cannot_be_made_touches_nothing() {
    for name in ["undo.ndjson", "events.ndjson"] {
        let script = Arc::new(Script::new());
        std::fs::create_dir(script.folder().join(name)).unwrap();
        let (error, calls) = script.play_in_vain().await;
        assert!(
            matches!(error, RunError::Write { .. } | RunError::Timeline(_)),
            "{name}: {error:?}"
        );
        assert!(
            error.to_string().contains("nothing was injected"),
            "{name}: {error}"
        );
        assert!(calls.is_empty(), "{name}: {calls:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_never_writes_over_the_files_of_another() {
    for name in ["undo.ndjson", "events.ndjson"] {
        let script = Arc::new(Script::new());
        std::fs::write(script.folder().join(name), "of another run").unwrap();
        let (_, calls) = script.play_in_vain().await;
        assert!(calls.is_empty(), "{name}: {calls:?}");
        assert_eq!(
            std::fs::read_to_string(script.folder().join(name)).unwrap(),
            "of another run"
        );
    }
}

/// Makes writing fail in a process of its own: a limit on the size of files is the process's, and the undo record is larger.
#[test]
fn without_an_undo_record_on_disk_nothing_is_injected() {
    let name = "without_an_undo_record_on_disk_nothing_is_injected";
    if std::env::var_os(LARGE_UNDO).is_none() {
        let script = "trap '' XFSZ; ulimit -f 2048; exec \"$0\" --exact --nocapture \"$1\"";
        let test = std::env::current_exe().unwrap();
        let output = std::process::Command::new("sh")
            .args(["-c", script, test.to_str().unwrap(), name])
            .env(LARGE_UNDO, "yes")
            .output()
            .unwrap();
        let (stdout, stderr) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(
            output.status.success() && stdout.contains("1 passed"),
            "{stdout}{stderr}"
        );
        return;
    }
    let runtime = blackstart::suite::Threads::start().unwrap();
    let (finished, calls) = runtime.block_on(Script::new().play_unread());
    let Outcome::CouldNotRun {
        phase: Phase::Inject,
        reason,
    } = &finished.outcome
    else {
        panic!("{finished:?}")
    };
    assert!(
        reason.contains("the undo journal could not be written"),
        "{reason}"
    );
    assert_eq!(calls, [("stop", Call::Capture)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_display_that_panics_costs_the_drill_and_not_the_revert() {
    let captured = |event: &Event| {
        matches!(
            event,
            Event::Fault {
                step: FaultStep::Captured,
                ..
            }
        )
    };
    let holds = |event: &Event| matches!(event, Event::Phase { phase: Phase::Hold });
    for (case, is_time, captured) in [
        ("at once", (|_| true) as fn(&Event) -> bool, 0),
        ("when the first fault is captured", captured, 2),
        ("during the hold", holds, 3),
    ] {
        let look_on =
            &mut |entry: &Entry| assert!(!is_time(&entry.event), "the display has a mistake");
        let played = Script::new().play_watched(look_on).await;
        assert_nothing_is_forgotten(&played, case);
        assert_eq!(
            played.exit_code(),
            ExitCode::CouldNotRun,
            "{case}: {:?}",
            played.report.judgement.reasons
        );
        assert_eq!(played.kinds_of(Call::Capture).len(), captured, "{case}");
        let reasons = played.report.judgement.reasons.join("\n");
        assert!(
            reasons.contains("the display has a mistake"),
            "{case}: {reasons}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_observer_that_panics_costs_the_drill_and_not_the_revert() {
    for (readings, captured) in [(0, 0), (25, 3)] {
        let played = Script::new()
            .with_observer_that_panics_after(readings)
            .play()
            .await;
        let case = format!("after {readings} readings");
        assert_nothing_is_forgotten(&played, &case);
        assert_eq!(
            played.exit_code(),
            ExitCode::CouldNotRun,
            "{case}: {:?}",
            played.report.judgement.reasons
        );
        assert_eq!(played.kinds_of(Call::Capture).len(), captured, "{case}");
    }
}
