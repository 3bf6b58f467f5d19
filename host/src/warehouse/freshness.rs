//! What pages tell of the data beside the figures: how old it is, how much of it was repaired, and the journal page by page.

use super::{Answer, Row, Warehouse};
use crate::error::Result;

/// Which entries of the journal.
#[derive(Debug, Clone, Default)]
pub struct JournalPage {
    /// `source.stream`; all where it is empty.
    pub stream: String,
    /// A rule's name; all where it is empty.
    pub rule: String,
    /// A text that the key or a value holds, whatever its case.
    pub search: String,
    /// Rows left out before the first.
    pub offset: u64,
    /// Rows at most.
    pub rows: u64,
}

const CHANGES: &str = "SELECT key, stream, rule, column_name AS \"column\", value_before AS before, value_after AS after FROM _host.changes";

const REJECTS: &str = "\
    SELECT key, stream, rule, 'rejected' AS what, column_name AS \"column\", code, message FROM _host.rejects \
    UNION ALL SELECT key, stream, rule, 'noted', column_name, code, message FROM _host.notes \
    UNION ALL SELECT key, stream, rule, 'merged', NULL, code, 'merged into ' || survivor_key FROM _host.merges";

impl Warehouse {
    /// Fields that rules changed: `key`, `stream`, `rule`, `column`, `before`, `after`, and how many there are.
    pub fn journal_changes(&self, page: &JournalPage) -> Result<(Answer, u64)> {
        self.journal(CHANGES, "concat_ws(' ', key, \"column\", before, after)", page)
    }

    /// Records that rules refused, merged or remarked on: `key`, `stream`, `rule`, `what`, `column`, `code`, `message`, and
    /// how many there are.
    pub fn journal_rejects(&self, page: &JournalPage) -> Result<(Answer, u64)> {
        self.journal(REJECTS, "concat_ws(' ', key, \"column\", code, message)", page)
    }

    fn journal(&self, entries: &str, searched: &str, page: &JournalPage) -> Result<(Answer, u64)> {
        let met = format!(
            "FROM ({entries}) WHERE (?1 = '' OR stream = ?1) AND (?2 = '' OR rule = ?2) \
             AND (?3 = '' OR contains(lower({searched}), lower(?3)))"
        );
        let parameters = [page.stream.as_str(), page.rule.as_str(), page.search.as_str()];
        let rows = format!("SELECT * {met} ORDER BY ALL LIMIT {} OFFSET {}", page.rows, page.offset);
        let total = self.value(&format!("SELECT count(*) {met}"), &parameters)?;
        Ok((self.answer(&rows, &parameters)?, total.and_then(|total| total.parse().ok()).unwrap_or_default()))
    }

    /// The streams that rules cleaned, and the rules.
    pub fn journal_names(&self) -> Result<(Vec<String>, Vec<String>)> {
        let names = |column: &str| {
            let sql = format!("SELECT DISTINCT {column} AS name FROM _host.rule_runs ORDER BY name");
            let name = |row: &Row| row.get("name").and_then(|name| name.as_str()).map(str::to_owned);
            Ok(self.query(&sql, &[])?.iter().filter_map(name).collect())
        };
        Ok((names("stream")?, names("rule")?))
    }

    /// When models were last published, and the tests of severity `warn` that did not hold then, as a JSON list.
    pub fn last_publication(&self) -> Result<(Option<String>, Option<String>)> {
        let row = self.query("SELECT published_at, warnings FROM _host.publications", &[])?.into_iter().next();
        let text = |name: &str| row.as_ref().and_then(|row| Some(row.get(name)?.as_str()?.to_owned()));
        Ok((text("published_at"), text("warnings")))
    }

    /// When the last run ended that loaded anything.
    pub fn last_load(&self) -> Result<Option<String>> {
        self.value(
            "SELECT max(finished_at) FROM _host.runs SEMI JOIN (SELECT load_id FROM _host.steps WHERE step = 'extract') USING (load_id)",
            &[],
        )
    }

    /// Each stream: `stream`, `loaded_at` (the end of the last run that loaded from it), and records that rules `repaired`
    /// or `rejected`.
    pub fn freshness(&self) -> Result<Vec<Row>> {
        self.query(
            "SELECT source || '.' || stream AS stream, loaded_at, coalesce(repaired, 0) AS repaired, \
             coalesce(rejected, 0) AS rejected FROM _host.streams \
             LEFT JOIN (SELECT steps.name, max(runs.finished_at) AS loaded_at FROM _host.steps AS steps \
               JOIN _host.runs AS runs USING (load_id) WHERE steps.step = 'extract' GROUP BY ALL) AS loads \
               ON loads.name = source || '.' || stream \
             LEFT JOIN (SELECT stream AS name, count(DISTINCT key) AS repaired FROM _host.changes GROUP BY ALL) AS changes \
               ON changes.name = source || '.' || stream \
             LEFT JOIN (SELECT stream AS name, count(DISTINCT key) AS rejected FROM _host.rejects GROUP BY ALL) AS rejects \
               ON rejects.name = source || '.' || stream \
             ORDER BY stream",
            &[],
        )
    }
}
