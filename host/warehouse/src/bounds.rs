//! Bounds for the SQL of a project: a time limit for its statements, and a limit of the memory that one of them may take.

use std::sync::atomic::Ordering;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use host_core::error::{Error, Kind, Result};

use crate::{Interrupter, Warehouse};

/// The time limit of a query of a project outside of pages, other than those of models.
pub const QUERY_TIME: Duration = Duration::from_secs(60);

/// How often the statements of a connection are interrupted after its time limit, until its work ends: an interrupt that
/// falls between two statements has no effect.
const INTERRUPT_INTERVAL: Duration = Duration::from_millis(20);

/// What the process may take in addition to DuckDB's memory limit while a query of a project runs, in bytes: plugins and
/// pages of other threads need memory too.
#[cfg(target_os = "linux")]
const MEMORY_OF_OTHERS: u64 = 4 << 30;

impl Warehouse {
    /// Runs the work of this connection within a time limit. Its statements are interrupted then, and later ones refused.
    /// None limits only memory: DuckDB's own limit does not cover the values of some functions, such as `range`. On Linux the
    /// allocation of a value that exceeds it by more than 4 GiB fails.
    ///
    /// # Errors
    /// The error of `work`, and work that took too long.
    pub fn bounded<T>(&self, limit: Option<Duration>, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let _memory = self.memory_guard();
        let Some(limit) = limit else { return work() };
        let watch = Watch::default();
        let interrupter = self.interrupter();
        let (done, is_late) = std::thread::scope(|scope| {
            let watcher = scope.spawn(|| watch.run(limit, &interrupter));
            let done = {
                // Also ends the watcher if the work panics.
                let _end = EndOnDrop(&watch);
                work()
            };
            (done, watcher.join().unwrap_or_default())
        });
        self.is_stopped.store(false, Ordering::Release);
        match done {
            Err(error) if is_late && error.kind == Kind::Interrupted => {
                let error = Error::config(format!("the query took more than {} s", limit.as_secs_f64()));
                Err(error.hint("let it read fewer rows, or build a model of its result"))
            }
            done => done,
        }
    }

    /// Same as [`Warehouse::bounded`], in a transaction in which tables cannot change.
    ///
    /// # Errors
    /// Same as [`Warehouse::bounded`].
    pub fn read_bounded<T>(&self, limit: Duration, work: impl FnOnce() -> Result<T>) -> Result<T> {
        // The transaction ends after the last interrupt.
        self.read_only(|| self.bounded(Some(limit), work))
    }

    fn memory_guard(&self) -> MemoryGuard {
        MemoryGuard::new(self.memory_limit())
    }
}

/// Interrupts a connection after a time limit, until its work ends.
#[derive(Default)]
struct Watch {
    is_done: Mutex<bool>,
    changed: Condvar,
}

impl Watch {
    /// Waits until the work ends. Returns whether it was late.
    fn run(&self, limit: Duration, interrupter: &Interrupter) -> bool {
        let end = Instant::now() + limit;
        let mut is_done = self.is_done.lock().unwrap_or_else(PoisonError::into_inner);
        let mut is_late = false;
        while !*is_done {
            let wait = end.saturating_duration_since(Instant::now());
            if wait.is_zero() {
                is_late = true;
                interrupter.interrupt();
            }
            let wait = if wait.is_zero() { INTERRUPT_INTERVAL } else { wait };
            is_done = self.changed.wait_timeout(is_done, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
        is_late
    }
}

struct EndOnDrop<'a>(&'a Watch);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        *self.0.is_done.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.changed.notify_all();
    }
}

/// Limits the memory that the process may take while it exists.
struct MemoryGuard;

#[cfg(target_os = "linux")]
mod limit {
    use std::sync::{Mutex, PoisonError};

    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    /// The guards that exist, and the soft limit before the first of them.
    static GUARDS: Mutex<(usize, Option<u64>)> = Mutex::new((0, None));

