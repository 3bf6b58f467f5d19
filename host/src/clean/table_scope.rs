//! One table rule: shown the columns that it declared, batch by batch, then its verdicts applied to the stage table; or,
//! where it would be shown what it was shown before, left to what it decided then.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_array::{Array as _, ArrayRef, RecordBatch, StringArray};

use super::chain::{Chain, Segment};
use super::journal::{Journal, Merge, texts_of};
use super::row_scope::failed;
use crate::error::{Error, Result};
use crate::pipeline::{InputName, StreamName};
use crate::plugin::{Note, Verdicts};
use crate::schema::Schema;
use crate::warehouse::{Table, Warehouse, key_text, literal, quote, quote_all};

/// Pages of verdicts without one, and verdicts on one record, before they are taken for ones without end.
const EMPTY_PAGES: u64 = 100;
const VERDICTS_A_RECORD: u64 = 256;

/// Shows the rule the stage table and applies what it decides.
pub(super) async fn run(
    warehouse: &Warehouse,
    chain: &mut Chain,
    segment: &Segment,
    stage: &Table,
    schema: &Schema,
    journal: &Journal<'_>,
) -> Result<()> {
    let link = &mut chain.rules[segment.rules.start];
    let handle = tokio::runtime::Handle::current();
    for (name, columns) in link.run.plan.reads_beside.clone() {
        let input = link.inputs.get(&name).ok_or_else(|| Error::internal(format!("no input `{name}`")))?;
        let columns = quote_all(columns.iter().map(String::as_str), "");
        // In the order of all that is read, so that the same rows lead to the same verdicts.
        let sql = format!("SELECT {columns} FROM {} ORDER BY ALL", records_of(input));
        warehouse.another()?.scan(&sql, &[], |batch| {
            let applied = tokio::task::block_in_place(|| handle.block_on(link.run.apply_input(&name, batch)));
            applied.map(drop)
        })?;
    }
    let columns = quote_all(link.run.plan.reads.iter().map(String::as_str), "");
    // The same order each time, so that the same rows lead to the same verdicts.
    let order = quote_all(schema.primary_key.iter().map(String::as_str), "");
    let sql = format!("SELECT {columns} FROM {stage} ORDER BY {order}");
    let mut rows = 0;
    warehouse.another()?.scan(&sql, &[], |batch| {
        rows += batch.num_rows() as u64;
        let applied = tokio::task::block_in_place(|| handle.block_on(link.run.apply(batch)));
        applied.map(drop)
    })?;
    link.counts.checked += rows;
    let rule = link.counts.rule.clone();
    for field in &link.run.plan.sets {
        let column = quote(&field.name);
        warehouse
            .execute(&format!("ALTER TABLE {stage} ADD COLUMN IF NOT EXISTS {column} {}", field.data_type.sql()))?;
    }
    let (mut judged, mut empty) = (0, 0);
    while let Some(verdicts) = link.run.finish().await? {
        let page = verdicts.keys.num_rows() as u64;
        (judged, empty) = (judged + page, empty + u64::from(page == 0));
        if empty > EMPTY_PAGES || judged > rows.saturating_mul(VERDICTS_A_RECORD) {
            return Err(Error::plugin(format!(
                "rule `{rule}` has verdicts without end: {judged} on {rows} records, and {empty} pages without any"
            )));
        }
        if page == 0 {
            continue;
        }
        link.counts.rejected += verdicts.patch.rejects.len() as u64;
        // What comes with merges says how sure they are.
        link.counts.notes += match verdicts.merged_into {
            Some(_) => verdicts.patch.notes.iter().filter(|note| note.confidence.is_none()).count() as u64,
            None => verdicts.patch.notes.len() as u64,
        };
        let (changed, merged) = apply(warehouse, stage, schema, &rule, &verdicts, journal)?;
        link.counts.changed += changed;
        link.counts.merged += merged;
        link.counts.failed += match verdicts.merged_into {
            Some(_) => merged,
            None => failed(&verdicts.patch.rejects, &verdicts.patch.notes),
        };
    }
    // Later rules may lead these merges on; what this one chose is kept for a time when they choose anew.
    warehouse.execute(&format!(
        "UPDATE staged_merges SET chosen_key = survivor_key WHERE rule = {} AND chosen_key <> survivor_key",
        literal(&rule)
    ))
}

