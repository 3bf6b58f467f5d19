//! Decoders: JSON responses and CSV files to typed Arrow columns.

pub(crate) mod csv;
pub(crate) mod depth;
pub(crate) mod json;
mod value;

use host_core::error::Error;

use crate::memory::MemoryExceeded;

/// Why something is not decoded.
#[derive(Debug)]
pub(crate) enum DecodeError {
    /// It is not valid. The plugin receives the error.
    Data(Error),
    /// It needs too much memory, which ends the plugin.
    Memory(MemoryExceeded),
}

impl From<Error> for DecodeError {
    fn from(error: Error) -> Self {
        Self::Data(error)
    }
}

impl From<MemoryExceeded> for DecodeError {
    fn from(exceeded: MemoryExceeded) -> Self {
        Self::Memory(exceeded)
    }
}

impl From<DecodeError> for Error {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Data(error) => error,
            DecodeError::Memory(exceeded) => exceeded.into(),
        }
    }
}
