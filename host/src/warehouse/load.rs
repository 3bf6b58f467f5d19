//! Checkpoints: the rows of some pages and the cursor behind them, in one transaction.

use std::collections::BTreeMap;

use arrow_array::RecordBatch;

use super::ledger::Cursor;
use super::{Table, Warehouse, quote, quote_all, tables};
use crate::error::Result;
use crate::schema::{Disposition, EXTRACTED_AT, Field, LOAD_ID, Schema, UNFIT};

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

/// Rows of one stream that wait for the next checkpoint.
struct Pending {
    schema: Schema,
    rows: Vec<RecordBatch>,
    replace: Vec<RecordBatch>,
}

/// Writes what one reader brings: the stream it reads and those that it carries.
pub struct StreamLoader {
    warehouse: Warehouse,
    source: String,
    stream: String,
    load_id: String,
    /// Microseconds since 1970.
    extracted_at: i64,
    disposition: Disposition,
    cursor: Cursor,
    pending: BTreeMap<String, Pending>,
    pending_rows: usize,
    columns: BTreeMap<String, Vec<Field>>,
    schemas: BTreeMap<String, Schema>,
}

impl StreamLoader {
    /// A loader on a connection of its own, from the stream's stored cursor.
    pub fn open(
        warehouse: Warehouse,
        source: &str,
        stream: &str,
        disposition: Disposition,
        load_id: &str,
        extracted_at: i64,
    ) -> Result<Self> {
        let stored = warehouse.cursor(source, stream)?;
        let cursor = stored.unwrap_or(Cursor { state: None, is_initial: true });
        let (source, stream, load_id) = (source.to_owned(), stream.to_owned(), load_id.to_owned());
        Ok(Self {
            warehouse,
            source,
            stream,
            load_id,
            extracted_at,
            disposition,
            cursor,
            pending: BTreeMap::new(),
            pending_rows: 0,
            columns: BTreeMap::new(),
            schemas: BTreeMap::new(),
        })
    }

    /// The state to read on from.
    #[must_use]
    pub fn state(&self) -> Option<&str> {
        self.cursor.state.as_deref()
    }

    /// Forgets the cursor, so that the stream is read anew; its rows stay, and are merged over.
    pub fn restart(&mut self) {
        self.cursor = Cursor { state: None, is_initial: false };
    }

    /// Creates a stream's table, so that it exists even where no row comes.
    pub fn ensure(&mut self, stream: &str, schema: &Schema) -> Result<()> {
        let table = Table::raw(&self.source, stream);
        let columns = self.warehouse.evolve(&table, schema, &self.load_id)?;
        self.columns.insert(stream.to_owned(), columns);
        self.schemas.insert(stream.to_owned(), schema.clone());
        Ok(())
    }

    /// Keeps rows of a stream for the next checkpoint.
    pub fn add(&mut self, stream: &str, schema: &Schema, rows: Option<RecordBatch>, replace: Option<RecordBatch>) {
        let new = || Pending { schema: schema.clone(), rows: Vec::new(), replace: Vec::new() };
        let pending = self.pending.entry(stream.to_owned()).or_insert_with(new);
        // A later page may bring columns that an earlier one did not have.
        for field in &schema.fields {
            if pending.schema.field(&field.name).is_none() {
                pending.schema.fields.push(field.clone());
            }
        }
        self.pending_rows += rows.as_ref().map_or(0, RecordBatch::num_rows);
        pending.rows.extend(rows);
        pending.replace.extend(replace);
    }

