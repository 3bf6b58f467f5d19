//! Loads CSV files into tables. Each row has as many values as the header, each value has the type of its column.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use host_core::error::{Error, Result};
use host_warehouse::{ColumnType, Table, Warehouse, quote};

use crate::files::Model;

/// The column with the line of each row, while a seed is loaded.
const LINE: &str = "_line";

/// Returns the columns of a seed. A column is text unless the TOML file beside the seed gives its type.
pub(super) fn columns(model: &Model) -> Result<Vec<ColumnType>> {
    let mut reader = csv::Reader::from_reader(model.text.as_bytes());
    let header = reader.headers().map_err(|cause| csv_error(model, &cause))?;
    let mut columns: Vec<ColumnType> = Vec::new();
    for name in header {
        if name.is_empty() || columns.iter().any(|column| column.name.eq_ignore_ascii_case(name)) {
            let message =
                if name.is_empty() { "a column has no name".to_owned() } else { format!("duplicate column `{name}`") };
            return Err(model.error(Some(1), Error::config(message)));
        }
        let listed = model.config.column.iter().find(|column| column.name.eq_ignore_ascii_case(name));
        let data_type = listed.and_then(|column| column.data_type.clone()).unwrap_or_else(|| "VARCHAR".to_owned());
        columns.push(ColumnType { name: name.to_owned(), data_type });
    }
    if columns.is_empty() {
        return Err(model.error(Some(1), Error::config("the file has no header")));
    }
    Ok(columns)
}

/// A value that cannot be cast to the type of its column.
#[derive(serde::Deserialize)]
struct InvalidValue {
    line: usize,
    value: String,
}

/// Creates a table with the rows of a seed.
pub(super) fn load(model: &Model, into: &Table, warehouse: &Warehouse) -> Result<()> {
    let columns = columns(model)?;
    let mut reader = csv::Reader::from_reader(model.text.as_bytes());
    let (mut lines, mut values) = (Vec::new(), vec![Vec::new(); columns.len()]);
    for record in reader.records() {
        let record = record.map_err(|cause| csv_error(model, &cause))?;
        lines.push(record.position().map_or(0, |at| i64::try_from(at.line()).unwrap_or_default()));
        for (column, value) in values.iter_mut().zip(record.iter()) {
            column.push((!value.is_empty()).then(|| value.to_owned()));
        }
    }
    let names = || columns.iter().map(|column| quote(&column.name));
    let texts: String = names().map(|name| format!(", {name} VARCHAR")).collect();
    let staged = Table::temporary("seed_rows");
    warehouse.execute(&format!("CREATE OR REPLACE TEMP TABLE seed_rows ({LINE} BIGINT{texts})"))?;
    let arrays = values.into_iter().map(|column| Arc::new(StringArray::from(column)) as ArrayRef);
    let arrays = std::iter::once(Arc::new(Int64Array::from(lines)) as ArrayRef).chain(arrays);
    let named = arrays.zip([LINE.to_owned()].into_iter().chain(columns.iter().map(|column| column.name.clone())));
    let batch = RecordBatch::try_from_iter_with_nullable(named.map(|(array, name)| (name, array, true)));
    warehouse.append(&staged, batch.map_err(Error::internal)?)?;
    for (column, name) in columns.iter().zip(names()).filter(|(column, _)| column.data_type != "VARCHAR") {
        let data_type = &column.data_type;
        let sql = format!(
            "SELECT {LINE} AS line, {name} AS value FROM {staged} \
             WHERE {name} IS NOT NULL AND TRY_CAST({name} AS {data_type}) IS NULL ORDER BY {LINE} LIMIT 1"
        );
        if let Some(invalid) = warehouse.query_first::<InvalidValue>(&sql, ())? {
            let error =
                Error::data(format!("column `{}`: `{}` is not a valid {data_type}", column.name, invalid.value));
            return Err(model.error(Some(invalid.line), error));
        }
    }
    let casts: Vec<_> = columns
        .iter()
        .zip(names())
        .map(|(column, name)| format!("CAST({name} AS {}) AS {name}", column.data_type))
        .collect();
    warehouse.execute(&format!("CREATE TABLE {into} AS SELECT {} FROM {staged} ORDER BY {LINE}", casts.join(", ")))?;
    warehouse.execute(&format!("DROP TABLE {staged}"))
}

/// Places an error of the CSV parser at its line.
fn csv_error(model: &Model, cause: &csv::Error) -> Error {
    match cause.kind() {
        csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
            let line = pos.as_ref().and_then(|at| usize::try_from(at.line()).ok());
            let error = Error::data(format!("the row has {len} values, expected {expected_len} as in the header"));
            model.error(line, error.hint("put a value with a comma or a line break in double quotes"))
        }
        _ => model.error(None, Error::data(cause.to_string())),
    }
}
