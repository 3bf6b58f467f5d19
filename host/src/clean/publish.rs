//! The end of a stream's cleaning: its tables, journal and bookkeeping change in one transaction.

use super::RuleCounts;
use super::flow::{self, Output};
use super::journal::{OF_RULES, TABLES};
use crate::error::{Error, Result};
use crate::schema::{EXTRACTED_AT, LOAD_ID};
use crate::warehouse::{LoadedStream, Table, Warehouse, key_text, literal, quote, quote_all};

/// What was cleaned, and from what.
pub(super) struct Done<'a> {
    pub(super) stream: &'a LoadedStream,
    pub(super) raw: &'a Table,
    pub(super) clean: &'a Table,
    pub(super) fingerprint: &'a str,
    pub(super) version: &'a str,
    pub(super) load_id: &'a str,
    /// The share of the stream's rows, from 0 to 1, that rules may refuse.
    pub(super) max_rejected: f64,
}

/// A stream without rules is a view of its raw table.
pub(super) fn view(warehouse: &Warehouse, done: &Done<'_>) -> Result<()> {
    warehouse.transaction(|| {
        warehouse.execute(&format!("CREATE SCHEMA IF NOT EXISTS {}", quote(&done.clean.schema)))?;
        warehouse.drop_table_or_view(done.clean)?;
        warehouse.execute(&format!("CREATE VIEW {} AS SELECT * FROM {}", done.clean, done.raw))?;
        for table in TABLES {
            warehouse.change(&format!("DELETE FROM _host.{table} WHERE stream = ?"), &[&done.stream.name()])?;
        }
        remember(warehouse, done, &[])?;
        warehouse.touch(done.clean, done.load_id)
    })
}

/// Notes that a stream is as it was, though what it was compared with is not.
pub(super) fn unchanged(warehouse: &Warehouse, done: &Done<'_>, outputs: &[Output]) -> Result<()> {
    warehouse.transaction(|| {
        for Output { place, stage, .. } in outputs {
            warehouse.execute(&format!("DROP TABLE {stage}"))?;
            sweep(warehouse, place)?;
        }
        remember(warehouse, done, outputs)
    })
}

/// Stages take the place of what was kept, whole or row by row, and so does what rules did in the journal.
pub(super) fn publish(warehouse: &Warehouse, done: &Done<'_>, outputs: &[Output], counts: &[RuleCounts]) -> Result<()> {
    let key = key_text(&done.stream.primary_key);
    let stream = literal(&done.stream.name());
    if let Some(last) = outputs.last() {
        date(warehouse, done, last, &key)?;
    }
    warehouse.transaction(|| {
        for Output { place, stage, touched, ran, .. } in outputs {
            sweep(warehouse, place)?;
            let Some(touched) = touched else {
                warehouse.drop_table_or_view(place)?;
                warehouse.rename(stage, &place.name)?;
                forget(warehouse, &stream, &format!("rule IN ({})", names(ran)))?;
                continue;
            };
            let keys = format!("(SELECT key FROM temp.{touched})");
            warehouse.execute(&format!(
                "DELETE FROM {place} WHERE {key} IN {keys}; INSERT INTO {place} BY NAME SELECT * FROM {stage}; \
                 DROP TABLE {stage}"
            ))?;
            forget(warehouse, &stream, &format!("rule IN ({}) AND key IN {keys}", names(ran)))?;
        }
        let rules: Vec<_> = counts.iter().map(|rule| rule.rule.clone()).collect();
        forget(warehouse, &stream, &format!("rule NOT IN ({})", names(&rules)))?;
        warehouse.execute(&format!("DELETE FROM _host.merges WHERE stream = {stream}"))?;
        for table in TABLES {
            warehouse.execute(&format!("INSERT INTO _host.{table} SELECT * FROM temp.staged_{table}"))?;
        }
        survivors_stay(warehouse, done, &key)?;
        check_rejected(warehouse, done)?;
        note(warehouse, done, counts)?;
        remember(warehouse, done, outputs)?;
        warehouse.touch(done.clean, done.load_id)
    })
}

/// A clean row carries the run that last changed it, not the load of its raw row alone: a merge that is found later changes
/// a survivor of an earlier load, and models that grow by `_load_id` have to see that.
fn date(warehouse: &Warehouse, done: &Done<'_>, last: &Output, key: &str) -> Result<()> {
    let Some(before) = warehouse.columns(&last.place)? else { return Ok(()) };
    let after = warehouse.columns(&last.stage)?.unwrap_or_default();
    let told = after.iter().map(|field| field.name.as_str()).filter(|name| ![LOAD_ID, EXTRACTED_AT].contains(name));
    // A column that is new changes a row only where it has a value.
    let (old, new): (Vec<_>, Vec<_>) = told.partition(|name| before.iter().any(|field| field.name == **name));
    let is_new: String = new.iter().map(|name| format!(" AND {} IS NULL", quote(name))).collect();
    let rows = |table: &Table, is_new: &str| {
        let print = quote_all(old.iter().copied(), "");
        format!(
            "SELECT {key} AS _host_key, {LOAD_ID} AS load_id, hash(hash({print})) AS print, true{is_new} AS is_old FROM {table}"
        )
    };
    let (stage, now) = (&last.stage, literal(done.load_id));
    warehouse.execute(&format!(
        "UPDATE {stage} SET {LOAD_ID} = dated._host_load_id FROM ( \
           SELECT _host_key, CASE WHEN is_same THEN load_id_before ELSE {now} END AS _host_load_id FROM ( \
             SELECT _host_key, after.load_id, before.load_id AS load_id_before, \
               coalesce(before.print = after.print, false) AND after.is_old AS is_same \
             FROM ({}) AS after LEFT JOIN ({}) AS before USING (_host_key)) \
           WHERE CASE WHEN is_same THEN load_id_before > load_id ELSE load_id <> {now} END \
         ) AS dated WHERE {key} = dated._host_key",
        rows(stage, &is_new),
        rows(&last.place, ""),
    ))
}

