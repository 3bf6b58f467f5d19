//! What a build knows of its models: the published ones, the staged ones, and where they are read from.

use std::collections::BTreeMap;

use host_core::error::{Error, Result};
use host_ledger::models::{PublishedModels, StagedModel};
use host_ledger::variables;
use host_warehouse::{ColumnType, Table, Warehouse, quote_all};

use crate::files::Model;
use crate::fingerprint::Hashes;
use crate::graph::Graph;

/// Builds staged models.
pub(crate) struct ModelBuilder<'a> {
    pub(crate) graph: &'a Graph,
    pub(crate) warehouse: &'a Warehouse,
    pub(crate) published: &'a PublishedModels,
    pub(crate) hashes: &'a BTreeMap<String, Hashes>,
    /// The columns that the built models will have, by `schema.name` in lower case.
    pub(crate) columns: &'a BTreeMap<String, Vec<ColumnType>>,
    /// The columns of the tables in the warehouse, by `schema.name` in lower case.
    pub(crate) catalog: &'a BTreeMap<String, Vec<ColumnType>>,
    /// Whether incremental models are built in full.
    pub(crate) full_refresh: bool,
    /// Whether snapshots must delete the versions of forgotten records.
    pub(crate) has_pending_erasure: bool,
    /// The time of the build, in RFC 3339.
    pub(crate) time: String,
    /// The time of the build, as an SQL literal.
    pub(crate) now: String,
    /// Whether the staged variables differ from the published ones.
    pub(crate) new_variables: bool,
    /// The staged models, by name.
    pub(crate) staged: BTreeMap<String, StagedModel>,
}

impl ModelBuilder<'_> {
    /// Drops the staged tables and views of a model.
    pub(super) fn drop_staged(&self, table: &Table) -> Result<()> {
        self.warehouse.drop_table_or_view(&table.suffixed("__next"))?;
        self.warehouse.drop_table_or_view(&table.suffixed("__delta"))
    }

    /// Returns the query of a model, which reads staged tables instead of published ones.
    pub(super) fn query(&self, model: &Model) -> Result<String> {
        let query = self.graph.query(&model.name());
        query.map_or_else(|| Ok(model.text.clone()), |query| query.redirected(&|table| self.staged_table(table)))
    }

    /// Returns the staged table that is read instead of a published one, if there is one.
    pub(crate) fn staged_table(&self, table: &Table) -> Option<Table> {
        let name = table.full_name();
        if self.new_variables && name.eq_ignore_ascii_case(&variables::published_table().full_name()) {
            return Some(variables::staged_table());
        }
        let is_staged = self.staged.keys().any(|other| other.eq_ignore_ascii_case(&name));
        is_staged.then(|| table.suffixed("__next"))
    }

    /// Whether it suffices to compute the new and changed rows of a model.
    pub(super) fn can_build_incrementally(&self, model: &Model) -> bool {
        let name = model.name();
        let published = self.published.get(&name);
        let is_same =
            published.zip(self.hashes.get(&name)).is_some_and(|(last, now)| last.definition == now.definition);
        let key = name.to_lowercase();
        is_same
            && !self.full_refresh
            && self.catalog.contains_key(&key)
            && self.catalog.get(&key) == self.columns.get(&key)
    }

    /// Creates `name__next` as a view of the published rows that stay and the rows of the delta. `replaced` is SQL that
    /// is true of published rows that do not stay.
    pub(super) fn create_delta_view(&self, model: &Model, replaced: &str) -> Result<()> {
        let (table, next, delta) = (&model.table, model.table.suffixed("__next"), model.table.suffixed("__delta"));
        let columns = self.columns.get(&model.name().to_lowercase()).map(Vec::as_slice).unwrap_or_default();
        let columns = quote_all(columns.iter().map(|column| column.name.as_str()), "");
        self.warehouse.execute(&format!(
            "CREATE VIEW {next} AS SELECT {columns} FROM {table} AS published WHERE NOT ({replaced}) \
             UNION ALL SELECT {columns} FROM {delta}"
        ))
    }

    /// Fails if two rows of a table have the same key. `condition` is SQL that limits the rows.
    pub(super) fn check_key(&self, model: &Model, table: &Table, key: &[String], condition: &str) -> Result<()> {
        let names = quote_all(key.iter().map(String::as_str), "");
        let sql = format!(
            "SELECT {names}, count(*) AS rows FROM {table} WHERE {condition} GROUP BY {names} HAVING count(*) > 1 LIMIT 1"
        );
        match self.warehouse.query(&sql, ())?.into_iter().next() {
            None => Ok(()),
            Some(row) => {
                let row = serde_json::Value::Object(row);
                Err(model.error(None, Error::data(format!("two rows have the same key: {row}"))))
            }
        }
    }
}
