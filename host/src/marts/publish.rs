//! Publishes what was built aside: one transaction of drops, renames and views made from their own text.

use super::files::Materialized;
use super::{BuiltModel, Graph};
use crate::error::Result;
use crate::warehouse::{Table, Warehouse};

/// Makes every `name__next` the model that readers see.
pub(super) fn publish(
    graph: &Graph,
    warehouse: &Warehouse,
    built: &[BuiltModel],
    fingerprint: &str,
    load_id: &str,
) -> Result<()> {
    let gone = gone(graph, warehouse)?;
    warehouse.transaction(|| {
        gone.iter().try_for_each(|table| warehouse.drop_table_or_view(table))?;
        for model in graph.models() {
            let next = model.table.suffixed("__next");
            warehouse.drop_table_or_view(&model.table)?;
            if model.kind == Materialized::View {
                warehouse.execute(&format!("DROP VIEW {next}"))?;
            } else {
                warehouse.rename(&next, &model.table.name)?;
            }
        }
        for model in graph.models().filter(|model| model.kind == Materialized::View) {
            warehouse.execute(&format!("CREATE VIEW {} AS {}", model.table, model.text))?;
        }
        warehouse.execute("DELETE FROM _host.model_builds; DELETE FROM _host.publications")?;
        for (model, built) in graph.models().zip(built) {
            let rows = built.rows.map(|rows| rows.to_string()).unwrap_or_default();
            let kind = format!("{:?}", built.kind).to_lowercase();
            let sql = "INSERT INTO _host.model_builds VALUES (?, ?, ?, nullif(?, '')::BIGINT, ?::DOUBLE, ?)";
            let seconds = built.seconds.to_string();
            warehouse.change(sql, &[&model.table.schema, &model.table.name, &kind, &rows, &seconds, load_id])?;
        }
        warehouse.change("INSERT INTO _host.publications VALUES (?, ?)", &[fingerprint, load_id]).map(drop)
    })
}

/// Models published earlier whose files are gone.
fn gone(graph: &Graph, warehouse: &Warehouse) -> Result<Vec<Table>> {
    let rows = warehouse.query("SELECT model_schema, model FROM _host.model_builds", &[])?;
    let text =
        |row: &crate::warehouse::Row, key: &str| row.get(key).and_then(|v| v.as_str()).unwrap_or_default().to_owned();
    let tables = rows.iter().map(|row| Table::new(text(row, "model_schema"), text(row, "model")));
    Ok(tables.filter(|table| !graph.models().any(|model| model.table == *table)).collect())
}
