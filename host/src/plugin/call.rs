//! The time of a call into a guest: what it computes or sleeps counts, what it waits for the host's requests does not.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::engine::TICK;

/// The time that a call may take.
#[derive(Clone)]
pub(crate) struct CallTime {
    limit: Duration,
    waits: Arc<Mutex<Waits>>,
}

/// How long the host has kept the guest waiting: the waits that ended, and the beginning of one that has not.
#[derive(Default)]
struct Waits {
    ended: Duration,
    since: Option<Instant>,
}

impl CallTime {
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, waits: Arc::default() }
    }

    /// How long a call may take.
    pub(crate) fn limit(&self) -> Duration {
        self.limit
    }

    /// Work that the host does for the guest, at the cost of no time of the guest's.
    pub(crate) async fn give_back<T>(&self, work: impl Future<Output = T>) -> T {
        self.waits().since = Some(Instant::now());
        let done = work.await;
        let mut waits = self.waits();
        let took = waits.since.take().map(|since| since.elapsed());
        waits.ended += took.unwrap_or_default();
        done
    }

    /// Runs a call to its end, or to the end of its time. It must yield while it computes; what is left of it is dropped.
    pub(crate) async fn within<T>(&self, call: impl Future<Output = wasmtime::Result<T>>) -> wasmtime::Result<T> {
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
