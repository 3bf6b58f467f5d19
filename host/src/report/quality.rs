//! What cleaning did, from the journal: by stream and rule with examples, and the history of one record.

use host_core::error::{Error, Result, nearest, one_of};
use host_core::schema::Type;
use host_ledger::StreamTable;
use host_ledger::forgotten;
use host_ledger::journal::{self, ChangeExample, HistoryStep, Merged, Reason, RuleTotals};
use host_ledger::streams::{self, LoadedStream};
use host_warehouse::{Row, Table, Warehouse, key_text, quote};

use super::reconcile::{RowCounts, reconcile};

/// What the rules of one stream did to all of its rows.
#[derive(Debug, serde::Serialize)]
pub struct StreamQuality {
    /// `source.stream`.
    pub stream: String,
    /// Its row counts.
    pub rows: RowCounts,
    /// The sums of its decimal columns.
    pub amounts: Vec<ColumnSums>,
    /// Its rules, in order.
    pub rules: Vec<RuleQuality>,
}

/// The sums of a decimal column. They add up if raw = clean + merged + rejected − changed.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct ColumnSums {
    /// The column.
    #[serde(default)]
    pub column: String,
    /// Its sum over raw rows, as text, so that no cent is rounded.
    pub raw: String,
    /// Its sum over clean rows.
    pub clean: String,
    /// Its sum over raw rows that were merged into others.
    pub merged: String,
    /// Its sum over raw rows that were rejected.
    pub rejected: String,
    /// The sum of the changes that rules made to it in clean rows.
    pub changed: String,
    /// Whether the sums add up.
    pub reconciles: bool,
}

/// What one rule did.
#[derive(Debug, serde::Serialize)]
pub struct RuleQuality {
    /// The rule's name.
    pub rule: String,
    /// Its totals.
    pub counts: RuleTotals,
    /// The most frequent changes.
    pub changes: Vec<ChangeExample>,
    /// The most frequent reasons of rejects, notes and merges.
    pub reasons: Vec<Reason>,
}

/// What the rules of every stream did, with up to this many examples of each kind per rule.
///
/// # Errors
/// Same as [`reconcile`].
pub fn quality(warehouse: &Warehouse, examples: usize) -> Result<Vec<StreamQuality>> {
    let reconciled = reconcile(warehouse)?;
    let loaded = streams::loaded(warehouse)?;
    let mut qualities = Vec::new();
    for rows in reconciled {
        let Some(stream) = loaded.iter().find(|stream| stream.name() == rows.stream) else { continue };
        let totals = journal::rule_totals(warehouse, stream, rows.raw)?;
        if totals.is_empty() {
            continue;
        }
        let rule = |counts: RuleTotals| -> Result<RuleQuality> {
            let changes = journal::change_examples(warehouse, stream, &counts.rule, examples)?;
            let reasons = journal::reasons(warehouse, stream, &counts.rule, examples)?;
            Ok(RuleQuality { rule: counts.rule.clone(), counts, changes, reasons })
        };
        let rules = totals.into_iter().map(rule).collect::<Result<_>>()?;
        let amounts = column_sums(warehouse, stream)?;
        qualities.push(StreamQuality { stream: stream.name(), rows, amounts, rules });
    }
    Ok(qualities)
}

/// The sums of a stream's decimal columns.
fn column_sums(warehouse: &Warehouse, stream: &LoadedStream) -> Result<Vec<ColumnSums>> {
    let (raw, clean) = (stream.raw(), stream.clean());
    let fields = warehouse.columns(&raw)?.unwrap_or_default();
    let clean_fields = warehouse.columns(&clean)?.unwrap_or_default();
    let key = key_text(&stream.primary_key);
    let mut sums = Vec::new();
    for field in fields.iter().filter(|field| matches!(field.data_type, Type::Decimal(..))) {
        // A column that a rule changed to another type has no sum to compare.
        if !clean_fields.iter().any(|clean| clean.name == field.name && matches!(clean.data_type, Type::Decimal(..))) {
            continue;
        }
        let column = quote(&field.name);
        let of_keys = |table: StreamTable| {
            let keys = journal::keys_in(stream, table);
            format!("(SELECT coalesce(sum({column}), 0) FROM {raw} WHERE {key} IN ({keys}))")
        };
        let sql = format!(
            "SELECT raw::VARCHAR AS raw, clean::VARCHAR AS clean, merged::VARCHAR AS merged, rejected::VARCHAR AS rejected, \
             changed::VARCHAR AS changed, raw = clean + merged + rejected - changed AS reconciles FROM (SELECT \
             (SELECT coalesce(sum({column}), 0) FROM {raw}) AS raw, (SELECT coalesce(sum({column}), 0) FROM {clean}) AS clean, \
             {} AS merged, {} AS rejected, ({}) AS changed)",
            of_keys(StreamTable::Merges),
            of_keys(StreamTable::Rejects),
            journal::changed_amounts(stream, &field.name, &field.data_type.sql()),
        );
        let of_column = warehouse.query_first::<ColumnSums>(&sql, ())?;
        sums.extend(of_column.map(|sums| ColumnSums { column: field.name.clone(), ..sums }));
    }
    Ok(sums)
}

