//! What is worth an alert, and how bad it is.
//!
//! The levels are those of a pager: a failover, a full outage and a target that is not restored are emergencies (5 min); a failed
//! expectation, an aborted drill, users without service and a health check that turned bad are critical (15 min); what could not be decided
//! or carried out is a warning (1 h); the rest is information (4 h).
//!
//! A watch breaks nothing, so whatever goes wrong in it is real: the same events have the same levels from its first sample on, and one that
//! says that nothing is the matter any more clears what was told before.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::{
    environment::{Connection, Level},
    report::Report,
    timeline::{Act, Entry, Event, FaultStep, ProbeKind, RunStarted, Sample, SampleVerdict},
    verdict::{CheckStatus, Verdict},
    watch,
};

/// As many samples in a row say that something is so.
const IN_A_ROW: u32 = 3;

/// Something that somebody should know.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// How bad it is.
    pub level: Level,
    /// A word for it: `failover`, `not-restored`.
    pub event: &'static str,
    /// What happened, in a sentence.
    pub summary: String,
    /// When, since the start of the run; none for what came of all of it.
    pub at: Option<Duration>,
    /// Whether nothing is the matter any more: the drill has passed, or what a watch saw is well again.
    pub is_all_clear: bool,
}

/// What the events are of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Occasion {
    /// A drill, which breaks things on purpose.
    #[default]
    Drill,
    /// A watch, which breaks nothing.
    Watch,
}

impl Occasion {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Drill => "drill",
            Self::Watch => "watch",
        }
    }
}

/// What every alert of a drill says besides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Whether anything was broken on purpose.
    pub occasion: Occasion,
    /// The drill.
    pub drill: String,
    /// The environment.
    pub environment: String,
    /// The run.
    pub run_id: String,
    /// The machine it is run from.
    pub host: String,
    /// The wall's clock at the start.
    pub started_at: String,
}

/// Makes alerts of the events of one drill, in their order.
#[derive(Debug, Default)]
pub struct Alerts {
    facts: Facts,
    /// The users' probe, and those that watch a standby.
    users: Option<String>,
    standbys: Vec<String>,
    faults: Vec<String>,
    runs: BTreeMap<String, Streak>,
    /// The tier that served users before anything was broken.
    home: Option<String>,
    broken: bool,
    /// Where users are now, if not at home.
    away: Option<String>,
    state: Service,
    /// The observers that are bad, in a watch.
    bad: BTreeSet<String>,
}

