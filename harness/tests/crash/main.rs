//! Nothing stays broken: real harnesses on a lab that outlives them, killed, stopped and stalled wherever they are.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod rig;

use std::{fs, os::unix::process::ExitStatusExt, process::Stdio, time::Duration};

use blackstart::{
    journal::{Actor, Record},
    timeline::{Event, FaultStep, Outcome},
};
use blackstart_lab::control::{Power, Settings};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rig::{Harness, Rig, guard_of, is_running, until};

const PHASES: [&str; 5] = [
    "\"phase\":\"steady-state\"",
    "\"phase\":\"inject\"",
    "\"phase\":\"hold\"",
    "\"phase\":\"revert\"",
    "\"phase\":\"failback\"",
];

fn restored_by(harness_journal: &blackstart::journal::Journal, actor: Actor) -> Vec<usize> {
    let id = |record: &Record| {
        if let Record::Step { id, by, step, .. } = record
            && (*by, *step) == (actor, FaultStep::Restored)
        {
            Some(*id)
        } else {
            None
        }
    };
    harness_journal.records.iter().filter_map(id).collect()
}

async fn assert_clean(harness: &mut Harness, case: &str) {
    let journal = harness.journal().await;
    assert!(journal.damaged.is_empty(), "{case}: {:?}", journal.damaged);
    assert!(
        journal.leftovers().is_empty(),
        "{case}: {:?}",
        journal.leftovers()
    );
}

#[tokio::test]
async fn a_run_that_nobody_disturbs_puts_everything_back_and_its_guard_goes() {
    let rig = Rig::start().await;
    let before = rig.settings().await;
    let mut run = rig.run().await;
    let status = run.ended().await;
    assert_eq!(status.code(), Some(0), "{}", run.stderr());
    run.guard_ended().await;
    assert_eq!(rig.settings().await, before);
    assert_clean(&mut run, "undisturbed").await;
    let journal = run.journal().await;
    assert_eq!(restored_by(&journal, Actor::Harness), [2, 1, 0]);
    assert_eq!(journal.taken_over(), None);
    let revert = rig.revert(&[]);
    assert!(revert.status.success());
    assert_eq!(
        String::from_utf8_lossy(&revert.stdout),
        "nothing is left to revert\n"
    );
}

#[tokio::test]
async fn a_run_stopped_by_a_signal_in_any_phase_has_restored_everything_when_it_ends() {
    let rig = Rig::start().await;
    let before = rig.settings().await;
    for phase in PHASES {
        for (signal, code) in [
            (Signal::SIGINT, 130),
            (Signal::SIGTERM, 143),
            (Signal::SIGHUP, 143),
        ] {
            let case = format!("{signal} in {phase}");
            let mut run = rig.run().await;
            run.reaches(phase).await;
            run.signal(signal);
            let status = run.ended().await;
            assert_eq!(rig.settings().await, before, "{case}");
            assert_clean(&mut run, &case).await;
            assert_eq!(status.code(), Some(code), "{case}: {}", run.stderr());
            run.guard_ended().await;
        }
    }
}

#[tokio::test]
async fn a_run_killed_in_any_phase_is_restored_by_its_guard() {
    let rig = Rig::start().await;
    let before = rig.settings().await;
    for phase in PHASES {
        let mut run = rig.run().await;
        run.reaches(phase).await;
        run.signal(Signal::SIGKILL);
        let status = run.ended().await;
        assert_eq!(status.signal(), Some(9), "{phase}: {}", run.stderr());
        run.guard_ended().await;
        assert_eq!(rig.settings().await, before, "{phase}: {}", run.stderr());
        assert_clean(&mut run, phase).await;
        if phase.contains("hold") {
            assert_eq!(restored_by(&run.journal().await, Actor::Guard), [2, 1, 0]);
            assert!(
                run.stderr().contains("found the harness gone"),
                "{}",
                run.stderr()
            );
            let told = run.events().await.into_iter().any(|entry| {
                matches!(entry.event, Event::Note { text } if text.contains("the guard found the harness gone"))
            });
            assert!(told, "the timeline does not tell who restored");
        }
    }
}

