//! The program on a terminal: strips that are redrawn, keys that are pressed, and what is left when it is over.

use std::{
    fs::{self, File},
    io::{Read, Write},
    os::fd::OwnedFd,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use blackstart::timeline::{Act, Event, Mark};
use nix::{
    pty::{Winsize, openpty},
    sys::termios::{LocalFlags, tcgetattr},
};

use crate::program::{Running, Workplace, entries, wait_until};

const COLUMNS: usize = 100;
const ROWS: usize = 40;

/// A terminal that knows what can be seen on it.
#[derive(Debug, Default)]
struct Glass {
    lines: Vec<Vec<char>>,
    row: usize,
    column: usize,
    /// The bytes of an order, or of a letter, that has not ended.
    begun: Vec<u8>,
}

impl Glass {
    fn take(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.begun.push(*byte);
            let order = self.begun.starts_with(b"\x1b");
            let is_whole = if order {
                self.begun.len() > 2 && byte.is_ascii_alphabetic()
            } else {
                std::str::from_utf8(&self.begun).is_ok()
            };
            if !is_whole {
                continue;
            }
            let begun = std::mem::take(&mut self.begun);
            let text = String::from_utf8(begun).unwrap();
            match text.strip_prefix("\x1b[") {
                Some(order) => self.obey(order),
                None => text.chars().for_each(|letter| self.put(letter)),
            }
        }
    }

    fn obey(&mut self, order: &str) {
        let (number, what) = order.split_at(order.len() - 1);
        let number = number.parse().unwrap_or(1);
        match what {
            "A" => self.row = self.row.saturating_sub(number),
            "B" => self.row += number,
            "C" => self.column = (self.column + number).min(COLUMNS),
            "D" => self.column = self.column.saturating_sub(number),
            "K" => {
                let whole = order == "2K";
                let from = if whole { 0 } else { self.column };
                self.line().truncate(from);
            }
            // Colours, and whether there is a cursor.
            "m" | "h" | "l" => {}
            other => panic!("an order that nothing here gives: {other} of {order}"),
        }
    }

    fn put(&mut self, letter: char) {
        match letter {
            '\r' => self.column = 0,
            '\n' => self.row += 1,
            _ => {
                // Behind a full row comes the next one, and not before.
                if self.column == COLUMNS {
                    (self.row, self.column) = (self.row + 1, 0);
                }
                let column = self.column;
                let line = self.line();
                if line.len() <= column {
                    line.resize(column + 1, ' ');
                }
                line[column] = letter;
                self.column += 1;
            }
        }
    }

    fn line(&mut self) -> &mut Vec<char> {
        if self.lines.len() <= self.row {
            self.lines.resize(self.row + 1, Vec::new());
        }
        &mut self.lines[self.row]
    }

    fn text(&self) -> String {
        let lines = self
            .lines
            .iter()
            .map(|line| line.iter().collect::<String>());
        lines
            .map(|line| line.trim_end().to_owned() + "\n")
            .collect()
    }
}

/// A program on a terminal of its own.
struct Terminal {
    running: Running,
    keys: File,
    /// The program's own end, which keeps the terminal and its state when the program is gone.
    end: OwnedFd,
    glass: Arc<Mutex<Glass>>,
}

