//! Several runs of one drill on a page: each recovery time as a dot, and what the runs show together.

use maud::{Markup, html};

use super::{Foreign, scale::point};
use crate::report::{
    Repeats, Spread,
    quantity::{middle, trimmed},
    terminal::together::axis,
};

const WIDTH: f64 = 760.0;
const LEFT: f64 = 20.0;
const RIGHT: f64 = 740.0;
const FLOOR: f64 = 62.0;

/// What the runs of a drill say together.
pub(super) fn together(repeats: &Repeats) -> Markup {
    html! {
        section {
            h2 { "Repeats: " (Foreign(&repeats.drill)) ", " (repeats.word()) }
            p { (Foreign(repeats.counted())) ", in environment " (Foreign(&repeats.environment)) "." }
            @for reason in &repeats.reasons { p { strong { (Foreign(reason)) } } }
            table {
                thead { tr { th { "What" } th.number-column { "Passed" } th { "Asked for" } th { "What that shows" } } }
                tbody {
                    @for rate in &repeats.rates {
                        tr {
                            td { @match &rate.expectation { Some(name) => (Foreign(name)), None => "everything expected" } }
                            td.number-column { (rate.passed) " of " (rate.runs) }
                            td { @match rate.asked { Some(asked) => (asked.to_string()), None => "every run" } }
                            td { (rate.statement()) @if let Some(more) = rate.more() { "; " (more) } }
                        }
                    }
                }
            }
            @if let Some(spread) = &repeats.recovery { (recovery(spread)) }
            ul { @for note in &repeats.notes { li { (Foreign(note)) } } }
        }
    }
}

fn recovery(spread: &Spread) -> Markup {
    html! {
        h3 { "Recovery times" }
        (dots(spread))
        p { "Median " (spread.median()) "; " (spread.range()) @if let Some(limit) = spread.limit_s { "; limit " (trimmed(limit, 3)) " s" } "." }
    }
}

/// A dot for each value with its bounds, those that would lie on each other above each other, and the limit.
fn dots(spread: &Spread) -> Markup {
    let ended: Vec<(f64, f64, f64)> = spread
        .values
        .iter()
        .filter_map(|bounds| Some((middle(*bounds), bounds.lo, bounds.hi?)))
        .collect();
    let least = ended.iter().map(|dot| dot.1).reduce(f64::min);
    let most = ended.iter().map(|dot| dot.2).reduce(f64::max);
    let (Some(least), Some(most)) = (least, most) else {
        return html! {};
    };
    let (from, mut to) = axis(least, most);
    // A limit that is not far is on the picture, one that is far is told in words.
    if let Some(limit) = spread.limit_s
        && limit > to
        && limit < to + 2.0 * (to - from)
    {
        to = limit + (to - from) / 20.0;
    }
    let x = |seconds: f64| LEFT + (seconds - from) / (to - from) * (RIGHT - LEFT);
    let mut placed: Vec<(f64, u8)> = Vec::new();
    let rows: Vec<(f64, f64, f64, u8)> = ended
        .iter()
        .map(|(value, lo, hi)| {
            let at = x(*value);
            let row = (0..6)
                .find(|row| {
                    !placed
                        .iter()
                        .any(|(other, taken)| taken == row && (other - at).abs() < 9.0)
                })
                .unwrap_or(5);
            placed.push((at, row));
            (at, x(*lo), x(*hi), row)
        })
        .collect();
    let step = [
        1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 5000.0,
    ]
    .into_iter()
    .find(|step| (to - from) / step <= 10.0)
    .unwrap_or((to - from) / 10.0);
    let first = (from / step).ceil() * step;
    let ticks = (0..=10)
        .map(|tick| first + f64::from(tick) * step)
        .take_while(|tick| *tick <= to);
    html! {
        figure {
            svg.dots viewBox={ "0 0 " (WIDTH) " 84" } role="img" aria-label="The recovery time of each run, as in the table of the runs" {
                line.grid x1=(point(LEFT)) x2=(point(RIGHT)) y1=(point(FLOOR)) y2=(point(FLOOR)) {}
                @for tick in ticks {
                    line.grid x1=(point(x(tick))) x2=(point(x(tick))) y1=(point(FLOOR)) y2=(point(FLOOR + 4.0)) {}
                    text x=(point(x(tick))) y="78" { (trimmed(tick, 1)) " s" }
                }
                @if let Some(limit) = spread.limit_s.filter(|limit| (from..=to).contains(limit)) {
                    line.limit x1=(point(x(limit))) x2=(point(x(limit))) y1="6" y2=(point(FLOOR)) {}
                    text.limit-word x=(point(x(limit) - 4.0)) y="14" { "limit" }
                }
                @for (at, lo, hi, row) in &rows {
                    @let y = FLOOR - 7.0 - f64::from(*row) * 8.5;
                    line.dot-bounds x1=(point(*lo)) x2=(point(*hi)) y1=(point(y)) y2=(point(y)) {}
                    circle.dot cx=(point(*at)) cy=(point(y)) r="3.4" {}
                }
            }
        }
    }
}
