//! Runs: when each started, its trigger, and how it ended. Starts and ends are inserted; the latest end of a run counts.

use std::collections::BTreeMap;

use host_core::error::Result;
use host_warehouse::Warehouse;
use serde_json::Value;

use crate::json_text;
use crate::steps::StepName;

/// The status of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// It waits for its warehouse.
    Queued,
    /// It is active.
    Running,
    /// A stop was requested, and it has not ended yet.
    Stopping,
    /// It completed.
    Ok,
    /// A stream was skipped, or its first load is not complete.
    Partial,
    /// It failed.
    Failed,
    /// A person stopped it.
    Cancelled,
    /// Its process ended during the run.
    Interrupted,
}

impl RunStatus {
    /// The name in tables and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Ok => "ok",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
        }
    }

    /// Whether the run completed, at least in part.
    #[must_use]
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Ok | Self::Partial)
    }
}

/// What started a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Trigger {
    /// A person, on a page.
    #[serde(rename = "asked")]
    Manual,
    /// The pipeline's schedule.
    #[serde(rename = "schedule")]
    Schedule,
    /// The server, because the process of an earlier run had ended during it.
    #[serde(rename = "resume")]
    Resume,
}

impl Trigger {
    /// The name in tables and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Manual => "asked",
            Self::Schedule => "schedule",
            Self::Resume => "resume",
        }
    }
}

/// The status of a stream or a model in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeStatus {
    /// Being read, cleaned or built.
    Running,
    /// Finished.
    Done,
    /// Failed.
    Failed,
    /// Not finished, because the run ended for another reason.
    Stopped,
}

/// The state of a stream or a model in a run.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct NodeState {
    /// Its status.
    pub status: NodeStatus,
    /// Rows so far.
    #[serde(default)]
    pub rows: Option<u64>,
    /// Rows expected, if known.
    #[serde(default)]
    pub total: Option<u64>,
    /// Duration so far, in seconds.
    #[serde(default)]
    pub seconds: f64,
}

/// Streams and models of a run, by `stream:…`, `clean:…` or `model:…`.
pub type Nodes = BTreeMap<String, NodeState>;

/// A run as lists show it.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct RunSummary {
    /// The run's id.
    pub run: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// The command: `run`, `clean`, `build` or `forget`.
    pub command: String,
    /// What started it. None for a command.
    #[serde(rename = "cause")]
    pub trigger: Option<Trigger>,
    /// When it started, RFC 3339.
    pub started_at: Option<String>,
    /// When it ended, RFC 3339. None while it is active, and if its process ended during it.
    pub finished_at: Option<String>,
    /// Duration in seconds, if known.
    pub seconds: Option<f64>,
    /// Its status.
    pub status: RunStatus,
    /// Why it failed, or what was skipped.
    pub message: Option<String>,
    /// The step at which it failed.
    pub step: Option<StepName>,
}

/// Everything that is recorded about a run.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct RunRecord {
    /// The part that lists show.
    #[serde(flatten)]
    pub summary: RunSummary,
    /// How to fix what failed.
    pub hint: Option<String>,
    /// The request, as JSON.
    #[serde(rename = "options", deserialize_with = "json_text::read")]
    pub request: Value,
    /// Streams and models.
    #[serde(deserialize_with = "json_text::read")]
    pub nodes: Option<Nodes>,
    /// The report, as JSON.
    #[serde(deserialize_with = "json_text::read")]
    pub report: Value,
}

/// The start of a run.
#[derive(Debug, Clone)]
pub struct RunStart<'a> {
    /// The run's id.
    pub load_id: &'a str,
    /// The pipeline's name.
    pub pipeline: &'a str,
    /// The command.
    pub command: &'a str,
    /// What started it. None for a command.
    pub trigger: Option<Trigger>,
    /// The request, as JSON.
    pub request: Option<String>,
}

/// The end of a run.
#[derive(Debug, Clone)]
pub struct RunEnd {
    /// How it ended.
    pub status: RunStatus,
    /// Why it failed, or what was skipped.
    pub message: Option<String>,
    /// How to fix what failed.
    pub hint: Option<String>,
    /// The step at which it failed.
    pub step: Option<StepName>,
    /// Streams and models.
    pub nodes: Option<Nodes>,
    /// The report, as JSON.
    pub report: Option<String>,
}

impl RunEnd {
    /// An end with only a status.
    #[must_use]
    pub fn new(status: RunStatus) -> Self {
        Self { status, message: None, hint: None, step: None, nodes: None, report: None }
    }
}