/// The history of one record.
#[derive(Debug, serde::Serialize)]
pub struct RecordHistory {
    /// `source.stream`.
    pub stream: String,
    /// Its primary key, as text.
    pub key: String,
    /// The raw row. None if the source no longer has the record.
    pub raw: Option<Row>,
    /// Its outcome: `clean`, `merged into KEY`, `rejected` or `gone`.
    pub fate: String,
    /// What each rule did to it, in the order of the rules.
    pub steps: Vec<HistoryStep>,
    /// Records that were merged into it.
    pub merged_from: Vec<Merged>,
    /// The clean row, which models read. None if the record was merged or rejected.
    pub clean: Option<Row>,
}

/// The history of a record, named `stream/key` or `source.stream/key`.
///
/// # Errors
/// A name that is not of a record, and a record that does not exist or was forgotten.
pub fn record_history(warehouse: &Warehouse, record: &str) -> Result<RecordHistory> {
    let (stream, key) = find_record(warehouse, record)?;
    let name = stream.name();
    let row = |table: &Table| -> Result<Option<Row>> {
        let sql = format!("SELECT * FROM {table} WHERE {} = ?", key_text(&stream.primary_key));
        Ok(warehouse.query(&sql, [&key])?.into_iter().next())
    };
    let (raw, clean) = (row(&stream.raw())?, row(&stream.clean())?);
    let steps = journal::steps(warehouse, &stream, &key)?;
    let merged_from = journal::merged_into(warehouse, &stream, &key)?;
    let survivor = steps.iter().find(|step| step.what == "merged").and_then(|step| step.value_after.as_deref());
    let is_rejected = steps.iter().any(|step| step.what == "rejected");
    let fate = match (&clean, survivor) {
        (Some(_), _) => "clean".to_owned(),
        (None, Some(survivor)) => format!("merged into {survivor}"),
        (None, None) if is_rejected => "rejected".to_owned(),
        (None, None) => "gone".to_owned(),
    };
    if raw.is_none() && clean.is_none() {
        if let Some(at) = forgotten::forgotten_at(warehouse, &name, &key)? {
            let error = Error::config(format!("`{name}/{key}` was forgotten at {at}"));
            return Err(error.hint("undo it with `host forget PIPELINE RECORD --undo`"));
        }
        let error = Error::config(format!("unknown record `{key}` in stream `{name}`"));
        return Err(error.hint("identify a record by its primary key, such as its record id in the source"));
    }
    Ok(RecordHistory { stream: name, key, raw, fate, steps, merged_from, clean })
}

/// The stream and the key that `stream/key` names.
///
/// # Errors
/// A text of another form, and a stream that is not loaded or that several sources have.
pub fn find_record(warehouse: &Warehouse, record: &str) -> Result<(LoadedStream, String)> {
    let (stream, key) = record.split_once('/').ok_or_else(|| {
        Error::config(format!("`{record}` is not a valid record name"))
            .hint("write `stream/key`, such as `contacts/123`")
    })?;
    let loaded = streams::loaded(warehouse)?;
    let names: Vec<_> = loaded.iter().map(LoadedStream::name).collect();
    let mut found: Vec<_> = loaded.into_iter().filter(|one| one.name() == stream || one.stream == stream).collect();
    match (found.pop(), found.is_empty()) {
        (Some(stream), true) => Ok((stream, key.to_owned())),
        (Some(_), false) => {
            Err(Error::config(format!("several sources have a stream `{stream}`")).hint("write `source.stream/key`"))
        }
        (None, _) => {
            let known = || names.iter().map(String::as_str);
            let hint = nearest(stream, known()).or_else(|| one_of(known()));
            let hint = hint.unwrap_or_else(|| "load streams with `host run PIPELINE`".to_owned());
            Err(Error::config(format!("stream `{stream}` is not loaded")).hint(hint))
        }
    }
}
