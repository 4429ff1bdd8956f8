//! The timeline: one axis, the moments, and a lane for each fault, tier, probe, observer and the latency of good samples.

use std::fmt::Write;

use maud::{Markup, html};

use super::{
    Foreign,
    lanes::{self, HEIGHT, Piece},
    latency,
    scale::{Scale, point},
};
use crate::{
    report::{
        Report,
        layout::width,
        quantity::{middle, range, value},
        recorded::Reading,
        strips::{Cell, Tiers},
    },
    verdict::{Bounds, Seen},
};

/// The whole figure in points; a page shows it as wide as it is itself.
const WIDTH: f64 = 760.0;
/// Where the lanes begin, behind their labels.
const LEFT: f64 = 128.0;
/// From one lane to the next.
const PITCH: f64 = HEIGHT + 5.0;
/// From one row of moments' names to the next.
const NAMES: f64 = 13.0;
/// About what a letter of a moment's name takes.
const LETTER: f64 = 5.6;
/// Faults that have a lane of their own; the others are in the table.
const FAULTS: usize = 12;

/// A lane: its label, and what is drawn at a height.
struct Lane {
    label: String,
    height: f64,
    /// How far from the lanes the label ends.
    indent: f64,
    draw: Box<dyn Fn(f64) -> Markup>,
}

/// The figure, or nothing where nothing was looked at.
pub(super) fn figure(report: &Report) -> Option<Markup> {
    let judgement = &report.judgement;
    if judgement.lanes.iter().all(|lane| lane.spells.is_empty()) {
        return None;
    }
    let tiers = Tiers::of(report);
    let scale = Scale::new(judgement.length_s, LEFT, WIDTH - LEFT - 8.0);
    let lanes = lanes(report, &tiers, scale);
    let marks = marks(report);
    let rows = rows_of(&marks, scale);
    let names = f64::from(rows.iter().copied().max().map_or(0, |row| row + 1)) * NAMES;
    let top = names + 6.0;
    let bottom = top + lanes.iter().map(|lane| lane.height).sum::<f64>();
    let mut y = top;
    let height = bottom + 20.0;
    let drawn: Vec<(f64, &Lane)> = lanes
        .iter()
        .map(|lane| {
            let at = y;
            y += lane.height;
            (at, lane)
        })
        .collect();
    let described = description(report);
    Some(html! {
        figure.timeline {
            svg viewBox={ "0 0 " (point(WIDTH)) " " (point(height)) } role="img" aria-labelledby="timeline-title timeline-description" xmlns="http://www.w3.org/2000/svg" {
                title #timeline-title { "Timeline of the run" }
                desc #timeline-description { (Foreign(&described)) }
                (patterns())
                @for (x, label) in scale.ticks() {
                    path.grid d={ "M" (point(x)) " " (point(top - 2.0)) "V" (point(bottom)) } {}
                    // Half of the last one would be off the page.
                    text.tick.last[x > WIDTH - 20.0] x=(point(x)) y=(point(bottom + 14.0)) { (label) }
                }
                @for (at, lane) in &drawn {
                    text.label x=(point(LEFT - lane.indent)) y=(point(at + 11.5)) { (Foreign(&shortened(&lane.label))) }
                    ((lane.draw)(*at))
                }
                @for (mark, row) in marks.iter().zip(&rows) {
                    (band(mark, *row, scale, names, bottom))
                }
            }
            figcaption {
                (legend(&tiers))
                " ✓ healthy. Each column shows the worst of its time. A vertical band is a moment, as wide as its bounds. The same as a table: "
                a href="#moments" { "moments" } ", " a href="#spells" { "what each probe saw" } "."
            }
        }
    })
}

