//! A run of neighbouring row rules: batch by batch from a query into a stage table.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow_schema::DataType;

use super::chain::{Chain, Link, Segment, set};
use super::journal::{Change, Journal, KEY, as_text, keys};
use crate::error::{Error, Result};
use crate::plugin::Note;
use crate::schema::{Field, Schema};
use crate::warehouse::{Table, Warehouse, key_text, quote};

/// Rows between two words of progress.
const TELL_EVERY: u64 = 20_000;

/// The place of a row in the table that it is read from.
const ROW: &str = "_host_row";

/// Rows that go through the rules at once: a vector of DuckDB's holds 2,048.
const BATCH_ROWS: usize = 8192;

/// Runs the segment's rules over the rows of `from` that meet the condition; `target` becomes `from` with what the rules
/// set, without the rows that they refuse. Only the columns that rules read and set leave the warehouse. Gives back how
/// many rows went in.
#[expect(clippy::too_many_arguments, reason = "the room's one entry")]
pub(super) fn run(
    warehouse: &Warehouse,
    chain: &mut Chain,
    segment: &Segment,
    (from, condition): (&Table, &str),
    target: &Table,
    schema: &Schema,
    journal: &Journal<'_>,
    tell: impl Fn(u64),
) -> Result<u64> {
    let links = &mut chain.rules[segment.rules.clone()];
    let there = warehouse.columns(from)?.unwrap_or_default();
    let mut sets: Vec<Field> = Vec::new();
    links.iter().flat_map(|link| &link.run.plan.sets).for_each(|field| set(&mut sets, field));
    let names =
        links.iter().flat_map(|link| link.run.plan.reads.iter().chain(link.run.plan.sets.iter().map(|f| &f.name)));
    let names: BTreeSet<_> = names.filter(|name| there.iter().any(|field| field.name == **name)).cloned().collect();
    let mut stage = Stage::begin(warehouse, &sets)?;
    let handle = tokio::runtime::Handle::current();
    let mut through = |batch: &RecordBatch| {
        let cleaned = tokio::task::block_in_place(|| handle.block_on(batch_through(links, batch, journal)))?;
        stage.add(&cleaned)
    };
    let (mut rows, mut told) = (0, 0);
    let mut waiting: Vec<RecordBatch> = Vec::new();
    let columns: String = names.iter().map(|name| format!(", {}", quote(name))).collect();
    let sql =
        format!("SELECT rowid AS {ROW}{columns}, {} AS {KEY} FROM {from}{condition}", key_text(&schema.primary_key));
    warehouse.another()?.scan(&sql, &[], |batch| {
        rows += batch.num_rows() as u64;
        waiting.push(batch.clone());
        if waiting.iter().map(RecordBatch::num_rows).sum::<usize>() >= BATCH_ROWS {
            through(&joined(&mut waiting)?)?;
        }
        if rows - told >= TELL_EVERY {
            told = rows;
            tell(rows);
        }
        Ok(())
    })?;
    if !waiting.is_empty() {
        through(&joined(&mut waiting)?)?;
    }
    stage.finish(from, target, &there)?;
    Ok(rows)
}

fn joined(batches: &mut Vec<RecordBatch>) -> Result<RecordBatch> {
    let joined = arrow_select::concat::concat_batches(&batches[0].schema(), batches.iter());
    batches.clear();
    joined.map_err(|cause| Error::internal(cause.to_string()))
}

/// What rules set, row by row, until the target is made of it.
struct Stage<'a> {
    warehouse: &'a Warehouse,
    sets: &'a [Field],
    waiting: Vec<RecordBatch>,
}

impl<'a> Stage<'a> {
    const TABLE: &'static str = "staged_rows";

    fn begin(warehouse: &'a Warehouse, sets: &'a [Field]) -> Result<Self> {
        let columns: String =
            sets.iter().map(|field| format!(", {} {}", quote(&field.name), field.data_type.sql())).collect();
        warehouse.execute(&format!("CREATE OR REPLACE TEMP TABLE {} ({ROW} BIGINT{columns})", Self::TABLE))?;
        Ok(Self { warehouse, sets, waiting: Vec::new() })
    }

