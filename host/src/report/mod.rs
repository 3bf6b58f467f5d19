//! What a run did and what it means: gathered here, printed by `text` or as JSON.

mod quality;
mod text;

use std::path::PathBuf;

use crate::clean::Cleaned;
use crate::error::{Error, Result};
use crate::extract::Extracted;
use crate::marts::{self, Built};
use crate::pipeline;
use crate::prepare::Skipped;
use crate::warehouse::{Row, Table, Warehouse};

pub use quality::{Amounts, RecordStory, RuleQuality, StreamQuality, find, quality, record};
pub use text::print;

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
#[derive(Debug, serde::Serialize)]
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
    let mut reconciled = Vec::new();
    for stream in warehouse.loaded_streams()? {
        let name = stream.name();
        let count = |sql: &str, parameters: &[&str]| -> Result<u64> {
            let count = warehouse.value(sql, parameters)?;
            Ok(count.and_then(|count| count.parse().ok()).unwrap_or_default())
        };
        let rows = |table: Table| count(&format!("SELECT count(*) FROM {table}"), &[]);
        let journal = |table: &str| count(&format!("SELECT count(*) FROM _host.{table} WHERE stream = ?"), &[&name]);
        let found = Reconciled {
            raw: rows(Table::raw(&stream.source, &stream.stream))?,
            clean: rows(Table::clean(&stream.source, &stream.stream))?,
            merged: journal("merges")?,
            rejected: journal("rejects")?,
            stream: name,
        };
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
