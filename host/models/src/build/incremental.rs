//! Builds incremental models: computes only new and changed rows, into `name__delta`. The published table is not
//! copied: publication deletes the replaced rows and inserts the delta.

use host_core::error::{Error, Result, unknown};
use host_ledger::models::ModelForm;
use host_warehouse::{Table, Warehouse, literal, quote, same_key};

use super::builder::ModelBuilder;
use crate::config::{IncrementalConfig, Strategy, Window};
use crate::files::Model;

impl ModelBuilder<'_> {
    /// Builds an incremental model as a delta, or in full if its definition changed.
    pub(super) fn incremental(&self, model: &Model) -> Result<ModelForm> {
        let Some(config) = &model.config.incremental else { return Err(Error::internal("no `[incremental]`")) };
        self.check_columns(model, config)?;
        let query = self.query(model)?;
        if !self.can_build_incrementally(model) {
            let next = model.table.suffixed("__next");
            self.warehouse.execute(&format!("CREATE TABLE {next} AS {query}"))?;
            if config.strategy == Strategy::Merge {
                self.check_key(model, &next, &config.key, "true")?;
            }
            return Ok(ModelForm::Whole);
        }
        let delta = model.table.suffixed("__delta");
        let is_new = self.new_rows_condition(model, config)?;
        let has_new_version =
            format!("EXISTS (SELECT 1 FROM {delta} AS delta WHERE {})", same_key(&config.key, "delta", "published"));
        // The query starts on the first line, so that lines of errors are lines of the file.
        let rows = format!("CREATE TABLE {delta} AS WITH _rows AS ({query}\n) SELECT * FROM _rows");
        let replaced = match config.strategy {
            Strategy::Append => {
                self.warehouse.execute(&format!("{rows} WHERE {is_new}"))?;
                "false".to_owned()
            }
            Strategy::Merge => {
                self.warehouse.execute(&format!("{rows} WHERE {is_new}"))?;
                self.check_key(model, &delta, &config.key, "true")?;
                has_new_version
            }
            Strategy::DeleteInsert => {
                // The delta has all rows of each key with a new row. Otherwise the unchanged rows of these keys would
                // be lost.
                let same = same_key(&config.key, "new_rows", "_rows");
                let has_new_row =
                    format!("EXISTS (SELECT 1 FROM _rows AS new_rows WHERE new_rows.{is_new} AND {same})");
                let condition = if is_new == "true" { is_new } else { has_new_row };
                self.warehouse.execute(&format!("{rows} WHERE {condition}"))?;
                has_new_version
            }
            Strategy::TimeWindow => self.windows(&query, &rows, model, config, &is_new)?,
        };
        self.create_delta_view(model, &replaced)?;
        Ok(ModelForm::Delta { replaced })
    }

    /// Rebuilds all windows from the one of the first new row on. Rows without a time are always rebuilt. Returns SQL
    /// that is true of the replaced rows.
    fn windows(
        &self,
        query: &str,
        rows: &str,
        model: &Model,
        config: &IncrementalConfig,
        is_new: &str,
    ) -> Result<String> {
        let time = quote(config.time_column.as_deref().unwrap_or_default());
        let window = match config.window {
            Some(Window::Day) => "day",
            Some(Window::Week) => "week",
            Some(Window::Month) | None => "month",
            Some(Window::Year) => "year",
        };
        let lookback = format!("to_{window}s({})", config.lookback);
        let first = if config.cursor.is_some() {
            format!("SELECT min({time}) FROM (\n{query}\n) WHERE {is_new}")
        } else {
            format!("SELECT max({time}) FROM {}", model.table)
        };
        let start = format!("SELECT (date_trunc('{window}', ({first})) - {lookback})::VARCHAR");
        let from = match self.warehouse.value::<String>(&start, ())? {
            Some(start) => format!("coalesce({time} >= {}, true)", literal(&start)),
            None if config.cursor.is_some() => format!("{time} IS NULL"),
            None => "true".to_owned(),
        };
        self.warehouse.execute(&format!("{rows} WHERE {from}"))?;
        Ok(from)
    }

    /// Returns SQL that is true of rows above the greatest cursor so far.
    fn new_rows_condition(&self, model: &Model, config: &IncrementalConfig) -> Result<String> {
        let Some(cursor) = &config.cursor else { return Ok("true".to_owned()) };
        let cursor = quote(cursor);
        let sql = format!("SELECT max({cursor})::VARCHAR FROM {}", model.table);
        let greatest: Option<String> = self.warehouse.value(&sql, ())?;
        // A literal lets DuckDB skip whole row groups of the table that is read.
        Ok(greatest.map_or_else(|| "true".to_owned(), |greatest| format!("{cursor} > {}", literal(&greatest))))
    }

    /// Fails if a configured column does not exist.
    fn check_columns(&self, model: &Model, config: &IncrementalConfig) -> Result<()> {
        let columns = self.columns.get(&model.name().to_lowercase()).map(Vec::as_slice).unwrap_or_default();
        let names: Vec<_> = columns.iter().map(|column| column.name.as_str()).collect();
        let single = [("cursor", &config.cursor), ("time_column", &config.time_column)];
        let single = single.into_iter().filter_map(|(key, name)| Some((key, name.as_ref()?)));
        for (key, name) in config.key.iter().map(|name| ("key", name)).chain(single) {
            if !names.iter().any(|column| column.eq_ignore_ascii_case(name)) {
                let place = model.place(&["incremental".into(), key.into()]);
                return Err(unknown("column", name, names.iter().copied()).at(&place));
            }
        }
        Ok(())
    }
}

/// Deletes the replaced rows of a table and inserts the rows of the delta.
pub(super) fn apply(warehouse: &Warehouse, table: &Table, delta: &Table, replaced: &str) -> Result<()> {
    if replaced != "false" {
        warehouse.execute(&format!("DELETE FROM {table} AS published WHERE {replaced}"))?;
    }
    warehouse.execute(&format!("INSERT INTO {table} BY NAME SELECT * FROM {delta}"))
}
