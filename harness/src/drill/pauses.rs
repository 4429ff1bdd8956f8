//! Steps that wait for a person: `pause: "call the network team"`.

use std::time::Duration;

use super::{ClockStart, Drill, Expect, Located};
use crate::source::{Item, Mapping, Position};

/// How long a person is waited for, unless the drill says otherwise.
const WITHIN: Duration = Duration::from_mins(15);

/// A step that waits until a person says that it is done. Needs `run --interactive`.
#[derive(Debug, Clone, PartialEq)]
pub struct Pause {
    /// What the person is to do.
    pub text: String,
    /// Whose it is to do.
    pub role: Option<String>,
    /// How long is waited, in the architecture's time; a drill that nobody answers by then is reverted.
    pub within: Duration,
}

impl Pause {
    /// What is to be done, and by whom where that is said: `call the network team (incident-lead)`.
    pub fn words(&self) -> String {
        match &self.role {
            Some(role) => format!("{} ({role})", self.text),
            None => self.text.clone(),
        }
    }
}

impl Drill {
    /// The steps that wait for a person, in order.
    pub fn pauses(&self) -> impl Iterator<Item = &Located<Pause>> {
        self.faults.iter().filter_map(|step| step.pause.as_ref())
    }

    /// Where the drill first needs a person, and what for: a step that waits, or a time that counts from what a person says.
    pub fn needs_a_person(&self) -> Option<Located<String>> {
        let waits = self.pauses().next().map(|pause| Located {
            value: pause.value.words(),
            at: pause.at,
        });
        let counts = self.expect.iter().find_map(|expectation| {
            let from_a_person = matches!(
                expectation.value,
                Expect::Rto {
                    from: ClockStart::Declared,
                    ..
                }
            );
            from_a_person.then(|| Located {
                value: "declare the incident, from which `rto` counts".to_owned(),
                at: expectation.at,
            })
        });
        waits.or(counts)
    }

    /// How many steps come before the first that breaks something.
    pub(crate) fn steps_before_the_first_fault(&self) -> usize {
        let mut steps = self.faults.iter();
        steps
            .position(|step| !step.faults.is_empty())
            .unwrap_or(self.faults.len())
    }
}

/// What an entry of `faults:` says besides its fault, which only one that waits for a person may.
pub(super) struct Besides<'a> {
    role: Option<Item<'a>>,
    within: Option<Item<'a>>,
}

impl<'a> Besides<'a> {
    pub(super) fn take(mapping: &mut Mapping<'a>) -> Self {
        Self {
            role: mapping.optional("role"),
            within: mapping.optional("within"),
        }
    }

    /// Refuses both at an entry that waits for nobody. Whether there was none.
    pub(super) fn refuse(&self) -> bool {
        let given = [("role", self.role), ("within", self.within)];
        let mut sound = true;
        for (key, item) in given {
            if let Some(item) = item {
                item.context().push(
                    item.problem(format!(
                        "`{key}` belongs to an entry that waits for a person"
                    ))
                    .with_hint("such an entry is `pause: \"call the network team\"`"),
                );
                sound = false;
            }
        }
        sound
    }

    /// Reads the step that waits for a person.
    pub(super) fn pause(&self, text: Item<'_>, at: Position) -> Option<Located<Pause>> {
        let text = text.text();
        let role = self.role.map_or(Some(None), |role| role.name().map(Some));
        let within = self.within.map_or(Some(WITHIN), Item::positive_duration);
        let value = Pause {
            text: text?,
            role: role?,
            within: within?,
        };
        Some(Located { value, at })
    }
}
