//! An entry for the fuzzer in `host/fuzz`, which reaches what is private otherwise. The feature `fuzzing` adds it.

use host_core::error::Result;
use host_warehouse::{Table, Warehouse};

use crate::query::Query;

/// Returns a query with each table replaced by `replacement`, if that returns one.
///
/// # Errors
/// The text is not exactly one SELECT, or a table name cannot be found in it.
pub fn redirected(sql: &str, warehouse: &Warehouse, replacement: &dyn Fn(&Table) -> Option<Table>) -> Result<String> {
    Query::parse(sql, warehouse).map_err(|failure| failure.error)?.redirected(replacement)
}
