//! Queries as DuckDB itself parses them: which tables they read, and the same query reading others.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::error::{Error, Result};
use crate::warehouse::{Table, Warehouse};

/// Why a query does not parse, and on which of its lines.
#[derive(Debug)]
pub(super) struct Syntax {
    pub(super) line: Option<usize>,
    pub(super) error: Error,
}

impl From<Error> for Syntax {
    fn from(error: Error) -> Self {
        Self { line: None, error }
    }
}

fn parse(sql: &str, warehouse: &Warehouse) -> Result<Value, Syntax> {
    let text = warehouse.value("SELECT json_serialize_sql(?::VARCHAR)", &[sql])?.unwrap_or_default();
    let tree: Value = serde_json::from_str(&text).map_err(|cause| Error::internal(cause.to_string()))?;
    if tree.get("error").and_then(Value::as_bool) != Some(true) {
        return Ok(tree);
    }
    let message = tree.get("error_message").and_then(Value::as_str).unwrap_or("it does not parse");
    let position = tree.get("position").and_then(|at| at.as_str().map_or_else(|| at.as_u64(), |at| at.parse().ok()));
    let message = message.lines().next().unwrap_or(message).trim_end_matches('!');
    let line = position.and_then(|at| line_at(sql, at));
    Err(Syntax { line, error: Error::config(message.to_owned()) })
}

fn line_at(sql: &str, byte: u64) -> Option<usize> {
    Some(sql.get(..usize::try_from(byte).ok()?)?.matches('\n').count() + 1)
}

/// The tables that a query reads, its own CTEs left out, with the line that names each first. The schema is empty
/// where the query names none.
pub(super) fn references(sql: &str, warehouse: &Warehouse) -> Result<BTreeMap<Table, Option<usize>>, Syntax> {
    let mut tree = parse(sql, warehouse)?;
    let mut found = BTreeMap::new();
    walk(&mut tree, &BTreeSet::new(), &mut |node| {
        let line = node.get("query_location").and_then(Value::as_u64).and_then(|at| line_at(sql, at));
        found.entry(Table::new(text(node, "schema_name"), text(node, "table_name"))).or_insert(line);
    });
    Ok(found)
}

/// The query with each of these tables read as `name__next`, under its old name.
///
/// Edits the user's own text at the places that the parse tree tells: DuckDB's `json_deserialize_sql` (1.5) writes
/// `a CROSS JOIN b LEFT JOIN c` as `a, b LEFT JOIN c`, which binds otherwise.
pub(super) fn redirect(sql: &str, tables: &[&Table], warehouse: &Warehouse) -> Result<String, Syntax> {
    let mut tree = parse(sql, warehouse)?;
    let mut edits = Vec::new();
    walk(&mut tree, &BTreeSet::new(), &mut |node| {
        let table = Table::new(text(node, "schema_name"), text(node, "table_name"));
        let at = node.get("query_location").and_then(Value::as_u64).and_then(|at| usize::try_from(at).ok());
        if let Some(at) = at.filter(|_| tables.contains(&&table)) {
            edits.push((at, table, text(node, "alias").is_empty()));
        }
    });
    edits.sort_by_key(|(at, ..)| std::cmp::Reverse(*at));
    let mut sql = sql.to_owned();
    for (at, table, is_bare) in edits {
        let end = name_end(&sql, at).ok_or_else(|| Error::internal(format!("no table name at byte {at}")))?;
        let alias = if is_bare { format!(" AS {}", crate::warehouse::quote(&table.name)) } else { String::new() };
        sql.replace_range(at..end, &format!("{}{alias}", table.suffixed("__next")));
    }
    Ok(sql)
}

/// Where a qualified name that starts at a byte ends: `schema . name`, each bare or quoted.
fn name_end(sql: &str, at: usize) -> Option<usize> {
    let first = identifier_end(sql, at)?;
    let dot = first + sql.get(first..)?.find(|c: char| !c.is_whitespace())?;
    let rest = sql.get(dot..)?.strip_prefix('.')?;
    let second = sql.len() - rest.trim_start().len();
    identifier_end(sql, second)
}

