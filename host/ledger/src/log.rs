//! The logs of runs.

use host_core::error::Result;
use host_warehouse::Warehouse;

/// The number of newest runs whose logs are kept.
const KEPT_RUNS: u32 = 200;

/// The level of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Normal progress.
    Info,
    /// A problem that did not fail the run.
    Warn,
    /// A failure.
    Error,
}

impl LogLevel {
    /// The name in tables and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// A line of a run's log.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct LogLine {
    /// Its number within the run, from 0.
    pub line: u64,
    /// When it was logged, RFC 3339.
    pub at: String,
    /// Its level.
    pub level: LogLevel,
    /// Its text.
    pub message: String,
}

/// Writes lines of a run's log.
///
/// # Errors
/// Same as [`Warehouse::execute`].
pub fn write(warehouse: &Warehouse, load_id: &str, lines: &[LogLine]) -> Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    warehouse.transaction(|| {
        lines.iter().try_for_each(|LogLine { line, at, level, message }| {
            let sql = "INSERT INTO _host.log VALUES (?, ?, ?::TIMESTAMPTZ, ?, ?)";
            warehouse.change(sql, (load_id, *line, at, level.name(), message)).map(drop)
        })
    })
}

/// Appends a line to the log of a run that has ended.
///
/// # Errors
/// Same as [`Warehouse::execute`].
pub fn append(warehouse: &Warehouse, load_id: &str, level: LogLevel, message: &str) -> Result<()> {
    let sql =
        "INSERT INTO _host.log SELECT ?1, coalesce(max(line) + 1, 0), now(), ?2, ?3 FROM _host.log WHERE load_id = ?1";
    warehouse.change(sql, (load_id, level.name(), message)).map(drop)
}

/// The log of a run.
///
/// # Errors
/// Same as [`Warehouse::query_as`].
pub fn read(warehouse: &Warehouse, load_id: &str) -> Result<Vec<LogLine>> {
    let sql = "SELECT line, strftime(logged_at, '%Y-%m-%dT%H:%M:%S.%fZ') AS at, level, message FROM _host.log \
               WHERE load_id = ? ORDER BY line";
    warehouse.query_as(sql, [load_id])
}

/// Deletes the lines for which a condition is true. `condition` returns the SQL for a column.
///
/// # Errors
/// Same as [`Warehouse::execute`].
pub fn redact(warehouse: &Warehouse, condition: &dyn Fn(&str) -> String) -> Result<()> {
    warehouse.execute(&format!("DELETE FROM _host.log WHERE {}", condition("message")))
}

/// Deletes the logs of all but the newest runs.
pub(crate) fn compact(warehouse: &Warehouse) -> Result<()> {
    let kept = format!("SELECT load_id FROM _host.run_starts ORDER BY load_id DESC LIMIT {KEPT_RUNS}");
    warehouse.execute(&format!("DELETE FROM _host.log WHERE load_id NOT IN ({kept})"))
}
