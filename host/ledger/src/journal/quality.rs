//! What the rules of a stream did, in totals and examples.

use host_core::error::Result;
use host_warehouse::{Warehouse, key_text, literal};

use crate::StreamTable;
use crate::streams::LoadedStream;

/// What one rule did to all rows of a stream, in any run.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct RuleTotals {
    /// The rule. Left out of the totals in JSON, which are listed below its name.
    #[serde(skip_serializing)]
    pub rule: String,
    /// Rows that it read.
    pub checked: u64,
    /// Fields that it changed.
    pub changed: u64,
    /// Rows that it merged into others.
    pub merged: u64,
    /// Rows that it rejected.
    pub rejected: u64,
    /// Notes that it left.
    pub notes: u64,
}

/// A change that a rule made, and how often.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct ChangeExample {
    /// The column.
    pub column_name: Option<String>,
    /// The value before. None if it was NULL or is masked.
    pub value_before: Option<String>,
    /// The value after.
    pub value_after: Option<String>,
    /// Records with this change.
    pub rows: u64,
}

/// Why a rule rejected, merged or left a note on records, and how often.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Reason {
    /// `rejected`, `note` or `merged`.
    pub what: String,
    /// The reason's code.
    pub code: Option<String>,
    /// The column.
    pub column_name: Option<String>,
    /// A message with this code.
    pub message: Option<String>,
    /// Records with this reason.
    pub rows: u64,
}

/// The totals of each rule of a stream that has `raw_rows` rows, in the order of the rules.
///
/// # Errors
/// Same as [`Warehouse::query_as`].
pub fn rule_totals(warehouse: &Warehouse, stream: &LoadedStream, raw_rows: u64) -> Result<Vec<RuleTotals>> {
    let entries = |table: StreamTable| stream.ledger(table);
    let sql = format!(
        "WITH last AS (SELECT rule, position FROM _host.rule_runs WHERE stream = ?1 AND load_id = \
           (SELECT max(load_id) FROM _host.rule_runs WHERE stream = ?1)), \
         done AS (SELECT rule, count(*) FILTER (what = 'changed') AS changed, count(*) FILTER (what = 'merged') AS merged, \
           count(*) FILTER (what = 'rejected') AS rejected, count(*) FILTER (what = 'noted') AS notes FROM ( \
             SELECT rule, 'changed' AS what FROM {} UNION ALL SELECT rule, 'merged' FROM {} \
             UNION ALL SELECT rule, 'rejected' FROM {} UNION ALL SELECT rule, 'noted' FROM {}) GROUP BY rule) \
         SELECT rule, (?2::BIGINT - coalesce(sum(merged + rejected) OVER ( \
           ORDER BY position ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0))::BIGINT AS checked, \
           coalesce(changed, 0) AS changed, coalesce(merged, 0) AS merged, coalesce(rejected, 0) AS rejected, \
           coalesce(notes, 0) AS notes FROM last LEFT JOIN done USING (rule) ORDER BY position",
        entries(StreamTable::Changes),
        entries(StreamTable::Merges),
        entries(StreamTable::Rejects),
        entries(StreamTable::Notes),
    );
    warehouse.query_as(&sql, (stream.name(), raw_rows))
}

/// The most frequent changes of a rule.
///
/// # Errors
/// Same as [`Warehouse::query_as`].
pub fn change_examples(
    warehouse: &Warehouse,
    stream: &LoadedStream,
    rule: &str,
    limit: usize,
) -> Result<Vec<ChangeExample>> {
    let sql = format!(
        "SELECT column_name, value_before, value_after, count(*) AS rows FROM {} WHERE rule = ? \
         GROUP BY ALL ORDER BY rows DESC, 1, 2, 3 LIMIT {limit}",
        stream.ledger(StreamTable::Changes)
    );
    warehouse.query_as(&sql, [rule])
}

/// The most frequent reasons of a rule's rejects, notes and merges.
///
/// # Errors
/// Same as [`Warehouse::query_as`].
pub fn reasons(warehouse: &Warehouse, stream: &LoadedStream, rule: &str, limit: usize) -> Result<Vec<Reason>> {
    let sql = format!(
        "SELECT what, code, column_name, min(message) AS message, count(*) AS rows FROM ( \
           SELECT 'rejected' AS what, rule, code, column_name, message FROM {} \
           UNION ALL SELECT 'note', rule, code, column_name, message FROM {} \
           UNION ALL SELECT 'merged', rule, code, NULL, NULL FROM {}) \
         WHERE rule = ? GROUP BY what, code, column_name ORDER BY rows DESC, 1, 2, 3 LIMIT {limit}",
        stream.ledger(StreamTable::Rejects),
        stream.ledger(StreamTable::Notes),
        stream.ledger(StreamTable::Merges),
    );
    warehouse.query_as(&sql, [rule])
}

/// SQL for the keys in a part of a stream's journal.
#[must_use]
pub fn keys_in(stream: &LoadedStream, table: StreamTable) -> String {
    format!("SELECT key FROM {}", stream.ledger(table))
}

/// SQL for the sum of the changes that rules made to a decimal column of a stream, over its clean rows.
#[must_use]
pub fn changed_amounts(stream: &LoadedStream, column: &str, data_type: &str) -> String {
    format!(
        "SELECT coalesce(sum(coalesce(TRY_CAST(value_after AS {data_type}), 0) - coalesce(TRY_CAST(value_before AS {data_type}), 0)), 0) \
         FROM {} WHERE column_name = {} AND key IN (SELECT {} FROM {})",
        stream.ledger(StreamTable::Changes),
        literal(column),
        key_text(&stream.primary_key),
        stream.clean(),
    )
}