    fn add(&mut self, cleaned: &RecordBatch) -> Result<()> {
        let names: Vec<_> =
            std::iter::once(ROW.to_owned()).chain(self.sets.iter().map(|field| field.name.clone())).collect();
        self.waiting.push(project(cleaned, &names)?);
        if self.waiting.len() < 8 { Ok(()) } else { self.write() }
    }

    fn write(&mut self) -> Result<()> {
        let batches = std::mem::take(&mut self.waiting).into_iter().map(Ok);
        self.warehouse.append_all(&Table::new("temp", Self::TABLE), batches)
    }

    /// Makes the target: what no rule sets is copied within the warehouse.
    fn finish(mut self, from: &Table, target: &Table, there: &[Field]) -> Result<()> {
        self.write()?;
        let is_set = |name: &str| self.sets.iter().any(|field| field.name == name);
        let old = there.iter().map(|field| {
            let side = if is_set(&field.name) { "staged" } else { "old" };
            format!("{side}.{}", quote(&field.name))
        });
        let is_new = |field: &&Field| !there.iter().any(|known| known.name == field.name);
        let new = self.sets.iter().filter(is_new).map(|field| format!("staged.{}", quote(&field.name)));
        let columns = old.chain(new).collect::<Vec<_>>().join(", ");
        self.warehouse.execute(&format!(
            "CREATE OR REPLACE TABLE {target} AS SELECT {columns} FROM {from} AS old \
             JOIN temp.{} AS staged ON old.rowid = staged.{ROW}; DROP TABLE temp.{}",
            Self::TABLE,
            Self::TABLE
        ))
    }
}

async fn batch_through(links: &mut [Link], batch: &RecordBatch, journal: &Journal<'_>) -> Result<RecordBatch> {
    let mut batch = batch.clone();
    for link in links {
        let reads = project(&batch, &link.run.plan.reads)?;
        let patch = link.run.apply(&reads).await?;
        let keys = keys(&batch)?;
        let rule = link.counts.rule.clone();
        link.counts.checked += batch.num_rows() as u64;
        link.counts.rejected += patch.rejects.len() as u64;
        link.counts.notes += patch.notes.len() as u64;
        link.counts.failed += failed(&patch.rejects, &patch.notes);
        journal.remarks("rejects", &rule, &keys, &patch.rejects)?;
        journal.remarks("notes", &rule, &keys, &patch.notes)?;
        for (name, array) in patch.set {
            let changes = differences(&keys, &name, batch.column_by_name(&name), &array)?;
            link.counts.changed += changes.len() as u64;
            journal.changes(&rule, &changes)?;
            batch = with_column(&batch, &name, array)?;
        }
        if !patch.rejects.is_empty() {
            let mut keep = vec![true; batch.num_rows()];
            patch.rejects.iter().for_each(|note| keep[note.row] = false);
            let kept = arrow_select::filter::filter_record_batch(&batch, &BooleanArray::from(keep));
            batch = kept.map_err(|cause| Error::internal(cause.to_string()))?;
        }
    }
    Ok(batch)
}

/// The columns of these names, in this order.
pub(super) fn project(batch: &RecordBatch, names: &[String]) -> Result<RecordBatch> {
    let index = |name: &String| batch.schema().index_of(name).map_err(|cause| Error::internal(cause.to_string()));
    let indices = names.iter().map(index).collect::<Result<Vec<_>>>()?;
    batch.project(&indices).map_err(|cause| Error::internal(cause.to_string()))
}

/// How many rows these speak of.
pub(super) fn failed(rejects: &[Note], notes: &[Note]) -> u64 {
    rejects.iter().chain(notes).map(|note| note.row).collect::<BTreeSet<_>>().len() as u64
}

/// What a rule changed in one column, value by value.
fn differences(keys: &[String], column: &str, before: Option<&ArrayRef>, after: &ArrayRef) -> Result<Vec<Change>> {
    let mut changes = Vec::new();
    let mut differ = |row: usize, before: Option<String>, after: Option<String>| {
        changes.push(Change { key: keys[row].clone(), column: column.to_owned(), before, after });
    };
    let is_text = |array: &ArrayRef| *array.data_type() == DataType::Utf8;
    match before {
        // The common case, without a copy of what stayed as it was.
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
        .map_err(|cause| Error::internal(cause.to_string()))
}
