//! Runs consecutive rules of row scope: batch by batch from a query into a staged table, each rule on its own thread.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, StringArray};
use arrow_schema::DataType;
use host_core::error::{Error, Result};
use host_core::schema::{Field, Schema};
use host_ledger::StreamTable;
use host_plugin::{Note, Patch};
use host_warehouse::{ROW_ID, Table, Warehouse, key_text, quote};

use super::chain::{Chain, OpenRule, Segment, set_field};
use super::journal::{FieldChange, Journal, KEY, as_text, key_column};
use super::pipe::pipe;

/// Rows between two reports of progress.
const PROGRESS_ROWS: u64 = 20_000;

/// The least rows of a batch for the rules, but for the last: a vector of DuckDB has only 2,048.
const BATCH_ROWS: usize = 8192;

/// Runs a segment's rules over the rows of `from` that meet the condition. Creates `target` as `from` with the columns that
/// the rules set and without the rows that they reject. Only columns that rules read or set leave the warehouse.
#[expect(clippy::too_many_arguments, reason = "the one entry of this file")]
pub(super) fn run(
    warehouse: &Warehouse,
    chain: &mut Chain,
    segment: &Segment,
    (from, condition): (&Table, &str),
    target: &Table,
    schema: &Schema,
    journal: &Journal<'_>,
    report: impl Fn(u64),
) -> Result<()> {
    let rules = &mut chain.rules[segment.rules.clone()];
    let existing = warehouse.columns(from)?.unwrap_or_default();
    let mut sets: Vec<Field> = Vec::new();
    rules.iter().flat_map(|rule| &rule.run.plan.sets).for_each(|field| set_field(&mut sets, field));
    let names =
        rules.iter().flat_map(|rule| rule.run.plan.reads.iter().chain(rule.run.plan.sets.iter().map(|f| &f.name)));
    let names: BTreeSet<_> = names.filter(|name| existing.iter().any(|field| field.name == **name)).cloned().collect();
    let mut staged = StagedRows::create(warehouse, &sets)?;
    let columns: String = names.iter().map(|name| format!(", {}", quote(name))).collect();
    let (key, rows) = (key_text(&schema.primary_key), warehouse.with_row_ids(from)?);
    let sql = format!("SELECT {ROW_ID}{columns}, {key} AS {KEY} FROM {rows}{condition}");
    let (reading, handle) = (warehouse.connect()?, tokio::runtime::Handle::current());
    let rule_names: Vec<_> = rules.iter().map(|rule| rule.counts.rule.clone()).collect();
    let workers = rules.iter_mut().map(|rule| {
        let handle = handle.clone();
        // A worker's thread has no current span.
        let span = tracing::info_span!("rule", rule = rule.counts.rule);
        move |batch| span.in_scope(|| handle.block_on(apply_rule(rule, batch)))
    });
    let (mut rows, mut reported) = (0, 0);
    let read = move |send: &mut dyn FnMut(RuleBatch) -> Result<()>| {
        let mut pending: Vec<RecordBatch> = Vec::new();
        reading.scan(&sql, (), |batch| {
            pending.push(batch.clone());
            let is_full = pending.iter().map(RecordBatch::num_rows).sum::<usize>() >= BATCH_ROWS;
            if is_full { send(RuleBatch::join(&mut pending)?) } else { Ok(()) }
        })?;
        if pending.is_empty() { Ok(()) } else { send(RuleBatch::join(&mut pending)?) }
    };
    let write = |batch: RuleBatch| {
        rows += batch.rows_read;
        if rows - reported >= PROGRESS_ROWS {
            reported = rows;
            report(rows);
        }
        for (rule, entries) in rule_names.iter().zip(&batch.entries) {
            let key_of = |row: usize| entries.keys.is_valid(row).then(|| entries.keys.value(row));
            journal.add_remarks(StreamTable::Rejects, rule, key_of, &entries.rejects)?;
            journal.add_remarks(StreamTable::Notes, rule, key_of, &entries.notes)?;
            journal.add_changes(rule, &entries.changes)?;
        }
        staged.add(&batch.rows)
    };
    tokio::task::block_in_place(|| pipe(workers, read, write))?;
    staged.finish(from, target, &existing)
}

/// A batch on its way through the rules.
struct RuleBatch {
    /// The rows as the last rule left them.
    rows: RecordBatch,
    /// How many rows the first rule read.
    rows_read: u64,
    /// The journal entries of each rule so far.
    entries: Vec<BatchEntries>,
}

/// The journal entries of one rule on one batch.
struct BatchEntries {
    /// The key texts of the rows that the rule read.
    keys: StringArray,
    rejects: Vec<Note>,
    notes: Vec<Note>,
    changes: Vec<FieldChange>,
}

impl RuleBatch {
    /// Joins pending batches, of which there is at least one.
    fn join(pending: &mut Vec<RecordBatch>) -> Result<Self> {
        let rows = arrow_select::concat::concat_batches(&pending[0].schema(), pending.iter());
        pending.clear();
        let rows = rows.map_err(Error::internal)?;
        Ok(Self { rows_read: rows.num_rows() as u64, rows, entries: Vec::new() })
    }
}

/// The columns that rules set, by row id, until the target is created from them.
struct StagedRows<'a> {
    warehouse: &'a Warehouse,
    sets: &'a [Field],
    pending: Vec<RecordBatch>,
}

impl<'a> StagedRows<'a> {
    const TABLE: &'static str = "staged_rows";

    fn create(warehouse: &'a Warehouse, sets: &'a [Field]) -> Result<Self> {
        let columns: String =
            sets.iter().map(|field| format!(", {} {}", quote(&field.name), field.data_type.sql())).collect();
        warehouse.execute(&format!("CREATE OR REPLACE TEMP TABLE {} ({ROW_ID} BIGINT{columns})", Self::TABLE))?;
        Ok(Self { warehouse, sets, pending: Vec::new() })
    }

