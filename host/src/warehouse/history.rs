//! The runs of a server as they are told later: why each was started, how it ended, and its log.

use super::{Row, Warehouse};
use crate::error::Result;

/// Runs whose log is kept, newest first.
const LOGGED_RUNS: u32 = 200;

/// When a run began and ended, RFC 3339.
const STARTED: &str = "strftime(started_at, '%Y-%m-%dT%H:%M:%S.%fZ') AS started_at";
const FINISHED: &str = "strftime(finished_at, '%Y-%m-%dT%H:%M:%S.%fZ') AS finished_at";

/// A line of a run's log.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Line {
    /// Its number within the run, from 0 on.
    pub line: u64,
    /// When, RFC 3339.
    pub at: String,
    /// `info`, `warn` or `error`.
    pub level: &'static str,
    /// What happened.
    pub message: String,
}

/// How a run ended.
#[derive(Debug, Clone, Default)]
pub struct Ended {
    /// `ok`, `partial`, `failed`, `cancelled` or `interrupted`.
    pub status: &'static str,
    /// Why; empty where all went well.
    pub message: String,
    /// How to mend it; empty where that is not known.
    pub hint: String,
    /// The step that it was at.
    pub step: String,
    /// What became of streams and models, as JSON.
    pub nodes: String,
    /// The report, as JSON; empty where there is none.
    pub report: String,
}

impl Warehouse {
    /// Notes that a server starts a run: why, and with which options, as JSON.
    pub fn open_run(&self, load_id: &str, pipeline: &str, cause: &str, options: &str) -> Result<()> {
        let sql = "INSERT INTO _host.runs (load_id, pipeline, command, started_at, status, cause, options) \
                   VALUES (?, ?, 'run', now(), 'running', ?, ?)";
        self.change(sql, &[load_id, pipeline, cause, options])?;
        let old =
            "DELETE FROM _host.log WHERE load_id NOT IN (SELECT load_id FROM _host.runs ORDER BY load_id DESC LIMIT ?)";
        self.change(&old.replace('?', &LOGGED_RUNS.to_string()), &[]).map(drop)
    }

    /// Notes how it ended.
    pub fn close_run(&self, load_id: &str, ended: &Ended) -> Result<()> {
        let Ended { status, message, hint, step, nodes, report } = ended;
        let sql = "UPDATE _host.runs SET finished_at = now(), status = ?, message = nullif(?, ''), hint = nullif(?, ''), \
                   step = nullif(?, ''), nodes = nullif(?, ''), report = nullif(?, '') WHERE load_id = ?";
        self.change(sql, &[status, message, hint, step, nodes, report, load_id]).map(drop)
    }

    /// Marks runs that ended with their process; gives back what is known of them, the newest last.
    pub fn interrupt_runs(&self) -> Result<Vec<Row>> {
        let running = self.query("SELECT * FROM _host.runs WHERE status = 'running' ORDER BY load_id", &[])?;
        let sql = "UPDATE _host.runs SET status = 'interrupted', message = 'the process ended during the run' \
                   WHERE status = 'running'";
        self.execute(sql)?;
        Ok(running)
    }

    /// Runs, the newest first, of a pipeline and of a status where these are not empty.
    pub fn runs(&self, pipeline: &str, status: &str, limit: u32, offset: u32) -> Result<Vec<Row>> {
        let sql = format!(
            "SELECT load_id AS run, pipeline, command, cause, {STARTED}, {FINISHED}, status, message, step, \
             date_part('epoch', coalesce(finished_at, now()) - started_at) AS seconds \
             FROM _host.runs WHERE (?1 = '' OR pipeline = ?1) AND (?2 = '' OR status = ?2) \
             ORDER BY load_id DESC LIMIT {limit} OFFSET {offset}"
        );
        self.query(&sql, &[pipeline, status])
    }

    /// How many runs there are, of a pipeline and of a status where these are not empty.
    pub fn count_runs(&self, pipeline: &str, status: &str) -> Result<u64> {
        let sql = "SELECT count(*) FROM _host.runs WHERE (?1 = '' OR pipeline = ?1) AND (?2 = '' OR status = ?2)";
        let count = self.value(sql, &[pipeline, status])?;
        Ok(count.and_then(|count| count.parse().ok()).unwrap_or_default())
    }

