//! What is known of a drill while it runs. Much simpler than the judge: the last that each probe saw, since when, and a strip.

mod picture;

use std::time::Duration;

pub(super) use picture::Picture;

use super::probe::{
    COLUMNS, ProbeWatch, Role, Sight, cell, column, seconds, sight, stands_for_users, strip,
};
use crate::{
    drill::duration_words,
    report::{
        Style,
        hostile::harmless,
        layout::{cut, pad},
        strips::{Cell, Tiers},
        style::Tone,
    },
    timeline::{
        Act, Entry, Event, FaultStep, Outcome, Phase, RunStarted, Sample, SampleVerdict,
        TierChecked,
    },
    verdict::word,
};

/// Changes of a probe that are shown before it has held still; more of them are flapping, and one line says so.
const CHANGES: u32 = 8;

/// Good samples that make a stable run, besides the time it must last.
const STABLE_SAMPLES: u32 = 5;

/// Something that is worth a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) at: Duration,
    pub(super) word: &'static str,
    pub(super) text: String,
    /// Whether it is to be seen in quiet mode too.
    pub(super) trouble: bool,
}

/// A drill.
#[derive(Debug)]
pub(super) struct Watch {
    name: String,
    environment: String,
    speed: f64,
    tiers: Tiers,
    first_tier: Option<String>,
    faults: Vec<String>,
    probes: Vec<ProbeWatch>,
    /// None where nothing is broken and nobody goes through phases.
    phase: Option<Phase>,
    phase_since: Duration,
    /// When the first fault was issued.
    fault: Option<Duration>,
    /// When the first revert was issued.
    revert: Option<Duration>,
    /// When the faults with these numbers were issued.
    issued: Vec<(usize, Duration)>,
    /// Whether users are down, or were and have not been stable since.
    disturbed: bool,
    back: bool,
    /// What a person is asked to do, and until when.
    asked: Option<(String, Duration)>,
    /// When users were last seen to have recovered.
    recovered: Option<Duration>,
    /// What came of it, once it is over.
    came: Option<String>,
    /// Columns that have left the strips on the left, where nobody knows how long it goes on; none where all are drawn closer together
    /// instead.
    gone: Option<usize>,
    /// The time of the last event.
    now: Duration,
    /// What a column of a strip stands for.
    slice: Duration,
    ended: bool,
}

impl Watch {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: harmless(name).into_owned(),
            environment: String::new(),
            speed: 1.0,
            tiers: Tiers::default(),
            first_tier: None,
            faults: Vec::new(),
            probes: Vec::new(),
            phase: None,
            phase_since: Duration::ZERO,
            fault: None,
            revert: None,
            issued: Vec::new(),
            disturbed: false,
            back: false,
            asked: None,
            recovered: None,
            came: None,
            gone: None,
            now: Duration::ZERO,
            slice: Duration::from_secs(1),
            ended: false,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    /// Takes note of an event and tells what is worth a line.
    pub(super) fn take(&mut self, entry: &Entry) -> Vec<Line> {
        self.advance(entry.at);
        match &entry.event {
            Event::Run(run) => vec![self.started(run)],
            Event::Phase { phase } => {
                (self.phase, self.phase_since) = (Some(*phase), entry.at);
                vec![self.tell("PHASE", word(*phase))]
            }
            Event::Sample(sample) => self.sample(sample),
            Event::Fault { id, step, detail } => self
                .step(*id, *step, detail.as_deref())
                .into_iter()
                .collect(),
            Event::Observed {
                observer,
                healthy,
                detail,
                ..
            } => {
                let state = match healthy {
                    Some(true) => "healthy",
                    Some(false) => "unhealthy",
                    None => "not readable",
                };
                let text = format!(
                    "{}: {state}{}",
                    harmless(observer),
                    in_brackets(detail.as_deref())
                );
                vec![self.tell("DETECT", text)]
            }
            Event::Preflight(checked) => vec![self.preflight(checked)],
            Event::Aborted { condition, reason } => {
                let (condition, reason) = (harmless(condition), harmless(reason));
                let text = format!("{condition}: {reason}; everything is being reverted");
                vec![self.trouble("ABORT", text)]
            }
            Event::Ledger { found, detail, .. } => {
                let text = match found {
                    Some(found) => format!("{} writes are there", found.len()),
                    None => format!("not read back{}", in_brackets(detail.as_deref())),
                };
                vec![self.tell("LEDGER", text)]
            }
            Event::Operator { role, act } => {
                let who = harmless(role.as_deref().unwrap_or("operator")).into_owned();
                let line = self.operator(&who, act);
                vec![line]
            }
            Event::Note { text } => vec![self.tell("NOTE", harmless(text).into_owned())],
            Event::Interrupted { signal } => {
                vec![self.trouble(
                    "STOP",
                    format!("{}: everything is being reverted", harmless(signal)),
                )]
            }
            Event::Ended { outcome, .. } => {
                self.ended = true;
                let line = self.outcome(outcome);
                self.came = Some(line.text.clone());
                vec![line]
            }
        }
    }

