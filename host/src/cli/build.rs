//! `host build`: models alone, from what is loaded and cleaned.

use std::path::PathBuf;

use clap::Args;
use host_core::error::Result;
use host_models::BuildRequest;

use super::{Format, GlobalArguments, json};
use crate::render::render_built;
use crate::run::{self, Session};

/// Builds, tests and publishes models.
#[derive(Args)]
#[command(after_help = "Examples:\n  host build pipelines/hubspot.toml --select +mart_ltv_cac\n  \
host build pipelines/hubspot.toml --select state:modified+ --exclude tag:slow\n\n\
Selections use the syntax of dbt: `name`, `schema.name`, a folder, `*`, `+name` (with the models that it reads), `name+`\n\
(with the models that read it), `2+name` (two levels), `tag:x`, `state:modified`. `a,b` selects what is in both.\n\
Models that did not change are not built.")]
pub(super) struct Build {
    /// The pipeline file.
    pub(super) pipeline: PathBuf,
    /// Build only these models. Can be given several times.
    #[arg(long, short, value_name = "MODELS")]
    select: Vec<String>,
    /// Leave these models out. Can be given several times.
    #[arg(long, value_name = "MODELS")]
    exclude: Vec<String>,
    /// Build models that did not change as well, and incremental models from all rows. Snapshots keep their history.
    #[arg(long)]
    full_refresh: bool,
    /// Continue the last build from the models that failed.
    #[arg(long, conflicts_with_all = ["select", "exclude", "full_refresh"])]
    retry: bool,
}

impl Build {
    pub(super) fn run(&self, session: &Session<'_>, global: &GlobalArguments) -> Result<String> {
        let request = BuildRequest {
            select: self.select.clone(),
            exclude: self.exclude.clone(),
            full_refresh: self.full_refresh,
            retry: self.retry,
            after_cleaning: false,
        };
        let (built, load_id) = run::build(session, &request)?;
        match global.format {
            Format::Json => json(&serde_json::json!({ "load_id": load_id, "built": built })),
            Format::Text => Ok(render_built(&built)),
        }
    }
}
