//! `host recover`: opens a warehouse whose write-ahead log is damaged.

use std::path::PathBuf;

use clap::Args;
use host_core::error::Result;

use super::{Format, GlobalArguments, json};
use crate::render::render_recovered;
use crate::run::{self, Session};

/// Opens a warehouse whose write-ahead log is damaged.
#[derive(Args)]
#[command(after_help = "Example: host recover pipelines/hubspot.toml --discard-wal")]
pub(super) struct Recover {
    /// The pipeline file.
    pub(super) pipeline: PathBuf,
    /// Open the warehouse as it was at its last checkpoint, and keep the damaged log beside it. A log that is not damaged
    /// stays.
    #[arg(long)]
    discard_wal: bool,
}

impl Recover {
    pub(super) fn run(&self, session: &Session<'_>, global: &GlobalArguments) -> Result<String> {
        let recovered = run::recover(session, self.discard_wal)?;
        match global.format {
            Format::Json => json(&recovered),
            Format::Text => Ok(render_recovered(&recovered)),
        }
    }
}
