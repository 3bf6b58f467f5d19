//! `host run` and `host clean`.

use std::path::PathBuf;

use clap::Args;

use super::{Format, Output, Shared, json};
use crate::error::Result;
use crate::report::{self, Report};
use crate::run::{Context, Options, instant};

/// Loads, cleans, builds and reports.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  host run pipelines/hubspot.toml\n  host run pipelines/hubspot.toml --select deals --since 2026-10-01"
)]
pub(super) struct Run {
    /// The pipeline file.
    pub(super) pipeline: PathBuf,
    /// Load this stream alone, with those that its reader carries; may be given several times.
    #[arg(long, value_name = "STREAM")]
    select: Vec<String>,
    /// Read everything again, and merge it over what is there.
    #[arg(long, conflicts_with = "since")]
    full_refresh: bool,
    /// Read everything changed since this date or RFC 3339 instant.
    #[arg(long, value_name = "DATE")]
    since: Option<String>,
}

/// Replays the rules.
#[derive(Args)]
pub(super) struct Clean {
    /// The pipeline file.
    pub(super) pipeline: PathBuf,
}

impl Run {
    pub(super) async fn run(&self, context: &Context<'_>, shared: &Shared) -> Result<Output> {
        let zone = &context.pipeline.file.pipeline.timezone;
        let since = self.since.as_ref().map(|since| instant(since, zone)).transpose();
        let since = since.map_err(|error| error.on("--since"))?;
        let options = Options { select: self.select.clone(), full_refresh: self.full_refresh, since };
        let report = context.run(&options).await?;
        Ok(Output { text: print(&report, shared)?, is_partial: report.is_partial })
    }
}

impl Clean {
    pub(super) async fn run(&self, context: &Context<'_>, shared: &Shared) -> Result<String> {
        print(&context.clean(true).await?, shared)
    }
}

fn print(report: &Report, shared: &Shared) -> Result<String> {
    match shared.format {
        Format::Json => json(report),
        Format::Text => Ok(report::print(report)),
    }
}
