//! The worst case of a rule of table scope: `dedupe` on records that all match. It has to skip the group with notes,
//! and stay within a plugin's memory limit.

use std::sync::Arc;
use std::time::Instant;

use duckdb::arrow::array::{ArrayRef, RecordBatch, StringArray};
use host::plugin::Grants;
use serde_json::json;

use crate::{Result, plugins};

const BATCH: usize = 8192;
/// The memory limit of a plugin.
const LIMIT_MB: usize = 1024;

pub(crate) fn run(records: usize) -> Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(group(records))
}

async fn group(records: usize) -> Result<()> {
    let config = json!({ "matches": [{ "same": { "email": "email" } }] });
    let mut run = plugins::open("dedupe", Grants::default(), &config, &["email"]).await?;
    let opened = run.memory();
    let started = Instant::now();
    for from in (0..records).step_by(BATCH) {
        let rows = from..records.min(from + BATCH);
        let column = |name: &String| -> ArrayRef {
            let text = |row: usize| if name == "id" { row.to_string() } else { "nao@tem.com.br".to_owned() };
            Arc::new(rows.clone().map(|row| Some(text(row))).collect::<StringArray>())
        };
        let batch = RecordBatch::try_from_iter(run.plan.reads.iter().map(|name| (name, column(name))))?;
        run.apply(&batch).await?;
    }
    let (mut notes, mut others) = (Vec::new(), 0);
    while let Some(verdicts) = run.finish().await? {
        others += usize::from(verdicts.merged_into.is_some()) + verdicts.patch.set.len() + verdicts.patch.rejects.len();
        notes.extend(verdicts.patch.notes);
    }
    let guarded = format!("{records} records look like duplicates of each other");
    let is_guard = |note: &host::plugin::Note| note.code == "large_group" && note.message.starts_with(&guarded);
    if others > 0 || notes.is_empty() || !notes.iter().all(is_guard) {
        return Err(format!(
            "dedupe did not skip the group of {records} records: {others} verdicts, {} notes",
            notes.len()
        )
        .into());
    }
    let used = run.memory() - opened;
    println!("\ndedupe on one group of {records} matching records: skipped, with a note on {} of them", notes.len());
    println!(
        "{:.1} s, guest memory {} MB of {LIMIT_MB}, {} bytes per record",
        started.elapsed().as_secs_f64(),
        run.memory() >> 20,
        used / records.max(1)
    );
    Ok(())
}