    /// Rows that wait for the next checkpoint.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.pending_rows
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
            self.add(&self.stream.clone(), &schema, None, None);
        }
        let pending = std::mem::take(&mut self.pending);
        self.pending_rows = 0;
        for (stream, pending) in &pending {
            self.ensure(stream, &pending.schema)?;
        }
        let next = Cursor { state, is_initial: self.cursor.is_initial && !done };
        // The first full reading only appends; its last checkpoint keeps the last row of each key.
        let ends_initial = self.cursor.is_initial && done && self.is_incremental();
        let counts = self.warehouse.transaction(|| {
            let mut counts = BTreeMap::new();
            for (stream, pending) in &pending {
                let written = self.write(stream, pending)?;
                if written.changed > 0 {
                    self.warehouse.touch(&Table::raw(&self.source, stream), &self.load_id)?;
                }
                counts.insert(stream.clone(), written);
            }
            if ends_initial {
                self.schemas.iter().try_for_each(|(stream, schema)| self.keep_last(stream, &schema.primary_key))?;
            }
            self.warehouse.set_cursor(&self.source, &self.stream, &next, &self.load_id)?;
            Ok(counts)
        })?;
        self.cursor = next;
        Ok(counts)
    }

    fn write(&self, stream: &str, pending: &Pending) -> Result<LoadCounts> {
        let table = Table::raw(&self.source, stream);
        let columns = self.columns.get(stream).map(Vec::as_slice).unwrap_or_default();
        let fit = |batch: &RecordBatch| tables::fit(batch, columns, &self.load_id, self.extracted_at);
        let rows: u64 = pending.rows.iter().map(|batch| batch.num_rows() as u64).sum();
        let unfit = pending.rows.iter().filter_map(|batch| batch.column_by_name(UNFIT));
        let unfit = unfit.map(|column| (column.len() - column.null_count()) as u64).sum();
        let appends = self.cursor.is_initial && self.is_incremental();
        if appends {
            for batch in &pending.rows {
                self.warehouse.append(&table, fit(batch)?)?;
            }
            return Ok(LoadCounts { rows, changed: rows, unfit });
        }
        let staged = Table::new("temp", format!("staged_{}_{stream}", self.source));
        let name = quote(&staged.name);
        self.warehouse.execute(&format!("CREATE OR REPLACE TEMP TABLE {name} AS SELECT * FROM {table} LIMIT 0"))?;
        for batch in &pending.rows {
            self.warehouse.append(&staged, fit(batch)?)?;
        }
        let mut changed = self.delete(stream, &table, &staged, pending)?;
        changed += self.merge(&table, &staged, &pending.schema, columns)?;
        self.warehouse.execute(&format!("DROP TABLE temp.{name}"))?;
        Ok(LoadCounts { rows, changed, unfit })
    }

    /// Deletes old rows that a replaced prefix or a replaced stream no longer has.
    fn delete(&self, stream: &str, table: &Table, staged: &Table, pending: &Pending) -> Result<u64> {
        let staged = format!("temp.{}", quote(&staged.name));
        let keys = &pending.schema.primary_key;
        if self.disposition == Disposition::Replace {
            let same = same_key(keys, "old", "new");
            // The key may be narrower than last time.
            self.keep_last(stream, keys)?;
            let sql = format!("DELETE FROM {table} old WHERE NOT EXISTS (SELECT 1 FROM {staged} new WHERE {same})");
            return Ok(self.warehouse.change(&sql, &[])? as u64);
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
            let sql = format!(
                "DELETE FROM {table} old WHERE EXISTS (SELECT 1 FROM temp.{name} new WHERE {}) \
                 AND NOT EXISTS (SELECT 1 FROM {staged} new WHERE {})",
                same_key(prefix, "old", "new"),
                same_key(keys, "old", "new"),
            );
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

    /// Keeps the last of several rows of one key.
    fn keep_last(&self, stream: &str, key: &[String]) -> Result<()> {
        let table = Table::raw(&self.source, stream);
        let keys = quote_all(key.iter().map(String::as_str), "");
        let repeated = format!("SELECT 1 FROM {table} GROUP BY {keys} HAVING count(*) > 1 LIMIT 1");
        if self.warehouse.value(&repeated, &[])?.is_none() {
            return Ok(());
        }
        let sql = format!("DELETE FROM {table} WHERE rowid NOT IN (SELECT max(rowid) FROM {table} GROUP BY {keys})");
        self.warehouse.change(&sql, &[]).map(drop)
    }
}

fn same_key(keys: &[String], left: &str, right: &str) -> String {
    let same: Vec<_> =
        keys.iter().map(|key| format!("{left}.{0} IS NOT DISTINCT FROM {right}.{0}", quote(key))).collect();
    same.join(" AND ")
}
