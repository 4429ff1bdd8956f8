//! `abort-if:` of a drill or an environment: what ends a drill early, with everything reverted.

use std::time::Duration;

use blackstart_lab::stack::DurationText;
use schemars::JsonSchema;
use serde::Serialize;

use super::{Located, duration_words};
use crate::source::Item;

/// The conditions by their words, in the order of the documentation.
pub(crate) const CONDITIONS: [&str; 4] = [
    "outage-longer-than",
    "errors-above",
    "observer-bad",
    "standby-not-healthy",
];

/// A condition that ends a drill early. It is checked all the time from the first fault to the revert.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AbortIf {
    /// Users have not been served in a stable way for longer than this.
    OutageLongerThan(#[schemars(with = "DurationText")] Duration),
    /// Too large a share of a probe's samples fails.
    ErrorsAbove {
        /// The probe.
        probe: String,
        /// More than this share of its samples, in percent, from 0 to 99.
        percent: u32,
        /// Of those sent in so long a time.
        #[schemars(with = "DurationText")]
        over: Duration,
    },
    /// This observer turns bad.
    ObserverBad(String),
    /// The probe of a standby fails, or is answered by another tier, three times in a row.
    StandbyNotHealthy(String),
}

impl AbortIf {
    /// The word that names the condition in files.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::OutageLongerThan(_) => "outage-longer-than",
            Self::ErrorsAbove { .. } => "errors-above",
            Self::ObserverBad(_) => "observer-bad",
            Self::StandbyNotHealthy(_) => "standby-not-healthy",
        }
    }

    /// The condition in words: `outage longer than 3m`, `errors of write above 50% over 30s`.
    pub fn words(&self) -> String {
        match self {
            Self::OutageLongerThan(limit) => {
                format!("outage longer than {}", duration_words(*limit))
            }
            Self::ErrorsAbove {
                probe,
                percent,
                over,
            } => format!(
                "errors of {probe} above {percent}% over {}",
                duration_words(*over)
            ),
            Self::ObserverBad(observer) => format!("observer {observer} bad"),
            Self::StandbyNotHealthy(probe) => format!("standby not healthy by {probe}"),
        }
    }
}

/// The list of conditions.
pub(crate) fn decode(item: Item<'_>) -> Option<Vec<Located<AbortIf>>> {
    item.filled_list_of(|item| {
        let (key, value) = item.variant(&CONDITIONS)?;
        let condition = match key.name.as_str() {
            "outage-longer-than" => AbortIf::OutageLongerThan(value.positive_duration()?),
            "errors-above" => errors_above(value)?,
            "observer-bad" => AbortIf::ObserverBad(value.text()?),
            _ => AbortIf::StandbyNotHealthy(value.text()?),
        };
        Some(Located {
            value: condition,
            at: key.place.at,
        })
    })
}

fn errors_above(item: Item<'_>) -> Option<AbortIf> {
    let mut mapping = item.mapping()?;
    let probe = mapping.require("probe", Item::text);
    let percent = mapping.require("percent", |percent| percent.whole(0..=99));
    let over = mapping.require("over", Item::positive_duration);
    mapping.finish();
    Some(AbortIf::ErrorsAbove {
        probe: probe?,
        percent: percent?,
        over: over?,
    })
}