    /// Says what is being waited for.
    pub(super) fn wait(&self) -> Line {
        let mut texts = vec![self.phase_and_time()];
        texts.extend(self.probes.iter().map(|probe| {
            let ttl = probe.ttl.filter(|_| probe.role == Role::Dns);
            let ttl = ttl.map_or_else(String::new, |ttl| format!(" ttl {ttl}"));
            format!("{} {}{ttl}", probe.name, probe.state(self.now))
        }));
        self.tell("WAIT", texts.join(" | "))
    }

    /// The drill in a few words.
    pub(super) fn in_short(&self) -> String {
        let users = self
            .users()
            .map_or_else(String::new, |users| format!(" {}", users.state(self.now)));
        format!("{} {}{users}", self.name, self.phase_word())
    }

    /// The drill as a block of lines.
    pub(super) fn block(&self, style: &Style) -> Vec<String> {
        let speed = if (self.speed - 1.0).abs() > 1e-9 {
            format!(" x{}", self.speed)
        } else {
            String::new()
        };
        // Where nothing is broken it has the environment's own name.
        let environment = if self.gone.is_some() {
            ""
        } else {
            &self.environment
        };
        let facts = format!("{environment}{speed}   {}", self.phase_and_time());
        let mut facts = facts.trim_start().to_owned();
        if let Some(fault) = self.fault {
            facts = format!(
                "{facts}   fault +{}",
                seconds(self.now.saturating_sub(fault))
            );
        }
        let mut lines = vec![format!(
            "{}   {facts}",
            style.paint(Tone::Strong, &self.name)
        )];
        if let Some((text, until)) = &self.asked {
            let left = seconds(until.saturating_sub(self.now));
            let asked = format!(" PAUSE {text}   {left} left");
            lines.push(style.paint(Tone::Warning, &asked));
        }
        for probe in &self.probes {
            lines.push(format!(
                " {} {}  {}",
                pad(&cut(&probe.name, 14, style), 14),
                strip(&probe.cells, style),
                self.status(probe, style),
            ));
        }
        lines
    }

    /// The drill as one line, with the strip of its users.
    pub(super) fn line(&self, name_columns: usize, style: &Style) -> String {
        let name = pad(&cut(&self.name, name_columns, style), name_columns);
        let (cells, status) = self.users().map_or((&[][..], String::new()), |users| {
            (&users.cells, self.status(users, style))
        });
        format!(
            "{name} {}  {}  {status}",
            strip(cells, style),
            pad(&self.phase_and_time(), 18)
        )
    }

    fn users(&self) -> Option<&ProbeWatch> {
        self.probes.iter().find(|probe| probe.role == Role::Users)
    }

    fn phase_and_time(&self) -> String {
        let elapsed = self.now.saturating_sub(self.phase_since).as_secs();
        format!(
            "{} {:02}:{:02}",
            self.phase_word(),
            elapsed / 60,
            elapsed % 60
        )
    }

    fn phase_word(&self) -> String {
        self.phase.map_or_else(|| "watching".to_owned(), word)
    }

    /// The column of a time in the strips that are shown.
    fn column(&self, at: Duration) -> usize {
        column(at, self.slice)
            .saturating_sub(self.gone.unwrap_or(0))
            .min(COLUMNS - 1)
    }

