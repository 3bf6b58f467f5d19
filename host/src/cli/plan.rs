//! `host plan`: what a run would do, from the pipeline and the plugins' own descriptions alone.

use std::path::PathBuf;

use clap::Args;

use super::{Format, Shared, json};
use crate::error::Result;
use crate::run::Context;
use crate::warehouse::Warehouse;

/// Shows what a run would do.
#[derive(Args)]
pub(super) struct Plan {
    /// The pipeline file.
    pub(super) pipeline: PathBuf,
}

impl Plan {
    pub(super) async fn run(&self, context: &Context<'_>, shared: &Shared) -> Result<String> {
        let prepared = context.prepare().await?;
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
            let rules = prepared.rules.iter().map(|rule| {
                serde_json::json!({ "rule": rule.name, "version": rule.description.version, "streams": rule.streams, "granted": rule.granted })
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
        for (index, rule) in prepared.rules.iter().enumerate() {
            let granted = rule.granted.iter().map(|granted| format!(" · granted {granted}")).collect::<String>();
            lines.push(format!("clean {:>3} {}: {}{granted}", index + 1, rule.name, rule.streams.join(", ")));
        }
        lines.extend(models.iter().map(|(name, kind)| format!("build     {name} ({kind})")));
        lines.extend(checks.iter().map(|name| format!("check     {name}")));
        Ok(lines.join("\n") + "\n")
    }
}
