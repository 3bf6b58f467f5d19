//! Builds a folder of SQL files into published tables and views. Infers dependencies, stages models as `name__next`,
//! tests them, and publishes all of them in one transaction. Until then readers see the last published version.

mod build;
mod build_report;
mod causes;
mod config;
mod files;
mod fingerprint;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod gate;
mod graph;
mod manifest;
mod parse;
mod plan;
mod query;
mod request;
mod run;
mod seed;
mod select;
mod shadow;
mod testing;
mod tree;
mod variables;

use std::collections::BTreeMap;
use std::path::Path;

use host_core::error::Result;
use host_warehouse::{Table, Warehouse};

pub use build_report::{BuildReport, BuiltModel};
pub use config::{DrillConfig, schema};
pub use files::{Model, ModelKind};
pub use gate::has_limited_size;
pub use graph::{Graph, TableExists};
pub use manifest::{ManifestColumn, ManifestEntry, ManifestTest, describe_columns, draw_mermaid, draw_tree, manifest};
pub use parse::{ParseError, ParseFailure, parse, parse_expression};
pub use request::{BuildRequest, BuildTarget};
pub use run::{build, test};
pub use tree::text_of;

/// Reads the models of a folder and infers their order. No row of the warehouse is read.
///
/// # Errors
/// Every problem of the files and of their queries, as one error.
pub fn load(
    folder: &Path,
    warehouse: &Warehouse,
    variables: &BTreeMap<String, String>,
    exists: &TableExists<'_>,
) -> Result<Graph> {
    Graph::new(files::read(folder)?, warehouse, variables, exists)
}

/// Returns the tables that a query reads, each as `schema.name`.
///
/// # Errors
/// The text is not exactly one SELECT.
pub fn reads(sql: &str, warehouse: &Warehouse) -> Result<Vec<String>> {
    let query = query::Query::parse(sql, warehouse).map_err(|failure| failure.error)?;
    Ok(query.tables().keys().map(Table::full_name).collect())
}
