//! Which run last changed each table, and how columns of raw tables changed.

use std::collections::BTreeMap;

use host_core::error::Result;
use host_warehouse::{ColumnChange, ColumnType, Table, Warehouse};

/// The id of the run that last changed a table. None if no run did.
///
/// # Errors
/// Same as [`Warehouse::query`].
pub fn of_table(warehouse: &Warehouse, table: &Table) -> Result<Option<String>> {
    let sql = "SELECT max(load_id) FROM _host.table_changes WHERE table_schema = ? AND table_name = ?";
    warehouse.value(sql, [&table.schema, &table.name])
}

/// Records that a run changed a table.
///
/// # Errors
/// Same as [`Warehouse::execute`].
pub fn record_change(warehouse: &Warehouse, table: &Table, load_id: &str) -> Result<()> {
    let sql = "INSERT INTO _host.table_changes SELECT ?1, ?2, ?3 WHERE NOT EXISTS (SELECT 1 FROM _host.table_changes \
               WHERE table_schema = ?1 AND table_name = ?2 AND load_id = ?3)";
    warehouse.change(sql, (&table.schema, &table.name, load_id)).map(drop)
}

/// The version of each table, by `schema.name` in lower case: the number of the run that last changed it. Ids of runs are
/// times, and would make what depends on a version differ between two warehouses with the same history.
///
/// # Errors
/// Same as [`Warehouse::query_as`].
pub fn numbers(warehouse: &Warehouse) -> Result<BTreeMap<String, String>> {
    #[derive(serde::Deserialize)]
    struct Version {
        name: String,
        number: String,
    }
    // A change by a run that was not recorded has its id as version.
    let sql = "WITH runs AS (SELECT load_id, row_number() OVER (ORDER BY load_id)::VARCHAR AS number FROM _host.run_starts), \
               changes AS (SELECT lower(table_schema || '.' || table_name) AS name, max(load_id) AS load_id \
               FROM _host.table_changes GROUP BY ALL) \
               SELECT name, coalesce(number, load_id) AS number FROM changes LEFT JOIN runs USING (load_id)";
    let versions: Vec<Version> = warehouse.query_as(sql, ())?;
    Ok(versions.into_iter().map(|version| (version.name, version.number)).collect())
}

/// Records changes of a table's columns.
///
/// # Errors
/// Same as [`Warehouse::execute`].
pub fn record_columns(warehouse: &Warehouse, table: &Table, changes: &[ColumnChange], load_id: &str) -> Result<()> {
    let sql = "INSERT INTO _host.schema_changes VALUES (?, ?, ?, ?, ?, ?, ?)";
    changes.iter().try_for_each(|ColumnChange { column, before, after }| {
        let change = if before.is_some() { "widened" } else { "added" };
        warehouse.change(sql, (load_id, &table.schema, &table.name, column, change, before, after)).map(drop)
    })
}

/// The columns that a table had at the run `load_id`, computed from its columns now by undoing later changes.
///
/// # Errors
/// Same as [`Warehouse::query_as`].
pub fn columns_before(
    warehouse: &Warehouse,
    table: &Table,
    load_id: &str,
    now: Vec<ColumnType>,
) -> Result<Vec<ColumnType>> {
    #[derive(serde::Deserialize)]
    struct SchemaChange {
        column_name: String,
        type_before: Option<String>,
    }
    let sql = "SELECT column_name, type_before FROM _host.schema_changes \
               WHERE table_schema = ? AND table_name = ? AND load_id > ? ORDER BY load_id DESC";
    let changes: Vec<SchemaChange> = warehouse.query_as(sql, [&table.schema, &table.name, load_id])?;
    Ok(changes.into_iter().fold(now, |mut columns, SchemaChange { column_name, type_before }| {
        match type_before {
            Some(before) => {
                let changed = columns.iter_mut().filter(|column| column.name == column_name);
                changed.for_each(|column| column.data_type.clone_from(&before));
            }
            None => columns.retain(|column| column.name != column_name),
        }
        columns
    }))
}

/// Deletes changes that a later change of the same table replaces.
pub(crate) fn compact(warehouse: &Warehouse) -> Result<()> {
    warehouse.execute(
        "DELETE FROM _host.table_changes AS old WHERE EXISTS (SELECT 1 FROM _host.table_changes AS new \
         WHERE new.table_schema = old.table_schema AND new.table_name = old.table_name AND new.load_id > old.load_id)",
    )
}
