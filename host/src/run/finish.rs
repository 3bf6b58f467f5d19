//! Ends a run: records its end or its failure in the ledger and makes its report.

use host_core::error::{Error, Kind, Result};
use host_ledger::runs::{self, RunEnd, RunStatus};
use host_ledger::streams;
use host_models::BuildReport;
use host_warehouse::Warehouse;

use super::session::{Session, StartedRun};
use crate::clean::CleanSummary;
use crate::erasure;
use crate::extract::ExtractSummary;
use crate::prepare::SkippedStream;
use crate::report::{self, Report, RowCounts};

/// What cleaning and building did.
pub(super) struct CleanedAndBuilt {
    pub(super) cleaned: Vec<CleanSummary>,
    pub(super) reconciliation: Vec<RowCounts>,
    pub(super) built: Option<BuildReport>,
}

/// What extraction did, and what was found about the streams before it. Empty for a run that reads no source.
#[derive(Default)]
pub(super) struct Extraction {
    pub(super) extracted: Vec<ExtractSummary>,
    pub(super) skipped: Vec<SkippedStream>,
    pub(super) warnings: Vec<String>,
    /// The streams that the pipeline loads, `source.stream`.
    pub(super) streams: Vec<String>,
}

/// Records the end of a run and makes its report.
pub(super) fn finish(
    session: &Session<'_>,
    warehouse: &Warehouse,
    run: &StartedRun,
    outcome: Result<(Extraction, CleanedAndBuilt)>,
) -> Result<Report> {
    let _entered = run.span.enter();
    let (extraction, done) = match outcome {
        Ok(done) => done,
        Err(error) => {
            // The failure matters more than its record.
            let _ = record_end(session, warehouse, run, Err(&error));
            return Err(error.hint(format!("run {}: committed data stays; it is safe to run again", run.load_id)));
        }
    };
    let Extraction { extracted, skipped, mut warnings, streams } = extraction;
    warnings.extend_from_slice(session.pipeline.environment.warnings());
    let mut unfinished = streams::unfinished(warehouse)?;
    unfinished.retain(|stream| stream.has_begun || streams.contains(&stream.name));
    warnings.extend(unfinished.iter().map(|stream| {
        let name = &stream.name;
        if stream.has_begun {
            format!("stream `{name}`: its first load is not complete, so figures that depend on it are incomplete; run again")
        } else {
            format!("stream `{name}` was never loaded, so figures that depend on it are incomplete; run without `--select`")
        }
    }));
    let tables = report::tables(warehouse, &session.pipeline.file.report).unwrap_or_else(|error| {
        warnings.push(error.message());
        Vec::new()
    });
    let is_partial = !unfinished.is_empty() || skipped.iter().any(|skipped| skipped.is_named);
    let names: Vec<_> = skipped.iter().map(|skipped| skipped.stream.as_str()).collect();
    let message = if names.is_empty() { String::new() } else { format!("skipped {}", names.join(", ")) };
    let end = RunEnd {
        message: Some(message).filter(|message| !message.is_empty()),
        ..RunEnd::new(if is_partial { RunStatus::Partial } else { RunStatus::Ok })
    };
    let CleanedAndBuilt { cleaned, reconciliation, built } = done;
    let report = Report {
        load_id: run.load_id.clone(),
        pipeline: session.pipeline.file.pipeline.name.clone(),
        is_partial,
        skipped,
        extracted,
        cleaned,
        built,
        warnings,
        reconciliation,
        tables,
        warehouse: warehouse.path().to_path_buf(),
        seconds: run.started.elapsed().as_secs_f64(),
    };
    report.all_warnings().iter().for_each(|warning| tracing::warn!("{warning}"));
    record(session, warehouse, run, &end)?;
    Ok(report)
}

/// Records the end of a run that makes no report.
///
/// # Errors
/// Same as [`runs::end`].
pub(super) fn record_end(
    session: &Session<'_>,
    warehouse: &Warehouse,
    run: &StartedRun,
    outcome: Result<(), &Error>,
) -> Result<()> {
    let _entered = run.span.enter();
    let end = match outcome {
        Ok(()) => RunEnd::new(RunStatus::Ok),
        Err(error) => {
            let is_stopped = error.kind == Kind::Interrupted;
            let status = if is_stopped { RunStatus::Interrupted } else { RunStatus::Failed };
            RunEnd { message: Some(error.message()), hint: error.hint_text(), ..RunEnd::new(status) }
        }
    };
    record(session, warehouse, run, &end)
}

/// Logs the end of a run and records it with its log. A server does both for its own runs.
pub(super) fn record(session: &Session<'_>, warehouse: &Warehouse, run: &StartedRun, end: &RunEnd) -> Result<()> {
    if session.server.load_id.is_some() {
        return Ok(());
    }
    let status = end.status.name();
    match &end.message {
        Some(message) if end.status == RunStatus::Failed => tracing::error!(status, "run failed: {message}"),
        Some(message) => tracing::warn!(status, "run ended: {message}"),
        None => tracing::info!(status, "run ended"),
    }
    run.write_log(warehouse)?;
    runs::end(warehouse, &run.load_id, end)
}

/// Rewrites the warehouse's file if only its free blocks may still hold erased data. A server's file is not rewritten while
/// others read it.
pub(super) fn rewrite_if_due(session: &Session<'_>, warehouse: Warehouse, mut report: Report) -> Result<Report> {
    use host_ledger::erasures::{PendingErasure, is_pending};
    let is_allowed = session.server.warehouse.is_none() && !session.stop.is_cancelled();
    if is_allowed && erasure::is_rewrite_due(&warehouse)? && !is_pending(&warehouse, PendingErasure::Models)? {
        report.warnings.extend(erasure::rewrite(warehouse).err().map(|error| error.message()));
    }
    Ok(report)
}
