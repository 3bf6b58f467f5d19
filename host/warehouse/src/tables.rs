//! Looks up, creates, widens and renames tables and columns, and fits batches to them.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, StringArray, TimestampMicrosecondArray, new_null_array};
use arrow_cast::CastOptions;
use host_core::error::{Error, FaultClass, Result};
use host_core::schema::{EXTRACTED_AT, Field, LOAD_ID, Schema, Type, UNFIT};

use crate::{Table, Warehouse, quote};

/// A column with any DuckDB type, not only the types of the contract.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ColumnType {
    /// The name.
    pub name: String,
    /// The SQL type.
    #[serde(rename = "type")]
    pub data_type: String,
}

/// A change of a table's columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnChange {
    /// The column.
    pub column: String,
    /// Its SQL type before. None if the column is new.
    pub before: Option<String>,
    /// Its SQL type now.
    pub after: String,
}

impl Warehouse {
    /// The columns of a table or view in the types of the contract. None if it does not exist.
    ///
    /// # Errors
    /// Same as [`Warehouse::query`].
    pub fn columns(&self, table: &Table) -> Result<Option<Vec<Field>>> {
        let to_field = |column: ColumnType| Field {
            data_type: Type::from_sql(&column.data_type),
            name: column.name,
            metadata: BTreeMap::new(),
        };
        Ok(self.column_types(table)?.map(|columns| columns.into_iter().map(to_field).collect()))
    }

