//! Several runs of one drill as a block: each recovery time as a dot, and what the runs show together.

use super::labelled;
use crate::{
    exit_code::ExitCode,
    report::{
        Repeats, Report, Spread,
        hostile::{harmless, shell_word},
        layout::{cut, pad, pad_left, width},
        quantity::{elapsed, middle},
        repeats::sorted,
        style::{Style, Tone},
    },
    verdict::CheckStatus,
};

/// With more values than this a strip of dots says less than its numbers.
const DOTS: usize = 60;

/// The blocks of all drills that were repeated.
pub(super) fn together(reports: &[Report], style: &Style) -> Vec<String> {
    let (_, groups) = sorted(reports);
    let mut lines = Vec::new();
    for runs in &groups {
        lines.extend(block(runs, &Repeats::of(runs), style));
        lines.push(String::new());
    }
    lines
}

fn block(runs: &[&Report], repeats: &Repeats, style: &Style) -> Vec<String> {
    let tone = tone(repeats.code);
    let word = repeats.word();
    let name = cut(
        &harmless(&repeats.drill),
        style.columns() - 10 - word.len(),
        style,
    );
    let gap = style.columns() - 7 - width(&name) - word.len();
    let mut lines = vec![format!(
        "DRILL  {}{}{}",
        style.paint(Tone::Strong, &name),
        " ".repeat(gap),
        style.paint(tone, word)
    )];
    lines.push(String::new());
    let counted = format!(
        "{}, environment {}",
        repeats.counted(),
        harmless(&repeats.environment)
    );
    lines.extend(labelled("repeats", &[counted], Tone::Plain, style));
    if let Some(spread) = &repeats.recovery {
        lines.extend(dots(spread, style));
    }
    for rate in &repeats.rates {
        let what = rate
            .expectation
            .as_ref()
            .map_or_else(String::new, |name| format!("{}: ", harmless(name)));
        let asked = rate
            .asked
            .map_or_else(String::new, |asked| format!(", asked for {asked}"));
        let mut texts = vec![format!(
            "{what}{}/{}: {}{asked}",
            rate.passed,
            rate.runs,
            rate.statement()
        )];
        texts.extend(rate.more());
        lines.extend(labelled("passed", &texts, Tone::Plain, style));
    }
    if let Some(spread) = &repeats.recovery {
        let texts = [format!("{}, {}", spread.median(), spread.range())];
        lines.extend(labelled("median", &texts, Tone::Plain, style));
    }
    for note in &repeats.notes {
        lines.extend(labelled(
            "note",
            std::slice::from_ref(note),
            Tone::Faint,
            style,
        ));
    }
    for reason in &repeats.reasons {
        let reason = harmless(reason).into_owned();
        lines.extend(labelled("reason", &[reason], tone, style));
    }
    lines.push(String::new());
    lines.extend(table(runs, style));
    lines
}

pub(in crate::report) fn tone(code: ExitCode) -> Tone {
    match code {
        ExitCode::Passed => Tone::Good,
        ExitCode::Failed | ExitCode::NotRestored => Tone::Bad,
        ExitCode::Usage
        | ExitCode::CouldNotRun
        | ExitCode::NothingSelected
        | ExitCode::Interrupted
        | ExitCode::Terminated => Tone::Warning,
    }
}

/// A dot for each value on one axis, with the limit where it lies on it.
fn dots(spread: &Spread, style: &Style) -> Vec<String> {
    const MARGIN: usize = 12;
    let ended: Vec<f64> = spread
        .values
        .iter()
        .filter(|value| value.hi.is_some())
        .map(|value| middle(*value))
        .collect();
    let (Some(least), Some(most)) = (
        ended.iter().copied().reduce(f64::min),
        ended.iter().copied().reduce(f64::max),
    ) else {
        return Vec::new();
    };
    if spread.values.len() > DOTS {
        return Vec::new();
    }
    let columns = style.columns() - MARGIN - 22;
    let (from, to) = axis(least, most);
    let place = |value: f64| column((value - from) / (to - from), columns);
    let mut counts = vec![0_usize; columns];
    for value in &ended {
        counts[place(*value)] += 1;
    }
    let (one, two, more) = (".", ":", style.either("#", "⁝"));
    let mut strip: String = counts
        .iter()
        .map(|count| match count {
            0 => " ",
            1 => one,
            2 => two,
            _ => more,
        })
        .collect();
    if let Some(limit) = spread.limit_s.filter(|limit| (from..=to).contains(limit)) {
        let at = place(limit);
        if counts[at] == 0 {
            strip.replace_range(byte_of(&strip, at)..byte_of(&strip, at + 1), "|");
        }
    }
    let unfinished = spread.values.len() - ended.len();
    let unfinished = if unfinished > 0 {
        format!("  {unfinished} never ended")
    } else {
        String::new()
    };
    let (low, high) = (format!("{from:.0}"), format!("{to:.0}"));
    let scale = format!(
        "{low}{}",
        pad_left(&high, columns.saturating_sub(low.len()))
    );
    let margin = " ".repeat(MARGIN);
    vec![
        format!(" {}{scale}", pad("recovery s", MARGIN - 1)),
        format!(
            "{margin}{}  {}{unfinished}",
            pad(&strip, columns),
            spread.limit()
        ),
    ]
}

fn byte_of(text: &str, place: usize) -> usize {
    text.char_indices()
        .nth(place)
        .map_or(text.len(), |(byte, _)| byte)
}

/// The round ends of an axis for values from the least to the largest.
pub(in crate::report) fn axis(least: f64, most: f64) -> (f64, f64) {
    let span = (most - least).max(1.0);
    let step = 10_f64.powf(span.log10().floor()).max(1.0);
    let from = ((least / step).floor() * step).max(0.0);
    let to = (most / step).floor() * step + step;
    (from, to)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a share of a hundred columns"
)]
fn column(share: f64, columns: usize) -> usize {
    ((share.clamp(0.0, 1.0) * columns as f64) as usize).min(columns - 1)
}

/// A line for each run.
fn table(runs: &[&Report], style: &Style) -> Vec<String> {
    let mut lines = vec![style.paint(
        Tone::Faint,
        &format!(
            "{}  {}{}{}{}",
            pad_left("verdict", 13),
            pad("run", 8),
            pad_left("recovery", 26),
            pad_left("expectations", 15),
            pad_left("took", 9)
        ),
    )];
    for report in runs {
        let judgement = &report.judgement;
        let (word, tone) = super::verdict(judgement);
        let held = judgement
            .checks
            .iter()
            .filter(|check| check.status == CheckStatus::Pass)
            .count();
        let number = report
            .run
            .repeat
            .map_or_else(|| "1".to_owned(), |repeat| repeat.number.to_string());
        lines.push(format!(
            "{}  {}{}{}{}",
            style.paint(tone, &pad_left(word, 13)),
            pad(&number, 8),
            pad_left(&super::recovery(judgement, true), 26),
            pad_left(&format!("{held} of {}", judgement.checks.len()), 15),
            pad_left(&elapsed(report.run.real_duration_s), 9),
        ));
    }
    let missed = runs
        .iter()
        .find(|report| ExitCode::from(&report.judgement) != ExitCode::Passed);
    if let Some(report) = missed {
        lines.push(format!(
            " one that did not pass: blackstart report {}",
            shell_word(&report.run.folder)
        ));
    }
    lines
}
