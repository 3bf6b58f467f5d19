//! Keeps out who was forgotten: what a load brings of them goes before it reaches a table of the warehouse, and so does
//! the free text of records that are linked with them.

use std::collections::BTreeMap;

use super::{LoadedStream, StreamLoader, Table, Warehouse, key_text, literal, quote};
use crate::error::Result;
use crate::schema::{Field, LOAD_ID, Stream, UNFIT};

/// Hashes of keys, by `source.stream`.
#[derive(Clone, Copy)]
enum Hashes {
    /// Of records that were forgotten.
    Forgotten,
    /// Of records that are linked with one of those.
    Linked,
}

impl Hashes {
    /// True where the hash of this text is one of the stream's.
    fn hold(self, text: &str, stream: &str) -> String {
        let table = match self {
            Self::Forgotten => "forgotten",
            Self::Linked => "forgotten_links",
        };
        format!("sha256({text}) IN (SELECT key_sha256 FROM _host.{table} WHERE stream = {})", literal(stream))
    }

    /// True of rows that are such a record, or refer to one.
    fn hold_row(self, stream: &LoadedStream) -> String {
        let own = self.hold(&key_text(&stream.primary_key), &stream.name());
        let others = references(stream).map(|(column, to)| self.hold(&column, &to));
        std::iter::once(own).chain(others).collect::<Vec<_>>().join(" OR ")
    }
}

/// The columns of a stream that hold keys of other records, as SQL of their text, each with `source.stream` of those.
fn references(stream: &LoadedStream) -> impl Iterator<Item = (String, String)> {
    let of =
        |(column, to): &(String, String)| (format!("{}::VARCHAR", quote(column)), format!("{}.{to}", stream.source));
    stream.refers.iter().map(of)
}

impl Warehouse {
    /// Notes which records a link's rows connect with forgotten ones. `rows` is the table that holds them.
    pub(super) fn note_linked(&self, link: &LoadedStream, rows: &str, load_id: &str) -> Result<()> {
        let mut noted = 0;
        for (column, to) in references(link) {
            for (other, linked) in references(link).filter(|(other, _)| *other != column) {
                let linked = literal(&linked);
                let sql = format!(
                    "INSERT INTO _host.forgotten_links SELECT DISTINCT {linked}, sha256({other}) FROM {rows} WHERE {} \
                     AND sha256({other}) NOT IN (SELECT key_sha256 FROM _host.forgotten_links WHERE stream = {linked})",
                    Hashes::Forgotten.hold(&column, &to)
                );
                noted += self.change(&sql, &[])?;
            }
        }
        if noted > 0 { self.note_erasure(load_id) } else { Ok(()) }
    }

    /// Takes forgotten records, and rows that refer to them, out of a table of the stream's columns; gives back how many.
    pub(super) fn drop_forgotten(&self, stream: &LoadedStream, rows: &str) -> Result<usize> {
        self.change(&format!("DELETE FROM {rows} WHERE {}", Hashes::Forgotten.hold_row(stream)), &[])
    }

    /// Empties the free text of records that are linked with forgotten ones, of every stream's raw table.
    pub fn empty_texts(&self, load_id: &str) -> Result<()> {
        if self.value("SELECT 1 FROM _host.forgotten_links LIMIT 1", &[])?.is_none() {
            return Ok(());
        }
        self.transaction(|| {
            let mut emptied = 0;
            for stream in self.loaded_streams()? {
                let rows = self.empty_text(&stream, load_id)?;
                if rows > 0 {
                    self.touch(&Table::raw(&stream.source, &stream.stream), load_id)?;
                }
                emptied += rows;
            }
            if emptied > 0 { self.note_erasure(load_id) } else { Ok(()) }
        })
    }

    /// Notes that models hold what is erased, until they are all built anew.
    pub(super) fn note_erasure(&self, load_id: &str) -> Result<()> {
        self.change("INSERT INTO _host.erasures VALUES (?)", &[load_id]).map(drop)
    }

    /// Whether models may still hold what was erased.
    pub fn has_erased(&self) -> Result<bool> {
        Ok(self.value("SELECT 1 FROM _host.erasures LIMIT 1", &[])?.is_some())
    }

    /// Empties it in one stream's raw table; gives back in how many rows.
    pub(super) fn empty_text(&self, stream: &LoadedStream, load_id: &str) -> Result<usize> {
        let raw = Table::raw(&stream.source, &stream.stream);
        let columns = self.columns(&raw)?.unwrap_or_default();
        self.empty_text_of(stream, &columns, &raw.to_string(), load_id)
    }

    fn empty_text_of(&self, stream: &LoadedStream, columns: &[Field], rows: &str, load_id: &str) -> Result<usize> {
        let is_there = |name: &&String| columns.iter().any(|field| field.name == **name);
        let texts: Vec<_> = stream.free_text.iter().filter(is_there).collect();
        if texts.is_empty() {
            return Ok(0);
        }
        let is_linked = Hashes::Linked.hold_row(stream);
        if texts.iter().any(|name| stream.primary_key.contains(name)) {
            // A row that is known by its text goes whole.
            return self.change(&format!("DELETE FROM {rows} WHERE {is_linked}"), &[]);
        }
        let texts: Vec<_> = texts.into_iter().map(String::as_str).chain([UNFIT]).map(quote).collect();
        let emptied: String = texts.iter().map(|name| format!("{name} = NULL, ")).collect();
        let is_filled: Vec<_> = texts.iter().map(|name| format!("{name} IS NOT NULL")).collect();
        let sql = format!(
            "UPDATE {rows} SET {emptied}{LOAD_ID} = {} WHERE ({}) AND ({is_linked})",
            literal(load_id),
            is_filled.join(" OR ")
        );
        self.change(&sql, &[])
    }
}

impl StreamLoader {
    /// Notes what must not come back, of the stream and those that it carries; `forgotten` is how many, by stream.
    pub fn keep_out(&mut self, stream: &Stream, forgotten: &BTreeMap<String, u64>) {
        if stream.name == self.stream {
            let name = format!("{}.{}", self.source, stream.name);
            self.forgotten = forgotten.get(&name).copied().unwrap_or_default();
        }
        if !forgotten.is_empty() {
            self.forgetting.insert(stream.name.clone(), LoadedStream::of(&self.source, stream));
        }
    }

    /// The streams that wait, links first: what they tell counts for the records that come with them.
    pub(super) fn links_first<'a, T>(&self, pending: &'a BTreeMap<String, T>) -> Vec<(&'a String, &'a T)> {
        let mut pending: Vec<_> = pending.iter().collect();
        let references = |stream: &str| self.forgetting.get(stream).map_or(0, |stream| stream.refers.len());
        pending.sort_by_key(|(stream, _)| std::cmp::Reverse(references(stream)));
        pending
    }

    /// Takes what must not come back out of rows that are staged.
    pub(super) fn strip(&self, stream: &str, columns: &[Field], rows: &str) -> Result<()> {
        let Some(forgetting) = self.forgetting.get(stream) else { return Ok(()) };
        self.warehouse.note_linked(forgetting, rows, &self.load_id)?;
        self.warehouse.drop_forgotten(forgetting, rows)?;
        self.warehouse.empty_text_of(forgetting, columns, rows, &self.load_id)?;
        Ok(())
    }
}
