//! Fitting text into columns. All of this is done before colour is added.

use super::style::Style;

/// The columns that a text takes. Characters of East Asia take two, accents that stand alone none; that is as exact as it needs to be
/// to keep columns in line.
pub(crate) fn width(text: &str) -> usize {
    text.chars().map(character_width).sum()
}

fn character_width(character: char) -> usize {
    match character {
        '\u{300}'..='\u{36f}' => 0,
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ff60}'
        | '\u{ffe0}'..='\u{ffe6}'
        | '\u{1f300}'..='\u{1faff}'
        | '\u{20000}'..='\u{3fffd}' => 2,
        _ => 1,
    }
}

/// Fills a text with blanks on the right.
pub(crate) fn pad(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

/// Fills a text with blanks on the left.
pub(crate) fn pad_left(text: &str, columns: usize) -> String {
    format!("{}{text}", " ".repeat(columns.saturating_sub(width(text))))
}

/// Cuts a text that is too long, and shows that it did.
pub(crate) fn cut(text: &str, columns: usize, style: &Style) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mark = style.either("..", "…");
    let room = columns.saturating_sub(width(mark));
    let mut used = 0;
    let kept = text.chars().take_while(|character| {
        used += character_width(*character);
        used <= room
    });
    let mut result: String = kept.collect();
    result.push_str(mark);
    result
}

/// Breaks a text at blanks into lines of at most so many columns; a word that is longer has a line for itself.
pub(crate) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if width(line) + 1 + width(word) <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) | None => lines.push(word.to_owned()),
        }
    }
    lines
}

/// A column as a number to calculate with.
#[expect(clippy::cast_precision_loss, reason = "columns are few")]
pub(super) fn as_float(column: usize) -> f64 {
    column as f64
}

/// The column that a number falls into. The caller limits it to the columns there are.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast saturates, and the caller limits the result to the columns there are"
)]
pub(super) fn as_column(number: f64) -> usize {
    number as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_and_broken_to_fit() {
        let style = Style {
            ascii: true,
            ..Style::default()
        };
        assert_eq!(cut("primary", 7, &style), "primary");
        assert_eq!(cut("maintenance", 7, &style), "maint..");
        assert_eq!(cut("maintenance", 7, &Style::default()), "mainte…");
        assert_eq!(cut("점검페이지", 7, &style), "점검..");
        assert_eq!(pad("점검", 6), "점검  ");
        assert_eq!(pad_left("PASS", 6), "  PASS");
        assert_eq!(wrap("a bb  ccc dddddd", 4), ["a bb", "ccc", "dddddd"]);
        assert!(wrap(" ", 4).is_empty());
    }
}
