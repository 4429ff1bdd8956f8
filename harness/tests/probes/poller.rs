//! The schedule: one sample a tick, whatever became of the ticks before.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use blackstart::{
    probe::{
        BoxFuture, Look, Probe, Trouble,
        control::Control,
        poller::{Schedule, poll},
    },
    run::Clock,
    timeline::{ErrorClass, Event, Sample, SampleVerdict, VoidReason},
};
use tokio::{
    sync::{Barrier, mpsc},
    task::{JoinHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;

use crate::DEADLINE;

/// A probe that does as it is told, and counts.
struct Scripted<F> {
    looks: AtomicUsize,
    look: F,
}

impl<F> Scripted<F> {
    fn new(look: F) -> Arc<Self> {
        Arc::new(Self {
            looks: AtomicUsize::new(0),
            look,
        })
    }
}

impl<F: Fn(u64) -> BoxFuture<'static, Look> + Send + Sync> Probe for Scripted<F> {
    fn look(&self, seq: u64) -> BoxFuture<'_, Look> {
        self.looks.fetch_add(1, Ordering::SeqCst);
        (self.look)(seq)
    }
}

/// Answers at once.
fn at_once(_: u64) -> BoxFuture<'static, Look> {
    Box::pin(async { Look::default() })
}

/// A poller that runs, and the samples that come from it.
struct Running {
    samples: mpsc::UnboundedReceiver<Event>,
    cancel: CancellationToken,
    task: JoinHandle<()>,
    taken: Vec<Sample>,
}

fn schedule(every: Duration, timeout: Duration) -> Schedule {
    Schedule {
        name: "read".to_owned(),
        every,
        phase: every / 2,
        good_within: DEADLINE,
        timeout,
    }
}

fn start(probe: Arc<dyn Probe>, schedule: Schedule) -> Running {
    let (sender, samples) = mpsc::unbounded_channel();
    let cancel = CancellationToken::new();
    let clock = Clock::start(1.0);
    let polling = poll(
        probe,
        schedule,
        clock,
        Control::default(),
        sender,
        cancel.clone(),
    );
    Running {
        samples,
        cancel,
        task: tokio::spawn(polling),
        taken: Vec::new(),
    }
}

impl Running {
    /// Takes samples until what was taken is enough.
    async fn until(&mut self, what: &str, enough: impl Fn(&[Sample]) -> bool) {
        let taking = async {
            while !enough(&self.taken) {
                let event = self.samples.recv().await.expect("the poller ended");
                self.taken.push(sample(event));
            }
        };
        tokio::time::timeout(DEADLINE, taking)
            .await
            .unwrap_or_else(|_| panic!("{what} did not happen"));
    }

    /// Ends the poller. Yields its samples by number, none twice and none missing.
    async fn stop(mut self) -> Vec<Sample> {
        self.cancel.cancel();
        tokio::time::timeout(DEADLINE, self.task)
            .await
            .expect("it ends when cancelled")
            .unwrap();
        while let Some(event) = self.samples.recv().await {
            self.taken.push(sample(event));
        }
        let count = self.taken.len();
        let by_number: BTreeMap<_, _> = self
            .taken
            .into_iter()
            .map(|sample| (sample.seq, sample))
            .collect();
        assert_eq!(by_number.len(), count, "a number came twice");
        assert!(
            by_number.keys().copied().eq(0..count as u64),
            "a number is missing"
        );
        by_number.into_values().collect()
    }
}

fn sample(event: Event) -> Sample {
    let Event::Sample(sample) = event else {
        panic!("{event:?} is no sample")
    };
    *sample
}

fn count(samples: &[Sample], verdict: SampleVerdict) -> usize {
    samples
        .iter()
        .filter(|sample| sample.verdict == verdict)
        .count()
}

