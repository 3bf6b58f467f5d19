//! `host compare`: the reports of a run without the rules, beside those of the pipeline.

use std::path::PathBuf;

use clap::Args;
use host_core::error::Result;

use super::{Format, GlobalArguments, json};
use crate::render::render_comparisons;
use crate::report;
use crate::run::{self, LoadRequest, ServerContext, Session};

/// The extension of the warehouse of the run without rules, which lies beside the pipeline's.
const WITHOUT: &str = "without-rules.duckdb";

/// Runs the pipeline without its rules into a second warehouse, and shows the figures that differ.
#[derive(Args)]
#[command(after_help = "Example: host compare pipelines/hubspot.toml")]
pub(super) struct Compare {
    /// The pipeline file. A run must have filled its warehouse.
    pub(super) pipeline: PathBuf,
}

impl Compare {
    pub(super) async fn run(&self, session: &Session<'_>, global: &GlobalArguments) -> Result<String> {
        let mut pipeline = session.pipeline.clone();
        let with = report::tables(&session.existing_warehouse()?, &pipeline.file.report)?;
        pipeline.file.rule.clear();
        let beside =
            std::path::absolute(pipeline.warehouse().with_extension(WITHOUT)).unwrap_or_else(|_| WITHOUT.into());
        pipeline.file.pipeline.warehouse = beside.display().to_string();
        let without =
            Session { pipeline: &pipeline, stop: session.stop.clone(), server: ServerContext::default(), ..*session };
        let without = run::run(&without, &LoadRequest::default()).await?;
        let compared = report::compare(&with, &without.tables);
        match global.format {
            Format::Json => json(&compared),
            Format::Text => {
                Ok(render_comparisons(&compared) + &format!("\nwarehouse without the rules: {}\n", beside.display()))
            }
        }
    }
}
