//! Runs one rule of table scope: it reads the columns that it declared, batch by batch, and its verdicts are applied to the
//! staged table. If its input did not change since the last cleaning, its earlier verdicts are reused.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_array::{Array as _, ArrayRef, RecordBatch, StringArray};
use host_core::error::{Error, Result};
use host_core::schema::Schema;
use host_ledger::StreamTable;
use host_ledger::streams::merges_of;
use host_plugin::{Note, Verdicts};
use host_warehouse::{Table, Warehouse, key_text, literal, quote, quote_all};
use tracing::Instrument as _;

use super::chain::{Chain, Segment};
use super::journal::{Journal, Merge, key_texts};
use super::row_scope::count_rows;
use crate::pipeline::{InputName, StreamName};

/// The most empty pages of verdicts that a rule may return.
const EMPTY_PAGES: u64 = 100;
/// The most verdicts that a rule may return, per record.
const VERDICTS_PER_RECORD: u64 = 256;

/// Sends the rows of the staged table to the rule and applies its verdicts to the table.
pub(super) async fn run(
    warehouse: &Warehouse,
    chain: &mut Chain,
    segment: &Segment,
    staged: &Table,
    schema: &Schema,
    journal: &Journal<'_>,
) -> Result<()> {
    let rule = &mut chain.rules[segment.rules.start];
    let span = tracing::info_span!("rule", rule = rule.counts.rule);
    let handle = tokio::runtime::Handle::current();
    for (name, columns) in rule.run.plan.input_columns.clone() {
        let input = rule.inputs.get(&name).ok_or_else(|| Error::internal(format!("no input `{name}`")))?;
        let columns = quote_all(columns.iter().map(String::as_str), "");
        // Sorted by all columns read, so that the same rows always lead to the same verdicts.
        let sql = format!("SELECT {columns} FROM {} ORDER BY ALL", input_table(input));
        warehouse.connect()?.scan(&sql, (), |batch| {
            let applied = tokio::task::block_in_place(|| {
                handle.block_on(rule.run.apply_input(&name, batch).instrument(span.clone()))
            });
            applied.map(drop)
        })?;
    }
    let columns = quote_all(rule.run.plan.reads.iter().map(String::as_str), "");
    // Sorted, so that the same rows always lead to the same verdicts.
    let order = quote_all(schema.primary_key.iter().map(String::as_str), "");
    let sql = format!("SELECT {columns} FROM {staged} ORDER BY {order}");
    let mut rows = 0;
    warehouse.connect()?.scan(&sql, (), |batch| {
        rows += batch.num_rows() as u64;
        let applied = tokio::task::block_in_place(|| handle.block_on(rule.run.apply(batch).instrument(span.clone())));
        applied.map(drop)
    })?;
    rule.counts.checked += rows;
    let name = rule.counts.rule.clone();
    for field in &rule.run.plan.sets {
        let column = quote(&field.name);
        warehouse
            .execute(&format!("ALTER TABLE {staged} ADD COLUMN IF NOT EXISTS {column} {}", field.data_type.sql()))?;
    }
    let (mut count, mut empty) = (0, 0);
    while let Some(verdicts) = rule.run.finish().instrument(span.clone()).await? {
        let page = verdicts.keys.num_rows() as u64;
        (count, empty) = (count + page, empty + u64::from(page == 0));
        if empty > EMPTY_PAGES || count > rows.saturating_mul(VERDICTS_PER_RECORD) {
            return Err(Error::plugin(format!(
                "rule `{name}` returned too many verdicts: {count} on {rows} records, and {empty} empty pages"
            )));
        }
        if page == 0 {
            continue;
        }
        rule.counts.rejected += verdicts.patch.rejects.len() as u64;
        // A note with a confidence on a merged record is the reason of the merge, not a note.
        rule.counts.notes += match verdicts.merged_into {
            Some(_) => verdicts.patch.notes.iter().filter(|note| note.confidence.is_none()).count() as u64,
            None => verdicts.patch.notes.len() as u64,
        };
        let (changed, merged) = apply_verdicts(warehouse, staged, schema, &name, &verdicts, journal)?;
        rule.counts.changed += changed;
        rule.counts.merged += merged;
        rule.counts.failed += match verdicts.merged_into {
            Some(_) => merged,
            None => count_rows(&verdicts.patch.rejects, &verdicts.patch.notes),
        };
    }
    // Later rules may redirect these merges. The survivor that this rule chose is kept, to redirect from it again when only
    // the later rules change.
    warehouse.execute(&format!(
        "UPDATE staged_merges SET chosen_key = survivor_key WHERE rule = {} AND chosen_key <> survivor_key",
        literal(&name)
    ))
}

