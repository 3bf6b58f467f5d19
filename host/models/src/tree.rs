//! Reads the nodes of DuckDB's parse tree.

use serde_json::Value;

/// Returns a text of a node, or an empty one if the node has none.
#[must_use]
pub fn text_of<'a>(node: &'a Value, key: &str) -> &'a str {
    node.get(key).and_then(Value::as_str).unwrap_or_default()
}
