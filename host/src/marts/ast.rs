//! Queries as DuckDB itself parses them: which tables they read, and the same query reading others.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::variables::{Variables, variables};
use crate::error::{Error, Result};
use crate::warehouse::{Table, Warehouse, quote};

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

/// A query, parsed once.
#[derive(Debug, Clone)]
pub(super) struct Query {
    sql: String,
    references: Vec<Reference>,
    /// The variables of the pipeline that it names.
    pub(super) variables: Variables,
}

/// A table as the query names it.
#[derive(Debug, Clone)]
struct Reference {
    /// Its schema is empty where the query names none.
    table: Table,
    /// The byte at which it stands.
    at: Option<usize>,
    is_bare: bool,
}

impl Query {
    /// Parses a query, with DuckDB's own parser.
    pub(super) fn parse(sql: &str, warehouse: &Warehouse) -> Result<Self, Syntax> {
        let tree = tree(sql, warehouse)?;
        let mut references = Vec::new();
        let mut database = None;
        walk(&tree, &BTreeSet::new(), &mut |node| {
            let table = Table::new(text(node, "schema_name"), text(node, "table_name"));
            let at = node.get("query_location").and_then(Value::as_u64).and_then(|at| usize::try_from(at).ok());
            if !text(node, "catalog_name").is_empty() {
                database = Some((text(node, "catalog_name"), at));
            }
            references.push(Reference { table, at, is_bare: text(node, "alias").is_empty() });
        });
        if let Some((database, at)) = database {
            let error = Error::config(format!("a table of the database `{database}` is named"));
            let line = at.and_then(|at| line_at(sql, at));
            return Err(Syntax { line, error: error.hint("a table is written `schema.name`") });
        }
        references.sort_by_key(|reference| reference.at);
        Ok(Self { sql: sql.to_owned(), references, variables: variables(&tree, sql) })
    }

    /// The tables that it reads, its own CTEs left out, with the line that names each first.
    pub(super) fn tables(&self) -> BTreeMap<Table, Option<usize>> {
        let mut found = BTreeMap::new();
        for Reference { table, at, .. } in &self.references {
            found.entry(table.clone()).or_insert_with(|| at.and_then(|at| line_at(&self.sql, at)));
        }
        found
    }

    /// The query with tables read elsewhere, under their old names; `elsewhere` says where.
    ///
    /// Edits the user's own text at the places that the parse tree tells: DuckDB's `json_deserialize_sql` (1.5) writes
    /// `a CROSS JOIN b LEFT JOIN c` as `a, b LEFT JOIN c`, which binds otherwise.
    pub(super) fn redirected(&self, elsewhere: &dyn Fn(&Table) -> Option<Table>) -> Result<String> {
        let mut sql = self.sql.clone();
        for Reference { table, at, is_bare } in self.references.iter().rev() {
            let (Some(at), Some(other)) = (*at, elsewhere(table)) else { continue };
            let end = name_end(&sql, at).ok_or_else(|| Error::internal(format!("no table name at byte {at}")))?;
            let alias = if *is_bare { format!(" AS {}", quote(&table.name)) } else { String::new() };
            sql.replace_range(at..end, &format!("{other}{alias}"));
        }
        Ok(sql)
    }
}

/// What is said of a statement that is not a query.
pub const NO_QUERY: &str = "it is no SELECT, and nothing else may stand here";

pub(super) fn tree(sql: &str, warehouse: &Warehouse) -> Result<Value, Syntax> {
    let text = warehouse.value("SELECT json_serialize_sql(?::VARCHAR)", &[sql])?.unwrap_or_default();
    let tree: Value = serde_json::from_str(&text).map_err(|cause| Error::internal(cause.to_string()))?;
    if tree.get("error").and_then(Value::as_bool) != Some(true) {
        let statements = tree.get("statements").and_then(Value::as_array).map_or(0, Vec::len);
        if statements != 1 {
            return Err(Error::config(format!("{statements} statements where one query is expected")).into());
        }
        return Ok(tree);
    }
    let message = tree.get("error_message").and_then(Value::as_str).unwrap_or("it does not parse");
    let position = tree.get("position").and_then(|at| at.as_str().map_or_else(|| at.as_u64(), |at| at.parse().ok()));
    let message = match message.lines().next().unwrap_or(message).trim_end_matches('!') {
        message if message.starts_with("Only SELECT") => NO_QUERY,
        message => message,
    };
    let line = position.and_then(|at| line_at(sql, usize::try_from(at).ok()?));
    Err(Syntax { line, error: Error::config(message.to_owned()) })
}

pub(super) fn line_at(sql: &str, byte: usize) -> Option<usize> {
    Some(sql.get(..byte)?.matches('\n').count() + 1)
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

pub(super) fn text(node: &Value, key: &str) -> String {
    node.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Visits every table reference that is not a CTE of its scope.
fn walk(node: &Value, scope: &BTreeSet<String>, visit: &mut dyn FnMut(&Value)) {
    match node {
        Value::Array(items) => items.iter().for_each(|item| walk(item, scope, visit)),
        Value::Object(entries) => {
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
            entries.values().for_each(|value| walk(value, &inner, visit));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::Query;
    use crate::warehouse::{Table, Warehouse};

    fn check(sql: &str, expected: &str) {
        let warehouse = Warehouse::memory().expect("DuckDB in memory");
        let tables = [Table::new("core", "fct"), Table::new("my marts", "a \"b\"")];
        let query = Query::parse(sql, &warehouse).expect("a query");
        let next = |table: &Table| tables.contains(table).then(|| table.suffixed("__next"));
        assert_eq!(query.redirected(&next).expect("a query"), expected);
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
        let found = Query::parse(sql, &warehouse).expect("a query").tables();
        let names: Vec<_> = found.keys().map(|table| format!("{}.{}", table.schema, table.name)).collect();
        assert_eq!(names, ["core.x", "core.y", "s.z"]);
    }

    #[test]
    fn problems_name_their_line() {
        let warehouse = Warehouse::memory().expect("DuckDB in memory");
        let syntax = Query::parse("SELECT 1\nFROM WHERE", &warehouse).expect_err("a syntax error");
        assert_eq!(syntax.line, Some(2), "{}", syntax.error);
        let query = Query::parse("SELECT 1\n\nFROM core.x JOIN\ncore.y USING (k)", &warehouse).expect("a query");
        let found = query.tables();
        assert_eq!(found.values().copied().collect::<Vec<_>>(), [Some(3), Some(4)]);
    }
}
