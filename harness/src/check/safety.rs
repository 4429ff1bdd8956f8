//! Whether a drill keeps to the limits of its environment, and names what there is in its own conditions.

use super::Checker;
use crate::{
    drill::duration_words,
    environment::{Thing, Touched, check_abort_if},
    plan::longest_fault,
    source::{
        Problem,
        Step::{Index, Key},
    },
};

pub(super) fn drill(checker: &Checker<'_>) {
    targets(checker);
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
