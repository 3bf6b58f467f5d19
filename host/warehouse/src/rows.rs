//! Reads rows as values: of a type with `serde`, or as JSON if the columns are not known in advance.

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{Array as _, ArrayRef, RecordBatch};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::DataType;
use duckdb::Params;
use host_core::error::{Error, Result};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{ColumnType, Warehouse};

/// One row by column, in the order of the columns.
pub type Row = serde_json::Map<String, Value>;

/// The result of a query to show: columns and rows, in order.
#[derive(Debug, Clone, serde::Serialize)]
pub struct QueryResult {
    /// Its columns.
    pub columns: Vec<ColumnType>,
    /// Its rows, one value per column: numbers and booleans as they are, everything else as text.
    pub rows: Vec<Vec<Value>>,
}

impl Warehouse {
    /// All rows of a query as JSON: numbers and booleans as they are, decimals, times and everything else as text.
    ///
    /// # Errors
    /// Same as [`Warehouse::scan`].
    pub fn query(&self, sql: &str, parameters: impl Params) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        self.scan(sql, parameters, |batch| {
            rows.extend(json_rows(batch)?);
            Ok(())
        })?;
        Ok(rows)
    }

    /// All rows of a query as values of a type. A column that is a list or a struct of JSON is stored as text, and the type
    /// parses it.
    ///
    /// # Errors
    /// Same as [`Warehouse::scan`], and a row that is not of the type.
    pub fn query_as<T: DeserializeOwned>(&self, sql: &str, parameters: impl Params) -> Result<Vec<T>> {
        let rows = self.query(sql, parameters)?;
        let typed = |row| serde_json::from_value(Value::Object(row)).map_err(|cause| unreadable(sql, &cause));
        rows.into_iter().map(typed).collect()
    }

    /// The first row of a query as a value of a type. None if there is no row.
    ///
    /// # Errors
    /// Same as [`Warehouse::query_as`].
    pub fn query_first<T: DeserializeOwned>(&self, sql: &str, parameters: impl Params) -> Result<Option<T>> {
        Ok(self.query_as(sql, parameters)?.into_iter().next())
    }

    /// The first value of the first row. None if there is no row or the value is NULL.
    ///
    /// # Errors
    /// Same as [`Warehouse::query_as`].
    pub fn value<T: DeserializeOwned>(&self, sql: &str, parameters: impl Params) -> Result<Option<T>> {
        let first = self.query(sql, parameters)?.into_iter().next();
        let value = first.and_then(|row| row.into_iter().next()).map(|(_, value)| value);
        let value = value.filter(|value| !value.is_null());
        value.map(|value| serde_json::from_value(value).map_err(|cause| unreadable(sql, &cause))).transpose()
    }

    /// The first value of the first row as text, of any type. None if there is no row or the value is NULL.
    ///
    /// # Errors
    /// Same as [`Warehouse::query`].
    pub fn value_text(&self, sql: &str, parameters: impl Params) -> Result<Option<String>> {
        Ok(self.value::<Value>(sql, parameters)?.map(|value| match value {
            Value::String(text) => text,
            other => other.to_string(),
        }))
    }

    /// The values of the first column, without NULL.
    ///
    /// # Errors
    /// Same as [`Warehouse::query_as`].
    pub fn values<T: DeserializeOwned>(&self, sql: &str, parameters: impl Params) -> Result<Vec<T>> {
        let rows = self.query(sql, parameters)?.into_iter();
        let values =
            rows.filter_map(|row| row.into_iter().next()).map(|(_, value)| value).filter(|value| !value.is_null());
        values.map(|value| serde_json::from_value(value).map_err(|cause| unreadable(sql, &cause))).collect()
    }

    /// The first value of the first row as a count.
    ///
    /// # Errors
    /// Same as [`Warehouse::query_as`], and a query that returns no number.
    pub fn count(&self, sql: &str, parameters: impl Params) -> Result<u64> {
        self.value(sql, parameters)?.ok_or_else(|| Error::internal(format!("`{sql}` returned no number")))
    }

    /// The columns and rows of a query, in order.
    ///
    /// # Errors
    /// Same as [`Warehouse::scan`].
    pub fn result(&self, sql: &str, parameters: impl Params + Clone) -> Result<QueryResult> {
        let columns = self.query_as(
            &format!("SELECT column_name AS name, column_type AS type FROM (DESCRIBE {sql})"),
            parameters.clone(),
        )?;
        let rows = self.query(sql, parameters)?;
        let rows = rows.into_iter().map(|row| row.into_iter().map(|(_, value)| value).collect());
        Ok(QueryResult { columns, rows: rows.collect() })
    }
}