/// How many samples in a row saw the same.
#[derive(Debug, Default)]
struct Streak {
    tier: Option<String>,
    is_bad: bool,
    samples: u32,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Service {
    #[default]
    Up,
    /// Users have none.
    Down,
    /// Nor would they have any elsewhere.
    AllDown,
}

impl Facts {
    fn of(run: &RunStarted) -> Self {
        Self {
            // No drill is without a fault.
            occasion: if run.faults.is_empty() {
                Occasion::Watch
            } else {
                Occasion::Drill
            },
            drill: run.drill.clone(),
            environment: run.environment.clone(),
            run_id: run.run_id.clone(),
            host: run.host.clone(),
            started_at: run.started_at.clone(),
        }
    }
}

impl Alerts {
    /// What every alert says besides.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Takes the next event.
    pub fn take(&mut self, entry: &Entry) -> Vec<Alert> {
        let at = Some(entry.at);
        let alert = |level, event, summary| Alert::new(level, event, summary, at);
        match &entry.event {
            Event::Run(run) => {
                self.begin(run);
                let summary = match self.facts.occasion {
                    Occasion::Drill => {
                        format!("the drill `{}` begins on `{}`", run.drill, run.environment)
                    }
                    Occasion::Watch => format!("`{}` is watched from now on", run.environment),
                };
                vec![alert(Level::Information, "began", summary)]
            }
            Event::Sample(sample) => self.sample(sample, at),
            Event::Fault { id, step, detail } => {
                let fault = self.faults.get(*id).cloned().unwrap_or_default();
                match step {
                    FaultStep::Issued if !self.broken => {
                        self.broken = true;
                        vec![alert(
                            Level::Information,
                            "fault",
                            format!("it begins to break things: {fault}"),
                        )]
                    }
                    FaultStep::RevertFailed => {
                        let detail = detail.as_deref().unwrap_or("no reason known");
                        let summary = format!("NOT RESTORED: {fault}: {detail}");
                        vec![alert(Level::Emergency, "not-restored", summary)]
                    }
                    FaultStep::Rehearsed
                    | FaultStep::Captured
                    | FaultStep::Issued
                    | FaultStep::Acknowledged
                    | FaultStep::Verified
                    | FaultStep::InjectFailed
                    | FaultStep::NotVerified
                    | FaultStep::RevertIssued
                    | FaultStep::Reverted
                    | FaultStep::Restored => Vec::new(),
                }
            }
            Event::Observed {
                observer,
                healthy: Some(false),
                detail,
                ..
            } if self.broken => {
                if self.is_watch() && !self.bad.insert(observer.clone()) {
                    return Vec::new();
                }
                let detail = detail.as_deref().unwrap_or("unhealthy");
                let summary = format!("`{observer}` has turned bad: {detail}");
                vec![alert(Level::Critical, "check-failing", summary)]
            }
            Event::Observed {
                observer,
                healthy: Some(true),
                ..
            } if self.bad.remove(observer) => {
                let summary = format!("`{observer}` is well again");
                let mut told = vec![alert(Level::Information, "check-passing", summary)];
                self.clear(&mut told);
                told
            }
            Event::Operator {
                role,
                act: Act::Asked { text, .. },
            } => {
                let who = role.as_deref().unwrap_or("the operator");
                let summary = format!("the drill waits for {who}: {text}");
                vec![alert(Level::Information, "waits", summary)]
            }
            Event::Aborted { condition, reason } => {
                let summary =
                    format!("aborted, everything is being reverted: {condition}: {reason}");
                vec![alert(Level::Critical, "aborted", summary)]
            }
            Event::Interrupted { signal } => {
                let summary = format!("stopped by {signal}, everything is being reverted");
                vec![alert(Level::Warning, "stopped", summary)]
            }
            Event::Observed { .. }
            | Event::Phase { .. }
            | Event::Preflight(_)
            | Event::Operator { .. }
            | Event::Ledger { .. }
            | Event::Note { .. }
            | Event::Ended { .. } => Vec::new(),
        }
    }

    fn begin(&mut self, run: &RunStarted) {
        self.facts = Facts::of(run);
        self.faults = run
            .faults
            .iter()
            .map(|fault| fault.describe.clone())
            .collect();
        self.home = run.tiers.first().cloned();
        // Nothing is to come that would excuse what is seen before it.
        self.broken = self.is_watch();
        if self.is_watch() {
            // Whoever serves when it begins is at home.
            self.home = None;
        }
        for probe in &run.probes {
            match &probe.kind {
                ProbeKind::Http {
                    standby: Some(_), ..
                } => self.standbys.push(probe.name.clone()),
                ProbeKind::Http {
                    request,
                    connection: Connection::New,
                    standby: None,
                    ..
                } if request == "read" && self.users.is_none() => {
                    self.users = Some(probe.name.clone());
                }
                ProbeKind::Http { .. } | ProbeKind::Dns { .. } => {}
            }
        }
    }

    fn sample(&mut self, sample: &Sample, at: Option<Duration>) -> Vec<Alert> {
        let is_bad = match sample.verdict {
            SampleVerdict::Void(_) => return Vec::new(),
            SampleVerdict::Bad(_) => true,
            SampleVerdict::Good => false,
        };
        let streak = self.runs.entry(sample.probe.clone()).or_default();
        if (streak.is_bad, &streak.tier) == (is_bad, &sample.tier) {
            streak.samples = streak.samples.saturating_add(1);
        } else {
            *streak = Streak {
                tier: sample.tier.clone(),
                is_bad,
                samples: 1,
            };
        }
        let mut alerts = Vec::new();
        self.service(at, &mut alerts);
        if self.users.as_deref() == Some(sample.probe.as_str()) {
            self.place(at, &mut alerts);
        }
        self.clear(&mut alerts);
        alerts
    }

