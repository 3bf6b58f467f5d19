//! Erases forgotten records from every table, and the free text of records that are or were linked with them. Both are
//! identified by hashes of keys only, so an erasure can be repeated at any time.

use std::collections::BTreeMap;

use host_core::error::Result;
use host_core::schema::{Field, LOAD_ID, UNFIT};
use host_ledger::StreamTable;
use host_ledger::erasures::{self, PendingErasure};
use host_ledger::forgotten::{self, Matching};
use host_ledger::recovery::Irreplaceable;
use host_ledger::streams::{self, LoadedStream};
use host_ledger::sweeps::SeenKeys;
use host_ledger::versions;
use host_warehouse::{Table, Warehouse, key_text, literal, quote};

/// What an erasure erased.
#[derive(Debug, Default, serde::Serialize)]
pub struct ErasureSummary {
    /// How many records later loads keep out: the named record and the records of the same person.
    pub records: u64,
    /// Rows erased from each table, `schema.name`.
    pub rows: Vec<(String, u64)>,
    /// Rows of linked records whose free text was emptied, in each raw table.
    pub emptied: Vec<(String, u64)>,
}

impl ErasureSummary {
    fn add_rows(&mut self, table: &Table, count: u64) {
        add(&mut self.rows, table, count);
    }

    fn add_emptied(&mut self, table: &Table, count: u64) {
        add(&mut self.emptied, table, count);
    }

    /// Whether nothing was erased.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.emptied.is_empty()
    }
}

fn add(counts: &mut Vec<(String, u64)>, table: &Table, count: u64) {
    let name = table.full_name();
    match counts.iter_mut().find(|(other, _)| *other == name) {
        Some((_, total)) => *total += count,
        None if count > 0 => counts.push((name, count)),
        None => {}
    }
}

/// Repeats the erasure if a load found a new link or merge of a forgotten record.
///
/// # Errors
/// Same as [`Warehouse::execute`].
pub fn repeat_erasure(warehouse: &Warehouse, load_id: &str) -> Result<()> {
    if erasures::is_pending(warehouse, PendingErasure::Models)? {
        warehouse.transaction(|| erase(warehouse, load_id).map(drop))
    } else {
        Ok(())
    }
}

/// Erases all forgotten records once more, and those that a discarded write-ahead log says were forgotten.
///
/// # Errors
/// Same as [`Warehouse::execute`].
pub fn erase_again(warehouse: &Warehouse, held: Option<&Irreplaceable>, load_id: &str) -> Result<ErasureSummary> {
    warehouse.transaction(|| {
        held.map_or(Ok(()), |held| held.restore_forgotten(warehouse))?;
        let erased = erase(warehouse, load_id)?;
        if !forgotten::counts(warehouse)?.is_empty() {
            // Models may be older than an erasure that the log held, and so may free blocks of the file.
            erasures::record(warehouse, load_id)?;
        }
        Ok(erased)
    })
}

/// Erases forgotten records from every table, inside the caller's transaction. Models are rebuilt from these tables later.
pub(super) fn erase(warehouse: &Warehouse, load_id: &str) -> Result<ErasureSummary> {
    let mut erased = ErasureSummary::default();
    let streams = streams::loaded(warehouse)?;
    for stream in &streams {
        let mut tables = vec![stream.clean(), stream.raw()];
        tables.extend(stream.kept_tables(warehouse)?);
        for table in &tables {
            // A stream without rules has a view of its raw table.
            if !warehouse.exists(table)? || warehouse.is_view(table)? {
                continue;
            }
            let (deleted, _) = delete_forgotten(warehouse, stream, &table.to_string())?;
            erased.add_rows(table, deleted);
            if deleted > 0 {
                versions::record_change(warehouse, table, load_id)?;
            }
        }
    }
    for stream in &streams {
        let raw = stream.raw();
        let columns = warehouse.columns(&raw)?.unwrap_or_default();
        let (emptied, deleted) = empty_free_text(warehouse, stream, &columns, &raw.to_string(), load_id)?;
        erased.add_emptied(&raw, emptied);
        erased.add_rows(&raw, deleted);
        if emptied + deleted > 0 {
            versions::record_change(warehouse, &raw, load_id)?;
        }
    }
    for stream in &streams {
        erase_journal(warehouse, stream, &mut erased)?;
        SeenKeys::of(warehouse, &stream.source, &stream.stream).delete(&is_forgotten_prefix(stream, "key"))?;
    }
    Ok(erased)
}

/// Erases a stream's journal entries on forgotten records.
fn erase_journal(warehouse: &Warehouse, stream: &LoadedStream, erased: &mut ErasureSummary) -> Result<()> {
    for table in StreamTable::JOURNAL {
        let keys: &[&str] = if table == StreamTable::Merges { &["key", "survivor_key"] } else { &["key"] };
        let conditions = keys.iter().map(|key| Matching::Forgotten.condition(key, &stream.name()));
        let condition = conditions.collect::<Vec<_>>().join(" OR ");
        let count = warehouse.change(&format!("DELETE FROM {} WHERE {condition}", stream.ledger(table)), ())?;
        erased.add_rows(&Table::new(host_ledger::SCHEMA, table.name()), count);
    }
    Ok(())
}

/// SQL that is true for rows of a stream that are forgotten records.
pub(super) fn is_forgotten_row(stream: &LoadedStream) -> String {
    Matching::Forgotten.condition(&key_text(&stream.primary_key), &stream.name())
}

