//! Tests columns: not null, unique, accepted values, references. All but references are tested in one scan of the
//! table.

use host_core::error::{Error, Place, Result};
use host_warehouse::{literal, quote};

use super::{TestResults, Tester, split_reference};
use crate::build::on_model;
use crate::config::ColumnConfig;
use crate::files::Model;

/// A test of a column.
struct ColumnTest<'a> {
    /// The position of the column in the TOML file.
    index: usize,
    column: &'a ColumnConfig,
    /// The failure, as it continues "3 rows".
    failure: String,
    /// SQL for the number of failing rows.
    count: String,
    /// SQL for some failing rows.
    rows: String,
}

impl Tester<'_> {
    /// Runs the tests of all columns of a model.
    pub(super) fn test_columns(&self, model: &Model, results: &mut TestResults) -> Result<()> {
        let mut tests = Vec::new();
        for (index, column) in model.config.column.iter().enumerate() {
            tests.extend(self.column_tests(model, index, column));
        }
        if tests.is_empty() {
            return Ok(());
        }
        let counts: Vec<_> = tests.iter().enumerate().map(|(at, test)| format!("{} AS n{at}", test.count)).collect();
        let sql = format!("SELECT {} FROM {} AS tested", counts.join(", "), self.tested_table(&model.table));
        let row = self.warehouse.query(&sql, ()).map_err(|error| on_model(model, error))?.into_iter().next();
        for (at, test) in tests.iter().enumerate() {
            let count = row.as_ref().and_then(|row| row.get(&format!("n{at}"))?.as_u64());
            let count = count.ok_or_else(|| Error::internal(format!("no count of a test of `{}`", model.name())))?;
            let failure = if count > 0 { Some(self.failure(model, test, count)?) } else { None };
            results.record(test.column.severity, failure);
        }
        Ok(())
    }

    fn failure(&self, model: &Model, test: &ColumnTest<'_>, count: u64) -> Result<(Place, String)> {
        let place = model.place(&["column".into(), test.index.into(), "name".into()]);
        let shown = self.rows_as_text(&test.rows)?.unwrap_or_default();
        let rows = if count == 1 { "1 row".to_owned() } else { format!("{count} rows") };
        let (model, column) = (model.name(), &test.column.name);
        Ok((place, format!("column `{column}` of `{model}`: {rows} {}, such as {shown}", test.failure)))
    }

    fn column_tests<'a>(&self, model: &Model, index: usize, column: &'a ColumnConfig) -> Vec<ColumnTest<'a>> {
        let (name, table) = (quote(&column.name), self.tested_table(&model.table));
        let mut tests = Vec::new();
        let mut add = |failure: &str, count: String, rows: String| {
            tests.push(ColumnTest { index, column, failure: failure.to_owned(), count, rows });
        };
        let queries = |is_failing: &str| {
            let rows = format!("SELECT * FROM {table} AS tested WHERE {is_failing} LIMIT 2");
            (format!("count(*) FILTER ({is_failing})"), rows)
        };
        if column.not_null {
            let (count, rows) = queries(&format!("{name} IS NULL"));
            add("without a value", count, rows);
        }
        if column.unique {
            let count = format!("count({name}) - count(DISTINCT {name})");
            let rows = format!(
                "SELECT {name}, count(*) AS rows FROM {table} WHERE {name} IS NOT NULL GROUP BY {name} HAVING count(*) > 1 LIMIT 2"
            );
            add("with a value that is not unique", count, rows);
        }
        if !column.accepted_values.is_empty() {
            let values = column
                .accepted_values
                .iter()
                .map(|value| literal(&value.as_str().map_or_else(|| value.to_string(), str::to_owned)));
            let values = values.collect::<Vec<_>>().join(", ");
            let (count, rows) = queries(&format!("CAST({name} AS VARCHAR) NOT IN ({values})"));
            add("with a value that is not accepted", count, rows);
        }
        if let Some(target) = &column.references {
            let (other, key) = split_reference(target);
            let (other, key) = (self.tested_table(&other), quote(&key));
            // A separate subquery, because it is slow as a filter of an aggregate.
            let rows = format!(
                "SELECT tested.{name} FROM {table} AS tested ANTI JOIN {other} AS other ON tested.{name} = other.{key} \
                 WHERE tested.{name} IS NOT NULL"
            );
            let count = format!("coalesce(any_value((SELECT count(*) FROM ({rows}))), 0)");
            add(&format!("with a value that is not in `{target}`"), count, format!("{rows} LIMIT 2"));
        }
        tests
    }
}
