//! A run of neighbouring row rules: batch by batch from a query into a stage table.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, Field};

use super::chain::{Chain, Link, Segment, set};
use super::journal::{Change, Journal, KEY, as_text, keys};
use crate::error::{Error, Result};
use crate::plugin::Note;
use crate::schema::Schema;
use crate::warehouse::{Table, Warehouse, key_text, quote};

/// Rows between two words of progress.
const TELL_EVERY: u64 = 20_000;

/// Runs the segment's rules over `from` into `target`; gives back how many rows went in.
#[expect(clippy::too_many_arguments, reason = "the room's one entry")]
pub(super) fn run(
    warehouse: &Warehouse,
    chain: &mut Chain,
    segment: &Segment,
    from: &str,
    target: &Table,
    schema: &Schema,
    journal: &Journal<'_>,
    tell: impl Fn(u64),
) -> Result<u64> {
    let mut fields = schema.fields.clone();
    for link in chain.rules.iter().take(segment.rules.end) {
        link.run.plan.sets.iter().for_each(|field| set(&mut fields, field));
    }
    let columns: Vec<_> =
        fields.iter().map(|field| format!("{} {}", quote(&field.name), field.data_type.sql())).collect();
    warehouse.execute(&format!("CREATE OR REPLACE TABLE {target} ({})", columns.join(", ")))?;
    let order: Vec<_> = fields.into_iter().map(|field| field.name).collect();
    let links = &mut chain.rules[segment.rules.clone()];
    let handle = tokio::runtime::Handle::current();
    let mut rows = 0;
    let mut told = 0;
    let sql = format!("SELECT *, {} AS {KEY} FROM ({from})", key_text(&schema.primary_key));
    warehouse.another()?.scan(&sql, &[], |batch| {
        rows += batch.num_rows() as u64;
        let cleaned = tokio::task::block_in_place(|| handle.block_on(batch_through(links, batch, journal)))?;
        if rows - told >= TELL_EVERY {
            told = rows;
            tell(rows);
        }
        warehouse.append(target, ordered(&cleaned, &order)?)
    })?;
    Ok(rows)
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

fn ordered(batch: &RecordBatch, names: &[String]) -> Result<RecordBatch> {
    project(batch, names)
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
    let field = Field::new(name, array.data_type().clone(), true);
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
