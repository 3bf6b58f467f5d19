//! The end of a stream's cleaning: stage table, journal and bookkeeping change in one transaction.

use super::RuleCounts;
use super::journal::TABLES;
use crate::error::Result;
use crate::warehouse::{Table, Warehouse, key_text, literal};

/// What was cleaned, and from what.
pub(super) struct Done<'a> {
    pub(super) stream: &'a str,
    pub(super) clean: &'a Table,
    pub(super) fingerprint: &'a str,
    pub(super) version: &'a str,
}

/// A stream without rules is a view of its raw table.
pub(super) fn view(warehouse: &Warehouse, raw: &Table, done: &Done<'_>, load_id: &str) -> Result<()> {
    warehouse.transaction(|| {
        warehouse.execute(&format!("CREATE SCHEMA IF NOT EXISTS {}", crate::warehouse::quote(&done.clean.schema)))?;
        warehouse.drop_table_or_view(done.clean)?;
        warehouse.execute(&format!("CREATE VIEW {} AS SELECT * FROM {raw}", done.clean))?;
        forget(warehouse, done.stream)?;
        finish(warehouse, done, load_id, &[])
    })
}

/// The stage becomes the clean table, and the journal what is known of the stream.
pub(super) fn replace(
    warehouse: &Warehouse,
    stage: &Table,
    done: &Done<'_>,
    load_id: &str,
    counts: &[RuleCounts],
) -> Result<()> {
    warehouse.transaction(|| {
        warehouse.drop_table_or_view(done.clean)?;
        warehouse.rename(stage, &done.clean.name)?;
        forget(warehouse, done.stream)?;
        keep_journal(warehouse)?;
        finish(warehouse, done, load_id, counts)
    })
}

/// The stage's rows take the place of those of the same keys, and what raw no longer has goes; so do their journals.
#[expect(clippy::too_many_arguments, reason = "the room's one entry")]
pub(super) fn merge(
    warehouse: &Warehouse,
    raw: &Table,
    condition: &str,
    stage: &Table,
    primary_key: &[String],
    done: &Done<'_>,
    load_id: &str,
    counts: &[RuleCounts],
) -> Result<()> {
    warehouse.transaction(|| {
        let key = key_text(primary_key);
        let touched = format!("(SELECT {key} FROM {raw}{condition})");
        let raw = format!("(SELECT {key} FROM {raw})");
        warehouse.execute(&format!("DELETE FROM {} WHERE {key} IN {touched} OR {key} NOT IN {raw}", done.clean))?;
        warehouse.execute(&format!("INSERT INTO {} BY NAME SELECT * FROM {stage}", done.clean))?;
        for table in TABLES {
            let stream = literal(done.stream);
            warehouse.execute(&format!(
                "DELETE FROM _host.{table} WHERE stream = {stream} AND (key IN {touched} OR key NOT IN {raw})"
            ))?;
        }
        keep_journal(warehouse)?;
        warehouse.execute(&format!("DROP TABLE {stage}"))?;
        finish(warehouse, done, load_id, counts)
    })
}

fn forget(warehouse: &Warehouse, stream: &str) -> Result<()> {
    for table in TABLES {
        warehouse.change(&format!("DELETE FROM _host.{table} WHERE stream = ?"), &[stream])?;
    }
    Ok(())
}

fn keep_journal(warehouse: &Warehouse) -> Result<()> {
    for table in TABLES {
        warehouse.execute(&format!("INSERT INTO _host.{table} SELECT * FROM temp.staged_{table}"))?;
    }
    Ok(())
}

fn finish(warehouse: &Warehouse, done: &Done<'_>, load_id: &str, counts: &[RuleCounts]) -> Result<()> {
    for (position, rule) in counts.iter().enumerate() {
        let numbers =
            [position as u64, rule.checked, rule.changed, rule.rejected, rule.merged, rule.notes, rule.failed];
        let [position, checked, changed, rejected, merged, notes, failed] = numbers.map(|number| number.to_string());
        let sql = "INSERT INTO _host.rule_runs VALUES \
                   (?, ?, ?::BIGINT, ?, ?::BIGINT, ?::BIGINT, ?::BIGINT, ?::BIGINT, ?::BIGINT, ?::BIGINT)";
        let parameters =
            [load_id, done.stream, &position, &rule.rule, &checked, &changed, &rejected, &merged, &notes, &failed];
        warehouse.change(sql, &parameters)?;
    }
    warehouse.change("DELETE FROM _host.cleans WHERE stream = ?", &[done.stream])?;
    warehouse.change("INSERT INTO _host.cleans VALUES (?, ?, ?)", &[done.stream, done.fingerprint, done.version])?;
    warehouse.touch(done.clean, load_id)
}
