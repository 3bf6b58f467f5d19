//! The host's own tables: the schema `_host`, and one schema `ledger_<source>` per source. No other crate names these
//! tables.
//!
//! # Many writers
//! Two writers never change the same rows. Facts are inserted, and the latest one counts: the start
//! and the end of a run, the declaration of a stream, a change of a table, a cleaning. Rows that are replaced (the cursor and
//! the journal of a stream) are in small tables of each stream ([`StreamTable`]); views of `_host` show those of all streams
//! together. Only the run that publishes models records them.
//!
//! # Tables that users read
//! Models may read the tables in [`READABLE`], so their columns do not change.

pub mod cleanings;
mod compaction;
pub mod cursors;
pub mod erasures;
pub mod forgotten;
pub mod freshness;
pub mod identities;
pub mod journal;
mod json_text;
pub mod loads;
pub mod log;
mod migrations;
pub mod models;
pub mod recovery;
pub mod runs;
pub mod steps;
pub mod streams;
pub mod sweeps;
pub mod variables;
pub mod versions;

use std::path::Path;

use host_core::error::{Error, Result};
use host_warehouse::{Warehouse, WithoutLog, quote};

use recovery::Irreplaceable;

pub use streams::StreamTable;

/// The schema of the host's tables.
pub const SCHEMA: &str = "_host";

/// The tables and views of [`SCHEMA`] that the SQL of a pipeline may read.
pub const READABLE: [&str; 7] = ["runs", "changes", "rejects", "notes", "merges", "rule_runs", "variables"];

/// Opens a warehouse, or creates it, and brings the host's tables up to date.
///
/// # Errors
/// Same as [`Warehouse::open`], macros that hide built-in functions, a warehouse that a newer host wrote, and too little disk space for the copy before an upgrade.
pub fn open(path: &Path, memory_limit: &str) -> Result<Warehouse> {
    let warehouse = Warehouse::open(path, memory_limit)?;
    refuse_hidden_functions(&warehouse)?;
    migrations::run(&warehouse)?;
    Ok(warehouse)
}

/// Opens a warehouse whose write-ahead log is damaged without the log, as [`Warehouse::open_without_log`], and brings the host's
/// tables up to date. Reads what the undamaged part of the log held.
///
/// # Errors
/// Same as [`open`], and files that cannot be moved.
pub fn open_without_log(path: &Path, memory_limit: &str, name: &str) -> Result<WithoutLog<Irreplaceable>> {
    let opened = Warehouse::open_without_log(path, memory_limit, name, Irreplaceable::read)?;
    refuse_hidden_functions(&opened.warehouse)?;
    migrations::run(&opened.warehouse)?;
    Ok(opened)
}

/// Refuses a file with macros that hide built-in functions: neither the host's own SQL nor that of a project would do what
/// it says.
fn refuse_hidden_functions(warehouse: &Warehouse) -> Result<()> {
    let Some(found) = warehouse.user_macros()?.iter().find(|found| found.hides_built_in) else { return Ok(()) };
    let (path, name) = (warehouse.path().display(), &found.name);
    let error = Error::config(format!("warehouse {path}: the macro `{name}` hides a built-in function"));
    Err(error.hint(format!("drop it with DuckDB: `DROP MACRO {0}` or `DROP MACRO TABLE {0}`", quote(name))))
}

/// A warehouse in memory with the host's tables, all empty.
///
/// # Errors
/// Same as [`Warehouse::memory`].
pub fn memory() -> Result<Warehouse> {
    let warehouse = Warehouse::memory()?;
    migrations::run(&warehouse)?;
    Ok(warehouse)
}

pub use compaction::compact;
pub use migrations::remove_copies;
