//! The buffers of a column that is being built.

/// The buffers that values are appended to.
#[doc(hidden)]
#[derive(Debug, Default)]
pub struct Buffers {
    pub(super) offsets: Option<Vec<u8>>,
    pub(super) values: Vec<u8>,
    pub(super) bits: Bitmap,
}

impl Buffers {
    /// Appends the bytes of one value.
    pub(super) fn push_bytes(&mut self, bytes: &[u8]) {
        self.values.extend_from_slice(bytes);
        if let Some(offsets) = &mut self.offsets {
            // The host refuses a column whose last offset is not the length of its values.
            let end = u32::try_from(self.values.len()).unwrap_or(u32::MAX);
            offsets.extend_from_slice(&end.to_le_bytes());
        }
    }

    /// Appends one boolean value.
    pub(super) fn push_bit(&mut self, bit: bool) {
        self.bits.push(bit);
    }
}

/// A bitmap: bit 0 of byte 0 is row 0.
#[derive(Debug, Default)]
pub(super) struct Bitmap {
    pub(super) bytes: Vec<u8>,
    rows: usize,
}

impl Bitmap {
    /// A bitmap in which this many rows are set.
    pub(super) fn all_set(rows: usize) -> Self {
        let mut bytes = vec![u8::MAX; rows.div_ceil(8)];
        if let Some(last) = bytes.last_mut().filter(|_| !rows.is_multiple_of(8)) {
            *last = (1 << (rows % 8)) - 1;
        }
        Self { bytes, rows }
    }

    pub(super) fn push(&mut self, bit: bool) {
        if self.rows.is_multiple_of(8) {
            self.bytes.push(0);
        }
        if let Some(last) = self.bytes.last_mut() {
            *last |= u8::from(bit) << (self.rows % 8);
        }
        self.rows += 1;
    }
}
