//! What a rule does to the first raw rows of a stream: before and after of each field that it changes, and its remarks.
//! Reads the warehouse, never writes it.

use std::sync::Arc;

use arrow_array::{Array as _, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, new_null_array};
use arrow_cast::display::ArrayFormatter;
use arrow_schema::ArrowError;

use super::merges_schema;
use crate::error::{Error, Result};
use crate::pipeline::InputName;
use crate::plugin::{Input, Note, Patch, RuleRun, Scope, Verdicts};
use crate::prepare::PreparedRule;
use crate::schema::{Field, Schema};
use crate::warehouse::{LoadedStream, Table, Warehouse, display_options, displayable, literal, quote, quote_all};

/// Rows of a further input that a rule is shown at most.
const INPUT_ROWS: usize = 100_000;
/// Pages of verdicts that are read at most.
const PAGES: usize = 10_000;

/// What a rule did to the sample.
#[derive(Debug, serde::Serialize)]
pub struct Sampled {
    /// The rule.
    pub rule: String,
    /// `source.stream`.
    pub stream: String,
    /// Rows that it was shown.
    pub rows: usize,
    /// The fields that it changed.
    pub changes: Vec<Change>,
    /// The rows that it refused, merged or remarked on.
    pub remarks: Vec<Remark>,
    /// What its plugin warned of.
    pub warnings: Vec<String>,
}

/// One field that the rule changed.
#[derive(Debug, serde::Serialize)]
pub struct Change {
    /// The row's key.
    pub key: String,
    /// The column.
    pub column: String,
    /// Its value before; `…` where nobody should read it.
    pub before: Option<String>,
    /// Its value after.
    pub after: Option<String>,
}

/// A row that it refused, merged or remarked on.
#[derive(Debug, serde::Serialize)]
pub struct Remark {
    /// The row's key.
    pub key: String,
    /// `rejected`, `merged` or `note`.
    pub what: &'static str,
    /// Why.
    pub message: String,
}

/// Shows the rule at this place the first rows of a stream, after the rules of row scope that come before it.
pub async fn sample(
    warehouse: &Warehouse,
    (rules, at): (&[PreparedRule], usize),
    stream: &LoadedStream,
    rows: u32,
) -> Result<Sampled> {
    let name = stream.name();
    let mut sample = Rows::first(warehouse, stream, rows)?;
    for rule in rules[..at].iter().filter(|rule| rule.streams.contains(&name)) {
        let on = |error: Error| error.on(format!("{}: rule `{}` on `{name}`", rule.place, rule.name));
        let mut run = open(warehouse, rule, &name, &sample.schema).await.map_err(on)?;
        // What a rule of table scope would see of so few rows would mislead; its columns are there all the same.
        let patch = match run.plan.scope {
            Scope::Row => run.apply(&sample.read(&run.plan.reads)?).await.map_err(on)?,
            Scope::Table => Patch { set: Vec::new(), rejects: Vec::new(), notes: Vec::new() },
        };
        sample.take(&run.plan.sets, patch)?;
    }
    let rule = &rules[at];
    let on = |error: Error| error.on(format!("{}: rule `{}` on `{name}`", rule.place, rule.name));
    let mut run = open(warehouse, rule, &name, &sample.schema).await.map_err(on)?;
    let mut sampled = Sampled {
        rule: rule.name.clone(),
        stream: name.clone(),
        rows: sample.rows,
        changes: Vec::new(),
        remarks: Vec::new(),
        warnings: Vec::new(),
    };
    let keys = sample.keys()?;
    show_inputs(warehouse, rule, &mut run).await.map_err(on)?;
    let patch = run.apply(&sample.read(&run.plan.reads)?).await.map_err(on)?;
    sampled.patch(&sample, &keys, &keys, &patch, &run)?;
    if run.plan.scope == Scope::Table {
        for _ in 0..PAGES {
            let Some(verdicts) = run.finish().await.map_err(on)? else { break };
            sampled.verdicts(&sample, &keys, &verdicts, &run)?;
        }
    }
    sampled.warnings.extend_from_slice(run.warnings());
    Ok(sampled)
}