/// Tells what the rule depends on from anything else: its columns in all rows, and what it reads beside them.
pub(super) fn digest(
    warehouse: &Warehouse,
    chain: &Chain,
    segment: &Segment,
    rows: &str,
    schema: &Schema,
) -> Result<String> {
    let link = &chain.rules[segment.rules.start];
    let plan = &link.run.plan;
    let there = warehouse.query(&format!("SELECT column_name FROM (DESCRIBE {rows})"), &[])?;
    let there: BTreeSet<_> = there.iter().filter_map(|row| row.get("column_name")?.as_str()).collect();
    // What it sets belongs to it: a value that it leaves alone stays as it came.
    let own = schema.primary_key.iter().chain(&plan.reads).chain(plan.sets.iter().map(|field| &field.name));
    let own: BTreeSet<_> = own.map(String::as_str).filter(|name| there.contains(name)).collect();
    let mut digests = vec![digest_of(warehouse, &format!("({rows})"), own)?];
    for (name, columns) in &plan.reads_beside {
        let input = link.inputs.get(name).ok_or_else(|| Error::internal(format!("no input `{name}`")))?;
        digests.push(digest_of(warehouse, &records_of(input), columns.iter().map(String::as_str))?);
    }
    Ok(digests.join("\n"))
}

/// Columns, rows, and the sum of the rows' hashes, whatever their order. A hash is hashed again: a sum of what DuckDB
/// makes of several columns would hardly tell two rows from the same two with values exchanged.
fn digest_of<'a>(warehouse: &Warehouse, from: &str, columns: impl IntoIterator<Item = &'a str>) -> Result<String> {
    let columns = quote_all(columns, "");
    let sum = format!("SELECT count(*) || ' ' || coalesce(sum(hash(hash({columns}))::HUGEINT), 0) FROM {from}");
    Ok(format!("{columns} {}", warehouse.value(&sum, &[])?.unwrap_or_default()))
}

/// Makes the stage of rows whose verdicts are known: what the rule set is as it was, what it took away stays away.
pub(super) fn decided_before(
    warehouse: &Warehouse,
    chain: &Chain,
    segment: &Segment,
    (rows, condition, place): (&Table, &str, &Table),
    stage: &Table,
    schema: &Schema,
    journal: &Journal<'_>,
) -> Result<()> {
    let link = &chain.rules[segment.rules.start];
    let sets: BTreeSet<_> = link.run.plan.sets.iter().map(|field| field.name.as_str()).collect();
    let there = warehouse.columns(rows)?.unwrap_or_default();
    let here = there.iter().map(|field| field.name.as_str());
    let columns = here.clone().chain(sets.iter().copied().filter(|name| !here.clone().any(|known| known == *name)));
    let columns = columns.map(|name| format!("{}.{}", if sets.contains(name) { "old" } else { "new" }, quote(name)));
    let (columns, key) = (columns.collect::<Vec<_>>().join(", "), key_text(&schema.primary_key));
    let keyed = |from: String| format!("(SELECT *, {key} AS _host_key FROM {from})");
    warehouse.execute(&format!(
        "CREATE OR REPLACE TABLE {stage} AS SELECT {columns} FROM {} AS new JOIN {} AS old USING (_host_key)",
        keyed(format!("{rows}{condition}")),
        keyed(place.to_string()),
    ))?;
    // Merges are published whole, since a later rule may lead them on.
    journal.flush()?;
    let (stream, rule) = (literal(journal.stream()), literal(&link.counts.rule));
    let earlier = format!("FROM _host.merges AS earlier WHERE earlier.stream = {stream} AND earlier.rule = {rule}");
    warehouse.execute(&format!(
        "UPDATE staged_merges SET survivor_key = earlier.chosen_key {earlier} AND staged_merges.survivor_key = earlier.key; \
         INSERT INTO staged_merges SELECT * REPLACE (chosen_key AS survivor_key) {earlier}"
    ))
}

/// What a rule reads beside its stream: the clean records of another, or its merges.
fn records_of(input: &InputName) -> String {
    let StreamName { source, stream } = &input.stream;
    if input.is_merges {
        let name = literal(&input.stream.to_string());
        return format!("(SELECT key, survivor_key FROM _host.merges WHERE stream = {name})");
    }
    Table::clean(source, stream).to_string()
}

