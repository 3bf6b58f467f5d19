//! What a run did and what it means: gathered here, printed by `text` or as JSON.

mod compare;
mod quality;
mod text;

use std::path::PathBuf;

use crate::clean::Cleaned;
use crate::error::{Error, Result};
use crate::extract::Extracted;
use crate::marts::{self, Built};
use crate::pipeline;
use crate::prepare::Skipped;
use crate::warehouse::{Row, Table, Warehouse, literal};

pub use compare::{Compared, Difference, compare};
pub use quality::{Amounts, RecordStory, RuleQuality, StreamQuality, find, quality, record};
pub use text::{built_line, grouped, print, table};

/// A run's report.
#[derive(Debug, serde::Serialize)]
pub struct Report {
    /// The run's id.
    pub load_id: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// Whether a stream that the pipeline names was skipped.
    pub is_partial: bool,
    /// Streams that could not be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<Skipped>,
    /// What each stream brought.
    pub extracted: Vec<Extracted>,
    /// What cleaning did.
    pub cleaned: Vec<Cleaned>,
    /// What was built; none without marts.
    pub built: Option<Built>,
    /// What the reader should know beside what streams and models warn of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Raw = clean + merged + rejected, by stream.
    pub reconciliation: Vec<Reconciled>,
    /// The pipeline's closing tables.
    pub tables: Vec<ReportTable>,
    /// The warehouse's file.
    pub warehouse: PathBuf,
    /// Duration in seconds.
    pub seconds: f64,
}

/// A stream's rows, all accounted for.
#[derive(Debug, serde::Deserialize, serde::Serialize)]
pub struct Reconciled {
    /// `source.stream`.
    pub stream: String,
    /// Rows in the raw table.
    pub raw: u64,
    /// Rows in the clean table.
    pub clean: u64,
    /// Rows merged into others.
    pub merged: u64,
    /// Rows refused.
    pub rejected: u64,
}

/// A closing table.
#[derive(Debug, serde::Serialize)]
pub struct ReportTable {
    /// What it shows.
    pub title: String,
    /// The tables that it reads.
    pub reads: Vec<String>,
    /// Its rows, by column.
    pub rows: Vec<Row>,
    /// What the figures mean.
    pub meaning: Option<String>,
}

/// Counts every stream's rows; one that does not add up is an error.
pub fn reconcile(warehouse: &Warehouse) -> Result<Vec<Reconciled>> {
    // One query: each costs a quarter of a millisecond, however small its answer.
    let counts = warehouse.loaded_streams()?.into_iter().map(|stream| {
        let (name, raw) = (literal(&stream.name()), Table::raw(&stream.source, &stream.stream));
        let clean = Table::clean(&stream.source, &stream.stream);
        format!(
            "SELECT {name} AS stream, (SELECT count(*) FROM {raw}) AS raw, (SELECT count(*) FROM {clean}) AS clean, \
             (SELECT count(*) FROM _host.merges WHERE stream = {name}) AS merged, \
             (SELECT count(*) FROM _host.rejects WHERE stream = {name}) AS rejected"
        )
    });
    let counts = counts.collect::<Vec<_>>().join(" UNION ALL ");
    if counts.is_empty() {
        return Ok(Vec::new());
    }
    let mut reconciled = Vec::new();
    for row in warehouse.query(&format!("FROM ({counts}) ORDER BY stream"), &[])? {
        let found: Reconciled = serde_json::from_value(serde_json::Value::Object(row))
            .map_err(|cause| Error::internal(format!("the counts of a stream: {cause}")))?;
        if found.raw != found.clean + found.merged + found.rejected {
            let Reconciled { stream, raw, clean, merged, rejected } = &found;
            let message = format!(
                "`{stream}` does not reconcile: raw {raw} ≠ clean {clean} + merged {merged} + rejected {rejected}"
            );
            return Err(Error::internal(message));
        }
        reconciled.push(found);
    }
    Ok(reconciled)
}

/// The pipeline's closing tables.
pub fn tables(warehouse: &Warehouse, reports: &[pipeline::Report]) -> Result<Vec<ReportTable>> {
    let table = |report: &pipeline::Report| {
        let rows = warehouse.query(&report.query, &[]);
        let rows = rows.map_err(|error| Error::config(error.message).on(format!("report `{}`", report.title)))?;
        let reads = marts::reads(&report.query, warehouse)?;
        Ok(ReportTable { title: report.title.clone(), reads, rows, meaning: report.meaning.clone() })
    };
    reports.iter().map(table).collect()
}
