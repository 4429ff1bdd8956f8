//! Strips: what every probe saw, on one axis of seconds. Each column shows the worst of its time, so that no failure is too short to
//! be seen.

use super::{
    Report,
    hostile::harmless,
    layout::{as_column, as_float, cut, pad, width},
    quantity::{middle, trimmed},
    style::{Style, Tone},
};
use crate::verdict::{FaultReport, Lane, Seen, Spell};

/// One column of a strip. The later in this list, the worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cell {
    /// Nothing was looked at.
    Nothing,
    /// Answered by the tier of this rank, 0 the preferred one.
    Tier(usize),
    /// Nothing that counts.
    Unknown,
    /// Answered, and wrong or too slow.
    Wrong,
    /// Not answered.
    Down,
}

impl Cell {
    /// What a probe saw, as a cell.
    pub(crate) fn new(seen: &Seen, tiers: &Tiers) -> Self {
        match seen {
            Seen::Tier(name) => Self::Tier(tiers.rank(name)),
            Seen::Down(class) if class == "too-slow" || class == "unknown-tier" => Self::Wrong,
            Seen::Down(_) => Self::Down,
            Seen::Other(_) => Self::Wrong,
            Seen::Unknown => Self::Unknown,
        }
    }

    /// The character it is drawn as.
    pub(crate) fn letter(self) -> char {
        match self {
            Self::Nothing => ' ',
            Self::Tier(rank) => u8::try_from(rank)
                .ok()
                .filter(|rank| *rank < 26)
                .map_or('+', |rank| char::from(b'A' + rank)),
            Self::Unknown => '?',
            Self::Wrong => '!',
            Self::Down => 'x',
        }
    }

    fn tone(self) -> Tone {
        match self {
            Self::Nothing => Tone::Plain,
            Self::Tier(0) => Tone::Good,
            Self::Tier(_) => Tone::Other,
            Self::Unknown => Tone::Faint,
            Self::Wrong => Tone::Warning,
            Self::Down => Tone::Bad,
        }
    }
}

/// Draws cells, in colour run by run.
pub(crate) fn draw(cells: &[Cell], style: &Style) -> String {
    cells
        .chunk_by(|left, right| left.tone() == right.tone())
        .map(|run| {
            let letters: String = run.iter().map(|cell| cell.letter()).collect();
            style.paint(run[0].tone(), &letters)
        })
        .collect()
}

/// The tiers and their letters. Those of the environment come first, in its order; others follow as they turn up.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tiers(Vec<String>);

impl Tiers {
    pub(crate) fn new(names: impl IntoIterator<Item = String>) -> Self {
        Self(names.into_iter().collect())
    }

    /// The tiers of a report.
    pub(super) fn of(report: &Report) -> Self {
        let mut tiers = Self::new(
            report
                .environment
                .tiers
                .iter()
                .map(|(name, _)| name.clone()),
        );
        for spell in report.judgement.lanes.iter().flat_map(|lane| &lane.spells) {
            if let Seen::Tier(name) = &spell.seen
                && !tiers.0.contains(name)
            {
                tiers.0.push(name.clone());
            }
        }
        tiers
    }

    /// The place of a tier in the order of preference; behind all others for one that nobody knows.
    pub(crate) fn rank(&self, name: &str) -> usize {
        self.0
            .iter()
            .position(|known| known == name)
            .unwrap_or(self.0.len())
    }

    /// The names, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// `A primary   B vm   x down   ! wrong or slow   ? unknown`.
    fn legend(&self) -> Vec<String> {
        let tiers = self.0.iter().enumerate();
        tiers
            .map(|(rank, name)| format!("{} {}", Cell::Tier(rank).letter(), harmless(name)))
            .chain(["x down", "! wrong or slow", "? unknown"].map(str::to_owned))
            .collect()
    }
}

/// Seconds on columns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Axis {
    /// The seconds of a column.
    per_column: f64,
    /// How many columns are used.
    columns: usize,
}

