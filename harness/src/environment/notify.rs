//! `notify:` of an environment: who is told while a drill runs, and from which level on.

use std::{collections::BTreeMap, time::Duration};

use blackstart_lab::stack::DurationText;
use schemars::JsonSchema;
use serde::Serialize;

use super::decode::{headers, url};
use crate::source::Item;

/// The channels by their words, in the order of the documentation.
pub(crate) const CHANNELS: [&str; 3] = ["webhook", "slack", "pagerduty"];

/// How long telling may take, all attempts together, unless the file says otherwise.
const WITHIN: Duration = Duration::from_secs(10);

/// Where `PagerDuty` takes events.
const PAGERDUTY: &str = "https://events.pagerduty.com/v2/enqueue";

/// How bad it is, and how soon somebody should look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// To be looked at within four hours.
    Information,
    /// Within an hour.
    Warning,
    /// Within a quarter of an hour.
    Critical,
    /// Within five minutes.
    Emergency,
}

/// Somebody who is told.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Notify {
    /// A JSON object is sent to any URL.
    Webhook(Webhook),
    /// A message is posted to a channel of Slack.
    Slack(Slack),
    /// An event is sent to `PagerDuty`, Events API v2: triggered, and resolved when the drill has passed.
    Pagerduty(Pagerduty),
}

/// Any URL that takes JSON.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Webhook {
    /// The URL. One that a variable leaves empty tells nobody.
    pub url: String,
    /// Header lines to send besides `Content-Type`, for example `authorization: "Bearer ${TOKEN}"`.
    pub headers: BTreeMap<String, String>,
    /// The least level that is told. Default `information`.
    pub from: Level,
    /// How long telling may take in real time, all attempts together. Default `10s`.
    #[schemars(with = "DurationText")]
    pub within: Duration,
}

/// An incoming webhook of Slack.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Slack {
    /// The URL, which is a secret and comes from a variable. One that is left empty tells nobody.
    pub url: String,
    /// The least level that is told. Default `information`.
    pub from: Level,
    /// How long telling may take in real time, all attempts together. Default `10s`.
    #[schemars(with = "DurationText")]
    pub within: Duration,
}

/// An integration of `PagerDuty`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Pagerduty {
    /// The integration's key, which is a secret and comes from a variable. One that is left empty tells nobody.
    pub routing_key: String,
    /// Where events are taken. Default `https://events.pagerduty.com/v2/enqueue`.
    pub url: String,
    /// The least level that is told. Default `critical`.
    pub from: Level,
    /// How long telling may take in real time, all attempts together. Default `10s`.
    #[schemars(with = "DurationText")]
    pub within: Duration,
}

impl Level {
    /// The levels by their words, the least first.
    pub(crate) const WORDS: [(&'static str, Self); 4] = [
        ("information", Self::Information),
        ("warning", Self::Warning),
        ("critical", Self::Critical),
        ("emergency", Self::Emergency),
    ];

    /// The word for it.
    pub const fn word(self) -> &'static str {
        Self::WORDS[self as usize].0
    }

    /// Its number, from 1 for information to 4 for an emergency.
    pub const fn number(self) -> u8 {
        self as u8 + 1
    }

    /// How soon somebody should look.
    pub const fn answer_within(self) -> &'static str {
        match self {
            Self::Information => "4h",
            Self::Warning => "1h",
            Self::Critical => "15m",
            Self::Emergency => "5m",
        }
    }
}