    /// The columns of a table or view. None if it does not exist.
    ///
    /// # Errors
    /// Same as [`Warehouse::query`].
    pub fn column_types(&self, table: &Table) -> Result<Option<Vec<ColumnType>>> {
        // DESCRIBE takes a quarter of the time of `duckdb_columns()`, which reads every table of the catalog.
        match self.describe(&table.to_string()) {
            Ok(columns) => Ok(Some(columns)),
            Err(error) if error.is_fault(FaultClass::Catalog) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The columns of a query or a table, without reading a row.
    ///
    /// # Errors
    /// Same as [`Warehouse::query`].
    pub fn describe(&self, query: &str) -> Result<Vec<ColumnType>> {
        self.query_as(&format!("SELECT column_name AS name, column_type AS type FROM (DESCRIBE {query})"), ())
    }

    /// Whether a table or view exists. Asks the catalog, because a query on a name such as `core.csv` would look for a
    /// file of that name.
    ///
    /// # Errors
    /// Same as [`Warehouse::query`].
    pub fn exists(&self, table: &Table) -> Result<bool> {
        let sql = "SELECT 1 FROM (SELECT database_name, schema_name, table_name FROM duckdb_tables() \
                   UNION ALL SELECT database_name, schema_name, view_name FROM duckdb_views()) \
                   WHERE database_name = current_database() AND lower(schema_name) = lower(?) \
                   AND lower(table_name) = lower(?)";
        Ok(self.value::<i32>(sql, [&table.schema, &table.name])?.is_some())
    }

    /// Whether a view of this name exists.
    ///
    /// # Errors
    /// Same as [`Warehouse::query`].
    pub fn is_view(&self, table: &Table) -> Result<bool> {
        let sql = "SELECT 1 FROM duckdb_views() WHERE schema_name = ? AND view_name = ? AND database_name = current_database()";
        Ok(self.value::<i32>(sql, [&table.schema, &table.name])?.is_some())
    }

    /// Drops a table or view, if it exists.
    ///
    /// # Errors
    /// Same as [`Warehouse::execute`].
    pub fn drop_table_or_view(&self, table: &Table) -> Result<()> {
        self.execute(&format!("DROP {} IF EXISTS {table}", if self.is_view(table)? { "VIEW" } else { "TABLE" }))
    }

    /// Creates the schema of a table, if it does not exist.
    ///
    /// # Errors
    /// Same as [`Warehouse::execute`].
    pub fn create_schema_of(&self, table: &Table) -> Result<()> {
        self.execute(&format!("CREATE SCHEMA IF NOT EXISTS {}", quote(&table.schema)))
    }

    /// Renames a table within its schema.
    ///
    /// # Errors
    /// Same as [`Warehouse::execute`].
    pub fn rename(&self, table: &Table, name: &str) -> Result<()> {
        self.execute(&format!("ALTER TABLE {table} RENAME TO {}", quote(name)))
    }

    /// The columns of all tables and views, by `schema.name` in lower case.
    ///
    /// # Errors
    /// Same as [`Warehouse::query`].
    pub fn catalog(&self) -> Result<BTreeMap<String, Vec<ColumnType>>> {
        #[derive(serde::Deserialize)]
        struct CatalogColumn {
            table: String,
            #[serde(flatten)]
            column: ColumnType,
        }
        let sql = "SELECT lower(schema_name || '.' || table_name) AS \"table\", column_name AS name, data_type AS type \
                   FROM duckdb_columns() WHERE database_name = current_database() AND NOT internal \
                   ORDER BY table_oid, column_index";
        let mut catalog: BTreeMap<String, Vec<ColumnType>> = BTreeMap::new();
        for CatalogColumn { table, column } in self.query_as(sql, ())? {
            catalog.entry(table).or_default().push(column);
        }
        Ok(catalog)
    }

    /// The tables and views whose names match a regular expression.
    ///
    /// # Errors
    /// Same as [`Warehouse::query`].
    pub fn tables_like(&self, pattern: &str) -> Result<Vec<Table>> {
        #[derive(serde::Deserialize)]
        struct TableName {
            schema: String,
            name: String,
        }
        let sql = "SELECT schema_name AS schema, table_name AS name FROM duckdb_tables() \
                   WHERE database_name = current_database() AND regexp_matches(table_name, ?1) \
                   UNION ALL SELECT schema_name, view_name FROM duckdb_views() \
                   WHERE database_name = current_database() AND regexp_matches(view_name, ?1)";
        let names: Vec<TableName> = self.query_as(sql, [pattern])?;
        Ok(names.into_iter().map(|TableName { schema, name }| Table::new(schema, name)).collect())
    }

    /// Creates a table with the columns of a schema and the host's own columns. If it exists, adds missing columns and widens
    /// narrower ones. Returns its columns, and the changes of an existing table.
    ///
    /// # Errors
    /// Two columns whose names differ only in case, and as [`Warehouse::execute`].
    pub fn evolve(&self, table: &Table, schema: &Schema) -> Result<(Vec<Field>, Vec<ColumnChange>)> {
        let wanted = || schema.fields.iter().cloned().chain(host_columns());
        let mut names = HashSet::new();
        if let Some(repeated) = wanted().find(|field| !names.insert(field.name.to_ascii_lowercase())) {
            let error = Error::config(format!("{table}: two columns are named `{}`", repeated.name));
            return Err(error.hint("DuckDB ignores the case of names: rename one of them in the source"));
        }
        let Some(mut columns) = self.columns(table)? else {
            let columns = wanted().map(|field| format!("{} {}", quote(&field.name), field.data_type.sql()));
            let columns = columns.collect::<Vec<_>>().join(", ");
            self.create_schema_of(table)?;
            self.execute(&format!("CREATE TABLE {table} ({columns})"))?;
            return Ok((wanted().collect(), Vec::new()));
        };
        let mut changes = Vec::new();
        for field in wanted() {
            let name = quote(&field.name);
            let is_same = |column: &&mut Field| column.name.eq_ignore_ascii_case(&field.name);
            let (before, after) = match columns.iter_mut().find(is_same) {
                Some(column) => {
                    let widened = column.data_type.widen(field.data_type);
                    if widened == column.data_type {
                        continue;
                    }
                    let before = std::mem::replace(&mut column.data_type, widened).sql();
                    self.execute(&format!("ALTER TABLE {table} ALTER {name} TYPE {}", widened.sql()))?;
                    (Some(before), widened.sql())
                }
                None => {
                    let after = field.data_type.sql();
                    self.execute(&format!("ALTER TABLE {table} ADD COLUMN {name} {after}"))?;
                    columns.push(field.clone());
                    (None, after)
                }
            };
            changes.push(ColumnChange { column: field.name, before, after });
        }
        Ok((columns, changes))
    }
}

/// The columns that the host adds to every raw table.
fn host_columns() -> [Field; 3] {
    let field = |name: &str, data_type| Field { name: name.to_owned(), data_type, metadata: BTreeMap::new() };
    [field(UNFIT, Type::Text), field(LOAD_ID, Type::Text), field(EXTRACTED_AT, Type::Timestamp)]
}

/// Fits a batch to a table's columns: reorders and widens its columns, fills missing ones with NULL and adds the host's own.
/// `extracted_at` is in microseconds since 1970-01-01 UTC.
///
/// # Errors
/// A value that does not fit its column.
pub fn fit(batch: &RecordBatch, columns: &[Field], load_id: &str, extracted_at: i64) -> Result<RecordBatch> {
    let rows = batch.num_rows();
    let array = |field: &Field| -> Result<ArrayRef> {
        Ok(match (field.name.as_str(), column(batch, &field.name)) {
            (LOAD_ID, _) => Arc::new(StringArray::from_iter_values(std::iter::repeat_n(load_id, rows))),
            (EXTRACTED_AT, _) => {
                let times = TimestampMicrosecondArray::from_iter_values(std::iter::repeat_n(extracted_at, rows));
                Arc::new(times.with_timezone("UTC"))
            }
            (_, Some(array)) => widen(array, field)?,
            (_, None) => new_null_array(&field.data_type.arrow(), rows),
        })
    };
    let arrays = columns.iter().map(array).collect::<Result<Vec<_>>>()?;
    let schema = Schema { fields: columns.to_vec(), primary_key: Vec::new(), cursor: None };
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::new(schema.arrow()), arrays, &options).map_err(Error::internal)
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> Option<&'a ArrayRef> {
    batch.column_by_name(name).or_else(|| {
        let schema = batch.schema_ref();
        let at = schema.fields().iter().position(|field| field.name().eq_ignore_ascii_case(name))?;
        Some(batch.column(at))
    })
}

fn widen(array: &ArrayRef, field: &Field) -> Result<ArrayRef> {
    let wanted = field.data_type.arrow();
    if *array.data_type() == wanted {
        return Ok(Arc::clone(array));
    }
    // Fail instead of turning a value into NULL: the decoder already reports values that do not fit.
    let options = CastOptions { safe: false, ..CastOptions::default() };
    arrow_cast::cast_with_options(array, &wanted, &options)
        .map_err(|cause| Error::internal(format!("column `{}`: {cause}", field.name)))
}
