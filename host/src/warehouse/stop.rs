//! Stops what the connections of one warehouse are doing: the statement under way is interrupted, the next is refused.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use duckdb::{Connection, InterruptHandle};
use tokio::sync::watch;

use super::Warehouse;
use crate::error::{Error, Kind, Result};

/// Shared by all connections to one warehouse.
#[derive(Default)]
pub(super) struct Stop {
    stopped: AtomicBool,
    connections: Mutex<Vec<Weak<InterruptHandle>>>,
}

impl Stop {
    /// Makes a connection one of those that stop.
    pub(super) fn register(&self, connection: &Connection) {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.retain(|handle| handle.strong_count() > 0);
        connections.push(Arc::downgrade(&connection.interrupt_handle()));
    }

    /// An error where work should stop.
    pub(super) fn check(&self) -> Result<()> {
        if self.stopped.load(Ordering::Acquire) { Err(Error::new(Kind::Interrupted, "stopped")) } else { Ok(()) }
    }

    fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        let connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.iter().filter_map(Weak::upgrade).for_each(|handle| handle.interrupt());
    }
}

/// While it lives, a word on the channel stops the warehouse; afterwards it works again, to note how the run ended.
pub struct Stopping {
    stop: Arc<Stop>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Stopping {
    fn drop(&mut self) {
        self.task.abort();
        self.stop.stopped.store(false, Ordering::Release);
    }
}

/// Interrupts the statement that one connection is at, from any thread.
#[derive(Clone)]
pub struct Interrupter(Arc<InterruptHandle>);

impl Interrupter {
    /// Ends it with an error; nothing where there is none.
    pub fn interrupt(&self) {
        self.0.interrupt();
    }
}

impl Warehouse {
    /// What interrupts this connection.
    #[must_use]
    pub fn interrupter(&self) -> Interrupter {
        Interrupter(self.connection.interrupt_handle())
    }

    /// Stops work on all connections once the channel says so.
    #[must_use]
    pub fn stop_when(&self, stopped: &watch::Receiver<bool>) -> Stopping {
        let (stop, mut stopped) = (Arc::clone(&self.stop), stopped.clone());
        let watched = Arc::clone(&stop);
        let task = tokio::spawn(async move {
            // A channel without sender can say nothing any more.
            if stopped.wait_for(|stopped| *stopped).await.is_ok() {
                watched.stop();
            }
        });
        Stopping { stop, task }
    }
}

#[cfg(test)]
mod tests {
    use super::Warehouse;
    use crate::error::Kind;
    use tokio::sync::watch;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_long_statement_stops() {
        let warehouse = Warehouse::memory().expect("DuckDB in memory");
        let (sender, stopped) = watch::channel(false);
        let stopping = warehouse.stop_when(&stopped);
        let other = warehouse.another().expect("another connection");
        let long = std::thread::spawn(move || {
            other.execute("SELECT count(*) FROM range(1000000000) a, range(1000000000) b WHERE a.range * b.range = 7")
        });
        sender.send_replace(true);
        let ended = tokio::task::spawn_blocking(|| long.join()).await.expect("a task").expect("a thread");
        assert_eq!(ended.expect_err("it was stopped").kind, Kind::Interrupted);
        assert_eq!(warehouse.execute("SELECT 1").expect_err("stopped").kind, Kind::Interrupted);
        drop(stopping);
        assert!(warehouse.execute("SELECT 1").is_ok());
    }
}
