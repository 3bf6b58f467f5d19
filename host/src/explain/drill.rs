//! Runs one drill of a mart for some of its keys: its rows, their aggregates, and the repairs of their records. The
//! values of keys are a parameter of the queries and never part of their text.

use std::collections::BTreeSet;

use host_core::error::{Error, Kind, Result, unknown};
use host_ledger::journal::{Repair, RuleRepairs, repairs_by_rule, repairs_of};
use host_models::{DrillConfig, Model};
use host_warehouse::{ColumnType, Row, Warehouse, quote, quote_all};
use serde_json::Value;

/// A range of rows.
#[derive(Debug, Clone, Copy, Default)]
pub struct RowRange {
    /// The number of rows to skip.
    pub offset: u64,
    /// The maximum number of rows. `None` returns all rows.
    pub rows: Option<u64>,
}

/// A row of a drill.
#[derive(Debug, serde::Serialize)]
pub struct DrillRow {
    /// The values by column.
    pub row: Row,
    /// The repairs of the record of the row, in the order of the rules.
    pub repairs: Vec<Repair>,
}

/// The comparison of a figure of the mart with the aggregate of the drill's rows.
#[derive(Debug, serde::Serialize)]
pub struct Agreement {
    /// The key of the mart's row, by column.
    pub key: Row,
    /// The column of the mart.
    pub column: String,
    /// The aggregate over the drill's rows, as SQL.
    pub aggregate: String,
    /// The value of the mart as text, so that it is not rounded. `None` is NULL.
    #[serde(rename = "of_mart")]
    pub mart_value: Option<String>,
    /// The value of the aggregate as text. `None` is NULL.
    #[serde(rename = "of_rows")]
    pub drill_value: Option<String>,
    /// Whether both values are equal. For a key without rows in the drill, the value of the mart may be NULL or zero.
    pub is_equal: bool,
}

/// A drill for some keys of its mart.
#[derive(Clone)]
pub struct DrillQuery<'a> {
    warehouse: &'a Warehouse,
    model: &'a Model,
    drill: &'a DrillConfig,
    /// Parameter 1 of every query: the values of the keys as a JSON array of arrays, or the parameter of `keys`.
    parameter: String,
    /// A query for the keys, in the types of the mart's columns.
    keys: String,
}

impl<'a> DrillQuery<'a> {
    /// Returns a drill of a published mart by its name. Each of `keys` has exactly the drill's `key` columns, as text,
    /// numbers or NULL.
    ///
    /// # Errors
    /// The drill does not exist, the mart was never built, or a key has other columns or values of another type.
    pub fn new(warehouse: &'a Warehouse, model: &'a Model, name: &str, keys: &[Row]) -> Result<Self> {
        let on = |error: Error| error.on(format!("drill `{name}` of `{}`", model.name()));
        let drills = &model.config.drill;
        let drill = drills.iter().find(|drill| drill.name.eq_ignore_ascii_case(name)).ok_or_else(|| {
            unknown("drill", name, drills.iter().map(|drill| drill.name.as_str())).on(format!("`{}`", model.name()))
        })?;
        let columns = published_columns(warehouse, model)?;
        let values = keys.iter().map(|key| values(drill, key)).collect::<Result<Vec<_>>>().map_err(on)?;
        let parameter = serde_json::to_string(&values).map_err(Error::internal)?;
        let casts = drill.key.iter().enumerate().map(|(at, name)| {
            let column = columns.iter().find(|column| column.name.eq_ignore_ascii_case(name));
            let data_type = column.map_or("VARCHAR", |column| column.data_type.as_str());
            format!("CAST(_key[{}] AS {data_type}) AS {}", at + 1, quote(name))
        });
        let keys = format!(
            "SELECT DISTINCT {} FROM (SELECT unnest(from_json(?1::VARCHAR, '[[\"VARCHAR\"]]')) AS _key)",
            casts.collect::<Vec<_>>().join(", ")
        );
        // A value of another type is an error of the caller, not of the host.
        let result = warehouse.query(&keys, [&parameter]);
        result.map_err(|error| {
            on(error.with_kind(Kind::Config)).hint("the values of a key must have the types of the mart's columns")
        })?;
        Ok(Self { warehouse, model, drill, parameter, keys })
    }

