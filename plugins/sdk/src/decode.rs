//! JSON responses and CSV files, decoded into typed rows by the host.

use crate::bindings::source_plugin::elt::plugin::{decode, files};
use crate::column::TextView;
use crate::error::{Error, Result};
use crate::http::Response;
use crate::schema::{Field, Schema};

/// Says which values of a JSON response become which columns. The host decodes the response, so that the body never
/// enters the plugin.
///
/// There is one row for each element of an array, or of an array nested in it. A value that does not fit its column
/// becomes null, and the host keeps it as received in the column `_unfit`.
///
/// ```
/// use plugin_sdk::prelude::*;
///
/// // {"results": [{"id": "7", "label": "Sales", "stages": [{"id": "a"}, {"id": "b"}]}]}
/// let stages = JsonTable::rows_at("/results")
///     .column(Field::text("pipeline_id"), "/id")
///     .column(Field::text("pipeline_label"), "/label")
///     .each("/stages")
///     .column(Field::text("stage_id"), "/id");
/// // Two rows: (7, Sales, a) and (7, Sales, b).
/// let schema = stages.schema(&["pipeline_id", "stage_id"]);
/// assert!(schema.text("stage_id").is_ok());
/// ```
#[derive(Debug, Clone, Default)]
pub struct JsonTable {
    levels: Vec<String>,
    columns: Vec<decode::JsonColumn>,
}

impl JsonTable {
    /// One row for each element of the array at this JSON pointer. A response without this array is an error.
    #[must_use]
    pub fn rows_at(pointer: &str) -> Self {
        Self { levels: vec![pointer.to_owned()], columns: Vec::new() }
    }

    /// One row for each element of an array inside each element so far. The columns before this call repeat in all
    /// rows of their element. An element whose array is empty or absent has no row.
    #[must_use]
    pub fn each(mut self, pointer: &str) -> Self {
        self.levels.push(pointer.to_owned());
        self
    }

    /// Adds a column with the value at a JSON pointer inside the elements of the array named last.
    #[must_use]
    pub fn column(mut self, field: Field, pointer: impl Into<String>) -> Self {
        let level = u32::try_from(self.levels.len()).unwrap_or(u32::MAX).saturating_sub(1);
        self.columns.push(decode::JsonColumn { field: field.wit, level, path: pointer.into() });
        self
    }

    /// Adds a text column with the same text in every row.
    #[must_use]
    pub fn constant(self, name: &str, text: &str) -> Self {
        let mut field = Field::text(name);
        field.wit.metadata.push(("constant".to_owned(), text.to_owned()));
        self.column(field, "")
    }

    /// The columns as a schema with this primary key.
    #[must_use]
    pub fn schema(&self, primary_key: &[&str]) -> Schema {
        let fields = self.columns.iter().map(|column| Field { wit: column.field.clone() }).collect();
        Schema::new(fields, primary_key)
    }

    /// Decodes a response.
    ///
    /// # Errors
    ///
    /// If the body is not JSON, is cut off, or has no array at the pointer of [`rows_at`](Self::rows_at).
    /// [`Error::is_broken_body`] is true for such an error.
    pub fn decode(&self, response: &Response) -> Result<Table> {
        Ok(Table { wit: decode::json_table(&response.wit, &self.levels, &self.columns)? })
    }
}

/// Rows that the host decoded and holds. [`Page::rows`](crate::source::Page::rows) adds them to a page.
#[derive(Debug)]
pub struct Table {
    pub(crate) wit: decode::Table,
}

impl Table {
    /// The number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.wit.rows() as usize
    }

    /// A table with `rows` rows from `start` on.
    #[must_use]
    pub fn slice(&self, start: usize, rows: usize) -> Self {
        let number = |number| u32::try_from(number).unwrap_or(u32::MAX);
        Self { wit: self.wit.slice(number(start), number(rows)) }
    }

    /// Whether a text column has a value in any row.
    ///
    /// # Errors
    ///
    /// If the table has no such column.
    pub fn has(&self, column: &str) -> Result<bool> {
        let batch = self.wit.columns(&[column.to_owned()])?;
        let Some(found) = batch.columns.first() else { return Ok(false) };
        Ok(TextView::new(found, batch.rows as usize)?.iter().any(|value| value.is_some()))
    }

    /// The values of a text column, copied into the plugin; an empty text for a null.
    ///
    /// # Errors
    ///
    /// If the table has no such column.
    pub fn texts(&self, column: &str) -> Result<Vec<String>> {
        let batch = self.wit.columns(&[column.to_owned()])?;
        let missing = || Error::config(format!("no column `{column}` in the decoded table"));
        let found = batch.columns.first().ok_or_else(missing)?;
        let view = TextView::new(found, batch.rows as usize)?;
        Ok(view.iter().map(|value| value.unwrap_or_default().to_owned()).collect())
    }
}

/// Reads a granted CSV file in parts. The host decodes it, so that the bytes never enter the plugin.
///
/// ```no_run
/// use plugin_sdk::prelude::*;
/// use plugin_sdk::source::CsvReader;
///
/// # fn read() -> Result<()> {
/// let schema = Schema::new(vec![Field::text("id"), Field::new("amount", Type::Decimal)], &["id"]);
/// let reader = CsvReader::open("spend", &schema, ',')?;
/// while let Some(table) = reader.next()? {
///     let page = Page::new().rows("spend", &schema, table);
///     // ...
/// }
/// # Ok(()) }
/// ```
pub struct CsvReader {
    wit: decode::CsvReader,
}

impl CsvReader {
    /// Opens a granted file.
    ///
    /// # Errors
    ///
    /// If the file is not granted, or its header does not name every field of the schema.
    pub fn open(file: &str, schema: &Schema, delimiter: char) -> Result<Self> {
        let file = files::open(file)?;
        let options = serde_json::json!({ "delimiter": delimiter }).to_string();
        Ok(Self { wit: decode::csv(&file, &schema.wit, &options)? })
    }

    /// The next rows; none at the end of the file.
    ///
    /// # Errors
    ///
    /// If a value does not fit its column. The message names the line.
    pub fn next(&self) -> Result<Option<Table>> {
        Ok(self.wit.next()?.map(|wit| Table { wit }))
    }
}
