//! A condition as a person writes it: one boolean expression over a mart's columns, and nothing else. It comes from a
//! command line, so that DuckDB's own parse tree decides what it is before any of it runs.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::error::{Error, Kind, Result, nearest};
use crate::marts::{Model, NO_QUERY, parsed};
use crate::warehouse::{Named as Column, Warehouse, quote};

/// What a condition is.
const HINT: &str = "a condition is one expression over the mart's columns, such as `slice = 'all' AND horizon = 12`";

/// Values of a column that are told where no row meets a condition.
const VALUES: usize = 12;

/// Values among which the one that was meant is looked for.
const COMPARED: usize = 10_000;

/// A condition that may run.
pub(super) struct Condition {
    text: String,
    /// The columns that it names, as the mart writes them.
    columns: Vec<String>,
    /// The texts that it compares them with.
    texts: BTreeSet<String>,
}

/// What an expression names.
#[derive(Default)]
struct Named {
    /// Columns, in lower case.
    columns: BTreeSet<String>,
    /// Texts.
    texts: BTreeSet<String>,
}

impl Condition {
    /// Refuses what is not one boolean expression over these columns.
    pub(super) fn check(warehouse: &Warehouse, model: &Model, columns: &[Column], text: &str) -> Result<Self> {
        let text = text.trim().trim_end_matches(';').trim_end();
        let on = |error: Error| {
            let hint = error.hint.clone().unwrap_or_else(|| HINT.to_owned());
            Error::config(first_line(&error.message)).on(format!("condition `{text}`")).hint(hint)
        };
        let expression = expression(warehouse, text).map_err(on)?;
        let mut named = Named::default();
        look(warehouse, &expression, &mut named).map_err(on)?;
        let condition = Self { text: text.to_owned(), columns: Vec::new(), texts: named.texts.clone() };
        let query = format!("SELECT {} AS _met FROM {}", condition.sql(), model.table);
        // In brackets it is still one statement, or it says what it is not.
        parsed(&query, warehouse).map_err(on)?;
        let type_of = match warehouse.describe(&query) {
            Ok(found) => found.first().map(|column| column.data_type.clone()).unwrap_or_default(),
            Err(error) => return Err(on(unbound(&named.columns, columns).unwrap_or(error))),
        };
        if type_of != "BOOLEAN" {
            return Err(on(Error::config(format!("it gives {type_of}, neither true nor false"))));
        }
        let columns = columns.iter().map(|column| column.name.clone());
        let columns = columns.filter(|name| named.columns.contains(&name.to_lowercase())).collect();
        Ok(Self { columns, ..condition })
    }

    /// As SQL that may stand beside other conditions; a comment at its end ends with its line.
    pub(super) fn sql(&self) -> String {
        format!("({}\n)", self.text)
    }

    /// As it was written.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// How many rows of the mart meet it.
    pub(super) fn count(&self, warehouse: &Warehouse, model: &Model) -> Result<u64> {
        let count = warehouse.value(&format!("SELECT count(*) FROM {} WHERE {}", model.table, self.sql()), &[]);
        // What binds may still fail on a value: a text that is no number.
        let count = count.map_err(|error| match error.kind {
            Kind::Internal => {
                Error::config(first_line(&error.message)).on(format!("condition `{}`", self.text)).hint(HINT)
            }
            _ => error,
        })?;
        Ok(count.and_then(|count| count.parse().ok()).unwrap_or_default())
    }

    /// That no row meets it, with the values that its columns have.
    pub(super) fn unmet(&self, warehouse: &Warehouse, model: &Model) -> Result<Error> {
        let error = Error::config(format!("no row of `{}` meets `{}`", model.name(), self.text));
        let mut hints = Vec::new();
        for column in &self.columns {
            let name = quote(column);
            let sql = format!(
                "SELECT CAST({name} AS VARCHAR) AS value, count(*) OVER () AS of FROM \
                 (SELECT DISTINCT {name} FROM {} WHERE {name} IS NOT NULL) ORDER BY {name} LIMIT {COMPARED}",
                model.table
            );
            let rows = warehouse.query(&sql, &[])?;
            let values: Vec<_> = rows.iter().filter_map(|row| row.get("value")?.as_str()).collect();
            let wanted = self.texts.iter().filter(|text| !values.contains(&text.as_str()));
            let near = wanted.filter_map(|text| nearest(text, values.iter().copied())).next();
            let near = near.map(|near| format!("; {near}")).unwrap_or_default();
            let values: Vec<_> = values.iter().take(VALUES).map(|value| format!("`{value}`")).collect();
            let values = values.join(", ");
            let of = rows.first().and_then(|row| row.get("of")?.as_u64()).unwrap_or_default();
            hints.push(match of {
                0 => format!("`{column}` is NULL in all rows"),
                of if of > VALUES as u64 => format!("`{column}` has {of} values: {values}, …{near}"),
                _ => format!("`{column}` is {values}{near}"),
            });
        }
        if hints.is_empty() {
            return Ok(error.hint("name a column of the mart"));
        }
        Ok(error.hint(hints.join("\n      ")))
    }
}

