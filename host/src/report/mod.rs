//! The report of a run, as data. `render` turns it into text.

mod compare;
mod quality;
mod reconcile;
mod tables;

use std::path::PathBuf;

use host_models::BuildReport;

use crate::clean::CleanSummary;
use crate::extract::ExtractSummary;
use crate::prepare::SkippedStream;

pub use compare::{Difference, TableComparison, compare};
pub use quality::{ColumnSums, RecordHistory, RuleQuality, StreamQuality, find_record, quality, record_history};
pub use reconcile::{RowCounts, reconcile};
pub use tables::{ReportTable, tables};

/// The report of a run.
#[derive(Debug, serde::Serialize)]
pub struct Report {
    /// The run's id.
    pub load_id: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// Whether a stream that the pipeline names was skipped, or its first load is not complete.
    pub is_partial: bool,
    /// Streams that could not be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<SkippedStream>,
    /// What was read from each stream.
    pub extracted: Vec<ExtractSummary>,
    /// What cleaning did.
    pub cleaned: Vec<CleanSummary>,
    /// What was built. None if the pipeline has no models.
    pub built: Option<BuildReport>,
    /// Warnings of the run as a whole.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Raw = clean + merged + rejected, by stream.
    pub reconciliation: Vec<RowCounts>,
    /// The tables at the end of the report.
    pub tables: Vec<ReportTable>,
    /// The warehouse's file.
    pub warehouse: PathBuf,
    /// Duration in seconds.
    pub seconds: f64,
}

impl Report {
    /// All warnings. A warning about a stream starts with its name.
    #[must_use]
    pub fn all_warnings(&self) -> Vec<String> {
        let mut all = self.warnings.clone();
        all.extend(self.built.iter().flat_map(|built| built.warnings.iter().cloned()));
        let extracted = self.extracted.iter().map(|stream| (&stream.stream, &stream.warnings));
        let cleaned = self.cleaned.iter().map(|stream| (&stream.stream, &stream.warnings));
        for (stream, warnings) in extracted.chain(cleaned) {
            all.extend(warnings.iter().map(|warning| format!("{stream}: {warning}")));
        }
        let skipped = self.skipped.iter();
        all.extend(skipped.map(|skipped| format!("skipped {}: {}", skipped.stream, skipped.error.message())));
        all
    }
}
