//! `host explain`: a model's figure, the rows behind it, and the rules that corrected them.

use std::path::PathBuf;

use clap::Args;
use host_core::error::Result;

use super::{Format, GlobalArguments, json};
use crate::explain::{self, RowLimits};
use crate::render::render_explained;
use crate::run::{self, Session};

/// Rows of a model, and of each drill, that are shown as text.
const MODEL_ROWS: u64 = 20;
const DRILL_ROWS: u64 = 10;

/// Traces a model's figures down to the records behind them.
#[derive(Args)]
#[command(
    after_help = "Example:\n  host explain pipelines/hubspot.toml mart_ltv_cac --where \"slice = 'google_ads' and horizon = 12\"\n\n\
JSON output has every row, and for each row what every rule did to its record."
)]
pub(super) struct Explain {
    /// The pipeline file. A run must have filled its warehouse.
    pub(super) pipeline: PathBuf,
    /// The model: `schema.name`, or the name alone.
    mart: String,
    /// The rows to explain: one boolean SQL expression over the columns of the model.
    #[arg(long = "where", value_name = "CONDITION")]
    condition: String,
    /// The number of rows of each drill. By default 10 as text, and all in JSON.
    #[arg(long, value_name = "N")]
    rows: Option<u64>,
}

impl Explain {
    pub(super) fn run(&self, session: &Session<'_>, global: &GlobalArguments) -> Result<String> {
        let warehouse = session.existing_warehouse()?;
        let graph = run::graph(session, &warehouse)?;
        let is_text = global.format == Format::Text;
        let limits = RowLimits {
            mart_rows: is_text.then_some(MODEL_ROWS),
            drill_rows: self.rows.or(is_text.then_some(DRILL_ROWS)),
        };
        let explained = explain::explain(&graph, &warehouse, &self.mart, &self.condition, limits)?;
        if is_text { Ok(render_explained(&explained)) } else { json(&explained) }
    }
}
