//! Renders a mart's figures, the rows behind them and the rules that changed these rows.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use host_core::text::escape_line;
use host_ledger::journal::{RepairKind, RuleRepairs};
use host_warehouse::Row;

use super::table::{render_count, render_number, render_rows, render_text, render_value};
use crate::explain::{Agreement, DrillResult, DrillRow, Explanation};

/// The width at which descriptions are wrapped, in columns.
const WIDTH: u16 = 120;

/// Everything that explains some rows of a mart.
#[must_use]
pub fn render_explained(explained: &Explanation) -> String {
    let rows = render_count(explained.total, "row", "rows");
    let mut out = format!("{}: {rows} where {}\n", explained.mart, explained.condition);
    // Writing to a String cannot fail.
    if let Some(description) = &explained.description {
        let _ = writeln!(out, "{description}");
    }
    let _ = match explained.rows.as_slice() {
        [row] => writeln!(out, "\n{}", render_row(explained, row)),
        rows => writeln!(out, "\n{}", render_rows(rows)),
    };
    if explained.total > explained.rows.len() as u64 {
        let _ = writeln!(
            out,
            "showing the first {} of {} rows; the details below cover all of them; narrow the condition to see fewer",
            explained.rows.len(),
            render_number(explained.total)
        );
    }
    if explained.drills.is_empty() {
        let _ = writeln!(
            out,
            "\n`{}` has no drills: add `[[drill]]` to its TOML file to show the rows behind its figures",
            explained.mart
        );
    }
    explained.drills.iter().for_each(|drill| render_drill(&mut out, drill, explained.total == 1));
    out
}

/// A row of the mart, one line per column.
fn render_row(explained: &Explanation, row: &Row) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
    for column in &explained.columns {
        let description = column.description.clone().unwrap_or_default();
        let source = column.formula_source.as_ref().map(|source| format!(" [{source}]")).unwrap_or_default();
        table.add_row([escape_line(&column.name), render_value(row.get(&column.name)), description + &source]);
    }
    if let Some(column) = table.column_mut(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.trim_fmt()
}

fn render_drill(out: &mut String, drill: &DrillResult, is_single: bool) {
    let description = drill.description.as_deref().map(|text| format!(": {text}")).unwrap_or_default();
    let _ = writeln!(out, "\n{}{description}", drill.drill);
    let noun = drill.stream.as_deref().and_then(|stream| stream.rsplit('.').next()).unwrap_or("records");
    let of = drill.records.map(|records| format!(" of {} {noun}", render_number(records))).unwrap_or_default();
    let _ = writeln!(out, "  {}{of}", render_count(drill.total, "row", "rows"));
    render_agreements(out, &drill.agreements, is_single);
    for rule in &drill.rules {
        let _ = writeln!(out, "  {}", render_rule(rule, drill.records.unwrap_or_default(), noun));
    }
    if drill.rows.is_empty() {
        return;
    }
    // With a single row of the mart, its key is the same in all rows and is already shown above.
    let is_hidden = |name: &String| is_single && drill.key.contains(name);
    let row = |row: &DrillRow| {
        let mut shown: Row = row.row.clone().into_iter().filter(|(name, _)| !is_hidden(name)).collect();
        if drill.stream.is_some() {
            shown.insert("corrected by".to_owned(), repairing_rules(row).into());
        }
        shown
    };
    let rows: Vec<_> = drill.rows.iter().map(row).collect();
    let _ = writeln!(out, "{}", render_rows(&rows));
    if drill.total > drill.rows.len() as u64 {
        let (shown, total) = (drill.rows.len(), drill.total);
        let _ =
            writeln!(out, "  showing the first {shown} of {} rows; `--rows {total}` shows all", render_number(total));
    }
}

/// Compares figures with the sums of the rows: all figures of a single row of the mart, otherwise those that differ.
fn render_agreements(out: &mut String, agreements: &[Agreement], is_single: bool) {
    let different = agreements.iter().filter(|one| !one.is_equal).count();
    if !is_single && !agreements.is_empty() && different == 0 {
        let figures = render_count(agreements.len() as u64, "figure equals", "figures equal");
        let _ = writeln!(out, "  {figures} the sums of these rows");
    }
    for one in agreements.iter().filter(|one| is_single || !one.is_equal) {
        let key: Vec<_> = one.key.values().map(|value| render_value(Some(value))).collect();
        let key = if is_single { String::new() } else { format!(" of {}", key.join(", ")) };
        let rest = if one.is_equal { String::new() } else { format!(" = {}", render_text(one.drill_value.as_deref())) };
        let sign = if one.is_equal { "=" } else { "≠" };
        let figure = render_text(one.mart_value.as_deref());
        let _ = writeln!(out, "  {}{key} {figure} {sign} {}{rest}", one.column, one.aggregate);
    }
}

/// What a rule did to the records behind a figure, in one line.
fn render_rule(rule: &RuleRepairs, of: u64, noun: &str) -> String {
    let RuleRepairs { rule, what, records, details, .. } = rule;
    let of = format!("{} of {} {noun}", render_number(*records), render_number(of));
    let did = match what {
        RepairKind::Changed => format!("changed {of}"),
        RepairKind::Absorbed => format!("merged others into {of}"),
        RepairKind::Noted => format!("left a note on {of}"),
    };
    let details: Vec<_> =
        details.iter().map(|(name, times)| format!("{} {}", render_number(*times), escape_line(name))).collect();
    format!("{rule} {did}: {}", details.join(", "))
}

/// The distinct rules that changed a row's record, each with the record that it merged into it.
fn repairing_rules(row: &DrillRow) -> String {
    let mut names: Vec<String> = Vec::new();
    for repair in row.repairs.iter().filter(|repair| repair.what != RepairKind::Noted) {
        let name = match &repair.absorbed {
            Some(key) => format!("{} (absorbed {})", repair.rule, escape_line(key)),
            None => repair.rule.clone(),
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(", ")
}
