//! `trend` and `compare`: what past runs say.

use std::path::Path;

use super::{
    Terminal,
    arguments::{CompareArguments, Picture, TrendArguments},
    print, tell, tell_error,
};
use crate::{
    exit_code::ExitCode,
    history::{self, History, Past},
    hostile::harmless,
    report::plural,
    source::Secrets,
};

pub(super) fn trend(arguments: &TrendArguments, terminal: Terminal) -> ExitCode {
    let history = match History::of(&arguments.reports) {
        Ok(history) => history,
        Err(error) => {
            tell_error(&error, &Secrets::default());
            return ExitCode::Usage;
        }
    };
    if let Some((folder, why)) = history.unreadable.first() {
        tell(&format!(
            "warning: {} not counted, such as `{}`: {}\n\nhint: `blackstart report FOLDER` writes the report of a run that was killed",
            plural(history.unreadable.len(), "run"),
            folder.display(),
            harmless(why)
        ));
    }
    let trends = history::trends(&history.runs, arguments.drill.as_deref());
    if trends.is_empty() {
        tell(&format!(
            "error: no run{} in `{}`",
            arguments
                .drill
                .as_ref()
                .map_or_else(String::new, |drill| format!(" of `{}`", harmless(drill))),
            arguments.reports.display()
        ));
        return ExitCode::NothingSelected;
    }
    print(&match arguments.format {
        Picture::Human => history::text(&trends, &terminal.stdout),
        Picture::Svg => history::svg(&trends),
    });
    ExitCode::Passed
}

pub(super) fn compare(arguments: &CompareArguments, terminal: Terminal) -> ExitCode {
    let read = |path: &Path| -> Result<Vec<Past>, ExitCode> {
        history::read(path).map_err(|error| {
            tell_error(&error, &Secrets::default());
            ExitCode::Usage
        })
    };
    let both = read(&arguments.before).and_then(|before| Ok((before, read(&arguments.now)?)));
    match both {
        Err(code) => code,
        Ok((before, now)) => {
            let comparison = history::compare(&before, &now);
            print(&comparison.text(&terminal.stdout));
            comparison.exit_code()
        }
    }
}
