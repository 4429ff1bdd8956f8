//! The commands that only read: `check`, `plan`, `list`, `explain`, `schema`.

use std::sync::Arc;

use super::{
    Terminal,
    arguments::{PlanArguments, SchemaOf, SelectionArguments},
    print, tell, tell_error, variable,
};
use crate::{
    catalog::{self, Catalog},
    environment::{self, Environment},
    exit_code::ExitCode,
    explain, hostile, plan as planning, provider,
    report::plural,
    schema as schemas,
    source::Problems,
};

/// Loads what was selected and tells every problem.
///
/// # Errors
/// The exit code, if a file is invalid or nothing is left.
pub(super) fn load(
    arguments: &SelectionArguments,
    terminal: Terminal,
) -> Result<Catalog, ExitCode> {
    let (mut catalog, problems) = catalog::load(&arguments.selection(), &variable);
    if !problems.is_empty() {
        tell(
            problems
                .render(Terminal::coloring(terminal.stderr))
                .trim_end(),
        );
    }
    if problems.has_errors() {
        return Err(ExitCode::Usage);
    }
    if !arguments.tag.is_empty() {
        catalog.entries.retain(|entry| {
            entry
                .drill
                .tags
                .iter()
                .any(|tag| arguments.tag.contains(tag))
        });
    }
    if let Some(partition) = arguments.partition {
        partition.keep(&mut catalog.entries, |entry| entry.drill.name.clone());
    }
    if catalog.entries.is_empty() {
        tell(
            "error: no drill was selected\n\nhint: `blackstart list` shows the drills with their tags",
        );
        return Err(ExitCode::NothingSelected);
    }
    Ok(catalog)
}

/// Loads an environment by its name or its file and tells every problem.
///
/// # Errors
/// The exit code, if it is invalid.
pub(super) fn load_environment(name: &str, terminal: Terminal) -> Result<Environment, ExitCode> {
    let (environment, problems) = catalog::load_environment(name, &variable);
    if !problems.is_empty() {
        tell(
            problems
                .render(Terminal::coloring(terminal.stderr))
                .trim_end(),
        );
    }
    environment.ok_or(ExitCode::Usage)
}

/// Checks drills with their environments, and files that are environments by themselves.
pub(super) fn check(arguments: &SelectionArguments, terminal: Terminal) -> ExitCode {
    let (environments, drills): (Vec<_>, Vec<_>) = arguments
        .paths
        .iter()
        .cloned()
        .partition(|path| environment::is_one(path));
    let mut problems = Problems::default();
    for path in &environments {
        problems.append(environment::load(path, &variable).1);
    }
    if !problems.is_empty() {
        let coloring = Terminal::coloring(terminal.stderr);
        tell(problems.render(coloring).trim_end());
    }
    if problems.has_errors() {
        return ExitCode::Usage;
    }
    if drills.is_empty() {
        let environments = plural(environments.len(), "environment");
        print(&format!("{environments}: no errors\n"));
        return ExitCode::Passed;
    }
    let arguments = SelectionArguments {
        paths: drills,
        ..arguments.clone()
    };
    match load(&arguments, terminal) {
        Err(code) => code,
        Ok(catalog) => {
            let expectations: usize = catalog
                .entries
                .iter()
                .map(|entry| entry.drill.expect.len())
                .sum();
            let drills = plural(catalog.entries.len(), "drill");
            print(&format!(
                "{drills}, {}: no errors\n",
                plural(expectations, "expectation")
            ));
            ExitCode::Passed
        }
    }
}

pub(super) fn list(arguments: &SelectionArguments, terminal: Terminal) -> ExitCode {
    let catalog = match load(arguments, terminal) {
        Ok(catalog) => catalog,
        Err(code) => return code,
    };
    let mut lines = Vec::new();
    for listing in catalog.entries.iter().map(catalog::Entry::listing) {
        let tags = if listing.tags.is_empty() {
            String::new()
        } else {
            format!("  [{}]", listing.tags.join(", "))
        };
        lines.push(format!(
            "{}  ({}){tags}",
            listing.drill, listing.environment
        ));
        lines.push(format!("    {}", listing.about));
        lines.extend(
            listing
                .expectations
                .iter()
                .map(|expectation| format!("      {expectation}")),
        );
    }
    print(&(lines.join("\n") + "\n"));
    ExitCode::Passed
}

pub(super) fn plan(arguments: &PlanArguments, terminal: Terminal) -> ExitCode {
    if arguments.permissions {
        return permissions(&arguments.selection, terminal);
    }
    let arguments = &arguments.selection;
    let catalog = match load(arguments, terminal) {
        Ok(catalog) => catalog,
        Err(code) => return code,
    };
    let mut text = String::new();
    for entry in catalog.entries {
        let secrets = entry.secrets();
        match planning::plan(Arc::new(entry.drill), entry.environment, arguments.speed) {
            Ok(plan) => {
                text.push_str(&plan.to_string());
                text.push('\n');
            }
            Err(error) => {
                tell_error(&error, &secrets);
                return ExitCode::Usage;
            }
        }
    }
    print(&text);
    ExitCode::Passed
}

/// Prints the least that all selected drills need, once for each system.
fn permissions(arguments: &SelectionArguments, terminal: Terminal) -> ExitCode {
    let catalog = match load(arguments, terminal) {
        Ok(catalog) => catalog,
        Err(code) => return code,
    };
    let mut texts = Vec::new();
    for entry in &catalog.entries {
        let steps = entry.drill.faults.iter();
        let faults: Vec<_> = steps
            .flat_map(|step| &step.faults)
            .map(|fault| &fault.value)
            .collect();
        match provider::permissions(&entry.environment, &faults) {
            Ok(found) => texts.extend(found.iter().map(|found| {
                format!(
                    "# {}, {}, for {}\n{}",
                    found.binding,
                    hostile::harmless(&found.system),
                    entry.drill.name,
                    found.text
                )
            })),
            Err(error) => {
                tell_error(&error, &entry.secrets());
                return ExitCode::Usage;
            }
        }
    }
    if texts.is_empty() {
        tell("no target is in a system that gives permissions");
    }
    print(&texts.concat());
    ExitCode::Passed
}

pub(super) fn explain(topic: Option<&str>) -> ExitCode {
    let Some(topic) = topic else {
        let topics: Vec<_> = explain::topics().collect();
        print(&(topics.join("\n") + "\n"));
        return ExitCode::Passed;
    };
    if let Some(page) = explain::page(topic) {
        print(page.text);
        return ExitCode::Passed;
    }
    let nearest = explain::nearest(topic)
        .map(|near| format!("\n\nhint: did you mean `{near}`?"))
        .unwrap_or_default();
    tell(&format!(
        "error: there is no page about `{topic}`; `blackstart explain` lists all topics{nearest}"
    ));
    ExitCode::Usage
}

pub(super) fn schema(of: SchemaOf) -> ExitCode {
    let schema = match of {
        SchemaOf::Drill => schemas::drill(),
        SchemaOf::Environment => schemas::environment(),
        SchemaOf::Report => schemas::report(),
    };
    print(&format!("{schema:#}\n"));
    ExitCode::Passed
}
