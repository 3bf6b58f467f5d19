//! The journal of one cleaning: what rules did to each row, staged in temporary tables until the stream is published.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow_array::builder::{Float64Builder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_cast::display::ArrayFormatter;
use arrow_schema::{DataType, Field, Schema};
use host_core::error::{Error, Result};
use host_ledger::StreamTable;
use host_ledger::journal::{stage, staged_table};
use host_ledger::streams::LoadedStream;
use host_plugin::Note;
use host_warehouse::{Table, Warehouse, display_options, displayable, key_text};

/// Stages what rules do to one stream.
pub(super) struct Journal<'a> {
    warehouse: &'a Warehouse,
    stream: &'a LoadedStream,
    load_id: &'a str,
    /// Columns whose values are not recorded.
    masked: BTreeSet<String>,
    /// Rows that are not yet appended, by table: each append is a statement to DuckDB, so that many batches share one.
    pending: RefCell<BTreeMap<&'static str, (StreamTable, Vec<RecordBatch>)>>,
}

/// Rows of one table that are appended at once.
const FLUSH_ROWS: usize = 20_000;

/// A field that a rule changed.
pub(super) struct FieldChange {
    pub(super) key: String,
    pub(super) column: String,
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
}

/// A record that a rule merged into another, the survivor.
pub(super) struct Merge {
    pub(super) key: String,
    pub(super) survivor: String,
    pub(super) code: String,
    pub(super) confidence: Option<f64>,
}

impl<'a> Journal<'a> {
    /// An empty journal for a stream.
    pub(super) fn begin(
        warehouse: &'a Warehouse,
        stream: &'a LoadedStream,
        load_id: &'a str,
        masked: BTreeSet<String>,
    ) -> Result<Self> {
        stage(warehouse)?;
        Ok(Self { warehouse, stream, load_id, masked, pending: RefCell::default() })
    }

    pub(super) fn stream(&self) -> &LoadedStream {
        self.stream
    }

    pub(super) fn load_id(&self) -> &str {
        self.load_id
    }

    /// Whether the values of a column must not be recorded.
    pub(super) fn is_masked(&self, column: &str) -> bool {
        self.masked.contains(column)
    }

    /// Adds the fields that a rule changed. Values of masked columns are left out.
    pub(super) fn add_changes(&self, rule: &str, changes: &[FieldChange]) -> Result<()> {
        let is_shown = |change: &'_ FieldChange| !self.is_masked(&change.column);
        let columns = [
            ("key", text_array(changes.iter().map(|change| Some(change.key.as_str())))),
            ("rule", repeated(rule, changes.len())),
            ("column_name", text_array(changes.iter().map(|change| Some(change.column.as_str())))),
            (
                "value_before",
                text_array(changes.iter().map(|change| change.before.as_deref().filter(|_| is_shown(change)))),
            ),
            (
                "value_after",
                text_array(changes.iter().map(|change| change.after.as_deref().filter(|_| is_shown(change)))),
            ),
        ];
        self.append(StreamTable::Changes, columns.into(), changes.len(), None)
    }

