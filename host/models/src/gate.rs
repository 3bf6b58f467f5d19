//! The gate for the SQL of a project: a query may compute from tables, but call nothing that reads files, settings or
//! the catalog, that writes, or that builds a value of excessive size.

use host_core::error::{Error, Result};
use host_warehouse::UserMacro;
use serde_json::Value;

use crate::tree::text_of;

/// The table functions that compute their rows from their arguments. All others are refused: they read files, other
/// tables by a computed name, settings, or the catalog.
const TABLE_FUNCTIONS: [&str; 6] = ["generate_series", "json_each", "json_tree", "range", "repeat", "unnest"];

/// Scalar functions and macros that read more than their arguments, write, or wait.
const REFUSED_FUNCTIONS: [&str; 18] = [
    "current_query",
    "current_setting",
    "currval",
    "format_type",
    "get_block_size",
    "getenv",
    "getvariable",
    "json_execute_serialized_sql",
    "json_serialize_plan",
    "nextval",
    "pg_get_constraintdef",
    "pg_get_viewdef",
    "pg_sleep",
    "setseed",
    "sleep_ms",
    "stats",
    "which_secret",
    "write_log",
];

/// Functions whose result can be much larger than their arguments, and the index of the first argument that is a size.
const GENERATORS: [(&str, usize); 8] = [
    ("array_resize", 1),
    ("bar", 1),
    ("generate_series", 0),
    ("list_resize", 1),
    ("lpad", 1),
    ("range", 0),
    ("repeat", 1),
    ("rpad", 1),
];

/// The largest size that a query may write as an argument of a generator.
const MAX_SIZE: f64 = 1e7;

/// A reason why a query is refused, and the byte of the query at which it stands, if known.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// The error to report.
    pub(crate) error: Error,
    /// The byte of the query.
    pub(crate) at: Option<usize>,
}

/// Checks the parse tree of a query on a warehouse with these macros of users.
pub(crate) fn check(tree: &Value, macros: &[UserMacro]) -> Result<(), Refusal> {
    match tree {
        Value::Array(items) => items.iter().try_for_each(|item| check(item, macros)),
        Value::Object(entries) => {
            check_node(tree, macros).map_err(|error| Refusal { error, at: location(tree) })?;
            if text_of(tree, "type") == "TABLE_FUNCTION" {
                // The function is checked as a table function; its arguments are expressions.
                return entries.iter().try_for_each(|(key, value)| match key.as_str() {
                    "function" => value.get("children").map_or(Ok(()), |children| check(children, macros)),
                    _ => check(value, macros),
                });
            }
            entries.values().try_for_each(|value| check(value, macros))
        }
        _ => Ok(()),
    }
}

fn location(node: &Value) -> Option<usize> {
    node.get("query_location").and_then(Value::as_u64).and_then(|at| usize::try_from(at).ok())
}

fn check_node(node: &Value, macros: &[UserMacro]) -> Result<()> {
    match text_of(node, "type") {
        "TABLE_FUNCTION" => {
            let function = node.get("function").unwrap_or(&Value::Null);
            let name = text_of(function, "function_name").to_ascii_lowercase();
            if !TABLE_FUNCTIONS.contains(&name.as_str()) || !is_unqualified(function) {
                let error = Error::config(format!("the table function `{name}` is not allowed"));
                let allowed = TABLE_FUNCTIONS.map(|name| format!("`{name}`")).join(", ");
                return Err(error.hint(format!(
                    "a query reads tables of the warehouse, and calls only the table functions {allowed}; \
                     load a file as a source, for example with the plugin `csv`"
                )));
            }
            // A table function returns its rows one after another, however many they are.
            Ok(())
        }
        "SHOW_REF" => Err(Error::config("DESCRIBE, SHOW and SUMMARIZE are not allowed")
            .hint("`host models --format json PIPELINE` lists the columns of models")),
        // Window functions are looked up by their names too.
        _ if node.get("function_name").is_some() => {
            let name = text_of(node, "function_name").to_ascii_lowercase();
            let is_refused = REFUSED_FUNCTIONS.contains(&name.as_str()) || name.starts_with("__internal");
            if is_refused || !is_unqualified(node) {
                let error = Error::config(format!("the function `{name}` is not allowed"));
                return Err(error.hint("a query may call functions that compute a value from their arguments"));
            }
            if macros.iter().any(|found| found.name == name) {
                let error =
                    Error::config(format!("the function `{name}` is not allowed: a user created it in the warehouse"));
                return Err(error.hint("a macro can read other tables: write its expression in the query"));
            }
            check_size(node)
        }
        _ => Ok(()),
    }
}

/// Whether a function is named without the name of another database.
fn is_unqualified(function: &Value) -> bool {
    let (catalog, schema) = (text_of(function, "catalog"), text_of(function, "schema"));
    ["", "system"].contains(&catalog) && ["", "main", "pg_catalog"].contains(&schema)
}