#[tokio::test]
async fn a_run_killed_together_with_its_guard_is_finished_by_revert_and_breaks_nothing_more_before()
{
    let rig = Rig::start().await;
    let before = rig.settings().await;
    let mut run = rig.run().await;
    run.reaches(PHASES[2]).await;
    run.killed_with_its_guard().await;
    assert_ne!(rig.settings().await, before, "nobody was there to restore");

    let mut refused = rig.spawn(rig.command());
    assert_eq!(
        refused.ended().await.code(),
        Some(3),
        "{}",
        refused.stderr()
    );
    let folder = run.folder().await;
    let command = format!("blackstart revert {}", folder.display());
    assert!(refused.stderr().contains(&command), "{}", refused.stderr());

    let list = rig.revert(&["--list"]);
    assert_eq!(list.status.code(), Some(5));
    let listed = String::from_utf8_lossy(&list.stdout).into_owned();
    for words in [
        "`first`",
        "`check`",
        "drill crash in two-machines",
        "is over",
    ] {
        assert!(listed.contains(words), "{words}: {listed}");
    }
    let doctor = rig.about_reports("doctor", &[]);
    assert_eq!(doctor.status.code(), Some(5));
    let found = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(found.contains("BAD   leftovers"), "{found}");
    assert_ne!(rig.settings().await, before, "a list changes nothing");

    for _ in 0..2 {
        let revert = rig.revert(&[folder.file_name().unwrap().to_str().unwrap()]);
        let stderr = String::from_utf8_lossy(&revert.stderr).into_owned();
        assert_eq!(revert.status.code(), Some(0), "{stderr}");
        assert_eq!(rig.settings().await, before);
    }
    assert_eq!(restored_by(&run.journal().await, Actor::Revert), [2, 1, 0]);
    let mut again = rig.run().await;
    again.reaches(PHASES[0]).await;
}

#[tokio::test]
async fn a_run_that_stands_still_is_restored_meanwhile_and_ends_when_it_goes_on() {
    let rig = Rig::start().await;
    let before = rig.settings().await;
    // In the hold, and in the middle of an injection, where it has the journal's lock.
    for moment in [PHASES[2], "\"step\":\"acknowledged\""] {
        let mut run = rig.run().await;
        run.reaches(moment).await;
        run.signal(Signal::SIGSTOP);
        let path = run.folder().await.join("undo.ndjson");
        let restored = || {
            let journal = blackstart::journal::read(&path).unwrap();
            journal.taken_over().is_some() && journal.leftovers().is_empty()
        };
        until("the guard has restored everything", restored).await;
        assert_eq!(rig.settings().await, before, "{moment}");
        let by_guard = restored_by(&run.journal().await, Actor::Guard).len();
        run.signal(Signal::SIGCONT);
        let status = run.ended().await;
        assert_eq!(status.code(), Some(3), "{moment}: {}", run.stderr());
        assert_eq!(rig.settings().await, before, "{moment}");
        assert_clean(&mut run, moment).await;
        let journal = run.journal().await;
        assert_eq!(restored_by(&journal, Actor::Guard).len(), by_guard);
        if moment == PHASES[2] {
            let by_harness = restored_by(&journal, Actor::Harness);
            assert!(by_harness.is_empty(), "{by_harness:?} were restored twice");
        }
        let ended = |event| {
            if let Event::Ended { outcome, .. } = event {
                Some(outcome)
            } else {
                None
            }
        };
        let mut events = run.events().await.into_iter().map(|entry| entry.event);
        let Some(Outcome::CouldNotRun { reason, .. }) = events.find_map(ended) else {
            panic!("{moment}: it ended in another way")
        };
        assert!(reason.contains("has not heard of the harness"), "{reason}");
        run.guard_ended().await;
    }
}

