//! Incremental models: only rows that are new or changed are computed, into `name__delta`. The published table is not
//! copied; its rows that go and the delta's that come change places when all is published.

use super::{Builder, Form, same_key};
use crate::error::{Error, Result};
use crate::marts::config::{Incremental, Strategy, Window};
use crate::marts::files::{Model, unknown};
use crate::warehouse::{Table, Warehouse, literal, quote};

impl Builder<'_> {
    pub(super) fn incremental(&self, model: &Model) -> Result<Form> {
        let Some(config) = &model.config.incremental else { return Err(Error::internal("no `[incremental]`")) };
        self.check_columns(model, config)?;
        let query = self.query(model)?;
        if !self.can_grow(model) {
            let next = model.table.suffixed("__next");
            self.warehouse.execute(&format!("CREATE TABLE {next} AS {query}"))?;
            if config.strategy == Strategy::Merge {
                self.check_key(model, &next, &config.key, "true")?;
            }
            return Ok(Form::Whole);
        }
        let delta = model.table.suffixed("__delta");
        let is_new = self.is_new(model, config)?;
        let touched =
            format!("EXISTS (SELECT 1 FROM {delta} AS delta WHERE {})", same_key(&config.key, "delta", "published"));
        // The query comes first on its line, so that lines of errors are lines of the file.
        let rows = format!("CREATE TABLE {delta} AS WITH _rows AS ({query}\n) SELECT * FROM _rows");
        let replaced = match config.strategy {
            Strategy::Append => {
                self.warehouse.execute(&format!("{rows} WHERE {is_new}"))?;
                "false".to_owned()
            }
            Strategy::Merge => {
                self.warehouse.execute(&format!("{rows} WHERE {is_new}"))?;
                self.check_key(model, &delta, &config.key, "true")?;
                touched
            }
            Strategy::DeleteInsert => {
                // All rows of a key that has a new one, or those that are not new would be lost.
                let same = same_key(&config.key, "touched", "_rows");
                let touching = format!("EXISTS (SELECT 1 FROM _rows AS touched WHERE touched.{is_new} AND {same})");
                let only = if is_new == "true" { is_new } else { touching };
                self.warehouse.execute(&format!("{rows} WHERE {only}"))?;
                touched
            }
            Strategy::TimeWindow => self.windows(&query, &rows, model, config, &is_new)?,
        };
        self.show_delta(model, &replaced)?;
        Ok(Form::Delta { replaced })
    }

    /// Rebuilds the windows from the first that a new row falls in; rows without a time are in all of them.
    fn windows(&self, query: &str, rows: &str, model: &Model, config: &Incremental, is_new: &str) -> Result<String> {
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
        let from = match self.warehouse.value(&start, &[])? {
            Some(start) => format!("coalesce({time} >= {}, true)", literal(&start)),
            None if config.cursor.is_some() => format!("{time} IS NULL"),
            None => "true".to_owned(),
        };
        self.warehouse.execute(&format!("{rows} WHERE {from}"))?;
        Ok(from)
    }

    /// SQL that is true of rows after the greatest cursor so far.
    fn is_new(&self, model: &Model, config: &Incremental) -> Result<String> {
        let Some(cursor) = &config.cursor else { return Ok("true".to_owned()) };
        let cursor = quote(cursor);
        let greatest = self.warehouse.value(&format!("SELECT max({cursor})::VARCHAR FROM {}", model.table), &[])?;
        // A literal, by which whole row groups of the table behind can be passed over.
        Ok(greatest.map_or_else(|| "true".to_owned(), |greatest| format!("{cursor} > {}", literal(&greatest))))
    }

    fn check_columns(&self, model: &Model, config: &Incremental) -> Result<()> {
        let columns = self.columns.get(&model.name().to_lowercase()).map(Vec::as_slice).unwrap_or_default();
        let names: Vec<_> = columns.iter().map(|column| column.name.as_str()).collect();
        let single = [("cursor", &config.cursor), ("time_column", &config.time_column)];
        let single = single.into_iter().filter_map(|(key, name)| Some((key, name.as_ref()?)));
        for (key, name) in config.key.iter().map(|name| ("key", name)).chain(single) {
            if !names.iter().any(|column| column.eq_ignore_ascii_case(name)) {
                return Err(unknown("column", name, &names).on(model.place(&["incremental".into(), key.into()])));
            }
        }
        Ok(())
    }
}

/// Puts a delta in the place of the rows of a table that it replaces.
pub(super) fn apply(warehouse: &Warehouse, table: &Table, delta: &Table, replaced: &str) -> Result<()> {
    if replaced != "false" {
        warehouse.execute(&format!("DELETE FROM {table} AS published WHERE {replaced}"))?;
    }
    warehouse.execute(&format!("INSERT INTO {table} BY NAME SELECT * FROM {delta}"))
}