async fn open(warehouse: &Warehouse, rule: &PreparedRule, stream: &str, schema: &Schema) -> Result<RuleRun> {
    let mut inputs = vec![Input { name: stream.to_owned(), schema: schema.clone() }];
    for (name, input) in &rule.inputs {
        inputs.push(Input { name: name.clone(), schema: input_schema(warehouse, name, input)? });
    }
    rule.plugin.open(&inputs).await
}

/// The columns of what a rule reads beside its stream.
fn input_schema(warehouse: &Warehouse, name: &str, input: &InputName) -> Result<Schema> {
    if input.is_merges {
        return Ok(merges_schema());
    }
    let stream =
        loaded(warehouse, &input.stream.to_string()).map_err(|error| error.on(format!("its input `{name}`")))?;
    let fields = warehouse.columns(&Table::clean(&stream.source, &stream.stream))?;
    let fields = fields.ok_or_else(|| Error::config(format!("its input `{name}` was not cleaned yet")))?;
    Ok(Schema { fields, primary_key: stream.primary_key, cursor: None })
}

/// The stream of this name, if a run has loaded it.
pub fn loaded(warehouse: &Warehouse, name: &str) -> Result<LoadedStream> {
    let found = warehouse.loaded_streams()?.into_iter().find(|stream| stream.name() == name);
    found.ok_or_else(|| Error::config(format!("no stream `{name}` is loaded")).hint("`host run PIPELINE` loads it"))
}

async fn show_inputs(warehouse: &Warehouse, rule: &PreparedRule, run: &mut RuleRun) -> Result<()> {
    for (name, columns) in run.plan.reads_beside.clone() {
        let input = rule.inputs.get(&name).ok_or_else(|| Error::internal(format!("no input `{name}`")))?;
        let table = if input.is_merges {
            format!(
                "(SELECT key, survivor_key FROM _host.merges WHERE stream = {})",
                literal(&input.stream.to_string())
            )
        } else {
            Table::clean(&input.stream.source, &input.stream.stream).to_string()
        };
        let columns = quote_all(columns.iter().map(String::as_str), "");
        let sql = format!("SELECT {columns} FROM {table} ORDER BY ALL LIMIT {INPUT_ROWS}");
        let mut batches = Vec::new();
        warehouse.scan(&sql, &[], |batch| {
            batches.push(batch.clone());
            Ok(())
        })?;
        for batch in &batches {
            run.apply_input(&name, batch).await?;
        }
    }
    Ok(())
}

/// The rows of a sample, column by column, as rules leave them.
struct Rows {
    schema: Schema,
    columns: Vec<ArrayRef>,
    rows: usize,
}

impl Rows {
    /// The first raw rows by their primary key.
    fn first(warehouse: &Warehouse, stream: &LoadedStream, rows: u32) -> Result<Self> {
        let table = Table::raw(&stream.source, &stream.stream);
        let fields = warehouse.columns(&table)?.ok_or_else(|| Error::internal(format!("{table} is gone")))?;
        let columns = quote_all(fields.iter().map(|field| field.name.as_str()), "");
        let order: Vec<_> = stream.primary_key.iter().map(|key| quote(key)).collect();
        let sql = format!("SELECT {columns} FROM {table} ORDER BY {} LIMIT {rows}", order.join(", "));
        let mut batches = Vec::new();
        warehouse.scan(&sql, &[], |batch| {
            batches.push(batch.clone());
            Ok(())
        })?;
        let schema = Schema { fields, primary_key: stream.primary_key.clone(), cursor: None };
        let arrow = batches.first().map_or_else(|| Arc::new(schema.arrow()), RecordBatch::schema);
        let batch = arrow_select::concat::concat_batches(&arrow, batches.iter()).map_err(internal)?;
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
            .map_err(internal)
    }

