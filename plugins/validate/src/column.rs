//! The columns that are checked: found by name and type, read as the values that checks take, and set to null.

use jiff::civil;
use plugin_sdk::column::{AnyColumn, Value};
use plugin_sdk::prelude::*;

use crate::config::Check;
use crate::dates;

/// A value as a check takes it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum CheckedValue<'a> {
    /// Text without spaces at its start and end, never empty.
    Text(&'a str),
    /// A number of any type.
    Number(f64),
    /// A date, or the UTC day of a timestamp.
    Day(civil::Date),
}

/// A column of a type that some check reads.
#[derive(Debug, Clone, Copy)]
pub(crate) enum CheckedColumn {
    Text(TextColumn),
    Int64(Column<i64>),
    Float64(Column<f64>),
    Decimal(Column<Decimal>),
    Date(Column<Date>),
    Timestamp(Column<Timestamp>),
}

impl From<CheckedColumn> for AnyColumn {
    fn from(column: CheckedColumn) -> Self {
        match column {
            CheckedColumn::Text(column) => column.into(),
            CheckedColumn::Int64(column) => column.into(),
            CheckedColumn::Float64(column) => column.into(),
            CheckedColumn::Decimal(column) => column.into(),
            CheckedColumn::Date(column) => column.into(),
            CheckedColumn::Timestamp(column) => column.into(),
        }
    }
}

impl CheckedColumn {
    /// The column of a check.
    ///
    /// # Errors
    ///
    /// If the column does not exist, or has a type that the check cannot read.
    pub(crate) fn find(check: &Check, input: &Schema) -> Result<Self> {
        let (name, _) = check.column_and_action();
        let found = input.data_type(name)?;
        let expected = match (check, found) {
            (_, Type::Text | Type::Json) => return input.text(name).map(Self::Text),
            (Check::Date { .. }, Type::Date) => return input.column(name).map(Self::Date),
            (Check::Date { .. }, Type::Timestamp) => return input.column(name).map(Self::Timestamp),
            (Check::Range { .. }, Type::Int64) => return input.column(name).map(Self::Int64),
            (Check::Range { .. }, Type::Float64) => return input.column(name).map(Self::Float64),
            (Check::Range { .. }, Type::Decimal) => return input.column(name).map(Self::Decimal),
            (Check::Date { .. }, _) => "text, date or timestamp",
            (Check::Range { .. }, _) => "integer, float, decimal or text",
            _ => "text",
        };
        Err(Error::config(format!("column `{name}` is of type {found}: expected {expected}")))
    }

    /// The values of the column, row by row. None for nulls and blank text, which pass every check.
    pub(crate) fn values<'a>(self, rows: &Rows<'a>) -> Result<Vec<Option<CheckedValue<'a>>>> {
        match self {
            Self::Text(column) => values(column, rows, |text: &'a str| {
                let text = text.trim();
                (!text.is_empty()).then_some(CheckedValue::Text(text))
            }),
            Self::Int64(column) => values(column, rows, |number: i64| Some(CheckedValue::Number(number as f64))),
            Self::Float64(column) => values(column, rows, |number: f64| Some(CheckedValue::Number(number))),
            Self::Decimal(column) => {
                // A power of ten up to 22 is exact in a float, so the quotient is the float nearest to the decimal, as the
                // parsed bound is.
                let one = 10_f64.powi(i32::from(column.scale()));
                values(column, rows, |units: i128| Some(CheckedValue::Number(units as f64 / one)))
            }
            Self::Date(column) => values(column, rows, |date: Date| Some(CheckedValue::Day(dates::of_date(date)))),
            Self::Timestamp(column) => {
                values(column, rows, |timestamp: Timestamp| Some(CheckedValue::Day(dates::of_timestamp(timestamp))))
            }
        }
    }

    /// Sets the column to null in the marked rows.
    pub(crate) fn set_null(self, rows: &Rows<'_>, marked: &[bool], patch: &mut Patch) -> Result<()> {
        match self {
            Self::Text(column) => set_null(column, rows, marked, patch),
            Self::Int64(column) => set_null(column, rows, marked, patch),
            Self::Float64(column) => set_null(column, rows, marked, patch),
            Self::Decimal(column) => set_null(column, rows, marked, patch),
            Self::Date(column) => set_null(column, rows, marked, patch),
            Self::Timestamp(column) => set_null(column, rows, marked, patch),
        }
    }
}

fn values<'a, T: Value>(
    column: Column<T>,
    rows: &Rows<'a>,
    checked_value: impl Fn(T::Read<'a>) -> Option<CheckedValue<'a>>,
) -> Result<Vec<Option<CheckedValue<'a>>>> {
    Ok(rows.column(column)?.iter().map(|value| value.and_then(&checked_value)).collect())
}

fn set_null<T: Value>(column: Column<T>, rows: &Rows<'_>, marked: &[bool], patch: &mut Patch) -> Result<()> {
    let mut kept = column.builder_with_capacity(rows.len());
    for (value, is_marked) in rows.column(column)?.iter().zip(marked) {
        kept.push(value.filter(|_| !is_marked));
    }
    patch.set(column, kept);
    Ok(())
}
