//! `host models`: the models as a list and as a graph.

use std::path::PathBuf;

use clap::Args;
use host_core::error::Result;
use host_models::draw_mermaid;

use super::{Format, GlobalArguments, json};
use crate::render::render_manifest;
use crate::run::{self, Session};

/// Lists the models and draws their graph.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  host models pipelines/hubspot.toml\n  host models pipelines/hubspot.toml --format json\n\n\
JSON output is the manifest: columns, descriptions, lineage, tests, hashes."
)]
pub(super) struct Models {
    /// The pipeline file.
    pub(super) pipeline: PathBuf,
    /// Print the graph as a Mermaid diagram.
    #[arg(long)]
    mermaid: bool,
}

impl Models {
    pub(super) fn run(&self, session: &Session<'_>, global: &GlobalArguments) -> Result<String> {
        let entries = run::manifest(session)?;
        if self.mermaid {
            return Ok(draw_mermaid(&entries));
        }
        match global.format {
            Format::Json => {
                json(&serde_json::json!({ "pipeline": session.pipeline.file.pipeline.name, "models": entries }))
            }
            Format::Text => Ok(render_manifest(&entries)),
        }
    }
}
