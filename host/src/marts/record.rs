//! What the host remembers of models: as they were last published, and what a failed build left aside.

use std::collections::BTreeMap;

use super::Graph;
use super::build::{Aside, Form};
use crate::error::Result;
use crate::warehouse::{Named, Row, Table, Warehouse};

/// A model as it was last published.
#[derive(Debug, Clone, Default)]
pub(super) struct Published {
    /// What it was built from: its own text, its variables, and the versions of all that it reads.
    pub(super) fingerprint: String,
    /// Its own query and configuration, and those of the views that it reads.
    pub(super) definition: String,
    /// Its file and the one beside it.
    pub(super) files: String,
    /// Its columns.
    pub(super) columns: Vec<Named>,
    /// Its rows; none for views.
    pub(super) rows: Option<u64>,
    /// When it was built.
    pub(super) built_at: Option<String>,
    /// The run that built it.
    pub(super) load_id: String,
    /// Whether it was a check, which has no table.
    pub(super) is_check: bool,
}

/// By `schema.name`.
pub(super) type AllPublished = BTreeMap<String, Published>;

fn text(row: &Row, key: &str) -> String {
    row.get(key).and_then(|value| value.as_str()).unwrap_or_default().to_owned()
}

fn number(row: &Row, key: &str) -> Option<u64> {
    row.get(key).and_then(serde_json::Value::as_u64)
}

/// All models as they were last published.
pub(super) fn published(warehouse: &Warehouse) -> Result<AllPublished> {
    let rows = warehouse.query("SELECT * FROM _host.model_builds", &[])?;
    let one = |row: &Row| {
        let published = Published {
            fingerprint: text(row, "fingerprint"),
            definition: text(row, "definition"),
            files: text(row, "files"),
            columns: serde_json::from_str(&text(row, "columns")).unwrap_or_default(),
            rows: number(row, "row_count"),
            built_at: row.get("built_at").and_then(|at| at.as_str()).map(str::to_owned),
            load_id: text(row, "load_id"),
            is_check: text(row, "kind") == "check",
        };
        (format!("{}.{}", text(row, "model_schema"), text(row, "model")), published)
    };
    Ok(rows.iter().map(one).collect())
}

/// Replaces what is remembered of a model; runs inside the transaction that publishes it.
pub(super) fn write(
    warehouse: &Warehouse,
    table: &Table,
    kind: &str,
    published: &Published,
    seconds: f64,
) -> Result<()> {
    let names = [table.schema.as_str(), table.name.as_str()];
    warehouse.change("DELETE FROM _host.model_builds WHERE model_schema = ? AND model = ?", &names)?;
    let sql = "INSERT INTO _host.model_builds BY NAME SELECT ? AS model_schema, ? AS model, ? AS kind, \
               nullif(?, '')::BIGINT AS row_count, ?::DOUBLE AS seconds, ? AS load_id, ? AS fingerprint, \
               ? AS definition, ? AS files, ? AS columns, nullif(?, '')::TIMESTAMPTZ AS built_at";
    let rows = published.rows.map(|rows| rows.to_string()).unwrap_or_default();
    let columns = serde_json::json!(published.columns).to_string();
    let Published { fingerprint, definition, files, load_id, built_at, .. } = published;
    let built_at = built_at.clone().unwrap_or_default();
    let seconds = seconds.to_string();
    let values =
        [names[0], names[1], kind, &rows, &seconds, load_id, fingerprint, definition, files, &columns, &built_at];
    warehouse.change(sql, &values).map(drop)
}

/// Forgets models whose files are gone.
pub(super) fn forget(warehouse: &Warehouse, table: &Table) -> Result<()> {
    let names = [table.schema.as_str(), table.name.as_str()];
    warehouse.change("DELETE FROM _host.model_builds WHERE model_schema = ? AND model = ?", &names).map(drop)
}

/// Notes the models that a build is about to make, so that a retry knows which they were.
pub(super) fn begin_aside(warehouse: &Warehouse, names: impl Iterator<Item = Table>) -> Result<()> {
    warehouse.transaction(|| {
        for Table { schema, name } in names {
            let sql = "INSERT INTO _host.models_aside (model_schema, model, status) VALUES (?, ?, 'pending')";
            warehouse.change(sql, &[&schema, &name])?;
        }
        Ok(())
    })
}

/// Notes that a model stands aside as it should be published.
pub(super) fn write_aside(warehouse: &Warehouse, table: &Table, fingerprint: &str, aside: &Aside) -> Result<()> {
    let (form, replaced) = match &aside.form {
        Form::Whole => ("whole", ""),
        Form::View => ("view", ""),
        Form::Delta { replaced } => ("delta", replaced.as_str()),
    };
    let rows = aside.rows.map(|rows| rows.to_string()).unwrap_or_default();
    let seconds = aside.seconds.to_string();
    let names = [table.schema.as_str(), table.name.as_str()];
    warehouse.change("DELETE FROM _host.models_aside WHERE model_schema = ? AND model = ?", &names)?;
    let sql = "INSERT INTO _host.models_aside BY NAME SELECT ? AS model_schema, ? AS model, 'built' AS status, \
               ? AS fingerprint, ? AS form, ? AS replaced, nullif(?, '')::BIGINT AS row_count, ?::DOUBLE AS seconds";
    warehouse.change(sql, &[names[0], names[1], fingerprint, form, replaced, &rows, &seconds]).map(drop)
}

/// What the last build left aside: by name, with its fingerprint where it was built.
pub(super) fn aside(warehouse: &Warehouse, graph: &Graph) -> Result<BTreeMap<String, Option<(String, Aside)>>> {
    let rows = warehouse.query("SELECT * FROM _host.models_aside", &[])?;
    let one = |row: &Row| {
        let name = format!("{}.{}", text(row, "model_schema"), text(row, "model"));
        let form = match text(row, "form").as_str() {
            "view" => Form::View,
            "delta" => Form::Delta { replaced: text(row, "replaced") },
            _ => Form::Whole,
        };
        let seconds = row.get("seconds").and_then(serde_json::Value::as_f64).unwrap_or_default();
        let aside = Aside { form, rows: number(row, "row_count"), seconds };
        let is_built = text(row, "status") == "built";
        (name, is_built.then(|| (text(row, "fingerprint"), aside)))
    };
    Ok(rows.iter().map(one).filter(|(name, _)| graph.model(name).is_some()).collect())
}

/// Drops all that stands aside, and the memory of it.
pub(super) fn clear_aside(warehouse: &Warehouse) -> Result<()> {
    warehouse.execute("DELETE FROM _host.models_aside")?;
    warehouse.drop_leftovers()
}
