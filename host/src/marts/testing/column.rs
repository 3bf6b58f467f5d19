//! Column tests: not null, unique, accepted values, references. A table is read once for all but the last.

use super::{Outcome, Tester, referred};
use crate::error::Result;
use crate::marts::build::on_model;
use crate::marts::config::Column;
use crate::marts::files::Model;
use crate::warehouse::{literal, quote};

/// A test of a column: what is wrong with the rows that fail, how many there are, which they are.
struct Rule<'a> {
    index: usize,
    column: &'a Column,
    wrong: String,
    count: String,
    rows: String,
}

impl Tester<'_> {
    pub(super) fn columns_of(&self, model: &Model, outcome: &mut Outcome) -> Result<()> {
        let mut rules = Vec::new();
        for (index, column) in model.config.column.iter().enumerate() {
            rules.extend(self.rules(model, index, column));
        }
        if rules.is_empty() {
            return Ok(());
        }
        let counts: Vec<_> = rules.iter().enumerate().map(|(at, rule)| format!("{} AS n{at}", rule.count)).collect();
        let sql = format!("SELECT {} FROM {} AS tested", counts.join(", "), self.at(&model.table));
        let row = self.warehouse.query(&sql, &[]).map_err(|error| on_model(model, error))?.into_iter().next();
        for (at, rule) in rules.iter().enumerate() {
            let count = row.as_ref().and_then(|row| row.get(&format!("n{at}"))?.as_u64()).unwrap_or_default();
            let failure = if count > 0 { Some(self.failure(model, rule, count)?) } else { None };
            outcome.note(rule.column.severity, failure);
        }
        Ok(())
    }

    fn failure(&self, model: &Model, rule: &Rule<'_>, count: u64) -> Result<String> {
        let place = model.place(&["column".into(), rule.index.into(), "name".into()]);
        let shown = self.shown(&rule.rows)?.unwrap_or_default();
        let what = if count == 1 { "1 row".to_owned() } else { format!("{count} rows") };
        let (model, column) = (model.name(), &rule.column.name);
        Ok(format!("{place}: column `{column}` of `{model}`: {what} {}, such as {shown}", rule.wrong))
    }

    fn rules<'a>(&self, model: &Model, index: usize, column: &'a Column) -> Vec<Rule<'a>> {
        let (name, table) = (quote(&column.name), self.at(&model.table));
        let mut rules = Vec::new();
        let mut add =
            |wrong: String, count: String, rows: String| rules.push(Rule { index, column, wrong, count, rows });
        let of = |is_wrong: &str| {
            let rows = format!("SELECT * FROM {table} AS tested WHERE {is_wrong} LIMIT 2");
            (format!("count(*) FILTER ({is_wrong})"), rows)
        };
        if column.not_null {
            let (count, rows) = of(&format!("{name} IS NULL"));
            add("without a value".to_owned(), count, rows);
        }
        if column.unique {
            let count = format!("count({name}) - count(DISTINCT {name})");
            let rows = format!(
                "SELECT {name}, count(*) AS rows FROM {table} WHERE {name} IS NOT NULL GROUP BY {name} HAVING count(*) > 1 LIMIT 2"
            );
            add("whose value another has".to_owned(), count, rows);
        }
        if !column.accepted_values.is_empty() {
            let values = column
                .accepted_values
                .iter()
                .map(|value| literal(&value.as_str().map_or_else(|| value.to_string(), str::to_owned)));
            let values = values.collect::<Vec<_>>().join(", ");
            let (count, rows) = of(&format!("CAST({name} AS VARCHAR) NOT IN ({values})"));
            add("with a value that is not accepted".to_owned(), count, rows);
        }
        if let Some(target) = &column.references {
            let (other, key) = referred(target);
            let (other, key) = (self.at(&other), quote(&key));
            // A query of its own: as a filter of an aggregate it would be slow.
            let rows = format!(
                "SELECT tested.{name} FROM {table} AS tested ANTI JOIN {other} AS other ON tested.{name} = other.{key} \
                 WHERE tested.{name} IS NOT NULL"
            );
            let count = format!("any_value((SELECT count(*) FROM ({rows})))");
            add(format!("whose value `{target}` does not have"), count, format!("{rows} LIMIT 2"));
        }
        rules
    }
}
