//! The one wording of durations and expectations, which verdicts, reports and lists share.

use std::time::Duration;

use jiff::{
    SignedDuration,
    fmt::friendly::{Designator, Spacing, SpanPrinter},
};

use super::{ClockStart, ClockStop, Expect, Writes};

/// A duration as people write it in files: `500ms`, `70s`, `4m`, `1h30m`; `0s` for none. Up to ten minutes, what is no whole
/// number of minutes stays in seconds, which is how limits are thought of.
pub fn duration_words(duration: Duration) -> String {
    const PRINTER: SpanPrinter = SpanPrinter::new()
        .designator(Designator::Compact)
        .spacing(Spacing::None);
    let seconds = duration.as_secs();
    if duration.subsec_nanos() == 0 && seconds < 600 && !seconds.is_multiple_of(60) {
        return format!("{seconds}s");
    }
    // Hours at most: files know no days.
    match SignedDuration::try_from(duration) {
        Ok(duration) => PRINTER.duration_to_string(&duration),
        Err(_) => format!("{seconds}s"),
    }
}

impl Expect {
    /// The expectation in words, without its measured value: `rto within 135s`, `path primary -> down -> vm`, `never maintenance`.
    pub fn words(&self) -> String {
        let kind = self.kind();
        match self {
            Self::Detected { within, by } => {
                let by = by
                    .as_ref()
                    .map(|by| format!(" by {by}"))
                    .unwrap_or_default();
                format!("{kind}{by} within {}", duration_words(*within))
            }
            Self::Rto {
                within,
                from,
                to,
                pass_rate,
            } => {
                let from = match from {
                    ClockStart::Fault => "",
                    ClockStart::Impact => " from the impact",
                    ClockStart::Declared => " from the declaration",
                };
                let to = match to {
                    ClockStop::Stable => "",
                    ClockStop::FirstSuccess => " to the first success",
                };
                let rate = pass_rate
                    .map(|rate| format!(", pass rate {rate}"))
                    .unwrap_or_default();
                format!("{kind} within {}{from}{to}{rate}", duration_words(*within))
            }
            Self::Outage { within } | Self::Rpo { within } => {
                format!("{kind} within {}", duration_words(*within))
            }
            Self::Path(steps) => format!("{kind} {}", steps.join(" -> ")),
            Self::Never(tiers) => format!("{kind} {}", tiers.join(", ")),
            Self::ServedBy(probes) => {
                let probes: Vec<String> = probes
                    .iter()
                    .map(|(probe, tier)| format!("{probe} by {tier}"))
                    .collect();
                format!("{kind} {}", probes.join(", "))
            }
            Self::Writes(Writes::ServedBy(tier)) => format!("{kind} served by {tier}"),
            Self::Writes(Writes::FailWith(codes)) => {
                format!("{kind} fail with {}", alternatives(codes))
            }
            Self::Availability { at_least } => format!("{kind} at least {at_least}%"),
            Self::MaxErrors { probe, at_most } => {
                let probe = probe
                    .as_ref()
                    .map(|probe| format!(" of {probe}"))
                    .unwrap_or_default();
                format!("{kind}{probe} at most {at_most}")
            }
            Self::NoFailover => kind.to_owned(),
            Self::Flaps { at_most } => format!("{kind} at most {at_most}"),
            Self::Failback {
                to,
                within,
                errors_at_most,
            } => {
                let errors = errors_at_most
                    .map(|errors| format!(" with at most {errors} errors"))
                    .unwrap_or_default();
                format!("{kind} to {to} within {}{errors}", duration_words(*within))
            }
            Self::DnsSwitch { within, probe, to } => {
                let probe = probe
                    .as_ref()
                    .map(|probe| format!(" at {probe}"))
                    .unwrap_or_default();
                let to = to
                    .as_ref()
                    .map(|to| format!(" to {to}"))
                    .unwrap_or_default();
                format!("{kind}{probe}{to} within {}", duration_words(*within))
            }
            Self::StaleDns { at_most, probe } => {
                let probe = probe
                    .as_ref()
                    .map(|probe| format!(" at {probe}"))
                    .unwrap_or_default();
                format!(
                    "{kind}{probe} at most {} past the TTL",
                    duration_words(*at_most)
                )
            }
            Self::Header {
                probe,
                name,
                contains,
            } => {
                let probe = probe
                    .as_ref()
                    .map(|probe| format!(" of {probe}"))
                    .unwrap_or_default();
                format!("{kind} {name}{probe} contains {contains:?}")
            }
            Self::Body { probe, contains } => {
                let probe = probe
                    .as_ref()
                    .map(|probe| format!(" of {probe}"))
                    .unwrap_or_default();
                format!("{kind}{probe} contains {contains:?}")
            }
            Self::Status { probe, is } => {
                let probe = probe
                    .as_ref()
                    .map(|probe| format!(" of {probe}"))
                    .unwrap_or_default();
                format!("{kind}{probe} is {}", alternatives(is))
            }
        }
    }
}

/// Status codes as alternatives: `502, 503 or 504`.
fn alternatives(codes: &[u16]) -> String {
    let words: Vec<String> = codes.iter().map(u16::to_string).collect();
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        Some((last, _)) => last.clone(),
        None => "nothing".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_spelled_as_in_files() {
        for (milliseconds, words) in [
            (0, "0s"),
            (500, "500ms"),
            (1_500, "1s500ms"),
            (70_000, "70s"),
            (135_000, "135s"),
            (240_000, "4m"),
            (172_800_000, "48h"),
        ] {
            assert_eq!(duration_words(Duration::from_millis(milliseconds)), words);
        }
    }

    #[test]
    fn every_expectation_has_one_wording() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/full/drill.yaml");
        let (drill, _) = crate::drill::load(file.as_ref(), &|_| None);
        let words: Vec<String> = drill
            .expect("the full drill is sound")
            .expect
            .iter()
            .map(|expectation| expectation.value.words())
            .collect();
        assert_eq!(
            words,
            [
                "detected by health within 70s",
                "rto within 135s, pass rate 0.9 @ 0.95",
                "outage within 0s",
                "path primary -> down -> vm",
                "never page",
                "served-by read by vm",
                "writes fail with 502 or 503",
                "availability at least 99.5%",
                "max-errors of read at most 10",
                "no-failover",
                "flaps at most 0",
                "failback to primary within 4m with at most 0 errors",
                "rpo within 1m",
                "dns-switch at authority to vm within 70s",
                "stale-dns at resolver at most 20s past the TTL",
                "header server of read contains \"nginx\"",
                "body of read contains \"owner\"",
                "status of read is 200",
            ]
        );
    }
}
