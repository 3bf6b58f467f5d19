//! The models of a pipeline: the manifest.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::{Asked, OfPipeline};
use crate::serve::failure::Answer;
use crate::serve::state::Server;

pub(super) fn routes() -> Router<Arc<Server>> {
    Router::new().route("/api/models", get(models))
}

async fn models(State(server): State<Arc<Server>>, Asked(asked): Asked<OfPipeline>) -> Answer<Json<Value>> {
    let served = server.pipeline(asked.pipeline.as_deref())?;
    let models = match served.loaded.pipeline.file.marts {
        Some(_) => server.look(served, |context| context.entries()).await?,
        None => Vec::new(),
    };
    Ok(Json(json!({ "pipeline": served.name(), "models": models })))
}