const SUMMARY: &str = "load_id AS run, pipeline, command, cause, \
                       strftime(started_at, '%Y-%m-%dT%H:%M:%S.%fZ') AS started_at, \
                       strftime(finished_at, '%Y-%m-%dT%H:%M:%S.%fZ') AS finished_at, \
                       date_part('epoch', if(status = 'running', now(), finished_at) - started_at) AS seconds, \
                       status, message, step";

/// The id of the last run; none before the first.
///
/// # Errors
/// Same as [`Warehouse::query`].
pub fn last_load_id(warehouse: &Warehouse) -> Result<Option<String>> {
    warehouse.value("SELECT max(load_id) FROM _host.run_starts", ())
}

/// Records the start of a run, unless a server already did. Earlier runs that never ended are marked as interrupted.
///
/// # Errors
/// Same as [`Warehouse::execute`].
pub fn start(warehouse: &Warehouse, start: &RunStart<'_>) -> Result<()> {
    interrupt(warehouse, Some(start.load_id))?;
    let RunStart { load_id, pipeline, command, trigger, request } = start;
    let sql = "INSERT INTO _host.run_starts SELECT ?1, ?2, ?3, now(), ?4, ?5 \
               WHERE NOT EXISTS (SELECT 1 FROM _host.run_starts WHERE load_id = ?1)";
    warehouse.change(sql, (*load_id, *pipeline, *command, trigger.map(Trigger::name), request)).map(drop)
}

/// Records the end of a run.
///
/// # Errors
/// Same as [`Warehouse::execute`].
pub fn end(warehouse: &Warehouse, load_id: &str, end: &RunEnd) -> Result<()> {
    let RunEnd { status, message, hint, step, nodes, report } = end;
    let sql = "INSERT INTO _host.run_ends \
               SELECT ?1, count(*), now(), ?2, ?3, ?4, ?5, ?6, ?7 FROM _host.run_ends WHERE load_id = ?1";
    let nodes = nodes.as_ref().map(json_text::write);
    warehouse.change(sql, (load_id, status.name(), message, hint, step.map(StepName::name), nodes, report)).map(drop)
}

/// Marks all runs without an end as interrupted, except for the active one. Returns them, oldest first.
///
/// # Errors
/// Same as [`Warehouse::execute`].
pub fn interrupt(warehouse: &Warehouse, active: Option<&str>) -> Result<Vec<RunRecord>> {
    let sql = format!(
        "SELECT {SUMMARY}, hint, options, nodes, report FROM _host.runs \
         WHERE status = 'running' AND load_id IS DISTINCT FROM ? ORDER BY load_id"
    );
    let running: Vec<RunRecord> = warehouse.query_as(&sql, [active])?;
    let sql = "INSERT INTO _host.run_ends (load_id, number, status, message) \
               SELECT ?1, count(*), 'interrupted', 'the process ended during the run' FROM _host.run_ends WHERE load_id = ?1";
    running.iter().try_for_each(|run| warehouse.change(sql, [&run.summary.run]).map(drop))?;
    Ok(running)
}

/// How many of a pipeline's last runs, in a row, ended with their process. An erasure does not count: later runs complete
/// it.
///
/// # Errors
/// Same as [`Warehouse::count`].
pub fn deaths_in_a_row(warehouse: &Warehouse, pipeline: &str) -> Result<u64> {
    let sql = "WITH runs AS (SELECT load_id, status = 'interrupted' AND finished_at IS NULL AS is_dead FROM _host.runs \
               WHERE pipeline = ? AND command <> 'forget') \
               SELECT count(*) FROM runs WHERE load_id > coalesce((SELECT max(load_id) FROM runs WHERE NOT is_dead), '')";
    warehouse.count(sql, [pipeline])
}

/// Records why an interrupted run is not resumed, and what to do about it.
///
/// # Errors
/// Same as [`Warehouse::execute`].
pub fn give_up(warehouse: &Warehouse, load_id: &str, message: &str, hint: &str) -> Result<()> {
    // Its process died at an unknown time: the end has none.
    let sql = "INSERT INTO _host.run_ends (load_id, number, status, message, hint) \
               SELECT ?1, count(*), 'interrupted', ?2, ?3 FROM _host.run_ends WHERE load_id = ?1";
    warehouse.change(sql, [load_id, message, hint]).map(drop)
}

/// A filter for a list of runs.
#[derive(Debug, Clone, Default)]
pub struct RunFilter<'a> {
    /// The pipeline's name; all if empty.
    pub pipeline: &'a str,
    /// The name of a status; all if empty.
    pub status: &'a str,
}

