//! Drills: what a mart says of a key and what the rows behind it add up to are the same.

use serde_json::Value;

use super::{Outcome, Tester};
use crate::error::{Error, Result};
use crate::marts::config::Severity;
use crate::marts::files::{Model, unknown};
use crate::warehouse::{Row, quote};

impl Tester<'_> {
    pub(super) fn drills_of(&self, model: &Model, outcome: &mut Outcome) -> Result<()> {
        for (index, drill) in model.config.drill.iter().enumerate() {
            let on = |key: &str, error: Error| {
                let place = model.place(&["drill".into(), index.into(), key.into()]);
                error.on(format!("{place}: drill `{}`", drill.name))
            };
            let columns = (self.columns)(&model.table).unwrap_or_default();
            let names: Vec<_> = columns.iter().map(|column| column.name.as_str()).collect();
            for (key, name) in
                drill.key.iter().map(|name| ("key", name)).chain(drill.agrees.keys().map(|name| ("agrees", name)))
            {
                if super::find(&columns, name).is_none() {
                    return Err(on(key, unknown("column", name, &names)));
                }
            }
            let Some(query) = self.graph.query_beside(model, &drill.name) else { continue };
            let rows = query.redirected(self.elsewhere)?;
            let keys = crate::warehouse::quote_all(drill.key.iter().map(String::as_str), "");
            let shown = drill
                .key
                .iter()
                .map(|name| format!("coalesce(mart.{name}, drill.{name}) AS {name}", name = quote(name)));
            let shown = shown.collect::<Vec<_>>().join(", ");
            let same = drill
                .key
                .iter()
                .map(|name| format!("mart.{name} IS NOT DISTINCT FROM drill.{name}", name = quote(name)));
            let same = same.collect::<Vec<_>>().join(" AND ");
            if drill.agrees.is_empty() {
                continue;
            }
            // Where a drill has no rows, the mart may say nothing or zero.
            let differs: Vec<_> = drill
                .agrees
                .keys()
                .enumerate()
                .map(|(at, column)| {
                    let name = format!("mart.{}", quote(column));
                    format!(
                        "({name} IS DISTINCT FROM drill._{at} \
                     AND NOT (drill._is_there IS NULL AND coalesce(TRY_CAST({name} AS DOUBLE), 0) = 0))"
                    )
                })
                .collect();
            let each = |of: &dyn Fn(usize, &str, &str) -> String| -> String {
                drill.agrees.iter().enumerate().map(|(at, (column, aggregate))| of(at, column, aggregate)).collect()
            };
            // A few rows of each pattern of what differs: so every column that does has its examples.
            let sql = format!(
                "WITH drill AS (SELECT {keys}{}, true AS _is_there FROM ({rows}\n) GROUP BY {keys}) \
                 SELECT coalesce(mart._is_there, false) AS in_mart, {shown}{} \
                 FROM (SELECT *, true AS _is_there FROM {}) AS mart FULL JOIN drill ON {same} WHERE {} \
                 QUALIFY row_number() OVER (PARTITION BY {}) <= 3",
                each(&|at, _, aggregate| format!(", {aggregate} AS _{at}")),
                each(&|at, column, _| {
                    format!(
                        ", mart.{} AS _mart{at}, drill._{at} AS _rows{at}, {} AS _differs{at}",
                        quote(column),
                        differs[at]
                    )
                }),
                self.at(&model.table),
                differs.join(" OR "),
                differs.join(", "),
            );
            let found = self.warehouse.query(&sql, &[]);
            let found = found.map_err(|error| on("agrees", Error::config(error.message.replace("__next", ""))))?;
            let place = model.place(&["drill".into(), index.into(), "agrees".into()]);
            for (at, (column, aggregate)) in drill.agrees.iter().enumerate() {
                let is_it = |row: &&Row| row.get(&format!("_differs{at}")) == Some(&Value::Bool(true));
                let shown = found.iter().filter(is_it).take(3).map(|row| {
                    let mut shown: Row = row
                        .iter()
                        .filter(|(name, _)| !name.starts_with('_'))
                        .map(|(name, value)| (name.clone(), value.clone()))
                        .collect();
                    for (name, value) in [(column, "_mart"), (aggregate, "_rows")] {
                        shown.insert(name.clone(), row.get(&format!("{value}{at}")).cloned().unwrap_or_default());
                    }
                    Value::Object(shown).to_string()
                });
                let shown: Vec<_> = shown.collect();
                let failure = (!shown.is_empty())
                    .then(|| format!("{place}: drill `{}` does not agree: {}", drill.name, shown.join(", ")));
                outcome.note(Severity::Error, failure);
            }
        }
        Ok(())
    }
}
