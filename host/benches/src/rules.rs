//! The cost of WebAssembly for rules: a chain of four rules over a million rows, first as components in the host, each
//! in its own thread, then compiled natively into this program, one after the other. The two run alternately, and their
//! results are compared before times are printed.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use duckdb::arrow::array::{Array as _, ArrayRef, AsArray as _, RecordBatch, StringArray};
use duckdb::arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer};
use host::clean::pipe;
use host::error::Error;
use host::plugin::{Grants, RuleRun};
use plugin_sdk::bindings::source_plugin::elt::plugin::types::{Batch, Column};
use plugin_sdk::prelude::{Field, Schema};
use plugin_sdk::testing::{Component, Opened, Trial};
use sandbox::clinic::SPECIALTIES;
use serde_json::{Value, json};

use crate::growth::median;
use crate::plugins::{self, MAP};
use crate::{Result, root};

/// The batch size of the host.
const BATCH: usize = 8192;
const ROUNDS: usize = 5;
/// The target for components relative to native rules.
const TARGET: f64 = 2.0;
const COLUMNS: [&str; 3] = ["name", "email", "specialty"];

/// Names with typical errors.
const NAMES: [&str; 6] = [
    "Ana Souza",
    "  MARIA DA SILVA ",
    "joão  pereira",
    "Conceic\u{327}a\u{303}o Lima",
    "Ronald McDonald",
    "RUI D'ÁVILA",
];

/// A rule: the plugin's name, its native component and its config.
type ChainRule = (&'static str, Component, Value);

fn chain() -> [ChainRule; 4] {
    let tidy = json!({ "name": ["nfc", "trim", "collapse_spaces", "name_case"], "email": ["trim", "lower"] });
    let checks = json!([
        { "column": "email", "is": "email", "action": "null" },
        { "column": "name", "is": "length", "min": 5, "max": 100 },
    ]);
    [
        ("text", text::component(), json!({ "columns": tidy })),
        ("canonicalize", canonicalize::component(), json!({ "column": "specialty", "threshold": 0.85 })),
        ("validate", validate::component(), json!({ "checks": checks })),
        ("require", require::component(), json!({ "columns": COLUMNS })),
    ]
}

/// Times and results of one run of the chain.
struct ChainRun {
    /// Time in each rule.
    times: [Duration; 4],
    /// Time from the first batch to the last.
    time: Duration,
    /// The number of notes and a hash of the columns.
    result: (usize, u64),
}

pub(crate) fn run(rows: usize) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let batches = batches(rows)?;
    let (mut components, mut natives) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        natives.push(native(&batches)?);
        components.push(component(&runtime, &batches)?);
    }
    for run in natives.iter().chain(&components) {
        if run.result != natives[0].result {
            return Err(format!("the results differ: {:?} and {:?}", run.result, natives[0].result).into());
        }
    }
    println!("\nfour rules over {rows} rows: as components and compiled natively, medians of {ROUNDS}");
    println!("{:<14}{:>13}{:>11}{:>8}", "", "component s", "native s", "ratio");
    let line = |name: &str, seconds: &dyn Fn(&ChainRun) -> f64| {
        let median_of = |runs: &[ChainRun]| median(runs.iter().map(seconds).collect());
        let pairs = components.iter().zip(&natives);
        let ratio = median(pairs.map(|(component, native)| seconds(component) / seconds(native)).collect());
        println!("{name:<14}{:>13.3}{:>11.3}{ratio:>8.2}", median_of(&components), median_of(&natives));
    };
    for (index, (name, ..)) in chain().iter().enumerate() {
        line(name, &|run| run.times[index].as_secs_f64());
    }
    line("sum", &|run| run.times.iter().sum::<Duration>().as_secs_f64());
    line("whole chain", &|run| run.time.as_secs_f64());
    println!(
        "target: {TARGET} or less for the whole chain; components run in parallel and share the cores of this machine"
    );
    Ok(())
}

/// Generates the input rows.
fn batches(rows: usize) -> Result<Vec<RecordBatch>> {
    let spellings: Vec<_> = SPECIALTIES.iter().flat_map(|(_, _, spellings)| *spellings).collect();
    let text = |make: &dyn Fn(usize) -> Option<String>, from: usize| -> ArrayRef {
        Arc::new((from..rows.min(from + BATCH)).map(make).collect::<StringArray>())
    };
    let email = |row: usize| match row % 20 {
        0 => None,
        1 => Some("nao tem".to_owned()),
        _ => Some(format!(" Paciente.{row}@Exemplo.com.br")),
    };
    let batch = |from: usize| {
        let name = text(&|row| Some(NAMES[row % NAMES.len()].to_owned()), from);
        let specialty = text(&|row| Some((*spellings[row % spellings.len()]).to_owned()), from);
        Ok(RecordBatch::try_from_iter(COLUMNS.into_iter().zip([name, text(&email, from), specialty]))?)
    };
    (0..rows).step_by(BATCH).map(batch).collect()
}

