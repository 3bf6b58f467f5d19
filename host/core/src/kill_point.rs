//! Named points at which a test ends or holds the process, to see what a crash leaves there. A release build has none.

/// The environment variable that names a point: `NAME` ends the process there, `NAME=FIFO` holds it there until the other
/// end of the named pipe is closed. `NAME@2` means the second time that the point is reached.
#[cfg(debug_assertions)]
const VARIABLE: &str = "HOST_KILL_POINT";

/// Ends or holds the process if the environment variable `HOST_KILL_POINT` names this point: `rewrite.renamed` ends it as
/// `kill -9` would, without a destructor; `rewrite.renamed=FIFO` opens the named pipe `FIFO`, so that a test that opens it too
/// knows that the point is reached, and continues when the test closes it. `rewrite.renamed@2` means the second time.
///
/// A release build does nothing here and reads no variable.
#[cfg(debug_assertions)]
pub fn kill_point(name: &str) {
    use std::collections::BTreeMap;
    use std::sync::{LazyLock, Mutex, PoisonError};

    static WANTED: LazyLock<Option<String>> = LazyLock::new(|| std::env::var(VARIABLE).ok());
    static REACHED: Mutex<BTreeMap<String, u64>> = Mutex::new(BTreeMap::new());

    let Some(wanted) = WANTED.as_deref() else { return };
    let (point, pipe) = wanted.split_once('=').map_or((wanted, None), |(point, pipe)| (point, Some(pipe)));
    let (point, times) = point.split_once('@').map_or((point, 1), |(point, times)| (point, times.parse().unwrap_or(1)));
    if point != name {
        return;
    }
    let reached = {
        let mut reached = REACHED.lock().unwrap_or_else(PoisonError::into_inner);
        let count = reached.entry(name.to_owned()).or_default();
        *count += 1;
        *count
    };
    if reached != times {
        return;
    }
    match pipe {
        // The test ends the wait by closing its end, and notices itself if the pipe cannot be read.
        Some(pipe) => drop(std::fs::read(pipe)),
        None => std::process::abort(),
    }
}

/// Nothing: a release build has no points.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub const fn kill_point(_name: &str) {}
