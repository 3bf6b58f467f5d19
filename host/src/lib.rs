//! The rooms of the host, in the order in which data flows.
pub mod error;
pub mod schema;
pub mod pipeline;
pub mod plugin;
pub mod warehouse;
pub mod progress;
pub mod prepare;
pub mod extract;
pub mod clean;
pub mod marts;

/// Installs the TLS provider, once for the process.
pub fn install_crypto() {
    // A second installation finds the first, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
