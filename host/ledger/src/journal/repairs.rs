//! What rules did to the records behind a figure.

use std::collections::{BTreeMap, BTreeSet};

use host_core::error::{Error, Result};
use host_warehouse::{Params, Warehouse};

/// What a rule did to a record that is in the clean table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RepairKind {
    /// It changed a field. Links between records are fields too.
    Changed,
    /// It merged another record into this one.
    Absorbed,
    /// It left a note and changed nothing.
    Noted,
}

/// One thing that a rule did to a record.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Repair {
    /// The rule.
    pub rule: String,
    /// What it did.
    pub what: RepairKind,
    /// The field.
    pub column: Option<String>,
    /// The value before. None if it was NULL or is masked.
    pub before: Option<String>,
    /// The value after.
    pub after: Option<String>,
    /// The key of the record that was merged into this one.
    pub absorbed: Option<String>,
    /// The reason's code.
    pub code: Option<String>,
    /// The reason in words.
    pub message: Option<String>,
    /// How sure the rule is, from 0 to 1.
    pub confidence: Option<f64>,
}

/// What one rule did to many records.
#[derive(Debug, Clone, serde::Serialize)]
pub struct RuleRepairs {
    /// The rule.
    pub rule: String,
    /// What it did.
    pub what: RepairKind,
    /// The number of records.
    pub records: u64,
    /// How often: fields changed, records absorbed, notes left.
    pub times: u64,
    /// How often, by field. For merges, by the code of the reason.
    pub details: Vec<(String, u64)>,
}

/// The journal entries of records in the clean table, by key. Parameter 2 is `source.stream`.
const JOURNAL: &str = "\
    SELECT key, rule, 'changed' AS what, column_name AS \"column\", value_before AS before, value_after AS after, \
        NULL AS absorbed, NULL AS code, NULL AS message, NULL::DOUBLE AS confidence FROM _host.changes WHERE stream = ?2 \
    UNION ALL SELECT survivor_key, rule, 'absorbed', NULL, NULL, NULL, key, code, NULL, confidence FROM _host.merges WHERE stream = ?2 \
    UNION ALL SELECT key, rule, 'noted', column_name, NULL, NULL, NULL, code, message, confidence FROM _host.notes WHERE stream = ?2";

/// The positions of a stream's rules in its last cleaning. Parameter 2 is `source.stream`.
const POSITIONS: &str = "\
    SELECT rule, min(position) AS position FROM _host.rule_runs WHERE stream = ?2 \
    AND load_id = (SELECT max(load_id) FROM _host.rule_runs WHERE stream = ?2) GROUP BY rule";

/// What rules did to each of these records of `source.stream`, in the order of the rules.
///
/// # Errors
/// Same as [`Warehouse::query_as`].
pub fn repairs_of(
    warehouse: &Warehouse,
    stream: &str,
    keys: &BTreeSet<String>,
) -> Result<BTreeMap<String, Vec<Repair>>> {
    #[derive(serde::Deserialize)]
    struct JournalEntry {
        key: String,
        #[serde(flatten)]
        repair: Repair,
    }
    let wanted = serde_json::to_string(keys).map_err(Error::internal)?;
    let sql = format!(
        "SELECT journal.* FROM ({JOURNAL}) AS journal \
         SEMI JOIN (SELECT unnest(from_json(?1::VARCHAR, '[\"VARCHAR\"]')) AS key) AS wanted ON journal.key = wanted.key \
         LEFT JOIN ({POSITIONS}) AS positions USING (rule) ORDER BY position, what, \"column\", absorbed, code"
    );
    let entries: Vec<JournalEntry> = warehouse.query_as(&sql, [wanted.as_str(), stream])?;
    let mut found: BTreeMap<String, Vec<Repair>> = BTreeMap::new();
    entries.into_iter().for_each(|JournalEntry { key, repair }| found.entry(key).or_default().push(repair));
    Ok(found)
}

/// What each rule did to the records of a query with the column `key`. Of `parameters`, the first is the query's own and the
/// second is `source.stream`.
///
/// # Errors
/// Same as [`Warehouse::query_as`].
pub fn repairs_by_rule(warehouse: &Warehouse, records: &str, parameters: impl Params) -> Result<Vec<RuleRepairs>> {
    #[derive(serde::Deserialize)]
    struct RepairCount {
        rule: String,
        what: RepairKind,
        detail: Option<String>,
        records: u64,
        times: u64,
    }
    let sql = format!(
        "WITH records AS ({records}), journal AS (SELECT *, coalesce(\"column\", code, '') AS detail FROM ({JOURNAL})) \
         SELECT rule, what, detail, count(DISTINCT journal.key) AS records, count(*) AS times \
         FROM journal SEMI JOIN records ON journal.key = records.key LEFT JOIN ({POSITIONS}) AS positions USING (rule) \
         GROUP BY GROUPING SETS ((position, rule, what), (position, rule, what, detail)) \
         ORDER BY position, rule, what, grouping(detail) DESC, times DESC, detail"
    );
    let mut rules: Vec<RuleRepairs> = Vec::new();
    let counts: Vec<RepairCount> = warehouse.query_as(&sql, parameters)?;
    for RepairCount { rule, what, detail, records, times } in counts {
        match (detail, rules.last_mut()) {
            (Some(detail), Some(rule)) => rule.details.push((detail, times)),
            _ => rules.push(RuleRepairs { rule, what, records, times, details: Vec::new() }),
        }
    }
    Ok(rules)
}
