//! Reads the nodes of DuckDB's parse tree.

use serde_json::Value;

/// Returns a text of a node, or an empty one if the node has none.
pub(crate) fn text_of(node: &Value, key: &str) -> String {
    node.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}
