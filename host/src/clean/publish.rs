//! Publishes a stream's cleaning: its tables, its journal and its records in the ledger change in one transaction.

use host_core::error::{Error, Result};
use host_core::kill_point;
use host_core::schema::{EXTRACTED_AT, LOAD_ID};
use host_ledger::cleanings::{self, Cleaning};
use host_ledger::journal::{self, RejectCount, RuleCounts};
use host_ledger::streams::LoadedStream;
use host_ledger::versions;
use host_warehouse::{Table, Warehouse, key_text, literal, quote, quote_all};

use super::flow::{SCRATCH_SUFFIXES, SegmentOutput};

/// The stream that was cleaned, and the run that cleaned it.
pub(super) struct CleanedStream<'a> {
    pub(super) stream: &'a LoadedStream,
    pub(super) raw: &'a Table,
    pub(super) clean: &'a Table,
    pub(super) cleaning: &'a Cleaning,
    pub(super) load_id: &'a str,
    /// The share of the stream's rows, from 0 to 1, that rules may reject.
    pub(super) max_rejected: f64,
}

/// Publishes a stream without rules: its clean table is a view of its raw table.
pub(super) fn publish_view(warehouse: &Warehouse, cleaned: &CleanedStream<'_>) -> Result<()> {
    warehouse.transaction(|| {
        warehouse.create_schema_of(cleaned.clean)?;
        warehouse.drop_table_or_view(cleaned.clean)?;
        warehouse.execute(&format!("CREATE VIEW {} AS SELECT * FROM {}", cleaned.clean, cleaned.raw))?;
        journal::clear(warehouse, cleaned.stream)?;
        record_cleaning(warehouse, cleaned, &[])?;
        versions::record_change(warehouse, cleaned.clean, cleaned.load_id)
    })
}

/// Records a cleaning that changed no row, although the raw version or the rules differ from the last cleaning.
pub(super) fn record_unchanged(
    warehouse: &Warehouse,
    cleaned: &CleanedStream<'_>,
    outputs: &[SegmentOutput],
) -> Result<()> {
    warehouse.transaction(|| {
        for SegmentOutput { table, staged, .. } in outputs {
            warehouse.execute(&format!("DROP TABLE {staged}"))?;
            drop_scratch_tables(warehouse, table)?;
        }
        record_cleaning(warehouse, cleaned, outputs)
    })
}

/// Replaces the tables of all segments with the staged ones, as a whole or row by row, and publishes the staged journal.
pub(super) fn publish(
    warehouse: &Warehouse,
    cleaned: &CleanedStream<'_>,
    outputs: &[SegmentOutput],
    counts: &[RuleCounts],
) -> Result<()> {
    let key = key_text(&cleaned.stream.primary_key);
    if let Some(last) = outputs.last() {
        set_load_ids(warehouse, cleaned, last, &key)?;
    }
    kill_point("clean.publish.start");
    warehouse.transaction(|| {
        for SegmentOutput { table, staged, changed_keys, rules_run, .. } in outputs {
            drop_scratch_tables(warehouse, table)?;
            let rules = rule_list(rules_run);
            let Some(changed_keys) = changed_keys else {
                warehouse.drop_table_or_view(table)?;
                warehouse.rename(staged, &table.name)?;
                journal::delete_entries(warehouse, cleaned.stream, &format!("rule IN ({rules})"))?;
                continue;
            };
            let keys = format!("(SELECT key FROM temp.{changed_keys})");
            warehouse.execute(&format!(
                "DELETE FROM {table} WHERE {key} IN {keys}; INSERT INTO {table} BY NAME SELECT * FROM {staged}; \
                 DROP TABLE {staged}"
            ))?;
            journal::delete_entries(warehouse, cleaned.stream, &format!("rule IN ({rules}) AND key IN {keys}"))?;
        }
        let rules: Vec<_> = counts.iter().map(|counts| counts.rule.clone()).collect();
        journal::delete_entries(warehouse, cleaned.stream, &format!("rule NOT IN ({})", rule_list(&rules)))?;
        journal::publish_staged(warehouse, cleaned.stream)?;
        check_survivors(warehouse, cleaned, &key)?;
        check_rejected(warehouse, cleaned)?;
        journal::record_rule_runs(warehouse, cleaned.load_id, &cleaned.stream.name(), counts)?;
        record_cleaning(warehouse, cleaned, outputs)?;
        versions::record_change(warehouse, cleaned.clean, cleaned.load_id)?;
        kill_point("clean.publish.commit");
        Ok(())
    })?;
    kill_point("clean.publish.committed");
    Ok(())
}

