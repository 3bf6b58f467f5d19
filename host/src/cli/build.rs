//! `host build`: models alone, from what is loaded and cleaned.

use std::path::PathBuf;

use clap::Args;

use super::{Format, Shared, json};
use crate::error::Result;
use crate::marts::{self, Built};
use crate::report::{built_line, grouped};
use crate::run::Context;

/// Builds, tests and publishes models.
#[derive(Args)]
#[command(after_help = "Examples:\n  host build pipelines/hubspot.toml --select +mart_ltv_cac\n  \
host build pipelines/hubspot.toml --select state:modified+ --exclude tag:slow\n\n\
A selection is written as dbt writes it: `name`, `schema.name`, a folder, `*`, `+name` (and what it reads), `name+` (and\n\
what reads it), `2+name`, `tag:x`, `state:modified`; `a,b` is what both mean. Models that did not change are left alone.")]
pub(super) struct Build {
    /// The pipeline file.
    pub(super) pipeline: PathBuf,
    /// These models; may be given several times.
    #[arg(long, short, value_name = "MODELS")]
    select: Vec<String>,
    /// Not these models.
    #[arg(long, value_name = "MODELS")]
    exclude: Vec<String>,
    /// Also what did not change, and incremental models whole; snapshots keep their history.
    #[arg(long)]
    full_refresh: bool,
    /// Go on from what failed in the last build, with what it had built.
    #[arg(long, conflicts_with_all = ["select", "exclude", "full_refresh"])]
    retry: bool,
}

impl Build {
    pub(super) fn run(&self, context: &Context<'_>, shared: &Shared) -> Result<String> {
        let options = marts::Options {
            select: self.select.clone(),
            exclude: self.exclude.clone(),
            full_refresh: self.full_refresh,
            retry: self.retry,
            after_cleaning: false,
        };
        let (built, load_id) = context.build(&options)?;
        if shared.format == Format::Json {
            return json(&serde_json::json!({ "load_id": load_id, "built": built }));
        }
        Ok(shown(&built))
    }
}

/// A line a model, then what was tested.
pub(super) fn shown(built: &Built) -> String {
    let width = built.models.iter().map(|model| model.model.len()).max().unwrap_or_default();
    let mut lines = Vec::new();
    for (index, model) in built.models.iter().enumerate() {
        let label = if index == 0 { "built" } else { "" };
        let rows = model.rows.map(|rows| format!("{} rows", grouped(rows))).unwrap_or_default();
        let kind = if model.grew { format!("{}, grown", model.kind) } else { model.kind.to_string() };
        lines.push(format!("{label:<9}{:<width$}  {kind:<18} {rows:>16} {:>7.2} s", model.model, model.seconds));
    }
    lines.extend(built.warnings.iter().map(|warning| format!("warning  {warning}")));
    lines.push(format!("marts    {}", built_line(built)));
    lines.join("\n") + "\n"
}
