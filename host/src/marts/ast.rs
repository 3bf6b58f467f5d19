//! Queries as DuckDB itself parses them: which tables they read, and the same query reading others.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::warehouse::{Table, Warehouse};

/// A table that a query reads; the schema is empty where the query names none.
pub(super) type Reference = Table;

fn parse(sql: &str, warehouse: &Warehouse) -> Result<Value> {
    let text = warehouse.value("SELECT json_serialize_sql(?::VARCHAR)", &[sql])?.unwrap_or_default();
    let tree: Value = serde_json::from_str(&text).map_err(|cause| Error::internal(cause.to_string()))?;
    if tree.get("error").and_then(Value::as_bool) != Some(true) {
        return Ok(tree);
    }
    let message = tree.get("error_message").and_then(Value::as_str).unwrap_or("it does not parse");
    let position = tree.get("position").and_then(|at| at.as_str().map_or_else(|| at.as_u64(), |at| at.parse().ok()));
    let message = message.lines().next().unwrap_or(message).trim_end_matches('!');
    let line = position.and_then(|at| sql.get(..usize::try_from(at).ok()?)).map(|before| before.matches('\n').count() + 1);
    let error = Error::config(message.to_owned());
    Err(match line {
        Some(line) => error.on(format!("line {line}")),
        None => error,
    })
}

/// The tables that a query reads, its own CTEs left out.
pub(super) fn references(sql: &str, warehouse: &Warehouse) -> Result<BTreeSet<Reference>> {
    let mut tree = parse(sql, warehouse)?;
    let mut found = BTreeSet::new();
    walk(&mut tree, &BTreeSet::new(), &mut |node| {
        found.insert(Table::new(text(node, "schema_name"), text(node, "table_name")));
    });
    Ok(found)
}

/// The query with each of these tables read as `name__next`, under its old name.
pub(super) fn redirect(sql: &str, tables: &[&Table], warehouse: &Warehouse) -> Result<String> {
    let mut tree = parse(sql, warehouse)?;
    walk(&mut tree, &BTreeSet::new(), &mut |node| {
        let table = Table::new(text(node, "schema_name"), text(node, "table_name"));
        if !tables.contains(&&table) {
            return;
        }
        if text(node, "alias").is_empty() {
            node["alias"] = Value::String(table.name.clone());
        }
        node["table_name"] = Value::String(table.suffixed("__next").name);
    });
    let sql = warehouse.value("SELECT json_deserialize_sql(?::JSON)", &[&tree.to_string()])?;
    sql.ok_or_else(|| Error::internal("DuckDB gave no query back"))
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
                let is_cte = text(node, "schema_name").is_empty() && inner.contains(&text(node, "table_name").to_lowercase());
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
