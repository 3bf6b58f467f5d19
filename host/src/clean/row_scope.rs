//! A run of neighbouring row rules: batch by batch from a query into a stage table, each rule on a thread of its own.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, StringArray};
use arrow_schema::DataType;

use super::chain::{Chain, Link, Segment, set};
use super::journal::{Change, Journal, KEY, as_text, key_column};
use super::pipe::pipe;
use crate::error::{Error, Result};
use crate::plugin::{Note, Patch};
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
    let columns: String = names.iter().map(|name| format!(", {}", quote(name))).collect();
    let sql =
        format!("SELECT rowid AS {ROW}{columns}, {} AS {KEY} FROM {from}{condition}", key_text(&schema.primary_key));
    let (reading, handle) = (warehouse.another()?, tokio::runtime::Handle::current());
    let rules: Vec<_> = links.iter().map(|link| link.counts.rule.clone()).collect();
    let workers = links.iter_mut().map(|link| {
        let handle = handle.clone();
        move |passing| handle.block_on(through(link, passing))
    });
    let (mut rows, mut told) = (0, 0);
    let read = move |give: &mut dyn FnMut(Passing) -> Result<()>| {
        let mut waiting: Vec<RecordBatch> = Vec::new();
        reading.scan(&sql, &[], |batch| {
            waiting.push(batch.clone());
            let is_full = waiting.iter().map(RecordBatch::num_rows).sum::<usize>() >= BATCH_ROWS;
            if is_full { give(Passing::begin(&mut waiting)?) } else { Ok(()) }
        })?;
        if waiting.is_empty() { Ok(()) } else { give(Passing::begin(&mut waiting)?) }
    };
    let keep = |passing: Passing| {
        rows += passing.rows;
        if rows - told >= TELL_EVERY {
            told = rows;
            tell(rows);
        }
        for (rule, said) in rules.iter().zip(&passing.said) {
            let key_of = |row: usize| said.keys.is_valid(row).then(|| said.keys.value(row));
            journal.remarks("rejects", rule, key_of, &said.rejects)?;
            journal.remarks("notes", rule, key_of, &said.notes)?;
            journal.changes(rule, &said.changes)?;
        }
        stage.add(&passing.batch)
    };
    tokio::task::block_in_place(|| pipe(workers, read, keep))?;
    stage.finish(from, target, &there)?;
    Ok(rows)
}

/// Rows on their way through the rules.
struct Passing {
    batch: RecordBatch,
    /// Rows that went in.
    rows: u64,
    /// What each rule so far said of them.
    said: Vec<Said>,
}

/// What one rule said of a batch, for the journal.
struct Said {
    /// The key texts of the rows that the rule saw.
    keys: StringArray,
    rejects: Vec<Note>,
    notes: Vec<Note>,
    changes: Vec<Change>,
}

impl Passing {
    /// All that waits.
    fn begin(waiting: &mut Vec<RecordBatch>) -> Result<Self> {
        let batch = arrow_select::concat::concat_batches(&waiting[0].schema(), waiting.iter());
        waiting.clear();
        let batch = batch.map_err(|cause| Error::internal(cause.to_string()))?;
        Ok(Self { rows: batch.num_rows() as u64, batch, said: Vec::new() })
    }
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

/// What a rule makes of a batch.
async fn through(link: &mut Link, passing: Passing) -> Result<Passing> {
    let Passing { mut batch, rows, mut said } = passing;
    let reads = project(&batch, &link.run.plan.reads)?;
    let Patch { set, rejects, notes } = link.run.apply(&reads).await?;
    let keys = key_column(&batch)?;
    let mut changes = Vec::new();
    for (name, array) in set {
        changes.extend(differences(&keys, &name, batch.column_by_name(&name), &array)?);
        batch = with_column(&batch, &name, array)?;
    }
    link.counts.checked += batch.num_rows() as u64;
    link.counts.rejected += rejects.len() as u64;
    link.counts.notes += notes.len() as u64;
    link.counts.failed += failed(&rejects, &notes);
    link.counts.changed += changes.len() as u64;
    if !rejects.is_empty() {
        let mut keep = vec![true; batch.num_rows()];
        rejects.iter().for_each(|note| keep[note.row] = false);
        let kept = arrow_select::filter::filter_record_batch(&batch, &BooleanArray::from(keep));
        batch = kept.map_err(|cause| Error::internal(cause.to_string()))?;
    }
    said.push(Said { keys, rejects, notes, changes });
    Ok(Passing { batch, rows, said })
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
fn differences(keys: &StringArray, column: &str, before: Option<&ArrayRef>, after: &ArrayRef) -> Result<Vec<Change>> {
    let mut changes = Vec::new();
    let mut differ = |row: usize, before: Option<String>, after: Option<String>| {
        changes.push(Change { key: keys.value(row).to_owned(), column: column.to_owned(), before, after });
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
