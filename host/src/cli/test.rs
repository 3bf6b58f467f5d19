//! `host test`: models as they are published, and their unit tests.

use std::path::PathBuf;

use clap::Args;

use super::{Format, Shared, json};
use crate::error::Result;
use crate::marts;
use crate::run::Context;

/// Tests models.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  host test pipelines/hubspot.toml\n  host test pipelines/hubspot.toml --select marts"
)]
pub(super) struct Test {
    /// The pipeline file.
    pub(super) pipeline: PathBuf,
    /// These models, as `host build` selects them; may be given several times.
    #[arg(long, short, value_name = "MODELS")]
    select: Vec<String>,
    /// Not these models.
    #[arg(long, value_name = "MODELS")]
    exclude: Vec<String>,
}

impl Test {
    pub(super) fn run(&self, context: &Context<'_>, shared: &Shared) -> Result<String> {
        let (select, exclude) = (self.select.clone(), self.exclude.clone());
        let tested = context.test(&marts::Options { select, exclude, ..marts::Options::default() })?;
        if shared.format == Format::Json {
            return json(&tested);
        }
        let warnings: String = tested.warnings.iter().map(|warning| format!("warning  {warning}\n")).collect();
        let (checks, tests, units) = (tested.checks_passed, tested.tests_passed, tested.unit_tests_passed);
        let seconds = tested.seconds;
        Ok(format!("{warnings}tested   {checks} checks · {tests} tests · {units} unit tests passed · {seconds:.1} s\n"))
    }
}