#[tokio::test]
async fn every_tick_yields_one_sample_and_is_due_one_interval_after_the_other() {
    let every = Duration::from_millis(5);
    let mut running = start(Scripted::new(at_once), schedule(every, DEADLINE));
    running
        .until("fifty samples", |samples| samples.len() >= 50)
        .await;
    let samples = running.stop().await;
    for pair in samples.windows(2) {
        assert_eq!(pair[1].scheduled, pair[0].scheduled + every);
    }
    for sample in &samples {
        assert_eq!(sample.probe, "read");
        assert!(
            sample.scheduled <= sample.start && sample.start <= sample.end,
            "{sample:?}"
        );
    }
}

#[tokio::test]
async fn an_answer_that_is_waited_for_does_not_hold_up_the_next_tick() {
    // Nobody is answered before eight ask at the same time: who waits for an answer before asking again waits for ever.
    let barrier = Arc::new(Barrier::new(8));
    let probe = Scripted::new(move |_| -> BoxFuture<'static, Look> {
        let barrier = Arc::clone(&barrier);
        Box::pin(async move {
            barrier.wait().await;
            Look::default()
        })
    });
    let mut running = start(probe, schedule(Duration::from_millis(10), DEADLINE));
    let good = |samples: &[Sample]| count(samples, SampleVerdict::Good);
    running
        .until("eight good samples", |samples| good(samples) >= 8)
        .await;
    let samples = running.stop().await;
    let answered: Vec<_> = samples
        .iter()
        .filter(|sample| sample.verdict == SampleVerdict::Good)
        .collect();
    assert!(
        answered[7].start <= answered[0].end,
        "the eighth was sent before the first was answered"
    );
}

/// Blocks the thread, as a machine that stalls does.
#[expect(clippy::disallowed_methods, reason = "the stall is what is under test")]
fn stall(time: Duration) {
    std::thread::sleep(time);
}

#[tokio::test]
async fn ticks_that_fell_into_a_stall_are_void_and_nothing_is_sent_for_them() {
    let every = Duration::from_millis(10);
    let probe = Scripted::new(at_once);
    let mut running = start(
        Arc::clone(&probe) as Arc<dyn Probe>,
        schedule(every, DEADLINE),
    );
    running
        .until("the first good sample", |samples| {
            count(samples, SampleVerdict::Good) > 0
        })
        .await;
    let before = running.taken.len();
    stall(every * 20);
    running
        .until("samples after the stall", |samples| {
            let after = &samples[before..];
            after.len() > 20 && count(after, SampleVerdict::Good) > 2
        })
        .await;
    let samples = running.stop().await;
    let late = count(&samples, SampleVerdict::Void(VoidReason::Late));
    assert!(late >= 18, "only {late} of the ticks in the stall are late");
    let sent = samples
        .iter()
        .filter(|sample| sample.verdict == SampleVerdict::Good)
        .count();
    let cancelled = count(&samples, SampleVerdict::Void(VoidReason::Cancelled));
    let looks = probe.looks.load(Ordering::SeqCst);
    assert!(
        (sent..=sent + cancelled).contains(&looks),
        "{looks} looks for {sent} samples"
    );
}

#[tokio::test]
async fn no_sample_that_counts_was_sent_later_than_an_interval_after_it_was_due() {
    let every = Duration::from_millis(5);
    let mut running = start(Scripted::new(at_once), schedule(every, DEADLINE));
    // Tasks of the same thread that stall it, also between a tick and the task that looks.
    let mut hogs = JoinSet::new();
    for _ in 0..3 {
        hogs.spawn(async move {
            for _ in 0..10 {
                tokio::time::sleep(Duration::from_millis(1)).await;
                stall(every * 2);
            }
        });
    }
    while hogs.join_next().await.is_some() {}
    running
        .until("good samples", |samples| {
            count(samples, SampleVerdict::Good) >= 5
        })
        .await;
    let samples = running.stop().await;
    assert!(count(&samples, SampleVerdict::Void(VoidReason::Late)) >= 20);
    for sample in samples {
        let late = sample.start.saturating_sub(sample.scheduled);
        assert!(
            late <= every + Duration::from_micros(1),
            "{late:?} late, and counts: {sample:?}"
        );
    }
}

