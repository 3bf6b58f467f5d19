//! What cleaning did, as the journal tells: by stream and rule with examples, and the story of one record.

use crate::error::{Error, Result, nearest};
use crate::schema::Type;
use crate::warehouse::{LoadedStream, Row, Table, Warehouse, key_text, literal, quote};

/// What the rules of one stream did to the rows that it has.
#[derive(Debug, serde::Serialize)]
pub struct StreamQuality {
    /// `source.stream`.
    pub stream: String,
    /// Rows, all accounted for.
    pub rows: super::Reconciled,
    /// Sums of its decimal columns, all accounted for.
    pub amounts: Vec<Amounts>,
    /// Its rules, in order.
    pub rules: Vec<RuleQuality>,
}

/// The sums of a decimal column: raw = clean + merged + rejected − changed, or they do not reconcile.
#[derive(Debug, serde::Serialize)]
pub struct Amounts {
    /// The column.
    pub column: String,
    /// Its sum over raw rows, as text, so that no cent is rounded.
    pub raw: String,
    /// Over clean rows.
    pub clean: String,
    /// Over raw rows that merged into others.
    pub merged: String,
    /// Over raw rows that were refused.
    pub rejected: String,
    /// What rules added to it, less what they took.
    pub changed: String,
    /// Whether it adds up.
    pub reconciles: bool,
}

/// What one rule did.
#[derive(Debug, serde::Serialize)]
pub struct RuleQuality {
    /// The rule's name.
    pub rule: String,
    /// Its counts: checked, changed, merged, rejected, notes.
    pub counts: Row,
    /// The most frequent changes: `column_name`, `value_before`, `value_after`, `rows`.
    pub changes: Vec<Row>,
    /// The most frequent reasons of rejects, notes and merges: `what`, `code`, `column_name`, `message`, `rows`.
    pub reasons: Vec<Row>,
}

/// What the rules of every stream did, with so many examples each.
pub fn quality(warehouse: &Warehouse, examples: usize) -> Result<Vec<StreamQuality>> {
    let reconciled = super::reconcile(warehouse)?;
    let loaded = warehouse.loaded_streams()?;
    let mut streams = Vec::new();
    for rows in reconciled {
        let Some(stream) = loaded.iter().find(|stream| stream.name() == rows.stream) else { continue };
        // Of all its rows, whichever run cleaned them: a run may see a few, and a rule none.
        let rules = warehouse.query(
            "WITH last AS (SELECT rule, position FROM _host.rule_runs WHERE stream = ?1 AND load_id = \
               (SELECT max(load_id) FROM _host.rule_runs WHERE stream = ?1)), \
             done AS (SELECT rule, count(*) FILTER (what = 'changed') AS changed, count(*) FILTER (what = 'merged') AS merged, \
               count(*) FILTER (what = 'rejected') AS rejected, count(*) FILTER (what = 'noted') AS notes FROM ( \
                 SELECT rule, 'changed' AS what FROM _host.changes WHERE stream = ?1 \
                 UNION ALL SELECT rule, 'merged' FROM _host.merges WHERE stream = ?1 \
                 UNION ALL SELECT rule, 'rejected' FROM _host.rejects WHERE stream = ?1 \
                 UNION ALL SELECT rule, 'noted' FROM _host.notes WHERE stream = ?1) GROUP BY rule) \
             SELECT rule, (?2::BIGINT - coalesce(sum(merged + rejected) OVER ( \
               ORDER BY position ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0))::BIGINT AS checked, \
               coalesce(changed, 0) AS changed, coalesce(merged, 0) AS merged, coalesce(rejected, 0) AS rejected, \
               coalesce(notes, 0) AS notes FROM last LEFT JOIN done USING (rule) ORDER BY position",
            &[&stream.name(), &rows.raw.to_string()],
        )?;
        if rules.is_empty() {
            continue;
        }
        let rules = rules.into_iter().map(|counts| rule(warehouse, &stream.name(), counts, examples));
        let rules = rules.collect::<Result<_>>()?;
        streams.push(StreamQuality { stream: stream.name(), rows, amounts: amounts(warehouse, stream)?, rules });
    }
    Ok(streams)
}

