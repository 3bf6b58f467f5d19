//! The state of one store: the plugin's grants, handles and limits, and the last lines that it logged.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::ResourceTable;
use wasmtime::{ResourceLimiter, StoreLimits, StoreLimitsBuilder};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::call::CallTimer;
use super::grants::Grants;
use super::limits::{CALL_LOG_LINES, GUEST_MEMORY, LimitExceeded, OPEN_FILES};
use super::resources::OpenFile;
use super::text::sanitize_line;
use super::wasi;
use crate::memory::{HostMemory, MemoryBudget, MemoryExceeded, Share};

/// Characters of a log line.
const LINE_CHARS: usize = 1000;
/// Log lines kept for the error of a plugin that traps.
const KEPT_LOG_LINES: usize = 20;
/// Bytes of an element of a table.
const ELEMENT_BYTES: usize = 16;
/// Warnings kept for the report.
const KEPT_WARNINGS: usize = 20;

/// The severity of a log line.
#[derive(Debug, Clone, Copy)]
pub(super) enum PluginLogLevel {
    Debug,
    Info,
    Warn,
    Error,
}

/// The state of a plugin's store.
pub(super) struct State {
    /// The plugin's name.
    pub(super) plugin: String,
    pub(super) grants: Grants,
    pub(super) handles: ResourceTable,
    pub(super) limits: GuestLimits,
    /// The last log lines.
    pub(super) log: VecDeque<String>,
    /// Warnings for the report, without duplicates.
    pub(super) warnings: Vec<String>,
    /// Log lines of the current call.
    pub(super) log_lines: u32,
    /// Requests sent so far.
    pub(super) requests: u64,
    /// Requests of the current call, and those in flight when it started.
    pub(super) call_requests: u64,
    /// Requests whose responses the guest has not taken.
    pub(super) requests_in_flight: u64,
    /// What the plugin holds in the host.
    pub(super) memory: HostMemory,
    /// The copy that an import returns: it exists until the guest has it. The next copy, or the next call, frees it.
    copy: Option<Share>,
    /// One clone for each open file.
    files: Arc<()>,
    pub(super) timer: CallTimer,
    /// What components of other languages import.
    wasi: WasiCtx,
}

impl State {
    pub(super) fn new(plugin: String, grants: Grants, call_time: Duration, budget: &MemoryBudget) -> Self {
        Self {
            plugin,
            grants,
            handles: ResourceTable::new(),
            limits: GuestLimits::new(budget.clone()),
            log: VecDeque::new(),
            warnings: Vec::new(),
            log_lines: 0,
            requests: 0,
            call_requests: 0,
            requests_in_flight: 0,
            memory: HostMemory::new(budget.clone()),
            copy: None,
            files: Arc::new(()),
            timer: CallTimer::new(call_time),
            wasi: wasi::isolated(),
        }
    }

    /// Keeps the memory of a copy that an import returns.
    pub(super) fn keep_copy(&mut self, copy: Share) {
        self.copy = Some(copy);
    }

    /// Frees the last copy, which the guest has by now.
    pub(super) fn free_copy(&mut self) {
        self.copy = None;
    }

    /// Counts a file as open.
    pub(super) fn open_file(&self) -> Result<OpenFile, LimitExceeded> {
        if Arc::strong_count(&self.files) > OPEN_FILES {
            return Err(LimitExceeded::Files);
        }
        Ok(OpenFile { _count: Arc::clone(&self.files) })
    }