/// A digest of what the rule's verdicts depend on: its columns in all rows, and its further inputs.
pub(super) fn digest(
    warehouse: &Warehouse,
    chain: &Chain,
    segment: &Segment,
    rows: &str,
    schema: &Schema,
) -> Result<String> {
    let rule = &chain.rules[segment.rules.start];
    let plan = &rule.run.plan;
    let existing = warehouse.describe(rows)?;
    let existing: BTreeSet<_> = existing.iter().map(|column| column.name.as_str()).collect();
    // The columns that it sets count too: it may leave a value as it was.
    let columns = schema.primary_key.iter().chain(&plan.reads).chain(plan.sets.iter().map(|field| &field.name));
    let columns: BTreeSet<_> = columns.map(String::as_str).filter(|name| existing.contains(name)).collect();
    let mut digests = vec![digest_of(warehouse, &format!("({rows})"), columns)?];
    for (name, columns) in &plan.input_columns {
        let input = rule.inputs.get(name).ok_or_else(|| Error::internal(format!("no input `{name}`")))?;
        digests.push(digest_of(warehouse, &input_table(input), columns.iter().map(String::as_str))?);
    }
    Ok(digests.join("\n"))
}

/// The columns, the number of rows, and the sum of the rows' hashes, which does not depend on their order. Each hash is
/// hashed again: DuckDB combines the hashes of several columns so that exchanged values of two rows often give the same sum.
fn digest_of<'a>(warehouse: &Warehouse, from: &str, columns: impl IntoIterator<Item = &'a str>) -> Result<String> {
    let columns = quote_all(columns, "");
    let sql = format!("SELECT count(*) || ' ' || coalesce(sum(hash(hash({columns}))::HUGEINT), 0) FROM {from}");
    Ok(format!("{columns} {}", warehouse.value::<String>(&sql, ())?.unwrap_or_default()))
}

/// Creates the staged table from the rule's earlier verdicts: columns that it set keep their values, and records that it
/// rejected or merged stay out. `table` is its output of the last cleaning.
#[expect(clippy::too_many_arguments, reason = "one of the two entries of this file")]
pub(super) fn reuse_verdicts(
    warehouse: &Warehouse,
    chain: &Chain,
    segment: &Segment,
    (from, condition): (&Table, &str),
    table: &Table,
    staged: &Table,
    schema: &Schema,
    journal: &Journal<'_>,
) -> Result<()> {
    let rule = &chain.rules[segment.rules.start];
    let sets: BTreeSet<_> = rule.run.plan.sets.iter().map(|field| field.name.as_str()).collect();
    let existing = warehouse.columns(from)?.unwrap_or_default();
    let existing = existing.iter().map(|field| field.name.as_str());
    let added = sets.iter().copied().filter(|name| !existing.clone().any(|other| other == *name));
    let columns = existing.clone().chain(added);
    let columns = columns.map(|name| format!("{}.{}", if sets.contains(name) { "old" } else { "new" }, quote(name)));
    let (columns, key) = (columns.collect::<Vec<_>>().join(", "), key_text(&schema.primary_key));
    let keyed = |from: String| format!("(SELECT *, {key} AS _host_key FROM {from})");
    warehouse.execute(&format!(
        "CREATE OR REPLACE TABLE {staged} AS SELECT {columns} FROM {} AS new JOIN {} AS old USING (_host_key)",
        keyed(format!("{from}{condition}")),
        keyed(table.to_string()),
    ))?;
    // Merges are published as a whole, since a later rule may redirect them.
    journal.flush()?;
    let (merges, rule) = (journal.stream().ledger(StreamTable::Merges), literal(&rule.counts.rule));
    let earlier = format!("FROM {merges} AS earlier WHERE earlier.rule = {rule}");
    warehouse.execute(&format!(
        "UPDATE staged_merges SET survivor_key = earlier.chosen_key {earlier} AND staged_merges.survivor_key = earlier.key; \
         INSERT INTO staged_merges SELECT * REPLACE (chosen_key AS survivor_key) {earlier}"
    ))
}

/// The table of a further input: the clean records of a stream, or its merges.
fn input_table(input: &InputName) -> String {
    let StreamName { source, stream } = &input.stream;
    if input.is_merges {
        return merges_of(source, stream);
    }
    Table::clean(source, stream).to_string()
}

