//! Checkpoints: the rows of several pages and the cursor after them, committed in one transaction.

use std::collections::{BTreeMap, HashSet};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow_array::{Array as _, RecordBatch};
use host_core::error::{Error, Result};
use host_core::kill_point;
use host_core::schema::{Disposition, EXTRACTED_AT, Field, LOAD_ID, Schema, Stream, UNFIT};
use host_ledger::cursors::{self, Cursor};
use host_ledger::streams::LoadedStream;
use host_ledger::sweeps::SeenKeys;
use host_ledger::{identities, versions};
use host_plugin::RowMemory;
use host_warehouse::{MergeColumns, Table, Warehouse, fit, key_text, literal, quote, quote_all, row_texts, same_key};

use crate::erasure::ForgottenFilter;

/// What checkpoints did to one stream.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LoadCounts {
    /// Rows received.
    pub(super) rows: u64,
    /// Rows inserted, updated or deleted because they differ.
    pub(super) changed: u64,
    /// Rows with a value that does not fit its column.
    pub(super) unfit: u64,
}

/// How the pending pages belong to a sweep.
#[derive(Debug, Clone, Copy, Default)]
struct SweepPages {
    /// Whether some of them belong to a sweep.
    is_active: bool,
    /// Whether a sweep begins: the keys that an earlier sweep saw are discarded.
    begins: bool,
    /// Whether a sweep ends: records that it did not see are gone.
    ends: bool,
}

/// Pending pages are joined into batches of at least this many rows: a page of a hundred rows uses little of the memory that
/// it allocates.
const BATCH_ROWS: usize = 4096;

/// Bytes of a prefix beside its text.
const PREFIX_BYTES: usize = 64;

/// Rows of one stream that wait for the next checkpoint.
struct PendingRows {
    schema: Schema,
    rows: Vec<RecordBatch>,
    /// The last pages, of one schema, fewer than [`BATCH_ROWS`] rows in all.
    pages: Vec<RecordBatch>,
    /// The memory of the pages.
    page_memory: RowMemory,
    /// The memory of everything else.
    memory: RowMemory,
    replace: Vec<RecordBatch>,
    /// The prefixes in `replace`, as text.
    prefixes: HashSet<String>,
}

impl PendingRows {
    fn new(schema: Schema) -> Self {
        Self {
            schema,
            rows: Vec::new(),
            pages: Vec::new(),
            page_memory: RowMemory::default(),
            memory: RowMemory::default(),
            replace: Vec::new(),
            prefixes: HashSet::new(),
        }
    }

    fn push(&mut self, page: RecordBatch, memory: RowMemory) -> Result<()> {
        if self.pages.last().is_some_and(|last| last.schema() != page.schema()) {
            self.join()?;
        }
        self.pages.push(page);
        self.page_memory.join(memory);
        if self.pages.iter().map(RecordBatch::num_rows).sum::<usize>() >= BATCH_ROWS { self.join() } else { Ok(()) }
    }

    /// Joins the last pages into one batch.
    fn join(&mut self) -> Result<()> {
        let Some(first) = self.pages.first() else { return Ok(()) };
        // A page that was cut from a table keeps the whole table: the copy is often smaller.
        self.memory.join(self.page_memory.for_copy(self.pages.iter().map(slice_bytes).sum())?);
        let joined = arrow_select::concat::concat_batches(&first.schema(), &self.pages);
        self.rows.push(joined.map_err(Error::internal)?);
        self.pages.clear();
        self.page_memory = RowMemory::default();
        Ok(())
    }
}

/// The bytes of a batch, which may be a slice of a larger one.
fn slice_bytes(batch: &RecordBatch) -> usize {
    batch.columns().iter().map(|column| column.to_data().get_slice_memory_size().unwrap_or_default()).sum()
}

/// How much waits for the next checkpoint.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PendingSize {
    /// Rows of the stream that has the most.
    pub(super) rows: usize,
    /// Bytes of all values.
    pub(super) bytes: usize,
}

/// The account from which a source is loaded. The first checkpoint of any of its streams binds the source to it.
pub(super) struct SourceAccount {
    identity: String,
    is_bound: Mutex<bool>,
}

impl SourceAccount {
    pub(super) fn new(identity: String) -> Self {
        Self { identity, is_bound: Mutex::new(false) }
    }

