//! `host serve`: one process that owns the warehouses, runs pipelines, and answers on loopback.

mod alerts;
mod answers;
mod events;
mod failure;
mod graph;
mod live;
mod models;
mod pages;
mod routes;
mod runs;
mod schedule;
mod security;
mod shared;
mod state;
mod worker;

use std::collections::BTreeMap;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::error::{Error, Kind, Result};
use alerts::{Alerts, Hook};
use events::Events;
use runs::Runs;
use shared::Shared;
use state::{Served, Server};

pub use state::Loaded;

/// How long answers that are under way may take when the server ends.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// Serves pipelines until `end` comes; `listening` hears where. Everything is checked before anything is done.
pub async fn serve(
    pipelines: Vec<Loaded>,
    port: u16,
    clock: Clock,
    listening: impl FnOnce(SocketAddr),
    end: impl Future<Output = ()>,
) -> Result<()> {
    check_names(&pipelines)?;
    let hooks = hooks(&pipelines)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|cause| in_use(&cause, port))?;
    let address = listener.local_addr().map_err(|cause| Error::internal(cause.to_string()))?;
    let (closing, closed) = watch::channel(false);
    let pipelines = open(pipelines, hooks)?;
    let alerts = Alerts::new(&pipelines, clock.now())?;
    let runs = Runs::new(&pipelines, clock, Events::new(), alerts)?;
    runs.resume(&pipelines)?;
    let server = Arc::new(Server { pipelines, runs, address, clock, closing: closed });
    for served in &server.pipelines {
        server.ask(served, |_, _| Ok(())).await?;
    }
    let schedules = tokio::spawn(schedule::keep(Arc::clone(&server)));
    listening(address);
    let mut closed = server.closing.clone();
    let answering = axum::serve(listener, routes::router(Arc::clone(&server))).with_graceful_shutdown(async move {
        // A sender that is gone says the same.
        let _ = closed.wait_for(|closing| *closing).await;
    });
    let mut answering = tokio::spawn(answering.into_future());
    let lost = |cause: String| Error::internal(format!("the server ended: {cause}"));
    let ended = tokio::select! {
        () = end => Ok(()),
        ended = &mut answering => Err(lost(ended.map_or_else(|cause| cause.to_string(), |_| "it answers no more".to_owned()))),
    };
    closing.send_replace(true);
    let server = Arc::clone(&server);
    let closed = tokio::task::spawn_blocking(move || server.runs.close()).await;
    // A browser that keeps a connection open keeps no process alive.
    let _ = tokio::time::timeout(LAST_ANSWERS, answering).await;
    let _ = tokio::time::timeout(LAST_ANSWERS, schedules).await;
    closed.map_err(|cause| lost(cause.to_string()))?;
    ended
}

fn check_names(pipelines: &[Loaded]) -> Result<()> {
    let mut seen: BTreeMap<&str, &PathBuf> = BTreeMap::new();
    for Loaded { pipeline, path, .. } in pipelines {
        let name = &pipeline.file.pipeline.name;
        if let Some(other) = seen.insert(name, path) {
            let place = pipeline.places.at(&["pipeline".into(), "name".into()]);
            let error = Error::config(format!("{} is named `{name}` too", other.display())).on(place);
            return Err(error.hint("give one of them another `name`"));
        }
    }
    Ok(())
}

fn in_use(cause: &std::io::Error, port: u16) -> Error {
    if cause.kind() == std::io::ErrorKind::AddrInUse {
        let error = Error::config(format!("port {port} of 127.0.0.1 is in use"));
        return error.hint("is `host serve` running already? `--port` takes another one, and 0 any that is free");
    }
    Error::config(format!("127.0.0.1:{port} cannot be listened on: {cause}"))
}

/// Each pipeline's hooks, in their order.
fn hooks(pipelines: &[Loaded]) -> Result<Vec<Vec<Hook>>> {
    pipelines.iter().map(|loaded| alerts::hooks(&loaded.pipeline)).collect()
}

/// Opens each warehouse once: DuckDB's lock is the process's.
fn open(pipelines: Vec<Loaded>, hooks: Vec<Vec<Hook>>) -> Result<Vec<Arc<Served>>> {
    let mut warehouses: BTreeMap<PathBuf, Arc<Shared>> = BTreeMap::new();
    let mut served = Vec::new();
    for (loaded, hooks) in pipelines.into_iter().zip(hooks) {
        let path = loaded.pipeline.warehouse();
        let schedule = loaded.pipeline.schedule()?;
        let warehouse = match warehouses.get(&canonical(&path)) {
            Some(open) => Arc::clone(open),
            None => {
                let open = Shared::open(path.clone(), &loaded.pipeline.file.pipeline.memory_limit);
                let open = Arc::new(open.map_err(owned_elsewhere)?);
                warehouses.insert(canonical(&path), Arc::clone(&open));
                open
            }
        };
        let secrets = loaded.pipeline.secrets();
        let models = models::Cached::default();
        let answers = answers::Answers::default();
        served.push(Arc::new(Served { loaded, schedule, hooks, secrets, warehouse, models, answers }));
    }
    Ok(served)
}

fn owned_elsewhere(error: Error) -> Error {
    if error.kind != Kind::Unavailable {
        return error;
    }
    error.hint("close the other program (a running `host`, the DuckDB shell, a BI tool): a server owns its warehouse")
}

/// The one path of a file, which need not be there yet.
fn canonical(path: &std::path::Path) -> PathBuf {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(std::path::Path::new("."));
    let whole = path.canonicalize().ok();
    let in_folder = || Some(folder.canonicalize().ok()?.join(path.file_name()?));
    whole.or_else(in_folder).unwrap_or_else(|| path.to_path_buf())
}
