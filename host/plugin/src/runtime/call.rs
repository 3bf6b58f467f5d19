//! The time limit of a call into a guest. Time that the guest computes or sleeps counts; time that it waits for the
//! host's requests does not.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How often a guest that computes yields.
pub(super) const TICK: Duration = Duration::from_millis(10);

/// Measures calls against their time limit.
#[derive(Clone)]
pub(super) struct CallTimer {
    limit: Duration,
    waits: Arc<Mutex<Waits>>,
}

/// How long the guest has waited for the host in the current call.
#[derive(Default)]
struct Waits {
    /// All waits that ended.
    ended: Duration,
    /// The start of the current wait.
    since: Option<Instant>,
}

impl CallTimer {
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, waits: Arc::default() }
    }

    /// The time limit of a call.
    pub(super) fn limit(&self) -> Duration {
        self.limit
    }

    /// Does work of the host. Its time does not count against the call.
    pub(super) async fn exclude<T>(&self, work: impl Future<Output = T>) -> T {
        self.waits().since = Some(Instant::now());
        let done = work.await;
        let mut waits = self.waits();
        let took = waits.since.take().map(|since| since.elapsed());
        waits.ended += took.unwrap_or_default();
        done
    }

    /// Runs a call, and drops it once it exceeds its time limit. The call must yield while it computes.
    pub(super) async fn run<T>(&self, call: impl Future<Output = wasmtime::Result<T>>) -> wasmtime::Result<T> {
        *self.waits() = Waits::default();
        let started = Instant::now();
        let mut call = std::pin::pin!(call);
        loop {
            let left = self.limit.saturating_sub(started.elapsed().saturating_sub(self.waited()));
            if left.is_zero() {
                return Err(wasmtime::Trap::Interrupt.into());
            }
            if let Ok(done) = tokio::time::timeout(left.max(TICK), call.as_mut()).await {
                return done;
            }
        }
    }

    fn waited(&self) -> Duration {
        let waits = self.waits();
        waits.ended + waits.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    fn waits(&self) -> MutexGuard<'_, Waits> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
