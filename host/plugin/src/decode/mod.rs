//! Decoders: JSON responses and CSV files to typed Arrow columns.

pub(crate) mod csv;
pub(crate) mod depth;
pub(crate) mod json;
mod value;
