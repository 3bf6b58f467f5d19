//! Columns in Arrow's layout: views to read what the host sent, builders to answer. The only place that sees buffers.

use crate::bindings::source_plugin::elt::plugin::types as wit;
use crate::error::{Error, ErrorKind, Result};

/// A utf8 column, read in place.
#[derive(Debug, Clone, Copy)]
pub struct TextView<'a> {
    validity: Option<&'a [u8]>,
    offsets: &'a [u8],
    values: &'a [u8],
    rows: usize,
}

impl<'a> TextView<'a> {
    pub(crate) fn new(column: &'a wit::Column, rows: usize) -> Result<Self> {
        let broken = || Error::new(ErrorKind::Internal, "column", "the host sent a text column without offsets");
        let offsets = column.offsets.as_deref().ok_or_else(broken)?;
        if offsets.len() < (rows + 1) * 4 {
            return Err(broken());
        }
        Ok(Self { validity: column.validity.as_deref(), offsets, values: &column.values, rows })
    }

    fn offset(&self, row: usize) -> usize {
        let at = row * 4;
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&self.offsets[at..at + 4]);
        u32::from_le_bytes(bytes) as usize
    }

    /// The text of a row; none where it is null.
    #[must_use]
    pub fn get(&self, row: usize) -> Option<&'a str> {
        if let Some(bits) = self.validity
            && bits[row / 8] & (1 << (row % 8)) == 0
        {
            return None;
        }
        std::str::from_utf8(&self.values[self.offset(row)..self.offset(row + 1)]).ok()
    }

    /// Every row in order.
    pub fn iter(self) -> impl Iterator<Item = Option<&'a str>> {
        (0..self.rows).map(move |row| self.get(row))
    }
}

/// Builds a utf8 column row by row.
#[derive(Debug, Default)]
pub struct TextBuilder {
    validity: Validity,
    offsets: Vec<u8>,
    values: Vec<u8>,
}

impl TextBuilder {
    /// An empty column.
    #[must_use]
    pub fn new() -> Self {
        Self { offsets: 0u32.to_le_bytes().to_vec(), ..Self::default() }
    }

    /// Appends a row.
    pub fn push(&mut self, value: Option<&str>) {
        self.validity.push(value.is_some());
        self.values.extend_from_slice(value.unwrap_or_default().as_bytes());
        let end = u32::try_from(self.values.len()).unwrap_or(u32::MAX);
        self.offsets.extend_from_slice(&end.to_le_bytes());
    }

    /// Rows so far.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.validity.rows
    }

    pub(crate) fn finish(self) -> wit::Column {
        wit::Column { validity: self.validity.finish(), offsets: Some(self.offsets), values: self.values }
    }
}

/// The validity bitmap: bit 0 of byte 0 is row 0; left out when no row is null.
#[derive(Debug, Default)]
struct Validity {
    bits: Vec<u8>,
    rows: usize,
    nulls: usize,
}

impl Validity {
    fn push(&mut self, valid: bool) {
        if self.rows.is_multiple_of(8) {
            self.bits.push(0);
        }
        if valid {
            self.bits[self.rows / 8] |= 1 << (self.rows % 8);
        } else {
            self.nulls += 1;
        }
        self.rows += 1;
    }

    fn finish(self) -> Option<Vec<u8>> {
        (self.nulls > 0).then_some(self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::{TextBuilder, TextView};

    fn check(rows: &[Option<&str>]) {
        let mut builder = TextBuilder::new();
        for row in rows {
            builder.push(*row);
        }
        let column = builder.finish();
        let view = TextView::new(&column, rows.len()).expect("a column of our own");
        assert_eq!(view.iter().collect::<Vec<_>>(), rows);
    }

    #[test]
    fn text_round_trips() {
        check(&[]);
        check(&[None]);
        check(&[Some("a"), None, Some(""), Some("ção 🩺")]);
        check(&[Some("x"); 17]);
    }
}
