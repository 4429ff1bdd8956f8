//! What ends a drill early: abort conditions, the limit on the faults' time, and the kill switch.
//!
//! [`Aborts`] sees every event on its way to disk and says when a condition is met; [`Alarm`] waits for that, for the limit and for
//! the switch, beside whatever the run is doing, so that a step that hangs is no way round them.

use std::{
    collections::{BTreeMap, VecDeque},
    path::PathBuf,
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{sleep, sleep_until},
};

use super::{Clock, Terms, terms::is_on};
use crate::{
    drill::{AbortIf, duration_words},
    episode::Watch,
    plan::Plan,
    timeline::{Entry, Event, FaultStep, Sample, SampleVerdict},
};

/// A standby is not healthy when so many samples in a row say so: as many as a state must last for to count in a path.
const STANDBY_SAMPLES: u64 = 3;
/// A share of fewer samples than this says nothing.
const SHARE_SAMPLES: usize = 5;
/// From one look at the kill switch to the next, in real time.
const SWITCH_EVERY: Duration = Duration::from_millis(200);

/// Why a drill is ended early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Aborted {
    /// The condition, in words.
    pub(super) condition: String,
    /// What was seen.
    pub(super) reason: String,
}

#[derive(Debug, Default)]
struct Signal {
    /// When the first fault was issued.
    issued: Option<Duration>,
    met: Option<Aborted>,
}

/// Sees every event and says when a condition is met.
#[derive(Debug)]
pub(super) struct Aborts {
    user: String,
    conditions: Vec<(AbortIf, Share)>,
    sender: watch::Sender<Signal>,
}

/// Waits for what ends a drill early.
#[derive(Debug, Clone)]
pub(super) struct Alarm {
    receiver: watch::Receiver<Signal>,
    clock: Clock,
    max_fault: Option<Duration>,
    switches: Vec<PathBuf>,
}

impl Aborts {
    pub(super) fn new(plan: &Plan, terms: &Terms, clock: Clock) -> (Self, Alarm) {
        let (sender, receiver) = watch::channel(Signal::default());
        let conditions = plan.abort_if().cloned();
        let aborts = Self {
            user: plan.user_probe().to_owned(),
            conditions: conditions
                .map(|condition| (condition, Share::default()))
                .collect(),
            sender,
        };
        let alarm = Alarm {
            receiver,
            clock,
            max_fault: plan.environment.limits.max_fault,
            switches: terms
                .kill_switches(&plan.environment)
                .map(PathBuf::from)
                .collect(),
        };
        (aborts, alarm)
    }

    /// Takes note of an event, with what the probes have seen up to and with it.
    pub(super) fn see(&mut self, entry: &Entry, watches: &BTreeMap<String, Watch>) {
        if let Event::Fault {
            step: FaultStep::Issued,
            ..
        } = entry.event
        {
            self.sender.send_if_modified(|signal| {
                let first = signal.issued.is_none();
                signal.issued.get_or_insert(entry.at);
                first
            });
        }
        for (condition, share) in &mut self.conditions {
            if let (AbortIf::ErrorsAbove { probe, over, .. }, Event::Sample(sample)) =
                (&*condition, &entry.event)
                && sample.probe == *probe
            {
                share.take(sample, *over);
            }
        }
        let Some(issued) = self.sender.borrow().issued else {
            return;
        };
        let met = self.conditions.iter().find_map(|(condition, share)| {
            let reason = self.reason(condition, share, &entry.event, watches, issued)?;
            Some(Aborted {
                condition: condition.words(),
                reason,
            })
        });
        if let Some(met) = met {
            self.sender.send_if_modified(|signal| {
                let first = signal.met.is_none();
                signal.met.get_or_insert(met);
                first
            });
        }
    }

    /// What meets a condition, if this event makes it so.
    fn reason(
        &self,
        condition: &AbortIf,
        share: &Share,
        event: &Event,
        watches: &BTreeMap<String, Watch>,
        issued: Duration,
    ) -> Option<String> {
        match condition {
            AbortIf::OutageLongerThan(limit) => {
                sample_of(event, &self.user)?;
                let lasts = outage(watches.get(&self.user)?, issued)?;
                (lasts > *limit).then(|| {
                    format!(
                        "users have not been served in a stable way for {:.1} s",
                        lasts.as_secs_f64()
                    )
                })
            }
            AbortIf::ErrorsAbove { probe, percent, .. } => {
                sample_of(event, probe)?;
                share.exceeds(*percent)
            }
            AbortIf::ObserverBad(name) => {
                let Event::Observed {
                    observer,
                    healthy: Some(false),
                    detail,
                    before: _,
                } = event
                else {
                    return None;
                };
                (observer == name).then(|| match detail {
                    Some(detail) => format!("`{name}` turned bad: {detail}"),
                    None => format!("`{name}` turned bad"),
                })
            }
            AbortIf::StandbyNotHealthy(name) => {
                let sample = sample_of(event, name)?;
                standby_trouble(watches.get(name)?, sample)
            }
        }
    }
}

