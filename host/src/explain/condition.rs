//! Checks the condition that a user writes: it must be one boolean expression over the columns of a mart. The check
//! uses DuckDB's parse tree, before any of the condition runs.

use std::collections::BTreeSet;

use host_core::error::{Error, Kind, Result, nearest, one_of};
use host_models::{Model, has_limited_size, parse, parse_expression, text_of};
use host_warehouse::{ColumnType, Warehouse, quote};
use serde_json::Value;

/// The hint for every invalid condition.
const HINT: &str = "write one expression over the mart's columns, such as `slice = 'all' AND horizon = 12`";

/// The number of values of a column that are shown if no row matches a condition.
const SHOWN_VALUES: usize = 12;

/// The number of values of a column that are searched for the nearest one.
const COMPARED_VALUES: usize = 10_000;

/// A checked condition.
pub(super) struct Condition {
    text: String,
    /// The columns that the condition names, with the spelling of the mart.
    columns: Vec<String>,
    /// The text literals of the condition.
    texts: BTreeSet<String>,
}

/// The names and literals of an expression.
#[derive(Default)]
struct ConditionNames {
    /// The column names, in lower case.
    columns: BTreeSet<String>,
    /// The text literals.
    texts: BTreeSet<String>,
    /// The functions that were checked, in lower case.
    functions: BTreeSet<String>,
}

impl Condition {
    /// Checks that a text is one boolean expression over these columns.
    pub(super) fn check(warehouse: &Warehouse, model: &Model, columns: &[ColumnType], text: &str) -> Result<Self> {
        let text = text.trim().trim_end_matches(';').trim_end();
        let on = |error: Error| {
            let hint = error.hint_text().is_none().then(|| HINT.to_owned());
            error.with_kind(Kind::Config).on(format!("condition `{text}`")).maybe_hint(hint)
        };
        let expression = expression(warehouse, text).map_err(on)?;
        let mut mentions = ConditionNames::default();
        inspect(warehouse, &expression, &mut mentions).map_err(on)?;
        let condition = Self { text: text.to_owned(), columns: Vec::new(), texts: mentions.texts.clone() };
        let query = format!("SELECT {} AS _matches FROM {}", condition.sql(), model.table);
        // The text must also parse inside the brackets of `sql`.
        parse(&query, warehouse).map_err(|failure| on(failure.error))?;
        let data_type = match warehouse.describe(&query) {
            Ok(found) => found.first().map(|column| column.data_type.clone()).unwrap_or_default(),
            Err(error) => return Err(on(unknown_column(&mentions.columns, columns).unwrap_or(error))),
        };
        if data_type != "BOOLEAN" {
            return Err(on(Error::config(format!("the expression has type {data_type}, expected BOOLEAN"))));
        }
        let columns = columns.iter().map(|column| column.name.clone());
        let columns = columns.filter(|name| mentions.columns.contains(&name.to_lowercase())).collect();
        Ok(Self { columns, ..condition })
    }

    /// Returns the condition in brackets. The line break ends a comment at its end.
    pub(super) fn sql(&self) -> String {
        format!("({}\n)", self.text)
    }

    /// Returns the condition as the user wrote it.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Counts the rows of the mart that match the condition.
    pub(super) fn count(&self, warehouse: &Warehouse, model: &Model) -> Result<u64> {
        let count = warehouse.count(&format!("SELECT count(*) FROM {} WHERE {}", model.table, self.sql()), ());
        // An expression that binds can still fail on a value, such as a text that is not a number.
        count.map_err(|error| match error.kind {
            Kind::Internal => error.with_kind(Kind::Config).on(format!("condition `{}`", self.text)).hint(HINT),
            _ => error,
        })
    }

    /// Returns the error for a condition that no row matches. Its hints list values of the columns.
    pub(super) fn no_match_error(&self, warehouse: &Warehouse, model: &Model) -> Result<Error> {
        let error = Error::config(format!("no row of `{}` matches `{}`", model.name(), self.text));
        let mut hints = Vec::new();
        for column in &self.columns {
            let name = quote(column);
            let sql = format!(
                "SELECT CAST({name} AS VARCHAR) AS value, count(*) OVER () AS distinct_values FROM \
                 (SELECT DISTINCT {name} FROM {} WHERE {name} IS NOT NULL) ORDER BY {name} LIMIT {COMPARED_VALUES}",
                model.table
            );
            #[derive(serde::Deserialize)]
            struct DistinctValue {
                value: String,
                distinct_values: u64,
            }
            let rows: Vec<DistinctValue> = warehouse.query_as(&sql, ())?;
            let values: Vec<_> = rows.iter().map(|row| row.value.as_str()).collect();
            let missing = self.texts.iter().filter(|text| !values.contains(&text.as_str()));
            let near = missing.filter_map(|text| nearest(text, values.iter().copied())).next();
            let near = near.map(|near| format!("; {near}")).unwrap_or_default();
            let values: Vec<_> = values.iter().take(SHOWN_VALUES).map(|value| format!("`{value}`")).collect();
            let values = values.join(", ");
            let count = rows.first().map_or(0, |row| row.distinct_values);
            hints.push(match count {
                0 => format!("`{column}` is NULL in all rows"),
                count if count > SHOWN_VALUES as u64 => format!("`{column}` has {count} values: {values}, …{near}"),
                _ => format!("`{column}` is {values}{near}"),
            });
        }
        if hints.is_empty() {
            return Ok(error.hint("write a condition on a column of the mart"));
        }
        Ok(error.hint(hints.join("\n")))
    }
}