impl Axis {
    /// The finest axis on which so many seconds fit into so many columns and every tenth column is at a round number.
    pub(crate) fn new(length_s: f64, columns: usize) -> Self {
        const STEPS: [f64; 8] = [1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0];
        let columns = columns.max(1);
        let length_s = if length_s.is_finite() {
            length_s.clamp(0.1, 1e9)
        } else {
            0.1
        };
        let needed = length_s / as_float(columns);
        let magnitude = 10_f64.powf(needed.log10().floor());
        let per_column = STEPS
            .into_iter()
            .map(|step| step * magnitude)
            .find(|step| *step >= needed - 1e-9)
            .unwrap_or(10.0 * magnitude);
        Self {
            per_column,
            columns: as_column((length_s / per_column - 1e-9).ceil()).clamp(1, columns),
        }
    }

    /// The column in which a time lies.
    fn column(self, seconds: f64) -> usize {
        as_column(seconds / self.per_column + 1e-9).min(self.columns - 1)
    }

    /// `0         10        20`, a number at every tenth column.
    fn ticks(self) -> String {
        let mut line = String::new();
        for column in (0..self.columns).step_by(10) {
            let label = trimmed(as_float(column) * self.per_column, 2);
            if width(&line) <= column && column + width(&label) <= self.columns.max(1) {
                line.push_str(&" ".repeat(column - width(&line)));
                line.push_str(&label);
            }
        }
        line
    }

    /// The cells of a lane, the worst of each column's time.
    pub(crate) fn cells(self, spells: &[Spell], tiers: &Tiers) -> Vec<Cell> {
        let mut cells = vec![Cell::Nothing; self.columns];
        for spell in spells {
            let from = middle(spell.from);
            let to = spell.to.hi.map_or(f64::INFINITY, |_| middle(spell.to));
            let first = self.column(from);
            // A spell that ends where a column begins has no part in it, but every spell has a column.
            let last = self.column((to - 1e-6 * self.per_column).max(from));
            let cell = Cell::new(&spell.seen, tiers);
            for shown in &mut cells[first..=last.max(first)] {
                *shown = (*shown).max(cell);
            }
        }
        cells
    }

    /// A band from one time to another, open to the right if it does not end: `[=====]`.
    fn band(self, from: f64, to: Option<f64>, style: &Style) -> String {
        let first = self.column(from);
        let last = to.map_or(self.columns - 1, |to| self.column(to)).max(first);
        let inner = style
            .either("=", "━")
            .repeat((last - first).saturating_sub(1));
        let (begin, end) = match to {
            Some(_) => (style.either("[", "┣"), style.either("]", "┫")),
            None => (style.either("[", "┣"), style.either(">", "▶")),
        };
        let band = if first == last {
            style.either("|", "┃").to_owned()
        } else {
            format!("{begin}{inner}{end}")
        };
        format!("{}{}", " ".repeat(first), style.paint(Tone::Warning, &band))
    }

    /// Names under a caret at their times, on as many lines as it takes for none to cover another.
    fn markers(self, marks: &[(f64, &str)], style: &Style) -> Vec<String> {
        let caret = style.either("^", "▲");
        let mut rows: Vec<String> = Vec::new();
        for (seconds, name) in marks {
            let column = self.column(*seconds);
            let label = format!("{caret}{name}");
            // At the right edge the name stands before its caret.
            let (start, label) = if column + width(&label) <= self.columns + 4 {
                (column, label)
            } else {
                (
                    (column + 1).saturating_sub(width(&label)),
                    format!("{name}{caret}"),
                )
            };
            let free = |row: &String| row.is_empty() || width(row) < start;
            let row = rows.iter().position(free).unwrap_or(rows.len());
            if row == rows.len() {
                rows.push(String::new());
            }
            let gap = start.saturating_sub(width(&rows[row]));
            rows[row].push_str(&" ".repeat(gap));
            rows[row].push_str(&label);
        }
        rows
    }
}

