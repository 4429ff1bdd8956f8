//! The harness's end of its guard: started before anything is broken, told twice a second that the harness lives.

use std::{
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use tokio::{
    sync::oneshot,
    time::{Instant, sleep, timeout},
};

use super::guard::{BEAT, BEAT_EVERY, DONE, ECHO, READY};

/// How long a guard may take until it watches.
const START_LIMIT: Duration = Duration::from_secs(20);
/// How long a guard may take to go.
const END_LIMIT: Duration = Duration::from_secs(5);
/// How long a guard may take to answer when it is asked whether it watches.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
/// From one look for its answer to the next.
const ANSWER_EVERY: Duration = Duration::from_millis(5);
/// How many signs of life it may leave unanswered.
const UNANSWERED: u32 = 6;
/// For how many signs of life the run itself may do nothing at all, until that is kept from the guard no longer.
const IDLE: u32 = 4;

/// What the run sets again and again while it goes on: a harness whose heart beats and whose run stands still is no use to anybody.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pulse(Arc<AtomicBool>);

impl Pulse {
    /// The run goes on.
    pub(crate) fn beat(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it went on since this was last asked.
    fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

/// What the thread that gives signs of life is asked for.
enum Order {
    Beat,
    Dismiss,
}

/// A guard that watches over this process. If this is dropped without [`Guarding::dismiss`], it does its work.
#[derive(Debug)]
pub(crate) struct Guarding {
    process: u32,
    orders: mpsc::Sender<Order>,
    echoes: Arc<AtomicU64>,
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
        pulse: Pulse,
        on_word: impl Fn(&str) + Clone + Send + 'static,
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
        let (orders, received) = mpsc::channel();
        let echoes = Arc::new(AtomicU64::new(0));
        let heart = Heart {
            guard: child,
            input,
            orders: received,
            pulse,
            echoes: Arc::clone(&echoes),
        };
        let (echoed, on_silence) = (Arc::clone(&echoes), on_word.clone());
        let beating = thread::Builder::new()
            .name("guard heartbeat".to_owned())
            .spawn(move || heart.beat(on_silence))
            .map_err(failed)?;
        let (ready, watches) = oneshot::channel();
        thread::Builder::new()
            .name("guard".to_owned())
            .spawn(move || {
                let mut lines = BufReader::new(output).lines().map_while(Result::ok);
                if lines.next().as_deref() != Some(READY) || ready.send(()).is_err() {
                    return;
                }
                for line in lines {
                    if line == ECHO {
                        echoed.fetch_add(1, Ordering::Relaxed);
                    } else {
                        on_word(&line);
                    }
                }
                on_word("the guard has ended, and nothing is broken without one");
            })
            .map_err(failed)?;
        match timeout(START_LIMIT, watches).await {
            Ok(Ok(())) => Ok(Self {
                process,
                orders,
                echoes,
                beating,
            }),
            Ok(Err(_)) | Err(_) => Err(GuardingError::NotReady),
        }
    }

    /// The number of its process.
    pub(crate) fn process(&self) -> u32 {
        self.process
    }

    /// Whether it watches at this moment: it is asked, and has to answer.
    pub(crate) async fn answers(&self) -> bool {
        let before = self.echoes.load(Ordering::Relaxed);
        if self.orders.send(Order::Beat).is_err() {
            return false;
        }
        let deadline = Instant::now() + ANSWER_LIMIT;
        while self.echoes.load(Ordering::Relaxed) == before {
            if Instant::now() > deadline {
                return false;
            }
            sleep(ANSWER_EVERY).await;
        }
        true
    }

    /// Tells it that all is well, and waits until it has gone.
    pub(crate) fn dismiss(self) {
        // A heartbeat that panicked has closed its end: the guard reads the journal, finds nothing to do and goes.
        if self.orders.send(Order::Dismiss).is_ok() {
            drop(self.beating.join());
        }
    }
}

/// Gives signs of life until dismissed, on a thread of its own, so that a busy harness is not taken for a dead one.
struct Heart {
    guard: Child,
    input: ChildStdin,
    orders: mpsc::Receiver<Order>,
    pulse: Pulse,
    echoes: Arc<AtomicU64>,
}

impl Heart {
    fn beat(mut self, on_silence: impl Fn(&str)) {
        // Until the run has begun there is nothing to stand still.
        let mut idle = None;
        let (mut echoes, mut unanswered) = (0, 0);
        loop {
            if self.pulse.take() {
                idle = Some(0);
            } else if let Some(idle) = &mut idle {
                *idle += 1;
            }
            if idle.is_none_or(|idle| idle < IDLE) {
                // A guard that is gone is told by its output.
                drop(self.input.write_all(BEAT));
                unanswered += 1;
            }
            let now = self.echoes.load(Ordering::Relaxed);
            // One that still starts has not been heard yet, and has a limit of its own.
            if now != echoes || now == 0 {
                (echoes, unanswered) = (now, 0);
            }
            if unanswered > UNANSWERED {
                on_silence("the guard does not answer, and nothing is broken without one");
            }
            match self.orders.recv_timeout(BEAT_EVERY) {
                Err(RecvTimeoutError::Timeout) | Ok(Order::Beat) => {}
                Err(RecvTimeoutError::Disconnected) => return,
                Ok(Order::Dismiss) => break,
            }
        }
        drop(self.input.write_all(DONE));
        drop(self.input);
        let steps = END_LIMIT.as_millis() / 20;
        for _ in 0..steps {
            if !matches!(self.guard.try_wait(), Ok(None)) {
                return;
            }
            thread::park_timeout(Duration::from_millis(20));
        }
    }
}
