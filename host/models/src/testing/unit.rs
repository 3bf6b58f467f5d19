//! Runs unit tests: the query of a model on fixture rows, in the database of empty tables.

use std::collections::{BTreeMap, BTreeSet};

use host_core::error::{Error, Kind, Result, unknown};
use host_ledger::loads;
use host_ledger::variables::{published_table, write};
use host_warehouse::{ColumnType, QUERY_TIME, Row, Table, Warehouse, literal, quote};
use serde_json::Value;

use super::{TestResults, find_column};
use crate::Graph;
use crate::build::on_model;
use crate::config::{Severity, UnitTestConfig};
use crate::files::{Model, ModelKind};
use crate::graph::is_named;
use crate::shadow::Shadow;

/// Runs the unit tests of models. Returns all tests that cannot run as one error.
pub(crate) fn unit_tests<'a>(
    graph: &Graph,
    models: impl Iterator<Item = &'a Model>,
    shadow: &Shadow,
    variables: &BTreeMap<String, String>,
) -> Result<TestResults> {
    let mut results = TestResults::default();
    let mut problems = Vec::new();
    for model in models {
        for (index, test) in model.config.unit_test.iter().enumerate() {
            let place = model.place(&["unit_test".into(), index.into(), "name".into()]);
            let run = UnitTestRun { graph, model, test, warehouse: &shadow.warehouse, columns: &shadow.columns };
            // The rollback removes the fixture rows before the next test.
            shadow.warehouse.execute("BEGIN")?;
            let difference = shadow.warehouse.bounded(Some(QUERY_TIME), || run.difference(variables));
            shadow.warehouse.execute("ROLLBACK")?;
            let name = format!("unit test `{}` of `{}`", test.name, model.name());
            match difference {
                Ok(None) => results.passed += 1,
                Ok(Some(difference)) => {
                    results.record(Severity::Error, Some((place, format!("{name} failed: {difference}"))));
                }
                Err(error) => problems.push(error.on(name).at(&place)),
            }
        }
    }
    Error::check(problems).map(|()| results)
}

/// One unit test and the database in which it runs.
struct UnitTestRun<'a> {
    graph: &'a Graph,
    model: &'a Model,
    test: &'a UnitTestConfig,
    warehouse: &'a Warehouse,
    columns: &'a BTreeMap<String, Vec<ColumnType>>,
}

