//! What an address chooses of the filters, as one parameter of every query: no value is ever text of a query.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::file::{Filter, FilterKind};
use crate::error::{Error, Result, nearest};
use crate::warehouse::{Row, Warehouse};

/// Values at most of one filter, and characters at most of one value.
const MOST_VALUES: usize = 200;
const LONGEST_VALUE: usize = 200;
/// Where the key of a row stands in the parameter, beside the filters.
const ROW: &str = "_row";

/// The choice.
#[derive(Debug, Clone, Default)]
pub struct Chosen(Map<String, Value>);

/// The names that a filter has in an address.
pub(super) fn names(filter: &Filter) -> Vec<String> {
    match filter.kind {
        FilterKind::Period => vec![format!("{}_from", filter.name), format!("{}_to", filter.name)],
        FilterKind::One | FilterKind::Many => vec![filter.name.clone()],
    }
}

/// The values that may be chosen, as text.
pub(super) fn values(filter: &Filter, warehouse: &Warehouse) -> Result<Vec<String>> {
    let rows = warehouse.query(&format!("SELECT CAST(COLUMNS(*) AS VARCHAR) FROM ({}\n)", filter.values), &[])?;
    let value = |row: &Row| row.values().next().and_then(Value::as_str).map(str::to_owned);
    Ok(rows.iter().filter_map(value).collect())
}

impl Chosen {
    /// Reads the choice from an address: pairs of names and values, all of them filters'.
    pub(super) fn read(filters: &[Filter], asked: &[(String, String)], warehouse: &Warehouse) -> Result<Self> {
        let mut given: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let known: Vec<_> = filters.iter().flat_map(names).collect();
        for (name, value) in asked.iter().filter(|(_, value)| !value.is_empty()) {
            if !known.contains(name) {
                let error = Error::config(format!("there is no filter `{name}`"));
                let near = nearest(name, known.iter().map(String::as_str));
                return Err(error.hint(near.unwrap_or_else(|| format!("there are {}", known.join(", ")))));
            }
            given.entry(name).or_default().push(value);
        }
        let mut chosen = Map::new();
        for filter in filters {
            for name in names(filter) {
                let on = |error: Error| error.on(format!("filter `{name}`"));
                let of_it = given.remove(name.as_str()).unwrap_or_default();
                chosen.insert(name.clone(), one(filter, &of_it, warehouse).map_err(on)?);
            }
        }
        Ok(Self(chosen))
    }

    /// The same without some filters.
    pub(super) fn without(mut self, filters: &[Filter], left_out: &[String]) -> Self {
        for name in filters.iter().filter(|filter| left_out.contains(&filter.name)).flat_map(names) {
            self.0.insert(name, Value::Null);
        }
        self
    }

    /// The same with the key of one row.
    pub(super) fn of_row(mut self, row: Row) -> Self {
        self.0.insert(ROW.to_owned(), Value::Object(row));
        self
    }

    /// The parameter: JSON.
    pub(super) fn parameter(&self) -> String {
        Value::Object(self.0.clone()).to_string()
    }
}

/// The choice of one filter, or of one end of a period.
fn one(filter: &Filter, given: &[&str], warehouse: &Warehouse) -> Result<Value> {
    if given.len() > MOST_VALUES {
        return Err(Error::config(format!("{} values are over {MOST_VALUES}", given.len())));
    }
    if let Some(value) = given.iter().find(|value| value.chars().count() > LONGEST_VALUE) {
        return Err(Error::config(format!("a value of {} characters is over {LONGEST_VALUE}", value.chars().count())));
    }
    if filter.kind == FilterKind::Period {
        return match given {
            [] => Ok(Value::Null),
            [month] => first_day(month),
            _ => Err(Error::config("it is there twice")),
        };
    }
    let given = match (given, &filter.default) {
        ([], Some(default)) => return Ok(Value::String(default.clone())),
        ([], None) => return Ok(Value::Null),
        ([_, _, ..], _) if filter.kind == FilterKind::One => return Err(Error::config("it is there twice")),
        (given, _) => given,
    };
    let values = values(filter, warehouse)?;
    if let Some(value) = given.iter().find(|value| !values.iter().any(|known| known == *value)) {
        let error = Error::config(format!("`{value}` is none of its values"));
        let near = nearest(value, values.iter().map(String::as_str));
        return Err(match near {
            Some(near) => error.hint(near),
            None if values.len() <= 20 => error.hint(format!("there are {}", values.join(", "))),
            None => error,
        });
    }
    Ok(match filter.kind {
        FilterKind::Many => Value::from(given.to_vec()),
        _ => Value::from(given.first().copied()),
    })
}

/// A month's first day: `2026-10` or any day of it.
fn first_day(month: &str) -> Result<Value> {
    let parts: Vec<_> = month.split('-').collect();
    let number = |at: usize, length: usize| {
        let part = parts.get(at).filter(|part| part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit()));
        part.and_then(|part| part.parse::<u16>().ok())
    };
    match (number(0, 4), number(1, 2)) {
        (Some(year), Some(month @ 1..=12)) if parts.len() <= 3 => Ok(Value::from(format!("{year:04}-{month:02}-01"))),
        _ => Err(Error::config(format!("`{month}` is no month")).hint("a month is written 2026-10")),
    }
}

/// `filter`, the table of one row, from parameter 1.
pub(super) fn table(filters: &[Filter]) -> String {
    let mut columns = vec!["CAST(?1 AS JSON) AS _chosen".to_owned()];
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

/// Whether a row is the one that was chosen, by these columns.
pub(super) fn is_row(columns: &[String]) -> String {
    let same = |column: &String| {
        let value = format!("CAST(?1 AS JSON) -> '{ROW}' ->> {}", crate::warehouse::literal(column));
        format!("CAST({} AS VARCHAR) IS NOT DISTINCT FROM ({value})", crate::warehouse::quote(column))
    };
    let same: Vec<_> = columns.iter().map(same).collect();
    if same.is_empty() { "true".to_owned() } else { same.join(" AND ") }
}