    /// Returns a drill of a mart for the keys that a query returns. The query has the drill's `key` columns and reads
    /// `parameter` as `?1`.
    #[must_use]
    pub fn for_keys(
        warehouse: &'a Warehouse,
        model: &'a Model,
        drill: &'a DrillConfig,
        keys: String,
        parameter: String,
    ) -> Self {
        Self { warehouse, model, drill, parameter, keys }
    }

    /// Returns the configuration of the drill.
    #[must_use]
    pub fn drill(&self) -> &'a DrillConfig {
        self.drill
    }

    /// Returns the columns of the drill's query.
    ///
    /// # Errors
    /// The query does not bind.
    pub fn columns(&self) -> Result<Vec<ColumnType>> {
        self.warehouse.describe(&format!("FROM ({}\n)", self.drill.sql.trim().trim_end_matches(';')))
    }

    /// Returns the rows of the keys, in a stable order, each with the repairs of its record.
    ///
    /// # Errors
    /// The query of the drill fails.
    pub fn rows(&self, page: RowRange) -> Result<Vec<DrillRow>> {
        let limit = page.rows.map(|rows| format!(" LIMIT {rows}")).unwrap_or_default();
        let sql = format!("SELECT * FROM ({}) ORDER BY ALL{limit} OFFSET {}", self.rows_sql(), page.offset);
        let rows = self.query(&sql)?;
        let Some((record, stream)) = self.record() else {
            return Ok(rows.into_iter().map(|row| DrillRow { row, repairs: Vec::new() }).collect());
        };
        let id =
            |row: &Row| row.iter().find(|(name, _)| name.eq_ignore_ascii_case(record)).and_then(|(_, id)| text(id));
        let ids: BTreeSet<_> = rows.iter().filter_map(id).collect();
        let repairs = repairs_of(self.warehouse, stream, &ids)?;
        let with_repairs = |row: Row| {
            let repairs = id(&row).and_then(|id| repairs.get(&id).cloned()).unwrap_or_default();
            DrillRow { row, repairs }
        };
        Ok(rows.into_iter().map(with_repairs).collect())
    }

    /// Counts the rows of the keys, and their distinct records if the drill has a `record` column.
    ///
    /// # Errors
    /// The query of the drill fails.
    pub fn total(&self) -> Result<(u64, Option<u64>)> {
        let records =
            self.drill.record.as_ref().map_or("NULL".to_owned(), |name| format!("count(DISTINCT {})", quote(name)));
        let sql = format!("SELECT count(*) AS total, {records} AS records FROM ({})", self.rows_sql());
        #[derive(serde::Deserialize)]
        struct Totals {
            total: u64,
            records: Option<u64>,
        }
        let totals = self.warehouse.query_first(&sql, [&self.parameter]).map_err(|error| self.on(error))?;
        let Totals { total, records } =
            totals.ok_or_else(|| Error::internal("the query of the totals returned no row"))?;
        Ok((total, records))
    }

    /// Compares each figure under `agrees` with the aggregate of the drill's rows, for each row of the mart with these
    /// keys.
    ///
    /// # Errors
    /// The query of the drill fails, or the mart was never built.
    pub fn agreements(&self) -> Result<Vec<Agreement>> {
        if self.drill.agrees.is_empty() {
            return Ok(Vec::new());
        }
        let names = || self.drill.key.iter().map(String::as_str);
        let keys = quote_all(names(), "");
        let aggregates =
            self.drill.agrees.values().enumerate().map(|(at, aggregate)| format!(", {aggregate} AS _host_{at}"));
        let pairs = self.drill.agrees.keys().enumerate().map(|(at, column)| {
            let column = format!("mart.{}", quote(column));
            format!(
                ", CAST({column} AS VARCHAR) AS _host_mart{at}, CAST(drill_rows._host_{at} AS VARCHAR) AS _host_rows{at}, \
                 {column} IS NOT DISTINCT FROM drill_rows._host_{at} OR (drill_rows._host_exists IS NULL \
                 AND coalesce(TRY_CAST({column} AS DOUBLE), 0) = 0) AS _host_equal{at}"
            )
        });
        let sql = format!(
            "WITH drill_rows AS (SELECT {keys}, true AS _host_exists{} FROM ({}) GROUP BY {keys}) \
             SELECT {}{} FROM {} AS mart SEMI JOIN ({}) AS _keys ON {} LEFT JOIN drill_rows ON {} ORDER BY {}",
            aggregates.collect::<String>(),
            self.rows_sql(),
            quote_all(names(), "mart."),
            pairs.collect::<String>(),
            self.model.table,
            self.keys,
            self.same_key("mart", "_keys"),
            self.same_key("mart", "drill_rows"),
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
                    mart_value: value("_host_mart").and_then(text),
                    drill_value: value("_host_rows").and_then(text),
                    is_equal: value("_host_equal").and_then(Value::as_bool).unwrap_or_default(),
                });
            }
        }
        Ok(agreements)
    }

    /// Returns what each rule changed in the records of the rows. Empty if the drill has no `record` or no `stream`.
    ///
    /// # Errors
    /// The query of the drill or of the journal fails.
    pub fn rules(&self) -> Result<Vec<RuleRepairs>> {
        let Some((record, stream)) = self.record() else { return Ok(Vec::new()) };
        let records = format!("SELECT DISTINCT CAST({} AS VARCHAR) AS key FROM ({})", quote(record), self.rows_sql());
        repairs_by_rule(self.warehouse, &records, [self.parameter.as_str(), stream])
    }

    /// Returns the column with the id of the record, and its stream.
    fn record(&self) -> Option<(&'a str, &'a str)> {
        Some((self.drill.record.as_deref()?, self.drill.stream.as_deref()?))
    }

    /// Returns SQL for the rows of the keys.
    fn rows_sql(&self) -> String {
        let rows = self.drill.sql.trim().trim_end_matches(';');
        format!(
            "SELECT _drill.* FROM ({rows}\n) AS _drill SEMI JOIN ({}) AS _keys ON {}",
            self.keys,
            self.same_key("_drill", "_keys")
        )
    }

    /// Returns SQL that is true if two rows have the same key.
    fn same_key(&self, left: &str, right: &str) -> String {
        let conditions = self
            .drill
            .key
            .iter()
            .map(|name| format!("{left}.{name} IS NOT DISTINCT FROM {right}.{name}", name = quote(name)));
        conditions.collect::<Vec<_>>().join(" AND ")
    }

    /// Runs a query with the parameter.
    fn query(&self, sql: &str) -> Result<Vec<Row>> {
        self.warehouse.query(sql, [&self.parameter]).map_err(|error| self.on(error))
    }

    /// Adds the drill to an error. A query that fails is an error of the TOML file.
    fn on(&self, error: Error) -> Error {
        let error = error.on(format!("drill `{}` of `{}`", self.drill.name, self.model.name()));
        match error.kind {
            // The query is in the TOML file beside the model, and reads published models.
            Kind::Internal => {
                error.with_kind(Kind::Config).hint("build and test the models that it reads: `host build PIPELINE`")
            }
            _ => error,
        }
    }
}

