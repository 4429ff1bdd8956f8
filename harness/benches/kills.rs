//! How often something stays broken: harnesses killed at random moments, alone or together with their guards.
//!
//! `cargo bench --bench kills [-- --kills N --at-once N --seed N]`. After each kill the guard, or `blackstart revert` if it was
//! killed too, has to have brought a lab in a process of its own back to where it was; what is not so counts as left broken.
//! The drill's control plane answers at once, so a third of the kills wait for a record of the journal, to fall between two steps.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a program that prints a table, on the rig of a test"
)]

#[expect(dead_code, reason = "the test of crashes uses the rest")]
#[path = "../tests/crash/rig.rs"]
mod rig;

use std::{collections::BTreeMap, process::ExitCode, time::Duration};

use blackstart::{
    journal::{self, Actor, Journal, Record},
    timeline::{Entry, Event, FaultStep, Phase, file::Reader},
};
use clap::Parser;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rig::{Harness, Rig, guard_of};
use tokio::{task::JoinSet, time::sleep};

/// Kills harnesses and counts what stays broken.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many harnesses are killed.
    #[arg(long, default_value_t = 200)]
    kills: u32,
    /// How many labs are drilled at the same time.
    #[arg(long, default_value_t = 3)]
    at_once: u32,
    /// The seed of the moments.
    #[arg(long)]
    seed: Option<u64>,
    /// Cargo says so to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Harness {
    fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// The journal of a run that may not have come so far.
    async fn journal_if_any(&mut self) -> Option<Journal> {
        journal::read(&self.folder().await.join(journal::FILE_NAME)).ok()
    }

    /// The events of a run that may not have come so far.
    async fn events_if_any(&mut self) -> Vec<Entry> {
        let events = self.folder().await.join("events.ndjson");
        Reader::open(events).map_or_else(
            |_| Vec::new(),
            |reader| reader.map_while(Result::ok).collect(),
        )
    }
}

/// What became of one kill.
#[derive(Debug, Default)]
struct Kill {
    phase: String,
    with_guard: bool,
    by_guard: usize,
    by_revert: usize,
    is_broken: bool,
    words: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    println!("{} kills, seed {seed}", arguments.kills);
    let mut labs = JoinSet::new();
    for lab in 0..arguments.at_once {
        let share = (arguments.kills + arguments.at_once - 1 - lab) / arguments.at_once;
        let random = fastrand::Rng::with_seed(seed.wrapping_add(u64::from(lab)));
        labs.spawn(kill_many(share, random));
    }
    let kills: Vec<Kill> = labs.join_all().await.into_iter().flatten().collect();
    for broken in kills.iter().filter(|kill| kill.is_broken) {
        println!("LEFT BROKEN in {}: {}", broken.phase, broken.words);
    }
    show(&kills);
    let broken = kills.iter().filter(|kill| kill.is_broken).count();
    println!("{broken} left broken of {}", kills.len());
    ExitCode::from(u8::from(broken > 0))
}

async fn kill_many(kills: u32, mut random: fastrand::Rng) -> Vec<Kill> {
    let rig = Rig::start().await;
    let mut done = Vec::new();
    for _ in 0..kills {
        done.push(kill_one(&rig, &mut random).await);
        eprint!(".");
    }
    done
}

async fn kill_one(rig: &Rig, random: &mut fastrand::Rng) -> Kill {
    let before = rig.settings().await;
    let mut run = rig.run().await;
    match random.u32(..3) {
        // Anywhere, and most of a run is steady state and hold.
        0 => {
            run.folder().await;
            sleep(Duration::from_millis(random.u64(..3000))).await;
        }
        // While something is broken.
        1 => {
            let events = run.folder().await.join("events.ndjson");
            let is_there = || {
                let read = std::fs::read_to_string(&events);
                read.is_ok_and(|text| text.contains("\"phase\":\"inject\""))
            };
            // On a machine that is too busy for it the service may not be found steady, and then nothing is broken.
            while !is_there() && run.is_running() {
                sleep(Duration::from_millis(1)).await;
            }
            sleep(Duration::from_millis(random.u64(..1800))).await;
        }
        // Between two steps: the run has 2 records before it breaks anything, and some 20 in all.
        _ => {
            let journal = run.folder().await.join("undo.ndjson");
            let records = random.usize(2..21);
            let is_there = || {
                let read = std::fs::read_to_string(&journal);
                read.is_ok_and(|text| text.lines().count() >= records)
            };
            while !is_there() && run.is_running() {
                sleep(Duration::from_micros(random.u64(50..500))).await;
            }
        }
    }
    // Frozen first, so that it cannot tell in which order the two of them die.
    run.signal(Signal::SIGSTOP);
    let guard = run.journal_if_any().await.as_ref().and_then(guard_of);
    let with_guard = random.bool() && guard.is_some();
    if let Some(guard) = guard.filter(|_| with_guard) {
        // It may have gone by itself.
        kill(Pid::from_raw(guard), Signal::SIGKILL).ok();
    }
    run.signal(Signal::SIGKILL);
    run.ended().await;
    run.guard_ended().await;
    let revert = rig.revert(&[]);
    let after = rig.settings().await;
    let journal = run.journal_if_any().await.unwrap_or_default();
    let phase = run
        .events_if_any()
        .await
        .iter()
        .filter_map(|entry| {
            let Event::Phase { phase } = &entry.event else {
                return None;
            };
            // A revert that the harness had no part in is the guard's, or of `blackstart revert`.
            let is_ours = *phase != Phase::Revert || restored(&journal, Actor::Harness) > 0;
            is_ours.then(|| format!("{phase:?}"))
        })
        .next_back();
    Kill {
        phase: phase.unwrap_or_else(|| "before".to_owned()),
        with_guard,
        by_guard: restored(&journal, Actor::Guard),
        by_revert: restored(&journal, Actor::Revert),
        is_broken: after != before || !revert.status.success(),
        words: format!("{after:?}; {}", String::from_utf8_lossy(&revert.stderr)),
    }
}

/// How many targets somebody restored.
fn restored(journal: &Journal, actor: Actor) -> usize {
    let is_by = |record: &&Record| matches!(record, Record::Step { by, step: FaultStep::Restored, .. } if *by == actor);
    journal.records.iter().filter(is_by).count()
}

fn show(kills: &[Kill]) {
    let mut rows: BTreeMap<(&str, bool), Vec<&Kill>> = BTreeMap::new();
    for kill in kills {
        rows.entry((&kill.phase, kill.with_guard))
            .or_default()
            .push(kill);
    }
    println!(
        "\n{:<14} {:<18} {:>5} {:>14} {:>15}",
        "last phase", "killed", "kills", "guard restored", "revert restored"
    );
    for ((phase, with_guard), kills) in rows {
        let killed = if with_guard {
            "harness and guard"
        } else {
            "harness"
        };
        let guard: usize = kills.iter().map(|kill| kill.by_guard).sum();
        let revert: usize = kills.iter().map(|kill| kill.by_revert).sum();
        println!(
            "{phase:<14} {killed:<18} {:>5} {guard:>14} {revert:>15}",
            kills.len()
        );
    }
}
