//! Rewrites the warehouse's file after an erasure, because DuckDB leaves deleted rows in free blocks until it reuses them.

use host_core::error::Result;
use host_ledger::erasures::{self, PendingErasure};
use host_warehouse::Warehouse;

/// Whether free blocks of the file may hold erased data.
///
/// # Errors
/// Same as [`Warehouse::query`].
pub fn is_rewrite_due(warehouse: &Warehouse) -> Result<bool> {
    erasures::is_pending(warehouse, PendingErasure::File)
}

/// Rewrites the file, closes it, and removes the copies that upgrades of the warehouse made.
///
/// # Errors
/// A full disk, or a file that cannot be replaced. The rows are erased from the tables even then.
pub fn rewrite(warehouse: Warehouse) -> Result<()> {
    let in_copy = erasures::statements_for_copy(&warehouse)?;
    let rewritten = remove_copies(&warehouse).and_then(|()| warehouse.rewrite(in_copy));
    rewritten.map_err(|error| {
        error.hint("the rows are erased, but free blocks of the file may still hold their bytes: run the same command again to rewrite it")
    })
}

/// Removes the copies that upgrades of the warehouse made.
///
/// # Errors
/// Same as [`host_ledger::remove_copies`].
pub fn remove_copies(warehouse: &Warehouse) -> Result<()> {
    host_ledger::remove_copies(warehouse.path()).map(drop)
}