/// Drops what was made aside for a segment alone.
fn sweep(warehouse: &Warehouse, place: &Table) -> Result<()> {
    flow::ASIDE
        .iter()
        .try_for_each(|aside| warehouse.execute(&format!("DROP TABLE IF EXISTS {}", place.suffixed(aside))))
}

fn names(rules: &[String]) -> String {
    // No rule has no name.
    let names = rules.iter().map(|rule| literal(rule)).collect::<Vec<_>>().join(", ");
    if names.is_empty() { "''".to_owned() } else { names }
}

fn forget(warehouse: &Warehouse, stream: &str, which: &str) -> Result<()> {
    OF_RULES.iter().try_for_each(|table| {
        warehouse.execute(&format!("DELETE FROM _host.{table} WHERE stream = {stream} AND {which}"))
    })
}

/// A record may merge only into one that is still there at the end, whichever rule took it away.
fn survivors_stay(warehouse: &Warehouse, done: &Done<'_>, key: &str) -> Result<()> {
    let sql = format!(
        "SELECT rule, survivor_key FROM _host.merges WHERE stream = ? \
         AND survivor_key NOT IN (SELECT {key} FROM {}) LIMIT 1",
        done.clean
    );
    let Some(gone) = warehouse.query(&sql, &[&done.stream.name()])?.into_iter().next() else { return Ok(()) };
    let text = |name: &str| gone.get(name).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
    let (rule, key) = (text("rule"), text("survivor_key"));
    let error = Error::plugin(format!("rule `{rule}` merges records into `{key}`, which does not stay"));
    Err(error.hint("a rule that refuses records belongs before the one that merges them"))
}

/// Rules that refuse too much are rather wrong than right.
fn check_rejected(warehouse: &Warehouse, done: &Done<'_>) -> Result<()> {
    let refused = "SELECT rule, count(*) AS rows, sum(count(*)) OVER ()::BIGINT AS rejected FROM _host.rejects \
                   WHERE stream = ? GROUP BY rule ORDER BY rows DESC, rule LIMIT 1";
    let Some(worst) = warehouse.query(refused, &[&done.stream.name()])?.into_iter().next() else { return Ok(()) };
    let rejected = worst.get("rejected").and_then(serde_json::Value::as_u64).unwrap_or_default();
    let rows = warehouse.value(&format!("SELECT count(*) FROM {}", done.raw), &[])?;
    let rows: u64 = rows.and_then(|rows| rows.parse().ok()).unwrap_or_default();
    #[expect(clippy::cast_precision_loss, reason = "a share, to compare with one")]
    let share = rejected as f64 / rows.max(1) as f64;
    if share <= done.max_rejected {
        return Ok(());
    }
    let (worst, most) = (worst.get("rule").and_then(|rule| rule.as_str()).unwrap_or_default(), done.max_rejected);
    let error = Error::data(format!(
        "rules reject {rejected} of {rows} rows, most of them `{worst}`: more than `max_rejected` = {most}"
    ));
    Err(error
        .hint(format!("look at the rule `{worst}`, or set `max_rejected` in `[pipeline]` to a share above {share:.3}")))
}

fn note(warehouse: &Warehouse, done: &Done<'_>, counts: &[RuleCounts]) -> Result<()> {
    for (position, rule) in counts.iter().enumerate() {
        let numbers =
            [position as u64, rule.checked, rule.changed, rule.rejected, rule.merged, rule.notes, rule.failed];
        let [position, checked, changed, rejected, merged, notes, failed] = numbers.map(|number| number.to_string());
        let sql = "INSERT INTO _host.rule_runs VALUES \
                   (?, ?, ?::BIGINT, ?, ?::BIGINT, ?::BIGINT, ?::BIGINT, ?::BIGINT, ?::BIGINT, ?::BIGINT)";
        let stream = done.stream.name();
        let parameters =
            [done.load_id, &stream, &position, &rule.rule, &checked, &changed, &rejected, &merged, &notes, &failed];
        warehouse.change(sql, &parameters)?;
    }
    Ok(())
}

/// What the next cleaning compares with; tables between rules that are no more go.
fn remember(warehouse: &Warehouse, done: &Done<'_>, outputs: &[Output]) -> Result<()> {
    let name = done.stream.name();
    let kept = warehouse.kept_tables(&done.stream.source, &done.stream.stream)?;
    let is_left = |table: &&Table| !outputs.iter().any(|output| output.place == **table);
    kept.iter().filter(is_left).try_for_each(|table| warehouse.drop_table_or_view(table))?;
    warehouse.change("DELETE FROM _host.segments WHERE stream = ?", &[&name])?;
    for (at, Output { known, .. }) in outputs.iter().enumerate() {
        let sql = "INSERT INTO _host.segments VALUES (?, ?::BIGINT, ?, ?)";
        warehouse.change(sql, &[&name, &at.to_string(), &known.fingerprint, &known.digest])?;
    }
    warehouse.change("DELETE FROM _host.cleans WHERE stream = ?", &[&name])?;
    warehouse.change("INSERT INTO _host.cleans VALUES (?, ?, ?)", &[&name, done.fingerprint, done.version]).map(drop)
}
