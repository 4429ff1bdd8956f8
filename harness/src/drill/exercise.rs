//! What people say of a drill and no measurement can: who took part, what is done about it, who signs. The `exercise:` block of a drill
//! file, or of a file of its own (`--meta`). Whatever is left out is a blank line in the report.

use std::{collections::BTreeMap, path::Path};

use schemars::JsonSchema;
use serde::Serialize;

use crate::source::{Context, Document, Item, Problems, Reading};

/// What people say of a drill.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Exercise {
    /// The organisation.
    pub organisation: Option<String>,
    /// The system or service, as the business calls it.
    pub system: Option<String>,
    /// Who owns it.
    pub owner: Option<String>,
    /// What the drill is for, in the words of a plan or a regulation.
    pub objective: Option<String>,
    /// Third parties in scope.
    pub third_parties: Vec<String>,
    /// What is out of scope.
    pub out_of_scope: Vec<String>,
    /// What is assumed.
    pub assumptions: Vec<String>,
    /// Impact analysis, plan, change ticket.
    pub references: Vec<String>,
    /// Who took part.
    pub participants: Vec<Participant>,
    /// Who looked on.
    pub observers: Vec<String>,
    /// Who declared the incident, and when.
    pub declared: Option<String>,
    /// Whether escalation worked as planned.
    pub escalation: Option<String>,
    /// Whether users and third parties were told.
    pub communication: Option<String>,
    /// What is done about what was found.
    pub actions: Vec<Action>,
    /// Who prepared, reviewed and acknowledged the report.
    pub sign_off: Option<SignOff>,
    /// What it comes to, for people.
    pub overall: Option<Overall>,
    /// When the next test is due.
    pub next_test: Option<String>,
}

/// Somebody who took part.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Participant {
    /// The name.
    pub name: String,
    /// The role in the drill.
    pub role: Option<String>,
    /// The organisation.
    pub organisation: Option<String>,
    /// From when to when.
    pub present: Option<String>,
}

/// Something that is done about a finding.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Action {
    /// What was found.
    pub finding: String,
    /// How bad it is.
    pub severity: Option<String>,
    /// What is done about it.
    pub action: Option<String>,
    /// By whom.
    pub owner: Option<String>,
    /// Until when.
    pub due: Option<String>,
}

/// Who stands for the report.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct SignOff {
    /// Who prepared it.
    pub prepared: Option<Signed>,
    /// Who reviewed it.
    pub reviewed: Option<Signed>,
    /// Who acknowledged it.
    pub acknowledged: Option<Signed>,
}

/// A name and a date; the signature is made by hand.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Signed {
    /// The name.
    pub name: String,
    /// The date.
    pub date: Option<String>,
}

/// What a drill comes to, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Overall {
    /// It passed.
    Passed,
    /// It passed, and something has to be done.
    PassedWithConditions,
    /// It failed.
    Failed,
}

impl Exercise {
    /// What the other says, and where that says nothing, what this one does.
    #[must_use]
    pub fn overlaid(self, other: Self) -> Self {
        fn list<T>(this: Vec<T>, other: Vec<T>) -> Vec<T> {
            if other.is_empty() { this } else { other }
        }
        Self {
            organisation: other.organisation.or(self.organisation),
            system: other.system.or(self.system),
            owner: other.owner.or(self.owner),
            objective: other.objective.or(self.objective),
            third_parties: list(self.third_parties, other.third_parties),
            out_of_scope: list(self.out_of_scope, other.out_of_scope),
            assumptions: list(self.assumptions, other.assumptions),
            references: list(self.references, other.references),
            participants: list(self.participants, other.participants),
            observers: list(self.observers, other.observers),
            declared: other.declared.or(self.declared),
            escalation: other.escalation.or(self.escalation),
            communication: other.communication.or(self.communication),
            actions: list(self.actions, other.actions),
            sign_off: other.sign_off.or(self.sign_off),
            overall: other.overall.or(self.overall),
            next_test: other.next_test.or(self.next_test),
        }
    }
}

/// Reads a file that has an `exercise:` block and nothing else. Variables in it stand for themselves.
pub fn read_meta(path: &Path) -> (Option<Exercise>, Problems) {
    let kept = BTreeMap::new();
    let (document, mut problems) = Document::read(path, Reading::Copy(&kept));
    let exercise = document.and_then(|document| {
        let context = Context::of(&document);
        let exercise = Item::new(&context, &document.root, "the file")
            .mapping()
            .and_then(|mut file| {
                let exercise = file.require("exercise", decode);
                file.finish();
                exercise
            });
        problems.append(context.into_problems());
        exercise
    });
    (exercise.filter(|_| !problems.has_errors()), problems)
}

