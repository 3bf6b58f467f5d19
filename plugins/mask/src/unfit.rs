//! `_unfit`, where the host keeps values that did not fit their column: what is masked in its column must not stay
//! readable here.

use plugin_sdk::prelude::*;
use serde_json::Value;

/// The column's name.
const UNFIT: &str = "_unfit";

/// The stream's `_unfit`, and the columns whose values must not stand there.
pub(crate) struct Unfit {
    pub(crate) column: TextColumn,
    masked: Vec<String>,
}

impl Unfit {
    /// None where the stream has no such column, or where the pipeline masks it itself.
    pub(crate) fn find<'a>(input: &Schema, masked: impl Iterator<Item = &'a String>) -> Option<Self> {
        let column = input.text(UNFIT).ok()?;
        let masked: Vec<_> = masked.cloned().collect();
        (!masked.iter().any(|name| name == UNFIT)).then_some(Self { column, masked })
    }

    /// The text without the values of masked columns; null where nothing is left, or where it cannot be told.
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
