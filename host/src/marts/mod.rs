//! SQL files → published tables and views: dependencies inferred, everything built aside as `name__next`, checked,
//! then published in one transaction. Readers see the last good version of all of it until then.

mod ast;
mod files;
mod graph;
mod publish;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use sha2::{Digest, Sha256};

use crate::error::{Error, Kind, Result};
use crate::progress::{Event, Progress};
use crate::warehouse::{Table, Warehouse, literal};

pub use files::{Materialized, Model};
pub use graph::{Exists, Graph};

/// What was built and checked.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Built {
    /// Whether all was left alone, since neither tables nor SQL changed.
    pub unchanged: bool,
    /// Tables, views and seeds.
    pub models: Vec<BuiltModel>,
    /// Checks that returned no row.
    pub checks_passed: usize,
    /// Checks of severity `warn` that returned rows.
    pub warnings: Vec<String>,
    /// Duration in seconds.
    pub seconds: f64,
}

/// One model as built.
#[derive(Debug, Clone, serde::Serialize)]
pub struct BuiltModel {
    /// `schema.name`.
    pub model: String,
    /// What it is.
    pub kind: Materialized,
    /// Rows; none for views.
    pub rows: Option<u64>,
    /// Duration in seconds.
    pub seconds: f64,
}

/// Reads the models of a folder and infers their order, without a row being read.
pub fn load(folder: &Path, warehouse: &Warehouse, exists: &Exists<'_>) -> Result<Graph> {
    Graph::new(files::read(folder)?, warehouse, exists)
}

/// The tables that a query reads, each `schema.name`.
pub fn reads(sql: &str, warehouse: &Warehouse) -> Result<Vec<String>> {
    let tables = ast::references(sql, warehouse).map_err(|syntax| syntax.error)?;
    Ok(tables.into_keys().map(|table| format!("{}.{}", table.schema, table.name)).collect())
}

/// Builds, checks and publishes all models, unless nothing that they depend on changed.
pub fn build(
    graph: &Graph,
    warehouse: &Warehouse,
    variables: &BTreeMap<String, String>,
    load_id: &str,
    progress: &Progress,
    stopped: impl Fn() -> bool,
) -> Result<Built> {
    let started = Instant::now();
    let fingerprint = fingerprint(graph, warehouse, variables)?;
    let last = warehouse.value("SELECT fingerprint FROM _host.publications", &[])?;
    if last.as_deref() == Some(&fingerprint) {
        return Ok(Built { unchanged: true, ..Built::default() });
    }
    set_variables(warehouse, variables)?;
    let builder = Builder { graph, warehouse, progress };
    let built = builder.run(&stopped).inspect_err(|_| {
        // The tables built aside are of no use; the next build would replace them anyway.
        let _ = builder.clear();
    });
    let mut built = built?;
    publish::publish(graph, warehouse, &built.models, &fingerprint, load_id)?;
    built.seconds = started.elapsed().as_secs_f64();
    Ok(built)
}

/// Writes the pipeline's variables where models read them.
fn set_variables(warehouse: &Warehouse, variables: &BTreeMap<String, String>) -> Result<()> {
    warehouse.transaction(|| {
        warehouse.execute("DELETE FROM _host.variables")?;
        variables.iter().try_for_each(|(name, value)| {
            warehouse.change("INSERT INTO _host.variables VALUES (?, ?)", &[name, value]).map(drop)
        })
    })
}

fn fingerprint(graph: &Graph, warehouse: &Warehouse, variables: &BTreeMap<String, String>) -> Result<String> {
    let mut hasher = Sha256::new();
    for model in graph.all() {
        hasher.update(model.table.to_string());
        hasher.update(&model.text);
    }
    variables.iter().for_each(|(name, value)| hasher.update(format!("{name}={value}")));
    let version = "SELECT string_agg(table_schema || '.' || table_name || '=' || load_id, ' ' ORDER BY ALL) FROM _host.table_versions";
    hasher.update(warehouse.value(version, &[])?.unwrap_or_default());
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

struct Builder<'a> {
    graph: &'a Graph,
    warehouse: &'a Warehouse,
    progress: &'a Progress,
}

