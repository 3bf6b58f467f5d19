//! Keeps forgotten people out of later loads: neither their rows nor the free text of records linked with them reach a table
//! of the warehouse.

use std::collections::BTreeMap;

use host_core::error::Result;
use host_core::schema::Field;
use host_ledger::streams::LoadedStream;
use host_ledger::{erasures, forgotten};
use host_warehouse::{Table, Warehouse, key_text, quote};

use super::erase::{delete_forgotten, empty_free_text, is_forgotten_prefix, record_gone_links};

/// The records that one reader must not load.
#[derive(Default)]
pub struct ForgottenFilter {
    /// The streams that the reader returns, by name.
    streams: BTreeMap<String, LoadedStream>,
    /// How many records of each were forgotten, by name.
    forgotten: BTreeMap<String, u64>,
    is_active: bool,
}

impl ForgottenFilter {
    /// Adds a stream that the reader returns. `forgotten` is the number of forgotten records by `source.stream`.
    pub fn add(&mut self, stream: LoadedStream, forgotten: &BTreeMap<String, u64>) {
        let count = forgotten.get(&stream.name()).copied().unwrap_or_default();
        self.forgotten.insert(stream.stream.clone(), count);
        self.is_active = !forgotten.is_empty();
        self.streams.insert(stream.stream.clone(), stream);
    }

    /// Whether any record was ever forgotten.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.is_active
    }

    /// How many records of a stream were forgotten.
    #[must_use]
    pub fn forgotten(&self, stream: &str) -> u64 {
        self.forgotten.get(stream).copied().unwrap_or_default()
    }

    /// Pending streams, links first: a link decides which text is removed from the records of the same checkpoint.
    pub fn links_first<'a, T>(&self, pending: &'a BTreeMap<String, T>) -> Vec<(&'a String, &'a T)> {
        let mut pending: Vec<_> = pending.iter().collect();
        let references = |stream: &str| self.streams.get(stream).map_or(0, |stream| stream.refers.len());
        pending.sort_by_key(|(stream, _)| std::cmp::Reverse(references(stream)));
        pending
    }

    /// Removes forgotten records, and free text about them, from staged rows.
    ///
    /// # Errors
    /// Same as [`Warehouse::execute`].
    pub fn strip(
        &self,
        warehouse: &Warehouse,
        stream: &str,
        columns: &[Field],
        staged: &Table,
        load_id: &str,
    ) -> Result<()> {
        let Some(stream) = self.streams.get(stream).filter(|_| self.is_active) else { return Ok(()) };
        let rows = staged.to_string();
        let same = record_merged(warehouse, stream, &rows)?;
        let (_, links) = delete_forgotten(warehouse, stream, &rows)?;
        empty_free_text(warehouse, stream, columns, &rows, load_id)?;
        // Rows of them that are already in the warehouse are erased once all streams are loaded.
        if same + links > 0 { erasures::record(warehouse, load_id) } else { Ok(()) }
    }

    /// Records which records are linked by rows of a stream that are about to be deleted.
    ///
    /// # Errors
    /// Same as [`Warehouse::execute`].
    pub fn record_gone_links(&self, warehouse: &Warehouse, stream: &str, rows: &str, condition: &str) -> Result<()> {
        let Some(link) = self.streams.get(stream) else { return Ok(()) };
        record_gone_links(warehouse, link, rows, condition).map(drop)
    }

    /// SQL that is true if a key text of a stream, or a prefix of one, belongs to a forgotten record.
    #[must_use]
    pub fn is_forgotten_prefix(&self, stream: &str, key_text: &str) -> String {
        let stream = self.streams.get(stream).filter(|_| self.is_active);
        stream.map_or_else(|| "false".to_owned(), |stream| is_forgotten_prefix(stream, key_text))
    }
}

/// Records as forgotten the records that the source merged with a forgotten one, in either direction. Returns how many.
pub(super) fn record_merged(warehouse: &Warehouse, stream: &LoadedStream, rows: &str) -> Result<u64> {
    let Some(column) = stream.merged.as_deref().map(quote) else { return Ok(0) };
    let key = key_text(&stream.primary_key);
    let pairs = format!(
        "SELECT {key} AS one, trim(unnest(string_split({column}::VARCHAR, ';'))) AS other FROM {rows} WHERE {column} IS NOT NULL"
    );
    forgotten::record_same(warehouse, &stream.name(), &pairs)
}