    fn status(&self, probe: &ProbeWatch, style: &Style) -> String {
        let held = seconds(self.now.saturating_sub(probe.since));
        let since = match self.fault {
            Some(fault) if probe.since > fault => {
                format!(" since +{}", seconds(probe.since.saturating_sub(fault)))
            }
            Some(_) | None => String::new(),
        };
        match &probe.sight {
            None => style.paint(Tone::Faint, "nothing yet"),
            Some(Sight::Down) => {
                let class = probe.class.map(word).unwrap_or_default();
                style.paint(Tone::Bad, &format!("DOWN {held}   {class}"))
            }
            Some(Sight::Tier(tier)) => format!("{}{since}", harmless(tier)),
            Some(Sight::Other(answer)) => {
                style.paint(Tone::Warning, &format!("{}{since}", harmless(answer)))
            }
        }
    }

    fn tell(&self, word: &'static str, text: String) -> Line {
        Line {
            at: self.now,
            word,
            text,
            trouble: false,
        }
    }

    fn trouble(&self, word: &'static str, text: String) -> Line {
        Line {
            trouble: true,
            ..self.tell(word, text)
        }
    }

    /// Moves the clock, and halves the strips when they are full.
    fn advance(&mut self, at: Duration) {
        self.now = self.now.max(at);
        if let Some(gone) = &mut self.gone {
            let beyond = (column(self.now, self.slice) + 1).saturating_sub(*gone + COLUMNS);
            *gone += beyond;
            for probe in &mut self.probes {
                probe.cells.drain(..beyond.min(probe.cells.len()));
            }
            return;
        }
        while column(self.now, self.slice) >= COLUMNS {
            self.slice *= 2;
            for probe in &mut self.probes {
                let halved = probe
                    .cells
                    .chunks(2)
                    .filter_map(|pair| pair.iter().max().copied());
                probe.cells = halved.collect();
            }
        }
    }

    fn started(&mut self, run: &RunStarted) -> Line {
        self.environment = harmless(&run.environment).into_owned();
        self.speed = run.speed;
        self.tiers = Tiers::new(run.tiers.iter().cloned());
        self.first_tier = run.tiers.first().cloned();
        self.faults = run
            .faults
            .iter()
            .map(|fault| harmless(&fault.describe).into_owned())
            .collect();
        self.probes = run.probes.iter().map(ProbeWatch::new).collect();
        // As the judge has it: the first that reads on new connections stands for users.
        // A drill has an end, and all of it is shown; whoever watches wants to see the last of it.
        if run.faults.is_empty() {
            self.gone = Some(0);
            let fastest = run.probes.iter().map(|probe| probe.every).min();
            self.slice = fastest.unwrap_or_default().max(Duration::from_secs(1));
        }
        let users = run
            .probes
            .iter()
            .position(|probe| stands_for_users(&probe.kind));
        if let Some(users) = users.and_then(|users| self.probes.get_mut(users)) {
            users.role = Role::Users;
        }
        let speed = if (run.speed - 1.0).abs() > 1e-9 {
            format!(", {} times as fast as the wall's clock", run.speed)
        } else {
            String::new()
        };
        if self.gone.is_some() {
            return self.tell(
                "WATCH",
                format!("{}{speed}; Ctrl-C ends it", self.environment),
            );
        }
        let text = format!(
            "{} on {}{speed}, run {}, seed {}",
            harmless(&run.drill),
            self.environment,
            harmless(&run.run_id),
            run.seed
        );
        self.tell("RUN", text)
    }

    fn sample(&mut self, sample: &Sample) -> Vec<Line> {
        let Some(place) = self
            .probes
            .iter()
            .position(|probe| probe.name == harmless(&sample.probe))
        else {
            return Vec::new();
        };
        let column = self.column(sample.end);
        let probe = &mut self.probes[place];
        let Some(sight) = sight(sample) else {
            probe.mark(column, Cell::Unknown);
            return Vec::new();
        };
        probe.mark(column, cell(&sight, sample.verdict, &self.tiers));
        // Answers overtake each other: one that was asked for before the last change says nothing new.
        if probe.sight.is_some() && sample.start < probe.since {
            return Vec::new();
        }
        probe.ttl = sample.ttl;
        if let SampleVerdict::Bad(class) = sample.verdict {
            probe.class = Some(class);
        }
        if probe.sight.as_ref() == Some(&sight) {
            probe.samples = probe.samples.saturating_add(1);
            return self.held(place);
        }
        let before = probe.sight.replace(sight);
        let lasted = sample.start.saturating_sub(probe.since);
        probe.since = sample.start;
        probe.samples = 1;
        probe.changes += u32::from(before.is_some());
        let line = self.changed(place, before.as_ref(), lasted);
        line.into_iter().collect()
    }

