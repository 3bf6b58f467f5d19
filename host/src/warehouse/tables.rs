//! Batches against tables: creates and evolves tables, fits batches to their columns, reads rows as JSON.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, RecordBatch, RecordBatchOptions, StringArray, TimestampMicrosecondArray, new_null_array,
};
use arrow_cast::CastOptions;
use arrow_cast::display::{ArrayFormatter, FormatOptions};

use super::{Row, Table, Warehouse, quote};
use crate::error::{Error, Result};
use crate::schema::{EXTRACTED_AT, Field, LOAD_ID, Schema, Type, UNFIT};

/// The columns that the host adds to every raw table.
pub(super) fn bookkeeping() -> [Field; 3] {
    let field = |name: &str, data_type| Field { name: name.to_owned(), data_type, metadata: BTreeMap::new() };
    [field(UNFIT, Type::Text), field(LOAD_ID, Type::Text), field(EXTRACTED_AT, Type::Timestamp)]
}

impl Warehouse {
    /// Creates the table of a stream, if it is not there.
    pub fn ensure(&self, table: &Table, schema: &Schema) -> Result<()> {
        if self.columns(table)?.is_none() {
            self.evolve(table, schema, "")?;
        }
        Ok(())
    }

    /// Creates the table, or adds the columns it lacks and widens those too narrow; gives back its columns.
    pub(super) fn evolve(&self, table: &Table, schema: &Schema, load_id: &str) -> Result<Vec<Field>> {
        let wanted = || schema.fields.iter().cloned().chain(bookkeeping());
        let mut names = std::collections::HashSet::new();
        if let Some(twice) = wanted().find(|field| !names.insert(field.name.to_lowercase())) {
            let error = Error::config(format!("{table}: two columns are named `{}`", twice.name));
            return Err(error.hint("names that differ in their case alone are one to DuckDB"));
        }
        let Some(present) = self.columns(table)? else {
            let columns = wanted().map(|field| format!("{} {}", quote(&field.name), field.data_type.sql()));
            let columns = columns.collect::<Vec<_>>().join(", ");
            self.execute(&format!("CREATE SCHEMA IF NOT EXISTS {}", quote(&table.schema)))?;
            self.execute(&format!("CREATE TABLE {table} ({columns})"))?;
            return Ok(wanted().collect());
        };
        let mut columns = present;
        for field in wanted() {
            // DuckDB's names are the same whatever their case.
            let is_it = |column: &&mut Field| column.name.eq_ignore_ascii_case(&field.name);
            let (change, before, after) = match columns.iter_mut().find(is_it) {
                Some(column) => {
                    let wide = column.data_type.widen(field.data_type);
                    if wide == column.data_type {
                        continue;
                    }
                    let before = std::mem::replace(&mut column.data_type, wide).sql();
                    self.execute(&format!("ALTER TABLE {table} ALTER {} TYPE {}", quote(&field.name), wide.sql()))?;
                    ("widened", before, wide.sql())
                }
                None => {
                    let after = field.data_type.sql();
                    self.execute(&format!("ALTER TABLE {table} ADD COLUMN {} {after}", quote(&field.name)))?;
                    columns.push(field.clone());
                    ("added", String::new(), after)
                }
            };
            let sql = "INSERT INTO _host.schema_changes VALUES (?, ?, ?, ?, ?, nullif(?, ''), ?)";
            self.change(sql, &[load_id, &table.schema, &table.name, &field.name, change, &before, &after])?;
        }
        Ok(columns)
    }
}

/// Fits a batch to a table's columns: reorders, widens, fills what is absent with nulls, adds the bookkeeping.
pub(super) fn fit(batch: &RecordBatch, columns: &[Field], load_id: &str, extracted_at: i64) -> Result<RecordBatch> {
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
    RecordBatch::try_new_with_options(Arc::new(schema.arrow()), arrays, &options)
        .map_err(|cause| Error::internal(cause.to_string()))
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
    // Never quietly null: what does not fit is for the decoder to tell.
    let options = CastOptions { safe: false, ..CastOptions::default() };
    arrow_cast::cast_with_options(array, &wanted, &options)
        .map_err(|cause| Error::internal(format!("column `{}`: {cause}", field.name)))
}

/// How values are shown: as DuckDB casts them to text.
#[must_use]
pub fn display_options() -> FormatOptions<'static> {
    FormatOptions::default().with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f+00"))
}

/// A column that [`display_options`] can show: instants without their zone, which is UTC.
#[must_use]
pub fn displayable(array: &ArrayRef) -> ArrayRef {
    use arrow_array::cast::AsArray;
    use arrow_array::types::TimestampMicrosecondType;
    match array.as_primitive_opt::<TimestampMicrosecondType>() {
        Some(instants) => Arc::new(instants.clone().with_timezone_opt(None::<&str>)),
        None => Arc::clone(array),
    }
}

/// A batch's rows as texts that tell them apart.
pub(super) fn texts(batch: &RecordBatch) -> impl Iterator<Item = String> {
    let options = display_options().with_null("\0");
    let columns: Vec<_> = batch.columns().iter().map(displayable).collect();
    let columns: Vec<_> = columns.iter().filter_map(|array| ArrayFormatter::try_new(array, &options).ok()).collect();
    let row =
        |row: usize| columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join("\u{1f}");
    (0..batch.num_rows()).map(row).collect::<Vec<_>>().into_iter()
}

/// A batch's rows as JSON: numbers and booleans as they are, everything else as text.
pub(super) fn rows(batch: &RecordBatch) -> Result<Vec<Row>> {
    use arrow_schema::DataType;
    let options = display_options();
    let schema = batch.schema();
    let mut rows = vec![Row::new(); batch.num_rows()];
    for (field, array) in schema.fields().iter().zip(batch.columns()) {
        let array = &displayable(array);
        let format = ArrayFormatter::try_new(array, &options).map_err(|cause| Error::internal(cause.to_string()))?;
        for (index, row) in rows.iter_mut().enumerate() {
            let text = format.value(index).to_string();
            let value = match array.data_type() {
                _ if array.is_null(index) => serde_json::Value::Null,
                DataType::Boolean => serde_json::Value::Bool(text == "true"),
                data_type if data_type.is_integer() || data_type.is_floating() => {
                    serde_json::from_str(&text).unwrap_or(serde_json::Value::String(text))
                }
                _ => serde_json::Value::String(text),
            };
            row.insert(field.name().clone(), value);
        }
    }
    Ok(rows)
}
