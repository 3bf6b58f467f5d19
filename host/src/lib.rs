//! The rooms of the host, in the order in which data flows.

/// TOML → a checked pipeline.
pub mod pipeline;
/// WebAssembly components: found, checked, run.
pub mod plugin;
/// Pipeline + plugins → what will run.
pub mod prepare;
/// Sources → raw tables.
pub mod extract;
/// Raw tables → rules → clean tables.
pub mod clean;
/// Clean tables → SQL models.
pub mod marts;
/// What a run did and means.
pub mod report;
/// All of the above in order.
pub mod run;

/// The DuckDB file behind it all.
pub mod warehouse;
/// What a run tells while it runs.
pub mod progress;
/// Columns and their types.
pub mod schema;
/// The one error.
pub mod error;
/// The commands.
pub mod cli;

/// Installs the TLS provider, once for the process.
pub fn install_crypto() {
    // A second installation finds the first, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
