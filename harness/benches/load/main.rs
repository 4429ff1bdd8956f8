//! What looking costs: processor and memory of 1, 10 and 100 probes at 100 Hz, and of recording and judging a long run.
//!
//! `cargo bench --bench load [-- --seconds S --minutes N]`. What the columns mean: `docs/benchmarks.md`. Linux only: the figures are
//! the kernel's own, from `/proc/self`. The server and every row are processes of their own, so that none counts for another.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that prints a table"
)]

mod looking;
#[path = "../measurement/mod.rs"]
mod measurement;
mod own;
mod recording;
mod server;

use std::{
    io::{self, BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, ExitCode, Stdio},
    time::Duration,
};

use clap::{Parser, Subcommand};

use crate::{looking::Looked, recording::Judged};

/// From one sample of a probe to its next.
const EVERY: Duration = Duration::from_millis(10);

/// Measures what looking costs.
#[derive(Debug, Parser)]
struct Arguments {
    /// How long each number of probes looks.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// How long the run is that is recorded and judged.
    #[arg(long, default_value_t = 1)]
    minutes: u64,
    /// What cargo passes to every benchmark.
    #[arg(long, hide = true, global = true)]
    bench: bool,
    #[command(subcommand)]
    part: Option<Part>,
}

/// What a process of this benchmark does for another.
#[derive(Debug, Subcommand)]
enum Part {
    /// Serves until nobody holds its standard input.
    #[command(hide = true)]
    Serve,
    /// Looks with so many probes.
    #[command(hide = true)]
    Look { server: SocketAddr, probes: usize },
    /// Records a run and tells its memory while it goes on.
    #[command(hide = true)]
    Record { server: SocketAddr, file: String },
    /// Judges a recorded run.
    #[command(hide = true)]
    Judge { file: String },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match &arguments.part {
        None => measure(&arguments),
        Some(part) => play(part, &arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn play(part: &Part, arguments: &Arguments) -> io::Result<()> {
    let threads = blackstart::suite::Threads::start()?;
    match part {
        Part::Serve => threads.block_on(server::serve()),
        Part::Look { server, probes } => {
            let time = Duration::from_secs(arguments.seconds);
            let looked = threads.block_on(looking::look(*server, *probes, time))?;
            println!("{}", serde_json::to_string(&looked)?);
            Ok(())
        }
        Part::Record { server, file } => {
            let time = Duration::from_mins(arguments.minutes);
            threads.block_on(recording::record(*server, file, time))
        }
        Part::Judge { file } => {
            println!("{}", serde_json::to_string(&recording::judge(file)?)?);
            Ok(())
        }
    }
}

fn measure(arguments: &Arguments) -> io::Result<()> {
    let seconds = ["--seconds".to_owned(), arguments.seconds.to_string()];
    let minutes = ["--minutes".to_owned(), arguments.minutes.to_string()];
    let server = Server::start()?;
    println!(
        "| probes | samples | good | void | late p99 | processor | per sample | memory | peak |"
    );
    println!("| --: | --: | --: | --: | --: | --: | --: | --: | --: |");
    for probes in [1, 10, 100] {
        let output = another(&seconds, &["look", &server.address, &probes.to_string()]).output()?;
        let looked: Looked = serde_json::from_slice(&told(output)?)?;
        println!("{}", looked.row(probes));
    }

    let folder = tempfile::tempdir()?;
    let file = folder.path().join("events.ndjson").display().to_string();
    println!("\n| recording since | memory | peak |\n| --: | --: | --: |");
    let status = another(&minutes, &["record", &server.address, &file]).status()?;
    if !status.success() {
        return Err(io::Error::other("the recording process failed"));
    }
    let judged: Judged = serde_json::from_slice(&told(another(&[], &["judge", &file]).output()?)?)?;
    println!("\n{}", judged.sentence());
    Ok(())
}

/// This program once more, as a part.
fn another(options: &[String], part: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap_or_default());
    command.args(options).args(part).stderr(Stdio::inherit());
    command
}

fn told(output: std::process::Output) -> io::Result<Vec<u8>> {
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(io::Error::other("a part of the benchmark failed"))
    }
}

/// The server's process. It ends when this is dropped, because its standard input does.
struct Server {
    address: String,
    _process: Child,
}

impl Server {
    fn start() -> io::Result<Self> {
        let mut process = another(&[], &["serve"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut address = String::new();
        let stdout = process.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        BufReader::new(stdout).read_line(&mut address)?;
        Ok(Self {
            address: address.trim().to_owned(),
            _process: process,
        })
    }
}
