//! `host models`: the models as a list and as a graph.

use std::path::PathBuf;

use clap::Args;

use super::{Format, Shared, json};
use crate::error::Result;
use crate::marts::{self, Entry};
use crate::report::grouped;
use crate::run::Context;

/// Lists the models and draws their graph.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  host models pipelines/hubspot.toml\n  host models pipelines/hubspot.toml --format json\n\n\
In JSON it is the manifest: columns, descriptions, lineage, tests, hashes."
)]
pub(super) struct Models {
    /// The pipeline file.
    pub(super) pipeline: PathBuf,
    /// The graph for Mermaid instead.
    #[arg(long)]
    mermaid: bool,
}

impl Models {
    pub(super) fn run(&self, context: &Context<'_>, shared: &Shared) -> Result<String> {
        let entries = context.entries()?;
        if self.mermaid {
            return Ok(marts::mermaid(&entries));
        }
        if shared.format == Format::Json {
            return json(&serde_json::json!({ "pipeline": context.pipeline.file.pipeline.name, "models": entries }));
        }
        Ok(format!("{}\n{}", listed(&entries), marts::drawing(&entries)))
    }
}

fn listed(entries: &[Entry]) -> String {
    let width = |of: fn(&Entry) -> usize| entries.iter().map(of).max().unwrap_or_default();
    let (names, tags) = (width(|entry| entry.model.len()), width(|entry| entry.tags.join(",").len()));
    let line = |entry: &Entry| {
        let rows = entry.rows.map(grouped).unwrap_or_default();
        let built = entry.built_at.as_deref().map_or("", |at| at.get(..16).unwrap_or(at));
        let state = if entry.is_modified { "modified" } else { "" };
        let description = entry.description.as_deref().unwrap_or_default().lines().next().unwrap_or_default();
        let line = format!(
            "{:<names$}  {:<11} {:<tags$} {rows:>11}  {built:<16} {state:<8}  {description}",
            entry.model,
            entry.kind.to_string(),
            entry.tags.join(","),
        );
        line.trim_end().to_owned() + "\n"
    };
    entries.iter().map(line).collect()
}