#[tokio::test]
async fn a_guard_that_is_killed_ends_the_drill() {
    let rig = Rig::start().await;
    let before = rig.settings().await;
    let mut run = rig.run().await;
    run.reaches(PHASES[2]).await;
    let guard = guard_of(&run.journal().await).unwrap();
    kill(Pid::from_raw(guard), Signal::SIGKILL).unwrap();
    assert_eq!(run.ended().await.code(), Some(3), "{}", run.stderr());
    assert_eq!(rig.settings().await, before);
    assert_clean(&mut run, "without a guard").await;
}

#[tokio::test]
async fn a_guard_that_stands_still_is_found_out_before_anything_is_broken() {
    let rig = Rig::start().await;
    let before = rig.settings().await;
    let mut run = rig.run().await;
    run.reaches(PHASES[0]).await;
    let guard = guard_of(&run.journal().await).unwrap();
    kill(Pid::from_raw(guard), Signal::SIGSTOP).unwrap();
    assert_eq!(run.ended().await.code(), Some(3), "{}", run.stderr());
    let journal = run.journal().await;
    let is_issued =
        |record: &Record| matches!(record, Record::Step { step, .. } if *step == FaultStep::Issued);
    assert!(!journal.records.iter().any(is_issued), "{journal:?}");
    assert_eq!(rig.settings().await, before);
    kill(Pid::from_raw(guard), Signal::SIGKILL).unwrap();
}

#[tokio::test]
async fn a_guard_restores_also_when_the_reports_and_the_lab_s_token_are_deleted() {
    let rig = Rig::start().await;
    let before = rig.settings().await;
    let mut run = rig.run().await;
    run.reaches(PHASES[2]).await;
    let folder = run.folder().await;
    let guard = guard_of(&run.journal().await).unwrap();
    // What is written meanwhile must not make the folder anew.
    run.signal(Signal::SIGSTOP);
    fs::remove_dir_all(rig.reports()).unwrap();
    fs::remove_file(rig.token_file()).unwrap();
    run.signal(Signal::SIGKILL);
    run.ended().await;
    until("the guard has gone", || !is_running(guard)).await;
    assert_eq!(rig.settings().await, before, "{}", run.stderr());

    // Nobody can read that any more, so the next one wants a person to have looked.
    rig.write_token_file();
    let mut refused = rig.spawn(rig.command());
    assert_eq!(refused.ended().await.code(), Some(3));
    let command = format!("blackstart revert {} --force", folder.display());
    assert!(refused.stderr().contains(&command), "{}", refused.stderr());
    let doctor = rig.about_reports("doctor", &[]);
    assert_eq!(doctor.status.code(), Some(5), "{doctor:?}");
    let settled = rig.revert(&["--force", folder.to_str().unwrap()]);
    assert_eq!(settled.status.code(), Some(0), "{settled:?}");
    let mut again = rig.run().await;
    again.reaches(PHASES[0]).await;
}

#[tokio::test]
async fn what_one_run_left_is_in_the_way_of_the_next_wherever_its_reports_are() {
    let rig = Rig::start().await;
    let mut run = rig.run().await;
    run.reaches(PHASES[2]).await;
    rig.change_first(&Settings {
        power: Some(Power::Killed),
        ..Settings::default()
    })
    .await;
    run.signal(Signal::SIGINT);
    assert_eq!(run.ended().await.code(), Some(5), "{}", run.stderr());
    let elsewhere = tempfile::tempdir().unwrap();
    let refused = rig.command_in(elsewhere.path()).output().unwrap();
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(3), "{told}");
    assert!(told.contains("has left something broken"), "{told}");
}

