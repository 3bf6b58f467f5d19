//! Parses one query with DuckDB's parser.

use host_core::error::{Error, Result};
use host_warehouse::Warehouse;
use serde::Deserialize as _;
use serde_json::Value;

use crate::gate;
use crate::tree::text_of;

/// The nesting of a parse tree up to which a query is accepted. A chain of operators nests two levels per operator.
const MAX_DEPTH: usize = 500;

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
    /// The text is not one expression.
    NotOneExpression,
    /// The query reads a table of another database.
    OtherDatabase,
    /// The query does what the SQL of a project may not do.
    NotAllowed,
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
/// The text is not exactly one SELECT, or does what the SQL of a project may not do.
pub fn parse(sql: &str, warehouse: &Warehouse) -> Result<Value, ParseError> {
    let text: String = warehouse.value("SELECT json_serialize_sql(?::VARCHAR)", [sql])?.unwrap_or_default();
    if depth(&text) > MAX_DEPTH {
        let error = Error::config("the query is nested too deeply").hint("split it into common table expressions");
        return Err(ParseError { reason: ParseFailure::NotAllowed, line: None, error });
    }
    let mut deserializer = serde_json::Deserializer::from_str(&text);
    deserializer.disable_recursion_limit();
    let tree = Value::deserialize(&mut deserializer).map_err(Error::internal)?;
    if tree.get("error").and_then(Value::as_bool) != Some(true) {
        let statements = tree.get("statements").and_then(Value::as_array).map_or(0, Vec::len);
        if statements != 1 {
            let error = Error::config(format!("expected one query, found {statements} statements"));
            return Err(ParseError { reason: ParseFailure::NotOneStatement, line: None, error });
        }
        return match gate::check(&tree, warehouse.user_macros()?) {
            Ok(()) => Ok(tree),
            Err(gate::Refusal { error, at }) => {
                let line = at.and_then(|at| line_at(sql, at));
                Err(ParseError { reason: ParseFailure::NotAllowed, line, error })
            }
        };
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

/// Returns the parse tree of a text that must be exactly one expression.
///
/// # Errors
/// Same as [`parse`], and a text that is more or less than one expression.
pub fn parse_expression(text: &str, warehouse: &Warehouse) -> Result<Value, ParseError> {
    let not_one_expression = || ParseError {
        reason: ParseFailure::NotOneExpression,
        line: None,
        error: Error::config("the text is not one expression"),
    };
    // The parse tree of a SELECT with a single constant. A text with further clauses gives a different tree.
    let mut constant = select(warehouse, "true")?;
    let mut found = select(warehouse, text).map_err(|failure| match failure.reason {
        ParseFailure::NotAQuery => not_one_expression(),
        _ => failure,
    })?;
    let mut expressions = found.pointer_mut("/select_list").map(Value::take).unwrap_or_default();
    constant["select_list"] = Value::Null;
    let list = expressions.as_array_mut().map(std::mem::take).unwrap_or_default();
    match <[Value; 1]>::try_from(list) {
        Ok([expression]) if constant == found && text_of(&expression, "alias").is_empty() => Ok(expression),
        _ => Err(not_one_expression()),
    }
}

/// Parses `SELECT` with a text after it, and returns the node of the statement.
fn select(warehouse: &Warehouse, text: &str) -> Result<Value, ParseError> {
    let mut tree = parse(&format!("SELECT {text}\n"), warehouse)?;
    Ok(tree.pointer_mut("/statements/0/node").map(Value::take).unwrap_or_default())
}

/// Returns how deeply objects and arrays of a JSON text are nested.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest, mut in_text, mut is_escaped) = (0_usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_text => is_escaped = true,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Returns the line of a byte offset, from 1.
pub(crate) fn line_at(sql: &str, byte: usize) -> Option<usize> {
    Some(sql.get(..byte)?.matches('\n').count() + 1)
}
