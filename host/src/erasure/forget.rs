//! Forgets a person: records a hash of each key, erases the records from all tables, and redacts what earlier runs recorded.

use std::collections::BTreeSet;

use host_core::error::Result;
use host_core::schema::{Field, LOAD_ID, Type, UNFIT};
use host_ledger::StreamTable;
use host_ledger::streams::{self, LoadedStream};
use host_ledger::{erasures, forgotten, identities, log, models, runs};
use host_warehouse::{Table, Warehouse, literal, quote};

use super::erase::{ErasureSummary, erase, is_forgotten_row};
use super::forgotten_filter::record_merged;

/// The length of the shortest value that may identify a person, in characters.
const MIN_VALUE_LENGTH: usize = 3;
/// A value that more rows than this share does not identify a person.
const MAX_SHARED: usize = 10;

/// Erases a record and the records of the same person, by merges of rules or of the source, from the raw, kept and clean
/// tables and the journal, in every source of the account. Empties the free text of records that are or were linked with
/// them. All of it is one transaction. `load_id` is recorded as the run that changed the tables.
///
/// # Errors
/// Same as [`Warehouse::execute`].
pub fn forget(warehouse: &Warehouse, stream: &LoadedStream, key: &str, load_id: &str) -> Result<ErasureSummary> {
    let sources = identities::sources_of_same_account(warehouse, &stream.source)?;
    let mut streams = streams::loaded(warehouse)?;
    streams.retain(|other| other.stream == stream.stream && sources.contains(&other.source));
    warehouse.transaction(|| {
        let mut records = 0;
        for stream in &streams {
            records = records.max(record_forgotten(warehouse, stream, key)?);
        }
        redact_earlier_runs(warehouse, &streams)?;
        let erased = erase(warehouse, load_id)?;
        if !erased.is_empty() {
            erasures::record(warehouse, load_id)?;
        }
        Ok(ErasureSummary { records: records.max(1), ..erased })
    })
}

/// Undoes forgetting of a record and of the records that were forgotten together with it: later loads keep them again.
/// Returns whether the record was forgotten.
///
/// # Errors
/// Same as [`Warehouse::execute`].
pub fn undo(warehouse: &Warehouse, stream: &LoadedStream, key: &str) -> Result<bool> {
    forgotten::undo(warehouse, &stream.name(), key)
}

/// Records the record and the records of the same person as forgotten. Returns how many are new.
fn record_forgotten(warehouse: &Warehouse, stream: &LoadedStream, key: &str) -> Result<u64> {
    let name = stream.name();
    let mut records = forgotten::record(warehouse, &name, key)?;
    let merges = format!("SELECT key AS one, survivor_key AS other FROM {}", stream.ledger(StreamTable::Merges));
    let raw = stream.raw().to_string();
    loop {
        let more = forgotten::record_same(warehouse, &name, &merges)? + record_merged(warehouse, stream, &raw)?;
        records += more;
        if more == 0 {
            return Ok(records);
        }
    }
}

/// Redacts messages, hints, reports, logs and warnings of earlier runs that contain a value of a forgotten record, unless
/// many other records share the value.
fn redact_earlier_runs(warehouse: &Warehouse, streams: &[LoadedStream]) -> Result<()> {
    let mut values = BTreeSet::new();
    for stream in streams {
        for table in [stream.raw(), stream.clean()] {
            identifying_values(warehouse, stream, &table, &mut values)?;
        }
    }
    if values.is_empty() {
        return Ok(());
    }
    let values = values.iter().map(|value| literal(value)).collect::<Vec<_>>().join(", ");
    let contains_value = |column: &str| {
        let word = "'(^|[^\\p{L}\\p{N}])' || regexp_escape(value) || '($|[^\\p{L}\\p{N}])'";
        format!(
            "EXISTS (SELECT 1 FROM (SELECT unnest([{values}]) AS value) WHERE contains(lower({column}), value) \
             AND regexp_matches(lower({column}), {word}))"
        )
    };
    runs::redact(warehouse, &contains_value)?;
    log::redact(warehouse, &contains_value)?;
    models::redact(warehouse, &contains_value)
}

/// Collects the values of forgotten records that may identify a person, in lower case.
fn identifying_values(
    warehouse: &Warehouse,
    stream: &LoadedStream,
    table: &Table,
    values: &mut BTreeSet<String>,
) -> Result<()> {
    let is_text = |field: &Field| {
        let is_key = stream.primary_key.contains(&field.name);
        field.data_type == Type::Text && !is_key && ![LOAD_ID, UNFIT].contains(&field.name.as_str())
    };
    for field in warehouse.columns(table)?.unwrap_or_default().into_iter().filter(is_text) {
        let column = quote(&field.name);
        let of_column = format!("SELECT {column} FROM {table} WHERE {}", is_forgotten_row(stream));
        for value in warehouse.values::<String>(&of_column, ())? {
            let is_shared = format!(
                "SELECT count(*) > {MAX_SHARED} FROM (SELECT 1 FROM {table} WHERE {column} = ? LIMIT {})",
                MAX_SHARED + 1
            );
            if value.chars().count() < MIN_VALUE_LENGTH || warehouse.value(&is_shared, [&value])? == Some(true) {
                continue;
            }
            let value = value.to_lowercase();
            // Reports are JSON, which escapes some characters.
            values.insert(serde_json::json!(value).to_string().trim_matches('"').to_owned());
            values.insert(value);
        }
    }
    Ok(())
}