#[tokio::test]
async fn a_guard_outlives_the_terminal() {
    let rig = Rig::start().await;
    let before = rig.settings().await;
    let mut run = rig.run().await;
    run.reaches(PHASES[2]).await;
    let guard = Pid::from_raw(guard_of(&run.journal().await).unwrap());
    assert_eq!(
        nix::unistd::getsid(Some(guard)).unwrap(),
        guard,
        "the guard has no session of its own"
    );
    for signal in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM] {
        kill(guard, signal).unwrap();
    }
    run.signal(Signal::SIGKILL);
    run.ended().await;
    run.guard_ended().await;
    assert_eq!(rig.settings().await, before, "{}", run.stderr());
}

#[tokio::test]
async fn what_somebody_else_changed_meanwhile_is_told_and_only_overwritten_by_force() {
    let rig = Rig::start().await;
    let before = rig.settings().await;
    let theirs = Settings {
        power: Some(Power::Killed),
        ..Settings::default()
    };
    let mut run = rig.run().await;
    run.reaches(PHASES[2]).await;
    rig.change_first(&theirs).await;
    assert_eq!(run.ended().await.code(), Some(5), "{}", run.stderr());
    assert_eq!(rig.settings().await[0].power, Some(Power::Killed));
    let journal = run.journal().await;
    let left: Vec<_> = journal
        .leftovers()
        .into_iter()
        .map(|left| left.id)
        .collect();
    assert_eq!(left, [0, 2], "the health check is restored");
    let folder = run.folder().await.display().to_string();
    let refused = rig.revert(&[&folder]);
    assert_eq!(refused.status.code(), Some(5));
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    for words in ["power killed", "power running", "power stopped", "--force"] {
        assert!(told.contains(words), "{words}: {told}");
    }
    let forced = rig.revert(&[&folder, "--force"]);
    assert_eq!(forced.status.code(), Some(0), "{forced:?}");
    assert_eq!(rig.settings().await, before);
}

#[tokio::test]
async fn the_second_of_two_harnesses_is_told_who_has_the_lab() {
    let rig = Rig::start().await;
    let mut first = rig.run().await;
    first.reaches(PHASES[0]).await;
    let mut second = rig.spawn(rig.command());
    assert_eq!(second.ended().await.code(), Some(3), "{}", second.stderr());
    for words in [
        "somebody else runs a drill there",
        "process",
        "nothing was injected",
    ] {
        assert!(second.stderr().contains(words), "{}", second.stderr());
    }
}

#[tokio::test]
async fn a_revert_leaves_a_run_alone_that_goes_on() {
    let rig = Rig::start().await;
    let mut run = rig.run().await;
    run.reaches(PHASES[2]).await;
    let refused = rig.revert(&["--force"]);
    assert_eq!(refused.status.code(), Some(5));
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains("still going on"), "{told}");
    assert_eq!(run.ended().await.code(), Some(0), "{}", run.stderr());
}

#[tokio::test]
async fn a_journal_cut_off_or_damaged_restores_what_it_still_says_and_names_the_rest() {
    let rig = Rig::start().await;
    let before = rig.settings().await;
    let mut run = rig.run().await;
    run.reaches(PHASES[2]).await;
    run.killed_with_its_guard().await;
    let journal = run.folder().await.join("undo.ndjson");
    let mut text = fs::read_to_string(&journal).unwrap();
    let damaged = text
        .lines()
        .position(|line| line.contains("\"captured\":{\"id\":1"))
        .unwrap();
    let at = text.find("\"captured\":{\"id\":1").unwrap() + 30;
    text.replace_range(at..=at, "#");
    text.push_str("{\"v\":2,\"crc\":\"0000");
    fs::write(&journal, text).unwrap();

    let revert = rig.revert(&[]);
    let told = String::from_utf8_lossy(&revert.stderr).into_owned();
    assert_eq!(revert.status.code(), Some(5), "{told}");
    assert!(told.contains(&format!("line {} of", damaged + 1)), "{told}");
    assert!(told.contains("does not match its checksum"), "{told}");
    let now = rig.settings().await;
    assert_eq!(now[0], before[0], "what the journal still says is restored");
    assert_ne!(now[2], before[2], "what it does not say is not guessed at");
    assert_eq!(rig.revert(&["--force"]).status.code(), Some(0));
    assert_eq!(rig.revert(&[]).status.code(), Some(0));
}

