//! `host test`: models as they are published, and their unit tests.

use std::path::PathBuf;

use clap::Args;
use host_core::error::Result;
use host_models::BuildRequest;

use super::{Format, GlobalArguments, json};
use crate::render::render_tested;
use crate::run::{self, Session};

/// Tests models.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  host test pipelines/hubspot.toml\n  host test pipelines/hubspot.toml --select marts"
)]
pub(super) struct Test {
    /// The pipeline file.
    pub(super) pipeline: PathBuf,
    /// Test only these models, selected as in `host build`. Can be given several times.
    #[arg(long, short, value_name = "MODELS")]
    select: Vec<String>,
    /// Leave these models out. Can be given several times.
    #[arg(long, value_name = "MODELS")]
    exclude: Vec<String>,
}

impl Test {
    pub(super) fn run(&self, session: &Session<'_>, global: &GlobalArguments) -> Result<String> {
        let (select, exclude) = (self.select.clone(), self.exclude.clone());
        let tested = run::test(session, &BuildRequest { select, exclude, ..BuildRequest::default() })?;
        match global.format {
            Format::Json => json(&tested),
            Format::Text => Ok(render_tested(&tested)),
        }
    }
}
