//! HTTP requests of plugins. The base URL and the secrets stay here; so do rate limits, retries and address checks.

mod address;
mod connection;
mod credential;
mod error;
mod exchange;
mod rate_limit;
mod request;
pub(crate) mod response;
mod retry;
mod send;

pub use connection::{Connection, ConnectionLimits};
pub use credential::{Credential, OAuthClient};
pub use rate_limit::{RateBucket, RateLimitHeaders};
pub use retry::{FinalResponse, RetryPolicy, RetryableResponses};

pub(crate) use error::{RequestError, RequestErrorKind};
pub(crate) use request::HttpRequest;
pub(crate) use send::{RequestLimits, send};

/// Installs the TLS provider of the process. Later calls do nothing.
pub fn install_crypto() {
    // The only error is that a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