impl Builder<'_> {
    fn run(&self, stopped: &dyn Fn() -> bool) -> Result<Built> {
        let mut built = Built::default();
        let of = self.graph.models().count() + self.graph.checks().count();
        for model in self.graph.models() {
            if stopped() {
                return Err(Error::new(Kind::Interrupted, "stopped"));
            }
            built.models.push(self.model(model)?);
            let name = model.name();
            self.progress.tell(Event::Model { model: name, done: built.models.len(), of });
        }
        let mut failures = Vec::new();
        for check in self.graph.checks() {
            let failed = self.check(check)?;
            match failed {
                None => built.checks_passed += 1,
                Some(message) if check.is_warning => built.warnings.push(message),
                Some(message) => failures.push(Error::data(message)),
            }
            let done = built.models.len() + built.checks_passed + built.warnings.len();
            self.progress.tell(Event::Model { model: check.name(), done, of });
        }
        let hint = "nothing was published: readers still see the last good version";
        Error::all(failures).map_or(Ok(built), |error| Err(error.hint(hint)))
    }

    fn model(&self, model: &Model) -> Result<BuiltModel> {
        let started = Instant::now();
        let next = model.table.suffixed("__next");
        let on = |error: Error| on_model(model, error);
        self.warehouse.execute(&format!("CREATE SCHEMA IF NOT EXISTS {}", crate::warehouse::quote(&next.schema)))?;
        self.warehouse.drop_table_or_view(&next)?;
        let (create, body) = match model.kind {
            Materialized::View => ("VIEW", self.redirected(model)?),
            Materialized::Table => ("TABLE", self.redirected(model)?),
            Materialized::Seed => {
                let path = literal(&model.path.display().to_string());
                // Text, whatever the values look like today: a model says what a column is.
                ("TABLE", format!("SELECT * FROM read_csv({path}, header = true, delim = ',', all_varchar = true)"))
            }
            Materialized::Check => return Err(Error::internal("a check is no model")),
        };
        self.warehouse.execute(&format!("CREATE {create} {next} AS {body}")).map_err(on)?;
        let rows = match model.kind {
            Materialized::View => None,
            _ => self.warehouse.value(&format!("SELECT count(*) FROM {next}"), &[])?.and_then(|rows| rows.parse().ok()),
        };
        Ok(BuiltModel { model: model.name(), kind: model.kind, rows, seconds: started.elapsed().as_secs_f64() })
    }

    /// A failed check's message, with the first rows that it returned.
    fn check(&self, check: &Model) -> Result<Option<String>> {
        let sql = self.redirected(check)?;
        let rows = self.warehouse.query(&format!("SELECT * FROM ({sql}\n) LIMIT 3"), &[]);
        let rows = rows.map_err(|error| on_model(check, error))?;
        if rows.is_empty() {
            return Ok(None);
        }
        let shown: Vec<_> = rows.into_iter().map(|row| serde_json::Value::Object(row).to_string()).collect();
        Ok(Some(format!("{}: check `{}` returned rows: {}", check.path.display(), check.name(), shown.join(", "))))
    }

    /// The model's query with references to other models led to what is being built.
    fn redirected(&self, model: &Model) -> Result<String> {
        let names: Vec<&Table> = self.graph.models().map(|model| &model.table).collect();
        ast::redirect(&model.text, &names, self.warehouse).map_err(|syntax| model.error(syntax.line, syntax.error))
    }

    fn clear(&self) -> Result<()> {
        self.graph.models().try_for_each(|model| self.warehouse.drop_table_or_view(&model.table.suffixed("__next")))
    }
}

/// DuckDB's error on a model's query: what it cannot bind is for the model's author to mend, what it cannot compute is
/// in the data; a full disk or an interruption is neither.
fn on_model(model: &Model, error: Error) -> Error {
    if error.kind != Kind::Internal {
        return model.error(None, error);
    }
    // `LINE 3: SELECT …` counts the lines of the statement, which starts on the model's first line.
    let line = error.message.lines().find_map(|line| line.strip_prefix("LINE ")?.split(':').next()?.parse().ok());
    let message = error.message.lines().next().unwrap_or_default().replace("__next", "");
    let of_data = ["Conversion", "Invalid Input", "Out of Range", "Constraint"];
    let kind = if of_data.iter().any(|start| message.starts_with(start)) { Kind::Data } else { Kind::Config };
    model.error(line, Error::new(kind, message))
}