fn lanes(report: &Report, tiers: &Tiers, scale: Scale) -> Vec<Lane> {
    let judgement = &report.judgement;
    let mut all = faults(report, scale);
    let users = judgement
        .lanes
        .iter()
        .find(|lane| lane.probe == report.measurement.probe)
        .or(judgement.lanes.first());
    if let Some(users) = users {
        for (rank, tier) in tiers.names().enumerate() {
            let runs = lanes::shown(
                &users.spells,
                scale,
                |seen| matches!(seen, Seen::Tier(name) if name == tier),
            );
            let cell = Cell::Tier(rank);
            all.push(steps(
                format!("{} {tier}", cell.letter()),
                cell,
                runs,
                scale,
            ));
        }
        // The lanes of the probes begin a little below.
        let runs = lanes::shown(&users.spells, scale, |seen| {
            matches!(seen, Seen::Down(_) | Seen::Other(_))
        });
        all.push(Lane {
            height: PITCH,
            ..steps("nobody".to_owned(), Cell::Down, runs, scale)
        });
    }
    for lane in &judgement.lanes {
        let pieces = lanes::pieces(&lane.spells, tiers, scale);
        all.push(Lane {
            label: lane.label.clone(),
            height: PITCH,
            indent: 8.0,
            draw: Box::new(move |y| lanes::draw(&pieces, y)),
        });
    }
    for (observer, readings) in &report.recorded.observers {
        if readings.is_empty() {
            continue;
        }
        let pieces = health(readings, scale);
        all.push(Lane {
            label: observer.clone(),
            height: PITCH,
            indent: 8.0,
            draw: Box::new(move |y| lanes::draw(&pieces, y)),
        });
    }
    if let Some(plot) = latency::Plot::of(report, scale) {
        all.push(Lane {
            label: "latency".to_owned(),
            height: latency::HEIGHT + 5.0,
            indent: 42.0,
            draw: Box::new(move |y| plot.draw(y)),
        });
    }
    all
}

/// A thin line at the height of a tier while it served, so that the way from one to the other is seen as steps.
fn steps(label: String, cell: Cell, runs: Vec<(f64, f64)>, scale: Scale) -> Lane {
    let right = scale.right();
    Lane {
        label,
        height: 13.0,
        indent: 8.0,
        draw: Box::new(move |y| {
            let mut path = String::new();
            for (from, to) in &runs {
                let (wide, top) = (point((to - from).max(2.0)), point(y + 4.0));
                write!(path, "M{} {top}h{wide}v7h-{wide}z", point(*from))
                    .expect("memory takes every write");
            }
            html! {
                path.rail d={ "M" (point(LEFT)) " " (point(y + 7.5)) "H" (point(right)) } {}
                path class=(lanes::class(cell)) d=(path) {}
            }
        }),
    }
}

fn faults(report: &Report, scale: Scale) -> Vec<Lane> {
    let sent = report
        .judgement
        .faults
        .iter()
        .filter_map(|fault| fault.issued_s.map(|issued| (fault, issued)));
    let several = sent.clone().count() > 1;
    sent.take(FAULTS)
        .map(|(fault, issued)| {
            let from = scale.x(issued);
            let sure = fault.verified_s.or(fault.acknowledged_s);
            let sure = sure.map_or(from, |seconds| scale.x(seconds));
            let to = fault.restored_s.map_or(scale.right(), |seconds| scale.x(seconds));
            let words = fault.describe.clone();
            let room = (to - from - 12.0) / LETTER;
            let fits = columns(width(&words)) <= room;
            let open = fault.restored_s.is_none();
            Lane {
                label: if several {
                    format!("fault {}", fault.target)
                } else {
                    "fault".to_owned()
                },
                height: PITCH,
                indent: 8.0,
                draw: Box::new(move |y| {
                    html! {
                        rect.fault x=(point(from)) y=(point(y)) width=(point((to - from).max(2.0))) height=(HEIGHT) {
                            title { (Foreign(&words)) @if open { ", not restored" } }
                        }
                        rect.fault-edge x=(point(from)) y=(point(y)) width=(point((sure - from).max(1.0))) height=(HEIGHT) {}
                        @if fits {
                            text.in-fault x=(point(from + 6.0)) y=(point(y + 11.0)) { (Foreign(&words)) }
                        }
                    }
                }),
            }
        })
        .collect()
}

