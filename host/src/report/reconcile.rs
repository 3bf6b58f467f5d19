//! The row counts of every stream: raw = clean + merged + rejected.

use host_core::error::{Error, Result};
use host_ledger::StreamTable;
use host_ledger::streams;
use host_warehouse::{Warehouse, literal};

/// The row counts of a stream: raw = clean + merged + rejected.
#[derive(Debug, serde::Deserialize, serde::Serialize)]
pub struct RowCounts {
    /// `source.stream`.
    pub stream: String,
    /// Rows in the raw table.
    pub raw: u64,
    /// Rows in the clean table.
    pub clean: u64,
    /// Rows merged into others.
    pub merged: u64,
    /// Rows rejected.
    pub rejected: u64,
}

/// Counts the rows of every stream.
///
/// # Errors
/// A stream whose counts do not add up.
pub fn reconcile(warehouse: &Warehouse) -> Result<Vec<RowCounts>> {
    // One query for all streams: a query costs at least a quarter of a millisecond.
    let counts = streams::loaded(warehouse)?.into_iter().map(|stream| {
        format!(
            "SELECT {} AS stream, (SELECT count(*) FROM {}) AS raw, (SELECT count(*) FROM {}) AS clean, \
             (SELECT count(*) FROM {}) AS merged, (SELECT count(*) FROM {}) AS rejected",
            literal(&stream.name()),
            stream.raw(),
            stream.clean(),
            stream.ledger(StreamTable::Merges),
            stream.ledger(StreamTable::Rejects),
        )
    });
    let counts = counts.collect::<Vec<_>>().join(" UNION ALL ");
    if counts.is_empty() {
        return Ok(Vec::new());
    }
    let reconciled: Vec<RowCounts> = warehouse.query_as(&format!("FROM ({counts}) ORDER BY stream"), ())?;
    let unequal = reconciled.iter().filter(|rows| rows.raw != rows.clean + rows.merged + rows.rejected);
    let error = |RowCounts { stream, raw, clean, merged, rejected }: &RowCounts| {
        Error::internal(format!(
            "`{stream}` does not add up: raw {raw} ≠ clean {clean} + merged {merged} + rejected {rejected}"
        ))
    };
    Error::check(unequal.map(error).collect()).map(|()| reconciled)
}
