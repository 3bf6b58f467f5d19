//! Erasures that are not complete: which places may still hold data that was erased from the tables.

use host_core::error::Result;
use host_warehouse::Warehouse;

/// A place that may still hold erased data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PendingErasure {
    /// Published models, until they are built again.
    Models,
    /// Free blocks of the warehouse's file, until it is rewritten.
    File,
}

impl PendingErasure {
    const fn name(self) -> &'static str {
        match self {
            Self::Models => "models",
            Self::File => "file",
        }
    }
}

/// Records that models and the file may still hold data that a run erased.
///
/// # Errors
/// Same as [`Warehouse::execute`].
pub fn record(warehouse: &Warehouse, load_id: &str) -> Result<()> {
    let sql = "INSERT INTO _host.erasures VALUES (?1, ?2), (?1, ?3)";
    warehouse.change(sql, [load_id, PendingErasure::Models.name(), PendingErasure::File.name()]).map(drop)
}

/// Whether a place may still hold erased data.
///
/// # Errors
/// Same as [`Warehouse::query`].
pub fn is_pending(warehouse: &Warehouse, holder: PendingErasure) -> Result<bool> {
    let sql = "SELECT 1 FROM _host.erasures WHERE holder = ? LIMIT 1";
    Ok(warehouse.value::<i32>(sql, [holder.name()])?.is_some())
}

/// Records that models no longer hold erased data.
///
/// # Errors
/// Same as [`Warehouse::execute`].
pub fn clear_models(warehouse: &Warehouse) -> Result<()> {
    warehouse.change("DELETE FROM _host.erasures WHERE holder = ?", [PendingErasure::Models.name()]).map(drop)
}

/// Records that no model holds erased data, if no model was ever built.
///
/// # Errors
/// Same as [`Warehouse::execute`].
pub fn clear_models_if_never_built(warehouse: &Warehouse) -> Result<()> {
    let sql = "DELETE FROM _host.erasures WHERE holder = ? AND NOT EXISTS (SELECT 1 FROM _host.model_builds)";
    warehouse.change(sql, [PendingErasure::Models.name()]).map(drop)
}

/// Statements to run in the copy of the warehouse that becomes its new file: unless models are pending, no erasure is pending
/// there.
///
/// # Errors
/// Same as [`is_pending`].
pub fn statements_for_copy(warehouse: &Warehouse) -> Result<&'static str> {
    Ok(if is_pending(warehouse, PendingErasure::Models)? { "" } else { "DELETE FROM host_copy._host.erasures;" })
}
