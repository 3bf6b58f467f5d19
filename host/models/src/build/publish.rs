//! Publishes staged models in one transaction. It renames tables, applies deltas, and creates views from their text.

use std::collections::BTreeMap;

use host_core::error::Result;
use host_core::kill_point;
use host_ledger::models::{self, ModelForm, PublishedModel};
use host_ledger::{erasures, variables};
use host_warehouse::Table;

use super::builder::ModelBuilder;
use super::incremental;
use crate::files::{Model, ModelKind};

/// What a publication records, besides the staged models.
pub(crate) struct PublicationDetails<'a> {
    /// The pipeline's variables.
    pub(crate) variables: &'a BTreeMap<String, String>,
    /// The models and checks that passed their tests without being built.
    pub(crate) retested: Vec<&'a Model>,
    /// The hash of all files and tables. `None` if some models are not current.
    pub(crate) fingerprint: Option<String>,
    /// The id of the run.
    pub(crate) load_id: &'a str,
    /// The failed tests of severity `warn`.
    pub(crate) warnings: &'a [String],
}

/// Replaces the published models with the staged ones.
pub(crate) fn publish(builder: &ModelBuilder<'_>, details: &PublicationDetails<'_>) -> Result<()> {
    let (warehouse, load_id) = (builder.warehouse, details.load_id);
    let removed = removed_models(builder);
    let built: Vec<_> =
        builder.graph.models().filter_map(|model| Some((model, builder.staged.get(&model.name())?))).collect();
    kill_point("publish.start");
    warehouse.transaction(|| {
        for (table, is_check) in &removed {
            if !is_check {
                warehouse.drop_table_or_view(table)?;
            }
            models::remove_published(warehouse, table)?;
        }
        for (model, staged) in &built {
            let (table, next) = (&model.table, model.table.suffixed("__next"));
            match &staged.form {
                ModelForm::Whole => {
                    warehouse.drop_table_or_view(table)?;
                    warehouse.rename(&next, &table.name)?;
                }
                ModelForm::View => {
                    warehouse.drop_table_or_view(table)?;
                    warehouse.execute(&format!("DROP VIEW {next}"))?;
                }
                ModelForm::Delta { replaced } => {
                    let delta = table.suffixed("__delta");
                    warehouse.execute(&format!("DROP VIEW {next}"))?;
                    incremental::apply(warehouse, table, &delta, replaced)?;
                    warehouse.execute(&format!("DROP TABLE {delta}"))?;
                }
            }
        }
        kill_point("publish.renamed");
        if builder.new_variables {
            variables::publish(warehouse, details.variables)?;
        }
        for (model, _) in built.iter().filter(|(model, _)| model.kind == ModelKind::View) {
            warehouse.execute(&format!("CREATE VIEW {} AS {}", model.table, model.text))?;
        }
        for (model, staged) in &built {
            let published = PublishedModel {
                rows: staged.rows,
                built_at: Some(builder.time.clone()),
                load_id: load_id.to_owned(),
                seconds: Some(staged.seconds),
                ..current_record(builder, model)
            };
            models::record_published(warehouse, &model.table, &published)?;
        }
        for model in &details.retested {
            let last = builder.published.get(&model.name()).cloned();
            let now = current_record(builder, model);
            let published = match last.filter(|_| model.kind != ModelKind::Check) {
                // The rows are those of the last build. Only the description and the tests changed.
                Some(last) => PublishedModel { files: now.files, kind: now.kind, ..last },
                None => PublishedModel { load_id: load_id.to_owned(), ..now },
            };
            models::record_published(warehouse, &model.table, &PublishedModel { seconds: Some(0.0), ..published })?;
        }
        if builder.has_pending_erasure {
            erasures::clear_models(warehouse)?;
        }
        let record = models::PublicationRecord {
            fingerprint: details.fingerprint.clone(),
            published_at: Some(builder.time.clone()),
            warnings: details.warnings.to_vec(),
        };
        models::record_publication(warehouse, load_id, &record)?;
        kill_point("publish.commit");
        Ok(())
    })?;
    kill_point("publish.committed");
    Ok(())
}

/// Returns the record of a model with its current hashes and columns.
fn current_record(builder: &ModelBuilder<'_>, model: &Model) -> PublishedModel {
    let name = model.name();
    let hashes = builder.hashes.get(&name).cloned().unwrap_or_default();
    PublishedModel {
        kind: Some(model.kind.to_string()),
        fingerprint: hashes.fingerprint,
        definition: hashes.definition,
        files: hashes.files,
        columns: builder.columns.get(&name.to_lowercase()).cloned().unwrap_or_default(),
        ..PublishedModel::default()
    }
}

/// Returns the published models whose files were removed, each with whether it is a check.
fn removed_models(builder: &ModelBuilder<'_>) -> Vec<(Table, bool)> {
    let removed = builder.published.iter().filter(|(name, _)| !builder.graph.all().any(|model| model.name() == **name));
    removed
        .filter_map(|(name, published)| {
            let (schema, name) = name.split_once('.')?;
            Some((Table::new(schema, name), published.is_check()))
        })
        .collect()
}
