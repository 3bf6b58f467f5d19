//! Checkpoints: the rows of some pages and the cursor behind them, in one transaction.

use std::collections::{BTreeMap, HashSet};

use arrow_array::{Array as _, RecordBatch};

use super::ledger::Cursor;
use super::{LoadedStream, Table, Warehouse, quote, quote_all, tables};
use crate::error::{Error, Result};
use crate::schema::{Disposition, EXTRACTED_AT, Field, LOAD_ID, Schema, Stream, UNFIT};

/// What a checkpoint did to one stream.
#[derive(Debug, Clone, Copy, Default)]
pub struct LoadCounts {
    /// Rows received.
    pub rows: u64,
    /// Rows inserted, updated or deleted because they differ.
    pub changed: u64,
    /// Rows with a value that does not fit its column.
    pub unfit: u64,
}

/// What the waiting pages say of a sweep.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Swept {
    /// Some of them are of one.
    pub(super) is_under_way: bool,
    /// What was seen before counts no more.
    pub(super) begins: bool,
    /// What was not seen is gone.
    pub(super) ends: bool,
}

/// Rows that pages are put together to while they wait: a page of a hundred rows wastes most of what it allocates.
const BATCH_ROWS: usize = 4096;

/// Rows of one stream that wait for the next checkpoint.
struct Pending {
    schema: Schema,
    rows: Vec<RecordBatch>,
    /// The last pages, of one schema, fewer than [`BATCH_ROWS`] in all.
    pages: Vec<RecordBatch>,
    replace: Vec<RecordBatch>,
    /// The prefixes that `replace` holds, as text.
    prefixes: HashSet<String>,
}

impl Pending {
    fn new(schema: Schema) -> Self {
        Self { schema, rows: Vec::new(), pages: Vec::new(), replace: Vec::new(), prefixes: HashSet::new() }
    }

    fn push(&mut self, page: RecordBatch) -> Result<()> {
        if self.pages.last().is_some_and(|last| last.schema() != page.schema()) {
            self.join()?;
        }
        self.pages.push(page);
        if self.pages.iter().map(RecordBatch::num_rows).sum::<usize>() >= BATCH_ROWS { self.join() } else { Ok(()) }
    }

    /// Makes one batch of the last pages.
    fn join(&mut self) -> Result<()> {
        let Some(first) = self.pages.first() else { return Ok(()) };
        let joined = arrow_select::concat::concat_batches(&first.schema(), &self.pages);
        self.rows.push(joined.map_err(|cause| Error::internal(cause.to_string()))?);
        self.pages.clear();
        Ok(())
    }
}

/// What waits for the next checkpoint.
#[derive(Debug, Clone, Copy, Default)]
pub struct Waiting {
    /// Rows of the stream of which most wait.
    pub rows: usize,
    /// Bytes of all values that wait.
    pub bytes: usize,
}

/// Writes what one reader brings: the stream it reads and those that it carries.
pub struct StreamLoader {
    pub(super) warehouse: Warehouse,
    pub(super) source: String,
    pub(super) stream: String,
    pub(super) load_id: String,
    /// Microseconds since 1970.
    pub(super) extracted_at: i64,
    disposition: Disposition,
    /// The column that marks records which are gone.
    pub(super) deleted: Option<String>,
    pub(super) swept: Swept,
    identity: Option<String>,
    cursor: Cursor,
    /// Whether nothing of the stream was ever committed: then rows are appended, and no key can be there twice but by
    /// this reading itself.
    is_fresh: bool,
    pending: BTreeMap<String, Pending>,
    waiting: Waiting,
    columns: BTreeMap<String, Vec<Field>>,
    pub(super) schemas: BTreeMap<String, Schema>,
    /// Records of the stream that the account has and the table may not.
    pub(super) forgotten: u64,
    /// The stream and those that it carries, by name, as the warehouse holds them.
    pub(super) loaded: BTreeMap<String, LoadedStream>,
    /// Whether anybody was forgotten.
    pub(super) keeps_out: bool,
}

