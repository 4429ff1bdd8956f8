//! The commands that only read: `check`, `plan`, `list`, `explain`, `schema`.

use std::sync::Arc;

use super::{
    Terminal,
    arguments::{SchemaOf, SelectionArguments},
    print, tell, tell_error, variable,
};
use crate::{
    catalog::{self, Catalog},
    exit_code::ExitCode,
    explain, plan as planning,
    report::plural,
    schema as schemas,
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
    if catalog.entries.is_empty() {
        tell(
            "error: no drill was selected\n\nhint: `blackstart list` shows the drills with their tags",
        );
        return Err(ExitCode::NothingSelected);
    }
    Ok(catalog)
}

pub(super) fn check(arguments: &SelectionArguments, terminal: Terminal) -> ExitCode {
    match load(arguments, terminal) {
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

pub(super) fn plan(arguments: &SelectionArguments, terminal: Terminal) -> ExitCode {
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