/// The strips of a report: the axis, the faults, a lane per probe, the moments, and what the letters mean.
pub(crate) fn strips(report: &Report, style: &Style) -> Vec<String> {
    let judgement = &report.judgement;
    if judgement.lanes.iter().all(|lane| lane.spells.is_empty()) {
        return Vec::new();
    }
    let tiers = Tiers::of(report);
    let labels = judgement
        .lanes
        .iter()
        .map(|lane| width(&harmless(&lane.label)));
    let margin = labels.max().unwrap_or(0).clamp(9, 16);
    let axis = Axis::new(judgement.length_s, style.columns() - margin - 3);
    let row = |label: &str, content: &str| {
        format!(" {} {content}", pad(&cut(label, margin, style), margin))
            .trim_end()
            .to_owned()
    };

    let mut lines = vec![row("seconds", &axis.ticks())];
    for (label, band) in bands(&judgement.faults, axis, style) {
        lines.push(row(&label, &band));
    }
    for Lane { label, spells, .. } in &judgement.lanes {
        let cells = axis.cells(spells, &tiers);
        lines.push(row(&harmless(label), &draw(&cells, style)));
    }
    for markers in axis.markers(&marks(report), style) {
        lines.push(row("", &style.paint(Tone::Faint, &markers)));
    }
    for legend in wrap_legend(&tiers.legend(), style.columns() - margin - 3) {
        lines.push(row("", &legend));
    }
    lines
}

/// The bands of the faults; faults that share their columns share a band.
/// What users saw, in one strip that is so many columns wide.
pub(crate) fn users(report: &Report, columns: usize, style: &Style) -> String {
    let lanes = &report.judgement.lanes;
    let lane = lanes
        .iter()
        .find(|lane| lane.probe == report.measurement.probe);
    let spells = lane.map_or(&[][..], |lane| &lane.spells);
    let mut cells = Axis::new(report.judgement.length_s, columns).cells(spells, &Tiers::of(report));
    cells.resize(columns, Cell::Nothing);
    draw(&cells, style)
}

fn bands(faults: &[FaultReport], axis: Axis, style: &Style) -> Vec<(String, String)> {
    let mut bands: Vec<(Vec<&str>, String)> = Vec::new();
    for fault in faults {
        let Some(issued) = fault.issued_s else {
            continue;
        };
        let band = axis.band(issued, fault.restored_s, style);
        match bands.iter_mut().find(|(_, drawn)| *drawn == band) {
            Some((targets, _)) => targets.push(&fault.target),
            None => bands.push((vec![&fault.target], band)),
        }
    }
    let single = bands.len() == 1;
    bands
        .into_iter()
        .map(|(targets, band)| match targets.as_slice() {
            _ if single => ("fault".to_owned(), band),
            [first, ..] => (format!("fault {}", harmless(first)), band),
            [] => ("fault".to_owned(), band),
        })
        .collect()
}

fn marks(report: &Report) -> Vec<(f64, &'static str)> {
    let moments = &report.judgement.moments;
    let mut marks: Vec<(f64, &'static str)> = [
        (moments.fault, "fault"),
        (moments.detected, "detected"),
        (moments.switched, "switched"),
        (moments.declared, "declared"),
        (moments.recovered, "up"),
        (moments.reverted, "revert"),
        (moments.failed_back, "back"),
    ]
    .into_iter()
    .filter_map(|(moment, name)| moment.map(|bounds| (middle(bounds), name)))
    .collect();
    marks.sort_by(|left, right| left.0.total_cmp(&right.0));
    marks
}

