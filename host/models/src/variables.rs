//! Finds the pipeline's variables that a query reads: `(SELECT value FROM _host.variables WHERE name = 'x')`.

use serde_json::Value;

use crate::parse::line_at;
use crate::tree::text_of;

/// The variables that a query reads from `_host.variables`.
#[derive(Debug, Clone, Default)]
pub(super) struct VariableReferences {
    /// The variables that the query names.
    pub(super) named: Vec<VariableReference>,
    /// Whether the query may read every variable because it names none.
    pub(super) reads_all: bool,
}

/// A reference to a variable by its name.
#[derive(Debug, Clone)]
pub(super) struct VariableReference {
    /// The name of the variable.
    pub(super) name: String,
    /// The line of the reference, from 1, if known.
    pub(super) line: Option<usize>,
    /// Whether the reference is inside a `coalesce`, which gives a default if the pipeline does not set the variable.
    pub(super) has_default: bool,
}

/// Returns the variables that a parsed query reads.
pub(super) fn variable_references(tree: &Value, sql: &str) -> VariableReferences {
    let mut found = VariableReferences::default();
    walk(tree, sql, false, &mut found);
    found
}

fn walk(node: &Value, sql: &str, has_default: bool, found: &mut VariableReferences) {
    match node {
        Value::Array(items) => items.iter().for_each(|item| walk(item, sql, has_default, found)),
        Value::Object(entries) => {
            let from = entries.get("from_table");
            if from.is_some_and(is_variables_table) {
                let before = found.named.len();
                entries.values().for_each(|value| comparisons(value, sql, has_default, found));
                found.reads_all |= found.named.len() == before;
            } else if is_variables_table(node) {
                found.reads_all = true;
                return;
            }
            let has_default = has_default || text_of(node, "type") == "OPERATOR_COALESCE";
            let inside = entries.iter().filter(|(key, value)| *key != "from_table" || !is_variables_table(value));
            inside.for_each(|(_, value)| walk(value, sql, has_default, found));
        }
        _ => {}
    }
}

fn is_variables_table(node: &Value) -> bool {
    let has = |key: &str, text: &str| text_of(node, key).eq_ignore_ascii_case(text);
    has("type", "BASE_TABLE") && has("schema_name", "_host") && has("table_name", "variables")
}

/// Collects `name = 'x'` and `name IN ('x', 'y')` anywhere in a query except in its subqueries.
fn comparisons(node: &Value, sql: &str, has_default: bool, found: &mut VariableReferences) {
    match node {
        Value::Array(items) => items.iter().for_each(|item| comparisons(item, sql, has_default, found)),
        Value::Object(entries) if text_of(node, "class") != "SUBQUERY" => {
            if ["COMPARE_EQUAL", "COMPARE_IN"].contains(&text_of(node, "type")) {
                let both = [entries.get("left"), entries.get("right")].into_iter().flatten();
                let children = entries.get("children").and_then(Value::as_array).into_iter().flatten();
                let sides: Vec<_> = both.chain(children).collect();
                if sides.iter().any(|side| is_name_column(side)) {
                    let constants = sides.iter().filter(|side| text_of(side, "class") == "CONSTANT");
                    for constant in constants {
                        let Some(name) = constant.pointer("/value/value").and_then(Value::as_str) else { continue };
                        let at = constant.get("query_location").and_then(Value::as_u64);
                        let line = at.and_then(|at| line_at(sql, usize::try_from(at).ok()?));
                        found.named.push(VariableReference { name: name.to_owned(), line, has_default });
                    }
                }
            }
            entries.values().for_each(|value| comparisons(value, sql, has_default, found));
        }
        _ => {}
    }
}

fn is_name_column(node: &Value) -> bool {
    let last = node.get("column_names").and_then(Value::as_array).and_then(|names| names.last()?.as_str());
    last.is_some_and(|last| last.eq_ignore_ascii_case("name"))
}

#[cfg(test)]
mod tests {
    use crate::query::Query;
    use host_warehouse::Warehouse;

    fn check(sql: &str, expected: &[(&str, bool)], reads_all: bool) {
        let warehouse = Warehouse::memory().expect("DuckDB in memory");
        let found = Query::parse(sql, &warehouse).expect("a query").variables;
        let named: Vec<_> = found.named.iter().map(|named| (named.name.as_str(), named.has_default)).collect();
        assert_eq!((named.as_slice(), found.reads_all), (expected, reads_all), "{sql}");
    }

    #[test]
    fn finds_references_to_variables() {
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
