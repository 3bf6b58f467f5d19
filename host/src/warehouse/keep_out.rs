//! Keeps out who was forgotten: what a load brings of them goes before it reaches a table of the warehouse, and so does
//! the free text of what they are linked with.

use std::collections::BTreeMap;

use super::{LoadedStream, StreamLoader, Warehouse, key_text, literal, quote};
use crate::error::Result;
use crate::schema::{Field, Stream};

impl StreamLoader {
    /// Notes what must not come back, of the stream and those that it carries; `forgotten` is how many, by stream.
    pub fn keep_out(&mut self, stream: &Stream, forgotten: &BTreeMap<String, u64>) {
        let loaded = LoadedStream::of(&self.source, stream);
        if stream.name == self.stream {
            self.forgotten = forgotten.get(&loaded.name()).copied().unwrap_or_default();
        }
        self.keeps_out = !forgotten.is_empty();
        self.loaded.insert(stream.name.clone(), loaded);
    }

    /// The streams that wait, links first: what they tell counts for the records that come with them.
    pub(super) fn links_first<'a, T>(&self, pending: &'a BTreeMap<String, T>) -> Vec<(&'a String, &'a T)> {
        let mut pending: Vec<_> = pending.iter().collect();
        let references = |stream: &str| self.loaded.get(stream).map_or(0, |stream| stream.refers.len());
        pending.sort_by_key(|(stream, _)| std::cmp::Reverse(references(stream)));
        pending
    }

    /// Takes what must not come back out of rows that are staged.
    pub(super) fn strip(&self, stream: &str, columns: &[Field], rows: &str) -> Result<()> {
        let Some(stream) = self.loaded.get(stream).filter(|_| self.keeps_out) else { return Ok(()) };
        let same = self.warehouse.note_merged(stream, rows)?;
        let (_, links) = self.warehouse.drop_forgotten(stream, rows)?;
        self.warehouse.empty_texts(stream, columns, rows, &self.load_id)?;
        // What is in the warehouse of them already goes when the streams are loaded.
        if same + links > 0 { self.warehouse.note_erasure(&self.load_id) } else { Ok(()) }
    }

    /// Keeps which records were connected by links that are about to go.
    pub(super) fn note_gone(&self, stream: &str, rows: &str, which: &str) -> Result<()> {
        let Some(link) = self.loaded.get(stream) else { return Ok(()) };
        self.warehouse.note_gone_links(link, rows, which).map(drop)
    }
}

impl Warehouse {
    /// Forgets too what a source says is the same record: those that were merged into a forgotten one, and those that it was
    /// merged into. Gives back how many.
    pub(super) fn note_merged(&self, stream: &LoadedStream, rows: &str) -> Result<usize> {
        let Some(column) = stream.merged.as_deref().map(quote) else { return Ok(0) };
        let key = key_text(&stream.primary_key);
        let pairs = format!(
            "SELECT {key} AS one, trim(unnest(string_split({column}::VARCHAR, ';'))) AS other FROM {rows} WHERE {column} IS NOT NULL"
        );
        self.note_same(&stream.name(), &pairs)
    }

    /// Forgets too the others of these pairs of keys, `one` and `other`, of which one is forgotten; gives back how many.
    pub(super) fn note_same(&self, stream: &str, pairs: &str) -> Result<usize> {
        let stream = literal(stream);
        // They are let in again together, too, by the time at which they were forgotten.
        let sql = format!(
            "WITH pairs AS ({pairs}) INSERT INTO _host.forgotten SELECT {stream}, sha256(b), min(known.forgotten_at) FROM ( \
               SELECT one AS a, other AS b FROM pairs UNION ALL SELECT other, one FROM pairs) \
             JOIN _host.forgotten AS known ON known.stream = {stream} AND known.key_sha256 = sha256(a) \
             WHERE b <> '' AND sha256(b) NOT IN (SELECT key_sha256 FROM _host.forgotten WHERE stream = {stream}) \
             GROUP BY b"
        );
        self.change(&sql, &[])
    }

    /// Keeps whom another source of the same account forgot out of this one, too.
    pub fn share_forgotten(&self, source: &str, account: &str) -> Result<()> {
        let sql = "INSERT INTO _host.forgotten \
                   SELECT DISTINCT ?1 || substr(f.stream, length(i.source) + 1), f.key_sha256, f.forgotten_at \
                   FROM _host.forgotten AS f JOIN _host.identities AS i ON starts_with(f.stream, i.source || '.') \
                   WHERE i.identity = ?2 AND i.source <> ?1 AND NOT EXISTS (SELECT 1 FROM _host.forgotten AS k \
                   WHERE k.stream = ?1 || substr(f.stream, length(i.source) + 1) AND k.key_sha256 = f.key_sha256)";
        self.change(sql, &[source, account]).map(drop)
    }

    /// Takes out what belongs to whom a load found to be forgotten: links and merges that were not known before.
    pub fn erase_again(&self, load_id: &str) -> Result<()> {
        if self.has_erased()? { self.transaction(|| self.erase(load_id).map(drop)) } else { Ok(()) }
    }
}
