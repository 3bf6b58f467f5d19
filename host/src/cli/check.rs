//! `host check`: everything that a run needs, tried without writing anything.

use std::path::PathBuf;

use clap::Args;

use super::{Format, Shared, json};
use crate::error::{Error, Kind, Result};
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
        let discovered = context.discover(&prepared.sources, false).await?;
        for Discovered { source, .. } in &discovered {
            let mut stop = context.stop.clone();
            let checked = tokio::select! {
                checked = source.plugin.check() => checked,
                _ = stop.wait_for(|stopped| *stopped) => Err(Error::new(Kind::Interrupted, "stopped")),
            };
            checked.map_err(|error| error.on(format!("source `{}`", source.name)))?;
        }
        let (sources, skipped) = context.choose(&discovered, &[])?;
        context.check_rules(&prepared.rules, &sources, &skipped).await?;
        let models = context.models(&Warehouse::memory()?, &sources, &skipped)?;
        let lines = discovered.iter().zip(&sources).map(|(found, (_, streams))| {
            let identity = found.source.account.as_ref().map(|identity| format!(" · {identity}")).unwrap_or_default();
            format!("source {}: {} streams{identity}", found.source.name, streams.len())
        });
        let out = skipped.iter().map(|skipped| format!("skipped {}: {}", skipped.stream, skipped.error.message));
        let lines: Vec<String> = lines.chain(out).collect();
        let is_complete = !skipped.iter().any(|skipped| skipped.is_named);
        let counts = models.map_or((0, 0), |models| (models.models().count(), models.checks().count()));
        match shared.format {
            Format::Json => json(&serde_json::json!({
                "ok": is_complete, "sources": lines, "rules": prepared.rules.len(), "models": counts.0, "checks": counts.1,
            })),
            Format::Text => {
                let last = format!("{} rules · {} models · {} checks", prepared.rules.len(), counts.0, counts.1);
                let verdict = if is_complete { "all good" } else { "a run would be partial" };
                Ok(format!("{}\n{last}\n{verdict}\n", lines.join("\n")))
            }
        }
    }
}
