//! So many probes of one server, and what they cost.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use blackstart::{
    probe::{
        control::Control,
        poller::{Schedule, poll},
    },
    run::Clock,
    timeline::{Event, Sample, SampleVerdict},
};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::{
    EVERY,
    measurement::{self, GOOD_WITHIN, TIMEOUT},
    own,
};

/// How finely lateness is counted.
const LATENESS_STEP: Duration = Duration::from_micros(100);
/// Up to one interval: what is later than that is void.
const LATENESS_STEPS: usize = 101;

/// What came of looking, and what it cost.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Looked {
    time: Duration,
    processor: Duration,
    memory: u64,
    peak: u64,
    good: u64,
    bad: u64,
    void: u64,
    late_p99: Duration,
}

/// Probes that look, and where their samples come.
pub(crate) struct Looking {
    pub(crate) samples: mpsc::UnboundedReceiver<Event>,
    pub(crate) clock: Clock,
    cancel: CancellationToken,
    tasks: JoinSet<()>,
}

impl Looking {
    /// Starts so many probes of a server, each at its own phase, and the control probe.
    pub(crate) fn start(server: SocketAddr, probes: usize) -> io::Result<Self> {
        let (sender, samples) = mpsc::unbounded_channel();
        let cancel = CancellationToken::new();
        let control = Control::start(EVERY, cancel.clone(), &tokio::runtime::Handle::current())?;
        let clock = Clock::start(1.0);
        let mut tasks = JoinSet::new();
        let mut random = fastrand::Rng::with_seed(7);
        for number in 0..probes {
            let schedule = Schedule {
                name: measurement::name(number),
                every: EVERY,
                phase: EVERY.mul_f64(random.f64()),
                good_within: GOOD_WITHIN,
                timeout: TIMEOUT,
            };
            let probe = Arc::new(measurement::probe(server, TIMEOUT));
            let (control, sender, cancel) = (control.clone(), sender.clone(), cancel.clone());
            tasks.spawn(poll(probe, schedule, clock, control, sender, cancel));
        }
        Ok(Self {
            samples,
            clock,
            cancel,
            tasks,
        })
    }

    /// Ends it. The samples that are under way still come.
    pub(crate) fn cancel(&self) {
        self.cancel.cancel();
    }

    /// Waits until every probe has ended.
    pub(crate) async fn end(mut self) {
        self.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Looks for so long.
pub(crate) async fn look(server: SocketAddr, probes: usize, time: Duration) -> io::Result<Looked> {
    let (start, before) = (Instant::now(), own::processor_time()?);
    let mut looking = Looking::start(server, probes)?;
    let mut counts = Counts::default();
    let over = sleep(time);
    tokio::pin!(over);
    loop {
        tokio::select! {
            () = &mut over => break,
            event = looking.samples.recv() => match event {
                Some(Event::Sample(sample)) => counts.take(&sample),
                Some(_) => {}
                None => break,
            },
        }
    }
    let processor = own::processor_time()?.saturating_sub(before);
    let time = start.elapsed();
    let (memory, peak) = own::memory()?;
    looking.end().await;
    Ok(Looked {
        time,
        processor,
        memory,
        peak,
        good: counts.good,
        bad: counts.bad,
        void: counts.void,
        late_p99: counts.late_p99(),
    })
}

#[derive(Debug)]
struct Counts {
    good: u64,
    bad: u64,
    void: u64,
    lateness: [u64; LATENESS_STEPS],
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            good: 0,
            bad: 0,
            void: 0,
            lateness: [0; LATENESS_STEPS],
        }
    }
}

impl Counts {
    fn take(&mut self, sample: &Sample) {
        match sample.verdict {
            SampleVerdict::Good => self.good += 1,
            SampleVerdict::Bad(_) => self.bad += 1,
            SampleVerdict::Void(_) => {
                self.void += 1;
                return;
            }
        }
        let late = sample.start.saturating_sub(sample.scheduled);
        let step =
            usize::try_from(late.as_micros() / LATENESS_STEP.as_micros()).unwrap_or(usize::MAX);
        self.lateness[step.min(LATENESS_STEPS - 1)] += 1;
    }

    /// The end of the step in which the 99th percentile lies.
    fn late_p99(&self) -> Duration {
        let all: u64 = self.lateness.iter().sum();
        let mut rest = all / 100;
        for (step, count) in self.lateness.iter().enumerate().rev() {
            if *count > rest {
                let end = u32::try_from(step + 1).unwrap_or(u32::MAX);
                return LATENESS_STEP * end;
            }
            rest -= count;
        }
        Duration::ZERO
    }
}

impl Looked {
    /// A row of the table.
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    pub(crate) fn row(&self, probes: usize) -> String {
        let samples = self.good + self.bad + self.void;
        let processor = self.processor.as_secs_f64();
        format!(
            "| {probes} | {:.0}/s | {:.2} % | {:.2} % | {:.1} ms | {:.1} % of a core | {:.0} µs | {} | {} |",
            samples as f64 / self.time.as_secs_f64(),
            100.0 * self.good as f64 / samples as f64,
            100.0 * self.void as f64 / samples as f64,
            self.late_p99.as_secs_f64() * 1e3,
            100.0 * processor / self.time.as_secs_f64(),
            1e6 * processor / samples as f64,
            own::mebibytes(self.memory),
            own::mebibytes(self.peak),
        )
    }
}
