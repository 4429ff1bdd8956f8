//! A terminal that shows nothing of what is typed while strips are redrawn on it.
//!
//! What it would show, `^C` or a line that somebody begins, moves the cursor, and whoever redraws from where the cursor was then misses
//! a line.

use std::{io, os::fd::AsFd};

use nix::{
    sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr},
    unistd::{getpgrp, tcgetpgrp},
};

/// The terminal behind stdin shows nothing of what is typed until this is dropped. Signals stay: Ctrl-C still stops the run.
pub(super) struct Silence {
    before: Termios,
}

impl Silence {
    /// Begins it. `None` where stdin is no terminal, or one that belongs to others at the moment.
    pub(super) fn begin() -> Option<Self> {
        let stdin = io::stdin();
        let before = tcgetattr(stdin.as_fd()).ok()?;
        let mut now = before.clone();
        now.local_flags
            .remove(LocalFlags::ECHO | LocalFlags::ECHONL);
        set(&now).then_some(Self { before })
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        // One that was handed to others meanwhile has been made theirs by whoever did that.
        set(&self.before);
    }
}

/// Whether the terminal could be set. A program in the background that tried would be stopped for it.
fn set(to: &Termios) -> bool {
    let stdin = io::stdin();
    let is_ours = tcgetpgrp(stdin.as_fd()).is_ok_and(|group| group == getpgrp());
    is_ours && tcsetattr(stdin.as_fd(), SetArg::TCSANOW, to).is_ok()
}