impl Terminal {
    fn start(program: &Command) -> Self {
        let size = Winsize {
            ws_row: u16::try_from(ROWS).unwrap(),
            ws_col: u16::try_from(COLUMNS).unwrap(),
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let pair = openpty(&size, None).unwrap();
        // In a session of its own, as whatever a terminal starts is: Ctrl-C is for those who have the terminal.
        let mut command = Command::new("setsid");
        command
            .arg("--ctty")
            .arg(program.get_program())
            .args(program.get_args())
            .current_dir(program.get_current_dir().unwrap());
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let end = || Stdio::from(pair.slave.try_clone().unwrap());
        command
            .env("TERM", "xterm")
            .stdin(end())
            .stdout(end())
            .stderr(end());
        let child = command.spawn().unwrap();
        let glass = Arc::new(Mutex::new(Glass::default()));
        let mut shown = File::from(pair.master.try_clone().unwrap());
        let seen = Arc::clone(&glass);
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length @ 1..) = shown.read(&mut bytes) {
                seen.lock().unwrap().take(&bytes[..length]);
            }
        });
        Self {
            running: Running(child),
            keys: File::from(pair.master),
            end: pair.slave,
            glass,
        }
    }

    fn text(&self) -> String {
        self.glass.lock().unwrap().text()
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    fn wait_for(&self, words: &str) {
        wait_until(words, || self.text().contains(words));
    }

    /// Whether the terminal shows what is typed, and hands it over line by line.
    fn is_ordinary(&self) -> bool {
        let flags = tcgetattr(&self.end).unwrap().local_flags;
        flags.contains(LocalFlags::ECHO | LocalFlags::ICANON)
    }

    /// Waits for the end. Yields the exit code and what can be seen then.
    fn end(self) -> (Option<i32>, String) {
        let ordinary = |end: &OwnedFd| {
            let flags = tcgetattr(end).unwrap().local_flags;
            flags.contains(LocalFlags::ECHO | LocalFlags::ICANON)
        };
        let (status, ..) = self.running.end();
        assert!(ordinary(&self.end), "the terminal is not as it was");
        // What was written last is on its way.
        let glass = self.glass;
        wait_until("all is shown", || {
            let text = glass.lock().unwrap().text();
            text.contains("exit ") || text.contains("leaving")
        });
        let text = glass.lock().unwrap().text();
        (status.code(), text)
    }
}

/// The lines of the block of strips, of which nothing may stay.
fn left_over(text: &str) -> Vec<&str> {
    // The report has strips of its own below its first line.
    let live = text.split("DRILL  ").next().unwrap();
    let strips = ["AAAA", "Ctrl-C stop", " x30   "];
    live.lines()
        .filter(|line| strips.iter().any(|part| line.contains(part)))
        .collect()
}

#[test]
fn people_mark_note_and_go_on_with_keys() {
    let workplace = Workplace::new();
    let file = workplace.path().join("drills/quick.yaml");
    let text = fs::read_to_string(&file).unwrap();
    let waits =
        "status: 503 }\n  - pause: call the network team\n    role: network\n    within: 10h\n";
    fs::write(&file, text.replace("status: 503 }\n", waits)).unwrap();
    let more = ["--interactive", "--role", "lead"];
    let mut terminal = Terminal::start(&workplace.run("quick", &more));
    terminal.wait_for("lead: g done, go on");
    assert!(
        !terminal.is_ordinary(),
        "keys would be shown, and wait for Enter"
    );
    terminal.wait_for("call the network team");
    terminal.press("1r2n");
    terminal.wait_for("network notes: _");
    terminal.press("half the pods wörk\x7frk\r");
    terminal.wait_for("network: g done, go on");
    terminal.press("3g");
    let (code, seen) = terminal.end();
    assert_eq!(code, Some(0), "{seen}");
    assert_eq!(left_over(&seen), [""; 0], "{seen}");
    assert!(seen.contains("half the pods wörrk"), "{seen}");
    let said: Vec<(Option<String>, Act)> = entries(&workplace.only_run())
        .into_iter()
        .filter_map(|entry| {
            let Event::Operator { role, act } = entry.event else {
                return None;
            };
            (!matches!(act, Act::Asked { .. })).then_some((role, act))
        })
        .collect();
    let by = |role: &str, act| (Some(role.to_owned()), act);
    assert_eq!(
        said,
        [
            by("lead", Act::Marked(Mark::Detected)),
            by("network", Act::Marked(Mark::Declared)),
            by("network", Act::Noted("half the pods wörrk".to_owned())),
            by("network", Act::Marked(Mark::Decided)),
            by("network", Act::Done),
        ]
    );
}

#[test]
fn ctrl_c_reverts_and_leaves_nothing_of_the_strips() {
    for more in [&[][..], &["--interactive"]] {
        let workplace = Workplace::new();
        let mut terminal = Terminal::start(&workplace.run("endless", more));
        terminal.wait_for("hold");
        // What somebody types without being asked moves nothing either.
        terminal.press("\r\r");
        terminal.press("\x03");
        let (code, seen) = terminal.end();
        assert_eq!(code, Some(130), "{seen}");
        assert!(seen.contains("SIGINT: stopping"), "{seen}");
        assert!(
            seen.contains("1 of 1 fault reverted and verified"),
            "{seen}"
        );
        assert_eq!(left_over(&seen), [""; 0], "{seen}");
        assert!(!seen.contains("^C"), "{seen}");
    }
}
