//! Converts between the JSON rows of a test and the batches and columns of the contract.

use serde_json::Value;

use crate::bindings::source_plugin::elt::plugin::types as wit;
use crate::column::{self, Builder, Date, Decimal, Text, Timestamp, View};
use crate::error::{Error, Result};
use crate::schema::{Schema, Type};

/// The named columns of rows that are JSON objects. A column that a row does not name is null.
pub(super) fn batch(schema: &Schema, columns: &[String], rows: &Value) -> Result<wit::Batch> {
    let not_objects = || Error::data("`rows` is not a JSON array of objects");
    let rows = rows.as_array().filter(|rows| rows.iter().all(Value::is_object)).ok_or_else(not_objects)?;
    for name in rows.iter().filter_map(Value::as_object).flat_map(serde_json::Map::keys) {
        schema.any_column(name)?;
    }
    let column = |name: &String| {
        let field = &schema.wit.fields[schema.any_column(name)?.index];
        write(field, rows.iter().map(|row| &row[name.as_str()]))
    };
    let columns = columns.iter().map(column).collect::<Result<_>>()?;
    Ok(wit::Batch { rows: u32::try_from(rows.len()).unwrap_or(u32::MAX), columns })
}

fn write<'a>(field: &wit::Field, values: impl Iterator<Item = &'a Value>) -> Result<wit::Column> {
    fn build<'a, T: column::Value>(
        name: &str,
        values: impl Iterator<Item = &'a Value>,
        read: impl Fn(&'a Value) -> Option<T::Read<'a>>,
    ) -> Result<wit::Column> {
        let mut builder = Builder::<T>::new();
        for value in values {
            let read = (!value.is_null()).then(|| read(value));
            if matches!(read, Some(None)) {
                let expected = T::TYPE_NAME;
                return Err(Error::data(format!("column `{name}`: `{value}` is not a valid {expected}")));
            }
            builder.push(read.flatten());
        }
        Ok(builder.finish())
    }
    let name = field.name.as_str();
    match Type::of_field(field)?.0 {
        Type::Text | Type::Json => build::<Text>(name, values, Value::as_str),
        Type::Bool => build::<bool>(name, values, Value::as_bool),
        Type::Int64 => build::<i64>(name, values, Value::as_i64),
        Type::Float64 => build::<f64>(name, values, Value::as_f64),
        Type::Decimal => build::<Decimal>(name, values, |value| value.as_i64().map(i128::from)),
        Type::Date => build::<Date>(name, values, |value| Some(Date { days: i32::try_from(value.as_i64()?).ok()? })),
        Type::Timestamp => build::<Timestamp>(name, values, |value| Some(Timestamp { microseconds: value.as_i64()? })),
    }
}

/// The values of a column that a rule set.
pub(super) fn read(field: &wit::Field, column: &wit::Column, rows: usize) -> Result<Vec<Value>> {
    fn all<T: column::Value>(
        column: &wit::Column,
        rows: usize,
        value: impl Fn(T::Read<'_>) -> Value,
    ) -> Result<Vec<Value>> {
        Ok(View::<T>::new(column, rows)?.iter().map(|read| read.map_or(Value::Null, &value)).collect())
    }
    match Type::of_field(field)?.0 {
        Type::Text | Type::Json => all::<Text>(column, rows, |text| Value::from(text)),
        Type::Bool => all::<bool>(column, rows, Value::from),
        Type::Int64 => all::<i64>(column, rows, Value::from),
        Type::Float64 => all::<f64>(column, rows, Value::from),
        // A JSON number of serde_json has at most 64 bits: a larger decimal becomes text.
        Type::Decimal => all::<Decimal>(column, rows, |units| {
            i64::try_from(units).map_or_else(|_| Value::from(units.to_string()), Value::from)
        }),
        Type::Date => all::<Date>(column, rows, |date| Value::from(date.days)),
        Type::Timestamp => all::<Timestamp>(column, rows, |timestamp| Value::from(timestamp.microseconds)),
    }
}