impl Notify {
    /// The word for it in files.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Webhook(_) => "webhook",
            Self::Slack(_) => "slack",
            Self::Pagerduty(_) => "pagerduty",
        }
    }

    /// Where it is told.
    pub fn url(&self) -> &str {
        match self {
            Self::Webhook(webhook) => &webhook.url,
            Self::Slack(slack) => &slack.url,
            Self::Pagerduty(pagerduty) => &pagerduty.url,
        }
    }

    /// The least level that is told.
    pub fn from(&self) -> Level {
        match self {
            Self::Webhook(webhook) => webhook.from,
            Self::Slack(slack) => slack.from,
            Self::Pagerduty(pagerduty) => pagerduty.from,
        }
    }

    /// How long telling may take.
    pub fn within(&self) -> Duration {
        match self {
            Self::Webhook(webhook) => webhook.within,
            Self::Slack(slack) => slack.within,
            Self::Pagerduty(pagerduty) => pagerduty.within,
        }
    }

    /// Whether nobody is told, because a variable that says where is empty.
    pub fn is_off(&self) -> bool {
        match self {
            Self::Webhook(webhook) => webhook.url.is_empty(),
            Self::Slack(slack) => slack.url.is_empty(),
            Self::Pagerduty(pagerduty) => pagerduty.routing_key.is_empty(),
        }
    }
}

/// The list of those who are told.
pub(super) fn decode(item: Item<'_>) -> Option<Vec<Notify>> {
    item.filled_list_of(|item| {
        let (key, value) = item.variant(&CHANNELS)?;
        match key.name.as_str() {
            "webhook" => webhook(value).map(Notify::Webhook),
            "slack" => slack(value).map(Notify::Slack),
            _ => pagerduty(value).map(Notify::Pagerduty),
        }
    })
}

fn webhook(item: Item<'_>) -> Option<Webhook> {
    let mut mapping = item.mapping()?;
    let url = mapping.require("url", |item| or_nothing(item, url));
    let headers = mapping.default("headers", BTreeMap::new(), headers);
    let from = mapping.default("from", Level::Information, level);
    let within = mapping.default("within", WITHIN, within);
    mapping.finish();
    Some(Webhook {
        url: url?,
        headers: headers?,
        from: from?,
        within: within?,
    })
}

fn slack(item: Item<'_>) -> Option<Slack> {
    let mut mapping = item.mapping()?;
    let url = mapping.require("url", |place| {
        secret(place, "${SLACK_WEBHOOK}").then(|| or_nothing(place, url))?
    });
    let from = mapping.default("from", Level::Information, level);
    let within = mapping.default("within", WITHIN, within);
    mapping.finish();
    Some(Slack {
        url: url?,
        from: from?,
        within: within?,
    })
}

fn pagerduty(item: Item<'_>) -> Option<Pagerduty> {
    let mut mapping = item.mapping()?;
    let routing_key = mapping.require("routing-key", |key| {
        secret(key, "${PAGERDUTY_ROUTING_KEY}").then(|| or_nothing(key, Item::text))?
    });
    let url = mapping.default("url", PAGERDUTY.to_owned(), url);
    let from = mapping.default("from", Level::Critical, level);
    let within = mapping.default("within", WITHIN, within);
    mapping.finish();
    Some(Pagerduty {
        routing_key: routing_key?,
        url: url?,
        from: from?,
        within: within?,
    })
}

/// Reads a value that says where; nothing, where a variable is empty.
fn or_nothing<'i>(item: Item<'i>, read: impl FnOnce(Item<'i>) -> Option<String>) -> Option<String> {
    if item.is_filled() && item.is_text("") {
        return Some(String::new());
    }
    read(item)
}

fn level(item: Item<'_>) -> Option<Level> {
    item.word(&Level::WORDS)
}

/// Whatever is told later than this is of no use to anybody.
fn within(item: Item<'_>) -> Option<Duration> {
    let within = item.positive_duration()?;
    if within > Duration::from_mins(5) {
        item.report("telling somebody may take 5m at most");
        return None;
    }
    Some(within)
}

/// Whoever has this may page people or post in a channel: a run keeps a copy of the file, so it must not stand in there.
fn secret(item: Item<'_>, instead: &str) -> bool {
    if item.is_filled() {
        return true;
    }
    item.context().push(
        item.problem("this is a secret, and every run keeps a copy of this file")
            .with_hint(format!(
                "write `\"{instead}\"` and set the variable where drills are run"
            )),
    );
    false
}
