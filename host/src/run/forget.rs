//! `host forget`: erases a record and the records of the same person, or undoes that.

use host_core::error::Result;
use host_core::kill_point;
use tracing::Instrument as _;

use super::finish::{Extraction, finish};
use super::load::clean_and_build;
use super::models::checked_graph;
use super::session::{Session, start};
use crate::erasure::{self, ErasureSummary};
use crate::prepare::prepare;
use crate::report::{self, Report};

/// Erases a record, named `stream/key`, and the records of the same person from the raw and clean tables and the journal, and
/// builds the models without them.
///
/// # Errors
/// A name that is not of a record, and the first step that fails. Later runs complete the erasure then.
pub async fn forget(session: &Session<'_>, record: &str) -> Result<(ErasureSummary, Report)> {
    let rules = prepare(session.pipeline, session.engine, session.folders, false).await?.rules;
    let warehouse = session.existing_warehouse()?;
    // A record that no longer exists here or in the account may be restored later, so it is forgotten even then.
    let (stream, key) = report::find_record(&warehouse, record)?;
    let graph = checked_graph(session, &warehouse, &[], &[])?;
    let run = start(session, &warehouse, "forget")?;
    let erased = erasure::forget(&warehouse, &stream, &key, &run.load_id)?;
    kill_point("forget.erased");
    let work = clean_and_build(session, &warehouse, &rules, graph, &run.load_id, false);
    let done = work.instrument(run.span.clone()).await;
    let report = finish(session, &warehouse, &run, done.map(|done| (Extraction::default(), done)));
    let is_due = erasure::is_rewrite_due(&warehouse)?;
    // A copy may contain the record even if the tables no longer do. An erasure in the write-ahead log alone would be lost
    // with it.
    let rewritten = if is_due {
        erasure::rewrite(warehouse)
    } else {
        erasure::remove_copies(&warehouse).and_then(|()| warehouse.checkpoint())
    };
    let report = report?;
    kill_point("forget.done");
    rewritten.map(|()| (erased, report))
}

/// Undoes forgetting of a record: later loads keep it again. Returns whether it was forgotten.
///
/// # Errors
/// A name that is not of a record, and a warehouse that does not exist.
pub fn undo_forget(session: &Session<'_>, record: &str) -> Result<bool> {
    let warehouse = session.existing_warehouse()?;
    let (stream, key) = report::find_record(&warehouse, record)?;
    let is_undone = erasure::undo(&warehouse, &stream, &key)?;
    warehouse.checkpoint().map(|()| is_undone)
}