/// Parses a text that must be exactly one expression.
fn expression(warehouse: &Warehouse, text: &str) -> Result<Value> {
    if text.is_empty() {
        return Err(Error::config("the condition is empty"));
    }
    parse_expression(text, warehouse).map_err(|failure| failure.error)
}

/// Refuses an expression that reads more than the current row, and collects its names and literals.
fn inspect(warehouse: &Warehouse, node: &Value, mentions: &mut ConditionNames) -> Result<()> {
    match node {
        Value::Array(items) => items.iter().try_for_each(|item| inspect(warehouse, item, mentions)),
        Value::Object(entries) => {
            match text_of(node, "class") {
                "SUBQUERY" => return Err(Error::config("subqueries are not allowed in a condition")),
                "WINDOW" => {
                    return Err(Error::config("window functions are not allowed in a condition: they read other rows"));
                }
                "PARAMETER" => return Err(Error::config("parameters are not allowed in a condition")),
                "FUNCTION" => {
                    let name = text_of(node, "function_name");
                    if !has_limited_size(node) {
                        let error = Error::config(format!("the size of `{name}` is not a number in the condition"));
                        return Err(error.hint("write its size as a number"));
                    }
                    check_function(warehouse, name, mentions)?;
                }
                "COLUMN_REF" => {
                    let names = node.get("column_names").and_then(Value::as_array).into_iter().flatten();
                    mentions.columns.extend(names.filter_map(Value::as_str).map(str::to_lowercase));
                }
                "CONSTANT" => {
                    mentions.texts.extend(node.pointer("/value/value").and_then(Value::as_str).map(str::to_owned));
                }
                _ => {}
            }
            entries.values().try_for_each(|value| inspect(warehouse, value, mentions))
        }
        _ => Ok(()),
    }
}

/// A row of DuckDB's `duckdb_functions()`.
#[derive(serde::Deserialize)]
struct CatalogFunction {
    function_type: String,
    stability: Option<String>,
    internal: bool,
    macro_definition: Option<String>,
}

/// Refuses functions that do more than compute a value from their arguments, such as aggregates and readers of files.
fn check_function(warehouse: &Warehouse, name: &str, mentions: &mut ConditionNames) -> Result<()> {
    // A function was checked before, or calls itself in the definition that is being checked.
    if !mentions.functions.insert(name.to_lowercase()) {
        return Ok(());
    }
    let sql = "SELECT DISTINCT function_type, stability, internal, macro_definition FROM duckdb_functions() \
               WHERE function_name = lower(?)";
    let found: Vec<CatalogFunction> = warehouse.query_as(sql, [name])?;
    let refused =
        |reason: &str| Err(Error::config(format!("the function `{name}` is not allowed in a condition: {reason}")));
    if found.is_empty() {
        let sql = "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type = 'scalar'";
        let known: Vec<String> = warehouse.values(sql, ())?;
        let hint = nearest(name, known.iter().map(String::as_str));
        return Err(Error::config(format!("unknown function `{name}`")).maybe_hint(hint));
    }
    if found.iter().any(|row| row.function_type == "aggregate") {
        return refused("it aggregates several rows");
    }
    if !found.iter().any(|row| row.function_type == "scalar" || row.function_type == "macro") {
        return refused("it reads more than the current row");
    }
    for row in &found {
        match row.function_type.as_str() {
            "scalar" if row.stability.as_deref() == Some("VOLATILE") => {
                return refused("its result can differ for the same row");
            }
            "macro" if !row.internal => {
                return refused("it is a user-defined macro, which can read other tables");
            }
            // A built-in macro is allowed if every function in it is allowed.
            "macro" => {
                let definition = expression(warehouse, row.macro_definition.as_deref().unwrap_or_default())?;
                let mut inner = ConditionNames { functions: mentions.functions.clone(), ..Default::default() };
                inspect(warehouse, &definition, &mut inner)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Returns an error for the first name that is not a column, with the nearest columns.
fn unknown_column(names: &BTreeSet<String>, columns: &[ColumnType]) -> Option<Error> {
    let is_column = |name: &String| columns.iter().any(|column| column.name.eq_ignore_ascii_case(name));
    let name = names.iter().find(|name| !is_column(name))?;
    let error = Error::config(format!("unknown column `{name}`"));
    let near = nearest(name, columns.iter().map(|column| column.name.as_str()));
    let all = || one_of(columns.iter().map(|column| column.name.as_str())).unwrap_or_default();
    Some(error.hint(near.unwrap_or_else(|| format!("{}; put a text in single quotes: '{name}'", all()))))
}