    /// What to say of a probe that sees something else than before.
    fn changed(&mut self, place: usize, before: Option<&Sight>, lasted: Duration) -> Option<Line> {
        let (role, changes) = (self.probes[place].role, self.probes[place].changes);
        let sight = self.probes[place].sight.clone()?;
        if role == Role::Users {
            self.back = false;
            self.disturbed |= sight == Sight::Down;
            if self.disturbed {
                self.recovered = None;
            }
        }
        if before.is_none() && sight != Sight::Down {
            return None;
        }
        let probe = &self.probes[place];
        let name = &probe.name;
        if changes > CHANGES {
            let text = format!("{name}: flapping, its changes are not shown until it holds still");
            return (changes == CHANGES + 1).then(|| self.tell("NOTE", text));
        }
        let (old, new) = (before.map(Sight::name), sight.name());
        let was = old
            .as_ref()
            .map_or_else(String::new, |old| format!(" (was {old})"));
        let class = probe.class.map(word).unwrap_or_default();
        let (head, text) = match (role, &sight, before) {
            (Role::Dns, Sight::Down, _) => {
                let old = old.unwrap_or_else(|| "nothing".to_owned());
                ("DNS", format!("{name}: {old} -> down ({class})"))
            }
            (Role::Dns, Sight::Tier(_) | Sight::Other(_), _) => {
                let old = old.unwrap_or_else(|| "nothing".to_owned());
                ("DNS", format!("{name}: {old} -> {new}"))
            }
            (Role::Users | Role::Http, Sight::Down, _) => {
                ("IMPACT", format!("{name}: {class}{was}"))
            }
            (Role::Users | Role::Http, Sight::Tier(_) | Sight::Other(_), Some(Sight::Down)) => (
                "UP",
                format!("{name}: first success on {new} after {}", seconds(lasted)),
            ),
            (Role::Users | Role::Http, Sight::Tier(_) | Sight::Other(_), _) => {
                ("UP", format!("{name}: {new}{was}"))
            }
        };
        Some(self.tell(head, text))
    }

    /// What to say of a probe that goes on seeing the same.
    fn held(&mut self, place: usize) -> Vec<Line> {
        let probe = &mut self.probes[place];
        let held = self.now.saturating_sub(probe.since);
        if probe.samples < STABLE_SAMPLES || held < Duration::from_secs(5).max(probe.every * 10) {
            return Vec::new();
        }
        let mut lines = Vec::new();
        let flapped = probe.changes > CHANGES;
        probe.changes = 0;
        let (role, since, name) = (probe.role, probe.since, probe.name.clone());
        let sight = probe.sight.clone();
        let up = sight.clone().filter(|sight| *sight != Sight::Down);
        if flapped && (role != Role::Users || up.is_none()) {
            let state = self.probes[place].state(self.now);
            lines.push(self.tell("NOTE", format!("{name}: holds still, {state}")));
        }
        let Some(up) = up.filter(|_| role == Role::Users) else {
            return lines;
        };
        let so_long = format!("{} without a failure", seconds(held));
        if self.disturbed {
            self.disturbed = false;
            self.recovered = Some(since);
            let when = match self.fault {
                Some(fault) if since > fault => {
                    format!("{} after the fault", seconds(since.saturating_sub(fault)))
                }
                Some(_) | None => format!("at {}", super::clock(since)),
            };
            lines.push(self.tell(
                "STABLE",
                format!("{name}: recovered on {} {when} ({so_long})", up.name()),
            ));
        }
        if let (Some(revert), false) = (self.revert, self.back)
            && self.first_tier.clone().map(Sight::Tier) == Some(up.clone())
        {
            self.back = true;
            let when = if since > revert {
                format!("{} after the revert", seconds(since.saturating_sub(revert)))
            } else {
                "since before the revert".to_owned()
            };
            lines.push(self.tell("BACK", format!("{name}: {} {when} ({so_long})", up.name())));
        }
        lines
    }