    /// The rows as a rule leaves them.
    fn take(&mut self, sets: &[Field], patch: Patch) -> Result<()> {
        for field in sets {
            let set = patch.set.iter().find(|(name, _)| *name == field.name).map(|(_, array)| Arc::clone(array));
            let known = self.schema.fields.iter().position(|known| known.name == field.name);
            match (known, set) {
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
        let kept = self.columns.iter().map(|column| arrow_select::filter::filter(column, &keep).map_err(internal));
        self.columns = kept.collect::<Result<_>>()?;
        Ok(())
    }

    /// The primary key of each row, as text.
    fn keys(&self) -> Result<Vec<String>> {
        keys(self.read(&self.schema.primary_key)?.columns(), self.rows)
    }
}

impl Sampled {
    /// Keeps what a patch did to the rows of these keys; `all` are those of the sample.
    fn patch(&mut self, sample: &Rows, all: &[String], keys: &[String], patch: &Patch, run: &RuleRun) -> Result<()> {
        for (column, after) in &patch.set {
            let is_masked = run.plan.sets.iter().any(|field| field.name == *column && is_masked(field));
            let before = sample.column(column).map(texts).transpose()?;
            for (key, after) in keys.iter().zip(texts(after)?) {
                let row = all.iter().position(|known| known == key);
                let before = before.as_ref().zip(row).and_then(|(before, row)| before.get(row).cloned().flatten());
                if before == after {
                    continue;
                }
                // What nobody should read is not for a terminal either.
                let before = if is_masked { before.map(|_| "…".to_owned()) } else { before };
                self.changes.push(Change { key: key.clone(), column: column.clone(), before, after });
            }
        }
        let remarks = patch.rejects.iter().map(|note| ("rejected", note));
        for (what, note) in remarks.chain(patch.notes.iter().map(|note| ("note", note))) {
            let Note { row, column, code, message, .. } = note;
            let column = column.as_ref().map(|column| format!("{column}: ")).unwrap_or_default();
            let key = keys.get(*row).cloned().unwrap_or_default();
            self.remarks.push(Remark { key, what, message: format!("{column}{message} ({code})") });
        }
        Ok(())
    }

    fn verdicts(&mut self, sample: &Rows, all: &[String], verdicts: &Verdicts, run: &RuleRun) -> Result<()> {
        let rows = verdicts.keys.num_rows();
        let judged = keys(verdicts.keys.columns(), rows)?;
        if let Some(survivors) = &verdicts.merged_into {
            let survivors = keys(survivors.columns(), rows)?;
            let merged = judged.iter().zip(survivors).map(|(key, survivor)| Remark {
                key: key.clone(),
                what: "merged",
                message: format!("into {survivor}"),
            });
            self.remarks.extend(merged);
        }
        self.patch(sample, all, &judged, &verdicts.patch, run)
    }
}

fn is_masked(field: &Field) -> bool {
    field.metadata.get("masked").is_some_and(|masked| masked == "true")
}

/// The values of a column as text.
fn texts(array: &ArrayRef) -> Result<Vec<Option<String>>> {
    let (array, options) = (displayable(array), display_options());
    let format = ArrayFormatter::try_new(&array, &options).map_err(internal)?;
    Ok((0..array.len()).map(|row| array.is_valid(row).then(|| format.value(row).to_string())).collect())
}

/// Keys as text, their parts one after the other.
fn keys(columns: &[ArrayRef], rows: usize) -> Result<Vec<String>> {
    let columns = columns.iter().map(texts).collect::<Result<Vec<_>>>()?;
    let part = |column: &Vec<Option<String>>, row: usize| column.get(row).cloned().flatten().unwrap_or_default();
    let key = |row: usize| columns.iter().map(|column| part(column, row)).collect::<Vec<_>>().join("/");
    Ok((0..rows).map(key).collect())
}

fn internal(cause: ArrowError) -> Error {
    Error::internal(cause.to_string())
}
