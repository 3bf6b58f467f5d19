//! Renders the report of a run and of an erasure.

use std::fmt::Write as _;

use host_core::text::escape_line;
use host_models::BuildReport;

use super::models::summarize_built;
use super::table::{render_count, render_number, render_rows};
use crate::erasure::ErasureSummary;
use crate::report::{Report, RowCounts};

/// The report of a run, ending in a newline.
#[must_use]
pub fn render_report(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write_report(&mut out, report);
    out
}

fn write_report(out: &mut String, report: &Report) -> std::fmt::Result {
    let width = report.extracted.iter().map(|stream| stream.stream.len()).max().unwrap_or(10);
    for (index, stream) in report.extracted.iter().enumerate() {
        let label = if index == 0 { "extract" } else { "" };
        let (rows, changed) = (render_number(stream.rows), render_number(stream.changed));
        let unit = if stream.rows == 1 { "row" } else { "rows" };
        let mut line = format!("{label:<9}{:<width$} {rows:>9} {unit:<4} {changed:>9} changed", stream.stream);
        if stream.requests > 0 {
            let unit = if stream.requests == 1 { "request" } else { "requests" };
            line.push_str(&format!("{:>6} {unit:<8}{:>7.1} s", render_number(stream.requests), stream.seconds));
        }
        writeln!(out, "{line}")?;
    }
    for skipped in &report.skipped {
        writeln!(out, "skipped  {}: {}", skipped.stream, escape_line(&skipped.error.message()))?;
        if let Some(hint) = skipped.error.hint_text() {
            writeln!(out, "         hint: {}", escape_line(&hint))?;
        }
    }
    write_cleaned(out, report)?;
    let extracted = report.extracted.iter().map(|stream| (&stream.stream, &stream.warnings));
    let cleaned = report.cleaned.iter().map(|stream| (&stream.stream, &stream.warnings));
    for (stream, warnings) in extracted.chain(cleaned) {
        warnings.iter().try_for_each(|warning| writeln!(out, "warning  {stream}: {}", escape_line(warning)))?;
    }
    report.warnings.iter().try_for_each(|warning| writeln!(out, "warning  {}", escape_line(warning)))?;
    if let Some(built) = &report.built {
        writeln!(out, "models   {}", summarize_built(built))?;
        built.warnings.iter().try_for_each(|warning| writeln!(out, "warning  {}", escape_line(warning)))?;
    }
    let sum = |count: fn(&RowCounts) -> u64| render_number(report.reconciliation.iter().map(count).sum());
    writeln!(
        out,
        "rows     raw {} = clean {} + merged {} + rejected {}",
        sum(|stream| stream.raw),
        sum(|stream| stream.clean),
        sum(|stream| stream.merged),
        sum(|stream| stream.rejected),
    )?;
    for table in &report.tables {
        writeln!(out, "\n{}\n{}", table.title, render_rows(&table.rows))?;
        if let Some(meaning) = &table.meaning {
            writeln!(out, "{meaning}")?;
        }
    }
    let path = report.warehouse.display();
    let partial = if report.is_partial { " · partial" } else { "" };
    writeln!(out, "\n{path} · run {} · {:.1} s{partial}", report.load_id, report.seconds)?;
    if let Some(table) = report.tables.first().and_then(|table| table.reads.first()) {
        writeln!(out, "try: duckdb {path} \"FROM {table}\"")?;
    }
    Ok(())
}

fn write_cleaned(out: &mut String, report: &Report) -> std::fmt::Result {
    let mut label = "clean";
    for stream in &report.cleaned {
        if !stream.because.is_empty() {
            writeln!(out, "{label:<9}{}: cleaned again, because {}", stream.stream, escape_line(&stream.because))?;
            label = "";
        }
        for rule in &stream.rules {
            let mut facts = match rule.checked {
                0 if stream.rows > 0 => vec!["nothing new to check".to_owned()],
                checked => vec![format!("{} checked", render_number(checked))],
            };
            let counts = [
                (rule.changed, "fields changed"),
                (rule.merged, "merged"),
                (rule.rejected, "rejected"),
                (rule.notes, "notes"),
            ];
            let counts = counts.iter().filter(|(count, _)| *count > 0);
            facts.extend(counts.map(|(count, what)| format!("{} {what}", render_number(*count))));
            writeln!(out, "{label:<9}{} {}: {}", stream.stream, rule.rule, facts.join(" · "))?;
            label = "";
        }
    }
    if label == "clean" && !report.cleaned.is_empty() {
        writeln!(out, "clean    unchanged: neither rows nor rules changed")?;
    }
    Ok(())
}

/// What an erasure did to a record, ending in a newline.
#[must_use]
pub fn render_erased(record: &str, erased: &ErasureSummary, built: Option<&BuildReport>) -> String {
    let mut lines: Vec<_> = erased
        .rows
        .iter()
        .map(|(table, rows)| format!("erased   {} from {table}", render_count(*rows, "row", "rows")))
        .collect();
    let emptied = erased.emptied.iter();
    lines.extend(emptied.map(|(table, rows)| {
        format!("emptied  free text in {} of {table}", render_count(*rows, "linked row", "linked rows"))
    }));
    if lines.is_empty() {
        lines.push(format!("no rows of `{record}` were found; if the name is wrong, undo this with `--undo`"));
    }
    let warnings = built.into_iter().flat_map(|built| &built.warnings);
    lines.extend(warnings.map(|warning| format!("warning  {}", escape_line(warning))));
    let records = match erased.records {
        1 => "later loads keep the record out".to_owned(),
        records => format!("later loads keep {records} records out"),
    };
    lines.push(format!("{records}; erase backups of the warehouse yourself"));
    lines.join("\n") + "\n"
}
