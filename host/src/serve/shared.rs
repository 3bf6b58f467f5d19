//! A warehouse that is open once for the whole process: connections of it for runs, and a few that pages read through.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::error::{Error, Result};
use crate::warehouse::{Interrupter, Warehouse};

/// Pages that read at once; others wait for their turn.
const READERS: usize = 8;
/// How long a page's statements may take.
const LONGEST_READ: Duration = Duration::from_secs(20);

/// One warehouse file of the process.
pub(super) struct Shared {
    path: PathBuf,
    first: Mutex<Warehouse>,
    idle: Mutex<Vec<Warehouse>>,
    readers: Semaphore,
    runs_ended: AtomicU64,
}

impl Shared {
    /// Opens the file, or makes it.
    pub(super) fn open(path: PathBuf, memory_limit: &str) -> Result<Self> {
        let first = Mutex::new(Warehouse::open(&path, memory_limit)?);
        Ok(Self {
            path,
            first,
            idle: Mutex::new(Vec::new()),
            readers: Semaphore::new(READERS),
            runs_ended: AtomicU64::new(0),
        })
    }

    /// Notes that a run ended, whatever it changed.
    pub(super) fn run_ended(&self) {
        self.runs_ended.fetch_add(1, Ordering::Relaxed);
    }

    /// How many runs ended.
    pub(super) fn runs_ended(&self) -> u64 {
        self.runs_ended.load(Ordering::Relaxed)
    }

    /// The file.
    pub(super) fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// A connection of its own, which nobody else's stop stops.
    pub(super) fn connect(&self) -> Result<Warehouse> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).apart()
    }

    /// Reads for a page, on a thread that may block. What takes too long is interrupted, and so is what a page that is
    /// gone had asked.
    pub(super) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Warehouse) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let _turn = self.readers.acquire().await.map_err(|cause| Error::internal(cause.to_string()))?;
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = idle.map_or_else(|| self.connect(), Ok)?;
        let mut reading = Reading { interrupter: Some(connection.interrupter()) };
        let mut task = tokio::task::spawn_blocking(move || {
            let done = work(&connection);
            (connection, done)
        });
        let joined = match tokio::time::timeout(LONGEST_READ, &mut task).await {
            Ok(joined) => joined,
            Err(_) => {
                reading.interrupt();
                let seconds = LONGEST_READ.as_secs();
                return Err(Error::unavailable(format!("the answer took more than {seconds} s")));
            }
        };
        reading.interrupter = None;
        let (connection, done) = joined.map_err(|cause| Error::internal(format!("a page's query ended: {cause}")))?;
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        done
    }
}

/// A page's query under way; dropped before its end, it ends it.
struct Reading {
    interrupter: Option<Interrupter>,
}

impl Reading {
    fn interrupt(&mut self) {
        if let Some(interrupter) = self.interrupter.take() {
            interrupter.interrupt();
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.interrupt();
    }
}
