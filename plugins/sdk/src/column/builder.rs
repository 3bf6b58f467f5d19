//! Builds a column row by row.

use std::marker::PhantomData;

use super::buffers::{Bitmap, Buffers};
use super::value::{Layout, Text, Value};
use crate::bindings::source_plugin::elt::plugin::types as wit;

/// The bytes that are reserved for each text. Longer texts make the buffer grow, which copies it.
const TYPICAL_TEXT_BYTES: usize = 16;

/// Builds a column row by row.
///
/// ```
/// use plugin_sdk::prelude::*;
///
/// let mut names = TextBuilder::with_capacity(2);
/// names.push(Some("Ana"));
/// names.push(None); // a null
/// assert_eq!(names.rows(), 2);
/// ```
#[derive(Debug)]
pub struct Builder<T> {
    /// None until the first null.
    validity: Option<Bitmap>,
    buffers: Buffers,
    rows: usize,
    value: PhantomData<T>,
}

/// Builds a text column.
pub type TextBuilder = Builder<Text>;

impl<T: Value> Default for Builder<T> {
    fn default() -> Self {
        Self::with_capacity(0)
    }
}

impl<T: Value> Builder<T> {
    /// A builder without rows.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A builder without rows that has memory reserved for this many.
    #[must_use]
    pub fn with_capacity(rows: usize) -> Self {
        let mut buffers = Buffers::default();
        match T::LAYOUT {
            Layout::Bit => {}
            Layout::Fixed(width) => buffers.values.reserve(rows * width),
            Layout::Variable => {
                let mut offsets = Vec::with_capacity((rows + 1) * 4);
                offsets.extend(0u32.to_le_bytes());
                buffers.offsets = Some(offsets);
                buffers.values.reserve(rows * TYPICAL_TEXT_BYTES);
            }
        }
        Self { validity: None, buffers, rows: 0, value: PhantomData }
    }

    /// Appends a row; `None` is a null.
    pub fn push(&mut self, value: Option<T::Read<'_>>) {
        if let Some(validity) = &mut self.validity {
            validity.push(value.is_some());
        } else if value.is_none() {
            let mut validity = Bitmap::all_set(self.rows);
            validity.push(false);
            self.validity = Some(validity);
        }
        self.rows += 1;
        match value {
            Some(value) => T::write(value, &mut self.buffers),
            None => match T::LAYOUT {
                Layout::Bit => self.buffers.push_bit(false),
                Layout::Fixed(width) => self.buffers.values.extend(std::iter::repeat_n(0, width)),
                Layout::Variable => self.buffers.push_bytes(&[]),
            },
        }
    }

    /// The number of rows so far.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn finish(self) -> wit::Column {
        let validity = self.validity.map(|bitmap| bitmap.bytes);
        let Buffers { offsets, values, bits } = self.buffers;
        let values = if T::LAYOUT == Layout::Bit { bits.bytes } else { values };
        wit::Column { validity, offsets, values }
    }
}
