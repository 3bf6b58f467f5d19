//! `host run` and `host clean`.

use std::path::PathBuf;

use clap::Args;
use host_core::error::Result;

use super::{Format, GlobalArguments, Output, json};
use crate::render::render_report;
use crate::report::Report;
use crate::run::{self, LoadRequest, Session, parse_since};

/// Loads, cleans, builds and reports.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  host run pipelines/hubspot.toml\n  host run pipelines/hubspot.toml --select deals --since 2026-10-01"
)]
pub(super) struct Run {
    /// The pipeline file.
    pub(super) pipeline: PathBuf,
    /// Load only this stream and its child streams. Can be given several times.
    #[arg(long, value_name = "STREAM")]
    select: Vec<String>,
    /// Read all records, and merge them into the tables.
    #[arg(long, conflicts_with = "since")]
    full_refresh: bool,
    /// Read all records that changed since this date or RFC 3339 instant.
    #[arg(long, value_name = "DATE")]
    since: Option<String>,
}

/// Runs the rules on all raw rows and builds the models.
#[derive(Args)]
pub(super) struct Clean {
    /// The pipeline file.
    pub(super) pipeline: PathBuf,
}

impl Run {
    pub(super) async fn run(&self, session: &Session<'_>, global: &GlobalArguments) -> Result<Output> {
        let zone = &session.pipeline.file.pipeline.timezone;
        let since = self.since.as_ref().map(|since| parse_since(since, zone)).transpose();
        let since = since.map_err(|error| error.on("`--since`"))?;
        let request = LoadRequest { select: self.select.clone(), full_refresh: self.full_refresh, since };
        let report = run::run(session, &request).await?;
        Ok(Output { text: print(&report, global)?, is_partial: report.is_partial })
    }
}

impl Clean {
    pub(super) async fn run(&self, session: &Session<'_>, global: &GlobalArguments) -> Result<String> {
        print(&run::clean(session, true).await?, global)
    }
}

fn print(report: &Report, global: &GlobalArguments) -> Result<String> {
    match global.format {
        Format::Json => json(report),
        Format::Text => Ok(render_report(report)),
    }
}
