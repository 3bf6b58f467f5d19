//! Runs: started, listed, shown, cancelled.

use std::cmp::Reverse;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use host_core::error::Error;
use host_ledger::log::{self, LogLine};
use host_ledger::runs::{self, RunFilter, RunRecord, RunStatus, RunSummary, Trigger};
use host_ledger::steps::{self, Step, StepName};
use serde::Deserialize as _;
use serde::de::IntoDeserializer as _;
use serde::de::value::Error as StatusError;

use super::{NoParameters, QueryParameters};
use crate::run::parse_since;
use crate::serve::active_run::{ActiveRun, ActiveRunView, RunRequest, StartAt, StopReason};
use crate::serve::api_error::{ApiError, ApiResult};
use crate::serve::app_state::AppState;
use crate::serve::served_pipeline::ServedPipeline;
use crate::serve::shared_warehouse::SharedWarehouse;

/// Runs of a page.
const PAGE_SIZE: u32 = 50;
/// The last page.
const MAX_PAGE: u32 = 10_000;
/// The longest id that is looked up, in bytes.
const MAX_ID_BYTES: usize = 64;

pub(super) fn routes() -> Router<Arc<AppState>> {
    Router::new()
        .route("/api/pipelines/{name}/runs", post(start))
        .route("/api/runs", get(list))
        .route("/api/runs/{id}", get(show))
        .route("/api/runs/{id}/cancel", post(cancel))
}

/// The id of a run.
#[derive(serde::Serialize)]
struct RunId {
    run: String,
}

async fn start(
    State(state): State<Arc<AppState>>,
    Path(name): Path<String>,
    _: QueryParameters<NoParameters>,
    body: Bytes,
) -> ApiResult<Json<RunId>> {
    let served = state.pipeline(Some(&name))?;
    let request: RunRequest = if body.is_empty() {
        RunRequest::default()
    } else {
        serde_json::from_slice(&body).map_err(|cause| ApiError::bad_request(format!("request body: {cause}")))?
    };
    let request = if request.start_at == StartAt::Failed { retry_request(served).await? } else { request };
    check(&request, served)?;
    let run = state.runs.start(served, Trigger::Manual, request)?;
    Ok(Json(RunId { run }))
}

fn check(request: &RunRequest, served: &ServedPipeline) -> ApiResult<()> {
    if request.full_refresh && request.since.is_some() {
        return Err(
            ApiError::bad_request("`full_refresh` reads everything, so `since` has no effect").hint("give one of them")
        );
    }
    if let Some(since) = &request.since {
        let timezone = &served.loaded.pipeline.file.pipeline.timezone;
        parse_since(since, timezone).map_err(|error| error.on("`since`"))?;
    }
    if request.start_at != StartAt::Start && (request.since.is_some() || !request.streams.is_empty()) {
        return Err(ApiError::bad_request("`since` and `streams` need a run that loads").hint("leave out `from`"));
    }
    Ok(())
}

/// The request that continues where the last run failed.
async fn retry_request(served: &Arc<ServedPipeline>) -> ApiResult<RunRequest> {
    let name = served.name().to_owned();
    let last = served.warehouse.read(move |warehouse| match runs::last(warehouse, &name)? {
        Some(last) => runs::read(warehouse, &last.run),
        None => Ok(None),
    });
    let has_failed = |run: &RunRecord| {
        matches!(run.summary.status, RunStatus::Failed | RunStatus::Cancelled | RunStatus::Interrupted)
    };
    let Some(last) = last.await?.filter(has_failed) else {
        return Err(ApiError::conflict("the last run did not fail").hint("leave out `from`"));
    };
    Ok(match last.summary.step {
        Some(StepName::Models) => RunRequest { start_at: StartAt::Failed, ..RunRequest::default() },
        Some(StepName::Clean) => RunRequest { start_at: StartAt::Clean, ..RunRequest::default() },
        Some(StepName::Prepare | StepName::Extract) | None => RunRequest::of_record(&last),
    })
}

/// Which runs are listed.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// All pipelines if empty.
    #[serde(default)]
    pipeline: String,
    /// Empty means all statuses.
    #[serde(default)]
    status: String,
    /// From 1.
    #[serde(default)]
    page: u32,
}

/// A page of runs, the newest first.
#[derive(serde::Serialize)]
struct RunList {
    runs: Vec<RunSummary>,
    page: u32,
    page_size: u32,
    total: u64,
}

