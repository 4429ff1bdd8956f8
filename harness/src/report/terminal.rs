//! The report as text for a terminal.

use super::{Report, Style};

/// Renders the reports of one command as text that ends in a newline: each drill in full if it is the only one or did not pass, the
/// others as a line of a table, and the failures last.
pub fn render(_reports: &[Report], _style: &Style) -> String {
    String::new()
}
