//! The command line: the only module that knows clap, the process's streams and its signals.

mod arguments;
mod attached;
#[cfg(test)]
mod ci;
mod confirm;
mod containers;
mod doctor;
mod echo;
mod examples;
mod files;
mod history;
mod init;
mod keys;
mod lab;
mod manual;
mod pdf;
mod revert;
mod run;
mod serve;
mod showing;
mod signals;
mod stopping;
mod watch;

use std::{
    ffi::OsString,
    io::{ErrorKind, IsTerminal, Write},
    sync::atomic::{AtomicBool, Ordering},
};

use arguments::{Cli, Command, LabCommand, Look, When};
use clap::Parser;

use crate::{
    causes::with_causes,
    exit_code::ExitCode,
    report::{ColorChoice, Style, color_choice},
    source::{Coloring, Secrets, process_variable as variable},
};

/// What the commands write to, and how it should look.
#[derive(Debug, Clone, Copy)]
struct Terminal {
    stdout: Style,
    stderr: Style,
    quiet: bool,
    /// Whether somebody looks on, so that what is shown may move.
    live: bool,
}

impl Terminal {
    fn new(look: &Look) -> Self {
        let flag = match look.color {
            When::Auto => None,
            When::Always => Some(ColorChoice::Always),
            When::Never => Some(ColorChoice::Never),
        };
        let live = std::io::stderr().is_terminal();
        let width = variable("COLUMNS")
            .and_then(|columns| columns.parse().ok())
            .unwrap_or(100);
        let style = |is_terminal| Style {
            color: color_choice(flag, is_terminal, variable),
            ascii: look.ascii,
            width,
        };
        Self {
            stdout: style(std::io::stdout().is_terminal()),
            stderr: style(live),
            quiet: look.quiet,
            live,
        }
    }

    fn coloring(style: Style) -> Coloring {
        if style.color {
            Coloring::Ansi
        } else {
            Coloring::Plain
        }
    }
}

/// Whether a result could not be written: then whoever reads the file that stdout is has none, whatever came of the drills.
static RESULT_LOST: AtomicBool = AtomicBool::new(false);

/// Writes a result to stdout. A reader that has gone away (a pager, `head`) is no error of ours.
fn print(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let written = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    if let Err(error) = written
        && error.kind() != ErrorKind::BrokenPipe
    {
        tell(&format!("error: could not write to stdout: {error}"));
        RESULT_LOST.store(true, Ordering::Relaxed);
    }
}

/// Writes a line to stderr, where everything goes that is not the result.
fn tell(text: &str) {
    let mut stderr = std::io::stderr().lock();
    drop(writeln!(stderr, "{text}"));
}

/// Tells an error with everything that caused it, without secrets.
fn tell_error(error: &dyn std::error::Error, secrets: &Secrets) {
    tell(&format!("error: {}", secrets.hide(&with_causes(error))));
}

/// What can be typed.
pub(crate) fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

/// Runs the program with the process's own arguments.
pub fn main() -> ExitCode {
    run_with(std::env::args_os())
}

fn run_with(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are results; everything else is a mistake in the command line.
            drop(error.print());
            return if error.use_stderr() {
                ExitCode::Usage
            } else {
                ExitCode::Passed
            };
        }
    };
    let terminal = Terminal::new(&cli.look);
    let code = match cli.command {
        Command::Run(arguments) => run::run(&arguments, terminal),
        Command::Watch(arguments) => watch::watch(&arguments, terminal),
        Command::Check(arguments) => files::check(&arguments, terminal),
        Command::Plan(arguments) => files::plan(&arguments, terminal),
        Command::List(arguments) => files::list(&arguments, terminal),
        Command::Report(arguments) => run::show_again(&arguments, terminal),
        Command::Trend(arguments) => history::trend(&arguments, terminal),
        Command::Compare(arguments) => history::compare(&arguments, terminal),
        Command::Explain { topic } => files::explain(topic.as_deref()),
        Command::Schema { of } => files::schema(of),
        Command::Init(arguments) => init::init(&arguments, terminal),
        Command::Completions { shell } => manual::completions(shell),
        Command::Man { command, dir } => manual::man(&command, dir.as_deref()),
        Command::Doctor { reports } => doctor::doctor(&reports),
        Command::Revert(arguments) => revert::revert(&arguments),
        Command::Guard { journal } => revert::guard(&journal),
        Command::Lab(LabCommand::Up {
            environment,
            speed,
            token_file,
        }) => lab::up(&environment, speed, token_file.as_deref(), terminal),
        Command::Lab(LabCommand::Image { program }) => containers::image(program.as_deref()),
        Command::Lab(LabCommand::Down { dry_run }) => containers::down(dry_run),
    };
    let lost = RESULT_LOST.load(Ordering::Relaxed);
    ExitCode::worst(
        [code]
            .into_iter()
            .chain(lost.then_some(ExitCode::CouldNotRun)),
    )
}
