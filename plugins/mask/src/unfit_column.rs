//! Removes the values of masked columns from `_unfit`, where the host keeps values that did not fit their column.

use plugin_sdk::prelude::*;
use serde_json::Value;

/// The name of the column.
const UNFIT: &str = "_unfit";

/// The column `_unfit` of a stream, and the columns whose values must not stay in it.
pub(crate) struct UnfitColumn {
    pub(crate) column: TextColumn,
    masked: Vec<String>,
}

impl UnfitColumn {
    /// None if the stream has no such column, or the pipeline masks the column itself.
    pub(crate) fn find<'a>(input: &Schema, masked: impl Iterator<Item = &'a String>) -> Option<Self> {
        let column = input.text(UNFIT).ok()?;
        let masked: Vec<_> = masked.cloned().collect();
        (!masked.iter().any(|name| name == UNFIT)).then_some(Self { column, masked })
    }

    /// The JSON object without the values of masked columns. None if nothing is left, or the text is not a JSON object.
    pub(crate) fn without_masked(&self, text: &str) -> Option<String> {
        let Ok(Value::Object(mut values)) = serde_json::from_str(text) else { return None };
        let all = values.len();
        values.retain(|name, _| !self.masked.contains(name));
        if values.is_empty() {
            return None;
        }
        Some(if values.len() == all { text.to_owned() } else { Value::Object(values).to_string() })
    }
}
