//! Handles to columns of a stream, looked up once by name and used for every batch.

use std::marker::PhantomData;

use super::builder::Builder;
use super::value::{Text, Value};
use crate::data_type::Type;

/// A column of a stream, of a known type. [`Schema::column`](crate::schema::Schema::column) finds it by name.
///
/// `T` is one of [`Text`], `bool`, `i64`, `f64`, [`Decimal`](super::Decimal), [`Date`](super::Date) and
/// [`Timestamp`](super::Timestamp).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Column<T> {
    any: AnyColumn,
    /// The digits after the point of a decimal column; else 0.
    scale: u8,
    value: PhantomData<T>,
}

/// A text column.
pub type TextColumn = Column<Text>;

impl<T: Value> Column<T> {
    pub(crate) fn new(any: AnyColumn, scale: u8) -> Self {
        Self { any, scale, value: PhantomData }
    }

    /// The number of digits after the point of a [`Decimal`](super::Decimal) column; 0 for every other type.
    ///
    /// A decimal value is a whole number of the column's smallest unit: with a scale of 2, the value 1250 is 12.50.
    #[must_use]
    pub fn scale(self) -> u8 {
        self.scale
    }

    /// A builder for new values of this column.
    #[must_use]
    pub fn builder(self) -> Builder<T> {
        Builder::new()
    }

    /// A builder for new values of this column that has memory reserved for this many rows.
    #[must_use]
    pub fn builder_with_capacity(self, rows: usize) -> Builder<T> {
        Builder::with_capacity(rows)
    }
}

/// A column of any type: its position in the stream's schema, and its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnyColumn {
    pub(crate) index: usize,
    pub(crate) data_type: Type,
}

impl<T> From<Column<T>> for AnyColumn {
    fn from(column: Column<T>) -> Self {
        column.any
    }
}