    /// Adds the rejects or notes of a rule; `key_of` returns the key text of a row of the batch.
    pub(super) fn add_remarks<'k>(
        &self,
        table: StreamTable,
        rule: &str,
        key_of: impl Fn(usize) -> Option<&'k str>,
        notes: &[Note],
    ) -> Result<()> {
        // A message may quote a value. If the stream has masked columns, only messages on other columns are recorded.
        let is_recorded = |note: &Note| {
            self.masked.is_empty() || note.column.as_ref().is_some_and(|column| !self.masked.contains(column))
        };
        let columns = [
            ("key", text_array(notes.iter().map(|note| key_of(note.row)))),
            ("rule", repeated(rule, notes.len())),
            ("column_name", text_array(notes.iter().map(|note| note.column.as_deref()))),
            ("code", text_array(notes.iter().map(|note| Some(note.code.as_str())))),
            ("message", text_array(notes.iter().map(|note| is_recorded(note).then_some(note.message.as_str())))),
        ];
        let confidence = || {
            let mut confidence = Float64Builder::new();
            notes.iter().for_each(|note| confidence.append_option(note.confidence));
            Arc::new(confidence.finish()) as ArrayRef
        };
        self.append(
            table,
            columns.into(),
            notes.len(),
            (table == StreamTable::Notes).then(|| ("confidence", confidence())),
        )
    }

    /// Adds the merges of a rule.
    pub(super) fn add_merges(&self, rule: &str, merges: &[Merge]) -> Result<()> {
        let mut confidence = Float64Builder::new();
        merges.iter().for_each(|merge| confidence.append_option(merge.confidence));
        let columns = [
            ("key", text_array(merges.iter().map(|merge| Some(merge.key.as_str())))),
            ("survivor_key", text_array(merges.iter().map(|merge| Some(merge.survivor.as_str())))),
            ("rule", repeated(rule, merges.len())),
            ("code", text_array(merges.iter().map(|merge| Some(merge.code.as_str())))),
            ("confidence", Arc::new(confidence.finish()) as ArrayRef),
        ];
        let chosen = text_array(merges.iter().map(|merge| Some(merge.survivor.as_str())));
        self.append(StreamTable::Merges, columns.into(), merges.len(), Some(("chosen_key", chosen)))?;
        // Later rules update these rows when they merge a survivor into another record.
        self.flush()
    }

    /// Appends all pending rows.
    pub(super) fn flush(&self) -> Result<()> {
        let pending = std::mem::take(&mut *self.pending.borrow_mut());
        pending.into_values().try_for_each(|(table, batches)| self.write(table, batches))
    }

    fn write(&self, table: StreamTable, batches: Vec<RecordBatch>) -> Result<()> {
        self.warehouse.append_all(&staged_table(table), batches.into_iter().map(Ok))
    }

    /// Adds rows to a staged table. `last` is the column after `load_id`, which a later version of the table added.
    fn append(
        &self,
        table: StreamTable,
        columns: Vec<(&str, ArrayRef)>,
        rows: usize,
        last: Option<(&'static str, ArrayRef)>,
    ) -> Result<()> {
        if rows == 0 {
            return Ok(());
        }
        let mut columns = columns;
        columns.push(("load_id", repeated(self.load_id, rows)));
        columns.extend(last);
        let field = |(name, array): &(&str, ArrayRef)| Field::new(*name, array.data_type().clone(), true);
        let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
        let arrays = columns.into_iter().map(|(_, array)| array).collect();
        let batch = RecordBatch::try_new(schema, arrays).map_err(Error::internal)?;
        let mut pending = self.pending.borrow_mut();
        let (_, batches) = pending.entry(table.name()).or_insert_with(|| (table, Vec::new()));
        batches.push(batch);
        if batches.iter().map(RecordBatch::num_rows).sum::<usize>() < FLUSH_ROWS {
            return Ok(());
        }
        self.write(table, std::mem::take(batches))
    }
}

fn text_array<'a>(values: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    let mut builder = StringBuilder::new();
    values.for_each(|value| builder.append_option(value));
    Arc::new(builder.finish())
}

fn repeated(value: &str, rows: usize) -> ArrayRef {
    text_array(std::iter::repeat_n(Some(value), rows))
}

/// The values of a column as text.
pub(super) fn as_text(array: &ArrayRef) -> Result<Vec<Option<String>>> {
    if *array.data_type() == DataType::Utf8 {
        return Ok(array.as_string::<i32>().iter().map(|value| value.map(str::to_owned)).collect());
    }
    let (array, options) = (displayable(array), display_options());
    let format = ArrayFormatter::try_new(&array, &options).map_err(Error::internal)?;
    Ok((0..array.len()).map(|row| array.is_valid(row).then(|| format.value(row).to_string())).collect())
}

/// The column of key texts in batches that rules read.
pub(super) const KEY: &str = "_host_key";

/// The key texts of a batch that was read with the column [`KEY`].
pub(super) fn key_column(batch: &RecordBatch) -> Result<StringArray> {
    let column = batch.column_by_name(KEY).and_then(|column| column.as_string_opt::<i32>());
    Ok(column.ok_or_else(|| Error::internal("a batch has no key column"))?.clone())
}

/// The key texts of keys that a plugin sent, in the same order.
pub(super) fn key_texts(
    warehouse: &Warehouse,
    keys: &RecordBatch,
    schema: &host_core::schema::Schema,
) -> Result<Vec<String>> {
    let internal = |cause: arrow_schema::ArrowError| Error::internal(cause.to_string());
    let fields = schema.primary_key.iter().filter_map(|name| schema.field(name));
    let columns: Vec<_> =
        fields.map(|field| format!(", {} {}", host_warehouse::quote(&field.name), field.data_type.sql())).collect();
    warehouse.execute(&format!("CREATE OR REPLACE TEMP TABLE sent_keys (_row BIGINT{})", columns.concat()))?;
    let rows = Int64Array::from_iter_values((0..).take(keys.num_rows()));
    let mut named = vec![("_row".to_owned(), Arc::new(rows) as ArrayRef)];
    named.extend(schema.primary_key.iter().cloned().zip(keys.columns().iter().cloned()));
    let batch =
        RecordBatch::try_from_iter_with_nullable(named.iter().map(|(name, array)| (name, Arc::clone(array), true)));
    warehouse.append(&Table::temporary("sent_keys"), batch.map_err(internal)?)?;
    let mut texts = Vec::with_capacity(keys.num_rows());
    let sql = format!("SELECT {} AS {KEY} FROM temp.sent_keys ORDER BY _row", key_text(&schema.primary_key));
    warehouse.scan(&sql, (), |batch| {
        texts.extend(key_column(batch)?.iter().map(|text| text.unwrap_or_default().to_owned()));
        Ok(())
    })?;
    Ok(texts)
}
