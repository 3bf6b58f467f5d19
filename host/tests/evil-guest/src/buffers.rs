//! Text columns in the contract's buffers, well formed; what is done to them afterwards is for others to answer for.

use plugin_sdk::bindings::source_plugin::elt::plugin::types::Column;

/// One text a row.
pub(crate) fn texts(values: &[&str]) -> Column {
    let ends = values.iter().scan(0, |end, value| {
        *end += value.len();
        Some(*end)
    });
    Column { validity: None, offsets: Some(offsets(std::iter::once(0).chain(ends))), values: values.concat().into() }
}

/// Offsets as the contract writes them.
pub(crate) fn offsets(ends: impl IntoIterator<Item = usize>) -> Vec<u8> {
    ends.into_iter().flat_map(|end| u32::try_from(end).unwrap_or(u32::MAX).to_le_bytes()).collect()
}
