//! One service, one kind of outage, one cadence: outages one after another, and what was measured of each.

use std::{io, sync::Arc, time::Duration};

use blackstart::{
    probe::{
        control::Control,
        poller::{Schedule, poll},
    },
    run::Clock,
    timeline::{Entry, Event, FaultStep, Sample, SampleVerdict},
    verdict::{Bounds, Judge, Lane, Seen, Spell},
};
use serde::{Deserialize, Serialize};
use tokio::{sync::mpsc, task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    measurement::{self, GOOD_WITHIN, TIMEOUT},
    outage::{Kind, Truth, Within},
    service::{Service, Stamp},
    usual::{self, Request},
};

/// The pauses of the status checkers.
const STATUS_PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];
/// The time-out of the status checkers.
const STATUS_TIMEOUT: Duration = Duration::from_secs(3);

/// What was measured of one outage. All times in seconds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// When it really was.
    pub(crate) truth: Truth,
    /// When it was according to the judge, within bounds; `None` if it was not seen.
    pub(crate) judged: Option<Truth>,
    /// Its length by a closed loop, from the first failure sent to the first success sent.
    pub(crate) closed_loop: Option<f64>,
    /// Its length by the very samples that were judged, from answer to answer.
    pub(crate) by_answers: Option<f64>,
    /// What status checkers of 1 s and 2 s recorded of it.
    pub(crate) recorded: [f64; 2],
}

/// What came of a trial.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Trial {
    pub(crate) kind: Kind,
    pub(crate) every: Duration,
    pub(crate) measured: Vec<Measured>,
    /// Samples of the probe, and how many of them were void.
    pub(crate) samples: u64,
    pub(crate) void: u64,
    /// How late the probe sent them, 99th percentile in seconds.
    pub(crate) late_p99: f64,
}

/// Runs so many outages of a kind, and judges them.
pub(crate) async fn run(
    kind: Kind,
    every: Duration,
    outages: usize,
    seed: u64,
) -> io::Result<Trial> {
    let mut random = fastrand::Rng::with_seed(seed);
    let service = Service::start(kind).await?;
    let clock = Clock::start(1.0);
    let cancel = CancellationToken::new();
    let control = Control::start(every, cancel.clone(), &tokio::runtime::Handle::current())?;
    let schedule = Schedule {
        name: measurement::name(0),
        every,
        phase: every.mul_f64(random.f64()),
        good_within: GOOD_WITHIN,
        timeout: TIMEOUT,
    };
    let (sender, mut events) = mpsc::unbounded_channel();
    let probe = Arc::new(measurement::probe(service.address, TIMEOUT));
    let polling = tokio::spawn(poll(
        probe,
        schedule,
        clock,
        control,
        sender,
        cancel.clone(),
    ));

    let mut loops = JoinSet::new();
    let mut follow = |pause, timeout| {
        let (sender, requests) = mpsc::unbounded_channel();
        let probe = Arc::new(measurement::probe(service.address, timeout));
        loops.spawn(usual::closed_loop(probe, clock, pause, sender));
        requests
    };
    let mut closed = follow(every, GOOD_WITHIN);
    let mut statuses = STATUS_PAUSES.map(|pause| follow(pause, STATUS_TIMEOUT));

    // Enough for the judge to know what is healthy.
    sleep(Duration::from_secs(2).max(every * 30)).await;
    let mut truths = Vec::new();
    for _ in 0..outages {
        let stamps = service.fail(kind.plan(&mut random)).await?;
        truths.extend(truth(&stamps, clock));
        sleep(Duration::from_secs_f64(0.9 + 0.4 * random.f64())).await;
    }
    // What is under way is to end.
    sleep(TIMEOUT).await;
    cancel.cancel();
    loops.abort_all();
    polling.await.map_err(io::Error::other)?;
    let mut samples = Vec::new();
    while let Some(event) = events.recv().await {
        if let Event::Sample(sample) = event {
            samples.push(*sample);
        }
    }
    while loops.join_next().await.is_some() {}
    let closed = drain(&mut closed);
    let records = statuses
        .each_mut()
        .map(|requests| usual::status_record(&drain(requests)));

    let lane = judge(&samples, &truths, every);
    let answers = requests_of(&samples);
    let measured = windows(&truths)
        .zip(&truths)
        .map(|(window, truth)| Measured {
            truth: *truth,
            judged: judged(&lane.spells, window),
            closed_loop: usual::length(&closed, window, |request| request.sent),
            by_answers: usual::length(&answers, window, |request| request.over),
            recorded: records.each_ref().map(|record| recorded(record, window)),
        })
        .collect();
    Ok(Trial {
        kind,
        every,
        measured,
        samples: lane.samples,
        void: lane.void.values().sum(),
        late_p99: lane.late_p99_s,
    })
}