fn rule(warehouse: &Warehouse, stream: &str, mut counts: Row, examples: usize) -> Result<RuleQuality> {
    let rule = counts.remove("rule").and_then(|rule| rule.as_str().map(str::to_owned)).unwrap_or_default();
    let parameters = [stream, rule.as_str()];
    let changes = format!(
        "SELECT column_name, value_before, value_after, count(*) AS rows FROM _host.changes \
         WHERE stream = ? AND rule = ? GROUP BY ALL ORDER BY rows DESC, 1, 2, 3 LIMIT {examples}"
    );
    let reasons = format!(
        "SELECT what, code, column_name, min(message) AS message, count(*) AS rows FROM ( \
           SELECT 'rejected' AS what, stream, rule, code, column_name, message FROM _host.rejects \
           UNION ALL SELECT 'note', stream, rule, code, column_name, message FROM _host.notes \
           UNION ALL SELECT 'merged', stream, rule, code, NULL, NULL FROM _host.merges) \
         WHERE stream = ? AND rule = ? GROUP BY what, code, column_name ORDER BY rows DESC, 1, 2, 3 LIMIT {examples}"
    );
    let changes = warehouse.query(&changes, &parameters)?;
    let reasons = warehouse.query(&reasons, &parameters)?;
    Ok(RuleQuality { rule, counts, changes, reasons })
}

/// The sums of a stream's decimal columns.
fn amounts(warehouse: &Warehouse, stream: &LoadedStream) -> Result<Vec<Amounts>> {
    let (raw, clean) = (Table::raw(&stream.source, &stream.stream), Table::clean(&stream.source, &stream.stream));
    let fields = warehouse.columns(&raw)?.unwrap_or_default();
    let clean_fields = warehouse.columns(&clean)?.unwrap_or_default();
    let (key, name) = (key_text(&stream.primary_key), literal(&stream.name()));
    let mut amounts = Vec::new();
    for field in fields.iter().filter(|field| matches!(field.data_type, Type::Decimal(..))) {
        // A column that a rule made into something else has no sum to compare.
        if !clean_fields.iter().any(|clean| clean.name == field.name && matches!(clean.data_type, Type::Decimal(..))) {
            continue;
        }
        let (column, data_type) = (quote(&field.name), field.data_type.sql());
        let of = |table: &str| {
            format!(
                "(SELECT coalesce(sum({column}), 0) FROM {raw} WHERE {key} IN (SELECT key FROM _host.{table} WHERE stream = {name}))"
            )
        };
        let sql = format!(
            "SELECT raw::VARCHAR AS raw, clean::VARCHAR AS clean, merged::VARCHAR AS merged, rejected::VARCHAR AS rejected, \
             changed::VARCHAR AS changed, raw = clean + merged + rejected - changed AS reconciles FROM (SELECT \
             (SELECT coalesce(sum({column}), 0) FROM {raw}) AS raw, (SELECT coalesce(sum({column}), 0) FROM {clean}) AS clean, \
             {} AS merged, {} AS rejected, (SELECT coalesce(sum(coalesce(TRY_CAST(value_after AS {data_type}), 0) - \
             coalesce(TRY_CAST(value_before AS {data_type}), 0)), 0) FROM _host.changes WHERE stream = {name} \
             AND column_name = {} AND key IN (SELECT {key} FROM {clean})) AS changed)",
            of("merges"),
            of("rejects"),
            literal(&field.name),
        );
        let Some(row) = warehouse.query(&sql, &[])?.into_iter().next() else { continue };
        let text = |name: &str| row.get(name).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
        amounts.push(Amounts {
            column: field.name.clone(),
            raw: text("raw"),
            clean: text("clean"),
            merged: text("merged"),
            rejected: text("rejected"),
            changed: text("changed"),
            reconciles: row.get("reconciles").and_then(serde_json::Value::as_bool).unwrap_or_default(),
        });
    }
    Ok(amounts)
}

/// One record's story.
#[derive(Debug, serde::Serialize)]
pub struct RecordStory {
    /// `source.stream`.
    pub stream: String,
    /// Its primary key, as text.
    pub key: String,
    /// What the source sent; none where it has no such record any more.
    pub raw: Option<Row>,
    /// What became of it: `clean`, `merged into KEY`, `rejected`.
    pub fate: String,
    /// What each rule did to it, in the order of the rules: `rule`, `what`, `column_name`, `value_before`,
    /// `value_after`, `code`, `message`, `confidence`.
    pub steps: Vec<Row>,
    /// Records that merged into it: `key`, `rule`, `code`, `confidence`.
    pub merged_from: Vec<Row>,
    /// As models see it.
    pub clean: Option<Row>,
}

