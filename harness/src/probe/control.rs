//! The control probe: a connection to an echo of our own. When that fails, the prober is ill and its samples say nothing.

use std::{
    collections::VecDeque,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

/// How long the echo may take: hundreds of times what it takes on a healthy machine.
const PATIENCE: Duration = Duration::from_millis(500);
/// How many failures are remembered. They are only asked for within the time-out of a sample.
const REMEMBERED: usize = 256;

/// What the control probe found.
#[derive(Debug, Clone, Default)]
pub struct Control {
    failures: Arc<Mutex<VecDeque<(Instant, Instant)>>>,
    /// When the last look that is over was begun; nothing for a control probe that was not started.
    looked: Option<watch::Receiver<Option<Instant>>>,
}

impl Control {
    /// Starts the echo and the probe, which looks once in `every` until it is cancelled.
    ///
    /// # Errors
    /// If the echo cannot listen on loopback.
    pub async fn start(every: Duration, cancel: CancellationToken) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (looked, receiver) = watch::channel(None);
        let control = Self {
            looked: Some(receiver),
            ..Self::default()
        };
        tokio::spawn(cancel.clone().run_until_cancelled_owned(echo(listener)));
        let watching = control.clone();
        tokio::spawn(cancel.run_until_cancelled_owned(async move {
            let mut ticks = tokio::time::interval(every);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
            loop {
                ticks.tick().await;
                let start = Instant::now();
                if !matches!(
                    tokio::time::timeout(PATIENCE, ask(address)).await,
                    Ok(Ok(()))
                ) {
                    watching.failed(start, Instant::now());
                }
                looked.send_replace(Some(start));
            }
        }));
        Ok(control)
    }

    fn failed(&self, start: Instant, end: Instant) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() == REMEMBERED {
            failures.pop_front();
        }
        failures.push_back((start, end));
    }

    /// Waits until a look that was begun at or after `time` is over, so that all that can be known of the time before is known.
    pub async fn looked_after(&self, time: Instant) {
        if let Some(mut looked) = self.looked.clone() {
            // A control probe that has ended finds nothing more.
            drop(
                looked
                    .wait_for(|begun| begun.is_some_and(|begun| begun >= time))
                    .await,
            );
        }
    }

    /// Whether the control probe failed at any time between the two.
    pub fn failed_between(&self, start: Instant, end: Instant) -> bool {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures
            .iter()
            .any(|&(from, to)| from <= end && start <= to)
    }
}

async fn echo(listener: TcpListener) {
    loop {
        if let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut byte = [0];
                if stream.read_exact(&mut byte).await.is_ok() {
                    // The client hears of a failure as well as we do.
                    drop(stream.write_all(&byte).await);
                }
            });
        } else {
            // Out of file handles: the control probe reports it, and trying again at once would only burn the processor.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn ask(address: SocketAddr) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(&[1]).await?;
    stream.read_exact(&mut [0]).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;
    use crate::{
        probe::{
            BoxFuture, Look, Probe, Trouble,
            poller::{Schedule, poll},
        },
        run::Clock,
        timeline::{ErrorClass, Event, SampleVerdict, VoidReason},
    };

    #[tokio::test]
    async fn a_healthy_machine_has_no_control_failures() {
        let cancel = CancellationToken::new();
        let start = Instant::now();
        let control = Control::start(Duration::from_millis(5), cancel.clone())
            .await
            .unwrap();
        ask_until_ticked().await;
        cancel.cancel();
        assert!(!control.failed_between(start, Instant::now()));
    }

    async fn ask_until_ticked() {
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        for _ in 0..5 {
            ticks.tick().await;
        }
    }

    #[test]
    fn a_failure_counts_for_every_sample_that_was_under_way_at_the_time() {
        let control = Control::default();
        let zero = Instant::now();
        let at = |milliseconds| zero + Duration::from_millis(milliseconds);
        control.failed(at(100), at(200));
        assert!(control.failed_between(at(50), at(100)));
        assert!(control.failed_between(at(150), at(160)));
        assert!(control.failed_between(at(200), at(900)));
        assert!(!control.failed_between(at(0), at(99)));
        assert!(!control.failed_between(at(201), at(300)));
    }

    /// A probe during whose look the control probe fails.
    struct IllProber {
        control: Control,
        trouble: Option<Trouble>,
    }

    impl Probe for IllProber {
        fn look(&self, _: u64) -> BoxFuture<'_, Look> {
            Box::pin(async move {
                let now = Instant::now();
                self.control.failed(now, now);
                Look {
                    trouble: self.trouble,
                    ..Look::default()
                }
            })
        }
    }

    async fn verdict_of_an_ill_prober(trouble: Option<Trouble>) -> SampleVerdict {
        let control = Control::default();
        let probe = Arc::new(IllProber {
            control: control.clone(),
            trouble,
        });
        let schedule = Schedule {
            name: "read".to_owned(),
            every: Duration::from_mins(1),
            phase: Duration::ZERO,
            good_within: Duration::from_mins(1),
            timeout: Duration::from_mins(1),
        };
        let (sender, mut samples) = mpsc::unbounded_channel();
        let cancel = CancellationToken::new();
        let polling = poll(
            probe,
            schedule,
            Clock::start(1.0),
            control,
            sender,
            cancel.clone(),
        );
        let polling = tokio::spawn(polling);
        let Some(Event::Sample(sample)) = samples.recv().await else {
            panic!("no sample")
        };
        cancel.cancel();
        polling.await.unwrap();
        sample.verdict
    }

    #[tokio::test]
    async fn what_fails_while_the_control_probe_fails_says_nothing_and_what_succeeds_stays_good() {
        let refused = Some(Trouble::Bad(ErrorClass::Refused));
        assert_eq!(
            verdict_of_an_ill_prober(refused).await,
            SampleVerdict::Void(VoidReason::ControlFailed)
        );
        assert_eq!(verdict_of_an_ill_prober(None).await, SampleVerdict::Good);
    }
}
