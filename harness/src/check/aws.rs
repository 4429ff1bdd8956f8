//! What a drill on AWS has to heed: changes that depend on one region, and APIs that everybody in the account shares.

use std::time::Duration;

use super::Checker;
use crate::{
    drill::duration_words,
    environment::{AwsKind, AwsResource, EnvironmentFile, Target},
    source::{
        Context, Problem,
        Step::{Index, Key},
    },
};

/// An observer of a health check that looks more often than this takes much of what the account may ask: a reading is two requests, and
/// five a second are everybody's (Route 53 developer guide, "Quotas").
const CHECKS_READ: Duration = Duration::from_secs(5);

/// Observers that look too often.
pub(super) fn environment(context: &Context<'_>, file: &EnvironmentFile) {
    let environment = &file.environment;
    for (index, observer) in environment.observers.iter().enumerate() {
        let Some(Target::Aws(AwsResource {
            kind: AwsKind::HealthCheck(_),
            ..
        })) = environment.targets.get(&observer.watches)
        else {
            continue;
        };
        if observer.every >= CHECKS_READ {
            continue;
        }
        let node = file.document.follow(&[Key("observers"), Index(index)]);
        let place = node.get("every").map_or(node.place, |every| every.place);
        let problem = Problem::warning(
            context.file(),
            place,
            format!(
                "this asks Route 53 for the health check every {}, and its API allows five requests a second to everybody in the account \
                 together",
                duration_words(observer.every)
            ),
        );
        context.push(problem.with_hint(format!(
            "write `every: {}` or more",
            duration_words(CHECKS_READ)
        )));
    }
}

/// Changes of records, which nobody is to make without having been asked.
pub(super) fn drill(checker: &Checker<'_>) {
    for (step_index, step) in checker.file.drill.faults.iter().enumerate() {
        for (index, fault) in step.faults.iter().enumerate() {
            let target = checker.environment.targets.get(fault.value.target());
            let Some(Target::Aws(resource)) = target else {
                continue;
            };
            if !resource.kind.wants_confirmation() || checker.environment.protected {
                continue;
            }
            let entry = [Key("faults"), Index(step_index)];
            let entry = checker.file.document.follow(&entry);
            let entry = match entry.get("together") {
                Some(list) => list.follow(&[Index(index)]),
                None => entry,
            };
            let node = entry.follow(&[Key(fault.value.kind()), Key("target")]);
            let message = format!(
                "`{}` changes records of Route 53 through us-east-1, and somebody has to confirm that: the environment is not `protected`",
                fault.value.kind()
            );
            let hint = format!(
                "add `protected: true` to {}",
                checker.environment.file.display()
            );
            checker.push(checker.error(node, message).with_hint(hint));
        }
    }
}
