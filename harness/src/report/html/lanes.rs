//! The lanes of a figure: what was seen, column by column, the worst of each column's time.

use std::fmt::Write;

use maud::{Markup, html};

use super::{
    Foreign,
    scale::{Scale, point},
};
use crate::{
    report::{
        layout::{as_column, as_float},
        quantity::middle,
        strips::{Cell, Tiers},
    },
    verdict::{Seen, Spell},
};

/// How high a lane is.
pub(super) const HEIGHT: f64 = 15.0;
/// What is bad is never narrower than this, so that paper shows it.
const LEAST: f64 = 2.0;
/// Up to so many pieces a lane says what each is when it is pointed at.
const TITLED: usize = 80;

/// A piece of a lane: what it shows, from where to where.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Piece {
    pub(super) cell: Cell,
    pub(super) from: f64,
    pub(super) to: f64,
    /// The letter on it, if it is wide enough.
    pub(super) letter: char,
    /// What is said of it when it is pointed at.
    pub(super) title: String,
}

/// The pieces of a lane, one after the other, so that what lies within a point of another shows as the worst of both.
pub(super) fn pieces(spells: &[Spell], tiers: &Tiers, scale: Scale) -> Vec<Piece> {
    let columns = as_column(scale.width);
    let mut worst: Vec<(Cell, usize)> = vec![(Cell::Nothing, usize::MAX); columns];
    for (number, spell) in spells.iter().enumerate() {
        let cell = Cell::new(&spell.seen, tiers);
        let (first, last) = columns_of(spell, scale, columns);
        for column in &mut worst[first..=last] {
            if cell > column.0 {
                *column = (cell, number);
            }
        }
    }
    let mut pieces = Vec::new();
    let mut first = 0;
    for run in worst.chunk_by(|left, right| left.0 == right.0) {
        let (cell, number) = run[0];
        let last = first + run.len();
        if cell != Cell::Nothing {
            let title = spells.get(number).map_or_else(String::new, |spell| {
                let alone = run.iter().all(|(_, other)| *other == number);
                described(spell, alone)
            });
            pieces.push(Piece {
                cell,
                from: scale.left + as_float(first),
                to: scale.left + as_float(last),
                letter: cell.letter(),
                title,
            });
        }
        first = last;
    }
    pieces
}

/// Which columns show something that `shows` picks.
pub(super) fn shown(
    spells: &[Spell],
    scale: Scale,
    shows: impl Fn(&Seen) -> bool,
) -> Vec<(f64, f64)> {
    let columns = as_column(scale.width);
    let mut picked = vec![false; columns];
    for spell in spells.iter().filter(|spell| shows(&spell.seen)) {
        let (first, last) = columns_of(spell, scale, columns);
        picked[first..=last].fill(true);
    }
    let mut runs = Vec::new();
    let mut first = 0;
    for run in picked.chunk_by(|left, right| left == right) {
        if run[0] {
            let from = scale.left + as_float(first);
            runs.push((from, from + as_float(run.len())));
        }
        first += run.len();
    }
    runs
}

/// Draws a lane. The pieces of one kind are one path, unless they are few enough to be told apart.
pub(super) fn draw(pieces: &[Piece], y: f64) -> Markup {
    let mut ordered: Vec<&Piece> = pieces.iter().collect();
    // What is bad is widened, so it comes last and covers.
    ordered.sort_by_key(|piece| is_bad(piece.cell));
    if pieces.len() <= TITLED {
        return html! {
            @for piece in ordered {
                path class=(class(piece.cell)) d=(outline(piece, y)) {
                    title { (Foreign(&piece.title)) }
                }
                (letter(piece, y))
            }
        };
    }
    let mut kinds: Vec<Cell> = ordered.iter().map(|piece| piece.cell).collect();
    kinds.sort_unstable();
    kinds.dedup();
    html! {
        @for kind in kinds {
            @let all: String = ordered.iter().filter(|piece| piece.cell == kind).map(|piece| outline(piece, y)).collect();
            path class=(class(kind)) d=(all) {}
        }
        @for piece in ordered { (letter(piece, y)) }
    }
}

/// The class of a kind, for which the style sheet has a pattern.
pub(super) fn class(cell: Cell) -> &'static str {
    match cell {
        Cell::Nothing => "c-none",
        Cell::Tier(0) => "c-a",
        Cell::Tier(1) => "c-b",
        Cell::Tier(2) => "c-c",
        Cell::Tier(_) => "c-d",
        Cell::Unknown => "c-unknown",
        Cell::Wrong => "c-wrong",
        Cell::Down => "c-down",
    }
}

