//! How well outages are measured: a service that fails for known times, the program's own probe and judge, and the usual ways beside.
//!
//! `cargo bench --bench accuracy [-- --outages N --cadence 10ms]`. What the columns mean: `docs/benchmarks.md`.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that prints a table"
)]

#[path = "../measurement/mod.rs"]
mod measurement;
mod outage;
mod service;
mod table;
mod trial;
mod usual;

use std::{
    io,
    process::{Command, ExitCode, Stdio},
    sync::Arc,
    time::Duration,
};

use clap::{Parser, ValueEnum};
use tokio::{
    sync::Semaphore,
    task::{JoinSet, spawn_blocking},
};

use crate::{outage::Kind, trial::Trial};

/// As much is run at once. More would disturb each other.
const ROOM: usize = 6;

/// Measures outages of known length.
#[derive(Debug, Parser)]
struct Arguments {
    /// Outages a cadence, spread over the kinds.
    #[arg(long, default_value_t = 203)]
    outages: usize,
    /// From one sample to the next, more than once for several.
    #[arg(long, value_parser = cadence, default_values = ["10ms", "100ms"])]
    cadence: Vec<Duration>,
    /// The kinds of outages. Default: all.
    #[arg(long)]
    kind: Vec<Kind>,
    /// The seed of everything random.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Runs one trial and prints it for another process.
    #[arg(long, hide = true)]
    trial: bool,
    /// What cargo passes to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

fn cadence(text: &str) -> Result<Duration, String> {
    let number = text
        .strip_suffix("ms")
        .ok_or("write it in milliseconds, as in `10ms`")?;
    match number.parse() {
        Ok(milliseconds @ 1..) => Ok(Duration::from_millis(milliseconds)),
        Ok(0) | Err(_) => Err("not a positive number of milliseconds".to_owned()),
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = blackstart::suite::Threads::start()
        .and_then(|threads| threads.block_on(measure(&arguments)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(arguments: &Arguments) -> io::Result<()> {
    let kinds = if arguments.kind.is_empty() {
        Kind::value_variants()
    } else {
        &arguments.kind
    };
    let each = arguments.outages.div_ceil(kinds.len());
    if arguments.trial {
        let trial = trial::run(kinds[0], arguments.cadence[0], each, arguments.seed).await?;
        println!("{}", serde_json::to_string(&trial)?);
        return Ok(());
    }
    let room = Arc::new(Semaphore::new(ROOM));
    let mut trials = JoinSet::new();
    let mut seed = arguments.seed;
    for &every in &arguments.cadence {
        for &kind in kinds {
            seed += 1;
            let (room, seed) = (Arc::clone(&room), seed);
            trials.spawn(async move {
                let permit = room
                    .acquire_many(weight(every))
                    .await
                    .map_err(io::Error::other)?;
                let done = run(kind, every, each, seed).await;
                drop(permit);
                done
            });
        }
    }
    let mut done = Vec::new();
    let mut left_out = Vec::new();
    while let Some(joined) = trials.join_next().await {
        match joined.map_err(io::Error::other)?? {
            Outcome::Measured(trial) => done.push(trial),
            Outcome::LeftOut(reason) => left_out.push(reason),
        }
    }
    println!(
        "{}\n{}\n{}",
        table::bounds(&done),
        table::usual(&done),
        table::prober(&done)
    );
    for reason in left_out {
        println!("{reason}");
    }
    Ok(())
}

enum Outcome {
    Measured(Trial),
    /// Why a trial could not be made on this machine.
    LeftOut(String),
}

/// How much room a trial takes.
fn weight(every: Duration) -> u32 {
    if every < Duration::from_millis(50) {
        2
    } else {
        1
    }
}

async fn run(kind: Kind, every: Duration, outages: usize, seed: u64) -> io::Result<Outcome> {
    if kind != Kind::Dropped {
        return trial::run(kind, every, outages, seed)
            .await
            .map(Outcome::Measured);
    }
    Ok(match run_apart(kind, every, outages, seed).await {
        Ok(trial) => Outcome::Measured(trial),
        Err(error) => Outcome::LeftOut(format!(
            "{}, every {every:?}: left out: {error}",
            kind.words()
        )),
    })
}

/// Runs a trial in a process of its own with a network of its own, whose packet filter is nobody else's.
async fn run_apart(kind: Kind, every: Duration, outages: usize, seed: u64) -> io::Result<Trial> {
    let itself = std::env::current_exe()?;
    let kind = kind
        .to_possible_value()
        .map(|value| value.get_name().to_owned())
        .unwrap_or_default();
    let mut command = Command::new("unshare");
    command
        .args([
            "--net",
            "sh",
            "-c",
            "ip link set lo up && exec \"$@\"",
            "sh",
        ])
        .arg(itself)
        .args(["--trial", "--kind", &kind])
        .args(["--cadence", &format!("{}ms", every.as_millis())])
        .args(["--outages", &outages.to_string()])
        .args(["--seed", &seed.to_string()])
        .stdin(Stdio::null());
    let output = spawn_blocking(move || command.output())
        .await
        .map_err(io::Error::other)??;
    if !output.status.success() {
        return Err(io::Error::other(
            String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        ));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
