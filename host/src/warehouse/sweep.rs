//! Sweeps: what a full reading saw is remembered with its checkpoints, so that what it did not see can be marked as gone
//! at its end, whatever crashes lie between.

use std::ops::RangeInclusive;

use super::load::StreamLoader;
use super::{Table, Warehouse, key_text, literal, quote};
use crate::error::Result;
use crate::schema::{EXTRACTED_AT, LOAD_ID};

impl StreamLoader {
    /// The waiting pages are of a sweep; the first forgets what was seen before, the last marks what was not seen.
    pub fn sweep(&mut self, begins: bool, ends: bool) {
        self.swept.is_under_way = true;
        self.swept.begins |= begins;
        self.swept.ends |= ends;
    }

    fn of_stream(&self, stream: &str) -> String {
        format!("source = {} AND stream = {}", literal(&self.source), literal(stream))
    }

    /// Forgets what an earlier sweep saw, and notes that one began: what is not seen from here on is gone.
    pub(super) fn begin_sweep(&self) -> Result<()> {
        for stream in self.schemas.keys() {
            self.forget_seen(stream)?;
            let (source, stream) = (literal(&self.source), literal(stream));
            self.warehouse.execute(&format!("INSERT INTO _host.seen VALUES ({source}, {stream}, 0, '')"))?;
        }
        Ok(())
    }

    /// Forgets what a sweep saw, once it has ended.
    pub(super) fn forget_sweep(&self) -> Result<()> {
        self.schemas.keys().try_for_each(|stream| self.forget_seen(stream))
    }

    fn forget_seen(&self, stream: &str) -> Result<()> {
        self.warehouse.execute(&format!("DELETE FROM _host.seen WHERE {}", self.of_stream(stream)))
    }

    /// Remembers the keys, or prefixes of keys, in a temporary table.
    pub(super) fn remember_seen(&self, stream: &str, key: &[String], from: &str) -> Result<()> {
        let key_text = key_text(key);
        let loaded = self.loaded.get(stream).filter(|_| self.keeps_out);
        let is_out =
            loaded.map_or_else(|| "false".to_owned(), |loaded| Warehouse::is_forgotten_prefix(loaded, &key_text));
        self.warehouse.execute(&format!(
            "INSERT INTO _host.seen SELECT {}, {}, {}, {key_text} FROM {from} WHERE NOT coalesce({is_out}, false)",
            literal(&self.source),
            literal(stream),
            key.len(),
        ))
    }

    /// Marks records that the sweep did not see, and deletes carried rows whose prefix it did not see; gives back how
    /// many of a stream's rows changed.
    pub(super) fn end_sweep(&self, stream: &str) -> Result<u64> {
        let table = Table::raw(&self.source, stream);
        let of_stream = self.of_stream(stream);
        let widths = format!("SELECT max(width) FROM _host.seen WHERE {of_stream} HAVING min(width) = 0");
        // Without the note of its beginning, only a part of the sweep was seen: the first reading is no sweep.
        let width = self.warehouse.value(&widths, &[])?;
        let Some(width) = width.and_then(|width| width.parse::<usize>().ok()) else { return Ok(0) };
        let key = self.schemas.get(stream).map(|schema| schema.primary_key.as_slice()).unwrap_or_default();
        let is_own = stream == self.stream;
        // A sweep that saw no record at all found the stream empty. Carried rows that it never spoke of are another thing.
        let saw_none = || {
            let own = self.of_stream(&self.stream);
            let seen = format!("SELECT 1 FROM _host.seen WHERE {own} AND width > 0 LIMIT 1");
            self.warehouse.value(&seen, &[]).map(|seen| seen.is_none())
        };
        let width = if width == 0 && (is_own || saw_none()?) { key.len() } else { width };
        let Some(prefix) = key.get(..width).filter(|prefix| !prefix.is_empty()) else { return Ok(0) };
        let unseen =
            format!("{} NOT IN (SELECT key FROM _host.seen WHERE {of_stream} AND width > 0)", key_text(prefix));
        let changed = match self.deleted.as_deref().filter(|_| is_own) {
            Some(deleted) => {
                let deleted = quote(deleted);
                let sql = format!(
                    "UPDATE {table} SET {deleted} = true, {LOAD_ID} = {}, {EXTRACTED_AT} = make_timestamp({})::TIMESTAMPTZ \
                     WHERE {deleted} IS DISTINCT FROM true AND {unseen}",
                    literal(&self.load_id),
                    self.extracted_at,
                );
                self.warehouse.change(&sql, &[])?
            }
            None => {
                self.note_gone(stream, &table.to_string(), &unseen)?;
                self.warehouse.change(&format!("DELETE FROM {table} WHERE {unseen}"), &[])?
            }
        };
        Ok(changed as u64)
    }

    /// How many records the source may count: those that are here and not marked as gone, and any of those that were
    /// forgotten, which the account may have or not.
    pub fn live_rows(&self) -> Result<RangeInclusive<u64>> {
        let table = Table::raw(&self.source, &self.stream);
        let live = self.deleted.as_ref().map(|deleted| format!(" WHERE {} IS DISTINCT FROM true", quote(deleted)));
        let count = self.warehouse.value(&format!("SELECT count(*) FROM {table}{}", live.unwrap_or_default()), &[])?;
        let count: u64 = count.and_then(|count| count.parse().ok()).unwrap_or_default();
        Ok(count..=count + self.forgotten)
    }
}