    fn add(&mut self, cleaned: &RecordBatch) -> Result<()> {
        let names: Vec<_> =
            std::iter::once(ROW_ID.to_owned()).chain(self.sets.iter().map(|field| field.name.clone())).collect();
        self.pending.push(project(cleaned, &names)?);
        if self.pending.len() < 8 { Ok(()) } else { self.write() }
    }

    fn write(&mut self) -> Result<()> {
        let batches = std::mem::take(&mut self.pending).into_iter().map(Ok);
        self.warehouse.append_all(&Table::temporary(Self::TABLE), batches)
    }

    /// Creates the target. Columns that no rule sets are copied within the warehouse.
    fn finish(mut self, from: &Table, target: &Table, existing: &[Field]) -> Result<()> {
        self.write()?;
        let is_set = |name: &str| self.sets.iter().any(|field| field.name == name);
        let old = existing.iter().map(|field| {
            let side = if is_set(&field.name) { "staged" } else { "old" };
            format!("{side}.{}", quote(&field.name))
        });
        let is_new = |field: &&Field| !existing.iter().any(|other| other.name == field.name);
        let new = self.sets.iter().filter(is_new).map(|field| format!("staged.{}", quote(&field.name)));
        let columns = old.chain(new).collect::<Vec<_>>().join(", ");
        let rows = self.warehouse.with_row_ids(from)?;
        self.warehouse.execute(&format!(
            "CREATE OR REPLACE TABLE {target} AS SELECT {columns} FROM {rows} AS old \
             JOIN temp.{} AS staged ON old.{ROW_ID} = staged.{ROW_ID}; DROP TABLE temp.{}",
            Self::TABLE,
            Self::TABLE
        ))
    }
}

/// Applies a rule to a batch.
async fn apply_rule(rule: &mut OpenRule, batch: RuleBatch) -> Result<RuleBatch> {
    let RuleBatch { mut rows, rows_read, mut entries } = batch;
    let reads = project(&rows, &rule.run.plan.reads)?;
    let Patch { set, rejects, notes } = rule.run.apply(&reads).await?;
    let keys = key_column(&rows)?;
    let mut changes = Vec::new();
    for (name, array) in set {
        changes.extend(differences(&keys, &name, rows.column_by_name(&name), &array)?);
        rows = with_column(&rows, &name, array)?;
    }
    rule.counts.checked += rows.num_rows() as u64;
    rule.counts.rejected += rejects.len() as u64;
    rule.counts.notes += notes.len() as u64;
    rule.counts.failed += count_rows(&rejects, &notes);
    rule.counts.changed += changes.len() as u64;
    if !rejects.is_empty() {
        let mut keep = vec![true; rows.num_rows()];
        rejects.iter().for_each(|note| keep[note.row] = false);
        let kept = arrow_select::filter::filter_record_batch(&rows, &BooleanArray::from(keep));
        rows = kept.map_err(Error::internal)?;
    }
    entries.push(BatchEntries { keys, rejects, notes, changes });
    Ok(RuleBatch { rows, rows_read, entries })
}

/// The columns of these names, in this order.
fn project(batch: &RecordBatch, names: &[String]) -> Result<RecordBatch> {
    let index = |name: &String| batch.schema().index_of(name).map_err(Error::internal);
    let indices = names.iter().map(index).collect::<Result<Vec<_>>>()?;
    batch.project(&indices).map_err(Error::internal)
}

/// How many rows have a reject or a note.
pub(super) fn count_rows(rejects: &[Note], notes: &[Note]) -> u64 {
    rejects.iter().chain(notes).map(|note| note.row).collect::<BTreeSet<_>>().len() as u64
}

/// The values of one column that a rule changed.
fn differences(
    keys: &StringArray,
    column: &str,
    before: Option<&ArrayRef>,
    after: &ArrayRef,
) -> Result<Vec<FieldChange>> {
    let mut changes = Vec::new();
    let mut differ = |row: usize, before: Option<String>, after: Option<String>| {
        changes.push(FieldChange { key: keys.value(row).to_owned(), column: column.to_owned(), before, after });
    };
    let is_text = |array: &ArrayRef| *array.data_type() == DataType::Utf8;
    match before {
        // The common case, without a copy of unchanged values.
        Some(before) if is_text(before) && is_text(after) => {
            let pairs = before.as_string::<i32>().iter().zip(after.as_string::<i32>().iter());
            for (row, (before, after)) in pairs.enumerate().filter(|(_, (before, after))| before != after) {
                differ(row, before.map(str::to_owned), after.map(str::to_owned));
            }
        }
        _ => {
            let nothing = || Ok(vec![None; after.len()]);
            let before = before.map_or_else(nothing, as_text)?;
            for (row, (before, after)) in before.into_iter().zip(as_text(after)?).enumerate() {
                if before != after {
                    differ(row, before, after);
                }
            }
        }
    }
    Ok(changes)
}

fn with_column(batch: &RecordBatch, name: &str, array: ArrayRef) -> Result<RecordBatch> {
    let schema = batch.schema();
    let mut fields: Vec<_> = schema.fields().iter().map(|field| field.as_ref().clone()).collect();
    let mut columns = batch.columns().to_vec();
    let field = arrow_schema::Field::new(name, array.data_type().clone(), true);
    match schema.index_of(name) {
        Ok(index) => {
            fields[index] = field;
            columns[index] = array;
        }
        Err(_) => {
            fields.push(field);
            columns.push(array);
        }
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(arrow_schema::Schema::new(fields)), columns, &options)
        .map_err(Error::internal)
}
