//! CSV files to typed columns. A missing header, a missing or duplicate key or a value that does not fit is an error with
//! its line.
//!
//! An empty cell is NULL. In a text column of the primary key it is the empty text: a file cannot tell the two apart, and a
//! key column needs a value, such as the empty channel of a cost that belongs to no channel.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::builder::{
    BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder, Int64Builder, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use host_core::error::{Error, Place, Result, nearest};
use host_core::schema::{Field, Schema, Type};

use super::value::{self as parse, AcceptedForms};

/// Rows of one table.
const TABLE_ROWS: usize = 10_000;

/// A CSV file being read.
#[expect(unreachable_pub, reason = "the generated bindings name it")]
pub struct CsvReader {
    path: String,
    reader: csv::Reader<std::fs::File>,
    schema: Schema,
    /// The index of each field's column in the file.
    positions: Vec<usize>,
    /// The line of each primary key read so far.
    lines_by_key: HashMap<Vec<String>, u64>,
}

impl CsvReader {
    /// Opens a file. Its header must name every field of the schema, in any order.
    pub(crate) fn open(path: String, file: std::fs::File, schema: Schema, delimiter: u8) -> Result<Self> {
        let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).trim(csv::Trim::All).from_reader(file);
        let headers = reader.headers().map_err(|cause| Error::data(cause.to_string()).at(&Place::file(&path)))?.clone();
        let clean = |header: &str| header.trim_start_matches('\u{feff}').to_owned();
        let headers: Vec<_> = headers.iter().map(clean).collect();
        let find = |field: &Field| {
            if headers.iter().filter(|header| **header == field.name).nth(1).is_some() {
                let error = Error::data(format!("the header has two columns `{}`", field.name));
                return Err(error.hint("rename one of them").at(&Place::line(&path, 1)));
            }
            headers.iter().position(|header| *header == field.name).ok_or_else(|| {
                let error = Error::data(format!("the header has no column `{}`", field.name));
                let found = format!("the header is `{}`", headers.join(","));
                let hint = nearest(&field.name, headers.iter().map(String::as_str)).unwrap_or(found);
                error.hint(hint).at(&Place::line(&path, 1))
            })
        };
        let positions: Vec<usize> = schema.fields.iter().map(find).collect::<Result<_>>()?;
        Ok(Self { path, reader, schema, positions, lines_by_key: HashMap::new() })
    }

    /// Reads the next rows. None at the end.
    pub(crate) fn next(&mut self) -> Result<Option<RecordBatch>> {
        let mut rows = Vec::new();
        for record in self.reader.records().take(TABLE_ROWS) {
            rows.push(record.map_err(|cause| Error::data(cause.to_string()).at(&Place::file(&self.path)))?);
        }
        if rows.is_empty() {
            return Ok(None);
        }
        let fields = self.schema.fields.iter().zip(&self.positions);
        let column = |(field, &position): (&Field, &usize)| {
            let is_key = self.schema.primary_key.contains(&field.name);
            column(&self.path, field, is_key, &rows, position)
        };
        let arrays = fields.map(column);
        let arrays = arrays.collect::<Result<Vec<_>>>()?;
        let batch = RecordBatch::try_new(Arc::new(self.schema.arrow()), arrays).map_err(Error::internal)?;
        self.check_unique(&batch, &rows)?;
        Ok(Some(batch))
    }

    /// Refuses empty and duplicate keys: a merge would keep only one of the rows, and lose the other's amounts.
    fn check_unique(&mut self, batch: &RecordBatch, rows: &[csv::StringRecord]) -> Result<()> {
        let key = &self.schema.primary_key;
        let options = FormatOptions::default().with_null("");
        let formatters = key.iter().filter_map(|name| batch.column_by_name(name));
        let formatters = formatters.map(|column| ArrayFormatter::try_new(column, &options));
        let formatters = formatters.collect::<Result<Vec<_>, _>>().map_err(Error::internal)?;
        for (index, row) in rows.iter().enumerate() {
            let line = line_of(row);
            let values: Vec<_> = formatters.iter().map(|column| column.value(index).to_string()).collect();
            if values.iter().all(String::is_empty) {
                let error = Error::data(format!("the key is empty: {}", key.join(", ")));
                return Err(error.hint("remove the line, or fill in its key").at(&place(&self.path, line)));
            }
            let shown = values.join(", ");
            let Some(first) = self.lines_by_key.insert(values, line) else { continue };
            let error = Error::data(format!("duplicate key {} = `{shown}`, first in line {first}", key.join(", ")));
            let hint = "sum the two rows, or add a column in which they differ to `primary_key`";
            return Err(error.hint(hint).at(&place(&self.path, line)));
        }
        Ok(())
    }
}