/// Runs the components as the host does.
fn component(runtime: &tokio::runtime::Runtime, batches: &[RecordBatch]) -> Result<ChainRun> {
    let mut runs: Vec<RuleRun> = Vec::new();
    for (plugin, _, config) in chain() {
        let map = (MAP.to_owned(), root().join("sql/seeds/specialty_map.csv"));
        let files = [map].into_iter().filter(|_| plugin == "canonicalize").collect();
        runs.push(runtime.block_on(plugins::open(plugin, Grants { files, ..Grants::default() }, &config, &COLUMNS))?);
    }
    let (mut times, mut notes, mut hasher) = ([Duration::ZERO; 4], 0, DefaultHasher::new());
    let started = Instant::now();
    let workers = runs.iter_mut().zip(&mut times).map(|(run, time)| {
        move |(batch, notes): (RecordBatch, usize)| {
            let started = Instant::now();
            let schema = batch.schema();
            let index = |name: &String| schema.index_of(name).map_err(|cause| Error::internal(cause.to_string()));
            let reads = run.plan.reads.iter().map(index).collect::<host::error::Result<Vec<_>>>()?;
            let reads = batch.project(&reads).map_err(|cause| Error::internal(cause.to_string()))?;
            let patch = runtime.block_on(run.apply(&reads))?;
            let mut columns = batch.columns().to_vec();
            for (name, array) in patch.set {
                columns[index(&name)?] = array;
            }
            let batch = RecordBatch::try_new(Arc::clone(&schema), columns);
            *time += started.elapsed();
            Ok((batch.map_err(|cause| Error::internal(cause.to_string()))?, notes + patch.notes.len()))
        }
    });
    pipe(
        workers,
        |send| batches.iter().try_for_each(|batch| send((batch.clone(), 0))),
        |(batch, batch_notes)| {
            notes += batch_notes;
            lower(&batch).iter().for_each(|column| hash(column, &mut hasher));
            Ok(())
        },
    )?;
    Ok(ChainRun { times, time: started.elapsed(), result: (notes, hasher.finish()) })
}

/// Runs the same rules natively, also from Arrow to Arrow, so that the difference is the cost of WebAssembly.
fn native(batches: &[RecordBatch]) -> Result<ChainRun> {
    let map = std::fs::read_to_string(root().join("sql/seeds/specialty_map.csv"))?;
    let [name, email, specialty] = COLUMNS.map(Field::text);
    let fields = [Field::text("id"), name, email, specialty];
    let mut opened: Vec<Opened> = Vec::new();
    for (plugin, component, config) in chain() {
        let trial = Trial::new(component, Schema::new(fields.to_vec(), &["id"]));
        let trial = if plugin == "canonicalize" { trial.file(MAP, &map) } else { trial };
        opened.push(trial.open(config).map_err(|error| error.message)?);
    }
    let (mut times, mut notes, mut hasher) = ([Duration::ZERO; 4], 0, DefaultHasher::new());
    for batch in batches {
        let mut batch = batch.clone();
        for (rule, time) in opened.iter().zip(&mut times) {
            let started = Instant::now();
            let schema = batch.schema();
            let reads = rule.reads().into_iter().map(|name| schema.index_of(name));
            let reads = batch.project(&reads.collect::<std::result::Result<Vec<_>, _>>()?)?;
            let rows = Batch { rows: u32::try_from(batch.num_rows())?, columns: lower(&reads) };
            let patch = rule.apply(plugins::STREAM, rows).map_err(|error| error.message)?;
            let mut columns = batch.columns().to_vec();
            for (name, column) in patch.set {
                columns[schema.index_of(&name)?] = lift(column, batch.num_rows())?;
            }
            batch = RecordBatch::try_new(schema, columns)?;
            *time += started.elapsed();
            notes += patch.notes.len();
        }
        lower(&batch).iter().for_each(|column| hash(column, &mut hasher));
    }
    Ok(ChainRun { times, time: times.iter().sum(), result: (notes, hasher.finish()) })
}

/// Converts Arrow text columns to the contract's columns.
fn lower(batch: &RecordBatch) -> Vec<Column> {
    let column = |array: &ArrayRef| {
        let text = array.as_string::<i32>();
        let nulls = text.nulls().filter(|nulls| nulls.null_count() > 0);
        let bits = |buffer: &Buffer| buffer.as_slice()[..text.len().div_ceil(8)].to_vec();
        let offsets = text.offsets().inner().inner().to_vec();
        Column {
            validity: nulls.map(|nulls| bits(&nulls.inner().sliced())),
            offsets: Some(offsets),
            values: text.value_data().to_vec(),
        }
    };
    batch.columns().iter().map(column).collect()
}

/// Converts a text column of the contract to Arrow and validates it.
fn lift(column: Column, rows: usize) -> Result<ArrayRef> {
    let offsets = column.offsets.unwrap_or_default();
    let offsets = offsets.chunks_exact(4).map(|bytes| i32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
    let offsets = OffsetBuffer::new(offsets.collect());
    let nulls = column.validity.map(|bits| NullBuffer::new(BooleanBuffer::new(Buffer::from(bits), 0, rows)));
    Ok(Arc::new(StringArray::try_new(offsets, Buffer::from(column.values), nulls)?))
}

fn hash(column: &Column, hasher: &mut DefaultHasher) {
    (&column.validity, &column.offsets, &column.values).hash(hasher);
}
