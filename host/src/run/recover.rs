//! `host recover`: opens a warehouse whose write-ahead log is damaged as it was at its last checkpoint.

use std::path::PathBuf;

use host_core::error::{Error, FaultClass, Result};
use host_ledger::recovery::{Irreplaceable, Lost};
use host_ledger::runs::{RunEnd, RunStatus, RunSummary};
use host_warehouse::Warehouse;

use super::finish::record;
use super::session::{Session, start};
use crate::erasure::{self, ErasureSummary};

/// What a recovery did.
#[derive(Debug, serde::Serialize)]
pub struct RecoveryReport {
    /// The files of the damaged log, where they are now. Empty if the warehouse opened.
    pub kept: Vec<PathBuf>,
    /// The last run that the warehouse has. None before the first.
    pub last_run: Option<RunSummary>,
    /// What the log held up to the damage and the warehouse no longer has. None if nothing of the log can be read.
    pub lost: Option<Lost>,
    /// The snapshots of the warehouse, any version of which may be lost.
    pub snapshots: Vec<String>,
    /// What was erased because the log or the warehouse says that it is forgotten.
    pub erased: ErasureSummary,
}

/// Opens the warehouse. If its write-ahead log is damaged, the log is kept beside it, and the warehouse is as it was at its
/// last checkpoint; what is forgotten is erased again. If it is not, nothing is changed.
///
/// # Errors
/// A warehouse that does not exist or that does not open for another reason; without `discard_log`, a damaged log.
pub fn recover(session: &Session<'_>, discard_log: bool) -> Result<RecoveryReport> {
    let damage = match session.existing_warehouse() {
        Ok(warehouse) => {
            let last_run = Irreplaceable::read(&warehouse)?.last_run().cloned();
            return Ok(RecoveryReport {
                kept: Vec::new(),
                last_run,
                lost: None,
                snapshots: Vec::new(),
                erased: ErasureSummary::default(),
            });
        }
        Err(error) if error.is_fault(FaultClass::DamagedLog) && discard_log => error,
        Err(error) => return Err(error),
    };
    tracing::warn!("{}", damage.message());
    let (path, memory) = (session.pipeline.warehouse(), &session.pipeline.file.pipeline.memory_limit);
    let name = session.clock.now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let opened = host_ledger::open_without_log(&path, memory, &name)?;
    let (warehouse, held) = (opened.warehouse, opened.read);
    let kept = Irreplaceable::read(&warehouse)?;
    let lost = held.as_ref().map(|held| held.missing_in(&kept));
    let run = start(session, &warehouse, "recover")?;
    let erased = erasure::erase_again(&warehouse, held.as_ref(), &run.load_id)?;
    let recovered = RecoveryReport {
        kept: opened.kept,
        last_run: kept.last_run().cloned(),
        lost,
        snapshots: kept.snapshots().map(str::to_owned).collect(),
        erased,
    };
    let message = Some(
        "the write-ahead log was damaged and discarded: the warehouse is as it was at its last checkpoint".to_owned(),
    );
    record(session, &warehouse, &run, &RunEnd { message, ..RunEnd::new(RunStatus::Ok) })?;
    close(warehouse).map(|()| recovered)
}

/// Writes everything into the file: nothing of a recovery is in a log again.
fn close(warehouse: Warehouse) -> Result<()> {
    warehouse.checkpoint().map_err(|error: Error| error.on("the recovered warehouse"))
}