    fn is_watch(&self) -> bool {
        self.facts.occasion == Occasion::Watch
    }

    /// Marks the last of these as the one after which nothing is the matter any more, if that is so. A drill is clear when it is over.
    fn clear(&self, alerts: &mut [Alert]) {
        let is_well = self.state == Service::Up && self.away.is_none() && self.bad.is_empty();
        if let Some(last) = alerts.last_mut().filter(|_| self.is_watch() && is_well) {
            last.is_all_clear = last.level == Level::Information;
        }
    }

    /// Whether anybody is served at all.
    fn service(&mut self, at: Option<Duration>, alerts: &mut Vec<Alert>) {
        let Some(users) = self.users.as_ref().and_then(|users| self.runs.get(users)) else {
            return;
        };
        let is_down = |streak: &Streak| streak.is_bad && streak.samples >= IN_A_ROW;
        let standby = |name: &String| self.runs.get(name).is_some_and(is_down);
        let state = if is_down(users) {
            if !self.standbys.is_empty() && self.standbys.iter().all(standby) {
                Service::AllDown
            } else {
                Service::Down
            }
        } else if !users.is_bad && users.samples >= IN_A_ROW {
            Service::Up
        } else {
            return;
        };
        let before = std::mem::replace(&mut self.state, state);
        let (level, event, summary) = match state {
            _ if state == before => return,
            Service::AllDown => (
                Level::Emergency,
                "all-down",
                "users are not served, and every standby fails as well",
            ),
            // A standby that came back is no news while users still have nothing.
            Service::Down if before == Service::AllDown => return,
            Service::Down => (Level::Critical, "users-down", "users are not served"),
            Service::Up => (Level::Information, "served-again", "users are served again"),
        };
        alerts.push(Alert::new(level, event, summary.to_owned(), at));
    }

    /// Who serves users.
    fn place(&mut self, at: Option<Duration>, alerts: &mut Vec<Alert>) {
        let streak = self.users.as_ref().and_then(|users| self.runs.get(users));
        let Some(Streak {
            tier: Some(tier),
            is_bad: false,
            samples: IN_A_ROW,
        }) = streak
        else {
            return;
        };
        if !self.broken || self.home.is_none() {
            // A drill may begin on another tier than the first.
            self.home = Some(tier.clone());
            return;
        }
        let home = self.home.clone().unwrap_or_default();
        let (level, event, summary) = if *tier == home {
            if self.away.take().is_none() {
                return;
            }
            let summary = format!("users are back on `{tier}`");
            (Level::Information, "failed-back", summary)
        } else {
            if self.away.as_ref() == Some(tier) {
                return;
            }
            let from = self.away.replace(tier.clone()).unwrap_or(home);
            let summary =
                format!("failover seen: users were on `{from}` and are served by `{tier}`");
            (Level::Emergency, "failover", summary)
        };
        alerts.push(Alert::new(level, event, summary, at));
    }
}

impl Alert {
    fn new(level: Level, event: &'static str, summary: String, at: Option<Duration>) -> Self {
        Self {
            level,
            event,
            summary,
            at,
            is_all_clear: false,
        }
    }

    /// What came of a watch.
    pub fn of_watch(environment: &str, summary: &watch::Summary) -> Self {
        let missed = |status| {
            let held = summary.objectives.iter();
            let mut missed = held.filter(move |held| held.status == status).peekable();
            missed.peek().is_some().then(|| {
                let words = missed.map(|held| format!("{}: {}", held.objective, held.actual));
                words.collect::<Vec<_>>().join("; ")
            })
        };
        let (level, event, words) = if let Some(words) = missed(CheckStatus::Fail) {
            (Level::Critical, "objective-missed", words)
        } else if let Some(trouble) = &summary.trouble {
            (Level::Warning, "could-not-watch", trouble.clone())
        } else if let Some(words) = missed(CheckStatus::Inconclusive) {
            (Level::Warning, "objective-open", words)
        } else {
            let words = match summary.objectives.len() {
                0 => "nothing was asked of it".to_owned(),
                _ => "every objective holds".to_owned(),
            };
            (Level::Information, "ended", words)
        };
        let summary = format!("`{environment}` is no longer watched: {words}");
        Self::new(level, event, summary, None)
    }

