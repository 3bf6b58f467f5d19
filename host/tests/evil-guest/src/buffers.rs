//! Builds well-formed text columns in the contract's buffer layout.

use plugin_sdk::bindings::source_plugin::elt::plugin::types::Column;

/// A column with these values.
pub(crate) fn texts(values: &[&str]) -> Column {
    let ends = values.iter().scan(0, |end, value| {
        *end += value.len();
        Some(*end)
    });
    Column { validity: None, offsets: Some(offsets(std::iter::once(0).chain(ends))), values: values.concat().into() }
}

/// Encodes offsets as little-endian `u32`.
pub(crate) fn offsets(ends: impl IntoIterator<Item = usize>) -> Vec<u8> {
    ends.into_iter().flat_map(|end| u32::try_from(end).unwrap_or(u32::MAX).to_le_bytes()).collect()
}