fn unreadable(sql: &str, cause: &serde_json::Error) -> Error {
    Error::internal(format!("a row of `{sql}` does not have the expected type: {cause}"))
}

/// Options that format values as DuckDB casts them to text.
#[must_use]
pub fn display_options() -> FormatOptions<'static> {
    FormatOptions::default().with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f+00"))
}

/// A column that [`display_options`] can format: instants lose their time zone, which is UTC.
#[must_use]
pub fn displayable(array: &ArrayRef) -> ArrayRef {
    match array.as_primitive_opt::<TimestampMicrosecondType>() {
        Some(instants) => Arc::new(instants.clone().with_timezone_opt(None::<&str>)),
        None => Arc::clone(array),
    }
}

/// One text per row of a batch. Two texts are equal if their rows are equal.
pub fn row_texts(batch: &RecordBatch) -> impl Iterator<Item = String> {
    let options = display_options().with_null("\0");
    let columns: Vec<_> = batch.columns().iter().map(displayable).collect();
    let columns: Vec<_> = columns.iter().filter_map(|array| ArrayFormatter::try_new(array, &options).ok()).collect();
    let row =
        |row: usize| columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join("\u{1f}");
    (0..batch.num_rows()).map(row).collect::<Vec<_>>().into_iter()
}

fn json_rows(batch: &RecordBatch) -> Result<Vec<Row>> {
    let options = display_options();
    let schema = batch.schema();
    let mut rows = vec![Row::new(); batch.num_rows()];
    for (field, array) in schema.fields().iter().zip(batch.columns()) {
        let array = &displayable(array);
        let format = ArrayFormatter::try_new(array, &options).map_err(Error::internal)?;
        for (index, row) in rows.iter_mut().enumerate() {
            let value = match array.data_type() {
                _ if array.is_null(index) => Value::Null,
                DataType::Boolean => Value::Bool(array.as_boolean().value(index)),
                data_type => {
                    let text = format.value(index).to_string();
                    if data_type.is_integer() || data_type.is_floating() {
                        serde_json::from_str(&text).unwrap_or(Value::String(text))
                    } else {
                        Value::String(text)
                    }
                }
            };
            row.insert(field.name().clone(), value);
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use crate::Warehouse;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Deal {
        id: u64,
        amount: String,
        closed: Option<bool>,
    }

    #[test]
    fn rows_are_read_as_values_of_a_type() {
        let warehouse = Warehouse::memory().expect("DuckDB in memory");
        let sql = "SELECT ?::BIGINT AS id, 1.50::DECIMAL(9,2) AS amount, ?::BOOLEAN AS closed";
        let deals: Vec<Deal> = warehouse.query_as(sql, (7_i64, None::<bool>)).expect("a row");
        assert_eq!(deals, [Deal { id: 7, amount: "1.50".to_owned(), closed: None }]);
    }

    #[test]
    fn a_count_that_cannot_be_read_is_an_error() {
        let warehouse = Warehouse::memory().expect("DuckDB in memory");
        assert_eq!(warehouse.count("SELECT count(*) FROM range(3)", ()).expect("a count"), 3);
        assert!(warehouse.count("SELECT 'three'", ()).is_err());
        assert!(warehouse.count("SELECT 1 WHERE false", ()).is_err());
    }
}
