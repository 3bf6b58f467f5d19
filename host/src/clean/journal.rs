//! What rules did, row by row, kept in temporary tables until the stream is published.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow_array::builder::{Float64Builder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_cast::display::ArrayFormatter;
use arrow_schema::{DataType, Field, Schema};

use crate::error::{Error, Result};
use crate::plugin::Note;
use crate::warehouse::{Table, Warehouse, display_options, displayable, key_text};

/// Those of the journal's tables whose rows are a rule's own; a merge is led on by later rules.
pub(super) const OF_RULES: [&str; 3] = ["changes", "rejects", "notes"];

/// The journal's tables, in `_host` and, while a stream is cleaned, as `staged_…`.
pub(super) const TABLES: [&str; 4] = ["changes", "rejects", "notes", "merges"];

/// Writes what rules do to one stream.
pub(super) struct Journal<'a> {
    warehouse: &'a Warehouse,
    stream: &'a str,
    load_id: &'a str,
    /// Columns of which no value is written down.
    masked: BTreeSet<String>,
    /// What is to be written, by table: each append is a statement of its own to DuckDB.
    waiting: RefCell<BTreeMap<String, Vec<RecordBatch>>>,
}

/// Rows of a table that are written at once.
const WRITTEN_AT_ONCE: usize = 20_000;

/// A field before and after.
pub(super) struct Change {
    pub(super) key: String,
    pub(super) column: String,
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
}

/// A record and whom it merged into.
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
        stream: &'a str,
        load_id: &'a str,
        masked: BTreeSet<String>,
    ) -> Result<Self> {
        for table in TABLES {
            warehouse.execute(&format!(
                "CREATE OR REPLACE TEMP TABLE staged_{table} AS SELECT * FROM _host.{table} LIMIT 0"
            ))?;
        }
        Ok(Self { warehouse, stream, load_id, masked, waiting: RefCell::default() })
    }

    pub(super) fn stream(&self) -> &str {
        self.stream
    }

    pub(super) fn load_id(&self) -> &str {
        self.load_id
    }

    /// Whether no value of a column may be written down.
    pub(super) fn is_masked(&self, column: &str) -> bool {
        self.masked.contains(column)
    }

    pub(super) fn changes(&self, rule: &str, changes: &[Change]) -> Result<()> {
        let shown = |change: &'_ Change| !self.is_masked(&change.column);
        let columns = [
            ("key", texts(changes.iter().map(|change| Some(change.key.as_str())))),
            ("rule", same(rule, changes.len())),
            ("column_name", texts(changes.iter().map(|change| Some(change.column.as_str())))),
            ("value_before", texts(changes.iter().map(|change| change.before.as_deref().filter(|_| shown(change))))),
            ("value_after", texts(changes.iter().map(|change| change.after.as_deref().filter(|_| shown(change))))),
        ];
        self.append("changes", columns.into(), changes.len(), None)
    }

    /// Rejects or notes; `key_of` knows the key texts of the whole batch.
    pub(super) fn remarks<'k>(
        &self,
        table: &str,
        rule: &str,
        key_of: impl Fn(usize) -> Option<&'k str>,
        notes: &[Note],
    ) -> Result<()> {
        // A message may quote the value: where the stream has masked columns, only one on another column is kept.
        let is_told = |note: &Note| {
            self.masked.is_empty() || note.column.as_ref().is_some_and(|column| !self.masked.contains(column))
        };
        let columns = [
            ("key", texts(notes.iter().map(|note| key_of(note.row)))),
            ("rule", same(rule, notes.len())),
            ("column_name", texts(notes.iter().map(|note| note.column.as_deref()))),
            ("code", texts(notes.iter().map(|note| Some(note.code.as_str())))),
            ("message", texts(notes.iter().map(|note| if is_told(note) { Some(note.message.as_str()) } else { None }))),
        ];
        let confidence = || {
            let mut confidence = Float64Builder::new();
            notes.iter().for_each(|note| confidence.append_option(note.confidence));
            Arc::new(confidence.finish()) as ArrayRef
        };
        self.append(table, columns.into(), notes.len(), (table == "notes").then(|| ("confidence", confidence())))
    }

    pub(super) fn merges(&self, rule: &str, merges: &[Merge]) -> Result<()> {
        let mut confidence = Float64Builder::new();
        merges.iter().for_each(|merge| confidence.append_option(merge.confidence));
        let columns = [
            ("key", texts(merges.iter().map(|merge| Some(merge.key.as_str())))),
            ("survivor_key", texts(merges.iter().map(|merge| Some(merge.survivor.as_str())))),
            ("rule", same(rule, merges.len())),
            ("code", texts(merges.iter().map(|merge| Some(merge.code.as_str())))),
            ("confidence", Arc::new(confidence.finish()) as ArrayRef),
        ];
        let chosen = texts(merges.iter().map(|merge| Some(merge.survivor.as_str())));
        self.append("merges", columns.into(), merges.len(), Some(("chosen_key", chosen)))?;
        // Merges to come look at those before them.
        self.flush()
    }

    /// Writes what waits.
    pub(super) fn flush(&self) -> Result<()> {
        let waiting = std::mem::take(&mut *self.waiting.borrow_mut());
        waiting.into_iter().try_for_each(|(table, batches)| self.write(&table, batches))
    }

    fn write(&self, table: &str, batches: Vec<RecordBatch>) -> Result<()> {
        self.warehouse.append_all(&Table::new("temp", format!("staged_{table}")), batches.into_iter().map(Ok))
    }

    /// Appends to a staged table; a column that joined it later is behind the others.
    fn append(
        &self,
        table: &str,
        columns: Vec<(&str, ArrayRef)>,
        rows: usize,
        later: Option<(&'static str, ArrayRef)>,
    ) -> Result<()> {
        if rows == 0 {
            return Ok(());
        }
        let mut columns = columns;
        columns.insert(0, ("stream", same(self.stream, rows)));
        columns.push(("load_id", same(self.load_id, rows)));
        columns.extend(later);
        let field = |(name, array): &(&str, ArrayRef)| Field::new(*name, array.data_type().clone(), true);
        let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
        let arrays = columns.into_iter().map(|(_, array)| array).collect();
        let batch = RecordBatch::try_new(schema, arrays).map_err(|cause| Error::internal(cause.to_string()))?;
        let mut waiting = self.waiting.borrow_mut();
        let batches = waiting.entry(table.to_owned()).or_default();
        batches.push(batch);
        if batches.iter().map(RecordBatch::num_rows).sum::<usize>() < WRITTEN_AT_ONCE {
            return Ok(());
        }
        self.write(table, std::mem::take(batches))
    }
}

