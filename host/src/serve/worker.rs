//! Executes the runs of one warehouse, one after the other. Each has a thread and a runtime of its own, so that no page
//! waits for what a run waits for.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use host_core::error::{Error, Kind, Result};
use host_core::progress::Progress;
use host_core::secret::redact;
use host_ledger::log;
use host_ledger::runs::{self, RunEnd, RunStart, RunStatus};
use host_models::{BuildReport, BuildRequest};
use host_warehouse::Warehouse;
use tracing::Instrument as _;

use super::active_run::{ActiveRun, RunRequest, StartAt, StopReason};
use super::alerts::EndedRun;
use super::events::ServerEventKind;
use super::run_registry::RunRegistry;
use super::served_pipeline::ServedPipeline;
use crate::logs::RunLog;
use crate::report::Report;
use crate::run::{self, LoadRequest, ServerContext, Session, StepRetry};

/// How often the lines of a run's log are stored.
const STORE_INTERVAL: Duration = Duration::from_secs(1);

/// A run to do.
pub(super) struct Job {
    pub(super) served: Arc<ServedPipeline>,
    pub(super) run: Arc<ActiveRun>,
}

/// What a run produced, as JSON stores it.
#[derive(serde::Serialize)]
#[serde(untagged)]
enum RunOutcome {
    /// Streams were cleaned, and loaded first if the request asked for it.
    Report(Box<Report>),
    /// Only models were built.
    Models {
        /// What was built.
        built: Box<BuildReport>,
    },
}

impl RunOutcome {
    fn status(&self) -> RunStatus {
        match self {
            Self::Report(report) if report.is_partial => RunStatus::Partial,
            Self::Report(_) | Self::Models { .. } => RunStatus::Ok,
        }
    }

    /// The streams that were skipped.
    fn message(&self) -> Option<String> {
        let Self::Report(report) = self else { return None };
        let skipped: Vec<_> = report.skipped.iter().map(|skipped| skipped.stream.as_str()).collect();
        (!skipped.is_empty()).then(|| format!("skipped {}", skipped.join(", ")))
    }
}

/// Does the jobs of a channel until it is closed.
pub(super) fn work(jobs: &mpsc::Receiver<Job>, registry: &Arc<RunRegistry>) {
    for Job { served, run } in jobs {
        let log = capture_log(&run, registry);
        let status = do_run(&served, &run, registry).unwrap_or_else(|error| {
            // Nothing can be stored in this warehouse: the log of the process and open pages are all that is left.
            run.span.in_scope(|| tracing::error!("the run cannot be recorded: {}", error.message()));
            RunStatus::Failed
        });
        drop(log);
        served.warehouse.count_ended_run();
        registry.remove(&run);
        let mut view = run.view();
        view.status = status;
        registry.events.publish(ServerEventKind::Run, &view);
    }
}

/// Captures what is logged in the span of a run, as lines of its log.
fn capture_log(run: &Arc<ActiveRun>, registry: &RunRegistry) -> RunLog {
    let captured = Arc::clone(run);
    RunLog::capture(&run.id, registry.clock, move |line| captured.add_line(line))
}

/// Does a run and records its start and its end. Returns how it ended.
fn do_run(served: &Arc<ServedPipeline>, run: &Arc<ActiveRun>, registry: &Arc<RunRegistry>) -> Result<RunStatus> {
    let ledger = served.warehouse.connect()?;
    record_start(&ledger, run)?;
    run.start();
    let outcome = match run.stop_reason() {
        Some(_) => Err(Error::stopped()),
        None => on_own_thread(served, run, registry, &ledger),
    };
    run.settle_nodes(outcome.as_ref().err());
    let end = run_end(run, served, &outcome)?;
    log_end(run, &end);
    let status_before = runs::status_before(&ledger, &run.pipeline, &run.id)?;
    runs::end(&ledger, &run.id, &end)?;
    log::write(&ledger, &run.id, &run.take_unstored_lines())?;
    let ended = EndedRun { id: &run.id, end: &end, status_before };
    registry.alerts.on_run_end(served, &ended, &ledger, registry.clock.now());
    Ok(end.status)
}

fn record_start(ledger: &Warehouse, run: &ActiveRun) -> Result<()> {
    let request = serde_json::to_string(&run.request).map_err(Error::internal)?;
    let (pipeline, command, trigger) = (run.pipeline.as_str(), run.request.command(), run.trigger);
    let (load_id, request) = (run.id.as_str(), Some(request));
    runs::start(ledger, &RunStart { load_id, pipeline, command, trigger: Some(trigger), request })?;
    run.span.in_scope(|| tracing::info!(command, trigger = trigger.name(), "run started"));
    Ok(())
}

