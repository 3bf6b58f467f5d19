//! Tests models: contracts, columns, queries that must return no rows, unit tests, drills.

mod column;
mod contract;
mod drill;
mod unit;

use std::collections::BTreeMap;

use host_core::error::{Error, Kind, Place, Result};
use host_warehouse::{ColumnType, Table, Warehouse};

use crate::Graph;
use crate::build::{column_candidates, on_model, without_suffix};
use crate::config::Severity;
use crate::files::Model;
use crate::query::Query;

pub(super) use contract::{ColumnHistory, contracts, upstream_changes};
pub(super) use unit::unit_tests;

/// The results of some tests.
#[derive(Debug, Default)]
pub(super) struct TestResults {
    /// The number of passed tests.
    pub(super) passed: usize,
    /// The failures that only warn.
    pub(super) warnings: Vec<String>,
    /// The failures that fail the build.
    pub(super) failures: Vec<Error>,
}

impl TestResults {
    /// Adds the result of one test: its failure, or `None` if it passed.
    fn record(&mut self, severity: Severity, failure: Option<(Place, String)>) {
        match failure {
            None => self.passed += 1,
            Some((place, message)) if severity == Severity::Warn => self.warnings.push(format!("{place}: {message}")),
            Some((place, message)) => self.failures.push(Error::data(message).at(&place)),
        }
    }
}

/// Runs tests on published or staged tables.
pub(super) struct Tester<'a> {
    pub(super) graph: &'a Graph,
    pub(super) warehouse: &'a Warehouse,
    /// Returns the staged table that is tested instead of a published one, if there is one.
    pub(super) staged_table: &'a dyn Fn(&Table) -> Option<Table>,
    /// Returns the columns of a model or another table.
    pub(super) columns: &'a dyn Fn(&Table) -> Option<Vec<ColumnType>>,
}

impl Tester<'_> {
    /// Runs the tests of a model: of its columns, of its rows and of its drills.
    pub(super) fn model(&self, model: &Model) -> Result<TestResults> {
        let mut results = TestResults::default();
        self.test_columns(model, &mut results)?;
        for (index, test) in model.config.test.iter().enumerate() {
            let place = model.place(&["test".into(), index.into(), "name".into()]);
            let failure = match self.graph.config_query(model, &test.name) {
                Some(query) => self
                    .failing_rows(query)
                    .map_err(|error| on_test(error).on(format!("test `{}`", test.name)).at(&place))?,
                None => None,
            };
            let failure = failure.map(|rows| (place.clone(), format!("test `{}` returned rows: {rows}", test.name)));
            results.record(test.severity, failure);
        }
        self.test_drills(model, &mut results)?;
        Ok(results)
    }

    /// Runs a check.
    pub(super) fn check(&self, check: &Model) -> Result<TestResults> {
        let mut results = TestResults::default();
        let rows = match self.graph.query(&check.name()) {
            Some(query) => self.failing_rows(query).map_err(|error| on_model(check, error))?,
            None => None,
        };
        let place = Place::file(check.path.display().to_string());
        let failure = rows.map(|rows| (place, format!("check `{}` returned rows: {rows}", check.name())));
        results.record(if check.is_warning() { Severity::Warn } else { Severity::Error }, failure);
        Ok(results)
    }

    /// Returns the table to test: the staged one, or else the published one.
    fn tested_table(&self, table: &Table) -> Table {
        (self.staged_table)(table).unwrap_or_else(|| table.clone())
    }

    /// Returns the first rows of a query that must return no rows, as text. `None` if it returns no rows.
    fn failing_rows(&self, query: &Query) -> Result<Option<String>> {
        let sql = query.redirected(self.staged_table)?;
        self.rows_as_text(&format!("SELECT * FROM ({sql}\n) LIMIT 3"))
    }

    /// Returns the rows of a query as JSON objects, separated by commas. `None` if it returns no rows.
    fn rows_as_text(&self, sql: &str) -> Result<Option<String>> {
        let rows = self.warehouse.query(sql, ())?;
        let shown: Vec<_> = rows.into_iter().map(|row| serde_json::Value::Object(row).to_string()).collect();
        Ok((!shown.is_empty()).then(|| shown.join(", ")))
    }
}

/// Turns an error of the database on the query of a test into a configuration error.
fn on_test(error: Error) -> Error {
    let hint = column_candidates(&error);
    without_suffix(error).with_kind(Kind::Config).maybe_hint(hint)
}

/// Returns the names of the other models that the tests of a model read.
pub(super) fn test_dependencies(graph: &Graph, model: &Model) -> Vec<String> {
    let config = &model.config;
    let names = config.test.iter().map(|test| &test.name).chain(config.drill.iter().map(|drill| &drill.name));
    let read = names.filter_map(|name| graph.config_query(model, name)).flat_map(|query| query.tables().into_keys());
    let read = read.map(|table| table.full_name());
    let referenced = config.column.iter().filter_map(|column| column.references.as_ref()?.rsplit_once('.'));
    let all = read.chain(referenced.map(|(table, _)| table.to_owned()));
    all.filter_map(|name| graph.model(&name)).map(Model::name).collect()
}

/// Splits `schema.table.column` into the table and the column.
fn split_reference(target: &str) -> (Table, String) {
    let (table, column) = target.rsplit_once('.').unwrap_or((target, ""));
    let (schema, name) = table.split_once('.').unwrap_or(("", table));
    (Table::new(schema, name), column.to_owned())
}

/// Finds a column by its name, ignoring ASCII case.
fn find_column<'a>(columns: &'a [ColumnType], name: &str) -> Option<&'a ColumnType> {
    columns.iter().find(|column| column.name.eq_ignore_ascii_case(name))
}

/// Returns the columns of a table from the first catalog that has it.
pub(super) fn find_columns(catalogs: &[&BTreeMap<String, Vec<ColumnType>>], table: &Table) -> Option<Vec<ColumnType>> {
    let name = table.full_name().to_lowercase();
    catalogs.iter().find_map(|catalog| catalog.get(&name)).cloned()
}
