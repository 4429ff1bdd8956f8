//! Whether a drill keeps to the limits of its environment, and names what there is in its own conditions.

use super::Checker;
use crate::{
    drill::{Fault, duration_words},
    environment::{Thing, Touched, check_abort_if},
    plan::longest_fault,
    source::{
        Problem,
        Step::{Index, Key},
    },
};

pub(super) fn drill(checker: &Checker<'_>) {
    targets(checker);
    twice_at_once(checker);
    max_fault(checker);
    let list = checker.file.document.follow(&[Key("abort-if")]);
    check_abort_if(
        checker.context,
        list,
        &checker.file.drill.abort_if,
        checker.environment,
    );
}

/// The faults that the environment's limits do not allow. Those on unknown targets are reported elsewhere.
fn targets(checker: &Checker<'_>) {
    let mut broken: Vec<&str> = Vec::new();
    for (step_index, step) in checker.file.drill.faults.iter().enumerate() {
        let entry = checker
            .file
            .document
            .follow(&[Key("faults"), Index(step_index)]);
        for (fault_index, fault) in step.faults.iter().enumerate() {
            let name = fault.value.target();
            let Some(target) = checker.environment.targets.get(name) else {
                continue;
            };
            let touched = Touched {
                target: name.to_owned(),
                thing: Thing::from(target),
            };
            let permitted = checker
                .environment
                .limits
                .permit(&touched, broken.iter().copied());
            broken.push(name);
            if let Err(breach) = permitted {
                let entry = match entry.get("together") {
                    Some(list) => list.follow(&[Index(fault_index)]),
                    None => entry,
                };
                let node = entry.follow(&[Key(fault.value.kind()), Key("target")]);
                let hint = format!("see `limits:` in {}", checker.environment.file.display());
                checker.push(
                    Problem::error(checker.context.file(), node.place, breach.to_string())
                        .with_hint(hint),
                );
            }
        }
    }
}

/// The same fault on the same target at the same time: which of the two would be in place is a matter of luck.
fn twice_at_once(checker: &Checker<'_>) {
    for (step_index, step) in checker.file.drill.faults.iter().enumerate() {
        let list = [Key("faults"), Index(step_index), Key("together")];
        let list = checker.file.document.follow(&list);
        for (index, fault) in step.faults.iter().enumerate() {
            let what = |fault: &Fault| (fault.kind(), fault.target().to_owned());
            let mut earlier = step.faults[..index].iter();
            if !earlier.any(|earlier| what(&earlier.value) == what(&fault.value)) {
                continue;
            }
            let (kind, target) = what(&fault.value);
            let node = list.follow(&[Index(index), Key(kind), Key("target")]);
            let message = format!("`{kind}` is done to `{target}` twice at the same time");
            checker.push(
                Problem::error(checker.context.file(), node.place, message).with_hint(
                    "leave one out, or give each an entry of its own, one after the other",
                ),
            );
        }
    }
}

/// A drill that plans to hold its faults for longer than the environment lets it ends aborted.
fn max_fault(checker: &Checker<'_>) {
    let (Some(limit), Some(planned)) = (
        checker.environment.limits.max_fault,
        longest_fault(&checker.file.drill, checker.environment),
    ) else {
        return;
    };
    if planned > limit {
        let message = format!(
            "the faults may be in place for {}, and `limits: max-fault` of the environment reverts them after {}",
            duration_words(planned),
            duration_words(limit)
        );
        let node = checker.file.document.follow(&[Key("hold")]);
        checker.push(
            checker
                .warning(node, message)
                .with_hint("hold for less, or the drill ends aborted and nothing is judged"),
        );
    }
}