impl StreamLoader {
    /// A loader on a connection of its own, from the stream's stored cursor.
    pub fn open(warehouse: Warehouse, source: &str, stream: &Stream, load_id: &str, extracted_at: i64) -> Result<Self> {
        let stored = warehouse.cursor(source, &stream.name)?;
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
            swept: Swept::default(),
            identity: None,
            cursor,
            is_fresh,
            pending: BTreeMap::new(),
            waiting: Waiting::default(),
            columns: BTreeMap::new(),
            schemas: BTreeMap::new(),
            forgotten: 0,
            loaded: BTreeMap::new(),
            keeps_out: false,
        })
    }

    /// The account whose records these are: its first checkpoint binds the source to it.
    #[must_use]
    pub fn of_account(mut self, identity: Option<String>) -> Self {
        self.identity = identity;
        self
    }

    /// The state to read on from.
    #[must_use]
    pub fn state(&self) -> Option<&str> {
        self.cursor.state.as_deref()
    }

    /// Forgets the cursor, so that the stream is read anew; its rows stay, and are merged over.
    pub fn restart(&mut self) {
        self.cursor.state = None;
    }

    /// Creates a stream's table, so that it exists even where no row comes.
    pub fn ensure(&mut self, stream: &str, schema: &Schema) -> Result<()> {
        if self.schemas.get(stream) == Some(schema) {
            return Ok(());
        }
        let table = Table::raw(&self.source, stream);
        let columns = self.warehouse.evolve(&table, schema, &self.load_id)?;
        self.columns.insert(stream.to_owned(), columns);
        self.schemas.insert(stream.to_owned(), schema.clone());
        Ok(())
    }

    /// Keeps rows of a stream for the next checkpoint.
    pub fn add(
        &mut self,
        stream: &str,
        schema: &Schema,
        rows: Option<RecordBatch>,
        replace: Option<RecordBatch>,
    ) -> Result<()> {
        let pending = self.pending.entry(stream.to_owned()).or_insert_with(|| Pending::new(schema.clone()));
        // A later page may bring columns that an earlier one did not have, or wider ones.
        for field in &schema.fields {
            match pending.schema.fields.iter_mut().find(|known| known.name == field.name) {
                Some(known) => known.data_type = known.data_type.widen(field.data_type),
                None => pending.schema.fields.push(field.clone()),
            }
        }
        if !self.is_fresh {
            pending.prefixes.extend(replace.iter().flat_map(tables::texts));
            pending.replace.extend(replace);
        }
        let Some(page) = rows else { return Ok(()) };
        // A page may be a slice of a larger one.
        let bytes = page.columns().iter().map(|column| column.to_data().get_slice_memory_size().unwrap_or_default());
        self.waiting.bytes += bytes.sum::<usize>();
        pending.push(page)?;
        let rows = pending.rows.iter().chain(&pending.pages).map(RecordBatch::num_rows).sum();
        self.waiting.rows = self.waiting.rows.max(rows);
        Ok(())
    }

    /// Whether a prefix is already replaced by what waits: only a checkpoint between the two keeps their order.
    #[must_use]
    pub fn replaces_again(&self, stream: &str, replace: &RecordBatch) -> bool {
        let waiting = self.pending.get(stream).map(|pending| &pending.prefixes).filter(|waiting| !waiting.is_empty());
        waiting.is_some_and(|waiting| tables::texts(replace).any(|prefix| waiting.contains(&prefix)))
    }

    /// How much waits for the next checkpoint.
    #[must_use]
    pub fn waiting(&self) -> Waiting {
        self.waiting
    }

    /// Whether rows are appended, not merged: nothing of the stream was ever committed before this reading.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.is_fresh
    }

    /// Whether rows may be committed before the stream's end.
    #[must_use]
    pub fn is_incremental(&self) -> bool {
        self.disposition == Disposition::Merge
    }

    /// Commits what waits, with the state that follows it. `done` ends the first full reading.
    pub fn checkpoint(&mut self, state: Option<String>, done: bool) -> Result<BTreeMap<String, LoadCounts>> {
        if let Some(schema) = self.schemas.get(&self.stream).filter(|_| done && !self.is_incremental()).cloned() {
            // A stream that is replaced is replaced by nothing, too.
            self.add(&self.stream.clone(), &schema, None, None)?;
        }
        let mut pending = std::mem::take(&mut self.pending);
        self.waiting = Waiting::default();
        for (stream, pending) in &mut pending {
            pending.join()?;
            self.ensure(stream, &pending.schema)?;
        }
        let next = Cursor { state, is_initial: self.cursor.is_initial && !done };
        // Of what the first reading finds, nothing was there before that could be gone.
        let swept = std::mem::take(&mut self.swept);
        let swept = if self.is_fresh { Swept::default() } else { swept };
        // The first full reading only appends; its last checkpoint keeps the last row of each key.
        let ends_initial = self.cursor.is_initial && done && (self.is_fresh || self.is_incremental());
        let counts = self.warehouse.transaction(|| {
            if swept.begins {
                self.begin_sweep()?;
            }
            let mut counts: BTreeMap<String, LoadCounts> = BTreeMap::new();
            for (stream, pending) in self.links_first(&pending) {
                counts.insert(stream.clone(), self.write(stream, pending, swept.is_under_way)?);
            }
            if swept.ends {
                for stream in self.schemas.keys() {
                    counts.entry(stream.clone()).or_default().changed += self.end_sweep(stream)?;
                }
                self.forget_sweep()?;
            }
            for (stream, _) in counts.iter().filter(|(_, written)| written.changed > 0) {
                self.warehouse.touch(&Table::raw(&self.source, stream), &self.load_id)?;
            }
            if ends_initial {
                for (stream, schema) in &self.schemas {
                    self.keep_last(stream, &schema.primary_key)?;
                }
            }
            if let Some(identity) = &self.identity {
                self.warehouse.bind_identity(&self.source, identity)?;
            }
            self.warehouse.set_cursor(&self.source, &self.stream, &next, &self.load_id)?;
            Ok(counts)
        })?;
        self.cursor = next;
        Ok(counts)
    }

    fn write(&self, stream: &str, pending: &Pending, is_sweep: bool) -> Result<LoadCounts> {
        let table = Table::raw(&self.source, stream);
        let columns = self.columns.get(stream).map(Vec::as_slice).unwrap_or_default();
        let rows: u64 = pending.rows.iter().map(|batch| batch.num_rows() as u64).sum();
        let unfit = pending.rows.iter().filter_map(|batch| batch.column_by_name(UNFIT));
        let unfit = unfit.map(|column| (column.len() - column.null_count()) as u64).sum();
        if self.is_fresh && !self.keeps_out {
            self.append(&table, pending, columns)?;
            return Ok(LoadCounts { rows, changed: rows, unfit });
        }
        let staged = Table::new("temp", format!("staged_{}_{stream}", self.source));
        let name = quote(&staged.name);
        self.warehouse.execute(&format!("CREATE OR REPLACE TEMP TABLE {name} AS SELECT * FROM {table} LIMIT 0"))?;
        self.append(&staged, pending, columns)?;
        self.strip(stream, columns, &format!("temp.{name}"))?;
        if is_sweep && stream == self.stream {
            self.remember_seen(stream, &pending.schema.primary_key, &format!("temp.{name}"))?;
        }
        let changed = if self.is_fresh {
            self.warehouse.change(&format!("INSERT INTO {table} SELECT * FROM temp.{name}"), &[])? as u64
        } else {
            self.delete(stream, &table, &staged, pending, is_sweep)?
                + self.merge(&table, &staged, &pending.schema, columns)?
        };
        self.warehouse.execute(&format!("DROP TABLE temp.{name}"))?;
        Ok(LoadCounts { rows, changed, unfit })
    }

    fn append(&self, table: &Table, pending: &Pending, columns: &[Field]) -> Result<()> {
        let fit = |batch: &RecordBatch| tables::fit(batch, columns, &self.load_id, self.extracted_at);
        self.warehouse.append_all(table, pending.rows.iter().map(fit))
    }

    /// Deletes old rows that a replaced prefix or a replaced stream no longer has.
    fn delete(&self, stream: &str, table: &Table, staged: &Table, pending: &Pending, is_sweep: bool) -> Result<u64> {
        let staged = format!("temp.{}", quote(&staged.name));
        let keys = &pending.schema.primary_key;
        if self.disposition == Disposition::Replace {
            let same = same_key(keys, "old", "new");
            // The key may be narrower than last time.
            let repeated = self.keep_last(stream, keys)?;
            let which = format!("NOT EXISTS (SELECT 1 FROM {staged} new WHERE {same})");
            self.note_gone(stream, &format!("{table} old"), &which)?;
            let sql = format!("DELETE FROM {table} old WHERE {which}");
            return Ok(repeated + self.warehouse.change(&sql, &[])? as u64);
        }
        let mut deleted = 0;
        for (index, prefixes) in pending.replace.iter().enumerate() {
            let width = prefixes.num_columns();
            let Some(prefix) = keys.get(..width).filter(|prefix| !prefix.is_empty()) else { continue };
            let replaced = Table::new("temp", format!("replaced_{index}"));
            let name = quote(&replaced.name);
            let key_columns = quote_all(prefix.iter().map(String::as_str), "");
            let create = format!("CREATE OR REPLACE TEMP TABLE {name} AS SELECT {key_columns} FROM {table} LIMIT 0");
            self.warehouse.execute(&create)?;
            self.warehouse.append(&replaced, prefixes.clone())?;
            if is_sweep && stream != self.stream {
                self.remember_seen(stream, prefix, &format!("temp.{name}"))?;
            }
            let which = format!(
                "EXISTS (SELECT 1 FROM temp.{name} new WHERE {}) AND NOT EXISTS (SELECT 1 FROM {staged} new WHERE {})",
                same_key(prefix, "old", "new"),
                same_key(keys, "old", "new"),
            );
            self.note_gone(stream, &format!("{table} old"), &which)?;
            let sql = format!("DELETE FROM {table} old WHERE {which}");
            deleted += self.warehouse.change(&sql, &[])? as u64;
            self.warehouse.execute(&format!("DROP TABLE temp.{name}"))?;
        }
        Ok(deleted)
    }

    /// Inserts new rows and updates those that differ; the last of several rows of one key counts.
    fn merge(&self, table: &Table, staged: &Table, schema: &Schema, columns: &[Field]) -> Result<u64> {
        let staged = format!("temp.{}", quote(&staged.name));
        let names = || columns.iter().map(|field| field.name.as_str());
        // A column that the source no longer sends keeps the values it has.
        let data: Vec<_> = names().filter(|name| *name == UNFIT || schema.field(name).is_some()).collect();
        let sent = data.iter().copied().chain([LOAD_ID, EXTRACTED_AT]);
        let set: Vec<_> = sent.map(|name| format!("{0} = new.{0}", quote(name))).collect();
        let sql = format!(
            "MERGE INTO {table} AS old USING (SELECT * FROM {staged} QUALIFY row_number() OVER \
             (PARTITION BY {} ORDER BY rowid DESC) = 1) AS new ON {} \
             WHEN MATCHED AND row({}) IS DISTINCT FROM row({}) THEN UPDATE SET {} \
             WHEN NOT MATCHED THEN INSERT ({}) VALUES ({})",
            quote_all(schema.primary_key.iter().map(String::as_str), ""),
            same_key(&schema.primary_key, "old", "new"),
            quote_all(data.iter().copied(), "old."),
            quote_all(data.iter().copied(), "new."),
            set.join(", "),
            quote_all(names(), ""),
            quote_all(names(), "new."),
        );
        Ok(self.warehouse.change(&sql, &[])? as u64)
    }

    /// Keeps the last of several rows of one key; gives back how many went.
    fn keep_last(&self, stream: &str, key: &[String]) -> Result<u64> {
        let table = Table::raw(&self.source, stream);
        let keys = quote_all(key.iter().map(String::as_str), "");
        // Hashes tell apart what they tell apart; where they do not, the rows themselves are compared.
        let repeated = format!("SELECT count(*) = count(DISTINCT hash({keys})) FROM {table}");
        if self.warehouse.value(&repeated, &[])?.as_deref() == Some("true") {
            return Ok(0);
        }
        let sql = format!("DELETE FROM {table} WHERE rowid NOT IN (SELECT max(rowid) FROM {table} GROUP BY {keys})");
        Ok(self.warehouse.change(&sql, &[])? as u64)
    }
}

fn same_key(keys: &[String], left: &str, right: &str) -> String {
    let same: Vec<_> =
        keys.iter().map(|key| format!("{left}.{0} IS NOT DISTINCT FROM {right}.{0}", quote(key))).collect();
    same.join(" AND ")
}
