//! Primary keys: read from a batch, compared, and sent back with the types of the stream.

use super::builder::Builder;
use super::handle::AnyColumn;
use super::value::{Date, Decimal, Text, Timestamp, Value};
use super::view::View;
use crate::bindings::source_plugin::elt::plugin::types as wit;
use crate::data_type::Type;
use crate::error::{Error, ErrorKind, Result};

/// A primary key, or its first columns.
///
/// Keys have an order. Text is ordered by length first, so that numeric ids in text sort as numbers:
///
/// ```
/// use plugin_sdk::prelude::*;
///
/// assert!(Key::from("9") < Key::from("10"));
/// assert_eq!(Key(vec![KeyPart::from("a"), KeyPart::Int64(7)]).to_string(), "a/7");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub Vec<KeyPart>);

/// The value of one column of a key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyPart {
    /// Null.
    Null,
    /// Text, after its length in bytes. `KeyPart::from("text")` makes one.
    Text(usize, String),
    /// An integer.
    Int64(i64),
    /// A decimal, as a whole number of the column's smallest unit.
    Decimal(i128),
    /// A date.
    Date(Date),
    /// A point in time.
    Timestamp(Timestamp),
    /// True or false.
    Bool(bool),
}

impl From<&str> for Key {
    fn from(text: &str) -> Self {
        Self(vec![text.into()])
    }
}

impl From<&str> for KeyPart {
    fn from(text: &str) -> Self {
        Self::Text(text.len(), text.to_owned())
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, part) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "/" };
            match part {
                KeyPart::Null => write!(f, "{separator}null"),
                KeyPart::Text(_, text) => write!(f, "{separator}{text}"),
                KeyPart::Int64(number) => write!(f, "{separator}{number}"),
                KeyPart::Decimal(units) => write!(f, "{separator}{units}"),
                KeyPart::Date(date) => write!(f, "{separator}day {}", date.days),
                KeyPart::Timestamp(timestamp) => write!(f, "{separator}{} µs", timestamp.microseconds),
                KeyPart::Bool(bool) => write!(f, "{separator}{bool}"),
            }?;
        }
        Ok(())
    }
}

/// The value of a column in a row, as a part of a key.
pub(crate) fn key_part(column: &wit::Column, any: AnyColumn, rows: usize, row: usize) -> Result<KeyPart> {
    fn get<'a, T: Value>(column: &'a wit::Column, rows: usize, row: usize) -> Result<Option<T::Read<'a>>> {
        Ok(View::<T>::new(column, rows)?.get(row))
    }
    let part = match any.data_type {
        Type::Text | Type::Json => get::<Text>(column, rows, row)?.map(KeyPart::from),
        Type::Int64 => get::<i64>(column, rows, row)?.map(KeyPart::Int64),
        Type::Decimal => get::<Decimal>(column, rows, row)?.map(KeyPart::Decimal),
        Type::Date => get::<Date>(column, rows, row)?.map(KeyPart::Date),
        Type::Timestamp => get::<Timestamp>(column, rows, row)?.map(KeyPart::Timestamp),
        Type::Bool => get::<bool>(column, rows, row)?.map(KeyPart::Bool),
        Type::Float64 => return Err(Error::config("a float column cannot be part of a key or be copied as one value")),
    };
    Ok(part.unwrap_or(KeyPart::Null))
}

/// Keys as a batch. The first value of a column that is not null decides the column's type.
pub(crate) fn key_batch(keys: &[Key]) -> Result<wit::Batch> {
    let width = keys.first().map_or(0, |key| key.0.len());
    let columns = (0..width).map(|at| {
        let parts = || keys.iter().map(move |key| key.0.get(at).unwrap_or(&KeyPart::Null));
        match parts().find(|part| **part != KeyPart::Null) {
            Some(KeyPart::Int64(_)) => build::<i64>(parts(), |part| match part {
                KeyPart::Int64(number) => Some(*number),
                _ => None,
            }),
            Some(KeyPart::Decimal(_)) => build::<Decimal>(parts(), |part| match part {
                KeyPart::Decimal(units) => Some(*units),
                _ => None,
            }),
            Some(KeyPart::Date(_)) => build::<Date>(parts(), |part| match part {
                KeyPart::Date(date) => Some(*date),
                _ => None,
            }),
            Some(KeyPart::Timestamp(_)) => build::<Timestamp>(parts(), |part| match part {
                KeyPart::Timestamp(timestamp) => Some(*timestamp),
                _ => None,
            }),
            Some(KeyPart::Bool(_)) => build::<bool>(parts(), |part| match part {
                KeyPart::Bool(bool) => Some(*bool),
                _ => None,
            }),
            _ => build::<Text>(parts(), |part| match part {
                KeyPart::Text(_, text) => Some(text.as_str()),
                _ => None,
            }),
        }
    });
    Ok(wit::Batch { rows: u32::try_from(keys.len()).unwrap_or(u32::MAX), columns: columns.collect::<Result<_>>()? })
}

/// A column of key parts. A part of another type is a bug in the plugin.
fn build<'a, T: Value>(
    parts: impl Iterator<Item = &'a KeyPart>,
    value: impl Fn(&'a KeyPart) -> Option<T::Read<'a>>,
) -> Result<wit::Column> {
    let mut builder = Builder::<T>::new();
    for part in parts {
        let value = value(part);
        if value.is_none() && *part != KeyPart::Null {
            let message = format!("`{part:?}` is not of type {}, which other keys have in its column", T::TYPE_NAME);
            return Err(Error::new(ErrorKind::Internal, "key", message));
        }
        builder.push(value);
    }
    Ok(builder.finish())
}
