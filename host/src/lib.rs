//! The binary `host` as a library. Its modules are listed in the order in which data flows: each uses only modules above it.

/// Crates of the workspace, under the names that the modules and the tests use.
pub use host_core::{clock, error, progress, project, schema, secret, text};
pub use host_ledger as ledger;
pub use host_models as models;
pub use host_plugin as plugin;
pub use host_plugin::install_crypto;
pub use host_warehouse as warehouse;

// Blank lines keep rustfmt from sorting the modules.

/// TOML → a checked pipeline.
pub mod pipeline;

/// A pipeline and its plugins → what a run uses.
pub mod prepare;

/// Forgotten people leave every table.
pub mod erasure;

/// Sources → raw tables.
pub mod extract;

/// Raw tables → rules → clean tables.
pub mod clean;

/// A model's figure → the rows behind it and the corrections of their records.
pub mod explain;

/// `dashboard.toml` → the figures and charts of the first page.
pub mod dashboard;

/// What a run did, as data.
pub mod report;

/// Log events → standard error and the logs of runs.
pub mod logs;

/// The commands on a pipeline, from end to end.
pub mod run;

/// Results → text for a terminal.
pub mod render;

/// The kit for plugin authors.
pub mod kit;

/// Pages and schedules on loopback.
pub mod serve;

/// Arguments → a command → its output and exit code.
pub mod cli;

/// Schemas and the command line → the pages of `docs/reference`.
pub mod reference;
