//! Renders what cleaning did: by stream and rule, to one record, and to a sample of rows.

use std::fmt::Write as _;

use host_core::schema::{EXTRACTED_AT, LOAD_ID};
use host_core::text::escape_line;
use host_ledger::journal::HistoryStep;

use super::table::{render_count, render_quoted, render_value};
use crate::clean::SampleReport;
use crate::report::{RecordHistory, StreamQuality};

/// The rows and sums of each stream, and what each rule did, with examples.
#[must_use]
pub fn render_quality(streams: &[StreamQuality]) -> String {
    streams.iter().map(render_stream).collect()
}

fn render_stream(stream: &StreamQuality) -> String {
    let mut out = String::new();
    let rows = &stream.rows;
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "{}\n  rows    raw {} = clean {} + merged {} + rejected {}",
        stream.stream, rows.raw, rows.clean, rows.merged, rows.rejected
    );
    for sums in &stream.amounts {
        let sign = if sums.reconciles { "=" } else { "≠" };
        let is_zero = sums.changed.trim_matches(['0', '.']).is_empty();
        let changed = if is_zero { String::new() } else { format!(" − changed {}", sums.changed) };
        let _ = writeln!(
            out,
            "  {:<7} raw {} {sign} clean {} + merged {} + rejected {}{changed}",
            escape_line(&sums.column),
            sums.raw,
            sums.clean,
            sums.merged,
            sums.rejected
        );
    }
    for rule in &stream.rules {
        let counts = &rule.counts;
        let counts = [
            (counts.checked, "checked"),
            (counts.changed, "changed"),
            (counts.merged, "merged"),
            (counts.rejected, "rejected"),
            (counts.notes, "notes"),
        ];
        let facts = counts.iter().filter(|(count, _)| *count > 0).map(|(count, name)| format!("{count} {name}"));
        let _ = writeln!(out, "  {}: {}", rule.rule, facts.collect::<Vec<_>>().join(" · "));
        for change in &rule.changes {
            let column = escape_line(change.column_name.as_deref().unwrap_or_default());
            let before = render_quoted(change.value_before.as_deref());
            let after = render_quoted(change.value_after.as_deref());
            let _ = writeln!(out, "    {column}: {before} → {after}  ×{}", change.rows);
        }
        for reason in &rule.reasons {
            let column =
                reason.column_name.as_ref().map(|column| format!(" {}", escape_line(column))).unwrap_or_default();
            let message = reason.message.as_ref().filter(|message| !message.is_empty());
            let message = message.map(|message| format!(", such as: {}", escape_line(message))).unwrap_or_default();
            let code = escape_line(reason.code.as_deref().unwrap_or_default());
            let _ = writeln!(out, "    {}{column} {code}{message}  ×{}", reason.what, reason.rows);
        }
    }
    out.push('\n');
    out
}

/// The history of one record.
#[must_use]
pub fn render_history(history: &RecordHistory) -> String {
    let mut out = format!("{}/{}: {}\n", escape_line(&history.stream), escape_line(&history.key), history.fate);
    if let Some(raw) = &history.raw {
        let _ = writeln!(out, "raw");
        let is_shown = |name: &str| ![LOAD_ID, EXTRACTED_AT].contains(&name);
        for (name, value) in raw.iter().filter(|(name, value)| is_shown(name) && !value.is_null()) {
            let _ = writeln!(out, "  {:<28} {}", escape_line(name), render_value(Some(value)));
        }
    }
    let _ = writeln!(out, "rules");
    for step in &history.steps {
        let _ = writeln!(out, "  {:<20} {}", step.rule, render_step(step));
    }
    if history.steps.is_empty() {
        let _ = writeln!(out, "  no rule changed it");
    }
    for other in &history.merged_from {
        let code = escape_line(other.code.as_deref().unwrap_or_default());
        let confidence = render_confidence(other.confidence);
        let _ = writeln!(out, "  {:<20} merged {} into it by {code}{confidence}", other.rule, escape_line(&other.key));
    }
    out
}

fn render_step(step: &HistoryStep) -> String {
    let confidence = render_confidence(step.confidence);
    let column = escape_line(step.column_name.as_deref().unwrap_or_default());
    let code = escape_line(step.code.as_deref().unwrap_or_default());
    match step.what.as_str() {
        "changed" => {
            let (before, after) = (step.value_before.as_deref(), step.value_after.as_deref());
            format!("{column}: {} → {}", render_quoted(before), render_quoted(after))
        }
        "merged" => {
            let into = escape_line(step.value_after.as_deref().unwrap_or_default());
            format!("merged into {into} by {code}{confidence}")
        }
        what => {
            let message =
                step.message.as_ref().map(|message| format!(": {}", escape_line(message))).unwrap_or_default();
            format!("{what} {column} {code}{message}{confidence}")
        }
    }
}

fn render_confidence(confidence: Option<f64>) -> String {
    confidence.map(|confidence| format!(" (confidence {confidence})")).unwrap_or_default()
}

/// What a rule did to a sample of rows.
#[must_use]
pub fn render_sample(sampled: &SampleReport) -> String {
    let SampleReport { rule, stream, rows, changes, remarks, warnings } = sampled;
    let rows = render_count(*rows as u64, "row", "rows");
    let changed = render_count(changes.len() as u64, "field changed", "fields changed");
    let noted = render_count(remarks.len() as u64, "note", "notes");
    let mut out = format!("{rule} on {stream}: {rows} · {changed} · {noted}\n");
    for change in changes {
        let (before, after) = (render_quoted(change.before.as_deref()), render_quoted(change.after.as_deref()));
        let _ = writeln!(out, "  {:<16} {}: {before} → {after}", escape_line(&change.key), escape_line(&change.column));
    }
    for remark in remarks {
        let _ = writeln!(out, "  {:<16} {} {}", escape_line(&remark.key), remark.what, escape_line(&remark.message));
    }
    for warning in warnings {
        let _ = writeln!(out, "  warning: {}", escape_line(warning));
    }
    out
}