fn truth(stamps: &[Stamp], clock: Clock) -> Option<Truth> {
    let at = |(before, after): &Stamp| Within {
        lo: clock.at(*before).as_secs_f64(),
        hi: clock.at(*after).as_secs_f64(),
    };
    Some(Truth {
        down: at(stamps.first()?),
        up: at(stamps.last()?),
    })
}

fn drain(requests: &mut mpsc::UnboundedReceiver<Request>) -> Vec<Request> {
    std::iter::from_fn(|| requests.try_recv().ok()).collect()
}

/// Judges the samples as those of a run whose fault was injected when the first outage began.
fn judge(samples: &[Sample], truths: &[Truth], every: Duration) -> Lane {
    let (drill, environment) = (measurement::drill(), measurement::environment(every));
    let mut judge = Judge::new(&drill, &environment);
    let mut push = |at, event| judge.push(&Entry { at, event });
    push(Duration::ZERO, measurement::started(1, every));
    let fault = truths.first().map_or(Duration::MAX, |truth| {
        Duration::from_secs_f64(truth.down.lo)
    });
    let issued = Event::Fault {
        id: 0,
        step: FaultStep::Issued,
        detail: None,
    };
    push(fault, issued);
    for sample in samples {
        push(sample.end, Event::Sample(Box::new(sample.clone())));
    }
    judge.finish().lanes.remove(0)
}

fn requests_of(samples: &[Sample]) -> Vec<Request> {
    samples
        .iter()
        .filter(|sample| !matches!(sample.verdict, SampleVerdict::Void(_)))
        .map(|sample| Request {
            sent: sample.start.as_secs_f64(),
            over: sample.end.as_secs_f64(),
            good: sample.verdict == SampleVerdict::Good,
        })
        .collect()
}

/// From half-way between an outage and the one before it to half-way to the next one.
fn windows(truths: &[Truth]) -> impl Iterator<Item = Within> {
    let middle = |one: &Truth, next: &Truth| f64::midpoint(one.up.hi, next.down.lo);
    (0..truths.len()).map(move |index| Within {
        lo: if index == 0 {
            0.0
        } else {
            middle(&truths[index - 1], &truths[index])
        },
        hi: truths
            .get(index + 1)
            .map_or(f64::INFINITY, |next| middle(&truths[index], next)),
    })
}

/// The outage within a window as the judge tells it: from the first spell of failures to the last.
fn judged(spells: &[Spell], window: Within) -> Option<Truth> {
    let is_down = |spell: &Spell| {
        let began = middle(spell.from);
        matches!(spell.seen, Seen::Down(_)) && (window.lo..window.hi).contains(&began)
    };
    let first = spells.iter().position(is_down)?;
    let last = spells.iter().rposition(is_down)?;
    let unknown = |index: Option<usize>| {
        index
            .and_then(|index| spells.get(index))
            .filter(|spell| spell.seen == Seen::Unknown)
    };
    let mut down = spells[first].from;
    let mut up = spells[last].to;
    // Where nothing was known beside it, the change may have been at any time in there.
    if let Some(gap) = unknown(first.checked_sub(1)) {
        down.lo = gap.from.lo;
    }
    if let Some(gap) = unknown(Some(last + 1)) {
        up.hi = gap.to.hi;
    }
    Some(Truth {
        down: within(down)?,
        up: within(up)?,
    })
}

fn middle(bounds: Bounds) -> f64 {
    bounds
        .hi
        .map_or(bounds.lo, |hi| f64::midpoint(bounds.lo, hi))
}

fn within(bounds: Bounds) -> Option<Within> {
    Some(Within {
        lo: bounds.lo,
        hi: bounds.hi?,
    })
}

/// How much of a record falls into a window.
fn recorded(record: &[Within], window: Within) -> f64 {
    record
        .iter()
        .map(|down| (down.hi.min(window.hi) - down.lo.max(window.lo)).max(0.0))
        .sum()
}
