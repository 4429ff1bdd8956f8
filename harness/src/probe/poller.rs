//! The schedule: tick n is due at start + phase + n x interval, whatever became of the ticks before (measurement D1).
//!
//! A sample is never waited for. It is stamped when it is really sent; a tick that comes later than one interval, or finds too
//! many samples under way, is recorded as void: neither up nor down.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Semaphore, mpsc},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Look, Probe, Trouble, control::Control};
use crate::{
    run::Clock,
    timeline::{ErrorClass, Event, PhaseTimes, Sample, SampleVerdict, VoidReason},
};

/// When a probe looks.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// The probe's name.
    pub name: String,
    /// From one tick to the next, in real time.
    pub every: Duration,
    /// From the start to the first tick, in real time: random, so that nothing periodic is hit always at the same point.
    pub phase: Duration,
    /// A good answer that took longer in real time is too slow.
    pub good_within: Duration,
    /// How long a sample can be under way, in real time; bounds how many are.
    pub timeout: Duration,
}

/// Polls until cancelled. Every tick yields exactly one sample, also those that were under way when it was cancelled.
pub async fn poll(
    probe: Arc<dyn Probe>,
    schedule: Schedule,
    clock: Clock,
    control: Control,
    samples: mpsc::UnboundedSender<Event>,
    cancel: CancellationToken,
) {
    let start = Instant::now() + schedule.phase;
    let under_way = Arc::new(Semaphore::new(in_flight_limit(
        schedule.timeout,
        schedule.every,
    )));
    let tracker = TaskTracker::new();
    let mut seq: u32 = 0;
    let due = |seq: u32| start + schedule.every * seq;
    loop {
        if cancel
            .run_until_cancelled(tokio::time::sleep_until(due(seq)))
            .await
            .is_none()
        {
            break;
        }
        // After a stall the ticks that were missed are void; sending them now would be a storm, and a lie about when.
        while Instant::now() > due(seq) + schedule.every {
            send(
                &samples,
                void(&schedule, &clock, seq, due(seq), VoidReason::Late),
            );
            seq += 1;
        }
        if Instant::now() < due(seq) {
            continue;
        }
        match Arc::clone(&under_way).try_acquire_owned() {
            Err(_) => send(
                &samples,
                void(&schedule, &clock, seq, due(seq), VoidReason::Dropped),
            ),
            Ok(permit) => {
                let (probe, schedule, clock, control) =
                    (Arc::clone(&probe), schedule.clone(), clock, control.clone());
                let (samples, cancel, due) = (samples.clone(), cancel.clone(), due(seq));
                tracker.spawn(async move {
                    let start = Instant::now();
                    // The machine may have stalled between the tick and here as well.
                    let sample = if start > due + schedule.every {
                        void(&schedule, &clock, seq, due, VoidReason::Late)
                    } else {
                        match cancel.run_until_cancelled(probe.look(u64::from(seq))).await {
                            Some(look) => {
                                let end = Instant::now();
                                drop(permit);
                                if look.trouble.is_some() || end - start > schedule.good_within {
                                    // Whether the prober was ill meanwhile is known a moment later.
                                    let _ended =
                                        cancel.run_until_cancelled(control.looked_after(end)).await;
                                }
                                let times = Times {
                                    seq,
                                    due,
                                    start,
                                    end,
                                };
                                finish(&schedule, &clock, &control, times, look)
                            }
                            None => void(&schedule, &clock, seq, due, VoidReason::Cancelled),
                        }
                    };
                    send(&samples, sample);
                });
            }
        }
        seq += 1;
    }
    tracker.close();
    tracker.wait().await;
}

/// As many samples can be under way as ticks fall into one time-out, and a few more for the jitter.
fn in_flight_limit(timeout: Duration, every: Duration) -> usize {
    let ticks = timeout.as_nanos().div_ceil(every.as_nanos().max(1));
    usize::try_from(ticks)
        .unwrap_or(usize::MAX >> 4)
        .min(Semaphore::MAX_PERMITS >> 1)
        + 4
}

/// The run is over when nobody listens any more; a sample that comes then is of no use to anybody.
fn send(samples: &mpsc::UnboundedSender<Event>, sample: Sample) {
    drop(samples.send(Event::Sample(Box::new(sample))));
}

#[derive(Clone, Copy)]
struct Times {
    seq: u32,
    due: Instant,
    start: Instant,
    end: Instant,
}

fn void(schedule: &Schedule, clock: &Clock, seq: u32, due: Instant, reason: VoidReason) -> Sample {
    let now = clock.at(Instant::now());
    let looked = Look {
        trouble: Some(Trouble::Void(reason)),
        ..Look::default()
    };
    Sample {
        verdict: SampleVerdict::Void(reason),
        ..sample(
            schedule,
            clock,
            Times {
                seq,
                due,
                start: due,
                end: due,
            },
            looked,
            now,
        )
    }
}

fn finish(
    schedule: &Schedule,
    clock: &Clock,
    control: &Control,
    times: Times,
    look: Look,
) -> Sample {
    let end = clock.at(times.end);
    let mut sample = sample(schedule, clock, times, look, end);
    match sample.verdict {
        SampleVerdict::Good if times.end - times.start > schedule.good_within => {
            sample.verdict = SampleVerdict::Bad(ErrorClass::TooSlow);
            sample.detail = Some(format!(
                "took {:.3} s",
                sample.end.saturating_sub(sample.start).as_secs_f64()
            ));
        }
        SampleVerdict::Good | SampleVerdict::Bad(_) | SampleVerdict::Void(_) => {}
    }
    // An ill prober makes failures, never successes: only what failed is doubted.
    if matches!(sample.verdict, SampleVerdict::Bad(_))
        && control.failed_between(times.start, times.end)
    {
        sample.verdict = SampleVerdict::Void(VoidReason::ControlFailed);
    }
    sample
}

fn sample(schedule: &Schedule, clock: &Clock, times: Times, look: Look, end: Duration) -> Sample {
    let at = |instant: Option<Instant>| instant.map(|instant| clock.at(instant));
    Sample {
        probe: schedule.name.clone(),
        seq: u64::from(times.seq),
        scheduled: clock.at(times.due),
        start: clock.at(times.start),
        end,
        verdict: match look.trouble {
            None => SampleVerdict::Good,
            Some(Trouble::Bad(class)) => SampleVerdict::Bad(class),
            Some(Trouble::Void(reason)) => SampleVerdict::Void(reason),
        },
        tier: look.tier,
        phases: PhaseTimes {
            resolved: at(look.resolved),
            connected: at(look.connected),
            secured: at(look.secured),
            first_byte: at(look.first_byte),
        },
        status: look.status,
        address: look.address,
        headers: look.headers,
        found: look.found,
        answers: look.answers,
        ttl: look.ttl,
        response_code: look.response_code,
        detail: look.detail,
    }
}
