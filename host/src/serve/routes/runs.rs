//! Runs: started, listed, looked at, cancelled.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::Asked;
use crate::error::Result;
use crate::run::instant;
use crate::serve::failure::{Answer, Failure};
use crate::serve::live::{Ask, Cause, From, Live, Why};
use crate::serve::shared::Shared;
use crate::serve::state::{Served, Server};
use crate::warehouse::Row;

/// Runs of a page of the list.
const PAGE: u32 = 50;

pub(super) fn routes() -> Router<Arc<Server>> {
    Router::new()
        .route("/api/pipelines/{name}/runs", post(start))
        .route("/api/runs", get(list))
        .route("/api/runs/{id}", get(one))
        .route("/api/runs/{id}/cancel", post(cancel))
}

/// What a page asks of a run.
async fn start(State(server): State<Arc<Server>>, Path(name): Path<String>, body: Bytes) -> Answer<Json<Value>> {
    let served = server.pipeline(Some(&name))?;
    let asked: Ask = if body.is_empty() {
        Ask::default()
    } else {
        serde_json::from_slice(&body).map_err(|cause| Failure::bad(format!("what is asked of a run: {cause}")))?
    };
    let asked = if asked.from == From::Failed { from_failed(served).await? } else { asked };
    check(&asked, served)?;
    let run = server.runs.start(served, Cause::Asked, asked)?;
    Ok(Json(json!({ "run": run })))
}

fn check(asked: &Ask, served: &Served) -> Answer<()> {
    if asked.full_refresh && asked.since.is_some() {
        return Err(Failure::bad("`full_refresh` reads everything, whatever `since` says").hint("give one of them"));
    }
    if let Some(since) = &asked.since {
        instant(since, &served.loaded.pipeline.file.pipeline.timezone).map_err(|error| error.on("`since`"))?;
    }
    if asked.from != From::Start && (asked.since.is_some() || !asked.streams.is_empty()) {
        return Err(Failure::bad("`since` and `streams` are for a run that asks sources").hint("leave out `from`"));
    }
    Ok(())
}

/// What goes on from where the last run failed.
async fn from_failed(served: &Arc<Served>) -> Answer<Ask> {
    let name = served.name().to_owned();
    let last = served.warehouse.read(move |warehouse| {
        let last = warehouse.runs(&name, "", 1, 0)?.into_iter().next();
        let run = last.as_ref().and_then(|run| run.get("run")?.as_str());
        run.map_or(Ok(None), |run| warehouse.run(run))
    });
    let last = last.await?.unwrap_or_default();
    let text = |key: &str| last.get(key).and_then(Value::as_str).unwrap_or_default();
    if !["failed", "cancelled", "interrupted"].contains(&text("status")) {
        return Err(Failure::conflict("the last run did not fail").hint("leave out `from`"));
    }
    Ok(match text("step") {
        "marts" => Ask { from: From::Failed, ..Ask::default() },
        "clean" => Ask { from: From::Clean, ..Ask::default() },
        _ => serde_json::from_str(text("options")).unwrap_or_default(),
    })
}

/// Which runs are listed.
#[derive(serde::Deserialize)]
struct Which {
    #[serde(default)]
    pipeline: String,
    #[serde(default)]
    status: String,
    /// From 1 on.
    #[serde(default)]
    page: u32,
}

async fn list(State(server): State<Arc<Server>>, Asked(which): Asked<Which>) -> Answer<Json<Value>> {
    if !which.pipeline.is_empty() {
        server.pipeline(Some(&which.pipeline))?;
    }
    let page = which.page.clamp(1, 10_000);
    // Of several warehouses each gives all up to the end of the page.
    let (mut runs, mut total): (Vec<Row>, u64) = Default::default();
    for warehouse in warehouses(&server) {
        let (pipeline, status) = (which.pipeline.clone(), which.status.clone());
        let of_it = warehouse.read(move |warehouse| -> Result<_> {
            Ok((warehouse.runs(&pipeline, &status, page * PAGE, 0)?, warehouse.count_runs(&pipeline, &status)?))
        });
        let (of_it, count) = of_it.await?;
        runs.extend(of_it);
        total += count;
    }
    let id = |run: &Row| run.get("run").and_then(Value::as_str).unwrap_or_default().to_owned();
    let live = server.runs.live();
    let is_it = |one: &Live| {
        let fits = |asked: &str, value: &str| asked.is_empty() || asked == value;
        fits(&which.pipeline, &one.pipeline) && fits(&which.status, one.status())
    };
    // What waits is noted once it begins; what stops is noted as running.
    for one in live.values() {
        match runs.iter_mut().find(|run| id(run) == one.run) {
            Some(run) => drop(run.insert("status".to_owned(), one.status().into())),
            None if one.status() == "queued" && is_it(one) => {
                runs.extend(one.shown().as_object().cloned());
                total += 1;
            }
            None => {}
        }
    }
    runs.sort_by_key(|run| std::cmp::Reverse(id(run)));
    let start = ((page - 1) * PAGE) as usize;
    let runs: Vec<_> = runs.into_iter().skip(start).take(PAGE as usize).collect();
    Ok(Json(json!({ "runs": runs, "page": page, "page_size": PAGE, "total": total })))
}

/// The warehouses, each once.
fn warehouses(server: &Server) -> Vec<Arc<Shared>> {
    let mut all: Vec<Arc<Shared>> = Vec::new();
    for served in &server.pipelines {
        if !all.iter().any(|known| Arc::ptr_eq(known, &served.warehouse)) {
            all.push(Arc::clone(&served.warehouse));
        }
    }
    all
}

async fn one(State(server): State<Arc<Server>>, Path(id): Path<String>) -> Answer<Json<Value>> {
    if id.len() > 64 {
        return Err(Failure::not_found("an id of a run has 26 letters and digits"));
    }
    let live = server.runs.find(&id);
    for warehouse in warehouses(&server) {
        let run = id.clone();
        let found = warehouse.read(move |warehouse| -> Result<_> {
            let Some(row) = warehouse.run(&run)? else { return Ok(None) };
            Ok(Some((row, warehouse.steps(&run)?, warehouse.read_log(&run)?)))
        });
        let Some((mut run, steps, log)) = found.await? else { continue };
        for key in ["options", "nodes", "report"] {
            let json = run.get(key).and_then(Value::as_str).and_then(|text| serde_json::from_str(text).ok());
            run.insert(key.to_owned(), json.unwrap_or_default());
        }
        let mut run = Value::Object(run);
        let log = match &live {
            Some(live) => {
                merge(&mut run, live.shown());
                live.log()
            }
            None => json!(log),
        };
        return Ok(Json(json!({ "run": run, "steps": steps, "log": log })));
    }
    match live {
        Some(live) => Ok(Json(json!({ "run": live.shown(), "steps": [], "log": live.log() }))),
        None => Err(Failure::not_found(format!("there is no run `{id}`"))),
    }
}

fn merge(run: &mut Value, live: Value) {
    if let (Value::Object(run), Value::Object(live)) = (run, live) {
        run.extend(live);
    }
}

async fn cancel(State(server): State<Arc<Server>>, Path(id): Path<String>) -> Answer<Json<Value>> {
    let live = server.runs.find(&id).ok_or_else(|| Failure::not_found(format!("no run `{id}` is under way")))?;
    live.end(Why::Cancelled);
    Ok(Json(json!({ "run": id })))
}
