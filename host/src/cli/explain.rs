//! `host explain`: a mart's figure, the rows behind it, and which rules repaired them.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde_json::Value;

use super::{Format, Shared, json};
use crate::error::Result;
use crate::explain::{self, Agreement, DrillRow, Drilled, Explained, Limits, RuleRepairs, What};
use crate::report::{grouped, table};
use crate::run::Context;
use crate::warehouse::Row;

/// Rows of a mart that are shown as text.
const SHOWN: u64 = 20;

/// Columns of a terminal that descriptions are broken at.
const WIDTH: u16 = 120;

/// Traces a mart's figures down to the records behind them.
#[derive(Args)]
#[command(
    after_help = "Example:\n  host explain pipelines/hubspot.toml mart_ltv_cac --where \"slice = 'google_ads' and horizon = 12\"\n\n\
In JSON it has every row, and of each what every rule did to its record."
)]
pub(super) struct Explain {
    /// The pipeline file; a run has filled its warehouse.
    pub(super) pipeline: PathBuf,
    /// The mart: `schema.name`, or the name alone.
    mart: String,
    /// Which of its rows: one boolean expression over its columns.
    #[arg(long = "where", value_name = "CONDITION")]
    condition: String,
    /// Rows of each drill: 10 as text, all in JSON unless given.
    #[arg(long, value_name = "N")]
    rows: Option<u64>,
}

impl Explain {
    pub(super) fn run(&self, context: &Context<'_>, shared: &Shared) -> Result<String> {
        let warehouse = context.look()?;
        let graph = context.graph(&warehouse)?;
        let is_json = shared.format == Format::Json;
        let limits = Limits { of_mart: (!is_json).then_some(SHOWN), of_drill: self.rows.or((!is_json).then_some(10)) };
        let explained = explain::explain(&graph, &warehouse, &self.mart, &self.condition, limits)?;
        if is_json { json(&explained) } else { Ok(shown(&explained)) }
    }
}

fn shown(explained: &Explained) -> String {
    let rows = if explained.total == 1 { "row" } else { "rows" };
    let mut out = format!("{}: {} {rows} where {}\n", explained.mart, grouped(explained.total), explained.condition);
    // Writing to a String cannot fail.
    if let Some(description) = &explained.description {
        let _ = writeln!(out, "{description}");
    }
    let _ = match explained.rows.as_slice() {
        [row] => writeln!(out, "\n{}", described(explained, row)),
        rows => writeln!(out, "\n{}", table(rows)),
    };
    if explained.total > explained.rows.len() as u64 {
        let _ = writeln!(
            out,
            "the first {} of {} rows; what is below is behind all of them: a narrower condition tells more",
            explained.rows.len(),
            grouped(explained.total)
        );
    }
    if explained.drills.is_empty() {
        let _ = writeln!(
            out,
            "\n`{}` declares no drills: `[[drill]]` in the file beside it says which rows are behind it",
            explained.mart
        );
    }
    explained.drills.iter().for_each(|drill| drilled(&mut out, drill, explained.total == 1));
    out
}

/// A row of the mart, a line a column.
fn described(explained: &Explained, row: &Row) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
    for column in &explained.columns {
        let description = column.description.clone().unwrap_or_default();
        let source = column.formula_source.as_ref().map(|source| format!(" [{source}]")).unwrap_or_default();
        table.add_row([column.name.clone(), value(row.get(&column.name)), description + &source]);
    }
    if let Some(column) = table.column_mut(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.trim_fmt()
}

fn drilled(out: &mut String, drill: &Drilled, is_one: bool) {
    let description = drill.description.as_deref().map(|text| format!(": {text}")).unwrap_or_default();
    let _ = writeln!(out, "\n{}{description}", drill.drill);
    let noun = drill.stream.as_deref().and_then(|stream| stream.rsplit('.').next()).unwrap_or("records");
    let of = drill.records.map(|records| format!(" of {} {noun}", grouped(records))).unwrap_or_default();
    let _ = writeln!(out, "  {} rows{of}", grouped(drill.total));
    agreed(out, &drill.agreements, is_one);
    for rule in &drill.rules {
        let _ = writeln!(out, "  {}", told(rule, drill.records.unwrap_or_default(), noun));
    }
    if drill.rows.is_empty() {
        return;
    }
    // The key of one row of the mart is in all of them, and above.
    let is_hidden = |name: &String| is_one && drill.key.contains(name);
    let row = |row: &DrillRow| {
        let mut shown: Row = row.row.clone().into_iter().filter(|(name, _)| !is_hidden(name)).collect();
        if drill.stream.is_some() {
            shown.insert("repaired by".to_owned(), rules(row).into());
        }
        shown
    };
    let rows: Vec<_> = drill.rows.iter().map(row).collect();
    let _ = writeln!(out, "{}", table(&rows));
    if drill.total > drill.rows.len() as u64 {
        let (shown, total) = (drill.rows.len(), drill.total);
        let _ = writeln!(out, "  the first {shown} of {} rows; `--rows {total}` shows all", grouped(total));
    }
}

/// What the rows add up to: one by one for a row of the mart, else only where it is another.
fn agreed(out: &mut String, agreements: &[Agreement], is_one: bool) {
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "–".to_owned());
    let wrong = agreements.iter().filter(|one| !one.is_equal).count();
    if !is_one && !agreements.is_empty() && wrong == 0 {
        let _ =
            writeln!(out, "  {} figures of the mart are what these rows add up to", grouped(agreements.len() as u64));
    }
    for one in agreements.iter().filter(|one| is_one || !one.is_equal) {
        let key: Vec<_> = one.key.values().map(|value| self::value(Some(value))).collect();
        let key = if is_one { String::new() } else { format!(" of {}", key.join(", ")) };
        let rest = if one.is_equal { String::new() } else { format!(" = {}", value(&one.of_rows)) };
        let sign = if one.is_equal { "=" } else { "≠" };
        let _ = writeln!(out, "  {}{key} {} {sign} {}{rest}", one.column, value(&one.of_mart), one.aggregate);
    }
}

/// What a rule did to the records behind a figure, in a line.
fn told(rule: &RuleRepairs, of: u64, noun: &str) -> String {
    let RuleRepairs { rule, what, records, details, .. } = rule;
    let of = format!("{} of {} {noun}", grouped(*records), grouped(of));
    let did = match what {
        What::Changed => format!("changed {of}"),
        What::Absorbed => format!("merged others into {of}"),
        What::Noted => format!("left a note on {of}"),
    };
    let details: Vec<_> = details.iter().map(|(name, times)| format!("{} {name}", grouped(*times))).collect();
    format!("{rule} {did}: {}", details.join(", "))
}

/// The rules that repaired a row's record, each once, with what it absorbed.
fn rules(row: &DrillRow) -> String {
    let mut names: Vec<String> = Vec::new();
    for repair in row.repairs.iter().filter(|repair| repair.what != What::Noted) {
        let name = match &repair.absorbed {
            Some(key) => format!("{} (absorbed {key})", repair.rule),
            None => repair.rule.clone(),
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(", ")
}

fn value(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "–".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}
