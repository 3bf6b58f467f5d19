//! Reads the selected values of the filters from an address. All values are one JSON parameter of every query and never
//! become part of its text.

use std::collections::BTreeMap;

use host_core::error::{Error, Result, nearest, one_of, unknown};
use host_warehouse::{Row, Warehouse, literal, quote};
use serde_json::{Map, Value};

use super::file::{Filter, FilterKind};

/// The maximum number of selected values of a filter.
const MAX_VALUES: usize = 200;
/// The maximum length of a value, in characters.
const MAX_VALUE_LENGTH: usize = 200;
/// The key of the parameter with the values of one row.
const ROW_KEY: &str = "_row";

/// The selected values of all filters.
#[derive(Debug, Clone, Default)]
pub struct FilterSelection(Map<String, Value>);

/// Returns the names of the parameters of a filter in an address.
pub(super) fn names(filter: &Filter) -> Vec<String> {
    match filter.kind {
        FilterKind::Period => vec![format!("{}_from", filter.name), format!("{}_to", filter.name)],
        FilterKind::One | FilterKind::Many => vec![filter.name.clone()],
    }
}

/// Returns the values of a filter that can be selected, as text.
pub(super) fn values(filter: &Filter, warehouse: &Warehouse) -> Result<Vec<String>> {
    warehouse.values(&format!("SELECT CAST(COLUMNS(*) AS VARCHAR) FROM ({}\n)", filter.values), ())
}

impl FilterSelection {
    /// Reads the selection from the parameters of an address, as pairs of name and value.
    pub(super) fn read(filters: &[Filter], parameters: &[(String, String)], warehouse: &Warehouse) -> Result<Self> {
        let mut given: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let known: Vec<_> = filters.iter().flat_map(names).collect();
        for (name, value) in parameters {
            if !known.contains(name) {
                return Err(unknown("filter", name, known.iter().map(String::as_str)));
            }
            if !value.is_empty() {
                given.entry(name).or_default().push(value);
            }
        }
        let mut selected = Map::new();
        for filter in filters {
            for name in names(filter) {
                let on = |error: Error| error.on(format!("filter `{name}`"));
                let values = given.remove(name.as_str()).unwrap_or_default();
                selected.insert(name.clone(), selected_value(filter, &values, warehouse).map_err(on)?);
            }
        }
        Ok(Self(selected))
    }

    /// Removes the values of some filters.
    pub(super) fn without(mut self, filters: &[Filter], removed: &[String]) -> Self {
        for name in filters.iter().filter(|filter| removed.contains(&filter.name)).flat_map(names) {
            self.0.insert(name, Value::Null);
        }
        self
    }

    /// Adds the values of one row.
    pub(super) fn with_row(mut self, row: Row) -> Self {
        self.0.insert(ROW_KEY.to_owned(), Value::Object(row));
        self
    }

    /// Returns the parameter of the queries, as JSON.
    pub(super) fn parameter(&self) -> String {
        Value::Object(self.0.clone()).to_string()
    }
}

/// Returns the selected value of a filter, or of one end of a period, as JSON.
fn selected_value(filter: &Filter, given: &[&str], warehouse: &Warehouse) -> Result<Value> {
    if given.len() > MAX_VALUES {
        return Err(Error::config(format!("{} values exceed the limit of {MAX_VALUES}", given.len())));
    }
    if let Some(value) = given.iter().find(|value| value.chars().count() > MAX_VALUE_LENGTH) {
        return Err(Error::config(format!(
            "a value of {} characters exceeds the limit of {MAX_VALUE_LENGTH}",
            value.chars().count()
        )));
    }
    if filter.kind == FilterKind::Period {
        return match given {
            [] => Ok(Value::Null),
            [month] => first_day(month),
            _ => Err(Error::config("the filter is set twice")),
        };
    }
    let given = match (given, &filter.default) {
        ([], Some(default)) => return Ok(Value::String(default.clone())),
        ([], None) => return Ok(Value::Null),
        ([_, _, ..], _) if filter.kind == FilterKind::One => return Err(Error::config("the filter is set twice")),
        (given, _) => given,
    };
    let values = values(filter, warehouse)?;
    if let Some(value) = given.iter().find(|value| !values.iter().any(|known| known == *value)) {
        let values = || values.iter().map(String::as_str);
        let all = || if values().count() <= 20 { one_of(values()) } else { None };
        let hint = nearest(value, values()).or_else(all);
        return Err(Error::config(format!("unknown value `{value}`")).maybe_hint(hint));
    }
    Ok(match filter.kind {
        FilterKind::Many => Value::from(given.to_vec()),
        _ => Value::from(given.first().copied()),
    })
}

/// Returns the first day of a month, which is written as `2026-10` or as any of its days.
fn first_day(month: &str) -> Result<Value> {
    let parts: Vec<_> = month.split('-').collect();
    let number = |at: usize, length: usize| {
        let part = parts.get(at).filter(|part| part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit()));
        part.and_then(|part| part.parse::<u16>().ok())
    };
    match (number(0, 4), number(1, 2)) {
        (Some(year), Some(month @ 1..=12)) if parts.len() <= 3 => Ok(Value::from(format!("{year:04}-{month:02}-01"))),
        _ => Err(Error::config(format!("`{month}` is not a valid month")).hint("write a month as `2026-10`")),
    }
}

/// Returns the CTE `filter`, a table with one row, which reads parameter 1.
pub(super) fn filter_table(filters: &[Filter]) -> String {
    let mut columns = vec!["CAST(?1 AS JSON) AS _selected".to_owned()];
    for filter in filters {
        let (name, data_type) = (&filter.name, &filter.data_type);
        columns.extend(names(filter).into_iter().map(|column| match filter.kind {
            FilterKind::One => format!("CAST(CAST(?1 AS JSON) ->> '{name}' AS {data_type}) AS {name}"),
            FilterKind::Many => format!("from_json(CAST(?1 AS JSON) -> '{name}', '[\"{data_type}\"]') AS {name}"),
            FilterKind::Period => format!("CAST(CAST(?1 AS JSON) ->> '{column}' AS DATE) AS {column}"),
        }));
    }
    format!("filter AS (SELECT {})", columns.join(", "))
}

/// Returns SQL that is true of rows whose columns equal the values added by [`FilterSelection::with_row`].
pub(super) fn row_condition(columns: &[String]) -> String {
    let equals = |column: &String| {
        let value = format!("CAST(?1 AS JSON) -> '{ROW_KEY}' ->> {}", literal(column));
        format!("CAST({} AS VARCHAR) IS NOT DISTINCT FROM ({value})", quote(column))
    };
    let conditions: Vec<_> = columns.iter().map(equals).collect();
    if conditions.is_empty() { "true".to_owned() } else { conditions.join(" AND ") }
}
