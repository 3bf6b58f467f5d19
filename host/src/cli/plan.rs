//! `host plan`: what a run would do, from the pipeline and the plugins' own descriptions alone.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;

use super::{Format, Shared, json};
use crate::clean;
use crate::error::Result;
use crate::pipeline::InputName;
use crate::prepare::PreparedRule;
use crate::run::Context;
use crate::schema::Schema;
use crate::warehouse::{LoadedStream, Table, Warehouse};

/// Shows what a run would do.
#[derive(Args)]
pub(super) struct Plan {
    /// The pipeline file.
    pub(super) pipeline: PathBuf,
}

impl Plan {
    pub(super) async fn run(&self, context: &Context<'_>, shared: &Shared) -> Result<String> {
        let prepared = context.prepare().await?;
        let sets = sets(context, &prepared.rules).await?;
        let memory = Warehouse::memory()?;
        let graph = context.pipeline.file.marts.is_some().then(|| context.graph(&memory)).transpose()?;
        let models: Vec<_> =
            graph.iter().flat_map(|graph| graph.models().map(|model| (model.name(), model.kind))).collect();
        let checks: Vec<_> = graph.iter().flat_map(|graph| graph.checks().map(crate::marts::Model::name)).collect();
        if shared.format == Format::Json {
            let sources = prepared.sources.iter().map(|source| {
                serde_json::json!({ "source": source.name, "plugin": source.description.name, "version": source.description.version,
                    "sha256": source.sha256, "streams": source.wanted, "granted": source.granted })
            });
            let rules = prepared.rules.iter().zip(&sets).map(|(rule, sets)| {
                serde_json::json!({ "rule": rule.name, "version": rule.description.version, "streams": rule.streams,
                    "sets": sets, "granted": rule.granted })
            });
            return json(&serde_json::json!({
                "warehouse": context.pipeline.warehouse(), "sources": sources.collect::<Vec<_>>(),
                "rules": rules.collect::<Vec<_>>(), "models": models, "checks": checks,
                "reads": graph.as_ref().map(|graph| &graph.edges),
            }));
        }
        let mut lines = vec![format!("warehouse {}", context.pipeline.warehouse().display())];
        for source in &prepared.sources {
            let streams = source.wanted.as_ref().map_or_else(|| "all streams".to_owned(), |streams| streams.join(", "));
            lines.push(format!(
                "extract   {} ({} {}): {streams}",
                source.name, source.description.name, source.description.version
            ));
            lines.extend(source.granted.iter().map(|granted| format!("          granted {granted}")));
        }
        for (index, (rule, sets)) in prepared.rules.iter().zip(&sets).enumerate() {
            let columns = sets.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            let sets = if columns.is_empty() { columns } else { format!(" · sets {columns}") };
            let granted = rule.granted.iter().map(|granted| format!(" · granted {granted}")).collect::<String>();
            lines.push(format!("clean {:>3} {}: {}{sets}{granted}", index + 1, rule.name, rule.streams.join(", ")));
        }
        lines.extend(models.iter().map(|(name, kind)| format!("build     {name} ({kind})")));
        lines.extend(checks.iter().map(|name| format!("check     {name}")));
        Ok(lines.join("\n") + "\n")
    }
}

/// The columns that each rule sets, as far as its streams were loaded: before the first run nobody knows their columns.
async fn sets(context: &Context<'_>, rules: &[PreparedRule]) -> Result<Vec<BTreeSet<String>>> {
    let mut sets = vec![BTreeSet::new(); rules.len()];
    if !context.pipeline.warehouse().is_file() {
        return Ok(sets);
    }
    // A run may hold the warehouse: the plan says then what it knows without.
    let Ok(warehouse) = context.look() else { return Ok(sets) };
    let loaded = warehouse.loaded_streams()?;
    let schema = |stream: &LoadedStream, table: &Table| {
        let fields = warehouse.columns(table).ok().flatten()?;
        Some(Schema { fields, primary_key: stream.primary_key.clone(), cursor: None })
    };
    let schema_of = |input: &InputName| {
        if input.is_merges {
            return Some(clean::merges_schema());
        }
        let stream = loaded.iter().find(|stream| stream.name() == input.stream.to_string())?;
        schema(stream, &Table::clean(&stream.source, &stream.stream))
    };
    for stream in &loaded {
        let name = stream.name();
        let at: Vec<_> = (0..rules.len()).filter(|at| rules[*at].streams.contains(&name)).collect();
        let Some(raw) = schema(stream, &Table::raw(&stream.source, &stream.stream)) else { continue };
        let of_it: Vec<_> = at.iter().map(|at| &rules[*at]).collect();
        // What does not open here is an error of `host check`, and of a run.
        let Ok(chain) = clean::open(&of_it, &name, &raw, &schema_of).await else { continue };
        for (at, columns) in at.into_iter().zip(chain.sets()) {
            sets[at].extend(columns);
        }
    }
    Ok(sets)
}