fn line_of(row: &csv::StringRecord) -> u64 {
    row.position().map_or(0, csv::Position::line)
}

fn place(path: &str, line: u64) -> Place {
    Place::line(path, usize::try_from(line).unwrap_or_default())
}

fn column(path: &str, field: &Field, is_key: bool, rows: &[csv::StringRecord], position: usize) -> Result<ArrayRef> {
    let forms = AcceptedForms::parse("text,empty-null");
    let is_text_of_key = is_key && field.data_type == Type::Text;
    let is_value = |cell: &&str| is_text_of_key || !cell.is_empty();
    let cells = rows.iter().map(|row| (row.get(position).filter(is_value), row));
    macro_rules! build {
        ($builder:expr, $parse:expr) => {{
            let mut builder = $builder;
            for (cell, row) in cells {
                let parse = $parse;
                if is_key && cell.is_none() {
                    let error = Error::data(format!("the key column `{}` is empty", field.name));
                    return Err(error.hint("remove the line, or fill in its key").at(&place(path, line_of(row))));
                }
                let value = cell
                    .map(|text| parse(text).ok_or_else(|| invalid_value(field, text).at(&place(path, line_of(row)))))
                    .transpose()?;
                builder.append_option(value);
            }
            Arc::new(builder.finish()) as ArrayRef
        }};
    }
    Ok(match field.data_type {
        Type::Bool => build!(BooleanBuilder::new(), parse::boolean),
        Type::Int64 => build!(Int64Builder::new(), parse::integer),
        Type::Float64 => build!(Float64Builder::new(), |text: &str| text.parse().ok().filter(|f: &f64| f.is_finite())),
        Type::Decimal(precision, scale) => {
            let builder = Decimal128Builder::new().with_data_type(field.data_type.arrow());
            build!(builder, |text: &str| parse::decimal(text, precision, scale))
        }
        Type::Date => build!(Date32Builder::new(), |text: &str| month_or_day(text, forms)),
        Type::Timestamp => build!(TimestampMicrosecondBuilder::new().with_timezone("UTC"), |text: &str| {
            parse::timestamp(text, forms)
        }),
        Type::Text => build!(StringBuilder::new(), |text: &str| Some(text.to_owned())),
    })
}

/// Parses a day, or a month as its first day.
fn month_or_day(text: &str, forms: AcceptedForms) -> Option<i32> {
    let day = if text.len() == 7 { format!("{text}-01") } else { text.to_owned() };
    parse::date(&day, forms).and_then(|days| i32::try_from(days).ok())
}

fn invalid_value(field: &Field, text: &str) -> Error {
    let expected = match field.data_type {
        Type::Bool => "`true` or `false`",
        Type::Int64 => "a whole number",
        Type::Float64 | Type::Decimal(..) => "a number with a decimal point",
        Type::Date => "a date such as `2026-10-31` or a month such as `2026-10`",
        Type::Timestamp => "an instant such as `2026-10-31T12:00:00Z`",
        Type::Text => "text",
    };
    Error::data(format!("column `{}`: `{text}` is not valid: expected {expected}", field.name))
}
