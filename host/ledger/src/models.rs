//! Models: as they were last published, and as a failed build left them staged.

use std::collections::BTreeMap;

use host_core::error::Result;
use host_warehouse::{ColumnType, Table, Warehouse};

use crate::json_text;

/// A model as it was last published.
#[derive(Debug, Clone, Default, serde::Deserialize)]
pub struct PublishedModel {
    /// The kind of model: `table`, `view`, `seed`, `check`, …
    pub kind: Option<String>,
    /// The hash of what it was built from: its own text, its variables, and the versions of the tables that it reads.
    #[serde(default, deserialize_with = "or_default")]
    pub fingerprint: String,
    /// The hash of its own query and configuration, and of those of the views that it reads.
    #[serde(default, deserialize_with = "or_default")]
    pub definition: String,
    /// The hash of its SQL file and its TOML file.
    #[serde(default, deserialize_with = "or_default")]
    pub files: String,
    /// Its columns.
    #[serde(deserialize_with = "json_text::read")]
    pub columns: Vec<ColumnType>,
    /// Its rows; none for views.
    #[serde(rename = "row_count")]
    pub rows: Option<u64>,
    /// When it was built, as DuckDB writes instants.
    pub built_at: Option<String>,
    /// The run that built it.
    #[serde(default, deserialize_with = "or_default")]
    pub load_id: String,
    /// How long it took to build, in seconds.
    pub seconds: Option<f64>,
}

impl PublishedModel {
    /// Whether it is a check, which has no table.
    #[must_use]
    pub fn is_check(&self) -> bool {
        self.kind.as_deref() == Some("check")
    }
}

/// Models by `schema.name`.
pub type PublishedModels = BTreeMap<String, PublishedModel>;

/// How a model is staged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelForm {
    /// A table `name__next`, which replaces the published one.
    Whole,
    /// A view `name__next`, made from the model's own text.
    View,
    /// A table `name__delta` whose rows are added; `name__next` is a view of the result.
    Delta {
        /// SQL that is true of a row of `published` that is replaced.
        replaced: String,
    },
}

/// A staged model.
#[derive(Debug, Clone)]
pub struct StagedModel {
    /// How it is staged.
    pub form: ModelForm,
    /// Its rows; none for views.
    pub rows: Option<u64>,
    /// How long it took to build, in seconds.
    pub seconds: f64,
}

/// The record of the last publication.
#[derive(Debug, Clone, Default, serde::Deserialize)]
pub struct PublicationRecord {
    /// The hash of all files and tables. None if some models were built earlier.
    pub fingerprint: Option<String>,
    /// When it was published, as DuckDB writes instants.
    pub published_at: Option<String>,
    /// Messages of failed tests of severity `warn`.
    #[serde(deserialize_with = "json_text::read")]
    pub warnings: Vec<String>,
}

/// All models as they were last published.
///
/// # Errors
/// Same as [`Warehouse::query_as`].
pub fn published(warehouse: &Warehouse) -> Result<PublishedModels> {
    #[derive(serde::Deserialize)]
    struct NamedModel {
        model_schema: String,
        model: String,
        #[serde(flatten)]
        published: PublishedModel,
    }
    let rows: Vec<NamedModel> = warehouse.query_as("SELECT * FROM _host.model_builds", ())?;
    Ok(rows.into_iter().map(|row| (format!("{}.{}", row.model_schema, row.model), row.published)).collect())
}

/// Records a model as published; runs inside the transaction that publishes it.
///
/// # Errors
/// Same as [`Warehouse::execute`].
pub fn record_published(warehouse: &Warehouse, table: &Table, model: &PublishedModel) -> Result<()> {
    remove_published(warehouse, table)?;
    let PublishedModel { kind, fingerprint, definition, files, columns, rows, built_at, load_id, seconds } = model;
    let sql = "INSERT INTO _host.model_builds BY NAME SELECT ? AS model_schema, ? AS model, ? AS kind, ? AS row_count, \
               ? AS seconds, ? AS load_id, ? AS fingerprint, ? AS definition, ? AS files, ? AS columns, \
               ?::TIMESTAMPTZ AS built_at";
    let names = (&table.schema, &table.name);
    let columns = json_text::write(columns);
    let values = (names.0, names.1, kind, rows, seconds, load_id, fingerprint, definition, files, columns, built_at);
    warehouse.change(sql, values).map(drop)
}

/// Removes the record of a model whose file is gone.
///
/// # Errors
/// Same as [`Warehouse::execute`].
pub fn remove_published(warehouse: &Warehouse, table: &Table) -> Result<()> {
    let sql = "DELETE FROM _host.model_builds WHERE model_schema = ? AND model = ?";
    warehouse.change(sql, [&table.schema, &table.name]).map(drop)
}

/// Records the models that a build is about to stage, so that a retry knows them.
///
/// # Errors
/// Same as [`Warehouse::execute`].
pub fn begin_staging(warehouse: &Warehouse, models: impl Iterator<Item = Table>) -> Result<()> {
    warehouse.transaction(|| {
        for Table { schema, name } in models {
            let sql = "INSERT INTO _host.staged_models (model_schema, model, status) VALUES (?, ?, 'pending')";
            warehouse.change(sql, [&schema, &name])?;
        }
        Ok(())
    })
}