/// The sample that an event is, if it is one of this probe.
fn sample_of<'e>(event: &'e Event, probe: &str) -> Option<&'e Sample> {
    if let Event::Sample(sample) = event
        && sample.probe == probe
    {
        Some(sample)
    } else {
        None
    }
}

/// How long users have not been served in a stable way, as far as their samples prove it.
fn outage(users: &Watch, issued: Duration) -> Option<Duration> {
    let last = users.disruptions().pop()?;
    if last.recovered.is_some() {
        return None;
    }
    let until = last.unconfirmed.map_or(last.last, |rise| rise.first);
    Some(until.saturating_sub(last.first.max(issued)))
}

/// What is wrong with a standby, if its probe has seen it for long enough.
fn standby_trouble(watch: &Watch, sample: &Sample) -> Option<String> {
    let tier = watch.standby()?;
    let trailing = watch.stretches().iter().rev();
    let wrong: u64 = trailing
        .take_while(|stretch| !stretch.is_tier(tier))
        .map(|stretch| stretch.samples)
        .sum();
    (wrong >= STANDBY_SAMPLES).then(|| {
        let seen = match (&sample.detail, &sample.tier) {
            (Some(detail), _) => detail.clone(),
            (None, Some(other)) => format!("answered by {other}"),
            (None, None) => "no reason known".to_owned(),
        };
        format!(
            "`{tier}` was not there for `{}` {wrong} times in a row: {seen}",
            sample.probe
        )
    })
}

/// The samples of one probe that were sent lately.
#[derive(Debug, Default)]
struct Share {
    /// When each was sent, and whether it failed, in the order of sending.
    recent: VecDeque<(Duration, bool)>,
}

impl Share {
    fn take(&mut self, sample: &Sample, over: Duration) {
        let failed = match sample.verdict {
            SampleVerdict::Void(_) => return,
            SampleVerdict::Bad(_) => true,
            SampleVerdict::Good => false,
        };
        // Answers overtake each other.
        let place = self
            .recent
            .partition_point(|(sent, _)| *sent <= sample.start);
        self.recent.insert(place, (sample.start, failed));
        let newest = self.recent.back().map_or(Duration::ZERO, |(sent, _)| *sent);
        let oldest = newest.saturating_sub(over);
        while self.recent.front().is_some_and(|(sent, _)| *sent < oldest) {
            self.recent.pop_front();
        }
    }

    fn exceeds(&self, percent: u32) -> Option<String> {
        let failed = self.recent.iter().filter(|(_, failed)| *failed).count();
        let all = self.recent.len();
        let above = failed * 100 > all * usize::try_from(percent).unwrap_or(usize::MAX);
        (all >= SHARE_SAMPLES && above)
            .then(|| format!("{failed} of the last {all} samples failed"))
    }
}

impl Alarm {
    /// Waits until the drill is to be ended early.
    pub(super) async fn rings(mut self) -> Aborted {
        loop {
            let (issued, met) = {
                let signal = self.receiver.borrow_and_update();
                (signal.issued, signal.met.clone())
            };
            if let Some(met) = met {
                return met;
            }
            let overdue = async {
                match (issued, self.max_fault) {
                    (Some(issued), Some(limit)) => {
                        sleep_until(self.clock.instant(issued + limit)).await;
                        limit
                    }
                    (_, _) => std::future::pending().await,
                }
            };
            let switch = switched_on(&self.switches);
            let receiver = &mut self.receiver;
            tokio::select! {
                biased;
                aborted = switch => return aborted,
                limit = overdue => {
                    let limit = duration_words(limit);
                    return Aborted {
                        condition: format!("faults in place for {limit}"),
                        reason: format!("`limits: max-fault` is {limit}, counted from the first fault"),
                    };
                }
                changed = receiver.changed() => if changed.is_err() {
                    std::future::pending::<()>().await;
                },
            }
        }
    }

    /// Waits for the kill switch alone, when nothing is broken any more.
    pub(super) async fn switched_on(&self) -> Aborted {
        switched_on(&self.switches).await
    }
}