    /// One run with all that is known of it; none where there is no such run.
    pub fn run(&self, load_id: &str) -> Result<Option<Row>> {
        let sql = format!(
            "SELECT load_id AS run, * EXCLUDE (load_id, started_at, finished_at), {STARTED}, {FINISHED}, \
             date_part('epoch', coalesce(finished_at, now()) - started_at) AS seconds \
             FROM _host.runs WHERE load_id = ?"
        );
        Ok(self.query(&sql, &[load_id])?.into_iter().next())
    }

    /// The steps of a run, in the order in which they were noted.
    pub fn steps(&self, load_id: &str) -> Result<Vec<Row>> {
        let sql = "SELECT step, name, rows_read, rows_changed, requests, seconds FROM _host.steps WHERE load_id = ? \
                   ORDER BY array_position(['extract', 'clean', 'marts'], step), rowid";
        self.query(sql, &[load_id])
    }

    /// Each stream's and model's last step, whichever run did it.
    pub fn last_steps(&self) -> Result<Vec<Row>> {
        let sql = "SELECT step, name, max_by({'run': load_id, 'rows': rows_read, 'changed': rows_changed, 'seconds': seconds}, \
                   load_id) AS last FROM _host.steps GROUP BY step, name";
        let sql = format!("SELECT step, name, last.run, last.rows, last.changed, last.seconds FROM ({sql})");
        self.query(&sql, &[])
    }

    /// Notes lines of a run's log.
    pub fn write_log(&self, load_id: &str, lines: &[Line]) -> Result<()> {
        self.transaction(|| {
            lines.iter().try_for_each(|Line { line, at, level, message }| {
                let sql = "INSERT INTO _host.log VALUES (?, ?::BIGINT, ?::TIMESTAMPTZ, ?, ?)";
                self.change(sql, &[load_id, &line.to_string(), at, level, message]).map(drop)
            })
        })
    }

    /// A run's log.
    pub fn read_log(&self, load_id: &str) -> Result<Vec<Row>> {
        let sql = "SELECT line, strftime(logged_at, '%Y-%m-%dT%H:%M:%S.%fZ') AS at, level, message FROM _host.log \
                   WHERE load_id = ? ORDER BY line";
        self.query(sql, &[load_id])
    }

    /// Adds a line to the log of a run that has ended.
    pub fn append_log(&self, load_id: &str, level: &str, message: &str) -> Result<()> {
        let sql = "INSERT INTO _host.log SELECT ?1, coalesce(max(line) + 1, 0), now(), ?2, ?3 FROM _host.log WHERE load_id = ?1";
        self.change(sql, &[load_id, level, message]).map(drop)
    }

    /// How the run before this one ended, of those that came to an end of their own.
    pub fn last_outcome(&self, pipeline: &str, before: &str) -> Result<Option<String>> {
        let sql = "SELECT max_by(status, load_id) FROM _host.runs WHERE pipeline = ? AND load_id < ? \
                   AND status IN ('ok', 'partial', 'failed')";
        self.value(sql, &[pipeline, before])
    }

    /// When a pipeline last succeeded, RFC 3339.
    pub fn last_success(&self, pipeline: &str) -> Result<Option<String>> {
        self.time("finished_at", "status IN ('ok', 'partial')", pipeline)
    }

    /// When a run of a pipeline last began, RFC 3339.
    pub fn last_start(&self, pipeline: &str) -> Result<Option<String>> {
        self.time("started_at", "command = 'run'", pipeline)
    }

    fn time(&self, column: &str, condition: &str, pipeline: &str) -> Result<Option<String>> {
        let sql = format!(
            "SELECT strftime(max({column}), '%Y-%m-%dT%H:%M:%S.%fZ') FROM _host.runs WHERE {condition} AND pipeline = ?"
        );
        self.value(&sql, &[pipeline])
    }
}
