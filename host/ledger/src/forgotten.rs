//! Forgotten records and deleted links. Only hashes of their keys are stored, so that an erasure can be repeated.

use std::collections::BTreeMap;

use host_core::error::Result;
use host_warehouse::{Warehouse, literal};

/// Which records a key is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matching {
    /// Forgotten records.
    Forgotten,
    /// Records of streams with free text that are or were linked with a forgotten one.
    Linked,
}

impl Matching {
    /// SQL that is true if `key`, SQL for a text, is the key of such a record of `source.stream`.
    #[must_use]
    pub fn condition(self, key: &str, stream: &str) -> String {
        let stream = literal(stream);
        match self {
            Self::Forgotten => {
                format!("sha256({key}) IN (SELECT key_sha256 FROM _host.forgotten WHERE stream = {stream})")
            }
            Self::Linked => format!(
                "sha256({key}) IN (SELECT linked_sha256 FROM _host.gone_links JOIN _host.forgotten USING (stream, key_sha256) \
                 WHERE linked_stream = {stream} AND EXISTS (SELECT 1 FROM _host.streams AS s \
                 WHERE s.source || '.' || s.stream = {stream} AND coalesce(s.free_text, '[]') <> '[]'))"
            ),
        }
    }
}

/// The number of forgotten records of each stream, by `source.stream`. Streams without any are left out.
///
/// # Errors
/// Same as [`Warehouse::query_as`].
pub fn counts(warehouse: &Warehouse) -> Result<BTreeMap<String, u64>> {
    #[derive(serde::Deserialize)]
    struct ForgottenCount {
        stream: String,
        records: u64,
    }
    let sql = "SELECT stream, count(*) AS records FROM _host.forgotten GROUP BY stream";
    let counts: Vec<ForgottenCount> = warehouse.query_as(sql, ())?;
    Ok(counts.into_iter().map(|count| (count.stream, count.records)).collect())
}

/// When a record of `source.stream` was forgotten, as DuckDB writes instants. None if it was not.
///
/// # Errors
/// Same as [`Warehouse::query`].
pub fn forgotten_at(warehouse: &Warehouse, stream: &str, key: &str) -> Result<Option<String>> {
    let sql = "SELECT min(forgotten_at)::VARCHAR FROM _host.forgotten WHERE stream = ? AND key_sha256 = sha256(?)";
    warehouse.value(sql, [stream, key])
}

/// Records that a record of `source.stream` is forgotten. Returns 1 if this is new, otherwise 0.
///
/// # Errors
/// Same as [`Warehouse::execute`].
pub fn record(warehouse: &Warehouse, stream: &str, key: &str) -> Result<u64> {
    let sql = "INSERT INTO _host.forgotten SELECT ?1, sha256(?2), now() \
               WHERE sha256(?2) NOT IN (SELECT key_sha256 FROM _host.forgotten WHERE stream = ?1)";
    warehouse.change(sql, [stream, key])
}

/// For each pair of keys of which one is forgotten, records the other as forgotten too. `pairs` is a query with the columns
/// `one` and `other`. Returns how many are new.
///
/// # Errors
/// Same as [`Warehouse::execute`].
pub fn record_same(warehouse: &Warehouse, stream: &str, pairs: &str) -> Result<u64> {
    let stream = literal(stream);
    // Records of one person have the same time, so that one undo covers all of them.
    let sql = format!(
        "WITH pairs AS ({pairs}) INSERT INTO _host.forgotten SELECT {stream}, sha256(b), min(known.forgotten_at) FROM ( \
           SELECT one AS a, other AS b FROM pairs UNION ALL SELECT other, one FROM pairs) \
         JOIN _host.forgotten AS known ON known.stream = {stream} AND known.key_sha256 = sha256(a) \
         WHERE b <> '' AND sha256(b) NOT IN (SELECT key_sha256 FROM _host.forgotten WHERE stream = {stream}) \
         GROUP BY b"
    );
    warehouse.change(&sql, ())
}

/// Records the forgotten records of other sources of the same account as forgotten in this source too.
///
/// # Errors
/// Same as [`Warehouse::execute`].
pub fn share(warehouse: &Warehouse, source: &str, account: &str) -> Result<()> {
    let sql = "INSERT INTO _host.forgotten \
               SELECT DISTINCT ?1 || substr(f.stream, length(i.source) + 1), f.key_sha256, f.forgotten_at \
               FROM _host.forgotten AS f JOIN _host.identities AS i ON starts_with(f.stream, i.source || '.') \
               WHERE i.identity = ?2 AND i.source <> ?1 AND NOT EXISTS (SELECT 1 FROM _host.forgotten AS k \
               WHERE k.stream = ?1 || substr(f.stream, length(i.source) + 1) AND k.key_sha256 = f.key_sha256)";
    warehouse.change(sql, [source, account]).map(drop)
}

/// Undoes forgetting of a record and of the records that were forgotten together with it. Returns whether it was forgotten.
///
/// # Errors
/// Same as [`Warehouse::execute`].
pub fn undo(warehouse: &Warehouse, stream: &str, key: &str) -> Result<bool> {
    let sql = "DELETE FROM _host.forgotten WHERE forgotten_at IN \
               (SELECT forgotten_at FROM _host.forgotten WHERE stream = ? AND key_sha256 = sha256(?))";
    Ok(warehouse.change(sql, [stream, key])? > 0)
}

/// Records which records deleted links connected, as hashes of both keys. `pairs` is a query with the columns `one`, a key of
/// `stream`, and `other`, a key of `linked`. Returns how many are new.
///
/// # Errors
/// Same as [`Warehouse::execute`].
pub fn record_gone_links(warehouse: &Warehouse, stream: &str, linked: &str, pairs: &str) -> Result<u64> {
    let (stream, linked) = (literal(stream), literal(linked));
    let sql = format!(
        "INSERT INTO _host.gone_links SELECT {stream}, one, {linked}, other FROM ( \
         SELECT DISTINCT sha256(one) AS one, sha256(other) AS other FROM ({pairs}) \
         WHERE one IS NOT NULL AND other IS NOT NULL) AS pairs \
         WHERE NOT EXISTS (SELECT 1 FROM _host.gone_links AS known WHERE known.stream = {stream} \
         AND known.key_sha256 = one AND known.linked_stream = {linked} AND known.linked_sha256 = other)"
    );
    warehouse.change(&sql, ())
}