fn texts<'a>(values: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    let mut builder = StringBuilder::new();
    values.for_each(|value| builder.append_option(value));
    Arc::new(builder.finish())
}

fn same(value: &str, rows: usize) -> ArrayRef {
    texts(std::iter::repeat_n(Some(value), rows))
}

/// The values of a column as text.
pub(super) fn as_text(array: &ArrayRef) -> Result<Vec<Option<String>>> {
    if *array.data_type() == DataType::Utf8 {
        return Ok(array.as_string::<i32>().iter().map(|value| value.map(str::to_owned)).collect());
    }
    let (array, options) = (displayable(array), display_options());
    let format = ArrayFormatter::try_new(&array, &options).map_err(|cause| Error::internal(cause.to_string()))?;
    Ok((0..array.len()).map(|row| array.is_valid(row).then(|| format.value(row).to_string())).collect())
}

/// The column of key texts in what rules are shown.
pub(super) const KEY: &str = "_host_key";

/// The key texts of a batch that was read with the column [`KEY`].
pub(super) fn key_column(batch: &RecordBatch) -> Result<StringArray> {
    let column = batch.column_by_name(KEY).and_then(|column| column.as_string_opt::<i32>());
    Ok(column.ok_or_else(|| Error::internal("a batch lacks its key"))?.clone())
}

/// The key texts of keys that a plugin sent, in their order.
pub(super) fn texts_of(
    warehouse: &Warehouse,
    keys: &RecordBatch,
    schema: &crate::schema::Schema,
) -> Result<Vec<String>> {
    let internal = |cause: arrow_schema::ArrowError| Error::internal(cause.to_string());
    let fields = schema.primary_key.iter().filter_map(|name| schema.field(name));
    let columns: Vec<_> =
        fields.map(|field| format!(", {} {}", crate::warehouse::quote(&field.name), field.data_type.sql())).collect();
    warehouse.execute(&format!("CREATE OR REPLACE TEMP TABLE sent_keys (_row BIGINT{})", columns.concat()))?;
    let rows = Int64Array::from_iter_values((0..).take(keys.num_rows()));
    let mut named = vec![("_row".to_owned(), Arc::new(rows) as ArrayRef)];
    named.extend(schema.primary_key.iter().cloned().zip(keys.columns().iter().cloned()));
    let batch =
        RecordBatch::try_from_iter_with_nullable(named.iter().map(|(name, array)| (name, Arc::clone(array), true)));
    warehouse.append(&Table::new("temp", "sent_keys"), batch.map_err(internal)?)?;
    let mut texts = Vec::with_capacity(keys.num_rows());
    let sql = format!("SELECT {} AS {KEY} FROM temp.sent_keys ORDER BY _row", key_text(&schema.primary_key));
    warehouse.scan(&sql, &[], |batch| {
        texts.extend(key_column(batch)?.iter().map(|text| text.unwrap_or_default().to_owned()));
        Ok(())
    })?;
    Ok(texts)
}
