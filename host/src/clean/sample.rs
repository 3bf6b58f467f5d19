//! Runs a rule on the first raw rows of a stream and shows what it changes, rejects, merges and notes. Reads the warehouse
//! and never writes it.

use std::sync::Arc;

use arrow_array::{Array as _, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, new_null_array};
use arrow_cast::display::ArrayFormatter;
use host_core::error::{Error, Result};
use host_core::schema::{Field, Schema};
use host_ledger::streams::{self, LoadedStream, merges_of};
use host_plugin::{Note, Patch, RuleInput, RuleRun, RuleScope, Verdicts};
use host_warehouse::{Table, Warehouse, display_options, displayable, quote, quote_all};

use super::chain::merges_schema;
use crate::pipeline::InputName;
use crate::prepare::PreparedRule;

/// The most rows of a further input that the rule reads.
const INPUT_ROWS: usize = 100_000;
/// The most pages of verdicts that are read.
const PAGES: usize = 10_000;

/// What a rule did to the sample.
#[derive(Debug, serde::Serialize)]
pub struct SampleReport {
    /// The rule.
    pub rule: String,
    /// `source.stream`.
    pub stream: String,
    /// Rows that it read.
    pub rows: usize,
    /// The fields that it changed.
    pub changes: Vec<SampleChange>,
    /// The rows that it rejected, merged or left a note on.
    pub remarks: Vec<SampleRemark>,
    /// Warnings of its plugin.
    pub warnings: Vec<String>,
}

/// One field that the rule changed.
#[derive(Debug, serde::Serialize)]
pub struct SampleChange {
    /// The row's key.
    pub key: String,
    /// The column.
    pub column: String,
    /// Its value before; `…` if the column is masked.
    pub before: Option<String>,
    /// Its value after.
    pub after: Option<String>,
}

/// A row that the rule rejected, merged or left a note on.
#[derive(Debug, serde::Serialize)]
pub struct SampleRemark {
    /// The row's key.
    pub key: String,
    /// `rejected`, `merged` or `note`.
    pub what: &'static str,
    /// Why.
    pub message: String,
}

/// Runs the rule at the position `at` on the first raw rows of a stream, after the rules of row scope that come before it.
///
/// # Errors
/// A rule that does not open or fails, an input that is not loaded, and as [`Warehouse::scan`].
pub async fn sample(
    warehouse: &Warehouse,
    (rules, at): (&[PreparedRule], usize),
    stream: &LoadedStream,
    rows: u32,
) -> Result<SampleReport> {
    let name = stream.name();
    let mut sample = SampleRows::first(warehouse, stream, rows)?;
    for rule in rules[..at].iter().filter(|rule| rule.streams.contains(&name)) {
        let on = |error: Error| error.on(format!("rule `{}` on `{name}`", rule.name)).at(&rule.place);
        let mut run = open(warehouse, rule, &name, &sample.schema).await.map_err(on)?;
        // A rule of table scope would decide wrongly on so few rows. Only its columns are added.
        let patch = match run.plan.scope {
            RuleScope::Row => run.apply(&sample.read(&run.plan.reads)?).await.map_err(on)?,
            RuleScope::Table => Patch { set: Vec::new(), rejects: Vec::new(), notes: Vec::new() },
        };
        sample.apply(&run.plan.sets, patch)?;
    }
    let rule = &rules[at];
    let on = |error: Error| error.on(format!("rule `{}` on `{name}`", rule.name)).at(&rule.place);
    let mut run = open(warehouse, rule, &name, &sample.schema).await.map_err(on)?;
    let mut sampled = SampleReport {
        rule: rule.name.clone(),
        stream: name.clone(),
        rows: sample.rows,
        changes: Vec::new(),
        remarks: Vec::new(),
        warnings: Vec::new(),
    };
    let keys = sample.keys()?;
    read_inputs(warehouse, rule, &mut run).await.map_err(on)?;
    let patch = run.apply(&sample.read(&run.plan.reads)?).await.map_err(on)?;
    sampled.add_patch(&sample, &keys, &keys, &patch, &run)?;
    if run.plan.scope == RuleScope::Table {
        for _ in 0..PAGES {
            let Some(verdicts) = run.finish().await.map_err(on)? else { break };
            sampled.add_verdicts(&sample, &keys, &verdicts, &run)?;
        }
    }
    sampled.warnings.extend_from_slice(run.warnings());
    Ok(sampled)
}