/// Records that a model is staged, with the fingerprint that it was built for.
///
/// # Errors
/// Same as [`Warehouse::execute`].
pub fn record_staged(warehouse: &Warehouse, table: &Table, fingerprint: &str, model: &StagedModel) -> Result<()> {
    let (form, replaced) = match &model.form {
        ModelForm::Whole => ("whole", ""),
        ModelForm::View => ("view", ""),
        ModelForm::Delta { replaced } => ("delta", replaced.as_str()),
    };
    let sql = "DELETE FROM _host.staged_models WHERE model_schema = ? AND model = ?";
    warehouse.change(sql, [&table.schema, &table.name])?;
    let sql = "INSERT INTO _host.staged_models BY NAME SELECT ? AS model_schema, ? AS model, 'built' AS status, \
               ? AS fingerprint, ? AS form, ? AS replaced, ? AS row_count, ? AS seconds";
    let values = (&table.schema, &table.name, fingerprint, form, replaced, model.rows, model.seconds);
    warehouse.change(sql, values).map(drop)
}

/// The models that the last build staged, by `schema.name`, each with its fingerprint. None if it was not built.
///
/// # Errors
/// Same as [`Warehouse::query_as`].
pub fn staged(warehouse: &Warehouse) -> Result<BTreeMap<String, Option<(String, StagedModel)>>> {
    #[derive(serde::Deserialize)]
    struct Staged {
        model_schema: String,
        model: String,
        status: String,
        fingerprint: Option<String>,
        form: Option<String>,
        replaced: Option<String>,
        row_count: Option<u64>,
        seconds: Option<f64>,
    }
    let rows: Vec<Staged> = warehouse.query_as("SELECT * FROM _host.staged_models", ())?;
    let one = |row: Staged| {
        let form = match row.form.as_deref() {
            Some("view") => ModelForm::View,
            Some("delta") => ModelForm::Delta { replaced: row.replaced.unwrap_or_default() },
            _ => ModelForm::Whole,
        };
        let model = StagedModel { form, rows: row.row_count, seconds: row.seconds.unwrap_or_default() };
        let built = (row.status == "built").then(|| (row.fingerprint.unwrap_or_default(), model));
        (format!("{}.{}", row.model_schema, row.model), built)
    };
    Ok(rows.into_iter().map(one).collect())
}

/// Drops all staged models and their records.
///
/// # Errors
/// Same as [`Warehouse::execute`].
pub fn discard_staged(warehouse: &Warehouse) -> Result<()> {
    warehouse.execute("DELETE FROM _host.staged_models")?;
    drop_leftovers(warehouse)
}

/// Drops unfinished tables of earlier runs, except for models that a retry may reuse.
///
/// # Errors
/// Same as [`Warehouse::execute`].
pub fn drop_leftovers(warehouse: &Warehouse) -> Result<()> {
    let staged = staged(warehouse)?;
    let is_kept = |table: &Table| {
        let name = table.full_name();
        ["__next", "__delta"]
            .iter()
            .any(|suffix| name.strip_suffix(suffix).is_some_and(|name| staged.contains_key(name)))
    };
    let leftovers = warehouse.tables_like("__(next(_[0-9]+)?|delta)$")?;
    leftovers.iter().filter(|table| !is_kept(table)).try_for_each(|table| warehouse.drop_table_or_view(table))
}

/// The last publication. Its fields are none if models were never published.
///
/// # Errors
/// Same as [`Warehouse::query_as`].
pub fn last_publication(warehouse: &Warehouse) -> Result<PublicationRecord> {
    let sql = "SELECT fingerprint, published_at, warnings FROM _host.publications";
    Ok(warehouse.query_first(sql, ())?.unwrap_or_default())
}

/// Replaces the record of the last publication, and deletes the records of staged models.
///
/// # Errors
/// Same as [`Warehouse::execute`].
pub fn record_publication(warehouse: &Warehouse, load_id: &str, publication: &PublicationRecord) -> Result<()> {
    warehouse.execute("DELETE FROM _host.staged_models; DELETE FROM _host.publications")?;
    let PublicationRecord { fingerprint, published_at, warnings } = publication;
    let sql = "INSERT INTO _host.publications BY NAME SELECT ? AS fingerprint, ? AS load_id, \
               ?::TIMESTAMPTZ AS published_at, ? AS warnings";
    warehouse.change(sql, (fingerprint, load_id, published_at, json_text::write(warnings))).map(drop)
}

/// Empties the warnings of the last publication if a condition is true. `condition` returns the SQL for a column.
///
/// # Errors
/// Same as [`Warehouse::execute`].
pub fn redact(warehouse: &Warehouse, condition: &dyn Fn(&str) -> String) -> Result<()> {
    warehouse.execute(&format!("UPDATE _host.publications SET warnings = '[]' WHERE {}", condition("warnings")))
}

/// NULL as the default of a type.
fn or_default<'de, T: Default + serde::Deserialize<'de>, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(<Option<T> as serde::Deserialize>::deserialize(deserializer)?.unwrap_or_default())
}
