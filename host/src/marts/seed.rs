//! CSV files as tables: each row is of the header's length, each value is text or of the type that the file beside says.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};

use super::files::Model;
use crate::error::{Error, Result};
use crate::warehouse::{Named, Table, Warehouse, literal, quote};

/// The line of each value beside it, while a seed is read.
const LINE: &str = "_line";

/// A seed's columns: text unless the file beside it says otherwise.
pub(super) fn columns(model: &Model) -> Result<Vec<Named>> {
    let mut reader = csv::Reader::from_reader(model.text.as_bytes());
    let header = reader.headers().map_err(|cause| wrong(model, &cause))?;
    let mut columns: Vec<Named> = Vec::new();
    for name in header {
        if name.is_empty() || columns.iter().any(|column| column.name.eq_ignore_ascii_case(name)) {
            let what = if name.is_empty() { "a column has no name" } else { "two columns are named" };
            return Err(model.error(Some(1), Error::config(format!("{what} `{name}`"))));
        }
        let beside = model.config.column.iter().find(|column| column.name.eq_ignore_ascii_case(name));
        let data_type = beside.and_then(|column| column.data_type.clone()).unwrap_or_else(|| "VARCHAR".to_owned());
        columns.push(Named { name: name.to_owned(), data_type });
    }
    if columns.is_empty() {
        return Err(model.error(Some(1), Error::config("it has no header")));
    }
    Ok(columns)
}

/// Writes a seed's rows into a new table.
pub(super) fn load(model: &Model, into: &Table, warehouse: &Warehouse) -> Result<()> {
    let columns = columns(model)?;
    let mut reader = csv::Reader::from_reader(model.text.as_bytes());
    let (mut lines, mut values) = (Vec::new(), vec![Vec::new(); columns.len()]);
    for record in reader.records() {
        let record = record.map_err(|cause| wrong(model, &cause))?;
        lines.push(record.position().map_or(0, |at| i64::try_from(at.line()).unwrap_or_default()));
        for (column, value) in values.iter_mut().zip(record.iter()) {
            column.push((!value.is_empty()).then(|| value.to_owned()));
        }
    }
    let names = || columns.iter().map(|column| quote(&column.name));
    let texts: String = names().map(|name| format!(", {name} VARCHAR")).collect();
    let staged = Table::new("temp", "seed_rows");
    warehouse.execute(&format!("CREATE OR REPLACE TEMP TABLE seed_rows ({LINE} BIGINT{texts})"))?;
    let arrays = values.into_iter().map(|column| Arc::new(StringArray::from(column)) as ArrayRef);
    let arrays = std::iter::once(Arc::new(Int64Array::from(lines)) as ArrayRef).chain(arrays);
    let named = arrays.zip([LINE.to_owned()].into_iter().chain(columns.iter().map(|column| column.name.clone())));
    let batch = RecordBatch::try_from_iter_with_nullable(named.map(|(array, name)| (name, array, true)));
    warehouse.append(&staged, batch.map_err(|cause| Error::internal(cause.to_string()))?)?;
    for (column, name) in columns.iter().zip(names()).filter(|(column, _)| column.data_type != "VARCHAR") {
        let data_type = &column.data_type;
        let sql = format!(
            "SELECT {LINE}::VARCHAR AS line, {name} AS value FROM {staged} \
             WHERE {name} IS NOT NULL AND TRY_CAST({name} AS {data_type}) IS NULL ORDER BY {LINE} LIMIT 1"
        );
        if let Some(row) = warehouse.query(&sql, &[])?.first() {
            let text = |key: &str| row.get(key).and_then(|value| value.as_str()).unwrap_or_default();
            let error = Error::data(format!("column `{}`: {} is no {data_type}", column.name, literal(text("value"))));
            return Err(model.error(text("line").parse().ok(), error));
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

fn wrong(model: &Model, cause: &csv::Error) -> Error {
    match cause.kind() {
        csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
            let line = pos.as_ref().and_then(|at| usize::try_from(at.line()).ok());
            let error = Error::data(format!("a row has {len} values where the header has {expected_len}"));
            model.error(line, error.hint("a value with a comma or a line break stands in double quotes"))
        }
        _ => model.error(None, Error::data(cause.to_string())),
    }
}
