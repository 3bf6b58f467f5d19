//! How far each stream was read. A cursor is written in the transaction that writes its rows.

use host_core::error::Result;
use host_warehouse::Warehouse;

use crate::StreamTable;

/// How far a stream was read.
#[derive(Debug, Clone, Default, serde::Deserialize)]
pub struct Cursor {
    /// The state that the source returned, opaque to the host. None before the first checkpoint with one.
    pub state: Option<String>,
    /// Whether the first full load is not complete yet.
    pub is_initial: bool,
}

/// The cursor of a stream; none before its first checkpoint.
///
/// # Errors
/// Same as [`Warehouse::query_as`].
pub fn read(warehouse: &Warehouse, source: &str, stream: &str) -> Result<Option<Cursor>> {
    let sql = "SELECT state, is_initial FROM _host.cursors WHERE source = ? AND stream = ?";
    warehouse.query_first(sql, [source, stream])
}

/// Writes the cursor of a stream.
///
/// # Errors
/// Same as [`Warehouse::execute`].
pub fn write(warehouse: &Warehouse, source: &str, stream: &str, cursor: &Cursor, load_id: &str) -> Result<()> {
    let table = StreamTable::Cursor.of(source, stream);
    let values = (cursor.state.as_deref(), cursor.is_initial, load_id);
    if warehouse.change(&format!("UPDATE {table} SET state = ?, is_initial = ?, load_id = ?"), values)? == 0 {
        warehouse.change(&format!("INSERT INTO {table} VALUES (?, ?, ?)"), values)?;
    }
    Ok(())
}
