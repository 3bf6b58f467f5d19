//! What every command works with: the pipeline, the plugin engine, progress, the stop token and the clock.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use host_core::clock::Clock;
use host_core::error::{Error, Result};
use host_core::progress::Progress;
use host_ledger::log::LogLine;
use host_ledger::runs::{self, RunStart};
use host_ledger::{compact, models};
use host_plugin::{Engine, PluginFolders};
use host_warehouse::Warehouse;
use tokio_util::sync::CancellationToken;

use crate::logs::RunLog;
use crate::pipeline::Pipeline;

/// What a command works with.
pub struct Session<'a> {
    /// The pipeline.
    pub pipeline: &'a Pipeline,
    /// Runs components.
    pub engine: &'a Engine,
    /// Finds components.
    pub folders: &'a PluginFolders,
    /// Where progress is sent.
    pub progress: &'a Progress,
    /// Cancelled when the run should stop.
    pub stop: CancellationToken,
    /// The source of time and ids.
    pub clock: Clock,
    /// What a server decides for its runs; the default for a command.
    pub server: ServerContext<'a>,
}

/// What a server decides for a run.
#[derive(Clone, Copy, Default)]
pub struct ServerContext<'a> {
    /// The open warehouse: one process opens a file once.
    pub warehouse: Option<&'a Warehouse>,
    /// The id of the run, greater than the last one's. The server records the end of such a run.
    pub load_id: Option<&'a str>,
    /// How often a failed step is retried.
    pub retry: StepRetry,
}

/// How often a step is retried.
#[derive(Debug, Clone, Copy, Default)]
pub struct StepRetry {
    /// Retries after the first attempt. A command has none: its exit code says that it can be run again later.
    pub times: u32,
    /// The wait before the first retry. Each further one is twice as long.
    pub first_delay: Duration,
}

impl Session<'_> {
    /// Opens the warehouse, or connects to the open one.
    ///
    /// # Errors
    /// Same as [`host_ledger::open`].
    pub fn warehouse(&self) -> Result<Warehouse> {
        match self.server.warehouse {
            Some(open) => open.connect_separately(),
            None => host_ledger::open(&self.pipeline.warehouse(), &self.pipeline.file.pipeline.memory_limit),
        }
    }

    /// The warehouse of an earlier run.
    ///
    /// # Errors
    /// A warehouse that does not exist, and as [`Session::warehouse`].
    pub fn existing_warehouse(&self) -> Result<Warehouse> {
        let path = self.pipeline.warehouse();
        if !path.exists() {
            let error = Error::config(format!("the warehouse {} does not exist", path.display()));
            return Err(error.hint("create it with `host run PIPELINE`"));
        }
        self.warehouse()
    }
}

/// A run that has started.
pub(super) struct StartedRun {
    /// Its id.
    pub(super) load_id: String,
    /// When it started, for its duration.
    pub(super) started: std::time::Instant,
    /// The tracing span of everything that the run does.
    pub(super) span: tracing::Span,
    /// Its log. None if a server records it.
    log: Option<BufferedLog>,
}

/// The lines of a run's log that are not yet in the ledger.
struct BufferedLog {
    /// Captures events until it is dropped.
    _capture: RunLog,
    lines: Arc<Mutex<Vec<LogLine>>>,
}

impl StartedRun {
    /// Writes the lines that were logged since the last call to the ledger.
    ///
    /// # Errors
    /// Same as [`host_ledger::log::write`].
    pub(super) fn write_log(&self, warehouse: &Warehouse) -> Result<()> {
        let Some(log) = &self.log else { return Ok(()) };
        let lines = std::mem::take(&mut *log.lines.lock().unwrap_or_else(PoisonError::into_inner));
        host_ledger::log::write(warehouse, &self.load_id, &lines)
    }
}

/// Starts a run: drops leftover tables of earlier runs, deletes replaced facts of the ledger, and records the start.
///
/// # Errors
/// Same as [`Warehouse::execute`].
pub(super) fn start(session: &Session<'_>, warehouse: &Warehouse, command: &str) -> Result<StartedRun> {
    models::drop_leftovers(warehouse)?;
    let load_id = match session.server.load_id {
        Some(given) => given.to_owned(),
        None => session.clock.load_id(runs::last_load_id(warehouse)?.as_deref()),
    };
    let pipeline = &session.pipeline.file.pipeline.name;
    runs::start(warehouse, &RunStart { load_id: &load_id, pipeline, command, trigger: None, request: None })?;
    compact(warehouse)?;
    let started = std::time::Instant::now();
    if session.server.load_id.is_some() {
        // A server keeps the log of its own runs, logs their start, and works in the span of the run.
        return Ok(StartedRun { load_id, started, span: tracing::Span::current(), log: None });
    }
    let log = Some(buffer_log(session, &load_id));
    let span = tracing::info_span!("run", run = %load_id, pipeline);
    span.in_scope(|| tracing::info!(command, "run started"));
    Ok(StartedRun { load_id, started, span, log })
}

fn buffer_log(session: &Session<'_>, load_id: &str) -> BufferedLog {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let buffer = Arc::clone(&lines);
    let keep = move |line| buffer.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    BufferedLog { _capture: RunLog::capture(load_id, session.clock, keep), lines }
}
