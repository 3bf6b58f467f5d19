//! `host check`: everything that a run needs, tried without writing anything.

use std::path::PathBuf;

use clap::Args;

use super::{Format, Shared, json};
use crate::error::Result;
use crate::run::{Context, Discovered};
use crate::warehouse::Warehouse;

/// Tries secrets, scopes, plugins, rules and models.
#[derive(Args)]
pub(super) struct Check {
    /// The pipeline file.
    pub(super) pipeline: PathBuf,
}

impl Check {
    pub(super) async fn run(&self, context: &Context<'_>, shared: &Shared) -> Result<String> {
        let prepared = context.prepare().await?;
        let discovered = context.discover(&prepared.sources).await?;
        for Discovered { source, .. } in &discovered {
            source.plugin.check().await.map_err(|error| error.on(format!("source `{}`", source.name)))?;
        }
        let mut sources = Vec::new();
        for Discovered { source, streams, .. } in &discovered {
            sources.push((source.clone(), source.choose(streams.clone(), &[], context.pipeline)?));
        }
        context.check_rules(&prepared.rules, &sources).await?;
        let models = context.models(&Warehouse::memory()?, &sources)?;
        let lines = discovered.iter().zip(&sources).map(|(found, (_, streams))| {
            let identity = found.identity.as_ref().map(|identity| format!(" · {identity}")).unwrap_or_default();
            format!("source {}: {} streams{identity}", found.source.name, streams.len())
        });
        let lines: Vec<String> = lines.collect();
        let counts = models.map_or((0, 0), |models| (models.models().count(), models.checks().count()));
        match shared.format {
            Format::Json => json(&serde_json::json!({
                "ok": true, "sources": lines, "rules": prepared.rules.len(), "models": counts.0, "checks": counts.1,
            })),
            Format::Text => {
                let last = format!("{} rules · {} models · {} checks", prepared.rules.len(), counts.0, counts.1);
                Ok(format!("{}\n{last}\nall good\n", lines.join("\n")))
            }
        }
    }
}
