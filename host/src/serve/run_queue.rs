//! Starts runs: a pipeline has one active run at most, and a warehouse does one run after the other.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;

use host_core::clock::Clock;
use host_core::error::{Error, Result};
use host_ledger::runs::{self, RunSummary, Trigger};
use host_warehouse::Warehouse;

use super::active_run::{ActiveRun, NewRun, RunRequest, StopReason};
use super::alerts::AlertSender;
use super::api_error::{ApiError, ApiResult};
use super::events::{EventBroadcast, ServerEventKind};
use super::run_registry::RunRegistry;
use super::served_pipeline::ServedPipeline;
use super::worker::{Job, work};
use crate::pipeline::InterruptedPolicy;

/// How many runs of a pipeline in a row may end with their process. A run that crashes the server would otherwise crash it
/// on every start.
const MAX_DEATHS: u64 = 3;

/// The runs of all pipelines.
pub(super) struct RunQueue {
    registry: Arc<RunRegistry>,
    /// By the warehouse's file; empty once the server shuts down.
    workers: Mutex<BTreeMap<PathBuf, Worker>>,
}

/// The thread of a warehouse.
struct Worker {
    jobs: mpsc::Sender<Job>,
    thread: JoinHandle<()>,
}

impl RunQueue {
    /// Starts a thread for each warehouse.
    ///
    /// # Errors
    /// A warehouse that cannot be read.
    pub(super) fn new(
        pipelines: &[Arc<ServedPipeline>],
        clock: Clock,
        events: EventBroadcast,
        alerts: AlertSender,
    ) -> Result<Self> {
        let warehouses: BTreeMap<_, _> =
            pipelines.iter().map(|served| (served.warehouse.path().to_path_buf(), &served.warehouse)).collect();
        let mut last_id = None;
        for warehouse in warehouses.values() {
            last_id = last_id.max(runs::last_load_id(&warehouse.connect()?)?);
        }
        let registry = Arc::new(RunRegistry::new(clock, events, alerts, last_id));
        let mut workers = BTreeMap::new();
        for path in warehouses.into_keys() {
            let (jobs, queue) = mpsc::channel();
            let registry = Arc::clone(&registry);
            let thread = std::thread::Builder::new().name("runs".to_owned()).spawn(move || work(&queue, &registry));
            let thread =
                thread.map_err(|cause| Error::internal(format!("cannot start the thread of runs: {cause}")))?;
            workers.insert(path, Worker { jobs, thread });
        }
        Ok(Self { registry, workers: Mutex::new(workers) })
    }

    /// Starts a run, or queues it until its warehouse is free. Returns its id.
    ///
    /// # Errors
    /// A pipeline that has an active run, and a server that shuts down.
    pub(super) fn start(
        &self,
        served: &Arc<ServedPipeline>,
        trigger: Trigger,
        request: RunRequest,
    ) -> ApiResult<String> {
        let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        let worker =
            workers.get(served.warehouse.path()).ok_or_else(|| ApiError::conflict("the server is shutting down"))?;
        let mut active = self.registry.lock();
        let pipeline = served.name();
        if let Some(other) = active.by_pipeline.get(pipeline) {
            let error = ApiError::conflict(format!("run {} of pipeline `{pipeline}` is active", other.id));
            return Err(error.hint("wait until it ends, or cancel it"));
        }
        let id = self.registry.clock.load_id(active.last_id.as_deref());
        let run = NewRun { id: id.clone(), pipeline, trigger, request };
        let run = Arc::new(ActiveRun::new(run, self.registry.clock, self.registry.events.clone()));
        self.registry.events.publish(ServerEventKind::Run, &run.view());
        let job = Job { served: Arc::clone(served), run: Arc::clone(&run) };
        worker.jobs.send(job).map_err(|_| Error::internal("the thread of runs ended"))?;
        active.last_id = Some(id.clone());
        active.by_pipeline.insert(pipeline.to_owned(), run);
        Ok(id)
    }

    /// The active runs by pipeline.
    pub(super) fn active(&self) -> BTreeMap<String, Arc<ActiveRun>> {
        self.registry.lock().by_pipeline.clone()
    }

    /// The active run of this id.
    pub(super) fn find(&self, id: &str) -> Option<Arc<ActiveRun>> {
        self.registry.lock().by_pipeline.values().find(|run| run.id == id).cloned()
    }

    /// The events of all runs.
    pub(super) fn events(&self) -> &EventBroadcast {
        &self.registry.events
    }

    /// The sender of alerts.
    pub(super) fn alerts(&self) -> &AlertSender {
        &self.registry.alerts
    }

    /// Marks the runs whose process died as interrupted, and starts those again whose pipeline says so.
    ///
    /// # Errors
    /// A warehouse that cannot be read or written.
    pub(super) fn resume(&self, pipelines: &[Arc<ServedPipeline>]) -> Result<()> {
        let mut seen = Vec::new();
        for first in pipelines {
            if seen.contains(&first.warehouse.path()) {
                continue;
            }
            seen.push(first.warehouse.path());
            let warehouse = first.warehouse.connect()?;
            for record in runs::interrupt(&warehouse, None)? {
                let is_its = |served: &&Arc<ServedPipeline>| served.name() == record.summary.pipeline;
                let Some(served) = pipelines.iter().find(is_its) else { continue };
                let may_resume = served.loaded.pipeline.file.pipeline.interrupted == InterruptedPolicy::Resume;
                // An erasure that was interrupted is completed by the next run.
                if !may_resume || record.summary.command == "forget" {
                    continue;
                }
                let deaths = runs::deaths_in_a_row(&warehouse, served.name())?;
                if deaths >= MAX_DEATHS {
                    give_up(&warehouse, &record.summary, deaths)?;
                    continue;
                }
                // A run that is active by now does the same.
                let _ = self.start(served, Trigger::Resume, RunRequest::of_record(&record));
            }
        }
        Ok(())
    }

    /// Stops all runs and waits until they end. Blocks the thread.
    pub(super) fn close(&self) {
        let workers = std::mem::take(&mut *self.workers.lock().unwrap_or_else(PoisonError::into_inner));
        self.active().values().for_each(|run| run.stop(StopReason::Shutdown));
        for Worker { jobs, thread } in workers.into_values() {
            drop(jobs);
            // A thread that panicked has ended too.
            let _ = thread.join();
        }
    }
}

/// Leaves a run interrupted, and says so in its record and in the log.
fn give_up(warehouse: &Warehouse, run: &RunSummary, deaths: u64) -> Result<()> {
    let RunSummary { run, pipeline, .. } = run;
    let message = format!("the process ended during the run, as in {deaths} runs in a row: it is not resumed");
    let hint = format!(
        "the log of the server may say why it ended; a lack of memory is one reason. Then start a run of pipeline \
         `{pipeline}` by hand"
    );
    tracing::error!(pipeline, run, "run {run} of pipeline `{pipeline}`: {message}\nhint: {hint}");
    runs::give_up(warehouse, run, &message, &hint)
}
