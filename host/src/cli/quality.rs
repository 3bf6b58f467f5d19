//! `host quality`: what cleaning did, by stream and rule, or to one record.

use std::path::PathBuf;

use clap::Args;
use host_core::error::Result;

use super::{Format, GlobalArguments, json};
use crate::render::{render_history, render_quality};
use crate::report;
use crate::run::Session;

/// Shows what cleaning did.
#[derive(Args)]
pub(super) struct Quality {
    /// The pipeline file.
    pub(super) pipeline: PathBuf,
    /// Show what every rule did to one record: `stream/key`, such as `contacts/123`.
    #[arg(long, value_name = "STREAM/KEY")]
    record: Option<String>,
    /// The number of examples of each rule.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(0..=1000))]
    examples: u16,
}

impl Quality {
    pub(super) fn run(&self, session: &Session<'_>, global: &GlobalArguments) -> Result<String> {
        let warehouse = session.existing_warehouse()?;
        let is_json = global.format == Format::Json;
        if let Some(record) = &self.record {
            let history = report::record_history(&warehouse, record)?;
            return if is_json { json(&history) } else { Ok(render_history(&history)) };
        }
        let streams = report::quality(&warehouse, self.examples.into())?;
        if is_json { json(&streams) } else { Ok(render_quality(&streams)) }
    }
}