    /// Keeps other checkpoints of the source waiting until this one is committed, unless one was committed before: two that
    /// run at the same time do not see that the other binds the source.
    fn lock_until_bound(&self) -> Option<MutexGuard<'_, bool>> {
        Some(self.is_bound.lock().unwrap_or_else(PoisonError::into_inner)).filter(|is_bound| !**is_bound)
    }
}

/// Writes the rows of one reader: its own stream, and the streams that are read with it.
pub(super) struct StreamLoader {
    warehouse: Warehouse,
    source: String,
    stream: String,
    load_id: String,
    /// Microseconds since 1970.
    extracted_at: i64,
    disposition: Disposition,
    /// The boolean column that marks records which the account no longer has.
    deleted: Option<String>,
    sweep: SweepPages,
    account: Option<Arc<SourceAccount>>,
    cursor: Cursor,
    /// Whether nothing of the stream was ever committed. If so, rows are appended, and only this read can repeat a key.
    is_fresh: bool,
    pending: BTreeMap<String, PendingRows>,
    size: PendingSize,
    columns: BTreeMap<String, Vec<Field>>,
    schemas: BTreeMap<String, Schema>,
    forgotten_filter: ForgottenFilter,
}

impl StreamLoader {
    /// A loader on its own connection, with the stream's stored cursor.
    pub(super) fn open(
        warehouse: Warehouse,
        source: &str,
        stream: &Stream,
        load_id: &str,
        extracted_at: i64,
    ) -> Result<Self> {
        let stored = cursors::read(&warehouse, source, &stream.name)?;
        let is_fresh = stored.is_none();
        let cursor = stored.unwrap_or(Cursor { state: None, is_initial: true });
        Ok(Self {
            warehouse,
            source: source.to_owned(),
            stream: stream.name.clone(),
            load_id: load_id.to_owned(),
            extracted_at,
            disposition: stream.disposition,
            deleted: stream.deleted.clone(),
            sweep: SweepPages::default(),
            account: None,
            cursor,
            is_fresh,
            pending: BTreeMap::new(),
            size: PendingSize::default(),
            columns: BTreeMap::new(),
            schemas: BTreeMap::new(),
            forgotten_filter: ForgottenFilter::default(),
        })
    }

    /// Sets the account of these records, which all loaders of the source share.
    #[must_use]
    pub(super) fn with_account(mut self, account: Option<Arc<SourceAccount>>) -> Self {
        self.account = account;
        self
    }

    /// The state from which to continue.
    pub(super) fn state(&self) -> Option<&str> {
        self.cursor.state.as_deref()
    }

    /// Drops the cursor, so that the stream is read from the beginning. Its rows stay, and new rows are merged into them.
    pub(super) fn restart(&mut self) {
        self.cursor.state = None;
    }

    /// Creates a stream's raw table or adapts it to the schema, so that it exists even if no row is read.
    pub(super) fn ensure(&mut self, stream: &str, schema: &Schema) -> Result<()> {
        if self.schemas.get(stream) == Some(schema) {
            return Ok(());
        }
        let table = Table::raw(&self.source, stream);
        let (columns, changes) = self.warehouse.evolve(&table, schema)?;
        versions::record_columns(&self.warehouse, &table, &changes, &self.load_id)?;
        self.columns.insert(stream.to_owned(), columns);
        self.schemas.insert(stream.to_owned(), schema.clone());
        Ok(())
    }

    /// Keeps forgotten records of a stream out. `forgotten` is the number of forgotten records by `source.stream`.
    pub(super) fn keep_forgotten_out(&mut self, stream: &Stream, forgotten: &BTreeMap<String, u64>) {
        self.forgotten_filter.add(LoadedStream::new(&self.source, stream), forgotten);
    }

