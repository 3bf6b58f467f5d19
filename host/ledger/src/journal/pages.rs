//! Browses and searches the journal, page by page.

use host_core::error::Result;
use host_warehouse::{QueryResult, Warehouse};

/// A page of the journal: filters and position.
#[derive(Debug, Clone, Default)]
pub struct JournalPage {
    /// `source.stream`; all if empty.
    pub stream: String,
    /// A rule's name; all if empty.
    pub rule: String,
    /// A text that the key or a value contains, ignoring case.
    pub search: String,
    /// The number of entries before the page.
    pub offset: u64,
    /// The most entries of the page.
    pub rows: u64,
}

const CHANGES: &str = "SELECT key, stream, rule, column_name AS \"column\", value_before AS before, value_after AS after FROM _host.changes";

const REMARKS: &str = "\
    SELECT key, stream, rule, 'rejected' AS what, column_name AS \"column\", code, message FROM _host.rejects \
    UNION ALL SELECT key, stream, rule, 'noted', column_name, code, message FROM _host.notes \
    UNION ALL SELECT key, stream, rule, 'merged', NULL, code, 'merged into ' || survivor_key FROM _host.merges";

/// Fields that rules changed: `key`, `stream`, `rule`, `column`, `before`, `after`; and how many there are in all.
///
/// # Errors
/// Same as [`Warehouse::query`].
pub fn changes(warehouse: &Warehouse, page: &JournalPage) -> Result<(QueryResult, u64)> {
    entries(warehouse, CHANGES, "concat_ws(' ', key, \"column\", before, after)", page)
}

/// Records that rules rejected, merged or left a note on: `key`, `stream`, `rule`, `what`, `column`, `code`, `message`; and
/// how many there are in all.
///
/// # Errors
/// Same as [`Warehouse::query`].
pub fn remarks(warehouse: &Warehouse, page: &JournalPage) -> Result<(QueryResult, u64)> {
    entries(warehouse, REMARKS, "concat_ws(' ', key, \"column\", code, message)", page)
}

fn entries(warehouse: &Warehouse, entries: &str, searched: &str, page: &JournalPage) -> Result<(QueryResult, u64)> {
    let matching = format!(
        "FROM ({entries}) WHERE (?1 = '' OR stream = ?1) AND (?2 = '' OR rule = ?2) \
         AND (?3 = '' OR contains(lower({searched}), lower(?3)))"
    );
    let parameters = [page.stream.as_str(), page.rule.as_str(), page.search.as_str()];
    let rows = format!("SELECT * {matching} ORDER BY ALL LIMIT {} OFFSET {}", page.rows, page.offset);
    let total = warehouse.count(&format!("SELECT count(*) {matching}"), parameters)?;
    Ok((warehouse.result(&rows, parameters)?, total))
}

/// The names of all streams that rules cleaned, `source.stream`, and the names of all rules that ran.
///
/// # Errors
/// Same as [`Warehouse::query`].
pub fn names(warehouse: &Warehouse) -> Result<(Vec<String>, Vec<String>)> {
    let names = |column: &str| {
        warehouse.values(&format!("SELECT DISTINCT {column} AS name FROM _host.rule_runs ORDER BY name"), ())
    };
    Ok((names("stream")?, names("rule")?))
}