fn is_bad(cell: Cell) -> bool {
    matches!(cell, Cell::Wrong | Cell::Down)
}

/// `down (refused), 12.1 s to 130.2 s, 59 samples`.
fn described(spell: &Spell, alone: bool) -> String {
    let (from, to) = (middle(spell.from), middle(spell.to));
    let seen = seen(&spell.seen);
    let also = if alone { "" } else { " and shorter ones" };
    match spell.to.hi {
        Some(_) => format!(
            "{seen}, {from:.1} s to {to:.1} s, {} samples{also}",
            spell.samples
        ),
        None => format!(
            "{seen}, from {from:.1} s on, {} samples{also}",
            spell.samples
        ),
    }
}

/// What was seen, in words.
pub(super) fn seen(seen: &Seen) -> String {
    match seen {
        Seen::Tier(tier) => tier.clone(),
        Seen::Down(class) => format!("down ({class})"),
        Seen::Other(answer) => format!("other ({answer})"),
        Seen::Unknown => "unknown".to_owned(),
    }
}

fn outline(piece: &Piece, y: f64) -> String {
    let (mut from, mut to) = (piece.from, piece.to);
    if is_bad(piece.cell) && to - from < LEAST {
        let middle = f64::midpoint(from, to);
        (from, to) = (middle - LEAST / 2.0, middle + LEAST / 2.0);
    }
    let mut path = String::new();
    write!(
        path,
        "M{} {}h{}v{HEIGHT}h-{}z",
        point(from),
        point(y),
        point(to - from),
        point(to - from)
    )
    .expect("memory takes every write");
    path
}

fn letter(piece: &Piece, y: f64) -> Markup {
    let wide = piece.to - piece.from >= 11.0;
    html! {
        @if wide {
            text class=(if piece.cell == Cell::Down { "on-dark" } else { "on-light" }) x=(point(f64::midpoint(piece.from, piece.to))) y=(point(y + 11.0)) { (piece.letter) }
        }
    }
}

/// The columns of a spell; each has one at least.
fn columns_of(spell: &Spell, scale: Scale, columns: usize) -> (usize, usize) {
    let from = scale.x(middle(spell.from)) - scale.left;
    let to = match spell.to.hi {
        Some(_) => scale.x(middle(spell.to)) - scale.left,
        None => scale.width,
    };
    let last_column = columns.saturating_sub(1);
    let first = as_column(from).min(last_column);
    let last = as_column(to - 1e-6).clamp(first, last_column.max(first));
    (first, last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Bounds;

    fn spell(from: f64, to: f64, seen: Seen) -> Spell {
        let at = |seconds| Bounds {
            lo: seconds,
            hi: Some(seconds),
        };
        Spell {
            from: at(from),
            to: at(to),
            seen,
            samples: 1,
        }
    }

    #[test]
    fn one_failed_sample_in_twelve_hours_is_still_seen() {
        let tiers = Tiers::new(["primary".to_owned()]);
        let good = || Seen::Tier("primary".to_owned());
        let spells = [
            spell(0.0, 30_000.0, good()),
            spell(30_000.0, 30_001.0, Seen::Down("refused".to_owned())),
            spell(30_001.0, 43_200.0, good()),
        ];
        let pieces = pieces(&spells, &tiers, Scale::new(43_200.0, 100.0, 600.0));
        let cells: Vec<_> = pieces.iter().map(|piece| piece.cell).collect();
        assert_eq!(cells, [Cell::Tier(0), Cell::Down, Cell::Tier(0)]);
        let drawn = draw(&pieces, 0.0).into_string();
        assert!(drawn.contains("h2v15"), "{drawn}");
    }

    #[test]
    fn a_lane_that_flaps_all_the_time_stays_small() {
        let tiers = Tiers::new(["primary".to_owned()]);
        let mut spells = Vec::new();
        for second in 0..40_000_u32 {
            let seen = if second % 2 == 0 {
                Seen::Tier("primary".to_owned())
            } else {
                Seen::Down("refused".to_owned())
            };
            spells.push(spell(f64::from(second), f64::from(second + 1), seen));
        }
        let scale = Scale::new(40_000.0, 100.0, 600.0);
        let drawn = draw(&pieces(&spells, &tiers, scale), 0.0).into_string();
        assert!(drawn.len() < 40_000, "{}", drawn.len());
    }
}
