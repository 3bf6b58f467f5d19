//! Granted CSV files to typed columns, strictly: a missing header or a value that does not fit is an error with its line.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::builder::{
    BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder, Int64Builder, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_cast::display::{ArrayFormatter, FormatOptions};

use super::decode_value::{self as parse, Forms};
use super::resources::GrantedFile;
use crate::error::{Error, Result, nearest};
use crate::schema::{Field, Schema, Type};

/// Rows of one table.
const ROWS: usize = 10_000;

/// A CSV file being read.
#[expect(unreachable_pub, reason = "the generated bindings name it")]
pub struct CsvReader {
    path: String,
    reader: csv::Reader<std::fs::File>,
    schema: Schema,
    /// Where each field stands in the file.
    positions: Vec<usize>,
    /// The line of each key so far.
    seen: HashMap<Vec<String>, u64>,
}

impl CsvReader {
    /// Opens a file whose header must name every field, in any order.
    pub(crate) fn open(file: &GrantedFile, schema: Schema, delimiter: u8) -> Result<Self> {
        let path = file.path.display().to_string();
        let handle = file.handle.try_clone().map_err(|cause| Error::config(format!("{path}: {cause}")))?;
        let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).trim(csv::Trim::All).from_reader(handle);
        let headers = reader.headers().map_err(|cause| Error::data(format!("{path}: {cause}")))?.clone();
        let clean = |header: &str| header.trim_start_matches('\u{feff}').to_owned();
        let headers: Vec<_> = headers.iter().map(clean).collect();
        let find = |field: &Field| {
            headers.iter().position(|header| *header == field.name).ok_or_else(|| {
                let error = Error::data(format!("{path}:1: the header has no column `{}`", field.name));
                let found = format!("the header is `{}`", headers.join(","));
                error.hint(nearest(&field.name, headers.iter().map(String::as_str)).unwrap_or(found))
            })
        };
        let positions: Vec<usize> = schema.fields.iter().map(find).collect::<Result<_>>()?;
        Ok(Self { path, reader, schema, positions, seen: HashMap::new() })
    }

    /// The next rows; none at the end.
    pub(crate) fn next(&mut self) -> Result<Option<RecordBatch>> {
        let mut rows = Vec::new();
        for record in self.reader.records().take(ROWS) {
            let record = record.map_err(|cause| Error::data(format!("{}: {cause}", self.path)))?;
            rows.push(record);
        }
        if rows.is_empty() {
            return Ok(None);
        }
        let fields = self.schema.fields.iter().zip(&self.positions);
        let arrays = fields.map(|(field, &at)| column(field, &rows, at).map_err(|error| error.on(&self.path)));
        let arrays = arrays.collect::<Result<Vec<_>>>()?;
        let batch = RecordBatch::try_new(Arc::new(self.schema.arrow()), arrays);
        let batch = batch.map_err(|cause| Error::internal(cause.to_string()))?;
        self.unique(&batch, &rows).map_err(|error| error.on(&self.path))?;
        Ok(Some(batch))
    }

    /// Of two rows with one key the merge would keep one: better no load than a lost cost.
    fn unique(&mut self, batch: &RecordBatch, rows: &[csv::StringRecord]) -> Result<()> {
        let key = &self.schema.primary_key;
        let options = FormatOptions::default().with_null("");
        let formatters = key.iter().filter_map(|name| batch.column_by_name(name));
        let formatters = formatters.map(|column| ArrayFormatter::try_new(column, &options));
        let formatters =
            formatters.collect::<Result<Vec<_>, _>>().map_err(|cause| Error::internal(cause.to_string()))?;
        for (index, row) in rows.iter().enumerate() {
            let line = row.position().map_or(0, csv::Position::line);
            let values: Vec<_> = formatters.iter().map(|column| column.value(index).to_string()).collect();
            let shown = values.join(", ");
            let Some(first) = self.seen.insert(values, line) else { continue };
            let columns = key.join(", ");
            let error = Error::data(format!("line {line}: {columns} = `{shown}` again, as in line {first}"));
            return Err(error.hint("sum the two rows, or add a column that tells them apart to `primary_key`"));
        }
        Ok(())
    }
}

fn column(field: &Field, rows: &[csv::StringRecord], at: usize) -> Result<ArrayRef> {
    let forms = Forms::parse("text,empty-null");
    let cells = rows.iter().map(|row| (row.get(at).filter(|cell| !cell.is_empty()), row));
    macro_rules! build {
        ($builder:expr, $parse:expr) => {{
            let mut builder = $builder;
            for (cell, row) in cells {
                let parse = $parse;
                let value = cell.map(|text| parse(text).ok_or_else(|| misfit(field, text, row))).transpose()?;
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

/// A day, or a month, which stands for its first day.
fn month_or_day(text: &str, forms: Forms) -> Option<i32> {
    let day = if text.len() == 7 { format!("{text}-01") } else { text.to_owned() };
    parse::date(&day, forms).and_then(|days| i32::try_from(days).ok())
}

fn misfit(field: &Field, text: &str, row: &csv::StringRecord) -> Error {
    let line = row.position().map_or(0, csv::Position::line);
    let wanted = match field.data_type {
        Type::Bool => "true or false",
        Type::Int64 => "a whole number",
        Type::Float64 | Type::Decimal(..) => "a number with a decimal point",
        Type::Date => "a date such as 2026-10-31 or a month such as 2026-10",
        Type::Timestamp => "an instant such as 2026-10-31T12:00:00Z",
        Type::Text => "text",
    };
    Error::data(format!("line {line}: column `{}`: `{text}` is not {wanted}", field.name))
}
