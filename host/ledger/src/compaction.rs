//! Deletes facts that later facts replace. Only the start of a run does this, so that one writer at a time deletes.

use host_core::error::Result;
use host_warehouse::Warehouse;

/// Deletes replaced facts: ends of runs, changes of tables, cleanings, and the logs of old runs.
///
/// # Errors
/// Same as [`Warehouse::execute`].
pub fn compact(warehouse: &Warehouse) -> Result<()> {
    warehouse.transaction(|| {
        crate::runs::compact(warehouse)?;
        crate::versions::compact(warehouse)?;
        crate::cleanings::compact(warehouse)?;
        crate::identities::compact(warehouse)?;
        crate::loads::compact(warehouse)?;
        crate::log::compact(warehouse)
    })
}