fn identifier_end(sql: &str, at: usize) -> Option<usize> {
    let rest = sql.get(at..)?;
    let Some(quoted) = rest.strip_prefix('"') else {
        let length = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(rest.len());
        return (length > 0).then_some(at + length);
    };
    let mut letters = quoted.char_indices().peekable();
    while let Some((index, letter)) = letters.next() {
        if letter == '"' && letters.next_if(|(_, next)| *next == '"').is_none() {
            return Some(at + 1 + index + 1);
        }
    }
    None
}

fn text(node: &Value, key: &str) -> String {
    node.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Visits every table reference that is not a CTE of its scope.
fn walk(node: &mut Value, scope: &BTreeSet<String>, visit: &mut dyn FnMut(&mut Value)) {
    match node {
        Value::Array(items) => items.iter_mut().for_each(|item| walk(item, scope, visit)),
        Value::Object(_) => {
            let ctes = node.pointer("/cte_map/map").and_then(Value::as_array).into_iter().flatten();
            let names = ctes.filter_map(|cte| cte.get("key").and_then(Value::as_str)).map(str::to_lowercase);
            let mut inner = scope.clone();
            inner.extend(names);
            if text(node, "type") == "BASE_TABLE" {
                let is_cte =
                    text(node, "schema_name").is_empty() && inner.contains(&text(node, "table_name").to_lowercase());
                if !is_cte {
                    visit(node);
                }
            }
            if let Value::Object(entries) = node {
                entries.values_mut().for_each(|value| walk(value, &inner, visit));
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::{redirect, references};
    use crate::warehouse::{Table, Warehouse};

    fn check(sql: &str, expected: &str) {
        let warehouse = Warehouse::memory().expect("DuckDB in memory");
        let tables = [Table::new("core", "fct"), Table::new("my marts", "a \"b\"")];
        let redirected = redirect(sql, &tables.iter().collect::<Vec<_>>(), &warehouse).expect("a query");
        assert_eq!(redirected, expected);
    }

    #[test]
    fn references_are_redirected_in_the_text_as_written() {
        check("SELECT 1 FROM core.fct", "SELECT 1 FROM \"core\".\"fct__next\" AS \"fct\"");
        check("-- ção\nFROM core . fct f", "-- ção\nFROM \"core\".\"fct__next\" f");
        check(
            "FROM \"my marts\".\"a \"\"b\"\"\" JOIN core.other USING (k)",
            "FROM \"my marts\".\"a \"\"b\"\"__next\" AS \"a \"\"b\"\"\" JOIN core.other USING (k)",
        );
        check("WITH fct AS (SELECT 1) SELECT * FROM fct", "WITH fct AS (SELECT 1) SELECT * FROM fct");
        check("SELECT 'core.fct'", "SELECT 'core.fct'");
    }

    #[test]
    fn common_table_expressions_are_no_tables() {
        let warehouse = Warehouse::memory().expect("DuckDB in memory");
        let sql = "WITH a AS (FROM core.x), b AS (FROM a) FROM b ASOF JOIN core.y USING (k) WHERE k IN (FROM s.z)";
        let found = references(sql, &warehouse).expect("a query");
        let names: Vec<_> = found.keys().map(|table| format!("{}.{}", table.schema, table.name)).collect();
        assert_eq!(names, ["core.x", "core.y", "s.z"]);
    }

    #[test]
    fn problems_name_their_line() {
        let warehouse = Warehouse::memory().expect("DuckDB in memory");
        let syntax = references("SELECT 1\nFROM WHERE", &warehouse).expect_err("a syntax error");
        assert_eq!(syntax.line, Some(2), "{}", syntax.error);
        let found = references("SELECT 1\n\nFROM core.x JOIN\ncore.y USING (k)", &warehouse).expect("a query");
        assert_eq!(found.values().copied().collect::<Vec<_>>(), [Some(3), Some(4)]);
    }
}
