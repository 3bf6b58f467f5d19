//! The tables at the end of a report: the results of the pipeline's own queries.

use host_core::error::{Error, Result};
use host_warehouse::{QUERY_TIME, Row, Warehouse};

use crate::pipeline::ReportSettings;

/// A table at the end of a report.
#[derive(Debug, serde::Serialize)]
pub struct ReportTable {
    /// Its title.
    pub title: String,
    /// The tables that its query reads.
    pub reads: Vec<String>,
    /// Its rows, values by column.
    pub rows: Vec<Row>,
    /// What the figures mean, from the pipeline.
    pub meaning: Option<String>,
}

/// The tables at the end of a report.
///
/// # Errors
/// The first query that fails.
pub fn tables(warehouse: &Warehouse, reports: &[ReportSettings]) -> Result<Vec<ReportTable>> {
    let table = |report: &ReportSettings| {
        let on = |error: Error| error.on(format!("report `{}`", report.title));
        let reads = host_models::reads(&report.query, warehouse).map_err(on)?;
        let rows = warehouse.read_bounded(QUERY_TIME, || warehouse.query(&report.query, ())).map_err(on)?;
        Ok(ReportTable { title: report.title.clone(), reads, rows, meaning: report.meaning.clone() })
    };
    reports.iter().map(table).collect()
}