/// Returns the values of a key in the order of the drill's `key` columns.
fn values(drill: &DrillConfig, key: &Row) -> Result<Vec<Option<String>>> {
    let is_key = |name: &String| drill.key.iter().any(|column| column.eq_ignore_ascii_case(name));
    if let Some(name) = key.keys().find(|name| !is_key(name)) {
        let error = Error::config(format!("`{name}` is not a column of the key"));
        return Err(error.hint(format!("the key has the columns {}", drill.key.join(", "))));
    }
    let value = |name: &String| {
        let value = key.iter().find(|(column, _)| column.eq_ignore_ascii_case(name)).map(|(_, value)| text(value));
        let missing = || Error::config(format!("the key column `{name}` has no value"));
        value.ok_or_else(|| missing().hint(format!("the key has the columns {}", drill.key.join(", "))))
    };
    drill.key.iter().map(value).collect()
}

/// Returns the columns of a published model.
pub(super) fn published_columns(warehouse: &Warehouse, model: &Model) -> Result<Vec<ColumnType>> {
    warehouse.column_types(&model.table)?.ok_or_else(|| {
        let error = Error::config(format!("`{}` was never built", model.name()));
        error.hint("build it: `host run PIPELINE`, or `host build PIPELINE` if data is already loaded")
    })
}

/// Returns a value as text. `None` for NULL.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}
