//! Publishes what stands aside: one transaction of drops, renames, deltas, and views made from their own text.

use std::collections::BTreeMap;

use super::{Builder, Form, incremental};
use crate::error::Result;
use crate::marts::files::{Materialized, Model};
use crate::marts::record::{self, Published};
use crate::warehouse::Table;

/// What is published beside the tables.
pub(in crate::marts) struct Publication<'a> {
    /// The pipeline's variables.
    pub(in crate::marts) variables: &'a BTreeMap<String, String>,
    /// Models and checks that stay as they are, but for the file beside them.
    pub(in crate::marts) touched: Vec<&'a Model>,
    /// The hash of all files and tables; none where some models are older.
    pub(in crate::marts) fingerprint: Option<String>,
    /// The run.
    pub(in crate::marts) load_id: &'a str,
    /// Tests of severity `warn` that did not hold.
    pub(in crate::marts) warnings: &'a [String],
}

/// Makes every `name__next` the model that readers see.
pub(in crate::marts) fn publish(builder: &Builder<'_>, publication: &Publication<'_>) -> Result<()> {
    let (warehouse, load_id) = (builder.warehouse, publication.load_id);
    let gone = gone(builder);
    let built: Vec<_> =
        builder.graph.models().filter_map(|model| Some((model, builder.aside.get(&model.name())?))).collect();
    warehouse.transaction(|| {
        for (table, is_check) in &gone {
            if !is_check {
                warehouse.drop_table_or_view(table)?;
            }
            record::forget(warehouse, table)?;
        }
        for (model, aside) in &built {
            let (table, next) = (&model.table, model.table.suffixed("__next"));
            match &aside.form {
                Form::Whole => {
                    warehouse.drop_table_or_view(table)?;
                    warehouse.rename(&next, &table.name)?;
                }
                Form::View => {
                    warehouse.drop_table_or_view(table)?;
                    warehouse.execute(&format!("DROP VIEW {next}"))?;
                }
                Form::Delta { replaced } => {
                    let delta = table.suffixed("__delta");
                    warehouse.execute(&format!("DROP VIEW {next}"))?;
                    incremental::apply(warehouse, table, &delta, replaced)?;
                    warehouse.execute(&format!("DROP TABLE {delta}"))?;
                }
            }
        }
        if builder.new_variables {
            warehouse.execute("DELETE FROM _host.variables; DROP TABLE _host.variables__next")?;
            for (name, value) in publication.variables {
                warehouse.change("INSERT INTO _host.variables VALUES (?, ?)", &[name, value])?;
            }
        }
        for (model, _) in built.iter().filter(|(model, _)| model.kind == Materialized::View) {
            warehouse.execute(&format!("CREATE VIEW {} AS {}", model.table, model.text))?;
        }
        for (model, aside) in &built {
            let published = Published {
                rows: aside.rows,
                built_at: Some(builder.time.clone()),
                load_id: load_id.to_owned(),
                ..of(builder, model)
            };
            record::write(warehouse, &model.table, &model.kind.to_string(), &published, aside.seconds)?;
        }
        for model in &publication.touched {
            let before = builder.published.get(&model.name()).cloned();
            let before = before.unwrap_or_else(|| Published { load_id: load_id.to_owned(), ..Published::default() });
            // What was built stays built from what it was: only its description and its tests are newer.
            let published = if model.kind == Materialized::Check {
                Published { load_id: load_id.to_owned(), ..of(builder, model) }
            } else {
                Published { files: of(builder, model).files, ..before }
            };
            record::write(warehouse, &model.table, &model.kind.to_string(), &published, 0.0)?;
        }
        warehouse.execute("DELETE FROM _host.models_aside; DELETE FROM _host.publications")?;
        if builder.erases {
            warehouse.models_are_clear()?;
        }
        let sql = "INSERT INTO _host.publications BY NAME SELECT nullif(?, '') AS fingerprint, ? AS load_id, \
                   ?::TIMESTAMPTZ AS published_at, ? AS warnings";
        let fingerprint = publication.fingerprint.clone().unwrap_or_default();
        let warnings = serde_json::json!(publication.warnings).to_string();
        warehouse.change(sql, &[&fingerprint, load_id, &builder.time, &warnings]).map(drop)
    })
}

/// What is to be remembered of a model.
fn of(builder: &Builder<'_>, model: &Model) -> Published {
    let name = model.name();
    let hashes = builder.hashes.get(&name).cloned().unwrap_or_default();
    Published {
        fingerprint: hashes.fingerprint,
        definition: hashes.definition,
        files: hashes.files,
        columns: builder.columns.get(&name.to_lowercase()).cloned().unwrap_or_default(),
        is_check: model.kind == Materialized::Check,
        ..Published::default()
    }
}

/// Models published earlier whose files are gone, each with whether it was a check.
fn gone(builder: &Builder<'_>) -> Vec<(Table, bool)> {
    let gone = builder.published.iter().filter(|(name, _)| !builder.graph.all().any(|model| model.name() == **name));
    gone.filter_map(|(name, published)| {
        let (schema, name) = name.split_once('.')?;
        Some((Table::new(schema, name), published.is_check))
    })
    .collect()
}
