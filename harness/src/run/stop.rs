//! The wish that a run should stop, from a signal or a test.

use tokio::sync::watch;

/// Asks runs to stop.
#[derive(Debug, Clone)]
pub struct Stopper(watch::Sender<Option<String>>);

/// What a run looks at to know whether it should stop.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<Option<String>>);

impl Stopper {
    /// A wish that nobody has uttered yet.
    pub fn new() -> (Self, Stop) {
        let (sender, receiver) = watch::channel(None);
        (Self(sender), Stop(receiver))
    }

    /// Asks every run to stop, naming why: `SIGINT`, `SIGTERM`. The first name stays.
    pub fn stop(&self, why: &str) {
        self.0.send_if_modified(|wish| {
            let first = wish.is_none();
            if first {
                *wish = Some(why.to_owned());
            }
            first
        });
    }
}

impl Stop {
    /// Why the run should stop, if it should.
    pub fn requested(&self) -> Option<String> {
        self.0.borrow().clone()
    }

    /// Waits until the run should stop. Never ends if nobody can ask for it any more.
    pub async fn wait(&mut self) -> String {
        loop {
            if let Some(why) = self.requested() {
                return why;
            }
            if self.0.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}
