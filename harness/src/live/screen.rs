//! Lines that are redrawn in place.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A block of lines at the bottom of a terminal. What cannot be drawn is not drawn: no error ends a run.
pub(super) struct Screen {
    progress: MultiProgress,
    lines: Vec<ProgressBar>,
}

impl Screen {
    pub(super) fn new(target: ProgressDrawTarget) -> Self {
        Self {
            progress: MultiProgress::with_draw_target(target),
            lines: Vec::new(),
        }
    }

    /// Shows these lines, each cut at the width of the terminal, instead of the ones before.
    pub(super) fn draw(&mut self, frame: &[String]) {
        let fewer = self.lines.len() > frame.len();
        for line in self.lines.drain(frame.len().min(self.lines.len())..) {
            self.progress.remove(&line);
        }
        if fewer {
            // Nothing else erases what a removed line has left on the terminal.
            self.progress.clear().ok();
        }
        while self.lines.len() < frame.len() {
            // Hidden until it belongs to the block, which is what decides where it is drawn.
            let line = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
            let style =
                ProgressStyle::with_template("{wide_msg}").expect("a template of one known key");
            self.lines.push(self.progress.add(line.with_style(style)));
        }
        for (line, text) in self.lines.iter().zip(frame) {
            if fewer || line.message() != *text {
                line.set_message(text.clone());
            }
        }
    }

    /// Writes a line above the block, where it stays.
    pub(super) fn line(&mut self, text: &str) {
        self.progress.println(text).ok();
    }

    /// Erases the block.
    pub(super) fn clear(&mut self) {
        self.draw(&[]);
    }
}
