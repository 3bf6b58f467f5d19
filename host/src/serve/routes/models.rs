//! The models of a pipeline: its manifest.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use host_models::ManifestEntry;

use super::{PipelineQuery, QueryParameters};
use crate::run;
use crate::serve::api_error::ApiResult;
use crate::serve::app_state::AppState;

pub(super) fn routes() -> Router<Arc<AppState>> {
    Router::new().route("/api/models", get(models))
}

#[derive(serde::Serialize)]
struct ModelList {
    pipeline: String,
    models: Vec<ManifestEntry>,
}

async fn models(
    State(state): State<Arc<AppState>>,
    QueryParameters(query): QueryParameters<PipelineQuery>,
) -> ApiResult<Json<ModelList>> {
    let served = state.pipeline(query.pipeline.as_deref())?;
    let models = match served.loaded.pipeline.file.models {
        Some(_) => state.with_session(served, |session, _| run::manifest(session)).await?,
        None => Vec::new(),
    };
    Ok(Json(ModelList { pipeline: served.name().to_owned(), models }))
}
