//! Drills: what a mart says of a key and what the rows behind it add up to are the same.

use super::{Outcome, Tester};
use crate::error::{Error, Result};
use crate::marts::config::Severity;
use crate::marts::files::{Model, unknown};
use crate::warehouse::quote;

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
            let shown = crate::warehouse::quote_all(drill.key.iter().map(String::as_str), "mart.");
            let same = drill
                .key
                .iter()
                .map(|name| format!("mart.{name} IS NOT DISTINCT FROM drill.{name}", name = quote(name)));
            let same = same.collect::<Vec<_>>().join(" AND ");
            for (column, aggregate) in &drill.agrees {
                // Where a drill has no rows, the mart may say nothing or zero.
                let name = quote(column);
                let sql = format!(
                    "WITH drill AS (SELECT {keys}, {aggregate} AS _value, true AS _is_there FROM ({rows}\n) GROUP BY {keys}) \
                     SELECT coalesce(mart._is_there, false) AS in_mart, {shown}, mart.{name} AS {}, drill._value AS {} \
                     FROM (SELECT *, true AS _is_there FROM {}) AS mart FULL JOIN drill ON {same} \
                     WHERE mart.{name} IS DISTINCT FROM drill._value \
                     AND NOT (drill._is_there IS NULL AND coalesce(TRY_CAST(mart.{name} AS DOUBLE), 0) = 0) LIMIT 3",
                    quote(column),
                    quote(aggregate),
                    self.at(&model.table),
                );
                let rows = self
                    .shown(&sql)
                    .map_err(|error| on("agrees", Error::config(error.message.replace("__next", ""))))?;
                let place = model.place(&["drill".into(), index.into(), "agrees".into()]);
                let failure = rows.map(|rows| format!("{place}: drill `{}` does not agree: {rows}", drill.name));
                outcome.note(Severity::Error, failure);
            }
        }
        Ok(())
    }
}
