//! Builds a column row by row.

use std::marker::PhantomData;

use super::value::{Value, Width};
use crate::bindings::source_plugin::elt::plugin::types as wit;

/// Builds a column row by row.
#[derive(Debug)]
pub struct Builder<T> {
    validity: Bits,
    buffers: Buffers,
    nulls: usize,
    value: PhantomData<T>,
}

impl<T: Value> Default for Builder<T> {
    fn default() -> Self {
        let mut buffers = Buffers::default();
        if T::WIDTH == Width::Offsets {
            buffers.offsets = Some(0u32.to_le_bytes().to_vec());
        }
        Self { validity: Bits::default(), buffers, nulls: 0, value: PhantomData }
    }
}

impl<T: Value> Builder<T> {
    /// An empty column.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a row; none is null.
    pub fn push(&mut self, value: Option<T::Read<'_>>) {
        self.validity.push(value.is_some());
        match value {
            Some(value) => T::write(value, &mut self.buffers),
            None => {
                self.nulls += 1;
                match T::WIDTH {
                    Width::Bit => self.buffers.bit(false),
                    Width::Bytes(width) => self.buffers.values.extend(std::iter::repeat_n(0, width)),
                    Width::Offsets => self.buffers.bytes(&[]),
                }
            }
        }
    }

    /// Rows so far.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.validity.rows
    }

    pub(crate) fn finish(self) -> wit::Column {
        let validity = (self.nulls > 0).then_some(self.validity.bytes);
        let Buffers { offsets, values, bits } = self.buffers;
        let values = if T::WIDTH == Width::Bit { bits.bytes } else { values };
        wit::Column { validity, offsets, values }
    }
}

/// What values are written into.
#[doc(hidden)]
#[derive(Debug, Default)]
pub struct Buffers {
    offsets: Option<Vec<u8>>,
    values: Vec<u8>,
    bits: Bits,
}

impl Buffers {
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.values.extend_from_slice(bytes);
        if let Some(offsets) = &mut self.offsets {
            // The host refuses a column whose offsets do not rise to the length of its values.
            let end = u32::try_from(self.values.len()).unwrap_or(u32::MAX);
            offsets.extend_from_slice(&end.to_le_bytes());
        }
    }

    pub(super) fn bit(&mut self, bit: bool) {
        self.bits.push(bit);
    }
}

/// A bitmap: bit 0 of byte 0 is row 0.
#[derive(Debug, Default)]
struct Bits {
    bytes: Vec<u8>,
    rows: usize,
}

impl Bits {
    fn push(&mut self, bit: bool) {
        if self.rows.is_multiple_of(8) {
            self.bytes.push(0);
        }
        if let Some(last) = self.bytes.last_mut() {
            *last |= u8::from(bit) << (self.rows % 8);
        }
        self.rows += 1;
    }
}
