//! Builds models aside as `name__next`, each in its own way; what fails leaves the models that do not read it alone.

mod incremental;
mod publish;
mod snapshot;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::files::{Materialized, Model};
use super::fingerprint::Hashes;
use super::record::{self, AllPublished};
use super::{Graph, seed};
use crate::error::{Error, Kind, Result};
use crate::progress::{Event, Progress};
use crate::warehouse::{Named, Table, Warehouse, quote};

pub(super) use publish::{Publication, publish};
pub(super) use snapshot::ADDED;

/// How a model stands aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Form {
    /// A table `name__next`, which takes the published one's place.
    Whole,
    /// A view `name__next`, made anew from the model's own text.
    View,
    /// A table `name__delta`, whose rows are added; `replaced` is true of the published rows that go. `name__next` is a
    /// view of what that will give.
    Delta {
        /// SQL on a row of `published`.
        replaced: String,
    },
}

/// A model as it stands aside.
#[derive(Debug, Clone)]
pub(super) struct Aside {
    pub(super) form: Form,
    /// None for views.
    pub(super) rows: Option<u64>,
    pub(super) seconds: f64,
}

/// Makes models aside.
pub(super) struct Builder<'a> {
    pub(super) graph: &'a Graph,
    pub(super) warehouse: &'a Warehouse,
    pub(super) published: &'a AllPublished,
    pub(super) hashes: &'a BTreeMap<String, Hashes>,
    /// The columns that models will have.
    pub(super) columns: &'a BTreeMap<String, Vec<Named>>,
    /// The columns of what is published.
    pub(super) catalog: &'a BTreeMap<String, Vec<Named>>,
    pub(super) full_refresh: bool,
    /// Whether what is gone leaves no version in a snapshot: somebody was forgotten.
    pub(super) erases: bool,
    /// The time of the build.
    pub(super) time: String,
    /// The same as SQL.
    pub(super) now: String,
    /// Whether `_host.variables__next` holds other values than models read now.
    pub(super) new_variables: bool,
    /// What stands aside, by name.
    pub(super) aside: BTreeMap<String, Aside>,
}

/// What was not built.
#[derive(Debug, Default)]
pub(super) struct Unbuilt {
    pub(super) failed: Vec<Error>,
    /// Names of models that read one that failed.
    pub(super) skipped: Vec<String>,
}

