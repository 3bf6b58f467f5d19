//! Builds a column row by row.

use std::marker::PhantomData;

use super::value::{Value, Width};
use crate::bindings::source_plugin::elt::plugin::types as wit;

/// Bytes of a text for which room is kept; longer ones cost a copy of what is there.
const USUAL_LENGTH: usize = 16;

/// Builds a column row by row.
#[derive(Debug)]
pub struct Builder<T> {
    /// None until a row is null.
    validity: Option<Bits>,
    buffers: Buffers,
    rows: usize,
    value: PhantomData<T>,
}

impl<T: Value> Default for Builder<T> {
    fn default() -> Self {
        Self::with_room(0)
    }
}

impl<T: Value> Builder<T> {
    /// An empty column.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty column with room for so many rows.
    #[must_use]
    pub fn with_room(rows: usize) -> Self {
        let mut buffers = Buffers::default();
        match T::WIDTH {
            Width::Bit => {}
            Width::Bytes(width) => buffers.values.reserve(rows * width),
            Width::Offsets => {
                let mut offsets = Vec::with_capacity((rows + 1) * 4);
                offsets.extend(0u32.to_le_bytes());
                buffers.offsets = Some(offsets);
                buffers.values.reserve(rows * USUAL_LENGTH);
            }
        }
        Self { validity: None, buffers, rows: 0, value: PhantomData }
    }

    /// Appends a row; none is null.
    pub fn push(&mut self, value: Option<T::Read<'_>>) {
        if let Some(validity) = &mut self.validity {
            validity.push(value.is_some());
        } else if value.is_none() {
            let mut validity = Bits::of_ones(self.rows);
            validity.push(false);
            self.validity = Some(validity);
        }
        self.rows += 1;
        match value {
            Some(value) => T::write(value, &mut self.buffers),
            None => match T::WIDTH {
                Width::Bit => self.buffers.bit(false),
                Width::Bytes(width) => self.buffers.values.extend(std::iter::repeat_n(0, width)),
                Width::Offsets => self.buffers.bytes(&[]),
            },
        }
    }

    /// Rows so far.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn finish(self) -> wit::Column {
        let validity = self.validity.map(|bits| bits.bytes);
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
    fn of_ones(rows: usize) -> Self {
        let mut bytes = vec![u8::MAX; rows.div_ceil(8)];
        if let Some(last) = bytes.last_mut().filter(|_| !rows.is_multiple_of(8)) {
            *last = (1 << (rows % 8)) - 1;
        }
        Self { bytes, rows }
    }

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