fn first_line(message: &str) -> &str {
    message.lines().next().unwrap_or(message)
}

/// The one expression that a text is, parsed.
fn expression(warehouse: &Warehouse, text: &str) -> Result<Value> {
    if text.is_empty() {
        return Err(Error::config("it is empty"));
    }
    // What a bare expression gives when it is selected from nothing; whatever else the text brings differs from that.
    let mut bare = select(warehouse, "true")?;
    let mut found = select(warehouse, text).map_err(|error| match error.message.starts_with(NO_QUERY) {
        true => Error::config("it is not one expression"),
        false => error,
    })?;
    let mut expressions = found.pointer_mut("/select_list").map(Value::take).unwrap_or_default();
    bare["select_list"] = Value::Null;
    let list = expressions.as_array_mut().map(std::mem::take).unwrap_or_default();
    match <[Value; 1]>::try_from(list) {
        Ok([expression]) if bare == found && said(&expression, "alias").is_empty() => Ok(expression),
        _ => Err(Error::config("it is not one expression")),
    }
}

fn select(warehouse: &Warehouse, text: &str) -> Result<Value> {
    let mut tree = parsed(&format!("SELECT {text}\n"), warehouse)?;
    Ok(tree.pointer_mut("/statements/0/node").map(Value::take).unwrap_or_default())
}

fn said<'a>(node: &'a Value, key: &str) -> &'a str {
    node.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Refuses what looks beyond the row, and notes what it names.
fn look(warehouse: &Warehouse, node: &Value, named: &mut Named) -> Result<()> {
    match node {
        Value::Array(items) => items.iter().try_for_each(|item| look(warehouse, item, named)),
        Value::Object(entries) => {
            match said(node, "class") {
                "SUBQUERY" => return Err(Error::config("it asks a query of its own")),
                "WINDOW" => return Err(Error::config("a window function sees other rows than the one at hand")),
                "PARAMETER" => return Err(Error::config("it has a parameter, and nothing gives that a value")),
                "FUNCTION" => function(warehouse, said(node, "function_name"))?,
                "COLUMN_REF" => {
                    let names = node.get("column_names").and_then(Value::as_array).into_iter().flatten();
                    named.columns.extend(names.filter_map(Value::as_str).map(str::to_lowercase));
                }
                "CONSTANT" => {
                    named.texts.extend(node.pointer("/value/value").and_then(Value::as_str).map(str::to_owned));
                }
                _ => {}
            }
            entries.values().try_for_each(|value| look(warehouse, value, named))
        }
        _ => Ok(()),
    }
}

/// Refuses functions that do more than give a value of their arguments: aggregates, readers of files, writers.
fn function(warehouse: &Warehouse, name: &str) -> Result<()> {
    let sql = "SELECT DISTINCT function_type, stability, internal, macro_definition FROM duckdb_functions() \
               WHERE function_name = lower(?)";
    let found = warehouse.query(sql, &[name])?;
    let text =
        |row: &crate::warehouse::Row, key: &str| row.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let types: Vec<_> = found.iter().map(|row| text(row, "function_type")).collect();
    let refused = |why: &str| Err(Error::config(format!("`{name}` {why}")));
    if found.is_empty() {
        let known = warehouse
            .query("SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type = 'scalar'", &[])?;
        let known: Vec<_> = known.iter().map(|row| text(row, "function_name")).collect();
        let error = Error::config(format!("no function `{name}`"));
        return Err(match nearest(name, known.iter().map(String::as_str)) {
            Some(hint) => error.hint(hint),
            None => error,
        });
    }
    if types.iter().any(|kind| kind == "aggregate") {
        return refused("adds up rows, where a condition is about one");
    }
    if !types.iter().any(|kind| kind == "scalar" || kind == "macro") {
        return refused("reads what is not of the row");
    }
    for row in &found {
        match text(row, "function_type").as_str() {
            "scalar" if text(row, "stability") == "VOLATILE" => {
                return refused("does more than give a value of the row");
            }
            "macro" if row.get("internal") != Some(&Value::Bool(true)) => {
                return refused("is a macro of the warehouse, which may read anything");
            }
            // What DuckDB brings is built of its own functions, each of which has to be one that may be here.
            "macro" => {
                let inside = expression(warehouse, &text(row, "macro_definition"))?;
                look(warehouse, &inside, &mut Named::default())?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// The first name that is no column, with those nearest to it.
fn unbound(named: &BTreeSet<String>, columns: &[Column]) -> Option<Error> {
    let is_there = |name: &String| columns.iter().any(|column| column.name.eq_ignore_ascii_case(name));
    let name = named.iter().find(|name| !is_there(name))?;
    let error = Error::config(format!("the mart has no column `{name}`"));
    let near = nearest(name, columns.iter().map(|column| column.name.as_str()));
    let all = || columns.iter().map(|column| format!("`{}`", column.name)).collect::<Vec<_>>().join(", ");
    Some(error.hint(near.unwrap_or_else(|| format!("there are {}; a text stands in single quotes: '{name}'", all()))))
}