async fn open(warehouse: &Warehouse, rule: &PreparedRule, stream: &str, schema: &Schema) -> Result<RuleRun> {
    let mut inputs = vec![RuleInput { name: stream.to_owned(), schema: schema.clone() }];
    for (name, input) in &rule.inputs {
        inputs.push(RuleInput { name: name.clone(), schema: input_schema(warehouse, name, input)? });
    }
    rule.plugin.open(&inputs).await
}

/// The schema of a further input of a rule.
fn input_schema(warehouse: &Warehouse, name: &str, input: &InputName) -> Result<Schema> {
    if input.is_merges {
        return Ok(merges_schema());
    }
    let stream = loaded(warehouse, &input.stream.to_string()).map_err(|error| error.on(format!("input `{name}`")))?;
    let fields = warehouse.columns(&Table::clean(&stream.source, &stream.stream))?;
    let fields = fields.ok_or_else(|| Error::config(format!("input `{name}` was never cleaned")))?;
    Ok(Schema { fields, primary_key: stream.primary_key, cursor: None })
}

/// The loaded stream of this name, `source.stream`.
///
/// # Errors
/// A stream that no run has loaded, and as [`Warehouse::query_as`].
pub fn loaded(warehouse: &Warehouse, name: &str) -> Result<LoadedStream> {
    let found = streams::loaded(warehouse)?.into_iter().find(|stream| stream.name() == name);
    found
        .ok_or_else(|| Error::config(format!("stream `{name}` is not loaded")).hint("load it with `host run PIPELINE`"))
}

/// Sends the rows of all further inputs to the rule.
async fn read_inputs(warehouse: &Warehouse, rule: &PreparedRule, run: &mut RuleRun) -> Result<()> {
    for (name, columns) in run.plan.input_columns.clone() {
        let input = rule.inputs.get(&name).ok_or_else(|| Error::internal(format!("no input `{name}`")))?;
        let table = if input.is_merges {
            merges_of(&input.stream.source, &input.stream.stream)
        } else {
            Table::clean(&input.stream.source, &input.stream.stream).to_string()
        };
        let columns = quote_all(columns.iter().map(String::as_str), "");
        let sql = format!("SELECT {columns} FROM {table} ORDER BY ALL LIMIT {INPUT_ROWS}");
        let mut batches = Vec::new();
        warehouse.scan(&sql, (), |batch| {
            batches.push(batch.clone());
            Ok(())
        })?;
        for batch in &batches {
            run.apply_input(&name, batch).await?;
        }
    }
    Ok(())
}

/// The rows of a sample, by column, as the rules so far left them.
struct SampleRows {
    schema: Schema,
    columns: Vec<ArrayRef>,
    rows: usize,
}

impl SampleRows {
    /// The first raw rows by their primary key.
    fn first(warehouse: &Warehouse, stream: &LoadedStream, rows: u32) -> Result<Self> {
        let table = Table::raw(&stream.source, &stream.stream);
        let fields = warehouse.columns(&table)?.ok_or_else(|| Error::internal(format!("{table} does not exist")))?;
        let columns = quote_all(fields.iter().map(|field| field.name.as_str()), "");
        let order: Vec<_> = stream.primary_key.iter().map(|key| quote(key)).collect();
        let sql = format!("SELECT {columns} FROM {table} ORDER BY {} LIMIT {rows}", order.join(", "));
        let mut batches = Vec::new();
        warehouse.scan(&sql, (), |batch| {
            batches.push(batch.clone());
            Ok(())
        })?;
        let schema = Schema { fields, primary_key: stream.primary_key.clone(), cursor: None };
        let arrow = batches.first().map_or_else(|| Arc::new(schema.arrow()), RecordBatch::schema);
        let batch = arrow_select::concat::concat_batches(&arrow, batches.iter()).map_err(Error::internal)?;
        Ok(Self { columns: batch.columns().to_vec(), rows: batch.num_rows(), schema })
    }

    fn column(&self, name: &str) -> Option<&ArrayRef> {
        let at = self.schema.fields.iter().position(|field| field.name == name)?;
        self.columns.get(at)
    }

    /// The columns of these names as a batch.
    fn read(&self, names: &[String]) -> Result<RecordBatch> {
        let column = |name: &String| {
            let array = self.column(name).ok_or_else(|| Error::internal(format!("the sample lacks `{name}`")))?;
            Ok((arrow_schema::Field::new(name, array.data_type().clone(), true), Arc::clone(array)))
        };
        let columns = names.iter().map(column).collect::<Result<Vec<_>>>()?;
        let (fields, arrays): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        RecordBatch::try_new_with_options(Arc::new(arrow_schema::Schema::new(fields)), arrays, &options)
            .map_err(Error::internal)
    }

