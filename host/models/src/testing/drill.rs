//! Tests drills: the figures of a mart must equal the aggregates of the drill's rows for each key.

use host_core::error::{Error, Kind, Result, unknown};
use host_warehouse::{Row, quote, quote_all};
use serde_json::Value;

use super::{TestResults, Tester};
use crate::build::without_suffix;
use crate::config::Severity;
use crate::files::Model;

impl Tester<'_> {
    /// Tests every drill of a model.
    pub(super) fn test_drills(&self, model: &Model, results: &mut TestResults) -> Result<()> {
        for (index, drill) in model.config.drill.iter().enumerate() {
            let on = |key: &str, error: Error| {
                let place = model.place(&["drill".into(), index.into(), key.into()]);
                error.on(format!("drill `{}`", drill.name)).at(&place)
            };
            let columns = (self.columns)(&model.table).unwrap_or_default();
            let names: Vec<_> = columns.iter().map(|column| column.name.as_str()).collect();
            for (key, name) in
                drill.key.iter().map(|name| ("key", name)).chain(drill.agrees.keys().map(|name| ("agrees", name)))
            {
                if super::find_column(&columns, name).is_none() {
                    return Err(on(key, unknown("column", name, names.iter().copied())));
                }
            }
            let Some(query) = self.graph.config_query(model, &drill.name) else { continue };
            let rows = query.redirected(self.staged_table)?;
            let keys = quote_all(drill.key.iter().map(String::as_str), "");
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
            // For a key without rows in the drill, the figure of the mart may be NULL or zero.
            let differs: Vec<_> = drill
                .agrees
                .keys()
                .enumerate()
                .map(|(at, column)| {
                    let name = format!("mart.{}", quote(column));
                    format!(
                        "({name} IS DISTINCT FROM drill._host_{at} \
                     AND NOT (drill._host_exists IS NULL AND coalesce(TRY_CAST({name} AS DOUBLE), 0) = 0))"
                    )
                })
                .collect();
            let each = |part: &dyn Fn(usize, &str, &str) -> String| -> String {
                drill.agrees.iter().enumerate().map(|(at, (column, aggregate))| part(at, column, aggregate)).collect()
            };
            // A few rows for each combination of differing columns, so that every differing column has examples.
            let sql = format!(
                "WITH drill AS (SELECT {keys}{}, true AS _host_exists FROM ({rows}\n) GROUP BY {keys}) \
                 SELECT coalesce(mart._host_exists, false) AS in_mart, {shown}{} \
                 FROM (SELECT *, true AS _host_exists FROM {}) AS mart FULL JOIN drill ON {same} WHERE {} \
                 QUALIFY row_number() OVER (PARTITION BY {}) <= 3",
                each(&|at, _, aggregate| format!(", {aggregate} AS _host_{at}")),
                each(&|at, column, _| {
                    format!(
                        ", mart.{} AS _host_mart{at}, drill._host_{at} AS _host_rows{at}, {} AS _host_differs{at}",
                        quote(column),
                        differs[at]
                    )
                }),
                self.tested_table(&model.table),
                differs.join(" OR "),
                differs.join(", "),
            );
            let found = self.warehouse.query(&sql, ());
            let found = found.map_err(|error| on("agrees", without_suffix(error).with_kind(Kind::Config)))?;
            let place = model.place(&["drill".into(), index.into(), "agrees".into()]);
            for (at, (column, aggregate)) in drill.agrees.iter().enumerate() {
                let is_different = |row: &&Row| row.get(&format!("_host_differs{at}")) == Some(&Value::Bool(true));
                let shown = found.iter().filter(is_different).take(3).map(|row| {
                    let mut shown: Row = row
                        .iter()
                        .filter(|(name, _)| !name.starts_with("_host_"))
                        .map(|(name, value)| (name.clone(), value.clone()))
                        .collect();
                    for (name, value) in [(column, "_host_mart"), (aggregate, "_host_rows")] {
                        shown.insert(name.clone(), row.get(&format!("{value}{at}")).cloned().unwrap_or_default());
                    }
                    Value::Object(shown).to_string()
                });
                let shown: Vec<_> = shown.collect();
                let failure = (!shown.is_empty()).then(|| {
                    (place.clone(), format!("drill `{}` does not match its mart: {}", drill.name, shown.join(", ")))
                });
                results.record(Severity::Error, failure);
            }
        }
        Ok(())
    }
}
