//! One drill of a mart for some of its keys: the rows, what they add up to, and the repairs of their records. Values of
//! keys reach DuckDB as a parameter, never as text of a query.

use std::collections::BTreeSet;

use serde_json::Value;

use super::repairs::{self, Repair, RuleRepairs};
use crate::error::{Error, Kind, Result, nearest};
use crate::marts::{Drill, Model};
use crate::warehouse::{Named, Row, Warehouse, quote, quote_all};

/// Which of the rows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Page {
    /// Rows left out before the first.
    pub offset: u64,
    /// Rows at most; all where none is given.
    pub rows: Option<u64>,
}

/// A row behind a figure.
#[derive(Debug, serde::Serialize)]
pub struct DrillRow {
    /// Its values, by column.
    pub row: Row,
    /// What rules did to its record, in their order.
    pub repairs: Vec<Repair>,
}

/// A figure of the mart beside what the rows behind it add up to.
#[derive(Debug, serde::Serialize)]
pub struct Agreement {
    /// The mart's row, by the columns of the drill's key.
    pub key: Row,
    /// The mart's column.
    pub column: String,
    /// The aggregate of the drill's rows.
    pub aggregate: String,
    /// What the mart says, as text, so that no cent is rounded.
    pub of_mart: Option<String>,
    /// What the rows add up to.
    pub of_rows: Option<String>,
    /// Whether both are the same; where there are no rows the mart may say nothing or zero.
    pub is_equal: bool,
}

/// A drill, ready to be read for some keys of its mart.
#[derive(Clone)]
pub struct Drilling<'a> {
    warehouse: &'a Warehouse,
    model: &'a Model,
    drill: &'a Drill,
    /// Parameter 1 of every query here: the keys' values as a JSON array of arrays, or what `wanted` reads.
    keys: String,
    /// A query of the keys, in the types of the mart's columns.
    wanted: String,
}

impl<'a> Drilling<'a> {
    /// The drill of this name of a mart that is published, for these keys: rows that hold exactly the drill's `key`
    /// columns, as text, numbers or NULL.
    pub fn new(warehouse: &'a Warehouse, model: &'a Model, name: &str, keys: &[Row]) -> Result<Self> {
        let on = |error: Error| error.on(format!("drill `{name}` of `{}`", model.name()));
        let drills = &model.config.drill;
        let drill = drills.iter().find(|drill| drill.name.eq_ignore_ascii_case(name)).ok_or_else(|| {
            let error = Error::config(format!("`{}` has no drill `{name}`", model.name()));
            let names: Vec<_> = drills.iter().map(|drill| drill.name.as_str()).collect();
            let all =
                if names.is_empty() { "it has none".to_owned() } else { format!("there are {}", names.join(", ")) };
            error.hint(nearest(name, names.iter().copied()).unwrap_or(all))
        })?;
        let columns = published(warehouse, model)?;
        let values = keys.iter().map(|key| values(drill, key)).collect::<Result<Vec<_>>>().map_err(on)?;
        let keys = serde_json::to_string(&values).map_err(|cause| Error::internal(cause.to_string()))?;
        let casts = drill.key.iter().enumerate().map(|(at, name)| {
            let column = columns.iter().find(|column| column.name.eq_ignore_ascii_case(name));
            let data_type = column.map_or("VARCHAR", |column| column.data_type.as_str());
            format!("CAST(_key[{}] AS {data_type}) AS {}", at + 1, quote(name))
        });
        let wanted = format!(
            "SELECT DISTINCT {} FROM (SELECT unnest(from_json(?1::VARCHAR, '[[\"VARCHAR\"]]')) AS _key)",
            casts.collect::<Vec<_>>().join(", ")
        );
        // A value that is not of its column's type is the asker's, not the host's.
        let fits = warehouse.query(&wanted, &[&keys]);
        fits.map_err(|error| {
            on(Error::config(error.message.lines().next().unwrap_or_default()))
                .hint("a key has the types of the mart's columns")
        })?;
        Ok(Self { warehouse, model, drill, keys, wanted })
    }