#[tokio::test]
async fn ticks_that_find_too_many_under_way_are_void_and_those_are_cancelled_at_the_end() {
    let every = Duration::from_millis(5);
    let probe = Scripted::new(|_| -> BoxFuture<'static, Look> { Box::pin(std::future::pending()) });
    // One time-out of one interval, and four more for the jitter.
    let mut running = start(Arc::clone(&probe) as Arc<dyn Probe>, schedule(every, every));
    let dropped = |samples: &[Sample]| count(samples, SampleVerdict::Void(VoidReason::Dropped));
    running
        .until("dropped samples", |samples| dropped(samples) >= 10)
        .await;
    let samples = running.stop().await;
    assert_eq!(probe.looks.load(Ordering::SeqCst), 5);
    assert_eq!(
        count(&samples, SampleVerdict::Void(VoidReason::Cancelled)),
        5
    );
    let (late, good) = (VoidReason::Late, SampleVerdict::Good);
    assert_eq!(
        dropped(&samples) + count(&samples, SampleVerdict::Void(late)) + 5,
        samples.len()
    );
    assert_eq!(count(&samples, good), 0);
}

#[tokio::test]
async fn a_good_answer_that_took_too_long_is_bad_and_a_failure_keeps_its_class() {
    let limit = Duration::from_millis(20);
    let probe = Scripted::new(move |seq| -> BoxFuture<'static, Look> {
        Box::pin(async move {
            tokio::time::sleep(limit * 2).await;
            let trouble = (seq % 2 == 1).then_some(Trouble::Bad(ErrorClass::Http5xx));
            Look {
                trouble,
                ..Look::default()
            }
        })
    });
    let schedule = Schedule {
        good_within: limit,
        ..schedule(Duration::from_millis(50), DEADLINE)
    };
    let mut running = start(probe, schedule);
    let slow = SampleVerdict::Bad(ErrorClass::TooSlow);
    let failed = SampleVerdict::Bad(ErrorClass::Http5xx);
    running
        .until("both", |samples| {
            count(samples, slow) > 0 && count(samples, failed) > 0
        })
        .await;
    for sample in running.stop().await {
        match sample.verdict {
            SampleVerdict::Bad(ErrorClass::TooSlow) => {
                assert!(sample.end > sample.start + limit);
                assert!(
                    sample.detail.unwrap().starts_with("took "),
                    "it says how long"
                );
            }
            SampleVerdict::Bad(class) => {
                assert_eq!((class, sample.seq % 2), (ErrorClass::Http5xx, 1));
            }
            SampleVerdict::Good => panic!("a slow answer is not good"),
            SampleVerdict::Void(_) => {}
        }
    }
}

#[tokio::test]
async fn the_first_tick_comes_after_the_phase_and_times_are_the_architectures() {
    let every = Duration::from_millis(20);
    let (sender, mut samples) = mpsc::unbounded_channel();
    let cancel = CancellationToken::new();
    let clock = Clock::start(30.0);
    let schedule = schedule(every, DEADLINE);
    let task = tokio::spawn(poll(
        Scripted::new(at_once),
        schedule,
        clock,
        Control::default(),
        sender,
        cancel.clone(),
    ));
    let mut taken = BTreeMap::new();
    while !(taken.contains_key(&0) && taken.contains_key(&1)) {
        let sample = sample(samples.recv().await.unwrap());
        taken.insert(sample.seq, sample.scheduled);
    }
    cancel.cancel();
    task.await.unwrap();
    assert!(taken[&0] >= every / 2 * 30);
    let between = taken[&1].saturating_sub(taken[&0]);
    assert!(
        between.abs_diff(every * 30) < Duration::from_micros(1),
        "{between:?}"
    );
}