/// SQL that is true for rows that match, or that refer to a record that matches.
fn matches_row(matching: Matching, stream: &LoadedStream) -> String {
    let own = matching.condition(&key_text(&stream.primary_key), &stream.name());
    let others = references(stream).map(|(column, to)| matching.condition(&column, &to));
    std::iter::once(own).chain(others).collect::<Vec<_>>().join(" OR ")
}

/// The columns of a stream that contain keys of other records, as SQL for their text, each with the other `source.stream`.
fn references(stream: &LoadedStream) -> impl Iterator<Item = (String, String)> {
    let reference =
        |(column, to): &(String, String)| (format!("{}::VARCHAR", quote(column)), format!("{}.{to}", stream.source));
    stream.refers.iter().map(reference)
}

/// SQL that is true if a text is the key of a forgotten record. If the first key column refers to another stream, the text is
/// compared with the keys of that stream.
pub(super) fn is_forgotten_prefix(stream: &LoadedStream, text: &str) -> String {
    let first = stream.primary_key.first();
    let to = stream.refers.iter().find(|(column, _)| Some(column) == first);
    let name = to.map_or_else(|| stream.name(), |(_, to)| format!("{}.{to}", stream.source));
    Matching::Forgotten.condition(text, &name)
}

/// Deletes forgotten records, and rows that refer to them, from a table with the stream's columns. Returns how many, and how
/// many new links of deleted rows it recorded.
pub(super) fn delete_forgotten(warehouse: &Warehouse, stream: &LoadedStream, table: &str) -> Result<(u64, u64)> {
    let condition = matches_row(Matching::Forgotten, stream);
    let recorded = record_gone_links(warehouse, stream, table, &condition)?;
    Ok((warehouse.change(&format!("DELETE FROM {table} WHERE {condition}"), ())?, recorded))
}

/// Records which records are connected by rows of a link stream that are about to be deleted: a person who is forgotten later
/// may be named in a record that was linked once. Returns how many links are new.
pub(super) fn record_gone_links(
    warehouse: &Warehouse,
    link: &LoadedStream,
    rows: &str,
    condition: &str,
) -> Result<u64> {
    let columns: Vec<_> = references(link).collect();
    if columns.len() < 2 {
        return Ok(0);
    }
    // The rows are queried once: most checkpoints have none.
    let keys = columns.iter().enumerate().map(|(at, (column, _))| format!("{column} AS key_{at}"));
    let keys = keys.collect::<Vec<_>>().join(", ");
    warehouse.execute(&format!("CREATE OR REPLACE TEMP TABLE gone AS SELECT {keys} FROM {rows} WHERE {condition}"))?;
    let mut recorded = 0;
    if warehouse.value::<i32>("SELECT 1 FROM temp.gone LIMIT 1", ())?.is_some() {
        for (at, (_, stream)) in columns.iter().enumerate() {
            for (other, (_, linked)) in columns.iter().enumerate().filter(|(other, _)| *other != at) {
                let pairs = format!("SELECT key_{at} AS one, key_{other} AS other FROM temp.gone");
                recorded += forgotten::record_gone_links(warehouse, stream, linked, &pairs)?;
            }
        }
    }
    warehouse.execute("DROP TABLE temp.gone")?;
    Ok(recorded)
}

/// Empties the free text of records that are or were linked with forgotten ones, in a table with the stream's columns. Returns
/// how many rows it changed, and how many it deleted because the text is part of their key.
pub(super) fn empty_free_text(
    warehouse: &Warehouse,
    stream: &LoadedStream,
    columns: &[Field],
    table: &str,
    load_id: &str,
) -> Result<(u64, u64)> {
    let mut texts: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for text in
        stream.free_text.iter().filter(|text| columns.iter().any(|field| field.name.eq_ignore_ascii_case(&text.column)))
    {
        let condition = text.of.as_ref().map(|(column, value)| format!("{} = {}", quote(column), literal(value)));
        texts.entry(&text.column).or_default().push(condition.unwrap_or_else(|| "true".to_owned()));
    }
    if texts.is_empty() {
        return Ok((0, 0));
    }
    if texts.values().flatten().any(|condition| condition == "true") {
        texts.insert(UNFIT, vec!["true".to_owned()]);
    }
    let is_linked = matches_row(Matching::Linked, stream);
    let (in_key, texts): (Vec<_>, Vec<_>) = texts
        .into_iter()
        .partition(|(column, _)| stream.primary_key.iter().any(|key| key.eq_ignore_ascii_case(column)));
    let mut deleted = 0;
    for (_, conditions) in in_key {
        let sql = format!("DELETE FROM {table} WHERE ({}) AND ({is_linked})", conditions.join(" OR "));
        deleted += warehouse.change(&sql, ())?;
    }
    let texts: Vec<_> = texts.iter().map(|(column, conditions)| (quote(column), conditions.join(" OR "))).collect();
    if texts.is_empty() {
        return Ok((0, deleted));
    }
    let emptied =
        texts.iter().map(|(column, condition)| format!("{column} = CASE WHEN {condition} THEN NULL ELSE {column} END"));
    let is_filled = texts.iter().map(|(column, condition)| format!("{column} IS NOT NULL AND ({condition})"));
    let sql = format!(
        "UPDATE {table} SET {}, {LOAD_ID} = {} WHERE ({}) AND ({is_linked})",
        emptied.collect::<Vec<_>>().join(", "),
        literal(load_id),
        is_filled.collect::<Vec<_>>().join(" OR ")
    );
    Ok((warehouse.change(&sql, ())?, deleted))
}
