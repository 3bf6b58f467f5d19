//! What all requests share: the pipelines with their warehouses, and the runs.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use host_core::clock::Clock;
use host_core::error::{Error, Result, unknown};
use host_core::progress::Progress;
use host_ledger::runs::{self, RunStatus, RunSummary};
use host_warehouse::Warehouse;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::access::ServerToken;
use super::active_run::ActiveRunView;
use super::api_error::{ApiError, ApiResult};
use super::connections::Limits;
use super::model_cache::LoadedModels;
use super::run_queue::RunQueue;
use super::served_pipeline::ServedPipeline;
use super::webhook::{Webhook, WebhookView};
use crate::run::Session;

/// What all requests share.
pub(super) struct AppState {
    /// The pipelines, in the order of the command line.
    pub(super) pipelines: Vec<Arc<ServedPipeline>>,
    /// The active runs, and the queue of each warehouse.
    pub(super) runs: RunQueue,
    /// The address that the server listens on.
    pub(super) address: SocketAddr,
    /// The token that requests need.
    pub(super) token: ServerToken,
    /// What connections may use.
    pub(super) limits: Limits,
    /// Free streams of events.
    pub(super) event_streams: Arc<Semaphore>,
    /// The source of time and ids.
    pub(super) clock: Clock,
    /// Cancelled when the server shuts down.
    pub(super) shutdown: CancellationToken,
}

/// All pipelines, as pages show them.
#[derive(serde::Serialize)]
pub(super) struct Overview<'a> {
    pipelines: Vec<PipelineOverview<'a>>,
}

#[derive(serde::Serialize)]
struct PipelineOverview<'a> {
    name: &'a str,
    path: &'a Path,
    warehouse: &'a Path,
    schedule: Option<&'a str>,
    timezone: &'a str,
    /// The next time of the schedule, RFC 3339.
    next_run: Option<String>,
    /// The status of the active run, else of the last one.
    status: Option<RunStatus>,
    last_run: Option<RunSummary>,
    #[serde(rename = "live")]
    active_run: Option<ActiveRunView>,
    alerts: Vec<WebhookView<'a>>,
}

impl AppState {
    /// The pipeline of this name, or the first one if no name is given.
    pub(super) fn pipeline(&self, name: Option<&str>) -> ApiResult<&Arc<ServedPipeline>> {
        let found = match name {
            Some(name) => self.pipelines.iter().find(|served| served.name() == name),
            None => self.pipelines.first(),
        };
        found.ok_or_else(|| {
            let names: Vec<_> = self.pipelines.iter().map(|served| served.name()).collect();
            ApiError::not_found(unknown("pipeline", name.unwrap_or_default(), names.iter().copied()))
        })
    }

    /// Reads a pipeline's warehouse as a command does, without a run.
    pub(super) async fn with_session<T: Send + 'static>(
        &self,
        served: &Arc<ServedPipeline>,
        work: impl FnOnce(&Session<'_>, &Warehouse) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (pipeline, clock, stop) = (Arc::clone(served), self.clock, self.shutdown.clone());
        let work =
            move |warehouse: &Warehouse| work(&pipeline.session(warehouse, &Progress::none(), stop, clock), warehouse);
        served.warehouse.read(work).await
    }

    /// Reads a pipeline's warehouse with its models and its dashboard.
    pub(super) async fn with_models<T: Send + 'static>(
        &self,
        served: &Arc<ServedPipeline>,
        work: impl FnOnce(Option<&LoadedModels>, &Warehouse) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let pipeline = Arc::clone(served);
        let work = move |session: &Session<'_>, warehouse: &Warehouse| {
            let models = pipeline.models.get(session, warehouse)?;
            work(models.as_deref(), warehouse)
        };
        self.with_session(served, work).await
    }

    /// Every pipeline with its status, its last run and its next one.
    ///
    /// # Errors
    /// A warehouse that cannot be read.
    pub(super) async fn overview(&self) -> Result<Overview<'_>, Error> {
        let (active, now) = (self.runs.active(), self.clock.now());
        let mut pipelines = Vec::new();
        for served in &self.pipelines {
            let name = served.name().to_owned();
            let last_run = served.warehouse.read(move |warehouse| runs::last(warehouse, &name)).await?;
            let active_run = active.get(served.name()).map(|run| run.view());
            let active_status = active_run.as_ref().map(|run| run.status);
            let next = served.schedule.as_ref().and_then(|schedule| schedule.after(now));
            let settings = &served.loaded.pipeline.file.pipeline;
            pipelines.push(PipelineOverview {
                name: &settings.name,
                path: &served.loaded.path,
                warehouse: served.warehouse.path(),
                schedule: settings.schedule.as_deref(),
                timezone: &settings.timezone,
                next_run: next.map(|next| next.to_string()),
                status: active_status.or_else(|| last_run.as_ref().map(|run| run.status)),
                last_run,
                active_run,
                alerts: served.webhooks.iter().map(Webhook::view).collect(),
            });
        }
        Ok(Overview { pipelines })
    }
}
