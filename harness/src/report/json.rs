//! The report as JSON.

use std::io;

use serde::Serialize;
use serde_json::{
    Serializer,
    ser::{CompactFormatter, Formatter, PrettyFormatter},
};

use super::{FORMAT_VERSION, Repeats, Report, hostile::is_invisible, repeats};

/// Several reports in one document.
#[derive(Serialize)]
struct Several<'a> {
    format_version: &'static str,
    drills: &'a [Report],
    /// What several runs of the same drill say together.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    repeats: Vec<Repeats>,
}

/// Renders one report as an object that ends in a newline.
///
/// Strings are the data as it came. What is not visible in them, or would be an order to a CI server that reads along, is written as
/// JSON's own escapes, which mean the same.
pub fn render(report: &Report) -> String {
    written(report, PrettyFormatter::new())
}

/// Renders the reports of several runs, however many there are, as an object with `format_version` and the array `drills`.
pub fn render_together(reports: &[Report]) -> String {
    let several = Several {
        format_version: FORMAT_VERSION,
        drills: reports,
        repeats: repeats(reports),
    };
    written(&several, PrettyFormatter::new())
}

/// Renders a value as one line that ends in a newline, with everything escaped that cannot be seen.
pub(crate) fn line<T: Serialize>(value: &T) -> String {
    written(value, CompactFormatter)
}

fn written<T: Serialize>(value: &T, layout: impl Formatter) -> String {
    let mut bytes = Vec::new();
    value
        .serialize(&mut Serializer::with_formatter(&mut bytes, Visible(layout)))
        .expect("no map here has keys that are not strings, and memory takes every write");
    bytes.push(b'\n');
    String::from_utf8(bytes).expect("JSON is UTF-8")
}

/// A layout with everything escaped that cannot be seen.
struct Visible<F>(F);

impl<F: Formatter> Formatter for Visible<F> {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut copied = 0;
        for (at, character) in fragment.char_indices() {
            // The only thing that a CI server looks for in the middle of a line.
            let order = fragment[at..].starts_with("##[") || fragment[at..].starts_with("##vso[");
            if order || is_invisible(character) {
                writer.write_all(&fragment.as_bytes()[copied..at])?;
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
                copied = at + character.len_utf8();
            }
        }
        writer.write_all(&fragment.as_bytes()[copied..])
    }

    fn begin_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_array(writer)
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array(writer)
    }

    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.0.begin_array_value(writer, first)
    }

    fn end_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array_value(writer)
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object(writer)
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.0.begin_object_key(writer, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object_value(writer)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::report::sample;

    /// What any other writer makes of the same, read back, so that both went through the same parser of numbers.
    fn plain<T: Serialize>(value: &T) -> Value {
        serde_json::from_str(&serde_json::to_string(value).unwrap()).unwrap()
    }

    #[test]
    fn one_report_is_an_object_and_ends_in_a_newline() {
        let report = sample::failing_rto();
        let text = render(&report);
        assert!(text.ends_with("}\n"));
        insta::assert_snapshot!("json_of_a_failing_rto", text);
        let value: Value = serde_json::from_str(&text).unwrap();
        assert!(value == plain(&report));
    }

    #[test]
    fn a_line_is_one_line_in_which_nothing_gives_orders_and_nothing_is_lost() {
        let text = "a\n\u{202e}\u{1b}##[error]##vso[x]\u{e0041}";
        let line = line(&text);
        let visible = line.strip_suffix('\n').unwrap();
        assert!(!visible.chars().any(is_invisible), "{line}");
        assert!(!line.contains("##[") && !line.contains("##vso["), "{line}");
        assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
    }

    #[test]
    fn several_reports_are_an_array_in_an_object() {
        let reports = [sample::passing_failover(), sample::failing_rto()];
        let value: Value = serde_json::from_str(&render_together(&reports)).unwrap();
        assert_eq!(value["format_version"], FORMAT_VERSION);
        assert!(value["drills"] == plain(&reports));
        let none: Value = serde_json::from_str(&render_together(&[])).unwrap();
        assert_eq!(none["drills"], Value::Array(Vec::new()));
        let alone: Value = serde_json::from_str(&render_together(&reports[..1])).unwrap();
        assert_eq!(alone["drills"].as_array().map(Vec::len), Some(1));
    }

    #[test]
    fn hostile_text_is_escaped_and_still_the_same_data() {
        let report = sample::hostile(
            "\u{1b}[2J\u{9b}m\r\n::error::x ##[error]y \u{202e}\u{200b}\u{e0041} ]]> \"\\",
        );
        let text = render(&report);
        assert!(
            !text
                .chars()
                .any(|character| character != '\n' && is_invisible(character))
        );
        assert!(!text.contains("##["));
        assert!(!text.lines().any(|line| line.trim_start().starts_with("::")));
        let value: Value = serde_json::from_str(&text).unwrap();
        assert!(value == plain(&report));
    }
}