pub(super) fn decode(item: Item<'_>) -> Option<Exercise> {
    let mut mapping = item.mapping()?;
    let texts = |list: Item<'_>| list.list_of(Item::text);
    let organisation = mapping.maybe("organisation", Item::text);
    let system = mapping.maybe("system", Item::text);
    let owner = mapping.maybe("owner", Item::text);
    let objective = mapping.maybe("objective", Item::text);
    let third_parties = mapping.default("third-parties", Vec::new(), texts);
    let out_of_scope = mapping.default("out-of-scope", Vec::new(), texts);
    let assumptions = mapping.default("assumptions", Vec::new(), texts);
    let references = mapping.default("references", Vec::new(), texts);
    let participants =
        mapping.default("participants", Vec::new(), |list| list.list_of(participant));
    let observers = mapping.default("observers", Vec::new(), texts);
    let declared = mapping.maybe("declared", Item::text);
    let escalation = mapping.maybe("escalation", Item::text);
    let communication = mapping.maybe("communication", Item::text);
    let actions = mapping.default("actions", Vec::new(), |list| list.list_of(action));
    let sign_off = mapping.maybe("sign-off", sign_off);
    let overall = mapping.maybe("overall", |overall| {
        overall.word(&[
            ("passed", Overall::Passed),
            ("passed-with-conditions", Overall::PassedWithConditions),
            ("failed", Overall::Failed),
        ])
    });
    let next_test = mapping.maybe("next-test", Item::text);
    mapping.finish();
    Some(Exercise {
        organisation: organisation?,
        system: system?,
        owner: owner?,
        objective: objective?,
        third_parties: third_parties?,
        out_of_scope: out_of_scope?,
        assumptions: assumptions?,
        references: references?,
        participants: participants?,
        observers: observers?,
        declared: declared?,
        escalation: escalation?,
        communication: communication?,
        actions: actions?,
        sign_off: sign_off?,
        overall: overall?,
        next_test: next_test?,
    })
}

fn participant(item: Item<'_>) -> Option<Participant> {
    let mut mapping = item.mapping()?;
    let name = mapping.require("name", Item::text);
    let role = mapping.maybe("role", Item::text);
    let organisation = mapping.maybe("organisation", Item::text);
    let present = mapping.maybe("present", Item::text);
    mapping.finish();
    Some(Participant {
        name: name?,
        role: role?,
        organisation: organisation?,
        present: present?,
    })
}

fn action(item: Item<'_>) -> Option<Action> {
    let mut mapping = item.mapping()?;
    let finding = mapping.require("finding", Item::text);
    let severity = mapping.maybe("severity", Item::text);
    let action = mapping.maybe("action", Item::text);
    let owner = mapping.maybe("owner", Item::text);
    let due = mapping.maybe("due", Item::text);
    mapping.finish();
    Some(Action {
        finding: finding?,
        severity: severity?,
        action: action?,
        owner: owner?,
        due: due?,
    })
}

fn sign_off(item: Item<'_>) -> Option<SignOff> {
    let mut mapping = item.mapping()?;
    let prepared = mapping.maybe("prepared", signed);
    let reviewed = mapping.maybe("reviewed", signed);
    let acknowledged = mapping.maybe("acknowledged", signed);
    mapping.finish();
    Some(SignOff {
        prepared: prepared?,
        reviewed: reviewed?,
        acknowledged: acknowledged?,
    })
}

fn signed(item: Item<'_>) -> Option<Signed> {
    let mut mapping = item.mapping()?;
    let name = mapping.require("name", Item::text);
    let date = mapping.maybe("date", Item::text);
    mapping.finish();
    Some(Signed {
        name: name?,
        date: date?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Option<Exercise>, String) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("meta.yaml");
        std::fs::write(&file, text).unwrap();
        let (exercise, problems) = read_meta(&file);
        (exercise, problems.render(crate::source::Coloring::Plain))
    }

    #[test]
    fn a_file_of_its_own_has_the_block_and_nothing_else() {
        let (exercise, _) = read("exercise:\n  organisation: Example\n  observers: [A, B]\n");
        let exercise = exercise.unwrap();
        assert_eq!(exercise.organisation.as_deref(), Some("Example"));
        assert_eq!(exercise.observers, ["A", "B"]);
        let (none, problems) = read("exercise: { organization: Example }\n");
        assert!(
            none.is_none() && problems.contains("organisation"),
            "{problems}"
        );
        let (none, problems) = read("exercise: {}\ndrill: x\n");
        assert!(none.is_none() && problems.contains("drill"), "{problems}");
    }

    #[test]
    fn what_a_file_says_goes_over_what_the_drill_says() {
        let own = read("exercise: { owner: A, objective: B, observers: [C] }")
            .0
            .unwrap();
        let meta = read("exercise: { owner: X, overall: failed }").0.unwrap();
        let both = own.overlaid(meta);
        assert_eq!(both.owner.as_deref(), Some("X"));
        assert_eq!(both.objective.as_deref(), Some("B"));
        assert_eq!(both.observers, ["C"]);
        assert_eq!(both.overall, Some(Overall::Failed));
    }

    #[test]
    fn a_variable_in_it_is_not_filled_in() {
        let (exercise, _) = read("exercise: { owner: \"${PATH}\" }");
        assert_eq!(exercise.unwrap().owner.as_deref(), Some("${PATH}"));
    }
}
