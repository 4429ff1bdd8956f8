//! A long run: written to a file event by event, and judged from there.

use std::{io, net::SocketAddr, time::Duration};

use blackstart::{
    episode::Watch,
    timeline::{
        Entry, Event,
        file::{Reader, Writer},
    },
    verdict::Judge,
};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, interval, sleep};

use crate::{EVERY, looking::Looking, measurement, own};

/// From one reading of the memory to the next.
const READING: Duration = Duration::from_secs(10);

/// What came of judging, and what it cost.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Judged {
    samples: u64,
    bytes: u64,
    time: Duration,
    peak: u64,
}

/// Records one probe for so long as the runner does: to disk line by line, and into the watch that it asks. Prints its memory.
pub(crate) async fn record(server: SocketAddr, file: &str, time: Duration) -> io::Result<()> {
    let started = measurement::started(1, EVERY);
    let Event::Run(run) = &started else {
        return Ok(());
    };
    let mut watch = Watch::new(&run.probes[0], 1.0);
    let mut writer = Writer::create(file).map_err(io::Error::other)?;
    let mut write = |at, event| {
        writer
            .append(&Entry { at, event })
            .map_err(io::Error::other)
    };
    write(Duration::ZERO, started.clone())?;

    let mut looking = Looking::start(server, 1).await?;
    let start = Instant::now();
    let over = sleep(time);
    tokio::pin!(over);
    let mut ended = false;
    let mut readings = interval(READING);
    loop {
        tokio::select! {
            () = &mut over, if !ended => {
                ended = true;
                looking.cancel();
            }
            _ = readings.tick() => print_memory(start.elapsed())?,
            event = looking.samples.recv() => match event {
                Some(event) => {
                    if let Event::Sample(sample) = &event {
                        watch.push(sample);
                    }
                    write(looking.clock.now(), event)?;
                }
                None => break,
            },
        }
    }
    print_memory(start.elapsed())?;
    looking.end().await;
    Ok(())
}

fn print_memory(since: Duration) -> io::Result<()> {
    let (now, peak) = own::memory()?;
    println!(
        "| {:.0} s | {} | {} |",
        since.as_secs_f64(),
        own::mebibytes(now),
        own::mebibytes(peak)
    );
    Ok(())
}

/// Judges a record, event by event.
pub(crate) fn judge(file: &str) -> io::Result<Judged> {
    let (drill, environment) = (measurement::drill(), measurement::environment(EVERY));
    let start = Instant::now();
    let mut judge = Judge::new(&drill, &environment);
    for entry in Reader::open(file).map_err(io::Error::other)? {
        judge.push(&entry.map_err(io::Error::other)?);
    }
    let judgement = judge.finish();
    let (_, peak) = own::memory()?;
    Ok(Judged {
        samples: judgement.lanes.iter().map(|lane| lane.samples).sum(),
        bytes: std::fs::metadata(file)?.len(),
        time: start.elapsed(),
        peak,
    })
}

impl Judged {
    /// The figures in a sentence.
    pub(crate) fn sentence(&self) -> String {
        format!(
            "Judging the {} samples of that run from a file of {} took {:.2} s and {} at the peak.",
            self.samples,
            own::mebibytes(self.bytes / 1024),
            self.time.as_secs_f64(),
            own::mebibytes(self.peak),
        )
    }
}
