//! `host quality`: what cleaning did, by stream and rule, or to one record.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;

use super::{Format, Shared, json};
use crate::error::Result;
use crate::report::{self, RecordStory, StreamQuality};
use crate::run::Context;
use crate::warehouse::Row;

/// Shows what cleaning did.
#[derive(Args)]
pub(super) struct Quality {
    /// The pipeline file.
    pub(super) pipeline: PathBuf,
    /// One record's story: `stream/key`, such as `contacts/123`.
    #[arg(long, value_name = "STREAM/KEY")]
    record: Option<String>,
    /// Examples of each rule.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(0..=1000))]
    examples: u16,
}

impl Quality {
    pub(super) async fn run(&self, context: &Context<'_>, shared: &Shared) -> Result<String> {
        let warehouse = context.look()?;
        if let Some(record) = &self.record {
            let story = report::record(&warehouse, record)?;
            return if shared.format == Format::Json { json(&story) } else { Ok(told(&story)) };
        }
        let streams = report::quality(&warehouse, self.examples.into())?;
        if shared.format == Format::Json { json(&streams) } else { Ok(streams.iter().map(shown).collect()) }
    }
}

fn text(row: &Row, name: &str) -> Option<String> {
    row.get(name).filter(|value| !value.is_null()).map(|value| match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    })
}

/// A value as it is shown: in quotes, or as nothing.
fn quoted(row: &Row, name: &str) -> String {
    text(row, name).map_or_else(|| "–".to_owned(), |text| format!("`{text}`"))
}

fn shown(stream: &StreamQuality) -> String {
    let mut out = String::new();
    let rows = &stream.rows;
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "{}\n  rows    raw {} = clean {} + merged {} + rejected {}",
        stream.stream, rows.raw, rows.clean, rows.merged, rows.rejected
    );
    for amounts in &stream.amounts {
        let sign = if amounts.reconciles { "=" } else { "≠" };
        let changed = if amounts.changed.trim_matches(['0', '.']).is_empty() {
            String::new()
        } else {
            format!(" − changed {}", amounts.changed)
        };
        let _ = writeln!(
            out,
            "  {:<7} raw {} {sign} clean {} + merged {} + rejected {}{changed}",
            amounts.column, amounts.raw, amounts.clean, amounts.merged, amounts.rejected
        );
    }
    for rule in &stream.rules {
        let facts = ["checked", "changed", "merged", "rejected", "notes"].iter().filter_map(|name| {
            let count = text(&rule.counts, name).filter(|count| count != "0")?;
            Some(format!("{count} {name}"))
        });
        let _ = writeln!(out, "  {}: {}", rule.rule, facts.collect::<Vec<_>>().join(" · "));
        for change in &rule.changes {
            let (column, times) =
                (text(change, "column_name").unwrap_or_default(), text(change, "rows").unwrap_or_default());
            let (before, after) = (quoted(change, "value_before"), quoted(change, "value_after"));
            let _ = writeln!(out, "    {column}: {before} → {after}  ×{times}");
        }
        for reason in &rule.reasons {
            let column = text(reason, "column_name").map(|column| format!(" {column}")).unwrap_or_default();
            let message = text(reason, "message").filter(|message| !message.is_empty());
            let message = message.map(|message| format!(", such as: {message}")).unwrap_or_default();
            let (what, code) = (text(reason, "what").unwrap_or_default(), text(reason, "code").unwrap_or_default());
            let _ = writeln!(out, "    {what}{column} {code}{message}  ×{}", text(reason, "rows").unwrap_or_default());
        }
    }
    out.push('\n');
    out
}

fn told(story: &RecordStory) -> String {
    let mut out = format!("{}/{}: {}\n", story.stream, story.key, story.fate);
    let hidden = ["_load_id", "_extracted_at"];
    if let Some(raw) = &story.raw {
        let _ = writeln!(out, "raw");
        for name in raw.keys().filter(|name| !hidden.contains(&name.as_str())) {
            if let Some(value) = text(raw, name) {
                let _ = writeln!(out, "  {name:<28} {value}");
            }
        }
    }
    let _ = writeln!(out, "rules");
    for step in &story.steps {
        let field = |name: &str| text(step, name);
        let sure = field("confidence").map(|sure| format!(" (sure {sure})")).unwrap_or_default();
        let column = field("column_name").unwrap_or_default();
        let what = match field("what").as_deref() {
            Some("changed") => format!("{column}: {} → {}", quoted(step, "value_before"), quoted(step, "value_after")),
            Some("merged") => {
                format!(
                    "merged into {} by {}{sure}",
                    field("value_after").unwrap_or_default(),
                    field("code").unwrap_or_default()
                )
            }
            _ => {
                let message = field("message").map(|message| format!(": {message}")).unwrap_or_default();
                format!(
                    "{} {column} {}{message}{sure}",
                    field("what").unwrap_or_default(),
                    field("code").unwrap_or_default()
                )
            }
        };
        let _ = writeln!(out, "  {:<20} {what}", field("rule").unwrap_or_default());
    }
    if story.steps.is_empty() {
        let _ = writeln!(out, "  none changed it");
    }
    for other in &story.merged_from {
        let (key, rule) = (text(other, "key").unwrap_or_default(), text(other, "rule").unwrap_or_default());
        let sure = text(other, "confidence").map(|sure| format!(" (sure {sure})")).unwrap_or_default();
        let _ =
            writeln!(out, "  {rule:<20} {key} merged into it, by {}{sure}", text(other, "code").unwrap_or_default());
    }
    out
}