fn health(readings: &[Reading], scale: Scale) -> Vec<Piece> {
    let ends = readings.iter().skip(1).map(|next| scale.x(next.at_s));
    readings
        .iter()
        .zip(ends.chain([scale.right()]))
        .map(|(reading, to)| {
            let (cell, letter, word) = match reading.healthy {
                Some(true) => (Cell::Tier(0), '✓', "healthy"),
                Some(false) => (Cell::Down, 'x', "unhealthy"),
                None => (Cell::Unknown, '?', "could not be read"),
            };
            let detail = reading.detail.as_deref().unwrap_or_default();
            let since = match reading.before_s {
                Some(before) => format!("changed between {before:.1} s and {:.1} s", reading.at_s),
                None => format!("from {:.1} s", reading.at_s),
            };
            Piece {
                cell,
                from: scale.x(reading.at_s),
                to,
                letter,
                title: format!("{word}, {since} {detail}").trim_end().to_owned(),
            }
        })
        .collect()
}

/// The moments that are drawn, in order of time.
fn marks(report: &Report) -> Vec<(&'static str, Bounds)> {
    let moments = &report.judgement.moments;
    let mut marks: Vec<(&'static str, Bounds)> = [
        ("fault", moments.fault),
        ("impact", moments.impact),
        ("detected", moments.detected),
        ("dns switched", moments.switched),
        ("caches", moments.propagated),
        ("declared", moments.declared),
        ("recovered", moments.recovered),
        ("revert", moments.reverted),
        ("failed back", moments.failed_back),
    ]
    .into_iter()
    .filter_map(|(name, bounds)| bounds.map(|bounds| (name, bounds)))
    .collect();
    marks.sort_by(|left, right| left.1.lo.total_cmp(&right.1.lo));
    marks
}

/// The row of each name, so that none covers another.
fn rows_of(marks: &[(&str, Bounds)], scale: Scale) -> Vec<u32> {
    let mut ends: Vec<f64> = Vec::new();
    marks
        .iter()
        .map(|(name, bounds)| {
            let (start, end) = span_of_name(name, *bounds, scale);
            let free = ends.iter().position(|taken| *taken + 4.0 <= start);
            let row = free.unwrap_or(ends.len());
            match ends.get_mut(row) {
                Some(taken) => *taken = end,
                None => ends.push(end),
            }
            u32::try_from(row).unwrap_or(0)
        })
        .collect()
}

/// From where to where a name goes: behind its band, before it at the right edge.
fn span_of_name(name: &str, bounds: Bounds, scale: Scale) -> (f64, f64) {
    let (x, long) = (scale.x(bounds.lo), columns(name.len()) * LETTER + 3.0);
    if x + long <= WIDTH {
        (x, x + long)
    } else {
        (x - long, x)
    }
}

fn band(mark: &(&str, Bounds), row: u32, scale: Scale, names: f64, bottom: f64) -> Markup {
    let (name, bounds) = *mark;
    let from = scale.x(bounds.lo);
    let to = bounds.hi.map_or(scale.right(), |hi| scale.x(hi));
    let (start, end) = span_of_name(name, bounds, scale);
    let before = start < from;
    let y = f64::from(row) * NAMES + 9.0;
    html! {
        g.mark {
            title { (name) " " (value(bounds)) " " (range(bounds)) }
            path.mark-line d={ "M" (point(from)) " " (point(y - 8.0)) "V" (point(bottom)) } {}
            @if to - from >= 1.5 {
                rect.mark-band x=(point(from)) y=(point(names + 2.0)) width=(point(to - from)) height=(point(bottom - names - 2.0)) {}
            }
            text.mark-name x=(point(if before { end - 3.0 } else { start + 3.0 })) y=(point(y)) text-anchor=(if before { "end" } else { "start" }) { (name) }
        }
    }
}

/// What the figure shows, in words for those who do not see it.
fn description(report: &Report) -> String {
    let judgement = &report.judgement;
    let mut words = format!(
        "{:.0} seconds. Users were served by: {}.",
        judgement.length_s,
        judgement.whole_path.join(", then ")
    );
    for (name, bounds) in marks(report) {
        let seconds = middle(bounds);
        write!(words, " {name} at {seconds:.1} s.").expect("memory takes every write");
    }
    words
}