    /// What came of a drill.
    pub fn of(report: &Report) -> Self {
        let judgement = &report.judgement;
        let (level, event, word) = match judgement.verdict {
            _ if !judgement.restored => (Level::Emergency, "not-restored", "NOT RESTORED"),
            Verdict::Pass => (Level::Information, "passed", "passed"),
            Verdict::DryRun => (Level::Information, "passed", "dry run, nothing was touched"),
            Verdict::Inconclusive => (Level::Warning, "inconclusive", "could not be decided"),
            Verdict::Fail => (Level::Critical, "failed", "FAILED"),
            Verdict::Aborted => (Level::Critical, "aborted", "was aborted"),
            Verdict::Invalid => (Level::Warning, "could-not-run", "could not be carried out"),
        };
        let recovery = judgement.durations.recovery.map(|recovery| {
            let value = crate::report::quantity::value(recovery);
            format!("users were back after {value}")
        });
        let mut parts: Vec<String> = recovery.into_iter().collect();
        if event != "passed" {
            parts.extend(judgement.reasons.iter().take(3).cloned());
        }
        let more = if parts.is_empty() {
            String::new()
        } else {
            format!(": {}", parts.join("; "))
        };
        Self {
            level,
            event,
            summary: format!("the drill `{}` {word}{more}", report.drill.name),
            at: None,
            is_all_clear: event == "passed",
        }
    }

    /// What came of a drill that has no report.
    pub fn of_trouble(drill: &str, words: &str, may_be_broken: bool) -> Self {
        let (level, event) = if may_be_broken {
            (Level::Emergency, "not-restored")
        } else {
            (Level::Warning, "could-not-run")
        };
        let summary = format!("the drill `{drill}` has no report: {words}");
        Self::new(level, event, summary, None)
    }

