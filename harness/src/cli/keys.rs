//! What people press while a drill runs: a key marks a moment, begins a note, or says that something is done.

use std::{
    io::{self, Read},
    os::fd::AsFd,
    thread,
};

use nix::sys::termios::{
    LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr,
};

use super::showing::Speaker;
use crate::{
    run::{Operator, Said},
    timeline::Mark,
};

/// Nobody reads a longer note.
const LONGEST_NOTE: usize = 500;

/// The terminal hands over each key as it is pressed, and shows none of them, until this is dropped.
pub(super) struct Keys {
    before: Termios,
}

impl Keys {
    /// Listens to the keys.
    ///
    /// # Errors
    /// If stdin is no terminal that can be told so.
    pub(super) fn listen(
        operator: Operator,
        roles: Vec<String>,
        speaker: Speaker,
    ) -> io::Result<Self> {
        let stdin = io::stdin();
        let before = tcgetattr(stdin.as_fd())?;
        let mut now = before.clone();
        // Signals stay: Ctrl-C still stops the run.
        now.local_flags
            .remove(LocalFlags::ICANON | LocalFlags::ECHO);
        now.control_chars[SpecialCharacterIndices::VMIN as usize] = 1;
        now.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
        tcsetattr(stdin.as_fd(), SetArg::TCSANOW, &now)?;
        let keys = Self { before };
        thread::Builder::new()
            .name("keys".to_owned())
            .spawn(move || {
                let mut keyboard = Keyboard::new(roles);
                speaker.prompt(keyboard.prompt());
                // Ends with the process: nothing else ends a read of a terminal.
                for byte in io::stdin().lock().bytes().map_while(Result::ok) {
                    if let Some(said) = keyboard.press(byte)
                        && !operator.say(said)
                    {
                        speaker.words("no drill listens at the moment".to_owned());
                    }
                    speaker.prompt(keyboard.prompt());
                }
            })?;
        Ok(keys)
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        let _restored = tcsetattr(io::stdin().as_fd(), SetArg::TCSANOW, &self.before);
    }
}

/// What the keys pressed so far amount to.
#[derive(Debug)]
struct Keyboard {
    /// The roles that people have; the first is nobody's in particular if there is none.
    roles: Vec<String>,
    role: usize,
    /// The note that is being typed.
    note: Option<Vec<u8>>,
}

impl Keyboard {
    fn new(roles: Vec<String>) -> Self {
        Self {
            roles,
            role: 0,
            note: None,
        }
    }

    fn role(&self) -> Option<String> {
        self.roles.get(self.role).cloned()
    }

    /// Takes a key. Yields what it says, if it says something.
    fn press(&mut self, key: u8) -> Option<Said> {
        if let Some(note) = &mut self.note {
            return match key {
                b'\r' | b'\n' => {
                    let text = String::from_utf8_lossy(note).trim().to_owned();
                    self.note = None;
                    let role = self.role();
                    (!text.is_empty()).then_some(Said::Noted { role, text })
                }
                0x1b => {
                    self.note = None;
                    None
                }
                0x7f | 0x08 => {
                    // A character may be several bytes.
                    while note.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
                    None
                }
                _ => {
                    if note.len() < LONGEST_NOTE && (key >= 0x20) {
                        note.push(key);
                    }
                    None
                }
            };
        }
        let role = self.role();
        match key {
            b'g' => return Some(Said::Done { role }),
            b'1' => return Some(marked(role, Mark::Detected)),
            b'2' => return Some(marked(role, Mark::Declared)),
            b'3' => return Some(marked(role, Mark::Decided)),
            b'n' => self.note = Some(Vec::new()),
            b'r' if !self.roles.is_empty() => self.role = (self.role + 1) % self.roles.len(),
            _ => {}
        }
        None
    }

    /// What can be pressed, or what has been typed.
    fn prompt(&self) -> String {
        let role = self.role().unwrap_or_else(|| "operator".to_owned());
        if let Some(note) = &self.note {
            let note = String::from_utf8_lossy(note);
            return format!("{role} notes: {note}_   (Enter keeps it, Esc drops it)");
        }
        let other = if self.roles.len() > 1 {
            "   r role"
        } else {
            ""
        };
        format!(
            "{role}: g done, go on   1 detected  2 declared  3 decided   n note{other}   Ctrl-C stop"
        )
    }
}

fn marked(role: Option<String>, mark: Mark) -> Said {
    Said::Marked { role, mark }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(keyboard: &mut Keyboard, keys: &[u8]) -> Vec<Said> {
        keys.iter().filter_map(|key| keyboard.press(*key)).collect()
    }

    #[test]
    fn keys_mark_moments_in_the_role_that_was_chosen() {
        let mut keyboard = Keyboard::new(vec!["lead".to_owned(), "network".to_owned()]);
        let said = press(&mut keyboard, b"1r2r3xg");
        let lead = Some("lead".to_owned());
        assert_eq!(
            said,
            [
                marked(lead.clone(), Mark::Detected),
                marked(Some("network".to_owned()), Mark::Declared),
                marked(lead.clone(), Mark::Decided),
                Said::Done { role: lead },
            ]
        );
    }

    #[test]
    fn a_note_takes_every_key_until_it_is_kept_or_dropped() {
        let mut keyboard = Keyboard::new(Vec::new());
        let said = press(&mut keyboard, "ng1 wörö\x7f\x7flt\x08\r".as_bytes());
        let text = "g1 wöl".to_owned();
        assert_eq!(said, [Said::Noted { role: None, text }]);
        assert!(press(&mut keyboard, b"nnothing\x1b").is_empty());
        assert!(
            press(&mut keyboard, b"n   \n").is_empty(),
            "nothing to keep"
        );
        assert!(
            keyboard.prompt().starts_with("operator: g done"),
            "{}",
            keyboard.prompt()
        );
    }
}
