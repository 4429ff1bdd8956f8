//! `completions` and `man`: what shells and `man` want to know of the command line.

use std::path::Path;

use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;

use super::{command, print, tell};
use crate::exit_code::ExitCode;

const NAME: &str = "blackstart";

pub(super) fn completions(shell: Shell) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), NAME, &mut script);
    print(&String::from_utf8_lossy(&script));
    ExitCode::Passed
}

/// Prints the page of a command, of the program itself if none is named, or writes all pages into a folder.
pub(super) fn man(path: &[String], folder: Option<&Path>) -> ExitCode {
    if let Some(folder) = folder {
        let written = std::fs::create_dir_all(folder)
            .and_then(|()| clap_mangen::generate_to(command(), folder));
        return match written {
            Ok(()) => ExitCode::Passed,
            Err(error) => {
                tell(&format!(
                    "error: could not write `{}`: {error}",
                    folder.display()
                ));
                ExitCode::CouldNotRun
            }
        };
    }
    let mut whole = command();
    whole.build();
    let mut found: &Command = &whole;
    for name in path {
        let Some(next) = found
            .find_subcommand(name)
            .filter(|next| !next.is_hide_set())
        else {
            tell(&format!("error: there is no command `{}`", path.join(" ")));
            return ExitCode::Usage;
        };
        found = next;
    }
    let mut page = Vec::new();
    match Man::new(found.clone()).render(&mut page) {
        Ok(()) => {
            print(&String::from_utf8_lossy(&page));
            ExitCode::Passed
        }
        Err(error) => {
            tell(&format!("error: could not make the page: {error}"));
            ExitCode::CouldNotRun
        }
    }
}