/// Applies a page of verdicts to the staged table and records them in the journal. Returns how many fields it changed and
/// how many records it merged.
fn apply_verdicts(
    warehouse: &Warehouse,
    staged: &Table,
    schema: &Schema,
    rule_name: &str,
    verdicts: &Verdicts,
    journal: &Journal<'_>,
) -> Result<(u64, u64)> {
    let keys = key_texts(warehouse, &verdicts.keys, schema)?;
    let key = key_text(&schema.primary_key);
    let mut changed = 0;
    for (name, array) in &verdicts.patch.set {
        stage_verdicts(warehouse, &keys, array)?;
        let column = quote(name);
        let differing = format!(
            "FROM verdict WHERE _host_verdict_key = {key} AND {staged}.{column} IS DISTINCT FROM _host_verdict_value"
        );
        let (rule, is_shown) = (literal(rule_name), !journal.is_masked(name));
        let value = |sql: String| if is_shown { sql } else { "NULL".to_owned() };
        let (before, after) =
            (value(format!("{staged}.{column}::VARCHAR")), value("_host_verdict_value::VARCHAR".to_owned()));
        let name = literal(name);
        changed += warehouse.change(
            &format!(
                "INSERT INTO staged_changes SELECT _host_verdict_key, {rule}, {name}, {before}, {after}, {} FROM {staged}, verdict \
                 WHERE _host_verdict_key = {key} AND {staged}.{column} IS DISTINCT FROM _host_verdict_value",
                literal(journal.load_id()),
            ),
            (),
        )?;
        warehouse.execute(&format!("UPDATE {staged} SET {column} = _host_verdict_value {differing}"))?;
    }
    let rejected: Vec<_> = verdicts.patch.rejects.iter().filter_map(|note| keys.get(note.row).cloned()).collect();
    remove(warehouse, staged, &key, rule_name, &rejected)?;
    let key_of = |row: usize| keys.get(row).map(String::as_str);
    journal.add_remarks(StreamTable::Rejects, rule_name, key_of, &verdicts.patch.rejects)?;
    let is_merge_reason = |note: &Note| verdicts.merged_into.is_some() && note.confidence.is_some();
    let (merge_reasons, notes): (Vec<_>, Vec<_>) = verdicts.patch.notes.iter().cloned().partition(is_merge_reason);
    journal.add_remarks(StreamTable::Notes, rule_name, key_of, &notes)?;
    let Some(survivors) = &verdicts.merged_into else { return Ok((changed, 0)) };
    if survivors.columns().iter().any(|column| column.null_count() > 0) {
        return Err(Error::plugin(format!("rule `{rule_name}` merges a record into one without a key")));
    }
    let survivors = key_texts(warehouse, survivors, schema)?;
    let mut merges: Vec<_> = keys
        .iter()
        .zip(&survivors)
        .map(|(key, survivor)| Merge {
            key: key.clone(),
            survivor: survivor.clone(),
            code: String::new(),
            confidence: None,
        })
        .collect();
    for note in merge_reasons {
        merges[note.row].code = note.code;
        merges[note.row].confidence = note.confidence;
    }
    // Records that were merged into one of these before, by this rule or an earlier one, follow it to its survivor.
    let survivor_array: ArrayRef = Arc::new(StringArray::from_iter_values(&survivors));
    stage_verdicts(warehouse, &keys, &survivor_array)?;
    warehouse.execute(
        "UPDATE staged_merges SET survivor_key = _host_verdict_value FROM verdict WHERE staged_merges.survivor_key = _host_verdict_key",
    )?;
    journal.add_merges(rule_name, &merges)?;
    remove(warehouse, staged, &key, rule_name, &keys)?;
    Ok((changed, merges.len() as u64))
}

/// Puts verdicts into the temporary table `verdict`: a key text and a value each.
fn stage_verdicts(warehouse: &Warehouse, keys: &[String], values: &ArrayRef) -> Result<()> {
    let key: ArrayRef = Arc::new(StringArray::from_iter_values(keys));
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("_host_verdict_key", key, true),
        ("_host_verdict_value", Arc::clone(values), true),
    ]);
    let batch = batch.map_err(Error::internal)?;
    let sql_type = host_core::schema::Type::from_arrow(values.data_type()).sql();
    warehouse.execute(&format!(
        "CREATE OR REPLACE TEMP TABLE verdict (_host_verdict_key VARCHAR, _host_verdict_value {sql_type})"
    ))?;
    warehouse.append(&Table::temporary("verdict"), batch)
}

/// Deletes records from the staged table. Each must exist there, and be named once.
fn remove(warehouse: &Warehouse, staged: &Table, key: &str, rule: &str, keys: &[String]) -> Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    let removed_keys: ArrayRef = Arc::new(StringArray::from_iter_values(keys));
    stage_verdicts(warehouse, keys, &removed_keys)?;
    let removed = warehouse
        .change(&format!("DELETE FROM {staged} WHERE {key} IN (SELECT _host_verdict_key FROM verdict)"), ())?;
    if removed == keys.len() as u64 {
        return Ok(());
    }
    Err(Error::plugin(format!(
        "rule `{rule}` merges or rejects a record twice, or a record that does not exist: {} verdicts on {removed} records",
        keys.len()
    )))
}