/// Sets the load id of each clean row to the run that last changed the clean row, not its raw row. A later run may merge
/// records into a survivor that an earlier run loaded, and incremental models select new rows by `_load_id`.
fn set_load_ids(warehouse: &Warehouse, cleaned: &CleanedStream<'_>, last: &SegmentOutput, key: &str) -> Result<()> {
    let Some(before) = warehouse.columns(&last.table)? else { return Ok(()) };
    let after = warehouse.columns(&last.staged)?.unwrap_or_default();
    let compared = after.iter().map(|field| field.name.as_str()).filter(|name| ![LOAD_ID, EXTRACTED_AT].contains(name));
    // A new column changes a row only if it has a value there.
    let (old, new): (Vec<_>, Vec<_>) = compared.partition(|name| before.iter().any(|field| field.name == **name));
    let new_are_null: String = new.iter().map(|name| format!(" AND {} IS NULL", quote(name))).collect();
    let rows = |table: &Table, new_are_null: &str| {
        let columns = quote_all(old.iter().copied(), "");
        format!(
            "SELECT {key} AS _host_key, {LOAD_ID} AS load_id, hash(hash({columns})) AS row_hash, \
             true{new_are_null} AS new_are_null FROM {table}"
        )
    };
    let (staged, now) = (&last.staged, literal(cleaned.load_id));
    warehouse.execute(&format!(
        "UPDATE {staged} SET {LOAD_ID} = dated._host_load_id FROM ( \
           SELECT _host_key, CASE WHEN is_same THEN load_id_before ELSE {now} END AS _host_load_id FROM ( \
             SELECT _host_key, after.load_id, before.load_id AS load_id_before, \
               coalesce(before.row_hash = after.row_hash, false) AND after.new_are_null AS is_same \
             FROM ({}) AS after LEFT JOIN ({}) AS before USING (_host_key)) \
           WHERE CASE WHEN is_same THEN load_id_before > load_id ELSE load_id <> {now} END \
         ) AS dated WHERE {key} = dated._host_key",
        rows(staged, &new_are_null),
        rows(&last.table, ""),
    ))
}

fn drop_scratch_tables(warehouse: &Warehouse, table: &Table) -> Result<()> {
    SCRATCH_SUFFIXES
        .iter()
        .try_for_each(|suffix| warehouse.execute(&format!("DROP TABLE IF EXISTS {}", table.suffixed(suffix))))
}

/// Names of rules as SQL lists them. An empty list is one empty text, which is no rule's name.
fn rule_list(rules: &[String]) -> String {
    let names = rules.iter().map(|rule| literal(rule)).collect::<Vec<_>>().join(", ");
    if names.is_empty() { "''".to_owned() } else { names }
}

/// Checks that every survivor of a merge is in the clean table: a later rule may have rejected it.
fn check_survivors(warehouse: &Warehouse, cleaned: &CleanedStream<'_>, key: &str) -> Result<()> {
    let clean_keys = format!("SELECT {key} FROM {}", cleaned.clean);
    let Some((rule, key)) = journal::missing_survivor(warehouse, cleaned.stream, &clean_keys)? else { return Ok(()) };
    let error = Error::plugin(format!("rule `{rule}` merges records into `{key}`, which is not in the clean table"));
    Err(error.hint("put rules that reject records before the rule that merges them"))
}

/// Fails if rules reject more rows than the pipeline allows: the rules are probably wrong then.
fn check_rejected(warehouse: &Warehouse, cleaned: &CleanedStream<'_>) -> Result<()> {
    let Some(RejectCount { rule, rejected }) = journal::count_rejects(warehouse, cleaned.stream)? else {
        return Ok(());
    };
    let rows = warehouse.count(&format!("SELECT count(*) FROM {}", cleaned.raw), ())?;
    #[expect(clippy::cast_precision_loss, reason = "a share that is compared with a setting")]
    let share = rejected as f64 / rows.max(1) as f64;
    if share <= cleaned.max_rejected {
        return Ok(());
    }
    let most = cleaned.max_rejected;
    let error = Error::data(format!(
        "rules reject {rejected} of {rows} rows, more than `max_rejected` = {most} allows; most of them by `{rule}`"
    ));
    Err(error.hint(format!("check the rule `{rule}`, or set `max_rejected` in `[pipeline]` to more than {share:.3}")))
}

/// Records what the next cleaning compares with, and drops the kept tables of segments that no longer exist.
fn record_cleaning(warehouse: &Warehouse, cleaned: &CleanedStream<'_>, outputs: &[SegmentOutput]) -> Result<()> {
    let kept = cleaned.stream.kept_tables(warehouse)?;
    let is_obsolete = |table: &&Table| !outputs.iter().any(|output| output.table == **table);
    kept.iter().filter(is_obsolete).try_for_each(|table| warehouse.drop_table_or_view(table))?;
    let segments: Vec<_> = outputs.iter().map(|output| output.record.clone()).collect();
    cleanings::record(warehouse, &cleaned.stream.name(), cleaned.cleaning, &segments)
}
