//! What a watch came to, as text.

use super::{ProbeSummary, Summary};
use crate::{
    hostile::harmless,
    report::{
        Style,
        layout::{cut, pad, pad_left, width},
        quantity::{elapsed, range, short, value},
        style::Tone,
    },
    verdict::CheckStatus,
};

/// Renders a summary as text that ends in a newline.
pub fn render(name: &str, summary: &Summary, style: &Style) -> String {
    let name = style.paint(Tone::Strong, &harmless(name));
    let mut lines = vec![format!("WATCH  {name}  {}", elapsed(summary.length_s))];
    if let Some(trouble) = &summary.trouble {
        let text = format!(" trouble  {}", harmless(trouble));
        lines.push(style.paint(Tone::Bad, &text));
    }
    lines.push(String::new());
    lines.extend(table(&summary.probes, style));
    for probe in summary
        .probes
        .iter()
        .filter(|probe| !probe.parts_s.is_empty())
    {
        let parts = ["dns", "connect", "tls", "first-byte"].into_iter();
        let parts = parts.filter_map(|part| {
            let median = probe.parts_s.get(part)?;
            Some(format!("{part} {}", short(*median)))
        });
        let parts: Vec<String> = parts.collect();
        let text = format!(" {}: {}, medians", harmless(&probe.probe), parts.join(", "));
        lines.push(style.paint(Tone::Faint, &text));
    }
    if !summary.objectives.is_empty() {
        lines.push(String::new());
    }
    let columns = summary
        .objectives
        .iter()
        .map(|held| width(&harmless(&held.objective)));
    let columns = columns.max().unwrap_or(0);
    for held in &summary.objectives {
        let (word, tone) = match held.status {
            CheckStatus::Pass => ("PASS", Tone::Good),
            CheckStatus::Fail => ("FAIL", Tone::Bad),
            CheckStatus::Inconclusive | CheckStatus::NotRun => ("INCONCLUSIVE", Tone::Warning),
        };
        lines.push(format!(
            " {}  {}  {}",
            style.paint(tone, &pad_left(word, 12)),
            pad(&harmless(&held.objective), columns),
            harmless(&held.actual)
        ));
    }
    lines.push(String::new());
    lines.join("\n")
}

fn table(probes: &[ProbeSummary], style: &Style) -> Vec<String> {
    let header = [
        "probe", "good", "median", "p99", "max", "outages", "longest", "seen",
    ];
    let mut rows = vec![header.map(str::to_owned)];
    for probe in probes {
        let latency = |of: fn(super::Latency) -> f64| {
            let latency = probe.latency.map(of);
            latency.map_or_else(|| "-".to_owned(), short)
        };
        let longest = probe.outages.longest.map_or_else(String::new, |longest| {
            format!("{} {}", value(longest), range(longest))
        });
        let mut seen = probe.answered_by.join(style.either(" -> ", " → "));
        if let Some(last) = probe
            .last
            .as_ref()
            .filter(|last| last.starts_with("down ("))
        {
            let gap = if seen.is_empty() { "" } else { ", now " };
            seen = format!("{seen}{gap}{last}");
        }
        rows.push([
            harmless(&probe.probe).into_owned(),
            format!("{} of {}", probe.good, probe.samples),
            latency(|latency| latency.median_s),
            latency(|latency| latency.p99_s),
            latency(|latency| latency.max_s),
            probe.outages.count.to_string(),
            longest.trim_end().to_owned(),
            harmless(&seen).into_owned(),
        ]);
    }
    let columns: Vec<usize> = (0..header.len())
        .map(|column| {
            let widths = rows.iter().map(|row| width(&row[column]));
            widths.max().unwrap_or(0)
        })
        .collect();
    let line = |row: &[String; 8]| {
        let cells = row.iter().zip(&columns).enumerate();
        let cells = cells.map(|(column, (cell, columns))| match column {
            1..=6 => pad_left(cell, *columns),
            _ => pad(cell, *columns),
        });
        let text = format!(" {}", cells.collect::<Vec<_>>().join("  "));
        cut(text.trim_end(), style.columns(), style)
    };
    let tone = |place: usize| match place.checked_sub(1).map(|place| &probes[place]) {
        None => Tone::Faint,
        Some(probe) if probe.outages.count > 0 => Tone::Warning,
        Some(_) => Tone::Plain,
    };
    let lines = rows.iter().enumerate();
    lines
        .map(|(place, row)| style.paint(tone(place), &line(row)))
        .collect()
}
