//! A warehouse that the process opens once: separate connections for runs, and a pool of connections for pages.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use host_core::error::{Error, Result};
use host_warehouse::{Interrupter, Warehouse};
use tokio::sync::Semaphore;

/// Pages that read at the same time. Others wait.
const MAX_READERS: usize = 8;
/// The time limit of one page's queries.
const MAX_READ_TIME: Duration = Duration::from_secs(20);

/// One warehouse file of the process.
pub(super) struct SharedWarehouse {
    path: PathBuf,
    /// Never used for queries: other connections are made from it.
    first: Mutex<Warehouse>,
    idle: Mutex<Vec<Warehouse>>,
    readers: Semaphore,
    runs_ended: AtomicU64,
}

impl SharedWarehouse {
    /// Opens the file, or creates it.
    pub(super) fn open(path: PathBuf, memory_limit: &str) -> Result<Self> {
        let first = Mutex::new(host_ledger::open(&path, memory_limit)?);
        Ok(Self {
            path,
            first,
            idle: Mutex::new(Vec::new()),
            readers: Semaphore::new(MAX_READERS),
            runs_ended: AtomicU64::new(0),
        })
    }

    /// Counts a run that ended, so that cached responses are computed again.
    pub(super) fn count_ended_run(&self) {
        self.runs_ended.fetch_add(1, Ordering::Relaxed);
    }

    /// How many runs ended since the server started.
    pub(super) fn runs_ended(&self) -> u64 {
        self.runs_ended.load(Ordering::Relaxed)
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A separate connection. Stopping another connection does not stop it.
    pub(super) fn connect(&self) -> Result<Warehouse> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).connect_separately()
    }

    /// Runs a page's queries on a thread that may block, in a transaction in which tables cannot change. They are
    /// interrupted after a time limit, and if the client closes its connection.
    pub(super) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Warehouse) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let _permit = self.readers.acquire().await.map_err(Error::internal)?;
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = idle.map_or_else(|| self.connect(), Ok)?;
        let mut guard = InterruptGuard { interrupter: Some(connection.interrupter()) };
        let mut task = tokio::task::spawn_blocking(move || {
            // The time limit is below: an interrupted connection runs no further statement.
            let done = connection.bounded(None, || connection.read_only(|| work(&connection)));
            (connection, done)
        });
        let joined = match tokio::time::timeout(MAX_READ_TIME, &mut task).await {
            Ok(joined) => joined,
            Err(_) => {
                guard.interrupt();
                let seconds = MAX_READ_TIME.as_secs();
                return Err(Error::unavailable(format!("the queries of this page took more than {seconds} s")));
            }
        };
        guard.interrupter = None;
        let (connection, done) =
            joined.map_err(|cause| Error::internal(format!("the queries of a page panicked: {cause}")))?;
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        done
    }
}

/// Interrupts a page's query if dropped before the query ends.
struct InterruptGuard {
    interrupter: Option<Interrupter>,
}

impl InterruptGuard {
    fn interrupt(&mut self) {
        if let Some(interrupter) = self.interrupter.take() {
            interrupter.interrupt();
        }
    }
}

impl Drop for InterruptGuard {
    fn drop(&mut self) {
        self.interrupt();
    }
}