    /// Adds rows of a stream to the next checkpoint.
    pub(super) fn add(
        &mut self,
        stream: &str,
        schema: &Schema,
        rows: Option<RecordBatch>,
        replace: Option<RecordBatch>,
        memory: RowMemory,
    ) -> Result<()> {
        let pending = self.pending.entry(stream.to_owned()).or_insert_with(|| PendingRows::new(schema.clone()));
        // A later page may bring columns that an earlier one did not have, or wider ones.
        for field in &schema.fields {
            match pending.schema.fields.iter_mut().find(|known| known.name.eq_ignore_ascii_case(&field.name)) {
                Some(known) => known.data_type = known.data_type.widen(field.data_type),
                None => pending.schema.fields.push(field.clone()),
            }
        }
        if let Some(replace) = replace.filter(|_| !self.is_fresh) {
            // The prefixes are kept as texts too.
            let bytes = slice_bytes(&replace) + PREFIX_BYTES * replace.num_rows();
            self.size.bytes += bytes;
            pending.memory.join(memory.for_copy(bytes)?);
            pending.prefixes.extend(row_texts(&replace));
            pending.replace.push(replace);
        }
        let Some(page) = rows else { return Ok(()) };
        self.size.bytes += slice_bytes(&page);
        pending.push(page, memory)?;
        let rows = pending.rows.iter().chain(&pending.pages).map(RecordBatch::num_rows).sum();
        self.size.rows = self.size.rows.max(rows);
        Ok(())
    }

    /// Whether a pending page replaces one of these prefixes too: only a checkpoint between the two pages keeps their order.
    pub(super) fn is_replace_pending(&self, stream: &str, replace: &RecordBatch) -> bool {
        let pending = self.pending.get(stream).map(|pending| &pending.prefixes).filter(|pending| !pending.is_empty());
        pending.is_some_and(|pending| row_texts(replace).any(|prefix| pending.contains(&prefix)))
    }

    /// How much waits for the next checkpoint.
    pub(super) fn pending_size(&self) -> PendingSize {
        self.size
    }

    /// Whether rows are appended, not merged: nothing of the stream was ever committed before this read.
    pub(super) fn is_fresh(&self) -> bool {
        self.is_fresh
    }

    /// Whether rows may be committed before the end of the stream.
    pub(super) fn is_incremental(&self) -> bool {
        self.disposition == Disposition::Merge
    }

    /// Marks the pending pages as part of a sweep.
    pub(super) fn mark_sweep(&mut self, begins: bool, ends: bool) {
        self.sweep.is_active = true;
        self.sweep.begins |= begins;
        self.sweep.ends |= ends;
    }

    /// Commits the pending rows with the state after them. `done` ends the first full load. Returns the counts by stream.
    pub(super) fn checkpoint(&mut self, state: Option<String>, done: bool) -> Result<BTreeMap<String, LoadCounts>> {
        if let Some(schema) = self.schemas.get(&self.stream).filter(|_| done && !self.is_incremental()).cloned() {
            // A replaced stream without rows becomes empty.
            self.add(&self.stream.clone(), &schema, None, None, RowMemory::default())?;
        }
        let mut pending = std::mem::take(&mut self.pending);
        self.size = PendingSize::default();
        for (stream, pending) in &mut pending {
            pending.join()?;
            self.ensure(stream, &pending.schema)?;
        }
        let next = Cursor { state, is_initial: self.cursor.is_initial && !done };
        // A first load has no earlier records that could be gone.
        let sweep = std::mem::take(&mut self.sweep);
        let sweep = if self.is_fresh { SweepPages::default() } else { sweep };
        // The first full load only appends; its last checkpoint keeps the last row of each key.
        let ends_initial = self.cursor.is_initial && done && (self.is_fresh || self.is_incremental());
        let first = self.account.as_ref().and_then(|account| account.lock_until_bound());
        let counts = self.warehouse.transaction(|| {
            if sweep.begins {
                self.schemas.keys().try_for_each(|stream| self.seen_keys(stream).begin())?;
            }
            let mut counts: BTreeMap<String, LoadCounts> = BTreeMap::new();
            for (stream, pending) in self.forgotten_filter.links_first(&pending) {
                counts.insert(stream.clone(), self.write(stream, pending, sweep.is_active)?);
            }
            if sweep.ends {
                for stream in self.schemas.keys() {
                    counts.entry(stream.clone()).or_default().changed += self.end_sweep(stream)?;
                }
                self.schemas.keys().try_for_each(|stream| self.seen_keys(stream).discard())?;
            }
            for (stream, _) in counts.iter().filter(|(_, written)| written.changed > 0) {
                versions::record_change(&self.warehouse, &Table::raw(&self.source, stream), &self.load_id)?;
            }
            if ends_initial {
                for (stream, schema) in &self.schemas {
                    self.warehouse.keep_last(&Table::raw(&self.source, stream), &schema.primary_key)?;
                }
            }
            if let Some(account) = self.account.as_ref().filter(|_| first.is_some()) {
                identities::bind(&self.warehouse, &self.source, &account.identity)?;
            }
            cursors::write(&self.warehouse, &self.source, &self.stream, &next, &self.load_id)?;
            kill_point("load.commit");
            Ok(counts)
        })?;
        if let Some(mut is_bound) = first {
            *is_bound = true;
        }
        kill_point("load.committed");
        self.cursor = next;
        Ok(counts)
    }

