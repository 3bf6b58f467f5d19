//! Rows that a source builds itself, instead of letting the host decode them.

use std::collections::BTreeMap;

use crate::bindings::source_plugin::elt::plugin::types as wit;
use crate::column::{AnyColumn, Builder, Column, Value};
use crate::error::{Error, ErrorKind, Result};
use crate::schema::Schema;

/// Rows that a source builds itself: the values of each column of the stream. [`Page::built`] adds them to a page.
///
/// ```
/// use plugin_sdk::prelude::*;
///
/// # fn main() -> Result<()> {
/// let months = Schema::new(vec![Field::text("month"), Field::new("days", Type::Int64)], &["month"]);
/// let (mut month, mut days) = (TextBuilder::new(), Builder::<i64>::new());
/// for (name, count) in [("2026-01", 31), ("2026-02", 28)] {
///     month.push(Some(name));
///     days.push(Some(count));
/// }
/// let rows = Built::new().column(months.text("month")?, month).column(months.column("days")?, days);
/// let page = Page::new().built("months", &months, rows)?.done(true);
/// # Ok(()) }
/// ```
///
/// [`Page::built`]: crate::source::Page::built
#[derive(Debug, Default)]
pub struct Built {
    /// The number of rows and the values of each column, by the column's position in the schema.
    columns: BTreeMap<usize, (usize, wit::Column)>,
}

impl Built {
    /// Rows without columns.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the values of a column, one for each row.
    #[must_use]
    pub fn column<T: Value>(mut self, column: Column<T>, values: Builder<T>) -> Self {
        let rows = values.rows();
        self.columns.insert(AnyColumn::from(column).index, (rows, values.finish()));
        self
    }

    /// The columns in the schema's order. Each field needs values, and all columns the same number of rows.
    pub(crate) fn finish(mut self, schema: &Schema) -> Result<wit::Batch> {
        let rows = self.columns.values().next().map_or(0, |(rows, _)| *rows);
        let column = |(index, field): (usize, &wit::Field)| {
            let bug = |message: String| Error::new(ErrorKind::Internal, "rows", message);
            let Some((found, column)) = self.columns.remove(&index) else {
                return Err(bug(format!("column `{}` has no values: add them with `Built::column`", field.name)));
            };
            if found != rows {
                let message = format!("column `{}` has {found} rows, but another column has {rows}", field.name);
                return Err(bug(message));
            }
            Ok(column)
        };
        let columns = schema.wit.fields.iter().enumerate().map(column).collect::<Result<_>>()?;
        Ok(wit::Batch { rows: u32::try_from(rows).unwrap_or(u32::MAX), columns })
    }
}
