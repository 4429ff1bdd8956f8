//! Things to write to that a test can look at, or that are broken.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use indicatif::TermLike;

use crate::report::layout::width;

/// A writer that keeps what was written, for the test to read.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept(Arc<Mutex<Vec<u8>>>);

impl Kept {
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A writer, and a terminal, whose other end is gone.
#[derive(Debug)]
pub(super) struct Broken;

fn broken<T>() -> io::Result<T> {
    Err(io::ErrorKind::BrokenPipe.into())
}

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        broken()
    }

    fn flush(&mut self) -> io::Result<()> {
        broken()
    }
}

impl TermLike for Broken {
    fn width(&self) -> u16 {
        80
    }
    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        broken()
    }
    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        broken()
    }
    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        broken()
    }
    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        broken()
    }
    fn write_line(&self, _: &str) -> io::Result<()> {
        broken()
    }
    fn write_str(&self, _: &str) -> io::Result<()> {
        broken()
    }
    fn clear_line(&self) -> io::Result<()> {
        broken()
    }
    fn flush(&self) -> io::Result<()> {
        broken()
    }
}

/// A terminal of 60 columns that knows what can be seen on it, and the row of its cursor. As real ones do, it goes to the next row
/// when something is written behind a full one.
#[derive(Debug, Clone, Default)]
pub(super) struct Glass(Arc<Mutex<(Vec<String>, usize)>>);

impl Glass {
    pub(super) fn text(&self) -> String {
        let seen = self.0.lock().unwrap();
        let lines: Vec<&str> = seen.0.iter().map(|line| line.trim_end()).collect();
        lines.join("\n").trim_end().to_owned()
    }

    fn write(&self, text: &str) {
        let mut seen = self.0.lock().unwrap();
        let (lines, row) = &mut *seen;
        for character in text.chars() {
            if lines.get(*row).is_some_and(|line| width(line) >= 60) {
                *row += 1;
            }
            while lines.len() <= *row {
                lines.push(String::new());
            }
            lines[*row].push(character);
        }
    }
}

impl TermLike for Glass {
    fn width(&self) -> u16 {
        60
    }
    fn move_cursor_up(&self, rows: usize) -> io::Result<()> {
        let mut seen = self.0.lock().unwrap();
        seen.1 = seen.1.saturating_sub(rows);
        Ok(())
    }
    fn move_cursor_down(&self, rows: usize) -> io::Result<()> {
        self.0.lock().unwrap().1 += rows;
        Ok(())
    }
    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write(text);
        self.move_cursor_down(1)
    }
    fn write_str(&self, text: &str) -> io::Result<()> {
        self.write(text);
        Ok(())
    }
    fn clear_line(&self) -> io::Result<()> {
        let mut seen = self.0.lock().unwrap();
        let row = seen.1;
        if let Some(line) = seen.0.get_mut(row) {
            line.clear();
        }
        Ok(())
    }
    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}
