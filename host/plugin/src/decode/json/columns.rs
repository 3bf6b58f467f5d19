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

/// The capacity of new builders: most pages have fewer rows. Arrow's default is ten times as large, and would stay
/// mostly empty in every column of every page that waits to be written.
const PAGE_ROWS: usize = 128;

/// Builds the rows of a table.
pub(super) struct TableBuilder {
    builders: Vec<ColumnBuilder>,
    /// Columns with the same text in every row.
    constants: Vec<(usize, String)>,
    unfit: StringBuilder,
    rows: usize,
}

impl TableBuilder {
    pub(super) fn new(columns: &[JsonColumn]) -> Self {
        let builders = columns.iter().map(|column| ColumnBuilder::new(&column.field)).collect();
        let constant = |(index, column): (usize, &JsonColumn)| Some((index, column.constant()?.clone()));
        let constants = columns.iter().enumerate().filter_map(constant).collect();
        Self { builders, constants, unfit: StringBuilder::new(), rows: 0 }
    }

    /// The builder of a column, to set or clear its value for the next rows.
    pub(super) fn column(&mut self, index: usize) -> &mut ColumnBuilder {
        &mut self.builders[index]
    }

    /// Appends a row of the pending values.
    pub(super) fn append_row(&mut self) {
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
    }

    pub(super) fn finish(mut self, columns: &[JsonColumn]) -> Result<RecordBatch> {
        let mut arrays: Vec<_> = self.builders.iter_mut().map(ColumnBuilder::finish).collect();
        arrays.push(Arc::new(self.unfit.finish()));
        let field =
            |column: &JsonColumn| arrow_schema::Field::new(&column.field.name, column.field.data_type.arrow(), true);
        let mut fields: Vec<_> = columns.iter().map(field).collect();
        fields.push(arrow_schema::Field::new(UNFIT, arrow_schema::DataType::Utf8, true));
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        RecordBatch::try_new_with_options(Arc::new(arrow_schema::Schema::new(fields)), arrays, &options)
            .map_err(Error::internal)
    }
}

/// The parsed value of a column for the next rows. It is kept because rows of inner levels repeat it.
#[derive(Clone)]
enum Pending {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Decimal(i128),
    /// In the builder's own buffer, which every row reuses.
    Text,
    Unfit(String),
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
pub(super) struct ColumnBuilder {
    name: String,
    forms: AcceptedForms,
    pending: Pending,
    text: String,
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
            sink,
        }
    }

    fn set_text(&mut self, text: &str) {
        self.text.clear();
        self.text.push_str(text);
        self.pending = Pending::Text;
    }

    /// Sets null for the next rows.
    pub(super) fn clear(&mut self) {
        self.pending = Pending::Null;
    }

    /// Parses the value for the next rows.
    pub(super) fn set(&mut self, value: &LazyValue<'_>) {
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

    fn scalar(&self, text: &str, quoted: bool) -> Pending {
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
        parsed.unwrap_or_else(|| Pending::Unfit(text.to_owned()))
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
                if let Pending::Unfit(text) = pending {
                    return Some(text.clone());
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
