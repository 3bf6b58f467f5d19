//! Reads a column that the host sent, in place.

use std::marker::PhantomData;

use super::value::{Value, Width};
use crate::bindings::source_plugin::elt::plugin::types as wit;
use crate::error::{Error, ErrorKind, Result};

/// The values of a column, row by row.
#[derive(Debug, Clone, Copy)]
pub struct View<'a, T> {
    validity: Option<&'a [u8]>,
    offsets: &'a [u8],
    values: &'a [u8],
    /// All of a text column's values, checked at once; none where only some row is not UTF-8.
    text: Option<&'a str>,
    rows: usize,
    value: PhantomData<T>,
}

impl<'a, T: Value> View<'a, T> {
    pub(crate) fn new(column: &'a wit::Column, rows: usize) -> Result<Self> {
        let offsets = column.offsets.as_deref().unwrap_or_default();
        let bits = rows.div_ceil(8);
        let complete = match T::WIDTH {
            Width::Bit => column.values.len() >= bits,
            Width::Bytes(width) => column.values.len() >= rows * width,
            Width::Offsets => offsets.len() >= (rows + 1) * 4,
        };
        let validity = column.validity.as_deref();
        if !complete || validity.is_some_and(|validity| validity.len() < bits) {
            return Err(Error::new(ErrorKind::Internal, "column", "the host sent a column shorter than its rows"));
        }
        Ok(Self { validity, offsets, values: &column.values, text: None, rows, value: PhantomData })
    }

    /// The same, made to be read whole: text is checked once, and not value by value.
    pub(crate) fn whole(column: &'a wit::Column, rows: usize) -> Result<Self> {
        let view = Self::new(column, rows)?;
        let text = if T::WIDTH == Width::Offsets { std::str::from_utf8(view.values).ok() } else { None };
        Ok(Self { text, ..view })
    }

    /// The value of a row; none where it is null.
    #[must_use]
    pub fn get(&self, row: usize) -> Option<T::Read<'a>> {
        if self.validity.is_some_and(|bits| !bit(bits, row)) {
            return None;
        }
        match T::WIDTH {
            Width::Bit => T::read(if bit(self.values, row) { &[1] } else { &[0] }),
            Width::Bytes(width) => T::read(self.values.get(row * width..(row + 1) * width)?),
            Width::Offsets => {
                let range = self.offset(row)?..self.offset(row + 1)?;
                match self.text {
                    Some(text) => T::read_text(text.get(range)?),
                    None => T::read(self.values.get(range)?),
                }
            }
        }
    }

    /// Every row in order.
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
