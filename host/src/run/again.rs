//! Runs a step again that failed for a reason that may pass, after waits that double.

use std::time::Duration;

use super::Context;
use crate::error::{Error, Kind, Result};
use crate::progress::Event;

/// The longest wait.
const LONGEST: Duration = Duration::from_secs(3600);

/// How often a step is run again, and how long is waited before.
#[derive(Debug, Clone, Copy, Default)]
pub struct Retry {
    /// Tries after the first; none for a command, whose exit code says that it may be run again later.
    pub times: u32,
    /// The first wait; each further one is twice as long.
    pub wait: Duration,
}

impl Context<'_> {
    /// Does the work of a step until it succeeds, fails for good, or was tried often enough.
    pub(super) async fn again<T>(&self, step: &'static str, work: impl AsyncFn() -> Result<T>) -> Result<T> {
        let Retry { times, mut wait } = self.given.retry;
        for _ in 0..times {
            match work().await {
                Err(error) if error.kind == Kind::Unavailable => {
                    self.progress.tell(Event::Again { step, why: error.message, seconds: wait.as_secs() });
                }
                done => return done,
            }
            let mut stop = self.stop.clone();
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = stop.wait_for(|stopped| *stopped) => return Err(Error::new(Kind::Interrupted, "stopped")),
            }
            wait = (wait * 2).min(LONGEST);
        }
        work().await
    }
}