    fn step(&mut self, id: usize, step: FaultStep, detail: Option<&str>) -> Option<Line> {
        let fault = self
            .faults
            .get(id)
            .cloned()
            .unwrap_or_else(|| format!("fault {id}"));
        let detail = in_brackets(detail);
        let after = match self.issued.iter().rev().find(|(issued, _)| *issued == id) {
            Some((_, issued)) => format!(" (+{})", seconds(self.now.saturating_sub(*issued))),
            None => String::new(),
        };
        match step {
            FaultStep::Captured => None,
            FaultStep::Rehearsed => {
                Some(self.tell("DRY RUN", format!("would {fault}; to restore it:{detail}")))
            }
            FaultStep::Issued => {
                self.issued.push((id, self.now));
                self.fault.get_or_insert(self.now);
                Some(self.tell("FAULT", format!("{fault}: issued{detail}")))
            }
            FaultStep::Acknowledged => {
                Some(self.tell("FAULT", format!("{fault}: acknowledged{after}{detail}")))
            }
            FaultStep::Verified => {
                Some(self.tell("FAULT", format!("{fault}: verified{after}{detail}")))
            }
            FaultStep::InjectFailed => {
                Some(self.trouble("FAULT", format!("{fault}: FAILED{detail}")))
            }
            FaultStep::NotVerified => {
                Some(self.trouble("FAULT", format!("{fault}: NOT VERIFIED{detail}")))
            }
            FaultStep::RevertIssued => {
                self.issued.push((id, self.now));
                self.revert.get_or_insert(self.now);
                Some(self.tell("REVERT", format!("{fault}: issued{detail}")))
            }
            FaultStep::Reverted => {
                Some(self.tell("REVERT", format!("{fault}: acknowledged{after}{detail}")))
            }
            FaultStep::Restored => Some(self.tell(
                "REVERT",
                format!("{fault}: verified as it was{after}{detail}"),
            )),
            FaultStep::RevertFailed => {
                Some(self.trouble("REVERT", format!("{fault}: NOT RESTORED{detail}")))
            }
        }
    }

    /// What a person did. What they are asked is to be seen in quiet mode too.
    fn operator(&mut self, who: &str, act: &Act) -> Line {
        if let Act::Asked { text, within } = act {
            let text = harmless(text).into_owned();
            let words = format!("{who}: {text} (within {})", duration_words(*within));
            let line = self.trouble("PAUSE", words);
            self.asked = Some((text, self.now + *within));
            return line;
        }
        if matches!(act, Act::Done | Act::Skipped | Act::Unanswered) {
            self.asked = None;
        }
        match act {
            Act::Asked { .. } | Act::Done => self.tell("GO ON", format!("{who}: done")),
            Act::Skipped => self.tell("GO ON", "nobody was to be asked".to_owned()),
            Act::Unanswered => self.trouble("PAUSE", format!("{who}: no answer in time")),
            Act::Marked(mark) => self.tell("MARK", format!("{who}: {}", word(*mark))),
            Act::Noted(text) => self.tell("NOTE", format!("{who}: {}", harmless(text))),
        }
    }

    fn preflight(&self, checked: &TierChecked) -> Line {
        let detail = in_brackets(checked.detail.as_deref());
        let text = |state: &str| {
            let (tier, asked) = (harmless(&checked.tier), harmless(&checked.asked));
            format!("{tier}: {state}, {asked}{detail}")
        };
        match checked.good {
            Some(true) => self.tell("TIER", text("alive")),
            Some(false) => self.trouble("TIER", text("DEAD")),
            None => self.tell("TIER", text("not known")),
        }
    }

    fn outcome(&self, outcome: &Outcome) -> Line {
        match outcome {
            Outcome::Completed => self.tell("END", "completed".to_owned()),
            Outcome::CouldNotRun { phase, reason } => {
                let text = format!(
                    "could not run, ended in {}: {}",
                    word(*phase),
                    harmless(reason)
                );
                self.trouble("END", text)
            }
            Outcome::Aborted { condition, .. } => {
                self.trouble("END", format!("aborted: {}", harmless(condition)))
            }
            Outcome::Interrupted { signal } => {
                self.trouble("END", format!("stopped by {}", harmless(signal)))
            }
        }
    }
}

/// Whether a probe is the one that stands for users who come now.
fn stands_for_users_in(probe: &ProbeWatch) -> bool {
    probe.role == Role::Users
}

fn in_brackets(detail: Option<&str>) -> String {
    detail.map_or_else(String::new, |detail| format!(" ({})", harmless(detail)))
}
