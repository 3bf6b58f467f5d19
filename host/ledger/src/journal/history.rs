//! What rules did to one record.

use host_core::error::Result;
use host_warehouse::Warehouse;

use crate::StreamTable;
use crate::streams::LoadedStream;

/// One thing that a rule did to a record.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct HistoryStep {
    /// The rule.
    pub rule: String,
    /// `changed`, `noted`, `rejected` or `merged`.
    pub what: String,
    /// The column.
    pub column_name: Option<String>,
    /// The value before. None if it was NULL or is masked.
    pub value_before: Option<String>,
    /// The value after. For a merge, the survivor's key.
    pub value_after: Option<String>,
    /// The reason's code.
    pub code: Option<String>,
    /// The reason in words.
    pub message: Option<String>,
    /// How sure the rule is, from 0 to 1.
    pub confidence: Option<f64>,
}

/// A record that was merged into another.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Merged {
    /// Its key.
    pub key: String,
    /// The rule that merged it.
    pub rule: String,
    /// The reason's code.
    pub code: Option<String>,
    /// How sure the rule is, from 0 to 1.
    pub confidence: Option<f64>,
}

/// What each rule did to the record with this key, in the order of the rules.
///
/// # Errors
/// Same as [`Warehouse::query_as`].
pub fn steps(warehouse: &Warehouse, stream: &LoadedStream, key: &str) -> Result<Vec<HistoryStep>> {
    let sql = format!(
        "SELECT history.* EXCLUDE (key) FROM ( \
           SELECT key, rule, 'changed' AS what, column_name, value_before, value_after, NULL AS code, NULL AS message, \
             NULL::DOUBLE AS confidence FROM {} \
           UNION ALL SELECT key, rule, 'noted', column_name, NULL, NULL, code, message, confidence FROM {} \
           UNION ALL SELECT key, rule, 'rejected', column_name, NULL, NULL, code, message, NULL FROM {} \
           UNION ALL SELECT key, rule, 'merged', NULL, NULL, survivor_key, code, NULL, confidence FROM {} \
         ) AS history LEFT JOIN (SELECT rule, min(position) AS position FROM _host.rule_runs \
           WHERE stream = ?1 AND load_id = (SELECT max(load_id) FROM _host.rule_runs WHERE stream = ?1) \
           GROUP BY rule) AS runs USING (rule) \
         WHERE key = ?2 ORDER BY position, what, column_name",
        stream.ledger(StreamTable::Changes),
        stream.ledger(StreamTable::Notes),
        stream.ledger(StreamTable::Rejects),
        stream.ledger(StreamTable::Merges),
    );
    warehouse.query_as(&sql, (stream.name(), key))
}

/// The records that were merged into the one with this key.
///
/// # Errors
/// Same as [`Warehouse::query_as`].
pub fn merged_into(warehouse: &Warehouse, stream: &LoadedStream, key: &str) -> Result<Vec<Merged>> {
    let sql = format!(
        "SELECT key, rule, code, confidence FROM {} WHERE survivor_key = ? ORDER BY key",
        stream.ledger(StreamTable::Merges)
    );
    warehouse.query_as(&sql, [key])
}
