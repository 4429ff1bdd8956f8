//! Showing: one report in, bytes out. Pure: nothing here knows how a run is carried out.

pub mod annotations;
mod build;
pub mod html;
pub mod json;
pub mod junit;
pub(crate) mod layout;
pub mod markdown;
pub mod metrics;
mod people;
pub(crate) mod quantity;
mod recorded;
mod repeats;
#[cfg(test)]
pub(crate) mod sample;
pub mod stream;
pub(crate) mod strips;
pub(crate) mod style;
mod summary;
pub mod terminal;
pub mod trace;

use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    drill::Exercise,
    timeline::{Commit, Repeat},
    verdict::Judgement,
};

pub(crate) use crate::hostile;
pub use people::Operated;
pub(crate) use quantity::plural;
pub use recorded::{Recorded, Recorder};
pub(crate) use repeats::is_allowed;
pub use repeats::{MedianInterval, Percentile, Rate, Repeats, Spread, exit_code, repeats};
pub use style::{ColorChoice, Style, color_choice};

/// The version of `report.json`. A reader takes every 1.x and ignores what it does not know.
pub const FORMAT_VERSION: &str = "1.0";

/// The files of one drill's run, each with its name.
pub fn files(report: &Report) -> [(&'static str, String); 6] {
    let pages = (json::render(report), html::render(report, None));
    all_files(pages, std::slice::from_ref(report))
}

/// The files above those of several runs, however many of them came to a report: each of the same name.
pub fn files_together(reports: &[Report]) -> [(&'static str, String); 6] {
    let pages = (
        json::render_together(reports),
        html::render_together(reports, None),
    );
    all_files(pages, reports)
}

fn all_files((json, html): (String, String), reports: &[Report]) -> [(&'static str, String); 6] {
    [
        ("report.json", json),
        ("report.html", html),
        ("TEST-drills.xml", junit::render(reports)),
        ("summary.md", markdown::render(reports)),
        ("blackstart.prom", metrics::render(reports)),
        ("trace.json", trace::render(reports)),
    ]
}

/// Everything that is shown of one drill's run: the one thing that every renderer reads.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Report {
    /// The version of this format.
    pub format_version: String,
    /// The harness.
    pub tool: Tool,
    /// The run.
    pub run: RunFacts,
    /// The drill.
    pub drill: DrillFacts,
    /// The environment.
    pub environment: EnvironmentFacts,
    /// How it was measured.
    pub measurement: Measurement,
    /// What came of it.
    #[serde(rename = "result")]
    pub judgement: Judgement,
    /// What people did, in order; only of a drill that people took part in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub operator: Vec<Operated>,
    /// What only the pages for people show besides.
    #[serde(skip)]
    pub recorded: Recorded,
}

/// The harness.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Tool {
    /// Always `blackstart`.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// One drill's run.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct RunFacts {
    /// Its name.
    pub id: String,
    /// The wall's clock at the start, RFC 3339 in UTC.
    pub started_at: String,
    /// How long it took on the wall's clock, in seconds.
    pub real_duration_s: f64,
    /// The command line.
    pub command: Vec<String>,
    /// The machine.
    pub host: String,
    /// The seed.
    pub seed: u64,
    /// Which of several runs of the same drill it is; null for a run of its own.
    pub repeat: Option<Repeat>,
    /// The folder with its files, as it was given.
    pub folder: String,
}

/// The drill that was run.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct DrillFacts {
    /// Its name.
    pub name: String,
    /// What it proves.
    pub about: String,
    /// Its file.
    pub file: String,
    /// The commit of that file; null if it is in no repository.
    pub commit: Option<Commit>,
    /// Its tags.
    pub tags: Vec<String>,
    /// What people say of it; null if nobody has said anything.
    pub exercise: Option<Exercise>,
}

/// Where it was run.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct EnvironmentFacts {
    /// Its name.
    pub name: String,
    /// What it is.
    pub about: String,
    /// How many times as fast as the wall's clock its time ran.
    pub speed: f64,
    /// The tiers with what they are, the preferred one first.
    pub tiers: Vec<(String, String)>,
    /// Which way probes went to containers, on which the same fault looks different; none if nothing was in containers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub way: Option<String>,
}

/// How a run was measured.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Measurement {
    /// The users' probe.
    pub probe: String,
    /// From one of its samples to the next, in seconds.
    pub every_s: f64,
    /// How long a good answer may take, in seconds.
    pub good_within_s: f64,
    /// How long a sample may take, in seconds.
    pub timeout_s: f64,
    /// The half width of the bounds that this cadence leaves on a duration, in seconds.
    pub resolution_s: f64,
    /// Samples of all probes.
    pub samples: u64,
    /// Void ones among them.
    pub void: u64,
    /// How late the users' probe sent its samples, 99th percentile in real seconds.
    pub late_p99_s: f64,
}
