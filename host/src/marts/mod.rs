//! SQL files → published tables and views: dependencies inferred, everything built aside as `name__next`, tested,
//! then published in one transaction. Readers see the last good version of all of it until then.

mod ast;
mod build;
mod config;
mod files;
mod fingerprint;
mod graph;
mod manifest;
mod plan;
mod record;
mod seed;
mod select;
mod shadow;
mod testing;
mod variables;
mod work;

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::Result;
use crate::warehouse::{Step, Warehouse};

pub use ast::NO_QUERY;
pub use config::{Drill, schema};
pub use files::{Materialized, Model};
pub use graph::{Exists, Graph};
pub use manifest::{Entry, EntryColumn, described, drawing, manifest, mermaid};
pub use plan::{Options, Target, build, test};

/// What was built and tested.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Built {
    /// Whether all was left alone, since neither tables nor files changed.
    pub unchanged: bool,
    /// Tables, views and seeds that were built.
    pub models: Vec<BuiltModel>,
    /// Models that were left alone, since nothing that they are built from changed.
    pub models_unchanged: usize,
    /// Checks that returned no row.
    pub checks_passed: usize,
    /// Tests beside models that held: of columns, queries and drills.
    pub tests_passed: usize,
    /// Unit tests that held.
    pub unit_tests_passed: usize,
    /// Checks and tests of severity `warn` that did not hold.
    pub warnings: Vec<String>,
    /// Duration in seconds.
    pub seconds: f64,
}

/// One model as built.
#[derive(Debug, Clone, serde::Serialize)]
pub struct BuiltModel {
    /// `schema.name`.
    pub model: String,
    /// What it is.
    pub kind: Materialized,
    /// Whether only rows that are new were computed.
    pub grew: bool,
    /// Rows; none for views.
    pub rows: Option<u64>,
    /// Duration in seconds.
    pub seconds: f64,
}

impl BuiltModel {
    /// As a line of the run's story.
    #[must_use]
    pub fn step(&self) -> Step {
        let rows = self.rows.unwrap_or_default();
        let (name, seconds) = (self.model.clone(), self.seconds);
        Step { step: "marts", name, rows_read: rows, rows_changed: rows, requests: 0, seconds }
    }
}

/// Reads the models of a folder and infers their order, without a row being read.
pub fn load(
    folder: &Path,
    warehouse: &Warehouse,
    variables: &BTreeMap<String, String>,
    exists: &Exists<'_>,
) -> Result<Graph> {
    Graph::new(files::read(folder)?, warehouse, variables, exists)
}

/// A query as DuckDB's own parser reads it, in JSON; what is not one query is an error.
pub fn parsed(sql: &str, warehouse: &Warehouse) -> Result<serde_json::Value> {
    ast::tree(sql, warehouse).map_err(|syntax| syntax.error)
}

/// The tables that a query reads, each `schema.name`.
pub fn reads(sql: &str, warehouse: &Warehouse) -> Result<Vec<String>> {
    let query = ast::Query::parse(sql, warehouse).map_err(|syntax| syntax.error)?;
    Ok(query.tables().into_keys().map(|table| format!("{}.{}", table.schema, table.name)).collect())
}