    /// What an alert looks like, for a plan: the one that nobody wants to get.
    pub fn example() -> Self {
        let summary = "failover seen: users were on `primary` and are served by `standby`";
        Self::new(
            Level::Emergency,
            "failover",
            summary.to_owned(),
            Some(Duration::from_secs(58)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::{ErrorClass, FaultPlanned, PhaseTimes, ProbeStarted, VoidReason};

    fn probe(name: &str, standby: Option<&str>) -> ProbeStarted {
        ProbeStarted {
            name: name.to_owned(),
            kind: ProbeKind::Http {
                request: "read".to_owned(),
                writes: false,
                connection: Connection::New,
                standby: standby.map(str::to_owned),
            },
            every: Duration::from_secs(1),
            timeout: Duration::from_secs(2),
            good_within: Duration::from_secs(1),
        }
    }

    fn run(faults: Vec<FaultPlanned>) -> RunStarted {
        RunStarted {
            format_version: String::new(),
            tool_version: String::new(),
            run_id: "run".to_owned(),
            drill: "drill".to_owned(),
            drill_file: String::new(),
            environment: "shop".to_owned(),
            started_at: String::new(),
            command: Vec::new(),
            host: String::new(),
            seed: 1,
            repeat: None,
            drill_commit: None,
            speed: 1.0,
            dry_run: false,
            tiers: vec!["first".to_owned(), "second".to_owned()],
            probes: vec![probe("read", None), probe("standby", Some("second"))],
            observers: Vec::new(),
            faults,
            variables: BTreeMap::new(),
        }
    }

    /// A drill that has begun to break things, with users on the first tier.
    fn broken() -> Alerts {
        let mut alerts = Alerts::default();
        let stop = FaultPlanned {
            kind: "stop".to_owned(),
            target: "first".to_owned(),
            describe: "stop first".to_owned(),
            line: 1,
        };
        assert_eq!(
            events(alerts.take(&entry(Event::Run(Box::new(run(vec![stop])))))),
            ["began"]
        );
        for _ in 0..5 {
            assert!(see(&mut alerts, "read", Some("first")).is_empty());
            assert!(see(&mut alerts, "standby", Some("second")).is_empty());
        }
        let issued = Event::Fault {
            id: 0,
            step: FaultStep::Issued,
            detail: None,
        };
        assert_eq!(events(alerts.take(&entry(issued.clone()))), ["fault"]);
        assert!(alerts.take(&entry(issued)).is_empty(), "once");
        alerts
    }

    fn entry(event: Event) -> Entry {
        Entry {
            at: Duration::from_secs(1),
            event,
        }
    }

    fn events(alerts: Vec<Alert>) -> Vec<&'static str> {
        alerts.into_iter().map(|alert| alert.event).collect()
    }

    fn see(alerts: &mut Alerts, probe: &str, tier: Option<&str>) -> Vec<&'static str> {
        events(alerts.take(&entry(Event::Sample(Box::new(sample(probe, tier))))))
    }

    fn sample(probe: &str, tier: Option<&str>) -> Sample {
        let verdict = match tier {
            Some("void") => SampleVerdict::Void(VoidReason::Late),
            Some(_) => SampleVerdict::Good,
            None => SampleVerdict::Bad(ErrorClass::Refused),
        };
        Sample {
            probe: probe.to_owned(),
            seq: 0,
            scheduled: Duration::ZERO,
            start: Duration::ZERO,
            end: Duration::ZERO,
            verdict,
            tier: tier.map(str::to_owned),
            phases: PhaseTimes::default(),
            status: None,
            address: None,
            headers: BTreeMap::new(),
            found: Vec::new(),
            answers: Vec::new(),
            ttl: None,
            response_code: None,
            detail: None,
        }
    }

    #[test]
    fn a_failover_is_told_once_when_it_is_no_blip_and_so_is_the_way_back() {
        let mut alerts = broken();
        let mut told = Vec::new();
        for tier in [
            "second", "second", "first", "second", "second", "second", "second", "first", "first",
            "first", "first",
        ] {
            told.extend(see(&mut alerts, "read", Some(tier)));
        }
        assert_eq!(told, ["failover", "failed-back"]);
    }

    #[test]
    fn users_without_service_are_critical_and_with_every_standby_gone_it_is_an_emergency() {
        let mut alerts = broken();
        let mut told = Vec::new();
        for _ in 0..4 {
            told.extend(see(&mut alerts, "read", None));
        }
        assert_eq!(told, ["users-down"]);
        for _ in 0..4 {
            told.extend(see(&mut alerts, "standby", None));
        }
        assert_eq!(told, ["users-down", "all-down"]);
        for _ in 0..4 {
            told.extend(see(&mut alerts, "standby", Some("second")));
            told.extend(see(&mut alerts, "read", Some("first")));
        }
        assert_eq!(told, ["users-down", "all-down", "served-again"]);
    }

    /// A watch, which breaks nothing, of users on the second tier.
    fn watched() -> Alerts {
        let mut alerts = Alerts::default();
        let began = alerts.take(&entry(Event::Run(Box::new(run(Vec::new())))));
        assert_eq!(began[0].summary, "`shop` is watched from now on");
        for _ in 0..5 {
            assert!(see(&mut alerts, "read", Some("second")).is_empty());
        }
        alerts
    }

    #[test]
    fn what_goes_wrong_in_a_watch_is_told_at_its_own_level_without_any_fault() {
        let mut alerts = watched();
        let mut told = Vec::new();
        for tier in [None, Some("first")] {
            for _ in 0..3 {
                told.extend(see(&mut alerts, "read", tier));
            }
        }
        assert_eq!(told, ["users-down", "served-again", "failover"]);
        let observed = |healthy| Event::Observed {
            observer: "check".to_owned(),
            healthy,
            detail: None,
            before: None,
        };
        let mut observe = |healthy| alerts.take(&entry(observed(healthy)));
        assert!(observe(Some(true)).is_empty(), "it was never bad");
        assert_eq!(observe(Some(false))[0].level, Level::Critical);
        assert!(observe(Some(false)).is_empty(), "once");
        assert!(observe(None).is_empty());
        assert_eq!(events(observe(Some(true))), ["check-passing"]);
    }

    #[test]
    fn a_watch_gives_the_all_clear_only_when_nothing_is_the_matter_any_more() {
        let mut alerts = watched();
        let mut clear = |tier: Option<&str>| {
            let told: Vec<Alert> = (0..3)
                .flat_map(|_| alerts.take(&entry(Event::Sample(Box::new(sample("read", tier))))))
                .collect();
            let cleared = told.iter().filter(|alert| alert.is_all_clear);
            cleared.map(|alert| alert.event).collect::<Vec<_>>()
        };
        assert!(clear(None).is_empty());
        assert!(
            clear(Some("first")).is_empty(),
            "users are served by another tier than before"
        );
        assert_eq!(clear(Some("second")), ["failed-back"]);
        assert!(clear(None).is_empty());
        assert_eq!(clear(Some("second")), ["served-again"]);
    }

    #[test]
    fn what_came_of_a_watch_is_as_bad_as_its_worst_objective() {
        use CheckStatus::{Fail, Inconclusive, Pass};
        let summary = |trouble: Option<&str>, statuses: &[CheckStatus]| watch::Summary {
            length_s: 60.0,
            trouble: trouble.map(str::to_owned),
            probes: Vec::new(),
            objectives: statuses
                .iter()
                .map(|status| watch::Held {
                    objective: "availability=99.9".to_owned(),
                    status: *status,
                    actual: "97.0 %".to_owned(),
                })
                .collect(),
        };
        for (trouble, statuses, level) in [
            (None, &[][..], Level::Information),
            (None, &[Pass], Level::Information),
            (None, &[Pass, Inconclusive], Level::Warning),
            (Some("every probe has ended"), &[], Level::Warning),
            (Some("x"), &[Inconclusive, Fail], Level::Critical),
        ] {
            let alert = Alert::of_watch("shop", &summary(trouble, statuses));
            assert_eq!((alert.level, alert.is_all_clear), (level, false));
        }
        let missed = Alert::of_watch("shop", &summary(None, &[Fail])).summary;
        assert!(missed.ends_with("availability=99.9: 97.0 %"), "{missed}");
    }

    #[test]
    fn samples_that_say_nothing_change_nothing() {
        let mut alerts = broken();
        for _ in 0..2 {
            assert!(see(&mut alerts, "read", None).is_empty());
            assert!(see(&mut alerts, "read", Some("void")).is_empty());
        }
        assert_eq!(see(&mut alerts, "read", None), ["users-down"]);
    }

    #[test]
    fn what_is_not_restored_is_an_emergency_whatever_the_verdict() {
        let mut alerts = broken();
        let failed = Event::Fault {
            id: 0,
            step: FaultStep::RevertFailed,
            detail: Some("no such container".to_owned()),
        };
        let told = alerts.take(&entry(failed));
        assert_eq!(told[0].level, Level::Emergency);
        assert!(told[0].summary.starts_with("NOT RESTORED"), "{told:?}");
        let mut report = crate::report::sample::passing_failover();
        assert!(Alert::of(&report).is_all_clear);
        report.judgement.restored = false;
        let alert = Alert::of(&report);
        assert_eq!((alert.level, alert.is_all_clear), (Level::Emergency, false));
    }

    #[test]
    fn verdicts_have_levels() {
        let level = |verdict| {
            let mut report = crate::report::sample::passing_failover();
            report.judgement.verdict = verdict;
            Alert::of(&report).level
        };
        assert_eq!(level(Verdict::Pass), Level::Information);
        assert_eq!(level(Verdict::Inconclusive), Level::Warning);
        assert_eq!(level(Verdict::Invalid), Level::Warning);
        assert_eq!(level(Verdict::Fail), Level::Critical);
        assert_eq!(level(Verdict::Aborted), Level::Critical);
    }
}
