//! What one store holds: the grants, the limits, the handles, and the last lines that the plugin logged.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::time::Duration;

use wasmtime::component::ResourceTable;
use wasmtime::{StoreLimits, StoreLimitsBuilder};
use wasmtime_wasi::WasiCtx;

use super::connection::Connection;
use super::http::Retry;

/// Linear memory that one instance may grow to.
const MEMORY_LIMIT: usize = 1024 * 1024 * 1024;
/// Log lines kept for the error of a failed plugin.
const LOG_LINES: usize = 20;
/// Warnings kept for the report.
const WARNINGS: usize = 20;

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
    pub(crate) limits: StoreLimits,
    pub(crate) log: VecDeque<String>,
    pub(crate) warnings: Vec<String>,
    /// Requests sent so far.
    pub(crate) requests: u64,
    /// Time of the current call that the host spent on requests.
    pub(crate) host_time: Duration,
    /// How long one call may compute.
    pub(crate) call_time: Duration,
    /// What components of other languages import.
    pub(crate) wasi: WasiCtx,
}

impl State {
    pub(crate) fn new(grants: Grants, call_time: Duration) -> Self {
        let limits = StoreLimitsBuilder::new()
            .memory_size(MEMORY_LIMIT)
            .memories(1)
            .tables(4)
            .table_elements(100_000)
            .instances(8)
            .trap_on_grow_failure(true)
            .build();
        Self {
            grants,
            handles: ResourceTable::new(),
            limits,
            log: VecDeque::new(),
            warnings: Vec::new(),
            requests: 0,
            host_time: Duration::ZERO,
            call_time,
            wasi: super::wasi::nothing(),
        }
    }

    /// Keeps a warning, once, for the report.
    pub(crate) fn warn(&mut self, warning: String) {
        if self.warnings.len() < WARNINGS && !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    pub(crate) fn log(&mut self, line: String) {
        if self.log.len() == LOG_LINES {
            self.log.pop_front();
        }
        self.log.push_back(line);
    }
}
