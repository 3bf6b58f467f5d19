//! Columns in Arrow's memory layout: handles that name a column, views that read what the host sent, and builders that
//! write new values. No other module reads or writes raw buffers.

mod buffers;
mod builder;
mod handle;
mod key;
mod value;
mod view;

pub use builder::{Builder, TextBuilder};
pub use handle::{AnyColumn, Column, TextColumn};
pub use key::{Key, KeyPart};
pub(crate) use key::{key_batch, key_part};
pub use value::{Date, Decimal, Text, Timestamp, Value};
pub use view::{TextView, View};

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
        let view = View::<T>::new(&column, rows.len()).expect("a column that this module built");
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
    fn a_column_shorter_than_its_rows_is_refused() {
        let mut builder = Builder::<i64>::new();
        builder.push(Some(1));
        let column = builder.finish();
        assert!(View::<i64>::new(&column, 2).is_err());
        assert!(View::<Text>::new(&column, 1).is_err());
    }
}