    /// Emits a log line as an event, and keeps it for the error of a trap. Warnings and errors are kept for the report.
    pub(super) fn log(&mut self, level: PluginLogLevel, message: &str) -> Result<(), LimitExceeded> {
        self.log_lines += 1;
        if self.log_lines > CALL_LOG_LINES {
            return Err(LimitExceeded::LogLines);
        }
        let message = sanitize_line(message, LINE_CHARS);
        let plugin = self.plugin.as_str();
        let (name, is_warning) = match level {
            PluginLogLevel::Debug => {
                tracing::debug!(target: "plugin", plugin, "{message}");
                ("debug", false)
            }
            PluginLogLevel::Info => {
                tracing::info!(target: "plugin", plugin, "{message}");
                ("info", false)
            }
            PluginLogLevel::Warn => {
                tracing::warn!(target: "plugin", plugin, "{message}");
                ("warn", true)
            }
            PluginLogLevel::Error => {
                tracing::error!(target: "plugin", plugin, "{message}");
                ("error", true)
            }
        };
        if self.log.len() == KEPT_LOG_LINES {
            self.log.pop_front();
        }
        self.log.push_back(format!("{name}: {message}"));
        if is_warning && self.warnings.len() < KEPT_WARNINGS && !self.warnings.contains(&message) {
            self.warnings.push(message);
        }
        Ok(())
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.handles }
    }
}

/// The limits of an instance, and the memory that it has taken.
pub(super) struct GuestLimits {
    limits: StoreLimits,
    budget: MemoryBudget,
    /// Linear memory and tables.
    reserved: Option<Share>,
    /// Bytes of linear memory, which never shrinks.
    pub(super) memory: usize,
}

impl GuestLimits {
    fn new(budget: MemoryBudget) -> Self {
        let limits = StoreLimitsBuilder::new()
            .memories(1)
            .tables(64)
            .table_elements(100_000)
            .instances(64)
            .trap_on_grow_failure(true)
            .build();
        Self { limits, budget, reserved: None, memory: 0 }
    }

    /// Reserves memory until the instance is dropped.
    fn reserve(&mut self, bytes: usize) -> Result<(), MemoryExceeded> {
        if let Some(share) = &mut self.reserved {
            return share.grow_by(bytes);
        }
        self.reserved = Some(self.budget.share(bytes)?);
        Ok(())
    }
}

impl ResourceLimiter for GuestLimits {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if desired > GUEST_MEMORY {
            return Err(LimitExceeded::GuestMemory.into());
        }
        let may_grow = self.limits.memory_growing(current, desired, maximum)?;
        if may_grow {
            self.reserve(desired.saturating_sub(current))?;
            self.memory = desired;
        }
        Ok(may_grow)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        self.limits.memory_grow_failed(error)
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let may_grow = self.limits.table_growing(current, desired, maximum)?;
        if may_grow {
            self.reserve(desired.saturating_sub(current).saturating_mul(ELEMENT_BYTES))?;
        }
        Ok(may_grow)
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

#[cfg(test)]
mod tests {
    use super::{Grants, KEPT_LOG_LINES, KEPT_WARNINGS, PluginLogLevel, State};
    use crate::memory::MemoryBudget;
    use crate::runtime::limits::{CALL_LOG_LINES, OPEN_FILES};
    use std::time::Duration;

    fn state() -> State {
        State::new("mine".to_owned(), Grants::default(), Duration::from_secs(1), &MemoryBudget::default())
    }

    #[test]
    fn the_last_lines_and_distinct_warnings_are_kept() {
        let mut state = state();
        for line in 0..100 {
            state.log(PluginLogLevel::Info, &format!("line {line}")).expect("within the limit");
            state.log(PluginLogLevel::Warn, "twice\nthe same").expect("within the limit");
        }
        assert_eq!(state.log.len(), KEPT_LOG_LINES);
        assert_eq!(state.log.back().map(String::as_str), Some("warn: twice the same"));
        assert_eq!(state.warnings, ["twice the same"]);
        for warning in 0..100 {
            state.log(PluginLogLevel::Error, &warning.to_string()).expect("within the limit");
        }
        assert_eq!(state.warnings.len(), KEPT_WARNINGS);
    }

    #[test]
    fn open_files_are_counted() {
        let state = state();
        let open: Vec<_> = (0..OPEN_FILES).map(|_| state.open_file().expect("within the limit")).collect();
        assert!(state.open_file().is_err());
        drop(open);
        assert!(state.open_file().is_ok());
    }

    #[test]
    fn a_flood_of_log_lines_exceeds_the_limit() {
        let mut state = state();
        state.log_lines = CALL_LOG_LINES;
        assert!(state.log(PluginLogLevel::Info, "one more").is_err());
    }
}