    fn seen_keys(&self, stream: &str) -> SeenKeys<'_> {
        SeenKeys::of(&self.warehouse, &self.source, stream)
    }

    fn write(&self, stream: &str, pending: &PendingRows, is_sweep: bool) -> Result<LoadCounts> {
        let table = Table::raw(&self.source, stream);
        let columns = self.columns.get(stream).map(Vec::as_slice).unwrap_or_default();
        let rows: u64 = pending.rows.iter().map(|batch| batch.num_rows() as u64).sum();
        let unfit = pending.rows.iter().filter_map(|batch| batch.column_by_name(UNFIT));
        let unfit = unfit.map(|column| (column.len() - column.null_count()) as u64).sum();
        if self.is_fresh && !self.forgotten_filter.is_active() {
            self.append(&table, pending, columns)?;
            return Ok(LoadCounts { rows, changed: rows, unfit });
        }
        let staged =
            self.warehouse.stage(format!("staged_{}_{stream}", self.source), &format!("SELECT * FROM {table}"))?;
        self.append(&staged, pending, columns)?;
        self.forgotten_filter.strip(&self.warehouse, stream, columns, &staged, &self.load_id)?;
        if is_sweep && stream == self.stream {
            self.record_seen(stream, &pending.schema.primary_key, &staged)?;
        }
        let changed = if self.is_fresh {
            self.warehouse.change(&format!("INSERT INTO {table} SELECT * FROM {staged}"), ())?
        } else {
            self.delete(stream, &table, &staged, pending, is_sweep)?
                + self.merge(&table, &staged, &pending.schema, columns)?
        };
        self.warehouse.execute(&format!("DROP TABLE {staged}"))?;
        Ok(LoadCounts { rows, changed, unfit })
    }

    fn append(&self, table: &Table, pending: &PendingRows, columns: &[Field]) -> Result<()> {
        let fit = |batch: &RecordBatch| fit(batch, columns, &self.load_id, self.extracted_at);
        self.warehouse.append_all(table, pending.rows.iter().map(fit))
    }

    /// Deletes old rows that a replaced prefix or a replaced stream no longer has. Returns how many.
    fn delete(
        &self,
        stream: &str,
        table: &Table,
        staged: &Table,
        pending: &PendingRows,
        is_sweep: bool,
    ) -> Result<u64> {
        let keys = &pending.schema.primary_key;
        if self.disposition == Disposition::Replace {
            let same = same_key(keys, "old", "new");
            // The key may have fewer columns than last time.
            let repeated = self.warehouse.keep_last(table, keys)?;
            let condition = format!("NOT EXISTS (SELECT 1 FROM {staged} new WHERE {same})");
            return Ok(repeated + self.delete_rows(stream, table, &condition)?);
        }
        let mut deleted = 0;
        for (index, prefixes) in pending.replace.iter().enumerate() {
            let width = prefixes.num_columns();
            let Some(prefix) = keys.get(..width).filter(|prefix| !prefix.is_empty()) else { continue };
            let key_columns = quote_all(prefix.iter().map(String::as_str), "");
            let replaced =
                self.warehouse.stage(format!("replaced_{index}"), &format!("SELECT {key_columns} FROM {table}"))?;
            self.warehouse.append(&replaced, prefixes.clone())?;
            if is_sweep && stream != self.stream {
                self.record_seen(stream, prefix, &replaced)?;
            }
            let condition = format!(
                "EXISTS (SELECT 1 FROM {replaced} new WHERE {}) AND NOT EXISTS (SELECT 1 FROM {staged} new WHERE {})",
                same_key(prefix, "old", "new"),
                same_key(keys, "old", "new"),
            );
            deleted += self.delete_rows(stream, table, &condition)?;
            self.warehouse.execute(&format!("DROP TABLE {replaced}"))?;
        }
        Ok(deleted)
    }

    /// Deletes the rows of a table, `old` in the condition, and records which records they linked.
    fn delete_rows(&self, stream: &str, table: &Table, condition: &str) -> Result<u64> {
        self.forgotten_filter.record_gone_links(&self.warehouse, stream, &format!("{table} old"), condition)?;
        self.warehouse.change(&format!("DELETE FROM {table} old WHERE {condition}"), ())
    }

    fn merge(&self, table: &Table, staged: &Table, schema: &Schema, columns: &[Field]) -> Result<u64> {
        let all: Vec<_> = columns.iter().map(|field| field.name.as_str()).collect();
        // A column that the source no longer sends keeps its values.
        // The table keeps the case in which it first saw a name.
        let has = |name: &str| schema.fields.iter().any(|field| field.name.eq_ignore_ascii_case(name));
        let is_sent = |name: &&str| *name == UNFIT || has(name);
        let compared: Vec<_> = all.iter().copied().filter(is_sent).collect();
        let set: Vec<_> = compared.iter().copied().chain([LOAD_ID, EXTRACTED_AT]).collect();
        let columns = MergeColumns { all: &all, compared: &compared, set: &set };
        self.warehouse.merge(table, staged, &schema.primary_key, columns)
    }

    /// Records the keys, or prefixes of keys, in a temporary table as seen by the sweep.
    fn record_seen(&self, stream: &str, key: &[String], from: &Table) -> Result<()> {
        let key_text = key_text(key);
        let is_forgotten = self.forgotten_filter.is_forgotten_prefix(stream, &key_text);
        let keys = format!("SELECT {key_text} FROM {from} WHERE NOT coalesce({is_forgotten}, false)");
        self.seen_keys(stream).record(key.len(), &keys)
    }

    /// Marks the records that the sweep did not see. Rows of a stream without such a mark, or of a stream that is read with
    /// another, are deleted. Returns how many rows of the stream changed.
    fn end_sweep(&self, stream: &str) -> Result<u64> {
        let table = Table::raw(&self.source, stream);
        let seen = self.seen_keys(stream);
        let Some(width) = seen.width()? else { return Ok(0) };
        let key = self.schemas.get(stream).map(|schema| schema.primary_key.as_slice()).unwrap_or_default();
        let is_own = stream == self.stream;
        // A sweep without any record found the stream empty. Rows of other streams that it never mentioned are not gone.
        let is_empty = width == 0 && (is_own || !self.seen_keys(&self.stream).saw_any()?);
        let width = if is_empty { key.len() } else { width };
        let Some(prefix) = key.get(..width).filter(|prefix| !prefix.is_empty()) else { return Ok(0) };
        let unseen = seen.is_unseen(&key_text(prefix));
        match self.deleted.as_deref().filter(|_| is_own) {
            Some(deleted) => {
                let deleted = quote(deleted);
                let sql = format!(
                    "UPDATE {table} SET {deleted} = true, {LOAD_ID} = {}, {EXTRACTED_AT} = make_timestamp({})::TIMESTAMPTZ \
                     WHERE {deleted} IS DISTINCT FROM true AND {unseen}",
                    literal(&self.load_id),
                    self.extracted_at,
                );
                self.warehouse.change(&sql, ())
            }
            None => self.delete_rows(stream, &table, &unseen),
        }
    }

    /// The range of record counts that the source may report: the records in the raw table that are not marked as gone, plus
    /// up to all forgotten records, which the account may still have.
    pub(super) fn expected_records(&self) -> Result<RangeInclusive<u64>> {
        let table = Table::raw(&self.source, &self.stream);
        let live = self.deleted.as_ref().map(|deleted| format!(" WHERE {} IS DISTINCT FROM true", quote(deleted)));
        let count = self.warehouse.count(&format!("SELECT count(*) FROM {table}{}", live.unwrap_or_default()), ())?;
        Ok(count..=count + self.forgotten_filter.forgotten(&self.stream))
    }
}
