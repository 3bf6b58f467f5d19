//! `host plan`: what a run would do.

use std::path::PathBuf;

use clap::Args;
use host_core::error::Result;

use super::{Format, GlobalArguments, json};
use crate::render::render_plan;
use crate::run::{self, Session};

/// Shows what a run would do.
#[derive(Args)]
pub(super) struct Plan {
    /// The pipeline file.
    pub(super) pipeline: PathBuf,
}

impl Plan {
    pub(super) async fn run(&self, session: &Session<'_>, global: &GlobalArguments) -> Result<String> {
        let plan = run::plan(session).await?;
        let warehouse = session.pipeline.warehouse();
        if global.format == Format::Text {
            return Ok(render_plan(&plan, &warehouse));
        }
        let sources = plan.sources.iter().map(|source| {
            serde_json::json!({ "source": source.name, "plugin": source.description.name,
                "version": source.description.version, "sha256": source.sha256, "streams": source.wanted,
                "granted": source.granted })
        });
        let rules = plan.rules.iter().map(|(rule, sets)| {
            serde_json::json!({ "rule": rule.name, "version": rule.description.version, "streams": rule.streams,
                "sets": sets, "granted": rule.granted })
        });
        json(&serde_json::json!({
            "warehouse": warehouse, "sources": sources.collect::<Vec<_>>(), "rules": rules.collect::<Vec<_>>(),
            "models": plan.models(), "checks": plan.checks(),
            "reads": plan.graph.as_ref().map(|graph| &graph.edges),
        }))
    }
}
