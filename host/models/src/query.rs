//! Parsed queries: lists the tables that a query reads, and rewrites a query to read other tables.

use std::collections::{BTreeMap, BTreeSet};

use host_core::error::{Error, Result};
use host_warehouse::{Table, Warehouse, quote};
use serde_json::Value;

use crate::parse::{ParseError, ParseFailure, line_at, parse};
use crate::tree::text_of;
use crate::variables::{VariableReferences, variable_references};

/// A parsed query.
#[derive(Debug, Clone)]
pub(super) struct Query {
    sql: String,
    tables: Vec<TableReference>,
    /// The variables of the pipeline that the query reads.
    pub(super) variables: VariableReferences,
}

/// A reference to a table.
#[derive(Debug, Clone)]
struct TableReference {
    /// The table. Its schema is empty if the query writes only its name.
    table: Table,
    /// The byte of the query at which the reference starts.
    at: Option<usize>,
    has_alias: bool,
}

impl Query {
    /// Parses a query with DuckDB's parser.
    pub(super) fn parse(sql: &str, warehouse: &Warehouse) -> Result<Self, ParseError> {
        let tree = parse(sql, warehouse)?;
        let mut tables = Vec::new();
        let mut database = None;
        walk(&tree, &BTreeSet::new(), &mut |node| {
            let table = Table::new(text_of(node, "schema_name"), text_of(node, "table_name"));
            let at = node.get("query_location").and_then(Value::as_u64).and_then(|at| usize::try_from(at).ok());
            if !text_of(node, "catalog_name").is_empty() {
                database = Some((text_of(node, "catalog_name").to_owned(), at));
            }
            tables.push(TableReference { table, at, has_alias: !text_of(node, "alias").is_empty() });
        });
        if let Some((database, at)) = database {
            let error = Error::config(format!("tables of another database cannot be read: `{database}`"));
            let line = at.and_then(|at| line_at(sql, at));
            let error = error.hint("write a table as `schema.name`");
            return Err(ParseError { reason: ParseFailure::OtherDatabase, line, error });
        }
        tables.sort_by_key(|reference| reference.at);
        Ok(Self { sql: sql.to_owned(), tables, variables: variable_references(&tree, sql) })
    }

    /// Returns the tables that the query reads, without its CTEs, each with the line of its first reference.
    pub(super) fn tables(&self) -> BTreeMap<Table, Option<usize>> {
        let mut found = BTreeMap::new();
        for TableReference { table, at, .. } in &self.tables {
            found.entry(table.clone()).or_insert_with(|| at.and_then(|at| line_at(&self.sql, at)));
        }
        found
    }

    /// Returns the query with each table replaced by `replacement`, if that returns one, under the same alias.
    ///
    /// Edits the user's text at the positions of the parse tree: DuckDB's `json_deserialize_sql` (1.5) writes
    /// `a CROSS JOIN b LEFT JOIN c` as `a, b LEFT JOIN c`, which binds differently.
    pub(super) fn redirected(&self, replacement: &dyn Fn(&Table) -> Option<Table>) -> Result<String> {
        let mut sql = self.sql.clone();
        for TableReference { table, at, has_alias } in self.tables.iter().rev() {
            let (Some(at), Some(other)) = (*at, replacement(table)) else { continue };
            let end = name_end(&sql, at).ok_or_else(|| Error::internal(format!("no table name at byte {at}")))?;
            // `TABLE name` takes no alias, and nothing can refer to it by one.
            let takes_none = *has_alias || follows_table(&sql, at);
            let alias = if takes_none { String::new() } else { format!(" AS {}", quote(&table.name)) };
            sql.replace_range(at..end, &format!("{other}{alias}"));
        }
        Ok(sql)
    }
}

