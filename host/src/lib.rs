//! The rooms of the host, in the order in which data flows.

/// Raw tables → rules → clean tables.
pub mod clean;
pub mod dashboard;
/// A mart's figure → the rows behind it and their repairs.
pub mod explain;
/// Sources → raw tables.
pub mod extract;
/// Clean tables → SQL models.
pub mod marts;
/// TOML → a checked pipeline.
pub mod pipeline;
/// WebAssembly components: found, checked, run.
pub mod plugin;
/// Pipeline + plugins → what will run.
pub mod prepare;
/// What a run did and means.
pub mod report;
/// All of the above in order.
pub mod run;

/// The pipelines and their warehouses on loopback.
pub mod serve;

/// The commands.
pub mod cli;
/// The time and the ids of runs.
pub mod clock;
/// The one error.
pub mod error;
/// What a run tells while it runs.
pub mod progress;
/// Columns and their types.
pub mod schema;
/// The DuckDB file behind it all.
pub mod warehouse;

/// Installs the TLS provider, once for the process.
pub fn install_crypto() {
    // A second installation finds the first, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
