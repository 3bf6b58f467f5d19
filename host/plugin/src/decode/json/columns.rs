//! A row under construction: one Arrow builder per column, and the values that do not fit their columns.

use std::sync::Arc;

use arrow_array::builder::{
    BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder, Int64Builder, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use host_core::error::{Error, Result};
use host_core::schema::{Field, Type, UNFIT};
use sonic_rs::{JsonValueTrait as _, LazyValue};

use super::paths::JsonColumn;
use crate::decode::value::{self as parse, AcceptedForms};
use crate::memory::{MemoryExceeded, Meter};

/// The capacity of new builders: most pages have fewer rows. Arrow's default is ten times as large, and would stay
/// mostly empty in every column of every page that waits to be written.
const PAGE_ROWS: usize = 128;

/// Bytes of a new builder, beside its values: the builder itself and its buffers' headers.
const BUILDER_BYTES: usize = 512;
/// How much larger the buffer of a column's texts may be than the texts: it doubles when it is full.
const SLACK: usize = 2;
/// How often a row's unfit texts exist at once while their JSON is written.
const UNFIT_COPIES: usize = 4;

/// Builds the rows of a table. Memory is reserved before it is used: for rows whenever their number doubles, for texts in
/// steps.
pub(super) struct TableBuilder {
    builders: Vec<ColumnBuilder>,
    /// Columns with the same text in every row.
    constants: Vec<(usize, String)>,
    unfit: StringBuilder,
    rows: usize,
    meter: Meter,
    /// Rows for which values of fixed width have memory.
    metered_rows: usize,
    /// Bytes of one row's values of fixed width.
    row_bytes: usize,
    /// Bytes that the pending values add to the next row, beyond their fixed width.
    pending_bytes: usize,
    /// The same of the constants.
    constant_bytes: usize,
    /// The limit that ended the table.
    exceeded: Option<MemoryExceeded>,
}

/// A table that exceeds a memory limit. The walk over the text ends with it.
pub(super) struct Ended;

impl TableBuilder {
    pub(super) fn new(columns: &[JsonColumn], mut meter: Meter) -> Result<Self, MemoryExceeded> {
        // The offset and the bit of `_unfit`, then those of the columns.
        let row_bytes = columns.iter().map(|column| row_bytes(column.field.data_type)).sum::<usize>() + 5;
        let constant_bytes = SLACK * columns.iter().filter_map(JsonColumn::constant).map(String::len).sum::<usize>();
        // A constant is kept twice: here and in its builder.
        meter.add((columns.len() + 1) * BUILDER_BYTES + PAGE_ROWS * row_bytes + 2 * constant_bytes)?;
        let builders = columns.iter().map(|column| ColumnBuilder::new(&column.field)).collect();
        let constant = |(index, column): (usize, &JsonColumn)| Some((index, column.constant()?.clone()));
        let constants = columns.iter().enumerate().filter_map(constant).collect();
        let (unfit, metered_rows) = (StringBuilder::with_capacity(PAGE_ROWS, 0), PAGE_ROWS);
        Ok(Self {
            builders,
            constants,
            unfit,
            rows: 0,
            meter,
            metered_rows,
            row_bytes,
            pending_bytes: 0,
            constant_bytes,
            exceeded: None,
        })
    }

    /// Clears the value of a column for the next rows.
    pub(super) fn clear(&mut self, column: usize) {
        let builder = &mut self.builders[column];
        self.pending_bytes -= builder.text_bytes();
        builder.pending = Pending::Null;
    }

    /// Parses the value of a column for the next rows.
    pub(super) fn set(&mut self, column: usize, value: &LazyValue<'_>) -> Result<(), Ended> {
        let builder = &mut self.builders[column];
        // A value is at least as long in the body as it is in its column.
        let most = SLACK * value.as_raw_str().len();
        if most > builder.metered_text {
            let added = self.meter.add(most - builder.metered_text);
            added.map_err(|exceeded| end(&mut self.exceeded, exceeded))?;
            builder.metered_text = most;
        }
        self.pending_bytes -= builder.text_bytes();
        builder.set(value);
        self.pending_bytes += builder.text_bytes();
        Ok(())
    }

    /// Appends a row of the pending values.
    pub(super) fn append_row(&mut self) -> Result<(), Ended> {
        self.reserve_row().map_err(|exceeded| end(&mut self.exceeded, exceeded))?;
        for (column, text) in &self.constants {
            self.builders[*column].set_text(text);
        }
        let mut unfit: Option<serde_json::Map<String, serde_json::Value>> = None;
        for builder in &mut self.builders {
            if let Some(text) = builder.push() {
                unfit.get_or_insert_default().insert(builder.name.clone(), serde_json::Value::String(text));
            }
        }
        self.unfit.append_option(unfit.map(|unfit| serde_json::Value::Object(unfit).to_string()));
        self.rows += 1;
        Ok(())
    }

    /// Reserves the memory of the next row.
    fn reserve_row(&mut self) -> Result<(), MemoryExceeded> {
        if self.rows == self.metered_rows {
            self.meter.add(self.metered_rows.saturating_mul(self.row_bytes))?;
            self.metered_rows *= 2;
        }
        self.meter.add(self.pending_bytes + self.constant_bytes)
    }

    /// The limit that ended the table, if one did.
    pub(super) fn exceeded(&self) -> Option<MemoryExceeded> {
        self.exceeded
    }

    /// The rows, with the memory that they occupy.
    pub(super) fn finish(mut self, columns: &[JsonColumn]) -> Result<(RecordBatch, Meter)> {
        let mut arrays: Vec<_> = self.builders.iter_mut().map(ColumnBuilder::finish).collect();
        arrays.push(Arc::new(self.unfit.finish()));
        let field =
            |column: &JsonColumn| arrow_schema::Field::new(&column.field.name, column.field.data_type.arrow(), true);
        let mut fields: Vec<_> = columns.iter().map(field).collect();
        fields.push(arrow_schema::Field::new(UNFIT, arrow_schema::DataType::Utf8, true));
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        let batch = RecordBatch::try_new_with_options(Arc::new(arrow_schema::Schema::new(fields)), arrays, &options);
        Ok((batch.map_err(Error::internal)?, self.meter))
    }
}

fn end(ended: &mut Option<MemoryExceeded>, exceeded: MemoryExceeded) -> Ended {
    *ended = Some(exceeded);
    Ended
}

/// Bytes of a value of fixed width, or of a text's offset, and of its bit of validity.
fn row_bytes(data_type: Type) -> usize {
    1 + match data_type {
        Type::Bool => 1,
        Type::Date | Type::Text => 4,
        Type::Int64 | Type::Float64 | Type::Timestamp => 8,
        Type::Decimal(..) => 16,
    }
}

/// The parsed value of a column for the next rows. It is kept because rows of inner levels repeat it.
#[derive(Clone, Copy)]
enum Pending {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Decimal(i128),
    /// In the builder's own buffer, which every row reuses.
    Text,
    /// The same, and it does not fit.
    Unfit,
}

enum ColumnSink {
    Bool(BooleanBuilder),
    Int64(Int64Builder),
    Float64(Float64Builder),
    Decimal(Decimal128Builder, u8, i8),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
    Text(StringBuilder),
}

/// Builds one column.
struct ColumnBuilder {
    name: String,
    forms: AcceptedForms,
    pending: Pending,
    text: String,
    /// The capacity of `text` that has memory.
    metered_text: usize,
    sink: ColumnSink,
}

impl ColumnBuilder {
    fn new(field: &Field) -> Self {
        let sink = match field.data_type {
            Type::Bool => ColumnSink::Bool(BooleanBuilder::with_capacity(PAGE_ROWS)),
            Type::Int64 => ColumnSink::Int64(Int64Builder::with_capacity(PAGE_ROWS)),
            Type::Float64 => ColumnSink::Float64(Float64Builder::with_capacity(PAGE_ROWS)),
            Type::Decimal(precision, scale) => {
                let data_type = arrow_schema::DataType::Decimal128(precision, scale);
                ColumnSink::Decimal(
                    Decimal128Builder::with_capacity(PAGE_ROWS).with_data_type(data_type),
                    precision,
                    scale,
                )
            }
            Type::Date => ColumnSink::Date(Date32Builder::with_capacity(PAGE_ROWS)),
            Type::Timestamp => {
                ColumnSink::Timestamp(TimestampMicrosecondBuilder::with_capacity(PAGE_ROWS).with_timezone("UTC"))
            }
            Type::Text => ColumnSink::Text(StringBuilder::with_capacity(PAGE_ROWS, 0)),
        };
        let accept = field.metadata.get("accept").map_or("", String::as_str);
        Self {
            name: field.name.clone(),
            forms: AcceptedForms::parse(accept),
            pending: Pending::Null,
            text: String::new(),
            metered_text: 0,
            sink,
        }
    }

    fn set_text(&mut self, text: &str) {
        self.text.clear();
        self.text.push_str(text);
        self.pending = Pending::Text;
    }

    /// The most bytes that the pending value adds, beyond its fixed width.
    fn text_bytes(&self) -> usize {
        match (&self.pending, &self.sink) {
            (Pending::Text, _) => SLACK * self.text.len(),
            (Pending::Unfit, _) => UNFIT_COPIES * (self.text.len() + self.name.len()),
            _ => 0,
        }
    }

    /// Parses the value for the next rows.
    fn set(&mut self, value: &LazyValue<'_>) {
        let is_empty = || self.forms.empty_null && value.as_str().is_some_and(str::is_empty);
        self.pending = if value.is_null() || is_empty() {
            Pending::Null
        } else if let ColumnSink::Text(_) = self.sink {
            self.set_text(value.as_str().unwrap_or_else(|| value.as_raw_str()));
            return;
        } else if let Some(text) = value.as_str() {
            self.scalar(text, true)
        } else {
            self.scalar(value.as_raw_str(), false)
        };
    }

    fn scalar(&mut self, text: &str, quoted: bool) -> Pending {
        let bare = !quoted || self.forms.text;
        let parsed = match self.sink {
            ColumnSink::Bool(_) if bare => parse::boolean(text).map(Pending::Bool),
            ColumnSink::Int64(_) if bare => parse::integer(text).map(Pending::Int),
            ColumnSink::Float64(_) if bare => text.parse().ok().filter(|f: &f64| f.is_finite()).map(Pending::Float),
            ColumnSink::Decimal(_, precision, scale) if bare => {
                parse::decimal(text, precision, scale).map(Pending::Decimal)
            }
            ColumnSink::Date(_) => parse::date(text, self.forms).map(Pending::Int),
            ColumnSink::Timestamp(_) => parse::timestamp(text, self.forms).map(Pending::Int),
            _ => None,
        };
        parsed.unwrap_or_else(|| {
            self.set_text(text);
            Pending::Unfit
        })
    }

    /// Appends the pending value. Appends null and returns the text if the value does not fit.
    fn push(&mut self) -> Option<String> {
        match (&mut self.sink, &self.pending) {
            (ColumnSink::Bool(sink), Pending::Bool(value)) => sink.append_value(*value),
            (ColumnSink::Int64(sink), Pending::Int(value)) => sink.append_value(*value),
            (ColumnSink::Float64(sink), Pending::Float(value)) => sink.append_value(*value),
            (ColumnSink::Decimal(sink, ..), Pending::Decimal(value)) => sink.append_value(*value),
            (ColumnSink::Date(sink), Pending::Int(value)) => sink.append_option(i32::try_from(*value).ok()),
            (ColumnSink::Timestamp(sink), Pending::Int(value)) => sink.append_value(*value),
            (ColumnSink::Text(sink), Pending::Text) => sink.append_value(&self.text),
            (sink, pending) => {
                match sink {
                    ColumnSink::Bool(sink) => sink.append_null(),
                    ColumnSink::Int64(sink) => sink.append_null(),
                    ColumnSink::Float64(sink) => sink.append_null(),
                    ColumnSink::Decimal(sink, ..) => sink.append_null(),
                    ColumnSink::Date(sink) => sink.append_null(),
                    ColumnSink::Timestamp(sink) => sink.append_null(),
                    ColumnSink::Text(sink) => sink.append_null(),
                }
                if let Pending::Unfit = pending {
                    return Some(self.text.clone());
                }
            }
        }
        None
    }

    fn finish(&mut self) -> ArrayRef {
        match &mut self.sink {
            ColumnSink::Bool(sink) => Arc::new(sink.finish()),
            ColumnSink::Int64(sink) => Arc::new(sink.finish()),
            ColumnSink::Float64(sink) => Arc::new(sink.finish()),
            ColumnSink::Decimal(sink, ..) => Arc::new(sink.finish()),
            ColumnSink::Date(sink) => Arc::new(sink.finish()),
            ColumnSink::Timestamp(sink) => Arc::new(sink.finish()),
            ColumnSink::Text(sink) => Arc::new(sink.finish()),
        }
    }
}
