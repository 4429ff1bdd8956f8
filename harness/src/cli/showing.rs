//! The live display on a thread of its own: a terminal that somebody has stopped, or a display that panics, holds no drill up and no
//! revert.

use std::{io, sync::mpsc, thread, time::Duration};

use tokio::{
    sync::oneshot,
    time::{Instant, timeout},
};

use super::{Terminal, echo::Silence, print, variable};
use crate::{
    live::{
        Display, Live,
        room::{self, Room},
    },
    notify::{self, Notifier},
    report,
    timeline::Entry,
};

/// How often the live display is told that time goes by.
const TICK: Duration = Duration::from_millis(500);
/// How long the display may take for what is left to show when the drills are over.
const LAST_LINES: Duration = Duration::from_secs(2);

/// What the live display is told.
enum Shown {
    Event(String, Box<Entry>),
    Words(String),
    Prompt(String),
    Over(Option<String>),
}

/// The live display.
pub(super) struct Showing {
    onlookers: Onlookers,
    is_over: oneshot::Receiver<()>,
    streaming: Option<thread::JoinHandle<()>>,
    /// As long as strips are redrawn.
    silence: Option<Silence>,
}

/// Shows lines of its own on the live display.
#[derive(Clone)]
pub(super) struct Speaker(mpsc::Sender<Shown>);

/// Whoever is told what happens while it does. Nobody of them can hold anything up.
#[derive(Clone)]
pub(super) struct Onlookers {
    speaker: Speaker,
    room: Option<room::Hand>,
    notifier: Option<notify::sender::Hand>,
    stream: Option<mpsc::Sender<String>>,
}

impl Onlookers {
    /// Tells an event of a drill.
    pub(super) fn event(&self, drill: &str, entry: &Entry) {
        if let Some(room) = &self.room {
            room.event(drill, entry);
        }
        if let Some(notifier) = &self.notifier {
            notifier.event(drill, entry);
        }
        if let Some(stream) = &self.stream {
            // A standard output that is closed takes nothing more, and the report has it all.
            drop(stream.send(report::stream::event(drill, entry)));
        }
        let shown = Shown::Event(drill.to_owned(), Box::new(entry.clone()));
        self.speaker.tell(shown);
    }
}

impl Speaker {
    /// Shows what can be typed, or is being typed.
    pub(super) fn prompt(&self, text: String) {
        self.tell(Shown::Prompt(text));
    }

    /// Shows a line.
    pub(super) fn words(&self, words: String) {
        self.tell(Shown::Words(words));
    }

    /// A display that is gone shows nothing, and nobody minds.
    fn tell(&self, shown: Shown) {
        drop(self.0.send(shown));
    }
}

impl Showing {
    /// Starts it, for so many drills that may run at the same time.
    pub(super) fn start(at_once: usize, terminal: Terminal) -> Self {
        let (sender, shown) = mpsc::channel();
        let (over, is_over) = oneshot::channel();
        let display = Display::choose(terminal.quiet, terminal.live, variable);
        let silence = (display == Display::Strips).then(Silence::begin).flatten();
        thread::spawn(move || {
            show(display, &shown, at_once, terminal);
            // Whoever waited for it may have gone.
            let _nobody_waits = over.send(());
        });
        Self {
            onlookers: Onlookers {
                speaker: Speaker(sender),
                room: None,
                notifier: None,
                stream: None,
            },
            is_over,
            streaming: None,
            silence,
        }
    }

    /// Shows it on a page, too.
    pub(super) fn on_a_page(&mut self, room: &Room) {
        self.onlookers.room = Some(room.hand());
    }

    /// Prints each event on standard output, too. On another thread: a reader that does not read holds up neither drills nor what is
    /// shown of them.
    pub(super) fn as_a_stream(&mut self) {
        let (stream, streamed) = mpsc::channel::<String>();
        self.onlookers.stream = Some(stream);
        self.streaming = Some(thread::spawn(move || {
            for line in streamed {
                print(&line);
            }
        }));
    }

    /// Has it told to people, too.
    pub(super) fn notifying(&mut self, notifier: &Notifier) {
        self.onlookers.notifier = Some(notifier.hand());
    }

    /// Those who are to be told what happens.
    pub(super) fn onlookers(&self) -> Onlookers {
        self.onlookers.clone()
    }

    /// Whoever has lines of their own to show.
    pub(super) fn speaker(&self) -> Speaker {
        self.onlookers.speaker.clone()
    }

    /// Says that somebody wants it to stop.
    pub(super) fn stopping(&self, words: String) {
        self.onlookers.speaker.words(words);
    }

    /// Says that it is left as it is.
    pub(super) fn leaving(&self, words: String) {
        self.onlookers.speaker.tell(Shown::Over(Some(words)));
    }

    /// Waits until all is shown; what it did not show is in the report all the same. A stream is the result: if the drills are over it
    /// is written to its end, which is when nobody has a hand on it any more.
    pub(super) async fn finish(self, drills_are_over: bool) {
        let Self {
            onlookers,
            is_over,
            streaming,
            silence,
        } = self;
        onlookers.speaker.tell(Shown::Over(None));
        drop(onlookers);
        if let Some(streaming) = streaming.filter(|_| drills_are_over) {
            drop(streaming.join());
        }
        drop(timeout(LAST_LINES, is_over).await);
        drop(silence);
    }
}

/// Shows what happens until it is over.
fn show(display: Display, shown: &mpsc::Receiver<Shown>, at_once: usize, terminal: Terminal) {
    let mut live = Live::new(display, terminal.stderr, at_once, Box::new(io::stderr()));
    let mut next_tick = Instant::now();
    loop {
        if Instant::now() >= next_tick {
            live.tick(Instant::now());
            next_tick = Instant::now() + TICK;
        }
        match shown.recv_timeout(next_tick.saturating_duration_since(Instant::now())) {
            Ok(Shown::Event(drill, entry)) => live.event(&drill, &entry),
            Ok(Shown::Words(words)) => live.error(&words),
            Ok(Shown::Prompt(text)) => live.prompt(&text),
            Ok(Shown::Over(words)) => {
                if let Some(words) = words {
                    live.error(&words);
                }
                break;
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
        }
    }
    live.finish();
}
