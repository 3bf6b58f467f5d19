//! The portal's contents, the server's state, and the log of its requests.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Instant;

use serde_json::Value;

use crate::network::Network;
use crate::options::ServerOptions;
use crate::rate_limits::RateLimiter;

/// A logged request.
#[derive(Debug, Clone)]
pub struct LoggedRequest {
    /// When the response was ready, before any latency.
    pub at: Instant,
    /// `METHOD path?query`.
    pub line: String,
    /// The request body; null if it is not JSON.
    pub body: Value,
    /// The status of the response.
    pub status: u16,
}

impl LoggedRequest {
    /// Whether the request line contains a text.
    #[must_use]
    pub fn contains(&self, text: &str) -> bool {
        self.line.contains(text)
    }
}

/// The portal's contents and the state of the server.
pub(crate) struct Portal {
    network: RwLock<Network>,
    state: Mutex<ServerState>,
    /// Notified after each logged request.
    pub(crate) request_logged: Condvar,
}

/// Everything that decides how a request is handled.
pub(crate) struct ServerState {
    pub(crate) options: ServerOptions,
    pub(crate) rate_limiter: RateLimiter,
    pub(crate) log: Vec<LoggedRequest>,
    /// The number of OAuth access tokens issued. Only the last one is valid.
    pub(crate) tokens: usize,
}

impl Portal {
    pub(crate) fn new(network: Network, options: ServerOptions) -> Self {
        let state = ServerState { options, rate_limiter: RateLimiter::default(), log: Vec::new(), tokens: 0 };
        Self { network: RwLock::new(network), state: Mutex::new(state), request_logged: Condvar::new() }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, ServerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn network(&self) -> RwLockReadGuard<'_, Network> {
        self.network.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn network_mut(&self) -> RwLockWriteGuard<'_, Network> {
        self.network.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ServerState {
    pub(crate) fn now(&self) -> i64 {
        self.options.clock.unwrap_or_else(system_time)
    }
}

/// The system clock, in milliseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "the sandbox stands for a server with a clock of its own")]
pub(crate) fn system_time() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