/// Refuses a generator with a constant that exceeds the limit.
fn check_size(function: &Value) -> Result<()> {
    let (name, sizes) = sizes(function);
    match sizes.into_iter().flatten().find(|size| size.abs() > MAX_SIZE) {
        Some(size) => {
            let error = Error::config(format!("`{name}` builds a value of {size} elements"));
            Err(error.hint(format!("the limit is {MAX_SIZE}")))
        }
        None => Ok(()),
    }
}

/// Whether the size of a function's result is limited: it is no generator, or all its sizes are constants.
#[must_use]
pub fn has_limited_size(function: &Value) -> bool {
    sizes(function).1.iter().all(Option::is_some)
}

/// The name of a function, and the sizes that it is called with if it is a generator: None for each that is not a
/// constant number.
fn sizes(function: &Value) -> (String, Vec<Option<f64>>) {
    let name = text_of(function, "function_name").to_ascii_lowercase();
    let Some((_, first)) = GENERATORS.iter().find(|(generator, _)| *generator == name) else {
        return (name, Vec::new());
    };
    let arguments = function.get("children").and_then(Value::as_array).into_iter().flatten().skip(*first);
    // Texts and dates are not sizes.
    let is_other = |argument: &&Value| argument.pointer("/value/value").is_some_and(|value| value.is_string());
    let size = |argument: &Value| argument.pointer("/value/value").and_then(Value::as_f64);
    let sizes = arguments.filter(|argument| !is_other(argument)).map(size).collect();
    (name, sizes)
}

#[cfg(test)]
mod tests {
    use super::{REFUSED_FUNCTIONS, has_limited_size};
    use crate::parse::{ParseFailure, parse};
    use host_warehouse::Warehouse;

    #[test]
    fn only_queries_that_compute_from_tables_pass() {
        let warehouse = Warehouse::memory().expect("DuckDB in memory");
        let refused = [
            "FROM read_text('.env')",
            "SELECT * FROM query('FROM raw_hubspot.contacts')",
            "SELECT (SELECT content FROM read_blob('x'))",
            "SELECT 1 WHERE EXISTS (FROM glob('*'))",
            "WITH a AS (FROM read_csv('x')) FROM a",
            "FROM t, LATERAL (FROM query_table(t.name))",
            "FROM t ORDER BY (FROM sniff_csv('x'))",
            "FROM (VALUES ((SELECT 1 FROM duckdb_settings())))",
            "FROM unnest([(SELECT count(*) FROM checkpoint())])",
            "SELECT getvariable('x')",
            "SELECT abs(Current_Setting('threads'))",
            "SELECT write_log('x')",
            "SELECT list_transform([1], x -> sleep_ms(x))",
            "SELECT other.main.f(1)",
            "DESCRIBE t",
            "SUMMARIZE t",
            "SHOW TABLES",
            "SELECT list_sum(range(3000000000))",
            "SELECT repeat('x', 100000000)",
            "SELECT generate_series(1, 20000000)",
        ];
        for sql in refused {
            let failure = parse(sql, &warehouse).expect_err(sql);
            assert_eq!(failure.reason, ParseFailure::NotAllowed, "{sql}: {}", failure.error);
        }
        let allowed = [
            "FROM core.t JOIN (SELECT unnest([3, 6]) AS horizon) USING (k)",
            "SELECT unnest(generate_series(DATE '2020-01-01', DATE '2030-01-01', INTERVAL 1 DAY))",
            "SELECT lpad(x, 5, '0'), range(0, datediff('month', a, b)) FROM s.t",
            "FROM json_each('[1]')",
            "FROM range(30000000)",
            "SELECT coalesce(x, 0), sum(x) FILTER (x > 0), row_number() OVER () FROM s.t",
        ];
        for sql in allowed {
            parse(sql, &warehouse).expect(sql);
        }
    }

    #[test]
    fn built_in_macros_that_read_the_catalog_are_refused() {
        let warehouse = Warehouse::memory().expect("DuckDB in memory");
        let sql = "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type = 'macro' AND internal \
                   AND regexp_matches(macro_definition, '(duckdb_|pragma_)[a-z_]+\\(|sleep_ms|getvariable|current_setting')";
        let macros: Vec<String> = warehouse.values(sql, ()).expect("macros");
        assert!(!macros.is_empty());
        for name in macros {
            assert!(REFUSED_FUNCTIONS.contains(&name.as_str()), "{name}");
        }
    }

    #[test]
    fn a_generator_is_limited_if_its_sizes_are_constants() {
        let warehouse = Warehouse::memory().expect("DuckDB in memory");
        let is_limited = |call: &str| {
            let tree = parse(&format!("SELECT {call}"), &warehouse).expect(call);
            has_limited_size(tree.pointer("/statements/0/node/select_list/0").expect("an expression"))
        };
        assert!(is_limited("range(12)") && is_limited("lpad(a, 5, '0')") && is_limited("length(a)"));
        assert!(!is_limited("range(a)") && !is_limited("repeat('x', a)") && !is_limited("range(1000 * 1000)"));
    }
}
