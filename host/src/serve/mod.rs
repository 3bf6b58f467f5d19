//! `host serve`: one process that owns the warehouses, runs pipelines, and serves pages and an API on loopback.
//!
//! Files import only those above them in this list: `access`, `api_error`, `connections`, `events`, `shared_warehouse`,
//! `response_cache`, `model_cache`, `webhook`, `graph` → `active_run`, `pages`, `request_body`, `served_pipeline` →
//! `alerts` → `run_registry` → `worker` → `run_queue` → `app_state` → `schedule`, `security`, `request_log`, `routes`.

mod access;
mod active_run;
mod alerts;
mod api_error;
mod app_state;
mod connections;
mod events;
mod graph;
mod model_cache;
mod pages;
mod request_body;
mod request_log;
mod response_cache;
mod routes;
mod run_queue;
mod run_registry;
mod schedule;
mod security;
mod served_pipeline;
mod shared_warehouse;
mod webhook;
mod worker;

use std::collections::BTreeMap;
use std::future::Future;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use host_core::clock::Clock;
use host_core::error::{Error, Kind, Result};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use alerts::AlertSender;
use app_state::AppState;
use connections::Limits;
use events::EventBroadcast;
use model_cache::ModelCache;
use response_cache::ResponseCache;
use run_queue::RunQueue;
use served_pipeline::ServedPipeline;
use shared_warehouse::SharedWarehouse;
use webhook::Webhook;

pub use access::ServerToken;
pub use served_pipeline::LoadedPipeline;

/// How long responses in progress may take when the server shuts down.
const SHUTDOWN_TIME: Duration = Duration::from_secs(2);

/// Serves pipelines until `end` completes, to clients with the token. Calls `listening` with the address of the pages
/// once the server accepts requests. Port 0 takes any free port.
///
/// # Errors
/// Every problem of the pipelines, their models and their dashboards, before the first request; a warehouse or a port
/// that another process uses; a server that fails later.
pub async fn serve(
    pipelines: Vec<LoadedPipeline>,
    port: u16,
    clock: Clock,
    token: ServerToken,
    listening: impl FnOnce(&str),
    end: impl Future<Output = ()>,
) -> Result<()> {
    check_names(&pipelines)?;
    let warnings = pipelines.iter().flat_map(|loaded| loaded.pipeline.environment.warnings());
    warnings.for_each(|warning| tracing::warn!("{warning}"));
    let webhooks = pipelines.iter().map(|loaded| Webhook::load_all(&loaded.pipeline)).collect::<Result<Vec<_>>>()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|cause| bind_error(&cause, port))?;
    let address = listener.local_addr().map_err(Error::internal)?;
    let shutdown = CancellationToken::new();
    let pipelines = open(pipelines, webhooks)?;
    let alerts = AlertSender::new(&pipelines, clock.now())?;
    let runs = RunQueue::new(&pipelines, clock, EventBroadcast::new(), alerts)?;
    runs.resume(&pipelines)?;
    let (url, limits) = (token.url(address), Limits::of_process());
    let event_streams = Arc::new(Semaphore::new(limits.event_streams));
    let shared = shutdown.clone();
    let state = AppState { pipelines, runs, address, token, limits, event_streams, clock, shutdown: shared };
    let state = Arc::new(state);
    for served in &state.pipelines {
        // Problems of models and dashboards are reported before the first request.
        state.with_models(served, |_, _| Ok(())).await?;
    }
    let schedules = tokio::spawn(schedule::run_schedules(Arc::clone(&state)));
    tracing::info!(%address, pipelines = state.pipelines.len(), "server started");
    listening(&url);
    let app = routes::router(Arc::clone(&state));
    let mut server = tokio::spawn(connections::accept(listener, app, limits, shutdown.clone()));
    let failed = |cause: String| Error::internal(format!("the server ended: {cause}"));
    let ended = tokio::select! {
        () = end => Ok(()),
        ended = &mut server => {
            Err(failed(ended.map_or_else(|cause| cause.to_string(), |()| "it accepts no more requests".to_owned())))
        }
    };
    shutdown.cancel();
    let closed = tokio::task::spawn_blocking(move || state.runs.close()).await;
    // A browser that keeps its connection open must not keep the process alive.
    let _ = tokio::time::timeout(SHUTDOWN_TIME, server).await;
    let _ = tokio::time::timeout(SHUTDOWN_TIME, schedules).await;
    tracing::info!("server stopped");
    closed.map_err(|cause| failed(cause.to_string()))?;
    ended
}

fn check_names(pipelines: &[LoadedPipeline]) -> Result<()> {
    let mut seen: BTreeMap<&str, &PathBuf> = BTreeMap::new();
    for LoadedPipeline { pipeline, path, .. } in pipelines {
        let name = &pipeline.file.pipeline.name;
        if let Some(other) = seen.insert(name, path) {
            let place = pipeline.source_map.at(&["pipeline".into(), "name".into()]);
            let error = Error::config(format!("the pipeline {} has the same name, `{name}`", other.display()));
            return Err(error.at(&place).hint("give one of the two another `name`"));
        }
    }
    Ok(())
}

fn bind_error(cause: &std::io::Error, port: u16) -> Error {
    if cause.kind() == std::io::ErrorKind::AddrInUse {
        let error = Error::config(format!("port {port} of 127.0.0.1 is in use"));
        return error.hint(
            "stop the other program, such as another `host serve`, or choose a port with `--port`; `--port 0` takes \
             any free one",
        );
    }
    Error::config(format!("cannot listen on 127.0.0.1:{port}: {cause}"))
}

/// Opens each warehouse once: DuckDB locks a file for the whole process.
fn open(pipelines: Vec<LoadedPipeline>, webhooks: Vec<Vec<Webhook>>) -> Result<Vec<Arc<ServedPipeline>>> {
    let mut warehouses: BTreeMap<PathBuf, Arc<SharedWarehouse>> = BTreeMap::new();
    let responses = Arc::new(ResponseCache::new());
    let mut served = Vec::new();
    for (loaded, webhooks) in pipelines.into_iter().zip(webhooks) {
        let path = loaded.pipeline.warehouse();
        let schedule = loaded.pipeline.schedule()?;
        let warehouse = match warehouses.get(&canonical(&path)) {
            Some(open) => Arc::clone(open),
            None => {
                let open = SharedWarehouse::open(path.clone(), &loaded.pipeline.file.pipeline.memory_limit);
                let open = Arc::new(open.map_err(locked_error)?);
                warehouses.insert(canonical(&path), Arc::clone(&open));
                open
            }
        };
        let (models, responses) = (ModelCache::default(), Arc::clone(&responses));
        served.push(Arc::new(ServedPipeline { loaded, schedule, webhooks, warehouse, models, responses }));
    }
    Ok(served)
}

fn locked_error(error: Error) -> Error {
    if error.kind != Kind::Unavailable {
        return error;
    }
    error.hint("close the other program (a running `host`, the DuckDB shell, a BI tool): a server owns its warehouse")
}

/// The canonical path of a file that need not exist yet.
fn canonical(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let whole = path.canonicalize().ok();
    let in_folder = || Some(folder.canonicalize().ok()?.join(path.file_name()?));
    whole.or_else(in_folder).unwrap_or_else(|| path.to_path_buf())
}