async fn switched_on(switches: &[PathBuf]) -> Aborted {
    if switches.is_empty() {
        return std::future::pending().await;
    }
    loop {
        if let Some(path) = switches.iter().find(|path| is_on(path)) {
            return Aborted {
                condition: "kill switch".to_owned(),
                reason: format!("`{}` exists", path.display()),
            };
        }
        sleep(SWITCH_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::{ErrorClass, PhaseTimes, VoidReason};

    fn sample(second: u64, verdict: SampleVerdict) -> Sample {
        let start = Duration::from_secs(second);
        Sample {
            probe: "write".to_owned(),
            seq: second,
            scheduled: start,
            start,
            end: start,
            verdict,
            tier: None,
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

    const BAD: SampleVerdict = SampleVerdict::Bad(ErrorClass::Http5xx);
    const VOID: SampleVerdict = SampleVerdict::Void(VoidReason::Late);

    fn share(samples: impl IntoIterator<Item = (u64, SampleVerdict)>) -> Share {
        let mut share = Share::default();
        for (second, verdict) in samples {
            share.take(&sample(second, verdict), Duration::from_secs(10));
        }
        share
    }

    #[test]
    fn a_share_is_of_the_samples_sent_lately_and_of_five_at_least() {
        let good = SampleVerdict::Good;
        let four = share((0..4).map(|second| (second, BAD)));
        assert_eq!(four.exceeds(0), None, "too few to say anything");
        let five = share((0..5).map(|second| (second, BAD)));
        assert_eq!(
            five.exceeds(99).as_deref(),
            Some("5 of the last 5 samples failed")
        );
        let half = share((0..10).map(|second| (second, if second % 2 == 0 { BAD } else { good })));
        assert_eq!(half.exceeds(50), None, "half is not above half");
        assert!(half.exceeds(49).is_some());
        let over = share(
            (0..5)
                .map(|second| (second, BAD))
                .chain((20..25).map(|second| (second, good))),
        );
        assert_eq!(over.exceeds(0), None, "what is long ago does not count");
        let blind = share((0..10).map(|second| (second, VOID)));
        assert_eq!(blind.exceeds(0), None, "void is neither good nor bad");
    }

    #[test]
    fn an_answer_that_was_overtaken_counts_where_it_was_sent() {
        let late = share([
            (0, BAD),
            (30, BAD),
            (31, BAD),
            (32, BAD),
            (33, BAD),
            (1, BAD),
        ]);
        assert_eq!(late.exceeds(0), None);
        let in_time = share([(30, BAD), (31, BAD), (33, BAD), (34, BAD), (32, BAD)]);
        assert!(in_time.exceeds(99).is_some());
    }

    fn alarm(
        max_fault: Option<Duration>,
        switches: Vec<PathBuf>,
    ) -> (watch::Sender<Signal>, Alarm) {
        let (sender, receiver) = watch::channel(Signal::default());
        let alarm = Alarm {
            receiver,
            clock: Clock::start(10.0),
            max_fault,
            switches,
        };
        (sender, alarm)
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_of_the_faults_runs_from_the_first_one_in_the_architectures_time() {
        let (sender, alarm) = alarm(Some(Duration::from_mins(1)), Vec::new());
        let began = tokio::time::Instant::now();
        let ringing = tokio::spawn(alarm.rings());
        sleep(Duration::from_secs(100)).await;
        assert!(!ringing.is_finished(), "nothing is broken yet");
        sender.send_modify(|signal| signal.issued = Some(Duration::from_secs(1000)));
        let aborted = ringing.await.unwrap();
        assert_eq!(aborted.condition, "faults in place for 1m");
        assert_eq!(began.elapsed().as_secs(), 106);
    }

    #[tokio::test(start_paused = true)]
    async fn without_anything_to_wait_for_the_alarm_never_rings() {
        let (sender, alarm) = alarm(None, Vec::new());
        sender.send_modify(|signal| signal.issued = Some(Duration::ZERO));
        let ringing = tokio::spawn(alarm.rings());
        drop(sender);
        sleep(Duration::from_hours(100)).await;
        assert!(!ringing.is_finished());
        ringing.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn the_kill_switch_is_seen_within_a_second() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("stop");
        let (_sender, alarm) = alarm(None, vec![file.clone()]);
        let ringing = tokio::spawn(alarm.rings());
        sleep(Duration::from_hours(1)).await;
        assert!(!ringing.is_finished());
        std::fs::write(&file, "").unwrap();
        let switched = tokio::time::Instant::now();
        assert_eq!(ringing.await.unwrap().condition, "kill switch");
        assert!(switched.elapsed() <= Duration::from_secs(1));
    }
}
