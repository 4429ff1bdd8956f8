//! The harness's end of its guard: started before anything is broken, told twice a second that the harness lives.

use std::{
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use tokio::{sync::oneshot, time::timeout};

use super::guard::{BEAT, BEAT_EVERY, DONE, READY};

/// How long a guard may take until it watches.
const START_LIMIT: Duration = Duration::from_secs(20);
/// How long a guard may take to go.
const END_LIMIT: Duration = Duration::from_secs(5);

/// A guard that watches over this process. If this is dropped without [`Guarding::dismiss`], it does its work.
#[derive(Debug)]
pub(crate) struct Guarding {
    process: u32,
    dismiss: mpsc::Sender<()>,
    beating: thread::JoinHandle<()>,
}

/// A guard could not be had.
#[derive(Debug, thiserror::Error)]
pub enum GuardingError {
    /// The program could not be started.
    #[error("could not start `{program}` as the guard")]
    Start {
        /// The program.
        program: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It started, and did not say that it watches.
    #[error("the guard ended or said nothing before it watched")]
    NotReady,
}

impl Guarding {
    /// Starts a guard over what a journal will say, and waits until it watches. `on_word` is given what it says after that, and
    /// that it has ended before it was dismissed.
    pub(crate) async fn start(
        program: &Path,
        journal: &Path,
        on_word: impl Fn(&str) + Send + 'static,
    ) -> Result<Self, GuardingError> {
        let failed = |source| GuardingError::Start {
            program: program.to_owned(),
            source,
        };
        let journal = std::path::absolute(journal).map_err(failed)?;
        let mut child = Command::new(program)
            .arg("guard")
            .arg(journal)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let process = child.id();
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(GuardingError::NotReady);
        };
        let (dismiss, dismissed) = mpsc::channel();
        let beating = thread::Builder::new()
            .name("guard heartbeat".to_owned())
            .spawn(move || beat(child, input, &dismissed))
            .map_err(failed)?;
        let (ready, watches) = oneshot::channel();
        thread::Builder::new()
            .name("guard".to_owned())
            .spawn(move || {
                let mut lines = BufReader::new(output).lines().map_while(Result::ok);
                if lines.next().as_deref() != Some(READY) || ready.send(()).is_err() {
                    return;
                }
                lines.for_each(|line| on_word(&line));
                on_word("the guard has ended, and nothing is broken without one");
            })
            .map_err(failed)?;
        match timeout(START_LIMIT, watches).await {
            Ok(Ok(())) => Ok(Self {
                process,
                dismiss,
                beating,
            }),
            Ok(Err(_)) | Err(_) => Err(GuardingError::NotReady),
        }
    }

    /// The number of its process.
    pub(crate) fn process(&self) -> u32 {
        self.process
    }

    /// Tells it that all is well, and waits until it has gone.
    pub(crate) fn dismiss(self) {
        // A heartbeat that panicked has closed its end: the guard reads the journal, finds nothing to do and goes.
        if self.dismiss.send(()).is_ok() {
            drop(self.beating.join());
        }
    }
}

/// Gives signs of life until dismissed. Runs on a thread of its own, so that a busy harness is not taken for a dead one.
fn beat(mut guard: Child, mut input: ChildStdin, dismissed: &mpsc::Receiver<()>) {
    loop {
        // A guard that is gone is told by its output.
        drop(input.write_all(BEAT));
        match dismissed.recv_timeout(BEAT_EVERY) {
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
            Ok(()) => break,
        }
    }
    drop(input.write_all(DONE));
    drop(input);
    let steps = END_LIMIT.as_millis() / 20;
    for _ in 0..steps {
        if !matches!(guard.try_wait(), Ok(None)) {
            return;
        }
        thread::park_timeout(Duration::from_millis(20));
    }
}