#[tokio::test]
async fn a_lab_that_has_ended_leaves_nothing_to_revert() {
    let mut rig = Rig::start().await;
    let mut run = rig.run().await;
    run.reaches(PHASES[2]).await;
    run.killed_with_its_guard().await;
    rig.kill_lab();
    let revert = rig.revert(&[]);
    assert_eq!(revert.status.code(), Some(0), "{revert:?}");
    let told = String::from_utf8_lossy(&revert.stdout).into_owned();
    assert!(told.contains("nothing is left"), "{told}");
}

#[tokio::test]
async fn nobody_reading_what_it_says_keeps_a_run_from_restoring() {
    let rig = Rig::start().await;
    let before = rig.settings().await;
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut child = rig
        .command()
        .stdout(writer.try_clone().unwrap())
        .stderr(writer)
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let status = tokio::task::spawn_blocking(move || child.wait().unwrap())
        .await
        .unwrap();
    assert_eq!(status.code(), Some(0));
    assert_eq!(rig.settings().await, before);
}

#[tokio::test]
async fn three_signals_leave_at_once_with_the_command_and_the_guard_finishes() {
    let rig = Rig::start().await;
    let before = rig.settings().await;
    let mut run = rig.run().await;
    run.reaches(PHASES[2]).await;
    // All three are there before the first is looked at.
    run.signal(Signal::SIGSTOP);
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        run.signal(signal);
    }
    run.signal(Signal::SIGCONT);
    let status = run.ended().await;
    run.guard_ended().await;
    assert_eq!(rig.settings().await, before, "{}", run.stderr());
    // Three signals at once are heeded one after the other, and everything may be restored before the third.
    let told = run.stderr();
    match status.code() {
        Some(5) => {
            let command = format!("blackstart revert {}", run.folder().await.display());
            assert!(told.contains(&command), "{told}");
        }
        Some(130 | 143) => assert!(told.contains("leaving"), "{told}"),
        code => panic!("{code:?}: {told}"),
    }
}

#[tokio::test]
async fn a_folder_of_reports_that_cannot_be_written_keeps_everything_as_it_is() {
    let rig = Rig::start().await;
    let before = rig.settings().await;
    fs::write(rig.reports(), "no folder").unwrap();
    let mut run = rig.run().await;
    assert_eq!(run.ended().await.code(), Some(3), "{}", run.stderr());
    assert!(
        run.stderr().contains("nothing was injected"),
        "{}",
        run.stderr()
    );
    assert_eq!(rig.settings().await, before);
}

/// A disk of 64 KiB, where the machine lets us have one.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn mount(at: &std::path::Path) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"])
            .arg(at)
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        mounted.then(|| Self(at.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(
            std::process::Command::new("umount")
                .arg("-l")
                .arg(&self.0)
                .status(),
        );
    }
}

#[tokio::test]
async fn a_disk_that_runs_full_ends_the_drill_with_everything_restored() {
    let rig = Rig::start().await;
    let before = rig.settings().await;
    let Some(_disk) = SmallDisk::mount(&rig.reports()) else {
        // Only root may mount; the test of a file that may not grow does the same without.
        return;
    };
    let mut run = rig.run().await;
    let status = tokio::time::timeout(Duration::from_secs(90), run.ended())
        .await
        .unwrap();
    run.guard_ended().await;
    assert_eq!(rig.settings().await, before, "{}", run.stderr());
    assert!(
        matches!(status.code(), Some(3 | 5)),
        "{status}: {}",
        run.stderr()
    );
    assert!(run.stderr().contains("No space left"), "{}", run.stderr());
}
