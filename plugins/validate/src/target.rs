//! The columns that checks look at: found by the types that a kind reads, read as what a judge takes, cleared.

use jiff::civil;
use plugin_sdk::column::{AnyColumn, Value};
use plugin_sdk::prelude::*;

use crate::config::Check;
use crate::dates;

/// A value as a judge takes it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Datum<'a> {
    /// Text without spaces at its ends, never empty.
    Text(&'a str),
    /// A number of any type.
    Number(f64),
    /// A date, or the UTC day of an instant.
    Day(civil::Date),
}

/// A column of a type that some check reads.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    Text(TextColumn),
    Int64(Column<i64>),
    Float64(Column<f64>),
    Decimal(Column<Decimal>),
    Date(Column<Date>),
    Timestamp(Column<Timestamp>),
}

impl From<Target> for AnyColumn {
    fn from(target: Target) -> Self {
        match target {
            Target::Text(column) => column.into(),
            Target::Int64(column) => column.into(),
            Target::Float64(column) => column.into(),
            Target::Decimal(column) => column.into(),
            Target::Date(column) => column.into(),
            Target::Timestamp(column) => column.into(),
        }
    }
}

impl Target {
    /// The column of a check, if it is there and of a type that the kind reads.
    pub(crate) fn find(check: &Check, input: &Schema) -> Result<Self> {
        let (name, _) = check.subject();
        let text = input.text(name).map(Self::Text);
        match check {
            Check::Date { .. } => text
                .or_else(|error| input.column(name).map(Self::Date).map_err(|_| error))
                .or_else(|error| input.column(name).map(Self::Timestamp).map_err(|_| error)),
            Check::Range { .. } => text
                .or_else(|error| input.column(name).map(Self::Int64).map_err(|_| error))
                .or_else(|error| input.column(name).map(Self::Float64).map_err(|_| error))
                .or_else(|error| input.column(name).map(Self::Decimal).map_err(|_| error)),
            _ => text,
        }
    }

    /// The column's values, row by row; none for nulls and blank text, which pass every check.
    pub(crate) fn data<'a>(self, rows: &Rows<'a>) -> Result<Vec<Option<Datum<'a>>>> {
        match self {
            Self::Text(column) => data(column, rows, |text: &'a str| {
                let text = text.trim();
                (!text.is_empty()).then_some(Datum::Text(text))
            }),
            Self::Int64(column) => data(column, rows, |number: i64| Some(Datum::Number(number as f64))),
            Self::Float64(column) => data(column, rows, |number: f64| Some(Datum::Number(number))),
            Self::Decimal(column) => {
                // Powers of ten up to 22 are exact in a float, so the quotient is the float that the bound would be.
                let one = 10_f64.powi(i32::from(column.scale()));
                data(column, rows, |units: i128| Some(Datum::Number(units as f64 / one)))
            }
            Self::Date(column) => data(column, rows, |date: Date| Some(Datum::Day(dates::of_date(date)))),
            Self::Timestamp(column) => {
                data(column, rows, |instant: Timestamp| Some(Datum::Day(dates::of_timestamp(instant))))
            }
        }
    }

    /// Sets the column to null in the rows that are marked.
    pub(crate) fn clear(self, rows: &Rows<'_>, marked: &[bool], patch: &mut Patch) -> Result<()> {
        match self {
            Self::Text(column) => clear(column, rows, marked, patch),
            Self::Int64(column) => clear(column, rows, marked, patch),
            Self::Float64(column) => clear(column, rows, marked, patch),
            Self::Decimal(column) => clear(column, rows, marked, patch),
            Self::Date(column) => clear(column, rows, marked, patch),
            Self::Timestamp(column) => clear(column, rows, marked, patch),
        }
    }
}

fn data<'a, T: Value>(
    column: Column<T>,
    rows: &Rows<'a>,
    datum: impl Fn(T::Read<'a>) -> Option<Datum<'a>>,
) -> Result<Vec<Option<Datum<'a>>>> {
    Ok(rows.column(column)?.iter().map(|value| value.and_then(&datum)).collect())
}

fn clear<T: Value>(column: Column<T>, rows: &Rows<'_>, marked: &[bool], patch: &mut Patch) -> Result<()> {
    let mut kept = column.builder_with_capacity(rows.len());
    for (value, is_marked) in rows.column(column)?.iter().zip(marked) {
        kept.push(value.filter(|_| !is_marked));
    }
    patch.set(column, kept);
    Ok(())
}