async fn list(
    State(state): State<Arc<AppState>>,
    QueryParameters(query): QueryParameters<ListQuery>,
) -> ApiResult<Json<RunList>> {
    let ListQuery { pipeline, status, page } = query;
    if !pipeline.is_empty() {
        state.pipeline(Some(&pipeline))?;
    }
    let status = parse_status(&status)?;
    let page = page.clamp(1, MAX_PAGE);
    // Any run of the page may be in any of the warehouses.
    let (mut runs, mut total): (Vec<RunSummary>, u64) = Default::default();
    for warehouse in warehouses(&state) {
        let pipeline = pipeline.clone();
        let found = warehouse.read(move |warehouse| {
            let filter = RunFilter { pipeline: &pipeline, status: status.map_or("", RunStatus::name) };
            Ok((runs::list(warehouse, &filter, page * PAGE_SIZE)?, runs::count(warehouse, &filter)?))
        });
        let (found, count) = found.await?;
        runs.extend(found);
        total += count;
    }
    let is_listed = |run: &ActiveRun| {
        (pipeline.is_empty() || pipeline == run.pipeline) && status.is_none_or(|status| status == run.status())
    };
    // A queued run is not recorded yet, one may have started since the ledger was read, and a stopping one is recorded as
    // running.
    for active in state.runs.active().values() {
        match runs.iter_mut().find(|run| run.run == active.id) {
            Some(run) => run.status = active.status(),
            None if is_listed(active) => {
                runs.push(active.summary());
                total += 1;
            }
            None => {}
        }
    }
    runs.sort_by(|a, b| Reverse(&a.run).cmp(&Reverse(&b.run)));
    let first = ((page - 1) * PAGE_SIZE) as usize;
    let runs = runs.into_iter().skip(first).take(PAGE_SIZE as usize).collect();
    Ok(Json(RunList { runs, page, page_size: PAGE_SIZE, total }))
}

/// The status that a query names; none if it is empty.
fn parse_status(name: &str) -> ApiResult<Option<RunStatus>> {
    if name.is_empty() {
        return Ok(None);
    }
    let status: Result<_, StatusError> = RunStatus::deserialize(name.into_deserializer());
    status.map(Some).map_err(|cause| ApiError::bad_request(format!("`status`: {cause}")))
}

/// The warehouses, each once.
fn warehouses(state: &AppState) -> Vec<Arc<SharedWarehouse>> {
    let mut all: Vec<Arc<SharedWarehouse>> = Vec::new();
    for served in &state.pipelines {
        if !all.iter().any(|known| Arc::ptr_eq(known, &served.warehouse)) {
            all.push(Arc::clone(&served.warehouse));
        }
    }
    all
}

/// A run with its steps and its log.
#[derive(serde::Serialize)]
struct RunDetail {
    run: RunView,
    steps: Vec<Step>,
    log: Vec<LogLine>,
}

/// A run as the ledger has it, or a queued one that is not recorded yet.
#[derive(serde::Serialize)]
#[serde(untagged)]
enum RunView {
    Recorded(Box<RunRecord>),
    Queued(Box<ActiveRunView>),
}

async fn show(
    State(state): State<Arc<AppState>>,
    Path(id): Path<String>,
    _: QueryParameters<NoParameters>,
) -> ApiResult<Json<RunDetail>> {
    if id.len() > MAX_ID_BYTES {
        return Err(ApiError::not_found(Error::config("not a run id: expected 26 letters and digits")));
    }
    let active = state.runs.find(&id);
    for warehouse in warehouses(&state) {
        let run = id.clone();
        let found = warehouse.read(move |warehouse| {
            let Some(record) = runs::read(warehouse, &run)? else { return Ok(None) };
            Ok(Some((record, steps::of_run(warehouse, &run)?, log::read(warehouse, &run)?)))
        });
        let Some((mut record, steps, stored_log)) = found.await? else { continue };
        let log = match &active {
            Some(active) => {
                update(&mut record, active.view())?;
                active.log()
            }
            None => stored_log,
        };
        return Ok(Json(RunDetail { run: RunView::Recorded(Box::new(record)), steps, log }));
    }
    match active {
        Some(active) => {
            let run = RunView::Queued(Box::new(active.view()));
            Ok(Json(RunDetail { run, steps: Vec::new(), log: active.log() }))
        }
        None => Err(ApiError::not_found(Error::config(format!("unknown run `{id}`")))),
    }
}

/// Sets what the active run knows better than its record.
fn update(record: &mut RunRecord, active: ActiveRunView) -> Result<(), Error> {
    let ActiveRunView { status, trigger, request, started_at, step, nodes, .. } = active;
    record.request = serde_json::to_value(request).map_err(Error::internal)?;
    record.nodes = Some(nodes);
    let recorded = std::mem::take(&mut record.summary.started_at);
    let summary = &mut record.summary;
    summary.status = status;
    summary.trigger = Some(trigger);
    summary.started_at = started_at.or(recorded);
    summary.step = step;
    Ok(())
}

async fn cancel(
    State(state): State<Arc<AppState>>,
    Path(id): Path<String>,
    _: QueryParameters<NoParameters>,
) -> ApiResult<Json<RunId>> {
    let run = state.runs.find(&id).ok_or_else(|| {
        ApiError::not_found(Error::config(format!("run `{id}` is not active")))
            .hint("a run that ended cannot be cancelled")
    })?;
    run.stop(StopReason::Cancelled);
    Ok(Json(RunId { run: id }))
}
