//! Unit tests: a model's query, as it stands in its file, on fixture rows in the database of empty tables.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Outcome, find};
use crate::error::{Error, Result};
use crate::marts::Graph;
use crate::marts::build::on_model;
use crate::marts::config::{Severity, UnitTest};
use crate::marts::files::{Model, unknown};
use crate::marts::graph::same;
use crate::marts::shadow::{Shadow, set_variables};
use crate::warehouse::{Named, Table, Warehouse, literal, quote};

/// Runs the unit tests of models.
pub(in crate::marts) fn unit_tests<'a>(
    graph: &Graph,
    models: impl Iterator<Item = &'a Model>,
    shadow: &Shadow,
    variables: &BTreeMap<String, String>,
) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut problems = Vec::new();
    for model in models {
        for (index, test) in model.config.unit_test.iter().enumerate() {
            let place = model.place(&["unit_test".into(), index.into(), "name".into()]);
            let case = Case { graph, model, test, warehouse: &shadow.warehouse, columns: &shadow.columns };
            // Its rows are there for it alone.
            shadow.warehouse.execute("BEGIN")?;
            let ran = case.run(variables);
            shadow.warehouse.execute("ROLLBACK")?;
            let on = |what: &str| format!("{place}: unit test `{}` of `{}`{what}", test.name, model.name());
            match ran {
                Ok(None) => outcome.passed += 1,
                Ok(Some(difference)) => outcome.note(Severity::Error, Some(on(&format!(" fails: {difference}")))),
                Err(error) => problems.push(error.on(on(""))),
            }
        }
    }
    Error::all(problems).map_or(Ok(outcome), Err)
}

/// A row of a fixture.
type Fixed = serde_json::Map<String, Value>;

struct Case<'a> {
    graph: &'a Graph,
    model: &'a Model,
    test: &'a UnitTest,
    warehouse: &'a Warehouse,
    columns: &'a BTreeMap<String, Vec<Named>>,
}

