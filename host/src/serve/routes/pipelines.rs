//! The pipelines that are served, and each as a graph.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};

use super::{NoParameters, QueryParameters};
use crate::serve::api_error::ApiResult;
use crate::serve::app_state::AppState;
use crate::serve::graph::{PipelineGraph, pipeline_graph};

pub(super) fn routes() -> Router<Arc<AppState>> {
    Router::new().route("/api/pipelines", get(pipelines)).route("/api/pipelines/{name}/graph", get(graph))
}

async fn pipelines(State(state): State<Arc<AppState>>, _: QueryParameters<NoParameters>) -> ApiResult<Response> {
    // The overview borrows from the state, so it is serialized here.
    Ok(Json(state.overview().await?).into_response())
}

async fn graph(
    State(state): State<Arc<AppState>>,
    Path(name): Path<String>,
    _: QueryParameters<NoParameters>,
) -> ApiResult<Json<PipelineGraph>> {
    let served = state.pipeline(Some(&name))?;
    let active = state.runs.active().get(&name).map(|run| run.nodes());
    let graph = state.with_session(served, move |session, warehouse| pipeline_graph(session, warehouse, active));
    Ok(Json(graph.await?))
}