fn apply(
    warehouse: &Warehouse,
    stage: &Table,
    schema: &Schema,
    rule_name: &str,
    verdicts: &Verdicts,
    journal: &Journal<'_>,
) -> Result<(u64, u64)> {
    let keys_of = texts_of(warehouse, &verdicts.keys, schema)?;
    let key = key_text(&schema.primary_key);
    let mut changed = 0;
    for (name, array) in &verdicts.patch.set {
        stage_pairs(warehouse, &keys_of, array)?;
        let column = quote(name);
        let differ = format!(
            "FROM verdict WHERE _host_verdict_key = {key} AND {stage}.{column} IS DISTINCT FROM _host_verdict_value"
        );
        let (rule, shown) = (literal(rule_name), !journal.is_masked(name));
        let value = |sql: String| if shown { sql } else { "NULL".to_owned() };
        let (before, after) =
            (value(format!("{stage}.{column}::VARCHAR")), value("_host_verdict_value::VARCHAR".to_owned()));
        let name = literal(name);
        changed += warehouse.change(
            &format!(
                "INSERT INTO staged_changes SELECT {}, _host_verdict_key, {rule}, {name}, {before}, {after}, {} FROM {stage}, verdict WHERE _host_verdict_key = {key} \
                 AND {stage}.{column} IS DISTINCT FROM _host_verdict_value",
                literal(journal.stream()),
                literal(journal.load_id()),
            ),
            &[],
        )? as u64;
        warehouse.execute(&format!("UPDATE {stage} SET {column} = _host_verdict_value {differ}"))?;
    }
    let rejected: Vec<_> = verdicts.patch.rejects.iter().filter_map(|note| keys_of.get(note.row).cloned()).collect();
    remove(warehouse, stage, &key, rule_name, &rejected)?;
    let key_of = |row: usize| keys_of.get(row).map(String::as_str);
    journal.remarks("rejects", rule_name, key_of, &verdicts.patch.rejects)?;
    let is_of_merge = |note: &Note| verdicts.merged_into.is_some() && note.confidence.is_some();
    let (sure, notes): (Vec<_>, Vec<_>) = verdicts.patch.notes.iter().cloned().partition(is_of_merge);
    journal.remarks("notes", rule_name, key_of, &notes)?;
    let Some(survivors) = &verdicts.merged_into else { return Ok((changed, 0)) };
    if survivors.columns().iter().any(|column| column.null_count() > 0) {
        return Err(Error::plugin(format!("rule `{rule_name}` merges a record into none")));
    }
    let survivors = texts_of(warehouse, survivors, schema)?;
    let mut merges: Vec<_> = keys_of
        .iter()
        .zip(&survivors)
        .map(|(key, survivor)| Merge {
            key: key.clone(),
            survivor: survivor.clone(),
            code: String::new(),
            confidence: None,
        })
        .collect();
    for note in sure {
        merges[note.row].code = note.code;
        merges[note.row].confidence = note.confidence;
    }
    // A record that merged earlier, by this rule or one before it, into one that merges now follows it.
    let into: ArrayRef = Arc::new(StringArray::from_iter_values(&survivors));
    stage_pairs(warehouse, &keys_of, &into)?;
    warehouse.execute(
        "UPDATE staged_merges SET survivor_key = _host_verdict_value FROM verdict WHERE staged_merges.survivor_key = _host_verdict_key",
    )?;
    journal.merges(rule_name, &merges)?;
    remove(warehouse, stage, &key, rule_name, &keys_of)?;
    Ok((changed, merges.len() as u64))
}

fn stage_pairs(warehouse: &Warehouse, keys: &[String], values: &ArrayRef) -> Result<()> {
    let key: ArrayRef = Arc::new(StringArray::from_iter_values(keys));
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("_host_verdict_key", key, true),
        ("_host_verdict_value", Arc::clone(values), true),
    ]);
    let batch = batch.map_err(|cause| Error::internal(cause.to_string()))?;
    let sql_type = crate::schema::Type::from_arrow(values.data_type()).sql();
    warehouse.execute(&format!(
        "CREATE OR REPLACE TEMP TABLE verdict (_host_verdict_key VARCHAR, _host_verdict_value {sql_type})"
    ))?;
    warehouse.append(&Table::new("temp", "verdict"), batch)
}

/// Takes records out of the stage; each must be there, once.
fn remove(warehouse: &Warehouse, stage: &Table, key: &str, rule: &str, keys: &[String]) -> Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    let gone: ArrayRef = Arc::new(StringArray::from_iter_values(keys));
    stage_pairs(warehouse, keys, &gone)?;
    let removed = warehouse
        .change(&format!("DELETE FROM {stage} WHERE {key} IN (SELECT _host_verdict_key FROM verdict)"), &[])?;
    if removed == keys.len() {
        return Ok(());
    }
    let twice = "merges or refuses a record twice, or one that is not there";
    Err(Error::plugin(format!("rule `{rule}` {twice}: {} verdicts on {removed} records", keys.len())))
}