impl UnitTestRun<'_> {
    /// Runs the test. Returns how the result differs from the expected rows, or `None` if it does not.
    fn difference(&self, variables: &BTreeMap<String, String>) -> Result<Option<String>> {
        let mut variables = variables.clone();
        // The result of a test does not depend on the day of the last load.
        variables.retain(|name, _| !name.starts_with(loads::DAY_VARIABLE));
        variables.extend(self.test.variables.clone());
        write(self.warehouse, &published_table(), &variables)?;
        for (name, rows) in &self.test.given {
            let (table, columns) = self.input(name)?;
            for (at, row) in rows.iter().enumerate() {
                let on = |error: Error| error.on(format!("row {} of `{name}`", at + 1));
                self.insert(&table, &columns, row).map_err(on)?;
            }
        }
        if self.model.kind == ModelKind::Seed {
            return Err(Error::config("a seed has no query to test"));
        }
        let create = format!(
            "CREATE TEMP TABLE actual AS SELECT row_number() OVER () AS _host_row, * FROM ({}\n)",
            self.model.text
        );
        self.warehouse.execute(&create).map_err(|error| on_model(self.model, error))?;
        let columns = self.warehouse.describe("FROM temp.actual")?;
        let columns: Vec<_> = columns.into_iter().filter(|column| column.name != "_host_row").collect();
        let mut candidates = Vec::new();
        let expected = self.expected();
        for (at, row) in expected.iter().enumerate() {
            let on = |error: Error| error.on(format!("row {} of `expect`", at + 1));
            candidates.push(self.matching_rows(&columns, row).map_err(on)?);
        }
        let count = self.warehouse.count("SELECT count(*) FROM temp.actual", ())? as usize;
        let unmatched = first_unmatched(&candidates);
        if unmatched.is_none() && count == candidates.len() {
            return Ok(None);
        }
        self.describe_difference(&columns, unmatched.and_then(|at| expected.get(at)), count).map(Some)
    }

    /// Returns the expected rows, each with all columns that any of them names. An omitted column is NULL, as in
    /// fixtures.
    fn expected(&self) -> Vec<Row> {
        let rows = &self.test.expect;
        let named: BTreeSet<_> = rows.iter().flat_map(|row| row.keys()).map(|name| name.to_lowercase()).collect();
        let complete = |row: &Row| {
            let has_column = |name: &&String| row.keys().any(|key| key.eq_ignore_ascii_case(name));
            let absent = named.iter().filter(|name| !has_column(name)).map(|name| (name.clone(), Value::Null));
            row.clone().into_iter().chain(absent).collect()
        };
        rows.iter().map(complete).collect()
    }

    /// Returns the table of a fixture and its columns.
    fn input(&self, name: &str) -> Result<(Table, Vec<ColumnType>)> {
        let tables = self.graph.query(&self.model.name()).map(|query| query.tables()).unwrap_or_default();
        let Some((table, _)) = tables.iter().find(|(table, _)| is_named(table, name)) else {
            let names: Vec<_> = tables.keys().map(Table::full_name).collect();
            return Err(unknown("table", name, names.iter().map(String::as_str)).on("the model does not read it"));
        };
        Ok((table.clone(), self.columns.get(&name.to_lowercase()).cloned().unwrap_or_default()))
    }

    /// Inserts a fixture row. Omitted columns are NULL.
    fn insert(&self, table: &Table, columns: &[ColumnType], row: &Row) -> Result<()> {
        let (mut names, mut values) = (Vec::new(), Vec::new());
        for (name, value) in row {
            let column = self.column(columns, name)?;
            names.push(quote(&column.name));
            values.push(cast(value, column));
        }
        if names.is_empty() {
            return self
                .warehouse
                .execute(&format!("INSERT INTO {table} SELECT {}", vec!["NULL"; columns.len()].join(", ")));
        }
        let insert = format!("INSERT INTO {table} ({}) VALUES ({})", names.join(", "), values.join(", "));
        self.warehouse.execute(&insert).map_err(on_fixture)
    }

    /// Returns the column with a name, ignoring ASCII case.
    fn column<'a>(&self, columns: &'a [ColumnType], name: &str) -> Result<&'a ColumnType> {
        let names: Vec<_> = columns.iter().map(|column| column.name.as_str()).collect();
        find_column(columns, name).ok_or_else(|| unknown("column", name, names.iter().copied()))
    }

    /// Returns the numbers of the result rows that equal an expected row in its columns.
    fn matching_rows(&self, columns: &[ColumnType], row: &Row) -> Result<Vec<usize>> {
        let mut conditions = vec!["true".to_owned()];
        for (name, value) in row {
            let column = self.column(columns, name)?;
            let (name, value) = (quote(&column.name), cast(value, column));
            conditions.push(match column.data_type.as_str() {
                // The result of a division may differ in its last digits.
                "DOUBLE" | "FLOAT" => format!(
                    "({name} IS NOT DISTINCT FROM {value} OR abs({name} - {value}) <= 1e-9 * greatest(abs({value}), 1))"
                ),
                _ => format!("{name} IS NOT DISTINCT FROM {value}"),
            });
        }
        let sql = format!("SELECT _host_row FROM temp.actual WHERE {}", conditions.join(" AND "));
        self.warehouse.values(&sql, ()).map_err(on_fixture)
    }

    /// Describes how the result differs: an expected row without a match, or the number of rows.
    fn describe_difference(&self, columns: &[ColumnType], missing: Option<&Row>, count: usize) -> Result<String> {
        let named = |column: &&ColumnType| {
            self.test.expect.iter().any(|row| row.keys().any(|key| key.eq_ignore_ascii_case(&column.name)))
        };
        let mut shown: Vec<_> = columns.iter().filter(named).map(|column| quote(&column.name)).collect();
        if shown.is_empty() {
            shown = columns.iter().map(|column| quote(&column.name)).collect();
        }
        let rows =
            self.warehouse.query(&format!("SELECT {} FROM temp.actual ORDER BY ALL LIMIT 10", shown.join(", ")), ())?;
        let rows: Vec<_> = rows.into_iter().map(|row| Value::Object(row).to_string()).collect();
        let actual =
            if rows.is_empty() { "it returned no rows".to_owned() } else { format!("it returned {}", rows.join(", ")) };
        Ok(match missing {
            Some(row) => format!("expected {}; {actual}", Value::Object(row.clone())),
            None => format!("expected {} rows, found {count}: {actual}", self.test.expect.len()),
        })
    }
}

/// Returns SQL for a value of a TOML file, cast to the type of a column.
fn cast(value: &Value, column: &ColumnType) -> String {
    let text = match value {
        Value::Null => return "NULL".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    format!("CAST({} AS {})", literal(&text), column.data_type)
}

/// Turns an error of the database on a fixture into a configuration error.
fn on_fixture(error: Error) -> Error {
    if error.kind == Kind::Internal { error.with_kind(Kind::Config) } else { error }
}

/// Returns the first expected row that cannot be matched with a result row of its own. `candidates` has the matching
/// result rows of each expected row. This is a maximum bipartite matching by augmenting paths.
fn first_unmatched(candidates: &[Vec<usize>]) -> Option<usize> {
    let mut matched: BTreeMap<usize, usize> = BTreeMap::new();
    (0..candidates.len()).find(|expected| !match_row(*expected, candidates, &mut matched, &mut Vec::new()))
}

/// Matches an expected row, if necessary by moving expected rows that are already matched. `matched` has the expected
/// row of each matched result row.
fn match_row(
    expected: usize,
    candidates: &[Vec<usize>],
    matched: &mut BTreeMap<usize, usize>,
    visited: &mut Vec<usize>,
) -> bool {
    for row in &candidates[expected] {
        if visited.contains(row) {
            continue;
        }
        visited.push(*row);
        let other = matched.get(row).copied();
        if other.is_none_or(|other| match_row(other, candidates, matched, visited)) {
            matched.insert(*row, expected);
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::first_unmatched;

    #[test]
    fn each_expected_row_matches_a_different_row() {
        assert_eq!(first_unmatched(&[vec![1, 2], vec![1]]), None);
        assert_eq!(first_unmatched(&[vec![1], vec![1]]), Some(1));
        assert_eq!(first_unmatched(&[vec![1, 2], vec![1], vec![2]]), Some(2));
        assert_eq!(first_unmatched(&[vec![], vec![1]]), Some(0));
    }
}
