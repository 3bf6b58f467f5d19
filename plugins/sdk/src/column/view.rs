//! Reads a column that the host sent, without copying it.

use std::marker::PhantomData;

use super::value::{Layout, Text, Value};
use crate::bindings::source_plugin::elt::plugin::types as wit;
use crate::error::{Error, ErrorKind, Result};

/// The values of a column, row by row. [`Rows::column`](crate::rows::Rows::column) gives one.
#[derive(Debug, Clone, Copy)]
pub struct View<'a, T> {
    validity: Option<&'a [u8]>,
    offsets: &'a [u8],
    values: &'a [u8],
    /// All values of a text column, checked at once; none if they are not all valid UTF-8, or not checked yet.
    text: Option<&'a str>,
    rows: usize,
    value: PhantomData<T>,
}

/// The values of a text column.
pub type TextView<'a> = View<'a, Text>;

impl<'a, T: Value> View<'a, T> {
    pub(crate) fn new(column: &'a wit::Column, rows: usize) -> Result<Self> {
        let offsets = column.offsets.as_deref().unwrap_or_default();
        let bits = rows.div_ceil(8);
        let complete = match T::LAYOUT {
            Layout::Bit => column.values.len() >= bits,
            Layout::Fixed(width) => column.values.len() >= rows * width,
            Layout::Variable => offsets.len() >= (rows + 1) * 4,
        };
        let validity = column.validity.as_deref();
        if !complete || validity.is_some_and(|validity| validity.len() < bits) {
            let message = format!("the host sent a column with fewer values than its {rows} rows");
            return Err(Error::new(ErrorKind::Internal, "column", message));
        }
        Ok(Self { validity, offsets, values: &column.values, text: None, rows, value: PhantomData })
    }

    /// A view that checks the UTF-8 of a text column once instead of value by value: faster if all rows are read.
    pub(crate) fn checked_at_once(column: &'a wit::Column, rows: usize) -> Result<Self> {
        let view = Self::new(column, rows)?;
        let text = if T::LAYOUT == Layout::Variable { std::str::from_utf8(view.values).ok() } else { None };
        Ok(Self { text, ..view })
    }

    /// The value of a row; none if it is null or the row does not exist.
    #[must_use]
    pub fn get(&self, row: usize) -> Option<T::Read<'a>> {
        if self.validity.is_some_and(|bits| !bit(bits, row)) {
            return None;
        }
        match T::LAYOUT {
            Layout::Bit => T::read(if bit(self.values, row) { &[1] } else { &[0] }),
            Layout::Fixed(width) => T::read(self.values.get(row * width..(row + 1) * width)?),
            Layout::Variable => {
                let range = self.offset(row)?..self.offset(row + 1)?;
                match self.text {
                    Some(text) => T::read_text(text.get(range)?),
                    None => T::read(self.values.get(range)?),
                }
            }
        }
    }

    /// The values of all rows, in order; none for a null.
    pub fn iter(self) -> impl Iterator<Item = Option<T::Read<'a>>> {
        (0..self.rows).map(move |row| self.get(row))
    }

    fn offset(&self, row: usize) -> Option<usize> {
        let bytes = self.offsets.get(row * 4..(row + 1) * 4)?.try_into().ok()?;
        Some(u32::from_le_bytes(bytes) as usize)
    }
}

/// Bit 0 of byte 0 is row 0.
fn bit(bits: &[u8], row: usize) -> bool {
    bits.get(row / 8).is_some_and(|byte| byte & (1 << (row % 8)) != 0)
}
