//! Columns in Arrow's layout: typed handles, views to read what the host sent, builders to answer. The only room
//! that sees buffers.

mod builder;
mod key;
mod value;
mod view;

use std::marker::PhantomData;

pub use builder::Builder;
pub use key::{Key, KeyPart};
pub(crate) use key::{batch as key_batch, part as key_part};
pub use value::{Date, Decimal, Text, Timestamp, Value};
pub use view::View;

use crate::schema::Type;

/// A column of the stream at hand, found by [`Schema::column`](crate::schema::Schema::column).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Column<T> {
    pub(crate) any: AnyColumn,
    /// Digits after the point of a decimal column; else 0.
    scale: u8,
    value: PhantomData<T>,
}

impl<T: Value> Column<T> {
    pub(crate) fn new(any: AnyColumn, scale: u8) -> Self {
        Self { any, scale, value: PhantomData }
    }

    /// Digits after the point of a [`Decimal`] column, whose values are whole numbers of its smallest unit.
    #[must_use]
    pub fn scale(self) -> u8 {
        self.scale
    }

    /// An empty builder of this column's type.
    #[must_use]
    pub fn builder(self) -> Builder<T> {
        Builder::new()
    }

    /// The same, with room for so many rows.
    #[must_use]
    pub fn builder_of(self, rows: usize) -> Builder<T> {
        Builder::with_room(rows)
    }
}

/// A text column.
pub type TextColumn = Column<Text>;
/// The values of a text column.
pub type TextView<'a> = View<'a, Text>;
/// Builds a text column.
pub type TextBuilder = Builder<Text>;

/// A column of any type: where it stands among the stream's fields, and what it holds.
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

#[cfg(test)]
mod tests {
    use super::{Builder, Date, Decimal, Text, Timestamp, Value, View};

    fn check<T: Value>(rows: &[Option<T::Owned>])
    where
        T::Owned: PartialEq + std::fmt::Debug,
    {
        let mut builder = Builder::<T>::new();
        for row in rows {
            builder.push(row.as_ref().map(T::borrow));
        }
        let column = builder.finish();
        let view = View::<T>::new(&column, rows.len()).expect("a column of our own");
        let read: Vec<_> = view.iter().map(|value| value.map(T::own)).collect();
        assert_eq!(read, rows);
    }

    #[test]
    fn columns_round_trip() {
        check::<Text>(&[]);
        check::<Text>(&[None]);
        check::<Text>(&[Some("a".into()), None, Some(String::new()), Some("ção 🩺".into())]);
        check::<bool>(&[Some(true), None, Some(false), Some(true), None, None, Some(true), Some(false), Some(true)]);
        check::<i64>(&[Some(i64::MIN), None, Some(0)]);
        check::<f64>(&[Some(0.1), None]);
        check::<Decimal>(&[Some(i128::MAX), Some(-1), None]);
        check::<Date>(&[Some(Date { days: -719_162 }), None]);
        check::<Timestamp>(&[None, Some(Timestamp { microseconds: 1 })]);
    }

    #[test]
    fn a_short_column_is_refused() {
        let mut builder = Builder::<i64>::new();
        builder.push(Some(1));
        let column = builder.finish();
        assert!(View::<i64>::new(&column, 2).is_err());
        assert!(View::<Text>::new(&column, 1).is_err());
    }
}
