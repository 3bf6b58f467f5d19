//! Which of the pipeline's variables a query names: `(SELECT value FROM _host.variables WHERE name = 'x')`.

use serde_json::Value;

use super::ast::{line_at, text};

/// What a query reads of `_host.variables`.
#[derive(Debug, Clone, Default)]
pub(super) struct Variables {
    /// Those that it names.
    pub(super) named: Vec<Named>,
    /// Whether it reads the table in a way that does not tell which.
    pub(super) any: bool,
}

/// A variable that a query names.
#[derive(Debug, Clone)]
pub(super) struct Named {
    /// Its name.
    pub(super) name: String,
    /// The line that names it.
    pub(super) line: Option<usize>,
    /// Whether the query has a value of its own for where the pipeline has none: it stands in `coalesce`.
    pub(super) has_default: bool,
}

/// The variables that a parsed query names.
pub(super) fn variables(tree: &Value, sql: &str) -> Variables {
    let mut found = Variables::default();
    walk(tree, sql, false, &mut found);
    found
}

fn walk(node: &Value, sql: &str, has_default: bool, found: &mut Variables) {
    match node {
        Value::Array(items) => items.iter().for_each(|item| walk(item, sql, has_default, found)),
        Value::Object(entries) => {
            let from = entries.get("from_table");
            if from.is_some_and(is_variables) {
                let before = found.named.len();
                entries.values().for_each(|value| comparisons(value, sql, has_default, found));
                found.any |= found.named.len() == before;
            } else if is_variables(node) {
                found.any = true;
                return;
            }
            let has_default = has_default || text(node, "type") == "OPERATOR_COALESCE";
            let inside = entries.iter().filter(|(key, value)| *key != "from_table" || !is_variables(value));
            inside.for_each(|(_, value)| walk(value, sql, has_default, found));
        }
        _ => {}
    }
}

fn is_variables(node: &Value) -> bool {
    let is = |key: &str, name: &str| text(node, key).eq_ignore_ascii_case(name);
    is("type", "BASE_TABLE") && is("schema_name", "_host") && is("table_name", "variables")
}

/// `name = 'x'` and `name IN ('x', 'y')`, wherever they stand in a query but not in queries inside it.
fn comparisons(node: &Value, sql: &str, has_default: bool, found: &mut Variables) {
    match node {
        Value::Array(items) => items.iter().for_each(|item| comparisons(item, sql, has_default, found)),
        Value::Object(entries) if text(node, "class") != "SUBQUERY" => {
            if ["COMPARE_EQUAL", "COMPARE_IN"].contains(&text(node, "type").as_str()) {
                let both = [entries.get("left"), entries.get("right")].into_iter().flatten();
                let children = entries.get("children").and_then(Value::as_array).into_iter().flatten();
                let sides: Vec<_> = both.chain(children).collect();
                if sides.iter().any(|side| is_name(side)) {
                    let constants = sides.iter().filter(|side| text(side, "class") == "CONSTANT");
                    for constant in constants {
                        let Some(name) = constant.pointer("/value/value").and_then(Value::as_str) else { continue };
                        let at = constant.get("query_location").and_then(Value::as_u64);
                        let line = at.and_then(|at| line_at(sql, usize::try_from(at).ok()?));
                        found.named.push(Named { name: name.to_owned(), line, has_default });
                    }
                }
            }
            entries.values().for_each(|value| comparisons(value, sql, has_default, found));
        }
        _ => {}
    }
}

fn is_name(node: &Value) -> bool {
    let last = node.get("column_names").and_then(Value::as_array).and_then(|names| names.last()?.as_str());
    last.is_some_and(|last| last.eq_ignore_ascii_case("name"))
}

#[cfg(test)]
mod tests {
    use super::super::ast::Query;
    use crate::warehouse::Warehouse;

    fn check(sql: &str, expected: &[(&str, bool)], any: bool) {
        let warehouse = Warehouse::memory().expect("DuckDB in memory");
        let found = Query::parse(sql, &warehouse).expect("a query").variables;
        let named: Vec<_> = found.named.iter().map(|named| (named.name.as_str(), named.has_default)).collect();
        assert_eq!((named.as_slice(), found.any), (expected, any), "{sql}");
    }

    #[test]
    fn variables_are_seen_where_they_are_named() {
        check("SELECT (SELECT value FROM _host.variables WHERE name = 'a')", &[("a", false)], false);
        check(
            "SELECT coalesce((SELECT CAST(value AS INT) FROM _host.variables WHERE name = 'a'), 5) FROM core.x WHERE name = 'no'",
            &[("a", true)],
            false,
        );
        let two = "WITH v AS (SELECT max(v.value) FILTER (v.name IN ('a', 'b')) FROM _host.variables AS v) FROM v";
        check(two, &[("a", false), ("b", false)], false);
        check("FROM core.x JOIN _host.variables ON true WHERE x.name = 'c'", &[], true);
        check("FROM core.x WHERE name = 'c'", &[], false);
    }
}
