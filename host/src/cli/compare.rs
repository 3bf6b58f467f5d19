//! `host compare`: what the reports would say without the rules, from a real run without them.

use std::path::PathBuf;

use clap::Args;
use comfy_table::{CellAlignment, Table, presets};

use super::{Format, Shared, json};
use crate::error::Result;
use crate::report::{self, Compared};
use crate::run::{Context, Given, Options};

/// What the warehouse of the run without rules is called, beside the pipeline's.
const WITHOUT: &str = "without-rules.duckdb";

/// Runs the pipeline without its rules into a warehouse beside its own, and shows the figures that differ.
#[derive(Args)]
#[command(after_help = "Example: host compare pipelines/hubspot.toml")]
pub(super) struct Compare {
    /// The pipeline file; a run has filled its warehouse.
    pub(super) pipeline: PathBuf,
}

impl Compare {
    pub(super) async fn run(&self, context: &Context<'_>, shared: &Shared) -> Result<String> {
        let mut pipeline = context.pipeline.clone();
        let with = report::tables(&context.look()?, &pipeline.file.report)?;
        pipeline.file.rule.clear();
        let beside =
            std::path::absolute(pipeline.warehouse().with_extension(WITHOUT)).unwrap_or_else(|_| WITHOUT.into());
        pipeline.file.pipeline.warehouse = beside.display().to_string();
        let without = Context {
            pipeline: &pipeline,
            stop: context.stop.clone(),
            clock: context.clock,
            given: Given::default(),
            ..*context
        };
        let without = without.run(&Options::default()).await?;
        let compared = report::compare(&with, &without.tables);
        if shared.format == Format::Json {
            return json(&compared);
        }
        Ok(compared.iter().map(shown).collect::<String>() + &format!("\nwithout the rules: {}\n", beside.display()))
    }
}

fn shown(compared: &Compared) -> String {
    let Compared { title, figures, differences } = compared;
    let mut text = format!("\n{title}: {} of {figures} figures are other ones without the rules\n", differences.len());
    if differences.is_empty() {
        return text;
    }
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(["", "figure", "with rules", "without", "off by"]);
    for one in differences {
        let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "–".to_owned());
        let off_by = one.off_by.map_or_else(|| "–".to_owned(), |share| format!("{:+.1} %", share * 100.0));
        table.add_row([one.row.clone(), one.figure.clone(), value(&one.with), value(&one.without), off_by]);
    }
    for column in [2, 3, 4] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    text.push_str(&table.trim_fmt());
    text.push('\n');
    text
}
