//! Stages the journal of one stream's cleaning in temporary tables, and publishes it with the clean table.

use host_core::error::Result;
use host_warehouse::{Table, Warehouse};

use crate::StreamTable;
use crate::streams::LoadedStream;

/// What a rule did in one cleaning of a stream.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct RuleCounts {
    /// The rule's name.
    pub rule: String,
    /// Rows that it read.
    pub checked: u64,
    /// Fields that it changed.
    pub changed: u64,
    /// Rows that it rejected.
    pub rejected: u64,
    /// Rows that it merged into others.
    pub merged: u64,
    /// Notes that it left.
    pub notes: u64,
    /// Rows that it rejected, merged or left a note on.
    pub failed: u64,
}

/// How many records of a stream rules reject.
#[derive(Debug, Clone, serde::Deserialize)]
pub struct RejectCount {
    /// The rule that rejects most.
    pub rule: String,
    /// Records that all rules reject.
    pub rejected: u64,
}

/// The temporary table of this connection in which a part of the journal is staged.
#[must_use]
pub fn staged_table(table: StreamTable) -> Table {
    Table::temporary(format!("staged_{}", table.name()))
}

/// Creates the empty staged tables.
///
/// # Errors
/// Same as [`Warehouse::execute`].
pub fn stage(warehouse: &Warehouse) -> Result<()> {
    StreamTable::JOURNAL.iter().try_for_each(|table| {
        let staged = staged_table(*table);
        warehouse.execute(&format!("CREATE OR REPLACE TEMP TABLE {} ({})", staged.name, table.columns()))
    })
}

/// Deletes the journal of a stream.
///
/// # Errors
/// Same as [`Warehouse::execute`].
pub fn clear(warehouse: &Warehouse, stream: &LoadedStream) -> Result<()> {
    StreamTable::JOURNAL
        .iter()
        .try_for_each(|table| warehouse.execute(&format!("DELETE FROM {}", stream.ledger(*table))))
}

/// Deletes the changes, rejects and notes of a stream for which a condition on `rule` and `key` is true. Merges stay: later
/// rules may redirect them, so they are published as a whole.
///
/// # Errors
/// Same as [`Warehouse::execute`].
pub fn delete_entries(warehouse: &Warehouse, stream: &LoadedStream, condition: &str) -> Result<()> {
    [StreamTable::Changes, StreamTable::Rejects, StreamTable::Notes]
        .iter()
        .try_for_each(|table| warehouse.execute(&format!("DELETE FROM {} WHERE {condition}", stream.ledger(*table))))
}

/// Adds the staged journal to the journal of a stream. Its merges are replaced.
///
/// # Errors
/// Same as [`Warehouse::execute`].
pub fn publish_staged(warehouse: &Warehouse, stream: &LoadedStream) -> Result<()> {
    warehouse.execute(&format!("DELETE FROM {}", stream.ledger(StreamTable::Merges)))?;
    StreamTable::JOURNAL.iter().try_for_each(|table| {
        warehouse.execute(&format!("INSERT INTO {} SELECT * FROM {}", stream.ledger(*table), staged_table(*table)))
    })
}

/// The rule and the survivor's key of a merge whose survivor is not among the keys of the query `clean_keys`. None if all are
/// there.
///
/// # Errors
/// Same as [`Warehouse::query_as`].
pub fn missing_survivor(
    warehouse: &Warehouse,
    stream: &LoadedStream,
    clean_keys: &str,
) -> Result<Option<(String, String)>> {
    #[derive(serde::Deserialize)]
    struct MissingSurvivor {
        rule: String,
        survivor_key: String,
    }
    let merges = stream.ledger(StreamTable::Merges);
    let sql = format!("SELECT rule, survivor_key FROM {merges} WHERE survivor_key NOT IN ({clean_keys}) LIMIT 1");
    Ok(warehouse.query_first(&sql, ())?.map(|MissingSurvivor { rule, survivor_key }| (rule, survivor_key)))
}

/// How many records of a stream rules reject. None if there are no rejects.
///
/// # Errors
/// Same as [`Warehouse::query_as`].
pub fn count_rejects(warehouse: &Warehouse, stream: &LoadedStream) -> Result<Option<RejectCount>> {
    let sql = format!(
        "SELECT rule, sum(count(*)) OVER ()::BIGINT AS rejected FROM {} GROUP BY rule ORDER BY count(*) DESC, rule LIMIT 1",
        stream.ledger(StreamTable::Rejects)
    );
    warehouse.query_first(&sql, ())
}

/// Records what the rules of a stream did in a run, in their order.
///
/// # Errors
/// Same as [`Warehouse::execute`].
pub fn record_rule_runs(warehouse: &Warehouse, load_id: &str, stream: &str, rules: &[RuleCounts]) -> Result<()> {
    rules.iter().enumerate().try_for_each(|(position, run)| {
        let sql = "INSERT INTO _host.rule_runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        let RuleCounts { rule, checked, changed, rejected, merged, notes, failed } = run;
        let values = (load_id, stream, position, rule, checked, changed, rejected, merged, notes, failed);
        warehouse.change(sql, values).map(drop)
    })
}
