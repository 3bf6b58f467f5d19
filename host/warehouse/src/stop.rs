//! Stops connections: the running statement is interrupted, and the next one is refused.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use duckdb::{Connection, InterruptHandle};
use host_core::error::{Error, Result};
use tokio_util::sync::CancellationToken;

/// Whether the statements of one connection are refused.
pub(crate) type Stopped = Arc<AtomicBool>;

/// Shared by all connections that stop together.
#[derive(Default)]
pub(crate) struct StopState {
    stopped: AtomicBool,
    connections: Mutex<Vec<Weak<InterruptHandle>>>,
}

impl StopState {
    /// Adds a connection to those that stop together.
    pub(crate) fn register(&self, connection: &Connection) {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.retain(|handle| handle.strong_count() > 0);
        connections.push(Arc::downgrade(&connection.interrupt_handle()));
    }

    /// Fails if the connections are stopped.
    pub(crate) fn check(&self) -> Result<()> {
        if self.stopped.load(Ordering::Acquire) { Err(Error::stopped()) } else { Ok(()) }
    }

    fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        let connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.iter().filter_map(Weak::upgrade).for_each(|handle| handle.interrupt());
    }
}

/// Stops connections when a token is cancelled. Once the guard is dropped, they work again, so that the end of the run can be
/// recorded.
pub struct StopGuard {
    state: Arc<StopState>,
    task: tokio::task::JoinHandle<()>,
}

impl StopGuard {
    pub(crate) fn new(state: &Arc<StopState>, token: &CancellationToken) -> Self {
        let (stopped, token) = (Arc::clone(state), token.clone());
        let task = tokio::spawn(async move {
            token.cancelled().await;
            stopped.stop();
        });
        Self { state: Arc::clone(state), task }
    }
}

impl Drop for StopGuard {
    fn drop(&mut self) {
        self.task.abort();
        self.state.stopped.store(false, Ordering::Release);
    }
}

/// Stops one connection, from any thread.
#[derive(Clone)]
pub struct Interrupter {
    handle: Arc<InterruptHandle>,
    is_stopped: Stopped,
}

impl Interrupter {
    pub(crate) fn new(connection: &Connection, is_stopped: &Stopped) -> Self {
        Self { handle: connection.interrupt_handle(), is_stopped: Arc::clone(is_stopped) }
    }

    /// Interrupts the running statement, which then fails, and refuses later ones.
    pub fn interrupt(&self) {
        self.is_stopped.store(true, Ordering::Release);
        self.handle.interrupt();
    }
}

#[cfg(test)]
mod tests {
    use host_core::error::Kind;
    use tokio_util::sync::CancellationToken;

    use crate::Warehouse;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_long_statement_is_interrupted() {
        let warehouse = Warehouse::memory().expect("DuckDB in memory");
        let token = CancellationToken::new();
        let guard = warehouse.stop_on(&token);
        let other = warehouse.connect().expect("another connection");
        let long = std::thread::spawn(move || {
            other.execute("SELECT count(*) FROM range(1000000000) a, range(1000000000) b WHERE a.range * b.range = 7")
        });
        token.cancel();
        let result = tokio::task::spawn_blocking(|| long.join()).await.expect("a task").expect("a thread");
        assert_eq!(result.expect_err("the statement was interrupted").kind, Kind::Interrupted);
        assert_eq!(warehouse.execute("SELECT 1").expect_err("the connections are stopped").kind, Kind::Interrupted);
        drop(guard);
        assert!(warehouse.execute("SELECT 1").is_ok());
    }
}
