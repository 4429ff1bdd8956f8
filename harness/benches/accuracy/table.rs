//! The figures of several trials, as Markdown.

use std::{fmt::Write, time::Duration};

use crate::{
    outage::{Truth, Within},
    trial::{Measured, Trial},
};

/// What the bounds are worth.
pub(crate) fn bounds(trials: &[Trial]) -> String {
    let mut table = String::from(
        "| outage | every | outages | seen | start inside | end inside | length inside | width p50 | width p99 | error p50 | error max |\n\
         | --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |\n",
    );
    for (name, every, measured) in rows(trials) {
        let seen: Vec<_> = measured
            .iter()
            .filter_map(|one| Some((one.truth, one.judged?)))
            .collect();
        let inside = |part: fn(Truth) -> Within| {
            let inside = seen
                .iter()
                .filter(|(truth, judged)| part(*truth).agrees(part(*judged)))
                .count();
            format!("{inside}/{}", seen.len())
        };
        let widths = sorted(seen.iter().map(|(_, judged)| judged.length().width()));
        let errors = sorted(
            seen.iter()
                .map(|(truth, judged)| judged.length().middle() - truth.length().middle()),
        );
        line(
            &mut table,
            &[
                name,
                milliseconds(every.as_secs_f64()),
                measured.len().to_string(),
                seen.len().to_string(),
                inside(|outage| outage.down),
                inside(|outage| outage.up),
                inside(Truth::length),
                milliseconds(rank(&widths, 0.5)),
                milliseconds(rank(&widths, 0.99)),
                signed(rank(&errors, 0.5)),
                signed(worst(&errors)),
            ],
        );
    }
    table
}

/// What the usual ways say of the same outages.
pub(crate) fn usual(trials: &[Trial]) -> String {
    let mut table = String::from(
        "| outage | every | this program | closed loop | stamped at the answer | status every 1 s | status every 2 s |\n\
         | --- | --: | --: | --: | --: | --: | --: |\n",
    );
    for (name, every, measured) in rows(trials) {
        let error = |length: fn(&Measured) -> Option<f64>| {
            let errors = sorted(
                measured
                    .iter()
                    .filter_map(|one| Some(length(one)? - one.truth.length().middle())),
            );
            let missed = measured.len() - errors.len();
            let missed = if missed == 0 {
                String::new()
            } else {
                format!(", {missed} missed")
            };
            format!(
                "{} ({}){missed}",
                signed(rank(&errors, 0.5)),
                signed(worst(&errors))
            )
        };
        let status = |index: usize| {
            let seen = measured
                .iter()
                .filter(|one| one.recorded[index] > 0.0)
                .count();
            let recorded: f64 = measured
                .iter()
                .fold(0.0, |sum, one| sum + one.recorded[index]);
            let real: f64 = measured.iter().map(|one| one.truth.length().middle()).sum();
            format!(
                "{seen}/{} seen, {:.0} % of the time",
                measured.len(),
                100.0 * recorded / real
            )
        };
        line(
            &mut table,
            &[
                name,
                milliseconds(every.as_secs_f64()),
                error(|one| one.judged.map(|judged| judged.length().middle())),
                error(|one| one.closed_loop),
                error(|one| one.by_answers),
                status(0),
                status(1),
            ],
        );
    }
    table
}

/// How well the prober kept its own schedule.
pub(crate) fn prober(trials: &[Trial]) -> String {
    let mut text = String::new();
    for every in cadences(trials) {
        let these: Vec<_> = trials.iter().filter(|trial| trial.every == every).collect();
        let samples: u64 = these.iter().map(|trial| trial.samples).sum();
        let void: u64 = these.iter().map(|trial| trial.void).sum();
        let late = these.iter().map(|trial| trial.late_p99).fold(0.0, f64::max);
        writeln!(
            text,
            "Every {}: {samples} samples, {void} void, late by {} at the 99th percentile of the worst trial.",
            milliseconds(every.as_secs_f64()),
            milliseconds(late),
        ).expect("a string takes everything");
    }
    text
}

fn cadences(trials: &[Trial]) -> Vec<Duration> {
    let mut cadences: Vec<_> = trials.iter().map(|trial| trial.every).collect();
    cadences.sort_unstable();
    cadences.dedup();
    cadences
}

/// A row for each trial, and after those of a cadence one for all of them.
fn rows(trials: &[Trial]) -> Vec<(String, Duration, Vec<&Measured>)> {
    let mut rows = Vec::new();
    for every in cadences(trials) {
        let mut these: Vec<_> = trials.iter().filter(|trial| trial.every == every).collect();
        these.sort_by_key(|trial| trial.kind);
        for trial in &these {
            rows.push((
                trial.kind.words().to_owned(),
                every,
                trial.measured.iter().collect(),
            ));
        }
        let all = these.iter().flat_map(|trial| &trial.measured).collect();
        rows.push(("**all**".to_owned(), every, all));
    }
    rows
}

fn line(table: &mut String, cells: &[String]) {
    writeln!(table, "| {} |", cells.join(" | ")).expect("a string takes everything");
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// The value at a rank: the smallest that so large a share does not exceed.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rank in a few hundred values"
)]
fn rank(sorted: &[f64], share: f64) -> f64 {
    let rank = (share * sorted.len() as f64).ceil().max(1.0) as usize;
    sorted.get(rank - 1).copied().unwrap_or(f64::NAN)
}

fn worst(errors: &[f64]) -> f64 {
    errors
        .iter()
        .copied()
        .max_by(|one, other| one.abs().total_cmp(&other.abs()))
        .unwrap_or(f64::NAN)
}

fn milliseconds(seconds: f64) -> String {
    if seconds.is_nan() {
        "-".to_owned()
    } else {
        format!("{:.0} ms", seconds * 1e3)
    }
}

fn signed(seconds: f64) -> String {
    if seconds.is_nan() {
        "-".to_owned()
    } else {
        format!("{:+.0} ms", seconds * 1e3)
    }
}