    /// A drill of a mart for the keys that a query gives: the drill's `key` columns, from a parameter that it names `?1`.
    #[must_use]
    pub fn of(warehouse: &'a Warehouse, model: &'a Model, drill: &'a Drill, wanted: String, parameter: String) -> Self {
        Self { warehouse, model, drill, keys: parameter, wanted }
    }

    /// The drill.
    #[must_use]
    pub fn drill(&self) -> &'a Drill {
        self.drill
    }

    /// Its columns.
    pub fn columns(&self) -> Result<Vec<Named>> {
        self.warehouse.describe(&format!("FROM ({}\n)", self.drill.sql.trim().trim_end_matches(';')))
    }

    /// The rows behind the keys, with the repairs of each one's record; always in the same order.
    pub fn rows(&self, page: Page) -> Result<Vec<DrillRow>> {
        let limit = page.rows.map(|rows| format!(" LIMIT {rows}")).unwrap_or_default();
        let sql = format!("SELECT * FROM ({}) ORDER BY ALL{limit} OFFSET {}", self.behind(), page.offset);
        let rows = self.query(&sql)?;
        let Some((record, stream)) = self.record() else {
            return Ok(rows.into_iter().map(|row| DrillRow { row, repairs: Vec::new() }).collect());
        };
        let id =
            |row: &Row| row.iter().find(|(name, _)| name.eq_ignore_ascii_case(record)).and_then(|(_, id)| text(id));
        let ids: BTreeSet<_> = rows.iter().filter_map(id).collect();
        let repairs = repairs::of_records(self.warehouse, stream, &ids)?;
        let with = |row: Row| {
            let repairs = id(&row).and_then(|id| repairs.get(&id).cloned()).unwrap_or_default();
            DrillRow { row, repairs }
        };
        Ok(rows.into_iter().map(with).collect())
    }

    /// How many rows there are behind the keys, and how many records where a column names one.
    pub fn total(&self) -> Result<(u64, Option<u64>)> {
        let records =
            self.drill.record.as_ref().map_or("NULL".to_owned(), |name| format!("count(DISTINCT {})", quote(name)));
        let sql = format!("SELECT count(*) AS total, {records} AS records FROM ({})", self.behind());
        let row = self.query(&sql)?.into_iter().next().unwrap_or_default();
        let number = |name: &str| row.get(name).and_then(Value::as_u64);
        Ok((number("total").unwrap_or_default(), number("records")))
    }

    /// What the drill's rows add up to beside what the mart says, for each of the mart's rows of these keys.
    pub fn agreements(&self) -> Result<Vec<Agreement>> {
        if self.drill.agrees.is_empty() {
            return Ok(Vec::new());
        }
        let names = || self.drill.key.iter().map(String::as_str);
        let keys = quote_all(names(), "");
        let sums = self.drill.agrees.values().enumerate().map(|(at, aggregate)| format!(", {aggregate} AS _{at}"));
        let pairs = self.drill.agrees.keys().enumerate().map(|(at, column)| {
            let column = format!("mart.{}", quote(column));
            format!(
                ", CAST({column} AS VARCHAR) AS _mart{at}, CAST(rows_behind._{at} AS VARCHAR) AS _rows{at}, \
                 {column} IS NOT DISTINCT FROM rows_behind._{at} OR (rows_behind._is_there IS NULL \
                 AND coalesce(TRY_CAST({column} AS DOUBLE), 0) = 0) AS _equal{at}"
            )
        });
        let sql = format!(
            "WITH rows_behind AS (SELECT {keys}, true AS _is_there{} FROM ({}) GROUP BY {keys}) \
             SELECT {}{} FROM {} AS mart SEMI JOIN ({}) AS _wanted ON {} LEFT JOIN rows_behind ON {} ORDER BY {}",
            sums.collect::<String>(),
            self.behind(),
            quote_all(names(), "mart."),
            pairs.collect::<String>(),
            self.model.table,
            self.wanted,
            self.same("mart", "_wanted"),
            self.same("mart", "rows_behind"),
            quote_all(names(), "mart."),
        );
        let mut agreements = Vec::new();
        for row in self.query(&sql)? {
            let key: Row =
                row.iter().take(self.drill.key.len()).map(|(name, value)| (name.clone(), value.clone())).collect();
            for (at, (column, aggregate)) in self.drill.agrees.iter().enumerate() {
                let value = |name: &str| row.get(&format!("{name}{at}"));
                agreements.push(Agreement {
                    key: key.clone(),
                    column: column.clone(),
                    aggregate: aggregate.split_whitespace().collect::<Vec<_>>().join(" "),
                    of_mart: value("_mart").and_then(text),
                    of_rows: value("_rows").and_then(text),
                    is_equal: value("_equal").and_then(Value::as_bool).unwrap_or_default(),
                });
            }
        }
        Ok(agreements)
    }

    /// What each rule did to the records behind the keys, all of them.
    pub fn rules(&self) -> Result<Vec<RuleRepairs>> {
        let Some((record, stream)) = self.record() else { return Ok(Vec::new()) };
        let records = format!("SELECT DISTINCT CAST({} AS VARCHAR) AS key FROM ({})", quote(record), self.behind());
        repairs::by_rule(self.warehouse, &records, &self.keys, stream)
    }

    fn record(&self) -> Option<(&'a str, &'a str)> {
        Some((self.drill.record.as_deref()?, self.drill.stream.as_deref()?))
    }

    /// The drill's rows of the keys.
    fn behind(&self) -> String {
        let rows = self.drill.sql.trim().trim_end_matches(';');
        format!(
            "SELECT _drill.* FROM ({rows}\n) AS _drill SEMI JOIN ({}) AS _wanted ON {}",
            self.wanted,
            self.same("_drill", "_wanted")
        )
    }

    fn same(&self, left: &str, right: &str) -> String {
        let same = self
            .drill
            .key
            .iter()
            .map(|name| format!("{left}.{name} IS NOT DISTINCT FROM {right}.{name}", name = quote(name)));
        same.collect::<Vec<_>>().join(" AND ")
    }

    fn query(&self, sql: &str) -> Result<Vec<Row>> {
        let rows = self.warehouse.query(sql, &[&self.keys]);
        rows.map_err(|error| {
            let error = error.on(format!("drill `{}` of `{}`", self.drill.name, self.model.name()));
            match error.kind {
                // It is the query of the file beside the model, on what is published.
                Kind::Internal => {
                    Error::config(error.message).hint("`host build PIPELINE` builds what it reads and tests it")
                }
                _ => error,
            }
        })
    }
}

/// A key's values in the order of the drill's columns; every column, and no other.
fn values(drill: &Drill, key: &Row) -> Result<Vec<Option<String>>> {
    let is_key = |name: &String| drill.key.iter().any(|known| known.eq_ignore_ascii_case(name));
    if let Some(name) = key.keys().find(|name| !is_key(name)) {
        let error = Error::config(format!("`{name}` is no column of its key"));
        return Err(error.hint(format!("its key is {}", drill.key.join(", "))));
    }
    let value = |name: &String| {
        let value = key.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| text(value));
        let missing = || Error::config(format!("no value for `{name}`, a column of its key"));
        value.ok_or_else(|| missing().hint(format!("its key is {}", drill.key.join(", "))))
    };
    drill.key.iter().map(value).collect()
}

/// The columns of a model as published.
pub(super) fn published(warehouse: &Warehouse, model: &Model) -> Result<Vec<Named>> {
    if warehouse.columns(&model.table)?.is_none() {
        let error = Error::config(format!("`{}` was never built", model.name()));
        return Err(error.hint("`host run PIPELINE` or `host build PIPELINE` builds it"));
    }
    warehouse.describe(&format!("FROM {}", model.table))
}

/// A value as text; none where it is null.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}