/// The story of a record, named `stream/key` or `source.stream/key`.
pub fn record(warehouse: &Warehouse, record: &str) -> Result<RecordStory> {
    let (stream, key) = find(warehouse, record)?;
    let name = stream.name();
    let one = |table: &Table| -> Result<Option<Row>> {
        let sql = format!("SELECT * FROM {table} WHERE {} = ?", key_text(&stream.primary_key));
        Ok(warehouse.query(&sql, &[&key])?.into_iter().next())
    };
    let raw = one(&Table::raw(&stream.source, &stream.stream))?;
    let clean = one(&Table::clean(&stream.source, &stream.stream))?;
    let steps = warehouse.query(
        "SELECT story.* EXCLUDE (stream, key) FROM ( \
           SELECT stream, key, rule, 'changed' AS what, column_name, value_before, value_after, NULL AS code, NULL AS message, \
             NULL::DOUBLE AS confidence FROM _host.changes \
           UNION ALL SELECT stream, key, rule, 'noted', column_name, NULL, NULL, code, message, confidence FROM _host.notes \
           UNION ALL SELECT stream, key, rule, 'rejected', column_name, NULL, NULL, code, message, NULL FROM _host.rejects \
           UNION ALL SELECT stream, key, rule, 'merged', NULL, NULL, survivor_key, code, NULL, confidence FROM _host.merges \
         ) AS story LEFT JOIN (SELECT stream, rule, min(position) AS position FROM _host.rule_runs \
           WHERE load_id = (SELECT max(load_id) FROM _host.rule_runs AS last WHERE last.stream = rule_runs.stream) \
           GROUP BY ALL) AS runs USING (stream, rule) \
         WHERE stream = ? AND key = ? ORDER BY position, what, column_name",
        &[&name, &key],
    )?;
    let merged_from = warehouse.query(
        "SELECT key, rule, code, confidence FROM _host.merges WHERE stream = ? AND survivor_key = ? ORDER BY key",
        &[&name, &key],
    )?;
    let survivor = steps.iter().find(|step| step.get("what").is_some_and(|what| what == "merged"));
    let survivor = survivor.and_then(|step| step.get("value_after")?.as_str());
    let is_rejected = steps.iter().any(|step| step.get("what").is_some_and(|what| what == "rejected"));
    let fate = match (&clean, survivor) {
        (Some(_), _) => "clean".to_owned(),
        (None, Some(survivor)) => format!("merged into {survivor}"),
        (None, None) if is_rejected => "rejected".to_owned(),
        (None, None) => "gone".to_owned(),
    };
    if raw.is_none() && clean.is_none() {
        if let Some(at) = warehouse.forgotten_at(&stream, &key)? {
            let error = Error::config(format!("`{name}/{key}` was forgotten at {at}"));
            return Err(error.hint("`host forget PIPELINE RECORD --undo` lets it in again"));
        }
        let error = Error::config(format!("no record `{key}` in stream `{name}`"));
        return Err(error.hint("the key is the record's primary key, such as HubSpot's record id"));
    }
    Ok(RecordStory { stream: name, key, raw, fate, steps, merged_from, clean })
}

/// The stream and the key that `stream/key` names.
pub fn find(warehouse: &Warehouse, record: &str) -> Result<(LoadedStream, String)> {
    let (stream, key) = record.split_once('/').ok_or_else(|| {
        Error::config(format!("`{record}` names no record")).hint("name it as `stream/key`, such as `contacts/123`")
    })?;
    let loaded = warehouse.loaded_streams()?;
    let names: Vec<_> = loaded.iter().map(LoadedStream::name).collect();
    let mut found: Vec<_> = loaded.into_iter().filter(|one| one.name() == stream || one.stream == stream).collect();
    match (found.pop(), found.is_empty()) {
        (Some(stream), true) => Ok((stream, key.to_owned())),
        (Some(_), false) => {
            Err(Error::config(format!("several sources have a stream `{stream}`"))
                .hint("name it as `source.stream/key`"))
        }
        (None, _) => {
            let error = Error::config(format!("no stream `{stream}` is loaded"));
            let near = nearest(stream, names.iter().map(String::as_str));
            let all = if names.is_empty() {
                "`host run PIPELINE` loads them".to_owned()
            } else {
                format!("there are {}", names.join(", "))
            };
            Err(error.hint(near.unwrap_or(all)))
        }
    }
}
