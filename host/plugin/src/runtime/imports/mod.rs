//! The functions that plugins import: requests over granted connections, granted files, decoders, the log.

mod decode;
mod files;
mod http;
mod log;

use super::bindings::types as wit;
use super::state::State;

/// What an import returns: a trap, or a result for the guest.
type Answer<T> = wasmtime::Result<Result<T, wit::Error>>;

impl wit::Host for State {}
