//! How each stream was last cleaned: with which rules, from which version of its raw table, and what each segment depends on.

use std::collections::BTreeMap;

use host_core::error::Result;
use host_warehouse::Warehouse;

/// The last cleaning of a stream.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub struct Cleaning {
    /// The raw columns, the rules and the versions of their further inputs, one line each.
    pub fingerprint: String,
    /// The id of the run that had last changed the raw table.
    pub raw_load_id: String,
}

/// What the output of a segment of rules depends on.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub struct SegmentRecord {
    /// The raw columns, the masked columns and the rules, one line each.
    pub fingerprint: String,
    /// The digest of the rows that a rule of table scope read; empty for rules of row scope.
    pub digest: String,
}

/// The last cleaning of `source.stream`. None if it was never cleaned.
///
/// # Errors
/// Same as [`Warehouse::query_as`].
pub fn last(warehouse: &Warehouse, stream: &str) -> Result<Option<Cleaning>> {
    let sql = "SELECT fingerprint, raw_load_id FROM _host.cleanings WHERE stream = ? ORDER BY number DESC LIMIT 1";
    warehouse.query_first(sql, [stream])
}

/// The segments of the last cleaning of `source.stream`, in order.
///
/// # Errors
/// Same as [`Warehouse::query_as`].
pub fn last_segments(warehouse: &Warehouse, stream: &str) -> Result<Vec<SegmentRecord>> {
    let sql = "SELECT fingerprint, digest FROM _host.segments WHERE stream = ?1 \
               AND cleaning = (SELECT max(number) FROM _host.cleanings WHERE stream = ?1) ORDER BY segment";
    warehouse.query_as(sql, [stream])
}

/// The fingerprint of each stream's last cleaning, by `source.stream` in lower case.
///
/// # Errors
/// Same as [`Warehouse::query_as`].
pub fn fingerprints(warehouse: &Warehouse) -> Result<BTreeMap<String, String>> {
    #[derive(serde::Deserialize)]
    struct StreamFingerprint {
        stream: String,
        fingerprint: String,
    }
    let sql =
        "SELECT lower(stream) AS stream, max_by(fingerprint, number) AS fingerprint FROM _host.cleanings GROUP BY ALL";
    let rows: Vec<StreamFingerprint> = warehouse.query_as(sql, ())?;
    Ok(rows.into_iter().map(|row| (row.stream, row.fingerprint)).collect())
}

/// Records a cleaning of `source.stream`, unless it equals the last one.
///
/// # Errors
/// Same as [`Warehouse::execute`].
pub fn record(warehouse: &Warehouse, stream: &str, cleaning: &Cleaning, segments: &[SegmentRecord]) -> Result<()> {
    if last(warehouse, stream)?.as_ref() == Some(cleaning) && last_segments(warehouse, stream)? == segments {
        return Ok(());
    }
    let number: Option<i64> =
        warehouse.value("SELECT max(number) + 1 FROM _host.cleanings WHERE stream = ?", [stream])?;
    let number = number.unwrap_or_default();
    let sql = "INSERT INTO _host.cleanings VALUES (?, ?, ?, ?)";
    warehouse.change(sql, (stream, number, &cleaning.fingerprint, &cleaning.raw_load_id))?;
    segments.iter().enumerate().try_for_each(|(at, segment)| {
        let sql = "INSERT INTO _host.segments VALUES (?, ?, ?, ?, ?)";
        warehouse.change(sql, (stream, number, at, &segment.fingerprint, &segment.digest)).map(drop)
    })
}

/// Deletes cleanings that a later one of the same stream replaces.
pub(crate) fn compact(warehouse: &Warehouse) -> Result<()> {
    warehouse.execute(
        "DELETE FROM _host.cleanings AS old WHERE EXISTS (SELECT 1 FROM _host.cleanings AS new \
         WHERE new.stream = old.stream AND new.number > old.number); \
         DELETE FROM _host.segments AS old WHERE EXISTS (SELECT 1 FROM _host.cleanings AS new \
         WHERE new.stream = old.stream AND new.number > old.cleaning)",
    )
}