impl Case<'_> {
    /// What is not as expected.
    fn run(&self, variables: &BTreeMap<String, String>) -> Result<Option<String>> {
        let mut variables = variables.clone();
        variables.extend(self.test.variables.clone());
        set_variables(self.warehouse, "variables", &variables)?;
        for (name, rows) in &self.test.given {
            let (table, columns) = self.input(name)?;
            for (at, row) in rows.iter().enumerate() {
                let on = |error: Error| error.on(format!("row {} of `{name}`", at + 1));
                self.insert(&table, &columns, row).map_err(on)?;
            }
        }
        let text = if self.model.kind == crate::marts::Materialized::Seed {
            return Err(Error::config("a seed has no query to test"));
        } else {
            &self.model.text
        };
        let make = format!("CREATE TEMP TABLE actual AS SELECT row_number() OVER () AS _row, * FROM ({text}\n)");
        self.warehouse.execute(&make).map_err(|error| on_model(self.model, error))?;
        let columns = self.warehouse.describe("FROM temp.actual")?;
        let columns: Vec<_> = columns.into_iter().filter(|column| column.name != "_row").collect();
        let mut wanted = Vec::new();
        let expected = self.expected();
        for (at, row) in expected.iter().enumerate() {
            wanted.push(self.matching(&columns, row).map_err(|error| error.on(format!("row {} of `expect`", at + 1)))?);
        }
        let count = self.warehouse.value("SELECT count(*) FROM temp.actual", &[])?;
        let count = count.and_then(|count| count.parse().ok()).unwrap_or(0);
        let unmatched = unmatched(&wanted);
        if unmatched.is_none() && count == wanted.len() {
            return Ok(None);
        }
        self.difference(&columns, unmatched.and_then(|at| expected.get(at)), count).map(Some)
    }

    /// The rows that must come, each with all columns that one of them names: what a row leaves out is NULL, as in fixtures.
    fn expected(&self) -> Vec<Fixed> {
        let rows = &self.test.expect;
        let named: BTreeSet<_> = rows.iter().flat_map(|row| row.keys()).map(|name| name.to_lowercase()).collect();
        let whole = |row: &Fixed| {
            let is_there = |name: &&String| row.keys().any(|key| key.eq_ignore_ascii_case(name));
            let absent = named.iter().filter(|name| !is_there(name)).map(|name| (name.clone(), Value::Null));
            row.clone().into_iter().chain(absent).collect()
        };
        rows.iter().map(whole).collect()
    }

    /// The table that a fixture is for.
    fn input(&self, name: &str) -> Result<(Table, Vec<Named>)> {
        let tables = self.graph.query(&self.model.name()).map(|query| query.tables()).unwrap_or_default();
        let Some((table, _)) = tables.iter().find(|(table, _)| same(table, name)) else {
            let names: Vec<_> = tables.keys().map(|table| format!("{}.{}", table.schema, table.name)).collect();
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            return Err(unknown("table that the model reads is", name, &names));
        };
        Ok((table.clone(), self.columns.get(&name.to_lowercase()).cloned().unwrap_or_default()))
    }

    fn insert(&self, table: &Table, columns: &[Named], row: &Fixed) -> Result<()> {
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
        self.warehouse.execute(&insert).map_err(first_line)
    }

    fn column<'a>(&self, columns: &'a [Named], name: &str) -> Result<&'a Named> {
        let names: Vec<_> = columns.iter().map(|column| column.name.as_str()).collect();
        find(columns, name).ok_or_else(|| unknown("column", name, &names))
    }

    /// The rows that came and are like an expected one in the columns that any of them names.
    fn matching(&self, columns: &[Named], row: &Fixed) -> Result<Vec<usize>> {
        let mut same = vec!["true".to_owned()];
        for (name, value) in row {
            let column = self.column(columns, name)?;
            let (name, value) = (quote(&column.name), cast(value, column));
            same.push(match column.data_type.as_str() {
                // What was divided may differ in the last digit.
                "DOUBLE" | "FLOAT" => format!(
                    "({name} IS NOT DISTINCT FROM {value} OR abs({name} - {value}) <= 1e-9 * greatest(abs({value}), 1))"
                ),
                _ => format!("{name} IS NOT DISTINCT FROM {value}"),
            });
        }
        let sql = format!("SELECT _row FROM temp.actual WHERE {}", same.join(" AND "));
        let rows = self.warehouse.query(&sql, &[]).map_err(first_line)?;
        Ok(rows.iter().filter_map(|row| usize::try_from(row.get("_row")?.as_u64()?).ok()).collect())
    }

    fn difference(&self, columns: &[Named], missing: Option<&Fixed>, count: usize) -> Result<String> {
        let named = |column: &&Named| {
            self.test.expect.iter().any(|row| row.keys().any(|key| key.eq_ignore_ascii_case(&column.name)))
        };
        let mut shown: Vec<_> = columns.iter().filter(named).map(|column| quote(&column.name)).collect();
        if shown.is_empty() {
            shown = columns.iter().map(|column| quote(&column.name)).collect();
        }
        let rows = self
            .warehouse
            .query(&format!("SELECT {} FROM temp.actual ORDER BY ALL LIMIT 10", shown.join(", ")), &[])?;
        let rows: Vec<_> = rows.into_iter().map(|row| Value::Object(row).to_string()).collect();
        let came = if rows.is_empty() { "no row came".to_owned() } else { format!("there came {}", rows.join(", ")) };
        Ok(match missing {
            Some(row) => format!("no row is {}; {came}", Value::Object(row.clone())),
            None => format!("{} rows were expected, {count} came: {came}", self.test.expect.len()),
        })
    }
}

/// A value of TOML as SQL of a column's type.
fn cast(value: &Value, column: &Named) -> String {
    let text = match value {
        Value::Null => return "NULL".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    format!("CAST({} AS {})", literal(&text), column.data_type)
}

fn first_line(error: Error) -> Error {
    Error::config(error.message.lines().next().unwrap_or_default())
}

/// The first expected row for which no row of its own came: each takes one that no other needs more.
fn unmatched(wanted: &[Vec<usize>]) -> Option<usize> {
    let mut taken: BTreeMap<usize, usize> = BTreeMap::new();
    (0..wanted.len()).find(|at| !take(*at, wanted, &mut taken, &mut Vec::new()))
}

fn take(at: usize, wanted: &[Vec<usize>], taken: &mut BTreeMap<usize, usize>, tried: &mut Vec<usize>) -> bool {
    for row in &wanted[at] {
        if tried.contains(row) {
            continue;
        }
        tried.push(*row);
        let owner = taken.get(row).copied();
        if owner.is_none_or(|owner| take(owner, wanted, taken, tried)) {
            taken.insert(*row, at);
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::unmatched;

    #[test]
    fn each_expected_row_takes_a_row_of_its_own() {
        assert_eq!(unmatched(&[vec![1, 2], vec![1]]), None);
        assert_eq!(unmatched(&[vec![1], vec![1]]), Some(1));
        assert_eq!(unmatched(&[vec![1, 2], vec![1], vec![2]]), Some(2));
        assert_eq!(unmatched(&[vec![], vec![1]]), Some(0));
    }
}