impl Builder<'_> {
    /// Builds these models in their order, but for those that stand aside already.
    pub(super) fn build(
        &mut self,
        models: &[&Model],
        progress: &Progress,
        of: usize,
        stopped: &dyn Fn() -> bool,
    ) -> Result<Unbuilt> {
        let mut unbuilt = Unbuilt::default();
        let mut broken = BTreeSet::new();
        for (done, model) in models.iter().enumerate() {
            if stopped() {
                return Err(Error::new(Kind::Interrupted, "stopped"));
            }
            let name = model.name();
            if self.aside.contains_key(&name) {
                continue;
            }
            if self.graph.reads(&name).iter().any(|read| broken.contains(read)) {
                broken.insert(name.clone());
                unbuilt.skipped.push(name);
                continue;
            }
            let started = Instant::now();
            match self.model(model) {
                Ok((form, rows)) => {
                    let aside = Aside { form, rows, seconds: started.elapsed().as_secs_f64() };
                    let fingerprint = self.hashes.get(&name).map_or("", |hashes| &hashes.fingerprint);
                    record::write_aside(self.warehouse, &model.table, fingerprint, &aside)?;
                    self.aside.insert(name.clone(), aside);
                }
                Err(error) if error.kind == Kind::Interrupted => return Err(error),
                Err(error) => {
                    // What is half made is of no use.
                    self.drop_aside(&model.table)?;
                    unbuilt.failed.push(error);
                    broken.insert(name.clone());
                }
            }
            let failed = broken.contains(&name);
            progress.tell(Event::Model { model: name, failed, done: done + 1, of });
        }
        Ok(unbuilt)
    }

    fn model(&self, model: &Model) -> Result<(Form, Option<u64>)> {
        let next = model.table.suffixed("__next");
        let on = |error: Error| on_model(model, error);
        self.warehouse.execute(&format!("CREATE SCHEMA IF NOT EXISTS {}", quote(&next.schema)))?;
        self.drop_aside(&model.table)?;
        let form = match model.kind {
            Materialized::View => {
                self.warehouse.execute(&format!("CREATE VIEW {next} AS {}", self.query(model)?)).map_err(on)?;
                return Ok((Form::View, None));
            }
            Materialized::Seed => {
                seed::load(model, &next, self.warehouse).map_err(on)?;
                Form::Whole
            }
            Materialized::Incremental => self.incremental(model).map_err(on)?,
            Materialized::Snapshot => self.snapshot(model).map_err(on)?,
            Materialized::Table | Materialized::Check => {
                self.warehouse.execute(&format!("CREATE TABLE {next} AS {}", self.query(model)?)).map_err(on)?;
                Form::Whole
            }
        };
        let rows = match &form {
            Form::Delta { replaced } => {
                let delta = model.table.suffixed("__delta");
                let kept = format!("SELECT count(*) FROM {} AS published WHERE NOT ({replaced})", model.table);
                self.count(&format!("SELECT ({kept}) + (SELECT count(*) FROM {delta})")).map_err(on)?
            }
            _ => self.count(&format!("SELECT count(*) FROM {next}"))?,
        };
        Ok((form, Some(rows)))
    }

    fn count(&self, sql: &str) -> Result<u64> {
        Ok(self.warehouse.value(sql, &[])?.and_then(|count| count.parse().ok()).unwrap_or_default())
    }

    /// Drops what stands aside of a model.
    fn drop_aside(&self, table: &Table) -> Result<()> {
        self.warehouse.drop_table_or_view(&table.suffixed("__next"))?;
        self.warehouse.drop_table_or_view(&table.suffixed("__delta"))
    }

    /// The model's query with references to other models led to what is being built.
    fn query(&self, model: &Model) -> Result<String> {
        let query = self.graph.query(&model.name());
        query.map_or_else(|| Ok(model.text.clone()), |query| query.redirected(&|table| self.elsewhere(table)))
    }

    /// Where a table is read while building, if not where it is published.
    pub(super) fn elsewhere(&self, table: &Table) -> Option<Table> {
        let name = format!("{}.{}", table.schema, table.name);
        if self.new_variables && name.eq_ignore_ascii_case("_host.variables") {
            return Some(Table::new("_host", "variables__next"));
        }
        let aside = self.aside.contains_key(&name) || self.aside.keys().any(|other| other.eq_ignore_ascii_case(&name));
        aside.then(|| table.suffixed("__next"))
    }

    /// Whether only what is new of a model need be computed.
    fn can_grow(&self, model: &Model) -> bool {
        let name = model.name();
        let published = self.published.get(&name);
        let is_same = published.zip(self.hashes.get(&name)).is_some_and(|(was, is)| was.definition == is.definition);
        let key = name.to_lowercase();
        is_same
            && !self.full_refresh
            && self.catalog.contains_key(&key)
            && self.catalog.get(&key) == self.columns.get(&key)
    }

    /// Makes `name__next` a view of the published rows that stay and those of the delta.
    fn show_delta(&self, model: &Model, replaced: &str) -> Result<()> {
        let (table, next, delta) = (&model.table, model.table.suffixed("__next"), model.table.suffixed("__delta"));
        let columns = self.columns.get(&model.name().to_lowercase()).map(Vec::as_slice).unwrap_or_default();
        let columns = crate::warehouse::quote_all(columns.iter().map(|column| column.name.as_str()), "");
        self.warehouse.execute(&format!(
            "CREATE VIEW {next} AS SELECT {columns} FROM {table} AS published WHERE NOT ({replaced}) \
             UNION ALL SELECT {columns} FROM {delta}"
        ))
    }

    /// An error where two rows of a table have one key.
    fn check_key(&self, model: &Model, table: &Table, key: &[String], only: &str) -> Result<()> {
        let names = crate::warehouse::quote_all(key.iter().map(String::as_str), "");
        let sql = format!(
            "SELECT {names}, count(*) AS rows FROM {table} WHERE {only} GROUP BY {names} HAVING count(*) > 1 LIMIT 1"
        );
        match self.warehouse.query(&sql, &[])?.into_iter().next() {
            None => Ok(()),
            Some(row) => {
                let row = serde_json::Value::Object(row);
                Err(model.error(None, Error::data(format!("its key does not tell rows apart: {row}"))))
            }
        }
    }
}

/// SQL that is true where two rows, `one` and `other`, have the same key.
fn same_key(key: &[String], one: &str, other: &str) -> String {
    let same = |name: &String| format!("{one}.{name} IS NOT DISTINCT FROM {other}.{name}", name = quote(name));
    key.iter().map(same).collect::<Vec<_>>().join(" AND ")
}

/// DuckDB's error on a model's query: what it cannot bind is for the model's author to mend, what it cannot compute is
/// in the data; a full disk or an interruption is neither.
pub(super) fn on_model(model: &Model, error: Error) -> Error {
    if error.message.starts_with(&model.path.display().to_string()) {
        return error;
    }
    if error.kind != Kind::Internal {
        return if error.kind == Kind::Interrupted { error } else { model.error(None, error) };
    }
    // `LINE 3: SELECT …` counts the lines of the statement, which starts on the model's first line.
    let line = error.message.lines().find_map(|line| line.strip_prefix("LINE ")?.split(':').next()?.parse().ok());
    let meant = meant(&error.message);
    let message = error.message.lines().next().unwrap_or_default().replace("__next", "");
    let of_data = ["Conversion", "Invalid Input", "Out of Range", "Constraint"];
    let kind = if of_data.iter().any(|start| message.starts_with(start)) { Kind::Data } else { Kind::Config };
    let error = model.error(line, Error::new(kind, message));
    match meant {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// The names that DuckDB would know in the place of one that it does not.
pub(super) fn meant(message: &str) -> Option<String> {
    let names = message.lines().find_map(|line| line.strip_prefix("Candidate bindings"))?;
    let names = names.trim_start_matches([':', ' ']);
    Some(format!("did you mean {}?", names.replace('"', "`").replace(", ", " or ")))
}
