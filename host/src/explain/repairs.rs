//! What rules did to some records of a stream, as the journal tells.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::error::{Error, Result};
use crate::warehouse::{Row, Warehouse};

/// What a rule did to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// It changed a field; a link that was found is a field, too.
    Changed,
    /// It merged another record into this one.
    Absorbed,
    /// It remarked something and changed nothing.
    Noted,
}

/// One thing that a rule did to a record.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Repair {
    /// The rule's name.
    pub rule: String,
    /// What it did.
    pub what: What,
    /// The field.
    pub column: Option<String>,
    /// The field before; none where it was NULL or is masked.
    pub before: Option<String>,
    /// The field after.
    pub after: Option<String>,
    /// The key of the record that merged into this one.
    pub absorbed: Option<String>,
    /// Why.
    pub code: Option<String>,
    /// Why, in words.
    pub message: Option<String>,
    /// How sure the rule is, 0 to 1.
    pub confidence: Option<f64>,
}

/// What one rule did to many records.
#[derive(Debug, Clone, serde::Serialize)]
pub struct RuleRepairs {
    /// The rule's name.
    pub rule: String,
    /// What it did.
    pub what: What,
    /// Records that it did it to.
    pub records: u64,
    /// How often: fields changed, records absorbed, remarks.
    pub times: u64,
    /// The same by field, or by reason where records merged: name and how often.
    pub details: Vec<(String, u64)>,
}

/// Everything in the journal about a record that is there, by its key; parameter 2 is the stream.
const JOURNAL: &str = "\
    SELECT key, rule, 'changed' AS what, column_name AS \"column\", value_before AS before, value_after AS after, \
        NULL AS absorbed, NULL AS code, NULL AS message, NULL::DOUBLE AS confidence FROM _host.changes WHERE stream = ?2 \
    UNION ALL SELECT survivor_key, rule, 'absorbed', NULL, NULL, NULL, key, code, NULL, confidence FROM _host.merges WHERE stream = ?2 \
    UNION ALL SELECT key, rule, 'noted', column_name, NULL, NULL, NULL, code, message, confidence FROM _host.notes WHERE stream = ?2";

/// The places of a stream's rules in its last cleaning; parameter 2 is the stream.
const POSITIONS: &str = "\
    SELECT rule, min(position) AS position FROM _host.rule_runs WHERE stream = ?2 \
    AND load_id = (SELECT max(load_id) FROM _host.rule_runs WHERE stream = ?2) GROUP BY rule";

/// What rules did to each of these records, in the order of the rules.
pub(super) fn of_records(
    warehouse: &Warehouse,
    stream: &str,
    keys: &BTreeSet<String>,
) -> Result<BTreeMap<String, Vec<Repair>>> {
    let wanted = serde_json::to_string(keys).map_err(|cause| Error::internal(cause.to_string()))?;
    let sql = format!(
        "SELECT journal.* FROM ({JOURNAL}) AS journal \
         SEMI JOIN (SELECT unnest(from_json(?1::VARCHAR, '[\"VARCHAR\"]')) AS key) AS wanted ON journal.key = wanted.key \
         LEFT JOIN ({POSITIONS}) AS positions USING (rule) ORDER BY position, what, \"column\", absorbed, code"
    );
    let mut found: BTreeMap<String, Vec<Repair>> = BTreeMap::new();
    for mut row in warehouse.query(&sql, &[&wanted, stream])? {
        let key = row.remove("key").and_then(|key| key.as_str().map(str::to_owned)).unwrap_or_default();
        found.entry(key).or_default().push(read(row)?);
    }
    Ok(found)
}

/// What each rule did to the records of a query with the column `key`, whose parameter 1 is given.
pub(super) fn by_rule(warehouse: &Warehouse, records: &str, parameter: &str, stream: &str) -> Result<Vec<RuleRepairs>> {
    let sql = format!(
        "WITH records AS ({records}), journal AS (SELECT *, coalesce(\"column\", code, '') AS detail FROM ({JOURNAL})) \
         SELECT rule, what, detail, count(DISTINCT journal.key) AS records, count(*) AS times \
         FROM journal SEMI JOIN records ON journal.key = records.key LEFT JOIN ({POSITIONS}) AS positions USING (rule) \
         GROUP BY GROUPING SETS ((position, rule, what), (position, rule, what, detail)) \
         ORDER BY position, rule, what, grouping(detail) DESC, times DESC, detail"
    );
    let mut rules: Vec<RuleRepairs> = Vec::new();
    for row in warehouse.query(&sql, &[parameter, stream])? {
        let number = |name: &str| row.get(name).and_then(Value::as_u64).unwrap_or_default();
        match (row.get("detail").and_then(Value::as_str), rules.last_mut()) {
            (Some(detail), Some(rule)) => rule.details.push((detail.to_owned(), number("times"))),
            _ => rules.push(RuleRepairs {
                rule: row.get("rule").and_then(Value::as_str).unwrap_or_default().to_owned(),
                what: read_what(&row)?,
                records: number("records"),
                times: number("times"),
                details: Vec::new(),
            }),
        }
    }
    Ok(rules)
}

fn read(row: Row) -> Result<Repair> {
    serde_json::from_value(Value::Object(row))
        .map_err(|cause| Error::internal(format!("the journal of a record: {cause}")))
}

fn read_what(row: &Row) -> Result<What> {
    let what = row.get("what").cloned().unwrap_or_default();
    serde_json::from_value(what).map_err(|cause| Error::internal(format!("the journal of a rule: {cause}")))
}