    fn set(soft: Option<u64>) {
        let current = getrlimit(Resource::Data);
        let soft = match (soft, current.maximum) {
            (Some(soft), Some(hard)) => Some(soft.min(hard)),
            (soft, _) => soft,
        };
        // Without the limit, the query runs as it would without this guard.
        let _ = setrlimit(Resource::Data, Rlimit { current: soft, maximum: current.maximum });
    }

    /// The private memory of the process, in bytes.
    fn taken() -> Option<u64> {
        let text = std::fs::read_to_string("/proc/self/statm").ok()?;
        let pages: u64 = text.split_whitespace().nth(5)?.parse().ok()?;
        Some(pages.saturating_mul(rustix::param::page_size() as u64))
    }

    pub(super) fn begin(more: u64) {
        let mut guards = GUARDS.lock().unwrap_or_else(PoisonError::into_inner);
        let current = getrlimit(Resource::Data).current;
        if guards.0 == 0 {
            guards.1 = current;
        }
        guards.0 += 1;
        let Some(taken) = taken() else { return };
        let wanted = taken.saturating_add(more);
        // Of several queries, the latest has the room that it needs. A limit from outside of the process holds.
        set(Some(guards.1.map_or(wanted, |before| before.min(wanted))));
    }

    pub(super) fn end() {
        let mut guards = GUARDS.lock().unwrap_or_else(PoisonError::into_inner);
        guards.0 = guards.0.saturating_sub(1);
        if guards.0 == 0 {
            set(guards.1);
        }
    }
}

impl MemoryGuard {
    #[cfg(target_os = "linux")]
    fn new(memory_limit: u64) -> Self {
        limit::begin(memory_limit.saturating_add(MEMORY_OF_OTHERS));
        Self
    }

    #[cfg(not(target_os = "linux"))]
    fn new(_: u64) -> Self {
        Self
    }
}

impl Drop for MemoryGuard {
    fn drop(&mut self) {
        #[cfg(target_os = "linux")]
        limit::end();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use host_core::error::{FaultClass, Kind};

    use crate::Warehouse;

    const ENDLESS: &str = "SELECT count(*) FROM range(1000000000) a, range(1000000000) b WHERE a.range * b.range = 7";

    #[test]
    fn work_that_takes_too_long_is_interrupted_whichever_statement_runs() {
        let warehouse = Warehouse::memory().expect("DuckDB in memory");
        let limit = Some(Duration::from_millis(50));
        let error = warehouse.bounded(limit, || warehouse.execute(ENDLESS)).expect_err("too long");
        assert_eq!((error.kind, error.message().as_str()), (Kind::Config, "the query took more than 0.05 s"));
        // Work of many short statements, of which some ignore errors.
        let many = || {
            while warehouse.execute("SELECT 1").is_ok() {}
            warehouse.execute("SELECT 1")
        };
        assert_eq!(warehouse.bounded(limit, many).expect_err("too long").kind, Kind::Config);
        assert!(warehouse.execute("SELECT 1").is_ok(), "the connection works again");
    }

    #[test]
    fn tables_cannot_change_in_bounded_reads() {
        let warehouse = Warehouse::memory().expect("DuckDB in memory");
        warehouse.execute("CREATE TABLE t AS SELECT 1 AS a").expect("a table");
        let limit = Duration::from_secs(60);
        assert!(warehouse.read_bounded(limit, || warehouse.execute("DELETE FROM t")).is_err());
        assert_eq!(warehouse.read_bounded(limit, || warehouse.count("SELECT a FROM t", ())).expect("a row"), 1);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_value_of_many_gigabytes_is_an_error() {
        let warehouse = Warehouse::memory().expect("DuckDB in memory");
        let sql = "SELECT list_sum(range(4000000000 + length(version())))";
        let error = warehouse.bounded(None, || warehouse.execute(sql)).expect_err("32 GB");
        assert!(error.is_fault(FaultClass::Memory), "{error:?}");
        assert!(warehouse.execute("SELECT 1").is_ok());
    }
}
