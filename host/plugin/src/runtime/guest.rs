//! Calls into a guest: each starts with fresh limits, and ends in an error that names the plugin if the guest traps.

use host_core::error::{Error, Subject};
use wasmtime::Store;

use super::call::CallTimer;
use super::limits::CALL_BYTES;
use super::state::State;
use crate::memory::MemoryExceeded;

/// Calls a guest's function within its limits. The call is an expression of a future that borrows the store mutably.
///
/// A macro, because an async closure that borrows the store is not provably `Send`.
macro_rules! call_guest {
    ($store:expr, $function:literal, $call:expr) => {{
        let timer = $crate::runtime::guest::start_call($store);
        let result = timer.run($call).await;
        result.map_err(|cause| $crate::runtime::guest::trap_error($store, $function, &cause))
    }};
}
pub(super) use call_guest;

/// Resets the limits of a call. The call must run under the timer.
pub(super) fn start_call(store: &mut Store<State>) -> CallTimer {
    let state = store.data_mut();
    state.log_lines = 0;
    state.free_copy();
    state.call_requests = state.requests_in_flight;
    state.timer.clone()
}

/// The error of a guest that trapped: plugin, function, reason and the plugin's last log lines.
pub(super) fn trap_error(store: &Store<State>, function: &str, cause: &wasmtime::Error) -> Error {
    let state = store.data();
    let mut message = format!("`{function}` failed: {}", reason(cause, &state.timer));
    for line in &state.log {
        message.push_str("\n         ");
        message.push_str(line);
    }
    let hint = cause.downcast_ref::<MemoryExceeded>().map(|exceeded| exceeded.hint().to_owned());
    Error::plugin(message).maybe_hint(hint).about(&Subject::Plugin(state.plugin.clone()))
}

/// The limit that a guest exceeded, or how else it trapped.
fn reason(cause: &wasmtime::Error, timer: &CallTimer) -> String {
    if let Some(wasmtime::Trap::Interrupt) = cause.downcast_ref() {
        return format!("exceeded its time limit of {} s", timer.limit().as_secs());
    }
    let text = format!("{:#}", cause.root_cause());
    // wasmtime 48 has no type for this error: `src/runtime/component/func/options.rs`.
    if text.contains("fuel allocated for hostcalls") {
        return format!("passed more than {} MiB to the host in one call", CALL_BYTES >> 20);
    }
    text.lines().next().unwrap_or("trapped").to_owned()
}
