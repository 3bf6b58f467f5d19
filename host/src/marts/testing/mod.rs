//! What must hold of models: their contracts, columns, queries that must return no rows, fixtures, drills.

mod column;
mod contract;
mod drill;
mod unit;

use std::collections::BTreeMap;

use super::Graph;
use super::ast::Query;
use super::build::{meant, on_model};
use super::config::Severity;
use super::files::Model;
use crate::error::{Error, Result};
use crate::warehouse::{Named, Table, Warehouse};

pub(super) use contract::{Changes, contracts, upstream};
pub(super) use unit::unit_tests;

/// What tests gave.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Tests that held.
    pub(super) passed: usize,
    /// Those that only warn.
    pub(super) warnings: Vec<String>,
    /// Those that fail the build.
    pub(super) failures: Vec<Error>,
}

impl Outcome {
    fn note(&mut self, severity: Severity, failure: Option<String>) {
        match failure {
            None => self.passed += 1,
            Some(message) if severity == Severity::Warn => self.warnings.push(message),
            Some(message) => self.failures.push(Error::data(message)),
        }
    }
}

/// Runs tests on tables, wherever these stand.
pub(super) struct Tester<'a> {
    pub(super) graph: &'a Graph,
    pub(super) warehouse: &'a Warehouse,
    /// Where a table stands, if not where it is published.
    pub(super) elsewhere: &'a dyn Fn(&Table) -> Option<Table>,
    /// The columns of models and tables, by `schema.name` in lower case.
    pub(super) columns: &'a dyn Fn(&Table) -> Option<Vec<Named>>,
}

impl Tester<'_> {
    /// The tests of a model's columns, its own queries and its drills.
    pub(super) fn model(&self, model: &Model) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        self.columns_of(model, &mut outcome)?;
        for (index, test) in model.config.test.iter().enumerate() {
            let place = model.place(&["test".into(), index.into(), "name".into()]);
            let on = |error: Error| {
                Error { message: error.message.replace("__next", ""), ..error }
                    .on(format!("{place}: test `{}`", test.name))
            };
            let failure = match self.graph.query_beside(model, &test.name) {
                Some(query) => self.rows(query).map_err(|error| on(told(&error)))?,
                None => None,
            };
            let failure = failure.map(|rows| format!("{place}: test `{}` returned rows: {rows}", test.name));
            outcome.note(test.severity, failure);
        }
        self.drills_of(model, &mut outcome)?;
        Ok(outcome)
    }

    /// A check.
    pub(super) fn check(&self, check: &Model) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        let rows = match self.graph.query(&check.name()) {
            Some(query) => self.rows(query).map_err(|error| on_model(check, error))?,
            None => None,
        };
        let failure =
            rows.map(|rows| format!("{}: check `{}` returned rows: {rows}", check.path.display(), check.name()));
        outcome.note(if check.is_warning() { Severity::Warn } else { Severity::Error }, failure);
        Ok(outcome)
    }

    fn at(&self, table: &Table) -> Table {
        (self.elsewhere)(table).unwrap_or_else(|| table.clone())
    }

    /// The first rows of a query that should return none.
    fn rows(&self, query: &Query) -> Result<Option<String>> {
        let sql = query.redirected(self.elsewhere)?;
        self.shown(&format!("SELECT * FROM ({sql}\n) LIMIT 3"))
    }

    fn shown(&self, sql: &str) -> Result<Option<String>> {
        let rows = self.warehouse.query(sql, &[])?;
        let shown: Vec<_> = rows.into_iter().map(|row| serde_json::Value::Object(row).to_string()).collect();
        Ok((!shown.is_empty()).then(|| shown.join(", ")))
    }
}

/// What DuckDB says of a test's query, without the query that the host makes of it.
fn told(error: &Error) -> Error {
    let told = Error::config(error.message.lines().next().unwrap_or_default());
    match meant(&error.message) {
        Some(hint) => told.hint(hint),
        None => told,
    }
}

/// The tables that a model's tests need beside itself.
pub(super) fn needed(graph: &Graph, model: &Model) -> Vec<String> {
    let config = &model.config;
    let names = config.test.iter().map(|test| &test.name).chain(config.drill.iter().map(|drill| &drill.name));
    let read = names.filter_map(|name| graph.query_beside(model, name)).flat_map(|query| query.tables().into_keys());
    let read = read.map(|table| format!("{}.{}", table.schema, table.name));
    let referred = config.column.iter().filter_map(|column| column.references.as_ref()?.rsplit_once('.'));
    let all = read.chain(referred.map(|(table, _)| table.to_owned()));
    all.filter_map(|name| graph.model(&name)).map(Model::name).collect()
}

/// The table and the column that `schema.table.column` means.
fn referred(target: &str) -> (Table, String) {
    let (table, column) = target.rsplit_once('.').unwrap_or((target, ""));
    let (schema, name) = table.split_once('.').unwrap_or(("", table));
    (Table::new(schema, name), column.to_owned())
}

/// A column among others, whatever its case.
fn find<'a>(columns: &'a [Named], name: &str) -> Option<&'a Named> {
    columns.iter().find(|column| column.name.eq_ignore_ascii_case(name))
}

/// Columns by table, from several catalogs: the first that has it.
pub(super) fn lookup(catalogs: &[&BTreeMap<String, Vec<Named>>], table: &Table) -> Option<Vec<Named>> {
    let name = format!("{}.{}", table.schema, table.name).to_lowercase();
    catalogs.iter().find_map(|catalog| catalog.get(&name)).cloned()
}