/// The patterns, which tell kinds apart on paper without colour.
fn patterns() -> Markup {
    html! {
        defs {
            @for (id, side, lines) in [
                ("p-b", 5, "M0 2.5H5"),
                ("p-c", 5, "M2.5 0V5"),
                ("p-d", 5, "M0 2.5H5M2.5 0V5"),
                ("p-unknown", 6, "M1 3h1.5"),
                ("p-wrong", 6, "M0 6L6 0M0 0L6 6"),
                ("p-down", 5, "M-1 1L1 -1M0 5L5 0M4 6L6 4"),
                ("p-fault", 7, "M-1 1L1 -1M0 7L7 0M6 8L8 6"),
            ] {
                pattern #(id) width=(side) height=(side) patternUnits="userSpaceOnUse" {
                    rect.ground width=(side) height=(side) {}
                    path.lines d=(lines) {}
                }
            }
        }
    }
}

/// What letters and patterns mean.
pub(super) fn legend(tiers: &Tiers) -> Markup {
    let tiers = tiers
        .names()
        .enumerate()
        .map(|(rank, name)| (Cell::Tier(rank), name));
    let others = [
        (Cell::Down, "down, or unhealthy"),
        (Cell::Wrong, "wrong or slow"),
        (Cell::Unknown, "unknown"),
    ];
    html! {
        span.legend {
            @for (cell, words) in tiers.chain(others) {
                span.key {
                    svg width="20" height="13" viewBox="0 0 20 13" aria-hidden="true" {
                        path class=(lanes::class(cell)) d="M.5 .5h19v12h-19z" {}
                        text class=(if cell == Cell::Down { "on-dark" } else { "on-light" }) x="10" y="10" { (cell.letter()) }
                    }
                    " " (Foreign(words))
                }
                " "
            }
        }
    }
}

/// A label that fits beside the lanes.
fn shortened(label: &str) -> String {
    let style = crate::report::Style::default();
    crate::report::layout::cut(&super::hostile::harmless(label), 20, &style)
}

#[expect(clippy::cast_precision_loss, reason = "names are short")]
fn columns(width: usize) -> f64 {
    width as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn names_of_moments_never_cover_each_other() {
        let at = |lo: f64| Bounds {
            lo,
            hi: Some(lo + 0.1),
        };
        let marks = [
            ("fault", at(5.0)),
            ("impact", at(5.1)),
            ("detected", at(5.2)),
            ("failed back", at(59.9)),
        ];
        let scale = Scale::new(60.0, LEFT, WIDTH - LEFT - 8.0);
        let rows = rows_of(&marks, scale);
        assert_eq!(rows, [0, 1, 2, 0]);
        for (mark, row) in marks.iter().zip(&rows) {
            let span = span_of_name(mark.0, mark.1, scale);
            assert!(span.1 <= WIDTH);
            for (other, others) in marks.iter().zip(&rows) {
                let that = span_of_name(other.0, other.1, scale);
                assert!(mark == other || row != others || span.1 <= that.0 || that.1 <= span.0);
            }
        }
    }

    #[test]
    fn there_is_a_lane_for_each_fault_tier_probe_observer_and_the_latency() {
        let report = sample::passing_failover();
        let figure = figure(&report).expect("a figure").into_string();
        for label in [
            "fault web",
            "fault was",
            "A primary",
            "B vm",
            "C maintenance",
            "nobody",
            "served by",
            "keep-alive",
            "dns resolver",
            "health-check",
            "latency",
        ] {
            assert!(figure.contains(&format!(">{label}</text>")), "{label}");
        }
        assert!(figure.contains("<title id=\"timeline-title\">"));
        assert!(figure.contains("recovered at 130.2 s."));
    }

    #[test]
    fn a_drill_that_looked_at_nothing_has_no_figure() {
        let mut report = sample::invalid();
        report.judgement.lanes.clear();
        assert!(figure(&report).is_none());
    }
}
