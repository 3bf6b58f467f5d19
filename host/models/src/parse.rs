//! Parses one query with DuckDB's parser.

use host_core::error::{Error, Result};
use host_warehouse::Warehouse;
use serde_json::Value;

/// Why a text is not one query, and at which line.
#[derive(Debug)]
pub struct ParseError {
    /// The reason.
    pub reason: ParseFailure,
    /// The line of the text, from 1, if known.
    pub line: Option<usize>,
    /// The error to report.
    pub error: Error,
}

/// The reason why a text is not one query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParseFailure {
    /// The text does not parse.
    Syntax,
    /// The statement is not a SELECT.
    NotAQuery,
    /// The text has no statement, or several.
    NotOneStatement,
    /// The query reads a table of another database.
    OtherDatabase,
    /// DuckDB failed to run its parser.
    Unavailable,
}

impl From<Error> for ParseError {
    fn from(error: Error) -> Self {
        Self { reason: ParseFailure::Unavailable, line: None, error }
    }
}

/// Returns the parse tree of a query as DuckDB's JSON.
///
/// # Errors
/// The text is not exactly one SELECT.
pub fn parse(sql: &str, warehouse: &Warehouse) -> Result<Value, ParseError> {
    let text: String = warehouse.value("SELECT json_serialize_sql(?::VARCHAR)", [sql])?.unwrap_or_default();
    let tree: Value = serde_json::from_str(&text).map_err(Error::internal)?;
    if tree.get("error").and_then(Value::as_bool) != Some(true) {
        let statements = tree.get("statements").and_then(Value::as_array).map_or(0, Vec::len);
        if statements != 1 {
            let error = Error::config(format!("expected one query, found {statements} statements"));
            return Err(ParseError { reason: ParseFailure::NotOneStatement, line: None, error });
        }
        return Ok(tree);
    }
    let position = tree.get("position").and_then(|at| at.as_str().map_or_else(|| at.as_u64(), |at| at.parse().ok()));
    let line = position.and_then(|at| line_at(sql, usize::try_from(at).ok()?));
    // DuckDB serializes only SELECT statements, and reports all others as not implemented.
    if text_of(&tree, "error_type") == "not implemented" {
        let error = Error::config("expected a SELECT statement");
        return Err(ParseError { reason: ParseFailure::NotAQuery, line, error });
    }
    let message = text_of(&tree, "error_message");
    let message = message.lines().next().unwrap_or("the text does not parse");
    Err(ParseError { reason: ParseFailure::Syntax, line, error: Error::config(message) })
}

/// Returns the line of a byte offset, from 1.
pub(crate) fn line_at(sql: &str, byte: usize) -> Option<usize> {
    Some(sql.get(..byte)?.matches('\n').count() + 1)
}

/// Returns a text of a node of the parse tree, or an empty one if the node has none.
pub(crate) fn text_of(node: &Value, key: &str) -> String {
    node.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}