fn wrap_legend(entries: &[String], columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for entry in entries {
        match lines.last_mut() {
            Some(line) if width(line) + 3 + width(entry) <= columns => {
                line.push_str("   ");
                line.push_str(entry);
            }
            Some(_) | None => lines.push(entry.clone()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::verdict::Bounds;

    fn spell(from: f64, to: Option<f64>, seen: Seen) -> Spell {
        Spell {
            from: Bounds {
                lo: from,
                hi: Some(from),
            },
            to: Bounds {
                lo: to.unwrap_or(from),
                hi: to,
            },
            seen,
            samples: 1,
        }
    }

    fn tiers() -> Tiers {
        Tiers::new(["primary".to_owned(), "vm".to_owned()])
    }

    fn text(cells: &[Cell]) -> String {
        cells.iter().map(|cell| cell.letter()).collect()
    }

    #[test]
    fn tenth_columns_are_round_numbers_and_the_axis_fits() {
        for (length, columns, per_column) in [
            (60.0, 80, 1.0),
            (45.0, 80, 0.6),
            (80.0, 80, 1.0),
            (80.5, 80, 1.5),
            (380.0, 80, 5.0),
            (3600.0, 80, 50.0),
            (0.4, 80, 0.005),
        ] {
            let axis = Axis::new(length, columns);
            assert!(
                (axis.per_column - per_column).abs() < 1e-9,
                "{length}: {axis:?}"
            );
            assert!(axis.columns <= columns);
            assert!(as_float(axis.columns) * axis.per_column >= length - 1e-6);
        }
        assert_eq!(
            Axis::new(45.0, 45).ticks(),
            "0         10        20        30        40"
        );
    }

    #[test]
    fn each_column_shows_the_worst_of_its_time() {
        let axis = Axis::new(10.0, 10);
        let down = || Seen::Down("refused".to_owned());
        let spells = [
            spell(0.0, Some(2.0), Seen::Tier("primary".to_owned())),
            spell(2.0, Some(3.1), down()),
            spell(3.1, Some(5.9), Seen::Tier("vm".to_owned())),
            spell(5.9, Some(6.0), Seen::Down("too-slow".to_owned())),
            spell(6.0, Some(7.0), Seen::Unknown),
            spell(7.0, Some(8.2), Seen::Tier("primary".to_owned())),
            spell(8.2, None, Seen::Tier("stranger".to_owned())),
        ];
        assert_eq!(text(&axis.cells(&spells, &tiers())), "AAxxB!?ACC");
    }

    #[test]
    fn markers_that_would_cover_each_other_go_to_another_line() {
        let style = Style {
            ascii: true,
            ..Style::default()
        };
        let axis = Axis::new(40.0, 40);
        let marks = [
            (2.0, "fault"),
            (4.0, "detected"),
            (20.0, "up"),
            (39.0, "back"),
        ];
        assert_eq!(
            axis.markers(&marks, &style),
            [
                "  ^fault            ^up                ^back",
                "    ^detected"
            ]
        );
        assert_eq!(
            Axis::new(10.0, 10).markers(&[(9.0, "switched")], &style),
            [" switched^"]
        );
    }

    #[test]
    fn a_fault_that_is_not_restored_has_an_open_band() {
        let style = Style {
            ascii: true,
            ..Style::default()
        };
        let axis = Axis::new(10.0, 10);
        assert_eq!(axis.band(2.0, Some(6.0), &style), "  [===]");
        assert_eq!(axis.band(2.0, None, &style), "  [======>");
        assert_eq!(axis.band(2.0, Some(2.1), &style), "  |");
    }

    fn any_seen() -> impl Strategy<Value = Seen> {
        prop_oneof![
            Just(Seen::Tier("primary".to_owned())),
            Just(Seen::Tier("vm".to_owned())),
            Just(Seen::Down("refused".to_owned())),
            Just(Seen::Down("too-slow".to_owned())),
            Just(Seen::Other("192.0.2.1".to_owned())),
            Just(Seen::Unknown),
        ]
    }

    proptest! {
        #[test]
        fn every_failed_spell_is_drawn_however_short(
            parts in prop::collection::vec((0.0..100.0_f64, any_seen()), 1..40),
            columns in 1_usize..90,
        ) {
            let mut at = 0.0;
            let mut spells = Vec::new();
            for (length, seen) in parts {
                spells.push(spell(at, Some(at + length), seen));
                at += length;
            }
            let axis = Axis::new(at, columns);
            let cells = axis.cells(&spells, &tiers());
            prop_assert!(cells.len() <= columns);
            for spell in &spells {
                let cell = Cell::new(&spell.seen, &tiers());
                let shown = cells[axis.column(spell.from.lo)];
                prop_assert!(shown >= cell, "{spell:?} is drawn as {shown:?}");
                if matches!(&spell.seen, Seen::Down(class) if class == "refused") {
                    prop_assert_eq!(shown.letter(), 'x');
                }
            }
        }
    }
}
