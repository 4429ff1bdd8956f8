//! Text from outside: header values, error messages, names and whatever else a system under test, or a file, made up.
//!
//! Such text can move the cursor, turn the reading direction round, pretend to be another line of the report or give orders to a
//! CI server. Every renderer passes every string that it did not write itself through [`harmless`].

use std::{borrow::Cow, path::Path};

/// Makes a text from outside harmless: what comes back is one line in which everything that is not visible is spelled out, such as
/// `\n`, `\x1b` or `\u{202e}`, and in which no CI server finds an order (`::error::` at the start of a word, `##[` or `##vso[`).
///
/// Backslashes stay as they are, so the result is for reading, not for turning back.
pub(crate) fn harmless(text: &str) -> Cow<'_, str> {
    let mut result = String::new();
    // Up to where `text` is in `result`; as long as that is the beginning, nothing had to be changed.
    let mut copied = 0;
    let mut before = None;
    for (at, character) in text.char_indices() {
        let rest = &text[at..];
        if is_invisible(character) || gives_orders(before, rest) {
            result.push_str(&text[copied..at]);
            spell(character, &mut result);
            copied = at + character.len_utf8();
        }
        before = Some(character);
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    result.push_str(&text[copied..]);
    Cow::Owned(result)
}

/// A word as a shell takes it for one, so that a line can be copied. What is not visible is spelled out and then names no file, which
/// is better than an order.
pub(crate) fn shell_word(word: &str) -> String {
    let word = harmless(word);
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "_-./:@%+=,".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// A program and its arguments as a line that can be copied.
pub(crate) fn shell_words(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| shell_word(word)).collect();
    words.join(" ")
}

/// The command that finishes what a run left broken.
pub(crate) fn revert_command(run: &Path) -> String {
    format!(
        "blackstart revert {}",
        shell_word(&run.display().to_string())
    )
}

/// Whether a character shows nothing, or does something else than being shown.
pub(crate) fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character,
            // The soft hyphen, the grapheme joiner, fillers of Hangul and Khmer vowels that are not there.
            '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{3164}' | '\u{ffa0}'
            // Marks, embeddings, overrides and isolates of the reading direction; joiners and spaces without width.
            | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            // Separators of lines and paragraphs.
            | '\u{2028}' | '\u{2029}'
            // Selectors of variants, Mongolian ones too, annotations, and what XML forbids.
            | '\u{180b}'..='\u{180f}' | '\u{fe00}'..='\u{fe0f}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}'
            // Control of shorthand and musical notation, tags and the other variants.
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether something begins here that a CI server takes as an order: GitHub obeys `::name` at the start of a line, blanks before it or
/// not, and a line may be broken before any word; GitHub and Azure DevOps obey `##[` and `##vso[` anywhere.
fn gives_orders(before: Option<char>, rest: &str) -> bool {
    let starts_word = before.is_none_or(|before| before.is_whitespace() || is_invisible(before));
    let command = rest
        .strip_prefix("::")
        .is_some_and(|name| name.starts_with(|first: char| first.is_ascii_alphabetic()));
    (starts_word && command) || rest.starts_with("##[") || rest.starts_with("##vso[")
}

fn spell(character: char, result: &mut String) {
    match character {
        '\n' => result.push_str("\\n"),
        '\r' => result.push_str("\\r"),
        '\t' => result.push_str("\\t"),
        '\0'..='\u{7f}' => {
            const DIGITS: &[u8; 16] = b"0123456789abcdef";
            let code = character as usize;
            result.push_str("\\x");
            result.push(DIGITS[code >> 4].into());
            result.push(DIGITS[code & 15].into());
        }
        other => result.extend(other.escape_unicode()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_text_stays_as_it_is() {
        for text in [
            "",
            "served by A -> down -> B",
            "서비스 점검 중",
            "nginx/1.18.0 (Ubuntu)",
            "[::1]:8080",
            "connect to ::1 failed",
            "2001:db8::a",
            "C:\\nginx",
            "# heading ## [link]",
        ] {
            assert!(matches!(harmless(text), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn what_is_not_visible_is_spelled_out() {
        for (text, expected) in [
            ("a\nb\r\tc", r"a\nb\r\tc"),
            ("\u{1b}[31mred\u{1b}[0m", r"\x1b[31mred\x1b[0m"),
            ("\u{1b}]0;title\u{7}", r"\x1b]0;title\x07"),
            ("\u{9b}2J", r"\u{9b}2J"),
            ("\0\u{7f}", r"\x00\x7f"),
            ("user\u{202e}gpj.exe", r"user\u{202e}gpj.exe"),
            ("pri\u{200b}mary", r"pri\u{200b}mary"),
            ("\u{feff}a\u{2028}b", r"\u{feff}a\u{2028}b"),
            ("\u{e0041}", r"\u{e0041}"),
        ] {
            assert_eq!(harmless(text), expected);
        }
    }

    #[test]
    fn orders_to_a_ci_server_are_broken() {
        for (text, expected) in [
            ("::error::boom", r"\x3a:error::boom"),
            ("  ::set-output name=x::y", r"  \x3a:set-output name=x::y"),
            ("ok ::warning::x", r"ok \x3a:warning::x"),
            ("ok\n::warning::x", r"ok\n\x3a:warning::x"),
            ("x ##[error]y", r"x \x23#[error]y"),
            ("##vso[task.complete]", r"\x23#vso[task.complete]"),
            ("###[error]", r"#\x23#[error]"),
        ] {
            assert_eq!(harmless(text), expected);
        }
    }

    proptest! {
        #[test]
        fn nothing_invisible_is_left_and_twice_is_as_good_as_once(text in any::<String>()) {
            let once = harmless(&text).into_owned();
            prop_assert!(!once.chars().any(is_invisible));
            let order = once.split_whitespace().any(|word| gives_orders(None, word));
            prop_assert!(!order);
            prop_assert_eq!(harmless(&once), once.as_str());
        }
    }
}
