//! Explanations: a page for every fault, expectation, exit code, finding and trap, for reading at three in the morning.
//!
//! The pages are plain text in `docs/explain`, compiled in.

use crate::source;

/// A page of explanation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// The topic, as it is asked for.
    pub topic: &'static str,
    /// The text: a title line, then 7 to 29 lines of at most 104 characters.
    pub text: &'static str,
}

macro_rules! pages {
    ($($topic:literal,)*) => {
        &[$(Page {
            topic: $topic,
            text: include_str!(concat!("../../../docs/explain/", $topic, ".txt")),
        },)*]
    };
}

/// All pages, by topic in alphabetical order.
const PAGES: &[Page] = pages![
    "abort-if",
    "aborted",
    "availability",
    "block-ingress",
    "body",
    "break-health-path",
    "certificate-not-checked",
    "clock-jump",
    "command",
    "compare",
    "control-plane-needed",
    "detected",
    "disable",
    "disable-health-check",
    "disabled-is-healthy",
    "disconnect",
    "dns-cache-stragglers",
    "dns-switch",
    "dry-run",
    "exercise",
    "exit-0",
    "exit-1",
    "exit-130",
    "exit-143",
    "exit-2",
    "exit-3",
    "exit-4",
    "exit-5",
    "expire-certificate",
    "fail-open",
    "failback",
    "failover-database",
    "false-negative",
    "false-positive",
    "fault-undone",
    "flaps",
    "gray-failure",
    "guard",
    "header",
    "health-check-blind",
    "inconclusive",
    "interactive",
    "invert-health-check",
    "ipv6-left-behind",
    "keep-alive-stragglers",
    "kill",
    "kill-switch",
    "latency",
    "limits",
    "lose-zone",
    "loss",
    "max-errors",
    "max-fault",
    "never",
    "no-failover",
    "notify",
    "outage",
    "page-outlives-recovery",
    "pass-rate",
    "path",
    "pause",
    "preflight",
    "prober-late",
    "protected",
    "readiness-coupled",
    "redirect-checked",
    "repeats",
    "respond",
    "revert",
    "rpo",
    "rto",
    "rto-cache-wait",
    "scale",
    "serve",
    "served-by",
    "shift-weights",
    "speed",
    "stale-dns",
    "standby-dead",
    "standby-overloaded",
    "standby-unused",
    "status",
    "steady-state",
    "stop",
    "tiers",
    "trend",
    "variables",
    "watch",
    "where-the-time-went",
    "writes",
    "writes-do-not-fail-over",
    "writes-forbidden",
];

/// Finds the page of a topic.
pub fn page(topic: &str) -> Option<Page> {
    PAGES.iter().find(|page| page.topic == topic).copied()
}

/// All topics in alphabetical order.
pub fn topics() -> impl Iterator<Item = &'static str> {
    PAGES.iter().map(|page| page.topic)
}

/// The topic that is spelled most like an unknown one, if any is near.
pub fn nearest(topic: &str) -> Option<&'static str> {
    source::nearest(topic, topics())
}

impl Page {
    /// The title: what follows the topic on the first line.
    pub fn title(&self) -> &'static str {
        let first = self.text.lines().next().unwrap_or_default();
        first.split_once(" - ").map_or(first, |(_, title)| title)
    }
}

#[cfg(test)]
mod tests;
