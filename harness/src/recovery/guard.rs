//! The guard: a process beside the harness that restores from the journal when the harness is gone or stands still.
//!
//! Its standard input is a pipe that the harness writes a byte into every half second, and a word when all is well. What the
//! guard has to say to the harness goes to its standard output, what it has to say to people to standard error. It has a session
//! of its own and takes no notice of the signals that end programs, but for SIGKILL: it ends when the harness says so, or when
//! everything is restored. It holds the journal and the way to the targets open from the beginning.

use std::{
    io::{self, Write},
    os::fd::AsFd,
    path::Path,
    time::Duration,
};

use tokio::{
    io::AsyncReadExt,
    net::unix::pipe,
    signal::unix::{SignalKind, signal},
    time::{Instant, sleep, timeout},
};

use super::{Recovered, Recovery, Request};
use crate::{exit_code::ExitCode, journal::Actor};

/// From one sign of life of the harness to the next.
pub(super) const BEAT_EVERY: Duration = Duration::from_millis(500);
/// A sign of life.
pub(super) const BEAT: &[u8] = b".";
/// The word that all is well, and the guard may go.
pub(super) const DONE: &[u8] = b"done";
/// What the guard says when it watches.
pub(super) const READY: &str = "ready";
/// How long the harness may be silent.
const SILENCE: Duration = Duration::from_secs(3);
/// How long a harness that is silent may still have the journal.
const LOCK: Duration = Duration::from_secs(1);
/// What the guard says to each sign of life.
pub(super) const ECHO: &str = "here";
/// How long a guard tries to restore what a harness left that is gone: systems that do not answer come back.
const KEEP_TRYING: Duration = Duration::from_mins(10);
/// From one attempt to the next; doubled each time, up to the longest.
const TRY_AGAIN: Duration = Duration::from_secs(1);
const TRY_AGAIN_AT_MOST: Duration = Duration::from_secs(30);

/// What is heard of the harness.
#[derive(Debug, PartialEq, Eq)]
enum Heard {
    Beat,
    Nothing,
    Done,
    /// Its end of the pipe is closed, and it has not said that all is well.
    Gone,
}

/// Watches over a run until it is done.
pub(crate) async fn watch(journal: &Path) -> ExitCode {
    match begin(journal).await {
        Ok((harness, recovery)) => keep_watch(harness, recovery).await,
        Err(reason) => {
            say(&format!("the guard cannot watch: {reason}"));
            ExitCode::CouldNotRun
        }
    }
}

/// Leaves the terminal, and takes everything in hand that it takes to restore.
async fn begin(journal: &Path) -> Result<(pipe::Receiver, Recovery), String> {
    let failed = |error: &dyn std::error::Error| error.to_string();
    // A leader of a process group, as one started from a shell would be, has no terminal to leave that it shares.
    let _leader = nix::unistd::setsid();
    for kind in [
        SignalKind::hangup(),
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::quit(),
        SignalKind::alarm(),
        SignalKind::user_defined1(),
        SignalKind::user_defined2(),
    ] {
        // Once somebody listens the signal does nothing else any more, and that lasts for as long as the process does.
        drop(signal(kind).map_err(|error| failed(&error))?);
    }
    let input = io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .and_then(pipe::Receiver::from_owned_fd)
        .map_err(|error| failed(&error))?;
    let mut recovery = Recovery::open(journal).map_err(|error| failed(&error))?;
    recovery.reach().await?;
    tell_harness(READY);
    Ok((input, recovery))
}

async fn keep_watch(mut harness: pipe::Receiver, mut recovery: Recovery) -> ExitCode {
    let mut tail = Vec::new();
    let mut has_restored = false;
    loop {
        let (why, is_gone) = match listen(&mut harness, &mut tail).await {
            Heard::Beat => {
                tell_harness(ECHO);
                continue;
            }
            Heard::Done => return ExitCode::Passed,
            Heard::Nothing => (
                "the guard has not heard of the harness for three seconds",
                false,
            ),
            Heard::Gone => ("the guard found the harness gone", true),
        };
        let request = Request {
            actor: Actor::Guard,
            why,
            force: false,
            again: is_gone && has_restored,
            lock: LOCK,
        };
        if is_gone {
            return restore_until_done(&mut recovery, &request).await;
        }
        match recovery.restore(&request).await {
            Ok(recovered) => {
                has_restored |= !recovered.restored.is_empty();
                tell(why, &recovered);
            }
            Err(error) => say(&format!("{why}, and could not restore anything: {error}")),
        }
    }
}

/// Restores what a harness left that is gone, and tries again where that may help: nobody else is there to do it.
async fn restore_until_done(recovery: &mut Recovery, request: &Request<'_>) -> ExitCode {
    let give_up = Instant::now() + KEEP_TRYING;
    let mut pause = TRY_AGAIN;
    loop {
        let again = match recovery.restore(request).await {
            Ok(recovered) => {
                tell(request.why, &recovered);
                if recovered.left_broken.is_empty() {
                    return ExitCode::Passed;
                }
                recovered.is_worth_another
            }
            Err(error) => {
                say(&format!(
                    "{}, and could not restore anything: {error}",
                    request.why
                ));
                true
            }
        };
        if !again || Instant::now() + pause > give_up {
            return ExitCode::NotRestored;
        }
        say(&format!("the guard tries again in {} s", pause.as_secs()));
        sleep(pause).await;
        pause = TRY_AGAIN_AT_MOST.min(pause * 2);
    }
}

/// Waits for a sign of life.
async fn listen(harness: &mut pipe::Receiver, tail: &mut Vec<u8>) -> Heard {
    let mut bytes = [0; 64];
    match timeout(SILENCE, harness.read(&mut bytes)).await {
        Err(_) => Heard::Nothing,
        Ok(Ok(0) | Err(_)) if tail.ends_with(DONE) => Heard::Done,
        Ok(Ok(0) | Err(_)) => Heard::Gone,
        Ok(Ok(length)) => {
            tail.extend(&bytes[..length]);
            let keep = tail.len().saturating_sub(DONE.len());
            tail.drain(..keep);
            if tail.ends_with(DONE) {
                Heard::Done
            } else {
                Heard::Beat
            }
        }
    }
}

fn tell(why: &str, recovered: &Recovered) {
    let Recovered {
        restored,
        left_broken,
        gone,
        unrecorded,
        is_worth_another: _,
    } = recovered;
    if !(restored.is_empty() && left_broken.is_empty()) {
        tell_harness(why);
        say(why);
    }
    for target in restored {
        say(&format!("restored {target}"));
    }
    for target in left_broken {
        say(&format!("NOT RESTORED {target}"));
    }
    if let Some(gone) = gone {
        say(gone);
    }
    if let Some(reason) = unrecorded {
        say(&format!("the undo journal could not be written: {reason}"));
    }
}

/// Writes a line for the harness, which may not be there any more.
fn tell_harness(text: &str) {
    let mut stdout = io::stdout().lock();
    drop(writeln!(stdout, "{text}").and_then(|()| stdout.flush()));
}

/// Writes a line for whoever still has the terminal.
fn say(text: &str) {
    drop(writeln!(io::stderr().lock(), "blackstart guard: {text}"));
}