/// Returns whether the keyword `TABLE` stands before a byte, as in `TABLE name`, the short form of `SELECT * FROM name`.
fn follows_table(sql: &str, at: usize) -> bool {
    let before = sql.get(..at).unwrap_or_default().trim_end();
    let word = before.rsplit(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$' || c == '"')).next();
    word.is_some_and(|word| word.eq_ignore_ascii_case("TABLE"))
}

/// Returns the byte after the qualified name that starts at a byte: `schema . name`, each part bare or quoted.
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

/// Visits every table reference that is not a CTE in scope. A CTE is in scope in the query that declares it and in the
/// CTEs after it; in its own definition only if it is recursive, and then in the recursive part.
fn walk(node: &Value, scope: &BTreeSet<String>, visit: &mut dyn FnMut(&Value)) {
    match node {
        Value::Array(items) => items.iter().for_each(|item| walk(item, scope, visit)),
        Value::Object(entries) => {
            let mut inner = scope.clone();
            for cte in node.pointer("/cte_map/map").and_then(Value::as_array).into_iter().flatten() {
                cte.get("value").into_iter().for_each(|value| walk(value, &inner, visit));
                inner.insert(text_of(cte, "key").to_ascii_lowercase());
            }
            match text_of(node, "type") {
                "BASE_TABLE" => {
                    let name = text_of(node, "table_name").to_ascii_lowercase();
                    let is_cte = text_of(node, "schema_name").is_empty() && inner.contains(&name);
                    if !is_cte {
                        visit(node);
                    }
                }
                "RECURSIVE_CTE_NODE" => {
                    node.get("left").into_iter().for_each(|left| walk(left, &inner, visit));
                    inner.insert(text_of(node, "cte_name").to_ascii_lowercase());
                    node.get("right").into_iter().for_each(|right| walk(right, &inner, visit));
                    return;
                }
                _ => {}
            }
            let others = entries.iter().filter(|(key, _)| *key != "cte_map");
            others.for_each(|(_, value)| walk(value, &inner, visit));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::Query;
    use crate::parse::ParseFailure;
    use host_warehouse::{Table, Warehouse};

    fn check(sql: &str, expected: &str) {
        let warehouse = Warehouse::memory().expect("DuckDB in memory");
        let tables = [Table::new("core", "fct"), Table::new("my marts", "a \"b\"")];
        let query = Query::parse(sql, &warehouse).expect("a query");
        let next = |table: &Table| tables.contains(table).then(|| table.suffixed("__next"));
        assert_eq!(query.redirected(&next).expect("a query"), expected);
    }

    #[test]
    fn redirects_table_references_in_the_original_text() {
        check("SELECT 1 FROM core.fct", "SELECT 1 FROM \"core\".\"fct__next\" AS \"fct\"");
        check("-- ção\nFROM core . fct f", "-- ção\nFROM \"core\".\"fct__next\" f");
        check(
            "FROM \"my marts\".\"a \"\"b\"\"\" JOIN core.other USING (k)",
            "FROM \"my marts\".\"a \"\"b\"\"__next\" AS \"a \"\"b\"\"\" JOIN core.other USING (k)",
        );
        check("WITH fct AS (SELECT 1) SELECT * FROM fct", "WITH fct AS (SELECT 1) SELECT * FROM fct");
        check("SELECT 'core.fct'", "SELECT 'core.fct'");
        check("FROM (TABLE core.fct) AS x", "FROM (TABLE \"core\".\"fct__next\") AS x");
    }

    #[test]
    fn common_table_expressions_are_not_tables() {
        let warehouse = Warehouse::memory().expect("DuckDB in memory");
        let sql = "WITH a AS (FROM core.x), b AS (FROM a) FROM b ASOF JOIN core.y USING (k) WHERE k IN (FROM s.z)";
        let found = Query::parse(sql, &warehouse).expect("a query").tables();
        let names: Vec<_> = found.keys().map(Table::full_name).collect();
        assert_eq!(names, ["core.x", "core.y", "s.z"]);
    }

    #[test]
    fn a_common_table_expression_does_not_hide_a_table_of_its_name() {
        let warehouse = Warehouse::memory().expect("DuckDB in memory");
        let tables = |sql: &str| {
            let found = Query::parse(sql, &warehouse).expect("a query").tables();
            found.keys().map(Table::full_name).collect::<Vec<_>>()
        };
        assert_eq!(tables("WITH \"x.csv\" AS (FROM \"x.csv\") FROM \"x.csv\""), [".x.csv"]);
        assert_eq!(tables("WITH a AS (FROM b), b AS (SELECT 1) FROM a"), [".b"]);
        assert_eq!(tables("SELECT (WITH a AS (SELECT 1) FROM a), (FROM a)"), [".a"]);
        let recursive = "WITH RECURSIVE a AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM a WHERE n < 5) FROM a";
        assert_eq!(tables(recursive), [] as [String; 0]);
        let anchor = "WITH RECURSIVE a AS (SELECT n FROM a UNION ALL SELECT n + 1 FROM a WHERE n < 5) FROM a";
        assert_eq!(tables(anchor), [".a"]);
    }

    #[test]
    fn parse_errors_have_a_line() {
        let warehouse = Warehouse::memory().expect("DuckDB in memory");
        let failure = Query::parse("SELECT 1\nFROM WHERE", &warehouse).expect_err("a syntax error");
        assert_eq!((failure.line, failure.reason), (Some(2), ParseFailure::Syntax), "{}", failure.error);
        let failure = Query::parse("DROP TABLE core.x", &warehouse).expect_err("not a query");
        assert_eq!(failure.reason, ParseFailure::NotAQuery);
        let query = Query::parse("SELECT 1\n\nFROM core.x JOIN\ncore.y USING (k)", &warehouse).expect("a query");
        let found = query.tables();
        assert_eq!(found.values().copied().collect::<Vec<_>>(), [Some(3), Some(4)]);
    }
}
