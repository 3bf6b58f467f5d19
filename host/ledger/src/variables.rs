//! The pipeline's variables, which models read from `_host.variables`.

use std::collections::BTreeMap;

use host_core::error::Result;
use host_warehouse::{Table, Warehouse};

/// The table of the variables that published models read.
#[must_use]
pub fn published_table() -> Table {
    Table::new(crate::SCHEMA, "variables")
}

/// The table of the variables of the models that are being built.
#[must_use]
pub fn staged_table() -> Table {
    published_table().suffixed("__next")
}

/// The published variables.
///
/// # Errors
/// Same as [`Warehouse::query_as`].
pub fn published(warehouse: &Warehouse) -> Result<BTreeMap<String, String>> {
    #[derive(serde::Deserialize)]
    struct Variable {
        name: String,
        value: String,
    }
    let rows: Vec<Variable> = warehouse.query_as(&format!("SELECT name, value FROM {}", published_table()), ())?;
    Ok(rows.into_iter().map(|row| (row.name, row.value)).collect())
}

/// Replaces the variables in a table. Creates the table if it does not exist.
///
/// # Errors
/// Same as [`Warehouse::execute`].
pub fn write(warehouse: &Warehouse, table: &Table, variables: &BTreeMap<String, String>) -> Result<()> {
    warehouse.create_schema_of(table)?;
    warehouse
        .execute(&format!("CREATE TABLE IF NOT EXISTS {table} (name VARCHAR, value VARCHAR); DELETE FROM {table}"))?;
    let insert = format!("INSERT INTO {table} VALUES (?, ?)");
    variables.iter().try_for_each(|(name, value)| warehouse.change(&insert, [name, value]).map(drop))
}

/// Publishes variables and drops the staged ones.
///
/// # Errors
/// Same as [`Warehouse::execute`].
pub fn publish(warehouse: &Warehouse, variables: &BTreeMap<String, String>) -> Result<()> {
    warehouse.execute(&format!("DROP TABLE IF EXISTS {}", staged_table()))?;
    write(warehouse, &published_table(), variables)
}