/// Does a run on a thread that may panic, and stores its log meanwhile.
fn on_own_thread(
    served: &Arc<ServedPipeline>,
    run: &Arc<ActiveRun>,
    registry: &Arc<RunRegistry>,
    ledger: &Warehouse,
) -> Result<RunOutcome> {
    let watcher = std::thread::current();
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("run".to_owned()).spawn_scoped(scope, || {
            let outcome = on_own_runtime(served, run, registry);
            watcher.unpark();
            outcome
        });
        let thread = thread.map_err(|cause| Error::internal(format!("cannot start the thread of a run: {cause}")))?;
        while !thread.is_finished() {
            std::thread::park_timeout(STORE_INTERVAL);
            // The run matters more than its log.
            let _ = log::write(ledger, &run.id, &run.take_unstored_lines());
        }
        thread.join().unwrap_or_else(|_| Err(Error::internal("the run panicked")))
    })
}

fn on_own_runtime(served: &ServedPipeline, run: &Arc<ActiveRun>, registry: &RunRegistry) -> Result<RunOutcome> {
    let settings = &served.loaded.pipeline.file.pipeline;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime =
        runtime.map_err(|cause| Error::internal(format!("cannot start the async runtime of a run: {cause}")))?;
    let warehouse = served.warehouse.connect()?;
    let observer = Arc::clone(run);
    let progress = Progress::new(move |event| observer.on_progress(&event));
    let first_delay = Duration::from_secs(settings.retry_wait_seconds.into());
    let retry = StepRetry { times: settings.retries, first_delay };
    let server = ServerContext { warehouse: Some(&warehouse), load_id: Some(&run.id), retry };
    let session = Session { server, ..served.session(&warehouse, &progress, run.stop_token(), registry.clock) };
    let work = async {
        if let Some(seconds) = settings.timeout_seconds {
            let run = Arc::clone(run);
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_secs(seconds.into())).await;
                run.stop(StopReason::TimedOut);
            });
        }
        perform(&session, &run.request).await
    };
    runtime.block_on(work.instrument(run.span.clone()))
}

async fn perform(session: &Session<'_>, request: &RunRequest) -> Result<RunOutcome> {
    let RunRequest { full_refresh, since, streams, start_at } = request;
    let report = match start_at {
        StartAt::Start => {
            let timezone = &session.pipeline.file.pipeline.timezone;
            let since = since.as_deref().map(|since| run::parse_since(since, timezone)).transpose()?;
            let request = LoadRequest { select: streams.clone(), full_refresh: *full_refresh, since };
            run::run(session, &request).await?
        }
        StartAt::Clean => run::clean(session, *full_refresh).await?,
        StartAt::Models | StartAt::Failed => {
            let retry = *start_at == StartAt::Failed;
            let request = BuildRequest { full_refresh: *full_refresh, retry, ..BuildRequest::default() };
            let (built, _) = run::build(session, &request)?;
            built.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
            return Ok(RunOutcome::Models { built: Box::new(built) });
        }
    };
    Ok(RunOutcome::Report(Box::new(report)))
}

/// The end of a run as the ledger stores it, without secrets.
fn run_end(run: &ActiveRun, served: &ServedPipeline, outcome: &Result<RunOutcome>) -> Result<RunEnd> {
    let nodes = Some(run.nodes());
    let error = match outcome {
        Ok(outcome) => {
            let report = serde_json::to_string(outcome).map_err(Error::internal)?;
            let (message, report) = (outcome.message(), Some(redact(report)));
            return Ok(RunEnd { message, report, nodes, ..RunEnd::new(outcome.status()) });
        }
        Err(error) => error,
    };
    let (status, message) = match run.stop_reason().filter(|_| error.kind == Kind::Interrupted) {
        Some(StopReason::Cancelled) => (RunStatus::Cancelled, "the run was cancelled".to_owned()),
        Some(StopReason::Shutdown) => (RunStatus::Interrupted, "the server was stopped".to_owned()),
        Some(StopReason::TimedOut) => {
            let seconds = served.loaded.pipeline.file.pipeline.timeout_seconds.unwrap_or_default();
            (RunStatus::Failed, format!("the run took more than {seconds} s (`timeout_seconds`)"))
        }
        None => (RunStatus::Failed, error.message()),
    };
    let hint = error.hint_text();
    Ok(RunEnd { message: Some(message), hint, step: run.step(), nodes, ..RunEnd::new(status) })
}

/// Logs the end of a run. The message and the hint have no secrets.
fn log_end(run: &ActiveRun, end: &RunEnd) {
    let RunEnd { status, message, hint, .. } = end;
    let message = message.as_deref().unwrap_or_default();
    let hint = hint.as_ref().map(|hint| format!("\nhint: {}", hint.replace('\n', "\nhint: "))).unwrap_or_default();
    run.span.in_scope(|| match status {
        RunStatus::Failed => tracing::error!("run failed: {message}{hint}"),
        RunStatus::Cancelled | RunStatus::Interrupted => tracing::warn!("run stopped: {message}"),
        _ => tracing::info!(status = status.name(), "run ended"),
    });
}