/// Up to `limit` runs, newest first.
///
/// # Errors
/// Same as [`Warehouse::query_as`].
pub fn list(warehouse: &Warehouse, filter: &RunFilter<'_>, limit: u32) -> Result<Vec<RunSummary>> {
    let sql = format!(
        "SELECT {SUMMARY} FROM _host.runs WHERE (?1 = '' OR pipeline = ?1) AND (?2 = '' OR status = ?2) \
         ORDER BY load_id DESC LIMIT {limit}"
    );
    warehouse.query_as(&sql, [filter.pipeline, filter.status])
}

/// The newest run of a pipeline. None before the first.
///
/// # Errors
/// Same as [`Warehouse::query_as`].
pub fn last(warehouse: &Warehouse, pipeline: &str) -> Result<Option<RunSummary>> {
    Ok(list(warehouse, &RunFilter { pipeline, status: "" }, 1)?.into_iter().next())
}

/// How many runs pass a filter.
///
/// # Errors
/// Same as [`Warehouse::count`].
pub fn count(warehouse: &Warehouse, filter: &RunFilter<'_>) -> Result<u64> {
    let sql = "SELECT count(*) FROM _host.runs WHERE (?1 = '' OR pipeline = ?1) AND (?2 = '' OR status = ?2)";
    warehouse.count(sql, [filter.pipeline, filter.status])
}

/// All that is known of a run. None if it does not exist.
///
/// # Errors
/// Same as [`Warehouse::query_as`].
pub fn read(warehouse: &Warehouse, load_id: &str) -> Result<Option<RunRecord>> {
    let sql = format!("SELECT {SUMMARY}, hint, options, nodes, report FROM _host.runs WHERE load_id = ?");
    warehouse.query_first(&sql, [load_id])
}

/// The status of the last run of a pipeline before this one that completed or failed. Cancelled and interrupted runs do not
/// count.
///
/// # Errors
/// Same as [`Warehouse::query`].
pub fn status_before(warehouse: &Warehouse, pipeline: &str, load_id: &str) -> Result<Option<RunStatus>> {
    let sql = "SELECT max_by(status, load_id) FROM _host.runs WHERE pipeline = ? AND load_id < ? \
               AND status IN ('ok', 'partial', 'failed')";
    warehouse.value(sql, [pipeline, load_id])
}

/// When a run of a pipeline last succeeded, RFC 3339.
///
/// # Errors
/// Same as [`Warehouse::query`].
pub fn last_success(warehouse: &Warehouse, pipeline: &str) -> Result<Option<String>> {
    let sql = "SELECT strftime(max_by(finished_at, load_id), '%Y-%m-%dT%H:%M:%S.%fZ') FROM _host.runs \
               WHERE status IN ('ok', 'partial') AND pipeline = ?";
    warehouse.value(sql, [pipeline])
}

/// When `host run` of a pipeline last started, RFC 3339.
///
/// # Errors
/// Same as [`Warehouse::query`].
pub fn last_start(warehouse: &Warehouse, pipeline: &str) -> Result<Option<String>> {
    let sql = "SELECT strftime(max_by(started_at, load_id), '%Y-%m-%dT%H:%M:%S.%fZ') FROM _host.runs \
               WHERE command = 'run' AND pipeline = ?";
    warehouse.value(sql, [pipeline])
}

/// When the last run that read a source ended, as DuckDB writes instants.
///
/// # Errors
/// Same as [`Warehouse::query`].
pub fn last_load(warehouse: &Warehouse) -> Result<Option<String>> {
    let sql = "SELECT max_by(finished_at, load_id) FROM _host.runs \
               SEMI JOIN (SELECT load_id FROM _host.steps WHERE step = 'extract') USING (load_id)";
    warehouse.value(sql, ())
}

/// Empties the messages, hints, nodes and reports of runs for which a condition is true. `condition` returns the SQL for a
/// column.
///
/// # Errors
/// Same as [`Warehouse::execute`].
pub fn redact(warehouse: &Warehouse, condition: &dyn Fn(&str) -> String) -> Result<()> {
    ["message", "hint", "nodes", "report"].iter().try_for_each(|column| {
        warehouse.execute(&format!("UPDATE _host.run_ends SET {column} = NULL WHERE {}", condition(column)))
    })
}

/// Deletes ends that a later end of the same run replaces.
pub(crate) fn compact(warehouse: &Warehouse) -> Result<()> {
    warehouse.execute(
        "DELETE FROM _host.run_ends AS old WHERE EXISTS (SELECT 1 FROM _host.run_ends AS new \
         WHERE new.load_id = old.load_id AND new.number > old.number)",
    )
}
