//! The report as one page of HTML for people: to read on a screen, to print, to sign and to keep.
//!
//! A page needs nothing but itself: no script, no font, no picture from elsewhere. Every text from outside goes through `Foreign`.

mod account;
mod closing;
mod figure;
mod first_page;
mod index;
mod lanes;
mod latency;
mod scale;
#[cfg(test)]
mod tests;
mod together;

use std::fmt::Write;

use maud::{DOCTYPE, Escaper, Markup, PreEscaped, Render, html};

use super::{Report, hostile, hostile::harmless, json};
use crate::{
    drill::Exercise,
    verdict::{CheckStatus, Judgement, Verdict},
};

/// How a page looks, on a screen and on paper.
const STYLE: &str = include_str!("report.css");

/// Data that makes the page larger than this is left to `report.json`.
const EMBEDDED: usize = 200_000;

/// The size of paper that a page is printed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paper {
    /// 210 by 297 mm.
    A4,
    /// 8.5 by 11 inches.
    Letter,
}

/// Renders one report as a page. Without a size of paper it is left to whoever prints.
pub fn render(report: &Report, paper: Option<Paper>) -> String {
    let name = &report.drill.name;
    let body = html! {
        (first_page::first_page(report))
        (account::purpose(report))
        (account::what_happened(report))
        (account::path(report))
        (account::dns(report))
        (account::availability(report))
        (account::repeats(report))
        (account::clean_up(report))
        (closing::findings(report))
        (closing::participants(report))
        (closing::method(report))
        (closing::sign_off(report))
        (closing::appendix(report))
        (data(report))
    };
    let footer = format!("{name} · run {}", report.run.id);
    shell(
        &format!("{name}: {}", verdict(&report.judgement).0),
        &footer,
        paper,
        &body,
    )
}

/// Renders the reports of several runs, however many there are, as an index that leads to the page of each.
pub fn render_together(reports: &[Report], paper: Option<Paper>) -> String {
    index::page(reports, paper)
}

/// A text from outside: one visible line of it, and no markup.
struct Foreign<T>(T);

impl<T: AsRef<str>> Render for Foreign<T> {
    fn render_to(&self, page: &mut String) {
        Escaper::new(page)
            .write_str(&harmless(self.0.as_ref()))
            .expect("memory takes every write");
    }
}

/// The frame of every page.
fn shell(title: &str, footer: &str, paper: Option<Paper>, body: &Markup) -> String {
    let size = match paper {
        None => "",
        Some(Paper::A4) => "size:A4;",
        Some(Paper::Letter) => "size:letter;",
    };
    let print = format!(
        "@page{{{size}margin:15mm 14mm 17mm;@bottom-left{{content:\"{}\";font:8pt sans-serif;color:#444}}@bottom-right{{content:counter(page) \" / \" counter(pages);font:8pt sans-serif;color:#444}}}}",
        words_of_style(footer)
    );
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                meta name="generator" content="blackstart";
                title { (Foreign(title)) }
                style { (PreEscaped(STYLE)) (PreEscaped(print)) }
            }
            body { main { (body) } }
        }
    };
    let mut page = page.into_string();
    page.push('\n');
    page
}

/// A text from outside within quotes of the style sheet: only what means nothing there is left of it.
fn words_of_style(text: &str) -> String {
    harmless(text)
        .chars()
        .map(|letter| match letter {
            '"' | '\\' | '<' | '>' | '{' | '}' | '/' | '*' => '_',
            other => other,
        })
        .take(90)
        .collect()
}

/// The data that the page was made of, for programs, where it is small.
fn data(report: &Report) -> Markup {
    // A `<` would end the element; in JSON it stands in strings only, where it can be spelled otherwise.
    let text = json::render(report).replace('<', "\\u003c");
    html! {
        @if text.len() <= EMBEDDED {
            script type="application/json" id="drill-report" { (PreEscaped(text)) }
        }
    }
}

/// The word for what came of a drill, and the class that it is shown in.
fn verdict(judgement: &Judgement) -> (&'static str, &'static str) {
    match (judgement.restored, judgement.verdict) {
        (false, _) => ("NOT RESTORED", "bad"),
        (true, Verdict::Pass) => ("PASS", "good"),
        (true, Verdict::Inconclusive) => ("INCONCLUSIVE", "unsure"),
        (true, Verdict::Fail) => ("FAIL", "bad"),
        (true, Verdict::DryRun) => ("DRY RUN", "good"),
        (true, Verdict::Aborted) => ("ABORTED", "unsure"),
        (true, Verdict::Invalid) => ("INVALID", "unsure"),
    }
}

/// The word for what came of an expectation, with a sign that is told apart without colour.
fn status(status: CheckStatus) -> Markup {
    let (word, class, sign) = spelled(status);
    html! { span.status.(class) { (sign) " " (word) } }
}

/// The sign alone, for where there is no room; the word is still there for those who are read to.
fn sign(status: CheckStatus) -> Markup {
    let (word, class, sign) = spelled(status);
    html! { span.status.sign.(class) role="img" aria-label=(word) title=(word) { (sign) } }
}

fn spelled(status: CheckStatus) -> (&'static str, &'static str, &'static str) {
    match status {
        CheckStatus::Pass => ("pass", "good", "✓"),
        CheckStatus::Fail => ("FAIL", "bad", "✗"),
        CheckStatus::Inconclusive => ("inconclusive", "unsure", "?"),
        CheckStatus::NotRun => ("not run", "none", "–"),
    }
}

/// The heading of a section.
fn heading(number: u8, words: &str) -> Markup {
    html! { h2 id={ "section-" (number) } { span.number { (number) } " " (words) } }
}

/// A word before a line to fill in.
fn blank(words: &str) -> Markup {
    html! { div.blank { span { (words) } span.line {} } }
}

/// A word before what somebody has said, or else before a line to fill in.
fn said(words: &str, said: Option<&str>) -> Markup {
    match said {
        Some(said) => html! { div.blank.said { span { (words) } span.given { (Foreign(said)) } } },
        None => blank(words),
    }
}

/// The same for several that somebody has said.
fn said_list(words: &str, list: &[String]) -> Markup {
    let joined = list.join("; ");
    said(
        words,
        Some(joined.as_str()).filter(|joined| !joined.is_empty()),
    )
}

/// A cell with what somebody has said, or to fill in.
fn cell(said: Option<&str>) -> Markup {
    html! { td { @match said { Some(said) => (Foreign(said)), None => "\u{a0}" } } }
}

/// What people have said of a drill.
fn exercise(report: &Report) -> Exercise {
    report.drill.exercise.clone().unwrap_or_default()
}

/// A row of a table to fill in.
fn blank_rows(rows: usize, columns: usize) -> Markup {
    html! {
        @for _ in 0..rows {
            tr.blank-row { @for _ in 0..columns { td { "\u{a0}" } } }
        }
    }
}

/// A path as it stands in an address.
fn address(path: &str) -> String {
    let mut address = String::new();
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte) {
            address.push(byte.into());
        } else {
            write!(address, "%{byte:02X}").expect("memory takes every write");
        }
    }
    address
}

/// The address of a file, for a browser.
pub fn file_address(path: &std::path::Path) -> String {
    format!("file://{}", address(&path.to_string_lossy()))
}
