//! The models in a database in memory, with their real columns and no rows: whether they bind, which columns they have,
//! and room for unit tests, all before a row of the warehouse is read.

use std::collections::{BTreeMap, BTreeSet};

use super::Graph;
use super::build::on_model;
use super::files::{Materialized, Model};
use super::seed;
use super::testing::{Changes, upstream};
use crate::error::{Error, Result};
use crate::warehouse::{Named, Table, Warehouse, quote};

/// A database of empty tables.
pub(super) struct Shadow {
    pub(super) warehouse: Warehouse,
    /// The columns of all models that are in it, by `schema.name` in lower case.
    pub(super) columns: BTreeMap<String, Vec<Named>>,
}

impl Shadow {
    /// Makes these models of the graph, on tables of the warehouse's catalog; all that do not bind are one error.
    pub(super) fn new(
        graph: &Graph,
        names: &BTreeSet<String>,
        catalog: &BTreeMap<String, Vec<Named>>,
        variables: &BTreeMap<String, String>,
    ) -> Result<Self> {
        let mut shadow = Self { warehouse: Warehouse::memory()?, columns: BTreeMap::new() };
        set_variables(&shadow.warehouse, "variables", variables)?;
        let mut problems = Vec::new();
        let mut broken = BTreeSet::new();
        for model in graph.all().filter(|model| names.contains(&model.name())) {
            let name = model.name();
            if graph.reads(&name).iter().any(|read| broken.contains(read)) {
                broken.insert(name);
                continue;
            }
            if let Err(error) = shadow.model(graph, model, catalog) {
                problems.push(shadow.blamed(graph, &name, catalog, error));
                broken.insert(name);
            }
        }
        Error::all(problems).map_or(Ok(()), Err)?;
        shadow.columns = shadow.warehouse.catalog()?;
        Ok(shadow)
    }

    fn model(&self, graph: &Graph, model: &Model, catalog: &BTreeMap<String, Vec<Named>>) -> Result<()> {
        let name = model.name();
        let models = graph.reads(&name).iter().filter_map(|read| graph.model(read)).map(|model| &model.table);
        for table in models.chain(graph.outside.get(&name).into_iter().flatten()) {
            self.copy(table, catalog).map_err(|error| model.error(None, error))?;
        }
        let on = |error: Error| on_model(model, error);
        let table = &model.table;
        match model.kind {
            Materialized::Check => self.warehouse.describe(&model.text).map(drop).map_err(on),
            Materialized::Seed => self.create(table, &seed::columns(model)?).map_err(on),
            kind => {
                self.schema(table)?;
                let create = format!("CREATE TABLE {table} AS");
                let sql = if kind == Materialized::Snapshot {
                    let added = "CAST(NULL AS TIMESTAMPTZ) AS valid_from, CAST(NULL AS TIMESTAMPTZ) AS valid_to";
                    format!("{create} WITH _rows AS ({}\n) SELECT *, {added} FROM _rows WITH NO DATA", model.text)
                } else {
                    format!("{create} {}\nWITH NO DATA", model.text)
                };
                self.warehouse.execute(&sql).map_err(on)
            }
        }
    }

    /// The error with what changed in the tables that the model reads since they were published.
    fn blamed(&self, graph: &Graph, name: &str, catalog: &BTreeMap<String, Vec<Named>>, error: Error) -> Error {
        let Ok(columns) = self.warehouse.catalog() else { return error };
        let before = |name: &str| catalog.get(&name.to_lowercase()).cloned();
        let now = |name: &str| columns.get(&name.to_lowercase()).cloned();
        let Some(upstream) = upstream(graph, name, &Changes { before: &before, now: &now }) else { return error };
        let hint = error.hint.iter().cloned().chain([upstream]).collect::<Vec<_>>().join("\n      ");
        error.hint(hint)
    }

    /// Makes an empty table of the warehouse's columns, where there is none yet.
    pub(super) fn copy(&self, table: &Table, catalog: &BTreeMap<String, Vec<Named>>) -> Result<()> {
        if self.warehouse.columns(table)?.is_some() {
            return Ok(());
        }
        let name = format!("{}.{}", table.schema, table.name);
        match catalog.get(&name.to_lowercase()) {
            Some(columns) => self.create(table, columns),
            None => {
                let error = Error::config(format!("it reads `{name}`, which was never built"));
                Err(error.hint("select it too: `--select +name` takes what a model reads with it"))
            }
        }
    }

    fn create(&self, table: &Table, columns: &[Named]) -> Result<()> {
        self.schema(table)?;
        let columns: Vec<_> =
            columns.iter().map(|column| format!("{} {}", quote(&column.name), column.data_type)).collect();
        self.warehouse.execute(&format!("CREATE TABLE {table} ({})", columns.join(", ")))
    }

    fn schema(&self, table: &Table) -> Result<()> {
        self.warehouse.execute(&format!("CREATE SCHEMA IF NOT EXISTS {}", quote(&table.schema)))
    }
}

/// Writes variables into a table of `_host` in the place of those that it holds.
pub(super) fn set_variables(warehouse: &Warehouse, table: &str, variables: &BTreeMap<String, String>) -> Result<()> {
    warehouse.execute(&format!("CREATE TABLE IF NOT EXISTS _host.{table} (name VARCHAR, value VARCHAR)"))?;
    warehouse.execute(&format!("DELETE FROM _host.{table}"))?;
    let insert = format!("INSERT INTO _host.{table} VALUES (?, ?)");
    variables.iter().try_for_each(|(name, value)| warehouse.change(&insert, &[name, value]).map(drop))
}