    /// Applies a rule's patch: sets columns and removes rejected rows.
    fn apply(&mut self, sets: &[Field], patch: Patch) -> Result<()> {
        for field in sets {
            let set = patch.set.iter().find(|(name, _)| *name == field.name).map(|(_, array)| Arc::clone(array));
            let position = self.schema.fields.iter().position(|existing| existing.name == field.name);
            match (position, set) {
                (Some(at), Some(array)) => {
                    self.schema.fields[at] = field.clone();
                    self.columns[at] = array;
                }
                (Some(_), None) => {}
                (None, set) => {
                    self.schema.fields.push(field.clone());
                    self.columns.push(set.unwrap_or_else(|| new_null_array(&field.data_type.arrow(), self.rows)));
                }
            }
        }
        if patch.rejects.is_empty() {
            return Ok(());
        }
        let mut keep = vec![true; self.rows];
        patch.rejects.iter().for_each(|note| keep[note.row] = false);
        self.rows = keep.iter().filter(|keep| **keep).count();
        let keep = BooleanArray::from(keep);
        let kept =
            self.columns.iter().map(|column| arrow_select::filter::filter(column, &keep).map_err(Error::internal));
        self.columns = kept.collect::<Result<_>>()?;
        Ok(())
    }

    /// The primary key of each row, as text.
    fn keys(&self) -> Result<Vec<String>> {
        keys(self.read(&self.schema.primary_key)?.columns(), self.rows)
    }
}

impl SampleReport {
    /// Adds the changes and remarks of a patch on rows with these keys. `all` are the keys of the sample.
    fn add_patch(
        &mut self,
        sample: &SampleRows,
        all: &[String],
        keys: &[String],
        patch: &Patch,
        run: &RuleRun,
    ) -> Result<()> {
        for (column, after) in &patch.set {
            let is_masked = run.plan.sets.iter().any(|field| field.name == *column && is_masked(field));
            let before = sample.column(column).map(texts).transpose()?;
            for (key, after) in keys.iter().zip(texts(after)?) {
                let row = all.iter().position(|other| other == key);
                let before = before.as_ref().zip(row).and_then(|(before, row)| before.get(row).cloned().flatten());
                if before == after {
                    continue;
                }
                // The column is masked because its raw values must not be shown.
                let before = if is_masked { before.map(|_| "…".to_owned()) } else { before };
                self.changes.push(SampleChange { key: key.clone(), column: column.clone(), before, after });
            }
        }
        let remarks = patch.rejects.iter().map(|note| ("rejected", note));
        for (what, note) in remarks.chain(patch.notes.iter().map(|note| ("note", note))) {
            let Note { row, column, code, message, .. } = note;
            let column = column.as_ref().map(|column| format!("{column}: ")).unwrap_or_default();
            let key = keys.get(*row).cloned().unwrap_or_default();
            self.remarks.push(SampleRemark { key, what, message: format!("{column}{message} ({code})") });
        }
        Ok(())
    }

    fn add_verdicts(&mut self, sample: &SampleRows, all: &[String], verdicts: &Verdicts, run: &RuleRun) -> Result<()> {
        let rows = verdicts.keys.num_rows();
        let verdict_keys = keys(verdicts.keys.columns(), rows)?;
        if let Some(survivors) = &verdicts.merged_into {
            let survivors = keys(survivors.columns(), rows)?;
            let merged = verdict_keys.iter().zip(survivors).map(|(key, survivor)| SampleRemark {
                key: key.clone(),
                what: "merged",
                message: format!("into {survivor}"),
            });
            self.remarks.extend(merged);
        }
        self.add_patch(sample, all, &verdict_keys, &verdicts.patch, run)
    }
}

fn is_masked(field: &Field) -> bool {
    field.metadata.get("masked").is_some_and(|masked| masked == "true")
}

/// The values of a column as text.
fn texts(array: &ArrayRef) -> Result<Vec<Option<String>>> {
    let (array, options) = (displayable(array), display_options());
    let format = ArrayFormatter::try_new(&array, &options).map_err(Error::internal)?;
    Ok((0..array.len()).map(|row| array.is_valid(row).then(|| format.value(row).to_string())).collect())
}

/// Keys as text, their parts separated by `/`.
fn keys(columns: &[ArrayRef], rows: usize) -> Result<Vec<String>> {
    let columns = columns.iter().map(texts).collect::<Result<Vec<_>>>()?;
    let part = |column: &Vec<Option<String>>, row: usize| column.get(row).cloned().flatten().unwrap_or_default();
    let key = |row: usize| columns.iter().map(|column| part(column, row)).collect::<Vec<_>>().join("/");
    Ok((0..rows).map(key).collect())
}
