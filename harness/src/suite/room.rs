//! Room for one more lab: how many drills at once this machine can measure.
//!
//! A lab runs its clock many times as fast as the wall's, so that a machine that is late by some milliseconds is late by a
//! second of the architecture's time, and what it measures is void. So many at once is a limit and no order: a further lab is
//! started only while the machine still keeps time, and one alone always is.

use std::{sync::Arc, time::Duration};

use tokio::{
    runtime::Handle,
    sync::{Mutex, OwnedSemaphorePermit, Semaphore},
    time::{Instant, MissedTickBehavior, interval},
};

/// From one tick of a look at the machine to the next.
const TICK: Duration = Duration::from_millis(5);
/// The ticks of one look.
const TICKS: usize = 60;
/// How late one tick in ten may be: a fifth of the shortest cadence of the shipped labs, 50 ms on the wall.
const LATE: Duration = Duration::from_millis(10);

/// Places for drills, and a door that opens to one at a time.
#[derive(Debug, Clone)]
pub struct Room {
    places: Arc<Semaphore>,
    size: usize,
    door: Arc<Mutex<()>>,
}

impl Room {
    /// Room for so many, at least for one.
    pub fn new(at_once: usize) -> Self {
        let size = at_once.max(1);
        Self {
            places: Arc::new(Semaphore::new(size)),
            size,
            door: Arc::default(),
        }
    }

    /// Waits for a place. With the threads of labs, for one that the machine has the time for, too.
    pub async fn enter(&self, labs: Option<&Handle>) -> Option<OwnedSemaphorePermit> {
        let _in_turn = self.door.lock().await;
        // Nobody closes it.
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        if let Some(labs) = labs {
            while self.places.available_permits() + 1 < self.size && !keeps_time(labs).await {}
        }
        place
    }
}

/// Whether what runs on these threads is woken in time.
async fn keeps_time(threads: &Handle) -> bool {
    let look = threads.spawn(async {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut late = Vec::with_capacity(TICKS);
        for _ in 0..TICKS {
            let due = ticks.tick().await;
            late.push(Instant::now().saturating_duration_since(due));
        }
        late.sort();
        late[TICKS * 9 / 10]
    });
    look.await.is_ok_and(|late| late < LATE)
}
