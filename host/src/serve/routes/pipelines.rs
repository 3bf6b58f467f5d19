//! The pipelines that are served, each as a graph.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::Value;

use crate::serve::failure::Answer;
use crate::serve::graph::graph;
use crate::serve::state::Server;

pub(super) fn routes() -> Router<Arc<Server>> {
    Router::new().route("/api/pipelines", get(pipelines)).route("/api/pipelines/{name}/graph", get(one_graph))
}

async fn pipelines(State(server): State<Arc<Server>>) -> Answer<Json<Value>> {
    Ok(Json(server.overview().await?))
}

async fn one_graph(State(server): State<Arc<Server>>, Path(name): Path<String>) -> Answer<Json<Value>> {
    let served = Arc::clone(server.pipeline(Some(&name))?);
    let live = server.runs.live().get(&name).map(|live| live.nodes());
    Ok(Json(server.look(&served, move |context| graph(context, live)).await?))
}
