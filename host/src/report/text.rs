//! A report as text for people.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, ContentArrangement, Table, TableComponent, presets};

use super::Report;
use crate::marts::Built;
use crate::warehouse::Row;

/// The report, ending in a newline.
#[must_use]
pub fn print(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write_report(&mut out, report);
    out
}

fn write_report(out: &mut String, report: &Report) -> std::fmt::Result {
    let width = report.extracted.iter().map(|stream| stream.stream.len()).max().unwrap_or(10);
    for (index, stream) in report.extracted.iter().enumerate() {
        let label = if index == 0 { "extract" } else { "" };
        let (rows, changed) = (grouped(stream.rows), grouped(stream.changed));
        let mut line = format!("{label:<9}{:<width$} {rows:>9} rows {changed:>9} changed", stream.stream);
        if stream.requests > 0 {
            let unit = if stream.requests == 1 { "request" } else { "requests" };
            line.push_str(&format!("{:>6} {unit:<8}{:>7.1} s", grouped(stream.requests), stream.seconds));
        }
        writeln!(out, "{line}")?;
    }
    for skipped in &report.skipped {
        writeln!(out, "skipped  {}: {}", skipped.stream, skipped.error.message)?;
        if let Some(hint) = &skipped.error.hint {
            writeln!(out, "         hint: {hint}")?;
        }
    }
    write_clean(out, report)?;
    let extracted = report.extracted.iter().map(|stream| (&stream.stream, &stream.warnings));
    let cleaned = report.cleaned.iter().map(|stream| (&stream.stream, &stream.warnings));
    for (stream, warnings) in extracted.chain(cleaned) {
        warnings.iter().try_for_each(|warning| writeln!(out, "warning  {stream}: {warning}"))?;
    }
    report.warnings.iter().try_for_each(|warning| writeln!(out, "warning  {warning}"))?;
    if let Some(built) = &report.built {
        writeln!(out, "marts    {}", built_line(built))?;
        built.warnings.iter().try_for_each(|warning| writeln!(out, "warning  {warning}"))?;
    }
    let sum = |count: fn(&super::Reconciled) -> u64| grouped(report.reconciliation.iter().map(count).sum());
    writeln!(
        out,
        "rows     raw {} = clean {} + merged {} + rejected {}",
        sum(|stream| stream.raw),
        sum(|stream| stream.clean),
        sum(|stream| stream.merged),
        sum(|stream| stream.rejected),
    )?;
    for table in &report.tables {
        writeln!(out, "\n{}\n{}", table.title, self::table(&table.rows))?;
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

/// What was built and tested, in a line.
#[must_use]
pub fn built_line(built: &Built) -> String {
    if built.unchanged {
        return "unchanged: neither tables nor SQL changed since they were published".to_owned();
    }
    let counts = [
        (built.models.len(), "built"),
        (built.models_unchanged, "unchanged"),
        (built.checks_passed, "checks passed"),
        (built.tests_passed, "tests passed"),
        (built.unit_tests_passed, "unit tests passed"),
    ];
    let facts = counts.iter().filter(|(count, what)| *count > 0 || *what == "built");
    let facts: Vec<_> = facts.map(|(count, what)| format!("{count} {what}")).collect();
    format!("{} · {:.1} s", facts.join(" · "), built.seconds)
}

fn write_clean(out: &mut String, report: &Report) -> std::fmt::Result {
    let mut label = "clean";
    for stream in &report.cleaned {
        if !stream.because.is_empty() {
            writeln!(out, "{label:<9}{}: cleaned anew, since {}", stream.stream, stream.because)?;
            label = "";
        }
        for rule in &stream.rules {
            let mut facts = match rule.checked {
                0 if stream.rows > 0 => vec!["nothing new to check".to_owned()],
                checked => vec![format!("{} checked", grouped(checked))],
            };
            let counts = [
                (rule.changed, "fields changed"),
                (rule.merged, "merged"),
                (rule.rejected, "rejected"),
                (rule.notes, "notes"),
            ];
            facts.extend(
                counts
                    .iter()
                    .filter(|(count, _)| *count > 0)
                    .map(|(count, what)| format!("{} {what}", grouped(*count))),
            );
            writeln!(out, "{label:<9}{} {}: {}", stream.stream, rule.rule, facts.join(" · "))?;
            label = "";
        }
    }
    if label == "clean" && !report.cleaned.is_empty() {
        writeln!(out, "clean    unchanged: neither rows nor rules changed")?;
    }
    Ok(())
}

/// Rows as a table, numbers to the right; empty where there are none.
#[must_use]
pub fn table(rows: &[Row]) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_style(TableComponent::HeaderLines, '─').set_style(TableComponent::MiddleHeaderIntersections, '─');
    let Some(first) = rows.first() else { return String::new() };
    table.set_header(first.keys());
    for row in rows {
        table.add_row(row.values().map(|value| match value {
            serde_json::Value::Null => "–".to_owned(),
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        }));
    }
    let is_number = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.parse::<f64>().is_ok(),
        other => other.is_number() || other.is_null(),
    };
    for (index, name) in first.keys().enumerate() {
        let numeric = rows.iter().all(|row| row.get(name).is_none_or(is_number));
        if let Some(column) = table.column_mut(index).filter(|_| numeric) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

/// A number with its thousands apart.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn thousands_are_grouped() {
        assert_eq!([0, 12, 999, 1000, 1_234_567].map(grouped), ["0", "12", "999", "1,000", "1,234,567"]);
    }
}
