//! What one store holds: the grants, the limits, the handles, and the last lines that the plugin logged.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::time::Duration;

use wasmtime::component::ResourceTable;
use wasmtime::{ResourceLimiter, StoreLimits, StoreLimitsBuilder};
use wasmtime_wasi::WasiCtx;

use super::call::CallTime;
use super::connection::Connection;
use super::held::Held;
use super::http::Retry;

/// Linear memory that one instance may grow to.
pub(super) const MEMORY_LIMIT: usize = 1024 * 1024 * 1024;
/// Bytes that a plugin may hand over in one call, by what it answers or asks.
pub(super) const CALL_BYTES: usize = 128 << 20;
/// Requests that it may send in one call, those of earlier calls among them that are still under way.
pub(super) const REQUESTS_A_CALL: u64 = 10_000;
/// Lines that it may write to the log in one call.
const LINES_A_CALL: u32 = 100_000;
/// Characters of a line.
const LINE: usize = 1000;
/// Log lines kept for the error of a failed plugin.
const LOG_LINES: usize = 20;
/// Warnings kept for the report.
const WARNINGS: usize = 20;

/// A plugin's words as far as this many characters, without what a terminal would obey.
pub(super) fn plain(text: impl Into<String>, most: usize) -> String {
    let text = text.into();
    if text.len() <= most && !text.chars().any(char::is_control) {
        return text;
    }
    text.chars().filter(|letter| *letter == '\n' || !letter.is_control()).take(most).collect()
}

/// What the pipeline grants one plugin, by the plugin's own names.
#[derive(Clone, Default)]
pub struct Grants {
    /// Connections.
    pub connections: BTreeMap<String, Connection>,
    /// Files.
    pub files: BTreeMap<String, PathBuf>,
    /// Which answers are worth another try.
    pub retry: Retry,
}

/// The data of a plugin's store.
pub(crate) struct State {
    pub(crate) grants: Grants,
    pub(crate) handles: ResourceTable,
    pub(crate) limits: Limits,
    pub(crate) log: VecDeque<String>,
    pub(crate) warnings: Vec<String>,
    /// Log lines of the current call.
    pub(crate) lines: u32,
    /// Requests sent so far.
    pub(crate) requests: u64,
    /// Requests of the current call, and those under way when it began.
    pub(crate) asked: u64,
    /// Requests whose answers were not taken yet.
    pub(crate) under_way: u64,
    /// What it keeps in the host.
    pub(crate) held: Held,
    /// How long one call may take.
    pub(crate) call_time: CallTime,
    /// What components of other languages import.
    pub(crate) wasi: WasiCtx,
}

impl State {
    pub(crate) fn new(grants: Grants, call_time: Duration) -> Self {
        let limits = StoreLimitsBuilder::new()
            .memory_size(MEMORY_LIMIT)
            .memories(1)
            .tables(64)
            .table_elements(100_000)
            .instances(64)
            .trap_on_grow_failure(true)
            .build();
        Self {
            grants,
            handles: ResourceTable::new(),
            limits: Limits { limits, memory: 0 },
            log: VecDeque::new(),
            warnings: Vec::new(),
            lines: 0,
            requests: 0,
            asked: 0,
            under_way: 0,
            held: Held::new(),
            call_time: CallTime::new(call_time),
            wasi: super::wasi::nothing(),
        }
    }

    /// Keeps a warning, once, for the report.
    pub(crate) fn warn(&mut self, warning: String) {
        if self.warnings.len() < WARNINGS && !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// Keeps a line, and a warning for the report; a plugin that floods the log is ended.
    pub(crate) fn log(&mut self, level: &str, message: &str) -> wasmtime::Result<()> {
        self.lines += 1;
        if self.lines > LINES_A_CALL {
            return Err(wasmtime::Error::msg(format!("wrote more than {LINES_A_CALL} lines to the log in one call")));
        }
        let message = plain(message, LINE).replace('\n', " ");
        let line = format!("{level}: {message}");
        if matches!(level, "warn" | "error") {
            self.warn(message);
        }
        if self.log.len() == LOG_LINES {
            self.log.pop_front();
        }
        self.log.push_back(line);
        Ok(())
    }
}

/// A store's limits, and what of its memory the guest has taken.
pub(crate) struct Limits {
    limits: StoreLimits,
    /// Bytes of linear memory, which never shrinks.
    pub(crate) memory: usize,
}

impl ResourceLimiter for Limits {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let may_grow = self.limits.memory_growing(current, desired, maximum)?;
        if may_grow {
            self.memory = desired;
        }
        Ok(may_grow)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        self.limits.memory_grow_failed(error)
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        self.limits.table_growing(current, desired, maximum)
    }

    fn table_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        self.limits.table_grow_failed(error)
    }

    fn instances(&self) -> usize {
        self.limits.instances()
    }

    fn tables(&self) -> usize {
        self.limits.tables()
    }

    fn memories(&self) -> usize {
        self.limits.memories()
    }
}
