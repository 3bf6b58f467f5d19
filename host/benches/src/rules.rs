//! What WebAssembly costs a rule: a chain of four over a million rows, as components run by the host, each on a thread of
//! its own, and the same rules compiled into this program, one after the other. Each is run in turn; answers are compared
//! before any time is printed.

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

/// As many as the host gives its rules at once.
const BATCH: usize = 8192;
const TIMES: usize = 5;
/// Of the same rules compiled natively.
const AIM: f64 = 2.0;
const COLUMNS: [&str; 3] = ["name", "email", "specialty"];

/// Names, as people enter them.
const NAMES: [&str; 6] = [
    "Ana Souza",
    "  MARIA DA SILVA ",
    "joão  pereira",
    "Conceic\u{327}a\u{303}o Lima",
    "Ronald McDonald",
    "RUI D'ÁVILA",
];

/// A rule's plugin, itself compiled natively, and its config.
type Link = (&'static str, Component, Value);

fn chain() -> [Link; 4] {
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

/// What a pass through the chain took, and what it came to.
struct Pass {
    /// In the rules, each by itself.
    times: [Duration; 4],
    /// From the first batch to the last.
    time: Duration,
    /// Remarks made, and a hash of the columns.
    facts: (usize, u64),
}

pub(crate) fn run(rows: usize) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let batches = batches(rows)?;
    let (mut components, mut natives) = (Vec::new(), Vec::new());
    for _ in 0..TIMES {
        natives.push(native(&batches)?);
        components.push(component(&runtime, &batches)?);
    }
    for pass in natives.iter().chain(&components) {
        if pass.facts != natives[0].facts {
            return Err(format!("the chains differ: {:?} and {:?}", pass.facts, natives[0].facts).into());
        }
    }
    println!("\nfour rules over {rows} rows: as components, and compiled natively, medians of {TIMES}");
    println!("{:<14}{:>13}{:>11}{:>8}", "", "component s", "native s", "ratio");
    let line = |name: &str, of: &dyn Fn(&Pass) -> f64| {
        let median_of = |passes: &[Pass]| median(passes.iter().map(of).collect());
        let ratio =
            median(components.iter().zip(&natives).map(|(component, native)| of(component) / of(native)).collect());
        println!("{name:<14}{:>13.3}{:>11.3}{ratio:>8.2}", median_of(&components), median_of(&natives));
    };
    for (index, (name, ..)) in chain().iter().enumerate() {
        line(name, &|pass| pass.times[index].as_secs_f64());
    }
    line("sum", &|pass| pass.times.iter().sum::<Duration>().as_secs_f64());
    line("whole chain", &|pass| pass.time.as_secs_f64());
    println!("aim: {AIM} or less of the whole chain; rules beside each other share this machine's cores");
    Ok(())
}

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

/// Through the components, as the host runs them.
fn component(runtime: &tokio::runtime::Runtime, batches: &[RecordBatch]) -> Result<Pass> {
    let mut runs: Vec<RuleRun> = Vec::new();
    for (plugin, _, config) in chain() {
        let map = (MAP.to_owned(), root().join("sql/seeds/specialty_map.csv"));
        let files = [map].into_iter().filter(|_| plugin == "canonicalize").collect();
        runs.push(runtime.block_on(plugins::open(plugin, Grants { files, ..Grants::default() }, &config, &COLUMNS))?);
    }
    let (mut times, mut remarks, mut hasher) = ([Duration::ZERO; 4], 0, DefaultHasher::new());
    let started = Instant::now();
    let workers = runs.iter_mut().zip(&mut times).map(|(run, time)| {
        move |(batch, remarks): (RecordBatch, usize)| {
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
            Ok((batch.map_err(|cause| Error::internal(cause.to_string()))?, remarks + patch.notes.len()))
        }
    });
    pipe(
        workers,
        |give| batches.iter().try_for_each(|batch| give((batch.clone(), 0))),
        |(batch, of_batch)| {
            remarks += of_batch;
            lower(&batch).iter().for_each(|column| hash(column, &mut hasher));
            Ok(())
        },
    )?;
    Ok(Pass { times, time: started.elapsed(), facts: (remarks, hasher.finish()) })
}

/// Through the same rules in this program, from Arrow to Arrow as well: what the components cost beyond it is WebAssembly.
fn native(batches: &[RecordBatch]) -> Result<Pass> {
    let map = std::fs::read_to_string(root().join("sql/seeds/specialty_map.csv"))?;
    let [name, email, specialty] = COLUMNS.map(Field::text);
    let fields = [Field::text("id"), name, email, specialty];
    let mut opened: Vec<Opened> = Vec::new();
    for (plugin, component, config) in chain() {
        let trial = Trial::new(component, Schema::new(fields.to_vec(), &["id"]));
        let trial = if plugin == "canonicalize" { trial.file(MAP, &map) } else { trial };
        opened.push(trial.open(config).map_err(|error| error.message)?);
    }
    let (mut times, mut remarks, mut hasher) = ([Duration::ZERO; 4], 0, DefaultHasher::new());
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
            remarks += patch.notes.len();
        }
        lower(&batch).iter().for_each(|column| hash(column, &mut hasher));
    }
    Ok(Pass { times, time: times.iter().sum(), facts: (remarks, hasher.finish()) })
}

/// Text columns as rules have them.
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

/// A rule's text column as Arrow's, offsets and text checked.
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
