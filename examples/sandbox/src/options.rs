//! How the server behaves, and the tokens that it accepts.

use std::time::Duration;

use serde_json::Value;

use crate::faults::{Chaos, Fault};
use crate::rate_limits::RateLimits;

/// The private app token that the server accepts.
pub const TOKEN: &str = "pat-na1-sandbox";
/// The OAuth refresh token that the server accepts, with any client id and secret.
pub const REFRESH_TOKEN: &str = "refresh-na1-sandbox";

/// How the server behaves.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// Rate limits.
    pub limits: RateLimits,
    /// Scopes that the token does not have.
    pub missing_scopes: Vec<String>,
    /// Properties that the portal does not have.
    pub missing_properties: Vec<String>,
    /// The portal's id; `None` means the default id.
    pub portal_id: Option<u64>,
    /// Queued faults. Each applies once, in order.
    pub faults: Vec<Fault>,
    /// Random faults and edits.
    pub chaos: Option<Chaos>,
    /// Delay of each response.
    pub latency: Duration,
    /// How long search does not see a change.
    pub search_lag: Duration,
    /// Associations of one record on one page of a batch read.
    pub association_page_size: usize,
    /// The maximum length of path and query, in bytes. Longer requests get status 414.
    pub max_url_length: usize,
    /// The server's fixed time, in milliseconds since 1970; `None` means the system clock.
    pub clock: Option<i64>,
    /// Whether only OAuth tokens are accepted, not the private app token.
    pub is_oauth: bool,
    /// Rewrites a successful response body; the first argument is the request path.
    pub rewrite: Option<fn(&str, &mut Value)>,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            limits: RateLimits::default(),
            missing_scopes: Vec::new(),
            missing_properties: Vec::new(),
            portal_id: None,
            faults: Vec::new(),
            chaos: None,
            latency: Duration::ZERO,
            search_lag: Duration::ZERO,
            association_page_size: 100,
            max_url_length: 16_200,
            clock: None,
            is_oauth: false,
            rewrite: None,
        }
    }
}
