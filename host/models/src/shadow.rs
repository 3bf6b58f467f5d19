//! Creates the models as empty tables in a database in memory. It shows whether they bind and which columns they have
//! before a row of the warehouse is read, and unit tests run in it.

use std::collections::{BTreeMap, BTreeSet};

use host_core::error::{Error, Result};
use host_ledger::variables::{published_table, write};
use host_warehouse::{ColumnType, QUERY_TIME, Table, Warehouse, quote};

use crate::build::{VALIDITY_COLUMNS, on_model};
use crate::files::{Model, ModelKind};
use crate::testing::{ColumnHistory, upstream_changes};
use crate::{Graph, seed};

/// The start of names that the host's own SQL uses.
const HOST_PREFIX: &str = "_host";

/// A database in memory with empty tables.
pub(super) struct Shadow {
    pub(super) warehouse: Warehouse,
    /// The columns of all tables in the database, by `schema.name` in lower case.
    pub(super) columns: BTreeMap<String, Vec<ColumnType>>,
}

impl Shadow {
    /// Creates the named models and the tables that they read. Returns all models that do not bind as one error.
    pub(super) fn new(
        graph: &Graph,
        names: &BTreeSet<String>,
        catalog: &BTreeMap<String, Vec<ColumnType>>,
        variables: &BTreeMap<String, String>,
    ) -> Result<Self> {
        let mut shadow = Self { warehouse: Warehouse::memory()?, columns: BTreeMap::new() };
        write(&shadow.warehouse, &published_table(), variables)?;
        let mut problems = Vec::new();
        let mut failed = BTreeSet::new();
        for model in graph.all().filter(|model| names.contains(&model.name())) {
            let name = model.name();
            if graph.reads(&name).iter().any(|read| failed.contains(read)) {
                failed.insert(name);
                continue;
            }
            // DuckDB computes constants of a query when it binds it.
            let created = shadow.warehouse.bounded(Some(QUERY_TIME), || shadow.create_model(graph, model, catalog));
            if let Err(error) = created {
                problems.push(shadow.with_upstream_changes(graph, &name, catalog, error));
                failed.insert(name);
            }
        }
        Error::check(problems)?;
        shadow.columns = shadow.warehouse.catalog()?;
        Ok(shadow)
    }

    /// Creates one model after the tables that it reads.
    fn create_model(&self, graph: &Graph, model: &Model, catalog: &BTreeMap<String, Vec<ColumnType>>) -> Result<()> {
        let name = model.name();
        let models = graph.reads(&name).iter().filter_map(|read| graph.model(read)).map(|model| &model.table);
        for table in models.chain(graph.external_tables.get(&name).into_iter().flatten()) {
            self.copy(table, catalog).map_err(|error| model.error(None, error))?;
        }
        let at_model = |error: Error| on_model(model, error);
        let table = &model.table;
        match model.kind {
            ModelKind::Check => self.warehouse.describe(&model.text).map(drop).map_err(at_model),
            ModelKind::Seed => self.create_table(table, &seed::columns(model)?).map_err(at_model),
            kind => {
                self.warehouse.create_schema_of(table)?;
                if kind == ModelKind::Snapshot {
                    let columns = self.warehouse.describe(&format!("FROM ({}\n)", model.text)).map_err(at_model)?;
                    check_names(model, &columns, &|name| {
                        VALIDITY_COLUMNS.iter().any(|own| name.eq_ignore_ascii_case(own))
                    })?;
                }
                let create = format!("CREATE TABLE {table} AS");
                let sql = if kind == ModelKind::Snapshot {
                    let added = "CAST(NULL AS TIMESTAMPTZ) AS valid_from, CAST(NULL AS TIMESTAMPTZ) AS valid_to";
                    format!("{create} WITH _rows AS ({}\n) SELECT *, {added} FROM _rows WITH NO DATA", model.text)
                } else {
                    format!("{create} {}\nWITH NO DATA", model.text)
                };
                self.warehouse.execute(&sql).map_err(at_model)?;
                check_names(model, &self.warehouse.describe(&table.to_string())?, &|name| {
                    name.get(..HOST_PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(HOST_PREFIX))
                })
            }
        }
    }

    /// Adds the changes of the tables that the model reads since the last publication as a hint.
    fn with_upstream_changes(
        &self,
        graph: &Graph,
        name: &str,
        catalog: &BTreeMap<String, Vec<ColumnType>>,
        error: Error,
    ) -> Error {
        let Ok(columns) = self.warehouse.catalog() else { return error };
        let before = |name: &str| catalog.get(&name.to_lowercase()).cloned();
        let now = |name: &str| columns.get(&name.to_lowercase()).cloned();
        let Some(changes) = upstream_changes(graph, name, &ColumnHistory { before: &before, now: &now }) else {
            return error;
        };
        error.hint(changes)
    }

    /// Creates an empty table with the columns of the warehouse's catalog, if it does not exist yet.
    pub(super) fn copy(&self, table: &Table, catalog: &BTreeMap<String, Vec<ColumnType>>) -> Result<()> {
        if self.warehouse.exists(table)? {
            return Ok(());
        }
        let name = table.full_name();
        match catalog.get(&name.to_lowercase()) {
            Some(columns) => self.create_table(table, columns),
            None => {
                let error = Error::config(format!("reads `{name}`, which was never built"));
                Err(error.hint("use `--select +NAME` to build a model with everything that it reads"))
            }
        }
    }

    fn create_table(&self, table: &Table, columns: &[ColumnType]) -> Result<()> {
        self.warehouse.create_schema_of(table)?;
        let columns: Vec<_> =
            columns.iter().map(|column| format!("{} {}", quote(&column.name), column.data_type)).collect();
        self.warehouse.execute(&format!("CREATE TABLE {table} ({})", columns.join(", ")))
    }
}

/// Fails if a model has a column whose name the host needs.
fn check_names(model: &Model, columns: &[ColumnType], is_reserved: &dyn Fn(&str) -> bool) -> Result<()> {
    let Some(column) = columns.iter().find(|column| is_reserved(&column.name)) else { return Ok(()) };
    let error = Error::config(format!("the column `{}` is reserved for the host", column.name));
    Err(model.error(None, error.hint("give it another name in the query")))
}
